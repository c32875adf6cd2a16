//! Jobs that wait for a printer.

use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A job that waits for a printer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QueueItem {
    pub id: String,
    pub hash: String,
    pub file_name: String,
    pub title: String,
    pub targets: Targets,
    pub needs: Needs,
    pub options: printer::Start,
    pub copies: i64,
    /// How many of them are finished.
    pub done: i64,
    /// The higher, the sooner.
    pub priority: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_us: Option<i64>,
    /// Waits until somebody lets it go.
    pub held: bool,
    /// `waiting`, `done`, `cancelled`.
    pub state: String,
    pub note: String,
    pub made_by: String,
    pub created_us: i64,
    pub runs: Vec<QueueRun>,
    /// Why it does not begin, for each printer that it could go to.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub waits: BTreeMap<String, String>,
}

/// Which printers may take it. Nothing said: any.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = QueueTargets)]
pub struct Targets {
    pub printers: Vec<String>,
    pub tags: Vec<String>,
}

/// What a printer must have. Nothing said: what the file says, as far as it does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = QueueNeeds)]
pub struct Needs {
    pub model: Option<String>,
    pub material: Option<String>,
    /// `#rrggbb`
    pub color: Option<String>,
    pub nozzle_um: Option<u32>,
}

/// One copy of it, at one printer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QueueRun {
    pub printer_id: String,
    /// `claimed`, `uploading`, `starting`, `printing`, `finished`, `cancelled`, `failed`.
    pub state: String,
    pub job_id: Option<String>,
    pub problem: Option<String>,
    pub updated_us: i64,
}

/// A job for the queue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewQueueItem {
    /// A file whose content is here.
    pub file_id: String,
    #[serde(default)]
    pub title: Option<String>,
    #[serde(default)]
    pub targets: Targets,
    #[serde(default)]
    pub needs: Needs,
    #[serde(default)]
    pub options: Option<printer::Start>,
    /// 1 when nothing is said.
    #[serde(default)]
    pub copies: Option<i64>,
    #[serde(default)]
    pub priority: i64,
    #[serde(default)]
    pub due_us: Option<i64>,
    #[serde(default)]
    pub held: bool,
    #[serde(default)]
    pub note: String,
}

/// What is to be different; what is not named stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct QueueChange {
    pub title: Option<String>,
    pub targets: Option<Targets>,
    pub needs: Option<Needs>,
    pub copies: Option<i64>,
    pub priority: Option<i64>,
    /// `null` takes the due date away.
    #[serde(deserialize_with = "said", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>)]
    pub due_us: Option<Option<i64>>,
    pub held: Option<bool>,
    /// Before which other item it stands.
    pub before: Option<String>,
    pub note: Option<String>,
}

/// What is named, also when it is named as nothing.
fn said<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}
