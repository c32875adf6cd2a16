//! The data folder: where a hub keeps its key, its database and its socket.

use rustix::process::geteuid;
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

fn of_user() -> PathBuf {
    use etcetera::BaseStrategy;
    match etcetera::choose_base_strategy() {
        Ok(base) => base.data_dir().join("farhub"),
        // No home, as in a container: what a service would use.
        Err(_) => SYSTEM.into(),
    }
}
