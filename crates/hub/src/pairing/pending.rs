//! Pairings by code that people have to look at, and who may ask for one. No I/O.

use crate::core::{Core, PeerId};
use crate::failure::Failure;
use crate::view::{self, PairingSide, PairingState, Problem};
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use wire::Name;

/// For people to walk from one screen to the other.
pub(crate) const EXPIRES: Duration = Duration::from_secs(120);
/// Pairings at the same time, on each side: what people can keep apart.
const OPEN_MAX: usize = 4;
/// Pairings that are over and are still shown, so that people see what came of them.
const OVER_MAX: usize = 4;
const OVER_SHOWN: Duration = Duration::from_secs(60);
/// Requests from one address, and addresses that are counted.
const ASKS: (u32, Duration) = (5, Duration::from_secs(600));
const ADDRESSES_MAX: usize = 256;

/// What a person says, for the task of the pairing.
#[derive(Debug)]
pub(crate) enum Said {
    Typed(String, oneshot::Sender<Result<(), Failure>>),
    No,
}

/// One pairing, as people see it.
#[derive(Debug)]
pub(crate) struct Pairing {
    pub(crate) hub: PeerId,
    pub(crate) name: Name,
    pub(crate) remote: SocketAddr,
    pub(crate) side: PairingSide,
    pub(crate) state: PairingState,
    pub(crate) shown: Option<String>,
    pub(crate) until: Instant,
    pub(crate) peer: Option<Name>,
    pub(crate) problem: Option<Problem>,
    pub(crate) said: mpsc::Sender<Said>,
}

#[derive(Debug, Default)]
pub(crate) struct Pairings {
    all: BTreeMap<u32, Pairing>,
    last: u32,
}

impl Pairings {
    /// Adds one; `None` when there are too many. One hub asks once at a time: its new request
    /// takes the place of the old one.
    pub(crate) fn add(&mut self, pairing: Pairing) -> Option<u32> {
        let same = |known: &Pairing| known.hub == pairing.hub && known.side == pairing.side;
        for known in self.all.values().filter(|known| known.is_open() && same(known)) {
            // its task ends it
            let _ = known.said.try_send(Said::No);
        }
        let side = |known: &&Pairing| known.is_open() && known.side == pairing.side;
        if self.all.values().filter(side).filter(|known| !same(known)).count() >= OPEN_MAX {
            return None;
        }
        self.last += 1;
        self.all.insert(self.last, pairing);
        Some(self.last)
    }

    pub(crate) fn get_mut(&mut self, id: u32) -> Option<&mut Pairing> {
        self.all.get_mut(&id)
    }

    pub(crate) fn get(&self, id: u32) -> Option<&Pairing> {
        self.all.get(&id)
    }

    pub(crate) fn remove(&mut self, id: u32) {
        self.all.remove(&id);
    }

    /// It is over: shown for a while, with what came of it.
    pub(crate) fn end(&mut self, id: u32, state: PairingState, problem: Option<Problem>) {
        if let Some(known) = self.all.get_mut(&id) {
            (known.state, known.problem, known.shown) = (state, problem, None);
            known.until = Instant::now() + OVER_SHOWN;
        }
        let over = self.all.iter().filter(|(_, known)| !known.is_open()).map(|(id, _)| *id);
        let over: VecDeque<_> = over.collect();
        for id in over.iter().take(over.len().saturating_sub(OVER_MAX)) {
            self.all.remove(id);
        }
    }
}

impl Pairing {
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.state, PairingState::Code | PairingState::Check)
    }
}

impl Core {
    pub(crate) fn pairing_views(&self) -> Vec<view::Pairing> {
        let now = Instant::now();
        let shown = self.pairings.all.iter().filter(|(_, it)| it.is_open() || it.until > now);
        let views = shown.map(|(id, it)| view::Pairing {
            id: *id,
            side: it.side,
            state: it.state,
            hub_id: it.hub.to_string(),
            name: it.name.clone(),
            remote: it.remote.to_string(),
            doubt: if it.is_open() { self.doubt(&it.hub, &it.name) } else { None },
            shown: it.shown.clone(),
            left_s: u32::try_from((it.until - now).as_secs()).unwrap_or(u32::MAX),
            peer: it.peer.clone(),
            problem: it.problem.clone(),
        });
        views.collect()
    }
}

