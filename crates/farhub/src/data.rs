//! The data folder: where a hub keeps its key, its database and its socket.

use crate::error::Error;
use rustix::process::geteuid;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Where the service keeps it.
pub(crate) const SYSTEM: &str = "/var/lib/farhub";

/// For a hub that starts: what was typed, else the system's folder for root, else the user's.
pub(crate) fn of_hub(typed: Option<&Path>) -> PathBuf {
    match typed {
        Some(folder) => folder.to_owned(),
        None if geteuid().is_root() => SYSTEM.into(),
        None => of_user(),
    }
}

/// For a command that wants to speak to a hub: the same, but a user without a hub of their own
/// means that of the system.
pub(crate) fn of_client(typed: Option<&Path>) -> PathBuf {
    let folder = of_hub(typed);
    let elsewhere = typed.is_none() && !socket(&folder).exists() && Path::new(SYSTEM).exists();
    if elsewhere { SYSTEM.into() } else { folder }
}

/// Where the hub listens for commands.
pub(crate) fn socket(folder: &Path) -> PathBuf {
    folder.join("hub.sock")
}

/// Where the hub's settings are when no other file is named.
pub(crate) fn config(folder: &Path) -> PathBuf {
    if folder == Path::new(SYSTEM) {
        "/etc/farhub/farhub.toml".into()
    } else {
        folder.join("farhub.toml")
    }
}

/// Where the relay's settings are when no other file is named.
pub(crate) fn relay_config(folder: &Path) -> PathBuf {
    config(folder).with_file_name("relay.toml")
}

/// Makes the folder, for its owner only.
pub(crate) fn make(folder: &Path) -> Result<(), Error> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|e| Error::failed(format!("the data folder {}: {e}", folder.display())))
}

/// The text of a file that only its owner may read; made if it is not there.
pub(crate) fn secret(file: &Path, make: impl FnOnce() -> String) -> Result<String, Error> {
    let failed = |e| Error::failed(format!("{}: {e}", file.display()));
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(file) {
        Ok(mut new) => {
            let text = make();
            new.write_all(text.as_bytes()).and_then(|()| new.sync_all()).map_err(failed)?;
            Ok(text)
        }
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            let mut old = File::open(file).map_err(failed)?;
            if old.metadata().map_err(failed)?.permissions().mode() & 0o077 != 0 {
                let shown = file.display();
                return Err(Error::failed(format!(
                    "{shown} can be read by others: it may be known"
                ))
                .hint(format!("chmod 600 {shown}, or remove it to have a new one made")));
            }
            let mut text = String::new();
            (&mut old).take(SECRET_BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
            Ok(text.trim().to_owned())
        }
        Err(e) => Err(failed(e)),
    }
}

/// A key in PEM is the largest.
const SECRET_BYTES_MAX: u64 = 16 << 10;

fn of_user() -> PathBuf {
    use etcetera::BaseStrategy;
    match etcetera::choose_base_strategy() {
        Ok(base) => base.data_dir().join("farhub"),
        // No home, as in a container: what a service would use.
        Err(_) => SYSTEM.into(),
    }
}
