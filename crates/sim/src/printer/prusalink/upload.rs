//! `PUT` of a file: one at a time, with its length told before.

use super::job::CANNOT_PRINT;
use super::{Door, lock, page};
use crate::printer::engine::{FILES_BYTES_MAX, Refused};
use crate::printer::http::{self, Request, header, json};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderName, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::SystemTime;
use tokio::sync::Notify;

type Refusal = (StatusCode, &'static str);

/// The one transfer.
#[derive(Debug, Default)]
pub(super) struct Transfer {
    now: Option<Now>,
    last_id: u32,
}

#[derive(Debug)]
struct Now {
    id: u32,
    path: String,
    bytes: usize,
    done_bytes: usize,
    started: SystemTime,
    to_print: bool,
    cancel: Arc<Notify>,
}

/// Frees the transfer slot, also when the client goes away.
struct Slot<'a>(&'a Door);

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        lock(&self.0.own.transfer).now = None;
    }
}

impl Transfer {
    /// As `status` has it.
    pub(super) fn brief(&self, now: SystemTime) -> Option<Value> {
        let transfer = self.now.as_ref()?;
        Some(json!({
            "id": transfer.id,
            "time_transferring": transfer.seconds(now),
            "progress": transfer.percent(),
            "transferred": transfer.done_bytes,
        }))
    }
}

impl Now {
    fn seconds(&self, now: SystemTime) -> u64 {
        now.duration_since(self.started).unwrap_or_default().as_secs()
    }
    fn percent(&self) -> f64 {
        // Sizes here are far below 2^53.
        (self.done_bytes as f64 / self.bytes.max(1) as f64 * 1000.0).round() / 10.0
    }
}

impl Door {
    pub(super) fn transfer(&self) -> Response {
        let slot = lock(&self.own.transfer);
        let Some(now) = &slot.now else { return page(StatusCode::NO_CONTENT, "") };
        let value = json!({
            "id": now.id,
            "type": "FROM_CLIENT",
            "display_name": now.path.rsplit('/').next(),
            "path": format!("/usb/{}", now.path),
            "size": now.bytes.to_string(),
            "progress": now.percent(),
            "transferred": now.done_bytes,
            "time_transferring": now.seconds(self.shared.now()),
            "to_print": now.to_print,
        });
        json(StatusCode::OK, &value)
    }

    pub(super) fn end_transfer(&self, id: &str) -> Response {
        let slot = lock(&self.own.transfer);
        match &slot.now {
            Some(now) if now.id.to_string() == id => {
                now.cancel.notify_one();
                page(StatusCode::NO_CONTENT, "")
            }
            _ => page(StatusCode::NOT_FOUND, "No such transfer"),
        }
    }

    pub(super) async fn put(&self, parts: &[&str], request: Request) -> Response {
        let path = parts.join("/");
        if asks(&request, &CREATE_FOLDER) {
            return self.put_folder(&path);
        }
        let print = asks(&request, &PRINT_AFTER_UPLOAD);
        let overwrite = asks(&request, &OVERWRITE);
        let length = header(&request, &CONTENT_LENGTH).and_then(|text| text.parse().ok());
        let begun = match length {
            None => Err((StatusCode::LENGTH_REQUIRED, "Content-Length required")),
            Some(bytes) => self.begin(&path, bytes, print, overwrite),
        };
        let cancel = match begun {
            Ok(cancel) => cancel,
            Err((status, text)) => {
                http::drain(request.into_body()).await;
                return page(status, text);
            }
        };
        let slot = Slot(self);
        let told = |bytes| {
            if let Some(now) = &mut lock(&self.own.transfer).now {
                now.done_bytes = bytes;
            }
        };
        let content = tokio::select! {
            content = http::read(request.into_body(), told) => content,
            () = cancel.notified() => Err(StatusCode::CONFLICT),
        };
        drop(slot);
        match content {
            Ok(content) if Some(content.len()) == length => self.finish(&path, content, print),
            Ok(_) | Err(StatusCode::BAD_REQUEST) => page(StatusCode::BAD_REQUEST, "Truncated body"),
            Err(status) => page(status, "Transfer aborted"),
        }
    }

