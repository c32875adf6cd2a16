//! Stopping machines, of this hub and of peers: on a stream of its own, before all else.
//!
//! Whoever may use a machine may stop it, without its lease, without a PIN, at any time. Nothing
//! is asked or written before the first stop byte has left; the audit log has it afterwards
//! (`machines::follow`).

use crate::core::{Caller, Core, PeerId};
use crate::failure::Failure;
use crate::machines::refused;
use crate::management::Result as Answer;
use crate::view::{FailureCode, Problem, Role, Stopped};
use crate::{Hub, Inner, links};
use anyhow::{Context, Result};
use bytes::Bytes;
use futures_util::future::join_all;
use link::{Duplex, Rx, Tx};
use serial::machine::{Machine, Reason};
use std::convert::Infallible;
use std::time::{Duration, Instant};
use wire::device::Kind;
use wire::serial::{StopDown, StopReport, StopUp};
use wire::{Address, DeviceId, Open, Priority, Refusal};

/// For a peer's answer that the first stop byte has left, and for the end of the ladder after
/// that.
const LEFT_TIMEOUT: Duration = Duration::from_secs(5);
const DONE_TIMEOUT: Duration = Duration::from_secs(10);

/// Serves a peer's stop path to a machine, for as long as it keeps it open.
pub(crate) async fn serve(
    inner: &Inner,
    peer: PeerId,
    device: &DeviceId,
    mut duplex: Duplex,
) -> Result<()> {
    let found = inner.shared.look(|core| {
        stoppable(core, &peer, device).map(|machine| (machine, core.called(Caller::Peer(peer))))
    });
    let (machine, by) = match found {
        Ok(found) => found,
        Err(refusal) => return Ok(duplex.answer(Err(refusal)).await?),
    };
    duplex.answer(Ok(())).await?;
    Ok(serial::serve::stops(&machine, &by, duplex.framed()).await?)
}

/// The machine, for whom may use it, whatever else is to be shown for that.
fn stoppable(core: &Core, peer: &PeerId, device: &DeviceId) -> Result<Machine, Refusal> {
    let role = core.role(peer, device).filter(|role| *role >= Role::Use);
    role.ok_or(Refusal::NotGranted)?;
    core.machine(device).ok_or(Refusal::Absent)
}

impl Hub {
    /// Stops a machine of this hub or of a peer.
    ///
    /// # Errors
    /// When there is no such machine, or the caller may not stop it. That it could not be reached
    /// is told in the result.
    pub async fn stop_machine(&self, caller: Caller, address: &Address) -> Answer<Stopped> {
        let own = self.0.shared.look(|core| core.hub.name == address.hub);
        match (own, caller) {
            (true, caller) => self.stop_own(caller, address).await,
            (false, Caller::Local) => {
                let (peer, device) = self.0.shared.look(|core| core.remote_device(address))?;
                Ok(self.0.stop_remote(address, peer, device).await)
            }
            (false, Caller::Peer(_)) => {
                Err(Failure::new(FailureCode::Refused, "a hub does not act for another one"))
            }
        }
    }

    /// Goes the way of a stop and does nothing: for who relies on it to know that it would work.
    ///
    /// # Errors
    /// As [`Self::stop_machine`], or that the machine's hub does not answer.
    pub async fn test_stop(&self, caller: Caller, address: &Address) -> Answer<()> {
        let own = self.0.shared.look(|core| core.hub.name == address.hub);
        if own || caller != Caller::Local {
            let machine = self.0.shared.look(|core| own_machine(core, caller, address))?;
            return machine.test().await.map(drop).map_err(refused);
        }
        let (peer, device) = self.0.shared.look(|core| core.remote_device(address))?;
        let tested = async {
            let test = StopUp::Test { number: 0 };
            let (mut rx, _tx) = self.0.stop_path(&peer, &device, &test).await?;
            let told = tokio::time::timeout(LEFT_TIMEOUT, rx.recv()).await;
            told.context("its hub does not answer")??.context("its hub broke off")
        };
        let unreachable =
            |error: anyhow::Error| Failure::new(FailureCode::Unreachable, format!("{error:#}"));
        tested.await.map(drop).map_err(unreachable)
    }

    /// Stops every machine that this hub knows of and may stop, its own and those of peers.
    pub async fn stop_all_machines(&self, caller: Caller) -> Vec<Stopped> {
        let addresses = self.0.shared.look(|core| machines(core, caller));
        let stops = addresses.iter().map(|address| async move {
            let stopped = self.stop_machine(caller, address).await;
            stopped.unwrap_or_else(|failure| not_stopped(address, failure.message))
        });
        join_all(stops).await
    }

    async fn stop_own(&self, caller: Caller, address: &Address) -> Answer<Stopped> {
        let inner = &self.0;
        let machine = inner.shared.look(|core| own_machine(core, caller, address))?;
        let began = Instant::now();
        let by = inner.shared.look(|core| core.called(caller));
        let over = |_| Failure::not_found(format!("the port of {address} was closed meanwhile"));
        let stopping = machine.stop(Reason::Asked { by }).map_err(refused)?;
        let left_ms = stopping.left.await.map_err(over)?.map(|_| millis(began));
        let report = stopping.done.await.map_err(over)?;
        Ok(Stopped { address: address.clone(), report: Some(report), left_ms, error: None })
    }
}

