//! The connections to peers: the endpoint, who is connected, streams over it.

use crate::congestion::Unpaced;
use crate::core::PeerId;
use crate::dialing;
use crate::lookup::Lookup;
use crate::peers::Reach;
use crate::relays::Relays;
use crate::view::{OpenPath, Path, PathKind};
use anyhow::{Context, Result};
use iroh::endpoint::{
    Connection, ConnectionError, IdleTimeout, LocalTransportAddr, QuicTransportConfig, ReadError,
    VarInt, WriteError, presets,
};
use iroh::{Endpoint, EndpointAddr, SecretKey, TransportAddr};
use link::Duplex;
use link::race::{Kind, Kinds};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path as FilePath;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use wire::Priority;

/// A peer that says nothing for so long is gone. Longer than a cable that is put right back.
const IDLE_TIMEOUT: Duration = Duration::from_secs(14);
/// Three of these fit into the idle timeout.
const KEEP_ALIVE: Duration = Duration::from_secs(4);
/// A path without a packet for so long is given up for another one. It does not count for the
/// last path of a connection, which noq keeps until [`IDLE_TIMEOUT`].
const PATH_IDLE_TIMEOUT: Duration = Duration::from_millis(1700);
/// The code that ends a silent connection when there is a new one.
const SUPERSEDED: u32 = 409;
/// The code of a connection that nobody kept: of two that were dialled at once, the slower.
const DROPPED: u32 = 0;
/// The code that ends all connections of a hub that stops, and what runs over them.
const STOPPED: u32 = 503;

/// Between peers, and what strangers may speak.
const ALPNS: [&[u8]; 4] = [wire::ALPN, wire::pair::ALPN, wire::pair::code::ALPN, wire::LOOK_ALPN];

/// Streams that a peer may have open: 16 devices with all 31 endpoints.
const STREAMS_MAX: u32 = 512;
/// noq 1.4.0 ends connections with larger ones under load ("too many gaps in stream buffer").
const STREAM_WINDOW_BYTES: u32 = 2 * 1024 * 1024;
/// What a peer can make us hold of all its streams.
const RECEIVE_WINDOW_BYTES: u32 = 16 * 1024 * 1024;

/// By what ways peers are reached.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ways<'a> {
    pub(crate) relays: &'a Relays,
    pub(crate) lookup: Option<&'a Lookup>,
    pub(crate) only: Kinds,
}

/// Binds the endpoint. Nothing here waits for the network.
pub(crate) async fn bind(
    key: SecretKey,
    wanted: Option<SocketAddr>,
    Ways { relays, lookup, only }: Ways<'_>,
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
        let builder = Endpoint::builder(presets::Minimal)
            .secret_key(key.clone())
            .alpns(ALPNS.map(<[u8]>::to_vec).to_vec())
            .relay_mode(relays.mode())
            .ca_tls_config(relays.tls())
            .transport_config(transport.clone());
        match lookup {
            Some(lookup) => lookup.added(builder, relays),
            None => builder,
        }
    };
    if !only.has(Kind::Lan) && !only.has(Kind::Direct) {
        return builder().clear_ip_transports().bind().await.context("cannot listen for peers");
    }
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

/// How to dial a peer, as far as may be.
pub(crate) async fn address(peer: PeerId, reach: &Reach, only: Kinds) -> EndpointAddr {
    let ways = dialing::targets(reach, reach.addresses().await);
    EndpointAddr::from_parts(peer, ways.into_iter().filter(|way| only.has(dialing::kind(way))))
}

/// The live connections, the latest of each peer last.
#[derive(Debug, Default)]
pub(crate) struct Links(Mutex<BTreeMap<PeerId, Vec<Live>>>);

#[derive(Debug)]
struct Live {
    connection: Connection,
    /// It was asked for a sign of life, more than once, and gave none.
    silent: bool,
}

impl Links {
    /// Takes in a new connection. A silent one to the same peer ends for it: what ran over that
    /// goes on over the new one.
    pub(crate) fn add(&self, connection: &Connection) {
        let mut links = self.lock();
        let of_peer = links.entry(connection.remote_id()).or_default();
        for old in of_peer.iter().filter(|old| old.silent) {
            old.connection.close(SUPERSEDED.into(), b"superseded");
        }
        of_peer.push(Live { connection: connection.clone(), silent: false });
    }

    /// Ends all, and what runs over them: the hub stops.
    pub(crate) fn stop(&self) {
        for live in self.lock().values().flatten() {
            live.connection.close(STOPPED.into(), b"the hub stops");
        }
    }

