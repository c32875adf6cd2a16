//! A copy of the whole database while it is in use.

use crate::shop::db::Db;
use crate::{Error, Shop};
use sqlx::{ConnectOptions, Connection, SqlitePool};
use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

impl Shop {
    /// Writes a copy of an SQLite database to a new file, whole and as of one moment. Secrets in
    /// it stay sealed; without the key they do not open.
    ///
    /// # Errors
    /// [`Error::NotAFile`] for PostgreSQL; when the file is there already, or cannot be written.
    pub async fn backup_to(&self, file: &Path) -> Result<(), Error> {
        let Db::Lite { write, .. } = &*self.db else { return Err(Error::NotAFile) };
        let shown = || file.display().to_string();
        let unnamed = || std::io::Error::other("its name is no Unicode");
        let text = file.to_str().ok_or_else(|| Error::File(shown(), unnamed()))?;
        // empty, as VACUUM INTO wants it, and readable by nobody else from the first byte on
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
        made.map_err(|error| Error::File(shown(), error))?;
        let done = copy(write, text).await;
        if done.is_err() {
            // half a backup would look like one
            let _ = fs::remove_file(file);
        }
        Ok(done?)
    }
}

/// On a connection of its own, so that the writer goes on meanwhile.
async fn copy(database: &SqlitePool, file: &str) -> Result<(), sqlx::Error> {
    let mut own = database.connect_options().connect().await?;
    sqlx::query("VACUUM INTO $1").bind(file).execute(&mut own).await?;
    own.close().await?;
    // a backup that a power cut takes along is none
    tokio::fs::File::open(file).await?.sync_all().await?;
    Ok(())
}
