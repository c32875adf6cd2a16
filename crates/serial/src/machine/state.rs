//! What everybody may know of a machine.

use super::Error;
use crate::button::Contact;
use serde::{Deserialize, Serialize};
use wire::Text;
use wire::serial::{LineCoding, LineErrors, ModemLines, Profile, StopReport};

/// A machine now. What changes all the time, counters and times, is at most 0.2 s old.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = MachineState)]
pub struct State {
    pub port: Port,
    pub profile: Profile,
    /// What it says that it is.
    pub firmware: Option<gcode::detect::Firmware>,
    /// What it said last of where it is and what it does.
    pub status: Option<gcode::status::Status>,
    pub coding: LineCoding,
    pub lines: ModemLines,
    /// As far as can be told from what has been sent and heard; in doubt, it may.
    pub beam_may_be_on: bool,
    pub arming: Arming,
    /// Whether the interlock is open; `None` without one.
    pub interlock_open: Option<bool>,
    /// The stop buttons of its hub that stop it.
    pub buttons: Vec<Button>,
    /// It was stopped, and nobody has said that it may go on.
    pub stopped: Option<Stopped>,
    /// How often it was stopped.
    pub stops: u32,
    pub stop_path: Option<StopPath>,
    /// Who uses it.
    pub user: Option<Text>,
    /// Whether the user's program has the port open.
    pub program_open: bool,
    /// Whether the guard process lives; `None` where none is wanted.
    pub guarded: Option<bool>,
    pub counters: Counters,
}

/// A stop button of the hub, as its machines see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = MachineButton)]
pub struct Button {
    pub name: Text,
    pub contact: Contact,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = MachinePort)]
pub enum Port {
    Open,
    /// It is opened as soon as it can be.
    Closed {
        why: Text,
    },
}

/// Whether lines that could switch the beam on are let through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Arming {
    /// This machine's owner asks for no arming.
    Off,
    Safe,
    Armed {
        left_s: u32,
        by: Text,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Stopped {
    pub reason: Reason,
    /// What came of it, when the ladder is at its end.
    pub report: Option<StopReport>,
}

/// Why a machine was stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = StopReason)]
pub enum Reason {
    /// Somebody wanted it.
    Asked { by: Text },
    /// The beam or spindle may have been on, and who used the machine gave no more signs of life.
    ClientLost,
    /// The interlock has opened.
    Interlock,
    /// A stop button of its hub was pressed, or has opened.
    Button { button: Text },
    /// A stop button is gone: an interlock, or one that was relied on while the beam or spindle
    /// may have been on.
    ButtonLost { button: Text },
    /// The guard process has died, or has stopped the machine itself.
    GuardLost,
    /// Its job went wrong.
    JobFailed,
}

impl State {
    /// Whether its beam or spindle may be let on.
    ///
    /// # Errors
    /// [`Error::InterlockOpen`], [`Error::ButtonOpen`], [`Error::ButtonLost`]
    pub fn lets_arm(&self) -> Result<(), Error> {
        if self.interlock_open == Some(true) {
            return Err(Error::InterlockOpen);
        }
        self.buttons.iter().try_for_each(|button| button.contact.lets_go_on(&button.name))
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Asked { by } => write!(f, "asked for by {by}"),
            Self::ClientLost => f.write_str("who used it is gone while the beam may be on"),
            Self::Interlock => f.write_str("the interlock is open"),
            Self::Button { button } => write!(f, "the stop button {button}"),
            Self::ButtonLost { button } => write!(f, "the stop button {button} is gone"),
            Self::GuardLost => f.write_str("the guard process is gone"),
            Self::JobFailed => f.write_str("its job went wrong"),
        }
    }
}

/// The last proof that a stop would get through: a request that did nothing went all the way to
/// the thread that stops the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct StopPath {
    pub tests: u32,
    /// From the request until the thread had it, the last time.
    pub took_us: u32,
}

/// Since the machine was shared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = MachineCounters)]
pub struct Counters {
    pub received: u64,
    pub sent: u64,
    /// Lines that were not sent, for want of arming or after a stop.
    pub refused_lines: u64,
    /// Bytes of a program that were dropped by a stop.
    pub dropped: u64,
    pub errors: LineErrors,
}
