//! The print shop: printers, jobs, files, the queue, who watches what, and what a shop that sells
//! knows besides.
//!
//! Beside the hub's own database, since several hubs may share it: on SQLite in the data folder,
//! or on PostgreSQL. One set of SQL texts serves both (`db`). What a shop remembers of one thing
//! is in a file of that thing's name; rows are plain, and their JSON is the business of whoever
//! writes it.
//!
//! Whoever writes also tells ([`Change`]): in the same transaction, so that nobody hears of what
//! was not done, and everybody of what was.

mod backup;
mod changes;
mod channels;
mod customers;
mod db;
mod files;
mod filter;
mod folders;
mod import;
mod jobs;
mod leases;
mod materials;
mod orders;
mod printers;
mod queue;
mod secret;
mod sync;

pub use changes::Change;
pub use channels::Channel;
pub use customers::Customer;
pub use files::{Blob, File, FileOrder, FileQuery, FileRow};
pub use folders::Folder;
pub use import::{Import, Imported, Keep, NewPrinter};
pub use jobs::{Job, JobEvent, JobQuery};
pub use leases::Lease;
pub use materials::{Material, MaterialUse};
pub use orders::{JobCost, Order, OrderFile, OrderJob};
pub use printers::Printer;
pub use queue::{QueueItem, QueueRun};
pub use secret::SecretKey;
pub use sync::Synced;

use crate::Error;
use db::Db;
use sqlx::postgres::PgConnectOptions;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use tokio::sync::broadcast;
use tokio_util::task::AbortOnDropHandle;

/// The open database of the print shop. Clones share it.
#[derive(Clone, Debug)]
pub struct Shop {
    db: Arc<Db>,
    key: SecretKey,
    told: broadcast::Sender<Change>,
    /// Hears what other hubs have changed; SQLite's has no other hubs.
    listener: Option<Arc<AbortOnDropHandle<()>>>,
}

impl Shop {
    /// Opens an SQLite file, and updates it where needed. One that is not there is made when the
    /// first thing is written; until then the shop is empty.
    ///
    /// # Errors
    /// When the file cannot be used, or is from a newer version.
    pub async fn open(file: &Path, key: SecretKey) -> Result<Self, Error> {
        let db = Arc::new(Db::open(file).await?);
        let (told, _) = broadcast::channel(CHANGES_KEPT);
        Ok(Self { db, key, told, listener: None })
    }

    /// Connects to a PostgreSQL: `postgres://user:password@host/database`. Without `sslmode` the
    /// connection is encrypted where the server can, with `sslmode=verify-full` its certificate
    /// is checked too.
    ///
    /// # Errors
    /// When it cannot be reached, refuses, or was written by a newer version. The password is in
    /// no error.
    pub async fn connect(url: &str, key: SecretKey) -> Result<Self, Error> {
        let options = PgConnectOptions::from_str(url)
            .map_err(|error| Error::Open("address".to_owned(), error))?
            .application_name("farhub");
        let shown = shown(&options);
        let db = Arc::new(Db::connect(options.clone(), &shown).await?);
        let (told, _) = broadcast::channel(CHANGES_KEPT);
        // listens before anybody can look: nothing that comes after is missed
        let ear = changes::Ear::open(options.clone()).await;
        let ear = ear.map_err(|error| Error::Open(shown, error))?;
        let listener = tokio::spawn(changes::listen(ear, options, told.clone()));
        let listener = Some(Arc::new(AbortOnDropHandle::new(listener)));
        Ok(Self { db, key, told, listener })
    }

    /// Writes everything out and closes the database.
    pub async fn close(&self) {
        if let Some(listener) = &self.listener {
            listener.abort();
        }
        self.db.close().await;
    }

    /// What anybody changes from now on, this hub or another. Who lags behind by more than
    /// [`CHANGES_KEPT`] is told so by the receiver, and has to look at everything, as after
    /// [`Change::Lost`].
    #[must_use]
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.told.subscribe()
    }

    /// Whether other hubs may work on the same shop.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.listener.is_some()
    }

    async fn begin(&self) -> Result<db::Work, Error> {
        self.db.begin(&self.told).await
    }
}

/// Rows of one page of a longer list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T, C = (i64, String)> {
    pub rows: Vec<T>,
    /// Where the next page begins, if there is one.
    pub next: Option<C>,
    /// Of all pages.
    pub total: i64,
}

/// Where a database is, without the password.
fn shown(options: &PgConnectOptions) -> String {
    let database = options.get_database().unwrap_or_else(|| options.get_username());
    let user = options.get_username();
    match options.get_socket() {
        Some(socket) => format!("postgres://{user}@{}/{database}", socket.display()),
        None => {
            format!("postgres://{user}@{}:{}/{database}", options.get_host(), options.get_port())
        }
    }
}

/// Changes that are kept for whoever is slow to hear of them.
pub const CHANGES_KEPT: usize = 4096;
/// Rows of a page, unless asked for otherwise.
const PAGE: u32 = 100;
/// No list that is in memory as a whole is longer.
const PAGE_MAX: u32 = 10_000;

/// How many rows are wanted, for a limit that may not have been given.
fn page_of(limit: u32) -> u32 {
    if limit == 0 { PAGE } else { limit.min(PAGE_MAX) }
}
