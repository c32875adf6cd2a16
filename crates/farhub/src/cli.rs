//! The command line, as it is typed.
//!
//! What a command does is in the module of its noun; what all commands share is in [`Global`].

mod examples;
mod machines;
mod printer_examples;
pub(crate) mod printers;
mod shop;

pub(crate) use machines::{Arm, Changes, Console, Job, Machine, PROFILES, Run, Said, Set, Stop};

use crate::when::{When, duration, when};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
use examples::*;
use hub::view::{Doors, Grant, Role, Via};
use hub::{Kind, Lookup};
use printer_examples::{BACKUP, PRINTER, RESTORE};
use serde::de::DeserializeOwned;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;
use wire::pair::Ticket;
use wire::serial::Profile;
use wire::{Address, HostPort, Name, Pin};

/// Plug it in there. Use it here.
///
/// farhub makes the USB devices of one computer usable from any other: they appear as if plugged
/// in. Every computer runs `farhub up`; two of them are joined once, by `farhub pair` on one
/// network or with a ticket of `farhub invite`, and then reach each other directly and encrypted.
#[derive(Debug, Parser)]
#[command(name = "farhub", version, after_long_help = LONG_END, after_help = END)]
#[command(max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Global {
    /// Folder of the hub's key, database and socket [default: ~/.local/share/farhub, for root
    /// /var/lib/farhub]
    #[arg(long, global = true, value_name = "DIR", env = "FARHUB_DATA", hide_env = true)]
    pub data: Option<PathBuf>,
    /// Settings of the hub [default: farhub.toml in the data folder, of the service
    /// /etc/farhub/farhub.toml]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Write data as JSON, and failures as JSON on stderr
    #[arg(long, global = true)]
    pub json: bool,
    /// Ask this peer instead of the hub here, as far as its grants to us allow
    #[arg(long, global = true, value_name = "PEER")]
    pub hub: Option<Name>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the hub: share devices, attach those of peers, serve the web UI
    #[command(after_help = UP)]
    Up(Up),
    /// Show the devices of every hub in reach
    #[command(after_help = DEVICES)]
    Devices(Devices),
    /// Offer a device to peers
    #[command(after_help = SHARE)]
    Share(Share),
    /// No longer offer a device; whoever uses it loses it
    #[command(after_help = UNSHARE)]
    Unshare {
        /// As `farhub devices` shows it
        device: String,
    },
    /// Make a ticket by which another hub becomes a peer
    #[command(after_help = INVITE)]
    Invite(Invite),
    /// Show the other hubs on this network, and who wants to pair
    #[command(after_help = NEARBY)]
    Nearby(Nearby),
    /// Become a peer of another hub: by its ticket, or by a code on this network
    #[command(after_help = PAIR)]
    Pair(Pair),
    /// Show the peers, say where one is, or remove one
    #[command(after_help = PEERS)]
    Peers(Peers),
    /// Let a peer use devices of this hub; alone: show who may do what
    #[command(after_help = GRANT)]
    Grant(GrantArgs),
    /// Take from a peer what it was granted
    #[command(after_help = REVOKE)]
    Revoke(Revoke),
    /// Allow a peer's keyboards and network adapters to be attached here
    #[command(after_help = TRUST)]
    Trust(Trust),
    /// Show what peers ask for, and what was asked of them
    #[command(after_help = REQUESTS)]
    Requests,
    /// Let a peer use what it asked for
    #[command(after_help = ACCEPT)]
    Accept(Accept),
    /// Say no to a peer that asked
    #[command(after_help = DENY)]
    Deny {
        /// As `farhub requests` shows it
        number: u32,
    },
    /// Take a device from whoever uses it, and keep it for a peer
    #[command(after_help = HANDOVER)]
    Handover(Handover),
    /// Take over what another program has
    #[command(subcommand, after_help = IMPORT)]
    Import(crate::import::Import),
    /// Show who did what, or check that the log is as it was written
    #[command(after_help = AUDIT)]
    Audit(Audit),
    /// Use a device of a peer here, now and whenever it is there
    #[command(after_help = ATTACH)]
    Attach(Attach),
    /// Ask the owner for the use of a device
    #[command(after_help = REQUEST)]
    Request(Request),
    /// No longer use a device of a peer
    #[command(after_help = DETACH)]
    Detach(Detach),
    /// Show which devices of peers are used here, and where they are
    #[command(after_help = ATTACHED)]
    Attached,
    /// Stop a machine at once: laser, router, printer board
    #[command(after_help = STOP)]
    Stop(Stop),
    /// Hand a program to a machine's hub: check it, run it there; this computer may leave
    #[command(after_help = RUN)]
    Run(Run),
    /// Show, hold, resume or end what a machine's hub runs
    #[command(subcommand, disable_help_subcommand = true, after_help = JOB)]
    Job(Job),
    /// Speak to a machine: what it says, and lines to type
    #[command(after_help = CONSOLE)]
    Console(Console),
    /// Show a machine, change its settings, arm it, take a stop back
    #[command(subcommand, disable_help_subcommand = true, after_help = MACHINE)]
    Machine(Machine),
    /// Add, watch and drive 3D printers; their files, jobs and queue
    #[command(subcommand, disable_help_subcommand = true, after_help = PRINTER)]
    Printer(printers::Printer),
    /// Write all that the hub knows into one file, while it runs
    #[command(after_help = BACKUP)]
    Backup(printers::Backup),
    /// Make a hub anew from a backup
    #[command(after_help = RESTORE)]
    Restore(printers::Restore),
    /// Open the web UI to the network: its password, and who is logged in
    #[command(subcommand, disable_help_subcommand = true, after_help = WEB)]
    Web(Web),
    /// Show how a peer is reached
    #[command(after_help = PATH)]
    Path(PathArgs),
    /// Measure the path to a peer: round trips, and bytes each way
    #[command(after_help = BENCH)]
    Bench {
        /// As `farhub peers` shows it
        peer: Name,
    },
    /// Find what is wrong on this computer, and the commands that mend it
    #[command(after_help = DOCTOR)]
    Doctor(Doctor),
    /// Run a relay of your own, for hubs that cannot reach each other directly
    #[command(after_help = RELAY)]
    Relay(Box<crate::relay::Typed>),
    /// Run the hub as a systemd service, without root
    #[command(subcommand, after_help = SERVICE)]
    Service(Service),
    /// The service's part that runs as root: hands devices to the kernel
    #[command(hide = true)]
    Helper(Helper),
    /// Stops a machine when the hub is gone: the hub starts it
    #[command(hide = true)]
    Guard,
    /// Write completions for a shell
    #[command(after_help = COMPLETIONS)]
    Completions {
        /// The one that you use: echo $SHELL
        shell: Shell,
    },
}

