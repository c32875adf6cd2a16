//! Devices of peers that are to be attached here, for as long as nobody says otherwise.

use crate::{Error, Store, now_us};
use sqlx::FromRow;

#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Attachment {
    pub peer_id: String,
    pub device_id: String,
    /// What the peer called the device when last seen.
    pub name: String,
    /// By which door: the hub's own word.
    pub via: String,
}

impl Store {
    /// # Errors
    /// When the database fails.
    pub async fn attachments(&self) -> Result<Vec<Attachment>, Error> {
        let sql = "SELECT peer_id, device_id, name, via FROM attachments ORDER BY created_us";
        Ok(sqlx::query_as(sql).fetch_all(&self.db).await?)
    }

    /// # Errors
    /// When the database fails, or knows no such peer.
    pub async fn put_attachment(&self, attachment: &Attachment) -> Result<(), Error> {
        let sql = "INSERT INTO attachments (peer_id, device_id, name, via, created_us) \
                   VALUES ($1, $2, $3, $4, $5) ON CONFLICT (peer_id, device_id) \
                   DO UPDATE SET name = excluded.name, via = excluded.via";
        let query = sqlx::query(sql).bind(&attachment.peer_id).bind(&attachment.device_id);
        let query = query.bind(&attachment.name).bind(&attachment.via).bind(now_us());
        query.execute(&self.db).await?;
        Ok(())
    }

    /// # Errors
    /// When the database fails.
    pub async fn remove_attachment(&self, peer: &str, device: &str) -> Result<(), Error> {
        let sql = "DELETE FROM attachments WHERE peer_id = $1 AND device_id = $2";
        sqlx::query(sql).bind(peer).bind(device).execute(&self.db).await?;
        Ok(())
    }
}
