//! USB devices made of software: configfs gadgets on `dummy_hcd`.
//!
//! Source: Documentation/usb/gadget_configfs.rst and Documentation/ABI/testing/configfs-usb-gadget*
//! of the kernel.

use std::fs::{File, create_dir, create_dir_all};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::net::run;
use crate::sysfs::{self, LIMIT, list, name, read, write};

#[derive(Debug)]
pub(crate) struct Gadget {
    dir: PathBuf,
    controller: String,
    /// Its bus id on the host that it is plugged into; the same after every replug.
    pub bus_id: String,
}

impl Gadget {
    /// Makes a device of these functions (`ms`, `acm`, `hid`, `uac2`, `uvc`, `ncm`, `printer`,
    /// `midi`, `zero`, or several with `+` between) and plugs it in. Options are `KEY=VALUE`.
    pub(crate) fn plug_in(functions: &str, options: &[&str]) -> Result<Gadget> {
        let options = Options(options);
        let number = (0..).find(|n| !root(*n).exists()).context("no number is free")?;
        let dir = root(number);
        let functions: Vec<&str> = match functions {
            "zero" => vec!["ss", "lb"],
            several => several.split('+').collect(),
        };
        create_dir(&dir)?;
        // what the kernel's usbtest driver binds to
        let zero = functions.contains(&"ss");
        write(dir.join("idVendor"), if zero { "0x0525" } else { "0x1d6b" })?;
        write(dir.join("idProduct"), if zero { "0xa4a0" } else { "0x0104" })?;
        let strings = dir.join("strings/0x409");
        create_dir(&strings)?;
        write(strings.join("manufacturer"), "Lab")?;
        write(strings.join("product"), format!("Lab {}", functions.join(" ")))?;
        write(strings.join("serialnumber"), format!("LAB{number}"))?;
        for function in &functions {
            // zero: source/sink is configuration 3, loop-back is configuration 2
            let config = dir.join("configs").join(match *function {
                "ss" => "c.3",
                "lb" => "c.2",
                _ => "c.1",
            });
            create_dir_all(&config)?;
            let made = make(&dir, function, &options)?;
            symlink(&made, config.join(name(&made)))?;
        }
        let controller = free_controller()?;
        let mut gadget = Gadget { dir, controller, bus_id: String::new() };
        write(gadget.dir.join("UDC"), &gadget.controller)?;
        // a camera stays off the bus until somebody opens its video node
        if !functions.contains(&"uvc") {
            gadget.enumerated()?;
        }
        Ok(gadget)
    }

    /// Waits until the host has configured it.
    pub(crate) fn enumerated(&mut self) -> Result<()> {
        self.bus_id = sysfs::within(LIMIT, "the gadget to be enumerated", || {
            let device = self.host_side()?;
            (!read(device.join("bConfigurationValue")).is_empty()).then(|| name(&device))
        })?;
        Ok(())
    }

    pub(crate) fn unplug(&self) -> Result<()> {
        write(self.dir.join("UDC"), "\n")
    }

    pub(crate) fn plug(&mut self) -> Result<()> {
        write(self.dir.join("UDC"), &self.controller)?;
        self.enumerated()
    }

    /// The file behind a disk.
    pub(crate) fn image(&self) -> PathBuf {
        image(&self.dir)
    }

    /// The device's own end of its serial port.
    pub(crate) fn tty(&self) -> PathBuf {
        format!("/dev/ttyGS{}", read(self.dir.join("functions/acm.0/port_num"))).into()
    }

    /// The device's own end of its network.
    pub(crate) fn network(&self) -> String {
        read(self.dir.join("functions/ncm.0/ifname"))
    }

    /// The device's own end of its keyboard.
    pub(crate) fn reports(&self) -> Result<PathBuf> {
        let number = read(self.dir.join("functions/hid.0/dev"));
        let minor = number.split_once(':').context("a keyboard has a device number")?.1;
        Ok(format!("/dev/hidg{minor}").into())
    }

    /// `dummy_udc.N` is on the bus of `dummy_hcd.N`.
    fn host_side(&self) -> Option<PathBuf> {
        let number = self.controller.rsplit_once('.')?.1;
        list(format!("/sys/devices/platform/dummy_hcd.{number}"))
            .into_iter()
            .filter(|bus| name(bus).starts_with("usb"))
            .flat_map(list)
            .find(|device| device.join("serial").exists())
    }
}

/// Loads what gadgets need.
pub(crate) fn prepare() -> Result<()> {
    run("modprobe -a libcomposite")?;
    if !Path::new(GADGETS).exists() {
        run("mount -t configfs configfs /sys/kernel/config")?;
    }
    run("modprobe dummy_hcd num=4 is_high_speed=1")?;
    Ok(())
}