    /// Says whether it was the last one of its peer.
    pub(crate) fn remove(&self, connection: &Connection) -> bool {
        let mut links = self.lock();
        let Some(of_peer) = links.get_mut(&connection.remote_id()) else { return true };
        of_peer.retain(|known| known.connection.stable_id() != connection.stable_id());
        let last = of_peer.is_empty();
        if last {
            links.remove(&connection.remote_id());
        }
        last
    }

    pub(crate) fn latest(&self, peer: &PeerId) -> Option<Connection> {
        self.lock().get(peer)?.last().map(|live| live.connection.clone())
    }

    /// Whether nothing is heard from a peer, over any of its connections, and has not been for a
    /// while. Says no where there is no connection.
    pub(crate) fn is_silent(&self, peer: &PeerId) -> bool {
        self.lock().get(peer).is_some_and(|of_peer| of_peer.iter().all(|live| live.silent))
    }

    /// Notes whether a connection is silent. Says whether that is new. A silent one with a newer
    /// one beside it ends: a hub that was killed and started again dials before it is missed.
    pub(crate) fn note(&self, connection: &Connection, silent: bool) -> bool {
        let mut links = self.lock();
        let of_peer = links.get_mut(&connection.remote_id()).map_or(&mut [][..], Vec::as_mut_slice);
        let is_it = |live: &Live| live.connection.stable_id() == connection.stable_id();
        let Some(at) = of_peer.iter().position(is_it) else { return false };
        let new = std::mem::replace(&mut of_peer[at].silent, silent) != silent;
        if new && silent && of_peer[at + 1..].iter().any(|newer| !newer.silent) {
            connection.close(SUPERSEDED.into(), b"superseded");
        }
        new
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<PeerId, Vec<Live>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens a stream to a peer.
pub(crate) async fn open(connection: &Connection, priority: Priority) -> std::io::Result<Duplex> {
    let (send, receive) = connection.open_bi().await.map_err(std::io::Error::other)?;
    send.set_priority(priority as i32).map_err(std::io::Error::other)?;
    Ok(Duplex::new(receive, send))
}

/// For how long the peer had been silent when a stream broke because its connection did, and the
/// peer did not mean to end what runs over it; `None` when it did. What this hub means to end, it
/// ends itself.
pub(crate) fn cut(error: &std::io::Error) -> Option<Duration> {
    if error.kind() == std::io::ErrorKind::TimedOut {
        return Some(Duration::ZERO); // of ours: a stream that took too long
    }
    let inner = error.get_ref()?;
    let of_reader = inner.downcast_ref().and_then(|error| match error {
        ReadError::ConnectionLost(why) => Some(why),
        _ => None,
    });
    let of_writer = || {
        inner.downcast_ref().and_then(|error| match error {
            WriteError::ConnectionLost(why) => Some(why),
            _ => None,
        })
    };
    match of_reader.or_else(of_writer).or_else(|| inner.downcast_ref::<ConnectionError>())? {
        ConnectionError::ApplicationClosed(close) => {
            let cuts = [DROPPED, SUPERSEDED].map(VarInt::from_u32);
            cuts.contains(&close.error_code).then_some(Duration::ZERO)
        }
        ConnectionError::TimedOut => Some(IDLE_TIMEOUT),
        _ => Some(Duration::ZERO),
    }
}

/// All paths of a connection.
pub(crate) fn open_paths(connection: &Connection) -> Vec<OpenPath> {
    let paths = connection.paths();
    let open = paths.iter().map(|path| OpenPath {
        kind: path_kind(path.remote_addr()),
        remote: remote_text(path.remote_addr()),
        local: local_text(path.local_addr()),
        rtt_ms: path.rtt().as_secs_f64() * 1000.0,
        selected: path.is_selected(),
    });
    open.collect()
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
        local: local_text(path.local_addr()),
        since: None,
        loss: None,
        in_bytes_per_s: 0,
        out_bytes_per_s: 0,
    };
    (Some(shown), address)
}

fn local_text(address: &LocalTransportAddr) -> Option<String> {
    match address {
        LocalTransportAddr::Ip(address) => address.map(|ip| ip.to_string()),
        _ => None,
    }
}

pub(crate) fn remote_text(address: &TransportAddr) -> String {
    match address {
        TransportAddr::Ip(address) => address.to_string(),
        TransportAddr::Relay(url) => url.to_string(),
        other => format!("{other:?}"),
    }
}

pub(crate) fn path_kind(address: &TransportAddr) -> PathKind {
    match address {
        TransportAddr::Ip(address) if is_near(address.ip()) => PathKind::Lan,
        TransportAddr::Ip(_) => PathKind::Direct,
        _ => PathKind::Relay,
    }
}

/// Addresses that do not leave a local network.
pub(crate) fn is_near(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_private() || ip.is_loopback() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}
