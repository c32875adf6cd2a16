//! A Prusa printer with the firmware's own PrusaLink ("Buddy"): API v1, and the older API that it
//! took from OctoPrint.
//!
//! Strict where the firmware is: three connections at once, a nonce that lives 5 s, neither `qop`
//! nor `algorithm` in a login, short names (8.3) in paths, one transfer at a time.
//! Sources: Prusa-Link-Web `spec/openapi.yaml` and `openapi-legacy.yaml`,
//! Prusa-Firmware-Buddy `lib/WUI`.

mod digest;
mod files;
mod job;
mod legacy;
mod names;
mod status;
mod upload;

#[cfg(test)]
mod tests;

use super::http::{self, Request, json, segments};
use super::network::Doors;
use super::shared::Shared;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use digest::Login;
use names::Names;
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use upload::Transfer;

/// What it remembers beside files and prints.
#[derive(Debug, Default)]
pub(super) struct PrusaLink {
    login: Mutex<Login>,
    names: Mutex<Names>,
    /// Folders with nothing in them are kept nowhere else.
    folders: Mutex<BTreeSet<String>>,
    transfer: Mutex<Transfer>,
}

/// A request on its way: the printer, and what it knows.
#[derive(Clone, Debug)]
struct Door {
    shared: Arc<Shared>,
    own: Arc<PrusaLink>,
}

pub(super) async fn serve(shared: Arc<Shared>, doors: Doors, own: Arc<PrusaLink>) {
    let door = Door { shared: Arc::clone(&shared), own };
    let answer = move |request, _life| {
        let door = door.clone();
        async move { door.answer(request).await }
    };
    http::serve(shared, doors.main, CONNECTIONS_MAX, answer).await;
}

impl Door {
    async fn answer(&self, request: Request) -> Response {
        let segments = segments(request.uri());
        let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
        if let Some(refusal) = self.login(&request) {
            http::drain(request.into_body()).await;
            return refusal;
        }
        match (request.method(), parts.as_slice()) {
            (&Method::GET, ["api", "version"]) => self.version(),
            (_, ["api", "v1", rest @ ..]) if !self.is_old() => self.answer_v1(request, rest).await,
            (&Method::GET, ["thumb", size @ ("s" | "l"), "usb", path @ ..]) => {
                self.thumbnail(size, path)
            }
            (&Method::GET, ["usb", path @ ..]) => self.download(path, &request),
            (_, ["api", rest @ ..]) => self.answer_legacy(request, rest).await,
            _ => page(StatusCode::NOT_FOUND, ""),
        }
    }

    async fn answer_v1(&self, request: Request, parts: &[&str]) -> Response {
        match (request.method().clone(), parts) {
            (Method::GET, ["info"]) => self.info(),
            (Method::GET, ["status"]) => self.status(),
            (Method::GET, ["storage"]) => self.storage(),
            (Method::GET, ["job"]) => self.job(),
            (Method::PUT, ["job", id, what @ ("pause" | "resume" | "continue")]) => {
                self.job_command(id, what)
            }
            (Method::DELETE, ["job", id]) => self.job_command(id, "stop"),
            (Method::GET, ["transfer"]) => self.transfer(),
            (Method::DELETE, ["transfer", id]) => self.end_transfer(id),
            (Method::GET | Method::HEAD, ["files", "usb", path @ ..]) => {
                self.file_info(path, &request)
            }
            (Method::PUT, ["files", "usb", path @ ..]) => self.put(path, request).await,
            (Method::POST, ["files", "usb", path @ ..]) => self.print(path),
            (Method::DELETE, ["files", "usb", path @ ..]) => self.delete(path, &request),
            (_, ["files", ..]) => {
                http::drain(request.into_body()).await;
                page(StatusCode::FORBIDDEN, "Can't access this")
            }
            (_, ["info" | "status" | "storage" | "job" | "transfer", ..]) => {
                page(StatusCode::METHOD_NOT_ALLOWED, "")
            }
            _ => page(StatusCode::NOT_FOUND, ""),
        }
    }

    fn version(&self) -> Response {
        let by_put = !self.is_old();
        let value = json!({
            "api": "2.0.0",
            "server": "2.1.2",
            "nozzle_diameter": 0.4,
            "text": "PrusaLink",
            "hostname": self.shared.spec.name,
            "capabilities": { "upload-by-put": by_put },
        });
        json(StatusCode::OK, &value)
    }

    /// A firmware from before API v1.
    fn is_old(&self) -> bool {
        let major = self.shared.spec.firmware.split('.').next().and_then(|text| text.parse().ok());
        major.is_some_and(|major: u32| major < 4)
    }
}

/// An answer without content of its own, as `status_page.cpp` words it.
fn page(status: StatusCode, message: &str) -> Response {
    if status == StatusCode::NO_CONTENT {
        return status.into_response();
    }
    let reason = status.canonical_reason().unwrap_or_default();
    let title = format!("{}: {reason}", status.as_u16());
    json(status, &json!({ "title": title, "message": message }))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn challenge(text: &str) -> Response {
    let mut response = page(StatusCode::UNAUTHORIZED, "Unauthorized");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, http::value(text));
    response
}

/// `lib/WUI`: more would take memory from the print.
const CONNECTIONS_MAX: usize = 3;