/// Only a patched `dummy_hcd` has isochronous transfers.
pub(crate) fn has_isochronous() -> bool {
    Path::new(ISO_LOST).exists()
}

fn root(number: u32) -> PathBuf {
    Path::new(GADGETS).join(format!("g{number}"))
}

fn image(dir: &Path) -> PathBuf {
    Path::new("/dev/shm").join(name(dir)).with_extension("img")
}

fn free_controller() -> Result<String> {
    let used: Vec<String> = list(GADGETS).iter().map(|dir| read(dir.join("UDC"))).collect();
    list("/sys/class/udc")
        .iter()
        .map(|path| name(path))
        .find(|controller| controller.starts_with("dummy_udc") && !used.contains(controller))
        .context("every device controller is in use")
}

fn make(gadget: &Path, function: &str, options: &Options<'_>) -> Result<PathBuf> {
    let kind = match function {
        "ms" => "mass_storage",
        "ss" => "SourceSink",
        "lb" => "Loopback",
        other => other,
    };
    let dir = gadget.join("functions").join(format!("{kind}.0"));
    create_dir(&dir).with_context(|| format!("no gadget function {function}"))?;
    match function {
        "ms" => {
            let mib: u64 = options.number("size_mib", 64)?;
            File::create(image(gadget))?.set_len(mib << 20)?;
            write(dir.join("lun.0/removable"), "1")?;
            write(dir.join("lun.0/file"), image(gadget).display().to_string())?;
        }
        "hid" => {
            for (attribute, text) in [("protocol", "1"), ("subclass", "1"), ("report_length", "8")]
            {
                write(dir.join(attribute), text)?;
            }
            write(dir.join("report_desc"), KEYBOARD)?;
        }
        "uac2" => {
            for attribute in ["p_srate", "c_srate"] {
                write(dir.join(attribute), "48000")?;
            }
            for attribute in ["p_ssize", "c_ssize"] {
                write(dir.join(attribute), "2")?;
            }
        }
        "printer" => write(dir.join("pnp_string"), "MFG:Lab;MDL:Printer;CLS:PRINTER;")?,
        "uvc" => camera(&dir)?,
        _ => {}
    }
    Ok(dir)
}

/// One uncompressed format of one size and rate.
fn camera(dir: &Path) -> Result<()> {
    write(dir.join("streaming_maxpacket"), "1024")?;
    let header = dir.join("control/header/h");
    create_dir(&header)?;
    for speed in ["fs", "ss"] {
        symlink(&header, dir.join("control/class").join(speed).join("h"))?;
    }
    let format = dir.join("streaming/uncompressed/u");
    let frame = format.join("f");
    create_dir_all(&frame)?;
    let numbers = [
        ("wWidth", WIDTH),
        ("wHeight", HEIGHT),
        ("dwMaxVideoFrameBufferSize", WIDTH * HEIGHT * 2),
        ("dwDefaultFrameInterval", FRAME_INTERVAL_100NS),
        ("dwFrameInterval", FRAME_INTERVAL_100NS),
    ];
    for (attribute, number) in numbers {
        write(frame.join(attribute), number.to_string())?;
    }
    let header = dir.join("streaming/header/h");
    create_dir(&header)?;
    symlink(&format, header.join("u"))?;
    for speed in ["fs", "hs", "ss"] {
        symlink(&header, dir.join("streaming/class").join(speed).join("h"))?;
    }
    Ok(())
}

struct Options<'a>(&'a [&'a str]);

impl Options<'_> {
    fn number(&self, key: &str, default: u64) -> Result<u64> {
        let found = self.0.iter().filter_map(|option| option.split_once('='));
        match found.into_iter().find(|(name, _)| *name == key) {
            Some((_, value)) => value.parse().with_context(|| format!("{key}={value}")),
            None => Ok(default),
        }
    }
}

pub(crate) const WIDTH: u32 = 320;
pub(crate) const HEIGHT: u32 = 240;
pub(crate) const FRAME_INTERVAL_100NS: u32 = 333_333;

const GADGETS: &str = "/sys/kernel/config/usb_gadget";
const ISO_LOST: &str = "/sys/module/dummy_hcd/parameters/iso_lost";

/// The report descriptor of a boot keyboard: HID 1.11 appendix E.6.
const KEYBOARD: &[u8] = b"\x05\x01\x09\x06\xa1\x01\x05\x07\x19\xe0\x29\xe7\x15\x00\x25\x01\x75\x01\
\x95\x08\x81\x02\x95\x01\x75\x08\x81\x03\x95\x05\x75\x01\x05\x08\x19\x01\x29\x05\x91\x02\x95\x01\
\x75\x03\x91\x03\x95\x06\x75\x08\x15\x00\x25\x65\x05\x07\x19\x00\x29\x65\x81\x00\xc0";
