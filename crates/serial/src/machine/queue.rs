//! What a program has sent and the port has not taken: bytes, and between them what is to happen
//! after the bytes before and before the bytes after.

use bytes::{Buf, Bytes};
use std::collections::VecDeque;
use wire::serial::Up;

#[derive(Debug, Default)]
pub(super) struct Queue {
    items: VecDeque<Item>,
    bytes: usize,
    /// What overtakes everything else.
    urgent: VecDeque<u8>,
}

#[derive(Debug)]
enum Item {
    Bytes(Bytes),
    Do(Up),
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next<'a> {
    Urgent(u8),
    Bytes(&'a Bytes),
    /// To be done when everything before it has left.
    Do(Up),
    Nothing,
}

impl Queue {
    /// Whether more is to be taken in; if not, who sends waits.
    pub(super) fn has_room(&self) -> bool {
        self.bytes < BYTES_MAX && self.items.len() < ITEMS_MAX
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn push(&mut self, bytes: Bytes) {
        if bytes.is_empty() {
            return;
        }
        self.bytes += bytes.len();
        self.items.push_back(Item::Bytes(bytes));
    }

    pub(super) fn push_urgent(&mut self, byte: u8) {
        // nothing gains from more of them: a machine takes each as a flag
        if self.urgent.len() < URGENT_MAX {
            self.urgent.push_back(byte);
        }
    }

    pub(super) fn push_do(&mut self, up: Up) {
        self.items.push_back(Item::Do(up));
    }

    /// `first`: so many bytes of a line are to go before what overtakes.
    pub(super) fn next(&self, first: usize) -> Next<'_> {
        if let Some(byte) = self.urgent.front().filter(|_| first == 0) {
            return Next::Urgent(*byte);
        }
        match self.items.front() {
            Some(Item::Bytes(bytes)) => Next::Bytes(bytes),
            Some(Item::Do(up)) => Next::Do(*up),
            None => Next::Nothing,
        }
    }

    pub(super) fn is_urgent(&self) -> bool {
        !self.urgent.is_empty()
    }

    pub(super) fn took_urgent(&mut self) {
        self.urgent.pop_front();
    }

    /// So many bytes of the first item are gone.
    pub(super) fn took(&mut self, count: usize) {
        let Some(Item::Bytes(bytes)) = self.items.front_mut() else { return };
        bytes.advance(count);
        self.bytes -= count;
        if bytes.is_empty() {
            self.items.pop_front();
        }
    }

    pub(super) fn did(&mut self) {
        if matches!(self.items.front(), Some(Item::Do(_))) {
            self.items.pop_front();
        }
    }

    /// How many bytes there are up to the end of the first line, with it; `None` while it is not
    /// here, or something is to be done before it ends.
    pub(super) fn line_bytes(&self) -> Option<usize> {
        let mut length = 0;
        for item in &self.items {
            let Item::Bytes(bytes) = item else { return None };
            if let Some(at) = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
                return Some(length + at + 1);
            }
            length += bytes.len();
        }
        None
    }

    /// Takes the bytes up to the end of the first line, or up to what is to be done before it ends.
    /// `None` while neither is here.
    pub(super) fn take_line(&mut self) -> Option<Line> {
        let mut length = 0;
        let mut end = None;
        for item in &self.items {
            let Item::Bytes(bytes) = item else {
                end = (length > 0).then_some((length, false));
                break;
            };
            if let Some(at) = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
                end = Some((length + at + 1, true));
                break;
            }
            length += bytes.len();
        }
        if end.is_none() && length >= LINE_BYTES_MAX {
            end = Some((length, false));
        }
        let (length, is_whole) = end?;
        let mut line = Vec::with_capacity(length);
        while line.len() < length {
            let Some(Item::Bytes(bytes)) = self.items.front() else { break };
            let count = bytes.len().min(length - line.len());
            line.extend_from_slice(&bytes[..count]);
            self.took(count);
        }
        Some(Line { bytes: line, is_whole })
    }

    /// Drops the bytes; what is to be done stays.
    pub(super) fn purge(&mut self) {
        self.urgent.clear();
        self.forget();
    }

    /// Drops the bytes, but for the urgent ones.
    pub(super) fn forget(&mut self) {
        self.items.retain(|item| matches!(item, Item::Do(_)));
        self.bytes = 0;
    }

    /// Drops everything, but for who has the port open.
    pub(super) fn clear(&mut self) {
        self.purge();
        self.items.retain(|item| matches!(item, Item::Do(Up::Program { .. } | Up::Stopped { .. })));
    }
}

