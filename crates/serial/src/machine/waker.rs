//! Wakes the port's thread, from tasks and from other threads.

use rustix::event::EventfdFlags;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

/// Wakes the thread out of its `poll(2)`, also when it is dropped.
#[derive(Clone, Debug)]
pub(super) struct Waker(Arc<OwnedFd>);

impl Waker {
    pub(super) fn new() -> std::io::Result<Self> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        Ok(Self(Arc::new(rustix::event::eventfd(0, flags)?)))
    }

    pub(super) fn wake(&self) {
        // it fails only when 2^64 wake-ups were not seen
        let _ = rustix::io::write(&self.0, &1u64.to_ne_bytes());
    }

    /// Makes it wait for the next.
    pub(super) fn seen(&self) {
        let _ = rustix::io::read(&self.0, &mut [0; 8]);
    }
}

impl Drop for Waker {
    fn drop(&mut self) {
        self.wake();
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
