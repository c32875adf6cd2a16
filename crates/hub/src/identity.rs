//! The key that a hub is known by.

use iroh::SecretKey;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{0}: {1}")]
    Io(String, io::Error),
    #[error("{0} can be read by others: it may be known. Close it with: chmod 600 {0}")]
    Open(String),
    #[error("{0} does not hold a key of 64 hexadecimal digits")]
    Damaged(String),
}

/// Reads the key of this data folder, or makes one, readable by nobody else from the start. A new
/// one is whole on the disk before it has its name: whatever happens, there is a key or none.
///
/// # Errors
/// When the file cannot be read or made, is readable by others, or does not hold a key.
pub(crate) fn load_or_make(file: &Path) -> Result<SecretKey, Error> {
    let name = file.display().to_string();
    let io = |error| Error::Io(name.clone(), error);
    match fs::File::open(file) {
        Ok(mut old) => {
            if old.metadata().map_err(io)?.permissions().mode() & 0o077 != 0 {
                return Err(Error::Open(name));
            }
            let mut text = String::new();
            (&mut old).take(128).read_to_string(&mut text).map_err(io)?;
            let bytes = data_encoding::HEXLOWER.decode(text.trim().as_bytes()).ok();
            let bytes: Option<[u8; 32]> = bytes.and_then(|bytes| bytes.try_into().ok());
            Ok(SecretKey::from_bytes(&bytes.ok_or(Error::Damaged(name))?))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let key = SecretKey::generate();
            let text = data_encoding::HEXLOWER.encode(&key.to_bytes());
            write_whole(file, text.as_bytes()).map_err(io)?;
            Ok(key)
        }
        Err(error) => Err(io(error)),
    }
}

/// The hub's lock on the folder sees to it that nobody else does the same.
fn write_whole(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let unfinished = file.with_extension("new");
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut new = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    new.write_all(bytes)?;
    new.sync_all()?;
    fs::rename(&unfinished, file)?;
    match file.parent() {
        Some(folder) => fs::File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_made_once_and_for_its_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        let key = load_or_make(&file).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(load_or_make(&file).unwrap().public(), key.public());
    }

    #[test]
    fn a_start_that_was_cut_off_leaves_no_half_a_key() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        fs::write(dir.path().join("key.new"), "00").unwrap();
        let key = load_or_make(&file).unwrap();
        assert_eq!(load_or_make(&file).unwrap().public(), key.public());
        assert!(!dir.path().join("key.new").exists());
    }

    #[test]
    fn a_key_that_others_can_read_or_that_is_damaged_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        load_or_make(&file).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(load_or_make(&file), Err(Error::Open(_))));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&file, "abc").unwrap();
        assert!(matches!(load_or_make(&file), Err(Error::Damaged(_))));
    }
}
