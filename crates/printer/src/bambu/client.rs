//! One MQTT connection to a printer, for as long as it lasts.
//!
//! P1 and A1 take about four connections, and throw out old ones for new ones; so there is exactly
//! one, which is never made again from here: whoever calls does that, with patience.

mod watching;

use super::command::{self, Message};
use super::report::Report;
use super::{status, tls};
use crate::{Connection, Error, Fingerprint, Found, Order, Reason, Told};
use rumqttc::{
    AsyncClient, ConnectReturnCode, ConnectionError, Event, EventLoop, Incoming, MqttOptions,
    NetworkOptions, Publish, PublishOptions, QoS, StateError, SubscribeReasonCode, Transport,
};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;
use watching::Watching;

/// How long things take and are waited for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// From one state that is told to the next.
    pub(super) between_states: Duration,
    /// For an answer to a command.
    pub(super) answer: Duration,
    /// After so long a silence it is asked something; and after so long it is lost.
    pub(super) silence: (Duration, Duration),
    /// From one `pushall` to the next: P1 and A1 are busy for a while with each.
    pub(super) refresh: Duration,
}

impl Pace {
    pub(super) const REAL: Self = Self {
        between_states: Duration::from_millis(250),
        answer: Duration::from_secs(10),
        silence: (Duration::from_secs(30), Duration::from_secs(60)),
        refresh: Duration::from_secs(300),
    };
}

/// Watches a printer until the connection is lost, and says why it was.
pub(super) async fn watch(
    connection: &Connection,
    told: &mpsc::Sender<Told>,
    orders: &mut mpsc::Receiver<Order>,
    pace: Pace,
) -> Error {
    let mut link = match Link::open(connection).await {
        Ok(link) => link,
        Err(error) => return error,
    };
    let mut watching = Watching::new(connection, pace);
    watching.certificate = link.fingerprint.filter(|_| connection.pin.is_none());
    let error = watching.run(&mut link, told, orders).await;
    if let Some(pending) = watching.pending.take() {
        let lost = Error::new(Reason::Lost, "the connection was lost before the printer answered");
        pending.done.send(Err(lost)).ok();
    }
    link.close().await;
    error
}

/// Looks once which printer it is.
pub(super) async fn probe(connection: &Connection, pace: Pace) -> Result<Found, Error> {
    let mut link = Link::open(connection).await?;
    let mut report = Report::default();
    let looking = async {
        while !report.has_state || report.modules.is_empty() {
            if let Some(publish) = link.next().await? {
                report.take(&publish.payload);
            }
        }
        Ok::<(), Error>(())
    };
    // Without its versions it is a printer all the same.
    let looked = timeout(pace.answer, looking).await;
    let fingerprint = link.fingerprint;
    link.close().await;
    if let Ok(Err(error)) = looked {
        return Err(error);
    }
    if !report.has_state {
        return Err(Error::new(Reason::NoAnswer, "the printer takes the code and tells nothing")
            .hint("restart the printer, and close other programs that are connected to it"));
    }
    let state = status::state(&report, &connection.host, &connection.serial_number);
    Ok(Found { identity: state.identity, fingerprint, read_only: state.read_only })
}

/// An MQTT connection that has been let in.
struct Link {
    client: AsyncClient,
    events: EventLoop,
    request: String,
    fingerprint: Option<Fingerprint>,
}

impl Link {
    async fn open(connection: &Connection) -> Result<Self, Error> {
        let (stream, judge) = tls::dial(connection, connection.port).await?;
        let options = options(connection, stream);
        let (client, mut events) = AsyncClient::builder(options).capacity(QUEUE).build();
        // What is waited for is decided here, below.
        let mut network = NetworkOptions::new();
        network.set_connection_timeout(2 * GREETING.as_secs());
        events.set_network_options(network);
        let serial = &connection.serial_number;
        let request = format!("device/{serial}/request");
        let mut link = Self { client, events, request, fingerprint: judge.fingerprint() };
        let greeted = timeout(GREETING, link.greeted()).await;
        greeted.unwrap_or_else(|_| Err(tls::no_answer(connection, connection.port)))?;
        let topic = format!("device/{serial}/report");
        link.client.try_subscribe(topic, QoS::AtMostOnce).map_err(|error| ours(&error))?;
        let subscribed = timeout(GREETING, link.subscribed()).await;
        subscribed.unwrap_or_else(|_| Err(tls::no_answer(connection, connection.port)))?;
        link.send(&command::push_all(), QoS::AtMostOnce)?;
        link.send(&command::get_version(), QoS::AtMostOnce)?;
        Ok(link)
    }

    async fn greeted(&mut self) -> Result<(), Error> {
        loop {
            match self.events.poll().await {
                Ok(Event::Incoming(Incoming::ConnAck(_))) => return Ok(()),
                Ok(_) => {}
                Err(error) => return Err(refused(error)),
            }
        }
    }

