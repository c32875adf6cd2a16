//! The history of prints.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// One print of one printer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = PrintJob)]
pub struct Job {
    pub id: String,
    pub printer_id: String,
    /// What the printer was called then.
    pub printer: String,
    pub name: String,
    /// `preparing`, `printing`, `paused`, `finished`, `cancelled`, `failed`, `unknown`.
    pub state: String,
    /// Why it failed or was cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Microseconds since 1970, UTC, as the others.
    pub started_us: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_us: Option<i64>,
    /// Without pauses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub printed_s: Option<i64>,
    pub paused_s: i64,
    pub progress_permille: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layer: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layers: Option<i64>,
    /// Length of filament, in micrometres.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filament_um: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filament_mg: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimate_s: Option<i64>,
    /// How the end is known: `seen`, `history` (the printer's own), `assumed`; empty while it is
    /// under way.
    pub known_by: String,
    /// Who started it here; empty when it was started elsewhere.
    pub made_by: String,
    pub note: String,
    /// The content that was printed, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
}

impl From<store::shop::Job> for Job {
    fn from(job: store::shop::Job) -> Self {
        Self {
            id: job.id,
            printer_id: job.printer_id,
            printer: job.printer_name,
            name: job.name,
            state: job.state,
            reason: job.reason,
            started_us: job.started_us,
            ended_us: job.ended_us,
            printed_s: job.printed_s,
            paused_s: job.paused_s,
            progress_permille: job.progress_permille,
            layer: job.layer,
            layers: job.layers,
            filament_um: job.filament_um,
            filament_mg: job.filament_mg,
            estimate_s: job.estimate_s,
            known_by: job.known_by,
            made_by: job.made_by,
            note: job.note,
            hash: job.hash,
        }
    }
}

/// Something that happened in a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = PrintJobEvent)]
pub struct JobEvent {
    pub time_us: i64,
    /// `started`, `printing`, `paused`, `resumed`, `finished`, `cancelled`, `failed`, `unknown`.
    pub what: String,
    pub detail: String,
}

/// A job with what happened in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = PrintJobDetails)]
pub struct JobDetails {
    #[serde(flatten)]
    pub job: Job,
    pub events: Vec<JobEvent>,
}

/// Part of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = PrintJobPage)]
pub struct JobPage {
    pub jobs: Vec<Job>,
    /// Of all that fit.
    pub total: i64,
    /// How many there are in each state.
    pub counts: BTreeMap<String, i64>,
    /// Gives the next part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Which jobs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobFilter {
    pub printers: Vec<String>,
    pub states: Vec<String>,
    pub search: String,
    pub from_us: Option<i64>,
    pub to_us: Option<i64>,
    pub after: Option<String>,
    pub limit: Option<u32>,
}
