//! What one side of a line has sent and received, without I/O.
//!
//! Bytes that were sent are kept until the other side says that it has them. Then a new stream can
//! begin where the old one was cut: with what is kept beyond what the other side has.
//!
//! On a stream, each direction is a sequence of records:
//!
//! ```text
//! u32 LE, highest bit 0: so many bytes of data follow (1 to 256 KiB)
//! u32 LE, highest bit 1: the rest is how many bytes have come the other way since the last such
//! ```

use bytes::{BufMut, Bytes, BytesMut};
use std::collections::VecDeque;

/// Before each record.
pub(super) const PREFIX_BYTES: usize = 4;
/// Data in one record.
pub(super) const RECORD_BYTES_MAX: usize = 256 * 1024;
/// Bytes kept for a peer that does not say that it has them; then the sender waits. As much as a
/// path of 50 ms carries at 80 MB/s.
pub(super) const KEPT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// So many bytes are received before the sender is told: few messages for much data, and none at
/// all for a keyboard.
pub(super) const TELL_BYTES: u64 = 256 * 1024;

const TELLS: u32 = 1 << 31;

/// How the other side broke the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    #[error("a record of {0} bytes")]
    Record(u32),
    #[error("it has received {0} bytes, it says, of {1}")]
    Received(u64, u64),
    #[error("it lost what it has said to have")]
    Forgot,
}

#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// Records with their prefixes, the oldest first.
    kept: VecDeque<Bytes>,
    kept_bytes: usize,
    /// Where in the data the first of them begins.
    base: u64,
    /// Up to here the other side has it.
    acked: u64,
    /// Up to here it was written to the present stream.
    written: u64,
    /// The same of the stream where it came farthest.
    written_max: u64,
    /// The record that is being written, and how much of it has been.
    next: (usize, usize),
    /// A telling that is being written, and how much of it has been.
    telling: Option<([u8; PREFIX_BYTES], usize)>,
    received: u64,
    /// What the other side knows of it.
    told: u64,
    /// Data of the present record that is still to come.
    to_come: u32,
    prefix: ([u8; PREFIX_BYTES], usize),
}

impl Ledger {
    /// How much can be taken in now.
    pub(super) fn room(&self) -> usize {
        (KEPT_BYTES_MAX - self.kept_bytes).min(RECORD_BYTES_MAX)
    }

    /// Takes in data to be sent, no more than there is room for.
    pub(super) fn send(&mut self, data: &[u8]) {
        debug_assert!(!data.is_empty() && data.len() <= self.room());
        self.kept.push_back(record(data));
        self.kept_bytes += data.len();
    }

    /// What is to be written to the stream next.
    pub(super) fn due(&mut self) -> Option<&[u8]> {
        let within_record = self.next.1 > 0;
        let untold = self.received - self.told;
        if self.telling.is_none() && !within_record && untold >= TELL_BYTES {
            let bytes = untold.min(u64::from(TELLS - 1));
            self.told += bytes;
            self.telling = Some(((TELLS | bytes as u32).to_le_bytes(), 0));
        }
        match &self.telling {
            Some((telling, at)) if !within_record => Some(&telling[*at..]),
            Some(_) | None => self.kept.get(self.next.0).map(|record| &record[self.next.1..]),
        }
    }

    /// So much of [`Ledger::due`] was written.
    pub(super) fn wrote(&mut self, bytes: usize) {
        if let Some((_, at)) = self.telling.as_mut().filter(|_| self.next.1 == 0) {
            *at += bytes;
            if *at == PREFIX_BYTES {
                self.telling = None;
            }
            return;
        }
        let before = self.next.1.max(PREFIX_BYTES);
        self.next.1 += bytes;
        self.written += self.next.1.saturating_sub(before) as u64;
        self.written_max = self.written_max.max(self.written);
        if self.next.1 == self.kept[self.next.0].len() {
            self.next = (self.next.0 + 1, 0);
        }
    }

