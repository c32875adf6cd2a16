//! Folders as text: as `ls -l` writes them (what FTP servers do, RFC 959 leaves it open), and as
//! RFC 3659 has it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::printer::bambu::files::Entry;

pub(super) fn long(entries: &BTreeMap<String, Entry>, now: SystemTime) -> String {
    let mut text = String::new();
    for (name, entry) in entries {
        let mode = if entry.is_folder { "drwxr-xr-x" } else { "-rw-r--r--" };
        let links = if entry.is_folder { 2 } else { 1 };
        let (bytes, date) = (entry.bytes, short_date(entry.changed, now));
        let line =
            format_args!("{mode}    {links} 1000     1000     {bytes:>10} {date} {name}\r\n");
        text.write_fmt(line).expect("a string takes everything");
    }
    text
}

pub(super) fn names(entries: &BTreeMap<String, Entry>, folder: &str) -> String {
    let before = if folder.is_empty() { String::new() } else { format!("{folder}/") };
    entries.keys().map(|name| format!("{before}{name}\r\n")).collect()
}

/// RFC 3659 §7.
pub(super) fn facts(entries: &BTreeMap<String, Entry>) -> String {
    let line = |(name, entry): (&String, &Entry)| {
        let kind = if entry.is_folder { "dir" } else { "file" };
        let (bytes, time) = (entry.bytes, timestamp(entry.changed));
        format!("type={kind};size={bytes};modify={time}; {name}\r\n")
    };
    entries.iter().map(line).collect()
}

/// RFC 3659 §2.3: `20260821093000`, UTC.
pub(super) fn timestamp(time: SystemTime) -> String {
    let (year, month, day, second) = civil(time);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}")
}

/// The time of day for what is younger than half a year, else the year.
fn short_date(time: SystemTime, now: SystemTime) -> String {
    let (year, month, day, second) = civil(time);
    let month = MONTHS[usize::try_from(month - 1).unwrap_or(0)];
    if now.duration_since(time).is_ok_and(|age| age > HALF_A_YEAR) {
        format!("{month} {day:02}  {year}")
    } else {
        format!("{month} {day:02} {:02}:{:02}", second / 3600, second / 60 % 60)
    }
}

/// Year, month, day, and second of the day, UTC: days of years that begin in March, in eras of 400
/// years.
fn civil(time: SystemTime) -> (u64, u64, u64, u64) {
    let unix_s = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let days = unix_s / 86_400 + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + u64::from(month <= 2);
    (year, month, day, unix_s % 86_400)
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const HALF_A_YEAR: Duration = Duration::from_secs(182 * 86_400);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(unix_s: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(unix_s)
    }

    #[test]
    fn dates() {
        for (unix_s, expected) in [
            (0, "19700101000000"),
            (951_782_399, "20000228235959"),
            (951_782_400, "20000229000000"),
            (1_767_225_599, "20251231235959"),
            (1_795_279_966, "20261121165246"),
        ] {
            assert_eq!(timestamp(at(unix_s)), expected);
        }
    }

    #[test]
    fn a_folder_as_text() {
        let now = at(1_795_279_966);
        let file = Entry { is_folder: false, bytes: 1234, changed: now };
        let old = Entry { is_folder: true, bytes: 4096, changed: at(951_782_400) };
        let entries = [("a b.3mf".to_owned(), file), ("cache".to_owned(), old)].into();
        assert_eq!(
            long(&entries, now),
            "-rw-r--r--    1 1000     1000           1234 Nov 21 16:52 a b.3mf\r\n\
             drwxr-xr-x    2 1000     1000           4096 Feb 29  2000 cache\r\n"
        );
        assert_eq!(names(&entries, "x"), "x/a b.3mf\r\nx/cache\r\n");
        assert!(facts(&entries).starts_with("type=file;size=1234;modify=20261121165246; a b.3mf"));
    }
}
