//! The devices of this hub: what is plugged in, what was named or shared, who uses it.
//!
//! The one place where the kinds of devices meet: a [`Source`] is where a session finds its
//! device.

use crate::core::{Core, PeerId};
use crate::view::{self, MachineSettings};
use link::resume::Lines;
use link::{Rx, Tx};
use serial::machine::Machine;
use serial::serve::Pulse;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use wire::device::{Device, Kind, State};
use wire::serial::Profile;
use wire::usb::{Down, Up};
use wire::{Address, DeviceId, Name, SessionId, Text};

/// Where a device comes from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    Usb(Box<usb::linux::Found>),
    Simulated(Arc<sim::Simulated>),
    Serial(PathBuf),
    SimulatedSerial(Arc<sim::machine::Simulated>),
    /// The fleet watches it.
    Printer {
        simulated: bool,
    },
}

/// Takes the streams that come for a session after its first.
#[derive(Clone, Debug)]
pub(crate) enum Inlet {
    /// Of the device's endpoints.
    Endpoints(mpsc::Sender<EndpointStream>),
    /// For the signs of life of who uses a machine.
    Pulses(mpsc::Sender<Pulse>),
}

/// The address of an endpoint, and the stream that a peer opened for it.
pub(crate) type EndpointStream = (u8, Rx<Up>, Tx<Down>);

/// A device as it was found.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) id: DeviceId,
    pub(crate) kind: Kind,
    pub(crate) source: Source,
    /// What it is to be called, where that is known.
    pub(crate) name: Option<Name>,
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
    /// What its owner says of the machine at a serial port.
    pub(crate) settings: MachineSettings,
    /// The machine, while its port is open.
    pub(crate) machine: Option<Machine>,
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
    pub(crate) inlet: Inlet,
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

    /// What speaks at the port, as its owner says or as it showed itself.
    pub(crate) fn profile(&self) -> Profile {
        let shown = match &self.kind {
            Kind::Serial(serial) => serial.profile,
            Kind::Usb(_) | Kind::Printer(_) => Profile::Raw,
        };
        self.settings.profile.unwrap_or(shown)
    }

    pub(crate) fn set_profile(&mut self, profile: Profile) {
        if let Kind::Serial(serial) = &mut self.kind {
            serial.profile = profile;
        }
    }

    pub(crate) fn is_simulated(&self) -> bool {
        match &self.source {
            Some(Source::Simulated(_) | Source::SimulatedSerial(_)) => true,
            Some(Source::Printer { simulated }) => *simulated,
            Some(Source::Usb(_) | Source::Serial(_)) | None => false,
        }
    }

    /// As a peer sees it. One that uses it itself may use it: perhaps it has started anew.
    pub(crate) fn on_shelf(&self, id: &DeviceId, peer: &PeerId, core: &Core) -> Device {
        let kept = || core.reserved_name(id).unwrap_or(&core.hub.name).as_str().into();
        let state = match (&self.source, &self.lease) {
            (None, _) => State::Absent,
            (Some(_), Some(lease)) if lease.peer == *peer => State::Free,
            (Some(_), Some(_)) => self.state(id, core),
            // what is kept for somebody is free for them
            (Some(_), None) if core.is_its_turn(id, peer) => State::Free,
            (Some(_), None) => State::InUse(kept()),
        };
        Device {
            id: id.clone(),
            name: self.name.clone(),
            kind: self.kind.clone(),
            simulated: self.is_simulated(),
            state,
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
        let (port, product) = match &self.kind {
            Kind::Usb(usb) => (&usb.port, Some((usb.vendor_id, usb.product_id))),
            Kind::Serial(serial) => (&serial.port, None),
            Kind::Printer(printer) => (&printer.title, None),
        };
        self.name.as_str() == text
            || id.as_str() == text
            || (product.is_some() && crate::selector::product(text) == product)
            || (self.source.is_some() && port.as_str() == text)
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
            // a printer is there to be seen by whom it was granted, from the moment it was added
            let shared = matches!(kind, Kind::Printer(_));
            if let Some(local) = self.devices.get_mut(&found.id) {
                let profile = local.profile();
                (local.kind, local.source, local.problem) = (kind, source, problem);
                local.set_profile(profile);
                continue;
            }
            let name = found.name.unwrap_or_else(|| match &kind {
                Kind::Usb(usb) => Name::from_text(usb.product.as_str(), "usb"),
                Kind::Serial(serial) => Name::from_text(serial.port.as_str(), "serial"),
                Kind::Printer(printer) => Name::from_text(printer.title.as_str(), "printer"),
            });
            let name = self.free_name(&name, &found.id);
            let (lease, kept) = (None, false);
            let (settings, machine) = (MachineSettings::default(), None);
            let local =
                Local { name, shared, kind, source, problem, lease, settings, machine, kept };
            self.devices.insert(found.id, local);
        }
    }

    /// The machine at a serial port of this hub, while it is shared and there.
    pub(crate) fn machine(&self, id: &DeviceId) -> Option<Machine> {
        self.devices.get(id)?.machine.clone()
    }

    /// What a peer may see of this hub.
    pub(crate) fn shelf_for(&self, peer: &PeerId) -> Vec<Device> {
        let seen = self.devices.iter().filter(|(id, _)| self.role(peer, id).is_some());
        let devices = seen.map(|(id, local)| local.on_shelf(id, peer, self)).filter(Device::fits);
        devices.take(wire::shelf::DEVICES_MAX).collect()
    }
}
