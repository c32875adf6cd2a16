//! Peers.

use crate::{Error, Store, name_taken, now_us};
use sqlx::FromRow;

/// A hub that this one has paired with.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Peer {
    /// Ed25519 public key, hexadecimal.
    pub id: String,
    pub name: String,
    /// Whether its keyboards and network adapters may be attached here.
    pub trusted: bool,
    /// Where it was last reached: the hub's own JSON.
    pub reach: String,
    /// A guest's end; nobody else has one.
    pub expires_us: Option<i64>,
}

impl Store {
    /// # Errors
    /// When the database fails.
    pub async fn peers(&self) -> Result<Vec<Peer>, Error> {
        let sql = "SELECT id, name, trusted, reach, expires_us FROM peers ORDER BY name";
        Ok(sqlx::query_as(sql).fetch_all(&self.db).await?)
    }

    /// Adds a peer; one with the same id gets the new name, reach and end, and keeps the rest.
    ///
    /// # Errors
    /// [`Error::NameTaken`], or when the database fails.
    pub async fn put_peer(
        &self,
        id: &str,
        name: &str,
        reach: &str,
        expires_us: Option<i64>,
    ) -> Result<(), Error> {
        let sql = "INSERT INTO peers (id, name, trusted, reach, expires_us, created_us) \
                   VALUES ($1, $2, FALSE, $3, $4, $5) \
                   ON CONFLICT (id) DO UPDATE SET name = excluded.name, reach = excluded.reach, \
                   expires_us = excluded.expires_us";
        let query = sqlx::query(sql).bind(id).bind(name).bind(reach).bind(expires_us);
        query.bind(now_us()).execute(&self.db).await.map_err(name_taken(name))?;
        Ok(())
    }

    /// # Errors
    /// When the database fails.
    pub async fn set_reach(&self, id: &str, reach: &str) -> Result<(), Error> {
        let sql = "UPDATE peers SET reach = $2 WHERE id = $1";
        sqlx::query(sql).bind(id).bind(reach).execute(&self.db).await?;
        Ok(())
    }

    /// # Errors
    /// When the database fails.
    pub async fn set_trusted(&self, id: &str, trusted: bool) -> Result<(), Error> {
        let sql = "UPDATE peers SET trusted = $2 WHERE id = $1";
        sqlx::query(sql).bind(id).bind(trusted).execute(&self.db).await?;
        Ok(())
    }

    /// Forgets a peer with its grants and attachments.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn remove_peer(&self, id: &str) -> Result<(), Error> {
        sqlx::query("DELETE FROM peers WHERE id = $1").bind(id).execute(&self.db).await?;
        Ok(())
    }
}
