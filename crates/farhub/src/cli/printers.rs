//! `farhub printer`, `farhub backup` and `farhub restore`, as they are typed.

use super::printer_examples::*;
pub(crate) use super::shop::{Jobs, Notices, NoticesAdd, Queue, QueueAdd};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use printer::{Heater, Protocol};
use std::path::PathBuf;
use wire::Name;

#[derive(Debug, Subcommand)]
pub(crate) enum Printer {
    /// Show the printers of every hub in reach, and what they do
    #[command(after_help = LIST)]
    List {
        /// Go on showing what changes
        #[arg(long)]
        watch: bool,
    },
    /// Show the printers that announce themselves on the hub's network
    #[command(after_help = SEEN)]
    Seen {
        /// For how long to listen
        #[arg(long, value_name = "N", default_value = "4",
            value_parser = clap::value_parser!(u8).range(1..=30))]
        seconds: u8,
    },
    /// Add a printer: its connection is tried first
    #[command(after_help = ADD)]
    Add(Box<Add>),
    /// Try the connection of a printer that was added, and say exactly what is wrong
    #[command(after_help = TEST)]
    Test(One),
    /// Show one printer, with all that it says of itself
    #[command(after_help = SHOW)]
    Show {
        #[command(flatten)]
        one: One,
        /// Go on showing what changes
        #[arg(long)]
        watch: bool,
    },
    /// Change what is known of a printer; what is not named stays
    #[command(after_help = SET)]
    Set(Box<Set>),
    /// Forget a printer; its jobs and files stay
    #[command(after_help = REMOVE)]
    Remove(One),
    /// Print a file that lies on the printer
    #[command(after_help = START)]
    Start {
        #[command(flatten)]
        one: One,
        /// Path or name, as `farhub printer files` shows it
        path: String,
        /// Of a project with several plates; the first is 1
        #[arg(long, value_name = "N")]
        plate: Option<u16>,
    },
    /// Pause the print
    #[command(after_help = PAUSE)]
    Pause(One),
    /// Go on with a print that is paused
    #[command(after_help = RESUME)]
    Resume(One),
    /// End the print for good
    #[command(after_help = STOP)]
    Stop(One),
    /// Acknowledge what is shown of the last print, or a fault
    #[command(after_help = CLEAR)]
    Clear(One),
    /// Switch its light
    #[command(after_help = LIGHT)]
    Light {
        #[command(flatten)]
        one: One,
        #[arg(value_name = "on|off", action = clap::ArgAction::Set, value_parser = switch())]
        on: bool,
    },
    /// Print faster or slower than the file asks for
    #[command(after_help = SPEED)]
    Speed {
        #[command(flatten)]
        one: One,
        /// 100 is as the file asks; a printer with levels takes the nearest
        percent: u16,
    },
    /// Set the temperature of a heater; 0 switches it off
    #[command(after_help = HEAT)]
    Heat {
        #[command(flatten)]
        one: One,
        /// hotend (hotend1 is the second), bed or chamber
        #[arg(value_parser = heater)]
        heater: Heater,
        /// In degrees Celsius
        #[arg(value_name = "C")]
        target_c: u16,
    },
    /// Send lines of G-code, as they are
    #[command(after_help = GCODE)]
    Gcode {
        #[command(flatten)]
        one: One,
        #[arg(required = true, value_name = "LINE")]
        lines: Vec<String>,
    },
    /// Say that nothing lies on the bed: the queue may go on
    #[command(after_help = BED_CLEAR)]
    BedClear(One),
    /// Show the files that lie on a printer
    #[command(after_help = FILES)]
    Files {
        #[command(flatten)]
        one: One,
        /// Ask the printer again first
        #[arg(long)]
        refresh: bool,
        /// Words in their names
        #[arg(long, value_name = "WORDS", default_value = "", hide_default_value = true)]
        search: String,
    },
    /// Bring a file of this computer to a printer, by way of the hub's library
    #[command(after_help = SEND)]
    Send {
        #[command(flatten)]
        one: One,
        file: PathBuf,
        /// And print it
        #[arg(long)]
        start: bool,
    },
    /// Bring a file from a printer here, by way of the hub's library
    #[command(after_help = FETCH)]
    Fetch {
        #[command(flatten)]
        one: One,
        /// Path or name, as `farhub printer files` shows it
        path: String,
        /// Where to write it [default: under its name in this folder]
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
    /// Show what was printed, and how it went
    #[command(after_help = JOBS)]
    Jobs(Jobs),
    /// Jobs that wait for a printer that is free
    #[command(subcommand, disable_help_subcommand = true, after_help = QUEUE)]
    Queue(Queue),
    /// Where the hub tells what happens: webhook, ntfy, e-mail
    #[command(subcommand, disable_help_subcommand = true, after_help = NOTICES)]
    Notices(Notices),
}

