//! Being connected to every peer, whoever dials whom.
//!
//! Both hubs of a pair dial until one of them has succeeded. Should both succeed at once, there
//! are two connections, and either serves.

use crate::core::{Core, PeerId};
use crate::{Inner, links, pairing, serving};
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
/// A try that has lasted for so long ends when there is a new address to try: not sooner, or
/// whoever announces one after the other would let none succeed.
const DIAL_MIN: Duration = Duration::from_secs(2);
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
        wire::ALPN => {
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
    let news = |core: &Core| core.peers.get(&peer).map_or(0, |known| known.reach.news);
    loop {
        let tried = inner.shared.look(news);
        let soonest = tokio::time::Instant::now() + RETRY.0;
        let began = Instant::now();
        // the connection's own task takes it out of the links
        let lost = inner.shared.until(|core| {
            let offline = core.peers.get(&peer).is_none_or(|known| !known.online);
            (offline || inner.links.is_silent(&peer)).then_some(())
        });
        tokio::select! {
            () = lost => {}
            () = removed.cancelled() => return,
        }
        if began.elapsed() > STEADY {
            retry = RETRY.0;
        }
        if dial(&inner, &peer, &removed).await.is_break() {
            return;
        }
        // also after a connection that ended soon: a hub that does not know us ends each at once
        let online = reached(&inner, &peer);
        let jitter = retry.mul_f64(rand::random::<f64>() * 0.25);
        tokio::select! {
            () = tokio::time::sleep(retry + jitter) => retry = (retry * 2).min(RETRY.1),
            () = online => tokio::time::sleep(RETRY.0).await,
            // it is somewhere else, or somebody says so: not more often than the first tries
            () = inner.shared.until(|core| (news(core) != tried).then_some(())) => {
                tokio::time::sleep_until(soonest).await;
            }
            () = removed.cancelled() => return,
        }
    }
}

/// Resolves while there is a connection to the peer over which something is heard.
async fn reached(inner: &Inner, peer: &PeerId) {
    let reached = |core: &crate::core::Core| {
        (core.peers.get(peer)?.online && !inner.links.is_silent(peer)).then_some(())
    };
    inner.shared.until(reached).await;
}

/// One try to reach a peer, and the first while of the connection; breaks when it is removed.
async fn dial(inner: &Arc<Inner>, peer: &PeerId, removed: &CancellationToken) -> ControlFlow<()> {
    let dial = async {
        let reach = inner.shared.look(|core| core.peers.get(peer).map(|p| p.reach.clone()));
        let address = links::address(*peer, &reach.unwrap_or_default()).await;
        let dialled = inner.endpoint.connect(address, wire::ALPN);
        match tokio::time::timeout(DIAL_TIMEOUT, dialled).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(format!("{:#}", anyhow::Error::from(error))),
            Err(_) => Err("it does not answer".to_owned()),
        }
    };
    let online = reached(inner, peer);
    let known = inner.shared.look(|core| core.peers.get(peer).map(|p| p.reach.news));
    let began = tokio::time::Instant::now();
    let news = async {
        let new = |core: &Core| core.peers.get(peer).map(|p| p.reach.news) != known;
        inner.shared.until(|core| new(core).then_some(())).await;
        tokio::time::sleep_until(began + DIAL_MIN).await;
    };
    let dialled = tokio::select! {
        dialled = dial => dialled,
        () = news => return ControlFlow::Continue(()),
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
    // who waits for the peer looks again
    let changed = || inner.shared.change(|_| ());
    let asking = links::keep_asking(&connection, &inner.links, changed);
    tokio::pin!(asking);
    loop {
        tokio::select! {
            never = &mut asking => match never {},
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
