//! What people ask of a hub, one function for each request of the API.

use crate::attachments::Attachment;
use crate::core::{Caller, PeerId};
use crate::failure::Failure;
use crate::pairing::{EXPIRES, internal};
use crate::view::{self, FailureCode, Role, Via};
use crate::{Hub, Inner, Selector, attaching, links, plugging};
use link::Duplex;
use std::time::Duration;
use tokio::sync::watch;
use wire::pair::Ticket;
use wire::{Address, DeviceId, Name, Open, Priority};

/// How long a device that is asked for may take to appear on its hub's shelf.
const ON_ITS_WAY: Duration = Duration::from_secs(2);

type Result<T> = std::result::Result<T, Failure>;

impl Hub {
    /// Everything that the caller may see.
    #[must_use]
    pub fn state(&self, caller: Caller) -> view::State {
        let mut state = self.0.shared.look(|core| core.state(caller));
        for peer in &mut state.peers {
            // round trip times change all the time: they are looked up when they are looked at
            let Ok(id) = peer.id.parse() else { continue };
            let view::PathReport { path, why, .. } = self.0.path_report(&id);
            (peer.path, peer.why) = (path, why);
        }
        state
    }

    /// Changes after every change of [`Hub::state`].
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.shared.changes()
    }

    /// What goes through the devices in use, measured each second.
    #[must_use]
    pub fn rates(&self) -> watch::Receiver<view::Rates> {
        self.0.rates.subscribe()
    }

    /// Lets peers have a device, each as far as it was granted.
    ///
    /// # Errors
    /// When there is no such device, it cannot be shared, or the name is taken.
    pub async fn share(
        &self,
        caller: Caller,
        device: &str,
        name: Option<Name>,
    ) -> Result<view::Device> {
        self.0.allowed(caller)?;
        let id = self.0.shared.look(|core| core.device_named(device))?;
        let problem = plugging::problem_now(&self.0, &id).await;
        if let Some(problem) = problem {
            return Err(Failure::new(FailureCode::Conflict, problem.to_string()));
        }
        self.0.keep_device(caller, &id, true, name).await
    }

    /// Takes a device off the shelf, and from whoever uses it.
    ///
    /// # Errors
    /// When there is no such device.
    pub async fn unshare(&self, caller: Caller, device: &str) -> Result<view::Device> {
        self.0.allowed(caller)?;
        let id = self.0.shared.look(|core| core.device_named(device))?;
        self.0.keep_device(caller, &id, false, None).await
    }

    /// A ticket that lets one hub pair with this one, and how long it is good.
    ///
    /// # Errors
    /// When a grant cannot be read.
    pub async fn invite(
        &self,
        caller: Caller,
        expires_in: Duration,
        grants: &[view::Grant],
    ) -> Result<(Ticket, Duration)> {
        self.0.allowed(caller)?;
        if expires_in > EXPIRES.1 {
            return Err(Failure::bad_request("a ticket may not be good for more than a week"));
        }
        self.0.invite(caller, expires_in, grants).await
    }

    /// Pairs with the hub of a ticket.
    ///
    /// # Errors
    /// When the ticket is damaged, is not accepted, or its hub cannot be reached.
    pub async fn pair(
        &self,
        caller: Caller,
        ticket: &str,
        name: Option<Name>,
    ) -> Result<view::Peer> {
        self.0.allowed(caller)?;
        let id = self.0.pair(ticket, name).await?;
        self.0.peer_view(&id)
    }

    /// Forgets a peer: its connections, sessions, grants and attachments end.
    ///
    /// # Errors
    /// When there is no such peer.
    pub async fn remove_peer(&self, caller: Caller, name: &str) -> Result<()> {
        self.0.allowed(caller)?;
        let id = self.0.shared.look(|core| core.peer_named(name))?;
        self.0.audit(&caller.actor(), "peer.removed", name, id).await.map_err(internal)?;
        self.0.store.remove_peer(&id.to_string()).await?;
        self.0.shared.change(|core| {
            core.attachments.retain(|(peer, _), attachment| {
                if *peer == id {
                    attachment.end.cancel();
                }
                *peer != id
            });
            if let Some(peer) = core.peers.remove(&id) {
                peer.removed.cancel();
            }
            core.end_forbidden_sessions();
        });
        Ok(())
    }

    /// Whether keyboards and network adapters of a peer may be attached here.
    ///
    /// # Errors
    /// When there is no such peer.
    pub async fn trust(&self, caller: Caller, name: &str, trusted: bool) -> Result<view::Peer> {
        self.0.allowed(caller)?;
        let id = self.0.shared.look(|core| core.peer_named(name))?;
        let action = if trusted { "peer.trusted" } else { "peer.untrusted" };
        self.0.audit(&caller.actor(), action, name, id).await.map_err(internal)?;
        self.0.store.set_trusted(&id.to_string(), trusted).await?;
        self.0.shared.change(|core| {
            if let Some(peer) = core.peers.get_mut(&id) {
                peer.trusted = trusted;
            }
        });
        self.0.peer_view(&id)
    }

    /// Lets a peer do something with devices of this hub.
    ///
    /// # Errors
    /// When there is no such peer, or the selector cannot be read.
    pub async fn grant(
        &self,
        caller: Caller,
        name: &str,
        grant: &view::Grant,
    ) -> Result<view::Peer> {
        self.0.allowed(caller)?;
        let id = self.0.shared.look(|core| core.peer_named(name))?;
        let selector = self.0.parse_selector(&grant.selector)?;
        self.0.put_grant(id, selector, grant.role, caller).await?;
        self.0.peer_view(&id)
    }

    /// Takes back one grant, or all; what it allowed ends.
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
                peer.grants.retain(|(known, _)| selector.as_ref().is_some_and(|s| known != s));
            }
            core.end_forbidden_sessions();
        });
        self.0.peer_view(&id)
    }

    /// Uses a device of a peer here: from now on, or with `once` until the hub stops.
    ///
    /// # Errors
    /// When no peer has such a device.
    pub async fn attach(
        &self,
        caller: Caller,
        address: &Address,
        via: Via,
        once: bool,
    ) -> Result<view::Attachment> {
        self.0.allowed(caller)?;
        // what was shared or connected a moment ago is on its way
        let found = self.0.shared.until(|core| core.remote_device(address).ok());
        let key = match tokio::time::timeout(ON_ITS_WAY, found).await {
            Ok(key) => key,
            Err(_) => self.0.shared.look(|core| core.remote_device(address))?,
        };
        match self.attachment(&key) {
            Some(known) if known.via == via => return Ok(known),
            Some(known) if known.state != view::AttachmentState::Waiting => {
                let message = format!("{address} is attached another way already");
                return Err(Failure::new(FailureCode::Conflict, message)
                    .hint(format!("first: farhub detach {address}")));
            }
            _ => {}
        }
        self.0.audit(&caller.actor(), "device.attach", address, &key.1).await.map_err(internal)?;
        if !once {
            let row = store::Attachment {
                peer_id: key.0.to_string(),
                device_id: key.1.to_string(),
                name: address.device.to_string(),
                via: serde_word(&via),
            };
            self.0.store.put_attachment(&row).await?;
        }
        let new = self.0.shared.change(|core| {
            if let Some(known) = core.attachments.get_mut(&key) {
                // it has not got anywhere yet, so it may as well try the other door
                if known.state == view::AttachmentState::Waiting {
                    (known.via, known.error) = (via, None);
                }
                return false;
            }
            core.attachments.insert(key.clone(), Attachment::new(address.device.clone(), via));
            true
        });
        if new {
            self.0.background(attaching::keep(self.0.clone(), key.clone()));
        }
        self.attachment(&key).ok_or_else(|| Failure::not_found("it was detached meanwhile"))
    }

    /// Ends the use of a peer's device here.
    ///
    /// # Errors
    /// When it is not attached.
    pub async fn detach(&self, caller: Caller, address: &Address) -> Result<()> {
        self.0.allowed(caller)?;
        let key = self.0.shared.look(|core| {
            let mut known = core.attachments.iter();
            known
                .find(|(key, known)| known.address(key, core) == *address)
                .map(|(key, _)| key.clone())
        });
        let key = key.ok_or_else(|| {
            Failure::not_found(format!("{address} is not attached here"))
                .hint("see what is: farhub attached")
        })?;
        self.0.audit(&caller.actor(), "device.detach", address, &key.1).await.map_err(internal)?;
        self.0.store.remove_attachment(&key.0.to_string(), key.1.as_str()).await?;
        self.0.shared.change(|core| {
            if let Some(attachment) = core.attachments.remove(&key) {
                attachment.end.cancel();
            }
        });
        Ok(())
    }

    /// How a peer can be reached, measured now.
    ///
    /// # Errors
    /// When there is no such peer.
    pub fn path(&self, caller: Caller, name: &str) -> Result<view::PathReport> {
        self.0.allowed(caller)?;
        let id = self.0.shared.look(|core| core.peer_named(name))?;
        Ok(self.0.path_report(&id))
    }

    /// A stream to a peer's API.
    ///
    /// # Errors
    /// When there is no such peer, or it cannot be reached.
    pub async fn open_http(&self, name: &str) -> Result<Duplex> {
        let id = self.0.shared.look(|core| core.peer_named(name))?;
        let unreachable = || {
            Failure::new(FailureCode::Unreachable, format!("{name} cannot be reached at present"))
                .hint(format!("see why: farhub path {name}"))
        };
        let connection = self.0.links.latest(&id).ok_or_else(unreachable)?;
        let open = async {
            let mut duplex = links::open(&connection, Priority::Background).await?;
            duplex.open(&Open::Http).await?;
            duplex.answered().await
        };
        open.await.map_err(|_| unreachable())
    }

    fn attachment(&self, key: &(PeerId, DeviceId)) -> Option<view::Attachment> {
        self.0.shared.look(|core| Some(core.attachments.get(key)?.view(key, core)))
    }
}

