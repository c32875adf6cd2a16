//! Taking a device from whoever uses it, and keeping it a moment for somebody else.

use crate::core::{Caller, Core, PeerId};
use crate::failure::Failure;
use crate::pairing::internal;
use crate::view::{self, FailureCode};
use crate::{Hub, Inner};
use std::time::{Duration, Instant};
use wire::{DeviceId, Reply};

/// So long nobody else gets the device: enough for the other hub to notice and to attach it.
const KEPT: Duration = Duration::from_secs(60);

/// A device that is kept for a peer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reserved {
    pub(crate) peer: PeerId,
    pub(crate) until: Instant,
}

impl Core {
    pub(crate) fn reserved_for(&self, device: &DeviceId) -> Option<PeerId> {
        let reserved = self.reserved.get(device)?;
        (reserved.until > Instant::now()).then_some(reserved.peer)
    }

    pub(crate) fn reserved_name(&self, device: &DeviceId) -> Option<&wire::Name> {
        Some(&self.peers.get(&self.reserved_for(device)?)?.name)
    }
}

impl Hub {
    /// Ends the use of a device and keeps it for another peer: with no peer named for the one
    /// that says so, or for nobody. The owner may, whoever uses it, and whoever controls it.
    ///
    /// # Errors
    /// When the caller may not, or the other peer may not use the device.
    pub async fn hand_over(
        &self,
        caller: Caller,
        device: &str,
        to: Option<&str>,
    ) -> Result<view::Device, Failure> {
        let (id, to) = self.0.shared.look(|core| {
            let id = core.device_named(device)?;
            let seen = match caller {
                Caller::Local => true,
                Caller::Peer(peer) => core.role(&peer, &id).is_some(),
            };
            if !seen && core.manages(caller).is_err() {
                return Err(Failure::not_found(format!("this hub has no device {device:?}")));
            }
            if !core.controls(caller, &id) && !core.uses(caller, &id) {
                let message = format!("{device} is neither in your use nor under your control");
                return Err(Failure::refused(message).hint("ask for it: farhub request"));
            }
            let to = match (to, caller) {
                (Some(name), _) => Some(core.heir(caller, &id, name)?),
                (None, Caller::Peer(peer)) => Some(peer),
                (None, Caller::Local) => None,
            };
            Ok((id, to))
        })?;
        self.0.pass_on(caller, &id, to).await?;
        let view = |core: &Core| Some(core.devices.get(&id)?.view(&id, &core.hub.name, core));
        let gone = || Failure::not_found("the device was pulled out meanwhile");
        self.0.shared.look(view).ok_or_else(gone)
    }
}

impl Core {
    /// Peers do not see each other, except those that ask for what one uses.
    fn heir(&self, caller: Caller, device: &DeviceId, name: &str) -> Result<PeerId, Failure> {
        let found = self.peer_named(name);
        let seen = |peer: &PeerId| {
            let itself = caller == Caller::Peer(*peer);
            itself || self.manages(caller).is_ok() || self.requests.is_asked(peer, device)
        };
        found.ok().filter(seen).ok_or_else(|| {
            Failure::not_found(format!("nobody called {name:?} has asked for it"))
                .hint("see who did: farhub requests")
        })
    }
}

impl Inner {
    /// Ends the use of a device, and keeps it for a peer. The lease itself ends when the device
    /// has been given back.
    pub(super) async fn pass_on(
        &self,
        caller: Caller,
        device: &DeviceId,
        to: Option<PeerId>,
    ) -> Result<(), Failure> {
        self.shared.look(|core| {
            let Some(peer) = to else { return Ok(()) };
            if !core.may_use(&peer, device) {
                let name = core.peers.get(&peer).map_or("it", |peer| peer.name.as_str());
                let message = format!("{name} may not use the device");
                return Err(Failure::new(FailureCode::Conflict, message)
                    .hint("let it: farhub grant, or farhub accept"));
            }
            let lease = core.devices.get(device).and_then(|local| local.lease.as_ref());
            if lease.is_some_and(|lease| lease.peer == peer) {
                return Err(Failure::new(FailureCode::Conflict, "it uses the device already"));
            }
            Ok(())
        })?;
        let detail = to.map(|peer| peer.to_string()).unwrap_or_default();
        self.audit(&caller.actor(), "lease.handed_over", device, detail).await.map_err(internal)?;
        self.shared.change(|core| {
            if let Some(peer) = to {
                let until = Instant::now() + KEPT;
                core.reserved.insert(device.clone(), Reserved { peer, until });
                let seconds = u32::try_from(KEPT.as_secs()).unwrap_or(u32::MAX);
                core.requests.answer(&peer, device, Reply::Accepted { seconds });
            }
            if let Some(lease) = core.devices.get(device).and_then(|local| local.lease.as_ref()) {
                lease.end.cancel();
            }
        });
        Ok(())
    }
}