/// A printer.
#[derive(Args, Debug)]
pub(crate) struct One {
    /// NAME, or HUB/NAME of a peer's, as `farhub printer list` shows it
    pub printer: String,
}

/// Where a printer is, and how it is logged in to.
#[derive(Args, Debug)]
pub(crate) struct Login {
    /// Where nothing is said, the protocol's own
    #[arg(long)]
    pub port: Option<u16>,
    /// Of FTPS, Bambu only [default: 990]
    #[arg(long, value_name = "PORT")]
    pub files_port: Option<u16>,
    /// Bambu only: the number that its panel shows
    #[arg(long, value_name = "NUMBER")]
    pub serial: Option<String>,
    /// PrusaLink: who logs in; without one the secret is an API key
    #[arg(long)]
    pub user: Option<String>,
    /// Read access code, password or API key from the first line of this file
    #[arg(long, value_name = "FILE")]
    pub secret_file: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct Add {
    /// A name or an address, without http:// and without a port
    pub host: String,
    /// What it speaks [default: as it announces itself on the network]
    #[arg(long, value_parser = protocol())]
    pub protocol: Option<Protocol>,
    #[command(flatten)]
    pub login: Login,
    /// Moonraker and others that ask for none by themselves: there is a secret nevertheless
    #[arg(long)]
    pub secret: bool,
    /// OctoPrint: ask it for a key, which is then allowed on its own page
    #[arg(long, conflicts_with_all = ["secret", "secret_file"])]
    pub ask_key: bool,
    /// HTTPS in place of HTTP
    #[arg(long)]
    pub tls: bool,
    /// What people call it
    #[arg(long)]
    pub title: Option<String>,
    /// Its part of the address, as in garage/prusa-1 [default: after its title]
    #[arg(long)]
    pub name: Option<Name>,
    /// Where it stands
    #[arg(long, default_value = "", hide_default_value = true)]
    pub location: String,
    /// A group that it belongs to (may be repeated)
    #[arg(long)]
    pub tag: Vec<String>,
    /// Add it also when it cannot be reached now
    #[arg(long)]
    pub no_test: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Set {
    #[command(flatten)]
    pub one: One,
    #[command(flatten)]
    pub login: Login,
    /// Where it is now
    #[arg(long)]
    pub host: Option<String>,
    /// Type access code, password or API key anew, or read it from stdin
    #[arg(long, conflicts_with = "secret_file")]
    pub secret: bool,
    /// HTTPS in place of HTTP
    #[arg(long, value_name = "on|off", value_parser = switch())]
    pub tls: Option<bool>,
    /// Take the next certificate that it shows: it was reset, or replaced
    #[arg(long)]
    pub forget_pin: bool,
    /// What people call it
    #[arg(long)]
    pub title: Option<String>,
    /// What it is, where it does not say so itself
    #[arg(long)]
    pub model: Option<String>,
    /// Where it stands
    #[arg(long)]
    pub location: Option<String>,
    /// The groups that it belongs to, in place of those before (may be repeated; "" for none)
    #[arg(long)]
    pub tag: Vec<String>,
    /// Whether it is watched at all
    #[arg(long, value_name = "on|off", value_parser = switch())]
    pub enabled: Option<bool>,
    /// Whether the queue gives it jobs
    #[arg(long, value_name = "on|off", value_parser = switch())]
    pub queue: Option<bool>,
    /// Whether its bed clears itself: after a print the next may begin at once
    #[arg(long, value_name = "on|off", value_parser = switch())]
    pub clears_itself: Option<bool>,
}

#[derive(Args, Debug)]
pub(crate) struct Backup {
    /// Is made; there must be none of that name
    pub file: PathBuf,
    /// Also what printed files contain, which may be gigabytes
    #[arg(long)]
    pub files: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Restore {
    /// As `farhub backup` made it
    pub file: PathBuf,
    /// Also where a hub was already: its folder is kept beside it
    #[arg(long)]
    pub replace: bool,
}

/// `on` or `off`
fn switch() -> impl TypedValueParser<Value = bool> {
    PossibleValuesParser::new(["on", "off"]).try_map(|word| match word.as_str() {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("on or off"),
    })
}

fn protocol() -> impl TypedValueParser<Value = Protocol> {
    PossibleValuesParser::new(Protocol::ALL.map(|one| one.as_str()))
        .map(|text| text.parse().expect("each is a protocol"))
}

fn heater(text: &str) -> Result<Heater, String> {
    match text {
        "hotend" => Ok(Heater::Hotend(0)),
        "bed" => Ok(Heater::Bed),
        "chamber" => Ok(Heater::Chamber),
        _ => {
            let number = text.strip_prefix("hotend").and_then(|number| number.parse().ok());
            number.map(Heater::Hotend).ok_or_else(|| "hotend, bed or chamber".to_owned())
        }
    }
}
