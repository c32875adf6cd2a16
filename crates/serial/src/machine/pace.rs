//! How much the kernel may hold: never more than leaves in a moment, for what is urgent to overtake
//! everything else.
//!
//! 64 bytes are 5.5 ms at 115200, and enough: the thread that refills them wakes within a
//! millisecond. At 1 Mbaud and above they would leave in less than that, so that as much is allowed
//! as leaves in 2 ms. STOP does not wait for either: it discards what has not left.
//!
//! A pty always says that it holds nothing, whatever its other end has not read. Where a machine is
//! behind one (a simulated one), what is unsent is reckoned from the baud rate instead. Of a raw
//! pty nothing is reckoned: it is a pipe, as fast as its reader.

use std::time::{Duration, Instant};
use wire::serial::LineCoding;

#[derive(Debug)]
pub(super) struct Pace {
    byte_time: Duration,
    /// When everything written has left, by the baud rate.
    busy_until: Instant,
    /// What is behind it takes what it can.
    is_pipe: bool,
}

impl Pace {
    pub(super) fn new(coding: &LineCoding, now: Instant) -> Self {
        Self { byte_time: coding.byte_time(), busy_until: now, is_pipe: false }
    }

    /// A pipe: nothing is to be reckoned, and whoever reads it says when it is full.
    pub(super) fn pipe(coding: &LineCoding, now: Instant) -> Self {
        Self { is_pipe: true, ..Self::new(coding, now) }
    }

    pub(super) fn set(&mut self, coding: &LineCoding) {
        self.byte_time = coding.byte_time();
    }

    pub(super) fn wrote(&mut self, bytes: usize, now: Instant) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.busy_until = self.busy_until.max(now) + self.byte_time * bytes;
    }

    pub(super) fn flushed(&mut self, now: Instant) {
        self.busy_until = now;
    }

    /// What is unsent, `told` by the port or reckoned.
    pub(super) fn unsent(&self, told: Option<usize>, now: Instant) -> usize {
        match told {
            Some(bytes) => bytes,
            None if self.is_pipe => 0,
            None => {
                let left = self.busy_until.saturating_duration_since(now).as_nanos();
                let bytes = left.div_ceil(self.byte_time.as_nanos().max(1));
                usize::try_from(bytes).unwrap_or(usize::MAX)
            }
        }
    }

    /// Whether everything must have left by now: some adapters never say that they are empty, such
    /// as QEMU's FTDI.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        now >= self.busy_until + PATIENCE
    }

    /// How many of `wanted` bytes may be written now. Not a few at a time: each write is a transfer
    /// on USB.
    pub(super) fn room(&self, unsent: usize, wanted: usize) -> usize {
        if self.is_pipe {
            return wanted.min(PIPE_BYTES);
        }
        let room = self.window().saturating_sub(unsent).min(wanted);
        if room < wanted && room < self.window() / 2 { 0 } else { room }
    }

    /// When to look again, where there was no room.
    pub(super) fn wait(&self, unsent: usize) -> Duration {
        let half = self.window() / 2;
        // drivers count whole transfers, and these end early
        let bytes = unsent.saturating_sub(half).clamp(1, half);
        (self.byte_time * u32::try_from(bytes).unwrap_or(1)).max(SHORTEST)
    }

    fn window(&self) -> usize {
        let moment = MOMENT.as_nanos() / self.byte_time.as_nanos().max(1);
        usize::try_from(moment).unwrap_or(usize::MAX).max(UNSENT_BYTES)
    }
}

/// What the kernel may hold of a slow port.
const UNSENT_BYTES: usize = 64;
/// What it may hold of a fast one.
const MOMENT: Duration = Duration::from_millis(2);
/// What a chip may hold beyond what its driver tells: less than the time of what we let it have.
const PATIENCE: Duration = Duration::from_millis(50);
/// What is written to a pipe at once.
const PIPE_BYTES: usize = 4096;
/// Timers are not better than that, and a thread that wakes more often does nothing else.
const SHORTEST: Duration = Duration::from_micros(100);

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(baud_rate: u32) -> (Pace, Instant) {
        let now = Instant::now();
        (Pace::new(&LineCoding { baud_rate, ..LineCoding::default() }, now), now)
    }

    #[test]
    fn a_slow_port_holds_64_bytes() {
        let (pace, _) = pace(115_200);
        assert_eq!(pace.room(0, 1000), 64);
        assert_eq!(pace.room(30, 1000), 34);
        assert_eq!(pace.room(40, 1000), 0);
        assert_eq!(pace.room(40, 10), 10);
        assert_eq!(pace.room(1280, 1000), 0);
    }

    #[test]
    fn a_fast_port_holds_what_leaves_in_2_ms() {
        assert_eq!(pace(2_000_000).0.room(0, 1000), 400);
        assert_eq!(pace(12_000_000).0.room(0, 10_000), 2400);
    }

    #[test]
    fn what_a_port_does_not_tell_is_reckoned() {
        let (mut pace, now) = pace(10_000);
        pace.wrote(64, now);
        assert_eq!(pace.unsent(None, now), 64);
        assert_eq!(pace.unsent(None, now + Duration::from_millis(60)), 4);
        assert_eq!(pace.unsent(None, now + Duration::from_millis(70)), 0);
        assert_eq!(pace.unsent(Some(3), now), 3);
        pace.flushed(now);
        assert_eq!(pace.unsent(None, now), 0);
    }

    #[test]
    fn it_looks_again_when_half_of_it_has_left_and_never_all_the_time() {
        let (pace, _) = pace(115_200);
        assert_eq!(pace.wait(64).as_micros(), 2777);
        assert_eq!(pace.wait(1280).as_micros(), 2777);
        assert_eq!(pace.wait(1), SHORTEST);
    }
}
