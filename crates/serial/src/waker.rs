//! Wakes a thread that sleeps in `poll(2)`, from tasks and from other threads.

use rustix::event::EventfdFlags;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

/// Wakes the thread out of its `poll(2)`, also when it is dropped.
#[derive(Clone, Debug)]
pub(crate) struct Waker(Arc<OwnedFd>);

impl Waker {
    pub(crate) fn new() -> std::io::Result<Self> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        Ok(Self(Arc::new(rustix::event::eventfd(0, flags)?)))
    }

    pub(crate) fn wake(&self) {
        // it fails only when 2^64 wake-ups were not seen
        let _ = rustix::io::write(&self.0, &1u64.to_ne_bytes());
    }

    /// Makes it wait for the next.
    pub(crate) fn seen(&self) {
        let _ = rustix::io::read(&self.0, &mut [0; 8]);
    }

    /// Whether both wake the same thread.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
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
