//! Keeping a connection, and its best path.
//!
//! Three things that noq and iroh 1.4.1 leave to their user: a connection that is silent is asked
//! for a sign of life soon, and often; a direct path with a relay in reserve is watched, so that
//! its end is noticed; and while data goes by a relay, a direct path is looked for.

use crate::{Inner, links};
use bytes::Bytes;
use futures_util::StreamExt;
use iroh::endpoint::{Connection, PathListStream};
use link::race::Kind;
use std::convert::Infallible;
use std::time::{Duration, Instant};

/// A connection without a packet for so long is asked whether it is there: more than its
/// keep-alive, so that one that is well is never asked.
const SILENCE: Duration = Duration::from_secs(5);
/// How often it is asked.
const ASK: Duration = Duration::from_secs(1);
/// So many times it is asked before another connection is tried.
const ASKS: u32 = 2;
/// How often a direct path with a relay in reserve carries a packet: three fit into the time after
/// which a path is given up.
const WATCH: Duration = Duration::from_millis(500);
/// How often a direct path is looked for: iroh tries again after 5 s at the earliest.
const LOOK: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(60));
/// For so long as often as that: whatever took the path away may be over soon.
const LOOK_EAGERLY: Duration = Duration::from_secs(120);
/// One look. The peer holds the connection for as long.
pub(crate) const LOOK_TIMEOUT: Duration = Duration::from_secs(3);

/// Keeps a connection and its best path, for as long as it lasts.
pub(crate) async fn tend(inner: &Inner, connection: &Connection) -> Infallible {
    tokio::select! {
        never = ask_when_silent(inner, connection) => never,
        never = watch_direct(connection) => never,
        never = seek_direct(inner, connection) => never,
    }
}

/// Asks a silent peer for a sign of life, for as long as the connection lasts.
///
/// noq 1.4.0 waits longer and longer between its own probes (up to 5 s after 10 s of silence), so
/// that a link that is back would be noticed after the idle timeout had ended the connection.
/// A datagram, which nobody reads, makes the peer acknowledge, and everything lost is sent again.
/// When that does not help either, the connection is noted as silent, which whoever waits for the
/// peer learns: a new one may find another way.
async fn ask_when_silent(inner: &Inner, connection: &Connection) -> Infallible {
    let mut heard = connection.stats().udp_rx.datagrams;
    let (mut wait, mut asked) = (SILENCE, 0);
    loop {
        tokio::time::sleep(wait).await;
        let now = connection.stats().udp_rx.datagrams;
        if now != heard {
            (heard, wait, asked) = (now, SILENCE, 0);
            if inner.links.note(connection, false) {
                inner.shared.change(|_| ());
            }
            continue;
        }
        if asked >= ASKS && inner.links.note(connection, true) {
            inner.shared.change(|_| ());
        }
        (wait, asked) = (ASK, asked + 1);
        ask(connection);
    }
}

/// Keeps the direct path busy while a relay stands by, so that its end is noticed in
/// time. A connection with one path has nothing to change to, and is left alone.
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
    if !inner.only.has(Kind::Lan) && !inner.only.has(Kind::Direct) {
        return std::future::pending().await;
    }
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
    let address = links::address(peer, &reach.unwrap_or_default(), inner.only).await;
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
