//! Grants, requests and second factors as the API shows and takes them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wire::{Address, Name, Pin, Refusal, Reply, Text};

fn is_false(value: &bool) -> bool {
    !value
}

/// What a peer may do with which devices.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// `*`, a device's name or id, `class:CLASS` or `VID:PID`.
    pub selector: String,
    #[serde(default)]
    pub role: Role,
    /// Hours of the week in which it holds, such as `Mon-Fri 08:00-18:00`; always, if there are
    /// none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<String>,
    /// The time zone of the hours, such as `Europe/Berlin`; that of the hub, if none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Seconds that a session may last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_s: Option<u32>,
    /// When it ends, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Whether a PIN is asked for.
    #[serde(default, skip_serializing_if = "is_false")]
    pub pin: bool,
    /// Whether the code of an authenticator app is asked for.
    #[serde(default, skip_serializing_if = "is_false")]
    pub totp: bool,
    /// Whether it answers a request.
    #[serde(default, skip_serializing_if = "is_false")]
    pub asked: bool,
    /// Whether it does not hold at present: outside of its hours, or over.
    #[serde(default, skip_serializing_if = "is_false")]
    pub closed: bool,
}

/// A grant to be given. It takes the place of one with the same selector, whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewGrant {
    /// `*`, a device's name or id, `class:CLASS` or `VID:PID`.
    pub selector: String,
    #[serde(default)]
    pub role: Role,
    /// Hours of the week in which it holds, such as `Mon-Fri 08:00-18:00`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<String>,
    /// The time zone of the hours, such as `Europe/Berlin`; that of the hub, if none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Seconds that a session may last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_s: Option<u32>,
    /// When it ends, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// A PIN that is to be asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<Pin>,
    /// Ask for the code of an authenticator app, whose secret the answer holds.
    #[serde(default, skip_serializing_if = "is_false")]
    pub totp: bool,
}

impl From<Grant> for NewGrant {
    /// As far as a grant shows what it is: never its secrets.
    fn from(grant: Grant) -> Self {
        let Grant { selector, role, windows, zone, limit_s, until, .. } = grant;
        Self { selector, role, windows, zone, limit_s, until, pin: None, totp: false }
    }
}

/// A grant that was given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Granted {
    pub peer: super::Peer,
    /// For the authenticator app; shown once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub totp: Option<Totp>,
}

/// The secret of an authenticator app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Totp {
    /// What an app reads: `otpauth://totp/...`
    pub uri: String,
    /// To type it by hand, base32.
    pub secret: String,
    pub qr_svg: String,
}

/// Each role includes those before it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// See that it is there, and ask for it.
    View,
    /// Attach it.
    #[default]
    Use,
    /// Also take it from whoever uses it, or hand it over to another.
    Control,
    /// Also share it, and change what the hub does with it.
    Admin,
}

/// What a grant asks for beside the peer's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Factor {
    Pin,
    /// Of an authenticator app.
    Code,
    PinAndCode,
}

impl Factor {
    pub(crate) fn of(refusal: Refusal) -> Option<Self> {
        match refusal {
            Refusal::NeedsPin => Some(Self::Pin),
            Refusal::NeedsCode => Some(Self::Code),
            Refusal::NeedsPinAndCode => Some(Self::PinAndCode),
            _ => None,
        }
    }
}

/// When it is the turn of a peer that asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Turn {
    #[default]
    WhenFree,
    /// Whoever uses the device loses it.
    AtOnce,
}

/// A peer asks for the use of a device of this hub.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Request {
    pub number: u32,
    pub peer: Name,
    pub address: Address,
    pub message: Text,
    /// Since when, RFC 3339.
    pub since: String,
    /// Who uses the device now.
    pub in_use: Option<Text>,
}

/// What this hub asked of a peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Asked {
    pub address: Address,
    pub message: Text,
    /// Since when, RFC 3339.
    pub since: String,
    /// `null` for as long as nobody has answered.
    pub reply: Option<Reply>,
    pub error: Option<super::Problem>,
}
