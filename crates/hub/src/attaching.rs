//! The use of a peer's device here: as soon as it can be used, again after every interruption,
//! until somebody says otherwise.

mod serial;
mod trouble;
mod usb;

use crate::core::{Core, PeerId};
use crate::peers::Peer;
use crate::rates::Counted;
use crate::view::{AttachmentState, Doors, Factor, Problem, Via};
use crate::{Inner, door, links};
use ::usb::attach::End;
use anyhow::{Context, Result};
use bytes::Bytes;
use iroh::endpoint::Connection;
use link::{Duplex, Rx};
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::Duration;
use trouble::{Trouble, factor, problem};
use wire::device::{Kind, State};
use wire::{Device, DeviceId, Open, Priority};

/// The answer to an open: the other hub may first have to take the device from its drivers.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);
/// Between tries, doubling from the first to the last.
const RETRY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(30));

type Key = (PeerId, DeviceId);

/// Runs for as long as the attachment exists.
pub(crate) async fn keep(inner: Arc<Inner>, key: Key) {
    let end = inner.shared.look(|core| core.attachments.get(&key).map(|known| known.end.clone()));
    let Some(end) = end else { return };
    let mut retry = RETRY.0;
    loop {
        let began = std::time::Instant::now();
        let once = async {
            let device = inner.shared.until(|core| usable(core, &key)).await;
            attach(&inner, &key, &device).await
        };
        let result = tokio::select! {
            result = once => result,
            () = end.cancelled() => break,
        };
        match result {
            Ok(End::KernelClosed) => {
                // somebody detached it by the kernel's own means, and meant it
                inner.forget_attachment(&key).await;
                break;
            }
            Ok(End::PeerGone | End::DeviceGone) => note(&inner, &key, None, None),
            Err(error) => {
                tracing::info!(device = %key.1, "not attached: {error:#}");
                note(&inner, &key, Some(problem(&error)), factor(&error));
            }
        }
        if began.elapsed() > RETRY.1 {
            retry = RETRY.0;
        }
        tokio::select! {
            () = tokio::time::sleep(retry), if !asked(&inner, &key) => {
                retry = (retry * 2).min(RETRY.1);
            }
            () = changed(&inner, &key) => retry = RETRY.0,
            () = end.cancelled() => break,
        }
    }
}

impl Inner {
    /// By which door a device comes in where nobody said so.
    pub(crate) fn usual_way(&self, key: &Key) -> Via {
        let is_serial = self.shared.look(|core| {
            let device = core.peers.get(&key.0).and_then(|peer| peer.shelf.get(&key.1));
            device.is_some_and(|device| matches!(device.kind, Kind::Serial(_)))
        });
        if is_serial && door::find().is_err() { Via::Port(Doors::default()) } else { Via::Vhci }
    }
}

/// The device when it can be used now.
fn usable(core: &Core, key: &Key) -> Option<Device> {
    let device = core.peers.get(&key.0)?.shelf.get(&key.1)?;
    (device.state == State::Free).then(|| device.clone())
}

/// Resolves when the device is plugged in or out, or on the shelf again, or when its peer's trust
/// or the door by which it is to come in is another than now. That it is in use is no change: our
/// own try, when it fails, makes it so, and each would be followed by the next at once.
async fn changed(inner: &Inner, key: &Key) {
    let now = |core: &Core| {
        let there = |peer: &Peer| {
            peer.shelf.get(&key.1).is_some_and(|device| device.state != State::Absent)
        };
        let peer = core.peers.get(&key.0).map(|peer| (peer.trusted, there(peer)));
        (peer, core.attachments.get(key).map(|known| (known.via.clone(), known.unlocked)))
    };
    let before = inner.shared.look(now);
    inner.shared.until(|core| (now(core) != before).then_some(())).await;
}

/// Attaches once, and stays until that ends.
async fn attach(inner: &Arc<Inner>, key: &Key, device: &Device) -> Result<End> {
    match &device.kind {
        Kind::Usb(usb) => {
            let counters = Arc::default();
            let (via, trusted) =
                connecting(inner, key, device, Counted::Usb(Arc::clone(&counters)))?;
            if usb.needs_trust() && !trusted {
                return Err(Trouble::Untrusted.into());
            }
            usb::attach(inner, key, usb, &via, counters).await
        }
        Kind::Serial(_) => {
            let counters = Arc::default();
            let (via, _) = connecting(inner, key, device, Counted::Serial(Arc::clone(&counters)))?;
            serial::attach(inner, key, device, &via, counters).await
        }
        Kind::Printer(_) => Err(Trouble::Printer.into()),
    }
}

/// By which door the device is to come in, and whether its peer is trusted.
fn connecting(inner: &Inner, key: &Key, device: &Device, counters: Counted) -> Result<(Via, bool)> {
    inner.shared.change(|core| {
        let trusted = core.peers.get(&key.0).is_some_and(|peer| peer.trusted);
        let known = core.attachments.get_mut(key).context("the attachment was ended")?;
        known.name = device.name.clone();
        known.counters = counters;
        known.enter(AttachmentState::Connecting);
        Ok((known.via.clone(), trusted))
    })
}

/// A session with a device of the peer: the connection that it begins on, and its first stream.
async fn begun(inner: &Inner, key: &Key) -> Result<(Connection, Duplex)> {
    let connection = inner.links.latest(&key.0).ok_or(Trouble::Offline)?;
    let mut duplex = links::open(&connection, Priority::Control).await?;
    duplex.open(&Open::Device { device: key.1.clone() }).await?;
    let answered = tokio::time::timeout(ANSWER_TIMEOUT, duplex.answered()).await;
    Ok((connection, answered.map_err(|_| Trouble::Silent)??))
}

/// The first frame of a session: what was attached.
async fn told<T: DeserializeOwned>(rx: &mut Rx<T>) -> Result<(T, Bytes)> {
    let first = tokio::time::timeout(ANSWER_TIMEOUT, rx.recv()).await;
    Ok(first.map_err(|_| Trouble::Silent)??.ok_or(Trouble::Silent)?)
}

fn entered(inner: &Inner, key: &Key, place: &dyn std::fmt::Display) {
    inner.shared.change(|core| {
        let Some(known) = core.attachments.get_mut(key) else { return };
        known.enter(AttachmentState::Attached);
        known.place = Some(place.to_string());
        (known.error, known.factor) = (None, None);
    });
}

fn set_nodes(inner: &Inner, key: &Key, nodes: Vec<String>) {
    inner.shared.change_if(|core| {
        let known = core.attachments.get_mut(key).filter(|known| known.nodes != nodes);
        known.map(|known| known.nodes = nodes).is_some()
    });
}

/// Whether somebody has to show something first: no use in trying again until then.
fn asked(inner: &Inner, key: &Key) -> bool {
    inner.shared.look(|core| core.attachments.get(key).is_some_and(|one| one.factor.is_some()))
}

fn note(inner: &Inner, key: &Key, error: Option<Problem>, factor: Option<Factor>) {
    inner.shared.change(|core| {
        if let Some(known) = core.attachments.get_mut(key) {
            known.enter(AttachmentState::Waiting);
            (known.error, known.factor) = (error, factor);
        }
    });
}
