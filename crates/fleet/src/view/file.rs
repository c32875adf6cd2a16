//! Files, and what they say of themselves.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A file: on a printer, in the library, or in a folder that is watched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ShopFile)]
pub struct File {
    pub id: String,
    /// `library`, the id of a printer, or `folder:ID`.
    pub place: String,
    pub path: String,
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed_us: Option<i64>,
    /// SHA-256 of its content, when it is here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// `available` (on its printer only), `downloading`, `downloaded`, `local`, `error`.
    pub state: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    pub note: String,
    pub tags: Vec<String>,
    /// What its content says of itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meta: Option<Meta>,
    pub created_us: i64,
}

/// What a sliced file says of itself. What it does not say is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = FileMeta)]
pub struct Meta {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slicer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimate_s: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layers: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layer_height_um: Option<u32>,
    /// Of each filament.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub materials: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub filament_um: Vec<i64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub filament_mg: Vec<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub printer_model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nozzle_um: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub plates: Vec<u16>,
}

/// Part of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ShopFilePage)]
pub struct FilePage {
    pub files: Vec<File>,
    pub total: i64,
}

/// A folder of this computer whose files are in the library.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = WatchFolder)]
pub struct Folder {
    pub id: String,
    pub path: String,
    pub recursive: bool,
    pub enabled: bool,
    /// Why it cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}
