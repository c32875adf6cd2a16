//! Times as people type them: `30m`, `2026-12-01`, `2026-12-01T18:00`.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// A time, or how far it is from now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum When {
    In(SignedDuration),
    /// A whole day of this computer's time zone.
    Day(Date),
    /// Of this computer's time zone.
    At(DateTime),
    Exactly(Timestamp),
}

/// `90s`, `10m`, `1h30m`
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let days = text.strip_suffix('d').and_then(|days| days.parse::<u32>().ok());
    if let Some(days) = days.filter(|days| *days > 0) {
        return Ok(Duration::from_secs(u64::from(days) * 86_400));
    }
    let span: SignedDuration =
        text.parse().map_err(|_| "write it as 90s, 10m, 24h or 7d".to_owned())?;
    Duration::try_from(span).ok().filter(|time| !time.is_zero()).ok_or("it must be above 0".into())
}

pub(crate) fn when(text: &str) -> Result<When, String> {
    if let Ok(time) = text.parse() {
        return Ok(When::Exactly(time));
    }
    if text.contains('T')
        && let Ok(time) = text.parse()
    {
        return Ok(When::At(time));
    }
    if let Ok(day) = text.parse() {
        return Ok(When::Day(day));
    }
    let wrong = || "write it as 2026-12-01, 2026-12-01T18:00, or 2h for two hours".to_owned();
    let span = duration(text).map_err(|_| wrong())?;
    SignedDuration::try_from(span).map(When::In).map_err(|_| wrong())
}

/// Where something begins that lies behind us: so long ago, or with that day.
pub(crate) fn past(when: When, now: Timestamp) -> Timestamp {
    let zone = TimeZone::system();
    match when {
        When::In(span) => now.saturating_sub(span).unwrap_or(Timestamp::MIN),
        When::Day(day) => day.to_zoned(zone).map_or(Timestamp::MIN, |at| at.timestamp()),
        When::At(time) => time.to_zoned(zone).map_or(Timestamp::MIN, |at| at.timestamp()),
        When::Exactly(time) => time,
    }
}

/// Where something ends that lies before us: in so long, or with the end of that day. `None`
/// when the calendar has no such time.
pub(crate) fn future(when: When, now: Timestamp) -> Option<Timestamp> {
    let zone = TimeZone::system();
    match when {
        When::In(span) => now.checked_add(span).ok(),
        When::Day(day) => Some(day.tomorrow().ok()?.to_zoned(zone).ok()?.timestamp()),
        When::At(time) => Some(time.to_zoned(zone).ok()?.timestamp()),
        When::Exactly(time) => Some(time),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_with_a_unit() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("24h"), Ok(Duration::from_secs(86_400)));
        assert_eq!(duration("7d"), Ok(Duration::from_secs(7 * 86_400)));
        for wrong in ["", "10", "-5m", "0s", "0d", "soon"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_day_lasts_until_its_end() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        assert_eq!(when("2h"), Ok(When::In(SignedDuration::from_hours(2))));
        let ends = |text: &str| future(when(text).unwrap(), now).unwrap();
        let begins = |text: &str| past(when(text).unwrap(), now);
        assert_eq!(ends("2h").to_string(), "2026-11-21T14:00:00Z");
        assert_eq!(begins("2h").to_string(), "2026-11-21T10:00:00Z");
        assert_eq!(ends("2026-12-01T18:00:00Z").to_string(), "2026-12-01T18:00:00Z");
        let day = ends("2026-12-01").duration_since(begins("2026-12-01"));
        assert!((23..=25).contains(&day.as_hours()), "one day in any time zone: {day}");
        for wrong in ["", "tomorrow", "2026-13-01", "-2h", "12:00"] {
            assert!(when(wrong).is_err(), "{wrong}");
        }
    }
}
