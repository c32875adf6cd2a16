//! What belongs to the print shop as a whole, as it is typed: jobs, the queue, notices.

use super::printer_examples::{NOTICES, QUEUE};
use crate::when::{When, when};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use hub::fleet::view::Notice;

#[derive(Args, Debug)]
pub(crate) struct Jobs {
    /// NAME or HUB/NAME, of one hub [default: all of the hub]
    pub printer: Vec<String>,
    /// finished, failed, cancelled, printing, paused, preparing, unknown (may be repeated)
    #[arg(long, value_delimiter = ',')]
    pub state: Vec<String>,
    /// Words in name, printer and note
    #[arg(long, value_name = "WORDS")]
    pub search: Option<String>,
    /// Begun not before: 7d (ago), 2026-11-21, 2026-11-21T08:00
    #[arg(long, value_name = "TIME", value_parser = when)]
    pub since: Option<When>,
    /// The newest so many, 500 at most
    #[arg(long, value_name = "N", default_value = "50",
        value_parser = clap::value_parser!(u32).range(1..=500))]
    pub limit: u32,
    /// All of them, for a spreadsheet, to stdout
    #[arg(long, conflicts_with = "limit")]
    pub csv: bool,
    /// As German spreadsheets have it: semicolons between, commas in numbers
    #[arg(long, requires = "csv")]
    pub german: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Queue {
    /// Show what waits, and why
    #[command(after_help = QUEUE)]
    List {
        /// Also what is done or cancelled
        #[arg(long)]
        over: bool,
    },
    /// Add a job: it begins when a printer that fits is free and its bed is clear
    #[command(after_help = QUEUE)]
    Add(QueueAdd),
    /// Let a job wait until it is released
    #[command(after_help = QUEUE)]
    Hold { id: String },
    /// Let a held job go
    #[command(after_help = QUEUE)]
    Release { id: String },
    /// Take a job from the queue; what is printing goes on
    #[command(after_help = QUEUE)]
    Cancel { id: String },
}

#[derive(Args, Debug)]
pub(crate) struct QueueAdd {
    /// A file of this computer, or the id of one that the hub has
    pub file: String,
    /// Only this printer of the hub (may be repeated)
    #[arg(long, value_name = "PRINTER")]
    pub on: Vec<String>,
    /// Only printers of this group (may be repeated)
    #[arg(long)]
    pub tag: Vec<String>,
    /// How often to print it
    #[arg(long, value_name = "N", default_value = "1",
        value_parser = clap::value_parser!(i64).range(1..=1000))]
    pub copies: i64,
    /// The higher, the sooner
    #[arg(long, value_name = "N", default_value = "0", allow_hyphen_values = true)]
    pub priority: i64,
    /// What people call it [default: the file's name]
    #[arg(long)]
    pub title: Option<String>,
    /// Only printers with this material, such as PETG
    #[arg(long)]
    pub material: Option<String>,
    /// Let it wait until it is released
    #[arg(long)]
    pub hold: bool,
    /// For those who look at the queue
    #[arg(long, default_value = "", hide_default_value = true)]
    pub note: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Notices {
    /// Show where notices go, and how it went last
    #[command(after_help = NOTICES)]
    List,
    /// Tell what happens there as well
    #[command(after_help = NOTICES)]
    Add(Box<NoticesAdd>),
    /// Send a test now, and say what goes wrong
    #[command(after_help = NOTICES)]
    Test {
        /// Name or id
        channel: String,
    },
    /// No longer tell what happens there
    #[command(after_help = NOTICES)]
    Remove {
        /// Name or id
        channel: String,
    },
}

#[derive(Args, Debug)]
pub(crate) struct NoticesAdd {
    /// What people call it
    pub name: String,
    #[command(flatten)]
    pub way: Way,
    /// Who writes the e-mail
    #[arg(long, value_name = "ADDRESS", requires = "email")]
    pub from: Option<String>,
    /// The server that takes the e-mail
    #[arg(long, value_name = "HOST[:PORT]", requires = "email")]
    pub smtp: Option<String>,
    /// tls (port 465), starttls (port 587), or none
    #[arg(long, requires = "email", default_value = "tls",
        value_parser = ["tls", "starttls", "none"])]
    pub security: String,
    /// Who logs in at the server; the password is typed now, or read from stdin
    #[arg(long, requires = "email")]
    pub user: Option<String>,
    /// Type a secret, or read it from stdin: signs a webhook, logs in to ntfy
    #[arg(long, conflicts_with = "email")]
    pub secret: bool,
    /// What to tell (may be repeated) [default: all that ends, fails or waits for somebody]
    #[arg(long = "event", value_name = "EVENT", value_delimiter = ',', value_parser = notice())]
    pub events: Vec<Notice>,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub(crate) struct Way {
    /// POSTs JSON there; - to type the URL, or read it from stdin
    #[arg(long, value_name = "URL")]
    pub webhook: Option<String>,
    /// A topic of an ntfy server, as in ntfy.sh/TOPIC
    #[arg(long, value_name = "SERVER/TOPIC")]
    pub ntfy: Option<String>,
    /// An e-mail to this address
    #[arg(long, value_name = "ADDRESS", requires_all = ["from", "smtp"])]
    pub email: Option<String>,
}

fn notice() -> impl TypedValueParser<Value = Notice> {
    PossibleValuesParser::new([
        "job_started",
        "job_finished",
        "job_failed",
        "job_cancelled",
        "job_paused",
        "printer_offline",
        "printer_online",
        "printer_fault",
        "queue_stuck",
    ])
    .map(|text| super::word(&text).expect("each is an event"))
}
