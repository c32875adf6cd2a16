//! Folders of this computer whose printable files are in the library. Nothing in them is changed.
//!
//! They are looked at again and again rather than watched: that works on network drives too, and
//! a print shop does not wait for ten seconds.

use super::names;
use crate::Error;
use crate::feed::News;
use crate::fleet::{Fleet, Inner, now_us};
use crate::view;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};
use store::shop;
use tokio_util::sync::CancellationToken;

impl Fleet {
    /// # Errors
    /// When the database fails.
    pub async fn folders(&self) -> Result<Vec<view::Folder>, Error> {
        let folders = self.0.shop.folders().await?.into_iter();
        Ok(folders.map(|folder| shown(&folder)).collect())
    }

    /// Takes a folder into the library, and looks at it at once.
    ///
    /// # Errors
    /// When it is none, cannot be read, or is here already.
    pub async fn add_folder(&self, path: &str, recursive: bool) -> Result<view::Folder, Error> {
        let asked = PathBuf::from(path.trim());
        if !asked.is_absolute() {
            return Err(Error::Unacceptable("a folder is named from the root on: /…".to_owned()));
        }
        let whole = tokio::fs::canonicalize(&asked).await;
        let whole = whole.map_err(|error| Error::File(asked.display().to_string(), error))?;
        let path = whole.display().to_string();
        if let Some(problem) = problem(&whole) {
            return Err(Error::Unacceptable(format!("{path}: {problem}")));
        }
        if whole.starts_with(&self.0.data) || self.0.data.starts_with(&whole) {
            let what = "this is where the hub keeps its own data";
            return Err(Error::Unacceptable(what.to_owned()));
        }
        if self.0.shop.folders().await?.iter().any(|folder| folder.path == path) {
            return Err(Error::Conflict(format!("{path} is in the library already")));
        }
        let now_us = now_us();
        let folder = shop::Folder {
            id: crate::id::fresh(now_us),
            path,
            recursive,
            enabled: true,
            created_us: now_us,
        };
        self.0.shop.put_folder(&folder).await?;
        self.0.look_into(&folder).await?;
        self.0.folders.notify_one();
        Ok(shown(&folder))
    }

    /// Forgets a folder. What is in it stays as it is.
    ///
    /// # Errors
    /// When there is no such folder.
    pub async fn remove_folder(&self, id: &str) -> Result<(), Error> {
        let known = self.0.shop.folders().await?.iter().any(|folder| folder.id == id);
        if !known {
            return Err(Error::NotFound(format!("no folder {id} is in the library")));
        }
        self.0.shop.remove_folder(id).await?;
        let place = format!("folder:{id}");
        self.0.shop.sync_place(&place, &[], now_us()).await?;
        self.0.feed.news(News::Files(place.into()));
        Ok(())
    }
}

impl Inner {
    async fn look_into(&self, folder: &shop::Folder) -> Result<(), Error> {
        let (root, recursive) = (PathBuf::from(&folder.path), folder.recursive);
        // a drive that is not mounted has not lost its files
        if problem(&root).is_some() {
            return Ok(());
        }
        let (place, now_us) = (format!("folder:{}", folder.id), now_us());
        let found = tokio::task::spawn_blocking({
            let place = place.clone();
            move || printable(&root, recursive, &place, now_us)
        });
        let seen = found.await.unwrap_or_default();
        let known = self.shop.files_of(&place).await?;
        let same = known.len() == seen.len()
            && seen.iter().all(|file| {
                known.iter().any(|known| {
                    (&known.path, known.bytes, known.changed_us)
                        == (&file.path, file.bytes, file.changed_us)
                })
            });
        if !same {
            self.shop.sync_place(&place, &seen, now_us).await?;
            self.feed.news(News::Files(place.into()));
        }
        Ok(())
    }
}

/// Looks into all folders as long as the fleet runs.
pub(crate) async fn run(inner: Arc<Inner>, stopping: CancellationToken) {
    loop {
        let folders = match inner.shop.folders().await {
            Ok(folders) => folders,
            Err(error) => {
                tracing::warn!(%error, "which folders are watched cannot be read");
                tokio::select! {
                    () = stopping.cancelled() => return,
                    () = tokio::time::sleep(EVERY) => continue,
                }
            }
        };
        tokio::select! {
            () = stopping.cancelled() => return,
            () = inner.folders.notified() => continue,
            // a hub without folders sleeps
            () = tokio::time::sleep(EVERY), if !folders.is_empty() => {}
        }
        for folder in folders.iter().filter(|folder| folder.enabled) {
            if let Err(error) = inner.look_into(folder).await {
                tracing::warn!(folder = folder.path, %error, "a folder cannot be looked into");
            }
        }
    }
}

/// The printable files of a folder. Blocking.
fn printable(root: &Path, recursive: bool, place: &str, now_us: i64) -> Vec<shop::File> {
    let mut files = vec![];
    let mut folders = vec![(root.to_owned(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            // what a link points to could be anywhere
            let Ok(about) = entry.metadata() else { continue };
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') {
                continue;
            }
            if about.is_dir() && recursive && depth < DEPTH_MAX {
                folders.push((entry.path(), depth + 1));
            }
            let kind = names::kind(&name);
            if !about.is_file() || !PRINTABLE.contains(&kind.as_str()) {
                continue;
            }
            let Some(path) = entry.path().to_str().map(str::to_owned) else { continue };
            let changed = about.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
            let changed = changed.and_then(|since| i64::try_from(since.as_micros()).ok());
            files.push(shop::File {
                id: crate::id::fresh(now_us),
                place: place.to_owned(),
                search: names::words(&[&name, &path]),
                path,
                name,
                bytes: i64::try_from(about.len()).ok(),
                changed_us: changed,
                hash: None,
                state: "local".to_owned(),
                problem: None,
                note: String::new(),
                seen_us: now_us,
                created_us: now_us,
            });
            if files.len() >= FILES_MAX {
                return files;
            }
        }
    }
    files
}

fn shown(folder: &shop::Folder) -> view::Folder {
    view::Folder {
        id: folder.id.clone(),
        path: folder.path.clone(),
        recursive: folder.recursive,
        enabled: folder.enabled,
        problem: problem(Path::new(&folder.path)),
    }
}

fn problem(folder: &Path) -> Option<String> {
    match std::fs::read_dir(folder) {
        Ok(_) => None,
        Err(error) => Some(format!("it cannot be read: {error}")),
    }
}

const EVERY: Duration = Duration::from_secs(10);
const DEPTH_MAX: u32 = 8;
const FILES_MAX: usize = 10_000;
const PRINTABLE: [&str; 9] =
    ["gcode", "gco", "g", "bgcode", "3mf", "gcode.3mf", "stl", "obj", "step"];
