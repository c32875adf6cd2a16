//! How a peer is reached, and why so.

use super::{Deserialize, Serialize, ToSchema};

/// How a peer is reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Path {
    pub kind: PathKind,
    pub remote: String,
    /// Round trip time in milliseconds.
    pub rtt_ms: f64,
    /// The address of this computer that it goes out from.
    #[serde(default)]
    pub local: Option<String>,
    /// Since when data goes this way, RFC 3339.
    #[serde(default)]
    pub since: Option<String>,
    /// The share of packets to the peer that were lost in the last seconds, from 0 to 1, at most;
    /// nothing where too few went.
    #[serde(default)]
    pub loss: Option<f64>,
    /// From the peer, on all paths, in the last second.
    #[serde(default)]
    pub in_bytes_per_s: u64,
    /// To the peer.
    #[serde(default)]
    pub out_bytes_per_s: u64,
}

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum PathKind {
    Lan,
    Direct,
    Relay,
}

/// How a peer can be reached, how it was tried, and what is known of why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PathReport {
    pub online: bool,
    /// RFC 3339.
    pub connected_since: Option<String>,
    /// Why the last try to reach it failed.
    #[serde(default)]
    pub error: Option<String>,
    /// The way that data takes now.
    #[serde(default)]
    pub path: Option<Path>,
    /// Every way that is open now.
    #[serde(default)]
    pub open: Vec<OpenPath>,
    /// How this hub dialled last. Nothing if the peer was always faster.
    #[serde(default)]
    pub race: Option<Race>,
    /// What happened to the paths lately, the latest last.
    #[serde(default)]
    pub events: Vec<PathEvent>,
    #[serde(default)]
    pub why: Vec<Why>,
}

/// A path of the connection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OpenPath {
    pub kind: PathKind,
    pub remote: String,
    #[serde(default)]
    pub local: Option<String>,
    pub rtt_ms: f64,
    /// Whether data goes this way now.
    pub selected: bool,
}

/// All addresses of a peer, dialled beside each other until one answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Race {
    /// When it began, RFC 3339.
    pub at: String,
    /// Until it was over, or until now.
    pub elapsed_ms: f64,
    pub over: bool,
    pub reason: Option<RaceReason>,
    /// In the order in which they were to start.
    pub candidates: Vec<Candidate>,
}

/// Why a race ended as it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RaceReason {
    /// The winner was the only one.
    Alone,
    /// It worked last time, went first, and answered before another one was started.
    WorkedLast,
    /// It is of the best kind, went first, and answered before another one was started.
    Preferred,
    /// All that were dialled before it had failed.
    OthersFailed,
    /// Several were under way, and it answered first.
    Fastest,
    /// The peer reached this hub meanwhile.
    PeerCame,
    /// The network of this computer changed, and another race was begun.
    NetworkChanged,
    /// Another address of the peer became known, and another race was begun.
    NewAddress,
    /// None answered.
    NoAnswer,
}

/// One address of a peer in a race.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Candidate {
    pub kind: PathKind,
    pub address: String,
    pub state: CandidateState,
    pub tries: u32,
    /// From its first try until it ended, or until now.
    pub elapsed_ms: f64,
    /// Where the connection went out from and to, when it worked.
    #[serde(default)]
    pub local: Option<String>,
    #[serde(default)]
    pub remote: Option<String>,
    #[serde(default)]
    pub error: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CandidateState {
    Pending,
    Running,
    Success,
    Failed,
    Cancelled,
}

/// A path opened, was chosen for the data, or closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PathEvent {
    /// RFC 3339.
    pub at: String,
    pub what: PathChange,
    pub kind: PathKind,
    pub remote: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PathChange {
    Opened,
    Selected,
    Closed,
}

/// A reason why a peer is reached as it is, or not at all, and what would help.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Why {
    pub code: WhyCode,
    pub message: String,
    pub hint: String,
    /// RFC 3339, where it happened at a time.
    #[serde(default)]
    pub at: Option<String>,
    /// How many addresses it is about.
    #[serde(default)]
    pub count: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhyCode {
    /// This computer has no network.
    NoNetwork,
    /// No address of the peer is known, or none of a kind that may be used.
    NoAddress,
    /// The peer ended the connection: it does not know this hub.
    NotAPeer,
    /// Nothing answered at any of the peer's addresses.
    NoAnswer,
    /// Relayed because the settings allow nothing else.
    OnlyRelay,
    /// Relayed: there is no direct address of the peer to try.
    NoDirectAddress,
    /// Relayed: there was a direct path, and it was lost.
    DirectLost,
    /// Relayed: direct addresses are known, and none answers.
    DirectSilent,
    /// Relayed: this hub could not find out its own public address.
    NoPublicAddress,
    /// Relayed: a relay that tells addresses over UDP answers over TCP only.
    UdpUnanswered,
}

/// What a path can do, as `farhub bench HUB` measures it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Measured {
    /// What was measured.
    pub what: Measure,
    /// The path that data took when it ended.
    pub path: Option<Path>,
    pub seconds: f64,
    /// Blocks of 64 bytes that went to the peer and back, or bytes that went one way.
    pub count: u64,
    /// Round trips in microseconds: the middle one, and the one that 99 of 100 stay below.
    #[serde(default)]
    pub p50_us: Option<f64>,
    #[serde(default)]
    pub p99_us: Option<f64>,
    #[serde(default)]
    pub bytes_per_s: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Round trips of 64 bytes.
    Echo,
    /// Bytes from the peer.
    Down,
    /// Bytes to the peer.
    Up,
}
