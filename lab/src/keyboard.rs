//! Keyboards: every report that the device sends, as it arrives.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::sys;

/// Sends numbered reports and expects all of them, in order.
pub(crate) fn reports_in_order(device: &Path, hidraw: &Path, count: u16) -> Result<()> {
    let mut far = File::open(hidraw)?;
    let mut near = OpenOptions::new().write(true).open(device)?;
    let sender = std::thread::spawn(move || -> std::io::Result<()> {
        (0..count).try_for_each(|number| near.write_all(&report(number)))
    });
    for number in 0..count {
        ensure!(sys::readable(&far, SILENCE_MAX_MS), "report {number} of {count} never came");
        let mut came = [0; 8];
        far.read_exact(&mut came)?;
        ensure!(came == report(number), "instead of report {number} came {came:02x?}");
    }
    sender.join().expect("a write does not panic")?;
    Ok(())
}

/// How long each of some reports took from the device to the far end.
pub(crate) fn latencies(device: &Path, hidraw: &Path, count: u16) -> Result<Vec<Duration>> {
    let mut far = File::open(hidraw)?;
    let mut near = OpenOptions::new().write(true).open(device)?;
    let mut times = Vec::with_capacity(count.into());
    for number in 0..count {
        let start = Instant::now();
        near.write_all(&report(number))?;
        ensure!(sys::readable(&far, SILENCE_MAX_MS), "report {number} never came");
        let mut came = [0; 8];
        far.read_exact(&mut came)?;
        times.push(start.elapsed());
        ensure!(came == report(number), "instead of report {number} came {came:02x?}");
    }
    Ok(times)
}

/// Presses a key for a moment: a usage of HID Usage Tables 1.5 §10.
pub(crate) fn strike(device: &Path, usage: u8) -> Result<()> {
    let mut near = OpenOptions::new().write(true).open(device)?;
    near.write_all(&[0, 0, usage, 0, 0, 0, 0, 0])?;
    Ok(near.write_all(&[0; 8])?)
}

/// The key codes that are pressed, in order, as `linux/input-event-codes.h` has them.
pub(crate) fn keys_pressed(input: &mut File, count: usize) -> Result<Vec<u16>> {
    let mut keys = Vec::new();
    while keys.len() < count {
        ensure!(sys::readable(input, SILENCE_MAX_MS), "{} of {count} keys came", keys.len());
        // struct input_event: time (16 bytes), type, code, value
        let mut event = [0; 24];
        input.read_exact(&mut event)?;
        let [kind, code] = [16, 18].map(|at| u16::from_le_bytes([event[at], event[at + 1]]));
        let value = i32::from_le_bytes([event[20], event[21], event[22], event[23]]);
        if (kind, value) == (EV_KEY, 1) {
            keys.push(code);
        }
    }
    Ok(keys)
}

/// Keys of the letters a to z, so that no two reports in a row are alike.
fn report(number: u16) -> [u8; 8] {
    let digit = |n: u16| 4 + (n % 26) as u8;
    [0, 0, digit(number), 4 + 26 + digit(number / 26), 0, 0, 0, 0]
}

pub(crate) const A: u8 = 0x04;
pub(crate) const ENTER: u8 = 0x28;

const EV_KEY: u16 = 1;
const SILENCE_MAX_MS: u32 = 10_000;
