//! What is plugged in, as sysfs tells. No device is opened for that, or woken up.
//!
//! `linux/Documentation/ABI/stable/sysfs-bus-usb`, `linux/drivers/usb/core/sysfs.c`.

use super::mounts::{Mounts, SWAP};
use crate::descriptor;
use rustix::fs::Access;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};
use wire::device::Usb;
use wire::usb::Speed;
use wire::{DeviceId, Text};

/// A device that is plugged in here.
#[derive(Clone, Debug)]
pub struct Found {
    pub id: DeviceId,
    pub usb: Usb,
    /// `/dev/bus/usb/BBB/DDD`
    pub node: PathBuf,
    /// The kernel's drivers of its interfaces, by interface number.
    pub drivers: BTreeMap<u8, String>,
    /// Why it can't be opened now.
    pub problem: Option<Problem>,
    /// Its directory below `/sys/bus/usb/devices`.
    pub(super) sysfs: PathBuf,
}

/// Why a device can't be opened: what is wrong, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("this computer runs from it: it can't be shared")]
    RootDisk,
    #[error("a file system on it is mounted at {0}: unmount it first")]
    Mounted(String),
    #[error("this computer swaps to it: run `swapoff --all` first")]
    Swap,
    #[error(
        "no permission to use {}: run `sudo farhub service install`, which adds a udev rule, \
         then plug the device in again", .0.display()
    )]
    Permission(PathBuf),
}

