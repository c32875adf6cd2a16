//! "May I use it?": peers ask, and the owner accepts or denies.
//!
//! A request lives in memory, for a day. The hub that asks keeps its side and asks again when
//! either was gone, so that neither needs to write anything down; the stream of the request stays
//! open, and carries the answer the moment it is given.

use crate::core::{Caller, Core, PeerId};
use crate::failure::Failure;
use crate::pairing::internal;
use crate::view::{self, FailureCode, Problem};
use crate::{Hub, Inner, links};
use anyhow::{Context, Result};
use iroh::endpoint::Connection;
use jiff::Timestamp;
use link::{Duplex, Rx, Tx};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use wire::{Address, DeviceId, Open, Priority, Refusal, Reply, Text};

/// Requests of one peer, and of all.
const REQUESTS_MAX: (usize, usize) = (8, 64);
/// What this hub asks of others at the same time.
const ASKED_MAX: usize = 64;
/// A request that nobody answers, and an answer that nobody fetches.
const LIFE: Duration = Duration::from_secs(24 * 3600);
/// Before asking again when the stream broke.
const AGAIN: Duration = Duration::from_secs(2);
/// How long an accepted request lets its peer use the device, if nothing is said.
pub const ACCEPTED: Duration = Duration::from_secs(3600);

/// What peers ask of this hub.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    last: u32,
    open: BTreeMap<u32, Request>,
}

#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) peer: PeerId,
    pub(crate) device: DeviceId,
    message: Text,
    since: Timestamp,
    ends: Instant,
    /// Stays until the peer has it.
    reply: Option<Reply>,
}

/// What this hub asked of a peer.
#[derive(Debug)]
pub(crate) struct Asked {
    name: wire::Name,
    message: Text,
    since: Timestamp,
    reply: Option<Reply>,
    error: Option<Problem>,
    /// Takes the request back.
    pub(crate) end: CancellationToken,
}

impl Requests {
    /// Notes a request; the number, and whether it is new.
    fn add(
        &mut self,
        peer: PeerId,
        device: &DeviceId,
        message: Text,
    ) -> Result<(u32, bool), Refusal> {
        let known = self.open.iter_mut().find(|(_, one)| (one.peer, &one.device) == (peer, device));
        if let Some((number, known)) = known {
            known.message = message;
            return Ok((*number, false));
        }
        let of_peer = self.open.values().filter(|one| one.peer == peer).count();
        if of_peer >= REQUESTS_MAX.0 || self.open.len() >= REQUESTS_MAX.1 {
            return Err(Refusal::Busy);
        }
        self.last = self.last.wrapping_add(1);
        let (since, ends) = (Timestamp::now(), Instant::now() + LIFE);
        let new = Request { peer, device: device.clone(), message, since, ends, reply: None };
        self.open.insert(self.last, new);
        Ok((self.last, true))
    }

    /// The request, while nobody has answered it.
    fn waiting(&self, number: u32) -> Option<&Request> {
        self.open.get(&number).filter(|one| one.reply.is_none())
    }

    pub(crate) fn answer(&mut self, peer: &PeerId, device: &DeviceId, reply: Reply) {
        let mut asked = self.open.values_mut().filter(|one| one.reply.is_none());
        if let Some(one) = asked.find(|one| (&one.peer, &one.device) == (peer, device)) {
            one.reply = Some(reply);
        }
    }

    pub(crate) fn is_asked(&self, peer: &PeerId, device: &DeviceId) -> bool {
        self.open.values().any(|one| (&one.peer, &one.device) == (peer, device))
    }

    pub(crate) fn forget(&mut self, peer: &PeerId) {
        self.open.retain(|_, one| one.peer != *peer);
    }

    /// Answers what nobody has answered, and forgets the answers that nobody wants.
    pub(crate) fn expire(&mut self, now: Instant) {
        self.open.retain(|_, one| one.ends > now || one.reply.is_none());
        for one in self.open.values_mut().filter(|one| one.ends <= now) {
            (one.reply, one.ends) = (Some(Reply::Expired), now + LIFE);
        }
    }

