//! What the shop shows of itself: the JSON of the API, of `--json` and of the web UI.

use printer::{Command, PrinterState, Protocol, Reason};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
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
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<PrinterState>,
    /// The job of it that is under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_id: Option<String>,
    /// What goes to it or comes from it now, or broke off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transfer: Option<Transfer>,
    pub simulated: bool,
}

/// Takes out where a printer is, and how it is logged in to: not for those who only use it.
pub fn hide(printer: &mut Printer) {
    let port = printer.address.port;
    printer.address = Address {
        host: String::new(),
        port,
        files_port: None,
        tls: false,
        serial_number: String::new(),
        user: String::new(),
        has_secret: false,
        pin: None,
    };
    if let Some(problem) = &mut printer.health.problem {
        "it cannot be reached at present".clone_into(&mut problem.message);
        problem.hint = None;
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

/// What an order is called in the audit log, and whether it reaches further than what is on the
/// printer's own panel.
#[must_use]
pub fn weight(command: &Command) -> (&'static str, bool) {
    match command {
        Command::Start(_) => ("start", false),
        Command::Pause => ("pause", false),
        Command::Resume => ("resume", false),
        Command::Stop => ("stop", false),
        Command::Light { .. } => ("light", false),
        Command::Speed { .. } => ("speed", false),
        Command::Temperature { .. } => ("temperature", false),
        Command::SkipObjects { .. } => ("skip", false),
        Command::Gcode { .. } => ("gcode", true),
        Command::Clear => ("clear", false),
    }
}

/// One print of one printer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = PrintJob)]
pub struct Job {
    pub id: String,
    pub printer_id: String,
    /// What the printer was called then.
    pub printer: String,
    pub name: String,
    /// `preparing`, `printing`, `paused`, `finished`, `cancelled`, `failed`, `unknown`.
    pub state: String,
    /// Why it failed or was cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Microseconds since 1970, UTC, as the others.
    pub started_us: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_us: Option<i64>,
    /// Without pauses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub printed_s: Option<i64>,
    pub paused_s: i64,
    pub progress_permille: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layer: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layers: Option<i64>,
    /// Length of filament, in micrometres.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filament_um: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filament_mg: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimate_s: Option<i64>,
    /// How the end is known: `seen`, `history` (the printer's own), `assumed`; empty while it is
    /// under way.
    pub known_by: String,
    /// Who started it here; empty when it was started elsewhere.
    pub made_by: String,
    pub note: String,
    /// The content that was printed, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
}

impl From<store::shop::Job> for Job {
    fn from(job: store::shop::Job) -> Self {
        Self {
            id: job.id,
            printer_id: job.printer_id,
            printer: job.printer_name,
            name: job.name,
            state: job.state,
            reason: job.reason,
            started_us: job.started_us,
            ended_us: job.ended_us,
            printed_s: job.printed_s,
            paused_s: job.paused_s,
            progress_permille: job.progress_permille,
            layer: job.layer,
            layers: job.layers,
            filament_um: job.filament_um,
            filament_mg: job.filament_mg,
            estimate_s: job.estimate_s,
            known_by: job.known_by,
            made_by: job.made_by,
            note: job.note,
            hash: job.hash,
        }
    }
}

/// Something that happened in a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = PrintJobEvent)]
pub struct JobEvent {
    pub time_us: i64,
    /// `started`, `printing`, `paused`, `resumed`, `finished`, `cancelled`, `failed`, `unknown`.
    pub what: String,
    pub detail: String,
}

/// A job with what happened in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = PrintJobDetails)]
pub struct JobDetails {
    #[serde(flatten)]
    pub job: Job,
    pub events: Vec<JobEvent>,
}

/// Part of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = PrintJobPage)]
pub struct JobPage {
    pub jobs: Vec<Job>,
    /// Of all that fit.
    pub total: i64,
    /// How many there are in each state.
    pub counts: BTreeMap<String, i64>,
    /// Gives the next part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Which jobs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobFilter {
    pub printers: Vec<String>,
    pub states: Vec<String>,
    pub search: String,
    pub from_us: Option<i64>,
    pub to_us: Option<i64>,
    pub after: Option<String>,
    pub limit: Option<u32>,
}

/// A file: on a printer, in the library, or in a folder that is watched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ShopFile)]
pub struct File {
    pub id: String,
    /// `library`, the id of a printer, or `folder:ID`.
    pub place: String,
    pub path: String,
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed_us: Option<i64>,
    /// SHA-256 of its content, when it is here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// `available` (on its printer only), `downloading`, `downloaded`, `local`, `error`.
    pub state: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    pub note: String,
    pub tags: Vec<String>,
    /// What its content says of itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meta: Option<Meta>,
    pub created_us: i64,
}

/// What a sliced file says of itself. What it does not say is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = FileMeta)]
pub struct Meta {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slicer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimate_s: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layers: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layer_height_um: Option<u32>,
    /// Of each filament.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub materials: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub filament_um: Vec<i64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub filament_mg: Vec<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub printer_model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nozzle_um: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub plates: Vec<u16>,
}

/// Part of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ShopFilePage)]
pub struct FilePage {
    pub files: Vec<File>,
    pub total: i64,
}

/// A job that waits for a printer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QueueItem {
    pub id: String,
    pub hash: String,
    pub file_name: String,
    pub title: String,
    pub targets: Targets,
    pub needs: Needs,
    pub options: printer::Start,
    pub copies: i64,
    /// How many of them are finished.
    pub done: i64,
    /// The higher, the sooner.
    pub priority: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_us: Option<i64>,
    /// Waits until somebody lets it go.
    pub held: bool,
    /// `waiting`, `done`, `cancelled`.
    pub state: String,
    pub note: String,
    pub made_by: String,
    pub created_us: i64,
    pub runs: Vec<QueueRun>,
    /// Why it does not begin, for each printer that it could go to.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub waits: BTreeMap<String, String>,
}

/// Which printers may take it. Nothing said: any.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = QueueTargets)]
pub struct Targets {
    pub printers: Vec<String>,
    pub tags: Vec<String>,
}

/// What a printer must have. Nothing said: what the file says, as far as it does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = QueueNeeds)]
pub struct Needs {
    pub model: Option<String>,
    pub material: Option<String>,
    /// `#rrggbb`
    pub color: Option<String>,
    pub nozzle_um: Option<u32>,
}

/// One copy of it, at one printer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QueueRun {
    pub printer_id: String,
    /// `claimed`, `uploading`, `starting`, `printing`, `finished`, `cancelled`, `failed`.
    pub state: String,
    pub job_id: Option<String>,
    pub problem: Option<String>,
    pub updated_us: i64,
}

