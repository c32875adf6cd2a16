//! What is to be attached here, and how far it is.

use crate::core::{Core, PeerId};
use crate::view::{self, AttachmentState, Factor, Problem, Via};
use jiff::Timestamp;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use wire::{Address, DeviceId, Name};

/// A device of a peer that is to be used here until somebody says otherwise.
#[derive(Debug)]
pub(crate) struct Attachment {
    /// What the peer called the device when last seen.
    pub(crate) name: Name,
    pub(crate) via: Via,
    pub(crate) state: AttachmentState,
    pub(crate) since: Timestamp,
    pub(crate) place: Option<String>,
    pub(crate) nodes: Vec<String>,
    pub(crate) error: Option<Problem>,
    /// What the peer's hub wants to be shown first.
    pub(crate) factor: Option<Factor>,
    /// How often it was shown.
    pub(crate) unlocked: u64,
    pub(crate) counters: Arc<usb::Counters>,
    /// Ends it for good.
    pub(crate) end: CancellationToken,
}

impl Attachment {
    pub(crate) fn new(name: Name, via: Via) -> Self {
        Self {
            name,
            via,
            state: AttachmentState::Waiting,
            since: Timestamp::now(),
            place: None,
            nodes: vec![],
            error: None,
            factor: None,
            unlocked: 0,
            counters: Arc::default(),
            end: CancellationToken::new(),
        }
    }

    pub(crate) fn enter(&mut self, state: AttachmentState) {
        if self.state != state {
            (self.state, self.since) = (state, Timestamp::now());
        }
        match state {
            AttachmentState::Attached | AttachmentState::Frozen => {}
            AttachmentState::Waiting | AttachmentState::Connecting => {
                self.nodes.clear();
                self.place = None;
            }
        }
    }

    /// Whether the device is plugged in here, be it without its peer for a while.
    pub(crate) fn is_attached(&self) -> bool {
        match self.state {
            AttachmentState::Attached | AttachmentState::Frozen => true,
            AttachmentState::Waiting | AttachmentState::Connecting => false,
        }
    }

    pub(crate) fn view(&self, key: &(PeerId, DeviceId), core: &Core) -> view::Attachment {
        view::Attachment {
            address: self.address(key, core),
            via: self.via,
            state: self.state,
            since: self.since.to_string(),
            place: self.place.clone(),
            nodes: self.nodes.clone(),
            error: self.error.clone(),
            factor: self.factor,
        }
    }

    /// By the names that hub and device have now, else by those they had.
    pub(crate) fn address(&self, key: &(PeerId, DeviceId), core: &Core) -> Address {
        let peer = core.peers.get(&key.0);
        let hub = peer.map(|peer| peer.name.clone());
        let device = peer.and_then(|peer| peer.shelf.get(&key.1)).map(|device| device.name.clone());
        Address {
            hub: hub.unwrap_or_else(|| Name::from_text("former-peer", "peer")),
            device: device.unwrap_or_else(|| self.name.clone()),
        }
    }
}
