//! Reaching peers: every address of a peer is a candidate of a race, again and again until there
//! is a connection.
//!
//! How the race goes over iroh 1.4 (`socket/remote_map/remote_state.rs`): a connection attempt is
//! `Endpoint::connect` with the address of its candidate alone. iroh remembers every address that
//! it was ever told of a peer and sends the first packets of *each* attempt to *all* of them, so an
//! attempt may be answered from the address of another candidate. Therefore the winner is read
//! from the connection, not from the attempt: whose address its first path has. What the report
//! says of the others is what the race saw: nobody answered from there until then. Attempts that
//! lose are dropped, which closes them.
//!
//! After the handshake iroh takes over: it opens further paths of the same connection, punches
//! holes, chooses the best, and leaves those that die. That is no race of ours: [`watch_path`]
//! tells it as events (opened, selected, closed).
//!
//! A peer that was there a moment ago is dialled all the time, with short tries; one that stays
//! away less and less often. When the network of this computer changes, at once.

use crate::core::{Core, PeerId};
use crate::linking::{NOT_A_PEER, REMOVED, linked};
use crate::peers::Reach;
use crate::view::{PathKind, RaceReason};
use crate::{Inner, links, relays};
use anyhow::{Context, Result};
use futures_util::StreamExt;
use iroh::endpoint::{Connection, ConnectionError};
use iroh::{EndpointAddr, TransportAddr};
use jiff::Timestamp;
use link::race::{self, Answer, Candidate, Kind, Pace, Race, Report, Rtt, State};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// After a loss, or a change of the network, tries follow each other like this: a cable that is
/// mended is noticed within a second and a bit.
const QUICK: Duration = Duration::from_millis(250);
/// For so long; devices in use wait no longer.
const QUICK_FOR: Duration = Duration::from_secs(60);
/// One race of these.
const QUICK_RACE: Duration = Duration::from_secs(3);
/// A race that has lasted for so long ends when there is a new address to try: not sooner, or
/// whoever announces one after the other would let none succeed.
const RACE_MIN: Duration = Duration::from_secs(2);
/// Between tries after that, doubling from the first to the last.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// A connection that lived for so long was a good one: the next try comes soon.
const STEADY: Duration = Duration::from_secs(5);
/// How often the counters of a connection are read while nobody looks.
const MEASURED: Duration = Duration::from_secs(5);
/// Closing code: the settings do not allow this kind of path.
pub(crate) const NOT_THIS_WAY: u32 = 451;

/// How a try ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tried {
    Silent,
    /// Connected, and closed again soon: a hub that does not know us ends each connection at once.
    Brief,
    Connected,
    NetworkChanged,
    Removed,
}

/// When to try next.
#[derive(Debug)]
struct Retry {
    quick_until: Instant,
    wait: Duration,
}

impl Retry {
    fn fresh(now: Instant) -> Self {
        Self { quick_until: now + QUICK_FOR, wait: RETRY.0 }
    }

    fn is_quick(&self, now: Instant) -> bool {
        now < self.quick_until
    }

    /// `jitter` is from 0 to 1: hubs that lost each other together do not come back together.
    fn pause(&mut self, now: Instant, tried: Tried, jitter: f64) -> Duration {
        let quick = tried == Tried::Silent && self.is_quick(now);
        let wait = if quick { QUICK } else { self.wait };
        if !quick {
            self.wait = (self.wait * 2).min(RETRY.1);
        }
        wait.mul_f64(0.75 + jitter * 0.5).min(RETRY.1)
    }
}

