//! Two ends that carry devices from A to B, and back: two hubs, or the kernel's own USB/IP.

use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::hub::{Hub, NOBODY, User};
use crate::lab::{Door, Rtt, WORK};
use crate::net::{Cable, run};
use crate::sysfs::{self, LIMIT, read};

#[derive(Debug)]
pub(crate) struct Pair {
    pub cable: Cable,
    pub ends: Ends,
}

#[derive(Debug)]
pub(crate) enum Ends {
    Kernel,
    Hubs { a: Box<Hub>, b: Box<Hub> },
}

/// A device as it is used at the far end.
#[derive(Debug)]
pub(crate) struct Attached {
    /// Where it is in the tree of devices.
    pub dir: PathBuf,
    /// When the command to attach it was given.
    pub since: Instant,
    from: End,
    name: String,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum End {
    A,
    B,
}

impl Pair {
    pub(crate) fn new(door: &Door, rtt: Rtt) -> Result<Pair> {
        // short while they get to know each other, as nobody measures that here
        let mut cable = Cable::lay(0)?;
        let ends = match door {
            Door::Kernel => {
                for end in [End::A, End::B] {
                    run(&format!("ip netns exec {} usbipd -4 -D", end.namespace()))?;
                }
                Ends::Kernel
            }
            Door::Farhub(program) => hubs(program, User::Root)?,
        };
        cable.stretch(rtt.0)?;
        Ok(Pair { cable, ends })
    }

    /// Two hubs without rights, and the helper as root: `farhub service install` has it so. They
    /// may open the devices with these bus ids.
    pub(crate) fn unprivileged(program: &Path, bus_ids: &[&str]) -> Result<Pair> {
        for bus_id in bus_ids {
            let device = sysfs::usb(bus_id).with_context(|| format!("no device {bus_id}"))?;
            chown(sysfs::usbfs(&device)?, Some(NOBODY), None)?;
        }
        // where nobody may go
        let copy = Path::new(WORK).join("farhub");
        std::fs::copy(program, &copy)?;
        std::fs::create_dir_all("/run/farhub")?;
        let log = std::fs::File::create(Path::new(WORK).join("helper.log"))?;
        Command::new(&copy).args(["helper", "--group", "nogroup"]).stderr(log).spawn()?;
        sysfs::within(LIMIT, "the helper", || {
            Path::new("/run/farhub/helper.sock").exists().then_some(())
        })?;
        Ok(Pair { cable: Cable::lay(0)?, ends: hubs(&copy, User::Nobody)? })
    }

    /// Shares a device of A's, attaches it at B, waits until it is configured there.
    pub(crate) fn share_and_attach(&self, bus_id: &str) -> Result<Attached> {
        self.share(End::A, bus_id)?;
        self.attach(End::A, bus_id, &[])
    }

    /// The same the other way round: a device of B's is used at A.
    pub(crate) fn share_and_attach_back(&self, bus_id: &str) -> Result<Attached> {
        self.share(End::B, bus_id)?;
        self.attach(End::B, bus_id, &[])
    }

    /// Shares and attaches for once: no coming back after a loss.
    pub(crate) fn share_and_attach_once(&self, bus_id: &str) -> Result<Attached> {
        self.share(End::A, bus_id)?;
        self.attach(End::A, bus_id, &["--once"])
    }

    /// Attaches what is shared already.
    pub(crate) fn attach_again(&self, bus_id: &str) -> Result<Attached> {
        if matches!(self.ends, Ends::Kernel) {
            self.share(End::A, bus_id)?;
        }
        self.attach(End::A, bus_id, &[])
    }

    /// Shares the serial port of a USB device of A's, as a port, and attaches it at B as a native
    /// one.
    pub(crate) fn share_and_attach_port(&self, bus_id: &str) -> Result<Attached> {
        let Ends::Hubs { a, .. } = &self.ends else { anyhow::bail!("there are no hubs") };
        let device = sysfs::usb(bus_id).with_context(|| format!("no device {bus_id}"))?;
        let port = sysfs::within(LIMIT, "a port", || sysfs::node(&device, "tty", "tty"))?;
        a.run(&["share", &port, "--name", &share_name(bus_id)])?;
        self.attach_port_again(bus_id)
    }

    /// Attaches a port that is shared already.
    pub(crate) fn attach_port_again(&self, bus_id: &str) -> Result<Attached> {
        let Ends::Hubs { a, b } = &self.ends else { anyhow::bail!("there are no hubs") };
        let name = share_name(bus_id);
        let address = format!("{}/{name}", a.name);
        let since = Instant::now();
        b.run(&["attach", &address])?;
        // the emulated device is called as what it is
        let dir = sysfs::within(LIMIT, "the port at the far end", || {
            sysfs::attached().into_iter().find(|dir| read(dir.join("product")) == address)
        })?;
        Ok(Attached { dir, since, from: End::A, name })
    }

