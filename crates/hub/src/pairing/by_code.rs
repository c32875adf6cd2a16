//! Pairing by code: the conversation, around the machines in `codes`.
//!
//! A hub answers only who is in a local network, and even then only shows that somebody asks:
//! nothing happens unless a person types a code on either side.

use super::codes::{Asked, AskedHeard, Asking, AskingHeard, Broken, Codes, Mistyped};
use super::pending::{EXPIRES, Pairing, Said};
use super::{TIMEOUT, internal, who};
use crate::core::{Caller, PeerId};
use crate::discovery::Networks;
use crate::failure::Failure;
use crate::peers::Reach;
use crate::view::{self, FailureCode, PairingSide, PairingState, Problem};
use crate::{Inner, links};
use anyhow::{Context, Result};
use bytes::Bytes;
use iroh::endpoint::Connection;
use iroh::{EndpointAddr, TransportAddr};
use link::{Duplex, Rx, Tx};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use wire::pair::code::{ALPN, Down, Up};
use wire::{Answer, HostPort, Name, Refusal};

/// What people say while the task is busy; more is refused.
const SAID_WAITING_MAX: usize = 2;

/// For one of the addresses of a name to answer.
const LOOK: Duration = Duration::from_secs(4);

/// Whom to pair with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A hub that is announced on this network, by name or key.
    Nearby(String),
    /// Whoever is there.
    At(HostPort),
}

impl Inner {
    /// Asks another hub to pair; when this returns, the code is shown.
    pub(crate) async fn ask_to_pair(
        self: &Arc<Self>,
        target: &Target,
        name: Option<Name>,
    ) -> Result<u32, Failure> {
        let asked = tokio::time::timeout(TIMEOUT, async {
            let address = self.find(target).await?;
            if address.id == self.endpoint.id() {
                return Err(Failure::bad_request("this is this hub itself"));
            }
            let (begun, id) = (self.greet(&address).await, target.to_string());
            begun.map_err(|error| cannot_ask(&id, &error))
        });
        let silent = || cannot_ask(&target.to_string(), &anyhow::anyhow!("it does not answer"));
        let talk = asked.await.map_err(|_| silent())??;
        let (said, heard) = mpsc::channel(SAID_WAITING_MAX);
        let codes = talk.codes.code();
        let pairing = talk.pairing(PairingSide::Asking, Some(codes), said);
        let id = self.shared.change(|core| core.pairings.add(pairing));
        let id = id.ok_or_else(|| too_many("too many pairings are under way here"))?;
        let inner = self.clone();
        self.background(async move {
            let ended = inner.keep_asking(id, talk, heard, name).await;
            inner.ended(id, ended);
        });
        Ok(id)
    }

    /// Where the target is, and whose key is there.
    async fn find(&self, target: &Target) -> Result<EndpointAddr, Failure> {
        match target {
            Target::Nearby(wanted) => self.shared.look(|core| {
                let hubs = core.nearby.hubs();
                let fits = |(key, said): &(&PeerId, &&wire::announce::Announcement)| {
                    said.name.as_str() == wanted || key.to_string() == *wanted
                };
                let mut found = hubs.iter().filter(fits).map(|(key, _)| *key);
                match (found.next(), found.next()) {
                    (Some(key), None) => {
                        let addresses = core.nearby.addresses(&key);
                        let addresses = addresses.into_iter().map(TransportAddr::Ip);
                        Ok(EndpointAddr::from_parts(key, addresses))
                    }
                    (Some(_), Some(_)) => {
                        let message =
                            format!("several hubs on this network call themselves {wanted}");
                        Err(Failure::new(FailureCode::Conflict, message)
                            .hint("use the whole key of: farhub nearby --json"))
                    }
                    (None, _) => {
                        let message = format!("no hub {wanted:?} is announced on this network");
                        Err(Failure::not_found(message).hint(
                            "see which there are: farhub nearby; or farhub pair --at HOST:PORT",
                        ))
                    }
                }
            }),
            Target::At(place) => {
                let addresses = tokio::net::lookup_host((place.host(), place.port())).await;
                let addresses: Vec<_> = addresses
                    .map_err(|error| cannot_ask(&place.to_string(), &error.into()))?
                    .collect();
                let mut last = anyhow::anyhow!("the name has no address");
                for address in addresses {
                    match tokio::time::timeout(LOOK, who::is_at(address)).await {
                        Ok(Ok(key)) => return Ok(EndpointAddr::new(key).with_ip_addr(address)),
                        Ok(Err(error)) => last = error,
                        Err(_) => last = anyhow::anyhow!("it does not answer"),
                    }
                }
                Err(cannot_ask(&place.to_string(), &last))
            }
        }
    }

