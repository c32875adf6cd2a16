//! A disk: the Bulk-only transport with a SCSI disk behind it.
//!
//! The transport goes strictly through its phases (command, data, status) and handles the
//! thirteen cases of host and device not agreeing on the data. A command wrapper that is not
//! valid halts both endpoints until the transport is reset.
//!
//! Source: USB Mass Storage Class, Bulk-Only Transport 1.0; the cases are in §6.7.

mod fat;
mod scsi;
mod store;

pub use fat::{PATTERN_BYTES, PATTERN_NAME, README_NAME, pattern};
pub use store::BLOCK_BYTES;

use bytes::Bytes;
use scsi::{Lun, Plan, Source};
use usb::emulate::{Halts, Setup};
use wire::device::{Endpoint, Interface, Transfer, Usb};
use wire::usb::Speed;

pub(crate) const IN: u8 = 0x81;
pub(crate) const OUT: u8 = 0x02;
const PACKET_BYTES_MAX: u32 = 512;

/// Class requests, BOT §3.
pub(crate) const RESET: u8 = 0xff;
pub(crate) const GET_MAX_LUN: u8 = 0xfe;

/// BOT §5.1 and §5.2.
pub(crate) const CBW_SIGNATURE: [u8; 4] = *b"USBC";
pub(crate) const CSW_SIGNATURE: [u8; 4] = *b"USBS";
pub(crate) const CBW_BYTES: usize = 31;
pub(crate) const CSW_BYTES: usize = 13;

#[derive(Debug)]
pub(crate) struct Disk {
    lun: Lun,
    phase: Phase,
    csw: Csw,
}

#[derive(Debug)]
enum Phase {
    Command,
    /// Sends this much, then the status, after a halt where less was sent than asked for.
    In {
        source: Source,
        left: u32,
        then_halt: bool,
    },
    /// Receives this much to the disk from this byte on.
    Out {
        at: u64,
        left: u32,
        then_halt: bool,
    },
    Status,
    /// After an invalid wrapper, until reset.
    Broken,
}

/// Command status wrapper, BOT §5.2.
#[derive(Clone, Copy, Debug, Default)]
struct Csw {
    tag: [u8; 4],
    residue: u32,
    status: Status,
}

/// BOT table 5.3.
#[derive(Clone, Copy, Debug, Default)]
enum Status {
    #[default]
    Passed = 0,
    Failed = 1,
    PhaseError = 2,
}

/// Command block wrapper, BOT §5.1.
struct Cbw<'a> {
    tag: [u8; 4],
    length: u32,
    is_in: bool,
    command: &'a [u8],
}

pub(crate) fn describe(serial_number: &str) -> Usb {
    let endpoints = [IN, OUT].map(|address| Endpoint {
        address,
        transfer: Transfer::Bulk,
        packet_bytes_max: 512,
        interval: 0,
    });
    let interface = Interface {
        configuration: 1,
        number: 0,
        alternate: 0,
        class: 8,
        subclass: 6,
        protocol: 0x50,
        endpoints: endpoints.to_vec(),
    };
    Usb {
        vendor_id: 0x1209,
        product_id: 0x0001,
        release: 0x0100,
        class: 0,
        subclass: 0,
        protocol: 0,
        speed: Speed::High,
        manufacturer: "farhub".into(),
        product: "farhub simulated disk".into(),
        serial_number: serial_number.into(),
        port: "".into(),
        interfaces: vec![interface],
    }
}

impl Disk {
    pub(crate) fn new(bytes: u64, serial_number: &str) -> Self {
        let lun = Lun::new(fat::format(bytes), serial_number);
        Self { lun, phase: Phase::Command, csw: Csw::default() }
    }

    pub(crate) fn reset(&mut self) {
        self.phase = Phase::Command;
    }

    pub(crate) fn control(&mut self, setup: &Setup) -> Option<Bytes> {
        match (setup.request_type, setup.request, setup.value, setup.index, setup.length) {
            (0x21, RESET, 0, 0, 0) => {
                // Halts stay for the host to clear (BOT §5.3.4).
                self.phase = Phase::Command;
                Some(Bytes::new())
            }
            (0xa1, GET_MAX_LUN, 0, 0, 1) => Some(Bytes::from_static(&[0])),
            _ => None,
        }
    }

    /// BOT §6.6.1: only a reset of the transport mends what an invalid wrapper broke.
    pub(crate) fn halt_cleared(&mut self, halts: &mut Halts) {
        if matches!(self.phase, Phase::Broken) {
            halts.set(IN);
            halts.set(OUT);
        }
    }

