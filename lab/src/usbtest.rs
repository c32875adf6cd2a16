//! The kernel's own test of a host controller: its driver `usbtest` on gadget zero.
//!
//! Source: tools/usb/testusb.c of the kernel.

use std::fs::OpenOptions;
use std::path::Path;

use anyhow::{Context, Result};

use crate::sys::{self, UsbtestParam};
use crate::sysfs;

/// What came of the cases.
#[derive(Debug, Default, Eq, PartialEq)]
pub(crate) struct Cases {
    pub passed: Vec<u32>,
    pub failed: Vec<u32>,
}

/// Runs every case on a device. Cases that this device has no endpoints for count as nothing.
pub(crate) fn run(device: &Path, iterations: u32) -> Result<Cases> {
    let interface = format!("{}:{}", sysfs::name(device), "3.0");
    sysfs::within(sysfs::LIMIT, "usbtest's driver", || {
        (sysfs::driver(&interface) == "usbtest").then_some(())
    })?;
    let node = sysfs::usbfs(device)?;
    let file = OpenOptions::new().read(true).write(true).open(&node).context("usbfs")?;
    let mut cases = Cases::default();
    for test in 0..CASES {
        // a length that suits every case, as the others multiply it
        let mut param = UsbtestParam {
            test,
            iterations,
            length: 1024,
            vary: 512,
            sglen: 8,
            seconds: 0,
            microseconds: 0,
        };
        match sys::usbtest(&file, &mut param) {
            Ok(()) => cases.passed.push(test),
            Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => {}
            Err(error) => {
                println!("usbtest case {test}: {error}");
                cases.failed.push(test);
            }
        }
    }
    Ok(cases)
}

const CASES: u32 = 30;
