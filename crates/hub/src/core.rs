//! What a hub knows now: its devices, its peers and theirs, what is attached. No I/O.
//!
//! [`Shared`] holds it behind a lock that is never held across an `.await`, and tells everybody
//! who waits that something has changed; they look again.

use crate::access::Spent;
use crate::access::handover::Reserved;
use crate::access::requests::{Asked, Requests};
use crate::attachments::Attachment;
use crate::devices::Local;
use crate::discovery::Table;
use crate::failure::Failure;
use crate::jobs::Job;
use crate::pairing::Pairings;
use crate::peers::Peer;
use crate::view;
use iroh::EndpointId;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;
use wire::{Address, DeviceId, Name};

/// A peer is its key.
pub type PeerId = EndpointId;

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Somebody at this computer: the command line, or the web UI on loopback.
    Local,
    Peer(PeerId),
}

impl Caller {
    /// How the audit log calls them.
    #[must_use]
    pub fn actor(&self) -> String {
        match self {
            Self::Local => "local".to_owned(),
            Self::Peer(peer) => peer.to_string(),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) hub: view::Hub,
    pub(crate) peers: BTreeMap<PeerId, Peer>,
    pub(crate) devices: BTreeMap<DeviceId, Local>,
    pub(crate) jobs: BTreeMap<u32, Job>,
    pub(crate) attachments: BTreeMap<(PeerId, DeviceId), Attachment>,
    pub(crate) requests: Requests,
    pub(crate) asked: BTreeMap<(PeerId, DeviceId), Asked>,
    pub(crate) reserved: BTreeMap<DeviceId, Reserved>,
    pub(crate) spent: BTreeMap<(PeerId, DeviceId), Spent>,
    /// Who is announced on the local network.
    pub(crate) nearby: Table,
    /// Pairings by code that somebody has to look at.
    pub(crate) pairings: Pairings,
    pub(crate) buttons: Vec<view::StopButton>,
}

impl Core {
    pub(crate) fn new(hub: view::Hub) -> Self {
        Self {
            hub,
            peers: BTreeMap::new(),
            devices: BTreeMap::new(),
            jobs: BTreeMap::new(),
            attachments: BTreeMap::new(),
            requests: Requests::default(),
            asked: BTreeMap::new(),
            reserved: BTreeMap::new(),
            spent: BTreeMap::new(),
            nearby: Table::default(),
            pairings: Pairings::default(),
            buttons: vec![],
        }
    }

    /// Everything that the caller may see.
    pub(crate) fn state(&self, caller: Caller) -> view::State {
        let Caller::Peer(peer) = caller else { return self.whole_state() };
        if self.manages(caller).is_ok() {
            let whole = self.whole_state();
            return view::State { hub: view::Hub { web: None, ..whole.hub.clone() }, ..whole };
        }
        let devices = self.devices.iter().filter(|(id, _)| self.role(&peer, id).is_some());
        view::State {
            hub: view::Hub { web: None, ..self.hub.clone() },
            peers: vec![],
            devices: devices.map(|(id, local)| local.view(id, &self.hub.name, self)).collect(),
            attachments: vec![],
            requests: self.request_views(caller),
            asked: vec![],
            nearby: vec![],
            pairings: vec![],
            stop_buttons: vec![],
        }
    }

    fn whole_state(&self) -> view::State {
        let mine = self.devices.iter().map(|(id, local)| local.view(id, &self.hub.name, self));
        let theirs = self.peers.iter().flat_map(|(id, peer)| peer.device_views(id, self));
        let mut devices: Vec<_> = mine.chain(theirs).collect();
        devices.sort_by(|a, b| (!a.local, &a.address).cmp(&(!b.local, &b.address)));
        let peers = self.peers.iter().map(|(id, peer)| peer.view(id, self)).collect();
        let attachments = self.attachments.iter();
        let attachments = attachments.map(|(key, attachment)| attachment.view(key, self)).collect();
        let requests = self.request_views(Caller::Local);
        let (hub, asked) = (self.hub.clone(), self.asked_views());
        let (nearby, pairings) = (self.nearby_views(), self.pairing_views());
        let stop_buttons = self.button_views();
        view::State {
            hub,
            peers,
            devices,
            attachments,
            requests,
            asked,
            nearby,
            pairings,
            stop_buttons,
        }
    }

