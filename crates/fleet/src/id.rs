//! Ids that this program makes: sortable by time where that helps, and never the same on two hubs.

use std::sync::atomic::{AtomicU32, Ordering};

/// Of a job: when it began, and a number that differs for every printer and every call.
#[must_use]
pub(crate) fn job(started_us: i64, printer: &str, made: u32) -> String {
    let mut hash = blake3::Hasher::new();
    hash.update(printer.as_bytes()).update(&made.to_le_bytes());
    hash.update(&started_us.to_le_bytes());
    format!("{started_us:016x}{}", &hash.finalize().to_hex()[..8])
}

/// Of anything else.
#[must_use]
pub(crate) fn fresh(now_us: i64) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed) & 0xff;
    format!("{now_us:014x}{next:02x}{:08x}", rand::random::<u32>())
}
