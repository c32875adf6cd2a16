//! What a printer is doing, in one shape for all protocols.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;
use wire::Text;

/// Everything that is known of a printer while it is connected. What it did not say is `None` or
/// empty; nothing is guessed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PrinterState {
    pub phase: Phase,
    /// What it is printing, or printed last, for as long as it says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<Running>,
    pub temperatures: Temperatures,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub fans: Vec<Fan>,
    /// Of the speed that the file asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speed_percent: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub light_on: Option<bool>,
    #[serde(skip_serializing_if = "<[Slot]>::is_empty", default)]
    #[schema(value_type = Vec<Slot>)]
    pub slots: Arc<[Slot]>,
    /// What is wrong now, the worst first.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub faults: Vec<Fault>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub camera: Option<Camera>,
    pub abilities: BTreeSet<Ability>,
    /// Why it takes no commands at present, and what to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_only: Option<Text>,
    pub identity: Identity,
    /// How well it receives its wireless network, in dBm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wifi_dbm: Option<i16>,
    /// Whether its storage (SD card, USB drive) is there and fit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_ready: Option<bool>,
}

#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Connected, but it has not said yet; or its word is not known.
    #[default]
    Unknown,
    /// Nothing is printing, and nothing is left to be acknowledged.
    Idle,
    /// It heats, levels or loads for a print that is not laying down plastic yet.
    Preparing,
    Printing,
    Paused,
    /// The last print is complete and still shown.
    Finished,
    /// The last print was stopped by somebody and is still shown.
    Stopped,
    /// The last print failed by itself and is still shown.
    Failed,
    /// It moves, calibrates or updates: not a print, but nothing may be started.
    Busy,
    /// It needs somebody at its panel.
    Attention,
    /// It is in an error that outlives prints, or its firmware is halted.
    Error,
}

impl Phase {
    /// Whether a print is under way.
    #[must_use]
    pub fn is_active(self) -> bool {
        match self {
            Self::Preparing | Self::Printing | Self::Paused => true,
            Self::Unknown
            | Self::Idle
            | Self::Finished
            | Self::Stopped
            | Self::Failed
            | Self::Busy
            | Self::Attention
            | Self::Error => false,
        }
    }

    /// Whether a print could be started, as far as the printer is concerned.
    #[must_use]
    pub fn is_free(self) -> bool {
        match self {
            Self::Idle | Self::Finished | Self::Stopped | Self::Failed => true,
            Self::Unknown
            | Self::Preparing
            | Self::Printing
            | Self::Paused
            | Self::Busy
            | Self::Attention
            | Self::Error => false,
        }
    }
}

/// A print as its printer tells of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Running {
    /// What the printer itself calls this one print: two prints of one file differ. `None` where
    /// the protocol has no such thing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Text>,
    /// As people know it.
    pub name: Text,
    /// Where its file lies on the printer, as [`files`](crate::files) has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Microseconds since 1970, by the printer's own clock, where it tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_us: Option<i64>,
    /// 0 to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress_percent: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub elapsed_s: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remaining_s: Option<u32>,
    /// The first is 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layer: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layers: Option<u32>,
    /// What it does in detail, such as "bed levelling".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<Text>,
    /// What it has used so far, in millimetres of filament.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filament_mm: Option<f64>,
    /// Parts of the plate that can be skipped.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub objects: Vec<Object>,
}

/// A part on the plate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = PlateObject)]
pub struct Object {
    pub id: Text,
    pub name: Text,
    pub skipped: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Temperatures {
    /// One for each hotend, the first is the main one.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub hotends: Vec<Temperature>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bed: Option<Temperature>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chamber: Option<Temperature>,
}

/// In degrees Celsius, to a tenth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Temperature {
    pub now_c: f32,
    /// 0 is off; `None` where it cannot be set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_c: Option<f32>,
}

impl Temperature {
    /// Of what a printer says, which may be no number at all. `None` for what no printer has.
    #[must_use]
    pub fn checked(now_c: f64, target_c: Option<f64>) -> Option<Self> {
        let fit = |c: f64| (-273.0..=1000.0).contains(&c).then(|| tenths(c));
        Some(Self { now_c: fit(now_c)?, target_c: target_c.and_then(fit) })
    }
}

fn tenths(value: f64) -> f32 {
    #[expect(clippy::cast_possible_truncation, reason = "a tenth of a degree of at most 1000")]
    let short = ((value * 10.0).round() / 10.0) as f32;
    short
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Fan {
    /// `part`, `hotend`, `auxiliary`, `chamber`, or the printer's own word.
    pub name: Text,
    pub percent: u8,
}

/// A place for filament: of an AMS, an MMU, a tool, or the one spool of a printer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Slot {
    /// The printer's own number: for a Bambu AMS `4 * unit + tray`, 254 is the external spool.
    pub id: u16,
    /// As people call it: `A1`, `external`.
    pub name: Text,
    /// `PLA`, `PETG`, …; `None` is empty or unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub material: Option<Text>,
    /// What is written on the spool, such as "PLA Matte".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product: Option<Text>,
    /// `#rrggbb`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub color: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remaining_percent: Option<u8>,
    /// What its radio tag says it is: the same spool has the same, in any slot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<Text>,
    /// Whether it feeds the hotend now.
    pub active: bool,
}

/// Something that is wrong, in the printer's code and in plain words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = PrinterFault)]
pub struct Fault {
    pub severity: Severity,
    /// As the printer's maker writes it, `0300_400C`; empty where there is none.
    pub code: Text,
    pub text: Text,
}

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[schema(as = FaultSeverity)]
pub enum Severity {
    Fatal,
    Serious,
    Common,
    Info,
}

/// Where its camera is, for the cameras' own source: `bambu://…`, `rtsps://…`, `http://…`. Never
/// with a secret in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = PrinterCamera)]
pub struct Camera {
    pub source: String,
    /// Why it shows nothing at present, and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<Text>,
}

/// What a printer can be asked to do.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Ability {
    Start,
    Pause,
    Resume,
    Stop,
    Light,
    Speed,
    HotendTemperature,
    BedTemperature,
    ChamberTemperature,
    SkipObjects,
    Gcode,
    ListFiles,
    Download,
    Upload,
    Delete,
    /// Acknowledge what is shown of the last print, or a fault.
    Clear,
}

/// What it is, as it says itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = PrinterIdentity)]
pub struct Identity {
    /// As its maker calls it: `A1 mini`, `CORE One`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<Text>,
    /// What its owner called it at its own panel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial_number: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub firmware: Option<Text>,
    /// The bores of its hotends, in micrometres: 400 is the common one.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub nozzles_um: Vec<u32>,
}
