//! Times of a program that wrote the clock on its wall.
//!
//! Printernizer writes three kinds, all without a zone: `datetime.now().isoformat()` (local, with a
//! `T`), `datetime.utcnow().isoformat()` (UTC, with a `T`, some columns only) and SQLite's
//! `CURRENT_TIMESTAMP` (UTC, with a blank and whole seconds). Its container runs in
//! Europe/Berlin. What has an offset says itself where it is.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use serde_json::Value;

/// What a time without a zone is, where its form does not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Naive {
    Local,
    Utc,
}

/// A time, microseconds since 1970. In the hour that comes twice in October it is the first of
/// them, and the second is beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct When {
    pub(super) us: i64,
    pub(super) second_us: Option<i64>,
}

impl When {
    /// The one that is not before something else, if there is one.
    pub(super) fn not_before(self, us: i64) -> i64 {
        self.second_us.filter(|second_us| self.us < us && *second_us >= us).unwrap_or(self.us)
    }
}

/// None for what is no time, and for times that no printer has seen.
pub(super) fn read(value: &Value, naive: Naive) -> Option<When> {
    match value {
        Value::String(text) => of_text(text.trim(), naive),
        // not of its own: seconds, or milliseconds
        Value::Number(number) => {
            let number = number.as_f64().filter(|number| number.is_finite() && *number > 0.0)?;
            let seconds = if number > 1e11 { number / 1e3 } else { number };
            let timestamp = Timestamp::from_microsecond(super::amount::rounded(seconds * 1e6)?);
            once(timestamp.ok()?)
        }
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn of_text(text: &str, naive: Naive) -> Option<When> {
    if text.len() > TEXT_BYTES_MAX {
        return None;
    }
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return once(timestamp);
    }
    let time: DateTime = text.parse().ok()?;
    // SQLite's own has whole seconds; Python's has a fraction unless it is zero
    let sqlite = text.contains(' ') && !text.contains('.');
    if sqlite || naive == Naive::Utc {
        return once(TimeZone::UTC.to_timestamp(time).ok()?);
    }
    let ambiguous = berlin().to_ambiguous_timestamp(time);
    let second = match ambiguous.offset() {
        AmbiguousOffset::Fold { .. } => ambiguous.later().ok(),
        AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Gap { .. } => None,
    };
    // in the hour that is not there in March the clock had not been set yet
    let first = once(ambiguous.compatible().ok()?)?;
    Some(When { second_us: second.map(Timestamp::as_microsecond), ..first })
}

fn once(timestamp: Timestamp) -> Option<When> {
    let us = timestamp.as_microsecond();
    (EARLIEST_US..LATEST_US).contains(&us).then_some(When { us, second_us: None })
}

/// By its rule, which has been this since 1996: not every computer has a data base of zones.
fn berlin() -> TimeZone {
    TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").expect("it is a rule")
}

const TEXT_BYTES_MAX: usize = 64;
/// 2000 and 2100.
const EARLIEST_US: i64 = 946_684_800_000_000;
const LATEST_US: i64 = 4_102_444_800_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn us(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_microsecond()
    }

    fn read_text(text: &str, naive: Naive) -> Option<When> {
        read(&text.into(), naive)
    }

    #[test]
    fn the_form_tells_where_it_was() {
        let local = |text| read_text(text, Naive::Local).unwrap().us;
        assert_eq!(local("2026-01-15T10:00:00.5"), us("2026-01-15T09:00:00.5Z"));
        assert_eq!(local("2026-07-15T10:00:00"), us("2026-07-15T08:00:00Z"));
        assert_eq!(local("2026-07-15 10:00:00"), us("2026-07-15T10:00:00Z"));
        assert_eq!(local("2026-07-15 10:00:00.25"), us("2026-07-15T08:00:00.25Z"));
        assert_eq!(local("2026-07-15T10:00:00+00:00"), us("2026-07-15T10:00:00Z"));
        assert_eq!(local("2026-07-15"), us("2026-07-14T22:00:00Z"));
        let utc = read_text("2026-07-15T10:00:00.123456", Naive::Utc).unwrap().us;
        assert_eq!(utc, us("2026-07-15T10:00:00.123456Z"));
        let number = read(&1_784_109_600.into(), Naive::Local).unwrap().us;
        assert_eq!(number, 1_784_109_600_000_000);
    }

    #[test]
    fn an_hour_may_come_twice_or_never() {
        let twice = read_text("2025-10-26T02:30:00", Naive::Local).unwrap();
        let (first, second) = (us("2025-10-26T00:30:00Z"), us("2025-10-26T01:30:00Z"));
        assert_eq!(twice, When { us: first, second_us: Some(second) });
        assert_eq!(twice.not_before(first), first);
        assert_eq!(twice.not_before(first + 1), second);
        assert_eq!(twice.not_before(second + 1), first);
        let never = read_text("2025-03-30T02:30:00", Naive::Local).unwrap();
        assert_eq!(never, When { us: us("2025-03-30T01:30:00Z"), second_us: None });
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in ["", "gestern", "0000-00-00 00:00:00", "1970-01-01T00:00:00", "NaN"] {
            assert_eq!(read_text(text, Naive::Local), None, "{text}");
        }
        assert_eq!(read(&Value::Null, Naive::Local), None);
        assert_eq!(read(&(-5).into(), Naive::Local), None);
        assert_eq!(read(&1e300.into(), Naive::Local), None);
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text in "\\PC{0,80}|[0-9T: +.-]{0,40}", number in any::<f64>()) {
            read_text(&text, Naive::Local);
            read(&number.into(), Naive::Utc);
        }
    }
}
