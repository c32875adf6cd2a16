//! What is known of the paths to each peer: how the last race went, what happened to the paths of
//! the connection since, and what goes over them.
//!
//! It is beside the core, since it changes all the time and nobody waits for it: people look at
//! it when they ask.

use crate::core::PeerId;
use crate::peers::Peer;
use crate::view::{self, CandidateState, PathChange, PathKind, RaceReason};
use crate::why::{self, Facts};
use crate::{Inner, dialing, links};
use iroh::Watcher;
use iroh::endpoint::{Connection, PathEvent};
use jiff::Timestamp;
use link::race::{self, Kind, Report};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Events kept of each peer.
const EVENTS_MAX: usize = 16;
/// Whoever looks sees what is no older than this.
const FRESH: Duration = Duration::from_millis(900);
/// Readings kept: the loss is that of the time between them.
const READINGS_MAX: usize = 11;
/// Of fewer packets no share is told.
const PACKETS_MIN: u64 = 20;

#[derive(Debug, Default)]
pub(crate) struct Paths(Mutex<BTreeMap<PeerId, Known>>);

#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) race: Option<view::Race>,
    pub(crate) events: VecDeque<view::PathEvent>,
    /// Whether the peer ended the last connection because it does not know this hub.
    pub(crate) refused: bool,
    /// Of each connection; there may be two for a while.
    meters: BTreeMap<usize, Meter>,
}

impl Paths {
    /// Looks at or changes what is known of a peer.
    pub(crate) fn of<R>(&self, peer: &PeerId, look: impl FnOnce(&mut Known) -> R) -> R {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        look(known.entry(*peer).or_default())
    }

    /// A connection ended.
    pub(crate) fn disconnected(&self, peer: &PeerId, connection: &Connection) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get_mut(peer) {
            known.meters.remove(&connection.stable_id());
        }
    }

    pub(crate) fn forget(&self, peer: &PeerId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(peer);
    }
}

impl Inner {
    /// Everything that is known of the way to a peer.
    pub(crate) fn path_report(&self, peer: &PeerId) -> view::PathReport {
        let link = self.links.latest(peer);
        let path = link.as_ref().and_then(|connection| self.path_of(connection));
        let (since, error, facts) = self.shared.look(|core| {
            let Some(known) = core.peers.get(peer) else { return (None, None, None) };
            let facts = self.facts(peer, known, path.as_ref().map(|path| path.kind));
            (known.since.map(|since| since.to_string()), known.error.clone(), Some(facts))
        });
        let (race, events) = self
            .paths
            .of(peer, |known| (known.race.clone(), known.events.iter().cloned().collect()));
        view::PathReport {
            online: link.is_some(),
            connected_since: since,
            error,
            path,
            open: link.as_ref().map(links::open_paths).unwrap_or_default(),
            race,
            events,
            why: facts.as_ref().map(why::why).unwrap_or_default(),
        }
    }

    /// The way that data takes on a connection now, and what was measured of it.
    pub(crate) fn path_of(&self, connection: &Connection) -> Option<view::Path> {
        let path = links::selected(connection).0?;
        let id = connection.stable_id();
        Some(self.paths.of(&connection.remote_id(), |known| {
            if known.meters.get(&id).is_some_and(|meter| !meter.is_fresh(Instant::now())) {
                known.measure(connection);
            }
            known.complete(id, path)
        }))
    }

    /// A relay that answers over TCP, and not over UDP, where it should: by iroh's last look at the
    /// network, which it takes when that changes, and every 20 to 26 s while it uses a relay.
    fn udp_unanswered(&self) -> Option<String> {
        let report = self.endpoint.net_report().get().filter(|report| !report.has_udp())?;
        let mut answering = report.relay_latency.iter();
        answering.find_map(|(_, url, _)| self.relays.tells_addresses(url))
    }

    fn facts(&self, peer: &PeerId, known: &Peer, kind: Option<PathKind>) -> Facts {
        let mine = self.endpoint.addr();
        let (refused, direct_lost_at) =
            self.paths.of(peer, |known| (known.refused, known.direct_lost_at()));
        let reach = &known.reach;
        let at_hand = reach.addresses.iter().chain(&reach.found).copied().collect();
        let targets = dialing::targets(reach, at_hand);
        let mut kinds: Vec<_> = targets.iter().map(dialing::kind).collect();
        kinds.retain(|kind| self.only.has(*kind));
        Facts {
            peer: known.name.to_string(),
            kind,
            only: self.only,
            // a name is looked up when it is dialled
            direct: kinds.iter().filter(|kind| **kind != Kind::Relay).count() + reach.named.len(),
            all: kinds.len() + reach.named.len(),
            any_address: !mine.is_empty(),
            udp_unanswered: self.udp_unanswered(),
            public_address: mine.ip_addrs().any(|address| !links::is_near(address.ip())),
            refused,
            direct_lost_at,
        }
    }
}

