//! What was taken from the kernel's drivers, written down so that they get it back even if this
//! process is killed: the next one reads it when it starts.
//!
//! One file for each device, named after its port. The first line is the configuration that was
//! active, each other one an interface and its driver.

use super::claim::{self, Borrowed};
use super::ioctl::Handle;
use super::sysfs;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// The entry of one device.
#[derive(Debug)]
pub(super) struct Entry(PathBuf);

impl Entry {
    /// Writes down what is about to be borrowed.
    pub(super) fn write(state: &Path, port: &str, borrowed: &Borrowed) -> io::Result<Self> {
        let directory = state.join(DIRECTORY);
        fs::create_dir_all(&directory)?;
        let path = directory.join(port);
        fs::write(&path, format(borrowed))?;
        Ok(Self(path))
    }

    /// Everything was given back.
    pub(super) fn remove(self) {
        if let Err(error) = fs::remove_file(&self.0) {
            tracing::warn!(%error, path = %self.0.display(), "removing a journal entry");
        }
    }
}

/// Gives back what an earlier process has left without drivers. To be called before any device
/// is opened; `state` as given to [`super::open()`]. It does blocking I/O.
///
/// # Errors
/// When the journal's folder or sysfs can't be read. A device that can't be given back is logged,
/// and forgotten: it gets its drivers when it is plugged in again. An entry that can't be read
/// stays, and is in nobody's way.
pub fn give_back_leftovers(root: &Path, state: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(state.join(DIRECTORY)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    let devices = sysfs::list(root)?;
    for entry in entries {
        let entry = Entry(entry?.path());
        let port = entry.0.file_name().unwrap_or_default();
        if let Some(device) = devices.iter().find(|device| port == device.usb.port.as_str()) {
            let text = match fs::read(&entry.0) {
                Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
                Err(error) => {
                    tracing::warn!(%error, path = %entry.0.display(), "reading a journal entry");
                    continue;
                }
            };
            let borrowed = parse(&text);
            // After a restart of the computer, say, all have drivers: a reset would disturb them.
            let bare = |interface| !device.drivers.contains_key(interface);
            if borrowed.drivers.keys().any(bare) {
                match Handle::open(&device.node) {
                    Ok(handle) => claim::give_back(&handle, &device.sysfs, &borrowed),
                    Err(error) => tracing::warn!(?port, %error, "giving a device back"),
                }
            }
        }
        entry.remove();
    }
    Ok(())
}

fn format(borrowed: &Borrowed) -> String {
    let mut text = format!("{}\n", borrowed.configuration);
    for (interface, driver) in &borrowed.drivers {
        text += &format!("{interface} {driver}\n");
    }
    text
}

/// A line that was cut by a crash is one driver less.
fn parse(text: &str) -> Borrowed {
    let mut lines = text.lines();
    let configuration = lines.next().and_then(|line| line.parse().ok()).unwrap_or(0);
    let driver = |line: &str| {
        let (interface, driver) = line.split_once(' ')?;
        Some((interface.parse().ok()?, driver.to_owned()))
    };
    let drivers: BTreeMap<u8, String> = lines.filter_map(driver).collect();
    Borrowed { configuration, drivers }
}

const DIRECTORY: &str = "detached";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_survive_the_process() {
        let state = tempfile::tempdir().unwrap();
        let drivers = BTreeMap::from([(0, "uvcvideo".to_owned()), (2, "snd-usb-audio".to_owned())]);
        let borrowed = Borrowed { configuration: 1, drivers };
        let entry = Entry::write(state.path(), "1-1.4", &borrowed).unwrap();
        let path = state.path().join("detached/1-1.4");
        assert_eq!(parse(&fs::read_to_string(&path).unwrap()), borrowed);
        entry.remove();
        assert!(!path.exists());
    }

    #[test]
    fn entries_of_devices_that_are_gone_are_forgotten() {
        let (root, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let borrowed = parse("1\n0 usb-storage\n1 usb");
        assert_eq!(borrowed.drivers.len(), 2);
        Entry::write(state.path(), "9-9", &borrowed).unwrap();
        give_back_leftovers(root.path(), state.path()).unwrap();
        assert!(!state.path().join("detached/9-9").exists());
    }

    #[test]
    fn an_entry_that_cannot_be_read_is_in_nobodys_way() {
        let (root, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let port = root.path().join("sys/bus/usb/devices/1-1");
        fs::create_dir_all(&port).unwrap();
        let attributes = [("speed", "480"), ("busnum", "1"), ("devnum", "2")];
        attributes.iter().for_each(|(name, value)| fs::write(port.join(name), value).unwrap());
        fs::write(port.join("descriptors"), crate::descriptor::tests::DISK).unwrap();
        let journal = state.path().join("detached");
        fs::create_dir_all(journal.join("1-1/a folder")).unwrap();
        let borrowed = parse("1\n0 usb-storage");
        for port in ["0-1", "9-9"] {
            Entry::write(state.path(), port, &borrowed).unwrap();
        }
        give_back_leftovers(root.path(), state.path()).unwrap();
        let left: Vec<_> = fs::read_dir(journal).unwrap().map(|it| it.unwrap().path()).collect();
        assert_eq!(left, [state.path().join("detached/1-1")]);
    }
}
