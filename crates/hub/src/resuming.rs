//! A peer's device in use here, over one connection after another.
//!
//! When the connection is cut, the device stays plugged in, and its drivers wait. As soon as there
//! is a connection again, every stream of the session is joined anew; when that takes too long, the
//! device is unplugged. A peer that has ended the session meanwhile, or has started anew, refuses:
//! then there is nothing to go on with.

use crate::core::PeerId;
use crate::links::IDLE_TIMEOUT;
use crate::view::AttachmentState;
use crate::{Inner, links};
use anyhow::{Context, Result};
use futures_util::future::try_join_all;
use iroh::endpoint::Connection;
use link::resume::Lines;
use link::{Duplex, Opener, Rx};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use usb::attach::End;
use wire::{DeviceId, Joined, Open, Priority, SessionId};

/// To join one stream anew.
const JOIN_TIMEOUT: Duration = Duration::from_secs(5);

/// The streams of a session with a peer's device.
pub(crate) struct Resuming<'a> {
    inner: &'a Inner,
    key: &'a (PeerId, DeviceId),
    session: SessionId,
    lines: Lines,
    grace: Duration,
    /// `None` while the session is frozen.
    connection: watch::Sender<Option<Connection>>,
    priorities: Arc<Mutex<BTreeMap<u8, Priority>>>,
}

impl<'a> Resuming<'a> {
    pub(crate) fn new(
        (inner, key): (&'a Inner, &'a (PeerId, DeviceId)),
        session: SessionId,
        connection: Connection,
        grace: Duration,
    ) -> Self {
        let connection = watch::Sender::new(Some(connection));
        let (lines, priorities) = (Lines::default(), Arc::default());
        Self { inner, key, session, lines, grace, connection, priorities }
    }

    /// The session's first stream, after what comes before endpoint 0.
    pub(crate) fn first(&self, stream: Duplex) -> Result<Duplex> {
        self.lines.begin(0, stream).context("a new session has no lines")
    }

    /// Opens the streams of further endpoints, once there is a connection.
    pub(crate) fn opener(&self) -> Opener {
        let (session, lines) = (self.session, self.lines.clone());
        let (connection, priorities) = (self.connection.subscribe(), self.priorities.clone());
        Opener::new(move |endpoint, priority| {
            let (lines, mut connection) = (lines.clone(), connection.clone());
            priorities.lock().expect("nobody panics with it").insert(endpoint, priority);
            Box::pin(async move {
                loop {
                    let gone = |_| io::Error::from(io::ErrorKind::NotConnected);
                    let now = connection.wait_for(Option::is_some).await.map_err(gone)?.clone();
                    let now = now.expect("waited for");
                    let open = Open::Endpoint { session, endpoint, received: 0 };
                    match opened(&now, &open, priority).await {
                        Ok(stream) => {
                            let stream = stream.answered_later::<Joined>();
                            let line = lines.begin(endpoint, stream);
                            return line.ok_or_else(|| io::ErrorKind::AlreadyExists.into());
                        }
                        // the next connection may do; that this one is cut shows elsewhere too
                        Err(_) => connection.changed().await.map_err(gone)?,
                    }
                }
            })
        })
    }

    /// Resolves when the session cannot go on. Not cancel safe: what was lost is told once.
    ///
    /// # Errors
    /// When the peer refused a stream.
    pub(crate) async fn keep(&self) -> Result<End> {
        loop {
            let error = self.lines.lost().await;
            if !links::is_cut(&error) {
                tracing::debug!(device = %self.key.1, "the peer ended the session: {error}");
                let refused = error.get_ref().is_some_and(|inner| inner.is::<link::Error>());
                return if refused { Err(error.into()) } else { Ok(End::PeerGone) };
            }
            tracing::info!(device = %self.key.1, "frozen: {error}");
            self.connection.send_replace(None);
            self.enter(AttachmentState::Frozen);
            // that the peer is silent was noticed after some time
            let left = self.grace.saturating_sub(IDLE_TIMEOUT);
            match tokio::time::timeout(left, self.resume()).await {
                Ok(Ok(())) => self.enter(AttachmentState::Attached),
                Ok(Err(error)) => {
                    tracing::info!(device = %self.key.1, "cannot go on: {error:#}");
                    return Ok(End::PeerGone);
                }
                Err(_) => {
                    tracing::info!(device = %self.key.1, "no peer for {:?}", self.grace);
                    return Ok(End::PeerGone);
                }
            }
        }
    }

