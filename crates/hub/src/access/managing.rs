//! Giving and taking grants, and forgetting guests.

use super::Grant;
use super::factor::{self, Factor, Secret};
use super::terms::{Terms, Written};
use crate::core::{Caller, Core, PeerId};
use crate::failure::Failure;
use crate::management::serde_word;
use crate::pairing::internal;
use crate::view::{self, Role};
use crate::{Hub, Inner};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use wire::DeviceId;

type Result<T> = std::result::Result<T, Failure>;

/// What an invitation promises to the hub that uses it, as the database has it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Promise {
    pub(crate) grants: Vec<view::Grant>,
    /// Seconds from the pairing on, after which the hub is no peer any more.
    pub(crate) guest_s: Option<u64>,
}

impl Promise {
    /// When a hub that pairs now is forgotten. Who is a peer for good already stays it, and a
    /// guest that is invited again stays for the longer of the two times.
    pub(crate) fn expires(&self, known: Option<&crate::peers::Peer>) -> Option<Timestamp> {
        let new = Timestamp::now().checked_add(Duration::from_secs(self.guest_s?)).ok()?;
        match known {
            None => Some(new),
            Some(known) => known.expires.map(|old| old.max(new)),
        }
    }
}

impl Hub {
    /// Lets a peer do something with devices of this hub.
    ///
    /// # Errors
    /// When there is no such peer, or the grant cannot be understood.
    pub async fn grant(
        &self,
        caller: Caller,
        name: &str,
        new: view::NewGrant,
    ) -> Result<view::Granted> {
        self.0.allowed(caller)?;
        let id = self.0.shared.look(|core| core.peer_named(name))?;
        let secret = new.totp.then(Secret::random);
        let grant = self.0.understand(new, secret.clone()).await?;
        self.0.put_grant(id, grant, caller).await?;
        let peer = self.0.peer_view(&id)?;
        let totp = secret.map(|secret| view::Totp {
            uri: secret.uri(&self.0.shared.look(|core| core.hub.name.clone()), &peer.name),
            secret: secret.base32(),
            // whoever serves it to people draws it
            qr_svg: String::new(),
        });
        Ok(view::Granted { peer, totp })
    }

    /// Takes back the grants of one selector, or all; what they allowed ends.
    ///
    /// # Errors
    /// When there is no such peer or grant.
    pub async fn revoke(
        &self,
        caller: Caller,
        name: &str,
        selector: Option<&str>,
    ) -> Result<view::Peer> {
        self.0.allowed(caller)?;
        let id = self.0.shared.look(|core| core.peer_named(name))?;
        let selector = selector.map(|text| self.0.parse_selector(text)).transpose()?;
        let text = selector.as_ref().map(ToString::to_string);
        let what = text.as_deref().unwrap_or("all");
        self.0.audit(&caller.actor(), "grant.revoked", name, what).await.map_err(internal)?;
        let count = self.0.store.remove_grants(&id.to_string(), text.as_deref()).await?;
        if count == 0 {
            return Err(Failure::not_found(format!("{name} has no such grant"))
                .hint("see which there are: farhub grant"));
        }
        self.0.shared.change(|core| {
            if let Some(peer) = core.peers.get_mut(&id) {
                peer.grants.retain(|known| selector.as_ref().is_some_and(|s| known.selector != *s));
                if selector.is_none() {
                    peer.unreadable = 0;
                }
            }
            core.end_forbidden_sessions();
        });
        self.0.peer_view(&id)
    }
}

impl Inner {
    /// What is asked for as a grant; argon2 takes its time.
    pub(crate) async fn understand(
        &self,
        new: view::NewGrant,
        secret: Option<Secret>,
    ) -> Result<Grant> {
        let view::NewGrant { selector, role, windows, zone, limit_s, until, pin, totp: _ } = new;
        let selector = self.parse_selector(&selector)?;
        let terms = Terms::read(Written { windows, zone, limit_s, until })
            .map_err(|error| Failure::bad_request(error.to_string()))?;
        if pin.as_ref().is_some_and(|pin| !factor::is_fit(pin)) {
            return Err(Failure::bad_request("a PIN has four characters at least"));
        }
        let factor = tokio::task::spawn_blocking(move || Factor::new(pin.as_ref(), secret));
        let factor = factor.await.map_err(internal)?.map_err(internal)?;
        Ok(Grant::new(selector, role, terms, factor, false))
    }

    /// A grant that an invitation promises: understood when it is made, and again when it is used.
    pub(crate) async fn promised(&self, grant: view::Grant) -> Result<Grant> {
        if grant.pin || grant.totp {
            return Err(Failure::bad_request("an invitation cannot hold a PIN or a secret")
                .hint("grant it when the hub has paired: farhub grant"));
        }
        self.understand(grant.into(), None).await
    }

    /// Use for some time, beside whatever else was granted: the answer to a request.
    pub(crate) async fn grant_for(
        &self,
        peer: PeerId,
        device: &DeviceId,
        time: Duration,
        caller: Caller,
    ) -> Result<()> {
        let until = Timestamp::now().checked_add(time).map_err(internal)?;
        let written = Written { until: Some(until.to_string()), ..Written::default() };
        let terms = Terms::read(written).map_err(internal)?;
        let selector = crate::Selector::Device(device.clone());
        let grant = Grant::new(selector, Role::Use, terms, Factor::default(), true);
        self.put_grant(peer, grant, caller).await
    }

