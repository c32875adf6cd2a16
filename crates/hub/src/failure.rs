//! What went wrong, in words for people and a code for programs.

use crate::view::{FailureBody, FailureCode};
use std::fmt;

/// The error of everything that people ask of a hub.
pub type Failure = FailureBody;

impl FailureBody {
    #[must_use]
    pub fn new(code: FailureCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None }
    }

    /// Adds what to do next.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(FailureCode::BadRequest, message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(FailureCode::NotFound, message)
    }

    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self::new(FailureCode::Refused, message)
    }
}

impl fmt::Display for FailureBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for FailureBody {}

impl From<fleet::Error> for FailureBody {
    fn from(error: fleet::Error) -> Self {
        let message = error.to_string();
        match error {
            fleet::Error::NotFound(_) => Self::not_found(message),
            fleet::Error::Unacceptable(_) => Self::bad_request(message),
            fleet::Error::Conflict(_) => Self::new(FailureCode::Conflict, message),
            fleet::Error::Printer(error) => error.into(),
            fleet::Error::Store(error) => error.into(),
            fleet::Error::File(..) => Self::new(FailureCode::Internal, message),
        }
    }
}

impl From<printer::Error> for FailureBody {
    fn from(error: printer::Error) -> Self {
        use printer::Reason;
        let code = match error.reason {
            Reason::NotFound => FailureCode::NotFound,
            Reason::Busy | Reason::AlreadyThere | Reason::ReadOnly => FailureCode::Conflict,
            Reason::Unacceptable | Reason::Unable => FailureCode::BadRequest,
            Reason::Local => FailureCode::Internal,
            Reason::NoSuchHost
            | Reason::NoAnswer
            | Reason::PortClosed
            | Reason::NotAPrinter
            | Reason::WrongSecret
            | Reason::WrongCertificate
            | Reason::TooManyConnections
            | Reason::Storage
            | Reason::Corrupt
            | Reason::Garbled
            | Reason::Lost => FailureCode::Unreachable,
        };
        let failure = Self::new(code, error.message);
        match error.hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

impl From<store::Error> for FailureBody {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::NameTaken(name) => {
                Self::new(FailureCode::Conflict, format!("the name {name} is taken"))
                    .hint("choose another with --name")
            }
            store::Error::File(..)
            | store::Error::Open(..)
            | store::Error::Migrate(_)
            | store::Error::Sealed(_)
            | store::Error::NotAFile
            | store::Error::Query(_) => Self::new(FailureCode::Internal, error.to_string()),
        }
    }
}