    /// From the first packet until the code is known.
    async fn greet(&self, address: &EndpointAddr) -> Result<Talk<Asking, Up, Down>> {
        let connection = self.endpoint.connect(address.clone(), ALPN).await?;
        let mut machine = Asking::new(self.endpoint.id(), connection.remote_id(), rand::random());
        let name = self.shared.look(|core| core.hub.name.clone());
        let (send, receive) = connection.open_bi().await?;
        let mut tx = Tx::new(Box::new(send) as Writer);
        tx.send(&machine.hello(name), Bytes::new()).await?;
        let answered = Duplex::new(receive, tokio::io::sink()).answered().await?;
        let mut rx = Rx::<Down>::new(answered.reader).without_bodies();
        let (down, _) = rx.recv().await?.context("the other hub said nothing more")?;
        match machine.heard(down)? {
            AskingHeard::Show { name, send, codes } => {
                tx.send(&send, Bytes::new()).await?;
                let (_, remote) = links::selected(&connection);
                let remote = remote.context("no path")?;
                Ok(Talk { connection, remote, machine, tx, rx, name, codes })
            }
            AskingHeard::Stopped(refusal) => Err(link::Error::Refused(refusal).into()),
            AskingHeard::Check | AskingHeard::Paired => Err(Broken::Unexpected.into()),
        }
    }

    async fn keep_asking(
        &self,
        id: u32,
        mut talk: Talk<Asking, Up, Down>,
        mut heard: mpsc::Receiver<Said>,
        name: Option<Name>,
    ) -> Result<PeerId, End> {
        let expired = tokio::time::sleep(EXPIRES);
        tokio::pin!(expired);
        // who typed the check number waits for the other hub's last word
        let mut waiting: Option<oneshot::Sender<Result<(), Failure>>> = None;
        let ended = loop {
            tokio::select! {
                            down = talk.rx.recv() => {
                                let Ok(Some((down, _))) = down else { break Err(End::Gone) };
                                match talk.machine.heard(down) {
                                    Ok(AskingHeard::Check) => self.shared.change(|core| {
                                        let known = core.pairings.get_mut(id);
                                        if let Some(known) = known {
             known.state = PairingState::Check;
            }
                                    }),
                                    Ok(AskingHeard::Paired) => break Ok(()),
                                    Ok(AskingHeard::Stopped(refusal)) => break Err(End::There(refusal)),
                                    Ok(AskingHeard::Show { .. }) => break Err(Broken::Unexpected.into()),
                                    Err(broken) => break Err(broken.into()),
                                }
                            }
                            said = heard.recv() => match said {
                                Some(Said::Typed(text, answer)) => match talk.machine.typed(&text) {
                                    Ok(up) => {
                                        if talk.tx.send(&up, Bytes::new()).await.is_err() {
                                            break Err(End::Gone);
                                        }
                                        waiting = Some(answer);
                                    }
                                    Err(mistyped) => {
                                        let _ = answer.send(Err(failure(mistyped)));
                                        if mistyped == Mistyped::Differs(0) {
                                            break Err(End::Here(Refusal::CodesDiffer));
                                        }
                                    }
                                },
                                Some(Said::No) | None => break Err(End::Here(Refusal::Declined)),
                            },
                            () = &mut expired => break Err(End::Here(Refusal::NotAnswered)),
                        }
        };
        if let Err(End::Here(refusal)) = &ended {
            talk.stop(&Up::Stopped(refusal.code())).await;
        }
        let ended = match ended {
            Ok(()) => {
                let mut reach = Reach::default();
                reach.worked(talk.remote);
                let called = name.unwrap_or_else(|| talk.name.clone());
                let added = self.add_peer(talk.hub(), &called, reach, None, Caller::Local).await;
                talk.connection.close(0u32.into(), b"paired");
                added.map_err(End::Failed)
            }
            Err(end) => Err(end),
        };
        if let Some(answer) = waiting {
            let _ = answer.send(ended.as_ref().map(drop).map_err(End::failure));
        }
        ended
    }