    fn begin(
        &self,
        path: &str,
        bytes: usize,
        to_print: bool,
        overwrite: bool,
    ) -> Result<Arc<Notify>, Refusal> {
        let conflict = |text| Err((StatusCode::CONFLICT, text));
        let mut slot = lock(&self.own.transfer);
        if slot.now.is_some() {
            return conflict("Another transfer in progress");
        }
        check_name(path)?;
        if !self.shared.has_storage() {
            return Err((StatusCode::INSUFFICIENT_STORAGE, "Missing USB drive"));
        }
        let (is_there, is_busy, used) = self.shared.with(|engine| {
            let used: usize = engine.files().values().map(|file| file.content.len()).sum();
            (engine.files().contains_key(path), engine.is_printing(path), used)
        });
        if is_there && !overwrite {
            return conflict("File already exists");
        }
        if is_busy {
            return conflict("File is busy");
        }
        if to_print && !self.can_print() {
            return conflict(CANNOT_PRINT);
        }
        if self.shared.fault() == crate::printer::Fault::DiskFull || used + bytes > FILES_BYTES_MAX
        {
            return Err((StatusCode::INSUFFICIENT_STORAGE, "USB drive full"));
        }
        slot.last_id += 1;
        let (id, started, cancel) = (slot.last_id, self.shared.now(), Arc::new(Notify::new()));
        let path = path.to_owned();
        let done_bytes = 0;
        let again = Arc::clone(&cancel);
        slot.now = Some(Now { id, path, bytes, done_bytes, started, to_print, cancel });
        Ok(again)
    }

    pub(super) fn finish(&self, path: &str, content: bytes::Bytes, print: bool) -> Response {
        match self.shared.store(path, content) {
            Ok(()) => {}
            Err(Refused::NoStorage) => {
                return page(StatusCode::INSUFFICIENT_STORAGE, "Missing USB drive");
            }
            Err(_) => return page(StatusCode::INSUFFICIENT_STORAGE, "USB drive full"),
        }
        if print {
            let started = self.start(path);
            if started.status() != StatusCode::NO_CONTENT {
                return started;
            }
        }
        let value = self.file_value(path).unwrap_or_default();
        json(StatusCode::CREATED, &value)
    }

    fn put_folder(&self, path: &str) -> Response {
        if !self.shared.has_storage() {
            return page(StatusCode::INSUFFICIENT_STORAGE, "Missing USB drive");
        }
        let is_file = self.shared.with(|engine| engine.files().contains_key(path));
        if path.is_empty() || is_file || !lock(&self.own.folders).insert(path.to_owned()) {
            return page(StatusCode::CONFLICT, "File already exists");
        }
        page(StatusCode::CREATED, "")
    }
}

/// Yes, as a structured header says it (RFC 8941).
fn asks(request: &Request, name: &HeaderName) -> bool {
    header(request, name) == Some("?1")
}

/// What the drive's file system and the printer take.
pub(super) fn check_name(path: &str) -> Result<(), Refusal> {
    let name = path.rsplit('/').next().unwrap_or_default();
    if path.split('/').any(|part| part.is_empty() || part == "." || part == "..") {
        return Err((StatusCode::FORBIDDEN, "Can't access this"));
    }
    if path.len() > PATH_BYTES_MAX {
        return Err((StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "File name too long"));
    }
    if path.chars().any(|c| c.is_control() || "\\:*?\"<>|".contains(c)) {
        return Err((StatusCode::UNPROCESSABLE_ENTITY, "Unsupported characters in file name"));
    }
    let end = name.rsplit_once('.').map_or("", |(_, end)| end).to_ascii_lowercase();
    if !["gcode", "gco", "g", "gc", "bgcode", "bgc"].contains(&end.as_str()) {
        return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, "Not a GCODE"));
    }
    Ok(())
}

/// `FILE_PATH_BUFFER_LEN` of the firmware, about.
const PATH_BYTES_MAX: usize = 160;
const CREATE_FOLDER: HeaderName = HeaderName::from_static("create-folder");
const OVERWRITE: HeaderName = HeaderName::from_static("overwrite");
const PRINT_AFTER_UPLOAD: HeaderName = HeaderName::from_static("print-after-upload");
