//! Being connected to every peer, whoever dials whom.
//!
//! Both hubs of a pair dial until one of them has succeeded. Should both succeed at once, there
//! are two connections, and either serves.

use crate::dialing::{self, watch_path};
use crate::{Inner, links, pairing, serving, tending};
use anyhow::{Context, Result, bail};
use iroh::TransportAddr;
use iroh::endpoint::{Connection, Incoming};
use jiff::Timestamp;
use link::Rx;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use wire::shelf::{DEVICES_MAX, Shelf};
use wire::{Open, Priority};

/// From a stranger's first packet to the end of the handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Handshakes at the same time.
const HANDSHAKES_MAX: usize = 32;
/// Above so many, only those whose address has been proven get a place: a flood with forged
/// addresses keeps no peer out.
const HANDSHAKES_UNPROVEN_MAX: usize = 16;

/// Closing codes, for the other side's log.
pub(crate) const NOT_A_PEER: u32 = 403;
pub(crate) const REMOVED: u32 = 410;
const TOO_MANY: u32 = 429;

/// Takes what comes in until the endpoint closes.
pub(crate) async fn accept(inner: Arc<Inner>) {
    let mut tasks = JoinSet::new();
    while let Some(incoming) = inner.endpoint.accept().await {
        while tasks.try_join_next().is_some() {}
        let way = TransportAddr::from(incoming.remote_addr());
        if tasks.len() >= HANDSHAKES_MAX || !inner.only.has(dialing::kind(&way)) {
            incoming.refuse();
            continue;
        }
        if tasks.len() >= HANDSHAKES_UNPROVEN_MAX && !incoming.remote_addr_validated() {
            if let Err(error) = incoming.retry() {
                error.into_incoming().refuse();
            }
            continue;
        }
        let inner = inner.clone();
        tasks.spawn(async move {
            if let Err(error) = incoming_connection(inner, incoming).await {
                tracing::debug!("a connection was not accepted: {error:#}");
            }
        });
    }
}

async fn incoming_connection(inner: Arc<Inner>, incoming: Incoming) -> Result<()> {
    let handshake = tokio::time::timeout(HANDSHAKE_TIMEOUT, incoming.accept()?).await;
    let connection = handshake.context("an unfinished handshake")??;
    let peer = connection.remote_id();
    match connection.alpn() {
        wire::pair::ALPN => {
            let Ok(place) = inner.pairings.clone().try_acquire_owned() else {
                connection.close(TOO_MANY.into(), b"too many pairings at a time");
                return Ok(());
            };
            let pairing = inner.clone();
            inner.background(async move {
                if let Err(error) = pairing.answer_pairing(connection).await {
                    tracing::debug!("a pairing failed: {error:#}");
                }
                drop(place);
            });
            Ok(())
        }
        wire::pair::code::ALPN => {
            let pairing = inner.clone();
            inner.background(async move {
                if let Err(error) = pairing::answer_code(pairing, connection).await {
                    tracing::debug!("a pairing by code failed: {error:#}");
                }
            });
            Ok(())
        }
        wire::ALPN if inner.shared.look(|core| core.peers.contains_key(&peer)) => {
            inner.tasks.spawn(linked(inner.clone(), connection));
            Ok(())
        }
        wire::LOOK_ALPN if inner.shared.look(|core| core.peers.contains_key(&peer)) => {
            inner.background(async move {
                let _ = tokio::time::timeout(tending::LOOK_TIMEOUT, connection.closed()).await;
            });
            Ok(())
        }
        wire::ALPN | wire::LOOK_ALPN => {
            connection.close(NOT_A_PEER.into(), b"not paired");
            inner.audit_refusal(peer, "stranger.refused", "", "").await
        }
        other => bail!("an unknown protocol {:?}", String::from_utf8_lossy(other)),
    }
}

/// The life of one connection to a peer.
pub(crate) async fn linked(inner: Arc<Inner>, connection: Connection) {
    let peer = connection.remote_id();
    let removed = inner.shared.change(|core| {
        let known = core.peers.get_mut(&peer)?;
        inner.links.add(&connection);
        if !known.online {
            known.since = Some(Timestamp::now());
        }
        (known.online, known.error) = (true, None);
        Some(known.removed.clone())
    });
    let Some(removed) = removed else { return connection.close(REMOVED.into(), b"removed") };
    let mut streams = JoinSet::new();
    streams.spawn(log(watch_path(inner.clone(), connection.clone())));
    streams.spawn(log(read_shelf(inner.clone(), connection.clone())));
    let tended = tending::tend(&inner, &connection);
    tokio::pin!(tended);
    loop {
        tokio::select! {
            never = &mut tended => match never {},
            stream = connection.accept_bi() => match stream {
                Ok(stream) => {
                    streams.spawn(log(serving::stream(inner.clone(), connection.clone(), stream)));
                }
                Err(error) => {
                    tracing::debug!(peer = %peer.fmt_short(), "a connection ended: {error}");
                    break;
                }
            },
            Some(_) = streams.join_next() => {}
            () = removed.cancelled() => {
                connection.close(REMOVED.into(), b"removed");
                break;
            }
        }
    }
    inner.shared.change(|core| {
        if inner.links.remove(&connection)
            && let Some(known) = core.peers.get_mut(&peer)
        {
            tracing::info!(peer = %known.name, "is out of reach");
            (known.online, known.since, known.path) = (false, None, None);
            known.shelf.clear();
        }
    });
    // sessions notice the end by themselves, and give their devices back
    while streams.join_next().await.is_some() {}
}

async fn log(stream: impl Future<Output = Result<()>>) {
    if let Err(error) = stream.await {
        tracing::debug!("a stream ended: {error:#}");
    }
}

/// Follows the peer's shelf.
async fn read_shelf(inner: Arc<Inner>, connection: Connection) -> Result<()> {
    let peer = connection.remote_id();
    let mut duplex = links::open(&connection, Priority::Control).await?;
    duplex.open(&Open::Shelf).await?;
    let mut rx = Rx::<Shelf>::new(duplex.answered().await?.reader);
    let mut coming = BTreeMap::new();
    let mut to_come = 0;
    while let Some((message, _)) = rx.recv().await? {
        match message {
            Shelf::Snapshot { devices } => {
                to_come = devices as usize;
                if to_come > DEVICES_MAX {
                    bail!("a shelf of {devices} devices");
                }
                coming.clear();
                if to_come > 0 {
                    continue;
                }
            }
            Shelf::Device(device) => {
                coming.insert(device.id.clone(), device);
                if coming.len() > DEVICES_MAX {
                    bail!("a shelf of more than {DEVICES_MAX} devices");
                }
                to_come = to_come.saturating_sub(1);
            }
            Shelf::Removed(id) => {
                coming.remove(&id);
            }
        }
        if to_come == 0 {
            inner.shared.change(|core| {
                if let Some(known) = core.peers.get_mut(&peer) {
                    known.shelf.clone_from(&coming);
                }
            });
        }
    }
    Ok(())
}
