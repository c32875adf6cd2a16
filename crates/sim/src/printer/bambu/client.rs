//! One connection to the broker: TLS, the access code, and then requests in and reports out.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rumqttc::mqttbytes::v4::{
    ConnAck, Connect, ConnectAuth, ConnectReturnCode, Packet, PubAck, Publish, SubAck, Subscribe,
    SubscribeReasonCode, UnsubAck,
};
use rumqttc::mqttbytes::{Error, QoS, matches, valid_filter};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::server::TlsStream;

use super::broker::{Broker, Said, Seat};
use super::door::{self, Door};
use crate::printer::Fault;

/// What a client must know of its printer.
#[derive(Clone)]
pub(super) struct Client {
    pub door: Door,
    pub broker: Arc<Broker>,
    /// Requests of all clients. When it is full, clients wait.
    pub requests: mpsc::Sender<Bytes>,
}

struct Session {
    client: Client,
    stream: TlsStream<TcpStream>,
    buffer: BytesMut,
    seat: Seat,
    /// Half more than it promised to be silent at most (MQTT 3.1.1 §3.1.2.10).
    silent_until: Option<Instant>,
    keep_alive: Duration,
}

impl Client {
    pub(super) async fn run(self, tcp: TcpStream) {
        let Some(stream) = self.door.enter(tcp, &self.door.tls.plain.clone()).await else { return };
        if let Err(error) = self.session(stream).await {
            tracing::debug!(%error, "a client of a simulated printer is gone");
        }
    }

    async fn session(self, mut stream: TlsStream<TcpStream>) -> io::Result<()> {
        let mut buffer = BytesMut::new();
        let first = read(&mut stream, &mut buffer);
        let connect = match timeout(CONNECT_LIMIT, first).await.map_err(io::Error::other)? {
            Ok(Packet::Connect(connect)) => connect,
            Err(Refused::Protocol) => {
                return refuse(&mut stream, ConnectReturnCode::RefusedProtocolVersion).await;
            }
            Ok(_) | Err(Refused::Malformed) => return Err(io::ErrorKind::InvalidData.into()),
            Err(Refused::Io(error)) => return Err(error),
        };
        self.door.be_slow().await;
        if !self.is_allowed(&connect) {
            return refuse(&mut stream, ConnectReturnCode::NotAuthorized).await;
        }
        let Some(seat) = self.broker.seat(&connect.client_id) else {
            return refuse(&mut stream, ConnectReturnCode::ServiceUnavailable).await;
        };
        let accepted = Packet::ConnAck(ConnAck::new(ConnectReturnCode::Success, false));
        write(&mut stream, &accepted).await?;
        let keep_alive = Duration::from_secs(connect.keep_alive.into()) * 3 / 2;
        let silent_until = (!keep_alive.is_zero()).then(|| Instant::now() + keep_alive);
        Session { client: self, stream, buffer, seat, silent_until, keep_alive }.run().await
    }

    fn is_allowed(&self, connect: &Connect) -> bool {
        match &connect.auth {
            ConnectAuth::UsernamePassword { username, password } => {
                username == door::USER && self.door.takes(password)
            }
            ConnectAuth::None | ConnectAuth::Username { .. } => false,
        }
    }
}

impl Session {
    async fn run(mut self) -> io::Result<()> {
        let mut faults = self.client.door.faults();
        let mut until = ends(*faults.borrow_and_update());
        loop {
            tokio::select! {
                got = read(&mut self.stream, &mut self.buffer) => match got {
                    Ok(Packet::Disconnect) => return Ok(()),
                    Ok(packet) => self.answer(packet).await?,
                    Err(Refused::Io(error)) => return Err(error),
                    Err(Refused::Protocol | Refused::Malformed) => {
                        return Err(io::ErrorKind::InvalidData.into());
                    }
                },
                said = self.seat.out.recv() => match said {
                    Some(said) => self.say(said).await?,
                    None => return self.stream.shutdown().await,
                },
                () = until_some(self.silent_until) => return Err(io::ErrorKind::TimedOut.into()),
                () = until_some(until) => return self.stream.shutdown().await,
                changed = faults.changed() => {
                    changed.map_err(io::Error::other)?;
                    until = ends(*faults.borrow_and_update());
                }
            }
        }
    }

    async fn answer(&mut self, packet: Packet) -> io::Result<()> {
        self.silent_until = self.silent_until.map(|_| Instant::now() + self.keep_alive);
        let answer = match packet {
            Packet::PingReq => Packet::PingResp,
            Packet::Publish(publish) => match self.take(publish).await? {
                Some(answer) => answer,
                None => return Ok(()),
            },
            Packet::Subscribe(subscribe) => self.subscribe(&subscribe),
            Packet::Unsubscribe(unsubscribe) => {
                if unsubscribe.topics.iter().any(|filter| self.is_report(filter)) {
                    self.seat.hear(false);
                }
                Packet::UnsubAck(UnsubAck::new(unsubscribe.pkid))
            }
            // Nothing of ours is to be acknowledged.
            Packet::PubAck(_) | Packet::PubRec(_) | Packet::PubComp(_) => return Ok(()),
            Packet::PubRel(release) => {
                Packet::PubComp(rumqttc::mqttbytes::v4::PubComp::new(release.pkid))
            }
            Packet::Connect(_)
            | Packet::ConnAck(_)
            | Packet::SubAck(_)
            | Packet::UnsubAck(_)
            | Packet::PingResp
            | Packet::Disconnect => return Err(io::ErrorKind::InvalidData.into()),
        };
        self.client.door.be_slow().await;
        if self.client.door.fault() == Fault::Silent {
            return Ok(());
        }
        write(&mut self.stream, &answer).await
    }

