//! How fast a race goes: delays, timeouts, limits.

use std::time::Duration;

/// A round trip time as it was measured: smoothed, and how much it varies (RFC 6298 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rtt {
    pub smoothed: Duration,
    pub variation: Duration,
}

impl Rtt {
    /// After the first measurement.
    #[must_use]
    pub fn first(measured: Duration) -> Self {
        Self { smoothed: measured, variation: measured / 2 }
    }

    /// When an answer is overdue.
    #[must_use]
    pub fn overdue(self) -> Duration {
        self.smoothed + self.variation * 4
    }
}

/// Delays, timeouts and limits of one race.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Between the start of one candidate and that of the next.
    pub stagger: Duration,
    /// Of the first try of a target; it doubles each time that the list has been gone through.
    pub timeout: Duration,
    pub timeout_max: Duration,
    /// Of the whole race.
    pub deadline: Duration,
    /// Tries of one candidate, or as many as it has targets.
    pub tries_max: u32,
    /// Tries under way at the same time.
    pub at_once_max: usize,
}

/// RFC 8305 §8: what is recommended where nothing was measured, and the bounds.
const STAGGER: Duration = Duration::from_millis(250);
const STAGGER_BOUNDS: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(2));
/// A handshake takes two round trips, or three where the address must be proven; twice that
/// leaves room for one lost packet.
const TRIPS: u32 = 6;
/// A QUIC client repeats its first packet after one second (RFC 9002 §6.2.2): less would be a
/// try without a repetition, and more makes who waits for a cable wait longer.
const TIMEOUT_BOUNDS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(3));

impl Pace {
    /// As the round trip time suggests.
    #[must_use]
    pub fn of(rtt: Option<Rtt>) -> Self {
        let overdue = rtt.map(Rtt::overdue);
        let stagger = overdue.unwrap_or(STAGGER).clamp(STAGGER_BOUNDS.0, STAGGER_BOUNDS.1);
        let timeout = overdue.map_or(TIMEOUT_BOUNDS.1, |overdue| overdue * TRIPS);
        Self {
            stagger,
            timeout: timeout.clamp(TIMEOUT_BOUNDS.0, TIMEOUT_BOUNDS.1),
            timeout_max: Duration::from_secs(10),
            deadline: Duration::from_secs(10),
            tries_max: 3,
            at_once_max: 4,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_measured_round_trip_sets_the_pace_within_its_bounds() {
        let unknown = Pace::of(None);
        assert_eq!((unknown.stagger, unknown.timeout), (ms(250), ms(3000)));
        let lan = Pace::of(Some(Rtt::first(Duration::from_micros(300))));
        assert_eq!((lan.stagger, lan.timeout), (ms(10), ms(1000)));
        let mobile = Pace::of(Some(Rtt::first(ms(100))));
        assert_eq!((mobile.stagger, mobile.timeout), (ms(300), ms(1800)));
        let orbit = Pace::of(Some(Rtt::first(ms(900))));
        assert_eq!((orbit.stagger, orbit.timeout), (ms(2000), ms(3000)));
    }
}