    /// Shows what came of a pairing.
    fn ended(&self, id: u32, ended: Result<PeerId, End>) {
        self.shared.change(|core| match ended {
            Ok(peer) => {
                let name = core.peers.get(&peer).map(|peer| peer.name.clone());
                if let Some(known) = core.pairings.get_mut(id) {
                    known.peer = name;
                }
                core.pairings.end(id, PairingState::Paired, None);
            }
            Err(end) => {
                let Failure { message, hint, .. } = end.failure();
                let problem = Problem { message, hint };
                core.pairings.end(id, PairingState::Failed, Some(problem));
            }
        });
    }

    /// What a person typed for a pairing.
    pub(crate) async fn typed(&self, id: u32, text: &str) -> Result<(), Failure> {
        let said = self.shared.look(|core| {
            let known = core.pairings.get(id).filter(|known| known.is_open());
            known.map(|known| known.said.clone())
        });
        let said = said.ok_or_else(no_such)?;
        let (answer, answered) = oneshot::channel();
        let sent = said.try_send(Said::Typed(text.to_owned(), answer));
        sent.map_err(|_| Failure::new(FailureCode::Conflict, "it is being looked at already"))?;
        answered.await.map_err(|_| no_such())?
    }

    /// A person says no, or has seen what came of it.
    pub(crate) fn decline(&self, id: u32) -> Result<(), Failure> {
        self.shared.change(|core| {
            let known = core.pairings.get(id).ok_or_else(no_such)?;
            if known.is_open() {
                // its task ends it, and has the place for it unless somebody types all the time
                let said = known.said.try_send(Said::No);
                return said.map_err(|_| internal("it is being looked at: try again"));
            }
            core.pairings.remove(id);
            Ok(())
        })
    }

    async fn keep_asked(
        self: &Arc<Self>,
        id: u32,
        talk: &mut Talk<Asked, Down, Up>,
        mut heard: mpsc::Receiver<Said>,
    ) -> Result<PeerId, End> {
        let expired = tokio::time::sleep(EXPIRES);
        tokio::pin!(expired);
        loop {
            tokio::select! {
                up = talk.rx.recv() => {
                    let Ok(Some((up, _))) = up else { return Err(End::Gone) };
                    match talk.machine.heard(up)? {
                        AskedHeard::Paired => break,
                        AskedHeard::Stopped(refusal) => return Err(End::There(refusal)),
                        AskedHeard::Greeted { .. } | AskedHeard::Code { .. } => {
                            return Err(Broken::Unexpected.into());
                        }
                    }
                }
                said = heard.recv() => match said {
                    Some(Said::Typed(text, answer)) => match talk.machine.typed(&text) {
                        Ok(down) => {
                            if talk.tx.send(&down, Bytes::new()).await.is_err() {
                                return Err(End::Gone);
                            }
                            let check = talk.codes.check();
                            self.shared.change(|core| {
                                if let Some(known) = core.pairings.get_mut(id) {
                                    known.state = PairingState::Check;
                                    known.shown = Some(check);
                                }
                            });
                            let _ = answer.send(Ok(()));
                        }
                        Err(mistyped) => {
                            let _ = answer.send(Err(failure(mistyped)));
                            if mistyped == Mistyped::Differs(0) {
                                return Err(End::Here(Refusal::CodesDiffer));
                            }
                        }
                    },
                    Some(Said::No) | None => return Err(End::Here(Refusal::Declined)),
                },
                () = &mut expired => return Err(End::Here(Refusal::NotAnswered)),
            }
        }
        let mut reach = Reach::default();
        reach.worked(talk.remote);
        let caller = Caller::Peer(talk.hub());
        self.add_peer(talk.hub(), &talk.name, reach, None, caller).await.map_err(End::Failed)
    }
}

