//! `farhub restore`: a hub from a backup.
//!
//! Everything is written into a new folder and checked there; only then it takes the place of the
//! old one, which is kept beside it.

use crate::backup::{About, walk};
use crate::cli::printers::Restore;
use crate::data;
use crate::error::{Error, Exit};
use crate::out::Out;
use jiff::{Timestamp, Unit};
use rustix::fs::{FlockOperation, flock};
use serde_json::json;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, chown};
use std::path::{Path, PathBuf};

pub(crate) async fn restore(
    out: Out,
    args: &Restore,
    folder: &Path,
    config: Option<&Path>,
) -> Result<(), Error> {
    let folder = std::path::absolute(folder)?;
    let old = Old::look(&folder)?;
    if old.holds_a_hub && !args.replace {
        let message = format!("{} is not empty", folder.display());
        return Err(Error::new(Exit::Usage, message)
            .hint("--replace keeps it beside the new one; or --data DIR for another folder"));
    }
    let mut new = New { folder: beside(&folder, "restoring"), done: false };
    let about = unpack(&args.file, &new.folder)?;
    for database in ["farhub.db", "shop.db"] {
        let file = new.folder.join(database);
        if file.exists() {
            let checked = store::check(&file).await;
            checked.map_err(|error| Error::failed(format!("{database} of the backup: {error}")))?;
        }
    }
    if !new.folder.join("farhub.db").exists() || !new.folder.join("key").exists() {
        return Err(Error::failed(format!("{} holds no whole hub", args.file.display())));
    }
    let settings = settle(&new.folder, &folder, config)?;
    old.hand_over(&new.folder)?;
    let kept = old.take_away(&folder)?;
    fs::rename(&new.folder, &folder).map_err(|error| at(&folder, &error))?;
    new.done = true;
    if out.json {
        let told = json!({ "folder": folder, "kept": kept, "about": about });
        return out.document(&told);
    }
    tell(&about, &folder, kept.as_deref(), settings.as_deref());
    Ok(())
}

fn tell(about: &About, folder: &Path, kept: Option<&Path>, settings: Option<&Path>) {
    eprintln!("{} is in {} as of {}.", about.hub.name, folder.display(), about.time);
    if let Some(kept) = kept {
        eprintln!("What was there is in {}.", kept.display());
    }
    if let Some(settings) = settings {
        let place = settings.display();
        eprintln!("{place} stays as it is; that of the backup is farhub.toml in the folder.");
    }
    if about.shop == "postgresql" {
        eprintln!("The print shop is in PostgreSQL: restore that with pg_restore.");
    }
    if !about.content {
        eprintln!("The backup has no content of files: what only the hub had is lost.");
    }
    eprintln!("Do not let another hub run with the same key: {}", about.hub.id);
}

/// The folder as it is.
struct Old {
    holds_a_hub: bool,
    exists: bool,
    owner: Option<(u32, u32)>,
    /// No hub can start meanwhile.
    _lock: Option<File>,
}

impl Old {
    fn look(folder: &Path) -> Result<Self, Error> {
        let about = match fs::metadata(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Self { holds_a_hub: false, exists: false, owner: None, _lock: None });
            }
            about => about.map_err(|error| at(folder, &error))?,
        };
        let file = folder.join("lock");
        let lock = match OpenOptions::new().write(true).open(&file) {
            Ok(lock) => Some(lock),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(at(&file, &error)),
        };
        let running = |lock: &File| flock(lock, FlockOperation::NonBlockingLockExclusive).is_err();
        if lock.as_ref().is_some_and(running) {
            let message = format!("a hub is running with the data folder {}", folder.display());
            return Err(Error::failed(message).hint("stop it first: sudo systemctl stop farhub"));
        }
        let mut entries = fs::read_dir(folder).map_err(|error| at(folder, &error))?;
        let holds_a_hub = entries.any(|entry| entry.is_ok_and(|entry| entry.file_name() != "lock"));
        let owner = Some((about.uid(), about.gid()));
        Ok(Self { holds_a_hub, exists: true, owner, _lock: lock })
    }

    /// The new files belong to whoever the old ones do.
    fn hand_over(&self, new: &Path) -> Result<(), Error> {
        let Some((uid, gid)) = self.owner else { return Ok(()) };
        let about = fs::metadata(new)?;
        if (about.uid(), about.gid()) == (uid, gid) {
            return Ok(());
        }
        own(new, uid, gid).map_err(|error| at(new, &error))
    }

    fn take_away(&self, folder: &Path) -> Result<Option<PathBuf>, Error> {
        if !self.exists {
            return Ok(None);
        }
        if !self.holds_a_hub {
            // at most a lock
            fs::remove_dir_all(folder).map_err(|error| at(folder, &error))?;
            return Ok(None);
        }
        let now = Timestamp::now().round(Unit::Second).unwrap_or(Timestamp::UNIX_EPOCH);
        let kept = beside(folder, &format!("before-{}", now.strftime("%Y%m%dT%H%M%SZ")));
        fs::rename(folder, &kept).map_err(|error| at(folder, &error))?;
        Ok(Some(kept))
    }
}

fn own(path: &Path, uid: u32, gid: u32) -> io::Result<()> {
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            own(&entry?.path(), uid, gid)?;
        }
    }
    chown(path, Some(uid), Some(gid))
}

/// The new folder, which goes away unless it took the place of the old one.
struct New {
    folder: PathBuf,
    done: bool,
}

impl Drop for New {
    fn drop(&mut self) {
        if !self.done {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

fn unpack(archive: &Path, new: &Path) -> Result<About, Error> {
    let mut folder = fs::DirBuilder::new();
    folder.recursive(true).mode(0o700);
    // what a restore that was killed left there
    match fs::remove_dir_all(new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at(new, &error)),
        Ok(()) | Err(_) => {}
    }
    folder.create(new).map_err(|error| at(new, &error))?;
    walk(archive, |name, content| {
        let file = new.join(name);
        folder.create(file.parent().unwrap_or(new))?;
        let mut to = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
        io::copy(content, &mut to)?;
        to.sync_all()
    })
}

/// Settings that are elsewhere are put there, unless there are some. Gives where they stay.
fn settle(new: &Path, folder: &Path, config: Option<&Path>) -> Result<Option<PathBuf>, Error> {
    let place = config.map_or_else(|| data::config(folder), Path::to_owned);
    let ours = new.join("farhub.toml");
    if !ours.exists() || place.parent() == Some(folder) {
        return Ok(None);
    }
    if place.exists() {
        return Ok(Some(place));
    }
    if let Some(parent) = place.parent() {
        fs::create_dir_all(parent).map_err(|error| at(parent, &error))?;
    }
    fs::copy(&ours, &place).map_err(|error| at(&place, &error))?;
    Ok(None)
}

fn beside(folder: &Path, ending: &str) -> PathBuf {
    let mut name = folder.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{ending}"));
    folder.with_file_name(name)
}

fn at(path: &Path, error: &io::Error) -> Error {
    let exit = Error::from(io::Error::from(error.kind())).exit;
    Error::new(exit, format!("{}: {error}", path.display()))
}
