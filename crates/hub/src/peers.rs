//! Peers: hubs that this one has paired with.

use crate::access::Grant;
use crate::attachments::Attachment;
use crate::core::{Core, PeerId};
use crate::selector::Selector;
use crate::view;
use jiff::Timestamp;
use link::race::History;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use wire::device::State;
use wire::{Address, Device, DeviceId, HostPort, Name, Relay};

/// Addresses kept of a peer: the latest first.
const ADDRESSES_MAX: usize = wire::pair::ADDRESSES_MAX;

/// Places that people may name for one peer, and addresses of each that are tried.
const NAMED_MAX: usize = 4;
const OF_NAME_MAX: usize = 4;
/// For DNS to answer.
const LOOK_UP: Duration = Duration::from_secs(2);

/// What people say of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    Here,
    NotHere,
}

/// More places than are kept.
#[derive(Debug)]
pub(crate) struct TooMany;

/// Where a peer may be reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reach {
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) relays: Vec<Relay>,
    /// Where people said that it is: looked up each time.
    #[serde(default)]
    pub(crate) named: Vec<HostPort>,
    /// Where it is announced on the local network now: hints that anybody can give.
    #[serde(skip)]
    pub(crate) found: Vec<SocketAddr>,
    /// Counts up when there is an address that may be worth a try at once.
    #[serde(skip)]
    pub(crate) news: u64,
    /// What worked, by address.
    #[serde(default)]
    pub(crate) history: History<String>,
    /// The round trip that was measured last.
    #[serde(default)]
    pub(crate) rtt_us: Option<u64>,
}

impl Reach {
    /// Notes where the peer is announced on the local network now.
    pub(crate) fn found(&mut self, addresses: Vec<SocketAddr>) {
        let known = |address| self.addresses.contains(address) || self.found.contains(address);
        let new = !addresses.iter().all(known);
        self.found = addresses;
        self.news += u64::from(new);
    }

    /// Notes that people said where it is, or that it is not there; says whether that is new.
    pub(crate) fn set_named(&mut self, place: &HostPort, named: Named) -> Result<bool, TooMany> {
        let known = self.named.contains(place);
        match named {
            Named::Here if known => return Ok(false),
            Named::Here if self.named.len() >= NAMED_MAX => return Err(TooMany),
            Named::Here => self.named.push(place.clone()),
            Named::NotHere => self.named.retain(|it| it != place),
        }
        self.news += 1;
        Ok(known == (named == Named::NotHere))
    }

    /// Every address that may be tried, those that are known to have worked first. Waits for DNS
    /// where people named a host, for [`LOOK_UP`] at most.
    pub(crate) async fn addresses(&self) -> Vec<SocketAddr> {
        let mut all = self.addresses.clone();
        for place in &self.named {
            let looked_up = tokio::net::lookup_host((place.host(), place.port()));
            if let Ok(Ok(addresses)) = tokio::time::timeout(LOOK_UP, looked_up).await {
                all.extend(addresses.take(OF_NAME_MAX));
            }
        }
        all.extend(&self.found);
        let mut seen = std::collections::BTreeSet::new();
        all.retain(|address| seen.insert(*address));
        all
    }

    /// Puts an address that worked before the others. Says whether that changed anything.
    pub(crate) fn worked(&mut self, address: SocketAddr) -> bool {
        if self.addresses.first() == Some(&address) {
            return false;
        }
        self.addresses.retain(|known| *known != address);
        self.addresses.insert(0, address);
        self.addresses.truncate(ADDRESSES_MAX);
        true
    }
}

/// A hub that this one has paired with.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) name: Name,
    pub(crate) trusted: bool,
    /// What could be read of its grants; what could not is not here, and grants nothing.
    pub(crate) grants: Vec<Grant>,
    pub(crate) unreadable: u32,
    /// A guest's end.
    pub(crate) expires: Option<Timestamp>,
    pub(crate) reach: Reach,
    /// Its devices, as far as it lets us see them.
    pub(crate) shelf: BTreeMap<DeviceId, Device>,
    pub(crate) online: bool,
    /// Since when it is online.
    pub(crate) since: Option<Timestamp>,
    pub(crate) path: Option<view::Path>,
    pub(crate) error: Option<String>,
    /// Set when the peer is removed: its connections and sessions end.
    pub(crate) removed: CancellationToken,
}