    pub(crate) fn ends(&self) -> impl Iterator<Item = Instant> {
        self.open.values().map(|one| one.ends)
    }
}

impl Core {
    /// The requests that the caller may see: whoever manages the hub all, a peer its own and
    /// those for what it uses.
    pub(crate) fn request_views(&self, caller: Caller) -> Vec<view::Request> {
        let all = self.manages(caller).is_ok();
        let open = self.requests.open.iter().filter(|(_, one)| one.reply.is_none());
        let seen = open.filter(|(_, one)| {
            all || caller == Caller::Peer(one.peer) || self.uses(caller, &one.device)
        });
        let views = seen.filter_map(|(number, one)| {
            let local = self.devices.get(&one.device)?;
            let user = local.lease.as_ref().and_then(|lease| self.peers.get(&lease.peer));
            Some(view::Request {
                number: *number,
                peer: self.peers.get(&one.peer)?.name.clone(),
                address: Address { hub: self.hub.name.clone(), device: local.name.clone() },
                message: one.message.clone(),
                since: one.since.to_string(),
                in_use: user.map(|user| user.name.as_str().into()),
            })
        });
        views.collect()
    }

    pub(crate) fn asked_views(&self) -> Vec<view::Asked> {
        let views = self.asked.iter().filter_map(|((peer, device), asked)| {
            let peer = self.peers.get(peer)?;
            let device = peer.shelf.get(device).map_or(&asked.name, |device| &device.name);
            Some(view::Asked {
                address: Address { hub: peer.name.clone(), device: device.clone() },
                message: asked.message.clone(),
                since: asked.since.to_string(),
                reply: asked.reply,
                error: asked.error.clone(),
            })
        });
        views.collect()
    }

    fn asked_key(&self, address: &Address) -> Option<(PeerId, DeviceId)> {
        let named = |(peer, device): &(PeerId, DeviceId), asked: &Asked| {
            let peer = self.peers.get(peer)?;
            let name = peer.shelf.get(device).map_or(&asked.name, |device| &device.name);
            Some(peer.name == address.hub && *name == address.device)
        };
        let mut all = self.asked.iter();
        all.find(|(key, asked)| named(key, asked) == Some(true)).map(|(key, _)| key.clone())
    }
}

impl Inner {
    /// Serves the request of a peer until it is answered, taken back, or the peer is gone.
    pub(crate) async fn serve_request(
        &self,
        connection: &Connection,
        device: &DeviceId,
        message: Text,
        mut duplex: Duplex,
    ) -> Result<()> {
        let peer = connection.remote_id();
        let number = match self.note_request(peer, device, message).await {
            Ok(number) => number,
            Err(refusal) => {
                self.audit_refusal(peer, "request.refused", device, refusal).await?;
                return Ok(duplex.answer(Err(refusal)).await?);
            }
        };
        // a peer that takes it back at once does not wait for this
        let _ = duplex.answer(Ok(())).await;
        let mut rx = Rx::<()>::new(duplex.reader).without_bodies();
        let mut tx = Tx::<Reply>::new(duplex.writer);
        let answered = self.shared.until(|core| match core.requests.open.get(&number) {
            None => Some(None),
            Some(one) => one.reply.map(Some),
        });
        let reply = tokio::select! {
            reply = answered => reply,
            _ = rx.recv() => {
                // a connection that broke takes nothing back: the peer asks again
                if connection.close_reason().is_none() {
                    self.shared.change(|core| core.requests.open.remove(&number));
                    self.audit(&peer.to_string(), "request.withdrawn", device, "").await?;
                }
                return Ok(());
            }
            _ = connection.closed() => return Ok(()),
        };
        let Some(reply) = reply else { return Ok(()) };
        tx.send(&reply, bytes::Bytes::new()).await?;
        tx.finish().await?;
        // the peer ends its side when it has read the answer
        let _ = rx.recv().await;
        if connection.close_reason().is_none() {
            self.shared.change(|core| core.requests.open.remove(&number));
        }
        Ok(())
    }

