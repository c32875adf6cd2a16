//! What a hub shows of itself: the JSON of the API, of `--json` and of the web UI.
//!
//! These types are the API's contract; `wire` has what goes between hubs.

mod access;
mod audit;
mod job;
mod login;
mod machine;
mod path;

pub use crate::discovery::Discovery;
pub use access::{Asked, Factor, Grant, Granted, NewGrant, Request, Role, Totp, Turn};
pub use audit::{AuditBroken, AuditCheck, AuditEntry, AuditFault, AuditPage, AuditQuery};
pub use gcode::preview::Preview;
pub use job::{Extent, Job, JobAct, JobFinding, JobFound, JobState, NewJob, OnLoss, Severity};
pub use login::{Login, LoginState, NewPassword, WebSession, WebStatus, WebTls};
pub use machine::{
    Act, Contact, Interlock, Machine, MachineSettings, OnOpen, State as MachineState, StopButton,
    Stopped,
};
pub use path::{
    Candidate, CandidateState, Measure, Measured, OpenPath, Path, PathChange, PathEvent, PathKind,
    PathReport, Race, RaceReason, Why, WhyCode,
};

use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use utoipa::ToSchema;
use wire::device::{Kind, State as DeviceState};
use wire::{Address, DeviceId, HostPort, Name, Text};

/// Everything that there is to see.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct State {
    pub hub: Hub,
    pub peers: Vec<Peer>,
    pub devices: Vec<Device>,
    pub attachments: Vec<Attachment>,
    /// What peers ask of this hub.
    #[serde(default)]
    pub requests: Vec<Request>,
    /// What this hub asked of peers.
    #[serde(default)]
    pub asked: Vec<Asked>,
    /// Other hubs that are announced on this network.
    #[serde(default)]
    pub nearby: Vec<Nearby>,
    /// Pairings by code that are under way or ended a moment ago.
    #[serde(default)]
    pub pairings: Vec<Pairing>,
    /// Stop buttons at this hub.
    #[serde(default)]
    pub stop_buttons: Vec<StopButton>,
}

/// The hub that was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Hub {
    /// The Ed25519 public key, in hexadecimal.
    pub id: String,
    pub name: Name,
    pub version: String,
    /// Whether it shares simulated devices for demonstration.
    pub demo: bool,
    /// Where its web UI is.
    pub web: Option<String>,
    /// Where it looks for other hubs.
    #[serde(default)]
    pub discovery: Discovery,
}

/// A hub as it is announced on this network. Anybody can announce anything: the name may be
/// somebody else's, and the addresses may lead nowhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Nearby {
    /// The Ed25519 public key that it says it has, in hexadecimal.
    pub id: String,
    pub name: Name,
    pub version: String,
    pub addresses: Vec<String>,
    /// What it is called here, where the key is a peer's.
    pub peer: Option<Name>,
    /// Why it may not be what it seems.
    pub doubt: Option<Doubt>,
}

/// Why a hub may not be what it seems.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Doubt {
    /// It has the name of a peer, and another key.
    NameOfPeer,
    /// It has the name of this hub.
    NameOfThisHub,
    /// Another one on this network has the same name.
    NameTwice,
}

