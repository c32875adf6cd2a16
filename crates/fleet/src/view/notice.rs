//! What people are told, and where.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What people are told, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = NoticeChannel)]
pub struct Channel {
    pub id: String,
    pub name: String,
    pub kind: ChannelKind,
    pub events: Vec<Notice>,
    pub enabled: bool,
    /// Where it goes, without what is secret in it.
    pub shown: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_us: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_problem: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = NoticeChannelKind)]
pub enum ChannelKind {
    Webhook,
    Email,
    Ntfy,
}

/// What can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = NoticeEvent)]
pub enum Notice {
    JobStarted,
    JobFinished,
    JobFailed,
    JobCancelled,
    JobPaused,
    PrinterOffline,
    PrinterOnline,
    PrinterFault,
    QueueStuck,
}

/// A way to tell people.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewNoticeChannel)]
pub struct NewChannel {
    pub name: String,
    pub events: Vec<Notice>,
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Stays as it is when nothing is said.
    #[serde(default)]
    pub way: Option<Way>,
}

fn yes() -> bool {
    true
}

/// Where a notice goes. Holds secrets: it is taken, and never shown.
#[derive(Clone, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[schema(as = NoticeWay)]
pub enum Way {
    Webhook {
        url: String,
        /// Signs the body: HMAC-SHA-256 in `X-Farhub-Signature`.
        #[serde(default)]
        secret: String,
    },
    Email {
        host: String,
        port: u16,
        /// `tls`, `starttls` or `none`.
        security: String,
        #[serde(default)]
        user: String,
        #[serde(default)]
        password: String,
        from: String,
        to: String,
    },
    Ntfy {
        server: String,
        topic: String,
        #[serde(default)]
        token: String,
    },
}

impl std::fmt::Debug for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Webhook { .. } => "a webhook",
            Self::Email { .. } => "an e-mail account",
            Self::Ntfy { .. } => "an ntfy topic",
        })
    }
}