/// How often each address has asked of late.
#[derive(Debug, Default)]
pub(crate) struct Asks(BTreeMap<IpAddr, (u32, Option<Instant>)>);

impl Asks {
    /// Counts a request; says whether it is one too many.
    pub(crate) fn too_many(&mut self, from: IpAddr, now: Instant) -> bool {
        let from = neighbourhood(from);
        let over = |since: &Option<Instant>| since.is_none_or(|since| now - since >= ASKS.1);
        if !self.0.contains_key(&from) && self.0.len() >= ADDRESSES_MAX {
            self.0.retain(|_, (_, since)| !over(since));
            if self.0.len() >= ADDRESSES_MAX {
                return true;
            }
        }
        let counted = self.0.entry(from).or_default();
        if over(&counted.1) {
            *counted = (0, Some(now));
        }
        counted.0 = counted.0.saturating_add(1);
        counted.0 > ASKS.0
    }
}

/// With IPv6 a computer has as many addresses as it likes: its network counts.
fn neighbourhood(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(v6) if !v6.is_unicast_link_local() => {
            Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64)).into()
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use iroh::SecretKey;

    fn pairing(hub: u8, side: PairingSide) -> (Pairing, mpsc::Receiver<Said>) {
        let (said, heard) = mpsc::channel(1);
        let pairing = Pairing {
            hub: SecretKey::from_bytes(&[hub; 32]).public(),
            name: "laptop".parse().unwrap(),
            remote: "192.168.1.7:1".parse().unwrap(),
            side,
            state: PairingState::Code,
            shown: None,
            until: Instant::now() + EXPIRES,
            peer: None,
            problem: None,
            said,
        };
        (pairing, heard)
    }

    #[tokio::test(start_paused = true)]
    async fn four_at_a_time_and_one_of_each_hub() {
        let mut all = Pairings::default();
        let mut open = vec![];
        for hub in 0..4 {
            let (pairing, heard) = pairing(hub, PairingSide::Asked);
            open.push((all.add(pairing).unwrap(), heard));
        }
        assert_eq!(all.add(pairing(9, PairingSide::Asked).0), None);
        assert!(all.add(pairing(9, PairingSide::Asking).0).is_some(), "the other side is ours");
        assert!(all.add(pairing(2, PairingSide::Asked).0).is_some(), "in place of its first");
        assert!(matches!(open[2].1.try_recv(), Ok(Said::No)));
        all.end(open[0].0, PairingState::Failed, None);
        all.end(open[2].0, PairingState::Failed, None);
        assert!(all.add(pairing(9, PairingSide::Asked).0).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_over_is_shown_for_a_while() {
        let mut core_all = Pairings::default();
        for hub in 0..9 {
            let id = core_all.add(pairing(hub, PairingSide::Asked).0).unwrap();
            core_all.end(id, PairingState::Failed, None);
        }
        assert_eq!(core_all.all.len(), OVER_MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_asks_five_times_in_ten_minutes() {
        let mut asks = Asks::default();
        let from = |last: u16| IpAddr::from(Ipv6Addr::new(0xfd00, 0, 0, 1, 0, 0, 0, last));
        for last in 0..5 {
            assert!(!asks.too_many(from(last), Instant::now()), "{last}");
        }
        assert!(asks.too_many(from(99), Instant::now()), "one network, many addresses");
        assert!(!asks.too_many([192, 168, 1, 7].into(), Instant::now()));
        tokio::time::advance(ASKS.1).await;
        assert!(!asks.too_many(from(1), Instant::now()));
        for number in 0..2000u32 {
            asks.too_many(std::net::Ipv4Addr::from_bits(number).into(), Instant::now());
        }
        assert!(asks.0.len() <= ADDRESSES_MAX);
        assert!(asks.too_many([10, 0, 0, 1].into(), Instant::now()), "fails closed");
    }
}