impl Inner {
    /// A selector as people write it: a device by its name becomes a device by its id.
    pub(crate) fn parse_selector(&self, text: &str) -> Result<Selector> {
        if let Ok(selector) = text.parse::<Selector>() {
            return Ok(selector);
        }
        let named = self.shared.look(|core| core.device_named(text));
        named.map(Selector::Device).map_err(|failure| match failure.code {
            FailureCode::NotFound => Failure::bad_request(format!("{text:?} selects no device"))
                .hint("use *, a device's name or id, class:CLASS (as in class:hid) or VID:PID"),
            _ => failure,
        })
    }

    pub(crate) async fn put_grant(
        &self,
        peer: PeerId,
        selector: Selector,
        role: Role,
        caller: Caller,
    ) -> Result<()> {
        let (id, what, role_word) = (peer.to_string(), selector.to_string(), serde_word(&role));
        let detail = format!("{id} {what}");
        self.audit(&caller.actor(), "grant.given", detail, &role_word).await.map_err(internal)?;
        self.store.put_grant(&id, &what, &role_word).await?;
        self.shared.change(|core| {
            if let Some(known) = core.peers.get_mut(&peer) {
                known.grants.retain(|(old, _)| *old != selector);
                known.grants.push((selector, role));
            }
            core.end_forbidden_sessions();
        });
        Ok(())
    }

