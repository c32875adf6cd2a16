//! Peers: hubs that this one has paired with.

use crate::attachments::Attachment;
use crate::core::{Core, PeerId};
use crate::selector::Selector;
use crate::view;
use jiff::Timestamp;
use link::race::History;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use tokio_util::sync::CancellationToken;
use wire::device::State;
use wire::{Address, Device, DeviceId, Name};

/// Addresses kept of a peer: the latest first.
const ADDRESSES_MAX: usize = wire::pair::ADDRESSES_MAX;

/// Where a peer may be reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reach {
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) relays: Vec<String>,
    /// What worked, by address.
    #[serde(default)]
    pub(crate) history: History<String>,
    /// The round trip that was measured last.
    #[serde(default)]
    pub(crate) rtt_us: Option<u64>,
}

impl Reach {
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
    pub(crate) grants: Vec<(Selector, view::Role)>,
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
        let grants = self.grants.iter().map(|(selector, role)| view::Grant {
            selector: core.selector_text(selector),
            role: *role,
        });
        view::Peer {
            id: id.to_string(),
            name: self.name.clone(),
            online: self.online,
            trusted: self.trusted,
            path: self.path.clone(),
            grants: grants.collect(),
            error: self.error.clone(),
            why: vec![],
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
            Selector::All | Selector::Class(_) | Selector::Product { .. } => selector.to_string(),
        }
    }
}
