//! The serial ports of this computer, as sysfs tells. None is opened for that: many boards reset
//! when somebody opens their port.
//!
//! A port is known by what is plugged in, not by its name, which the kernel deals out anew
//! (`ttyUSB0`, `ttyUSB1`) each time.
//!
//! `linux/Documentation/ABI/testing/sysfs-tty`, `linux/drivers/tty/serial/serial_core.c`.

use rustix::fs::Access;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};
use wire::{DeviceId, Text};

/// A serial port that is there now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub id: DeviceId,
    /// `/dev/ttyUSB0`
    pub node: PathBuf,
    /// What it calls itself: `1a86 USB Serial`, or the kernel's name where it has none.
    pub product: Text,
    /// Of a port on USB.
    pub usb: Option<UsbPort>,
    /// Why it can't be opened now.
    pub problem: Option<Problem>,
}

/// What a port on USB is part of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsbPort {
    pub vendor_id: u16,
    pub product_id: u16,
    pub serial_number: Text,
    /// One adapter may have several ports.
    pub interface: u8,
    /// Where it is plugged in, as in `1-1.4`.
    pub port: Text,
}

/// Why a port can't be opened: what is wrong, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error(
        "no permission to use {}: add the user of farhub to the group that it belongs to, such as \
         dialout, and log in again; the service of `farhub service install` is in it", .0.display()
    )]
    Permission(PathBuf),
}

/// All ports of the system below `root` (`/`, but for tests) that are real: not those that the
/// kernel reserves for chips that are not there, nor the system's console, nor
/// ports of peers that are plugged in here. Sorted by node.
///
/// # Errors
/// When sysfs can't be read. A system without any is none.
pub fn list(root: &Path) -> io::Result<Vec<Found>> {
    let entries = match fs::read_dir(root.join("sys/class/tty")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        let known = name.to_str().filter(|name| KINDS.iter().any(|kind| name.starts_with(kind)));
        found.extend(known.and_then(|name| look(root, name)));
    }
    found.sort_by(|a, b| a.node.cmp(&b.node));
    tell_twins_apart(&mut found);
    Ok(found)
}

/// Ports by their paths, as far as they are there and not among those that were `listed`. Links
/// are ports too, and keep their name: `/dev/serial/by-id/...`, or what a udev rule made.
#[must_use]
pub fn named(paths: &[PathBuf], listed: &[Found]) -> Vec<Found> {
    let is_listed = |path: &Path| listed.iter().any(|found| found.node == path);
    let there = paths.iter().filter_map(|path| Some((path, fs::canonicalize(path).ok()?)));
    let others = there.filter(|(_, real)| !is_listed(real));
    others.filter_map(|(path, _)| named_port(path)).collect()
}

fn named_port(node: &Path) -> Option<Found> {
    let text: String = node.to_str()?.chars().map(id_character).collect();
    let from = text.len().saturating_sub(SERIAL_CHARS_MAX);
    let id = format!("tty-{}", text[from..].trim_matches('-')).parse().ok()?;
    let product = Text::from(node.file_name()?.to_str()?);
    Some(Found { id, node: node.to_owned(), product, usb: None, problem: permission(node) })
}

fn permission(node: &Path) -> Option<Problem> {
    let may = rustix::fs::access(node, Access::READ_OK | Access::WRITE_OK).is_ok();
    (!may).then(|| Problem::Permission(node.to_owned()))
}

/// What the kernel calls serial ports: USB adapters, USB modems (most machines), PC ports, those
/// of ARM boards.
const KINDS: [&str; 5] = ["ttyUSB", "ttyACM", "ttyS", "ttyAMA", "ttyTHS"];

/// `None` for what is not real, and for what is unplugged while we look.
fn look(root: &Path, name: &str) -> Option<Found> {
    let class = root.join("sys/class/tty").join(name);
    let device = fs::canonicalize(class.join("device")).ok()?;
    let is_remote = device.to_string_lossy().contains("/vhci_hcd");
    if !is_real(&class, &device) || is_console(&class) || is_remote {
        return None;
    }
    let node = root.join("dev").join(name);
    let usb = usb(&device);
    let product = usb.as_ref().map(|(_, product)| product.clone()).filter(|text| !text.is_empty());
    let problem = permission(&node);
    let usb = usb.map(|(usb, _)| usb);
    Some(Found {
        id: id(name, usb.as_ref())?,
        product: Text::from(product.as_deref().unwrap_or(name)),
        node,
        usb,
        problem,
    })
}

