//! Klipper with Moonraker: JSON-RPC over a WebSocket, and the same methods over HTTP.
//!
//! One table of methods serves both. Deltas are pushed four times a second at most, and nothing at
//! all is done for a printer at which nothing changes.
//! Sources: Moonraker's documentation ("web_api", "printer_objects"), and 0.11.0 with Klipper as it
//! answered.

mod calls;
mod files;
mod history;
mod objects;
mod socket;

#[cfg(test)]
mod tests;

use super::engine::Engine;
use super::http::{self, Life, Query, Request, json, query, segments};
use super::network::Doors;
use super::shared::Shared;
use axum::extract::FromRequestParts;
use axum::extract::ws::WebSocketUpgrade;
use axum::http::{HeaderName, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What it remembers beside files and prints.
#[derive(Debug, Default)]
pub(super) struct Moonraker {
    /// For one use each.
    tokens: Mutex<BTreeSet<String>>,
    connections: AtomicU64,
}

#[derive(Clone, Debug)]
struct Door {
    shared: Arc<Shared>,
    own: Arc<Moonraker>,
}

/// Why a call fails: HTTP's status, which JSON-RPC has another number for at times.
#[derive(Clone, Debug)]
struct Failed {
    status: StatusCode,
    message: String,
}

fn failed<T>(status: StatusCode, message: impl Into<String>) -> Result<T, Failed> {
    Err(Failed { status, message: message.into() })
}

type Params = Map<String, Value>;

pub(super) async fn serve(shared: Arc<Shared>, doors: Doors, own: Arc<Moonraker>) {
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
        let query = query(request.uri());
        let allowed = self.is_allowed(&request, &query);
        if parts == ["websocket"] {
            return self.upgrade(request, allowed, life).await;
        }
        if !allowed && parts != ["access", "info"] {
            http::drain(request.into_body()).await;
            return refuse(Failed::unauthorized());
        }
        match (request.method().clone(), parts.as_slice()) {
            (Method::POST, ["server", "files", "upload"]) => {
                self.upload(request).await.unwrap_or_else(refuse)
            }
            (Method::GET | Method::HEAD, ["server", "files", "gcodes", path @ ..]) => {
                self.download(path, &request).unwrap_or_else(refuse)
            }
            (Method::DELETE, ["server", "files", "gcodes", path @ ..]) => {
                result(self.delete_file(&path.join("/")))
            }
            (Method::GET | Method::POST | Method::DELETE, path) => {
                let name = path.join(".");
                let Some(method) = method_of(&name) else {
                    return refuse(Failed::of(StatusCode::NOT_FOUND, "Not Found"));
                };
                if request.method() != Method::POST && POST_ONLY.contains(&method) {
                    return refuse(Failed::of(
                        StatusCode::METHOD_NOT_ALLOWED,
                        "Method Not Allowed",
                    ));
                }
                match params(request, query).await {
                    Ok(params) => result(self.call(method, &params)),
                    Err(failed) => refuse(failed),
                }
            }
            _ => refuse(Failed::of(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed")),
        }
    }

    /// By `X-Api-Key`, or by a token that was fetched with it. A printer without a secret trusts
    /// everybody.
    fn is_allowed(&self, request: &Request, query: &Query) -> bool {
        if self.shared.spec.secret.is_empty() {
            return true;
        }
        let key = http::header(request, &HeaderName::from_static("x-api-key"));
        key.is_some_and(|key| self.shared.is_secret(key))
            || query.get("token").is_some_and(|token| self.take_token(token))
    }

    fn take_token(&self, token: &str) -> bool {
        self.own.tokens.lock().unwrap_or_else(PoisonError::into_inner).remove(token)
    }

    async fn upgrade(&self, request: Request, allowed: bool, life: Life) -> Response {
        let (mut parts, _) = request.into_parts();
        let upgrade = match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
            Ok(upgrade) => upgrade,
            Err(refusal) => return refusal.into_response(),
        };
        let door = self.clone();
        let id = 1_000_000 + self.own.connections.fetch_add(1, Ordering::Relaxed);
        upgrade.on_upgrade(move |socket| socket::run(door, socket, life, id, allowed))
    }

    /// Of the printer, not of a print: Klipper has stopped and wants to be restarted.
    fn halted(engine: &Engine) -> Option<String> {
        let trouble = engine.trouble.as_ref()?;
        let halts = [SHUTDOWN, DISCONNECTED].contains(&trouble.code.as_str());
        let halts = halts || !trouble.ended_print;
        halts.then(|| trouble.text.clone())
    }
}

/// What a query and a JSON body say, the body last.
async fn params(request: Request, query: Query) -> Result<Params, Failed> {
    let mut params: Params =
        query.into_iter().map(|(name, text)| (name, Value::String(text))).collect();
    let is_json = http::header(&request, &axum::http::header::CONTENT_TYPE)
        .is_some_and(|kind| kind.starts_with("application/json"));
    if is_json {
        let body = http::read_json(request.into_body()).await;
        match body {
            Ok(Value::Object(body)) => params.extend(body),
            Ok(Value::Null) => {}
            Ok(_) | Err(_) => return failed(StatusCode::BAD_REQUEST, "Invalid JSON body"),
        }
    }
    Ok(params)
}

fn result(result: Result<Value, Failed>) -> Response {
    match result {
        Ok(value) => json(StatusCode::OK, &json!({ "result": value })),
        Err(failed) => refuse(failed),
    }
}

fn refuse(failed: Failed) -> Response {
    let code = failed.status.as_u16();
    let error = json!({ "code": code, "message": failed.message, "traceback": "" });
    json(failed.status, &json!({ "error": error }))
}

impl Failed {
    fn of(status: StatusCode, message: &str) -> Self {
        Self { status, message: message.to_owned() }
    }

    fn unauthorized() -> Self {
        Self::of(StatusCode::UNAUTHORIZED, "Unauthorized")
    }

    /// As JSON-RPC has it: its own numbers where it has some, else HTTP's.
    fn rpc_code(&self) -> i32 {
        match self.status {
            StatusCode::NOT_FOUND => -32601,
            StatusCode::UNAUTHORIZED => -32602,
            other => i32::from(other.as_u16()),
        }
    }
}

/// The methods that HTTP has another name for; a name that is JSON-RPC's only is none of HTTP's.
fn method_of(path: &str) -> Option<&str> {
    match path {
        "server.files.directory" => Some("server.files.get_directory"),
        "server.history.job" => Some("server.history.get_job"),
        "access.api_key" => Some("access.get_api_key"),
        "server.files.get_directory" | "server.history.get_job" | "access.get_api_key" => None,
        other => Some(other),
    }
}

const POST_ONLY: &[&str] = &[
    "printer.emergency_stop",
    "printer.firmware_restart",
    "printer.gcode.script",
    "printer.print.cancel",
    "printer.print.pause",
    "printer.print.resume",
    "printer.print.start",
    "printer.restart",
];

/// How Klipper is: `ready`, `shutdown`, or `disconnected`.
fn klippy_state(engine: &Engine) -> &'static str {
    match &engine.trouble {
        Some(trouble) if trouble.code == DISCONNECTED => DISCONNECTED,
        Some(_) if Door::halted(engine).is_some() => SHUTDOWN,
        Some(_) | None => "ready",
    }
}

/// A trouble with this code is that Moonraker has lost Klipper.
const DISCONNECTED: &str = "disconnected";
/// What `emergency_stop` and `M112` leave behind.
const SHUTDOWN: &str = "shutdown";
/// Of Moonraker itself.
const CONNECTIONS_MAX: usize = 50;
