//! Pairing: invitations given, and tickets used; and by code (`by_code`).

mod by_code;
mod codes;
mod pending;
mod who;

pub use by_code::Target;
pub(crate) use by_code::{answer_code, view_of};
pub(crate) use pending::{Asks, Pairings};

use crate::access::Promise;
use crate::core::{Caller, PeerId};
use crate::failure::Failure;
use crate::peers::{Peer, Reach};
use crate::view::{self, FailureCode};
use crate::{Inner, links};
use anyhow::{Context, Result};
use bytes::Bytes;
use iroh::endpoint::Connection;
use jiff::Timestamp;
use link::{Duplex, Rx, Tx};
use std::sync::Arc;
use std::time::Duration;
use wire::pair::{Accepted, Request, Secret, Ticket};
use wire::{Answer, Name, Refusal};

/// The whole of a pairing, from the first packet on.
const TIMEOUT: Duration = Duration::from_secs(15);
/// A ticket's life, if nothing else is said, and at most.
pub const EXPIRES: (Duration, Duration) =
    (Duration::from_secs(600), Duration::from_secs(7 * 24 * 3600));

/// A guest that stays longer is none.
const GUEST_S_MAX: u64 = 366 * 24 * 3600;

impl Inner {
    pub(crate) async fn invite(
        &self,
        caller: Caller,
        expires_in: Duration,
        grants: &[view::Grant],
        guest: Option<Duration>,
    ) -> Result<(Ticket, Duration), Failure> {
        for grant in grants {
            self.promised(grant.clone()).await?;
        }
        let guest_s = guest.map(|guest| guest.as_secs());
        if guest_s.is_some_and(|guest_s| guest_s == 0 || guest_s > GUEST_S_MAX) {
            return Err(Failure::bad_request(
                "a guest stays for a second at least, a year at most",
            ));
        }
        let secret = Secret(rand::random());
        let seconds = format!("{} s", expires_in.as_secs());
        let promise = Promise { grants: grants.to_vec(), guest_s };
        let promise = serde_json::to_string(&promise).expect("grants are plain data");
        self.audit(&caller.actor(), "peer.invited", seconds, &promise).await.map_err(internal)?;
        self.store.put_invite(&secret.0, expires_in, &promise).await?;
        let reach = self.own_reach().await;
        let expires = std::time::SystemTime::now() + expires_in;
        let expires = expires.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let ticket = Ticket {
            hub: *self.endpoint.id().as_bytes(),
            addresses: reach.addresses,
            relays: reach.relays,
            secret,
            expires_s: expires.as_secs(),
        };
        Ok((ticket, expires_in))
    }

