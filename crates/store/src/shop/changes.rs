//! What has changed, told to everybody who wants to know: other tasks of this hub, other hubs.
//!
//! On PostgreSQL by `NOTIFY` within the transaction that changes it, so that it is heard after
//! the commit and only then. The payload is a word and an id, not the row: whoever cares reads
//! it. A listener is a connection that may break; what was told meanwhile is gone, and is said
//! to be ([`Change::Lost`]).

use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use std::time::Duration;
use tokio::sync::broadcast;
use tokio::time::{sleep, timeout};

/// Something is no longer as it was: its kind and its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    Printer(String),
    Job(String),
    File(String),
    Queue(String),
    Channel(String),
    Folder(String),
    /// Of a printer.
    Lease(String),
    /// The connection to the database was away, or a great many things have changed at once: look
    /// at everything.
    Lost,
}

impl Change {
    pub(super) fn payload(&self) -> String {
        let (kind, id) = match self {
            Self::Printer(id) => ("printer", id),
            Self::Job(id) => ("job", id),
            Self::File(id) => ("file", id),
            Self::Queue(id) => ("queue", id),
            Self::Channel(id) => ("channel", id),
            Self::Folder(id) => ("folder", id),
            Self::Lease(id) => ("lease", id),
            Self::Lost => return LOST.to_owned(),
        };
        let whole = id.len() <= ID_BYTES_MAX && !id.contains('\0');
        if whole { format!("{kind}:{id}") } else { LOST.to_owned() }
    }

    /// None for what a newer hub says.
    fn heard(payload: &str) -> Option<Self> {
        if payload == LOST {
            return Some(Self::Lost);
        }
        let (kind, id) = payload.split_once(':')?;
        let id = id.to_owned();
        Some(match kind {
            "printer" => Self::Printer(id),
            "job" => Self::Job(id),
            "file" => Self::File(id),
            "queue" => Self::Queue(id),
            "channel" => Self::Channel(id),
            "folder" => Self::Folder(id),
            "lease" => Self::Lease(id),
            _ => return None,
        })
    }
}

/// A connection that listens.
pub(super) struct Ear(PgListener);

impl Ear {
    /// # Errors
    /// When the server cannot be reached.
    pub(super) async fn open(options: PgConnectOptions) -> Result<Self, sqlx::Error> {
        // of its own, so that it takes no place among those that are asked
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(ANSWER_LIMIT)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(options)
            .await?;
        let mut listener = PgListener::connect_with(&pool).await?;
        listener.ignore_pool_close_event(true);
        listener.eager_reconnect(false);
        listener.listen(CHANNEL).await?;
        Ok(Self(listener))
    }

    /// The next thing that is heard; None when the connection is gone.
    async fn next(&mut self) -> Option<String> {
        loop {
            match timeout(SILENCE, self.0.try_recv()).await {
                Ok(Ok(heard)) => return heard.map(|heard| heard.payload().to_owned()),
                Ok(Err(error)) => {
                    tracing::debug!("the shop's listener: {error}");
                    return None;
                }
                // a server whose cable was pulled never says that it is gone
                Err(_) => {
                    let ask = sqlx::query("SELECT 1").execute(&mut self.0);
                    timeout(ANSWER_LIMIT, ask).await.ok()?.ok()?;
                }
            }
        }
    }
}

/// Tells what is heard until it is aborted, over as many connections as it takes.
pub(super) async fn listen(
    mut ear: Ear,
    options: PgConnectOptions,
    told: broadcast::Sender<Change>,
) {
    loop {
        while let Some(payload) = ear.next().await {
            match Change::heard(&payload) {
                // nobody listening is no error
                Some(change) => drop(told.send(change)),
                None => tracing::debug!("the shop says {payload:?}, which we do not know"),
            }
        }
        drop(ear);
        let mut pause = AGAIN_MIN;
        ear = loop {
            match Ear::open(options.clone()).await {
                Ok(ear) => break ear,
                Err(error) => tracing::debug!("the shop's database is away: {error}"),
            }
            sleep(pause).await;
            pause = (pause * 2).min(AGAIN_MAX);
        };
        drop(told.send(Change::Lost));
    }
}

/// The channel of `NOTIFY`.
pub(super) const CHANNEL: &str = "farhub_shop";
const LOST: &str = "lost";
/// A payload has less than 8000 bytes (PostgreSQL, NOTIFY).
const ID_BYTES_MAX: usize = 7900;
/// After so long without a word the server is asked whether it is there.
const SILENCE: Duration = Duration::from_secs(30);
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
const AGAIN_MIN: Duration = Duration::from_millis(100);
const AGAIN_MAX: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_what_is_heard() {
        let id = || "a:b".to_owned();
        let all = [
            Change::Printer(id()),
            Change::Job(id()),
            Change::File(id()),
            Change::Queue(id()),
            Change::Channel(id()),
            Change::Folder(id()),
            Change::Lease(id()),
            Change::Lost,
        ];
        for change in all {
            assert_eq!(Change::heard(&change.payload()), Some(change));
        }
        assert_eq!(Change::heard("spool:1"), None);
        assert_eq!(Change::heard(""), None);
        assert_eq!(Change::Job("x".repeat(9000)).payload(), "lost");
    }
}
