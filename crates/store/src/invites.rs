//! Invitations that are open. Only a hash of the secret is kept.

use crate::{Error, Store, now_us};
use std::time::Duration;

impl Store {
    /// Notes an invitation; `grants` comes back when somebody uses it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn put_invite(
        &self,
        secret: &[u8],
        expires_in: Duration,
        grants: &str,
    ) -> Result<(), Error> {
        let expires_in = i64::try_from(expires_in.as_micros()).unwrap_or(i64::MAX);
        let sql = "INSERT INTO invites (secret_hash, expires_us, grants) VALUES ($1, $2, $3)";
        let query = sqlx::query(sql).bind(hash(secret));
        let query = query.bind(now_us().saturating_add(expires_in)).bind(grants);
        query.execute(&self.db).await?;
        Ok(())
    }

    /// Uses an invitation up: its `grants`, or `None` when it is unknown, used or expired.
    /// One statement, so that of two hubs with the same ticket one gets it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn take_invite(&self, secret: &[u8]) -> Result<Option<String>, Error> {
        let now = now_us();
        sqlx::query("DELETE FROM invites WHERE expires_us <= $1")
            .bind(now)
            .execute(&self.db)
            .await?;
        let sql = "DELETE FROM invites WHERE secret_hash = $1 RETURNING grants";
        Ok(sqlx::query_scalar(sql).bind(hash(secret)).fetch_optional(&self.db).await?)
    }
}

fn hash(secret: &[u8]) -> String {
    blake3::hash(secret).to_hex().to_string()
}
