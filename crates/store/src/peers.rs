//! Peers, and what they may do here.

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
}

/// One row of what a peer may do. The hub reads selector and role, and grants nothing where it
/// cannot read them.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Grant {
    pub peer_id: String,
    pub selector: String,
    pub role: String,
}

impl Store {
    /// # Errors
    /// When the database fails.
    pub async fn peers(&self) -> Result<Vec<Peer>, Error> {
        let sql = "SELECT id, name, trusted, reach FROM peers ORDER BY name";
        Ok(sqlx::query_as(sql).fetch_all(&self.db).await?)
    }

    /// Adds a peer; one with the same id gets the new name and reach, and keeps the rest.
    ///
    /// # Errors
    /// [`Error::NameTaken`], or when the database fails.
    pub async fn put_peer(&self, id: &str, name: &str, reach: &str) -> Result<(), Error> {
        let sql = "INSERT INTO peers (id, name, trusted, reach, created_us) \
                   VALUES ($1, $2, FALSE, $3, $4) \
                   ON CONFLICT (id) DO UPDATE SET name = excluded.name, reach = excluded.reach";
        let query = sqlx::query(sql).bind(id).bind(name).bind(reach).bind(now_us());
        query.execute(&self.db).await.map_err(name_taken(name))?;
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

    /// # Errors
    /// When the database fails.
    pub async fn grants(&self) -> Result<Vec<Grant>, Error> {
        let sql = "SELECT peer_id, selector, role FROM grants ORDER BY peer_id, selector";
        Ok(sqlx::query_as(sql).fetch_all(&self.db).await?)
    }

    /// # Errors
    /// When the database fails, or knows no such peer.
    pub async fn put_grant(&self, peer: &str, selector: &str, role: &str) -> Result<(), Error> {
        let sql = "INSERT INTO grants (peer_id, selector, role, created_us) \
                   VALUES ($1, $2, $3, $4) \
                   ON CONFLICT (peer_id, selector) DO UPDATE SET role = excluded.role";
        let query = sqlx::query(sql).bind(peer).bind(selector).bind(role).bind(now_us());
        query.execute(&self.db).await?;
        Ok(())
    }

    /// Takes back one grant, or with no selector all of a peer. Says how many there were.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn remove_grants(&self, peer: &str, selector: Option<&str>) -> Result<u64, Error> {
        let sql = "DELETE FROM grants WHERE peer_id = $1 AND ($2 IS NULL OR selector = $2)";
        let done = sqlx::query(sql).bind(peer).bind(selector).execute(&self.db).await?;
        Ok(done.rows_affected())
    }
}
