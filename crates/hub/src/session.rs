//! A device of this hub in use by a peer, from the lease to its end.
//!
//! A session outlives the connection that it began on: when the peer is cut off, the device stays
//! as it is for a while, and the peer may go on with it over a new connection. Nothing that was
//! under way is lost or done twice ([`link::resume`]).

use crate::core::PeerId;
use crate::devices::{EndpointStream, Lease, Source};
use crate::{Inner, links};
use anyhow::{Context, Result};
use bytes::Bytes;
use link::resume::Lines;
use link::{Duplex, Tx};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wire::device::Kind;
use wire::usb::{Attached, Down, Up, Window};
use wire::{DeviceId, Joined, Refusal, SessionId};

/// Endpoint streams that wait for their session to take them: all that a device can have.
const ENDPOINTS_MAX: usize = 31;
/// A device waits longer than who uses it, so that who comes back in time finds it.
const LONGER: Duration = Duration::from_secs(3);
/// To give a device back that its peer wants anew.
const TAKE_OVER_TIMEOUT: Duration = Duration::from_secs(10);

/// The use of one device by one peer. Dropping it ends the lease.
pub(crate) struct Session {
    inner: Arc<Inner>,
    peer: PeerId,
    id: DeviceId,
    session: SessionId,
    device: Option<usb::Device>,
    endpoints: mpsc::Receiver<EndpointStream>,
    lines: Lines,
    counters: Arc<usb::Counters>,
    end: CancellationToken,
    /// The device's own task, which gives it back.
    release: TaskTracker,
}

