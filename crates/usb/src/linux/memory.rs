//! The memory of usbfs, which all devices share (`usbfs_memory_mb`, 16 MiB unless it was raised).
//!
//! What finds none left waits until an URB of any device of this process has ended. Only when
//! none is under way, so that none can end, is the lack of memory an error.

use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

static UNDER_WAY: AtomicUsize = AtomicUsize::new(0);
static FREED: Notify = Notify::const_new();

/// URBs were submitted.
pub(super) fn took(urbs: usize) {
    UNDER_WAY.fetch_add(urbs, Ordering::SeqCst);
}

/// URBs have ended.
pub(super) fn gave_back(urbs: usize) {
    UNDER_WAY.fetch_sub(urbs, Ordering::SeqCst);
    FREED.notify_waiters();
}

/// Whether waiting makes sense.
pub(super) fn is_used() -> bool {
    UNDER_WAY.load(Ordering::SeqCst) > 0
}

/// Waits for an URB to end, from this call on.
pub(super) fn freed() -> Notified<'static> {
    FREED.notified()
}
