//! What really happened to a simulated machine, whatever it said.

use std::collections::VecDeque;
use std::time::Duration;

/// Changes of the beam that are kept; older ones live on in [`Truth::beam_time`] alone.
pub const BEAM_CHANGES_MAX: usize = 1 << 20;

/// Arrivals of program bytes that are kept.
pub const ARRIVALS_MAX: usize = 1 << 16;

/// From `at` on, the beam has this power: in units of the `S` word, overrides included. 0 is off.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BeamChange {
    pub at: Duration,
    pub power: f64,
}

/// The record of one machine since it was made. Times are those of the machine.
#[derive(Clone, Debug, Default)]
pub struct Truth {
    beam: VecDeque<BeamChange>,
    beam_on: Duration,
    arrivals: VecDeque<(Duration, u64)>,
    arrived: u64,
    /// The most bytes that the receive buffer ever held.
    pub rx_peak: usize,
    /// Bytes that came while the receive buffer was full, and so are lost.
    pub rx_dropped: u64,
    /// Bytes that came while nobody listened: EEPROM writes, boot, reset.
    pub rx_unheard: u64,
    /// Lines that were carried out (answered with `ok`), and lines that were refused.
    pub lines: u64,
    pub lines_refused: u64,
    /// How often the board has started: power, DTR, a reset by command.
    pub boots: u32,
    /// In mm: where the machine is.
    pub position: [f64; 3],
}

impl Truth {
    pub(super) fn beam_is(&mut self, at: Duration, power: f64) {
        let last = self.beam.back().copied().unwrap_or(BeamChange { at, power: 0.0 });
        if (last.power - power).abs() < 1e-9 {
            return;
        }
        if last.power > 0.0 {
            self.beam_on += at.saturating_sub(last.at);
        }
        if self.beam.len() == BEAM_CHANGES_MAX {
            self.beam.pop_front();
        }
        self.beam.push_back(BeamChange { at, power });
    }

    /// Bytes that are no realtime bytes have reached the board.
    pub(super) fn arrived(&mut self, at: Duration, bytes: u64) {
        self.arrived += bytes;
        match self.arrivals.back_mut() {
            Some((last, sum)) if *last == at => *sum = self.arrived,
            Some(_) | None => self.arrivals.push_back((at, self.arrived)),
        }
        if self.arrivals.len() > ARRIVALS_MAX {
            self.arrivals.pop_front();
        }
    }

    pub(super) fn stored(&mut self, rx_len: usize) {
        self.rx_peak = self.rx_peak.max(rx_len);
    }

    /// Every change of the beam's power, oldest first.
    pub fn beam(&self) -> impl DoubleEndedIterator<Item = BeamChange> {
        self.beam.iter().copied()
    }

    /// The beam's power now.
    #[must_use]
    pub fn beam_power(&self) -> f64 {
        self.beam.back().map_or(0.0, |change| change.power)
    }

    /// For how long the beam has been on until `now`, all together.
    #[must_use]
    pub fn beam_time(&self, now: Duration) -> Duration {
        match self.beam.back() {
            Some(last) if last.power > 0.0 => self.beam_on + now.saturating_sub(last.at),
            Some(_) | None => self.beam_on,
        }
    }

    /// Whether the beam was on at any time from `since` on.
    #[must_use]
    pub fn beam_since(&self, since: Duration) -> bool {
        let before = self.beam.iter().rev().find(|change| change.at <= since);
        let mut after = self.beam.iter().rev().take_while(|change| change.at > since);
        before.is_some_and(|change| change.power > 0.0) || after.any(|change| change.power > 0.0)
    }

    /// Bytes of a program, which is all but realtime bytes.
    #[must_use]
    pub fn program_bytes(&self) -> u64 {
        self.arrived
    }

    /// Bytes of a program that came after `since`; at least that many when [`ARRIVALS_MAX`] is
    /// not far enough back.
    #[must_use]
    pub fn program_bytes_after(&self, since: Duration) -> u64 {
        let before = self.arrivals.iter().rev().find(|(at, _)| *at <= since);
        let sum = match (before, self.arrivals.len() == ARRIVALS_MAX) {
            (Some((_, sum)), _) => *sum,
            (None, true) => self.arrivals.front().map_or(0, |(_, sum)| *sum),
            (None, false) => 0,
        };
        self.arrived - sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn the_beam_is_summed_up() {
        let mut truth = Truth::default();
        truth.beam_is(ms(5), 0.0);
        truth.beam_is(ms(10), 500.0);
        truth.beam_is(ms(20), 700.0);
        assert_eq!(truth.beam_time(ms(25)), ms(15));
        truth.beam_is(ms(30), 0.0);
        assert_eq!((truth.beam().count(), truth.beam_power()), (3, 0.0));
        assert_eq!(truth.beam_time(ms(99)), ms(20));
        assert!(truth.beam_since(ms(25)) && !truth.beam_since(ms(30)));
    }

    #[test]
    fn bytes_are_counted_from_any_moment_on() {
        let mut truth = Truth::default();
        for at in 1..=10 {
            truth.arrived(ms(at), 2);
        }
        let after = [0, 4, 10].map(|at| truth.program_bytes_after(ms(at)));
        assert_eq!(after, [20, 12, 0]);
    }
}