    pub(crate) async fn put_grant(&self, peer: PeerId, grant: Grant, caller: Caller) -> Result<()> {
        let row = grant.row(&peer);
        let factor = match (&row.pin, &row.totp) {
            (None, None) => "",
            (Some(_), None) => " pin",
            (None, Some(_)) => " totp",
            (Some(_), Some(_)) => " pin totp",
        };
        let terms = if row.terms == NO_TERMS { "" } else { &row.terms };
        let more = format!("{}{factor} {terms}", serde_word(&grant.role));
        let what = format!("{peer} {}", row.selector);
        self.audit(&caller.actor(), "grant.given", what, more.trim()).await.map_err(internal)?;
        self.store.put_grant(&row).await?;
        self.shared.change(|core| {
            if let Some(known) = core.peers.get_mut(&peer) {
                known.grants.retain(|old| !old.is_replaced_by(&grant));
                known.grants.push(grant);
            }
            core.end_forbidden_sessions();
        });
        Ok(())
    }

    /// Forgets a peer: its connections, sessions, grants and attachments end.
    pub(crate) async fn forget_peer(&self, actor: &str, action: &str, id: &PeerId) -> Result<()> {
        let name = self.shared.look(|core| core.peers.get(id).map(|peer| peer.name.to_string()));
        let name = name.unwrap_or_default();
        self.audit(actor, action, name, id).await.map_err(internal)?;
        self.store.remove_peer(&id.to_string()).await?;
        self.shared.change(|core| {
            core.attachments.retain(|(peer, _), attachment| {
                if peer == id {
                    attachment.end.cancel();
                }
                peer != id
            });
            core.asked.retain(|(peer, _), asked| {
                if peer == id {
                    asked.end.cancel();
                }
                peer != id
            });
            core.requests.forget(id);
            core.reserved.retain(|_, reserved| reserved.peer != *id);
            if let Some(peer) = core.peers.remove(id) {
                peer.removed.cancel();
            }
            core.end_forbidden_sessions();
        });
        Ok(())
    }
}

/// How terms that bind nothing are written.
const NO_TERMS: &str = r#"{"windows":[],"zone":null,"limit_s":null,"until":null}"#;

impl Core {
    /// Takes over what the database has of grants.
    pub(crate) fn remember_grant(&mut self, row: store::Grant) {
        let (peer_id, selector, role) =
            (row.peer_id.clone(), row.selector.clone(), row.role.clone());
        let peer = peer_id.parse().ok().and_then(|id: PeerId| self.peers.get_mut(&id));
        match (peer, Grant::read(row)) {
            (Some(peer), Some(grant)) => peer.grants.push(grant),
            (peer, None) => {
                tracing::error!(
                    peer = peer_id,
                    "the grant {selector:?} {role:?} cannot be read, and grants nothing"
                );
                if let Some(peer) = peer {
                    peer.unreadable += 1;
                }
            }
            (None, Some(_)) => {}
        }
    }

    /// Guests whose time is over.
    pub(super) fn guests_gone(&self, now: Timestamp) -> Vec<PeerId> {
        let gone = |peer: &crate::peers::Peer| peer.expires.is_some_and(|end| end <= now);
        self.peers.iter().filter(|(_, peer)| gone(peer)).map(|(id, _)| *id).collect()
    }

    /// Whether the grants of a peer let it use a device, once it has proved itself.
    pub(super) fn may_use(&self, peer: &PeerId, device: &DeviceId) -> bool {
        self.role(peer, device) >= Some(Role::Use)
    }

    /// Whether a peer may take a device from whoever uses it.
    pub(super) fn controls(&self, caller: Caller, device: &DeviceId) -> bool {
        match caller {
            Caller::Local => true,
            Caller::Peer(peer) => {
                let control = self.proven_role(&peer, device) >= Some(Role::Control);
                control || self.manages(caller).is_ok()
            }
        }
    }

    /// Nobody has to prove anything to themselves.
    pub(super) fn uses(&self, caller: Caller, device: &DeviceId) -> bool {
        let lease = self.devices.get(device).and_then(|local| local.lease.as_ref());
        lease.is_some_and(|lease| caller == Caller::Peer(lease.peer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_that_bind_nothing_are_not_worth_a_word() {
        assert_eq!(serde_json::to_string(&Written::default()).unwrap(), NO_TERMS);
    }

    #[test]
    fn who_is_a_peer_for_good_does_not_become_a_guest() {
        let guest = Promise { grants: vec![], guest_s: Some(60) };
        let member = Promise { grants: vec![], guest_s: None };
        let mut known =
            crate::peers::Peer::new("laptop".parse().unwrap(), crate::peers::Reach::default());
        assert!(guest.expires(None).is_some());
        assert_eq!(guest.expires(Some(&known)), None);
        let far = Timestamp::now() + Duration::from_secs(3600);
        known.expires = Some(far);
        assert_eq!(guest.expires(Some(&known)), Some(far));
        assert_eq!(member.expires(Some(&known)), None);
    }
}
