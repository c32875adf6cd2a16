//! What a machine says, line by line.
//!
//! Sources: GRBL 1.1 `doc/markdown/interface.md` (`<...>`, `[...]`, `ok`, `error:`, `ALARM:`),
//! grblHAL `report.c`, Marlin's `queue.cpp` (`ok`, `Resend:`, `ADVANCED_OK`), `motion.cpp` (M114),
//! `temperature.cpp` (M105).

mod grbl;
mod marlin;

use crate::profile::is_grbl;
use serde::{Deserialize, Serialize};
use wire::serial::Profile;

/// Axes that are read of a position; machines with more exist, and don't cut.
pub const AXES_MAX: usize = 6;

/// One line of a machine.
#[derive(Clone, Debug, PartialEq)]
pub enum Report {
    /// A line was taken.
    Ok(Ack),
    /// GRBL: a line was refused, which makes room like [`Report::Ok`]. Marlin says its `ok` too.
    Error {
        code: Option<u16>,
    },
    /// Motion was killed; position is likely lost.
    Alarm {
        code: Option<u16>,
    },
    Status(Box<Status>),
    /// GRBL's answer to `$G`.
    Modes(Modes),
    /// The firmware has started anew.
    Greeting,
    /// It does nothing more until it is reset or unlocked (Marlin's `kill()`, Smoothie's halt).
    Halted,
    /// Marlin: to be sent again, from this line on.
    Resend {
        line: u32,
    },
    /// Marlin: a long command is under way; it lives.
    Busy,
    Heat(Heat),
    /// `$130=200.000`.
    Setting {
        number: u16,
        value: f64,
    },
    /// Messages, and what we don't read.
    Other,
}

/// What Marlin adds to its `ok`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Ack {
    /// `ADVANCED_OK`: the line's number.
    pub line: Option<u32>,
    /// `ADVANCED_OK`: free planner blocks.
    pub blocks_free: Option<u16>,
    /// `ADVANCED_OK`: free lines of the command queue.
    pub lines_free: Option<u16>,
    /// The answer to `M105` comes in its `ok`.
    pub heat: Option<Heat>,
}

/// Temperatures in °C: actual, and wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Heat {
    pub hotend: f64,
    pub hotend_target: f64,
    pub bed: Option<f64>,
    pub bed_target: Option<f64>,
}

/// A status report; what it leaves out is as it was.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Status {
    pub state: State,
    /// `Hold:1`, `Door:2`.
    pub sub: Option<u8>,
    /// In mm, or in inches where `$13=1`: machine coordinates.
    pub machine: Option<Vec<f64>>,
    /// In the coordinates of the work.
    pub work: Option<Vec<f64>>,
    /// Machine coordinates of the work's origin.
    pub offset: Option<Vec<f64>>,
    pub free: Option<Free>,
    /// The line's `N` number.
    pub line: Option<u32>,
    /// In units a minute, now.
    pub feed: Option<f64>,
    /// Turns a minute, or the laser's power, as set now.
    pub spindle: Option<f64>,
    /// Which inputs are active: `X`, `Y`, `Z` limits, `P` probe, `D` door, `H` hold, `R` reset.
    pub pins: Option<wire::Text>,
    pub overrides: Option<Overrides>,
    /// What is switched on. GRBL tells it with the overrides, every tenth time or so.
    pub accessories: Option<Accessories>,
}

impl Status {
    /// A machine tells one of the two places; the other follows from the offset, once that is
    /// known.
    pub fn complete(&mut self) {
        let Some(offset) = &self.offset else { return };
        let sum = |from: &[f64], sign: f64| {
            from.iter().zip(offset).map(|(at, by)| at + sign * by).collect::<Vec<_>>()
        };
        match (&self.machine, &self.work) {
            (Some(machine), None) => self.work = Some(sum(machine, -1.0)),
            (None, Some(work)) => self.machine = Some(sum(work, 1.0)),
            (Some(_), Some(_)) | (None, None) => {}
        }
    }
}

/// What a machine is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    #[default]
    Unknown,
    Idle,
    Run,
    Hold,
    Jog,
    Home,
    Alarm,
    Check,
    Door,
    Sleep,
    /// grblHAL waits for a tool change.
    Tool,
}

/// Room in the controller (`Bf:`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Free {
    pub blocks: u16,
    pub bytes: u16,
}

/// In percent (`Ov:`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Overrides {
    pub feed: u16,
    pub rapid: u16,
    pub spindle: u16,
}

/// What is switched on (`A:`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Accessories {
    /// `M3` or `M4`.
    pub spindle: bool,
    pub flood: bool,
    pub mist: bool,
}

/// What of `[GC:G0 G54 ... M5 M9 T0 F0 S0]` tells of the beam or spindle.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Modes {
    /// `M3` or `M4`.
    pub spindle: bool,
    pub power: f64,
    pub feed: f64,
}

impl Report {
    /// Reads a line, without its end.
    #[must_use]
    pub fn read(line: &[u8], profile: Profile) -> Self {
        let line = String::from_utf8_lossy(line);
        let line = line.trim();
        match profile {
            Profile::Raw => Self::Other,
            Profile::Marlin => marlin::read(line),
            // Speaks GRBL's language or Marlin's, as it is set, and both where it can.
            Profile::Smoothie => match grbl::read(line) {
                Self::Other => marlin::read(line),
                report => report,
            },
            Profile::Grbl | Profile::GrblHal | Profile::FluidNc => grbl::read(line),
        }
    }

    /// Whether it makes room for one line in the controller.
    #[must_use]
    pub const fn frees_a_line(&self, profile: Profile) -> bool {
        match self {
            Self::Ok(_) => true,
            Self::Error { .. } => is_grbl(profile),
            _ => false,
        }
    }
}

impl Status {
    /// Whether nothing moves, and nothing will by itself. `Hold:1` and `Door:2` still slow down.
    #[must_use]
    pub const fn at_rest(&self) -> bool {
        match self.state {
            State::Idle | State::Alarm | State::Check | State::Sleep | State::Tool => true,
            State::Hold => matches!(self.sub, Some(0)),
            State::Door => matches!(self.sub, Some(0 | 1)),
            State::Unknown | State::Run | State::Jog | State::Home => false,
        }
    }

    /// Whether beam or spindle is on, where this report says anything about it. In `Door:0` and
    /// `Door:1` GRBL has switched it off; `Door:3` switches it on again.
    #[must_use]
    pub fn spindle_on(&self) -> Option<bool> {
        if self.state == State::Door && self.at_rest() || self.state == State::Sleep {
            return Some(false);
        }
        match (self.spindle, self.accessories) {
            (Some(power), _) if power > 0.0 => Some(true),
            (_, Some(accessories)) => Some(accessories.spindle),
            (Some(_), None) => Some(false),
            (None, None) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_a_report(line in prop::collection::vec(any::<u8>(), 0..200)) {
            for profile in [Profile::Raw, Profile::Grbl, Profile::Smoothie, Profile::Marlin] {
                let _ = Report::read(&line, profile);
            }
        }

        #[test]
        fn any_report_text_is_a_report(line in "[<\\[]?[A-Za-z:|,.0-9 $=-]{0,80}[>\\]]?") {
            for profile in [Profile::Grbl, Profile::Smoothie, Profile::Marlin] {
                let _ = Report::read(line.as_bytes(), profile);
            }
        }
    }
}