    /// The device after it was pulled out and plugged in again: hubs bring it back themselves.
    pub(crate) fn back_again(&self, bus_id: &str) -> Result<Attached> {
        match self.ends {
            Ends::Kernel => self.share_and_attach(bus_id),
            Ends::Hubs { .. } => {
                let since = Instant::now();
                let dir = far_side(bus_id, LIMIT)?;
                Ok(Attached { dir, since, from: End::A, name: share_name(bus_id) })
            }
        }
    }

    /// Shares a device of A's and has the stock USB/IP client fetch it from B's loopback.
    pub(crate) fn share_and_fetch(&self, bus_id: &str) -> Result<Attached> {
        let since = Instant::now();
        let Ends::Hubs { a, b } = &self.ends else { anyhow::bail!("there are no hubs") };
        self.share(End::A, bus_id)?;
        let address = format!("{}/{}", a.name, share_name(bus_id));
        let command = b.run(&["attach", &address, "--via", "usbip"])?;
        let list = command.split(" attach ").next().context("a command")?;
        let list = run(&format!("ip netns exec B {list} list -r 127.0.0.1"))?;
        let device = sysfs::usb(bus_id).context("it was just shared")?;
        let [vendor, product] = ["idVendor", "idProduct"].map(|file| read(device.join(file)));
        ensure!(list.contains(&format!("{vendor}:{product}")), "the list lacks it: {list}");
        run(&format!("ip netns exec B {command}"))?;
        let dir = far_side(bus_id, LIMIT)?;
        Ok(Attached { dir, since, from: End::A, name: share_name(bus_id) })
    }

    /// Detaches by the kernel's own means.
    pub(crate) fn detach_by_usbip(&self, attached: &Attached) -> Result<()> {
        let ports = sysfs::vhci_ports();
        let mine = sysfs::name(&attached.dir);
        let port = ports.iter().find(|(_, bus_id)| *bus_id == mine);
        let port = port.context("an attached device has a port")?.0;
        run(&format!("ip netns exec B usbip detach -p {port}"))?;
        attached.gone(LIMIT)?;
        Ok(())
    }

    pub(crate) fn detach(&self, attached: &Attached) -> Result<()> {
        match &self.ends {
            Ends::Kernel => return self.detach_by_usbip(attached),
            Ends::Hubs { a, b } => {
                let (owner, user) = attached.from.hubs(a, b);
                user.run(&["detach", &format!("{}/{}", owner.name, attached.name)])?;
            }
        }
        attached.gone(LIMIT)?;
        Ok(())
    }

    /// The two hubs.
    pub(crate) fn hubs(&mut self) -> Result<(&mut Hub, &mut Hub)> {
        match &mut self.ends {
            Ends::Hubs { a, b } => Ok((a, b)),
            Ends::Kernel => anyhow::bail!("there are no hubs"),
        }
    }

    /// Processor time that both hubs have used so far.
    pub(crate) fn busy(&mut self) -> Result<Duration> {
        let (a, b) = self.hubs()?;
        Ok(a.busy()? + b.busy()?)
    }

    fn share(&self, from: End, bus_id: &str) -> Result<()> {
        match &self.ends {
            Ends::Kernel => {
                // a device that went away and came back is its own driver's again
                if sysfs::driver(bus_id) != "usbip-host" {
                    run(&format!("usbip bind -b {bus_id}"))?;
                }
            }
            Ends::Hubs { a, b } => {
                let (owner, _) = from.hubs(a, b);
                owner.run(&["share", bus_id, "--name", &share_name(bus_id)])?;
            }
        }
        Ok(())
    }

    fn attach(&self, from: End, bus_id: &str, how: &[&str]) -> Result<Attached> {
        let since = Instant::now();
        match &self.ends {
            Ends::Kernel => {
                let (namespace, address) = match from {
                    End::A => ("B", "10.9.0.1"),
                    End::B => ("A", "10.9.0.2"),
                };
                run(&format!("ip netns exec {namespace} usbip attach -r {address} -b {bus_id}"))?;
            }
            Ends::Hubs { a, b } => {
                let (owner, user) = from.hubs(a, b);
                let address = format!("{}/{}", owner.name, share_name(bus_id));
                let mut words = vec!["attach", &address];
                words.extend(how);
                user.run(&words)?;
            }
        }
        let dir = far_side(bus_id, LIMIT)?;
        Ok(Attached { dir, since, from, name: share_name(bus_id) })
    }
}

impl Attached {
    /// The disk, once its size is known.
    pub(crate) fn disk(&self) -> Result<PathBuf> {
        let name = self.wait("block", "sd")?;
        sysfs::within(LIMIT, "the disk's size", || {
            let size = read(format!("/sys/class/block/{name}/size"));
            (!matches!(size.as_str(), "" | "0")).then_some(())
        })?;
        // the size is there some milliseconds before the node can be opened
        let path = PathBuf::from(format!("/dev/{name}"));
        sysfs::within(LIMIT, "the disk to open", || std::fs::File::open(&path).ok())?;
        Ok(path)
    }