/// Answers a hub that wants to pair by code.
pub(crate) async fn answer_code(inner: Arc<Inner>, connection: Connection) -> Result<()> {
    let peer = connection.remote_id();
    let (send, receive) = tokio::time::timeout(TIMEOUT, connection.accept_bi()).await??;
    let mut tx = Tx::<Answer, _>::new(Box::new(send) as Writer);
    let mut rx = Rx::<Up>::new(receive).without_bodies();
    let (_, remote) = links::selected(&connection);
    let admitted = remote.ok_or(Refusal::NotNear).and_then(|remote| inner.admits(remote));
    let mut machine = Asked::new(inner.endpoint.id(), peer, rand::random());
    let up = tokio::time::timeout(TIMEOUT, rx.recv()).await??.context("no greeting")?.0;
    let AskedHeard::Greeted { name } = machine.heard(up)? else { return Ok(()) };
    let remote = match admitted {
        Ok(remote) => remote,
        Err(refusal) => {
            inner.audit_refusal(peer, "pair.code_refused", &name, refusal).await?;
            tx.send(&refusal.into(), Bytes::new()).await?;
            return gone(&connection, tx).await;
        }
    };
    tx.feed(&Answer::Ok, Bytes::new()).await?;
    let mut tx = tx.speak::<Down>();
    let ours = inner.shared.look(|core| core.hub.name.clone());
    tx.send(&machine.nonce(ours), Bytes::new()).await?;
    let up = tokio::time::timeout(TIMEOUT, rx.recv()).await??.context("no nonce")?.0;
    let AskedHeard::Code { codes } = machine.heard(up)? else { return Ok(()) };
    let mut talk = Talk { connection, remote, machine, tx, rx, name, codes };
    inner.audit(&peer.to_string(), "pair.code_asked", &talk.name, remote).await?;
    let (said, heard) = mpsc::channel(SAID_WAITING_MAX);
    let pairing = talk.pairing(PairingSide::Asked, None, said);
    let Some(id) = inner.shared.change(|core| core.pairings.add(pairing)) else {
        talk.stop(&Down::Stopped(Refusal::Busy.code())).await;
        return Ok(());
    };
    let ended = inner.keep_asked(id, &mut talk, heard).await;
    if let Err(end) = &ended {
        let why = end.failure().message;
        inner.audit(&peer.to_string(), "pair.code_ended", &talk.name, why).await?;
    }
    match &ended {
        Ok(_) => talk.stop(&Down::Paired).await,
        Err(End::Here(refusal)) => talk.stop(&Down::Stopped(refusal.code())).await,
        Err(End::Failed(_)) => talk.stop(&Down::Stopped(Refusal::Failed.code())).await,
        Err(End::There(_) | End::Gone | End::Broken(_)) => {}
    }
    inner.ended(id, ended);
    Ok(())
}

impl Inner {
    /// Whether somebody there may ask: anybody in a local network, but not all the time.
    fn admits(&self, remote: SocketAddr) -> Result<SocketAddr, Refusal> {
        let networks = Networks::now().unwrap_or_default();
        if !networks.is_local(remote.ip()) {
            return Err(Refusal::NotNear);
        }
        let mut asks = self.asks.lock().expect("nobody panics with it");
        if asks.too_many(remote.ip(), Instant::now()) { Err(Refusal::Busy) } else { Ok(remote) }
    }
}

type Writer = Box<dyn tokio::io::AsyncWrite + Send + Unpin>;

/// A conversation whose code is known.
struct Talk<Machine, Out, In> {
    connection: Connection,
    remote: SocketAddr,
    machine: Machine,
    tx: Tx<Out, Writer>,
    rx: Rx<In>,
    /// What the other hub calls itself.
    name: Name,
    codes: Codes,
}

impl<Machine, Out: serde::Serialize, In> Talk<Machine, Out, In> {
    fn hub(&self) -> PeerId {
        self.connection.remote_id()
    }

    fn pairing(
        &self,
        side: PairingSide,
        shown: Option<String>,
        said: mpsc::Sender<Said>,
    ) -> Pairing {
        Pairing {
            hub: self.hub(),
            name: self.name.clone(),
            remote: self.remote,
            side,
            state: PairingState::Code,
            shown,
            until: Instant::now() + EXPIRES,
            peer: None,
            problem: None,
            said,
        }
    }