impl Session {
    pub(crate) async fn begin(
        inner: &Arc<Inner>,
        peer: PeerId,
        id: &DeviceId,
    ) -> Result<Self, Refusal> {
        let (endpoints_tx, endpoints) = mpsc::channel(ENDPOINTS_MAX);
        let (counters, end) = (Arc::new(usb::Counters::default()), CancellationToken::new());
        let (session, lines) = (SessionId(rand::random()), Lines::default());
        let lease = Lease {
            session,
            peer,
            began: Instant::now(),
            end: end.clone(),
            lines: lines.clone(),
            endpoints: endpoints_tx,
            counters: counters.clone(),
        };
        take_over(inner, peer, id).await?;
        let source = lend(inner, peer, id, lease)?;
        let (inner, id) = (inner.clone(), id.clone());
        let (device, release) = (None, TaskTracker::new());
        let mut new =
            Self { inner, peer, id, session, device, endpoints, lines, counters, end, release };
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
    pub(crate) async fn run(mut self, duplex: Duplex) -> Result<()> {
        let device = self.device.take().context("a session that has begun has its device")?;
        let (_, empty) = mpsc::channel(1);
        let endpoints = std::mem::replace(&mut self.endpoints, empty);
        let counters = self.counters.clone();
        let serve = serve(device, self.session, (duplex, self.lines.clone()), endpoints, counters);
        let result = tokio::select! {
            result = serve => result,
            () = self.end.cancelled() => Ok(()),
            () = self.outlasted() => Ok(()),
        };
        self.lines.end();
        // somebody else can have it when the kernel's drivers have it back
        self.release.close();
        self.release.wait().await;
        if let Err(error) = &result {
            tracing::info!(device = %self.id, peer = %self.peer.fmt_short(), "ended: {error:#}");
        }
        self.audit("session.end").await
    }

    /// Resolves when the peer has ended its connection, or was cut off for longer than the device
    /// is kept for it.
    async fn outlasted(&self) {
        let grace = self.inner.shared.look(|core| {
            let local = core.devices.get(&self.id);
            local.map_or(Duration::ZERO, |local| {
                let Kind::Usb(usb) = &local.kind;
                self.inner.grace.of(usb)
            })
        });
        loop {
            let error = self.lines.lost().await;
            let Some(silent) = links::cut(&error) else {
                tracing::debug!(device = %self.id, "the peer let go: {error}");
                return;
            };
            tracing::info!(device = %self.id, "kept for its peer, which was cut off: {error}");
            let left = grace.saturating_sub(silent) + LONGER;
            if tokio::time::timeout(left, self.lines.whole()).await.is_err() {
                tracing::info!(device = %self.id, "the peer did not come back in time");
                return;
            }
            tracing::info!(device = %self.id, "its peer is back");
        }
    }

    async fn audit(&self, action: &str) -> Result<()> {
        self.inner.audit(&self.peer.to_string(), action, &self.id, "").await
    }
}

/// A session of the same peer with the same device ends for the new one: the peer has started
/// anew, and this hub has not noticed yet.
async fn take_over(inner: &Inner, peer: PeerId, id: &DeviceId) -> Result<(), Refusal> {
    let old = inner.shared.look(|core| {
        let lease = core.devices.get(id)?.lease.as_ref()?;
        (lease.peer == peer).then(|| (lease.session, lease.end.clone()))
    });
    let Some((session, end)) = old else { return Ok(()) };
    end.cancel();
    let given_back = inner.shared.until(|core| {
        let lease = core.devices.get(id).and_then(|local| local.lease.as_ref());
        lease.is_none_or(|lease| lease.session != session).then_some(())
    });
    tokio::time::timeout(TAKE_OVER_TIMEOUT, given_back).await.map_err(|_| Refusal::InUse)
}

/// Gives the lease of a device to a peer that may use it.
fn lend(
    inner: &Inner,
    peer: PeerId,
    id: &DeviceId,
    lease: Lease,
) -> std::result::Result<Source, Refusal> {
    inner.shared.try_change(|core| {
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
    })
}

/// Joins a stream to a session: a further endpoint, or one that was cut and goes on.
pub(crate) async fn join(
    lines: Lines,
    endpoints: mpsc::Sender<EndpointStream>,
    (endpoint, received): (u8, u64),
    mut duplex: Duplex,
) -> Result<()> {
    // what the old stream still brings must not be counted twice
    let known = lines.halt(endpoint);
    if known.is_none() && (received > 0 || endpoint == 0) {
        return Ok(duplex.answer(Err(Refusal::NotUnderstood)).await?);
    }
    let joined = async {
        duplex.answer(Ok(())).await?;
        let joined = Joined { received: known.unwrap_or(0) };
        Tx::new(&mut duplex.writer).send(&joined, Bytes::new()).await
    };
    if let Err(error) = joined.await {
        lines.lose(std::io::Error::new(std::io::ErrorKind::TimedOut, error.to_string()));
        return Err(error.into());
    }
    if known.is_some() {
        return Ok(lines.resume(endpoint, duplex, received)?);
    }
    let duplex = lines.begin(endpoint, duplex).context("opened twice at once")?;
    let (rx, tx) = duplex.framed::<Up, Down>();
    // only OUT transfers carry data this way
    let rx = if endpoint & 0x80 == 0 { rx.with_urbs() } else { rx.without_bodies() };
    // a session that is over takes no more streams, and this one ends with it
    let _ = endpoints.send((endpoint, rx, tx)).await;
    Ok(())
}

/// Says yes, describes the device, and serves it.
async fn serve(
    device: usb::Device,
    session: SessionId,
    (mut duplex, lines): (Duplex, Lines),
    endpoints: mpsc::Receiver<EndpointStream>,
    counters: Arc<usb::Counters>,
) -> Result<()> {
    duplex.answer(Ok(())).await?;
    let (speed, configuration, window) = (device.speed, device.configuration, Window::OFFERED);
    let mut tx = Tx::<Attached>::new(duplex.writer);
    let attached = Attached { session, speed, configuration, window };
    tx.send(&attached, device.descriptors.clone()).await?;
    let duplex = lines.begin(0, Duplex { reader: duplex.reader, writer: tx.into_writer() });
    // control transfers are 64 KiB at most
    let streams = duplex.context("a new session has no lines")?.framed::<Up, Down>();
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
