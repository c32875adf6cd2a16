//! The conversation over one WebSocket, without the socket: what came in, what goes out.
//!
//! identify → server.info → (when Klipper is ready) printer.info, objects.list → subscribe; and
//! beside that the history and the cameras. Then notifications come by themselves.

use super::mapping::{Klippy, Latest, Mapping, Metadata, camera, is_closed, past};
use super::objects::Objects;
use crate::json::Json;
use crate::{Error, Order, Past, Reason, Told};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;
use wire::Text;

pub(super) struct Session {
    pub(super) mapping: Mapping,
    host: String,
    next_id: u64,
    asked: BTreeMap<u64, (Asked, Instant)>,
    /// To be sent.
    pub(super) out: Vec<String>,
    /// To be told, beside the state.
    pub(super) told: Vec<Told>,
    /// When to look once more for Klipper, while it is not ready.
    pub(super) look_at: Option<Instant>,
    has_history: bool,
    /// The last print, where Moonraker has closed its entry because it ended itself: Klipper may go
    /// on with it.
    closed: Option<Past>,
    /// Since when a print has no number.
    unnamed_since: Option<Instant>,
    /// Until then, a Klipper that is not there may be there all the same: a Moonraker that has just
    /// begun looks for it itself.
    joining_until: Option<Instant>,
}

enum Asked {
    Identify,
    Info,
    PrinterInfo,
    Names,
    Subscribe,
    Metadata(String),
    History,
    Webcams,
    Order(oneshot::Sender<Result<(), Error>>),
}

impl Session {
    pub(super) fn new(host: &str, key: Option<&str>, now: Instant) -> Self {
        let mut session = Self {
            mapping: Mapping::default(),
            host: host.to_owned(),
            next_id: 0,
            asked: BTreeMap::new(),
            out: Vec::new(),
            told: Vec::new(),
            look_at: None,
            has_history: true,
            closed: None,
            unnamed_since: None,
            joining_until: Some(now + JOINING),
        };
        let mut who = json!({
            "client_name": "farhub",
            "version": env!("CARGO_PKG_VERSION"),
            "type": "other",
            "url": "farhub",
        });
        if let Some(key) = key {
            who["api_key"] = key.into();
        }
        session.ask("server.connection.identify", who, Asked::Identify, now);
        session
    }

    fn ask(&mut self, method: &str, params: Value, asked: Asked, now: Instant) {
        self.next_id += 1;
        let id = self.next_id;
        let call = json!({"jsonrpc": "2.0", "method": method, "params": params, "id": id});
        self.out.push(call.to_string());
        self.asked.insert(id, (asked, now));
    }

    /// Where an order stands in the queue of Klipper, its answer may take as long as what it does.
    pub(super) fn order(&mut self, order: Order, now: Instant) {
        if self.asked.len() >= ASKED_MAX {
            let error = Error::new(Reason::Busy, "the printer has not answered earlier orders yet");
            let _ = order.done.send(Err(error));
            return;
        }
        match self.mapping.request(&order.command) {
            Ok((method, params)) => self.ask(method, params, Asked::Order(order.done), now),
            Err(error) => drop(order.done.send(Err(error))),
        }
    }

    /// What was not answered for too long.
    ///
    /// # Errors
    /// When the printer does not answer at all what it must.
    pub(super) fn tick(&mut self, now: Instant) -> Result<(), Error> {
        if self.look_at.is_some_and(|at| at <= now) {
            self.look_at = None;
            self.ask("server.info", json!({}), Asked::Info, now);
        }
        let is_late = |asked: &Asked, since: Instant| match asked {
            Asked::Order(_) => now >= since + ORDER_TIMEOUT,
            _ => now >= since + CALL_TIMEOUT,
        };
        let late: Vec<u64> = self
            .asked
            .iter()
            .filter(|(_, (asked, since))| is_late(asked, *since))
            .map(|(id, _)| *id)
            .collect();
        for id in late {
            match self.asked.remove(&id) {
                Some((Asked::Order(done), _)) => {
                    let message = "the printer has not answered within two minutes; it may still \
                                   do it";
                    let _ = done.send(Err(Error::new(Reason::NoAnswer, message)));
                }
                Some((Asked::Identify | Asked::Info | Asked::Names | Asked::Subscribe, _)) => {
                    let message = "Moonraker takes messages but does not answer them";
                    return Err(Error::new(Reason::NoAnswer, message));
                }
                Some(_) | None => {}
            }
        }
        Ok(())
    }

    /// Whether the state can be told: not before it is known, and no print without its number,
    /// which comes a moment later.
    pub(super) fn is_known(&self, now: Instant) -> bool {
        let is_history = |(asked, _): &(Asked, Instant)| matches!(asked, Asked::History);
        self.mapping.klippy != Klippy::Unknown
            && !self.is_joining(now)
            && !self.asked.values().any(is_history)
            && self.unnamed_since.is_none_or(|since| now >= since + NAME_TIMEOUT)
    }

    fn is_joining(&self, now: Instant) -> bool {
        matches!(self.mapping.klippy, Klippy::Disconnected | Klippy::Startup)
            && self.joining_until.is_some_and(|until| now < until)
    }

