//! What really goes over a bus: the kernel's usbmon.
//!
//! Source: Documentation/usb/usbmon.rst, "Raw binary format and API".

use std::fs::File;
use std::io::Read;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::sysfs::{self, read};

/// Sees the control requests on the bus of a device.
#[derive(Debug)]
pub(crate) struct Monitor {
    setups: Receiver<[u8; 8]>,
}

impl Monitor {
    pub(crate) fn open(bus_id: &str) -> Result<Monitor> {
        let device = sysfs::usb(bus_id).context("no such device")?;
        let bus = read(device.join("busnum"));
        let minor = read(format!("/sys/class/usbmon/usbmon{bus}/dev"));
        anyhow::ensure!(!minor.is_empty(), "no usbmon for bus {bus}");
        let mut file = File::open(format!("/dev/usbmon{bus}"))?;
        let (tx, setups) = channel();
        std::thread::spawn(move || {
            let mut event = vec![0; 64 << 10];
            while let Ok(HEADER..) = file.read(&mut event) {
                let (kind, transfer, has_setup) = (event[8], event[9], event[14] == 0);
                if kind == b'S' && transfer == CONTROL && has_setup {
                    let mut setup = [0; 8];
                    setup.copy_from_slice(&event[40..HEADER]);
                    if tx.send(setup).is_err() {
                        return;
                    }
                }
            }
        });
        Ok(Monitor { setups })
    }

    /// Waits for a control request.
    pub(crate) fn wait_for(&self, what: &str, is_it: impl Fn(&[u8; 8]) -> bool) -> Result<()> {
        loop {
            let setup = self
                .setups
                .recv_timeout(sysfs::patient(Duration::from_secs(5)))
                .with_context(|| format!("the device never got {what}"))?;
            if is_it(&setup) {
                return Ok(());
            }
        }
    }
}

/// `struct mon_bin_hdr` without what newer versions append.
const HEADER: usize = 48;
const CONTROL: u8 = 2;