#[derive(Args, Debug)]
pub(crate) struct Up {
    /// What peers call this hub [default: the computer's name]
    #[arg(long)]
    pub name: Option<Name>,
    /// Where the web UI is; beyond this computer with a login only [default: 127.0.0.1:3482]
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: Option<SocketAddr>,
    /// Where peers reach this hub over UDP [default: any address and port]
    #[arg(long, value_name = "ADDR:PORT")]
    pub bind: Option<SocketAddr>,
    /// Use the relays of number 0 as well, which anybody may use
    #[arg(long)]
    pub public_relays: bool,
    /// Be found by peers on a public server, and find them there: n0, or the URL of a pkarr server
    #[arg(long, value_name = "SERVER")]
    pub public_discovery: Option<Lookup>,
    /// Use no relay: contact nothing but this network and the addresses of peers
    #[arg(long)]
    pub offline: bool,
    /// Reach peers only this way: lan, direct, relay (may be repeated) [default: all]
    #[arg(long, value_name = "KIND", value_parser = path_kind, value_delimiter = ',')]
    pub only: Vec<Kind>,
    /// Also share simulated devices, to see everything work without any hardware
    #[arg(long)]
    pub demo: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Devices {
    /// Go on showing what changes
    #[arg(long)]
    pub watch: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Share {
    /// Its name, its id, VID:PID, or where it is plugged in, such as 1-1.4
    pub device: String,
    /// What to call it from now on
    #[arg(long)]
    pub name: Option<Name>,
    /// What speaks at a serial port, so that farhub can stop it
    /// [default: found out from what it says]
    #[arg(long, value_parser = machines::profile())]
    pub profile: Option<Profile>,
}

#[derive(Args, Debug)]
pub(crate) struct Invite {
    /// How long the ticket is good: 90s, 10m, 24h; a week at most
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "10m")]
    pub expires: Duration,
    /// The new peer is a guest: so long after it has paired it is no peer any more
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub guest: Option<Duration>,
    /// What the new peer may use from the start, as in `farhub grant` (may be repeated)
    #[arg(long, value_name = "SELECTOR[=ROLE]", value_parser = grant)]
    pub grant: Vec<Grant>,
}

