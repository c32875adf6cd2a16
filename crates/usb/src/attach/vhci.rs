//! The kernel's virtual host controllers: find a port, plug a socket into it, pull it out.
//!
//! `vhci_hcd` takes any stream socket, so no TCP is needed: one end of a socketpair goes to the
//! kernel, the other to [`super::run`]. All that needs root is one line written to `attach`; the
//! file descriptor in it is looked up in the table of whoever writes.
//!
//! There are up to 128 controllers, each with a high-speed hub and a SuperSpeed hub of up to 15
//! ports. Their ports are numbered through; the `attach` and `status*` files of all of them lie in
//! the directory of the first.
//!
//! Source: `drivers/usb/usbip/vhci_sysfs.c`, Linux 6.1 to 7.3.

use std::fs;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use wire::usb::Speed;

/// Why a device could not be plugged in or pulled out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the kernel has no vhci-hcd loaded: see `farhub doctor`")]
    NoDriver,
    #[error("every virtual USB port for {0:?} speed is in use: detach another device first")]
    NoFreePort(Speed),
    #[error("port {0} is not ours")]
    NotOurs(u32),
    #[error("attaching needs root or the farhub helper: run `sudo farhub service install`")]
    NoHelper(#[source] io::Error),
    #[error("this user may not open {}: join its group, then log in again", .0.display())]
    NotInGroup(PathBuf),
    #[error("the farhub helper refused: {0}")]
    Refused(String),
    #[error("{what}: {source}")]
    Io { what: String, source: io::Error },
}

impl Error {
    pub(super) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what: what.into(), source }
    }
}

/// The controllers of this computer.
#[derive(Clone, Debug)]
pub struct Vhci {
    sysfs: PathBuf,
}

/// A device that was plugged in. The port's number alone would not do: ports are used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plugged {
    pub port: u32,
    pub devid: u32,
}

/// One port, a line of a `status` file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    pub number: u32,
    /// On the hub for SuperSpeed, else on the one for everything slower.
    pub is_super: bool,
    pub state: State,
    pub devid: u32,
    /// Where the kernel has the device, such as `3-1`.
    pub bus_id: Option<String>,
}

/// `enum usbip_device_status`, as far as it goes for ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Free,
    /// Plugged in, and not enumerated yet.
    Connected,
    Used,
    /// Out of order until the module is loaded again.
    Error,
}

impl Vhci {
    /// The controllers below `sysfs`, which is `/sys` other than in tests. Loads the module where
    /// it is missing and may be loaded.
    ///
    /// # Errors
    /// [`Error::NoDriver`]
    pub fn open(sysfs: &Path) -> Result<Self, Error> {
        let vhci = Self::at(sysfs);
        if vhci.directory().is_err() {
            modprobe();
        }
        vhci.directory().map(|_| vhci)
    }

    /// The same where somebody else sees to the module.
    #[must_use]
    pub fn at(sysfs: &Path) -> Self {
        Self { sysfs: sysfs.to_owned() }
    }

    /// The directory with the files for all controllers.
    fn directory(&self) -> Result<PathBuf, Error> {
        let directory = self.sysfs.join("devices/platform/vhci_hcd.0");
        if directory.join("attach").exists() { Ok(directory) } else { Err(Error::NoDriver) }
    }

    /// Every port of every controller.
    ///
    /// # Errors
    /// When there is no controller, or its files can't be read.
    pub fn ports(&self) -> Result<Vec<Port>, Error> {
        let directory = self.directory()?;
        let failed = || Error::io(format!("reading {}", directory.display()));
        let mut ports = Vec::new();
        for entry in fs::read_dir(&directory).map_err(failed())? {
            let entry = entry.map_err(failed())?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name == "status" || name.starts_with("status.") {
                let text = fs::read_to_string(entry.path()).map_err(failed())?;
                ports.extend(text.lines().filter_map(Port::parse));
            }
        }
        ports.sort_by_key(|port| port.number);
        Ok(ports)
    }

