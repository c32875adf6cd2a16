//! Serial ports: an echo at the device's end, checked bytes at the user's.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::disk::Noise;
use crate::sys;

/// Sends back whatever comes, for as long as the guest lives.
pub(crate) fn echo(tty: PathBuf) {
    std::thread::spawn(move || {
        loop {
            let Ok(mut port) = sys::open_tty(&tty) else { continue };
            let mut bytes = [0; 16 << 10];
            // nothing or an error: the host hung up, and may come back
            while let Ok(n @ 1..) = port.read(&mut bytes) {
                if port.write_all(&bytes[..n]).is_err() {
                    break;
                }
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    });
}

/// Sends bytes and expects the same ones back. Returns how long that took.
pub(crate) fn exchange(port: &File, count: usize) -> Result<Duration> {
    let mut sent = vec![0; count];
    Noise(4).fill(&mut sent);
    let start = Instant::now();
    let mut writer = port.try_clone()?;
    let bytes = sent.clone();
    let sender = std::thread::spawn(move || writer.write_all(&bytes));
    let came = receive(port, count)?;
    let took = start.elapsed();
    sender.join().expect("a write does not panic").context("writing to the port")?;
    ensure!(blake3::hash(&came) == blake3::hash(&sent), "other bytes came back");
    Ok(took)
}

/// How long each of some single bytes took to come back.
pub(crate) fn round_trips(mut port: &File, count: usize) -> Result<Vec<Duration>> {
    let mut times = Vec::with_capacity(count);
    for n in 0..count {
        let byte = n as u8;
        let start = Instant::now();
        port.write_all(&[byte])?;
        let came = receive(port, 1)?;
        times.push(start.elapsed());
        ensure!(came == [byte], "sent {byte}, {came:?} came back");
    }
    Ok(times)
}

/// Opens a port. The echo at the device's end lifts and drops the carrier while it gets ready, and
/// `cdc_acm` hangs up on a carrier that drops before it has read that nobody minds (CLOCAL, set
/// after the notifications are asked for in `acm_port_activate`): then once more.
pub(crate) fn open(tty: &Path) -> Result<File> {
    for _ in 0..HANGUPS_MAX {
        match sys::open_tty(tty) {
            Err(error) if error.raw_os_error() == Some(libc::EIO) => {}
            other => return other.with_context(|| format!("opening {}", tty.display())),
        }
    }
    bail!("{} hangs up again and again", tty.display())
}

fn receive(mut port: &File, count: usize) -> Result<Vec<u8>> {
    let mut came = Vec::with_capacity(count);
    let mut bytes = [0; 16 << 10];
    while came.len() < count {
        if !sys::readable(port, SILENCE_MAX_MS) {
            bail!("{} of {count} bytes came back", came.len());
        }
        let n = port.read(&mut bytes).context("reading from the port")?;
        came.extend_from_slice(&bytes[..n]);
    }
    Ok(came)
}

const HANGUPS_MAX: u32 = 5;
/// Longer than any retransmission; also longer than a cable is cut in a test.
const SILENCE_MAX_MS: u32 = 20_000;