#[derive(Args, Debug)]
pub(crate) struct Nearby {
    /// Go on showing what changes
    #[arg(long)]
    pub watch: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Pair {
    /// A ticket of `farhub invite`, or a hub of `farhub nearby`, by name or key
    #[arg(value_name = "TICKET|HUB", value_parser = whom)]
    #[arg(required_unless_present_any = ["at", "accept", "decline"], conflicts_with = "at")]
    pub whom: Option<Whom>,
    /// Whoever is there: a DNS name or an address, and the UDP port of farhub
    #[arg(long, value_name = "HOST:PORT")]
    pub at: Option<HostPort>,
    /// The code that the other hub shows: pair with it
    #[arg(long, value_name = "CODE", conflicts_with_all = ["at", "name"])]
    pub accept: Option<String>,
    /// Say no to the hub that asks [default: if it is the only one]
    #[arg(long, conflicts_with_all = ["at", "name", "accept"])]
    pub decline: bool,
    /// What to call the peer here [default: as it calls itself]
    #[arg(long)]
    pub name: Option<Name>,
}

/// Whom to pair with, or who asks.
#[derive(Clone, Debug)]
pub(crate) enum Whom {
    Ticket(String),
    /// A name or a key.
    Hub(String),
}

#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
pub(crate) struct Peers {
    #[command(subcommand)]
    pub action: Option<PeersAction>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PeersAction {
    /// Forget a peer, with all that it was granted
    Remove {
        /// As `farhub peers` shows it
        peer: Name,
    },
    /// Say where a peer is, beside what is known of it
    AddAddress {
        /// As `farhub peers` shows it
        peer: Name,
        /// A DNS name or an address, and the UDP port of farhub
        #[arg(value_name = "HOST:PORT")]
        at: HostPort,
    },
    /// Forget what was said with add-address
    RemoveAddress {
        /// As `farhub peers` shows it
        peer: Name,
        /// As it was said
        #[arg(value_name = "HOST:PORT")]
        at: HostPort,
    },
}

#[derive(Args, Debug)]
pub(crate) struct GrantArgs {
    /// As `farhub peers` shows it
    pub peer: Option<Name>,
    /// `*`, a device's name or id, VID:PID, or class:CLASS
    #[arg(requires = "peer")]
    pub selector: Option<String>,
    /// view: see it, ask for it; use: attach it; control: also take it from another; admin: manage
    #[arg(long, requires = "selector", default_value = "use", value_parser = role())]
    pub role: Role,
    /// Only in these hours of the week, as in "Mon-Fri 08:00-18:00" (may be repeated)
    #[arg(long, requires = "selector", value_name = "HOURS")]
    pub window: Vec<String>,
    /// Time zone of the hours, as in Europe/Berlin [default: that of the hub]
    #[arg(long, requires = "window", value_name = "ZONE")]
    pub zone: Option<String>,
    /// How long it may be used at a time: 30m, 2h
    #[arg(long, requires = "selector", value_name = "TIME", value_parser = duration)]
    pub limit: Option<Duration>,
    /// Until when: 2026-12-01 (with that day), 2026-12-01T18:00, or 2h from now
    #[arg(long, requires = "selector", value_name = "TIME", value_parser = when)]
    pub until: Option<When>,
    /// Ask for a PIN, which is typed now, or read from stdin
    #[arg(long, requires = "selector")]
    pub pin: bool,
    /// Ask for the code of an authenticator app, whose secret is shown now, once
    #[arg(long, requires = "selector")]
    pub totp: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Revoke {
    /// As `farhub peers` shows it
    pub peer: Name,
    /// As it was granted [default: all that the peer was granted]
    pub selector: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Trust {
    /// As `farhub peers` shows it
    pub peer: Name,
    /// Take the trust back
    #[arg(long)]
    pub no: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Audit {
    /// Read the whole log and say where it is not as it was written
    #[arg(long, conflicts_with_all = ["since", "who", "action", "device", "limit"])]
    pub verify: bool,
    /// Not before: 2h (ago), 2026-11-21, 2026-11-21T08:00
    #[arg(long, value_name = "TIME", value_parser = when)]
    pub since: Option<When>,
    /// Who did it: a peer, `local` for this computer, or the key of a hub
    #[arg(long)]
    pub who: Option<String>,
    /// What was done: session.start, or session for all of them
    #[arg(long)]
    pub action: Option<String>,
    /// To which device: its name, address or id
    #[arg(long)]
    pub device: Option<String>,
    /// The newest so many, 1000 at most
    #[arg(long, value_name = "N", default_value = "100",
        value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub limit: u32,
}

#[derive(Args, Debug)]
pub(crate) struct Attach {
    /// As `farhub devices` shows it
    #[arg(value_name = "HUB/NAME")]
    pub address: Address,
    /// vhci: farhub gives it to this kernel; usbip: a USB/IP client fetches it from loopback
    /// [default: vhci]
    #[arg(long, value_parser = via(), conflicts_with_all = ["link", "tcp", "rfc2217"])]
    via: Option<Via>,
    /// A serial port as a pseudo-terminal with this name, as in /tmp/laser
    #[arg(long = "as", value_name = "PATH")]
    link: Option<PathBuf>,
    /// A serial port as a TCP port, bytes as they are: 23 is what LightBurn looks for
    #[arg(long, value_name = "[ADDRESS:]PORT", value_parser = place)]
    tcp: Option<SocketAddr>,
    /// A serial port as a TCP port with baud rate and modem lines (RFC 2217)
    #[arg(long, value_name = "[ADDRESS:]PORT", value_parser = place)]
    rfc2217: Option<SocketAddr>,
    /// Type the PIN that its owner wants, or read it from stdin
    #[arg(long)]
    pub pin: bool,
    /// The code that an authenticator app shows now
    #[arg(long, value_name = "CODE")]
    pub totp: Option<Pin>,
    /// Only until the hub here stops: do not attach it again when it starts anew
    #[arg(long)]
    pub once: bool,
    /// Give up waiting after this time: 30s, 5m (it stays attached when it comes, unless --once)
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub timeout: Option<Duration>,
}

#[derive(Args, Debug)]
pub(crate) struct Request {
    /// As `farhub devices` shows it
    #[arg(value_name = "HUB/NAME")]
    pub address: Address,
    /// What the owner is to read: 128 characters at most
    #[arg(long, value_name = "TEXT")]
    pub message: Option<String>,
    /// Give up waiting after this time: 30s, 5m (the hub goes on asking)
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub timeout: Option<Duration>,
    /// Take back what was asked
    #[arg(long, conflicts_with_all = ["message", "timeout"])]
    pub withdraw: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Accept {
    /// As `farhub requests` shows it
    pub number: u32,
    /// How long it may be used, if the peer may not use it anyway [default: 1h]
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    pub time: Option<Duration>,
    /// Take it from whoever uses it, and keep it for this peer
    #[arg(long)]
    pub now: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Handover {
    /// A device of this hub, or HUB/NAME of one that is used here
    pub device: String,
    /// Who gets it, as `farhub requests` shows it [default: this hub, of its own devices nobody]
    pub peer: Option<Name>,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub(crate) struct Detach {
    /// As `farhub attached` shows it
    #[arg(value_name = "HUB/NAME")]
    pub address: Option<Address>,
    /// Every device that is attached
    #[arg(long)]
    pub all: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Web {
    /// Set the password; everybody is logged out
    Password,
    /// Show where the web UI is, for whom, and the fingerprint of its certificate
    Status,
    /// Show who is logged in, or log them out
    Sessions(WebSessions),
}

#[derive(Args, Debug)]
#[group(multiple = false)]
pub(crate) struct WebSessions {
    /// Log this browser out
    #[arg(long, value_name = "ID")]
    pub end: Option<String>,
    /// Log all of them out
    #[arg(long)]
    pub all: bool,
}

#[derive(Args, Debug)]
pub(crate) struct PathArgs {
    /// As `farhub peers` shows it
    pub peer: Name,
    /// Go on showing it, each second
    #[arg(long)]
    pub watch: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Doctor {
    /// Look at this folder in place of / (for tests)
    #[arg(long, hide = true, default_value = "/")]
    pub root: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Service {
    /// Write the units and the udev rule, and start the service
    Install(Install),
    /// Undo what install did; the data folder stays
    Uninstall(Uninstall),
    /// Show what is installed and what runs
    Status(Root),
}

#[derive(Args, Debug)]
pub(crate) struct Install {
    /// System user that the hub runs as; made if there is none
    #[arg(long, default_value = "farhub")]
    pub user: String,
    #[command(flatten)]
    pub uninstall: Uninstall,
}

#[derive(Args, Debug)]
pub(crate) struct Uninstall {
    /// Only show what would be done
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub root: Root,
}

#[derive(Args, Debug)]
pub(crate) struct Root {
    /// Work below this folder and run no commands (for tests and packages)
    #[arg(long, hide = true)]
    pub root: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct Helper {
    /// Where to listen
    #[arg(long, default_value = crate::helper::SOCKET)]
    pub socket: PathBuf,
    /// Who may ask: the group of the hub's user
    #[arg(long, default_value = "farhub")]
    pub group: String,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// `SELECTOR` or `SELECTOR=ROLE`
fn grant(text: &str) -> Result<Grant, String> {
    let (selector, role) = match text.rsplit_once('=') {
        None => (text, Role::default()),
        Some((selector, role)) => {
            let known = word(role).ok_or("a role is view, use, control or admin")?;
            (selector, known)
        }
    };
    Ok(Grant { selector: selector.to_owned(), role, ..Grant::default() })
}

/// `lan`, `direct` or `relay`
pub(crate) fn path_kind(text: &str) -> Result<Kind, String> {
    match text {
        "lan" => Ok(Kind::Lan),
        "direct" => Ok(Kind::Direct),
        "relay" => Ok(Kind::Relay),
        _ => Err(format!("{text:?} is no kind of path: lan, direct or relay")),
    }
}

/// Says at once when a ticket was copied in part. Nothing else begins as tickets do and is as long
/// as they are.
fn whom(text: &str) -> Result<Whom, String> {
    let hub = text.parse::<Name>().is_ok() && !(text.starts_with("farhub1") && text.len() > 20);
    let key = text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    if hub || key {
        return Ok(Whom::Hub(text.to_ascii_lowercase()));
    }
    let ticket = text.parse::<Ticket>().map(|ticket| ticket.to_string());
    ticket.map(Whom::Ticket).map_err(|error| error.to_string())
}

fn role() -> impl TypedValueParser<Value = Role> {
    PossibleValuesParser::new(["view", "use", "control", "admin"])
        .map(|text| word(&text).expect("each is a role"))
}

impl Attach {
    /// By which door, if that was said.
    pub(crate) fn via(&self) -> Option<Via> {
        let Self { link, tcp, rfc2217, .. } = self;
        if link.is_none() && tcp.is_none() && rfc2217.is_none() {
            return self.via.clone();
        }
        let pty = link.as_ref().map(|path| absolute(path).to_string_lossy().into_owned());
        Some(Via::Port(Doors { pty, tcp: *tcp, rfc2217: *rfc2217 }))
    }
}

/// The hub works in a folder of its own.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// An address to listen at; a port alone means loopback.
fn place(text: &str) -> Result<SocketAddr, String> {
    if let Ok(port) = text.parse::<u16>() {
        return Ok((Ipv4Addr::LOCALHOST, port).into());
    }
    text.parse().map_err(|_| "a port, or an IP address with one, as in 127.0.0.1:23".to_owned())
}

fn via() -> impl TypedValueParser<Value = Via> {
    PossibleValuesParser::new(["vhci", "usbip"]).map(|text| word(&text).expect("each is a door"))
}

/// A variant by the name that it has in JSON.
fn word<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_value(text.into()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_examples() {
        for command in Cli::command().get_subcommands().filter(|command| !command.is_hide_set()) {
            let end = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let name = command.get_name();
            assert!(end.contains(&format!("  farhub {name}")), "{name} has no example");
        }
    }

    #[test]
    fn every_command_for_printers_has_examples() {
        fn leaves(command: &clap::Command, path: &str) {
            let path = format!("{path} {}", command.get_name());
            let end = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(end.contains(&format!("  {path}")), "{path} has no example");
            let parts = command.get_subcommands().filter(|part| part.get_name() != "help");
            parts.for_each(|part| leaves(part, &path));
        }
        leaves(Cli::command().find_subcommand("printer").unwrap(), "farhub");
    }

    #[test]
    fn a_mistyped_role_is_not_a_grant() {
        let parsed = |text: &str| grant(text).map(|grant| (grant.selector, grant.role));
        assert_eq!(parsed("*"), Ok(("*".into(), Role::Use)));
        assert_eq!(parsed("class:hid=view"), Ok(("class:hid".into(), Role::View)));
        assert!(parsed("*=admn").is_err());
    }
}