    /// Plugs a socket into a free port of the hub that the speed belongs to.
    ///
    /// # Errors
    /// [`Error::NoFreePort`], or what the kernel says.
    pub fn attach(&self, socket: BorrowedFd<'_>, speed: Speed) -> Result<Plugged, Error> {
        let devid = next_devid();
        match self.attach_as(socket, speed, speed.code(), devid) {
            // Linux before 6.12 doesn't know 6, SuperSpeed Plus (`valid_args()`).
            Err(Error::Io { source, .. })
                if speed == Speed::SuperPlus && source.kind() == io::ErrorKind::InvalidInput =>
            {
                self.attach_as(socket, speed, Speed::Super.code(), devid)
            }
            result => result,
        }
    }

    fn attach_as(
        &self,
        socket: BorrowedFd<'_>,
        speed: Speed,
        code: u32,
        devid: u32,
    ) -> Result<Plugged, Error> {
        let is_super = matches!(speed, Speed::Super | Speed::SuperPlus);
        let fits = |port: &Port| port.is_super == is_super && port.state == State::Free;
        for Port { number, .. } in self.ports()?.into_iter().filter(fits) {
            let line = format!("{number} {} {devid} {code}", socket.as_raw_fd());
            match self.write("attach", &line) {
                Ok(()) => return Ok(Plugged { port: number, devid }),
                // Somebody was faster.
                Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {}
                Err(error) => return Err(Error::io("attaching to the kernel")(error)),
            }
        }
        Err(Error::NoFreePort(speed))
    }

    /// One `write` of the whole text: what sysfs expects.
    fn write(&self, file: &str, text: &str) -> io::Result<()> {
        let path = self.sysfs.join("devices/platform/vhci_hcd.0").join(file);
        fs::OpenOptions::new().write(true).open(path)?.write_all(text.as_bytes())
    }

    /// The port, if that very device is still plugged in.
    ///
    /// # Errors
    /// When the controller's files can't be read.
    pub fn find(&self, plugged: Plugged) -> Result<Option<Port>, Error> {
        let ports = self.ports()?;
        Ok(ports.into_iter().find(|port| {
            let held = match port.state {
                // The kernel shows the devid of used ports only.
                State::Connected => true,
                State::Used => port.devid == plugged.devid,
                State::Free | State::Error => false,
            };
            port.number == plugged.port && held
        }))
    }

    /// Pulls a device out, if it is still in. Closing its socket does the same by and by.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn detach(&self, plugged: Plugged) -> Result<(), Error> {
        if self.find(plugged)?.is_none() {
            return Ok(());
        }
        match self.write("detach", &plugged.port.to_string()) {
            // It went by itself meanwhile.
            Err(_) if self.find(plugged)?.is_none() => Ok(()),
            result => result.map_err(Error::io("detaching from the kernel")),
        }
    }

    /// Waits until the device is out. The kernel tells nobody, so this looks again and again.
    ///
    /// # Errors
    /// When the controller's files can't be read, or the port is not free after 5 seconds.
    pub async fn detached(&self, plugged: Plugged) -> Result<(), Error> {
        let mut wait = Duration::from_millis(2);
        while self.find(plugged)?.is_some() {
            if wait > Duration::from_secs(2) {
                let what = format!("waiting for virtual port {} to be free", plugged.port);
                return Err(Error::io(what)(io::ErrorKind::TimedOut.into()));
            }
            tokio::time::sleep(wait).await;
            wait = wait * 3 / 2;
        }
        Ok(())
    }

    /// What programs know the device by, such as `/dev/sdb` or `/dev/ttyACM0`; for people to see.
    ///
    /// It may block until a driver has made sense of the device, and for that the driver needs our
    /// answers: never to be called by a thread that gives them.
    #[must_use]
    pub fn nodes(&self, bus_id: &str) -> Vec<PathBuf> {
        let is_bus_id = |c: char| c.is_ascii_digit() || "-.".contains(c);
        let mut nodes = Vec::new();
        if bus_id.starts_with(|c: char| c.is_ascii_digit()) && bus_id.chars().all(is_bus_id) {
            let device = self.sysfs.join("bus/usb/devices").join(bus_id);
            below(&device, |directory| collect_nodes(directory, NODE_DEPTH_MAX, &mut nodes));
        }
        nodes.sort();
        nodes
    }
}

