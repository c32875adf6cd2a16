//! A copy of what a hub knows, made while it runs: its key, its databases, its settings.
//!
//! The databases are copied as of one moment (`VACUUM INTO`) into a folder of their own, which is
//! removed with the [`Backup`]. What the print shop has in PostgreSQL is PostgreSQL's to back up.

use crate::core::Caller;
use crate::failure::Failure;
use crate::hub::{DATABASE, make_folder};
use crate::management::Result;
use crate::pairing::internal;
use crate::printers::{SHOP, SHOP_KEY};
use crate::{Hub, view};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// Whether what files contain is wanted too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    With,
    Without,
}

/// What belongs into a backup. Dropping it removes what was made for it.
#[derive(Debug)]
pub struct Backup {
    /// What it is, for whoever reads it.
    pub about: Value,
    pub parts: Vec<Part>,
    folder: PathBuf,
}

/// A file, and what it is called in the data folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    pub name: String,
    pub file: PathBuf,
}

/// Files of a hub that need not be in its data folder.
#[derive(Debug)]
pub(crate) struct Elsewhere {
    pub(crate) settings: Option<PathBuf>,
    pub(crate) shop_key: Option<PathBuf>,
}

impl Drop for Backup {
    fn drop(&mut self) {
        // the next one has another name
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Hub {
    /// Makes what a backup is written from; noted in the audit log.
    ///
    /// # Errors
    /// When the caller is not at this computer, or the disk does not take the copies.
    pub async fn backup(&self, caller: Caller, content: Content) -> Result<Backup> {
        if caller != Caller::Local {
            let message = "a backup holds this hub's key: it is made at its own computer";
            return Err(Failure::refused(message));
        }
        let inner = &self.0;
        inner.audit(&caller.actor(), "hub.backup", "", "").await.map_err(internal)?;
        let folder = inner.data.join(format!("{COPIES}{:08x}", rand::random::<u32>()));
        make_folder(&folder).map_err(internal)?;
        let view::Hub { id, name, version, .. } = self.state(caller).hub;
        let mut backup = Backup { about: Value::Null, parts: vec![], folder };
        let (own, shop) = (backup.folder.join(DATABASE), backup.folder.join(SHOP));
        inner.store.backup_to(&own).await?;
        backup.part(DATABASE, own);
        let here = match inner.fleet.backup_to(&shop).await {
            Ok(()) => true,
            Err(store::Error::NotAFile) => false,
            Err(error) => return Err(error.into()),
        };
        if here {
            backup.part(SHOP, shop);
        }
        let data = &inner.data;
        let elsewhere = &inner.elsewhere;
        let key = elsewhere.shop_key.clone().unwrap_or_else(|| data.join(SHOP_KEY));
        let settings = elsewhere.settings.clone().unwrap_or_else(|| data.join("farhub.toml"));
        backup.part("key", data.join("key"));
        backup.part(SHOP_KEY, key);
        backup.part("farhub.toml", settings);
        backup.part("web-tls.pem", data.join("web-tls.pem"));
        if content == Content::With {
            for folder in ["jobs", "shop/blobs"] {
                backup.below(data, folder).map_err(internal)?;
            }
        }
        backup.about = json!({
            "farhub_backup": FORMAT,
            "version": version,
            "hub": { "id": id, "name": name },
            "time": Timestamp::now().to_string(),
            "shop": if here { "here" } else { "postgresql" },
            "content": content == Content::With,
        });
        Ok(backup)
    }
}

/// Removes what a hub that was killed left of a backup.
pub(crate) fn sweep(data: &Path) {
    let Ok(entries) = fs::read_dir(data) else { return };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(COPIES) {
            // the next start tries again
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

impl Backup {
    fn part(&mut self, name: &str, file: PathBuf) {
        if file.is_file() {
            self.parts.push(Part { name: name.to_owned(), file });
        }
    }

    fn below(&mut self, data: &Path, name: &str) -> std::io::Result<()> {
        let entries = match fs::read_dir(data.join(name)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let Ok(own) = entry.file_name().into_string() else { continue };
            let name = format!("{name}/{own}");
            if entry.file_type()?.is_dir() {
                self.below(data, &name)?;
            } else {
                self.part(&name, entry.path());
            }
        }
        Ok(())
    }
}

/// How folders with copies of databases begin.
const COPIES: &str = "backup-";
/// Of what is in a backup.
const FORMAT: u32 = 1;