    /// Until the printer has agreed to tell us. What is published stands in another queue and does
    /// not wait for that by itself; an answer to it would be told to nobody. Reports that come
    /// sooner are of no use: everything is asked for afterwards.
    async fn subscribed(&mut self) -> Result<(), Error> {
        loop {
            match self.events.poll().await {
                Ok(Event::Incoming(Incoming::SubAck(ack))) => {
                    let refused = ack.return_codes.contains(&SubscribeReasonCode::Failure);
                    let error = || Error::new(Reason::NotAPrinter, "it does not tell its reports");
                    return if refused { Err(error()) } else { Ok(()) };
                }
                Ok(_) => {}
                Err(error) => return Err(lost(error)),
            }
        }
    }

    /// The next report, or `None` for what is only MQTT's. Cancel safe.
    async fn next(&mut self) -> Result<Option<Publish>, Error> {
        match self.events.poll().await {
            Ok(Event::Incoming(Incoming::Publish(publish))) => Ok(Some(publish)),
            Ok(_) => Ok(None),
            Err(error) => Err(lost(error)),
        }
    }

    fn send(&self, message: &Message, qos: QoS) -> Result<(), Error> {
        let payload = message.payload.to_string();
        let options = PublishOptions::new(qos);
        let sent = self.client.try_publish(self.request.clone(), payload, options);
        sent.map_err(|error| ours(&error))
    }

    /// With a goodbye, so that the printer has a free place at once.
    async fn close(mut self) {
        if self.client.try_disconnect_now().is_ok() {
            let end = async { while self.events.poll().await.is_ok() {} };
            timeout(GOODBYE, end).await.ok();
        }
    }
}

fn options(
    connection: &Connection,
    stream: tokio_rustls::client::TlsStream<tokio::net::TcpStream>,
) -> MqttOptions {
    // A name of its own each time, so that no broker keeps anything for it.
    let id = format!("farhub{:08x}", rand::random::<u32>());
    let mut options = MqttOptions::new(id, (connection.host.clone(), connection.port));
    // The stream is there already, and there is only this one.
    options.set_transport(Transport::tcp());
    let stream = Arc::new(Mutex::new(Some(stream)));
    options.set_socket_connector(move |_, _| {
        let stream = stream.lock().unwrap_or_else(PoisonError::into_inner).take();
        async move { stream.ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected)) }
    });
    options.set_credentials(USER, connection.secret.expose().to_owned());
    options.set_keep_alive(KEEP_ALIVE_S);
    options.set_clean_session(true);
    options.set_max_packet_size(PACKET_BYTES_MAX, PACKET_BYTES_MAX);
    options
}

fn ours(error: &rumqttc::ClientError) -> Error {
    Error::new(Reason::Local, format!("a message could not be queued: {error}"))
}

/// Why a printer did not let us in.
fn refused(error: ConnectionError) -> Error {
    match error {
        ConnectionError::ConnectionRefused(code) => match code {
            ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized => {
                Error::new(Reason::WrongSecret, "the printer does not take this access code")
                    .hint(tls::ACCESS_CODE)
            }
            ConnectReturnCode::ServiceUnavailable => {
                Error::new(Reason::TooManyConnections, "the printer takes no further connection")
                    .hint(OTHERS)
            }
            ConnectReturnCode::Success
            | ConnectReturnCode::RefusedProtocolVersion
            | ConnectReturnCode::BadClientId => {
                Error::new(Reason::NotAPrinter, format!("it does not let us in: {code:?}"))
            }
        },
        ConnectionError::NotConnAck(_) => no_mqtt(),
        ConnectionError::MqttState(StateError::Deserialization(error)) if !is_io(&error) => {
            no_mqtt()
        }
        error => {
            let text = format!("the connection was closed before the printer let us in: {error}");
            Error::new(Reason::Lost, text).hint(OTHERS)
        }
    }
}

fn no_mqtt() -> Error {
    Error::new(Reason::NotAPrinter, "what answers does not speak MQTT")
}

/// The end of a connection in the middle of a packet counts as a packet that cannot be read.
fn is_io(error: &rumqttc::Error) -> bool {
    matches!(error, rumqttc::Error::Io(_))
}

/// Why a connection ended.
fn lost(error: ConnectionError) -> Error {
    match error {
        ConnectionError::MqttState(StateError::Deserialization(error)) if !is_io(&error) => {
            Error::new(Reason::Garbled, format!("the printer said something odd: {error}"))
        }
        error => Error::new(Reason::Lost, format!("the connection was lost: {error}")),
    }
}

const OTHERS: &str = "these printers take about four connections: close other programs";
/// Of every printer in LAN mode.
const USER: &str = "bblp";
const KEEP_ALIVE_S: u16 = 20;
/// The largest report that has been seen has 30 KiB.
const PACKET_BYTES_MAX: usize = 1 << 20;
/// Messages that wait to be sent.
const QUEUE: usize = 16;
const GREETING: Duration = Duration::from_secs(10);
const GOODBYE: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests;
