//! What has come of files that are on their way: `partial/…` in the data folder.
//!
//! A download goes on where it broke off, if the file is still the same one: the size and the time
//! that the printer says are in the name of what has come. Without both it begins anew. What is
//! left of uploads and imports when a hub is killed goes at the next start.

use super::content::disk;
use crate::Error;
use crate::fleet::Inner;
use std::io;
use std::path::{Path, PathBuf};
use store::shop::{File, FileQuery};
use tokio::fs;

impl Inner {
    /// Where content lies that is still coming.
    pub(super) async fn partial(&self, name: &str) -> Result<PathBuf, Error> {
        let folder = self.data.join(PARTIAL);
        fs::create_dir_all(&folder).await.map_err(disk("the data folder"))?;
        Ok(folder.join(name))
    }

    /// Where the content of a printer's file comes to, and what is there of it already. What was
    /// there of another content goes.
    pub(super) async fn partial_of(&self, file: &File) -> Result<(PathBuf, u64), Error> {
        let version = file.bytes.zip(file.changed_us);
        let name = match version {
            Some((bytes, changed_us)) => format!("{}-{bytes}-{changed_us}", file.id),
            None => format!("{}-", file.id),
        };
        let path = self.partial(&name).await?;
        let folder = path.parent().expect("it was joined").to_owned();
        let of_it = |name: &str| name.split_once('-').is_some_and(|(id, _)| id == file.id);
        for other in names(&folder).await.map_err(disk("the data folder"))? {
            if of_it(&other) && (other != name || version.is_none()) {
                remove(&folder.join(other)).await;
            }
        }
        let come = fs::metadata(&path).await.map_or(0, |about| about.len());
        Ok((path, come))
    }

    /// After a start: what was on its way is not any more, and what nobody comes back for goes.
    pub(crate) async fn take_up_files(&self) -> Result<(), Error> {
        let folder = self.data.join(PARTIAL);
        let come = names(&folder).await.map_err(disk("the data folder"))?;
        let query = FileQuery { states: vec!["downloading".to_owned()], ..FileQuery::default() };
        for (mut file, ..) in self.shop.files(&FileQuery { limit: u32::MAX, ..query }).await?.rows {
            let begins = format!("{}-", file.id);
            // of several hubs, the one that has begun it
            if self.shop.is_shared() && !come.iter().any(|name| name.starts_with(&begins)) {
                continue;
            }
            "error".clone_into(&mut file.state);
            let why = "the hub was stopped on the way: download it again, it goes on where it was";
            file.problem = Some(why.to_owned());
            self.shop.put_file(&file).await?;
        }
        for name in come {
            let file = match name.split_once('-') {
                Some((id, _)) => self.shop.file(id).await?,
                None => None,
            };
            if file.is_none_or(|file| file.hash.is_some()) {
                remove(&folder.join(name)).await;
            }
        }
        self.sweep_unused().await
    }
}

/// What is in a folder; nothing where there is none.
async fn names(folder: &Path) -> io::Result<Vec<String>> {
    let mut entries = match fs::read_dir(folder).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
        entries => entries?,
    };
    let mut names = vec![];
    while let Some(entry) = entries.next_entry().await? {
        names.extend(entry.file_name().into_string());
    }
    Ok(names)
}

/// A file, or a folder with all that is in it: imports have such. No link is followed.
async fn remove(path: &Path) {
    let removed = match fs::symlink_metadata(path).await {
        Ok(about) if about.is_dir() => fs::remove_dir_all(path).await,
        Ok(_) => fs::remove_file(path).await,
        Err(error) => Err(error),
    };
    if let Err(error) = removed {
        tracing::warn!(path = %path.display(), %error, "what is left of a transfer stays");
    }
}

const PARTIAL: &str = "partial";