impl Known {
    /// How a race stands; each candidate is the address of that index.
    pub(crate) fn raced(&mut self, at: &str, addresses: &[(PathKind, String)], report: &Report) {
        let candidates = report.candidates.iter().map(|one| {
            let (kind, address) = &addresses[one.index];
            view::Candidate {
                kind: *kind,
                address: address.clone(),
                state: state(one.state),
                tries: one.tries,
                elapsed_ms: one.elapsed.as_secs_f64() * 1000.0,
                local: one.local.clone(),
                remote: one.remote.clone(),
                error: one.error.clone(),
            }
        });
        let reason = report.winner.map(|(_, reason)| reason_of(reason));
        self.race = Some(view::Race {
            at: at.to_owned(),
            elapsed_ms: report.elapsed.as_secs_f64() * 1000.0,
            over: report.over,
            reason: reason.or(report.over.then_some(RaceReason::NoAnswer)),
            candidates: candidates.collect(),
        });
    }

    /// A race was given up.
    pub(crate) fn given_up(&mut self, reason: RaceReason) {
        let Some(race) = self.race.as_mut().filter(|race| !race.over) else { return };
        (race.over, race.reason) = (true, Some(reason));
        for candidate in &mut race.candidates {
            if matches!(candidate.state, CandidateState::Pending | CandidateState::Running) {
                candidate.state = CandidateState::Cancelled;
            }
        }
    }

    /// There is a connection: its first paths opened before anybody could be told.
    pub(crate) fn connected(&mut self, connection: &Connection) {
        self.refused = false;
        for path in links::open_paths(connection) {
            let at = Timestamp::now().to_string();
            let (kind, remote, what) = (path.kind, path.remote, PathChange::Opened);
            let opened = view::PathEvent { at, what, kind, remote };
            self.note(opened.clone());
            if path.selected {
                self.note(view::PathEvent { what: PathChange::Selected, ..opened });
            }
        }
        self.measure(connection);
    }

    /// Something happened to a path of the connection.
    pub(crate) fn happened(&mut self, event: &PathEvent) {
        let (what, address) = match event {
            PathEvent::Opened { remote_addr, .. } => (PathChange::Opened, remote_addr),
            PathEvent::Selected { remote_addr, .. } => (PathChange::Selected, remote_addr),
            PathEvent::Closed { remote_addr, .. } => (PathChange::Closed, remote_addr),
            _ => return,
        };
        let (kind, remote) = (links::path_kind(address), links::remote_text(address));
        self.note(view::PathEvent { at: Timestamp::now().to_string(), what, kind, remote });
    }

    pub(crate) fn note(&mut self, event: view::PathEvent) {
        if self.events.len() == EVENTS_MAX {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }

    /// When the last path that was no relay closed, if none was opened since.
    pub(crate) fn direct_lost_at(&self) -> Option<String> {
        let mut direct = self.events.iter().rev().filter(|event| event.kind != PathKind::Relay);
        let last = direct.next()?;
        (last.what == PathChange::Closed).then(|| last.at.clone())
    }

    /// Reads the counters of a connection.
    pub(crate) fn measure(&mut self, connection: &Connection) {
        let paths = connection.paths();
        let stats = connection.stats();
        let selected = paths.iter().find(|path| path.is_selected());
        let (sent, lost) = selected.as_ref().map_or((0, 0), |path| {
            let stats = path.stats();
            (stats.sent_packets, stats.lost_packets)
        });
        let remote = selected.map(|path| links::remote_text(path.remote_addr()));
        let (in_bytes, out_bytes) = (stats.udp_rx.bytes, stats.udp_tx.bytes);
        let meter = self.meters.entry(connection.stable_id()).or_default();
        meter.take(remote, Reading { at: Instant::now(), in_bytes, out_bytes, sent, lost });
    }

    /// Adds what was measured to what is looked up: bytes of all connections, the rest of one.
    fn complete(&self, connection: usize, path: view::Path) -> view::Path {
        let rates = self.meters.values().map(Meter::rates);
        let (in_bytes_per_s, out_bytes_per_s) =
            rates.fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1));
        let meter = self.meters.get(&connection);
        let since = meter.and_then(|meter| meter.since).map(|since| since.to_string());
        let loss = meter.and_then(Meter::loss);
        view::Path { since, loss, in_bytes_per_s, out_bytes_per_s, ..path }
    }
}

/// The counters of a connection and of its selected path, as they were read.
#[derive(Clone, Copy, Debug)]
struct Reading {
    at: Instant,
    in_bytes: u64,
    out_bytes: u64,
    sent: u64,
    lost: u64,
}

