//! The engine, with every interleaving of small races and with many drawn ones; then its driver.

mod driver;
mod explore;
mod rules;

use super::{Candidate, Kind, Pace};
use std::time::Duration;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn candidate<T>(kind: Kind, weight: u32, targets: Vec<T>) -> Candidate<T> {
    Candidate { kind, weight, last_good: false, targets }
}

const PACE: Pace = Pace {
    stagger: ms(250),
    timeout: ms(1000),
    timeout_max: ms(4000),
    deadline: ms(10_000),
    tries_max: 3,
    at_once_max: 4,
};