/// Dials a peer whenever there is no connection, for as long as it is a peer.
pub(crate) async fn keep_reached(inner: Arc<Inner>, peer: PeerId) {
    let known = inner.shared.look(|core| core.peers.get(&peer).map(|known| known.removed.clone()));
    let Some(removed) = known else { return };
    let mut network = inner.network.subscribe();
    let mut retry = Retry::fresh(Instant::now());
    loop {
        let tried = match inner.links.latest(&peer) {
            Some(_) if !inner.links.is_silent(&peer) => stay(&inner, &peer, &removed).await,
            // one that is silent does not keep another from being tried
            Some(_) | None => {
                network.mark_unchanged();
                let quick = retry.is_quick(Instant::now());
                dial(&inner, &peer, &removed, &mut network, quick).await
            }
        };
        match tried {
            Tried::Removed => return inner.paths.forget(&peer),
            Tried::Connected | Tried::NetworkChanged => {
                retry = Retry::fresh(Instant::now());
                continue;
            }
            Tried::Silent | Tried::Brief => {}
        }
        let news = news(&inner, &peer);
        tokio::select! {
            () = tokio::time::sleep(retry.pause(Instant::now(), tried, rand::random())) => {}
            () = reached(&inner, &peer) => tokio::time::sleep(RETRY.0).await,
            // somebody says where it is: not more often than the first tries
            () = news => tokio::time::sleep(RETRY.0).await,
            _ = network.changed() => retry = Retry::fresh(Instant::now()),
            () = removed.cancelled() => return inner.paths.forget(&peer),
        }
    }
}

/// While there is a connection over which something is heard.
async fn stay(inner: &Inner, peer: &PeerId, removed: &CancellationToken) -> Tried {
    let began = Instant::now();
    // the connection's own task takes it out of the links
    let lost = inner.shared.until(|core| {
        let offline = core.peers.get(peer).is_none_or(|known| !known.online);
        (offline || inner.links.is_silent(peer)).then_some(())
    });
    tokio::select! {
        () = lost => {}
        () = removed.cancelled() => return Tried::Removed,
    }
    if began.elapsed() > STEADY { Tried::Connected } else { Tried::Brief }
}

/// Resolves while there is a connection to the peer over which something is heard.
async fn reached(inner: &Inner, peer: &PeerId) {
    let reached =
        |core: &Core| (core.peers.get(peer)?.online && !inner.links.is_silent(peer)).then_some(());
    inner.shared.until(reached).await;
}

/// Resolves when there is an address of the peer that may be worth a try.
async fn news(inner: &Inner, peer: &PeerId) {
    let count = |core: &Core| core.peers.get(peer).map(|known| known.reach.news);
    let known = inner.shared.look(count);
    inner.shared.until(|core| (count(core) != known).then_some(())).await;
}

/// One race for a peer, and the first while of the connection.
async fn dial(
    inner: &Arc<Inner>,
    peer: &PeerId,
    removed: &CancellationToken,
    network: &mut watch::Receiver<u64>,
    quick: bool,
) -> Tried {
    let reach = inner.shared.look(|core| core.peers.get(peer).map(|p| p.reach.clone()));
    let reach = reach.unwrap_or_default();
    let began = tokio::time::Instant::now();
    let targets = targets(&reach, reach.addresses().await);
    let racing = race(inner, peer, &reach, &targets, pace(&reach, quick, targets.len()));
    let news = async {
        news(inner, peer).await;
        tokio::time::sleep_until(began + RACE_MIN).await;
    };
    let given_up = |reason| inner.paths.of(peer, |known| known.given_up(reason));
    let (won, report) = tokio::select! {
        ended = racing => ended,
        () = reached(inner, peer) => {
            given_up(RaceReason::PeerCame);
            return Tried::Connected;
        }
        () = news => {
            given_up(RaceReason::NewAddress);
            return Tried::NetworkChanged;
        }
        _ = network.changed() => {
            given_up(RaceReason::NetworkChanged);
            return Tried::NetworkChanged;
        }
        () = removed.cancelled() => return Tried::Removed,
    };
    let Some(connection) = won else {
        let count = report.candidates.iter().filter(|one| one.tries > 0).count();
        let error = match count {
            0 => "no address of it is known that may be dialled".to_owned(),
            1 => "it does not answer at its only address".to_owned(),
            count => format!("it does not answer at any of {count} addresses"),
        };
        fail(inner, peer, error);
        return Tried::Silent;
    };
    tracing::debug!(peer = %peer.fmt_short(), "dialled");
    if let Err(error) = remember(inner, peer, &targets, &report).await {
        tracing::warn!("what worked is not remembered: {error:#}");
    }
    inner.tasks.spawn(linked(inner.clone(), connection.clone()));
    match tokio::time::timeout(STEADY, connection.closed()).await {
        Ok(ConnectionError::ApplicationClosed(close))
            if [NOT_A_PEER, REMOVED].map(u64::from).contains(&close.error_code.into_inner()) =>
        {
            inner.paths.of(peer, |known| known.refused = true);
            // the connection's own task may not have noted yet that it is over
            inner
                .shared
                .until(|core| core.peers.get(peer).is_none_or(|p| !p.online).then_some(()))
                .await;
            fail(inner, peer, "it does not know this hub any more".to_owned());
            Tried::Brief
        }
        Ok(_) => Tried::Brief,
        Err(_) => Tried::Connected,
    }
}

