//! Who may open the web UI, and the sessions of those who have. Only hashes are kept.

use crate::{Error, Store};
use sqlx::FromRow;
use std::fmt;

/// A password that was set.
#[derive(Clone, PartialEq, Eq, FromRow)]
pub struct WebPassword {
    /// argon2id, PHC string.
    pub password: String,
    pub changed_us: i64,
}

/// A session of the web UI.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct WebSession {
    pub id: String,
    pub token_hash: String,
    pub since_us: i64,
    /// When it was last used.
    pub seen_us: i64,
    /// From where it was begun.
    pub address: String,
    /// What the browser calls itself.
    pub agent: String,
}

impl Store {
    /// # Errors
    /// When the database fails.
    pub async fn web_password(&self, account: &str) -> Result<Option<WebPassword>, Error> {
        let sql = "SELECT password, changed_us FROM web_accounts WHERE name = $1";
        Ok(sqlx::query_as(sql).bind(account).fetch_optional(&self.db).await?)
    }

    /// Sets a password, and ends every session that an older one began.
    ///
    /// # Errors
    /// When the database fails: then nothing has changed.
    pub async fn set_web_password(&self, account: &str, new: &WebPassword) -> Result<(), Error> {
        let mut transaction = self.db.begin().await?;
        let sql = "INSERT INTO web_accounts (name, password, changed_us) VALUES ($1, $2, $3) \
                   ON CONFLICT (name) DO UPDATE SET password = excluded.password, \
                   changed_us = excluded.changed_us";
        let query = sqlx::query(sql).bind(account).bind(&new.password).bind(new.changed_us);
        query.execute(&mut *transaction).await?;
        let sql = "DELETE FROM web_sessions WHERE account = $1";
        sqlx::query(sql).bind(account).execute(&mut *transaction).await?;
        Ok(transaction.commit().await?)
    }

    /// # Errors
    /// When the database fails.
    pub async fn web_sessions(&self) -> Result<Vec<WebSession>, Error> {
        let sql = "SELECT id, token_hash, since_us, seen_us, address, agent FROM web_sessions \
                   ORDER BY since_us";
        Ok(sqlx::query_as(sql).fetch_all(&self.db).await?)
    }

    /// # Errors
    /// When the database fails, or there is no such account.
    pub async fn put_web_session(&self, account: &str, new: &WebSession) -> Result<(), Error> {
        let sql = "INSERT INTO web_sessions \
                   (id, account, token_hash, since_us, seen_us, address, agent) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7)";
        let query = sqlx::query(sql).bind(&new.id).bind(account).bind(&new.token_hash);
        let query = query.bind(new.since_us).bind(new.seen_us).bind(&new.address).bind(&new.agent);
        query.execute(&self.db).await?;
        Ok(())
    }

    /// Notes that a session was used.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn web_session_seen(&self, id: &str, seen_us: i64) -> Result<(), Error> {
        let sql = "UPDATE web_sessions SET seen_us = $2 WHERE id = $1";
        sqlx::query(sql).bind(id).bind(seen_us).execute(&self.db).await?;
        Ok(())
    }

    /// # Errors
    /// When the database fails.
    pub async fn remove_web_session(&self, id: &str) -> Result<(), Error> {
        sqlx::query("DELETE FROM web_sessions WHERE id = $1").bind(id).execute(&self.db).await?;
        Ok(())
    }
}

impl fmt::Debug for WebPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebPassword").field("changed_us", &self.changed_us).finish_non_exhaustive()
    }
}
