//! What is to be attached here, and how far it is.

use crate::core::{Core, PeerId};
use crate::rates::Counted;
use crate::view::{self, AttachmentState, Factor, Problem, Via};
use jiff::Timestamp;
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
    pub(crate) counters: Counted,
    pub(crate) stop_path_ms: Option<u32>,
    /// Ends it for good.
    pub(crate) end: CancellationToken,
}

/// As the database keeps it: a word, or JSON for what has more to say.
pub(crate) fn via_text(via: &Via) -> String {
    match serde_json::to_value(via).expect("a way in is plain data") {
        serde_json::Value::String(word) => word,
        more => more.to_string(),
    }
}

pub(crate) fn via_read(text: &str) -> serde_json::Result<Via> {
    match text.starts_with('{') {
        true => serde_json::from_str(text),
        false => serde_json::from_value(text.into()),
    }
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
            counters: Counted::default(),
            stop_path_ms: None,
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
                (self.place, self.stop_path_ms) = (None, None);
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
            via: self.via.clone(),
            state: self.state,
            since: self.since.to_string(),
            place: self.place.clone(),
            nodes: self.nodes.clone(),
            error: self.error.clone(),
            factor: self.factor,
            stop_path_ms: self.stop_path_ms,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::Doors;

    #[test]
    fn a_way_in_survives_the_database() {
        let tcp = Doors { tcp: Some(([127, 0, 0, 1], 23).into()), ..Doors::default() };
        for via in [Via::Vhci, Via::Usbip, Via::Port(Doors::default()), Via::Port(tcp)] {
            assert_eq!(via_read(&via_text(&via)).unwrap(), via);
        }
        assert_eq!(via_read("vhci").unwrap(), Via::Vhci, "as earlier versions wrote it");
    }
}