    pub(crate) fn peer_named(&self, name: &str) -> Result<PeerId, Failure> {
        let found = self
            .peers
            .iter()
            .find(|(id, peer)| peer.name.as_str() == name || id.to_string() == name);
        found.map(|(id, _)| *id).ok_or_else(|| {
            Failure::not_found(format!("no peer is called {name:?}"))
                .hint("see which there are: farhub peers")
        })
    }

    /// A device of this hub by name, id, `VID:PID` or port.
    pub(crate) fn device_named(&self, text: &str) -> Result<DeviceId, Failure> {
        let text = text.strip_prefix(&format!("{}/", self.hub.name)).unwrap_or(text);
        let mut found = self.devices.iter().filter(|(id, local)| local.is_called(id, text));
        match (found.next(), found.next()) {
            (Some((id, _)), None) => Ok(id.clone()),
            (Some(_), Some(_)) => {
                Err(Failure::bad_request(format!("{text:?} fits several devices of this hub"))
                    .hint("use a name, an id or a port of: farhub devices --json"))
            }
            (None, _) => Err(Failure::not_found(format!("this hub has no device {text:?}"))
                .hint("see what is plugged in: farhub devices")),
        }
    }

    /// A device of a peer.
    pub(crate) fn remote_device(&self, address: &Address) -> Result<(PeerId, DeviceId), Failure> {
        if address.hub == self.hub.name {
            let message = format!("{} is this hub itself: its devices are here", address.hub);
            return Err(Failure::bad_request(message).hint("see what peers offer: farhub devices"));
        }
        let id = self.peer_named(address.hub.as_str())?;
        let peer = &self.peers[&id];
        let named = peer.shelf.values().find(|device| device.name == address.device);
        if let Some(device) = named {
            return Ok((id, device.id.clone()));
        }
        if !peer.online {
            return Err(Failure::new(
                view::FailureCode::Unreachable,
                format!("{} cannot be reached at present", address.hub),
            )
            .hint(format!("see why: farhub path {}", address.hub)));
        }
        Err(Failure::not_found(format!(
            "{} shares no device {:?} with this hub",
            address.hub, address.device
        ))
        .hint(format!("on {}: farhub share, and farhub grant", address.hub)))
    }

    /// A name that no other device of this hub has.
    pub(crate) fn free_name(&self, wanted: &Name, except: &DeviceId) -> Name {
        let taken = |name: &Name| {
            self.devices.iter().any(|(id, local)| id != except && local.name == *name)
        };
        let numbered = (2..).map(|number| wanted.numbered(number));
        let mut names = std::iter::once(wanted.clone()).chain(numbered);
        names.find(|name| !taken(name)).expect("there are more numbers than devices")
    }
}

/// The core, and who waits for it to change.
#[derive(Debug)]
pub(crate) struct Shared {
    core: Mutex<Core>,
    changes: watch::Sender<u64>,
}

impl Shared {
    pub(crate) fn new(core: Core) -> Self {
        Self { core: Mutex::new(core), changes: watch::Sender::new(0) }
    }

    /// Looks without changing.
    pub(crate) fn look<R>(&self, look: impl FnOnce(&Core) -> R) -> R {
        look(&self.lock())
    }

    /// Changes, and tells everybody.
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut Core) -> R) -> R {
        let result = change(&mut self.lock());
        self.changes.send_modify(|count| *count += 1);
        result
    }

    /// Changes if that can be, and then tells everybody.
    pub(crate) fn try_change<R, E>(
        &self,
        change: impl FnOnce(&mut Core) -> Result<R, E>,
    ) -> Result<R, E> {
        let result = change(&mut self.lock());
        if result.is_ok() {
            self.changes.send_modify(|count| *count += 1);
        }
        result
    }

    /// Changes what nobody waits for.
    pub(crate) fn change_unseen<R>(&self, change: impl FnOnce(&mut Core) -> R) -> R {
        change(&mut self.lock())
    }

    /// Changes, and tells everybody if it says that it did.
    pub(crate) fn change_if(&self, change: impl FnOnce(&mut Core) -> bool) {
        if change(&mut self.lock()) {
            self.changes.send_modify(|count| *count += 1);
        }
    }

    /// Resolves after each change, or several.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Waits until `look` finds something.
    pub(crate) async fn until<R>(&self, mut look: impl FnMut(&Core) -> Option<R>) -> R {
        let mut changes = self.changes();
        loop {
            changes.mark_unchanged();
            if let Some(found) = self.look(&mut look) {
                return found;
            }
            changes.changed().await.expect("we hold the sender");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Core> {
        // a panic elsewhere leaves the core as it was between two of its small steps
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
