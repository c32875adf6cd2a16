//! Tells whoever looks what has changed: every twentieth of a second at most, once for all.
//!
//! What is told of a printer is a JSON merge patch (RFC 7386) to what was told before. It is made
//! once, however many look; a beat is text that is shared. One who falls behind is given a new
//! first look. While nobody looks, nothing is made.

use crate::fleet::Inner;
use crate::view;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, broadcast};
use tokio_util::sync::CancellationToken;
use wire::DeviceId;

/// What has changed since the beat before.
#[derive(Debug)]
pub struct Beat {
    pub count: u64,
    /// A merge patch each; `null` for a printer that is gone.
    pub printers: Vec<(DeviceId, Arc<str>)>,
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
        Self { told: Mutex::default(), next: Mutex::default(), wake: Notify::new(), beats }
    }

    pub(crate) fn printer(&self, id: &DeviceId) {
        lock(&self.next).printers.insert(id.clone());
        self.wake.notify_one();
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
                let patch = match inner.value(&id) {
                    Some(new) => {
                        let old = printers.insert(id.clone(), new);
                        diff(&old.unwrap_or(Value::Null), &printers[&id])?
                    }
                    None => printers.remove(&id).map(|_| Value::Null)?,
                };
                Some((id, Arc::from(patch.to_string())))
            })
            .collect();
        if !patches.is_empty() || !next.news.is_empty() {
            *count += 1;
            let beat = Beat { count: *count, printers: patches, news: next.news };
            let _ = self.beats.send(Arc::new(beat));
        }
    }
}

/// Beats as long as the fleet runs.
pub(crate) async fn run(inner: Arc<Inner>, stopping: CancellationToken) {
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            () = inner.feed.wake.notified() => {}
        }
        tokio::time::sleep(BREATH).await;
        inner.feed.beat(&inner);
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

/// What makes `new` of `old`, as a merge patch; `None` when nothing does.
fn diff(old: &Value, new: &Value) -> Option<Value> {
    let (Value::Object(old), Value::Object(new)) = (old, new) else {
        return (old != new).then(|| new.clone());
    };
    let mut patch = Map::new();
    for (key, value) in new {
        let change = match old.get(key) {
            Some(was) => diff(was, value),
            None => Some(value.clone()),
        };
        if let Some(change) = change {
            patch.insert(key.clone(), change);
        }
    }
    for key in old.keys().filter(|key| !new.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    (!patch.is_empty()).then_some(Value::Object(patch))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Changes that come faster than this are told together. A person sees it as at once.
const BREATH: Duration = Duration::from_millis(50);
/// A browser that is that many beats behind is given everything anew.
const BEATS_KEPT: usize = 64;
const NEWS_MAX: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    /// RFC 7386 §2
    fn apply(target: &mut Value, patch: &Value) {
        let Value::Object(patch) = patch else {
            *target = patch.clone();
            return;
        };
        if !target.is_object() {
            *target = Value::Object(Map::new());
        }
        let Value::Object(target) = target else { unreachable!("it was made one") };
        for (key, value) in patch {
            if value.is_null() {
                target.remove(key);
            } else {
                apply(target.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "[a-c]{0,2}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("[a-d]", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    #[test]
    fn what_stays_is_not_told() {
        let old = json!({"a": 1, "b": {"c": 2, "d": 3}, "e": [1]});
        let new = json!({"a": 1, "b": {"c": 4}, "e": [1, 2]});
        assert_eq!(diff(&old, &new), Some(json!({"b": {"c": 4, "d": null}, "e": [1, 2]})));
        assert_eq!(diff(&old, &old), None);
    }

    proptest! {
        /// But for an object that has become empty, which a merge patch cannot say of a thing
        /// that was none; a printer's values keep their kinds.
        #[test]
        fn a_patch_makes_the_new_of_the_old(a in any_value(), b in any_value()) {
            let (a, b) = (json!({"v": a}), json!({"v": b}));
            let mut told = a.clone();
            if let Some(patch) = diff(&a, &b) {
                apply(&mut told, &patch);
            }
            prop_assert_eq!(told, b);
        }
    }
}