    /// Goes on over the next connection that lasts for long enough.
    async fn resume(&self) -> Result<()> {
        let mut tried = None;
        loop {
            let connection = self.inner.shared.until(|_| {
                let latest = self.inner.links.latest(&self.key.0)?;
                let new = tried != Some(latest.stable_id()) && latest.close_reason().is_none();
                new.then_some(latest)
            });
            let connection = connection.await;
            tried = Some(connection.stable_id());
            let numbers = self.lines.numbers().into_iter();
            let joined = numbers.map(|endpoint| self.join(&connection, endpoint));
            match try_join_all(joined).await {
                Ok(_) => {
                    tracing::info!(device = %self.key.1, "goes on");
                    self.connection.send_replace(Some(connection));
                    return Ok(());
                }
                Err(error @ link::Error::Refused(_)) => {
                    return Err(anyhow::Error::from(error).context("the session is over there"));
                }
                Err(error) => tracing::debug!(device = %self.key.1, "not resumed: {error}"),
            }
        }
    }

    /// Joins one stream to the session as it was left.
    async fn join(&self, connection: &Connection, endpoint: u8) -> Result<(), link::Error> {
        let received = self.lines.halt(endpoint).unwrap_or(0);
        let priority = match endpoint {
            0 => Priority::Control,
            _ => {
                let known = self.priorities.lock().expect("nobody panics with it");
                known.get(&endpoint).copied().unwrap_or(Priority::Bulk)
            }
        };
        let open = Open::Endpoint { session: self.session, endpoint, received };
        let joined = async {
            let stream = opened(connection, &open, priority).await?.answered().await?;
            let mut rx = Rx::<Joined>::new(stream.reader).without_bodies();
            let (joined, _) = rx.recv().await?.ok_or(link::Error::Ended)?;
            Ok((joined, Duplex { reader: Box::new(rx.into_reader()), writer: stream.writer }))
        };
        let late = |_| link::Error::Io(io::ErrorKind::TimedOut.into());
        let (joined, stream) =
            tokio::time::timeout(JOIN_TIMEOUT, joined).await.map_err(late).flatten()?;
        let resumed = self.lines.resume(endpoint, stream, joined.received);
        // it forgot, or lies: as if it had said no
        resumed.map_err(|_| link::Error::Refused(wire::Refusal::NotUnderstood))
    }

    fn enter(&self, state: AttachmentState) {
        self.inner.shared.change(|core| {
            if let Some(known) = core.attachments.get_mut(self.key)
                && known.is_attached()
            {
                known.enter(state);
            }
        });
    }
}