/// A pairing by code. What is shown on one screen is typed on the other: first the code of the
/// hub that asks, then the check number of the hub that was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Pairing {
    pub id: u32,
    pub side: PairingSide,
    pub state: PairingState,
    /// The other hub's key, which it has proven.
    pub hub_id: String,
    /// What the other hub calls itself.
    pub name: Name,
    /// Where it is.
    pub remote: String,
    pub doubt: Option<Doubt>,
    /// What to type on the other hub.
    pub shown: Option<String>,
    /// Until it is over without an answer.
    pub left_s: u32,
    /// What it is called here, when it is a peer.
    pub peer: Option<Name>,
    /// Why it failed.
    pub problem: Option<Problem>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PairingSide {
    /// This hub asks the other.
    Asking,
    /// The other asks this hub.
    Asked,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PairingState {
    /// The code is to be typed on the hub that was asked.
    Code,
    /// The check number is to be typed on the hub that asks.
    Check,
    Paired,
    Failed,
}

/// A hub that this one has paired with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Peer {
    /// The Ed25519 public key, in hexadecimal.
    pub id: String,
    pub name: Name,
    pub online: bool,
    /// Whether its keyboards and network adapters may be attached here.
    pub trusted: bool,
    /// How it is reached now.
    pub path: Option<Path>,
    /// What it may do here.
    pub grants: Vec<Grant>,
    /// Grants in the database that cannot be read, and grant nothing.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unreadable: u32,
    /// A guest's end, RFC 3339: then it is no peer any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// Why it cannot be reached.
    pub error: Option<String>,
    /// Why it is relayed or out of reach, and what would help.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub why: Vec<Why>,
    /// Where people said that it is, as HOST:PORT.
    #[serde(default)]
    pub named: Vec<HostPort>,
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// A device, of this hub or of a peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Device {
    pub address: Address,
    pub hub: Name,
    /// Whether it is plugged in here.
    pub local: bool,
    pub id: DeviceId,
    pub name: Name,
    pub kind: Kind,
    pub shared: bool,
    pub simulated: bool,
    pub state: DeviceState,
    /// Why it cannot be used, and what to do.
    pub problem: Option<Text>,
}

/// A device of a peer that is to be used here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Attachment {
    pub address: Address,
    pub via: Via,
    pub state: AttachmentState,
    /// Since when it is in this state, RFC 3339.
    pub since: String,
    /// Where it is: `vhci port 0`, or the command that attaches it.
    pub place: Option<String>,
    /// Device nodes that the kernel's drivers made.
    pub nodes: Vec<String>,
    pub error: Option<Problem>,
    /// What its hub wants to be shown first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub factor: Option<Factor>,
    /// Of a machine: how long the last test of the way to stop it took; `None` when it is broken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_path_ms: Option<u32>,
}

/// By which door a device comes in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// The kernel's virtual host controller: a USB device, also for a serial port.
    Vhci,
    /// USB/IP on loopback TCP, for `usbip` and usbip-win2.
    Usbip,
    /// Serial ports only: what programs open or connect to, without a driver.
    Port(Doors),
}

/// Where a serial port is to be found by programs. None of them means a pseudo-terminal with a
/// name of our choice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Doors {
    /// A pseudo-terminal: the path of a symbolic link to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pty: Option<String>,
    /// Bytes as they are, as ADDRESS:PORT; also for LightBurn's GRBL over TCP (port 23).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub tcp: Option<SocketAddr>,
    /// Bytes, line coding and modem lines (RFC 2217), as ADDRESS:PORT.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub rfc2217: Option<SocketAddr>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AttachmentState {
    /// For the peer, for the device, or for another user to be done with it.
    Waiting,
    Connecting,
    Attached,
    /// Plugged in here, while its peer cannot be reached: it goes on when the peer is back, or is
    /// unplugged when that takes too long.
    Frozen,
}

/// What happened and why, and what to do next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    pub message: String,
    pub hint: Option<String>,
}

/// What goes through the devices in use, per second.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Rates {
    pub devices: Vec<Rate>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Rate {
    pub address: Address,
    pub side: Side,
    /// From the device.
    pub in_bytes_per_s: u64,
    /// To the device.
    pub out_bytes_per_s: u64,
    pub urbs_per_s: u64,
    /// Since the session began.
    pub errors: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Where the device is.
    Serve,
    /// Where it is used.
    Attach,
}

/// An invitation to pair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Invite {
    pub ticket: String,
    /// RFC 3339.
    pub expires: String,
    pub qr_svg: String,
}

/// The body of every answer that is not a success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Failure {
    pub error: FailureBody,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FailureBody {
    pub code: FailureCode,
    pub message: String,
    pub hint: Option<String>,
}

/// What kind of failure it is; the command line's exit status follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailureCode {
    BadRequest,
    NotFound,
    Refused,
    Conflict,
    Unreachable,
    TimedOut,
    /// The web UI asks for a login first.
    LoginNeeded,
    /// A grant asks for a PIN or a code first.
    CodeNeeded,
    /// Too many tries: wait.
    TooMany,
    Internal,
}
