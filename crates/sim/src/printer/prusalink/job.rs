//! `job` and its commands, and starting one.

use super::status::state;
use super::{Door, page};
use crate::printer::engine::{Phase, Refused};
use crate::printer::http::json;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

impl Door {
    pub(super) fn job(&self) -> Response {
        let known = self.shared.with(|engine| {
            let job = engine.job.clone()?;
            // A job has no word for a printer that waits for somebody.
            let state = match state(engine) {
                "ATTENTION" => "PAUSED",
                other => other,
            };
            Some((job, state))
        });
        let Some((job, state)) = known else { return page(StatusCode::NO_CONTENT, "") };
        let mut value = json!({
            "id": job.id,
            "state": state,
            "progress": (job.progress() * 10_000.0).round() / 100.0,
            "time_remaining": job.remaining().as_secs(),
            "time_printing": job.elapsed().as_secs(),
        });
        // The drive may be gone, and the file with it.
        if let Some(file) = self.file_value(&job.path) {
            value["file"] = file;
        }
        json(StatusCode::OK, &value)
    }

    /// `continue` goes on after a pause of a timelapse, which is a pause like any other here.
    pub(super) fn job_command(&self, id: &str, what: &str) -> Response {
        let done = self.shared.with(|engine| {
            let job = engine.job.as_ref().map(|job| job.id.to_string());
            if job.as_deref() != Some(id) {
                return Err(Refused::NoPrint);
            }
            let wrong = |_| Refused::WrongState;
            match what {
                "pause" => engine.pause().map_err(wrong),
                "resume" | "continue" => engine.resume().map_err(wrong),
                _ => engine.cancel().map_err(wrong),
            }
        });
        match done {
            Ok(()) => page(StatusCode::NO_CONTENT, ""),
            Err(Refused::NoPrint) => page(StatusCode::NOT_FOUND, "Job not found"),
            Err(_) => page(StatusCode::CONFLICT, "Can't do that in this state"),
        }
    }

    /// `POST` of a file prints it.
    pub(super) fn print(&self, path: &[&str]) -> Response {
        if !self.shared.has_storage() {
            return page(StatusCode::NOT_FOUND, "File not found");
        }
        self.start(&self.long_path(path))
    }

    pub(super) fn start(&self, path: &str) -> Response {
        match self.shared.with(|engine| engine.start(path)) {
            Ok(_) => page(StatusCode::NO_CONTENT, ""),
            Err(Refused::NoSuchFile) => page(StatusCode::NOT_FOUND, "File not found"),
            Err(_) => page(StatusCode::CONFLICT, CANNOT_PRINT),
        }
    }

    pub(super) fn can_print(&self) -> bool {
        self.shared.with(|engine| !engine.is_active() && engine.trouble.is_none())
    }

    /// The older API: `pause` with an `action`, `resume`, `cancel`.
    pub(super) fn legacy_command(&self, command: &str, action: &str) -> Response {
        let done = self.shared.with(|engine| match (command, action) {
            ("pause", "resume") | ("resume", _) => engine.resume(),
            ("pause", "toggle") if engine.phase == Phase::Paused => engine.resume(),
            ("pause", "pause" | "toggle" | "") => engine.pause(),
            ("cancel", _) => engine.cancel(),
            _ => Err(Refused::NoSuchFile),
        });
        match done {
            Ok(()) => page(StatusCode::NO_CONTENT, ""),
            Err(Refused::NoSuchFile) => page(StatusCode::BAD_REQUEST, "Unknown command"),
            Err(_) => page(StatusCode::CONFLICT, "Can't do that in this state"),
        }
    }
}

pub(super) const CANNOT_PRINT: &str = "Can't print right now";
