//! How far the prints under way have come, written for all of them at once.
//!
//! A hundred printers that each write every few seconds would be as many transactions, each of
//! which waits for the disk. What happens in a job, its begin and its end, is written by itself
//! and at once; what only goes on waits here for its turn, the latest of each job.

use crate::fleet::Inner;
use crate::recorder::Change;
use std::collections::BTreeMap;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use store::shop::Job;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Jobs that wait, by their ids: as many at most as there are printers.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    waiting: Mutex<BTreeMap<String, Job>>,
    wake: Notify,
}

/// Whether nothing has happened in a job but that it went on.
pub(crate) fn is_progress(change: &Change) -> bool {
    change.events.is_empty() && change.job.ended_us.is_none()
}

impl Progress {
    /// Is to be written soon. What has happened in this job before is written already.
    pub(crate) fn note(&self, job: Job) {
        self.lock().insert(job.id.clone(), job);
        self.wake.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Job>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Writes what waits; what cannot be written waits on. A job that has ended meanwhile is not
    /// touched: the database sees to that.
    pub(crate) async fn write_progress(&self) -> Result<(), store::Error> {
        let waiting = mem::take(&mut *self.progress.lock());
        if waiting.is_empty() {
            return Ok(());
        }
        let jobs: Vec<_> = waiting.into_values().collect();
        let written = self.shop.put_progress(&jobs).await;
        if written.is_err() {
            let mut waiting = self.progress.lock();
            for job in jobs {
                waiting.entry(job.id.clone()).or_insert(job);
            }
        }
        written
    }
}

/// Writes as long as the fleet runs; sleeps while nothing prints.
pub(crate) async fn run(inner: Arc<Inner>, stopping: CancellationToken) {
    let mut lost = false;
    loop {
        if !lost {
            tokio::select! {
                () = stopping.cancelled() => return,
                () = inner.progress.wake.notified() => {}
            }
        }
        tokio::select! {
            () = stopping.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
        let written = inner.write_progress().await;
        if let Err(error) = &written
            && !lost
        {
            tracing::error!(%error, "how far prints have come cannot be written; it is kept");
        }
        lost = written.is_err();
    }
}

/// With what the recorder waits before (`WRITE_EVERY_US`), a hub that is killed knows to 5 s until
/// when it saw its prints.
const EVERY: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests;
