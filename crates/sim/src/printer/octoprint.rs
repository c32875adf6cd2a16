//! A Marlin printer behind OctoPrint: REST, and a raw SockJS socket that pushes.
//!
//! OctoPrint has no word for how the last print ended but its events: the state is "Operational"
//! again. It does not say when a print began either.
//! Sources: docs.octoprint.org ("REST API", "Push updates"), and 1.11.8 as it answered.

mod calls;
mod files;
mod keys;
mod socket;
mod state;

#[cfg(test)]
mod tests;

use super::engine::{Engine, Refused};
use super::http::{self, Life, Request, json, query, segments};
use super::network::Doors;
use super::shared::Shared;
use axum::extract::FromRequestParts;
use axum::extract::ws::WebSocketUpgrade;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use keys::Keys;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What it remembers beside files and prints.
#[derive(Debug)]
pub(super) struct OctoPrint {
    keys: Mutex<Keys>,
    serial: Mutex<Serial>,
}

/// OctoPrint's side of the printer's cable.
#[derive(Debug)]
struct Serial {
    connected: bool,
    /// And how many prints there had been then: whoever prints another file selects that.
    selected: Option<(String, usize)>,
}

impl Default for OctoPrint {
    /// Connected, as it is set up to do when it starts.
    fn default() -> Self {
        let serial = Serial { connected: true, selected: None };
        Self { keys: Mutex::default(), serial: Mutex::new(serial) }
    }
}

#[derive(Clone, Debug)]
struct Door {
    shared: Arc<Shared>,
    own: Arc<OctoPrint>,
}

pub(super) async fn serve(shared: Arc<Shared>, doors: Doors, own: Arc<OctoPrint>) {
    let door = Door { shared: Arc::clone(&shared), own };
    let answer = move |request, life| {
        let door = door.clone();
        async move { door.answer(request, life).await }
    };
    http::serve(shared, doors.main, CONNECTIONS_MAX, answer).await;
}

impl Door {
    async fn answer(&self, request: Request, life: Life) -> Response {
        let segments = segments(request.uri());
        let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
        let method = request.method().clone();
        match (&method, parts.as_slice()) {
            (&Method::GET, ["sockjs", "websocket"]) => return self.upgrade(request, life).await,
            (&Method::GET, ["plugin", "appkeys", "probe"]) => {
                return StatusCode::NO_CONTENT.into_response();
            }
            (&Method::POST, ["plugin", "appkeys", "request"]) => {
                return self.ask_for_key(request).await;
            }
            (&Method::GET, ["plugin", "appkeys", "request", token]) => {
                return self.poll_for_key(token);
            }
            _ => {}
        }
        if !self.is_allowed(&request) {
            let changes = method != Method::GET;
            http::drain(request.into_body()).await;
            // Without a key it could be a browser that was lured here.
            return if changes {
                refuse(StatusCode::BAD_REQUEST, "CSRF validation failed")
            } else {
                refuse(StatusCode::FORBIDDEN, NO_PERMISSION)
            };
        }
        match (&method, parts.as_slice()) {
            (_, ["api", "files", rest @ ..]) => self.answer_files(request, rest).await,
            (&Method::GET, ["downloads", "files", "local", path @ ..]) => {
                self.download(path, &request)
            }
            (&Method::GET, ["api", rest @ ..]) => self.answer_get(rest, &query(request.uri())),
            (&Method::POST, ["api", rest @ ..]) => {
                match http::read_json(request.into_body()).await {
                    Ok(body) => self.answer_post(rest, &body),
                    Err(status) => refuse(status, "Malformed JSON body in request"),
                }
            }
            _ => refuse(StatusCode::NOT_FOUND, "The requested URL was not found on the server."),
        }
    }

    async fn upgrade(&self, request: Request, life: Life) -> Response {
        let (mut parts, _) = request.into_parts();
        let upgrade = match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
            Ok(upgrade) => upgrade,
            Err(refusal) => return refusal.into_response(),
        };
        let door = self.clone();
        upgrade.on_upgrade(move |socket| socket::run(door, socket, life))
    }

    fn serial(&self) -> MutexGuard<'_, Serial> {
        lock(&self.own.serial)
    }

    /// The printer is there and well.
    fn is_operational(&self) -> bool {
        self.serial().connected && self.shared.with(|engine| !has_error(engine))
    }

    /// What a print would be of.
    fn selected(&self) -> Option<String> {
        let (active, last, prints) = self.shared.with(|engine| {
            let last = engine.job.as_ref().map(|job| job.path.clone());
            (last.clone().filter(|_| engine.is_active()), last, engine.records.len())
        });
        let chosen = self.serial().selected.clone().filter(|(_, then)| *then == prints);
        active.or(chosen.map(|(path, _)| path)).or(last)
    }

    fn choose(&self, path: &str) {
        let prints = self.shared.with(|engine| engine.records.len());
        self.serial().selected = Some((path.to_owned(), prints));
    }

    fn start(&self, path: &str) -> Result<(), Refused> {
        self.choose(path);
        self.shared.with(|engine| {
            if !engine.is_active() && engine.trouble.is_some() {
                engine.clear();
            }
            engine.start(path).map(drop)
        })
    }
}

/// The firmware has stopped. An error that ended a print is over with it.
fn has_error(engine: &Engine) -> bool {
    engine.trouble.as_ref().is_some_and(|trouble| !trouble.ended_print)
}

fn refuse(status: StatusCode, message: &str) -> Response {
    json(status, &json!({ "error": message }))
}

fn done() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

fn ok(value: &Value) -> Response {
    json(StatusCode::OK, value)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const NO_PERMISSION: &str = "You don't have the permission to access the requested resource. It is \
    either read-protected or not readable by the server.";
const NOT_OPERATIONAL: &str = "Printer is not operational";
/// Tornado has no limit that matters.
const CONNECTIONS_MAX: usize = 100;