    /// Where this hub may be reached. Addresses are known a moment after the start.
    async fn own_reach(&self) -> Reach {
        let known = async {
            loop {
                let address = self.endpoint.addr();
                if !address.is_empty() {
                    return address;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let address = tokio::time::timeout(Duration::from_secs(2), known).await;
        let address = address.unwrap_or_else(|_| self.endpoint.addr());
        let mut addresses: Vec<_> = address.ip_addrs().copied().collect();
        addresses.truncate(wire::pair::ADDRESSES_MAX - 2);
        let relays = address.relay_urls().take(2).map(ToString::to_string).collect();
        Reach { addresses, relays, ..Reach::default() }
    }

    /// Uses a ticket that somebody gave us.
    pub(crate) async fn pair(&self, ticket: &str, name: Option<Name>) -> Result<PeerId, Failure> {
        let ticket: Ticket =
            ticket.parse().map_err(|error| Failure::bad_request(format!("{error}")))?;
        let peer = PeerId::from_bytes(&ticket.hub)
            .map_err(|_| Failure::bad_request("the ticket does not name a hub"))?;
        if peer == self.endpoint.id() {
            return Err(Failure::bad_request("this is a ticket of this hub itself")
                .hint("use it on the other computer: farhub pair TICKET"));
        }
        let (addresses, relays) = (ticket.addresses, ticket.relays);
        let reach = Reach { addresses, relays, ..Reach::default() };
        let dialled = tokio::time::timeout(TIMEOUT, self.use_ticket(peer, &reach, ticket.secret));
        let called = match dialled.await {
            Ok(Ok(called)) => called,
            Ok(Err(error)) if refused(&error) => {
                return Err(Failure::refused("the other hub does not accept the ticket")
                    .hint("tickets work once and for a short time: ask for a new one"));
            }
            Ok(Err(error)) => return Err(unreachable(format!("{error:#}"))),
            Err(_) => return Err(unreachable("it does not answer".to_owned())),
        };
        self.add_peer(peer, &name.unwrap_or(called), reach, None, Caller::Local).await
    }

    async fn use_ticket(&self, peer: PeerId, reach: &Reach, secret: Secret) -> Result<Name> {
        let address = links::address(peer, reach).await;
        let connection = self.endpoint.connect(address, wire::pair::ALPN).await?;
        let (send, receive) = connection.open_bi().await?;
        let name = self.shared.look(|core| core.hub.name.clone());
        let mut tx = Tx::new(send);
        tx.send(&Request { secret, name }, Bytes::new()).await?;
        let duplex = Duplex::new(receive, tokio::io::sink()).answered().await?;
        let mut rx = Rx::<Accepted>::new(duplex.reader);
        let (accepted, _) = rx.recv().await?.context("the other hub said nothing more")?;
        connection.close(0u32.into(), b"paired");
        Ok(accepted.name)
    }

    /// Answers somebody who has, or says to have, a ticket of ours.
    pub(crate) async fn answer_pairing(self: &Arc<Self>, connection: Connection) -> Result<()> {
        tokio::time::timeout(TIMEOUT, self.pairing(&connection)).await.context("too slow")??;
        // the other side closes when it has read the answer
        let _ = tokio::time::timeout(TIMEOUT, connection.closed()).await;
        Ok(())
    }

    async fn pairing(self: &Arc<Self>, connection: &Connection) -> Result<()> {
        let peer = connection.remote_id();
        let (send, receive) = connection.accept_bi().await?;
        let (request, _) =
            Rx::<Request>::new(receive).without_bodies().recv().await?.context("no request")?;
        let mut tx = Tx::<Answer, _>::new(send);
        let Some(promise) = self.store.take_invite(&request.secret.0).await? else {
            self.audit_refusal(peer, "pair.refused", &request.name, "").await?;
            return Ok(tx.send(&Refusal::Ticket.into(), Bytes::new()).await?);
        };
        let mut reach = Reach::default();
        if let (_, Some(address)) = links::selected(connection) {
            reach.worked(address);
        }
        let caller = Caller::Peer(peer);
        let promise: Promise = serde_json::from_str(&promise)?;
        let expires = self.shared.look(|core| promise.expires(core.peers.get(&peer)));
        let id = self.add_peer(peer, &request.name, reach, expires, caller).await?;
        for grant in promise.grants {
            let grant = self.promised(grant).await?;
            self.put_grant(id, grant, caller).await?;
        }
        tx.feed(&Answer::Ok, Bytes::new()).await?;
        let name = self.shared.look(|core| core.hub.name.clone());
        let mut tx = tx.speak::<Accepted>();
        tx.send(&Accepted { name }, Bytes::new()).await?;
        Ok(tx.finish().await?)
    }

    /// Remembers a peer, under a name that no other has, and keeps it reached.
    async fn add_peer(
        &self,
        id: PeerId,
        wanted: &Name,
        mut reach: Reach,
        expires: Option<Timestamp>,
        caller: Caller,
    ) -> Result<PeerId, Failure> {
        self.shared.look(|core| {
            let named = core.peers.get(&id).map(|known| known.reach.named.clone());
            reach.named = named.unwrap_or_default();
            reach.found(core.nearby.addresses(&id));
        });
        let name = self.shared.look(|core| {
            let taken = |name: &Name| {
                core.hub.name == *name
                    || core.peers.iter().any(|(peer, known)| *peer != id && known.name == *name)
            };
            let numbered = (2..).map(|number| wanted.numbered(number));
            let mut names = std::iter::once(wanted.clone()).chain(numbered);
            names.find(|name| !taken(name)).expect("there are more numbers than peers")
        });
        self.audit(&caller.actor(), "peer.paired", &name, id).await.map_err(internal)?;
        let text = serde_json::to_string(&reach).expect("addresses are plain data");
        let expires_us = expires.map(Timestamp::as_microsecond);
        self.store.put_peer(&id.to_string(), name.as_str(), &text, expires_us).await?;
        let new = self.shared.change(|core| match core.peers.get_mut(&id) {
            Some(known) => {
                (known.name, known.reach, known.expires) = (name, reach, expires);
                false
            }
            None => {
                let new = Peer { expires, ..Peer::new(name, reach) };
                core.peers.insert(id, new).is_none()
            }
        });
        if new {
            self.new_peers.send(id).await.map_err(|_| internal("the hub is stopping"))?;
        }
        Ok(id)
    }
}

fn refused(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(link::Error::Refused(_)))
}

fn unreachable(why: String) -> Failure {
    Failure::new(
        FailureCode::Unreachable,
        format!("the hub of the ticket cannot be reached: {why}"),
    )
    .hint("is it running, and can this computer reach it? See there: farhub doctor")
}

pub(crate) fn internal(error: impl std::fmt::Display) -> Failure {
    Failure::new(FailureCode::Internal, format!("{error:#}"))
}
