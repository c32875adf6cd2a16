//! Sharing: which devices are plugged in, whether the hub may open them, and what holds them.
//!
//! Source: `Documentation/driver-api/usb/usb.rst` (usbfs), sysfs of the USB core.

use super::{Area, Finding, In};
use crate::root::Root;
use crate::service::Account;
use rustix::fs::{Access, access};
use std::os::unix::fs::MetadataExt;

const SHARE: In = In(Area::Share);

pub(super) fn look(root: &Root) -> Vec<Finding> {
    let devices = devices(root);
    if !root.at("/sys/bus/usb").exists() {
        let fix = "farhub up --demo (shares simulated devices)";
        return vec![SHARE.warn("this kernel has no USB: there is nothing to share", fix)];
    }
    let mut findings = Vec::new();
    if devices.is_empty() {
        findings.push(SHARE.ok("no USB device is plugged in"));
    } else {
        findings.push(access_to(root, &devices));
    }
    findings.extend(devices.iter().filter(|device| !device.drivers.is_empty()).map(|device| {
        let drivers = device.drivers.join(", ");
        SHARE.ok(format!(
            "{} is held by {drivers} here, and lent while a peer uses it",
            device.shown
        ))
    }));
    findings.extend(memory(root));
    findings
}

#[derive(Debug)]
struct Plugged {
    /// `1-1.4 (FTDI FT232R)`
    shown: String,
    node: String,
    drivers: Vec<String>,
}

/// What is plugged in and can be shared: hubs and devices that were attached cannot.
fn devices(root: &Root) -> Vec<Plugged> {
    let folder = root.at("/sys/bus/usb/devices");
    let Ok(entries) = folder.read_dir() else { return Vec::new() };
    let mut names: Vec<String> =
        entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    let device = |name: &String| {
        let read = |file: &str| root.text(&format!("/sys/bus/usb/devices/{name}/{file}"));
        let real = folder.join(name).canonicalize().ok()?;
        let attached = real.to_string_lossy().contains("/vhci_hcd");
        if name.contains(':') || read("bDeviceClass")? == HUB_CLASS || attached {
            return None;
        }
        let number = |file: &str| read(file)?.parse::<u16>().ok();
        let node = format!("/dev/bus/usb/{:03}/{:03}", number("busnum")?, number("devnum")?);
        let product = read("product").unwrap_or_default();
        let shown = if product.is_empty() { name.clone() } else { format!("{name} ({product})") };
        Some(Plugged { shown, node, drivers: drivers(root, name, &names) })
    };
    names.iter().filter_map(device).collect()
}

/// The drivers of its interfaces, each once: `1-1:1.0/driver` links to one.
fn drivers(root: &Root, device: &str, names: &[String]) -> Vec<String> {
    let mut drivers: Vec<String> = names
        .iter()
        .filter(|name| name.split(':').next() == Some(device) && name.contains(':'))
        .filter_map(|name| root.at(&format!("/sys/bus/usb/devices/{name}/driver")).read_link().ok())
        .filter_map(|driver| Some(driver.file_name()?.to_str()?.to_owned()))
        .filter(|driver| driver != "usbfs")
        .collect();
    drivers.sort();
    drivers.dedup();
    drivers
}

/// Whether the user of the hub may open the devices: that of the service, else this one.
fn access_to(root: &Root, devices: &[Plugged]) -> Finding {
    let service = Account::of_service(root);
    let open = |device: &&Plugged| {
        let node = root.at(&device.node);
        match (&service, node.metadata()) {
            (_, Err(_)) => false,
            (Some(account), Ok(is)) => account.may_write(is.uid(), is.gid(), is.mode()),
            (None, Ok(_)) => access(&node, Access::READ_OK | Access::WRITE_OK).is_ok(),
        }
    };
    let who = service.as_ref().map_or("this user", |account| account.name.as_str());
    let closed: Vec<&str> =
        devices.iter().filter(|it| !open(it)).map(|it| it.shown.as_str()).collect();
    if closed.is_empty() {
        let (count, s) = (devices.len(), if devices.len() == 1 { "" } else { "s" });
        return SHARE.ok(format!("{count} USB device{s} here, and {who} may open all of them"));
    }
    let fix = match (root.at(crate::udev::FILE).exists(), &service) {
        (false, _) => "sudo farhub service install",
        (true, Some(_)) => "sudo udevadm control --reload && sudo udevadm trigger -s usb -c add",
        (true, None) => "sudo usermod -aG farhub $USER, then log in again",
    };
    SHARE.fail(format!("{who} may not open: {}", closed.join(", ")), fix)
}

