//! What peers may do here.

use crate::{Error, Store, now_us};
use sqlx::FromRow;

/// One row of what a peer may do. The hub reads its texts, and grants nothing where it cannot
/// read one of them.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Grant {
    pub peer_id: String,
    pub selector: String,
    pub role: String,
    /// When, how long at a time, until when: the hub's own JSON.
    pub terms: String,
    /// Whether it answers a request: such a grant stands beside one of the same selector.
    pub asked: bool,
    /// A PIN's argon2id hash.
    pub pin: Option<String>,
    /// The secret of a TOTP, base32.
    pub totp: Option<String>,
    /// The last step of the TOTP that was used.
    pub totp_step: i64,
}

impl Store {
    /// # Errors
    /// When the database fails.
    pub async fn grants(&self) -> Result<Vec<Grant>, Error> {
        let sql = "SELECT peer_id, selector, role, terms, asked, pin, totp, totp_step \
                   FROM grants ORDER BY peer_id, selector, asked";
        Ok(sqlx::query_as(sql).fetch_all(&self.db).await?)
    }

    /// Puts a grant in the place of the one with the same peer, selector and origin.
    ///
    /// # Errors
    /// When the database fails, or knows no such peer.
    pub async fn put_grant(&self, grant: &Grant) -> Result<(), Error> {
        let sql = "INSERT INTO grants \
                   (peer_id, selector, asked, role, terms, pin, totp, totp_step, created_us) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
                   ON CONFLICT (peer_id, selector, asked) DO UPDATE SET role = excluded.role, \
                   terms = excluded.terms, pin = excluded.pin, totp = excluded.totp, \
                   totp_step = excluded.totp_step, created_us = excluded.created_us";
        let query = sqlx::query(sql).bind(&grant.peer_id).bind(&grant.selector).bind(grant.asked);
        let query = query.bind(&grant.role).bind(&grant.terms).bind(&grant.pin);
        let query = query.bind(&grant.totp).bind(grant.totp_step).bind(now_us());
        query.execute(&self.db).await?;
        Ok(())
    }

    /// Uses up a step of a grant's TOTP, and with it all before. One statement, so that of two
    /// who have the same code one gets in. Says whether it was this one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn use_totp_step(&self, grant: &Grant, step: i64) -> Result<bool, Error> {
        let sql = "UPDATE grants SET totp_step = $4 WHERE peer_id = $1 AND selector = $2 \
                   AND asked = $3 AND totp = $5 AND totp_step < $4";
        let query = sqlx::query(sql).bind(&grant.peer_id).bind(&grant.selector).bind(grant.asked);
        let done = query.bind(step).bind(&grant.totp).execute(&self.db).await?;
        Ok(done.rows_affected() == 1)
    }

    /// Takes back the grants of one selector, or with none all of a peer. Says how many there
    /// were.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn remove_grants(&self, peer: &str, selector: Option<&str>) -> Result<u64, Error> {
        let sql = "DELETE FROM grants WHERE peer_id = $1 AND ($2 IS NULL OR selector = $2)";
        let done = sqlx::query(sql).bind(peer).bind(selector).execute(&self.db).await?;
        Ok(done.rows_affected())
    }
}