/// The kernel makes `ttyS0` to `ttyS31` on every PC. `type` is 0 where no chip was found, but only
/// root may read it.
fn is_real(class: &Path, device: &Path) -> bool {
    match attribute(class, "type") {
        Some(kind) => kind != "0",
        None => !device.to_string_lossy().contains("/platform/serial8250"),
    }
}

fn is_console(class: &Path) -> bool {
    attribute(class, "console").is_some_and(|console| console == "Y")
}

/// The device and the interface above a port, and what the device calls itself.
fn usb(device: &Path) -> Option<(UsbPort, String)> {
    let interface = device.ancestors().find(|path| path.join("bInterfaceNumber").exists())?;
    let parent = interface.parent()?;
    let hex = |file| u16::from_str_radix(&attribute(parent, file)?, 16).ok();
    let text = |file| attribute(parent, file).unwrap_or_default();
    let usb = UsbPort {
        vendor_id: hex("idVendor")?,
        product_id: hex("idProduct")?,
        serial_number: Text::from(text("serial").as_str()),
        interface: u8::from_str_radix(&attribute(interface, "bInterfaceNumber")?, 16).ok()?,
        port: Text::from(parent.file_name()?.to_str()?),
    };
    let product = format!("{} {}", text("manufacturer"), text("product"));
    Some((usb, product.trim().to_owned()))
}

