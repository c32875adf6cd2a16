//! Why something could not be done with a printer.

/// For people, with what to do next; [`Reason`] is for programs.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    pub reason: Reason,
    /// What happened, in a sentence without a full stop.
    pub message: String,
    /// What to do about it.
    pub hint: Option<&'static str>,
}

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[schema(as = PrinterReason)]
pub enum Reason {
    /// The name is not known to the network.
    NoSuchHost,
    /// Nobody answers at that address, or answers too late.
    NoAnswer,
    /// The computer is there and has nothing at that port.
    PortClosed,
    /// What answers is no printer of this protocol.
    NotAPrinter,
    /// Access code, password or key are wrong.
    WrongSecret,
    /// The certificate names another printer, or is not the one that was pinned.
    WrongCertificate,
    /// It takes no commands: developer mode is off, or its owner has locked it.
    ReadOnly,
    /// It takes no further connection.
    TooManyConnections,
    /// Not now: it prints, moves, or another transfer is under way.
    Busy,
    /// The file, the folder or the print is not there.
    NotFound,
    AlreadyThere,
    /// Its storage is full, or missing.
    Storage,
    /// It does not take such a file, name or value.
    Unacceptable,
    /// It has no such ability.
    Unable,
    /// What arrived is not what was sent.
    Corrupt,
    /// It said something that cannot be understood.
    Garbled,
    /// The connection was lost on the way.
    Lost,
    /// Our own side: disk, memory, a cancelled request.
    Local,
}

impl Error {
    #[must_use]
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), hint: None }
    }
    #[must_use]
    pub fn hint(self, hint: &'static str) -> Self {
        Self { hint: Some(hint), ..self }
    }
}
