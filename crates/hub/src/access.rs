//! What peers may do: the one place where that is decided.
//!
//! A grant is a selector and a role, bound to terms (hours, an end, a limit for each session) and
//! perhaps to a second factor. Grants add up: something may be done when one of them allows it. A
//! row of the database that cannot be read whole grants nothing, and is counted, so that it is
//! said.
//!
//! Whatever ends what was allowed (a grant taken back, hours that are over, a limit, a guest's
//! end) ends in [`Core::end_forbidden_sessions`], and the [`timer`] calls it when the time comes.

pub(crate) mod factor;
pub(crate) mod handover;
mod managing;
pub(crate) mod requests;
mod terms;
pub(crate) mod timer;
pub(crate) mod unlock;

use crate::Selector;
use crate::core::{Caller, Core, PeerId};
use crate::failure::Failure;
use crate::view::{self, Role};
pub(crate) use managing::Promise;

use factor::{Factor, Tries};
use jiff::Timestamp;
use std::time::{Duration, Instant};
use terms::{Terms, Written};
use wire::{DeviceId, Refusal};

/// How long a proof is good while nothing is used by it. In use it does not age, so that whoever
/// comes back after an outage of less need not prove anything again.
const PROOF_LIFE: Duration = Duration::from_secs(15 * 60);
/// After so long without use a session's limit begins anew.
const REST: Duration = Duration::from_secs(10 * 60);

/// One moment on both clocks: people's, which may be set, and one that only goes on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    pub(crate) wall: Timestamp,
    pub(crate) steady: Instant,
}

impl Now {
    pub(crate) fn is() -> Self {
        Self { wall: Timestamp::now(), steady: Instant::now() }
    }
}

/// What a peer may do with which devices.
#[derive(Debug)]
pub(crate) struct Grant {
    pub(crate) selector: Selector,
    pub(crate) role: Role,
    terms: Terms,
    /// Whether it answers a request; then it stands beside others of the same selector.
    asked: bool,
    factor: Factor,
    tries: Tries,
    /// When the peer last proved itself, or used something by that proof.
    proven: Option<Instant>,
}

/// How long a peer has used a device without a rest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spent {
    used: Duration,
    left: Instant,
}

impl Grant {
    /// `None` when anything of it cannot be read.
    pub(crate) fn read(row: store::Grant) -> Option<Self> {
        let written: Written = serde_json::from_str(&row.terms).ok()?;
        Some(Self {
            selector: row.selector.parse().ok()?,
            role: serde_json::from_value(row.role.into()).ok()?,
            terms: Terms::read(written).ok()?,
            asked: row.asked,
            factor: Factor::read(row.pin, row.totp.as_deref())?,
            tries: Tries::default(),
            proven: None,
        })
    }

    pub(crate) fn row(&self, peer: &PeerId) -> store::Grant {
        store::Grant {
            peer_id: peer.to_string(),
            selector: self.selector.to_string(),
            role: crate::management::serde_word(&self.role),
            terms: serde_json::to_string(self.terms.written()).expect("terms are plain data"),
            asked: self.asked,
            pin: self.factor.pin().cloned(),
            totp: self.factor.totp().map(factor::Secret::base32),
            totp_step: 0,
        }
    }

    pub(crate) fn view(&self, core: &Core) -> view::Grant {
        let Written { windows, zone, limit_s, until } = self.terms.written().clone();
        view::Grant {
            selector: core.selector_text(&self.selector),
            role: self.role,
            windows,
            zone,
            limit_s,
            until,
            pin: self.factor.pin().is_some(),
            totp: self.factor.totp().is_some(),
            asked: self.asked,
            closed: !self.terms.hold(Timestamp::now()),
        }
    }

    /// Whether the other takes this one's place.
    fn is_replaced_by(&self, other: &Self) -> bool {
        (&self.selector, self.asked) == (&other.selector, other.asked)
    }

    fn is_proven(&self, now: Instant) -> bool {
        let fresh = |proven: Instant| now.saturating_duration_since(proven) < PROOF_LIFE;
        self.factor.is_none() || self.proven.is_some_and(fresh)
    }
}

impl Core {
    /// A peer's grants that hold now.
    fn grants(&self, peer: &PeerId, now: Timestamp) -> impl Iterator<Item = &Grant> {
        let peer = self.peers.get(peer).filter(|peer| peer.expires.is_none_or(|end| end > now));
        let grants = peer.into_iter().flat_map(|peer| &peer.grants);
        grants.filter(move |grant| grant.terms.hold(now))
    }

    /// Those of them that are about a device that is shared.
    fn grants_for(
        &self,
        peer: &PeerId,
        device: &DeviceId,
        now: Timestamp,
    ) -> impl Iterator<Item = &Grant> {
        let local = self.devices.get_key_value(device).filter(|(_, local)| local.shared);
        let grants = local.map(|(id, local)| {
            self.grants(peer, now).filter(move |grant| grant.selector.matches(id, &local.kind))
        });
        grants.into_iter().flatten()
    }

    /// What a peer may do with a device of this hub, if anything; some of it perhaps only after
    /// it has proved itself.
    pub(crate) fn role(&self, peer: &PeerId, device: &DeviceId) -> Option<Role> {
        self.grants_for(peer, device, Timestamp::now()).map(|grant| grant.role).max()
    }

