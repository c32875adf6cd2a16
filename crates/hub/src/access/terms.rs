//! When a grant holds: hours of the week, an end, and how long a session may last.
//!
//! A window is written `Mon-Fri 08:00-18:00`: days, and a span of time on the clock of a time
//! zone. One that ends before it begins ends on the next day. What begins within an hour that the
//! clock skips in spring, begins when the clock goes on.

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Windows of one grant.
const WINDOWS_MAX: usize = 16;
/// The longest limit of a session: longer ones are no limit.
const LIMIT_S_MAX: u32 = 30 * 24 * 3600;

/// What a grant is bound to, as the database has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Written {
    pub(crate) windows: Vec<String>,
    pub(crate) zone: Option<String>,
    pub(crate) limit_s: Option<u32>,
    /// RFC 3339
    pub(crate) until: Option<String>,
}

/// What a grant is bound to.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    windows: Vec<Window>,
    zone: TimeZone,
    written: Written,
    until: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    Window(String),
    Windows,
    Zone(String),
    Limit,
    Until(String),
}

impl Terms {
    /// What is written must be understood whole.
    pub(crate) fn read(written: Written) -> Result<Self, Unreadable> {
        if written.windows.len() > WINDOWS_MAX {
            return Err(Unreadable::Windows);
        }
        let windows = written.windows.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
        let zone = match &written.zone {
            None => TimeZone::system(),
            Some(name) => TimeZone::get(name).map_err(|_| Unreadable::Zone(name.clone()))?,
        };
        if written.limit_s.is_some_and(|limit_s| limit_s == 0 || limit_s > LIMIT_S_MAX) {
            return Err(Unreadable::Limit);
        }
        let until = written.until.as_ref();
        let until = until.map(|text| text.parse().map_err(|_| Unreadable::Until(text.clone())));
        Ok(Self { windows, zone, until: until.transpose()?, written })
    }

    pub(crate) fn written(&self) -> &Written {
        &self.written
    }

    /// How long a session may last.
    pub(crate) fn limit(&self) -> Option<Duration> {
        self.written.limit_s.map(|seconds| Duration::from_secs(seconds.into()))
    }

    pub(crate) fn hold(&self, now: Timestamp) -> bool {
        let over = self.until.is_some_and(|until| until <= now);
        let inside = |window: &Window| {
            window.spans(now, &self.zone).any(|(from, to)| (from..to).contains(&now))
        };
        !over && (self.windows.is_empty() || self.windows.iter().any(inside))
    }

    /// When that may change next.
    pub(crate) fn next(&self, now: Timestamp) -> Option<Timestamp> {
        let until = self.until.filter(|until| *until > now);
        let spans = self.windows.iter().flat_map(|window| window.spans(now, &self.zone));
        let edges = spans.flat_map(|(from, to)| [from, to]).filter(|edge| *edge > now);
        edges.chain(until).min()
    }
}

/// Hours of some days of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Window {
    /// From Monday on.
    days: [bool; 7],
    from: Time,
    /// Midnight is the end of the day.
    to: Time,
}

impl Window {
    /// The instants between which it is open, from yesterday to in a week.
    fn spans(
        &self,
        now: Timestamp,
        zone: &TimeZone,
    ) -> impl Iterator<Item = (Timestamp, Timestamp)> {
        let today = zone.to_datetime(now).date();
        (-1i64..=8).filter_map(move |days: i64| {
            let day = today.checked_add(Span::new().days(days)).ok()?;
            let index = usize::try_from(day.weekday().to_monday_zero_offset()).ok()?;
            self.days[index].then_some(())?;
            let last = if self.to > self.from { day } else { day.checked_add(1.day()).ok()? };
            let at = |day: Date, time: Time| {
                Some(day.to_datetime(time).to_zoned(zone.clone()).ok()?.timestamp())
            };
            Some((at(day, self.from)?, at(last, self.to)?))
        })
    }
}

