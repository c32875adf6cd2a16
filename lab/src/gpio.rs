//! A GPIO chip made of software, with one line that is used.
//!
//! Source: Documentation/admin-guide/gpio/gpio-sim.rst of the kernel.

use std::fs::create_dir_all;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use crate::lab;
use crate::net::run;
use crate::sysfs::{read, write};

#[derive(Debug)]
pub(crate) struct Chip {
    line: PathBuf,
}

impl Chip {
    pub(crate) fn plug_in() -> Result<Chip> {
        if run("modprobe gpio-sim").is_err() {
            return lab::skip("this kernel has no gpio-sim");
        }
        if !Path::new(CHIPS).exists() {
            run("mount -t configfs configfs /sys/kernel/config")?;
        }
        let bank = Path::new(CHIPS).join("lab/bank");
        create_dir_all(&bank)?;
        write(bank.join("num_lines"), (LINE + 1).to_string())?;
        let mut chip = Chip { line: PathBuf::new() };
        chip.plug()?;
        Ok(chip)
    }

    pub(crate) fn plug(&mut self) -> Result<()> {
        let dir = Path::new(CHIPS).join("lab");
        write(dir.join("live"), "1")?;
        let (device, name) = (read(dir.join("dev_name")), read(dir.join("bank/chip_name")));
        ensure!(Path::new("/dev").join(&name) == Path::new(CHIP), "the chip is {name}");
        let line = format!("/sys/devices/platform/{device}/{name}/sim_gpio{LINE}");
        self.line = line.into();
        Ok(())
    }

    /// A device that goes away while it is in use.
    pub(crate) fn pull_out(&self) -> Result<()> {
        write(Path::new(CHIPS).join("lab/live"), "0")
    }

    /// The switch closes: the line is at ground.
    pub(crate) fn close(&self) -> Result<()> {
        write(self.line.join("pull"), "pull-down")
    }

    pub(crate) fn open(&self) -> Result<()> {
        write(self.line.join("pull"), "pull-up")
    }
}

pub(crate) const CHIP: &str = "/dev/gpiochip0";
pub(crate) const LINE: u32 = 3;

const CHIPS: &str = "/sys/kernel/config/gpio-sim";
