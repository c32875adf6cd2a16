//! Serial machines: what their owners say of them, and what came of a stop.

use super::{Job, Role};
pub use gcode::panel::Act;
use serde::{Deserialize, Serialize};
pub use serial::button::Contact;
pub use serial::machine::{Interlock, State};
pub use serial::tty::Lines as OnOpen;
use utoipa::ToSchema;
use wire::serial::{LineCoding, Profile, StopReport};
use wire::{Address, Name, Text};

/// A machine of the hub that was asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Machine {
    pub address: Address,
    pub simulated: bool,
    /// What whoever asks may do with it.
    pub role: Role,
    pub settings: MachineSettings,
    pub state: State,
    /// What it runs, or else what it is to run next.
    pub job: Option<Job>,
}

/// What the owner of a machine says of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MachineSettings {
    /// What speaks at the port. `None`: found out from what it says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,
    /// What the port is set to until a program says otherwise.
    pub coding: LineCoding,
    /// What opening the port does to DTR and RTS: many boards reset when DTR changes.
    pub on_open: OnOpen,
    /// Whether lines that could turn on the beam or the spindle are refused until somebody arms
    /// the machine.
    pub arming: bool,
    /// For how long whoever uses the machine may be silent while the beam or the spindle may be
    /// on, before the machine is stopped.
    pub deadman_ms: u32,
    /// A line into the port that must be high: when it falls the machine is stopped, and while it
    /// is low it cannot be armed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interlock: Option<Interlock>,
    /// What to send to stop a machine of the profile `raw`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_text: Option<String>,
}

impl Default for MachineSettings {
    fn default() -> Self {
        Self {
            profile: None,
            coding: LineCoding::default(),
            on_open: OnOpen::Keep,
            arming: false,
            deadman_ms: 500,
            interlock: None,
            stop_text: None,
        }
    }
}

/// A button or a switch at the hub that stops machines without a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StopButton {
    pub name: Text,
    /// What it stops; `None`: every machine of its hub.
    pub machines: Option<Vec<Name>>,
    pub contact: Contact,
    /// Those of `machines` that no device of the hub is called.
    pub unknown: Vec<Name>,
}

/// A machine that was to be stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Stopped {
    pub address: Address,
    /// What the hub of the machine did; `None` when it could not be asked.
    pub report: Option<StopReport>,
    /// From the request here until the answer that the first stop byte had left.
    pub left_ms: Option<u32>,
    pub error: Option<super::Problem>,
}