fn id(name: &str, usb: Option<&UsbPort>) -> Option<DeviceId> {
    let Some(usb) = usb else {
        return format!("tty-{}", name.to_ascii_lowercase()).parse().ok();
    };
    let serial: String =
        usb.serial_number.as_str().chars().take(SERIAL_CHARS_MAX).map(id_character).collect();
    let (vendor, product, port, interface) =
        (usb.vendor_id, usb.product_id, &usb.port, usb.interface);
    let id = match serial.as_str() {
        "" => format!("tty-{vendor:04x}:{product:04x}@{port}:{interface}"),
        serial => format!("tty-{vendor:04x}:{product:04x}:{serial}:{interface}"),
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

/// Serial numbers are not always unique. While two such ports are there, where they are plugged in
/// tells which is which.
fn tell_twins_apart(found: &mut [Found]) {
    let mut count = BTreeMap::<DeviceId, usize>::new();
    for port in &*found {
        *count.entry(port.id.clone()).or_default() += 1;
    }
    for port in found {
        if let Some(usb) = &port.usb
            && count[&port.id] > 1
        {
            let id = format!("{}@{}", port.id, usb.port);
            port.id = id.parse().expect("an id and a port, both short and of its alphabet");
        }
    }
}

fn attribute(directory: &Path, file: &str) -> Option<String> {
    // strings are the device's, and need not be UTF-8
    let bytes = fs::read(directory.join(file)).ok()?;
    Some(String::from_utf8_lossy(&bytes).trim().to_owned())
}

/// Leaves room for the rest of a [`DeviceId`], and a port.
const SERIAL_CHARS_MAX: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use tempfile::TempDir;

    /// A file tree that looks like the parts of sysfs and /dev that are read.
    struct Tree(TempDir);

    impl Tree {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn write(&self, path: &str, content: &str) {
            let path = self.0.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }

        /// A port `name` below `device`.
        fn port(&self, name: &str, device: &str, kind: Option<&str>) {
            let real = format!("sys/devices/{device}/tty/{name}");
            self.write(&format!("{real}/dev"), "1:2\n");
            if let Some(kind) = kind {
                self.write(&format!("{real}/type"), kind);
            }
            let path = |path: &str| self.0.path().join(path);
            symlink(path(&format!("sys/devices/{device}")), path(&format!("{real}/device")))
                .unwrap();
            fs::create_dir_all(path("sys/class/tty")).unwrap();
            symlink(path(&real), path(&format!("sys/class/tty/{name}"))).unwrap();
            self.write(&format!("dev/{name}"), "");
        }

        /// A USB device at `port` with one interface that has a serial port.
        fn plug(&self, port: &str, serial: &str, name: &str) {
            let device = format!("pci/usb1/{port}");
            for (file, content) in [
                ("idVendor", "1a86\n"),
                ("idProduct", "7523\n"),
                ("manufacturer", "QinHeng\n"),
                ("product", "USB Serial\n"),
                ("serial", serial),
                ("i/bInterfaceNumber", "01\n"),
            ] {
                self.write(&format!("sys/devices/{device}/{file}"), content);
            }
            self.port(name, &format!("{device}/i"), None);
        }

        fn ids(&self) -> Vec<String> {
            let found = list(self.0.path()).unwrap();
            found.iter().map(|found| found.id.to_string()).collect()
        }
    }

    #[test]
    fn a_usb_port_is_known_by_what_it_is() {
        let tree = Tree::new();
        tree.plug("1-1.4", "A 7\n", "ttyUSB3");
        let [found] = &list(tree.0.path()).unwrap()[..] else { panic!("one port") };
        assert_eq!(found.id.as_str(), "tty-1a86:7523:a-7:1");
        assert_eq!(found.node, tree.0.path().join("dev/ttyUSB3"));
        assert_eq!(found.product.as_str(), "QinHeng USB Serial");
        assert_eq!(found.usb.as_ref().unwrap().port.as_str(), "1-1.4");
        assert_eq!(found.problem, None);
    }

    #[test]
    fn without_a_serial_number_its_place_is_its_name() {
        let tree = Tree::new();
        tree.plug("1-1.4", "", "ttyUSB0");
        tree.plug("1-2", "", "ttyUSB1");
        assert_eq!(tree.ids(), ["tty-1a86:7523@1-1.4:1", "tty-1a86:7523@1-2:1"]);
    }

    #[test]
    fn twins_are_told_apart() {
        let tree = Tree::new();
        tree.plug("1-1", "7", "ttyACM0");
        tree.plug("1-2", "7", "ttyACM1");
        assert_eq!(tree.ids(), ["tty-1a86:7523:7:1@1-1", "tty-1a86:7523:7:1@1-2"]);
    }

    #[test]
    fn ports_without_a_chip_are_not_there() {
        let tree = Tree::new();
        tree.port("ttyS0", "pnp0/00:01/s", Some("4\n"));
        tree.port("ttyS1", "platform/serial8250/s1", Some("0\n"));
        tree.port("ttyS2", "platform/serial8250/s2", None);
        tree.port("ttyAMA0", "soc/uart", None);
        tree.port("tty7", "virtual/x", None);
        assert_eq!(tree.ids(), ["tty-ttyama0", "tty-ttys0"]);
    }

    #[test]
    fn ports_that_were_named_are_there_once() {
        let tree = Tree::new();
        tree.plug("1-1.4", "7", "ttyUSB0");
        tree.write("dev/odd/Port", "");
        let path = |path: &str| tree.0.path().join(path);
        symlink(path("dev/ttyUSB0"), path("dev/usb")).unwrap();
        symlink(path("dev/odd/Port"), path("dev/laser")).unwrap();
        let paths = [path("dev/usb"), path("dev/laser"), path("dev/missing")];
        let found = named(&paths, &list(tree.0.path()).unwrap());
        assert_eq!(found.len(), 1);
        assert_eq!((&found[0].node, found[0].product.as_str()), (&paths[1], "laser"));
        assert!(found[0].id.as_str().ends_with("-dev-laser"), "{}", found[0].id);
    }

    #[test]
    fn a_console_is_not_offered_and_no_sysfs_is_no_ports() {
        let tree = Tree::new();
        assert_eq!(tree.ids(), [""; 0]);
        tree.port("ttyS0", "pnp0/00:01/s", Some("4\n"));
        tree.write("sys/devices/pnp0/00:01/s/tty/ttyS0/console", "Y\n");
        assert_eq!(tree.ids(), [""; 0]);
    }
}
