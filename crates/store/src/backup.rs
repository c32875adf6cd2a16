//! Copies of an SQLite database while it is in use, and whether one is whole.

use crate::{Error, Store};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use sqlx::{ConnectOptions, Connection};
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

impl Store {
    /// Writes a copy to a new file, whole and as of one moment.
    ///
    /// # Errors
    /// When the file is there already, or cannot be written.
    pub async fn backup_to(&self, file: &Path) -> Result<(), Error> {
        copy(&self.db, file).await
    }
}

/// Reads a whole database, and sees whether it is as SQLite wrote it.
///
/// # Errors
/// When it cannot be read, or is damaged.
pub async fn check(file: &Path) -> Result<(), Error> {
    let options = SqliteConnectOptions::new().filename(file).read_only(true).immutable(true);
    let mut own = options.connect().await?;
    let found: String = sqlx::query_scalar("PRAGMA integrity_check(1)").fetch_one(&mut own).await?;
    own.close().await?;
    if found == "ok" {
        return Ok(());
    }
    Err(Error::File(file.display().to_string(), io::Error::other(format!("damaged: {found}"))))
}

pub(crate) async fn copy(database: &SqlitePool, file: &Path) -> Result<(), Error> {
    let shown = || file.display().to_string();
    let unnamed = || io::Error::other("its name is no Unicode");
    let text = file.to_str().ok_or_else(|| Error::File(shown(), unnamed()))?;
    // empty, as VACUUM INTO wants it, and readable by nobody else from the first byte on
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
    made.map_err(|error| Error::File(shown(), error))?;
    let done = write(database, text).await;
    if done.is_err() {
        // half a backup would look like one
        let _ = fs::remove_file(file);
    }
    Ok(done?)
}

/// On a connection of its own, so that the writer goes on meanwhile.
async fn write(database: &SqlitePool, file: &str) -> Result<(), sqlx::Error> {
    let mut own = database.connect_options().connect().await?;
    sqlx::query("VACUUM INTO $1").bind(file).execute(&mut own).await?;
    own.close().await?;
    // a backup that a power cut takes along is none
    tokio::fs::File::open(file).await?.sync_all().await?;
    Ok(())
}