/// A line out of the queue, with its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) bytes: Vec<u8>,
    /// Not when it is cut: too long, or with something to be done in the middle of it.
    pub(super) is_whole: bool,
}

/// As much as a program may be ahead of the port: 5.7 s at 115200. Beyond that it waits, as it
/// would for a port of its own computer.
const BYTES_MAX: usize = 64 * 1024;
/// A program that changes lines or codings faster than the port does waits too.
const ITEMS_MAX: usize = 1024;
const URGENT_MAX: usize = 256;
/// Longer lines are judged as they are: no firmware takes half of that.
const LINE_BYTES_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn line(bytes: &[u8], is_whole: bool) -> Option<Line> {
        Some(Line { bytes: bytes.to_vec(), is_whole })
    }

    #[test]
    fn order_is_kept_and_urgent_bytes_overtake() {
        let mut queue = Queue::default();
        queue.push(Bytes::from_static(b"ab"));
        queue.push_do(Up::Break { on: true });
        queue.push(Bytes::from_static(b"c"));
        queue.push_urgent(b'!');
        assert_eq!(queue.next(0), Next::Urgent(b'!'));
        queue.took_urgent();
        queue.took(1);
        assert_eq!(queue.next(0), Next::Bytes(&Bytes::from_static(b"b")));
        queue.took(1);
        assert_eq!(queue.next(0), Next::Do(Up::Break { on: true }));
        queue.did();
        assert_eq!((queue.next(0), queue.bytes()), (Next::Bytes(&Bytes::from_static(b"c")), 1));
        queue.took(1);
        assert_eq!((queue.next(0), queue.bytes()), (Next::Nothing, 0));
    }

    #[test]
    fn lines_come_whole_at_any_chunking() {
        let mut queue = Queue::default();
        queue.push(Bytes::from_static(b"G1 "));
        assert_eq!(queue.take_line(), None);
        queue.push(Bytes::from_static(b"X1\nG"));
        assert_eq!(queue.take_line(), line(b"G1 X1\n", true));
        assert_eq!(queue.take_line(), None);
        queue.push(Bytes::from_static(b"2\r\n"));
        assert_eq!(queue.take_line(), line(b"G2\r", true));
        assert_eq!(queue.take_line(), line(b"\n", true));
        assert_eq!(queue.take_line(), None);
    }

    #[test]
    fn a_line_is_cut_by_what_happens_in_it_and_by_its_length() {
        let mut queue = Queue::default();
        queue.push(Bytes::from_static(b"G1"));
        queue.push_do(Up::Break { on: false });
        queue.push(Bytes::from(vec![b'x'; LINE_BYTES_MAX]));
        assert_eq!(queue.take_line(), line(b"G1", false));
        assert_eq!(queue.take_line(), None);
        queue.did();
        assert_eq!(queue.take_line().unwrap().bytes.len(), LINE_BYTES_MAX);
        assert_eq!(queue.bytes(), 0);
    }

    #[test]
    fn a_full_queue_says_so_and_a_purge_empties_it() {
        let mut queue = Queue::default();
        queue.push(Bytes::from(vec![0; BYTES_MAX]));
        assert!(!queue.has_room());
        queue.push_do(Up::Program { open: false });
        queue.push_do(Up::Break { on: false });
        queue.purge();
        assert!(queue.has_room());
        assert_eq!(queue.next(0), Next::Do(Up::Program { open: false }));
        queue.clear();
        queue.did();
        assert_eq!(queue.next(0), Next::Nothing);
    }
}
