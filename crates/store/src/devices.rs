//! Devices of this hub that somebody named or shared, also while they are not plugged in.

use crate::{Error, Store, name_taken};
use sqlx::FromRow;

#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Device {
    pub id: String,
    pub name: String,
    pub shared: bool,
    /// What it was when last seen: the hub's own JSON.
    pub kind: String,
    /// What its owner says of the machine at a serial port: the hub's own JSON.
    pub machine: String,
}

impl Store {
    /// # Errors
    /// When the database fails.
    pub async fn devices(&self) -> Result<Vec<Device>, Error> {
        let sql = "SELECT id, name, shared, kind, machine FROM devices ORDER BY name";
        Ok(sqlx::query_as(sql).fetch_all(&self.db).await?)
    }

    /// # Errors
    /// [`Error::NameTaken`], or when the database fails.
    pub async fn put_device(&self, device: &Device) -> Result<(), Error> {
        let sql = "INSERT INTO devices (id, name, shared, kind, machine) \
                   VALUES ($1, $2, $3, $4, $5) ON CONFLICT (id) DO UPDATE SET \
                   name = excluded.name, shared = excluded.shared, kind = excluded.kind, \
                   machine = excluded.machine";
        let query = sqlx::query(sql).bind(&device.id).bind(&device.name);
        let query = query.bind(device.shared).bind(&device.kind).bind(&device.machine);
        query.execute(&self.db).await.map_err(name_taken(&device.name))?;
        Ok(())
    }

    /// Says what a device is that is known already; of others nothing is kept.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_device_kind(&self, id: &str, kind: &str) -> Result<(), Error> {
        let query = sqlx::query("UPDATE devices SET kind = $2 WHERE id = $1").bind(id).bind(kind);
        query.execute(&self.db).await?;
        Ok(())
    }
}
