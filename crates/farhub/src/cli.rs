//! The command line, as it is typed.
//!
//! What a command does is in the module of its noun; what all commands share is in [`Global`].

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
use hub::view::{Grant, Role, Via};
use serde::de::DeserializeOwned;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use wire::pair::Ticket;
use wire::{Address, Name};

/// Plug it in there. Use it here.
///
/// farhub makes the USB devices of one computer usable from any other: they appear as if plugged
/// in. Every computer runs `farhub up`; two of them are joined once, by `farhub invite` on one and
/// `farhub pair TICKET` on the other, and then reach each other directly and encrypted.
#[derive(Debug, Parser)]
#[command(name = "farhub", version, after_long_help = LONG_END, after_help = END)]
#[command(disable_help_subcommand = true, max_term_width = 100)]
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
    /// Become a peer of the hub that made a ticket
    #[command(after_help = PAIR)]
    Pair(Pair),
    /// Show the peers, or remove one
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
    /// Use a device of a peer here, now and whenever it is there
    #[command(after_help = ATTACH)]
    Attach(Attach),
    /// No longer use a device of a peer
    #[command(after_help = DETACH)]
    Detach(Detach),
    /// Show which devices of peers are used here, and where they are
    #[command(after_help = ATTACHED)]
    Attached,
    /// Open the web UI to the network: its password, and who is logged in
    #[command(subcommand, after_help = WEB)]
    Web(Web),
    /// Show how a peer is reached
    #[command(after_help = PATH)]
    Path {
        /// As `farhub peers` shows it
        peer: Name,
    },
    /// Find what is wrong on this computer, and the commands that mend it
    #[command(after_help = DOCTOR)]
    Doctor(Doctor),
    /// Run the hub as a systemd service, without root
    #[command(subcommand, after_help = SERVICE)]
    Service(Service),
    /// The service's part that runs as root: hands devices to the kernel
    #[command(hide = true)]
    Helper(Helper),
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
}

#[derive(Args, Debug)]
pub(crate) struct Invite {
    /// How long the ticket is good: 90s, 10m, 24h; a week at most
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "10m")]
    pub expires: Duration,
    /// What the new peer may use from the start, as in `farhub grant` (may be repeated)
    #[arg(long, value_name = "SELECTOR[=ROLE]", value_parser = grant)]
    pub grant: Vec<Grant>,
}

#[derive(Args, Debug)]
pub(crate) struct Pair {
    /// What `farhub invite` printed on the other computer
    #[arg(value_parser = ticket)]
    pub ticket: String,
    /// What to call the peer here [default: as it calls itself]
    #[arg(long)]
    pub name: Option<Name>,
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
}

#[derive(Args, Debug)]
pub(crate) struct GrantArgs {
    /// As `farhub peers` shows it
    pub peer: Option<Name>,
    /// `*`, a device's name or id, VID:PID, or class:CLASS
    #[arg(requires = "peer")]
    pub selector: Option<String>,
    /// view: see it; use: attach it; control: also steer machines (USB: as use); admin: manage it
    #[arg(long, requires = "selector", default_value = "use", value_parser = role())]
    pub role: Role,
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
pub(crate) struct Attach {
    /// As `farhub devices` shows it
    #[arg(value_name = "HUB/NAME")]
    pub address: Address,
    /// vhci: farhub gives it to this kernel; usbip: a USB/IP client fetches it from loopback
    #[arg(long, default_value = "vhci", value_parser = via())]
    pub via: Via,
    /// Only until the hub here stops: do not attach it again when it starts anew
    #[arg(long)]
    pub once: bool,
    /// Give up waiting after this time: 30s, 5m (it stays attached when it comes, unless --once)
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub timeout: Option<Duration>,
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

/// `90s`, `10m`, `1h30m`
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let span: jiff::SignedDuration =
        text.parse().map_err(|_| "write it as 90s, 10m or 24h".to_owned())?;
    Duration::try_from(span).ok().filter(|time| !time.is_zero()).ok_or("it must be above 0".into())
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
    Ok(Grant { selector: selector.to_owned(), role })
}

/// Says at once when a ticket was copied in part.
fn ticket(text: &str) -> Result<String, String> {
    text.parse::<Ticket>().map(|ticket| ticket.to_string()).map_err(|e| e.to_string())
}

fn role() -> impl TypedValueParser<Value = Role> {
    PossibleValuesParser::new(["view", "use", "control", "admin"])
        .map(|text| word(&text).expect("each is a role"))
}

fn via() -> impl TypedValueParser<Value = Via> {
    PossibleValuesParser::new(["vhci", "usbip"]).map(|text| word(&text).expect("each is a door"))
}

/// A variant by the name that it has in JSON.
fn word<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_value(text.into()).ok()
}

/// The end of `farhub -h`.
const END: &str = "\
farhub --help tells more, farhub COMMAND --help has examples.";

/// The end of `farhub --help`.
const LONG_END: &str = "\
Start here:
  farhub up --demo             see it work, without any hardware
  farhub devices               what is plugged in, here and at peers
  farhub share 1-1             offer what is plugged in at 1-1
  farhub invite                make a ticket; on the other computer: farhub pair TICKET
  farhub grant laptop '*'      let that peer use all that is shared
  farhub attach garage/laser   use it here
  farhub doctor                when something does not work