    async fn note_request(
        &self,
        peer: PeerId,
        device: &DeviceId,
        message: Text,
    ) -> Result<u32, Refusal> {
        let text = message.as_str().to_owned();
        let (number, new) = self.shared.change(|core| {
            core.role(&peer, device).ok_or(Refusal::NotGranted)?;
            core.requests.add(peer, device, message)
        })?;
        if new && let Err(error) = self.audit(&peer.to_string(), "request.made", device, text).await
        {
            tracing::error!("the audit log cannot be written: {error:#}");
            self.shared.change(|core| core.requests.open.remove(&number));
            return Err(Refusal::Failed);
        }
        Ok(number)
    }
}

impl Hub {
    /// Lets the peer that asked use the device for some time, and with `now` also ends whatever
    /// use there is.
    ///
    /// # Errors
    /// When there is no such request, or it is not the caller's to answer.
    pub async fn accept(
        &self,
        caller: Caller,
        number: u32,
        time: Duration,
        now: view::Turn,
    ) -> Result<(), Failure> {
        let request = self.request(caller, number)?;
        let (peer, device) = (request.peer, request.device);
        if !self.0.shared.look(|core| core.may_use(&peer, &device)) {
            self.0.grant_for(peer, &device, time, caller).await?;
        }
        let detail = format!("{peer} {} s", time.as_secs());
        self.0
            .audit(&caller.actor(), "request.accepted", &device, detail)
            .await
            .map_err(internal)?;
        match now {
            view::Turn::WhenFree => {}
            view::Turn::AtOnce => self.0.pass_on(caller, &device, Some(peer)).await?,
        }
        let seconds = u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
        let reply = Reply::Accepted { seconds };
        self.0.shared.change(|core| core.requests.answer(&peer, &device, reply));
        Ok(())
    }

    /// Says no to a request.
    ///
    /// # Errors
    /// When there is no such request, or it is not the caller's to answer.
    pub async fn deny(&self, caller: Caller, number: u32) -> Result<(), Failure> {
        let Request { peer, device, .. } = self.request(caller, number)?;
        self.0.audit(&caller.actor(), "request.denied", &device, peer).await.map_err(internal)?;
        self.0.shared.change(|core| core.requests.answer(&peer, &device, Reply::Denied));
        Ok(())
    }

    fn request(&self, caller: Caller, number: u32) -> Result<Request, Failure> {
        self.0.allowed(caller)?;
        let found = self.0.shared.look(|core| core.requests.waiting(number).cloned());
        found.ok_or_else(|| {
            Failure::not_found(format!("there is no request {number}"))
                .hint("see which there are: farhub requests")
        })
    }

    /// Asks a peer for the use of a device, until it is answered or taken back.
    ///
    /// # Errors
    /// When no peer has such a device.
    pub async fn ask(
        &self,
        caller: Caller,
        address: &Address,
        message: &str,
    ) -> Result<(), Failure> {
        self.0.allowed(caller)?;
        let key = self.0.shared.look(|core| core.remote_device(address))?;
        let message = Text::from(message);
        self.0.audit(&caller.actor(), "request.sent", address, &key.1).await.map_err(internal)?;
        let end = self.0.shared.change(|core| {
            if core.asked.len() >= ASKED_MAX && !core.asked.contains_key(&key) {
                let message = format!("{ASKED_MAX} requests are out already");
                return Err(Failure::new(FailureCode::Conflict, message));
            }
            let (name, since, end) =
                (address.device.clone(), Timestamp::now(), CancellationToken::new());
            let new = Asked { name, message, since, reply: None, error: None, end: end.clone() };
            if let Some(old) = core.asked.insert(key.clone(), new) {
                old.end.cancel();
            }
            Ok(end)
        })?;
        let inner = self.0.clone();
        self.0.background(async move {
            tokio::select! {
                () = keep_asking(&inner, &key) => {}
                () = end.cancelled() => {}
            }
        });
        Ok(())
    }