    async fn keep_device(
        &self,
        caller: Caller,
        id: &DeviceId,
        shared: bool,
        name: Option<Name>,
    ) -> Result<view::Device> {
        let gone = || Failure::not_found("the device was pulled out meanwhile");
        if let Some(name) = &name {
            let other = self.shared.look(|core| {
                core.devices.iter().any(|(known, local)| known != id && local.name == *name)
            });
            if other {
                return Err(store::Error::NameTaken(name.to_string()).into());
            }
        }
        let row = self.shared.look(|core| {
            let local = core.devices.get(id)?;
            Some(store::Device {
                id: id.to_string(),
                name: name.as_ref().unwrap_or(&local.name).to_string(),
                shared,
                kind: serde_json::to_string(&local.kind).expect("a device is plain data"),
            })
        });
        let row = row.ok_or_else(gone)?;
        let action = if shared { "device.share" } else { "device.unshare" };
        self.audit(&caller.actor(), action, &row.name, id).await.map_err(internal)?;
        self.store.put_device(&row).await?;
        self.shared
            .change(|core| {
                let local = core.devices.get_mut(id)?;
                (local.shared, local.kept) = (shared, true);
                if let Some(name) = name {
                    local.name = name;
                }
                core.end_forbidden_sessions();
                Some(core.devices[id].view(id, &core.hub.name, core))
            })
            .ok_or_else(gone)
    }

    fn peer_view(&self, id: &PeerId) -> Result<view::Peer> {
        let view = self.shared.look(|core| Some(core.peers.get(id)?.view(id, core)));
        view.ok_or_else(|| Failure::not_found("the peer was removed meanwhile"))
    }
}

/// The word that serde writes for a variant.
fn serde_word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => unreachable!("a variant without fields is a word"),
    }
}
