//! Heaters: temperature goes straight to its target, at so many degrees a second.

use std::time::Duration;

pub(super) const ROOM: f64 = 20.0;

#[derive(Clone, Copy, Debug)]
pub(super) struct Heater {
    since: Duration,
    from: f64,
    pub target: f64,
    /// Degrees a second, up and down.
    up: f64,
    down: f64,
}

impl Heater {
    pub(super) fn new(up: f64, down: f64) -> Self {
        Self { since: Duration::ZERO, from: ROOM, target: 0.0, up, down }
    }

    pub(super) fn set(&mut self, target: f64, now: Duration) {
        (self.from, self.since, self.target) = (self.at(now), now, target.clamp(0.0, 300.0));
    }

    pub(super) fn at(&self, now: Duration) -> f64 {
        let seconds = now.saturating_sub(self.since).as_secs_f64();
        let goal = self.target.max(ROOM);
        if goal > self.from {
            (self.from + self.up * seconds).min(goal)
        } else {
            (self.from - self.down * seconds).max(goal)
        }
    }

    /// When the target is reached. One below the room's temperature counts as that.
    pub(super) fn reached_at(&self) -> Duration {
        let way = self.target.max(ROOM) - self.from;
        let rate = if way > 0.0 { self.up } else { self.down };
        self.since + Duration::from_secs_f64(way.abs() / rate)
    }

    /// What `@:` tells: 127 is all power.
    pub(super) fn power(&self, now: Duration) -> u8 {
        match self.target {
            target if target <= ROOM => 0,
            target if self.at(now) < target => 127,
            _ => 30,
        }
    }
}
