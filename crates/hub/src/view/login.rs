//! The login of the web UI, as the API shows it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Whether the web UI asks for a login, and whose session this is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Login {
    pub login: LoginState,
    /// The session that asks, once there is one.
    pub session: Option<WebSession>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LoginState {
    /// Nobody is asked: whoever gets here may do all.
    Off,
    Needed,
    Done,
}

/// A browser that has logged in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WebSession {
    pub id: String,
    pub account: String,
    /// From where it was begun.
    pub address: String,
    /// What the browser calls itself.
    pub agent: String,
    /// RFC 3339, as the next two.
    pub since: String,
    pub seen: String,
    /// When it ends if it is not used before.
    pub expires: String,
}

/// How the web UI is offered, and to whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WebStatus {
    pub url: String,
    /// The address and port that it listens on.
    pub listen: String,
    /// What it may be called in a browser, beside the address that it is reached by.
    pub hosts: Vec<String>,
    /// Whether a login is asked for here.
    pub login: bool,
    pub account: String,
    /// When the password was set, RFC 3339; `null` if there is none.
    pub password_set: Option<String>,
    pub tls: Option<WebTls>,
    /// How many are logged in.
    pub sessions: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WebTls {
    /// SHA-256 of the certificate, as browsers show it.
    pub fingerprint: String,
    /// Whether the hub made the certificate itself.
    pub self_signed: bool,
}

/// A new password for the web UI.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPassword {
    pub password: String,
}

impl std::fmt::Debug for NewPassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NewPassword(..)")
    }
}
