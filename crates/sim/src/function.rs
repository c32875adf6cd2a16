//! What a device does, apart from being a USB device.

use crate::acm::Acm;
use crate::control::Setup;
use crate::disk::Disk;
use bytes::Bytes;

/// The functions that can be simulated.
///
/// Packets come and go through [`Function::take_out`] and [`Function::take_in`]; `None` is a NAK,
/// or a stall when the function has halted the endpoint.
#[derive(Debug)]
pub(crate) enum Function {
    Disk(Box<Disk>),
    Acm(Acm),
}

impl Function {
    /// The bus was reset, or the device configured.
    pub(crate) fn reset(&mut self) {
        match self {
            Self::Disk(disk) => disk.reset(),
            Self::Acm(acm) => acm.reset(),
        }
    }

    /// A class request. Returns the data of an IN request, `None` for a stall.
    pub(crate) fn control(&mut self, setup: &Setup, data: &[u8]) -> Option<Bytes> {
        match self {
            Self::Disk(disk) => disk.control(setup),
            Self::Acm(acm) => acm.control(setup, data),
        }
    }

    /// The host has cleared the halt of an endpoint.
    pub(crate) fn halt_cleared(&mut self, halts: &mut Halts) {
        match self {
            Self::Disk(disk) => disk.halt_cleared(halts),
            Self::Acm(_) => {}
        }
    }

    /// Takes from the packets of an OUT transfer; the number of bytes taken is of whole packets,
    /// or all. Empty data is an empty packet.
    pub(crate) fn take_out(&mut self, data: &[u8], halts: &mut Halts) -> Option<usize> {
        match self {
            Self::Disk(disk) => disk.take_out(data, halts),
            Self::Acm(acm) => acm.take_out(data),
        }
    }

    /// Packets for an IN transfer, up to `bytes_max`, a multiple of the packet size. The transfer
    /// ends with them when the last is short.
    pub(crate) fn take_in(
        &mut self,
        endpoint: u8,
        bytes_max: usize,
        halts: &mut Halts,
    ) -> Option<Bytes> {
        match self {
            Self::Disk(disk) => disk.take_in(bytes_max, halts),
            Self::Acm(acm) => acm.take_in(endpoint, bytes_max),
        }
    }
}

/// The endpoints that are halted (USB 2.0 §9.4.5), by address.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Halts(u32);

impl Halts {
    fn bit(endpoint: u8) -> u32 {
        1 << (endpoint & 0x0f) << (endpoint >> 7 << 4)
    }
    pub(crate) fn set(&mut self, endpoint: u8) {
        self.0 |= Self::bit(endpoint);
    }
    pub(crate) fn clear(&mut self, endpoint: u8) {
        self.0 &= !Self::bit(endpoint);
    }
    pub(crate) fn has(self, endpoint: u8) -> bool {
        self.0 & Self::bit(endpoint) != 0
    }
}
