//! USB devices made of software: what is common to them all, without I/O.
//!
//! [`Engine`] answers the standard requests, keeps the transfers of each endpoint in their order,
//! and asks a [`Function`] for what the device does. Simulators and virtual ports are functions;
//! the task that drives an engine stands behind a [`crate::Device`] as usbfs does.

mod control;
mod descriptors;
mod engine;

pub use control::{CLEAR_FEATURE, ENDPOINT_HALT, GET_DESCRIPTOR, SET_CONFIGURATION, Setup};
pub use descriptors::CONFIGURATION;
pub use engine::{ECONNRESET, EINVAL, ENODEV, ENOENT, EPIPE, ESHUTDOWN, Engine};

use bytes::Bytes;

/// What a device does, apart from being a USB device.
///
/// Packets come and go through [`Function::take_out`] and [`Function::take_in`]; `None` is a NAK,
/// or a stall when the function has halted the endpoint.
pub trait Function {
    /// The bus was reset, or the device configured.
    fn reset(&mut self);

    /// A class request. Returns the data of an IN request, `None` for a stall.
    fn control(&mut self, setup: &Setup, data: &[u8]) -> Option<Bytes>;

    /// The host has cleared the halt of an endpoint.
    fn halt_cleared(&mut self, halts: &mut Halts);

    /// Takes from the packets of an OUT transfer; the number of bytes taken is of whole packets,
    /// or all. Empty data is an empty packet.
    fn take_out(&mut self, data: &[u8], halts: &mut Halts) -> Option<usize>;

    /// Packets for an IN transfer, up to `bytes_max`, a multiple of the packet size. The transfer
    /// ends with them when the last is short.
    fn take_in(&mut self, endpoint: u8, bytes_max: usize, halts: &mut Halts) -> Option<Bytes>;

    /// What the configuration says beside the standard descriptors of an interface.
    fn extra(&self, interface: u8) -> Extra;
}

/// Descriptors around the one of an interface.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extra {
    /// Before it: an interface association.
    pub before: &'static [u8],
    /// Between it and those of its endpoints: what its class asks for.
    pub after: &'static [u8],
}

/// The endpoints that are halted (USB 2.0 §9.4.5), by address.
#[derive(Clone, Copy, Debug, Default)]
pub struct Halts(u32);

impl Halts {
    fn bit(endpoint: u8) -> u32 {
        1 << (endpoint & 0x0f) << (endpoint >> 7 << 4)
    }
    pub fn set(&mut self, endpoint: u8) {
        self.0 |= Self::bit(endpoint);
    }
    pub fn clear(&mut self, endpoint: u8) {
        self.0 &= !Self::bit(endpoint);
    }
    #[must_use]
    pub fn has(self, endpoint: u8) -> bool {
        self.0 & Self::bit(endpoint) != 0
    }
}
