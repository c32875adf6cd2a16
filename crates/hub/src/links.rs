//! The connections to peers: the endpoint, who is connected, streams over it.

use crate::Inner;
use crate::congestion::Unpaced;
use crate::core::PeerId;
use crate::peers::Reach;
use crate::relays::{self, Relays};
use crate::view::{Candidate, Path, PathKind};
use anyhow::{Context, Result};
use bytes::Bytes;
use futures_util::StreamExt;
use iroh::endpoint::{
    Connection, IdleTimeout, PathListStream, QuicTransportConfig, VarInt, presets,
};
use iroh::{Endpoint, EndpointAddr, SecretKey, TransportAddr};
use link::Duplex;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path as FilePath;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use wire::Priority;

/// A peer that says nothing for so long is gone. Longer than a cable that is put right back.
const IDLE_TIMEOUT: Duration = Duration::from_secs(14);
/// Three of these fit into the idle timeout.
const KEEP_ALIVE: Duration = Duration::from_secs(4);
/// A connection without a packet for so long is asked whether it is there: more than
/// [`KEEP_ALIVE`], so that one that is well is never asked.
const SILENCE: Duration = Duration::from_secs(5);
/// How often it is asked.
const ASK: Duration = Duration::from_secs(1);

/// A path without a packet for so long is given up for another one. It does not count for the
/// last path of a connection, which noq keeps until [`IDLE_TIMEOUT`].
const PATH_IDLE_TIMEOUT: Duration = Duration::from_millis(1700);
/// How often a direct path with a relay in reserve carries a packet: three fit into the timeout.
const WATCH: Duration = Duration::from_millis(500);
/// How often a direct path is looked for: iroh tries again after 5 s at the earliest.
const LOOK: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(60));
/// For so long as often as that: whatever took the path away may be over soon.
const LOOK_EAGERLY: Duration = Duration::from_secs(120);
/// One look. The peer holds the connection for as long.
pub(crate) const LOOK_TIMEOUT: Duration = Duration::from_secs(3);

/// Streams that a peer may have open: 16 devices with all 31 endpoints.
const STREAMS_MAX: u32 = 512;
/// noq 1.4.0 ends connections with larger ones under load ("too many gaps in stream buffer").
const STREAM_WINDOW_BYTES: u32 = 2 * 1024 * 1024;
/// What a peer can make us hold of all its streams.
const RECEIVE_WINDOW_BYTES: u32 = 16 * 1024 * 1024;

/// Binds the endpoint. Nothing here waits for the network.
pub(crate) async fn bind(
    key: SecretKey,
    wanted: Option<SocketAddr>,
    relays: &Relays,
    data: &FilePath,
) -> Result<Endpoint> {
    let idle = IdleTimeout::try_from(IDLE_TIMEOUT).context("idle timeout")?;
    let transport = QuicTransportConfig::builder()
        .max_idle_timeout(Some(idle))
        .keep_alive_interval(KEEP_ALIVE)
        .default_path_max_idle_timeout(PATH_IDLE_TIMEOUT)
        .default_path_keep_alive_interval(KEEP_ALIVE)
        .max_concurrent_bidi_streams(VarInt::from_u32(STREAMS_MAX))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW_BYTES))
        .receive_window(VarInt::from_u32(RECEIVE_WINDOW_BYTES))
        .send_window(u64::from(RECEIVE_WINDOW_BYTES))
        .congestion_controller_factory(Arc::new(Unpaced::default()))
        .build();
    let builder = || {
        Endpoint::builder(presets::Minimal)
            .secret_key(key.clone())
            .alpns([wire::ALPN, wire::pair::ALPN, wire::LOOK_ALPN].map(<[u8]>::to_vec).to_vec())
            .relay_mode(relays.mode())
            .ca_tls_config(relays.tls())
            .transport_config(transport.clone())
    };
    if let Some(address) = wanted {
        let bound = builder().bind_addr(address).context("bind address")?.bind().await;
        return bound.with_context(|| format!("cannot listen for peers on UDP {address}"));
    }
    // The port of the last start: peers on the LAN remember it.
    let file = data.join("port");
    let last = std::fs::read_to_string(&file).ok().and_then(|text| text.trim().parse().ok());
    if let Some(port) = last {
        let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
        if let Ok(endpoint) = builder().bind_addr(address).context("bind address")?.bind().await {
            return Ok(endpoint);
        }
    }
    let endpoint = builder().bind().await.context("cannot listen for peers")?;
    if let Some(socket) = endpoint.bound_sockets().iter().find(|socket| socket.is_ipv4()) {
        std::fs::write(&file, socket.port().to_string())
            .with_context(|| file.display().to_string())?;
    }
    Ok(endpoint)
}

