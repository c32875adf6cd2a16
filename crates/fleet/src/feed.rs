//! Tells whoever looks what has changed: at once, and then five times a second at most, or fifty
//! when there is something that does not wait.
//!
//! What is told of a printer is a JSON merge patch (RFC 7386) to what was told before. It is made
//! once, however many look; a beat is text that is shared. One who falls behind is given a new
//! first look. While nobody looks, nothing is made.

mod patch;

use crate::fleet::Inner;
use crate::view;
use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, broadcast};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use wire::DeviceId;

/// What has changed since the beat before.
#[derive(Debug)]
pub struct Beat {
    pub count: u64,
    /// A merge patch each; `null` for a printer that is gone.
    pub printers: Vec<(DeviceId, String)>,
    /// All of these as JSON: `{"count": …, "printers": {…}}`; empty where there are none.
    pub together: Bytes,
    pub news: Vec<News>,
}

/// What is told besides.
#[derive(Clone, Debug)]
pub enum News {
    Job(Arc<view::Job>),
    /// The files of a place have changed.
    Files(Arc<str>),
    Queue,
    Channels,
}

/// One who looks. Starts with [`Listener::snapshot`].
#[derive(Debug)]
pub struct Listener {
    inner: Arc<Inner>,
    beats: broadcast::Receiver<Arc<Beat>>,
    count: u64,
}

#[derive(Debug)]
pub(crate) struct Feed {
    told: Mutex<Told>,
    next: Mutex<Next>,
    wake: Notify,
    hurry: Notify,
    beats: broadcast::Sender<Arc<Beat>>,
}

/// What everybody who looks has been told.
#[derive(Debug, Default)]
struct Told {
    count: u64,
    printers: Option<BTreeMap<DeviceId, Value>>,
}

/// What is to be told next.
#[derive(Debug, Default)]
struct Next {
    printers: BTreeSet<DeviceId>,
    news: Vec<News>,
}

impl Feed {
    pub(crate) fn new() -> Self {
        let beats = broadcast::Sender::new(BEATS_KEPT);
        let (told, next) = Default::default();
        Self { told, next, wake: Notify::new(), hurry: Notify::new(), beats }
    }

    pub(crate) fn printer(&self, id: &DeviceId) {
        lock(&self.next).printers.insert(id.clone());
        self.wake.notify_one();
    }

    /// What has changed is not to wait for more.
    pub(crate) fn hurry(&self) {
        self.hurry.notify_one();
    }

    pub(crate) fn news(&self, news: News) {
        let mut next = lock(&self.next);
        // whoever falls behind looks again
        if next.news.len() < NEWS_MAX {
            next.news.push(news);
        }
        drop(next);
        self.wake.notify_one();
    }

    fn beat(&self, inner: &Inner) {
        let next = std::mem::take(&mut *lock(&self.next));
        let mut told = lock(&self.told);
        if self.beats.receiver_count() == 0 {
            told.printers = None;
            return;
        }
        let Told { count, printers } = &mut *told;
        let printers = printers.get_or_insert_with(|| inner.values());
        let patches: Vec<_> = next
            .printers
            .into_iter()
            .filter_map(|id| {
                let patch = match inner.look(&id, |entry| entry.view(&id)) {
                    Some(now) => {
                        let told = printers.entry(id.clone()).or_default();
                        patch::update(told, &now).expect("it is made of texts and numbers")?
                    }
                    None => printers.remove(&id).map(|_| Value::Null)?,
                };
                Some((id, patch.to_string()))
            })
            .collect();
        if !patches.is_empty() || !next.news.is_empty() {
            *count += 1;
            let together = together(*count, &patches);
            let beat = Beat { count: *count, printers: patches, together, news: next.news };
            let _ = self.beats.send(Arc::new(beat));
        }
    }
}

