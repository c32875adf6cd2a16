//! Jobs: files that a machine runs from its own hub.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wire::Text;

/// A file for a machine, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Job {
    pub id: u32,
    pub name: Text,
    pub bytes: u64,
    /// Of the whole content, hexadecimal.
    pub sha256: String,
    /// How much of the content is there: an upload goes on from here.
    pub received_bytes: u64,
    pub state: JobState,
    /// Lines that the machine has taken.
    pub line: u64,
    #[serde(flatten)]
    pub found: JobFound,
    /// Seconds until it is done, by the estimate and what is done.
    pub left_s: Option<u32>,
    pub problem: Option<String>,
    /// Who uploaded it.
    pub by: Text,
    pub on_loss: OnLoss,
    /// RFC 3339.
    pub created: String,
    pub started: Option<String>,
    pub ended: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// The content is not whole yet.
    Uploading,
    /// It is whole, and is being looked at.
    Uploaded,
    /// It was looked at, and may run.
    Checked,
    /// Somebody has said that it may turn on the beam or the spindle. Goes back to `Checked` by
    /// itself after two minutes.
    Armed,
    Running,
    Held,
    Done,
    /// Somebody ended it.
    Aborted,
    /// It cannot run, or could not run to its end.
    Fault,
}

impl JobState {
    /// Whether the machine is its own.
    #[must_use]
    pub fn is_under_way(self) -> bool {
        matches!(self, Self::Running | Self::Held)
    }
}

/// What happens to a job when nobody watches it any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnLoss {
    /// It goes on: the machine is watched by somebody else, or needs nobody.
    #[default]
    Continue,
    /// It is held until somebody resumes it.
    Hold,
}

/// What a look at the whole file found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JobFound {
    pub lines: u64,
    /// The first hundred.
    pub findings: Vec<JobFinding>,
    pub estimate_s: Option<u32>,
    pub extent: Option<Extent>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobFinding {
    /// The first is 1.
    pub line: u64,
    pub severity: Severity,
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Note,
    Warning,
    /// The job does not run.
    Error,
}

/// Where the tool goes, in mm.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Extent {
    pub min: [f64; 3],
    pub max: [f64; 3],
}

/// A job that is to be uploaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewJob {
    pub name: Text,
    pub bytes: u64,
    /// Of the whole content, hexadecimal.
    pub sha256: String,
    #[serde(default)]
    pub on_loss: OnLoss,
}

/// What somebody does with a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobAct {
    Arm,
    Start,
    Hold,
    Resume,
    Abort,
}
