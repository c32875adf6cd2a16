//! What a hub remembers: peers, grants, devices, attachments, invitations, jobs of machines and the
//! audit log. Beside it [`shop`]: the print shop, which hubs may share.
//!
//! SQLite in the data folder. One connection: a hub writes a few rows a day, and one connection
//! needs no thought about who waits for whom. The SQL is portable (`TEXT` ids, `BIGINT` unix
//! microseconds, `$1` placeholders), as the shop's, which also runs on PostgreSQL.

mod attachments;
mod audit;
mod backup;
mod devices;
mod grants;
mod invites;
mod jobs;
mod peers;
pub mod shop;
mod web;

pub use attachments::Attachment;
pub use audit::{Broken, Entry, Filter, How, Verified, WORDS_MAX};
pub use backup::check;
pub use devices::Device;
pub use grants::Grant;
pub use jobs::Job;
pub use peers::Peer;
pub use shop::Shop;
pub use web::{WebPassword, WebSession};

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions};
use std::fs::{self, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What the database said.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the database {0}: {1}")]
    File(String, io::Error),
    #[error("the database {0}: {1}")]
    Open(String, sqlx::Error),
    #[error("the database was written by a newer farhub, or is damaged: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// The name belongs to something else.
    #[error("the name {0} is taken")]
    NameTaken(String),
    /// A secret that this key does not open; nothing of it is told.
    #[error("{0} cannot be opened: it was sealed with another key, or is damaged; enter it again")]
    Sealed(String),
    #[error("PostgreSQL makes its own backups: use pg_dump on this database")]
    NotAFile,
    #[error("the database: {0}")]
    Query(#[from] sqlx::Error),
}

/// The open database.
#[derive(Clone, Debug)]
pub struct Store {
    db: SqlitePool,
}

impl Store {
    /// Opens the database file, and makes or updates it where needed.
    ///
    /// # Errors
    /// When the file cannot be used, or is from a newer version.
    pub async fn open(file: &Path) -> Result<Self, Error> {
        for_its_owner(file).map_err(|error| Error::File(file.display().to_string(), error))?;
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .foreign_keys(true)
            .journal_mode(SqliteJournalMode::Wal)
            .busy_timeout(Duration::from_secs(5));
        let db = SqlitePoolOptions::new()
            .max_connections(1)
            .connect_with(options)
            .await
            .map_err(|error| Error::Open(file.display().to_string(), error))?;
        sqlx::migrate!().run(&db).await?;
        Ok(Self { db })
    }

    /// Writes everything out and closes the file.
    pub async fn close(&self) {
        self.db.close().await;
    }
}

/// The file holds hashes of tickets and PINs and secrets of TOTPs: nobody else may read it, also
/// when the folder is open. SQLite gives the files that it makes beside it the same mode.
fn for_its_owner(file: &Path) -> io::Result<()> {
    let mode = 0o600;
    OpenOptions::new().append(true).create(true).mode(mode).open(file)?;
    for ending in ["", "-wal", "-shm"] {
        let mut name = file.as_os_str().to_owned();
        name.push(ending);
        match fs::set_permissions(&name, Permissions::from_mode(mode)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

/// Microseconds since 1970.
fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// Tells a taken name from other trouble.
fn name_taken(name: &str) -> impl FnOnce(sqlx::Error) -> Error {
    let name = name.to_owned();
    move |error| match &error {
        sqlx::Error::Database(database) if database.is_unique_violation() => Error::NameTaken(name),
        _ => Error::Query(error),
    }
}

#[cfg(test)]
mod tests;