async fn opened(
    connection: &Connection,
    open: &Open,
    priority: Priority,
) -> Result<Duplex, link::Error> {
    let mut stream = links::open(connection, priority).await?;
    stream.open(open).await?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::{Grant, State, Via};
    use crate::{Caller, Config, Hub};
    use std::net::{Ipv4Addr, SocketAddr};
    use tempfile::TempDir;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    async fn start(name: &str, data: &TempDir, simulated: Vec<Arc<sim::Simulated>>) -> Hub {
        let config = Config {
            data: data.path().to_owned(),
            name: name.parse().unwrap(),
            bind: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
            relays: vec![],
            lookup: None,
            offline: true,
            only: crate::Kinds::ALL,
            grace: crate::Grace::default(),
            discovery: crate::Discovery::Off,
            simulated,
            real: false,
            demo: false,
        };
        Hub::start(config).await.unwrap()
    }

    async fn until<R>(hub: &Hub, found: impl Fn(&State) -> Option<R>) -> R {
        let waits = hub.0.shared.until(|core| found(&core.state(Caller::Local)));
        tokio::time::timeout(Duration::from_secs(20), waits).await.expect("in time")
    }

    /// The session that a device of the hub is in.
    fn session(hub: &Hub) -> Option<SessionId> {
        hub.0.shared.look(|core| Some(core.devices.values().next()?.lease.as_ref()?.session))
    }

    /// Imports the device as a USB/IP client does, and asks for its descriptor; `place` is the
    /// command that would do so.
    async fn ask(place: &str) -> [u8; 18] {
        let after = |option: &str| {
            let mut words = place.split_whitespace().skip_while(|word| *word != option);
            words.nth(1).unwrap_or_else(|| panic!("{option} in {place}"))
        };
        let port: u16 = after("--tcp-port").parse().unwrap();
        let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
        // OP_REQ_IMPORT of USB/IP 1.1.1, with a bus id of 32 bytes
        let mut import = vec![1, 0x11, 0x80, 3, 0, 0, 0, 0];
        import.extend(after("-b").as_bytes());
        import.resize(40, 0);
        client.write_all(&import).await.unwrap();
        client.read_exact(&mut [0; 320]).await.unwrap();
        // USBIP_CMD_SUBMIT 1 of 18 bytes from endpoint 0: GET_DESCRIPTOR(DEVICE)
        let numbers = [1, 1, 0, 1, 0, 0, 18, 0, 0, 0u32];
        let mut submit: Vec<u8> = numbers.iter().flat_map(|number| number.to_be_bytes()).collect();
        submit.extend([0x80, 6, 0, 1, 0, 0, 18, 0]);
        client.write_all(&submit).await.unwrap();
        let mut answer = [0; 48 + 18];
        client.read_exact(&mut answer).await.unwrap();
        answer[48..].try_into().unwrap()
    }

    #[tokio::test]
    async fn a_session_goes_on_over_the_next_connection() {
        let (here, there) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let disk = Arc::new(sim::Simulated::disk(1, 8 << 20));
        let garage = start("garage", &there, vec![disk]).await;
        let office = start("office", &here, vec![]).await;
        let device = until(&garage, |state| state.devices.first().cloned()).await;
        let name = Some("disk".parse().unwrap());
        garage.share(Caller::Local, device.id.as_str(), name).await.unwrap();
        let grants = [Grant { selector: "*".into(), ..Grant::default() }];
        let minute = Duration::from_secs(60);
        let (ticket, _) = garage.invite(Caller::Local, minute, &grants, None).await.unwrap();
        office.pair(Caller::Local, &ticket.to_string(), None).await.unwrap();
        until(&office, |state| (!state.devices.is_empty()).then_some(())).await;
        let address = "garage/disk".parse().unwrap();
        office.attach(Caller::Local, &address, Via::Usbip, true).await.unwrap();
        let place = until(&office, |state| state.attachments.first()?.place.clone()).await;
        let before = session(&garage).expect("in use");

        let peer = garage.0.endpoint.id();
        let old = office.0.links.latest(&peer).unwrap();
        // neither hub meant it: for one it is dropped there, for the other closed here
        old.close(0u32.into(), b"cut");
        let new = office.0.shared.until(|_| {
            let latest = office.0.links.latest(&peer)?;
            (latest.stable_id() != old.stable_id()).then_some(latest)
        });
        tokio::time::timeout(Duration::from_secs(20), new).await.expect("dialled again");
        let descriptor = tokio::time::timeout(Duration::from_secs(20), ask(&place)).await.unwrap();
        assert_eq!(descriptor[..2], [18, 1], "a device descriptor, over the new connection");
        assert_eq!(session(&garage), Some(before));
        office.stop().await;
        garage.stop().await;
        assert_eq!(session(&garage), None, "a hub that stops ends what it uses at once");
    }
}