/// How to dial a peer.
pub(crate) fn address(peer: PeerId, reach: &Reach) -> EndpointAddr {
    let relays = reach.relays.iter().map(relays::url).map(TransportAddr::Relay);
    let direct = reach.addresses.iter().copied().map(TransportAddr::Ip);
    EndpointAddr::from_parts(peer, direct.chain(relays))
}

/// The live connections, the latest of each peer last.
#[derive(Debug, Default)]
pub(crate) struct Links(Mutex<BTreeMap<PeerId, Vec<Connection>>>);

impl Links {
    pub(crate) fn add(&self, connection: &Connection) {
        self.lock().entry(connection.remote_id()).or_default().push(connection.clone());
    }

    /// Says whether it was the last one of its peer.
    pub(crate) fn remove(&self, connection: &Connection) -> bool {
        let mut links = self.lock();
        let Some(of_peer) = links.get_mut(&connection.remote_id()) else { return true };
        of_peer.retain(|known| known.stable_id() != connection.stable_id());
        let last = of_peer.is_empty();
        if last {
            links.remove(&connection.remote_id());
        }
        last
    }

    pub(crate) fn latest(&self, peer: &PeerId) -> Option<Connection> {
        self.lock().get(peer)?.last().cloned()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<PeerId, Vec<Connection>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps a connection and its best path, for as long as it lasts.
pub(crate) async fn tend(inner: &Inner, connection: &Connection) -> Infallible {
    tokio::select! {
        never = ask_when_silent(connection) => never,
        never = watch_direct(connection) => never,
        never = seek_direct(inner, connection) => never,
    }
}

/// Asks a silent peer for a sign of life.
///
/// noq 1.4.0 waits longer and longer between its own probes (up to 5 s after 10 s of silence), so
/// that a link that is back would be noticed after the idle timeout had ended the connection.
/// A datagram, which nobody reads, makes the peer acknowledge, and everything lost is sent again.
async fn ask_when_silent(connection: &Connection) -> Infallible {
    let mut heard = connection.stats().udp_rx.datagrams;
    let mut wait = SILENCE;
    loop {
        tokio::time::sleep(wait).await;
        let now = connection.stats().udp_rx.datagrams;
        if now != heard {
            (heard, wait) = (now, SILENCE);
            continue;
        }
        wait = ASK;
        ask(connection);
    }
}

/// Keeps the direct path busy while a relay stands by, so that its end is noticed in
/// [`PATH_IDLE_TIMEOUT`]. A connection with one path has nothing to change to, and is left alone.
async fn watch_direct(connection: &Connection) -> Infallible {
    let mut changes = connection.paths_stream();
    let mut heard = 0;
    loop {
        // the answers of the side that dialled are enough for both
        let watched = connection.side().is_client() && in_reserve(connection);
        let Some(now) = heard_directly(connection).filter(|_| watched) else {
            changed(&mut changes).await;
            continue;
        };
        if now == heard {
            ask(connection);
        }
        heard = now;
        tokio::select! {
            () = tokio::time::sleep(WATCH) => {}
            () = changed(&mut changes) => {}
        }
    }
}

/// Looks for a direct path while data goes by a relay.
///
/// iroh 1.4.1 tries once when a path is lost and then every 60 s, except that a new connection
/// makes it try at once, for all connections to that peer. So the side that dialled dials anew,
/// with a connection that carries nothing ([`wire::LOOK_ALPN`]).
async fn seek_direct(inner: &Inner, connection: &Connection) -> Infallible {
    let mut changes = connection.paths_stream();
    loop {
        let mut pause = LOOK.0;
        let relayed_since = Instant::now();
        while connection.side().is_client() && is_relayed(connection) {
            tokio::select! {
                () = tokio::time::sleep(pause) => look(inner, connection).await,
                () = changed(&mut changes) => continue,
            }
            if relayed_since.elapsed() > LOOK_EAGERLY {
                pause = (pause * 2).min(LOOK.1);
            }
        }
        changed(&mut changes).await;
    }
}

async fn look(inner: &Inner, connection: &Connection) {
    let peer = connection.remote_id();
    let reach = inner.shared.look(|core| core.peers.get(&peer).map(|p| p.reach.clone()));
    let address = address(peer, &reach.unwrap_or_default());
    let looked = async {
        let second = inner.endpoint.connect(address, wire::LOOK_ALPN).await.ok()?;
        let mut changes = connection.paths_stream();
        while is_relayed(connection) {
            changed(&mut changes).await;
        }
        second.close(0u32.into(), b"found");
        Some(())
    };
    // what is found later is taken as well
    let _ = tokio::time::timeout(LOOK_TIMEOUT, looked).await;
}

/// A datagram that nobody reads, and that the peer acknowledges.
fn ask(connection: &Connection) {
    // a connection that ends takes whoever asks with it
    let _ = connection.send_datagram(Bytes::from_static(b"?"));
}

/// The next change of the paths; never, when the connection has ended.
async fn changed(changes: &mut PathListStream<'_>) {
    if changes.next().await.is_none() {
        std::future::pending().await
    }
}

fn in_reserve(connection: &Connection) -> bool {
    connection.paths().iter().any(|path| path.is_relay())
}

fn is_relayed(connection: &Connection) -> bool {
    connection.paths().iter().any(|path| path.is_relay() && path.is_selected())
}

/// Packets that came by the direct path in use, if there is one.
fn heard_directly(connection: &Connection) -> Option<u64> {
    let paths = connection.paths();
    let path = paths.iter().find(|path| path.is_selected() && path.is_ip())?;
    Some(path.stats().udp_rx.datagrams)
}

/// Opens a stream to a peer.
pub(crate) async fn open(connection: &Connection, priority: Priority) -> std::io::Result<Duplex> {
    let (send, receive) = connection.open_bi().await.map_err(std::io::Error::other)?;
    send.set_priority(priority as i32).map_err(std::io::Error::other)?;
    Ok(Duplex::new(receive, send))
}

/// Opens further streams to the same peer.
pub(crate) fn opener(connection: &Connection) -> link::Opener {
    let connection = connection.clone();
    link::Opener::new(move |priority| {
        let connection = connection.clone();
        Box::pin(async move { open(&connection, priority).await })
    })
}

/// All paths of a connection.
pub(crate) fn candidates(connection: &Connection) -> Vec<Candidate> {
    let paths = connection.paths();
    let candidates = paths.iter().map(|path| Candidate {
        kind: path_kind(path.remote_addr()),
        remote: remote_text(path.remote_addr()),
        rtt_ms: path.rtt().as_secs_f64() * 1000.0,
        selected: path.is_selected(),
    });
    candidates.collect()
}

/// The path that data takes now, and its address where it has one.
pub(crate) fn selected(connection: &Connection) -> (Option<Path>, Option<SocketAddr>) {
    let paths = connection.paths();
    let Some(path) = paths.iter().find(|path| path.is_selected()) else { return (None, None) };
    let address = match path.remote_addr() {
        TransportAddr::Ip(address) => Some(*address),
        _ => None,
    };
    let shown = Path {
        kind: path_kind(path.remote_addr()),
        remote: remote_text(path.remote_addr()),
        rtt_ms: path.rtt().as_secs_f64() * 1000.0,
    };
    (Some(shown), address)
}

fn remote_text(address: &TransportAddr) -> String {
    match address {
        TransportAddr::Ip(address) => address.to_string(),
        TransportAddr::Relay(url) => url.to_string(),
        other => format!("{other:?}"),
    }
}

fn path_kind(address: &TransportAddr) -> PathKind {
    match address {
        TransportAddr::Ip(address) if is_near(address.ip()) => PathKind::Lan,
        TransportAddr::Ip(_) => PathKind::Direct,
        _ => PathKind::Relay,
    }
}

/// Addresses that do not leave a local network.
fn is_near(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_private() || ip.is_loopback() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}