impl FromStr for Window {
    type Err = Unreadable;
    fn from_str(text: &str) -> Result<Self, Unreadable> {
        let unreadable = || Unreadable::Window(text.to_owned());
        let (days, hours) = match text.trim().rsplit_once(' ') {
            None => ([true; 7], text.trim()),
            Some((days, hours)) => (days_of(days).ok_or_else(unreadable)?, hours),
        };
        let (from, to) = hours.split_once('-').ok_or_else(unreadable)?;
        let from = clock(from).ok_or_else(unreadable)?;
        let to = if to == "24:00" { Some(Time::midnight()) } else { clock(to) };
        let to = to.ok_or_else(unreadable)?;
        // the whole day is written 00:00-24:00
        if from == to && to != Time::midnight() {
            return Err(unreadable());
        }
        Ok(Self { days, from, to })
    }
}

/// `08:00`
fn clock(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':')?;
    let two = |part: &str| {
        let digits = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| part.parse::<i8>().ok()).flatten()
    };
    Time::new(two(hour)?, two(minute)?, 0, 0).ok()
}

/// `Mon-Fri`, `Sat,Sun`, `Fri-Mon,Wed`
fn days_of(text: &str) -> Option<[bool; 7]> {
    let mut days = [false; 7];
    for part in text.split(',') {
        let (first, last) = part.trim().split_once('-').unwrap_or((part.trim(), part.trim()));
        let (first, last) = (day(first)?, day(last)?);
        let mut day = first;
        loop {
            days[usize::try_from(day.to_monday_zero_offset()).ok()?] = true;
            if day == last {
                break;
            }
            day = day.next();
        }
    }
    Some(days)
}