/// Notes why a peer cannot be reached.
fn fail(inner: &Inner, peer: &PeerId, error: String) {
    inner.shared.change(|core| {
        if let Some(known) = core.peers.get_mut(peer).filter(|known| !known.online) {
            known.error = Some(error);
        }
    });
}

async fn race(
    inner: &Inner,
    peer: &PeerId,
    reach: &Reach,
    targets: &[TransportAddr],
    pace: Pace,
) -> (Option<Connection>, Report) {
    let candidates = targets.iter().enumerate().map(|(at, target)| {
        let (kind, key) = (kind(target), links::remote_text(target));
        Candidate {
            kind,
            weight: reach.history.weigh(&key, weight(kind)),
            last_good: reach.history.last() == Some(&key),
            targets: vec![at],
        }
    });
    let race = Race::new(candidates.collect(), inner.only, pace);
    let shown = |target: &TransportAddr| (links::path_kind(target), links::remote_text(target));
    let addresses: Vec<(PathKind, String)> = targets.iter().map(shown).collect();
    let at = Timestamp::now().to_string();
    let seen = |report: &Report| {
        inner.paths.of(peer, |known| known.raced(&at, &addresses, report));
    };
    let known: Arc<[TransportAddr]> = targets.into();
    let dial = |at: usize| {
        let (endpoint, known, peer) = (inner.endpoint.clone(), known.clone(), *peer);
        async move {
            let address = EndpointAddr::from_parts(peer, [known[at].clone()]);
            let connection = endpoint.connect(address, wire::ALPN).await;
            let connection =
                connection.map_err(|error| format!("{:#}", anyhow::Error::from(error)))?;
            let first = connection.paths().iter().next().map(|path| path.remote_addr().clone());
            let path = links::open_paths(&connection).into_iter().next();
            let by = first.and_then(|first| known.iter().position(|known| *known == first));
            let (local, remote) = path.map(|path| (path.local, path.remote)).unzip();
            Ok(Answer { brought: connection, local: local.flatten(), remote, by })
        }
    };
    let (won, report) = race::run(race, dial, |report| seen(&report)).await;
    seen(&report);
    (won, report)
}

/// Notes which address worked, and which did not although the peer was there.
async fn remember(
    inner: &Inner,
    peer: &PeerId,
    targets: &[TransportAddr],
    report: &Report,
) -> Result<()> {
    let reach = inner.shared.change(|core| {
        let known = core.peers.get_mut(peer)?;
        for one in &report.candidates {
            let key = links::remote_text(&targets[one.index]);
            match one.state {
                State::Success => known.reach.history.succeeded(key),
                State::Failed => known.reach.history.failed(key),
                State::Pending | State::Running | State::Cancelled => {}
            }
        }
        Some(known.reach.clone())
    });
    store(inner, peer, reach).await
}

