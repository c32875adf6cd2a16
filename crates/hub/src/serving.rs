//! What a peer may ask of this hub: each stream that it opens ends up here.

use crate::core::{Core, PeerId};
use crate::devices::{Inlet, Lease, Local};
use crate::session::{self, Session};
use crate::{Inner, benching, stopping};
use anyhow::{Context, Result};
use bytes::Bytes;
use iroh::endpoint::{Connection, RecvStream, SendStream};
use link::{Duplex, Rx, Tx};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use wire::device::{Kind, Transfer, Usb};
use wire::shelf::Shelf;
use wire::{Device, DeviceId, Open, Priority, Refusal, SessionId};

/// A stream says at once what it is for.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);

/// Serves one stream of a peer, from its first frame to its end.
pub(crate) async fn stream(
    inner: Arc<Inner>,
    connection: Connection,
    (send, receive): (SendStream, RecvStream),
) -> Result<()> {
    let peer = connection.remote_id();
    let mut rx = Rx::<Open>::new(receive).without_bodies();
    let opened = tokio::time::timeout(OPEN_TIMEOUT, rx.recv()).await;
    let opened = opened.context("a stream that does not say what it is for")??;
    let (open, _) = opened.context("a stream that was closed at once")?;
    send.set_priority(priority(&inner, &open) as i32)?;
    let mut duplex = Duplex::new(rx.into_reader(), send);
    match open {
        Open::Shelf => {
            duplex.answer(Ok(())).await?;
            tokio::select! {
                ended = shelf(&inner, peer, Tx::new(duplex.writer)) => ended,
                _ = connection.closed() => Ok(()),
            }
        }
        Open::Http => {
            duplex.answer(Ok(())).await?;
            // nobody serves it when the hub stops, and then the stream ends
            let _ = inner.http.send((peer, duplex)).await;
            Ok(())
        }
        Open::Device { device } => {
            match Session::begin(&inner, peer, &device).await {
                Ok(session) => session.run(duplex).await,
                Err(refusal) => {
                    // first, so that who does not wait for the answer is noted as well
                    inner.audit_refusal(peer, "device.refused", &device, refusal).await?;
                    Ok(duplex.answer(Err(refusal)).await?)
                }
            }
        }
        Open::Unlock { device, proof } => {
            let proven = inner.unlock(peer, &device, proof).await;
            if let Err(refusal) = proven {
                inner.audit_refusal(peer, "factor.refused", &device, refusal).await?;
            }
            Ok(duplex.answer(proven).await?)
        }
        Open::Ask { device, message } => {
            inner.serve_request(&connection, &device, message, duplex).await
        }
        Open::Endpoint { session, endpoint, received } => {
            let found = inner.shared.look(|core| {
                let (local, lease) = in_use(core, &peer, session)?;
                has_endpoint(local, endpoint).then(|| (lease.lines.clone(), lease.inlet.clone()))
            });
            let Some(lease) = found else {
                return Ok(duplex.answer(Err(Refusal::NotGranted)).await?);
            };
            session::join(lease, (endpoint, received), duplex).await
        }
        Open::Pulse { session } => {
            let found = inner.shared.look(|core| {
                let (_, lease) = in_use(core, &peer, session)?;
                Some(lease.inlet.clone())
            });
            let Some(Inlet::Pulses(pulses)) = found else {
                return Ok(duplex.answer(Err(Refusal::NotGranted)).await?);
            };
            duplex.answer(Ok(())).await?;
            // a session that is over needs no sign of life
            let _ = pulses.send(duplex.framed()).await;
            Ok(())
        }
        Open::Stop { device } => stopping::serve(&inner, peer, &device, duplex).await,
        Open::Bench { measure } => benching::serve(&inner, peer, measure, duplex).await,
    }
}

fn priority(inner: &Inner, open: &Open) -> Priority {
    match open {
        Open::Shelf | Open::Device { .. } | Open::Unlock { .. } | Open::Ask { .. } => {
            Priority::Control
        }
        Open::Stop { .. } | Open::Pulse { .. } => Priority::Stop,
        Open::Http | Open::Bench { .. } => Priority::Background,
        Open::Endpoint { endpoint: 0, .. } => Priority::Control,
        Open::Endpoint { session, endpoint, .. } => inner.shared.look(|core| {
            let mut locals = core.devices.values();
            let local = locals
                .find(|local| local.lease.as_ref().is_some_and(|lease| lease.session == *session));
            local.map_or(Priority::Background, |local| match &local.kind {
                Kind::Usb(usb) => endpoint_priority(usb, *endpoint),
                Kind::Serial(_) | Kind::Printer(_) => Priority::Background,
            })
        }),
    }
}

/// The device that a peer's session is with.
fn in_use<'a>(core: &'a Core, peer: &PeerId, session: SessionId) -> Option<(&'a Local, &'a Lease)> {
    let mut locals = core.devices.values().filter_map(|local| Some((local, local.lease.as_ref()?)));
    locals.find(|(_, lease)| (lease.session, lease.peer) == (session, *peer))
}

/// Whether the device has such an endpoint in any of its configurations.
fn has_endpoint(local: &Local, endpoint: u8) -> bool {
    match &local.kind {
        Kind::Usb(usb) => {
            let mut endpoints = usb.interfaces.iter().flat_map(|interface| &interface.endpoints);
            endpoint == 0 || endpoints.any(|known| known.address == endpoint)
        }
        // its one stream
        Kind::Serial(_) => endpoint == 0,
        Kind::Printer(_) => false,
    }
}

fn endpoint_priority(usb: &Usb, endpoint: u8) -> Priority {
    let endpoints = usb.interfaces.iter().flat_map(|interface| &interface.endpoints);
    let mut transfer =
        endpoints.filter(|known| known.address == endpoint).map(|known| known.transfer);
    match transfer.next_back() {
        Some(Transfer::Interrupt | Transfer::Isochronous) => Priority::Realtime,
        Some(Transfer::Control) => Priority::Control,
        Some(Transfer::Bulk) | None => Priority::Bulk,
    }
}

/// Sends the shelf, and every change to what the peer may see of it.
async fn shelf(inner: &Inner, peer: PeerId, mut tx: Tx<Shelf>) -> Result<()> {
    let mut changes = inner.shared.changes();
    let mut sent: Option<BTreeMap<DeviceId, Device>> = None;
    loop {
        changes.mark_unchanged();
        let now = inner.shared.look(|core| core.shelf_for(&peer));
        let now: BTreeMap<_, _> =
            now.into_iter().map(|device| (device.id.clone(), device)).collect();
        if sent.is_none() {
            let devices = u32::try_from(now.len()).context("more devices than fit a shelf")?;
            tx.feed(&Shelf::Snapshot { devices }, Bytes::new()).await?;
        }
        let before = sent.unwrap_or_default();
        for device in now.values().filter(|device| before.get(&device.id) != Some(*device)) {
            tx.feed(&Shelf::Device(device.clone()), Bytes::new()).await?;
        }
        for id in before.keys().filter(|id| !now.contains_key(*id)) {
            tx.feed(&Shelf::Removed(id.clone()), Bytes::new()).await?;
        }
        tx.flush().await?;
        sent = Some(now);
        changes.changed().await?;
    }
}
