//! A peer's device in use here, over one connection after another.
//!
//! When the connection is cut, the device stays plugged in, and its drivers wait. As soon as there
//! is a connection again, every stream of the session is joined anew; when that takes too long, the
//! device is unplugged. A peer that has ended the session meanwhile, or has started anew, refuses:
//! then there is nothing to go on with.

use crate::core::PeerId;
use crate::links::IDLE_TIMEOUT;
use crate::view::AttachmentState;
use crate::{Inner, links};
use anyhow::{Context, Result};
use futures_util::future::try_join_all;
use iroh::endpoint::Connection;
use link::resume::Lines;
use link::{Duplex, Opener, Rx};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use usb::attach::End;
use wire::{DeviceId, Joined, Open, Priority, SessionId};

/// To join one stream anew.
const JOIN_TIMEOUT: Duration = Duration::from_secs(5);

/// The streams of a session with a peer's device.
pub(crate) struct Resuming<'a> {
    inner: &'a Inner,
    key: &'a (PeerId, DeviceId),
    session: SessionId,
    lines: Lines,
    grace: Duration,
    /// `None` while the session is frozen.
    connection: watch::Sender<Option<Connection>>,
    priorities: Arc<Mutex<BTreeMap<u8, Priority>>>,
}

impl<'a> Resuming<'a> {
    pub(crate) fn new(
        (inner, key): (&'a Inner, &'a (PeerId, DeviceId)),
        session: SessionId,
        connection: Connection,
        grace: Duration,
    ) -> Self {
        let connection = watch::Sender::new(Some(connection));
        let (lines, priorities) = (Lines::default(), Arc::default());
        Self { inner, key, session, lines, grace, connection, priorities }
    }

    /// The session's first stream, after what comes before endpoint 0.
    pub(crate) fn first(&self, stream: Duplex) -> Result<Duplex> {
        self.lines.begin(0, stream).context("a new session has no lines")
    }

    /// Opens the streams of further endpoints, once there is a connection.
    pub(crate) fn opener(&self) -> Opener {
        let (session, lines) = (self.session, self.lines.clone());
        let (connection, priorities) = (self.connection.subscribe(), self.priorities.clone());
        Opener::new(move |endpoint, priority| {
            let (lines, mut connection) = (lines.clone(), connection.clone());
            priorities.lock().expect("nobody panics with it").insert(endpoint, priority);
            Box::pin(async move {
                loop {
                    let gone = |_| io::Error::from(io::ErrorKind::NotConnected);
                    let now = connection.wait_for(Option::is_some).await.map_err(gone)?.clone();
                    let now = now.expect("waited for");
                    let open = Open::Endpoint { session, endpoint, received: 0 };
                    match opened(&now, &open, priority).await {
                        Ok(stream) => {
                            let stream = stream.answered_later::<Joined>();
                            let line = lines.begin(endpoint, stream);
                            return line.ok_or_else(|| io::ErrorKind::AlreadyExists.into());
                        }
                        // the next connection may do; that this one is cut shows elsewhere too
                        Err(_) => connection.changed().await.map_err(gone)?,
                    }
                }
            })
        })
    }

    /// Resolves when the session cannot go on.
    ///
    /// # Errors
    /// When the peer refused a stream.
    pub(crate) async fn keep(&self) -> Result<End> {
        loop {
            let error = self.lines.lost().await;
            if !links::is_cut(&error) {
                tracing::debug!(device = %self.key.1, "the peer ended the session: {error}");
                let refused = error.get_ref().is_some_and(|inner| inner.is::<link::Error>());
                return if refused { Err(error.into()) } else { Ok(End::PeerGone) };
            }
            tracing::info!(device = %self.key.1, "frozen: {error}");
            self.connection.send_replace(None);
            self.enter(AttachmentState::Frozen);
            // that the peer is silent was noticed after some time
            let left = self.grace.saturating_sub(IDLE_TIMEOUT);
            match tokio::time::timeout(left, self.resume()).await {
                Ok(Ok(())) => self.enter(AttachmentState::Attached),
                Ok(Err(error)) => {
                    tracing::info!(device = %self.key.1, "cannot go on: {error:#}");
                    return Ok(End::PeerGone);
                }
                Err(_) => {
                    tracing::info!(device = %self.key.1, "no peer for {:?}", self.grace);
                    return Ok(End::PeerGone);
                }
            }
        }
    }

    /// Goes on over the next connection that lasts for long enough.
    async fn resume(&self) -> Result<()> {
        let mut tried = None;
        loop {
            let connection = self.inner.shared.until(|_| {
                let latest = self.inner.links.latest(&self.key.0)?;
                let new = tried != Some(latest.stable_id()) && latest.close_reason().is_none();
                new.then_some(latest)
            });
            let connection = connection.await;
            tried = Some(connection.stable_id());
            let numbers = self.lines.numbers().into_iter();
            let joined = numbers.map(|endpoint| self.join(&connection, endpoint));
            match try_join_all(joined).await {
                Ok(_) => {
                    tracing::info!(device = %self.key.1, "goes on");
                    self.connection.send_replace(Some(connection));
                    return Ok(());
                }
                Err(error @ link::Error::Refused(_)) => {
                    return Err(anyhow::Error::from(error).context("the session is over there"));
                }
                Err(error) => tracing::debug!(device = %self.key.1, "not resumed: {error}"),
            }
        }
    }

    /// Joins one stream to the session as it was left.
    async fn join(&self, connection: &Connection, endpoint: u8) -> Result<(), link::Error> {
        let received = self.lines.halt(endpoint).unwrap_or(0);
        let priority = match endpoint {
            0 => Priority::Control,
            _ => {
                let known = self.priorities.lock().expect("nobody panics with it");
                known.get(&endpoint).copied().unwrap_or(Priority::Bulk)
            }
        };
        let open = Open::Endpoint { session: self.session, endpoint, received };
        let joined = async {
            let stream = opened(connection, &open, priority).await?.answered().await?;
            let mut rx = Rx::<Joined>::new(stream.reader).without_bodies();
            let (joined, _) = rx.recv().await?.ok_or(link::Error::Ended)?;
            Ok((joined, Duplex { reader: Box::new(rx.into_reader()), writer: stream.writer }))
        };
        let late = |_| link::Error::Io(io::ErrorKind::TimedOut.into());
        let (joined, stream) =
            tokio::time::timeout(JOIN_TIMEOUT, joined).await.map_err(late).flatten()?;
        let resumed = self.lines.resume(endpoint, stream, joined.received);
        // it forgot, or lies: as if it had said no
        resumed.map_err(|_| link::Error::Refused(wire::Refusal::NotUnderstood))
    }

    fn enter(&self, state: AttachmentState) {
        self.inner.shared.change(|core| {
            if let Some(known) = core.attachments.get_mut(self.key)
                && known.is_attached()
            {
                known.enter(state);
            }
        });
    }
}

async fn opened(
    connection: &Connection,
    open: &Open,
    priority: Priority,
) -> Result<Duplex, link::Error> {
    let mut stream = links::open(connection, priority).await?;
    stream.open(open).await?;
    Ok(stream)
}