    fn look_for_name(&mut self, now: Instant) {
        let is_unnamed = self.has_history && self.mapping.is_unnamed();
        self.unnamed_since = is_unnamed.then(|| self.unnamed_since.unwrap_or(now));
    }

    /// When [`Self::tick`] has something to do.
    pub(super) fn next_tick(&self, now: Instant) -> Option<Instant> {
        let limits = self.asked.values().map(|(asked, since)| match asked {
            Asked::Order(_) => *since + ORDER_TIMEOUT,
            _ => *since + CALL_TIMEOUT,
        });
        let name = self.unnamed_since.map(|since| since + NAME_TIMEOUT);
        let joining = self.joining_until.filter(|_| self.is_joining(now));
        let name = name.filter(|name| *name > now);
        limits.chain(self.look_at).chain(name).chain(joining).min()
    }

    /// One message from the printer.
    ///
    /// # Errors
    /// When the conversation cannot go on.
    pub(super) fn hear(&mut self, message: &Value, now: Instant) -> Result<(), Error> {
        if let Some(method) = message.at("/method").and_then(Value::as_str) {
            self.notified(method, message.at("/params").unwrap_or(&Value::Null), now);
            self.look_for_name(now);
            return Ok(());
        }
        let id = message.at("/id").and_then(Value::as_u64);
        let Some((asked, _)) = id.and_then(|id| self.asked.remove(&id)) else { return Ok(()) };
        match message.at("/error") {
            None => {
                self.answered(asked, message.at("/result").unwrap_or(&Value::Null), now);
                self.tell_closed();
                self.look_for_name(now);
                Ok(())
            }
            Some(error) => self.refused(asked, error, now),
        }
    }

    fn answered(&mut self, asked: Asked, result: &Value, now: Instant) {
        match asked {
            Asked::Identify => {
                self.ask("server.info", json!({}), Asked::Info, now);
                self.ask("server.history.list", json!({"limit": HISTORY}), Asked::History, now);
                self.ask("server.webcams.list", json!({}), Asked::Webcams, now);
            }
            Asked::Info => self.server(result, now),
            Asked::PrinterInfo => self.printer(result),
            Asked::Names => {
                let wanted = Objects::wanted(result.items("/objects"));
                let params = json!({"objects": wanted});
                self.ask("printer.objects.subscribe", params, Asked::Subscribe, now);
            }
            Asked::Subscribe => {
                self.mapping.objects.clear();
                self.status(result.at("/status").unwrap_or(&Value::Null), now);
                // Not before something is known of its state.
                self.mapping.klippy = Klippy::Ready;
                self.joining_until = None;
            }
            Asked::Metadata(filename) => {
                self.mapping.metadata = Metadata::read(filename, result);
            }
            Asked::History => self.history(result),
            Asked::Webcams => self.mapping.camera = camera(result, &self.host),
            Asked::Order(done) => drop(done.send(Ok(()))),
        }
    }

    fn refused(&mut self, asked: Asked, error: &Value, now: Instant) -> Result<(), Error> {
        let code = error.at("/code").and_then(Value::as_i64).unwrap_or(0);
        let text = error.text("/message").unwrap_or_default();
        // Moonraker writes 401 as -32602, which means wrong parameters elsewhere.
        let is_locked = match asked {
            Asked::Identify => matches!(code, 401 | 403 | -32602),
            Asked::Order(_) | Asked::Metadata(_) => false,
            _ => matches!(code, 401 | 403),
        };
        if is_locked {
            let message = format!("Moonraker does not let us in: {text}");
            return Err(Error::new(Reason::WrongSecret, message)
                .hint("Give its API key, or add this computer to trusted_clients."));
        }
        match asked {
            // Before Moonraker 0.8 there was no such method.
            Asked::Identify => self.answered(Asked::Identify, &Value::Null, now),
            Asked::Info => {
                let message = format!("Moonraker does not tell its state: {text}");
                return Err(Error::new(Reason::Garbled, message));
            }
            // Klipper went away in between.
            Asked::Names | Asked::Subscribe | Asked::PrinterInfo => {
                self.look_at = Some(now + KLIPPY_INTERVAL);
            }
            Asked::Metadata(filename) => {
                self.mapping.metadata = Metadata { filename, ..Metadata::default() };
            }
            Asked::History => self.has_history = false,
            Asked::Webcams => {}
            Asked::Order(done) => {
                let reason = match code {
                    401 | 403 => Reason::WrongSecret,
                    404 => Reason::NotFound,
                    503 => Reason::Busy,
                    -32601 => Reason::Unable,
                    _ => Reason::Unacceptable,
                };
                let _ = done.send(Err(Error::new(reason, format!("Klipper refuses: {text}"))));
            }
        }
        Ok(())
    }