    /// Data of the present record that is still to come; 0 when a prefix is due.
    pub(super) fn to_come(&self) -> usize {
        self.to_come as usize
    }

    /// So much data has come.
    pub(super) fn received_data(&mut self, bytes: usize) {
        self.to_come -= bytes as u32;
        self.received += bytes as u64;
    }

    /// Bytes of a prefix that are still to come.
    pub(super) fn prefix_to_come(&self) -> usize {
        PREFIX_BYTES - self.prefix.1
    }

    /// Whether the stream may end here: between two records.
    pub(super) fn between_records(&self) -> bool {
        self.to_come == 0 && self.prefix.1 == 0
    }

    /// Bytes of a prefix have come. Says whether they told that there is more room now.
    pub(super) fn received_prefix(&mut self, bytes: &[u8]) -> Result<bool, Violation> {
        let (prefix, at) = &mut self.prefix;
        prefix[*at..*at + bytes.len()].copy_from_slice(bytes);
        *at += bytes.len();
        if *at < PREFIX_BYTES {
            return Ok(false);
        }
        *at = 0;
        let number = u32::from_le_bytes(*prefix);
        if number & TELLS != 0 {
            self.has(self.acked + u64::from(number & !TELLS), self.written)?;
            return Ok(true);
        }
        if number == 0 || number as usize > RECORD_BYTES_MAX {
            return Err(Violation::Record(number));
        }
        self.to_come = number;
        Ok(false)
    }

    /// What has been received: for the other side, when it is to begin again.
    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// Begins again on a new stream, after what the other side has.
    pub(super) fn resume(&mut self, their_received: u64) -> Result<(), Violation> {
        if their_received < self.acked {
            return Err(Violation::Forgot);
        }
        self.has(their_received, self.written_max)?;
        let skip = (self.acked - self.base) as usize;
        if skip > 0 {
            let cut = &mut self.kept[0];
            *cut = record(&cut[PREFIX_BYTES + skip..]);
            self.kept_bytes -= skip;
            self.base = self.acked;
        }
        (self.next, self.written) = ((0, 0), self.acked);
        (self.telling, self.told) = (None, self.received);
        (self.to_come, self.prefix.1) = (0, 0);
        Ok(())
    }

    /// The other side has the data up to here; what was written up to `written` it can have.
    fn has(&mut self, received: u64, written: u64) -> Result<(), Violation> {
        if received > written {
            return Err(Violation::Received(received, written));
        }
        self.acked = received;
        while let Some(first) = self.kept.front() {
            let data = first.len() - PREFIX_BYTES;
            if self.base + data as u64 > received {
                break;
            }
            self.kept.pop_front();
            self.kept_bytes -= data;
            self.base += data as u64;
            self.next.0 = self.next.0.saturating_sub(1);
        }
        Ok(())
    }
}