impl Peer {
    pub(crate) fn new(name: Name, reach: Reach) -> Self {
        Self {
            name,
            trusted: false,
            grants: vec![],
            unreadable: 0,
            expires: None,
            reach,
            shelf: BTreeMap::new(),
            online: false,
            since: None,
            path: None,
            error: None,
            removed: CancellationToken::new(),
        }
    }

    pub(crate) fn view(&self, id: &PeerId, core: &Core) -> view::Peer {
        view::Peer {
            id: id.to_string(),
            name: self.name.clone(),
            online: self.online,
            trusted: self.trusted,
            path: self.path.clone(),
            grants: self.grants.iter().map(|grant| grant.view(core)).collect(),
            unreadable: self.unreadable,
            expires: self.expires.map(|end| end.to_string()),
            error: self.error.clone(),
            why: vec![],
            named: self.reach.named.clone(),
        }
    }

    /// The peer's devices, as people see them here.
    pub(crate) fn device_views(&self, id: &PeerId, core: &Core) -> Vec<view::Device> {
        let in_use_here = |device: &Device| {
            let attachment = core.attachments.get(&(*id, device.id.clone()));
            attachment.is_some_and(Attachment::is_attached)
        };
        let devices = self.shelf.values().map(|device| view::Device {
            address: Address { hub: self.name.clone(), device: device.name.clone() },
            hub: self.name.clone(),
            local: false,
            id: device.id.clone(),
            name: device.name.clone(),
            kind: device.kind.clone(),
            shared: true,
            simulated: device.simulated,
            state: match &device.state {
                State::Free if in_use_here(device) => State::InUse(core.hub.name.as_str().into()),
                state => state.clone(),
            },
            problem: None,
        });
        devices.collect()
    }
}

impl Core {
    /// A selector as people write it: devices by their names.
    pub(crate) fn selector_text(&self, selector: &Selector) -> String {
        match selector {
            Selector::Device(id) => {
                let local = self.devices.get(id);
                local.map_or_else(|| id.to_string(), |local| local.name.to_string())
            }
            Selector::All | Selector::Printers | Selector::Class(_) | Selector::Product { .. } => {
                selector.to_string()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_found_is_a_hint_that_is_not_kept() {
        let address = |last| SocketAddr::from(([192, 168, 1, last], 3482));
        let mut reach = Reach { addresses: vec![address(1)], ..Reach::default() };
        reach.found(vec![address(1)]);
        assert_eq!(reach.news, 0, "known already");
        reach.found(vec![address(1), address(2)]);
        assert_eq!(reach.news, 1, "worth a try");
        reach.found(vec![address(2)]);
        assert_eq!(reach.news, 1);
        let text = serde_json::to_string(&reach).unwrap();
        let kept: Reach = serde_json::from_str(&text).unwrap();
        assert_eq!((kept.found.len(), kept.addresses), (0, vec![address(1)]));
        // as it was written before there were names
        assert!(serde_json::from_str::<Reach>(r#"{"addresses":[],"relays":[]}"#).is_ok());
    }

    #[tokio::test]
    async fn named_places_are_looked_up_each_once_and_bounded() {
        let mut reach = Reach::default();
        let place: HostPort = "127.0.0.1:3482".parse().unwrap();
        assert!(reach.set_named(&place, Named::Here).unwrap());
        assert!(!reach.set_named(&place, Named::Here).unwrap());
        reach.found(vec!["127.0.0.1:3482".parse().unwrap()]);
        assert_eq!(reach.addresses().await, ["127.0.0.1:3482".parse().unwrap()]);
        for port in 1..NAMED_MAX as u16 {
            let place = format!("127.0.0.1:{port}").parse().unwrap();
            assert!(reach.set_named(&place, Named::Here).is_ok());
        }
        assert!(reach.set_named(&"[::1]:9".parse().unwrap(), Named::Here).is_err());
        assert!(reach.set_named(&place, Named::NotHere).unwrap());
        assert!(!reach.set_named(&place, Named::NotHere).unwrap());
    }
}
