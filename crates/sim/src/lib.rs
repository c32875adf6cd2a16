//! Simulated USB devices: software that answers at the door of [`usb::Device`] as hardware would,
//! so that a hub shares it like any other.
//!
//! They are for `--demo`, for tests and for benches on machines without USB. What they say on the
//! bus is what the specifications ask for, errors included, so that real drivers work with them.
//! A simulated device keeps its state (the content of a disk) from session to session.
//!
//! [`machine`] has those with a serial port, and [`printer`] those with a network.

mod acm;
mod disk;
mod function;
pub mod host;
pub mod machine;
pub mod printer;
mod session;

pub use acm::LOOP_BYTES_MAX;
pub use disk::{BLOCK_BYTES, PATTERN_BYTES, PATTERN_NAME, README_NAME, pattern};
pub use usb::emulate::Setup;

use bytes::Bytes;
use function::Function;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, mpsc, watch};
use usb::emulate::{self, Engine};
use wire::device::Usb;
use wire::usb::Speed;
use wire::{DeviceId, Name};

/// What a disk of [`demo`] holds. Memory is taken only for what is written.
const DEMO_DISK_BYTES: u64 = 32 * 1024 * 1024;

/// A device made of software.
#[derive(Debug)]
pub struct Simulated {
    pub id: DeviceId,
    pub name: Name,
    /// What a hub tells of it.
    pub usb: Usb,
    descriptors: Bytes,
    engine: Arc<Mutex<Engine<Function>>>,
    condition: watch::Sender<Condition>,
}

/// What a test or a demonstration does to a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Condition {
    unplugged: bool,
    fault: Option<Fault>,
}

/// A way to be broken. To be gone altogether is [`Simulated::unplug`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Every transfer takes this much longer.
    Slow(Duration),
    /// No transfer is answered until the fault is over; those waiting are answered then.
    Silent,
    /// Every transfer ends with a stall.
    Stall,
}

/// A disk and a serial port, in the order in which they are numbered.
#[must_use]
pub fn demo() -> Vec<Simulated> {
    vec![Simulated::disk(1, DEMO_DISK_BYTES), Simulated::serial(2)]
}

impl Simulated {
    /// A removable disk of `bytes` with a small FAT16 file system. `number` goes into the serial
    /// number and the port, and tells it from others.
    ///
    /// # Panics
    /// When `bytes` is not between 8 MiB and 1 GiB: outside, FAT16 does not fit.
    #[must_use]
    pub fn disk(number: u16, bytes: u64) -> Self {
        let serial_number = format!("FA4B0000{number:04X}");
        let disk = disk::Disk::new(bytes, &serial_number);
        Self::new(number, disk::describe(&serial_number), Function::Disk(Box::new(disk)))
    }

    /// A serial port (CDC-ACM) that returns what is written to it.
    #[must_use]
    pub fn serial(number: u16) -> Self {
        let serial_number = format!("FA4B0000{number:04X}");
        Self::new(number, acm::describe(&serial_number), Function::Acm(acm::Acm::default()))
    }

    fn new(number: u16, mut usb: Usb, function: Function) -> Self {
        usb.port = format!("sim-{number}").as_str().into();
        let (vendor, product) = (usb.vendor_id, usb.product_id);
        let serial = usb.serial_number.as_str().to_lowercase();
        let id = format!("usb-{vendor:04x}:{product:04x}:{serial}");
        let engine = Engine::new(usb.clone(), function);
        Self {
            id: DeviceId::try_from(id).expect("hexadecimal digits are in the alphabet of ids"),
            name: Name::from_text(usb.product.as_str(), "simulated"),
            usb,
            descriptors: engine.descriptors(),
            engine: Arc::new(Mutex::new(engine)),
            condition: watch::Sender::default(),
        }
    }

    /// Starts a session, as the host has reset and configured the device. One session at a time:
    /// another waits with its first transfer until this one's door is dropped.
    ///
    /// # Panics
    /// Outside of a Tokio runtime.
    #[must_use]
    pub fn open(&self) -> usb::Device {
        let (commands, commands_rx) = mpsc::channel(usb::device::CHANNEL_URBS);
        let (completions_tx, completions) = mpsc::channel(usb::device::CHANNEL_URBS);
        let (engine, condition) = (Arc::clone(&self.engine), self.condition.subscribe());
        tokio::spawn(session::run(engine, condition, commands_rx, completions_tx));
        usb::Device {
            speed: Speed::High,
            configuration: emulate::CONFIGURATION,
            descriptors: self.descriptors.clone(),
            commands,
            completions,
        }
    }

    /// Does a command at once, without a session, and returns what has completed by it: for hosts
    /// of another make. `None` during a session.
    #[must_use]
    pub fn exchange(&self, command: usb::Command) -> Option<Vec<usb::Completion>> {
        let mut engine = self.engine.try_lock().ok()?;
        match command {
            usb::Command::Submit(urb) => engine.submit(urb),
            usb::Command::Cancel { id } => engine.cancel(id),
            usb::Command::Reset { id } => engine.reset(id),
        }
        Some(engine.completed())
    }

    /// Whether it is plugged in. A new device is.
    #[must_use]
    pub fn is_plugged(&self) -> bool {
        !self.condition.borrow().unplugged
    }

    /// Waits until it is plugged in, or is not. Cancel safe.
    pub async fn until_plugged(&self, plugged: bool) {
        let mut condition = self.condition.subscribe();
        let reached = condition.wait_for(|condition| condition.unplugged != plugged).await;
        reached.expect("we hold the sender");
    }

    /// Pulls it out: everything under way ends with `-ENODEV`, and so does the session.
    pub fn unplug(&self) {
        self.condition.send_modify(|condition| condition.unplugged = true);
    }

    /// Puts it back.
    pub fn plug(&self) {
        self.condition.send_modify(|condition| condition.unplugged = false);
    }

    /// Breaks it, or mends it with `None`. Takes effect in a running session too.
    pub fn fault(&self, fault: Option<Fault>) {
        self.condition.send_modify(|condition| condition.fault = fault);
    }
}
