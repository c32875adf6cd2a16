//! What a printer is told. Whether it can is in its [`abilities`](crate::PrinterState::abilities).

use crate::Ability;
use serde::{Deserialize, Serialize};
use wire::Text;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[schema(as = PrinterCommand)]
pub enum Command {
    /// Prints a file that is on the printer. Never sent to one that is not free: some cancel what
    /// they are printing.
    Start(Box<Start>),
    Pause,
    Resume,
    /// Ends the print for good.
    Stop,
    Light {
        on: bool,
    },
    /// Of the speed that the file asks for. A printer with levels takes the nearest.
    Speed {
        percent: u16,
    },
    /// 0 switches off.
    Temperature {
        heater: Heater,
        target_c: u16,
    },
    /// Leaves out parts of the plate, by their ids.
    SkipObjects {
        ids: Vec<Text>,
    },
    /// One or more lines of G-code, as they are.
    Gcode {
        lines: String,
    },
    /// Acknowledges the last print or a fault.
    Clear,
}

/// A file on the printer, and how it is to be printed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = StartPrint)]
pub struct Start {
    /// As [`files`](crate::files) has it.
    pub path: String,
    /// Of a project with several plates; the first is 1.
    #[serde(default)]
    pub plate: Option<u16>,
    /// For each filament of the file the [`Slot::id`](crate::Slot::id) that feeds it. Empty: the
    /// printer's own choice, or its external spool.
    #[serde(default)]
    pub slots: Vec<u16>,
    /// Steps before the print that some printers know. `None` is the printer's own habit.
    #[serde(default)]
    pub level_bed: Option<bool>,
    #[serde(default)]
    pub calibrate_flow: Option<bool>,
    #[serde(default)]
    pub timelapse: Option<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Heater {
    /// The first is 0.
    Hotend(u8),
    Bed,
    Chamber,
}

impl Command {
    /// What a printer must be able to do for it.
    #[must_use]
    pub fn needs(&self) -> Ability {
        match self {
            Self::Start(_) => Ability::Start,
            Self::Pause => Ability::Pause,
            Self::Resume => Ability::Resume,
            Self::Stop => Ability::Stop,
            Self::Light { .. } => Ability::Light,
            Self::Speed { .. } => Ability::Speed,
            Self::Temperature { heater: Heater::Hotend(_), .. } => Ability::HotendTemperature,
            Self::Temperature { heater: Heater::Bed, .. } => Ability::BedTemperature,
            Self::Temperature { heater: Heater::Chamber, .. } => Ability::ChamberTemperature,
            Self::SkipObjects { .. } => Ability::SkipObjects,
            Self::Gcode { .. } => Ability::Gcode,
            Self::Clear => Ability::Clear,
        }
    }
}