    /// The last word, which the other side reads before it closes.
    async fn stop(&mut self, last: &Out) {
        let said = self.tx.send(last, Bytes::new()).await;
        if said.is_ok() {
            let _ = tokio::time::timeout(LAST_WORD, self.connection.closed()).await;
        }
    }
}

/// For the other side to read the last word.
const LAST_WORD: Duration = Duration::from_secs(2);

async fn gone<T>(connection: &Connection, _open: Tx<T, Writer>) -> Result<()> {
    let _ = tokio::time::timeout(LAST_WORD, connection.closed()).await;
    Ok(())
}

/// Why a pairing came to nothing.
#[derive(Debug)]
enum End {
    /// We say so.
    Here(Refusal),
    /// They say so.
    There(Refusal),
    Gone,
    Broken(Broken),
    Failed(Failure),
}

impl From<Broken> for End {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

impl End {
    fn failure(&self) -> Failure {
        let danger = "if you typed what the other screen shows, somebody may be in between: find \
                      out who before you try again";
        match self {
            Self::Here(Refusal::Declined) => Failure::refused("it was taken back here"),
            Self::Here(Refusal::NotAnswered) => {
                Failure::new(FailureCode::TimedOut, "nobody typed the code within 2 minutes")
            }
            Self::Here(Refusal::CodesDiffer) => Failure::refused("the codes differ").hint(danger),
            Self::There(refusal @ Refusal::CodesDiffer) => {
                Failure::refused(refusal.to_string()).hint(danger)
            }
            Self::Here(refusal) | Self::There(refusal) => Failure::refused(refusal.to_string()),
            Self::Gone => Failure::new(
                FailureCode::Unreachable,
                "the other hub broke it off, or the network did",
            )
            .hint("if the other hub shows this one as a peer already, pair once more"),
            Self::Broken(broken) => Failure::refused(broken.to_string()).hint(danger),
            Self::Failed(failure) => failure.clone(),
        }
    }
}

fn failure(mistyped: Mistyped) -> Failure {
    match mistyped {
        Mistyped::NotNow => {
            Failure::new(FailureCode::Conflict, "nothing is to be typed on this hub now")
                .hint("see what it waits for: farhub nearby")
        }
        Mistyped::Digits(count) => {
            Failure::bad_request(format!("it has {count} digits, as the other hub shows them"))
        }
        Mistyped::Differs(0) => Failure::refused("the codes differ: the pairing has ended").hint(
            "if you typed what the other screen shows, somebody may be in between: find out who \
             before you try again",
        ),
        Mistyped::Differs(left) => {
            Failure::bad_request(format!("that is not what the other hub shows; {left} tries left"))
                .hint("if it is, somebody may be in between: take the pairing back")
        }
    }
}

fn cannot_ask(target: &str, error: &anyhow::Error) -> Failure {
    match error.downcast_ref() {
        Some(link::Error::Refused(refusal @ Refusal::NotNear)) => {
            Failure::refused(refusal.to_string())
                .hint("from elsewhere pair by ticket: farhub invite there, farhub pair TICKET here")
        }
        Some(link::Error::Refused(Refusal::Busy)) => {
            too_many("the other hub has been asked too often")
        }
        Some(link::Error::Refused(refusal)) => Failure::refused(refusal.to_string()),
        _ => Failure::new(
            FailureCode::Unreachable,
            format!("{target} cannot be asked to pair: {error:#}"),
        )
        .hint("is farhub running there, and is this its UDP port? See there: farhub doctor"),
    }
}

fn too_many(message: &str) -> Failure {
    Failure::refused(message).hint("wait a few minutes, or pair by ticket: farhub invite")
}

fn no_such() -> Failure {
    Failure::not_found("there is no such pairing, or it is over")
        .hint("see which there are: farhub nearby")
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Nearby(name) => f.write_str(name),
            Self::At(place) => place.fmt(f),
        }
    }
}

/// How people are shown a pairing that they started.
pub(crate) fn view_of(inner: &Inner, id: u32) -> Result<view::Pairing, Failure> {
    let views = inner.shared.look(crate::core::Core::pairing_views);
    views.into_iter().find(|it| it.id == id).ok_or_else(no_such)
}