/// The kernel's limit on the memory of all transfers of all programs together.
fn memory(root: &Root) -> Option<Finding> {
    let limit: u32 = root.text(crate::udev::MEMORY)?.parse().ok()?;
    Some(if limit == 0 || limit >= MEMORY_MB_MIN {
        SHARE.ok("the kernel has memory enough for USB transfers")
    } else {
        SHARE.warn(
            format!("the kernel allows USB transfers only {limit} MiB of memory together"),
            format!("echo {} | sudo tee {}", crate::udev::MEMORY_MB, crate::udev::MEMORY),
        )
    })
}

const HUB_CLASS: &str = "09";
/// One SuperSpeed disk keeps some MiB in flight, a camera more.
const MEMORY_MB_MIN: u32 = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;
    use crate::root::tree;
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, symlink};

    const USB: &str = "/sys/bus/usb/devices";

    /// A serial adapter with its driver, a root hub, and the service as user `farhub`.
    fn computer() -> (tempfile::TempDir, Root) {
        let (folder, root) = tree(&[
            ("/sys/bus/usb/devices/1-1/bDeviceClass", "00\n"),
            ("/sys/bus/usb/devices/1-1/busnum", "1\n"),
            ("/sys/bus/usb/devices/1-1/devnum", "4\n"),
            ("/sys/bus/usb/devices/1-1/product", "FT232R USB UART\n"),
            ("/sys/bus/usb/devices/1-1:1.0/bInterfaceClass", "ff\n"),
            ("/sys/bus/usb/devices/usb1/bDeviceClass", "09\n"),
            ("/sys/bus/usb/drivers/ftdi_sio/x", ""),
            ("/dev/bus/usb/001/004", ""),
            ("/etc/systemd/system/farhub.service", "[Service]\nUser=farhub\n"),
            ("/etc/passwd", "root:x:0:0::/root:/bin/sh\nfarhub:x:4000:4001::/:/bin/false\n"),
        ]);
        let is = root.at("/dev/bus/usb/001/004").metadata().unwrap();
        let group = format!("other:x:1:\nfarhub:x:{}:farhub\n", is.gid());
        std::fs::write(root.at("/etc/group"), group).unwrap();
        symlink("../../drivers/ftdi_sio", root.at(&format!("{USB}/1-1:1.0/driver"))).unwrap();
        (folder, root)
    }

    fn mode(root: &Root, mode: u32) {
        let node = root.at("/dev/bus/usb/001/004");
        std::fs::set_permissions(node, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_device_that_the_service_may_not_open_must_be_mended() {
        let (_folder, root) = computer();
        mode(&root, 0o644);
        let finding = look(&root).remove(0);
        assert_eq!(finding.verdict, Verdict::Fail);
        assert_eq!(finding.message, "farhub may not open: 1-1 (FT232R USB UART)");
        assert_eq!(finding.fix.as_deref(), Some("sudo farhub service install"));
        mode(&root, 0o660);
        let finding = look(&root).remove(0);
        assert_eq!(finding.message, "1 USB device here, and farhub may open all of them");
    }

    #[test]
    fn drivers_that_hold_a_device_are_told() {
        let (_folder, root) = computer();
        mode(&root, 0o660);
        let told = "1-1 (FT232R USB UART) is held by ftdi_sio here, and lent while a peer uses it";
        assert_eq!(look(&root)[1].message, told);
    }

    #[test]
    fn little_memory_is_a_warning() {
        for (limit, verdict) in [("16", Verdict::Warn), ("0", Verdict::Ok), ("256", Verdict::Ok)] {
            let (_folder, root) = tree(&[(crate::udev::MEMORY, limit)]);
            assert_eq!(memory(&root).unwrap().verdict, verdict, "{limit}");
        }
    }

    #[test]
    fn a_computer_without_usb_is_told_as_that() {
        let (_folder, root) = tree(&[]);
        assert_eq!(look(&root)[0].verdict, Verdict::Warn);
    }
}