/// A job for the queue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewQueueItem {
    /// A file whose content is here.
    pub file_id: String,
    #[serde(default)]
    pub title: Option<String>,
    #[serde(default)]
    pub targets: Targets,
    #[serde(default)]
    pub needs: Needs,
    #[serde(default)]
    pub options: Option<printer::Start>,
    /// 1 when nothing is said.
    #[serde(default)]
    pub copies: Option<i64>,
    #[serde(default)]
    pub priority: i64,
    #[serde(default)]
    pub due_us: Option<i64>,
    #[serde(default)]
    pub held: bool,
    #[serde(default)]
    pub note: String,
}

/// What is to be different; what is not named stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct QueueChange {
    pub title: Option<String>,
    pub targets: Option<Targets>,
    pub needs: Option<Needs>,
    pub copies: Option<i64>,
    pub priority: Option<i64>,
    pub due_us: Option<i64>,
    pub held: Option<bool>,
    /// Before which other item it stands.
    pub before: Option<String>,
    pub note: Option<String>,
}

/// A folder of this computer whose files are in the library.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = WatchFolder)]
pub struct Folder {
    pub id: String,
    pub path: String,
    pub recursive: bool,
    pub enabled: bool,
    /// Why it cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// What people are told, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = NoticeChannel)]
pub struct Channel {
    pub id: String,
    pub name: String,
    pub kind: ChannelKind,
    pub events: Vec<Notice>,
    pub enabled: bool,
    /// Where it goes, without what is secret in it.
    pub shown: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_us: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_problem: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = NoticeChannelKind)]
pub enum ChannelKind {
    Webhook,
    Email,
    Ntfy,
}

/// What can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = NoticeEvent)]
pub enum Notice {
    JobStarted,
    JobFinished,
    JobFailed,
    JobCancelled,
    JobPaused,
    PrinterOffline,
    PrinterOnline,
    PrinterFault,
    QueueStuck,
}

/// A way to tell people.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewNoticeChannel)]
pub struct NewChannel {
    pub name: String,
    pub events: Vec<Notice>,
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Stays as it is when nothing is said.
    #[serde(default)]
    pub way: Option<Way>,
}

fn yes() -> bool {
    true
}

/// Where a notice goes. Holds secrets: it is taken, and never shown.
#[derive(Clone, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[schema(as = NoticeWay)]
pub enum Way {
    Webhook {
        url: String,
        /// Signs the body: HMAC-SHA-256 in `X-Farhub-Signature`.
        #[serde(default)]
        secret: String,
    },
    Email {
        host: String,
        port: u16,
        /// `tls`, `starttls` or `none`.
        security: String,
        #[serde(default)]
        user: String,
        #[serde(default)]
        password: String,
        from: String,
        to: String,
    },
    Ntfy {
        server: String,
        topic: String,
        #[serde(default)]
        token: String,
    },
}

impl std::fmt::Debug for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Webhook { .. } => "a webhook",
            Self::Email { .. } => "an e-mail account",
            Self::Ntfy { .. } => "an ntfy topic",
        })
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
