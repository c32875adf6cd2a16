//! Content that is about to be used, and does not go meanwhile.
//!
//! Content comes first and what it is for is written down after that; in between, nothing but this
//! says that it is needed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Semaphore, SemaphorePermit};

/// What sees to it that no content goes while somebody is about to use it.
#[derive(Debug)]
pub(crate) struct Contents {
    /// Content comes or goes one at a time.
    place: Semaphore,
    /// By hash, how many are about to write of it.
    held: Mutex<BTreeMap<String, u32>>,
}

/// A content that is here, and stays until this is dropped: whoever has it writes down first what
/// it is for.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) hash: String,
    contents: Arc<Contents>,
}

impl Default for Contents {
    fn default() -> Self {
        Self { place: Semaphore::new(1), held: Mutex::default() }
    }
}

impl Contents {
    pub(super) async fn place(&self) -> SemaphorePermit<'_> {
        self.place.acquire().await.expect("it is never closed")
    }

    /// For whoever has the place.
    pub(super) fn keep(self: &Arc<Self>, hash: &str) -> Kept {
        *self.lock().entry(hash.to_owned()).or_default() += 1;
        Kept { hash: hash.to_owned(), contents: self.clone() }
    }

    pub(super) fn holds(&self, hash: &str) -> bool {
        self.lock().contains_key(hash)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, u32>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let mut held = self.contents.lock();
        if let Some(count) = held.get_mut(&self.hash) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.hash);
            }
        }
    }
}
