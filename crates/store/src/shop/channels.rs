//! Notification channels: who is told of what. Their settings hold passwords and tokens.

use crate::shop::changes::Change;
use crate::shop::db::{args, upsert};
use crate::{Error, Shop, name_taken};
use sqlx::FromRow;

#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Channel {
    pub id: String,
    /// Unique.
    pub name: String,
    pub kind: String,
    /// A JSON array of what it is told.
    pub events: String,
    pub enabled: bool,
    /// When it was last told something, and what went wrong if anything did.
    pub last_us: Option<i64>,
    pub last_problem: Option<String>,
    /// Microseconds since 1970, UTC.
    pub created_us: i64,
}

impl Shop {
    /// By name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn channels(&self) -> Result<Vec<Channel>, Error> {
        self.db.rows(format!("SELECT {COLUMNS} FROM channels ORDER BY name"), vec![]).await
    }

    /// # Errors
    /// When the database fails.
    pub async fn channel(&self, id: &str) -> Result<Option<Channel>, Error> {
        let sql = format!("SELECT {COLUMNS} FROM channels WHERE id = $1");
        self.db.row(sql, args![id]).await
    }

    /// A channel as it is to be, new or not. Without `settings` it keeps those that it has, and
    /// always what [`Self::channel_told`] has written.
    ///
    /// # Errors
    /// [`Error::NameTaken`], or when the database fails.
    pub async fn put_channel(
        &self,
        channel: &Channel,
        settings: Option<&str>,
    ) -> Result<(), Error> {
        let mut work = self.begin().await?;
        let Channel { id, name, .. } = channel;
        let args = args![
            id,
            name,
            &channel.kind,
            &channel.events,
            channel.enabled,
            channel.last_us,
            &channel.last_problem,
            channel.created_us,
        ];
        let kept = ["last_us", "last_problem", "created_us"];
        let sql = upsert("channels", COLUMNS, "id", &kept);
        work.execute(sql, args).await.map_err(name_taken(name))?;
        if let Some(settings) = settings {
            let sealed = self.key.seal(settings, &place(id))?;
            let sql = "UPDATE channels SET settings = $2 WHERE id = $1";
            work.execute(sql, args![id, Some(sealed)]).await?;
        }
        work.tell(Change::Channel(id.clone()));
        work.commit().await
    }

    /// # Errors
    /// [`Error::Sealed`] when this key does not open them, or when the database fails.
    pub async fn channel_settings(&self, id: &str) -> Result<Option<String>, Error> {
        let sql = "SELECT settings FROM channels WHERE id = $1";
        let row: Option<(Option<Vec<u8>>,)> = self.db.row(sql, args![id]).await?;
        let sealed = row.and_then(|(sealed,)| sealed);
        sealed.map(|sealed| self.key.open(&sealed, &place(id))).transpose()
    }

    /// It was told something, or could not be.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn channel_told(
        &self,
        id: &str,
        now_us: i64,
        problem: Option<&str>,
    ) -> Result<(), Error> {
        let mut work = self.begin().await?;
        let sql = "UPDATE channels SET last_us = $2, last_problem = $3 WHERE id = $1";
        work.execute(sql, args![id, now_us, problem]).await?;
        work.tell(Change::Channel(id.to_owned()));
        work.commit().await
    }

    /// # Errors
    /// When the database fails.
    pub async fn remove_channel(&self, id: &str) -> Result<(), Error> {
        let mut work = self.begin().await?;
        work.execute("DELETE FROM channels WHERE id = $1", args![id]).await?;
        work.tell(Change::Channel(id.to_owned()));
        work.commit().await
    }
}

fn place(id: &str) -> String {
    format!("channels/{id}/settings")
}

const COLUMNS: &str = "id, name, kind, events, enabled, last_us, last_problem, created_us";