async fn store(inner: &Inner, peer: &PeerId, reach: Option<Reach>) -> Result<()> {
    let Some(reach) = reach else { return Ok(()) };
    inner.store.set_reach(&peer.to_string(), &serde_json::to_string(&reach)?).await?;
    Ok(())
}

/// All that can be dialled of a peer.
pub(crate) fn targets(reach: &Reach, addresses: Vec<SocketAddr>) -> Vec<TransportAddr> {
    let direct = addresses.into_iter().map(|address| {
        TransportAddr::Ip(SocketAddr::new(address.ip().to_canonical(), address.port()))
    });
    let relays = reach.relays.iter().map(relays::url).map(TransportAddr::Relay);
    direct.chain(relays).collect()
}

pub(crate) fn kind(target: &TransportAddr) -> Kind {
    match links::path_kind(target) {
        PathKind::Lan => Kind::Lan,
        PathKind::Direct => Kind::Direct,
        PathKind::Relay => Kind::Relay,
    }
}

/// What is not known to work weighs half, see [`race::History`]: so a relay that always worked
/// goes before a local address that mostly failed, but not before a new one.
fn weight(kind: Kind) -> u32 {
    match kind {
        Kind::Lan => 400,
        Kind::Direct => 300,
        Kind::Relay => 100,
        Kind::Other => 0,
    }
}

fn pace(reach: &Reach, quick: bool, count: usize) -> Pace {
    let pace = Pace::of(reach.rtt_us.map(|us| Rtt::first(Duration::from_micros(us))));
    if quick {
        // long enough for each to have a try
        let turns = count.div_ceil(pace.at_once_max) as u32;
        let deadline = QUICK_RACE.max(pace.timeout * turns);
        return Pace { deadline, timeout_max: pace.timeout, ..pace };
    }
    pace
}

/// Notes how the peer is reached, and remembers addresses that work.
pub(crate) async fn watch_path(inner: Arc<Inner>, connection: Connection) -> Result<()> {
    let peer = connection.remote_id();
    let mut rtt_us = None;
    let followed = follow_paths(&inner, &connection, &mut rtt_us).await;
    inner.paths.disconnected(&peer, &connection);
    let reach = inner.shared.change(|core| {
        let known = core.peers.get_mut(&peer)?;
        known.reach.rtt_us = rtt_us.or(known.reach.rtt_us);
        Some(known.reach.clone())
    });
    store(&inner, &peer, reach).await?;
    followed
}

/// Until the connection ends.
async fn follow_paths(
    inner: &Inner,
    connection: &Connection,
    rtt_us: &mut Option<u64>,
) -> Result<()> {
    let peer = connection.remote_id();
    let mut events = connection.path_events();
    let mut tick = tokio::time::interval(MEASURED);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    inner.paths.of(&peer, |known| known.connected(connection));
    note_selected(inner, connection).await?;
    loop {
        tokio::select! {
            event = events.next() => {
                let event = event.context("no more paths")?;
                inner.paths.of(&peer, |known| known.happened(&event));
                note_selected(inner, connection).await?;
            }
            _ = tick.tick() => {
                inner.paths.of(&peer, |known| known.measure(connection));
                let path = links::selected(connection).0;
                *rtt_us = path.map(|path| (path.rtt_ms * 1000.0) as u64).or(*rtt_us);
            }
            _ = connection.closed() => return Ok(()),
        }
    }
}

