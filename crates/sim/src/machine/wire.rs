//! The cable between a board and its port: bytes take their time on it, and it can be bad.
//!
//! No clock and no I/O: times are those of the board.

use std::collections::VecDeque;
use std::time::Duration;

/// Bytes that wait on the way from the board; what is too much is lost, as in a USB adapter that
/// nobody reads from.
const OUT_BYTES_MAX: usize = 64 * 1024;

/// What is wrong with a machine's connection.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Faults {
    /// So many of the next `ok` lines do not come through.
    pub lose_oks: u32,
    /// Of a million bytes each way, so many have one bit turned.
    pub corrupt_per_million: u32,
    /// What the board says comes so much later.
    pub delay: Duration,
    /// Nothing of what the board says comes through.
    pub silent: bool,
}

#[derive(Debug)]
pub(super) struct Wire {
    byte_time: Duration,
    pub faults: Faults,
    random: u64,
    /// Since when bytes come in without a gap: the next is whole one byte time later.
    in_since: Option<Duration>,
    out: VecDeque<(Duration, u8)>,
    /// Until when the last byte keeps the line busy.
    out_until: Duration,
    /// The line that the board is saying, for as long as an `ok` is to be lost.
    line: Vec<u8>,
    /// Bytes lost because nobody reads.
    pub lost: u64,
}

impl Wire {
    pub(super) fn new(byte_time: Duration, seed: u64) -> Self {
        Self {
            byte_time,
            faults: Faults::default(),
            random: seed | 1,
            in_since: None,
            out: VecDeque::new(),
            out_until: Duration::ZERO,
            line: Vec::new(),
            lost: 0,
        }
    }

    /// How many bytes can have come in by `now`, if the program has written them.
    pub(super) fn incoming(&mut self, now: Duration) -> usize {
        let since = *self.in_since.get_or_insert(now);
        let bytes = now.saturating_sub(since).as_nanos() / self.byte_time.as_nanos().max(1);
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }

    /// These have come, when there was time for `of`: each byte and when it was whole.
    pub(super) fn receive(&mut self, bytes: &[u8], of: usize) -> Vec<(Duration, u8)> {
        let Some(since) = self.in_since else { return Vec::new() };
        let mut at = since;
        let mut come = Vec::with_capacity(bytes.len());
        for byte in bytes {
            at += self.byte_time;
            come.push((at, self.corrupt(*byte)));
        }
        self.in_since = (bytes.len() == of).then_some(at);
        come
    }

    /// Nothing waits to come in.
    pub(super) fn idle(&mut self) {
        self.in_since = None;
    }

    /// The board says something.
    pub(super) fn say(&mut self, bytes: &[u8], now: Duration) {
        if self.faults.silent {
            return;
        }
        for byte in bytes {
            if self.faults.lose_oks == 0 && self.line.is_empty() {
                self.put(*byte, now);
                continue;
            }
            self.line.push(*byte);
            if *byte == b'\n' {
                let line = std::mem::take(&mut self.line);
                if line.starts_with(b"ok") && self.faults.lose_oks > 0 {
                    self.faults.lose_oks -= 1;
                } else {
                    line.iter().for_each(|byte| self.put(*byte, now));
                }
            }
        }
    }

    /// Bytes that no board has said.
    pub(super) fn put_garbage(&mut self, bytes: &[u8], now: Duration) {
        bytes.iter().for_each(|byte| self.put(*byte, now));
    }

    fn put(&mut self, byte: u8, now: Duration) {
        if self.out.len() == OUT_BYTES_MAX {
            self.lost += 1;
            return;
        }
        let byte = self.corrupt(byte);
        self.out_until = self.out_until.max(now + self.faults.delay) + self.byte_time;
        self.out.push_back((self.out_until, byte));
    }

    /// What is whole at the other end by `now`.
    pub(super) fn outgoing(&self, now: Duration) -> Vec<u8> {
        self.out.iter().take_while(|(at, _)| *at <= now).map(|(_, byte)| *byte).collect()
    }

    /// So many of [`Wire::outgoing`] are gone.
    pub(super) fn sent(&mut self, bytes: usize) {
        self.out.drain(..bytes);
    }

    /// Nobody listens: what was on the way is gone.
    pub(super) fn clear(&mut self) {
        self.out.clear();
        self.in_since = None;
    }

    /// When there is something to do next.
    pub(super) fn next_event(&self) -> Option<Duration> {
        let out = self.out.front().map(|(at, _)| *at);
        let come = self.in_since.map(|since| since + self.byte_time);
        [out, come].into_iter().flatten().min()
    }

    fn corrupt(&mut self, byte: u8) -> u8 {
        if self.faults.corrupt_per_million == 0 {
            return byte;
        }
        // xorshift64: enough for faults, and the same on every run.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let hit = self.random % 1_000_000 < u64::from(self.faults.corrupt_per_million);
        if hit { byte ^ (1 << (self.random >> 61)) } else { byte }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTE: Duration = Duration::from_micros(100);

    #[test]
    fn bytes_take_their_time() {
        let mut wire = Wire::new(BYTE, 1);
        wire.say(b"ok\n", BYTE);
        assert_eq!(wire.outgoing(BYTE * 2), b"o");
        wire.sent(1);
        assert_eq!((wire.outgoing(BYTE * 9), wire.next_event()), (b"k\n".to_vec(), Some(BYTE * 3)));
        assert_eq!(wire.incoming(BYTE * 10), 0);
        assert_eq!(wire.incoming(BYTE * 13), 3);
        assert_eq!(wire.receive(b"?!", 3), [(BYTE * 11, b'?'), (BYTE * 12, b'!')]);
        assert_eq!(wire.incoming(BYTE * 20), 0, "there was a gap");
    }

    #[test]
    fn oks_are_lost_by_number() {
        let mut wire = Wire::new(BYTE, 1);
        wire.faults.lose_oks = 2;
        wire.say(b"ok\r\n<Idle>\r\nok", BYTE);
        wire.say(b"\r\nok\r\n", BYTE);
        assert_eq!(wire.outgoing(BYTE * 99), b"<Idle>\r\nok\r\n");
    }

    #[test]
    fn a_bad_cable_turns_bits() {
        let mut wire = Wire::new(BYTE, 7);
        wire.faults.corrupt_per_million = 100_000;
        wire.say(&[0; 10_000], BYTE);
        let bytes = wire.outgoing(BYTE * 20_000);
        let turned = bytes.iter().filter(|byte| byte.count_ones() == 1).count();
        assert!((800..1200).contains(&turned), "{turned}");
    }

    #[test]
    fn late_and_silent() {
        let mut wire = Wire::new(BYTE, 1);
        wire.faults.delay = BYTE * 50;
        wire.say(b"ok", BYTE);
        assert_eq!(wire.next_event(), Some(BYTE * 52));
        wire.faults.silent = true;
        wire.say(b"ok", BYTE);
        assert_eq!(wire.outgoing(BYTE * 99), b"ok");
    }
}