fn record(data: &[u8]) -> Bytes {
    let mut record = BytesMut::with_capacity(PREFIX_BYTES + data.len());
    record.put_u32_le(data.len() as u32);
    record.put_slice(data);
    record.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;
    use proptest::prelude::*;

    /// Both directions of a line between two ledgers, which can be cut at any byte.
    #[derive(Default)]
    struct Pipe {
        ends: [Ledger; 2],
        /// What is under way to each end.
        wires: [VecDeque<u8>; 2],
        sent: [Vec<u8>; 2],
        came: [Vec<u8>; 2],
    }

    impl Pipe {
        fn send(&mut self, from: usize, bytes: usize) {
            let bytes = bytes.min(self.ends[from].room());
            let begin = self.sent[from].len();
            let data: Vec<u8> = (begin..begin + bytes).map(|at| (at % 251) as u8).collect();
            if !data.is_empty() {
                self.ends[from].send(&data);
                self.sent[from].extend(data);
            }
        }

        fn write(&mut self, from: usize, bytes: usize) {
            let Some(next) = self.ends[from].due() else { return };
            let bytes = bytes.min(next.len());
            let next = next[..bytes].to_vec();
            self.ends[from].wrote(bytes);
            self.wires[1 - from].extend(next);
        }

        fn read(&mut self, at: usize, bytes: usize) {
            let mut bytes = bytes;
            while bytes > 0 && !self.wires[at].is_empty() {
                let end = &mut self.ends[at];
                let wanted = if end.to_come() > 0 { end.to_come() } else { end.prefix_to_come() };
                let part = wanted.min(bytes).min(self.wires[at].len());
                let part: Vec<u8> = self.wires[at].drain(..part).collect();
                bytes -= part.len();
                if end.to_come() > 0 {
                    end.received_data(part.len());
                    self.came[at].extend(part);
                } else {
                    end.received_prefix(&part).unwrap();
                }
            }
        }

        /// What is under way is lost; both begin again.
        fn cut(&mut self) {
            self.wires.iter_mut().for_each(VecDeque::clear);
            let received = [0, 1].map(|end: usize| self.ends[end].received());
            self.ends[0].resume(received[1]).unwrap();
            self.ends[1].resume(received[0]).unwrap();
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn nothing_is_lost_or_doubled_wherever_it_is_cut(
            steps in prop::collection::vec((0..8u8, 0..2usize, 1..300_000usize), 1..100)
        ) {
            let mut pipe = Pipe::default();
            for (what, end, bytes) in steps {
                match what {
                    0 => pipe.cut(),
                    1 | 2 => pipe.send(end, bytes),
                    3 | 4 => pipe.write(end, bytes),
                    5 => pipe.write(end, bytes % 7),
                    6 => pipe.read(end, bytes % 7),
                    _ => pipe.read(end, bytes),
                }
                prop_assert!(pipe.ends.iter().all(|end| end.kept_bytes <= KEPT_BYTES_MAX));
            }
            for _ in 0..1000 {
                for end in 0..2 {
                    pipe.write(end, usize::MAX);
                    pipe.read(end, usize::MAX);
                }
            }
            prop_assert!(pipe.came[0] == pipe.sent[1] && pipe.came[1] == pipe.sent[0]);
            prop_assert!(pipe.ends.iter().all(|end| end.kept_bytes < 2 * TELL_BYTES as usize));
        }
    }

    #[test]
    fn golden_bytes() {
        let mut ledger = Ledger::default();
        ledger.send(b"abc");
        assert_eq!(ledger.due(), Some(&hex!("03000000 616263")[..]));
        ledger.wrote(7);
        assert_eq!(ledger.due(), None);
        ledger.received = TELL_BYTES;
        assert_eq!(ledger.due(), Some(&hex!("00000480")[..]));
    }

    #[test]
    fn a_keyboard_is_told_nothing() {
        let mut ledger = Ledger::default();
        ledger.received_prefix(&hex!("08000000")).unwrap();
        ledger.received_data(8);
        assert_eq!(ledger.due(), None);
    }

    #[test]
    fn lies_are_found() {
        let mut ledger = Ledger::default();
        let record = |length: u32| length.to_le_bytes();
        assert_eq!(ledger.received_prefix(&record(0)), Err(Violation::Record(0)));
        assert_eq!(ledger.received_prefix(&record(262_145)), Err(Violation::Record(262_145)));
        assert_eq!(ledger.received_prefix(&hex!("01000080")), Err(Violation::Received(1, 0)));
        assert_eq!(ledger.resume(1), Err(Violation::Received(1, 0)));
        ledger.send(b"abc");
        ledger.due();
        ledger.wrote(7);
        assert_eq!(ledger.received_prefix(&hex!("03000080")), Ok(true));
        assert_eq!(ledger.resume(2), Err(Violation::Forgot));
        assert_eq!(ledger.resume(3), Ok(()));
    }
}