/// All devices of the system below `root` (`/`, but for tests) that can be shared: not hubs, and
/// not those that are attached here from elsewhere. Sorted by port.
///
/// # Errors
/// When sysfs can't be read. A system without USB is none: it has no devices.
pub fn list(root: &Path) -> io::Result<Vec<Found>> {
    let entries = match fs::read_dir(root.join("sys/bus/usb/devices")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mounts = Mounts::read(root);
    let mut found = Vec::new();
    for entry in entries {
        let directory = entry?.path();
        // Interfaces have a colon in their names, root hubs none of the dashes.
        let name = directory.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.contains('-')
            && !name.contains(':')
            && let Some(device) = look(root, name, &directory, &mounts)
        {
            found.push(device);
        }
    }
    found.sort_by(|a, b| a.sysfs.cmp(&b.sysfs));
    tell_twins_apart(&mut found);
    Ok(found)
}

/// `None` for what is not to be shared, and for what is unplugged while we look.
fn look(root: &Path, port: &str, directory: &Path, mounts: &Mounts) -> Option<Found> {
    let real = fs::canonicalize(directory).ok()?;
    if real.components().any(|part| part.as_os_str().as_encoded_bytes().starts_with(b"vhci_hcd")) {
        return None;
    }
    let bytes = fs::read(directory.join("descriptors")).ok()?;
    let descriptors = descriptor::parse(&bytes)
        .inspect_err(|error| tracing::warn!(port, %error, "a device with bad descriptors"))
        .ok()?;
    if descriptors.class == HUB {
        return None;
    }
    let text = |file| Text::from(attribute(directory, file).unwrap_or_default().as_str());
    let usb = Usb {
        vendor_id: descriptors.vendor_id,
        product_id: descriptors.product_id,
        release: descriptors.release,
        class: descriptors.class,
        subclass: descriptors.subclass,
        protocol: descriptors.protocol,
        speed: speed(&attribute(directory, "speed")?)?,
        manufacturer: text("manufacturer"),
        product: text("product"),
        serial_number: text("serial"),
        port: Text::from(port),
        interfaces: descriptors.interfaces,
    };
    let node = root.join(node(directory)?);
    Some(Found {
        id: id(&usb)?,
        drivers: drivers(directory),
        problem: problem(&real, &node, mounts),
        usb,
        node,
        sysfs: directory.to_owned(),
    })
}

fn problem(real: &Path, node: &Path, mounts: &Mounts) -> Option<Problem> {
    match mounts.of_device(real) {
        Some("/" | "/usr" | "/boot" | "/boot/efi" | "/boot/firmware") => Some(Problem::RootDisk),
        Some(SWAP) => Some(Problem::Swap),
        Some(point) => Some(Problem::Mounted(point.to_owned())),
        None => rustix::fs::access(node, Access::READ_OK | Access::WRITE_OK)
            .is_err()
            .then(|| Problem::Permission(node.to_owned())),
    }
}

/// The device node, below the root: numbers of the bus, and of the device since it is plugged in.
fn node(directory: &Path) -> Option<PathBuf> {
    let number = |file| attribute(directory, file)?.parse::<u32>().ok();
    let (bus, device) = (number("busnum")?, number("devnum")?);
    Some(format!("dev/bus/usb/{bus:03}/{device:03}").into())
}

impl Found {
    /// Whether what is on this port now is still this device.
    pub(super) fn is_plugged(&self) -> bool {
        node(&self.sysfs).is_some_and(|node| self.node.ends_with(node))
    }

    /// Looks again whether the device can be opened: something may be mounted since.
    #[must_use]
    pub fn problem_now(&self, root: &Path) -> Option<Problem> {
        let real = fs::canonicalize(&self.sysfs).ok()?;
        problem(&real, &self.node, &Mounts::read(root))
    }
}

/// The drivers that are bound to interfaces, ours (`usbfs`) too.
pub(super) fn drivers(device: &Path) -> BTreeMap<u8, String> {
    let mut drivers = BTreeMap::new();
    for (interface, directory) in interfaces(device) {
        let driver = fs::read_link(directory.join("driver")).ok();
        if let Some(name) = driver.as_deref().and_then(Path::file_name) {
            drivers.insert(interface, name.to_string_lossy().into_owned());
        }
    }
    drivers
}

/// The interfaces of the active configuration: number and directory.
fn interfaces(device: &Path) -> Vec<(u8, PathBuf)> {
    let entries = fs::read_dir(device).into_iter().flatten().flatten().map(|entry| entry.path());
    let interface = |directory: PathBuf| {
        let number = attribute(&directory, "bInterfaceNumber")?;
        Some((u8::from_str_radix(&number, 16).ok()?, directory))
    };
    entries.filter_map(interface).collect()
}

/// `bConfigurationValue` of the active configuration, 0 for none; `None` of a device that is gone.
pub(super) fn configuration(device: &Path) -> Option<u8> {
    let value = attribute(device, "bConfigurationValue")?;
    if value.is_empty() { Some(0) } else { value.parse().ok() }
}

fn attribute(directory: &Path, file: &str) -> Option<String> {
    // Strings are the device's, and need not be UTF-8.
    let bytes = fs::read(directory.join(file)).ok()?;
    Some(String::from_utf8_lossy(&bytes).trim().to_owned())
}

fn speed(mbit: &str) -> Option<Speed> {
    match mbit {
        "1.5" => Some(Speed::Low),
        "12" => Some(Speed::Full),
        "480" => Some(Speed::High),
        "5000" => Some(Speed::Super),
        "10000" | "20000" => Some(Speed::SuperPlus),
        _ => None,
    }
}

fn id(usb: &Usb) -> Option<DeviceId> {
    let serial: String =
        usb.serial_number.as_str().chars().take(SERIAL_CHARS_MAX).map(id_character).collect();
    let (vendor, product, port) = (usb.vendor_id, usb.product_id, &usb.port);
    let id = match serial.as_str() {
        "" => format!("usb-{vendor:04x}:{product:04x}@{port}"),
        serial => format!("usb-{vendor:04x}:{product:04x}:{serial}"),
    };
    id.parse().ok()
}

/// Into the alphabet of a [`DeviceId`], without the characters that have a meaning in it.
fn id_character(c: char) -> char {
    match c.to_ascii_lowercase() {
        c @ ('a'..='z' | '0'..='9' | '.' | '_') => c,
        _ => '-',
    }
}

/// Serial numbers are not always unique ("0001"). While two such devices are plugged in, the
/// port tells which is which: nobody gets the one in place of the other.
fn tell_twins_apart(found: &mut [Found]) {
    let mut count = BTreeMap::<DeviceId, usize>::new();
    for device in &*found {
        *count.entry(device.id.clone()).or_default() += 1;
    }
    for device in found {
        if count[&device.id] > 1 {
            let id = format!("{}@{}", device.id, device.usb.port);
            device.id = id.parse().expect("an id and a port, both short and of its alphabet");
        }
    }
}

/// `bDeviceClass`, USB 2.0 §11.23.1
const HUB: u8 = 9;
/// Leaves room for the rest of a [`DeviceId`], and a port.
const SERIAL_CHARS_MAX: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::descriptor::tests::{CAMERA, DISK};
    use std::os::unix::fs::symlink;
    use tempfile::TempDir;

    /// A file tree that looks like the parts of sysfs, /dev and /proc that are read.
    struct Tree(TempDir);

    impl Tree {
        fn new() -> Self {
            let tree = Self(tempfile::tempdir().unwrap());
            fs::create_dir_all(tree.path("sys/bus/usb/devices")).unwrap();
            fs::create_dir_all(tree.path("sys/bus/usb/drivers/usb-storage")).unwrap();
            tree
        }

        fn path(&self, path: &str) -> PathBuf {
            self.0.path().join(path)
        }

        fn write(&self, path: &str, content: &[u8]) {
            fs::create_dir_all(self.path(path).parent().unwrap()).unwrap();
            fs::write(self.path(path), content).unwrap();
        }

        /// A device on `port` of the controller `host`.
        fn plug(&self, host: &str, port: &str, number: u8, descriptors: &[u8], serial: &str) {
            let directory = format!("sys/devices/{host}/usb1/{port}");
            let attributes = [("speed", "480"), ("busnum", "1"), ("product", "A thing")];
            for (file, content) in attributes.into_iter().chain([("serial", serial)]) {
                self.write(&format!("{directory}/{file}"), format!("{content}\n").as_bytes());
            }
            self.write(&format!("{directory}/devnum"), number.to_string().as_bytes());
            self.write(&format!("{directory}/descriptors"), descriptors);
            self.write(&format!("dev/bus/usb/001/{number:03}"), b"");
            let link = self.path(&format!("sys/bus/usb/devices/{port}"));
            symlink(self.path(&directory), link).unwrap();
        }

        fn list(&self) -> Vec<Found> {
            list(self.0.path()).unwrap()
        }

        fn ids(&self) -> Vec<String> {
            self.list().iter().map(|found| found.id.to_string()).collect()
        }
    }

    const PCI: &str = "pci0000:00/0000:00:14.0";

    #[test]
    fn a_device_and_its_driver() {
        let tree = Tree::new();
        tree.plug(PCI, "1-1.4", 7, &DISK, "ABC 123");
        let interface = format!("sys/devices/{PCI}/usb1/1-1.4/1-1.4:1.0");
        tree.write(&format!("{interface}/bInterfaceNumber"), b"00\n");
        let driver = tree.path("sys/bus/usb/drivers/usb-storage");
        symlink(driver, tree.path(&format!("{interface}/driver"))).unwrap();
        let [found] = &tree.list()[..] else { panic!("one device") };
        assert_eq!(found.id.as_str(), "usb-0525:a4a5:abc-123");
        assert_eq!(found.usb.serial_number.as_str(), "ABC 123");
        assert_eq!(found.usb.product.as_str(), "A thing");
        assert_eq!((found.usb.port.as_str(), found.usb.speed), ("1-1.4", Speed::High));
        assert_eq!(found.node, tree.path("dev/bus/usb/001/007"));
        assert_eq!(found.drivers, BTreeMap::from([(0, "usb-storage".to_owned())]));
        assert_eq!(found.problem, None);
        assert!(found.is_plugged());
    }

    #[test]
    fn hubs_and_what_is_attached_here_are_not_offered() {
        let tree = Tree::new();
        let mut hub = DISK;
        hub[4] = HUB;
        tree.plug(PCI, "1-1", 2, &hub, "");
        tree.plug("platform/vhci_hcd.0", "3-1", 3, &DISK, "");
        tree.plug("platform/dummy_hcd.0", "5-1", 4, &DISK, "");
        assert_eq!(tree.ids(), ["usb-0525:a4a5@5-1"]);
    }

    #[test]
    fn hostile_descriptors_hide_a_device_only() {
        let tree = Tree::new();
        tree.plug(PCI, "1-1", 2, b"\x12\x01", "x");
        tree.plug(PCI, "1-2", 3, &CAMERA, "\u{1b}[2J/../é");
        assert_eq!(tree.ids(), ["usb-1d6b:0102:-2j-..--"]);
    }

    #[test]
    fn twins_are_told_apart_by_their_ports() {
        let tree = Tree::new();
        tree.plug(PCI, "1-1", 2, &DISK, "0001");
        assert_eq!(tree.ids(), ["usb-0525:a4a5:0001"]);
        tree.plug(PCI, "1-2", 3, &DISK, "0001");
        tree.plug(PCI, "1-3", 4, &DISK, &"9".repeat(200));
        let ids = tree.ids();
        assert_eq!(ids[..2], ["usb-0525:a4a5:0001@1-1", "usb-0525:a4a5:0001@1-2"]);
        assert_eq!(ids[2].len(), "usb-0525:a4a5:".len() + SERIAL_CHARS_MAX);
    }

    #[test]
    fn disks_in_use_are_not_taken_away() {
        let tree = Tree::new();
        let disks = [("1-1", 2, "sda"), ("1-2", 3, "sdb"), ("1-3", 4, "sdc"), ("1-4", 5, "sdd")];
        for (port, number, block) in disks {
            tree.plug(PCI, port, number, &DISK, port);
            let partition =
                format!("sys/devices/{PCI}/usb1/{port}/{port}:1.0/host0/block/{block}/{block}1");
            fs::create_dir_all(tree.path(&partition)).unwrap();
            fs::create_dir_all(tree.path("sys/class/block")).unwrap();
            let link = tree.path(&format!("sys/class/block/{block}1"));
            symlink(tree.path(&partition), link).unwrap();
        }
        // The root file system is on a volume on sda1; sdb1 is btrfs; sdc1 is not mounted; sdd1
        // is swap.
        fs::create_dir_all(tree.path("sys/devices/virtual/block/dm-0/slaves")).unwrap();
        fs::create_dir_all(tree.path("sys/dev/block")).unwrap();
        let volume = tree.path("sys/devices/virtual/block/dm-0");
        symlink(tree.path("sys/class/block/sda1"), volume.join("slaves/sda1")).unwrap();
        symlink(&volume, tree.path("sys/dev/block/253:0")).unwrap();
        tree.write("dev/sdb1", b"");
        let mounts = "22 1 253:0 / / rw - ext4 /dev/mapper/root rw\n\
            23 22 253:0 / /home rw - ext4 /dev/mapper/root rw\n\
            24 22 0:31 / /media/my\\040disk rw - btrfs /dev/sdb1 rw\n\
            25 22 0:5 / /proc rw - proc proc rw\n";
        tree.write("proc/self/mountinfo", mounts.as_bytes());
        let swaps = "Filename\tType\tSize\tUsed\tPriority\n\
            /dev/sdd1   partition\t4194300\t0\t-2\n/swap\\040file file\t1\t0\t-3\n";
        tree.write("dev/sdd1", b"");
        tree.write("proc/swaps", swaps.as_bytes());
        let problems: Vec<_> = tree.list().into_iter().map(|found| found.problem).collect();
        let mounted = Problem::Mounted("/media/my disk".to_owned());
        assert_eq!(problems, [Some(Problem::RootDisk), Some(mounted), None, Some(Problem::Swap)]);
    }

    #[test]
    fn a_node_without_permission_is_a_problem() {
        let tree = Tree::new();
        tree.plug(PCI, "1-1", 2, &DISK, "x");
        fs::remove_file(tree.path("dev/bus/usb/001/002")).unwrap();
        let problem = tree.list()[0].problem.clone().unwrap();
        assert!(matches!(&problem, Problem::Permission(node) if node.ends_with("001/002")));
        assert!(problem.to_string().contains("farhub service install"));
    }

    #[test]
    fn a_system_without_usb_has_no_devices() {
        assert!(list(tempfile::tempdir().unwrap().path()).unwrap().is_empty());
    }
}