    pub(crate) fn take_out(&mut self, data: &[u8], halts: &mut Halts) -> Option<usize> {
        match &mut self.phase {
            Phase::Command => match Cbw::parse(data) {
                Some(cbw) => {
                    self.begin(&cbw, halts);
                    Some(CBW_BYTES)
                }
                None => {
                    self.phase = Phase::Broken;
                    self.halt_cleared(halts);
                    None
                }
            },
            Phase::Out { at, left, then_halt } => {
                let taken = data.len().min(*left as usize);
                self.lun.store.write(*at, &data[..taken]);
                let taken_u32 = u32::try_from(taken).expect("no more than what is left, a u32");
                *at += u64::from(taken_u32);
                *left -= taken_u32;
                self.csw.residue -= taken_u32;
                if *left == 0 {
                    if *then_halt {
                        halts.set(OUT);
                    }
                    self.phase = Phase::Status;
                }
                Some(taken)
            }
            Phase::In { .. } | Phase::Status | Phase::Broken => None,
        }
    }

    pub(crate) fn take_in(&mut self, bytes_max: usize, halts: &mut Halts) -> Option<Bytes> {
        match &mut self.phase {
            Phase::In { source, left, then_halt } => {
                let sent = (*left).min(u32::try_from(bytes_max).unwrap_or(u32::MAX));
                let data = source.take(&self.lun.store, sent as usize);
                *left -= sent;
                self.csw.residue -= sent;
                if *left == 0 {
                    if *then_halt {
                        halts.set(IN);
                    }
                    self.phase = Phase::Status;
                }
                Some(data)
            }
            Phase::Status => {
                self.phase = Phase::Command;
                Some(self.csw.bytes())
            }
            Phase::Command | Phase::Out { .. } | Phase::Broken => None,
        }
    }

    /// Does a command, and decides what the data phase will be: BOT §6.7, by its case numbers.
    fn begin(&mut self, cbw: &Cbw<'_>, halts: &mut Halts) {
        self.csw = Csw { tag: cbw.tag, residue: cbw.length, status: Status::Passed };
        self.phase = Phase::Status;
        let own_side = if cbw.is_in { IN } else { OUT };
        let plan = self.lun.execute(cbw.command);
        match plan {
            Ok(Plan::In { source, length }) if cbw.is_in && cbw.length > 0 => {
                // 5, 6, and 7: the device has more than the host asks for.
                if length > u64::from(cbw.length) {
                    self.csw.status = Status::PhaseError;
                }
                let left = u32::try_from(length).unwrap_or(u32::MAX).min(cbw.length);
                let then_halt = left < cbw.length && left.is_multiple_of(PACKET_BYTES_MAX);
                self.phase = Phase::In { source, left, then_halt };
            }
            Ok(Plan::Out { at, length })
                if !cbw.is_in && cbw.length > 0 && length <= u64::from(cbw.length) =>
            {
                // 11 and 12.
                let left = u32::try_from(length).expect("no more than the wrapper's, a u32");
                self.phase = Phase::Out { at, left, then_halt: left < cbw.length };
            }
            Ok(Plan::In { .. } | Plan::Out { .. }) => {
                // 2, 3, 8, 10, 13: they do not agree on the direction, or there is too little.
                self.csw.status = Status::PhaseError;
                if cbw.length > 0 {
                    halts.set(own_side);
                }
            }
            Ok(Plan::Done) | Err(_) => {
                // 1, 4, 9: no data.
                if cbw.length > 0 {
                    halts.set(own_side);
                }
                if plan.is_err() {
                    self.csw.status = Status::Failed;
                }
            }
        }
    }
}

impl<'a> Cbw<'a> {
    /// Valid and meaningful, BOT §6.2.
    fn parse(data: &'a [u8]) -> Option<Self> {
        let data: &[u8; CBW_BYTES] = data.try_into().ok()?;
        let (signature, rest) = data.split_first_chunk::<4>()?;
        let (tag, rest) = rest.split_first_chunk::<4>()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let ([flags, lun, command_bytes], command) = rest.split_first_chunk::<3>()?;
        let is_meaningful = *lun == 0 && (1..=16).contains(command_bytes) && flags & 0x7f == 0;
        (*signature == CBW_SIGNATURE && is_meaningful).then(|| Self {
            tag: *tag,
            length: u32::from_le_bytes(*length),
            is_in: flags & 0x80 != 0,
            command: &command[..usize::from(*command_bytes)],
        })
    }
}

impl Csw {
    fn bytes(self) -> Bytes {
        let mut bytes = Vec::with_capacity(CSW_BYTES);
        bytes.extend(CSW_SIGNATURE);
        bytes.extend(self.tag);
        bytes.extend(self.residue.to_le_bytes());
        bytes.push(self.status as u8);
        bytes.into()
    }
}
