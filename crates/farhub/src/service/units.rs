//! The files of the service.
//!
//! The hub runs as a user without rights, who may open USB devices, serial ports and stop buttons
//! as far as their groups and modes say. What only root can do, handing a socket to `vhci_hcd`, is
//! a second unit: a small program without network and without capabilities, that answers to the
//! hub's group alone.
//!
//! Source: systemd.exec(5), systemd.resource-control(5), `systemd-analyze security`.

use crate::{data, helper, udev};

pub(crate) const HUB: &str = "/etc/systemd/system/farhub.service";
pub(crate) const HELPER: &str = "/etc/systemd/system/farhub-helper.service";
pub(crate) const MODULES: &str = "/etc/modules-load.d/farhub.conf";
pub(crate) const TMPFILES: &str = "/etc/tmpfiles.d/farhub.conf";

/// What is installed.
#[derive(Debug)]
pub(crate) struct File {
    pub path: &'static str,
    pub text: String,
}

/// All of them, in the order in which they are written. `ports` is the group of serial ports, if
/// the system has one.
pub(crate) fn files(binary: &str, user: &str, group: &str, ports: Option<&str>) -> Vec<File> {
    let head = "# Written by `farhub service install`; `farhub service uninstall` removes it.\n";
    let modules = format!("{head}vhci-hcd\n");
    let tmpfiles = format!("{head}w {} - - - - {}\n", udev::MEMORY, udev::MEMORY_MB);
    vec![
        File { path: udev::FILE, text: format!("{head}{}", udev::rule(group)) },
        File { path: MODULES, text: modules },
        File { path: TMPFILES, text: tmpfiles },
        File { path: HELPER, text: format!("{head}{}", helper_unit(binary, group)) },
        File { path: HUB, text: format!("{head}{}", hub_unit(binary, user, group, ports)) },
    ]
}

fn hub_unit(binary: &str, user: &str, group: &str, ports: Option<&str>) -> String {
    let data = data::SYSTEM;
    let ports = ports.map(|ports| format!("SupplementaryGroups={ports}\n")).unwrap_or_default();
    format!(
        "\
[Unit]
Description=farhub, USB devices for other computers
Wants=farhub-helper.service
After=farhub-helper.service network.target

[Service]
Type=notify
ExecStart={binary} --data {data} up
User={user}
Group={group}
{ports}StateDirectory=farhub
StateDirectoryMode=0750
# Where pseudo-terminals have their names.
RuntimeDirectory=farhub-ports
UMask=0077
Restart=on-failure
# Which devices it may open, their groups and modes say: a list here would leave out the serial
# ports whose drivers are loaded later.
# A thread that stops a machine goes before all ordinary ones.
LimitRTPRIO=10
# For names of pseudo-terminals that people choose.
ReadWritePaths=/tmp
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
ProtectHome=yes
ProtectKernelTunables=yes
{SANDBOX}
[Install]
WantedBy=multi-user.target
"
    )
}

fn helper_unit(binary: &str, group: &str) -> String {
    let socket = helper::SOCKET;
    format!(
        "\
[Unit]
Description=farhub helper, hands devices to the kernel
Before=farhub.service

[Service]
Type=exec
# With full rights, before the restrictions below.
ExecStartPre=-+modprobe vhci-hcd
ExecStart={binary} helper --socket {socket} --group {group}
# Root by its user id alone, which is all that the controller's files in /sys ask for.
User=root
Group={group}
RuntimeDirectory=farhub
UMask=0007
Restart=on-failure
DevicePolicy=closed
PrivateTmp=yes
RestrictRealtime=yes
PrivateNetwork=yes
RestrictAddressFamilies=AF_UNIX
ProtectHome=yes
{SANDBOX}
[Install]
WantedBy=multi-user.target
"
    )
}

/// What neither of them needs. `ProtectKernelTunables` would make /sys read-only for the helper.
const SANDBOX: &str = "\
CapabilityBoundingSet=
NoNewPrivileges=yes
ProtectSystem=strict
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
ProtectProc=invisible
RestrictNamespaces=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
";
