//! A device of this hub in use by a peer, from the lease to its end.
//!
//! A session outlives the connection that it began on: when the peer is cut off, the device stays
//! as it is for a while, and the peer may go on with it over a new connection. Nothing that was
//! under way is lost or done twice ([`link::resume`]).

use crate::core::{Caller, PeerId};
use crate::devices::{EndpointStream, Inlet, Lease, Source};
use crate::{Inner, links};
use anyhow::{Context, Result, bail};
use bytes::Bytes;
use link::resume::Lines;
use link::{Duplex, Tx};
use serial::machine::Begun;
use serial::serve::Pulse;
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
    opened: Option<Opened>,
    lines: Lines,
    counters: Arc<usb::Counters>,
    end: CancellationToken,
    /// The device's own task, which gives it back.
    release: TaskTracker,
}

/// What a session is with, and what comes for it.
enum Opened {
    Usb(usb::Device, mpsc::Receiver<EndpointStream>),
    Serial(Box<(serial::machine::Session, Begun)>, mpsc::Receiver<Pulse>),
}

impl Session {
    pub(crate) async fn begin(
        inner: &Arc<Inner>,
        peer: PeerId,
        id: &DeviceId,
    ) -> Result<Self, Refusal> {
        let kind = inner.shared.look(|core| {
            core.role(&peer, id)?;
            Some(core.devices.get(id)?.kind.clone())
        });
        let kind = kind.ok_or(Refusal::NotGranted)?;
        let (inlet, outlet) = Outlet::of(&kind).ok_or(Refusal::NotUnderstood)?;
        let (counters, end) = (Arc::new(usb::Counters::default()), CancellationToken::new());
        let (session, lines) = (SessionId(rand::random()), Lines::default());
        let lease = Lease {
            session,
            peer,
            began: Instant::now(),
            end: end.clone(),
            lines: lines.clone(),
            inlet,
            counters: counters.clone(),
        };
        take_over(inner, peer, id).await?;
        let source = lend(inner, peer, id, lease)?;
        let (inner, id) = (inner.clone(), id.clone());
        let (opened, release) = (None, TaskTracker::new());
        let mut new = Self { inner, peer, id, session, opened, lines, counters, end, release };
        // what cannot be logged is not done
        let logged = new.audit("session.start").await;
        logged.map_err(|error| {
            tracing::error!("the audit log cannot be written: {error:#}");
            Refusal::Failed
        })?;
        let opened = new.open(source, outlet).await;
        new.opened = Some(opened.map_err(|error| {
            tracing::warn!(device = %new.id, "cannot be opened: {error:#}");
            Refusal::Failed
        })?);
        Ok(new)
    }

    /// Opens the device behind the lease. The one place where it matters what is behind it.
    async fn open(&self, source: Source, outlet: Outlet) -> Result<Opened> {
        Ok(match (source, outlet) {
            (Source::Simulated(simulated), Outlet::Endpoints(streams)) => {
                Opened::Usb(simulated.open(), streams)
            }
            (Source::Usb(found), Outlet::Endpoints(streams)) => {
                let device = usb::linux::open(&found, &self.inner.data, &self.release).await?;
                Opened::Usb(device, streams)
            }
            (Source::Serial(_) | Source::SimulatedSerial(_), Outlet::Pulses(pulses)) => {
                let (machine, by) = self
                    .inner
                    .shared
                    .look(|core| (core.machine(&self.id), core.called(Caller::Peer(self.peer))));
                let begun = machine.context("its port is not open")?.begin(by).await?;
                Opened::Serial(Box::new(begun), pulses)
            }
            (source, _) => bail!("{source:?} is of another kind than it was"),
        })
    }

