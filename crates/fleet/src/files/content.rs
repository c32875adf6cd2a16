//! The content of files, once for each hash, in the data folder: `blobs/ab/abcd…`.
//!
//! Content comes to be under its name by a rename, after it was written out: what is there is
//! whole. `prints/PRINTER/DATE/NAME` are further names of the same content (hard links), for
//! people who look with a file manager.

use super::kept::Kept;
use super::{LIBRARY, meta, names};
use crate::Error;
use crate::feed::News;
use crate::fleet::{Fleet, Inner, now_us};
use crate::view;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use sha2::{Digest, Sha256};
use std::io;
use std::path::{Path, PathBuf};
use store::shop::{self, Blob};
use tokio::fs;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Content that comes in pieces from somebody's computer. Dropping it forgets what has come.
#[derive(Debug)]
pub struct Receiving {
    fleet: Fleet,
    name: String,
    partial: PathBuf,
    file: fs::File,
    bytes: u64,
    hash: Sha256,
    done: bool,
}

impl Fleet {
    /// Begins to take a file into the library.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub async fn receive(&self, name: &str) -> Result<Receiving, Error> {
        self.0.room_for(0).await?;
        let partial = self.0.partial(&crate::id::fresh(now_us())).await?;
        let file = fs::File::create_new(&partial).await.map_err(disk("the upload"))?;
        let (fleet, name) = (self.clone(), names::safe(name));
        Ok(Receiving { fleet, name, partial, file, bytes: 0, hash: Sha256::new(), done: false })
    }
}

impl Receiving {
    /// # Errors
    /// When the disk does not take it, or it is larger than anything that is printed.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let looked = self.bytes / LOOK_EVERY;
        self.bytes += bytes.len() as u64;
        if self.bytes > BYTES_MAX {
            return Err(Error::Unacceptable("a file may have 4 GiB at most".to_owned()));
        }
        if self.bytes / LOOK_EVERY > looked {
            self.fleet.0.room_for(0).await?;
        }
        self.hash.update(bytes);
        self.file.write_all(bytes).await.map_err(disk("the upload"))
    }

    /// Puts it into the library. The same content under the same name is the same file.
    ///
    /// # Errors
    /// When it is empty, or the disk or the database does not take it.
    pub async fn finish(mut self) -> Result<view::File, Error> {
        if self.bytes == 0 {
            return Err(Error::Unacceptable("the file is empty".to_owned()));
        }
        self.file.sync_all().await.map_err(disk("the upload"))?;
        let hash = data_encoding::HEXLOWER.encode(&self.hash.clone().finalize());
        let inner = self.fleet.0.clone();
        let (meta, _kept) = inner.keep(&self.partial, &hash, &self.name).await?;
        self.done = true;
        let now_us = now_us();
        let path = format!("{hash}/{}", self.name);
        let known = inner.shop.file_at(LIBRARY, &path).await?;
        let known = known.map(|known| (known.id, known.note));
        let (id, note) = known.unwrap_or_else(|| (crate::id::fresh(now_us), String::new()));
        let file = shop::File {
            id: id.clone(),
            place: LIBRARY.to_owned(),
            path,
            search: names::words(&[&self.name, &meta]),
            name: self.name.clone(),
            bytes: i64::try_from(self.bytes).ok(),
            changed_us: Some(now_us),
            hash: Some(hash),
            state: "local".to_owned(),
            problem: None,
            note,
            seen_us: now_us,
            created_us: now_us,
        };
        inner.shop.put_file(&file).await?;
        inner.feed.news(News::Files(LIBRARY.into()));
        self.fleet.file(&id).await
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        if !self.done {
            let _ = std::fs::remove_file(&self.partial);
        }
    }
}

impl Inner {
    pub(super) fn blob_path(&self, hash: &str) -> PathBuf {
        let (two, _) = hash.split_at_checked(2).unwrap_or((hash, ""));
        self.data.join("blobs").join(two).join(hash)
    }

    /// Where the content of a file is.
    pub(super) fn content_of(&self, file: &shop::File) -> Result<PathBuf, Error> {
        if file.place.starts_with("folder:") {
            return Ok(PathBuf::from(&file.path));
        }
        match &file.hash {
            Some(hash) => Ok(self.blob_path(hash)),
            None => Err(Error::Conflict(format!(
                "{} is on its printer only: download it first",
                file.name
            ))),
        }
    }