    /// What it may do with it without proving anything more.
    pub(crate) fn proven_role(&self, peer: &PeerId, device: &DeviceId) -> Option<Role> {
        let now = Now::is();
        let grants = self.grants_for(peer, device, now.wall);
        grants.filter(|grant| grant.is_proven(now.steady)).map(|grant| grant.role).max()
    }

    /// The one permission check for management: whoever is at this computer may do all, a peer
    /// what an `admin` grant over everything lets it.
    pub(crate) fn manages(&self, caller: Caller) -> Result<(), Failure> {
        let Caller::Peer(id) = caller else { return Ok(()) };
        let now = Now::is();
        let all = |grant: &Grant| {
            let admin = grant.selector == Selector::All && grant.role == Role::Admin;
            admin && grant.is_proven(now.steady)
        };
        if self.grants(&id, now.wall).any(all) {
            return Ok(());
        }
        let hub = &self.hub.name;
        Err(Failure::refused(format!("{hub} does not let your hub manage it"))
            .hint(format!("on {hub}: farhub grant PEER '*' --role admin")))
    }

    /// Lets a peer begin to use a device, or says why not. The session counts from the moment
    /// that comes back, which lies before now for whoever takes no rest.
    ///
    /// # Errors
    /// What the peer may know of why not.
    pub(crate) fn admit(&self, peer: &PeerId, device: &DeviceId) -> Result<Instant, Refusal> {
        let now = Now::is();
        let spent = self.spent.get(&(*peer, device.clone()));
        let used = spent.filter(|spent| now.steady < spent.left + REST).map(|spent| spent.used);
        let began = used.and_then(|used| now.steady.checked_sub(used)).unwrap_or(now.steady);
        self.session_end(peer, device, began, Grant::is_proven, now)?;
        if self.reserved_for(device).is_some_and(|other| other != *peer) {
            return Err(Refusal::InUse);
        }
        Ok(began)
    }

    /// Whether a session goes on, and until when at most.
    pub(crate) fn goes_on(
        &self,
        device: &DeviceId,
        lease: &crate::devices::Lease,
        now: Now,
    ) -> Result<Option<Instant>, Refusal> {
        // in use, a proof does not age
        let proven = |grant: &Grant, _| grant.factor.is_none() || grant.proven.is_some();
        self.session_end(&lease.peer, device, lease.began, proven, now)
    }

    /// Until when the grants allow a session that began then, if at all.
    fn session_end(
        &self,
        peer: &PeerId,
        device: &DeviceId,
        began: Instant,
        proven: impl Fn(&Grant, Instant) -> bool,
        now: Now,
    ) -> Result<Option<Instant>, Refusal> {
        let (mut latest, mut refusal) = (None, Refusal::NotGranted);
        let grants = self.grants_for(peer, device, now.wall);
        for grant in grants.filter(|grant| grant.role >= Role::Use) {
            if !proven(grant, now.steady) {
                refusal = grant.factor.needed().unwrap_or(refusal);
                continue;
            }
            let Some(limit) = grant.terms.limit() else { return Ok(None) };
            let end = began + limit;
            if end > now.steady {
                latest = latest.max(Some(end));
            } else {
                refusal = Refusal::TimeUsedUp;
            }
        }
        if latest.is_some() { Ok(latest) } else { Err(refusal) }
    }

    /// Every session that is not allowed any more, and why.
    pub(crate) fn forbidden_sessions(&self, now: Now) -> Vec<(PeerId, DeviceId, Refusal)> {
        let leases =
            self.devices.iter().filter_map(|(id, local)| Some((id, local.lease.as_ref()?)));
        let running = leases.filter(|(_, lease)| !lease.end.is_cancelled());
        let forbidden = running.filter_map(|(id, lease)| {
            Some((lease.peer, id.clone(), self.goes_on(id, lease, now).err()?))
        });
        forbidden.collect()
    }

    /// Ends every session that the grants do not allow any more.
    pub(crate) fn end_forbidden_sessions(&self) {
        for (_, device, _) in self.forbidden_sessions(Now::is()) {
            let lease = self.devices.get(&device).and_then(|local| local.lease.as_ref());
            lease.expect("it was there a moment ago, under the same lock").end.cancel();
        }
    }

    /// Notes the end of a session: how long it was, and that its proof ages from now on.
    pub(crate) fn session_ended(&mut self, device: &DeviceId, peer: PeerId, began: Instant) {
        let now = Instant::now();
        self.spent.retain(|_, spent| now < spent.left + REST);
        let used = now.saturating_duration_since(began);
        self.spent.insert((peer, device.clone()), Spent { used, left: now });
        if self.reserved_for(device) == Some(peer) {
            self.reserved.remove(device);
        }
        let (Some(known), Some(local)) = (self.peers.get_mut(&peer), self.devices.get(device))
        else {
            return;
        };
        let grants = known.grants.iter_mut();
        for grant in grants.filter(|grant| grant.selector.matches(device, &local.kind)) {
            grant.proven = grant.proven.map(|_| now);
        }
    }
}