impl Inner {
    async fn stop_remote(&self, address: &Address, peer: PeerId, device: DeviceId) -> Stopped {
        match self.ask_to_stop(&peer, &device).await {
            Ok((left_ms, report)) => {
                Stopped { address: address.clone(), report: Some(report), left_ms, error: None }
            }
            Err(error) => not_stopped(address, format!("{error:#}")),
        }
    }

    async fn ask_to_stop(
        &self,
        peer: &PeerId,
        device: &DeviceId,
    ) -> Result<(Option<u32>, StopReport)> {
        let began = Instant::now();
        let (mut rx, _tx) = self.stop_path(peer, device, &StopUp::Stop { number: 0 }).await?;
        let mut left_ms = None;
        loop {
            let timeout = if left_ms.is_none() { LEFT_TIMEOUT } else { DONE_TIMEOUT };
            let told = tokio::time::timeout(timeout, rx.recv()).await;
            let told = told.context("its hub does not answer")??;
            match told.context("its hub broke off")?.0 {
                StopDown::Left { .. } => left_ms = Some(millis(began)),
                StopDown::Done { report, .. } => return Ok((left_ms, report)),
                StopDown::Tested { .. } => {}
            }
        }
    }

    /// Opens a stop path and uses it in the same breath: the answer is not waited for.
    async fn stop_path(
        &self,
        peer: &PeerId,
        device: &DeviceId,
        first: &StopUp,
    ) -> Result<(Rx<StopDown>, Tx<StopUp>)> {
        let connection = self.links.latest(peer).context("its hub cannot be reached")?;
        let mut stream = links::open(&connection, Priority::Stop).await?;
        stream.open(&Open::Stop { device: device.clone() }).await?;
        let mut tx = Tx::<StopUp>::new(stream.writer);
        tx.send(first, Bytes::new()).await?;
        let unanswered = Duplex { reader: stream.reader, writer: Box::new(tokio::io::sink()) };
        let answered = tokio::time::timeout(LEFT_TIMEOUT, unanswered.answered()).await;
        let reader = answered.context("its hub does not answer")??.reader;
        Ok((Rx::new(reader).without_bodies(), tx))
    }

    /// Tests the way to a peer's machine, again and again, for as long as somebody relies on it,
    /// and shows how long it took, or that it is broken.
    pub(crate) async fn test_stop_path(&self, key: &(PeerId, DeviceId)) -> Infallible {
        loop {
            if let Err(error) = self.test_until_broken(key).await {
                tracing::debug!(device = %key.1, "the stop path: {error:#}");
            }
            self.stop_path_took(key, None);
            tokio::time::sleep(TEST_EVERY).await;
        }
    }

    async fn test_until_broken(&self, key: &(PeerId, DeviceId)) -> Result<()> {
        let mut began = Instant::now();
        let (mut rx, mut tx) = self.stop_path(&key.0, &key.1, &StopUp::Test { number: 0 }).await?;
        for number in 1.. {
            let tested = tokio::time::timeout(LEFT_TIMEOUT, rx.recv()).await;
            tested.context("no answer in time")??.context("broken off")?;
            self.stop_path_took(key, Some(began.elapsed()));
            tokio::time::sleep(TEST_EVERY).await;
            began = Instant::now();
            tx.send(&StopUp::Test { number }, Bytes::new()).await?;
        }
        Ok(())
    }
}

/// A machine of this hub, for a caller who may stop it.
fn own_machine(core: &Core, caller: Caller, address: &Address) -> Answer<Machine> {
    let none = || Failure::not_found(format!("{address} is no machine that is shared"));
    if core.hub.name != address.hub {
        return Err(Failure::new(FailureCode::Refused, "a hub does not act for another one"));
    }
    let id = core.device_named(address.device.as_str())?;
    if let Caller::Peer(peer) = caller {
        stoppable(core, &peer, &id).map_err(|refusal| Failure::refused(refusal.to_string()))?;
    }
    core.machine(&id).ok_or_else(none)
}

/// Every machine that the caller may stop.
fn machines(core: &Core, caller: Caller) -> Vec<Address> {
    let mine = core.devices.iter().filter(|(id, _)| match caller {
        Caller::Local => core.machine(id).is_some(),
        Caller::Peer(peer) => stoppable(core, &peer, id).is_ok(),
    });
    let mine =
        mine.map(|(_, local)| Address { hub: core.hub.name.clone(), device: local.name.clone() });
    let theirs = core.peers.values().filter(|_| caller == Caller::Local).flat_map(|peer| {
        let machines = peer.shelf.values().filter(|device| matches!(device.kind, Kind::Serial(_)));
        machines.map(|device| Address { hub: peer.name.clone(), device: device.name.clone() })
    });
    mine.chain(theirs).collect()
}

fn not_stopped(address: &Address, message: String) -> Stopped {
    let hint = Some("use the machine's own switch".to_owned());
    let error = Some(Problem { message, hint });
    Stopped { address: address.clone(), report: None, left_ms: None, error }
}

fn millis(since: Instant) -> u32 {
    u32::try_from(since.elapsed().as_millis()).unwrap_or(u32::MAX)
}

/// The stop path's self-test, while somebody relies on it.
const TEST_EVERY: Duration = Duration::from_secs(5);
