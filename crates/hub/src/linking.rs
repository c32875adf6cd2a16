//! Being connected to every peer, whoever dials whom.
//!
//! Both hubs of a pair dial until one of them has succeeded. Should both succeed at once, there
//! are two connections, and either serves.

use crate::core::PeerId;
use crate::{Inner, links, serving};
use anyhow::{Context, Result, bail};
use futures_util::StreamExt;
use iroh::endpoint::{Connection, Incoming};
use jiff::Timestamp;
use link::Rx;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use wire::shelf::{DEVICES_MAX, Shelf};
use wire::{Open, Priority};

/// Between tries to reach a peer, doubling from the first to the last.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// A connection that lived for so long was a good one: the next try comes soon.
const STEADY: Duration = Duration::from_secs(5);
/// One try.
const DIAL_TIMEOUT: Duration = Duration::from_secs(10);
/// From a stranger's first packet to the end of the handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Handshakes at the same time.
const HANDSHAKES_MAX: usize = 32;
/// Above so many, only those whose address has been proven get a place: a flood with forged
/// addresses keeps no peer out.
const HANDSHAKES_UNPROVEN_MAX: usize = 16;

/// Closing codes, for the other side's log.
const NOT_A_PEER: u32 = 403;
const REMOVED: u32 = 410;
const TOO_MANY: u32 = 429;

/// Takes what comes in until the endpoint closes.
pub(crate) async fn accept(inner: Arc<Inner>) {
    let mut tasks = JoinSet::new();
    while let Some(incoming) = inner.endpoint.accept().await {
        while tasks.try_join_next().is_some() {}
        if tasks.len() >= HANDSHAKES_MAX {
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
        wire::ALPN if inner.shared.look(|core| core.peers.contains_key(&peer)) => {
            inner.tasks.spawn(linked(inner.clone(), connection));
            Ok(())
        }
        wire::LOOK_ALPN if inner.shared.look(|core| core.peers.contains_key(&peer)) => {
            inner.background(async move {
                let _ = tokio::time::timeout(links::LOOK_TIMEOUT, connection.closed()).await;
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

/// Dials a peer whenever there is no connection, for as long as it is a peer.
pub(crate) async fn keep_reached(inner: Arc<Inner>, peer: PeerId) {
    let known = inner.shared.look(|core| core.peers.get(&peer).map(|known| known.removed.clone()));
    let Some(removed) = known else { return };
    let mut retry = RETRY.0;
    loop {
        if let Some(connection) = inner.links.latest(&peer) {
            let began = Instant::now();
            tokio::select! {
                _ = connection.closed() => {}
                () = removed.cancelled() => return,
            }
            // the connection's own task takes it out of the links
            inner
                .shared
                .until(|core| core.peers.get(&peer).is_none_or(|p| !p.online).then_some(()))
                .await;
            if began.elapsed() > STEADY {
                retry = RETRY.0;
                continue;
            }
        } else if dial(&inner, &peer, &removed).await.is_break() {
            return;
        }
        // also after a connection that ended soon: a hub that does not know us ends each at once
        let online = inner.shared.until(|core| core.peers.get(&peer)?.online.then_some(()));
        let jitter = retry.mul_f64(rand::random::<f64>() * 0.25);
        tokio::select! {
            () = tokio::time::sleep(retry + jitter) => retry = (retry * 2).min(RETRY.1),
            () = online => tokio::time::sleep(RETRY.0).await,
            () = removed.cancelled() => return,
        }
    }
}

/// One try to reach a peer, and the first while of the connection; breaks when it is removed.
async fn dial(inner: &Arc<Inner>, peer: &PeerId, removed: &CancellationToken) -> ControlFlow<()> {
    let dial = async {
        let reach = inner.shared.look(|core| core.peers.get(peer).map(|p| p.reach.clone()));
        let address = links::address(*peer, &reach.unwrap_or_default());
        let dialled = inner.endpoint.connect(address, wire::ALPN);
        match tokio::time::timeout(DIAL_TIMEOUT, dialled).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(format!("{:#}", anyhow::Error::from(error))),
            Err(_) => Err("it does not answer".to_owned()),
        }
    };
    let online = inner.shared.until(|core| core.peers.get(peer)?.online.then_some(()));
    let dialled = tokio::select! {
        dialled = dial => dialled,
        () = online => return ControlFlow::Continue(()),
        () = removed.cancelled() => return ControlFlow::Break(()),
    };
    match dialled {
        Ok(connection) => {
            tracing::debug!(peer = %peer.fmt_short(), "dialled");
            inner.tasks.spawn(linked(inner.clone(), connection.clone()));
            let _ = tokio::time::timeout(STEADY, connection.closed()).await;
        }
        Err(error) => inner.shared.change(|core| {
            if let Some(known) = core.peers.get_mut(peer) {
                known.error = Some(error);
            }
        }),
    }
    ControlFlow::Continue(())
}

/// The life of one connection to a peer.
async fn linked(inner: Arc<Inner>, connection: Connection) {
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
    let tended = links::tend(&inner, &connection);
    tokio::pin!(tended);
    loop {
        tokio::select! {
            never = &mut tended => match never {},
            stream = connection.accept_bi() => match stream {
                Ok(stream) => {
                    streams.spawn(log(serving::stream(inner.clone(), connection.clone(), stream)));
                }
                Err(error) => {
                    tracing::info!(peer = %peer.fmt_short(), "disconnected: {error}");
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

/// Notes how the peer is reached, and remembers addresses that work.
async fn watch_path(inner: Arc<Inner>, connection: Connection) -> Result<()> {
    let peer = connection.remote_id();
    let mut events = connection.path_events();
    loop {
        let (path, address) = links::selected(&connection);
        let reach = inner.shared.change(|core| {
            let known = core.peers.get_mut(&peer)?;
            known.path = path;
            address.is_some_and(|address| known.reach.worked(address)).then(|| known.reach.clone())
        });
        if let Some(reach) = reach {
            inner.store.set_reach(&peer.to_string(), &serde_json::to_string(&reach)?).await?;
        }
        tokio::select! {
            event = events.next() => { event.context("no more paths")?; }
            _ = connection.closed() => return Ok(()),
        }
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
