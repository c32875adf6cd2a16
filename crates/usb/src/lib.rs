//! Both ends of a USB device side by side: [`serve`] where it is plugged in, [`attach`] where it
//! is used. Between them go the messages of [`wire::usb`].

pub mod attach;
pub mod descriptor;
pub mod device;
pub mod emulate;
#[cfg(target_os = "linux")]
pub mod linux;
pub mod pdu;
pub mod serve;
mod streams;

pub use device::{Command, Completion, Counters, Device, Urb};