    /// Whatever goes to another topic is for nobody.
    async fn take(&mut self, publish: Publish) -> io::Result<Option<Packet>> {
        let serial_number = &self.client.door.shared.spec.serial_number;
        if publish.topic == format!("device/{serial_number}/request") {
            let sent = self.client.requests.send(publish.payload).await;
            sent.map_err(io::Error::other)?;
        }
        Ok(match publish.qos {
            QoS::AtMostOnce => None,
            QoS::AtLeastOnce => Some(Packet::PubAck(PubAck::new(publish.pkid))),
            QoS::ExactlyOnce => {
                Some(Packet::PubRec(rumqttc::mqttbytes::v4::PubRec::new(publish.pkid)))
            }
        })
    }

    fn subscribe(&self, subscribe: &Subscribe) -> Packet {
        let codes = subscribe.filters.iter().map(|filter| {
            if !valid_filter(&filter.path) {
                return SubscribeReasonCode::Failure;
            }
            if self.is_report(&filter.path) {
                self.seat.hear(true);
            }
            // Reports are sent with less.
            SubscribeReasonCode::Success(QoS::AtMostOnce)
        });
        Packet::SubAck(SubAck::new(subscribe.pkid, codes.collect()))
    }

    fn is_report(&self, filter: &str) -> bool {
        matches(&self.client.door.report_topic(), filter)
    }

    async fn say(&mut self, (said, packet): Said) -> io::Result<()> {
        match self.client.door.fault() {
            Fault::Slow(late) => sleep_until(Instant::from_std(said) + late).await,
            Fault::Silent => return Ok(()),
            Fault::None
            | Fault::Drops
            | Fault::Garbled
            | Fault::DiskFull
            | Fault::NoStorage
            | Fault::DeveloperModeOff
            | Fault::WrongSecret
            | Fault::TruncatesFiles => {}
        }
        write_bytes(&mut self.stream, &packet).await
    }
}

enum Refused {
    /// Another version of MQTT.
    Protocol,
    Malformed,
    Io(io::Error),
}

/// Cancel safe: what has come stays in the buffer.
async fn read(stream: &mut TlsStream<TcpStream>, buffer: &mut BytesMut) -> Result<Packet, Refused> {
    loop {
        match Packet::read(buffer, PACKET_BYTES_MAX) {
            Ok(packet) => return Ok(packet),
            Err(Error::InsufficientBytes(_)) => {}
            Err(Error::InvalidProtocol | Error::InvalidProtocolLevel(_)) => {
                return Err(Refused::Protocol);
            }
            Err(_) => return Err(Refused::Malformed),
        }
        match stream.read_buf(buffer).await {
            Ok(0) => return Err(Refused::Io(io::ErrorKind::UnexpectedEof.into())),
            Ok(_) => {}
            Err(error) => return Err(Refused::Io(error)),
        }
    }
}

async fn refuse(stream: &mut TlsStream<TcpStream>, code: ConnectReturnCode) -> io::Result<()> {
    write(stream, &Packet::ConnAck(ConnAck::new(code, false))).await?;
    stream.shutdown().await
}

async fn write(stream: &mut TlsStream<TcpStream>, packet: &Packet) -> io::Result<()> {
    let mut bytes = BytesMut::new();
    packet.write(&mut bytes, PACKET_BYTES_MAX).map_err(io::Error::other)?;
    write_bytes(stream, &bytes).await
}

async fn write_bytes(stream: &mut TlsStream<TcpStream>, bytes: &[u8]) -> io::Result<()> {
    let writing = async {
        stream.write_all(bytes).await?;
        stream.flush().await
    };
    timeout(WRITE_LIMIT, writing).await.map_err(io::Error::other)?
}

/// When a fault ends a connection.
fn ends(fault: Fault) -> Option<Instant> {
    match fault {
        Fault::Drops => Some(Instant::now() + DROP_AFTER),
        Fault::WrongSecret => Some(Instant::now()),
        Fault::None
        | Fault::Slow(_)
        | Fault::Silent
        | Fault::Garbled
        | Fault::DiskFull
        | Fault::NoStorage
        | Fault::DeveloperModeOff
        | Fault::TruncatesFiles => None,
    }
}

async fn until_some(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

const CONNECT_LIMIT: Duration = Duration::from_secs(10);
const WRITE_LIMIT: Duration = Duration::from_secs(30);
const DROP_AFTER: Duration = Duration::from_secs(3);
/// A request is a few KiB; skipped objects and mappings make it longer.
const PACKET_BYTES_MAX: usize = 1024 * 1024;