/// Beats as long as the fleet runs.
pub(crate) async fn run(inner: Arc<Inner>, stopping: CancellationToken) {
    let beats = async {
        loop {
            inner.feed.wake.notified().await;
            inner.feed.beat(&inner);
            breath(&inner.feed.hurry).await;
        }
    };
    stopping.run_until_cancelled(beats).await;
}

/// From one beat to the next.
async fn breath(hurry: &Notify) {
    let hurried = async {
        sleep(SHORT_BREATH).await;
        hurry.notified().await;
    };
    tokio::select! {
        () = sleep(BREATH) => {}
        () = hurried => {}
    }
}

impl Listener {
    pub(crate) fn new(inner: Arc<Inner>) -> Self {
        let beats = inner.feed.beats.subscribe();
        Self { inner, beats, count: 0 }
    }

    /// Everything as it was told to those who look already.
    pub fn snapshot(&mut self) -> (u64, BTreeMap<DeviceId, Value>) {
        let mut told = lock(&self.inner.feed.told);
        let count = told.count;
        let printers = told.printers.get_or_insert_with(|| self.inner.values()).clone();
        self.count = count;
        (count, printers)
    }

    /// The same as JSON: `{"count": …, "printers": […]}`.
    pub fn snapshot_text(&mut self) -> String {
        #[derive(Serialize)]
        struct Snapshot<'a> {
            count: u64,
            printers: Vec<&'a Value>,
        }
        let mut told = lock(&self.inner.feed.told);
        let count = told.count;
        let printers = told.printers.get_or_insert_with(|| self.inner.values());
        let printers: Vec<_> = printers.values().collect();
        self.count = count;
        serde_json::to_string(&Snapshot { count, printers }).expect("it is made of values")
    }

    /// The next beat; `None` when this one has fallen behind and is to look anew. Cancel safe.
    ///
    /// # Errors
    /// When the fleet has ended.
    pub async fn next(&mut self) -> Result<Option<Arc<Beat>>, Ended> {
        loop {
            match self.beats.recv().await {
                Ok(beat) if beat.count <= self.count => {}
                Ok(beat) => return Ok(Some(beat)),
                Err(broadcast::error::RecvError::Lagged(_)) => return Ok(None),
                Err(broadcast::error::RecvError::Closed) => return Err(Ended),
            }
        }
    }
}

/// There is nothing more to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the hub is stopping")]
pub struct Ended;

fn together(count: u64, patches: &[(DeviceId, String)]) -> Bytes {
    if patches.is_empty() {
        return Bytes::new();
    }
    let begin = format!("{{\"count\":{count},\"printers\":{{");
    let room = patches.iter().map(|(id, patch)| id.as_str().len() + patch.len() + 4).sum::<usize>();
    let mut text = String::with_capacity(begin.len() + room + 2);
    text.push_str(&begin);
    for (number, (id, patch)) in patches.iter().enumerate() {
        let comma = if number > 0 { "," } else { "" };
        // an id has nothing that a JSON text would escape
        for part in [comma, "\"", id.as_str(), "\":", patch] {
            text.push_str(part);
        }
    }
    text.push_str("}}");
    text.into()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Changes that come faster than this are told together. A person sees it as at once.
const BREATH: Duration = Duration::from_millis(200);
/// Printers that are never in one phase for long are to cost no more than this.
const SHORT_BREATH: Duration = Duration::from_millis(20);
/// A browser that is that many beats behind is given everything anew.
const BEATS_KEPT: usize = 64;
const NEWS_MAX: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn what_does_not_wait_is_told_fifty_times_a_second_at_most() {
        let hurry = Notify::new();
        let began = Instant::now();
        breath(&hurry).await;
        assert!(began.elapsed() >= BREATH);
        let began = Instant::now();
        for _ in 0..100 {
            hurry.notify_one();
            breath(&hurry).await;
        }
        assert!(began.elapsed() >= 100 * SHORT_BREATH && began.elapsed() < 100 * BREATH / 2);
    }
}
