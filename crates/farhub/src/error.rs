//! How a command fails: a sentence, a hint, and the exit status that scripts branch on.

use crate::table::clean;
use hub::view::{Failure, FailureBody, FailureCode};
use serde_json::json;
use std::io;
use std::process::ExitCode;

/// The exit status. The end of `farhub --help` tells people about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Whoever read our output has enough of it: not a failure.
    Enough = 0,
    Failed = 1,
    Usage = 2,
    NotRunning = 3,
    Refused = 4,
    NotFound = 5,
    TimedOut = 6,
    /// As shells have it for SIGINT.
    Interrupted = 130,
}

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(crate) struct Error {
    pub exit: Exit,
    /// For `--json`.
    code: &'static str,
    pub message: String,
    pub hint: Option<String>,
}

impl Error {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        let code = match exit {
            Exit::Enough => "enough",
            Exit::Failed => "failed",
            Exit::Usage => "usage",
            Exit::NotRunning => "not_running",
            Exit::Refused => "refused",
            Exit::NotFound => "not_found",
            Exit::TimedOut => "timed_out",
            Exit::Interrupted => "interrupted",
        };
        Self { exit, code, message: message.into(), hint: None }
    }

    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, message)
    }

    /// Whether it takes a PIN or the code of an app.
    pub(crate) fn wants_code(&self) -> bool {
        self.code == "code_needed"
    }

    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Tells it on stderr, as text or as the API's JSON for failures.
    pub(crate) fn report(&self, json: bool) -> ExitCode {
        if json && self.exit != Exit::Enough {
            let error = json!({"code": self.code, "message": self.message, "hint": self.hint});
            eprintln!("{}", json!({ "error": error }));
        } else if self.exit != Exit::Enough {
            eprintln!("farhub: {}", clean(&self.message));
            if let Some(hint) = &self.hint {
                eprintln!("  hint: {}", clean(hint));
            }
        }
        ExitCode::from(self.exit as u8)
    }
}

/// What a hub answered.
impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let FailureBody { code, message, hint } = failure.error;
        let (exit, code) = match code {
            FailureCode::BadRequest => (Exit::Usage, "bad_request"),
            FailureCode::NotFound => (Exit::NotFound, "not_found"),
            FailureCode::Refused => (Exit::Refused, "refused"),
            FailureCode::Conflict => (Exit::Failed, "conflict"),
            FailureCode::Unreachable => (Exit::Failed, "unreachable"),
            FailureCode::TimedOut => (Exit::TimedOut, "timed_out"),
            FailureCode::LoginNeeded => (Exit::Refused, "login_needed"),
            FailureCode::CodeNeeded => (Exit::Refused, "code_needed"),
            FailureCode::TooMany => (Exit::Refused, "too_many"),
            FailureCode::Internal => (Exit::Failed, "internal"),
        };
        Self { exit, code, message, hint }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        let exit = match error.kind() {
            io::ErrorKind::BrokenPipe => Exit::Enough,
            io::ErrorKind::PermissionDenied => Exit::Refused,
            io::ErrorKind::NotFound => Exit::NotFound,
            _ => Exit::Failed,
        };
        Self::new(exit, error.to_string())
    }
}

impl From<anyhow::Error> for Error {
    fn from(error: anyhow::Error) -> Self {
        Self::failed(format!("{error:#}"))
    }
}