impl Port {
    /// `hub port sta spd dev      sockfd local_busid`
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        let is_super = match words.next()? {
            "hs" => false,
            "ss" => true,
            _ => return None,
        };
        let number = words.next()?.parse().ok()?;
        let state = match words.next()?.parse().ok()? {
            4 => State::Free,
            5 => State::Connected,
            6 => State::Used,
            _ => State::Error,
        };
        let devid = u32::from_str_radix(words.nth(1)?, 16).ok()?;
        let bus_id = words.nth(1).filter(|id| *id != "0-0").map(str::to_owned);
        Some(Self { number, is_super, state, devid, bus_id })
    }
}

/// Device nodes of the drivers in a directory of sysfs and below.
///
/// `uevent` is read only where there is a node: it takes the lock of its device (`uevent_show`,
/// 6.1 and others), which the kernel holds while a driver tries the USB device, an interface or a
/// SCSI device. Those have no node; what has one has no driver to be tried.
fn collect_nodes(directory: &Path, depth: usize, nodes: &mut Vec<PathBuf>) {
    if directory.join("dev").exists()
        && let Ok(uevent) = fs::read_to_string(directory.join("uevent"))
    {
        let name = uevent.lines().find_map(|line| line.strip_prefix("DEVNAME="));
        nodes.extend(name.filter(|name| is_shown(name)).map(|name| Path::new("/dev").join(name)));
    }
    if depth > 0 {
        below(directory, |directory| {
            if nodes.len() < NODES_MAX {
                collect_nodes(directory, depth - 1, nodes);
            }
        });
    }
}

fn below(directory: &Path, mut visit: impl FnMut(&Path)) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            visit(&entry.path());
        }
    }
}

/// Nodes that a person would open; not the device's own (`bus/usb/...`), and not those behind the
/// same disk or keyboard (`bsg/...`, `sg0`).
fn is_shown(name: &str) -> bool {
    const SHOWN: [&str; 12] = [
        "sd",
        "sr",
        "ttyACM",
        "ttyUSB",
        "input/event",
        "snd/",
        "video",
        "media",
        "usb/",
        "hidraw",
        "midi",
        "dvb/",
    ];
    SHOWN.iter().any(|start| name.starts_with(start))
}

/// Says who is who in `status`; bus and device number as far as anybody looks at them.
fn next_devid() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    // The process in the upper half keeps two daemons from drawing the same.
    ((std::process::id() & 0x7fff) << 16) | ((number & 0xffff) + 1)
}

fn modprobe() {
    let mut command = Command::new("modprobe");
    command.arg("vhci-hcd").env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    // Whether it helped is seen from the directory.
    if let Err(error) = command.output() {
        tracing::debug!("modprobe: {error}");
    }
}