async fn note_selected(inner: &Inner, connection: &Connection) -> Result<()> {
    let peer = connection.remote_id();
    let (path, address) = links::selected(connection);
    let paths = connection.paths();
    let selected = paths.iter().find(|path| path.is_selected());
    if selected.is_some_and(|path| !inner.only.has(kind(path.remote_addr()))) {
        tracing::warn!(peer = %peer.fmt_short(), "closed: the settings do not allow its path");
        connection.close(NOT_THIS_WAY.into(), b"not by this kind of path");
        return Ok(());
    }
    drop(paths);
    let reach = inner.shared.change(|core| {
        let known = core.peers.get_mut(&peer)?;
        known.path = path;
        address.is_some_and(|address| known.reach.worked(address)).then(|| known.reach.clone())
    });
    store(inner, &peer, reach).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_is_followed_by_quick_tries_and_then_by_fewer_and_fewer() {
        let began = Instant::now();
        let mut retry = Retry::fresh(began);
        for second in 0..60 {
            let pause = retry.pause(began + Duration::from_secs(second), Tried::Silent, 1.0);
            assert!(pause < Duration::from_millis(350), "{pause:?}");
        }
        let later = began + QUICK_FOR;
        let pauses = [0.0, 1.0].map(|jitter| {
            let mut retry = Retry::fresh(began);
            (0..20).map(move |_| retry.pause(later, Tried::Silent, jitter)).collect::<Vec<_>>()
        });
        for (early, late) in pauses[0].iter().zip(&pauses[1]) {
            assert!(early <= late && *late <= RETRY.1, "{early:?} {late:?}");
        }
        assert_eq!(pauses[1].last(), Some(&RETRY.1), "for ever, but not more seldom");
        assert!(pauses[0][19] >= RETRY.1 / 2);
    }

    #[test]
    fn a_hub_that_ends_every_connection_is_not_asked_all_the_time() {
        let now = Instant::now();
        let mut retry = Retry::fresh(now);
        let waits = [0; 4].map(|_| retry.pause(now, Tried::Brief, 0.5).as_millis());
        assert_eq!(waits, [500, 1000, 2000, 4000]);
    }

    #[test]
    fn what_worked_goes_before_what_should_be_better() {
        let mut reach = Reach {
            addresses: vec!["192.168.1.7:1".parse().unwrap(), "203.0.113.9:1".parse().unwrap()],
            relays: vec!["https://relay.example".parse().unwrap()],
            ..Reach::default()
        };
        let known = |reach: &Reach| targets(reach, reach.addresses.clone());
        let kinds: Vec<_> = known(&reach).iter().map(kind).collect();
        assert_eq!(kinds, [Kind::Lan, Kind::Direct, Kind::Relay]);
        let weigh = |reach: &Reach| {
            let key = |target: &TransportAddr| {
                reach.history.weigh(&links::remote_text(target), weight(kind(target)))
            };
            known(reach).iter().map(key).collect::<Vec<_>>()
        };
        assert!(weigh(&reach).is_sorted_by(|a, b| a > b));
        for _ in 0..9 {
            reach.history.failed("192.168.1.7:1".into());
            reach.history.succeeded("https://relay.example/".into());
        }
        let [lan, direct, relay] = weigh(&reach)[..] else { panic!() };
        assert!(direct > relay && relay > lan, "{lan} {direct} {relay}");
    }

    #[test]
    fn a_quick_race_has_time_for_a_try_of_each() {
        for (count, rtt_us) in [(1, None), (4, Some(300)), (12, None), (14, Some(900_000))] {
            let pace = pace(&Reach { rtt_us, ..Reach::default() }, true, count);
            let turns = pace.deadline.as_millis() / pace.timeout.as_millis();
            assert!(turns as usize * pace.at_once_max >= count, "{count} {pace:?}");
        }
        let near = pace(&Reach { rtt_us: Some(300), ..Reach::default() }, true, 3);
        assert_eq!((near.timeout.as_millis(), near.deadline), (1000, QUICK_RACE));
    }

    #[test]
    fn what_is_stored_of_before_is_still_read() {
        let stored = r#"{"addresses":["192.168.1.7:3482"],"relays":[]}"#;
        let reach: Reach = serde_json::from_str(stored).unwrap();
        assert_eq!(reach.addresses.len(), 1);
        let mut reach = Reach { rtt_us: Some(900), ..reach };
        reach.history.succeeded("192.168.1.7:3482".into());
        let stored = serde_json::to_string(&reach).unwrap();
        assert_eq!(serde_json::from_str::<Reach>(&stored).unwrap(), reach);
    }
}