Exit status:
  0  done
  1  failed
  2  the command line or its values are wrong
  3  the hub is not running
  4  refused: not granted, or no permission
  5  there is no such device, peer or attachment
  6  timed out
  130  interrupted

Data goes to stdout, all else to stderr. With --json, a failure is a line on stderr:
  {\"error\":{\"code\":\"not_found\",\"message\":\"..\",\"hint\":\"..\"}}";

const UP: &str = "\
Runs until Ctrl-C or SIGTERM. Settings come from farhub.toml; the command line goes before them.

Examples:
  farhub up --demo                  with simulated devices
  farhub up --name garage           peers see garage/laser, garage/disk
  farhub up --listen 127.0.0.1:0    the web UI on any free port, which is printed
  farhub up --listen 0.0.0.0:3482   the web UI for the network; first: farhub web password";
const DEVICES: &str = "\
Examples:
  farhub devices
  farhub devices --watch
  farhub devices --hub garage       as garage sees them
  farhub devices --json | jq -r '.[] | select(.shared) | .address'";
const SHARE: &str = "\
A peer sees and uses it only if it was granted to that peer: farhub grant.

Examples:
  farhub share 1-1.4 --name laser   what is plugged in at 1-1.4, as laser
  farhub share 0403:6001            the one device with this VID:PID";
const UNSHARE: &str = "\
Examples:
  farhub unshare laser";
const INVITE: &str = "\
The ticket works once. Give it only to whom you mean: it makes a peer of anyone who has it.

Examples:
  farhub invite
  farhub invite --grant laser                     the peer may use the laser
  farhub invite --grant '*=view' --grant disk     see all, use the disk
  farhub invite --expires 24h";
const PAIR: &str = "\
Examples:
  farhub pair farhub1abcd...
  farhub pair farhub1abcd... --name garage";
const PEERS: &str = "\
Examples:
  farhub peers
  farhub peers remove laptop";
const GRANT: &str = "\
A selector is `*` (all that is shared), a device's name or id, VID:PID, or class:CLASS. The class is
that of the interfaces, and all of them must match: hid, mass-storage, audio, video, ... or 0x08.

Examples:
  farhub grant                                 who may do what
  farhub grant laptop laser                    laptop may use the laser
  farhub grant laptop class:mass-storage
  farhub grant office '*' --role view          office sees what there is";
const REVOKE: &str = "\
A device in use by the peer is taken from it.

Examples:
  farhub revoke laptop laser
  farhub revoke laptop                         everything";
const TRUST: &str = "\
A device that types or becomes a network adapter can take over the computer that it is attached to,
so such devices are attached only from peers that are trusted.

Examples:
  farhub trust garage
  farhub trust garage --no";
const ATTACH: &str = "\
Waits until the device can be used and prints where it is. The attachment stays until `farhub
detach`: it comes back after a replug, a restart of either hub, or a loss of the network.

Examples:
  farhub attach garage/laser
  farhub attach garage/laser --timeout 30s
  farhub attach garage/disk --via usbip     prints the usbip command that fetches it";
const DETACH: &str = "\
Examples:
  farhub detach garage/laser
  farhub detach --all";
const ATTACHED: &str = "\
Examples:
  farhub attached
  farhub attached --json | jq -r '.[].nodes[]'";
const WEB: &str = "\
The web UI is for this computer alone until it listens on another address (farhub up --listen, or
listen in farhub.toml). Then it asks for the password of the one account that there is, the
owner's, and speaks TLS: with your own certificate, or one that it makes itself. The password is
typed, or read from stdin; it is never an argument, which everybody on the computer could see.

Examples:
  farhub web password
  farhub web password < file
  farhub web status                            the address, and the fingerprint to compare
  farhub web sessions
  farhub web sessions --end 3f2a9c01
  farhub web sessions --all                    log everybody out";
const PATH: &str = "\
lan: in the same network; direct: from network to network; relay: by way of a relay, and still
encrypted from hub to hub.

Examples:
  farhub path garage";
const DOCTOR: &str = "\
Changes nothing. Exit status 1 if something must be mended.

Examples:
  farhub doctor
  sudo farhub doctor                           what only root can see";
const SERVICE: &str = "\
Examples:
  sudo farhub service install
  farhub service install --dry-run             show every file first
  farhub service status
  sudo farhub service uninstall";
const COMPLETIONS: &str = "\
Examples:
  farhub completions bash > ~/.local/share/bash-completion/completions/farhub
  farhub completions zsh > ~/.zfunc/_farhub
  farhub completions fish > ~/.config/fish/completions/farhub.fish";

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
    fn times_are_written_with_a_unit() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("24h"), Ok(Duration::from_secs(86_400)));
        for wrong in ["", "10", "-5m", "0s", "soon"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_mistyped_role_is_not_a_grant() {
        let parsed = |text: &str| grant(text).map(|grant| (grant.selector, grant.role));
        assert_eq!(parsed("*"), Ok(("*".into(), Role::Use)));
        assert_eq!(parsed("class:hid=view"), Ok(("class:hid".into(), Role::View)));
        assert!(parsed("*=admn").is_err());
    }
}
