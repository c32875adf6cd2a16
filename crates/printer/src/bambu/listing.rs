//! The lines of an FTP `LIST`, as Unix `ls -l` writes them. Nothing specifies them, so they are
//! read from the date on, and what cannot be read is left out.

use crate::files::RemoteFile;

/// A file of a folder; `None` for folders, links, and what is no such line. `now_s` tells the year
/// of dates that have none.
pub(super) fn file(line: &str, folder: &str, now_s: i64) -> Option<RemoteFile> {
    if !line.starts_with('-') {
        return None;
    }
    let words = words(line);
    // Permissions, links, owner, group, size, month, day, time, name: some have no group.
    let month_at = (3..7).find(|at| {
        words.get(*at).is_some_and(|(_, word)| month(word).is_some()) && words.len() > at + 3
    })?;
    let word = |at: usize| words.get(at).map(|(_, word)| *word);
    let size = word(month_at - 1)?.parse().ok();
    let (start, _) = words.get(month_at + 3)?;
    let name = line.get(*start..)?.trim_end_matches(['\r', '\n']);
    let odd = name.chars().any(|c| c == '/' || c.is_control() || c == char::REPLACEMENT_CHARACTER);
    if odd || !super::is_printable(name) {
        return None;
    }
    let changed = date(month(word(month_at)?)?, word(month_at + 1)?, word(month_at + 2)?, now_s);
    Some(RemoteFile {
        path: format!("{}/{name}", folder.trim_end_matches('/')),
        name: name.to_owned(),
        bytes: size,
        changed_us: changed.and_then(|seconds| seconds.checked_mul(1_000_000)),
    })
}

/// Each word and where it begins.
fn words(line: &str) -> Vec<(usize, &str)> {
    let starts = line.char_indices().filter(|(at, c)| {
        !c.is_whitespace() && line[..*at].chars().next_back().is_none_or(char::is_whitespace)
    });
    let word = |(at, _)| (at, line[at..].split_whitespace().next().unwrap_or_default());
    starts.take(WORDS_MAX).map(word).collect()
}

fn month(word: &str) -> Option<i64> {
    const MONTHS: [&str; 12] =
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let word = word.to_ascii_lowercase();
    (1..).zip(MONTHS).find(|(_, known)| *known == word).map(|(number, _)| number)
}

/// Seconds since 1970; the printer's clock is taken for UTC, which it does not tell.
fn date(month: i64, day: &str, time_or_year: &str, now_s: i64) -> Option<i64> {
    let day: i64 = day.parse().ok().filter(|day| (1..=31).contains(day))?;
    let Some((hour, minute)) = time_or_year.split_once(':') else {
        let year = time_or_year.parse().ok().filter(|year| (1970..=9999).contains(year))?;
        return Some(days(year, month, day) * DAY_S);
    };
    let hour: i64 = hour.parse().ok().filter(|hour| (0..24).contains(hour))?;
    let minute: i64 = minute.parse().ok().filter(|minute| (0..60).contains(minute))?;
    // Of the last twelve months.
    let this_year = 1970 + now_s.div_euclid(31_556_952);
    let at = |year| days(year, month, day) * DAY_S + hour * 3600 + minute * 60;
    let latest = now_s + DAY_S;
    [this_year + 1, this_year, this_year - 1].into_iter().map(at).find(|at| *at <= latest)
}

/// From 1970 to a date of our calendar (Howard Hinnant, days_from_civil).
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

const DAY_S: i64 = 86_400;
/// Those before the name, and the first of the name.
const WORDS_MAX: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 2026-11-21 16:00 UTC.
    const NOW_S: i64 = 1_795_276_800;

    #[test]
    fn lines_of_ls_are_read() {
        let line = "-rw-rw-rw-   1 root  root   1234567 Nov 20 09:05 two  words (1).gcode.3mf\r";
        let file = file(line, "/cache", NOW_S).unwrap();
        assert_eq!(file.path, "/cache/two  words (1).gcode.3mf");
        assert_eq!(file.name, "two  words (1).gcode.3mf");
        assert_eq!(file.bytes, Some(1_234_567));
        assert_eq!(file.changed_us, Some((NOW_S - 30 * 3600 - 55 * 60) * 1_000_000));
    }

    #[test]
    fn years_and_missing_groups_are_understood() {
        let old = file("-rwxr-xr-x 1 103 5 Jan 01 1980 Ä.3mf", "/", NOW_S).unwrap();
        assert_eq!((old.path.as_str(), old.bytes), ("/Ä.3mf", Some(5)));
        assert_eq!(old.changed_us, Some(315_532_800_000_000));
        let december = file("-rw-r--r-- 1 a b 5 Dec 31 23:59 x.gcode", "/", NOW_S).unwrap();
        assert_eq!(december.changed_us, Some(1_767_225_540_000_000), "of last year");
    }

    #[test]
    fn what_is_no_printable_file_is_left_out() {
        for line in [
            "drwxr-xr-x 2 root root 4096 Nov 20 09:05 cache.3mf",
            "-rw-r--r-- 1 root root 4096 Nov 20 09:05 video.mp4",
            "-rw-r--r-- 1 root root 4096 Nov 20 09:05 a/b.3mf",
            "-rw-r--r-- 1 root root 4096 Nov 20 09:05",
            "total 5",
            "",
            "-",
        ] {
            assert_eq!(file(line, "/", NOW_S), None, "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(line in ".*", now in any::<i32>()) {
            file(&line, "/", i64::from(now));
            file(&format!("-rw 1 r r 1 Nov {line}"), "/", i64::from(now));
        }
    }
}
