//! Printers: where they are, how they are, what is asked of them.

use printer::{Command, PrinterState, Protocol, Reason};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use wire::{DeviceId, Name, Text};

/// A printer of this hub.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ShopPrinter)]
pub struct Printer {
    pub id: DeviceId,
    /// Its part of the address, as in `garage/prusa-1`.
    pub name: Name,
    /// As people call it.
    pub title: String,
    pub protocol: Protocol,
    pub address: Address,
    /// What its owner says that it is; where they did not, it is in its state.
    pub model: String,
    pub location: String,
    /// Groups that it belongs to, for filters and for the queue.
    pub tags: Vec<String>,
    /// Whether it is to be watched.
    pub enabled: bool,
    /// Whether the next job of the queue may begin: nothing lies on the bed.
    pub bed_clear: bool,
    pub settings: Settings,
    pub health: Health,
    /// What it is doing; while it is away, what it was doing last.
    #[serde(skip_serializing_if = "Option::is_none", with = "shared", default)]
    #[schema(value_type = Option<PrinterState>)]
    pub state: Option<Arc<PrinterState>>,
    /// The job of it that is under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_id: Option<String>,
    /// What goes to it or comes from it now, or broke off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transfer: Option<Transfer>,
    pub simulated: bool,
}

/// A state that is shared reads as one that is not.
mod shared {
    use super::*;
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        state: &Option<Arc<PrinterState>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        state.as_deref().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Arc<PrinterState>>, D::Error> {
        Ok(Option::deserialize(deserializer)?.map(Arc::new))
    }
}

/// Where a printer is. Secrets are never in here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = PrinterAddress)]
pub struct Address {
    /// A DNS name or an IP address.
    pub host: String,
    pub port: u16,
    /// Of FTPS, Bambu only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files_port: Option<u16>,
    pub tls: bool,
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub serial_number: String,
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub user: String,
    pub has_secret: bool,
    /// SHA-256 of the certificate that it must show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pin: Option<String>,
}

/// What its owner wants of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = PrinterSettings)]
pub struct Settings {
    /// The queue gives it nothing.
    pub keep_from_queue: bool,
    /// The bed clears itself: after a print the next may begin at once.
    pub clears_itself: bool,
}

/// How the connection is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = PrinterHealth)]
pub struct Health {
    pub link: Link,
    /// Microseconds since 1970.
    pub since_us: i64,
    /// Attempts since it was online.
    pub tries: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
    /// When it is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_try_us: Option<i64>,
    /// When it last said anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heard_us: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = PrinterLink)]
pub enum Link {
    Connecting,
    Online,
    Offline,
    /// Its owner has switched it off here.
    Disabled,
    /// Another hub of the same shop watches it.
    Elsewhere,
}

/// What is wrong, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = PrinterProblem)]
pub struct Problem {
    pub reason: Reason,
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl From<&printer::Error> for Problem {
    fn from(error: &printer::Error) -> Self {
        let hint = error.hint.map(str::to_owned);
        Self { reason: error.reason, message: error.message.clone(), hint }
    }
}

/// A file on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Transfer {
    pub file_id: String,
    pub name: String,
    pub direction: Direction,
    pub bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_total: Option<u64>,
    /// Why it broke off; it can be begun again where it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = TransferDirection)]
pub enum Direction {
    FromPrinter,
    ToPrinter,
}

/// A printer that is to be added.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPrinter {
    #[serde(default)]
    pub title: Option<String>,
    #[serde(default)]
    pub name: Option<Name>,
    pub protocol: Protocol,
    /// A DNS name, an IPv4 or IPv6 address.
    pub host: String,
    /// The protocol's own where nothing is said.
    #[serde(default)]
    pub port: Option<u16>,
    #[serde(default)]
    pub files_port: Option<u16>,
    #[serde(default)]
    pub tls: bool,
    #[serde(default)]
    pub serial_number: String,
    #[serde(default)]
    pub user: String,
    /// Access code, password or API key.
    #[serde(default)]
    pub secret: String,
    #[serde(default)]
    pub pin: Option<String>,
    #[serde(default)]
    pub model: String,
    #[serde(default)]
    pub location: String,
    #[serde(default)]
    pub tags: Vec<String>,
    #[serde(default)]
    pub settings: Settings,
}

/// What is to be different at a printer; what is not named stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PrinterChange {
    pub title: Option<String>,
    pub host: Option<String>,
    pub port: Option<u16>,
    pub files_port: Option<u16>,
    pub tls: Option<bool>,
    pub serial_number: Option<String>,
    pub user: Option<String>,
    pub secret: Option<String>,
    /// Takes the next certificate that it shows: it was reset, or replaced.
    pub forget_pin: bool,
    pub model: Option<String>,
    pub location: Option<String>,
    pub tags: Option<Vec<String>>,
    pub enabled: Option<bool>,
    pub settings: Option<Settings>,
}

/// What a test of a connection found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Probe {
    /// `None` when it was reached and all is well.
    pub problem: Option<Problem>,
    pub identity: Option<printer::Identity>,
    pub pin: Option<String>,
    pub read_only: Option<Text>,
}

/// A printer that was seen on the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SeenPrinter {
    pub protocol: Protocol,
    pub host: String,
    pub port: u16,
    pub serial_number: Option<Text>,
    pub model: Option<Text>,
    pub name: Option<Text>,
    /// The printer of this hub that it is, if it was added.
    pub known: Option<DeviceId>,
}

/// What is to be done with a printer, or several.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Order {
    pub command: Command,
}

/// How far an order reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// As far as the printer's own panel: it looks after itself.
    Panel,
    /// Anywhere: it does what it is told.
    Machine,
}

/// What an order is called in the audit log, and how far it reaches.
#[must_use]
pub fn weight(command: &Command) -> (&'static str, Reach) {
    match command {
        Command::Start(_) => ("start", Reach::Panel),
        Command::Pause => ("pause", Reach::Panel),
        Command::Resume => ("resume", Reach::Panel),
        Command::Stop => ("stop", Reach::Panel),
        Command::Light { .. } => ("light", Reach::Panel),
        Command::Speed { .. } => ("speed", Reach::Panel),
        Command::Temperature { .. } => ("temperature", Reach::Panel),
        Command::SkipObjects { .. } => ("skip", Reach::Panel),
        Command::Gcode { .. } => ("gcode", Reach::Machine),
        Command::Clear => ("clear", Reach::Panel),
    }
}

/// What goes to those who look, after the first look.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ShopSnapshot)]
pub struct Snapshot {
    pub printers: Vec<Printer>,
    /// The number of this look; changes count on from here.
    pub count: u64,
}
