//! The devices of this hub: what is plugged in, what was named or shared, who uses it.
//!
//! The one place where the kinds of devices meet: a [`Source`] is where a session finds its
//! device.

use crate::core::{Core, PeerId};
use crate::view;
use link::resume::Lines;
use link::{Rx, Tx};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use wire::device::{Device, Kind, State};
use wire::usb::{Down, Up};
use wire::{Address, DeviceId, Name, SessionId, Text};

/// Where a device comes from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    Usb(Box<usb::linux::Found>),
    Simulated(Arc<sim::Simulated>),
}

/// The address of an endpoint, and the stream that a peer opened for it.
pub(crate) type EndpointStream = (u8, Rx<Up>, Tx<Down>);

/// A device as it was found.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) id: DeviceId,
    pub(crate) kind: Kind,
    pub(crate) source: Source,
    /// Why it cannot be shared or used, and what to do.
    pub(crate) problem: Option<Text>,
}

/// A device of this hub.
#[derive(Debug)]
pub(crate) struct Local {
    pub(crate) name: Name,
    pub(crate) shared: bool,
    /// What it is, or was when last seen.
    pub(crate) kind: Kind,
    /// `None` while it is not plugged in.
    pub(crate) source: Option<Source>,
    pub(crate) problem: Option<Text>,
    pub(crate) lease: Option<Lease>,
    /// Whether the database knows it.
    pub(crate) kept: bool,
}

/// The use of a device by one peer.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) session: SessionId,
    pub(crate) peer: PeerId,
    /// From when on its time counts.
    pub(crate) began: Instant,
    /// Ends the session.
    pub(crate) end: CancellationToken,
    /// Its streams, which outlive their connection.
    pub(crate) lines: Lines,
    /// Takes the streams of the device's endpoints.
    pub(crate) endpoints: mpsc::Sender<EndpointStream>,
    pub(crate) counters: Arc<usb::Counters>,
}

impl Local {
    pub(crate) fn state(&self, id: &DeviceId, core: &Core) -> State {
        match (&self.source, &self.lease) {
            (None, _) => State::Absent,
            (Some(_), None) => match core.reserved_name(id) {
                None => State::Free,
                Some(name) => State::InUse(name.as_str().into()),
            },
            (Some(_), Some(lease)) => {
                let peer = core.peers.get(&lease.peer);
                State::InUse(peer.map_or("a former peer", |peer| peer.name.as_str()).into())
            }
        }
    }

    pub(crate) fn is_simulated(&self) -> bool {
        match &self.source {
            Some(Source::Simulated(_)) => true,
            Some(Source::Usb(_)) | None => false,
        }
    }

    /// As a peer sees it. One that uses it itself may use it: perhaps it has started anew.
    pub(crate) fn on_shelf(&self, id: &DeviceId, peer: &PeerId, core: &Core) -> Device {
        // what is kept for somebody is free for them
        let holder = self.lease.as_ref().map(|lease| lease.peer).or_else(|| core.reserved_for(id));
        let mine = self.source.is_some() && holder == Some(*peer);
        Device {
            id: id.clone(),
            name: self.name.clone(),
            kind: self.kind.clone(),
            simulated: self.is_simulated(),
            state: if mine { State::Free } else { self.state(id, core) },
        }
    }

    pub(crate) fn view(&self, id: &DeviceId, hub: &Name, core: &Core) -> view::Device {
        view::Device {
            address: Address { hub: hub.clone(), device: self.name.clone() },
            hub: hub.clone(),
            local: true,
            id: id.clone(),
            name: self.name.clone(),
            kind: self.kind.clone(),
            shared: self.shared,
            simulated: self.is_simulated(),
            state: self.state(id, core),
            problem: self.problem.clone(),
        }
    }

    pub(crate) fn is_called(&self, id: &DeviceId, text: &str) -> bool {
        let Kind::Usb(usb) = &self.kind;
        let product = (usb.vendor_id, usb.product_id);
        self.name.as_str() == text
            || id.as_str() == text
            || crate::selector::product(text) == Some(product)
            || (self.source.is_some() && usb.port.as_str() == text)
    }
}

impl Core {
    /// Takes over what a look at all devices found.
    pub(crate) fn plug(&mut self, found: Vec<Found>) {
        let present: std::collections::BTreeSet<_> =
            found.iter().map(|found| found.id.clone()).collect();
        for (id, local) in &mut self.devices {
            if !present.contains(id) {
                local.source = None;
                local.problem = None;
            }
        }
        // what nobody named or shared is forgotten when it is pulled out
        self.devices.retain(|_, local| local.source.is_some() || local.kept);
        for found in found {
            let (kind, source, problem) = (found.kind, Some(found.source), found.problem);
            if let Some(local) = self.devices.get_mut(&found.id) {
                (local.kind, local.source, local.problem) = (kind, source, problem);
                continue;
            }
            let Kind::Usb(usb) = &kind;
            let name = self.free_name(&Name::from_text(usb.product.as_str(), "usb"), &found.id);
            let (shared, lease, kept) = (false, None, false);
            let local = Local { name, shared, kind, source, problem, lease, kept };
            self.devices.insert(found.id, local);
        }
    }

    /// What a peer may see of this hub.
    pub(crate) fn shelf_for(&self, peer: &PeerId) -> Vec<Device> {
        let seen = self.devices.iter().filter(|(id, _)| self.role(peer, id).is_some());
        let devices = seen.map(|(id, local)| local.on_shelf(id, peer, self)).filter(Device::fits);
        devices.take(wire::shelf::DEVICES_MAX).collect()
    }
}
