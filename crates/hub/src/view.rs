//! What a hub shows of itself: the JSON of the API, of `--json` and of the web UI.
//!
//! These types are the API's contract; `wire` has what goes between hubs.

mod login;

pub use login::{Login, LoginState, NewPassword, WebSession, WebStatus, WebTls};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wire::device::{Kind, State as DeviceState};
use wire::{Address, DeviceId, Name, Text};

/// Everything that there is to see.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct State {
    pub hub: Hub,
    pub peers: Vec<Peer>,
    pub devices: Vec<Device>,
    pub attachments: Vec<Attachment>,
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
    /// Why it cannot be reached.
    pub error: Option<String>,
}

/// How a peer is reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Path {
    pub kind: PathKind,
    pub remote: String,
    /// Round trip time in milliseconds.
    pub rtt_ms: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PathKind {
    Lan,
    Direct,
    Relay,
}

/// What a peer may do with which devices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// `*`, a device's name or id, `class:CLASS` or `VID:PID`.
    pub selector: String,
    #[serde(default)]
    pub role: Role,
}

/// Each role includes those before it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// See that it is there.
    View,
    /// Attach it.
    #[default]
    Use,
    /// Also steer what can be steered, such as a machine; for USB devices the same as `use`.
    Control,
    /// Also share it, and change what the hub does with it.
    Admin,
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
}

/// By which door a device comes in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// The kernel's virtual host controller.
    #[default]
    Vhci,
    /// USB/IP on loopback TCP, for `usbip` and usbip-win2.
    Usbip,
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

/// How a peer can be reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PathReport {
    pub online: bool,
    /// RFC 3339.
    pub connected_since: Option<String>,
    /// Why the last try to reach it failed.
    #[serde(default)]
    pub error: Option<String>,
    pub candidates: Vec<Candidate>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Candidate {
    pub kind: PathKind,
    pub remote: String,
    pub rtt_ms: f64,
    /// Whether data goes this way now.
    pub selected: bool,
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
    /// Too many tries: wait.
    TooMany,
    Internal,
}
