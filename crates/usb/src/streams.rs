//! The streams of one session, many at a time, in one task.
//!
//! [`Inbox`] is every stream's frames as they come. [`Outbox`] keeps a queue for each stream and
//! writes them side by side: a stream that does not move keeps nobody waiting. While a write is
//! under way further frames gather, and leave together in the next.

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, FuturesUnordered, SelectAll, StreamExt};
use link::{Error, Rx, Tx};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, VecDeque};

/// A frame, the end of the stream (`None`), or why it broke; nothing follows the latter two.
pub(crate) type Frame<T> = Result<Option<(T, Bytes)>, Error>;
pub(crate) type Inbox<T> = SelectAll<BoxStream<'static, (u8, Frame<T>)>>;

/// The frames of one stream, marked with its endpoint.
pub(crate) fn frames<T>(endpoint: u8, rx: Rx<T>) -> BoxStream<'static, (u8, Frame<T>)>
where
    T: DeserializeOwned + Send + 'static,
{
    stream::unfold(Some(rx), move |rx| async move {
        let mut rx = rx?;
        let frame = rx.recv().await;
        let rest = matches!(frame, Ok(Some(_))).then_some(rx);
        Some(((endpoint, frame), rest))
    })
    .boxed()
}

pub(crate) struct Outbox<T> {
    ends: BTreeMap<u8, End<T>>,
    writing: FuturesUnordered<Write<T>>,
}

/// Gives the stream back when everything left.
type Write<T> = BoxFuture<'static, (u8, Result<Tx<T>, Error>)>;

struct End<T> {
    queue: VecDeque<(T, Bytes)>,
    tx: State<T>,
}

enum State<T> {
    /// The stream is not open yet.
    Opening,
    Idle(Tx<T>),
    Writing,
    /// The other side does not read any more.
    Dead,
}

impl<T: Serialize + Send + Sync + 'static> Outbox<T> {
    pub(crate) fn new() -> Self {
        Self { ends: BTreeMap::new(), writing: FuturesUnordered::new() }
    }

    /// Whether there is a stream for the endpoint, or one on its way.
    pub(crate) fn contains(&self, endpoint: u8) -> bool {
        self.ends.contains_key(&endpoint)
    }

    /// Makes room for a stream that is on its way: what is pushed meanwhile will wait for it.
    pub(crate) fn expect(&mut self, endpoint: u8) {
        self.ends.insert(endpoint, End { queue: VecDeque::new(), tx: State::Opening });
    }

    pub(crate) fn insert(&mut self, endpoint: u8, tx: Tx<T>) {
        let end = self.ends.entry(endpoint);
        end.or_insert_with(|| End { queue: VecDeque::new(), tx: State::Opening }).tx =
            State::Idle(tx);
    }

    /// Queues a frame. Dropped when the stream is gone: its end says so elsewhere.
    pub(crate) fn push(&mut self, endpoint: u8, head: T, body: Bytes) {
        match self.ends.get_mut(&endpoint) {
            Some(End { tx: State::Dead, .. }) | None => {}
            Some(end) => end.queue.push_back((head, body)),
        }
    }

    /// Starts to write what can be written; `leaves` sees each frame before the peer can.
    pub(crate) fn start(&mut self, mut leaves: impl FnMut(&T)) {
        for (&endpoint, end) in &mut self.ends {
            if end.queue.is_empty() || !matches!(end.tx, State::Idle(_)) {
                continue;
            }
            let State::Idle(tx) = std::mem::replace(&mut end.tx, State::Writing) else { continue };
            let batch = std::mem::take(&mut end.queue);
            batch.iter().for_each(|(head, _)| leaves(head));
            self.writing.push(Box::pin(async move { (endpoint, write(tx, batch).await) }));
        }
    }

    /// Waits for the end of a write; `None` when there is none. Cancel safe.
    pub(crate) async fn written(&mut self) -> Option<u8> {
        let (endpoint, result) = self.writing.next().await?;
        if let Some(end) = self.ends.get_mut(&endpoint) {
            match result {
                Ok(tx) => end.tx = State::Idle(tx),
                Err(error) => {
                    tracing::debug!("endpoint {endpoint:#04x}: {error}");
                    end.queue.clear();
                    end.tx = State::Dead;
                }
            }
        }
        Some(endpoint)
    }

    /// Writes what is queued and ends the streams.
    pub(crate) async fn finish(mut self) {
        self.start(|_| {});
        while self.written().await.is_some() {
            self.start(|_| {});
        }
        for (_, end) in self.ends {
            if let State::Idle(tx) = end.tx {
                let _ = tx.finish().await; // gone is ended as well
            }
        }
    }
}

async fn write<T: Serialize>(mut tx: Tx<T>, batch: VecDeque<(T, Bytes)>) -> Result<Tx<T>, Error> {
    for (head, body) in batch {
        tx.feed(&head, body).await?;
    }
    tx.flush().await?;
    Ok(tx)
}