/// Directories between a USB device and its deepest node, as in
/// `3-1/3-1:1.0/host6/target6:0:0/6:0:0:0/block/sda/sda1`.
const NODE_DEPTH_MAX: usize = 9;
const NODES_MAX: usize = 64;

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::os::fd::AsFd;

    const HEAD: &str = "hub port sta spd dev      sockfd local_busid\n";

    pub(in crate::attach) fn tree(status: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("devices/platform/vhci_hcd.0");
        fs::create_dir_all(&directory).unwrap();
        for file in ["attach", "detach"] {
            fs::write(directory.join(file), "").unwrap();
        }
        for (name, lines) in status {
            fs::write(directory.join(name), format!("{HEAD}{lines}")).unwrap();
        }
        root
    }

    pub(in crate::attach) fn written(root: &Path, file: &str) -> String {
        fs::read_to_string(root.join("devices/platform/vhci_hcd.0").join(file)).unwrap()
    }

    #[test]
    fn every_port_of_every_controller() {
        let root = tree(&[
            ("status.1", "hs  0016 004 000 00000000 000000 0-0\n"),
            (
                "status",
                "hs  0000 006 003 00010002 000008 3-1\n\
                 ss  0008 005 000 00000000 000000 0-0\n",
            ),
        ]);
        let ports = Vhci::open(root.path()).unwrap().ports().unwrap();
        let short: Vec<_> = ports.iter().map(|port| (port.number, port.state)).collect();
        assert_eq!(short, [(0, State::Used), (8, State::Connected), (16, State::Free)]);
        assert_eq!((ports[0].devid, ports[0].bus_id.as_deref()), (0x10002, Some("3-1")));
        assert!(ports[1].is_super && ports[1].bus_id.is_none());
    }

    #[test]
    fn a_device_goes_to_a_free_port_of_its_hub() {
        let root = tree(&[(
            "status",
            "hs  0000 006 003 00010002 000008 3-1\n\
             hs  0001 004 000 00000000 000000 0-0\n\
             ss  0008 004 000 00000000 000000 0-0\n",
        )]);
        let vhci = Vhci::open(root.path()).unwrap();
        let file = fs::File::open("/dev/null").unwrap();
        for (speed, port, code) in [(Speed::Low, 1, 1), (Speed::High, 1, 3), (Speed::Super, 8, 5)] {
            fs::write(root.path().join("devices/platform/vhci_hcd.0/attach"), "").unwrap();
            let plugged = vhci.attach(file.as_fd(), speed).unwrap();
            assert_eq!(plugged.port, port);
            let line = format!("{port} {} {} {code}", file.as_raw_fd(), plugged.devid);
            assert_eq!(written(root.path(), "attach"), line);
        }
    }

    #[test]
    fn no_controller_and_no_free_port_are_told_apart() {
        let empty = tempfile::tempdir().unwrap();
        assert!(matches!(Vhci::open(empty.path()), Err(Error::NoDriver)));
        let root = tree(&[("status", "hs  0000 007 000 00000000 000000 0-0\n")]);
        let vhci = Vhci::open(root.path()).unwrap();
        let file = fs::File::open("/dev/null").unwrap();
        let full = vhci.attach(file.as_fd(), Speed::Full);
        assert!(matches!(full, Err(Error::NoFreePort(Speed::Full))));
    }

    #[test]
    fn only_the_very_device_is_detached() {
        let root = tree(&[("status", "hs  0003 006 003 00010002 000008 3-1\n")]);
        let vhci = Vhci::open(root.path()).unwrap();
        vhci.detach(Plugged { port: 3, devid: 7 }).unwrap();
        vhci.detach(Plugged { port: 4, devid: 0x10002 }).unwrap();
        assert_eq!(written(root.path(), "detach"), "");
        vhci.detach(Plugged { port: 3, devid: 0x10002 }).unwrap();
        assert_eq!(written(root.path(), "detach"), "3");
    }

    #[test]
    fn nodes_are_found_below_the_device() {
        let root = tempfile::tempdir().unwrap();
        let device = root.path().join("bus/usb/devices/3-1");
        // Neither the first nor what has no number may be read: a lock could be in the way.
        for (path, number, name) in [
            ("", "dev", "sdx"),
            ("3-1:1.0/host6/target6:0:0/6:0:0:0", "no dev", "sdy"),
            ("3-1:1.0/host6/target6:0:0/6:0:0:0/block/sda", "dev", "sda"),
            ("3-1:1.0/host6/target6:0:0/6:0:0:0/scsi_generic/sg0", "dev", "sg0"),
            ("3-1:1.1/tty/ttyACM0", "dev", "ttyACM0"),
        ] {
            let directory = device.join(path);
            fs::create_dir_all(&directory).unwrap();
            fs::write(directory.join(number), "8:0\n").unwrap();
            fs::write(directory.join("uevent"), format!("MAJOR=1\nDEVNAME={name}\n")).unwrap();
        }
        std::os::unix::fs::symlink(&device, device.join("loop")).unwrap();
        let nodes = Vhci::at(root.path()).nodes("3-1");
        assert_eq!(nodes, [Path::new("/dev/sda"), Path::new("/dev/ttyACM0")]);
        assert!(Vhci::at(root.path()).nodes("../3-1").is_empty());
    }
}
