//! The functions that can be simulated.

use crate::acm::{self, Acm};
use crate::disk::Disk;
use bytes::Bytes;
use usb::emulate::{Extra, Halts, Setup};

#[derive(Debug)]
pub(crate) enum Function {
    Disk(Box<Disk>),
    Acm(Acm),
}

impl usb::emulate::Function for Function {
    fn reset(&mut self) {
        match self {
            Self::Disk(disk) => disk.reset(),
            Self::Acm(acm) => acm.reset(),
        }
    }

    fn control(&mut self, setup: &Setup, data: &[u8]) -> Option<Bytes> {
        match self {
            Self::Disk(disk) => disk.control(setup),
            Self::Acm(acm) => acm.control(setup, data),
        }
    }

    fn halt_cleared(&mut self, halts: &mut Halts) {
        match self {
            Self::Disk(disk) => disk.halt_cleared(halts),
            Self::Acm(_) => {}
        }
    }

    fn take_out(&mut self, data: &[u8], halts: &mut Halts) -> Option<usize> {
        match self {
            Self::Disk(disk) => disk.take_out(data, halts),
            Self::Acm(acm) => acm.take_out(data),
        }
    }

    fn take_in(&mut self, endpoint: u8, bytes_max: usize, halts: &mut Halts) -> Option<Bytes> {
        match self {
            Self::Disk(disk) => disk.take_in(bytes_max, halts),
            Self::Acm(acm) => acm.take_in(endpoint, bytes_max),
        }
    }

    fn extra(&self, interface: u8) -> Extra {
        match self {
            Self::Acm(_) if interface == 0 => {
                Extra { after: acm::FUNCTIONAL_DESCRIPTORS, ..Extra::default() }
            }
            Self::Disk(_) | Self::Acm(_) => Extra::default(),
        }
    }
}