    /// However it ends, and be it before the peer has read the answer: the device is given back
    /// before the lease ends.
    pub(crate) async fn run(mut self, duplex: Duplex) -> Result<()> {
        let opened = self.opened.take().context("a session that has begun has its device")?;
        let result = tokio::select! {
            result = self.serve(opened, duplex) => result,
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

    /// Says yes, describes the device, and serves it.
    async fn serve(&self, opened: Opened, mut duplex: Duplex) -> Result<()> {
        duplex.answer(Ok(())).await?;
        match opened {
            Opened::Usb(device, endpoints) => self.serve_usb(device, endpoints, duplex).await,
            Opened::Serial(begun, pulses) => self.serve_serial(*begun, pulses, duplex).await,
        }
    }

    async fn serve_usb(
        &self,
        device: usb::Device,
        endpoints: mpsc::Receiver<EndpointStream>,
        duplex: Duplex,
    ) -> Result<()> {
        let (speed, configuration, window) = (device.speed, device.configuration, Window::OFFERED);
        let mut tx = Tx::<Attached>::new(duplex.writer);
        let attached = Attached { session: self.session, speed, configuration, window };
        tx.send(&attached, device.descriptors.clone()).await?;
        let stream = Duplex { reader: duplex.reader, writer: tx.into_writer() };
        let line = self.lines.begin(0, stream).context("a new session has no lines")?;
        // control transfers are 64 KiB at most
        let counters = self.counters.clone();
        Ok(usb::serve::run(device, line.framed::<Up, Down>(), endpoints, window, counters).await?)
    }

    async fn serve_serial(
        &self,
        (used, begun): (serial::machine::Session, Begun),
        pulses: mpsc::Receiver<Pulse>,
        duplex: Duplex,
    ) -> Result<()> {
        let Begun { coding, lines, profile, stops } = begun;
        let session = self.session;
        let attached = wire::serial::Attached { session, coding, lines, profile, stops };
        let mut tx = Tx::<wire::serial::Attached>::new(duplex.writer);
        tx.send(&attached, Bytes::new()).await?;
        let stream = Duplex { reader: duplex.reader, writer: tx.into_writer() };
        let line = self.lines.begin(0, stream).context("a new session has no lines")?;
        Ok(serial::serve::run(used, line.framed(), pulses, &self.counters).await?)
    }

    /// Resolves when the peer has ended its connection, or was cut off for longer than the device
    /// is kept for it.
    async fn outlasted(&self) {
        let grace = self.inner.shared.look(|core| {
            let local = core.devices.get(&self.id);
            local.map_or(Duration::ZERO, |local| self.inner.grace.of(&local.kind))
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
    (lines, inlet): (Lines, Inlet),
    (endpoint, received): (u8, u64),
    mut duplex: Duplex,
) -> Result<()> {
    // what the old stream still brings must not be counted twice
    let known = lines.halt(endpoint);
    let endpoints = match (known, inlet) {
        (Some(_), _) => None,
        (None, Inlet::Endpoints(endpoints)) if received == 0 && endpoint != 0 => Some(endpoints),
        (None, _) => return Ok(duplex.answer(Err(Refusal::NotUnderstood)).await?),
    };
    let joined = async {
        duplex.answer(Ok(())).await?;
        let joined = Joined { received: known.unwrap_or(0) };
        Tx::new(&mut duplex.writer).send(&joined, Bytes::new()).await
    };
    if let Err(error) = joined.await {
        lines.lose(std::io::Error::new(std::io::ErrorKind::TimedOut, error.to_string()));
        return Err(error.into());
    }
    let Some(endpoints) = endpoints else {
        return Ok(lines.resume(endpoint, duplex, received)?);
    };
    let duplex = lines.begin(endpoint, duplex).context("opened twice at once")?;
    let (rx, tx) = duplex.framed::<Up, Down>();
    // only OUT transfers carry data this way
    let rx = if endpoint & 0x80 == 0 { rx.with_urbs() } else { rx.without_bodies() };
    // a session that is over takes no more streams, and this one ends with it
    let _ = endpoints.send((endpoint, rx, tx)).await;
    Ok(())
}

/// The other end of a lease's [`Inlet`].
enum Outlet {
    Endpoints(mpsc::Receiver<EndpointStream>),
    Pulses(mpsc::Receiver<Pulse>),
}

impl Outlet {
    /// `None` for what is not used by sessions.
    fn of(kind: &Kind) -> Option<(Inlet, Self)> {
        Some(match kind {
            Kind::Usb(_) => {
                let (inlet, outlet) = mpsc::channel(ENDPOINTS_MAX);
                (Inlet::Endpoints(inlet), Self::Endpoints(outlet))
            }
            Kind::Serial(_) => {
                let (inlet, outlet) = mpsc::channel(1);
                (Inlet::Pulses(inlet), Self::Pulses(outlet))
            }
            Kind::Printer(_) => return None,
        })
    }
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
