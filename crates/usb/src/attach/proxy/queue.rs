//! URBs that wait for room in the peer's window: in order for each endpoint, in turns between
//! endpoints.
//!
//! What does not fit keeps nobody else waiting. Part of the window is kept for endpoint 0, and part
//! for endpoints that use little of it, so that one with a long queue of idle reads doesn't silence
//! the device.

use std::collections::{BTreeMap, VecDeque};
use wire::frame::BODY_BYTES_MAX;
use wire::usb::Window;

/// A part of the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    pub urbs: u32,
    pub bytes: u64,
}

impl Share {
    fn plus(self, other: Self) -> Self {
        Self { urbs: self.urbs + other.urbs, bytes: self.bytes + other.bytes }
    }

    fn minus(self, other: Self) -> Self {
        Self { urbs: self.urbs - other.urbs, bytes: self.bytes - other.bytes }
    }

    fn within(self, limit: Self) -> bool {
        self.urbs <= limit.urbs && self.bytes <= limit.bytes
    }
}

#[derive(Debug)]
pub(super) struct Queues {
    window: Share,
    used: Share,
    used_by: BTreeMap<u8, Share>,
    held: BTreeMap<u8, VecDeque<Held>>,
    held_urbs: usize,
    held_data_bytes: usize,
    /// The endpoint whose turn was last.
    last: u8,
}

#[derive(Debug)]
struct Held {
    id: u32,
    share: Share,
    data_bytes: usize,
}

/// Kept for endpoint 0: some control transfers of the greatest length.
const CONTROL: Share = Share { urbs: 16, bytes: 2 * 65536 };

/// One part in so many is kept for endpoints that use no more than that.
const MODEST: u32 = 8;

/// What may wait here: more than usbfs lets all programs of a computer have under way by default
/// (`usbfs_memory_mb`, 16). The kernel's unlinks come on the same socket, so it is read on; what
/// is over the limit is answered with `-ENOMEM`.
const HELD_DATA_BYTES_MAX: usize = 64 * 1024 * 1024;
const HELD_URBS_MAX: usize = 16 * 1024;

impl Queues {
    pub(super) fn new(window: Window) -> Self {
        Self {
            window: Share { urbs: window.urbs, bytes: u64::from(window.bytes) },
            used: Share::default(),
            used_by: BTreeMap::new(),
            held: BTreeMap::new(),
            held_urbs: 0,
            held_data_bytes: 0,
            last: 0,
        }
    }

    pub(super) fn used(&self) -> Share {
        self.used
    }

    /// What all may have under way for an URB of `endpoint` to go, which then uses `by` itself.
    fn limit(&self, endpoint: u8, by: Share) -> Share {
        let Share { mut urbs, mut bytes } = self.window;
        if endpoint != 0 {
            urbs -= CONTROL.urbs.min(urbs / 2);
            bytes -= CONTROL.bytes.min(bytes / 2);
            let modest = Share { urbs: urbs / MODEST, bytes: bytes / u64::from(MODEST) };
            if by.urbs > modest.urbs || by.bytes > modest.bytes {
                urbs -= modest.urbs;
                bytes -= modest.bytes;
            }
        }
        Share { urbs, bytes }
    }

    fn fits(&self, endpoint: u8, share: Share) -> bool {
        let by = self.used_by.get(&endpoint).copied().unwrap_or_default().plus(share);
        let all = self.used.plus(share);
        all.within(self.limit(endpoint, by))
    }

    /// Queues an URB; `false` when it could never go, or too much waits already.
    pub(super) fn push(&mut self, endpoint: u8, id: u32, share: Share, data_bytes: usize) -> bool {
        let fits = share.within(self.limit(endpoint, share))
            && share.bytes <= BODY_BYTES_MAX as u64
            && self.held_urbs < HELD_URBS_MAX
            && self.held_data_bytes + data_bytes <= HELD_DATA_BYTES_MAX;
        if fits {
            self.held_urbs += 1;
            self.held_data_bytes += data_bytes;
            self.held.entry(endpoint).or_default().push_back(Held { id, share, data_bytes });
        }
        fits
    }

    /// Takes an URB out that was not sent.
    pub(super) fn forget(&mut self, endpoint: u8, id: u32, data_bytes: usize) {
        if let Some(queue) = self.held.get_mut(&endpoint) {
            queue.retain(|held| held.id != id);
            self.held_urbs -= 1;
            self.held_data_bytes -= data_bytes;
        }
    }

