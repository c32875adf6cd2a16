//! What a test is given: gadgets, and two ends to carry them between.

use std::fs::{self, File};
use std::io::Read;
use std::path::PathBuf;

use anyhow::Result;

use crate::gadget::{self, Gadget};
use crate::net::run;
use crate::pair::Pair;
use crate::sysfs::{self, LIMIT, list, read};
use crate::video;

/// How devices travel.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Door {
    /// `usbipd` in A, `usbip attach` in B: the yardstick, and what tests the tests.
    Kernel,
    /// Two hubs; the program is here.
    Farhub(PathBuf),
}

/// The round-trip time between the two ends, in milliseconds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Rtt(pub u32);

#[derive(Debug)]
pub(crate) struct Lab {
    pub door: Door,
}

impl Lab {
    /// Makes a fresh guest ready: nothing loads drivers here by itself.
    pub(crate) fn new(door: Door) -> Result<Lab> {
        // else every disk waits a second for its first command
        run("modprobe usb-storage delay_use=0")?;
        run(&format!("modprobe -a {DRIVERS}"))?;
        fs::create_dir_all(WORK)?;
        Ok(Lab { door })
    }

    /// Plugs a software device into A: see [`Gadget::plug_in`].
    pub(crate) fn gadget(&mut self, functions: &str, options: &[&str]) -> Result<Gadget> {
        gadget::prepare()?;
        let isochronous = ["uac2", "uvc"].iter().any(|kind| functions.contains(kind));
        if isochronous && !gadget::has_isochronous() {
            return skip("dummy_hcd has no isochronous transfers (FARHUB_LAB_DUMMY_HCD_PATCH)");
        }
        Gadget::plug_in(functions, options)
    }

    /// A camera with somebody behind it who supplies numbered frames.
    pub(crate) fn camera(&mut self) -> Result<Gadget> {
        let mut camera = self.gadget("uvc", &[])?;
        video::feed()?;
        camera.enumerated()?;
        Ok(camera)
    }

    /// The bus id of a device that QEMU emulates, by its product name.
    pub(crate) fn emulated(&mut self, product: &str) -> Result<String> {
        run("modprobe xhci-pci")?;
        sysfs::within(LIMIT, product, || {
            let devices = list("/sys/bus/usb/devices");
            let device = devices.iter().find(|path| read(path.join("product")) == product)?;
            let configured = !read(device.join("bConfigurationValue")).is_empty();
            configured.then(|| sysfs::name(device))
        })
    }

    pub(crate) fn pair(&mut self, rtt: Rtt) -> Result<Pair> {
        Pair::new(&self.door, rtt)
    }

    /// For tests of what only farhub promises.
    pub(crate) fn needs_farhub(&self) -> Result<()> {
        match self.door {
            Door::Kernel => skip("not with the kernel's own USB/IP"),
            Door::Farhub(_) => Ok(()),
        }
    }
}

/// Why a test cannot run here.
#[derive(Debug)]
pub(crate) struct Skip(&'static str);

impl std::fmt::Display for Skip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "skipped: {}", self.0)
    }
}

impl std::error::Error for Skip {}

pub(crate) fn skip<T>(reason: &'static str) -> Result<T> {
    Err(Skip(reason).into())
}

/// The ends of everything that was logged, for a test that failed.
pub(crate) fn tails() -> String {
    let mut text = String::new();
    let logs = list(WORK).into_iter().filter(|path| path.extension().is_some_and(|e| e == "log"));
    let mut add = |title: &str, log: &str| {
        let lines: Vec<&str> = log.lines().collect();
        text += &format!("---- {title}\n");
        text += &lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n");
        text.push('\n');
    };
    for log in logs {
        let mut bytes = Vec::new();
        if File::open(&log).and_then(|mut file| file.read_to_end(&mut bytes)).is_ok() {
            add(&sysfs::name(&log), &String::from_utf8_lossy(&bytes));
        }
    }
    add("kernel log", &run("dmesg").unwrap_or_default());
    text
}

/// What every thread of every program waits for.
pub(crate) fn waiting() -> String {
    let mut text =
        String::from("---- threads: name, state, where in the kernel, its system call\n");
    // kernel threads have no command line
    for process in list("/proc").iter().filter(|path| !read(path.join("cmdline")).is_empty()) {
        for thread in list(process.join("task")) {
            let stat = read(thread.join("stat"));
            let state = stat.rsplit(')').next().unwrap_or("").split_whitespace().next();
            let [name, place, call] =
                ["comm", "wchan", "syscall"].map(|file| read(thread.join(file)));
            let call = call.split(' ').next().unwrap_or_default();
            text += &format!(
                "{} {name} {} {place} {call}\n",
                sysfs::name(&thread),
                state.unwrap_or("?")
            );
        }
    }
    let before = run("dmesg").unwrap_or_default();
    // the stacks of blocked tasks, into the kernel log
    let _ = fs::write("/proc/sysrq-trigger", "w");
    let after = run("dmesg").unwrap_or_default();
    text + "---- blocked in the kernel\n" + after.strip_prefix(&before).unwrap_or_default()
}

/// Data folders and logs, in memory.
pub(crate) const WORK: &str = "/run/farhub-lab";

const TAIL_LINES: usize = 40;

const DRIVERS: &str = "vhci-hcd usbip-host usbmon veth sch_netem sd_mod uas cdc-acm ftdi_sio \
    usbhid hid-generic evdev snd-usb-audio snd-seq uvcvideo usblp cdc_ncm cdc_ether rndis_host";
