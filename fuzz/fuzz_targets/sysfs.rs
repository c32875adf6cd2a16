//! Devices as sysfs shows them. Names and serial numbers are the device's own, mount points
//! anybody's who may mount.

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use usb::linux::list;

#[derive(Debug, Arbitrary)]
struct Tree<'a> {
    devices: [Device<'a>; 2],
    mountinfo: &'a [u8],
}

#[derive(Debug, Arbitrary)]
struct Device<'a> {
    descriptors: &'a [u8],
    interface: &'a [u8],
    attributes: [&'a [u8]; 6],
}

const ATTRIBUTES: [&str; 6] =
    ["serial", "product", "manufacturer", "speed", "busnum", "devnum"];

fuzz_target!(|tree: Tree| {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    let root = ROOT.get_or_init(|| make().expect("a folder in memory"));
    write(&root.join("proc/self/mountinfo"), tree.mountinfo);
    for (number, device) in tree.devices.iter().enumerate() {
        let directory = root.join("sys/devices/pci0/usb1").join(port(number));
        write(&directory.join("descriptors"), device.descriptors);
        write(&directory.join("interface/bInterfaceNumber"), device.interface);
        for (name, value) in ATTRIBUTES.iter().zip(device.attributes) {
            // A device that is there has a speed and numbers, most of the time.
            let usual: &[u8] = match *name {
                "speed" => b"480\n",
                "busnum" | "devnum" => b"1\n",
                _ => value,
            };
            write(&directory.join(name), if value.is_empty() { usual } else { value });
        }
    }
    let found = list(root).expect("a tree that can be read");
    let ids: BTreeSet<_> = found.iter().map(|device| device.id.clone()).collect();
    assert_eq!(ids.len(), found.len(), "two devices of one name: {found:?}");
});

fn make() -> std::io::Result<PathBuf> {
    let root = Path::new("/dev/shm").join(format!("farhub-fuzz-{}", std::process::id()));
    fs::create_dir_all(root.join("sys/bus/usb/devices"))?;
    fs::create_dir_all(root.join("proc/self"))?;
    for number in 0..2 {
        let directory = root.join("sys/devices/pci0/usb1").join(port(number));
        fs::create_dir_all(directory.join("interface"))?;
        symlink(&directory, root.join("sys/bus/usb/devices").join(port(number)))?;
    }
    Ok(root)
}

fn port(number: usize) -> String {
    format!("1-{}", number + 1)
}

fn write(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).expect("room in memory");
}