    fn server(&mut self, info: &Value, now: Instant) {
        let state = info.path("/klippy_state").unwrap_or_default();
        let klippy = match info.flag("/klippy_connected") {
            Some(false) => Klippy::Disconnected,
            _ => Klippy::named(&state),
        };
        self.mapping.identity.firmware = info.text("/moonraker_version");
        if klippy == Klippy::Ready {
            if self.mapping.klippy != Klippy::Ready {
                self.mapping.klippy_says = None;
                self.ask("printer.info", json!({}), Asked::PrinterInfo, now);
                self.ask("printer.objects.list", json!({}), Asked::Names, now);
            }
            return;
        }
        self.halted(klippy, now);
    }

    fn halted(&mut self, klippy: Klippy, now: Instant) {
        if self.mapping.klippy != klippy {
            self.mapping.klippy_says = None;
        }
        self.mapping.klippy = klippy;
        let pause = if self.is_joining(now) { JOINING_INTERVAL } else { KLIPPY_INTERVAL };
        self.look_at = Some(now + pause);
        // What it measured is not true any more.
        self.mapping.objects.clear();
        if klippy != Klippy::Disconnected {
            self.ask("printer.info", json!({}), Asked::PrinterInfo, now);
        }
    }

    fn printer(&mut self, info: &Value) {
        self.mapping.identity.name = info.text("/hostname");
        if let Some(version) = info.text("/software_version") {
            self.mapping.identity.firmware = Some(version);
        }
        if self.mapping.klippy != Klippy::Ready {
            let says = info.path("/state_message").unwrap_or_default();
            let first = says.lines().map(str::trim).find(|line| !line.is_empty());
            self.mapping.klippy_says = first.map(Text::from);
        }
    }

    fn notified(&mut self, method: &str, params: &Value, now: Instant) {
        match method {
            "notify_status_update" => {
                self.status(params.at("/0").unwrap_or(&Value::Null), now);
            }
            "notify_klippy_ready" => {
                self.mapping.klippy_says = None;
                self.mapping.klippy = Klippy::Unknown;
                self.ask("server.info", json!({}), Asked::Info, now);
            }
            "notify_klippy_shutdown" => self.halted(Klippy::Shutdown, now),
            "notify_klippy_disconnected" => self.halted(Klippy::Disconnected, now),
            "notify_filelist_changed" => {
                let is_ours = |at: &str| params.path(at).as_deref() == Some("gcodes");
                if is_ours("/0/item/root") || is_ours("/0/source_item/root") {
                    self.tell_files();
                }
            }
            "notify_history_changed" => self.history_changed(params),
            "notify_webcams_changed" => {
                let list = params.at("/0").unwrap_or(&Value::Null);
                self.mapping.camera = camera(list, &self.host);
            }
            _ => {}
        }
    }

    /// Once is enough for a folder that is unpacked.
    fn tell_files(&mut self) {
        if !self.told.contains(&Told::Files) {
            self.told.push(Told::Files);
        }
    }

    fn status(&mut self, status: &Value, now: Instant) {
        self.mapping.objects.merge(status);
        let Some(filename) = self.mapping.filename() else { return };
        let is_asked = |(asked, _): &(Asked, Instant)| match asked {
            Asked::Metadata(asked) => asked == filename,
            _ => false,
        };
        if self.mapping.metadata.filename != filename && !self.asked.values().any(is_asked) {
            let filename = filename.to_owned();
            let params = json!({"filename": filename});
            self.ask("server.files.metadata", params, Asked::Metadata(filename), now);
        }
    }

    /// The newest comes first.
    fn history(&mut self, list: &Value) {
        let jobs = list.items("/jobs");
        if let Some(latest) = jobs.first().and_then(Latest::read) {
            self.mapping.latest = Some(latest);
        }
        self.closed = jobs.first().filter(|job| is_closed(job)).and_then(past);
        let ended = jobs.iter().take(HISTORY).skip(usize::from(self.closed.is_some()));
        let ended: Vec<_> = ended.filter_map(past).collect();
        if !ended.is_empty() {
            self.told.push(Told::Ended(ended));
        }
    }

    /// Once Klipper tells what it does, what is not under way has ended.
    fn tell_closed(&mut self) {
        if self.mapping.klippy == Klippy::Ready
            && let Some(past) = self.closed.take()
            && !self.mapping.is_active()
        {
            self.told.push(Told::Ended(vec![past]));
        }
    }

    fn history_changed(&mut self, params: &Value) {
        let job = params.at("/0/job").unwrap_or(&Value::Null);
        if is_closed(job) {
            return;
        }
        if let Some(latest) = Latest::read(job) {
            self.mapping.latest = Some(latest);
        }
        if let Some(past) = past(job) {
            self.told.push(Told::Ended(vec![past]));
        }
    }
}

const HISTORY: usize = 50;
const ASKED_MAX: usize = 32;
const CALL_TIMEOUT: Duration = Duration::from_secs(20);
/// Homing and heating are answered when they are done.
const ORDER_TIMEOUT: Duration = Duration::from_secs(120);
/// Moonraker writes the history a moment after it has told the state.
const NAME_TIMEOUT: Duration = Duration::from_secs(2);
const KLIPPY_INTERVAL: Duration = Duration::from_secs(5);
/// It tries each quarter of a second (Moonraker, components/klippy_connection.py).
const JOINING: Duration = Duration::from_secs(5);
const JOINING_INTERVAL: Duration = Duration::from_secs(1);