    pub(crate) fn tty(&self) -> Result<PathBuf> {
        Ok(format!("/dev/{}", self.wait("tty", "tty")?).into())
    }

    pub(crate) fn hidraw(&self) -> Result<PathBuf> {
        Ok(format!("/dev/{}", self.wait("hidraw", "hidraw")?).into())
    }

    pub(crate) fn input(&self) -> Result<PathBuf> {
        Ok(format!("/dev/input/{}", self.wait("input", "event")?).into())
    }

    pub(crate) fn camera(&self) -> Result<PathBuf> {
        Ok(format!("/dev/{}", self.wait("video4linux", "video")?).into())
    }

    pub(crate) fn printer(&self) -> Result<PathBuf> {
        Ok(format!("/dev/usb/{}", self.wait("usbmisc", "lp")?).into())
    }

    /// The number of the sound card.
    pub(crate) fn card(&self) -> Result<String> {
        Ok(self.wait("sound", "card")?.trim_start_matches("card").to_owned())
    }

    /// The name of the network interface.
    pub(crate) fn network(&self) -> Result<String> {
        self.wait("net", "")
    }

    /// Waits until it isn't there any more and its port is free; how long that took.
    pub(crate) fn gone(&self, limit: Duration) -> Result<Duration> {
        let start = Instant::now();
        self.port_freed(limit)?;
        sysfs::within(limit, "the device to be gone", || {
            (!self.dir.join("idVendor").exists()).then_some(())
        })?;
        Ok(start.elapsed())
    }

    /// Waits until its port is free. Linux takes the device away after that.
    pub(crate) fn port_freed(&self, limit: Duration) -> Result<()> {
        let bus_id = sysfs::name(&self.dir);
        sysfs::within(limit, "its port to be free", || {
            (!sysfs::vhci_ports().into_iter().any(|(_, on_port)| on_port == bus_id)).then_some(())
        })
    }

    fn wait(&self, class: &str, prefix: &str) -> Result<String> {
        sysfs::within(LIMIT, &format!("a {class} device"), || sysfs::node(&self.dir, class, prefix))
    }
}

impl End {
    fn namespace(self) -> &'static str {
        match self {
            End::A => "A",
            End::B => "B",
        }
    }

    /// The hub that owns the device, and the hub that uses it.
    fn hubs<'a>(self, a: &'a Hub, b: &'a Hub) -> (&'a Hub, &'a Hub) {
        match self {
            End::A => (a, b),
            End::B => (b, a),
        }
    }
}

/// Two hubs that have paired and may use all that the other shares.
fn hubs(program: &Path, user: User) -> Result<Ends> {
    let a = Hub::start(program, "a", "A", user)?;
    let b = Hub::start(program, "b", "B", user)?;
    let ticket = a.run(&["invite", "--grant", "*=use"])?;
    b.run(&["pair", &ticket])?;
    b.run(&["grant", "a", "*"])?;
    // a keyboard from a peer is not for everybody
    a.run(&["trust", "b"])?;
    b.run(&["trust", "a"])?;
    Ok(Ends::Hubs { a: Box::new(a), b: Box::new(b) })
}

/// The newest attached device that is the twin of `bus_id`.
fn far_side(bus_id: &str, limit: Duration) -> Result<PathBuf> {
    let real = sysfs::usb(bus_id).with_context(|| format!("no device {bus_id}"))?;
    let identity = |dir: &PathBuf| {
        ["idVendor", "idProduct", "serial"].map(|attribute| read(dir.join(attribute)))
    };
    let wanted = identity(&real);
    ensure!(!wanted[0].is_empty(), "no device {bus_id}");
    sysfs::within(limit, "the device at the far end", || {
        sysfs::attached().into_iter().find(|dir| identity(dir) == wanted)
    })
}

fn share_name(bus_id: &str) -> String {
    format!("lab{bus_id}").replace('.', "-")
}
