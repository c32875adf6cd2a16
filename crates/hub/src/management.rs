//! What people ask of a hub, one function for each request of the API.

use crate::attachments::{self, Attachment};
use crate::core::{Caller, PeerId};
use crate::devices::Local;
use crate::failure::Failure;
use crate::pairing::{self, Target};
use crate::pairing::{EXPIRES, internal};
use crate::peers::Named;
use crate::view::{self, FailureCode, Via};
use crate::{Hub, Inner, Selector, attaching, links, plugging, rates};
use futures_util::stream::Stream;
use link::Duplex;
use std::time::Duration;
use tokio::sync::watch;
use wire::device::Kind;
use wire::pair::Ticket;
use wire::{Address, DeviceId, HostPort, Name, Open, Priority};

/// How long a device that is asked for may take to appear on its hub's shelf.
const ON_ITS_WAY: Duration = Duration::from_secs(2);

pub(crate) type Result<T> = std::result::Result<T, Failure>;

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

    /// What goes through the devices in use, measured each second from now on.
    pub fn rates(&self) -> impl Stream<Item = view::Rates> + use<> {
        rates::follow(self.0.clone())
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

    /// A ticket that lets one hub pair with this one, and how long it is good; the hub of a
    /// `guest` is forgotten so long after it has paired.
    ///
    /// # Errors
    /// When a grant cannot be read.
    pub async fn invite(
        &self,
        caller: Caller,
        expires_in: Duration,
        grants: &[view::Grant],
        guest: Option<Duration>,
    ) -> Result<(Ticket, Duration)> {
        self.0.allowed(caller)?;
        if expires_in > EXPIRES.1 {
            return Err(Failure::bad_request("a ticket may not be good for more than a week"));
        }
        self.0.invite(caller, expires_in, grants, guest).await
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

    /// Asks another hub to pair by code; then the code is shown.
    ///
    /// # Errors
    /// When there is no such hub, it cannot be reached, or does not want to be asked.
    pub async fn ask_to_pair(
        &self,
        caller: Caller,
        target: &Target,
        name: Option<Name>,
    ) -> Result<view::Pairing> {
        self.0.allowed(caller)?;
        self.0.audit(&caller.actor(), "pair.asked", target, "").await.map_err(internal)?;
        let id = self.0.ask_to_pair(target, name).await?;
        pairing::view_of(&self.0, id)
    }

    /// What somebody typed here for a pairing: what the other hub's screen shows.
    ///
    /// # Errors
    /// When there is no such pairing, or it shows something else.
    pub async fn typed(&self, caller: Caller, id: u32, text: &str) -> Result<view::Pairing> {
        self.0.allowed(caller)?;
        self.0.audit(&caller.actor(), "pair.typed", id, "").await.map_err(internal)?;
        self.0.typed(id, text).await?;
        pairing::view_of(&self.0, id)
    }

    /// Declines a pairing or takes it back; one that is over is no longer shown.
    ///
    /// # Errors
    /// When there is no such pairing.
    pub async fn decline(&self, caller: Caller, id: u32) -> Result<()> {
        self.0.allowed(caller)?;
        self.0.audit(&caller.actor(), "pair.declined", id, "").await.map_err(internal)?;
        self.0.decline(id)
    }

    /// Remembers where a peer is, beside what is known of it.
    ///
    /// # Errors
    /// When there is no such peer, or it has many places already.
    pub async fn add_address(
        &self,
        caller: Caller,
        name: &str,
        place: &HostPort,
    ) -> Result<view::Peer> {
        self.set_address(caller, name, place, Named::Here).await
    }

    /// Forgets where somebody said that a peer is.
    ///
    /// # Errors
    /// When there is no such peer, or nobody said so.
    pub async fn remove_address(
        &self,
        caller: Caller,
        name: &str,
        place: &HostPort,
    ) -> Result<view::Peer> {
        self.set_address(caller, name, place, Named::NotHere).await
    }

    async fn set_address(
        &self,
        caller: Caller,
        name: &str,
        place: &HostPort,
        named: Named,
    ) -> Result<view::Peer> {
        self.0.allowed(caller)?;
        let id = self.0.shared.look(|core| core.peer_named(name))?;
        let action = match named {
            Named::Here => "peer.address_added",
            Named::NotHere => "peer.address_removed",
        };
        self.0.audit(&caller.actor(), action, name, place).await.map_err(internal)?;
        let changed = self.0.shared.change(|core| {
            let peer = core.peers.get_mut(&id)?;
            Some(peer.reach.set_named(place, named).map(|new| (new, peer.reach.clone())))
        });
        let gone = || Failure::not_found("the peer was removed meanwhile");
        let (new, reach) = changed.ok_or_else(gone)?.map_err(|_| {
            Failure::bad_request(format!("{name} has as many addresses as it can have"))
                .hint(format!("forget one: farhub peers remove-address {name} HOST:PORT"))
        })?;
        if !new && named == Named::NotHere {
            return Err(Failure::not_found(format!("nobody said that {name} is at {place}"))
                .hint("see what was said: farhub peers --json"));
        }
        let text = serde_json::to_string(&reach).expect("addresses are plain data");
        self.0.store.set_reach(&id.to_string(), &text).await?;
        self.0.peer_view(&id)
    }

    /// Forgets a peer: its connections, sessions, grants and attachments end.
    ///
    /// # Errors
    /// When there is no such peer.
    pub async fn remove_peer(&self, caller: Caller, name: &str) -> Result<()> {
        self.0.allowed(caller)?;
        let id = self.0.shared.look(|core| core.peer_named(name))?;
        self.0.forget_peer(&caller.actor(), "peer.removed", &id).await
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

    /// Uses a device of a peer here: from now on, or with `once` until the hub stops. Without a
    /// `via`, as its kind suggests: plugged into the kernel, or, a serial port where that cannot
    /// be, as a pseudo-terminal.
    ///
    /// # Errors
    /// When no peer has such a device.
    pub async fn attach(
        &self,
        caller: Caller,
        address: &Address,
        via: Option<Via>,
        once: bool,
    ) -> Result<view::Attachment> {
        self.0.allowed(caller)?;
        // what was shared or connected a moment ago is on its way
        let found = self.0.shared.until(|core| core.remote_device(address).ok());
        let key = match tokio::time::timeout(ON_ITS_WAY, found).await {
            Ok(key) => key,
            Err(_) => self.0.shared.look(|core| core.remote_device(address))?,
        };
        let known = self.attachment(&key);
        let via = via.or_else(|| Some(known.as_ref()?.via.clone()));
        let via = via.unwrap_or_else(|| self.0.usual_way(&key));
        match known {
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
                via: attachments::via_text(&via),
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

    pub(crate) async fn keep_device(
        &self,
        caller: Caller,
        id: &DeviceId,
        shared: bool,
        name: Option<Name>,
    ) -> Result<view::Device> {
        let gone = || Failure::not_found("the device was pulled out meanwhile");
        if let Some(name) = &name {
            let printer = |local: &Local| matches!(local.kind, Kind::Printer(_));
            let fixed = |local: &Local| printer(local) && local.name != *name;
            if self.shared.look(|core| core.devices.get(id).is_some_and(fixed)) {
                let message = "a printer keeps the name that it was added under";
                return Err(Failure::bad_request(message)
                    .hint("its title can be changed: farhub printer set NAME --title TITLE"));
            }
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
                machine: serde_json::to_string(&local.settings).expect("plain data too"),
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

    pub(crate) fn peer_view(&self, id: &PeerId) -> Result<view::Peer> {
        let view = self.shared.look(|core| Some(core.peers.get(id)?.view(id, core)));
        view.ok_or_else(|| Failure::not_found("the peer was removed meanwhile"))
    }
}

/// The word that serde writes for a variant.
pub(crate) fn serde_word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => unreachable!("a variant without fields is a word"),
    }
}