    /// Takes a request back, or puts its answer away.
    ///
    /// # Errors
    /// When nothing like that was asked.
    pub fn withdraw(&self, caller: Caller, address: &Address) -> Result<(), Failure> {
        self.0.allowed(caller)?;
        self.0.shared.change(|core| {
            let asked = core.asked_key(address).and_then(|key| core.asked.remove(&key));
            let asked = asked.ok_or_else(|| {
                Failure::not_found(format!("nobody here has asked for {address}"))
            })?;
            asked.end.cancel();
            Ok(())
        })
    }
}

/// Asks until there is an answer, again after each interruption.
async fn keep_asking(inner: &Arc<Inner>, key: &(PeerId, DeviceId)) {
    loop {
        inner.shared.until(|core| core.peers.get(&key.0)?.online.then_some(())).await;
        let (reply, error) = match ask_once(inner, key).await {
            Ok(reply) => (Some(reply), None),
            Err(error) => match error.downcast_ref() {
                Some(link::Error::Refused(refusal)) => {
                    let message = refusal.to_string();
                    (None, Some(Problem { message, hint: None }))
                }
                _ => {
                    tracing::debug!("a request was interrupted: {error:#}");
                    tokio::time::sleep(AGAIN).await;
                    continue;
                }
            },
        };
        return inner.shared.change(|core| {
            if let Some(asked) = core.asked.get_mut(key) {
                (asked.reply, asked.error) = (reply, error);
            }
        });
    }
}

async fn ask_once(inner: &Inner, key: &(PeerId, DeviceId)) -> Result<Reply> {
    let connection = inner.links.latest(&key.0).context("offline")?;
    let message = inner.shared.look(|core| core.asked.get(key).map(|one| one.message.clone()));
    let mut duplex = links::open(&connection, Priority::Control).await?;
    let message = message.context("taken back")?;
    duplex.open(&Open::Ask { device: key.1.clone(), message }).await?;
    let duplex = duplex.answered().await?;
    let (mut rx, tx) = (Rx::<Reply>::new(duplex.reader), Tx::<()>::new(duplex.writer));
    let (reply, _) = rx.recv().await?.context("no answer")?;
    tx.finish().await?;
    Ok(reply)
}

#[cfg(test)]
mod tests {
    use super::*;
    use iroh::SecretKey;

    #[test]
    fn requests_are_bounded_and_end() {
        let mut requests = Requests::default();
        let peer = |seed: u8| SecretKey::from_bytes(&[seed; 32]).public();
        let device = |number: usize| format!("usb-{number}").parse().unwrap();
        for number in 0..REQUESTS_MAX.0 {
            assert!(requests.add(peer(1), &device(number), "".into()).unwrap().1);
        }
        let again = requests.add(peer(1), &device(0), "please".into()).unwrap();
        assert_eq!(again, (1, false), "the same request");
        assert_eq!(requests.add(peer(1), &device(99), "".into()), Err(Refusal::Busy));
        let others = (2..=u8::MAX).flat_map(|seed| (0..8).map(move |number| (seed, number)));
        let taken = others.filter(|(s, n)| requests.add(peer(*s), &device(*n), "".into()).is_ok());
        assert_eq!(taken.take(100).count(), REQUESTS_MAX.1 - REQUESTS_MAX.0);

        requests.answer(&peer(1), &device(0), Reply::Denied);
        let end = Instant::now() + LIFE;
        requests.expire(end);
        assert!(!requests.is_asked(&peer(1), &device(0)), "an answer that nobody fetched");
        assert_eq!(requests.open[&2].reply, Some(Reply::Expired));
        requests.expire(end + LIFE);
        assert!(requests.open.is_empty());
    }
}
