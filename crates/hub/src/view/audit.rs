//! The audit log as the API shows it.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use wire::Name;

/// Which entries are wanted: all that is said must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
pub struct AuditQuery {
    /// Who did it: `local`, a peer's name, or a key.
    pub who: Option<String>,
    /// What: `session.start`, or `session` for all that begins so.
    pub action: Option<String>,
    /// To which device: its name, address or id.
    pub device: Option<String>,
    /// Not before this time, RFC 3339.
    pub since: Option<String>,
    /// Only entries before this number, to page back.
    pub before: Option<i64>,
    /// Entries at most: 100 if nothing is said, never more than 1000.
    pub limit: Option<u32>,
}

/// The newest entries that were asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditPage {
    /// Newest first.
    pub entries: Vec<AuditEntry>,
    /// Whether there are older ones: ask again with `before` as the last one's number.
    pub more: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditEntry {
    /// 1 for the first, and no number is left out.
    pub seq: i64,
    /// RFC 3339.
    pub time: String,
    /// `local`, `kernel`, or a key.
    pub actor: String,
    /// What the peer with this key is called here now.
    pub name: Option<Name>,
    pub action: String,
    pub detail: String,
    /// Covers this entry and the hash of the one before, in hexadecimal.
    pub hash: String,
}

/// What a look at the whole log found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditCheck {
    /// Entries from the first on that are as they were written.
    pub entries: i64,
    /// The hash of the last of them. Noted elsewhere, it shows later whether anything before it
    /// was changed, or the end was cut off.
    pub hash: String,
    /// The first entry that is not as it was written.
    pub broken: Option<AuditBroken>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditBroken {
    pub seq: i64,
    pub how: AuditFault,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuditFault {
    /// It is not there, but later ones are.
    Missing,
    /// Its words are not those that its hash was made of.
    Changed,
}