/// The last readings of one path of one connection.
#[derive(Debug, Default)]
struct Meter {
    remote: Option<String>,
    since: Option<Timestamp>,
    readings: VecDeque<Reading>,
}

impl Meter {
    fn take(&mut self, remote: Option<String>, reading: Reading) {
        if self.remote != remote || self.since.is_none() {
            self.readings.clear();
            (self.remote, self.since) = (remote, Some(Timestamp::now()));
        }
        if self.readings.len() == READINGS_MAX {
            self.readings.pop_front();
        }
        self.readings.push_back(reading);
    }

    fn is_fresh(&self, now: Instant) -> bool {
        self.readings.back().is_some_and(|last| now.duration_since(last.at) < FRESH)
    }

    /// Bytes per second in and out between the last two readings.
    fn rates(&self) -> (u64, u64) {
        let mut latest = self.readings.iter().rev();
        let (Some(now), Some(before)) = (latest.next(), latest.next()) else { return (0, 0) };
        let seconds = now.at.duration_since(before.at).as_secs_f64().max(0.001);
        let per_second =
            |now: u64, before: u64| (now.saturating_sub(before) as f64 / seconds) as u64;
        (per_second(now.in_bytes, before.in_bytes), per_second(now.out_bytes, before.out_bytes))
    }

    /// noq counts a packet as lost that is only late, so this is the most that it can be.
    fn loss(&self) -> Option<f64> {
        let (first, last) = (self.readings.front()?, self.readings.back()?);
        let sent = last.sent.saturating_sub(first.sent);
        let lost = last.lost.saturating_sub(first.lost);
        (sent >= PACKETS_MIN).then(|| (lost as f64 / sent as f64).min(1.0))
    }
}

fn state(state: race::State) -> CandidateState {
    match state {
        race::State::Pending => CandidateState::Pending,
        race::State::Running => CandidateState::Running,
        race::State::Success => CandidateState::Success,
        race::State::Failed => CandidateState::Failed,
        race::State::Cancelled => CandidateState::Cancelled,
    }
}

fn reason_of(reason: race::Reason) -> RaceReason {
    match reason {
        race::Reason::Alone => RaceReason::Alone,
        race::Reason::WorkedLast => RaceReason::WorkedLast,
        race::Reason::Preferred => RaceReason::Preferred,
        race::Reason::OthersFailed => RaceReason::OthersFailed,
        race::Reason::Fastest => RaceReason::Fastest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_loss_are_those_of_the_path_in_use() {
        let began = Instant::now();
        let reading = |second: u64, bytes: u64, sent: u64, lost: u64| Reading {
            at: began + Duration::from_secs(second),
            in_bytes: bytes,
            out_bytes: bytes / 2,
            sent,
            lost,
        };
        let mut meter = Meter::default();
        let lan = Some("192.168.1.7:3482".to_owned());
        assert_eq!((meter.rates(), meter.loss()), ((0, 0), None));
        meter.take(lan.clone(), reading(0, 1000, 0, 0));
        meter.take(lan.clone(), reading(2, 5000, 10, 1));
        let at = |millis| meter.is_fresh(began + Duration::from_millis(millis));
        assert!(at(2000) && at(2800) && !at(3000));
        assert_eq!((meter.rates(), meter.loss()), ((2000, 1000), None), "too few packets");
        meter.take(lan.clone(), reading(3, 5000, 100, 1));
        assert_eq!((meter.rates(), meter.loss()), ((0, 0), Some(0.01)));
        (4..30).for_each(|at| meter.take(lan.clone(), reading(at, 5000, 100 + at, 1)));
        assert_eq!(meter.readings.len(), READINGS_MAX);
        meter.take(None, reading(30, 9000, 0, 0));
        assert_eq!((meter.rates(), meter.loss()), ((0, 0), None), "another path begins anew");
    }

    #[test]
    fn a_lost_direct_path_is_remembered_until_there_is_one() {
        let event = |at: &str, what, kind| view::PathEvent {
            at: at.into(),
            what,
            kind,
            remote: String::new(),
        };
        let mut known = Known::default();
        assert_eq!(known.direct_lost_at(), None);
        known.note(event("1", PathChange::Opened, PathKind::Direct));
        known.note(event("2", PathChange::Closed, PathKind::Direct));
        known.note(event("3", PathChange::Selected, PathKind::Relay));
        assert_eq!(known.direct_lost_at().as_deref(), Some("2"));
        (0..EVENTS_MAX).for_each(|_| known.note(event("4", PathChange::Opened, PathKind::Lan)));
        assert_eq!((known.direct_lost_at(), known.events.len()), (None, EVENTS_MAX));
    }
}
