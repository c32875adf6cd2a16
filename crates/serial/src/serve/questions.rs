//! What a peer's answer says of when it lived.
//!
//! An answer is not worth the time at which it is heard: it may have waited in a socket while this
//! computer was busy, and who sent it may be dead since. It is worth the time at which its question
//! was asked, and as much more as a way there and back takes at least.

use std::collections::VecDeque;
use std::time::{Duration, Instant};
use wire::serial::Beat;

#[derive(Debug, Default)]
pub(super) struct Questions {
    number: u32,
    /// When the last were asked.
    asked: VecDeque<(u32, Instant)>,
    /// How long the last answers took.
    trips: VecDeque<Duration>,
}

impl Questions {
    pub(super) fn ask(&mut self, now: Instant) -> Beat {
        self.number = self.number.wrapping_add(1);
        if self.asked.len() == ASKED_MAX {
            self.asked.pop_front();
        }
        self.asked.push_back((self.number, now));
        Beat { number: self.number }
    }

    /// When the peer lived, as far as this answer shows. `None` for one that was never asked for,
    /// or too long ago.
    pub(super) fn answered(&mut self, beat: Beat, now: Instant) -> Option<Instant> {
        let (_, asked) = *self.asked.iter().find(|(number, _)| *number == beat.number)?;
        if self.trips.len() == TRIPS_MAX {
            self.trips.pop_front();
        }
        self.trips.push_back(now.saturating_duration_since(asked));
        Some(asked + *self.trips.iter().min()?)
    }
}

/// Beats that may be on their way at once.
const ASKED_MAX: usize = 5;
/// Of the last three seconds: the way may have become another.
const TRIPS_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn an_answer_that_was_kept_waiting_says_nothing_of_now() {
        let (mut questions, began) = (Questions::default(), Instant::now());
        let first = questions.ask(began);
        assert_eq!(questions.answered(first, began + ms(20)), Some(began + ms(20)));
        let second = questions.ask(began + ms(100));
        assert_eq!(questions.answered(second, began + ms(480)), Some(began + ms(120)));
    }

    #[test]
    fn a_way_that_has_become_longer_is_known_after_a_while() {
        let (mut questions, mut now) = (Questions::default(), Instant::now());
        for trip in [ms(5)].into_iter().chain([ms(150); TRIPS_MAX]) {
            now += ms(100);
            let beat = questions.ask(now);
            questions.answered(beat, now + trip);
        }
        let beat = questions.ask(now);
        assert_eq!(questions.answered(beat, now + ms(160)), Some(now + ms(150)));
    }

    #[test]
    fn what_was_never_asked_is_no_sign_of_life() {
        let (mut questions, now) = (Questions::default(), Instant::now());
        assert_eq!(questions.answered(Beat { number: 1 }, now), None);
        let old = questions.ask(now);
        for _ in 0..ASKED_MAX {
            questions.ask(now);
        }
        assert_eq!(questions.answered(old, now), None);
    }
}
