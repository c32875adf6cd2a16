//! The doors as programs see them: a pseudo terminal of the kernel's, an emulated device at a host.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cdc;
mod pty;

use bytes::Bytes;
use link::{Duplex, Rx, Tx};
use serial::attach::{self, Counters, Door, Program};
use std::sync::Arc;
use tokio::sync::mpsc;
use wire::SessionId;
use wire::serial::{Attached, Down, LineCoding, ModemLines, Profile, Up};

/// The port at the other end of a session with one door.
struct Port {
    rx: Rx<Up>,
    tx: Tx<Down>,
    _doors: mpsc::Sender<Door>,
}

impl Port {
    async fn new() -> (Self, Program) {
        let (here, there) = Duplex::pipe(64 * 1024);
        let (doors, more) = mpsc::channel(1);
        let (door, program) = Door::new();
        doors.send(door).await.unwrap();
        let (coding, lines) = (LineCoding::default(), ModemLines::default());
        let (session, profile) = (SessionId(1), Profile::Raw);
        let attached = Attached { session, coding, lines, profile, stops: 0 };
        let counters = Arc::new(Counters::default());
        tokio::spawn(attach::run(attached, there.framed(), more, counters));
        let (rx, tx) = here.framed();
        (Self { rx, tx, _doors: doors }, program)
    }

    async fn heard(&mut self) -> (Up, Bytes) {
        self.rx.recv().await.unwrap().unwrap()
    }

    /// The next that is not data.
    async fn asked(&mut self) -> Up {
        self.heard().await.0
    }

    async fn data(&mut self, bytes: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while all.len() < bytes {
            let (up, data) = self.heard().await;
            assert_eq!(up, Up::Data);
            all.extend_from_slice(&data);
        }
        all
    }

    async fn says(&mut self, down: Down, data: impl Into<Bytes>) {
        self.tx.send(&down, data.into()).await.unwrap();
    }
}

const OPEN: Up = Up::Program { open: true };
const CLOSED: Up = Up::Program { open: false };

/// All 256 values, many times, not in a row.
fn noise(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at * 167 + at / 256 * 13) as u8).collect()
}
