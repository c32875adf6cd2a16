//! Which USB devices carry file systems or swap in use: whoever takes those away loses data, or
//! the machine.
//!
//! `/proc/self/mountinfo` (`proc_pid_mountinfo(5)`) and `/proc/swaps` (`proc_swaps(5)`) name block
//! devices; sysfs says what they are made of, through partitions, RAID, LVM and encryption
//! (`slaves/`), down to the USB device whose directory they are in.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Where each block device in use is mounted, by the real path of its sysfs directory.
#[derive(Debug, Default)]
pub(super) struct Mounts(BTreeMap<PathBuf, Vec<String>>);

impl Mounts {
    /// Reads what is mounted on the system below `root`.
    pub(super) fn read(root: &Path) -> Self {
        let mut mounts = Self::default();
        let text = fs::read_to_string(root.join("proc/self/mountinfo")).unwrap_or_default();
        for (number, point, source) in text.lines().filter_map(parse) {
            // Btrfs and others have a number of no block device; their source has a name.
            let by_number = root.join("sys/dev/block").join(number);
            let real = fs::canonicalize(by_number).ok().or_else(|| by_source(root, source));
            if let Some(real) = real {
                mounts.add(&real, &unescape(point), DEPTH_MAX);
            }
        }
        let swaps = fs::read_to_string(root.join("proc/swaps")).unwrap_or_default();
        // The first line is a title; a swap file is on a file system that is mounted anyway.
        for source in swaps.lines().skip(1).filter_map(|line| line.split_whitespace().next()) {
            if let Some(real) = by_source(root, &unescape(source)) {
                mounts.add(&real, SWAP, DEPTH_MAX);
            }
        }
        mounts
    }

    fn add(&mut self, block: &Path, point: &str, depth: usize) {
        self.0.entry(block.to_owned()).or_default().push(point.to_owned());
        let Some(depth) = depth.checked_sub(1) else { return };
        for slave in fs::read_dir(block.join("slaves")).into_iter().flatten().flatten() {
            if let Ok(real) = fs::canonicalize(slave.path()) {
                self.add(&real, point, depth);
            }
        }
    }

    /// Where something on the device with this sysfs directory is mounted, the shortest first;
    /// [`SWAP`] for swap.
    pub(super) fn of_device(&self, device: &Path) -> Option<&str> {
        let blocks = self.0.iter().filter(|(block, _)| block.starts_with(device));
        let points = blocks.flat_map(|(_, points)| points);
        points.min_by_key(|point| point.len()).map(String::as_str)
    }
}

/// Device number, mount point and source of a line of mountinfo.
fn parse(line: &str) -> Option<(&str, &str, &str)> {
    let (before, after) = line.split_once(" - ")?;
    let mut fields = before.split(' ').skip(2);
    let (number, _root, point) = (fields.next()?, fields.next()?, fields.next()?);
    Some((number, point, after.split(' ').nth(1)?))
}

fn by_source(root: &Path, source: &str) -> Option<PathBuf> {
    let node = fs::canonicalize(root.join(source.strip_prefix('/')?)).ok()?;
    fs::canonicalize(root.join("sys/class/block").join(node.file_name()?)).ok()
}

/// Spaces and the like are octal in mountinfo.
fn unescape(point: &str) -> String {
    point.replace("\\040", " ").replace("\\011", " ").replace("\\134", "\\")
}

/// In place of a mount point, as lsblk(8) has it.
pub(super) const SWAP: &str = "[SWAP]";

/// Partition of a volume of a group of encrypted RAID, and then some.
const DEPTH_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_mountinfo() {
        let line = "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue";
        assert_eq!(parse(line), Some(("98:0", "/mnt2", "/dev/root")));
        assert_eq!(parse("36 35 98:0 /"), None);
        assert_eq!(unescape("/media/my\\040disk"), "/media/my disk");
    }
}