    /// Takes a copy of a file of the owner's folders into the library.
    pub(crate) async fn take_over(&self, file: &shop::File) -> Result<Kept, Error> {
        let from = self.content_of(file)?;
        let now_us = now_us();
        self.room_for(file.bytes.map_or(0, i64::unsigned_abs)).await?;
        let partial = self.partial(&crate::id::fresh(now_us)).await?;
        fs::copy(&from, &partial).await.map_err(disk(&file.name))?;
        let hash = hash_of(&partial).await.map_err(disk(&file.name))?;
        let bytes = fs::metadata(&partial).await.map_err(disk(&file.name))?.len();
        let (meta, kept) = self.keep(&partial, &hash, &file.name).await?;
        let path = format!("{hash}/{}", names::safe(&file.name));
        let known = self.shop.file_at(LIBRARY, &path).await?;
        let known = known.map(|known| (known.id, known.note));
        let (id, note) = known.unwrap_or_else(|| (crate::id::fresh(now_us), file.note.clone()));
        let copy = shop::File {
            id,
            place: LIBRARY.to_owned(),
            path,
            search: names::words(&[&file.name, &meta]),
            bytes: i64::try_from(bytes).ok(),
            hash: Some(hash),
            note,
            ..file.clone()
        };
        self.shop.put_file(&copy).await?;
        self.feed.news(News::Files(LIBRARY.into()));
        Ok(kept)
    }

    /// Content that is to be used; it does not go meanwhile.
    pub(crate) async fn hold_content(&self, hash: &str) -> Kept {
        let _place = self.contents.place().await;
        self.contents.keep(hash)
    }

    /// Whether content is on this computer: another hub's is on its own.
    pub(crate) async fn is_here(&self, hash: &str) -> bool {
        fs::try_exists(self.blob_path(hash)).await.unwrap_or(false)
    }

    /// Takes a copy of a file of this computer as content, unless it is here. `None` when it is
    /// not the content that it should be.
    ///
    /// # Errors
    /// When it cannot be read, is larger than anything that is printed, or the disk or the
    /// database does not take it.
    pub(crate) async fn adopt(
        &self,
        from: &Path,
        name: &str,
        expected: Option<&str>,
    ) -> Result<Option<(Blob, Kept)>, Error> {
        let bytes = fs::metadata(from).await.map_err(disk(name))?.len();
        if bytes > BYTES_MAX {
            return Err(Error::Unacceptable(format!("{name} is larger than 4 GiB")));
        }
        let hash = hash_of(from).await.map_err(disk(name))?;
        if expected.is_some_and(|expected| expected != hash) {
            return Ok(None);
        }
        let kept = self.hold_content(&hash).await;
        if let Some(known) = self.shop.blob(&hash).await?
            && self.is_here(&hash).await
        {
            return Ok(Some((known, kept)));
        }
        self.room_for(bytes).await?;
        let partial = self.partial(&crate::id::fresh(now_us())).await?;
        fs::copy(from, &partial).await.map_err(disk(name))?;
        // it may have been written to meanwhile
        if hash_of(&partial).await.map_err(disk(name))? != hash {
            fs::remove_file(&partial).await.map_err(disk(name))?;
            return Ok(None);
        }
        self.keep(&partial, &hash, name).await?;
        Ok(self.shop.blob(&hash).await?.map(|blob| (blob, kept)))
    }

    /// Takes a whole file as the content with that hash. Gives what was found in it, as words.
    pub(super) async fn keep(
        &self,
        whole: &Path,
        hash: &str,
        name: &str,
    ) -> Result<(String, Kept), Error> {
        let path = self.blob_path(hash);
        let folder = path.parent().expect("it was joined").to_owned();
        fs::create_dir_all(&folder).await.map_err(disk("the data folder"))?;
        let written = fs::File::open(whole).await.map_err(disk("the file"))?;
        // a power cut must not leave less of it under its name
        written.sync_all().await.map_err(disk("the file"))?;
        let bytes = written.metadata().await.map_err(disk("the file"))?.len();
        let (kind, read_from) = (names::kind(name), whole.to_owned());
        let found = tokio::task::spawn_blocking(move || meta::read(&read_from, &kind)).await;
        let meta = crate::printers::json(&found.unwrap_or_default());
        let _place = self.contents.place().await;
        fs::rename(whole, &path).await.map_err(disk("the file"))?;
        if let Ok(folder) = fs::File::open(&folder).await {
            let _ = folder.sync_all().await;
        }
        let blob = Blob {
            hash: hash.to_owned(),
            bytes: i64::try_from(bytes).unwrap_or(i64::MAX),
            kind: names::kind(name),
            meta: meta.clone(),
            created_us: now_us(),
        };
        self.shop.put_blob(&blob).await?;
        Ok((meta, self.contents.keep(hash)))
    }