    /// The next URB that fits: endpoint, id and bytes of data. Its share is used from now on.
    pub(super) fn next(&mut self) -> Option<(u8, u32, usize)> {
        if self.held_urbs == 0 {
            return None;
        }
        let fits = |(endpoint, queue): (&u8, &VecDeque<Held>)| {
            queue.front().is_some_and(|held| self.fits(*endpoint, held.share)).then_some(*endpoint)
        };
        let after = self.last.saturating_add(1);
        let endpoint = self.held.range(..1).find_map(fits);
        let endpoint = endpoint.or_else(|| self.held.range(after..).find_map(fits));
        let endpoint = endpoint.or_else(|| self.held.range(..after).find_map(fits))?;
        let held = self.held.get_mut(&endpoint)?.pop_front()?;
        if endpoint != 0 {
            self.last = endpoint;
        }
        self.held_urbs -= 1;
        self.held_data_bytes -= held.data_bytes;
        self.used = self.used.plus(held.share);
        let by = self.used_by.entry(endpoint).or_default();
        *by = by.plus(held.share);
        Some((endpoint, held.id, held.data_bytes))
    }

    /// The URB is complete.
    pub(super) fn free(&mut self, endpoint: u8, share: Share) {
        self.used = self.used.minus(share);
        let by = self.used_by.entry(endpoint).or_default();
        *by = by.minus(share);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urb(bytes: u64) -> Share {
        Share { urbs: 1, bytes }
    }

    #[test]
    fn endpoints_take_turns_and_keep_their_order() {
        let mut queues = Queues::new(Window { urbs: 8, bytes: 1 << 20 });
        for id in 0..6 {
            assert!(queues.push(0x81, id, urb(10), 0));
        }
        for id in 10..13 {
            assert!(queues.push(0x02, id, urb(10), 0));
        }
        let sent: Vec<u32> = std::iter::from_fn(|| queues.next()).map(|(_, id, _)| id).collect();
        assert_eq!(sent, [10, 0, 11, 1]);
        assert!(queues.push(0, 20, urb(8), 0));
        assert_eq!(queues.next(), Some((0, 20, 0)));
        queues.free(0, urb(8));
        queues.free(0x81, urb(10));
        assert_eq!(queues.next(), Some((0x02, 12, 0)));
        assert_eq!(queues.next(), None);
    }

    #[test]
    fn what_does_not_fit_keeps_nobody_waiting() {
        let mut queues = Queues::new(Window { urbs: 100, bytes: 1 << 20 });
        assert!(queues.push(0x01, 1, urb(600_000), 0));
        assert!(queues.push(0x01, 2, urb(600_000), 0));
        assert!(queues.push(0x82, 3, urb(64), 0));
        assert_eq!(queues.next(), Some((0x01, 1, 0)));
        assert_eq!(queues.next(), Some((0x82, 3, 0)));
        assert_eq!(queues.next(), None);
    }

    #[test]
    fn a_long_queue_of_reads_leaves_room_for_others() {
        let mut queues = Queues::new(Window::OFFERED);
        for id in 0..2000 {
            assert!(queues.push(0x81, id, urb(64), 0));
        }
        let reads = std::iter::from_fn(|| queues.next()).count();
        assert!((800..1000).contains(&reads), "{reads}");
        assert!(queues.push(0x02, 5000, urb(1 << 20), 0));
        assert_eq!(queues.next(), Some((0x02, 5000, 0)));
    }

    #[test]
    fn what_can_never_go_or_is_too_much_is_refused() {
        let mut queues = Queues::new(Window { urbs: 100, bytes: 1 << 20 });
        assert!(!queues.push(0x01, 1, urb(1 << 20), 0));
        assert!(queues.push(0x00, 1, urb(1 << 20), 0));
        assert!(!queues.push(0x01, 2, urb(1), HELD_DATA_BYTES_MAX + 1));
        queues.forget(0, 1, 0);
        assert_eq!(queues.next(), None);
    }

    #[test]
    fn an_empty_window_lets_nothing_through() {
        let mut queues = Queues::new(Window { urbs: 0, bytes: 0 });
        assert!(!queues.push(0, 1, urb(0), 0));
    }
}
