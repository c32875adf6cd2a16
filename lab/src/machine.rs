//! The board behind a serial port: it stands, says so, and notes when it is told to stop.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::{sys, sysfs};

#[derive(Debug)]
pub(crate) struct Board {
    /// When the first byte of a stop came.
    stopped: Arc<Mutex<Option<Instant>>>,
}

impl Board {
    /// A GRBL at the device's end of a port, for as long as the guest lives.
    pub(crate) fn behind(tty: &Path) -> Board {
        let stopped = Arc::default();
        let (noted, tty) = (Arc::clone(&stopped), tty.to_owned());
        std::thread::spawn(move || {
            loop {
                answer(&tty, &noted);
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        Board { stopped }
    }

    pub(crate) fn stopped(&self, limit: Duration) -> Result<Instant> {
        let stopped = || *self.stopped.lock().expect("nobody panics with it");
        sysfs::within(limit, "a stop at the machine", stopped)
    }

    /// Waits for the next.
    pub(crate) fn forget(&self) {
        *self.stopped.lock().expect("nobody panics with it") = None;
    }
}

/// Until the host hangs up. Source: the GRBL wiki, "Grbl v1.1 Commands" and "Interface".
fn answer(tty: &Path, stopped: &Mutex<Option<Instant>>) {
    let Ok(mut port) = sys::open_tty(tty) else { return };
    let mut bytes = [0; 256];
    while let Ok(count @ 1..) = port.read(&mut bytes) {
        for byte in &bytes[..count] {
            let says: &[u8] = match byte {
                b'?' => b"<Idle|MPos:0.000,0.000,0.000|FS:0,0>\r\n",
                0x18 => b"\r\nGrbl 1.1h ['$' for help]\r\n",
                b'\n' => b"ok\r\n",
                0x84 => {
                    let mut stopped = stopped.lock().expect("nobody panics with it");
                    stopped.get_or_insert_with(Instant::now);
                    continue;
                }
                _ => continue,
            };
            if port.write_all(says).is_err() {
                return;
            }
        }
    }
}
