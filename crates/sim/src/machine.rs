//! Simulated machines with a serial port: a GRBL laser, a Marlin printer. They are for `--demo`,
//! and they are the strict judge of what the product does to machines: what they say is what a
//! program sees, and their [`Truth`] is what happened.
//!
//! The boards ([`grbl`], [`marlin`]) have no clock and no I/O. [`Pty`] runs one at a real port, and
//! [`Simulated`] is one that a hub can list, with an id and a name.

#[cfg(target_os = "linux")]
mod echo;
pub mod grbl;
pub mod marlin;
mod motion;
#[cfg(target_os = "linux")]
mod pty;
#[cfg(target_os = "linux")]
mod simulated;
mod truth;
mod wire;
mod words;

#[cfg(target_os = "linux")]
pub use echo::Echo;
#[cfg(target_os = "linux")]
pub use pty::{Port, Pty};
#[cfg(target_os = "linux")]
pub use simulated::{Simulated, demo};
pub use truth::{ARRIVALS_MAX, BEAM_CHANGES_MAX, BeamChange, Truth};
pub use wire::Faults;

use std::time::Duration;

/// A simulated controller of any make.
#[derive(Debug)]
pub enum Board {
    Grbl(Box<grbl::Grbl>),
    Marlin(Box<marlin::Marlin>),
}

impl Board {
    #[must_use]
    pub fn grbl(options: grbl::Options) -> Self {
        Self::Grbl(Box::new(grbl::Grbl::new(options, Duration::ZERO)))
    }

    #[must_use]
    pub fn marlin(options: marlin::Options) -> Self {
        Self::Marlin(Box::new(marlin::Marlin::new(options, Duration::ZERO)))
    }

    /// Power, or a reset by DTR.
    pub fn boot(&mut self, now: Duration) {
        match self {
            Self::Grbl(board) => board.boot(now),
            Self::Marlin(board) => board.boot(now),
        }
    }

    /// Bytes from the wire, all at once.
    pub fn received(&mut self, bytes: &[u8], now: Duration) {
        match self {
            Self::Grbl(board) => board.received(bytes, now),
            Self::Marlin(board) => board.received(bytes, now),
        }
    }

    /// What goes out on the wire by `now`.
    pub fn take_output(&mut self, now: Duration) -> Vec<u8> {
        match self {
            Self::Grbl(board) => board.take_output(now),
            Self::Marlin(board) => board.take_output(now),
        }
    }

    /// When something happens by itself.
    #[must_use]
    pub fn next_event(&self) -> Option<Duration> {
        match self {
            Self::Grbl(board) => board.next_event(),
            Self::Marlin(board) => board.next_event(),
        }
    }

    /// Lets everything happen that happens until `now`.
    pub fn advance(&mut self, now: Duration) {
        match self {
            Self::Grbl(board) => board.advance(now),
            Self::Marlin(board) => board.advance(now),
        }
    }

    #[must_use]
    pub fn truth(&self) -> &Truth {
        match self {
            Self::Grbl(board) => board.truth(),
            Self::Marlin(board) => board.truth(),
        }
    }
}
