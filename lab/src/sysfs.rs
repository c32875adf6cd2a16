//! What the kernel says of its devices, in `/sys`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How long the kernel may take for what it does on its own.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// An attribute's text; empty when it isn't there.
pub(crate) fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

pub(crate) fn write(path: impl AsRef<Path>, text: impl AsRef<[u8]>) -> Result<()> {
    fs::write(&path, text).with_context(|| path.as_ref().display().to_string())
}

/// What is in a folder, sorted; nothing when it isn't there.
pub(crate) fn list(dir: impl AsRef<Path>) -> Vec<PathBuf> {
    let mut paths: Vec<_> =
        fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

pub(crate) fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Asks until there is an answer, or the time is over.
pub(crate) fn within<T>(
    limit: Duration,
    what: &str,
    mut ask: impl FnMut() -> Option<T>,
) -> Result<T> {
    let start = Instant::now();
    let limit = patient(limit);
    loop {
        if let Some(answer) = ask() {
            return Ok(answer);
        }
        if start.elapsed() > limit {
            bail!("waited {:.1} s for {what}", limit.as_secs_f64());
        }
        // /sys has no news to wait for
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A limit in this guest: emulated computers are slow, and slower on a busy machine.
pub(crate) fn patient(limit: Duration) -> Duration {
    if std::env::var_os("LAB").is_some_and(|lab| lab == "vm") { limit * 6 } else { limit }
}

/// Where a USB device is in the tree of devices.
pub(crate) fn usb(bus_id: &str) -> Option<PathBuf> {
    Path::new("/sys/bus/usb/devices").join(bus_id).canonicalize().ok()
}

/// The device's node for usbfs.
pub(crate) fn usbfs(device: &Path) -> Result<PathBuf> {
    let number = |attribute: &str| read(device.join(attribute)).parse::<u32>();
    Ok(format!("/dev/bus/usb/{:03}/{:03}", number("busnum")?, number("devnum")?).into())
}

/// The driver of an interface, such as `1-1:1.0`; empty when there is none.
pub(crate) fn driver(interface: &str) -> String {
    let link = Path::new("/sys/bus/usb/devices").join(interface).join("driver");
    fs::read_link(link).map(|target| name(&target)).unwrap_or_default()
}

/// What a driver made of a device: its first name in a class, such as `sda` in `block`.
pub(crate) fn node(device: &Path, class: &str, prefix: &str) -> Option<String> {
    list(Path::new("/sys/class").join(class))
        .into_iter()
        .filter(|link| name(link).starts_with(prefix))
        .find(|link| link.canonicalize().is_ok_and(|path| path.starts_with(device)))
        .map(|link| name(&link))
}

/// The USB devices that came through `vhci_hcd` and are configured.
pub(crate) fn attached() -> Vec<PathBuf> {
    list("/sys/devices/platform")
        .iter()
        .filter(|path| name(path).starts_with("vhci_hcd."))
        .flat_map(list)
        .filter(|path| name(path).starts_with("usb"))
        .flat_map(list)
        .filter(|path| !read(path.join("bConfigurationValue")).is_empty())
        .filter(|path| path.join("idVendor").exists())
        .collect()
}

/// Ports of `vhci_hcd` in use, as number and local bus id.
pub(crate) fn vhci_ports() -> Vec<(u32, String)> {
    list("/sys/devices/platform/vhci_hcd.0")
        .iter()
        .filter(|path| name(path).starts_with("status"))
        .flat_map(|path| read(path).lines().map(String::from).collect::<Vec<_>>())
        .filter_map(|line| {
            // hub port sta spd dev sockfd local_busid; 4 is VDEV_ST_NULL
            let fields: Vec<&str> = line.split_whitespace().collect();
            let status: u32 = fields.get(2)?.parse().ok()?;
            let port = fields.get(1)?.parse().ok()?;
            (status != 4).then(|| (port, fields.last().unwrap_or(&"").to_string()))
        })
        .collect()
}
