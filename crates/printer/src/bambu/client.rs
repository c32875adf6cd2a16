//! One MQTT connection to a printer, for as long as it lasts.
//!
//! P1 and A1 take about four connections, and throw out old ones for new ones; so there is exactly
//! one, which is never made again from here: whoever calls does that, with patience.

use super::command::{self, Message};
use super::report::{Heard, Reply, Report};
use super::{status, tls};
use crate::{Command, Connection, Error, Fingerprint, Found, Order, PrinterState, Reason, Told};
use rumqttc::{
    AsyncClient, ConnectReturnCode, ConnectionError, Event, EventLoop, Incoming, MqttOptions,
    Publish, PublishOptions, QoS, StateError, SubscribeReasonCode, Transport,
};
use serde_json::Value;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};

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
        let (client, events) = AsyncClient::builder(options).capacity(QUEUE).build();
        let serial = &connection.serial_number;
        let request = format!("device/{serial}/request");
        let mut link = Self { client, events, request, fingerprint: judge.fingerprint() };
        let greeted = timeout(GREETING, link.greeted()).await;
        greeted.unwrap_or_else(|_| Err(tls::no_answer(connection, connection.port)))?;
        let topic = format!("device/{serial}/report");
        link.client.try_subscribe(topic, QoS::AtMostOnce).map_err(|error| ours(&error))?;
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

    /// The next report, or `None` for what is only MQTT's. Cancel safe.
    async fn next(&mut self) -> Result<Option<Publish>, Error> {
        match self.events.poll().await {
            Ok(Event::Incoming(Incoming::Publish(publish))) => Ok(Some(publish)),
            Ok(Event::Incoming(Incoming::SubAck(ack)))
                if ack.return_codes.contains(&SubscribeReasonCode::Failure) =>
            {
                Err(Error::new(Reason::NotAPrinter, "it does not tell us its reports"))
            }
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

/// What is going on with one printer.
struct Watching<'a> {
    connection: &'a Connection,
    pace: Pace,
    report: Report,
    /// The last that was told.
    told: Option<PrinterState>,
    /// Whether something has come that was not told yet.
    changed: bool,
    told_at: Option<Instant>,
    certificate: Option<Fingerprint>,
    files_changed: bool,
    /// Which files it spoke of last.
    files: Option<[Value; 3]>,
    pending: Option<Pending>,
    heard_at: Instant,
    asked: bool,
    /// When it is to tell everything again.
    refresh_at: Instant,
    unreadable: u64,
}

/// A command that waits for its answer.
struct Pending {
    command: Command,
    name: &'static str,
    sequence_id: String,
    until: Instant,
    done: oneshot::Sender<Result<(), Error>>,
}

impl<'a> Watching<'a> {
    fn new(connection: &'a Connection, pace: Pace) -> Self {
        let now = Instant::now();
        Self {
            connection,
            pace,
            report: Report::default(),
            told: None,
            changed: false,
            told_at: None,
            certificate: None,
            files_changed: false,
            files: None,
            pending: None,
            heard_at: now,
            asked: false,
            refresh_at: now + DOUBT.min(pace.refresh),
            unreadable: 0,
        }
    }

    async fn run(
        &mut self,
        link: &mut Link,
        told: &mpsc::Sender<Told>,
        orders: &mut mpsc::Receiver<Order>,
    ) -> Error {
        loop {
            let now = Instant::now();
            if let Err(error) = self.at(link, now) {
                return error;
            }
            let due = self.has_news(now);
            tokio::select! {
                heard = link.next() => match heard {
                    Ok(Some(publish)) => self.hear(&publish.payload),
                    Ok(None) => {}
                    Err(error) => return error,
                },
                permit = told.reserve(), if due => match permit {
                    Ok(permit) => if let Some(news) = self.news() {
                        permit.send(news);
                    },
                    Err(_) => return nobody_listens(),
                },
                () = told.closed(), if !due => return nobody_listens(),
                order = orders.recv(), if self.pending.is_none() => match order {
                    Some(order) => self.order(link, order),
                    None => return Error::new(Reason::Local, "the connection was ended by us"),
                },
                () = sleep_until(self.next_at(due)) => {}
            }
        }
    }

    /// Does what is due.
    fn at(&mut self, link: &Link, now: Instant) -> Result<(), Error> {
        if self.pending.as_ref().is_some_and(|pending| pending.until <= now) {
            self.unanswered();
        }
        let (ask, lost) = self.pace.silence;
        if now >= self.heard_at + lost {
            let text = format!("the printer has said nothing for {} s", lost.as_secs());
            return Err(Error::new(Reason::Lost, text));
        }
        if now >= self.heard_at + ask && !self.asked {
            self.asked = true;
            link.send(&command::get_version(), QoS::AtMostOnce)?;
        }
        if now >= self.refresh_at {
            // The answer to the first can be lost.
            let again = if self.report.has_state { self.pace.refresh } else { DOUBT };
            self.refresh_at = now + again;
            link.send(&command::push_all(), QoS::AtMostOnce)?;
        }
        Ok(())
    }

    fn next_at(&self, due: bool) -> Instant {
        let (ask, lost) = self.pace.silence;
        let silence = self.heard_at + if self.asked { lost } else { ask };
        let state = self.told_at.filter(|_| self.changed && !due);
        let state = state.map(|told_at| told_at + self.pace.between_states);
        let pending = self.pending.as_ref().map(|pending| pending.until);
        let always = silence.min(self.refresh_at);
        [state, pending].into_iter().flatten().fold(always, Instant::min)
    }

    fn hear(&mut self, payload: &[u8]) {
        let had_state = self.report.has_state;
        let heard = self.report.take(payload);
        if self.report.has_state && !had_state {
            self.refresh_at = Instant::now() + self.pace.refresh;
        }
        if std::mem::take(&mut self.report.is_doubtful) {
            self.refresh_at = self.refresh_at.min(Instant::now() + DOUBT);
        }
        let Some(heard) = heard else {
            self.unreadable += 1;
            tracing::debug!(
                printer = self.connection.serial_number,
                bytes = payload.len(),
                so_far = self.unreadable,
                "a message that cannot be read"
            );
            return;
        };
        self.heard_at = Instant::now();
        self.asked = false;
        match heard {
            Heard::Status => {
                self.changed = true;
                self.notice_files();
            }
            Heard::Version => self.changed = true,
            Heard::Reply(reply) => self.reply(&reply),
            Heard::Other => {}
        }
    }

    /// What lies on it may have changed when it takes a file, and when another is printed.
    fn notice_files(&mut self) {
        let value = |key: &str| self.report.status.get(key).cloned().unwrap_or(Value::Null);
        let upload = super::json::at(&self.report.status, &["upload", "status"]).cloned();
        let now = [upload.unwrap_or(Value::Null), value("gcode_file"), value("sdcard")];
        let before = self.files.replace(now);
        self.files_changed |= before.is_some() && before != self.files;
    }

    fn has_news(&self, now: Instant) -> bool {
        let may = self.told_at.is_none_or(|told_at| now >= told_at + self.pace.between_states);
        let state = self.changed && self.report.has_state && may;
        self.certificate.is_some() || self.files_changed || state
    }

    /// What is told next, if it is news after all.
    fn news(&mut self) -> Option<Told> {
        if let Some(fingerprint) = self.certificate.take() {
            return Some(Told::Certificate(fingerprint));
        }
        if std::mem::take(&mut self.files_changed) {
            return Some(Told::Files);
        }
        self.changed = false;
        self.told_at = Some(Instant::now());
        let state = self.state();
        if self.told.as_ref() == Some(&state) {
            return None;
        }
        self.told = Some(state.clone());
        Some(Told::State(Box::new(state)))
    }

    fn state(&self) -> PrinterState {
        status::state(&self.report, &self.connection.host, &self.connection.serial_number)
    }

    fn order(&mut self, link: &Link, order: Order) {
        let Order { command, done } = order;
        let state = self.state();
        let sent = self.allowed(&command, &state).and_then(|()| {
            let message = command::message(&command, &state)?;
            // A print must not get lost on the way, nor its stop.
            link.send(&message, QoS::AtLeastOnce)?;
            Ok(message)
        });
        match sent {
            Ok(Message { command: name, sequence_id, .. }) => {
                let until = Instant::now() + self.pace.answer;
                self.pending = Some(Pending { command, name, sequence_id, until, done });
            }
            Err(error) => {
                done.send(Err(error)).ok();
            }
        }
    }

    fn allowed(&self, command: &Command, state: &PrinterState) -> Result<(), Error> {
        if !self.report.has_state {
            return Err(Error::new(Reason::Busy, "the printer has not told its state yet"));
        }
        // A refusal of before may be over by now; what the printer says of itself is not.
        if state.read_only.is_some() && !self.report.unsigned_refused {
            return Err(read_only());
        }
        let needs = command.needs();
        if state.read_only.is_none() && !state.abilities.contains(&needs) {
            return Err(Error::new(Reason::Unable, "this printer cannot do that now"));
        }
        Ok(())
    }

    fn reply(&mut self, reply: &Reply) {
        let ours = |pending: &mut Pending| {
            pending.sequence_id == reply.sequence_id && pending.name == reply.command
        };
        let Some(pending) = self.pending.take_if(ours) else { return };
        let result = match &reply.result {
            Ok(()) => {
                self.report.unsigned_refused = false;
                if pending.command == Command::Stop {
                    self.report.stop_accepted();
                }
                Ok(())
            }
            Err(reason) if reason.to_ascii_lowercase().contains("verify failed") => {
                self.report.unsigned_refused = true;
                Err(read_only())
            }
            Err(reason) => {
                let reason: String = reason.chars().take(200).collect();
                Err(Error::new(Reason::Unacceptable, format!("the printer refused: {reason}")))
            }
        };
        self.changed = true;
        pending.done.send(result).ok();
    }

    fn unanswered(&mut self) {
        let Some(pending) = self.pending.take() else { return };
        let state = self.state();
        let result = if command::is_visible(&pending.command, &state) {
            Ok(())
        } else if state.read_only.is_some() {
            Err(read_only())
        } else {
            Err(Error::new(Reason::NoAnswer, "the printer did not answer to that")
                .hint("look at the printer: it may have done it all the same"))
        };
        pending.done.send(result).ok();
    }
}

fn read_only() -> Error {
    Error::new(Reason::ReadOnly, "the printer takes no commands: developer mode is off")
        .hint("switch on LAN Only and Developer Mode at the printer's panel")
}

fn nobody_listens() -> Error {
    Error::new(Reason::Local, "nobody listens to this printer any more")
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
        ConnectionError::NotConnAck(_)
        | ConnectionError::MqttState(StateError::Deserialization(_)) => {
            Error::new(Reason::NotAPrinter, "what answers does not speak MQTT")
        }
        error => {
            let text = format!("the connection was closed before the printer let us in: {error}");
            Error::new(Reason::Lost, text).hint(OTHERS)
        }
    }
}

/// Why a connection ended.
fn lost(error: ConnectionError) -> Error {
    match error {
        ConnectionError::MqttState(StateError::Deserialization(error)) => {
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
/// After something that was not understood. With each of these a P1 is busy for a while.
const DOUBT: Duration = Duration::from_secs(3);
const GREETING: Duration = Duration::from_secs(10);
const GOODBYE: Duration = Duration::from_millis(500);
