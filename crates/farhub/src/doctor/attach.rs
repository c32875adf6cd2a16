//! Attaching: the kernel's virtual host controller, its ports, and who may use them.
//!
//! Source: `drivers/usb/usbip/vhci_sysfs.c`.

use super::{Area, Finding, In};
use crate::root::Root;
use rustix::fs::{Access, access};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, connect, socket};
use std::io;
use std::path::Path;

const ATTACH: In = In(Area::Attach);

pub(super) fn look(root: &Root) -> Vec<Finding> {
    let release = root.text("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut findings = vec![kernel(&release)];
    if root.at(CONTROLLER).exists() {
        findings.push(ports(root));
        findings.push(permission(root));
    } else {
        findings.push(module(root, &release));
    }
    findings
}

fn kernel(release: &str) -> Finding {
    let mut numbers = release.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    if version >= KERNEL_MIN {
        ATTACH.ok(format!("the kernel is {release}"))
    } else {
        let (major, minor) = KERNEL_MIN;
        ATTACH.fail(
            format!("the kernel {release} is too old to attach devices"),
            format!("use a system with Linux {major}.{minor} or newer"),
        )
    }
}

/// Not loaded: is it there?
fn module(root: &Root, release: &str) -> Finding {
    let listed = |list: &str| {
        let list = root.text(&format!("/lib/modules/{release}/{list}")).unwrap_or_default();
        list.contains("/vhci-hcd.ko")
    };
    if listed("modules.dep") {
        return ATTACH.fail(
            "the kernel module vhci-hcd is not loaded",
            "sudo modprobe vhci-hcd (sudo farhub service install does it at every start)",
        );
    }
    let fix = match os(root).as_deref() {
        Some("ubuntu") => format!("sudo apt install linux-modules-extra-{release}"),
        Some("fedora") => "sudo dnf install kernel-modules-extra".to_owned(),
        _ => "use a kernel with CONFIG_USBIP_VHCI_HCD; sharing works without it".to_owned(),
    };
    ATTACH.warn("this kernel has no vhci-hcd: devices of others cannot be attached here", fix)
}

fn os(root: &Root) -> Option<String> {
    let text = root.text("/etc/os-release")?;
    let id = text.lines().find_map(|line| line.strip_prefix("ID="))?;
    Some(id.trim_matches('"').to_owned())
}

/// Counts the ports of all controllers; one that failed stays so until the module is reloaded.
fn ports(root: &Root) -> Finding {
    let statuses = std::iter::once("status".to_owned())
        .chain((1..CONTROLLERS_MAX).map(|number| format!("status.{number}")))
        .map_while(|file| root.text(&format!("{CONTROLLER}/{file}")));
    let (mut all, mut free, mut broken) = (0, 0, 0);
    for status in statuses {
        // hub port sta spd dev sockfd local_busid
        for line in status.lines().skip(1) {
            all += 1;
            match line.split_whitespace().nth(2) {
                Some("004") => free += 1,
                Some("007") => broken += 1,
                _ => {}
            }
        }
    }
    let reload = "farhub detach --all && sudo modprobe -r vhci-hcd && sudo modprobe vhci-hcd";
    match (all, free, broken) {
        (0, ..) => ATTACH.fail("vhci-hcd shows no ports", reload),
        (_, _, broken) if broken > 0 => {
            ATTACH.warn(format!("{broken} of {all} ports of vhci-hcd have failed"), reload)
        }
        (_, 0, _) => ATTACH.fail("every port of vhci-hcd is in use", "farhub detach HUB/NAME"),
        (all, free, _) if all == free => ATTACH.ok(format!("{all} ports are free")),
        (all, free, _) => {
            let used = all - free;
            ATTACH.ok(format!("{used} of {all} ports in use: this computer does not suspend now"))
        }
    }
}

/// Root, or the helper of the service.
fn permission(root: &Root) -> Finding {
    if access(root.at(&format!("{CONTROLLER}/attach")), Access::WRITE_OK).is_ok() {
        return ATTACH.ok("this user may attach devices");
    }
    match greet(&root.at(crate::helper::SOCKET)) {
        Ok(()) => ATTACH.ok("the helper attaches devices for us"),
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => ATTACH.warn(
            "this user may not ask the helper (the service's own user may)",
            "sudo usermod -aG farhub $USER, then log in again",
        ),
        Err(_) => ATTACH.fail(
            "only root may attach devices, and the helper is not running",
            "sudo farhub service install",
        ),
    }
}

/// The helper takes whole messages; without one, nothing happens.
fn greet(helper: &Path) -> io::Result<()> {
    let ours = socket(AddressFamily::UNIX, SocketType::SEQPACKET, None)?;
    Ok(connect(&ours, &SocketAddrUnix::new(helper)?)?)
}

const CONTROLLER: &str = "/sys/devices/platform/vhci_hcd.0";
/// `VHCI_NR_HCS` goes to 128.
const CONTROLLERS_MAX: usize = 128;
/// Since then it has SuperSpeed ports and several controllers.
const KERNEL_MIN: (u32, u32) = (4, 13);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;
    use crate::root::tree;

    const HEAD: &str = "hub port sta spd dev      sockfd local_busid\n";

    fn with_ports(status: &str, more: &str) -> Finding {
        let [status, more] = [status, more].map(|lines| format!("{HEAD}{lines}"));
        let (_folder, root) = tree(&[
            ("/sys/devices/platform/vhci_hcd.0/status", &status),
            ("/sys/devices/platform/vhci_hcd.0/status.1", &more),
        ]);
        ports(&root)
    }

    #[test]
    fn ports_of_every_controller_count() {
        let free = "hs  0000 004 000 00000000 000000 0-0\nss  0001 004 000 00000000 000000 0-0\n";
        let used = "hs  0002 006 003 00010002 000005 1-1\n";
        assert_eq!(with_ports(free, free).message, "4 ports are free");
        let told = with_ports(free, used).message;
        assert_eq!(told, "1 of 3 ports in use: this computer does not suspend now");
        assert_eq!(with_ports(used, used).verdict, Verdict::Fail);
        let broken = "hs  0000 007 000 00000000 000000 0-0\n";
        assert_eq!(with_ports(free, broken).verdict, Verdict::Warn);
    }

    #[test]
    fn a_module_that_is_there_is_to_be_loaded() {
        let (_folder, root) = tree(&[
            ("/proc/sys/kernel/osrelease", "6.1.0-9\n"),
            ("/lib/modules/6.1.0-9/modules.dep", "kernel/drivers/usb/usbip/vhci-hcd.ko: x.ko\n"),
        ]);
        let findings = look(&root);
        assert_eq!(findings[0].verdict, Verdict::Ok);
        assert!(findings[1].fix.as_deref().unwrap().starts_with("sudo modprobe vhci-hcd"));
    }

    #[test]
    fn a_kernel_without_it_is_told_how_to_get_it() {
        let (_folder, root) = tree(&[
            ("/proc/sys/kernel/osrelease", "6.8.0-40-generic"),
            ("/etc/os-release", "NAME=Ubuntu\nID=ubuntu\n"),
        ]);
        let finding = look(&root).remove(1);
        assert_eq!(finding.verdict, Verdict::Warn);
        let fix = "sudo apt install linux-modules-extra-6.8.0-40-generic";
        assert_eq!(finding.fix.as_deref(), Some(fix));
    }

    #[test]
    fn an_old_kernel_is_told_as_that() {
        assert_eq!(kernel("3.10.0-1160.el7").verdict, Verdict::Fail);
        assert_eq!(kernel("4.13.0").verdict, Verdict::Ok);
        assert_eq!(kernel("7.3.4+deb14-amd64").verdict, Verdict::Ok);
    }
}
