//! What a peer may ask of this hub: each stream that it opens ends up here.

use crate::Inner;
use crate::core::PeerId;
use crate::devices::{EndpointStream, Lease, Local, Source};
use anyhow::{Context, Result};
use bytes::Bytes;
use iroh::endpoint::{Connection, RecvStream, SendStream};
use link::{Duplex, Rx, Tx};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wire::device::{Kind, Transfer, Usb};
use wire::shelf::Shelf;
use wire::usb::{Attached, Down, Up, Window};
use wire::{Device, DeviceId, Open, Priority, Refusal, SessionId};

/// A stream says at once what it is for.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);
/// Endpoint streams that wait for their session to take them: all that a device can have.
const ENDPOINTS_MAX: usize = 31;

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
                Ok(session) => session.run(duplex, &connection).await,
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
        Open::Endpoint { session, endpoint } => {
            let found = inner.shared.look(|core| {
                let leased = core.devices.values().filter(|local| has_endpoint(local, endpoint));
                let leases = leased.filter_map(|local| local.lease.as_ref());
                let mut mine =
                    leases.filter(|lease| (lease.session, lease.peer) == (session, peer));
                mine.next().map(|lease| lease.endpoints.clone())
            });
            let Some(endpoints) = found else {
                return Ok(duplex.answer(Err(Refusal::NotGranted)).await?);
            };
            duplex.answer(Ok(())).await?;
            let (rx, tx) = duplex.framed::<Up, Down>();
            // only OUT transfers carry data this way
            let rx = if endpoint & 0x80 == 0 { rx.with_urbs() } else { rx.without_bodies() };
            // a session that is over takes no more streams, and this one ends with it
            let _ = endpoints.send((endpoint, rx, tx)).await;
            Ok(())
        }
    }
}

fn priority(inner: &Inner, open: &Open) -> Priority {
    match open {
        Open::Shelf | Open::Device { .. } | Open::Unlock { .. } | Open::Ask { .. } => {
            Priority::Control
        }
        Open::Http => Priority::Background,
        Open::Endpoint { session, endpoint } => inner.shared.look(|core| {
            let mut locals = core.devices.values();
            let local = locals
                .find(|local| local.lease.as_ref().is_some_and(|lease| lease.session == *session));
            local.map_or(Priority::Background, |local| {
                let Kind::Usb(usb) = &local.kind;
                endpoint_priority(usb, *endpoint)
            })
        }),
    }
}

/// Whether the device has such an endpoint in any of its configurations.
fn has_endpoint(local: &Local, endpoint: u8) -> bool {
    let Kind::Usb(usb) = &local.kind;
    let mut endpoints = usb.interfaces.iter().flat_map(|interface| &interface.endpoints);
    endpoints.any(|known| known.address == endpoint)
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

/// The use of one device by one peer. Dropping it ends the lease.
struct Session {
    inner: Arc<Inner>,
    peer: PeerId,
    id: DeviceId,
    session: SessionId,
    device: Option<usb::Device>,
    endpoints: mpsc::Receiver<EndpointStream>,
    counters: Arc<usb::Counters>,
    end: CancellationToken,
    /// The device's own task, which gives it back.
    release: TaskTracker,
}

impl Session {
    async fn begin(inner: &Arc<Inner>, peer: PeerId, id: &DeviceId) -> Result<Self, Refusal> {
        let (endpoints_tx, endpoints) = mpsc::channel(ENDPOINTS_MAX);
        let (counters, end) = (Arc::new(usb::Counters::default()), CancellationToken::new());
        let session = SessionId(rand::random());
        let began = Instant::now();
        let lease = Lease {
            session,
            peer,
            began,
            end: end.clone(),
            endpoints: endpoints_tx,
            counters: counters.clone(),
        };
        let source = inner.shared.change(|core| {
            let began = core.admit(&peer, id)?;
            if inner.stopping.is_cancelled() {
                return Err(Refusal::Busy);
            }
            let local = core.devices.get_mut(id).ok_or(Refusal::NotGranted)?;
            let source = local.source.clone().ok_or(Refusal::Absent)?;
            if local.lease.is_some() {
                return Err(Refusal::InUse);
            }
            local.lease = Some(Lease { began, ..lease });
            Ok(source)
        })?;
        let (inner, id) = (inner.clone(), id.clone());
        let (device, release) = (None, TaskTracker::new());
        let mut new = Self { inner, peer, id, session, device, endpoints, counters, end, release };
        // what cannot be logged is not done
        let logged = new.audit("session.start").await;
        logged.map_err(|error| {
            tracing::error!("the audit log cannot be written: {error:#}");
            Refusal::Failed
        })?;
        let opened = open(source, &new.inner.data, &new.release).await;
        new.device = Some(opened.map_err(|error| {
            tracing::warn!(device = %new.id, "cannot be opened: {error:#}");
            Refusal::Failed
        })?);
        Ok(new)
    }

    /// However it ends, and be it before the peer has read the answer: the device is given back
    /// before the lease ends.
    async fn run(mut self, duplex: Duplex, connection: &Connection) -> Result<()> {
        let device = self.device.take().context("a session that has begun has its device")?;
        let (_, empty) = mpsc::channel(1);
        let endpoints = std::mem::replace(&mut self.endpoints, empty);
        let serve = serve(device, self.session, duplex, endpoints, self.counters.clone());
        let result = tokio::select! {
            result = serve => result,
            () = self.end.cancelled() => Ok(()),
            _ = connection.closed() => Ok(()),
        };
        // somebody else can have it when the kernel's drivers have it back
        self.release.close();
        self.release.wait().await;
        if let Err(error) = &result {
            tracing::info!(device = %self.id, peer = %self.peer.fmt_short(), "ended: {error:#}");
        }
        self.audit("session.end").await
    }

    async fn audit(&self, action: &str) -> Result<()> {
        self.inner.audit(&self.peer.to_string(), action, &self.id, "").await
    }
}

/// Says yes, describes the device, and serves it.
async fn serve(
    device: usb::Device,
    session: SessionId,
    mut duplex: Duplex,
    endpoints: mpsc::Receiver<EndpointStream>,
    counters: Arc<usb::Counters>,
) -> Result<()> {
    duplex.answer(Ok(())).await?;
    let (speed, configuration, window) = (device.speed, device.configuration, Window::OFFERED);
    let mut tx = Tx::<Attached>::new(duplex.writer);
    let attached = Attached { session, speed, configuration, window };
    tx.send(&attached, device.descriptors.clone()).await?;
    // control transfers are 64 KiB at most
    let streams = (Rx::<Up>::new(duplex.reader), tx.speak::<Down>());
    Ok(usb::serve::run(device, streams, endpoints, window, counters).await?)
}

impl Drop for Session {
    fn drop(&mut self) {
        self.inner.shared.change(|core| {
            let Some(local) = core.devices.get_mut(&self.id) else { return };
            let lease = local.lease.take_if(|lease| lease.session == self.session);
            if let Some(lease) = lease {
                core.session_ended(&self.id, self.peer, lease.began);
            }
            let Some(local) = core.devices.get(&self.id) else { return };
            if local.source.is_none() && !local.kept {
                core.devices.remove(&self.id);
            }
        });
    }
}

/// Opens the device behind a lease. The one place where it matters what is behind it.
async fn open(source: Source, data: &Path, release: &TaskTracker) -> Result<usb::Device> {
    match source {
        Source::Simulated(simulated) => Ok(simulated.open()),
        Source::Usb(found) => Ok(usb::linux::open(&found, data, release).await?),
    }
}