    /// Gives content a name that people find: by printer and by day.
    pub(super) async fn lay_out(&self, hash: &str, printer: &str, name: &str, day_us: i64) {
        let day = Timestamp::from_microsecond(day_us).unwrap_or_default();
        let day = day.to_zoned(TimeZone::system()).strftime("%Y-%m-%d").to_string();
        let folder = self.data.join("prints").join(names::safe(printer)).join(day);
        let (blob, name) = (self.blob_path(hash), names::safe(name));
        let linked = async {
            fs::create_dir_all(&folder).await?;
            let numbered = (2..100).map(|number| names::numbered(&name, number));
            for name in std::iter::once(name.clone()).chain(numbered) {
                match fs::hard_link(&blob, folder.join(&name)).await {
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                        if is_same(&blob, &folder.join(&name)).await {
                            return Ok(());
                        }
                    }
                    other => return other,
                }
            }
            Ok(())
        };
        if let Err(error) = linked.await {
            tracing::debug!(%error, "no further name for a file");
        }
    }

    /// Forgets a file, and its content if nothing else is it.
    pub(super) async fn forget(&self, file: &shop::File) -> Result<(), Error> {
        self.shop.remove_file(&file.id).await?;
        self.sweep(file.hash.as_deref()).await
    }

    /// Forgets the content of a file that still lies on its printer.
    pub(super) async fn drop_content(&self, mut file: shop::File) -> Result<(), Error> {
        let hash = file.hash.take();
        "available".clone_into(&mut file.state);
        file.problem = None;
        self.shop.put_file(&file).await?;
        self.sweep(hash.as_deref()).await
    }

    async fn sweep(&self, hash: Option<&str>) -> Result<(), Error> {
        let Some(hash) = hash else { return Ok(()) };
        let _place = self.contents.place().await;
        let held = self.contents.holds(hash);
        // the database sees to it that no file and nothing in the queue has it
        if held || !self.shop.remove_blob(hash).await? {
            return Ok(());
        }
        let path = self.blob_path(hash);
        self.unlink(&path).await;
        match fs::remove_file(&path).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(disk("the file")(error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Forgets content that came and was written down nowhere: the hub ended in between.
    pub(super) async fn sweep_unused(&self) -> Result<(), Error> {
        // another hub's may be on its way
        if self.shop.is_shared() {
            return Ok(());
        }
        for blob in self.shop.blobs_unused().await? {
            self.sweep(Some(&blob.hash)).await?;
        }
        Ok(())
    }

    /// Takes away the further names of content, so that its room is free.
    async fn unlink(&self, blob: &Path) {
        use std::os::unix::fs::MetadataExt;
        let Ok(about) = fs::metadata(blob).await else { return };
        let (root, inode) = (self.data.join("prints"), about.ino());
        if about.nlink() < 2 {
            return;
        }
        let sweep = move || {
            let mut folders = vec![root];
            while let Some(folder) = folders.pop() {
                for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
                    match entry.metadata() {
                        Ok(about) if about.is_dir() => folders.push(entry.path()),
                        Ok(about) if about.ino() == inode => {
                            let _ = std::fs::remove_file(entry.path());
                        }
                        Ok(_) | Err(_) => {}
                    }
                }
            }
        };
        let _ = tokio::task::spawn_blocking(sweep).await;
    }
}

async fn is_same(a: &Path, b: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (fs::metadata(a).await, fs::metadata(b).await) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    }
}

/// SHA-256 of a file, hexadecimal.
pub(super) async fn hash_of(path: &Path) -> io::Result<String> {
    let mut file = fs::File::open(path).await?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let read = file.read(&mut buffer).await?;
        if read == 0 {
            return Ok(data_encoding::HEXLOWER.encode(&hash.finalize()));
        }
        hash.update(&buffer[..read]);
    }
}

pub(super) fn disk(what: &str) -> impl FnOnce(io::Error) -> Error {
    let what = what.to_owned();
    move |error| Error::File(what, error)
}

/// Nothing that is printed is larger.
pub(super) const BYTES_MAX: u64 = 4 << 30;
/// Whether there is still room on the disk.
const LOOK_EVERY: u64 = 16 << 20;

#[cfg(test)]
mod tests;