fn day(text: &str) -> Option<Weekday> {
    Some(match text.to_ascii_lowercase().as_str() {
        "mon" => Weekday::Monday,
        "tue" => Weekday::Tuesday,
        "wed" => Weekday::Wednesday,
        "thu" => Weekday::Thursday,
        "fri" => Weekday::Friday,
        "sat" => Weekday::Saturday,
        "sun" => Weekday::Sunday,
        _ => return None,
    })
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Window(text) => {
                write!(f, "{text:?} is no time window: write it as Mon-Fri 08:00-18:00")
            }
            Self::Windows => write!(f, "a grant has at most {WINDOWS_MAX} time windows"),
            Self::Zone(name) => write!(f, "this hub knows no time zone {name:?}"),
            Self::Limit => {
                f.write_str("a session is limited to 1 second at least, 30 days at most")
            }
            Self::Until(text) => write!(f, "{text:?} is no time"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn terms(windows: &[&str], zone: &str, until: Option<&str>) -> Terms {
        let windows = windows.iter().map(|text| (*text).to_owned()).collect();
        let until = until.map(str::to_owned);
        Terms::read(Written { windows, zone: Some(zone.into()), limit_s: None, until }).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_window_holds_on_its_days_and_hours() {
        // 2026-11-20 is a Friday; Berlin is one hour ahead of UTC in winter
        let week = terms(&["Mon-Fri 08:00-18:00"], "Europe/Berlin", None);
        for (time, holds) in [
            ("2026-11-20T06:59:59Z", false),
            ("2026-11-20T07:00:00Z", true),
            ("2026-11-20T16:59:59Z", true),
            ("2026-11-20T17:00:00Z", false),
            ("2026-11-21T09:00:00Z", false),
        ] {
            assert_eq!(week.hold(at(time)), holds, "{time}");
        }
        assert_eq!(week.next(at("2026-11-20T06:00:00Z")), Some(at("2026-11-20T07:00:00Z")));
        assert_eq!(week.next(at("2026-11-20T07:00:00Z")), Some(at("2026-11-20T17:00:00Z")));
        assert_eq!(week.next(at("2026-11-20T17:00:00Z")), Some(at("2026-11-23T07:00:00Z")));
    }

    #[test]
    fn a_night_belongs_to_the_day_on_which_it_begins() {
        let night = terms(&["Fri 22:00-06:00"], "UTC", None);
        for (time, holds) in [
            ("2026-11-20T05:00:00Z", false),
            ("2026-11-20T22:00:00Z", true),
            ("2026-11-21T05:59:59Z", true),
            ("2026-11-21T06:00:00Z", false),
            ("2026-11-21T23:00:00Z", false),
        ] {
            assert_eq!(night.hold(at(time)), holds, "{time}");
        }
    }

    #[test]
    fn the_clock_s_own_jumps_are_followed() {
        // Berlin, 2027-03-28: 02:00 becomes 03:00 at 01:00 UTC
        let early = terms(&["Sun 02:30-04:00"], "Europe/Berlin", None);
        assert!(!early.hold(at("2027-03-28T01:29:59Z")));
        assert!(early.hold(at("2027-03-28T01:30:00Z")));
        assert!(!early.hold(at("2027-03-28T02:00:00Z")));
    }

    #[test]
    fn an_end_is_an_end() {
        let whole = terms(&["00:00-24:00"], "UTC", Some("2026-12-01T00:00:00Z"));
        assert!(whole.hold(at("2026-11-30T23:59:59Z")));
        assert!(!whole.hold(at("2026-12-01T00:00:00Z")));
        assert!(!whole.hold(at("2027-12-01T00:00:00Z")));
        let never = terms(&[], "UTC", None);
        assert_eq!(
            (never.hold(Timestamp::MIN), never.next(at("2026-12-01T00:00:00Z"))),
            (true, None)
        );
    }

    #[test]
    fn what_is_not_understood_is_no_term() {
        let read = |windows: &[&str], zone: Option<&str>, limit_s, until: Option<&str>| {
            let windows = windows.iter().map(|text| (*text).to_owned()).collect();
            let (zone, until) = (zone.map(str::to_owned), until.map(str::to_owned));
            Terms::read(Written { windows, zone, limit_s, until })
        };
        for wrong in [
            "",
            "Mon",
            "8-18",
            "08:00-25:00",
            "Mo 08:00-18:00",
            "Mon 08:00",
            "Mon 09:00-09:00",
            "é",
        ] {
            assert!(read(&[wrong], None, None, None).is_err(), "{wrong}");
        }
        assert!(read(&[], Some("Middle/Earth"), None, None).is_err());
        assert!(read(&[], None, Some(0), None).is_err());
        assert!(read(&[], None, None, Some("tomorrow")).is_err());
        assert!(read(&["08:00-18:00"; WINDOWS_MAX + 1], None, None, None).is_err());
        assert!(serde_json::from_str::<Written>(r#"{"window": []}"#).is_err());
        assert!(serde_json::from_str::<Written>("{}").is_ok());
    }

    proptest! {
        /// Nothing changes between now and the next edge: the timer may sleep until then.
        #[test]
        fn nothing_changes_before_the_next_edge(
            seconds in 1_700_000_000i64..1_900_000_000,
            share in 0.0..1.0f64,
            window in "(Mon|Fri-Sun|Sun,Wed) (0[0-9]|1[0-9]):30-(0[0-9]|2[0-3]):00",
        ) {
            let terms = terms(&[&window], "Europe/Berlin", None);
            let now = Timestamp::from_second(seconds).unwrap();
            let next = terms.next(now).unwrap();
            let between = ((next.as_second() - seconds) as f64 * share) as i64;
            let then = Timestamp::from_second(seconds + between).unwrap();
            prop_assert_eq!(terms.hold(now), terms.hold(then));
        }

        #[test]
        fn any_text_is_a_window_or_none(text in "[MonFriSun ,:0-9-]{0,24}") {
            let _ = text.parse::<Window>();
        }
    }
}
