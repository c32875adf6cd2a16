//! The door to a device inside a process: two channels, whoever is behind them.
//!
//! One task owns the device (usbfs, or a simulator); a session holds this end. Dropping it releases
//! the device: what is under way is taken back, the device is reset, and the kernel's drivers get
//! it again. When the device is unplugged, its task completes everything under way with
//! `-ENODEV` and closes its end of [`Device::completions`].

use bytes::Bytes;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::mpsc;
use wire::usb::{Complete, Speed, Submit, Window};

/// A device that was opened for one session.
#[derive(Debug)]
pub struct Device {
    pub speed: Speed,
    /// `bConfigurationValue` of the active configuration, 0 for none.
    pub configuration: u8,
    /// Device descriptor and all configuration descriptors, as in sysfs's `descriptors`.
    pub descriptors: Bytes,
    /// Bounded to [`CHANNEL_URBS`]; a sender waits when it is full.
    pub commands: mpsc::Sender<Command>,
    /// Holds a completion for everything that may be under way, so the device never waits for us.
    pub completions: mpsc::Receiver<Completion>,
}

/// Room for everything that a [`Window`] lets be under way, and a cancel for each.
pub const CHANNEL_URBS: usize = 2 * Window::OFFERED.urbs as usize;

/// What a session asks of its device.
#[derive(Debug)]
pub enum Command {
    Submit(Urb),
    /// Takes back the URB of this id. Without effect when it is complete.
    Cancel {
        id: u32,
    },
    /// A port reset. Completes under this id, on endpoint 0.
    Reset {
        id: u32,
    },
}

/// A transfer to do. URBs of one endpoint are done in their order; ids are unique while under way.
#[derive(Debug)]
pub struct Urb {
    /// Address with the direction bit. Endpoint 0 is 0x00 in both directions: the setup packet
    /// tells.
    pub endpoint: u8,
    pub submit: Submit,
    /// The data of an OUT transfer.
    pub data: Bytes,
}

/// Exactly one for every [`Command::Submit`] and [`Command::Reset`].
#[derive(Debug)]
pub struct Completion {
    pub endpoint: u8,
    pub complete: Complete,
    /// The data of an IN transfer: `complete.actual_length` bytes.
    pub data: Bytes,
}

/// What went through a session, for people to see. Each side counts for itself.
#[derive(Debug, Default)]
pub struct Counters {
    pub urbs: AtomicU64,
    /// Bytes from the device.
    pub in_bytes: AtomicU64,
    /// Bytes to the device.
    pub out_bytes: AtomicU64,
    /// URBs that ended with an error other than being taken back.
    pub errors: AtomicU64,
}

impl Counters {
    /// Counts the end of one URB.
    pub fn count(&self, is_in: bool, complete: &Complete) {
        const ECONNRESET: i32 = -104;
        self.urbs.fetch_add(1, Ordering::Relaxed);
        let bytes = if is_in { &self.in_bytes } else { &self.out_bytes };
        bytes.fetch_add(u64::from(complete.actual_length), Ordering::Relaxed);
        if complete.status != 0 && complete.status != ECONNRESET {
            self.errors.fetch_add(1, Ordering::Relaxed);
        }
    }
}
