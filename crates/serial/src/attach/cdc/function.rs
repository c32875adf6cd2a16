//! What the emulated port does, apart from being a USB device.
//!
//! Source: USB CDC 1.2 (functional descriptors, §5.2.3), its PSTN subclass 1.2 (§6.3, §6.5), and
//! the ECN for interface associations.

use super::break_length;
use crate::attach::{READ_BYTES, WAITING_BYTES_MAX};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use std::collections::VecDeque;
use std::time::Duration;
use usb::emulate::{Extra, Function, Halts, Setup};
use wire::device::{Endpoint, Interface, Transfer, Usb};
use wire::serial::{Down, LineCoding, LineErrors, ModemLines, Parity, StopBits, Up};
use wire::usb::Speed;

pub(super) const NOTIFY: u8 = 0x81;
pub(super) const OUT: u8 = 0x02;
pub(super) const IN: u8 = 0x83;
const PACKET_BYTES: usize = 512;

/// Interfaces 0 and 1 are one function: communication, ACM.
const ASSOCIATION: &[u8] = &[8, 0x0b, 0, 2, 2, 2, 1, 0];
/// Header (CDC 1.20), call management (none, data interface 1), ACM (line coding, line state and
/// break are supported), union (control interface 0, data interface 1).
const FUNCTIONAL: &[u8] = &[
    5, 0x24, 0x00, 0x20, 0x01, //
    5, 0x24, 0x01, 0x00, 0x01, //
    4, 0x24, 0x02, 0x06, //
    5, 0x24, 0x06, 0x00, 0x01,
];

/// Class requests, PSTN §6.3.
const SET_LINE_CODING: u8 = 0x20;
const GET_LINE_CODING: u8 = 0x21;
const SET_CONTROL_LINE_STATE: u8 = 0x22;
const SEND_BREAK: u8 = 0x23;

pub(super) fn describe(product: &str, serial_number: &str) -> Usb {
    let endpoint = |address, transfer, packet_bytes_max, interval| Endpoint {
        address,
        transfer,
        packet_bytes_max,
        interval,
    };
    let interface = |number, [class, subclass, protocol]: [u8; 3], endpoints| Interface {
        configuration: 1,
        number,
        alternate: 0,
        class,
        subclass,
        protocol,
        endpoints,
    };
    // 2^(9-1) microframes: a notification every 32 ms.
    let notify = vec![endpoint(NOTIFY, Transfer::Interrupt, 16, 9)];
    let data = [OUT, IN].map(|address| endpoint(address, Transfer::Bulk, 512, 0)).to_vec();
    Usb {
        vendor_id: 0x1209,
        product_id: 0x0003,
        release: 0x0100,
        // A device with an interface association.
        class: 0xef,
        subclass: 2,
        protocol: 1,
        speed: Speed::High,
        manufacturer: "farhub".into(),
        product: product.into(),
        serial_number: serial_number.into(),
        port: "".into(),
        interfaces: vec![interface(0, [2, 2, 1], notify), interface(1, [10, 0, 0], data)],
    }
}

#[derive(Debug, Default)]
pub(super) struct Port {
    coding: LineCoding,
    lines: ModemLines,
    ups: VecDeque<(Up, Bytes)>,
    /// How long a break that has just begun lasts.
    break_length: Option<Duration>,
    /// From the port, to be read.
    input: BytesMut,
    /// The last packet was full and no data follows: an empty one tells the host so.
    zero_packet_due: bool,
    /// What went wrong, and whether the host has yet to hear of it or of the modem lines.
    events: u16,
    has_news: bool,
    /// Between a stop and our answer to it.
    is_discarding: bool,
}

impl Port {
    pub(super) fn has_ups(&self) -> bool {
        !self.ups.is_empty()
    }

    pub(super) fn up(&mut self) -> Option<(Up, Bytes)> {
        self.ups.pop_front()
    }

    pub(super) fn push(&mut self, up: Up, data: Bytes) {
        self.ups.push_back((up, data));
    }

    pub(super) fn take_break(&mut self) -> Option<Duration> {
        self.break_length.take()
    }

    pub(super) fn has_room(&self) -> bool {
        self.input.len() < WAITING_BYTES_MAX
    }

    pub(super) fn down(&mut self, down: Down, data: &[u8]) {
        match down {
            Down::Data => self.input.extend_from_slice(data),
            Down::Coding(coding) => self.coding = coding,
            Down::Lines(lines) => {
                self.has_news |= self.lines != lines;
                self.lines = lines;
            }
            Down::Errors(errors) => {
                self.events |= events(errors);
                self.has_news |= self.events != 0;
            }
            Down::Stopped { .. } => {}
        }
    }

    /// Nobody reads any more.
    pub(super) fn closed(&mut self) {
        self.input.clear();
        self.zero_packet_due = false;
    }

    /// Forgets what was written, and what is being written until [`Port::stopped`].
    pub(super) fn discard(&mut self) {
        self.ups.retain(|(up, _)| !matches!(up, Up::Data));
        self.is_discarding = true;
    }

    pub(super) fn stopped(&mut self, stops: u32) {
        self.is_discarding = false;
        self.push(Up::Stopped { stops }, Bytes::new());
    }

    /// The notification `SERIAL_STATE` of interface 0, PSTN §6.5.4. It has no bit for CTS.
    fn serial_state(&mut self) -> Bytes {
        self.has_news = false;
        let ModemLines { carrier, dsr, ring, .. } = self.lines;
        let state = u16::from(carrier) | u16::from(dsr) << 1 | u16::from(ring) << 3;
        let [low, high] = (state | std::mem::take(&mut self.events)).to_le_bytes();
        Bytes::copy_from_slice(&[0xa1, 0x20, 0, 0, 0, 0, 2, 0, low, high])
    }
}

impl Function for Port {
    fn reset(&mut self) {
        self.closed();
        // A host that begins anew has yet to hear of the modem lines.
        self.has_news = self.lines != ModemLines::default();
    }

    fn control(&mut self, setup: &Setup, data: &[u8]) -> Option<Bytes> {
        match (setup.request_type, setup.request, setup.index) {
            (0x21, SET_LINE_CODING, 0) => {
                let coding = coding(data, self.coding)?;
                self.coding = coding;
                self.push(Up::Coding(coding), Bytes::new());
            }
            (0xa1, GET_LINE_CODING, 0) => return Some(line_coding(&self.coding)),
            (0x21, SET_CONTROL_LINE_STATE, 0) => {
                let (dtr, rts) = (setup.value & 1 != 0, setup.value & 2 != 0);
                self.push(Up::Modem { dtr: Some(dtr), rts: Some(rts) }, Bytes::new());
            }
            (0x21, SEND_BREAK, 0) => {
                self.break_length = break_length(setup.value);
                self.push(Up::Break { on: setup.value != 0 }, Bytes::new());
            }
            _ => return None,
        }
        Some(Bytes::new())
    }

    fn halt_cleared(&mut self, _: &mut Halts) {}

    /// Whole packets, as soon as everything before has left: until then the host waits.
    fn take_out(&mut self, data: &[u8], _: &mut Halts) -> Option<usize> {
        if self.is_discarding || data.is_empty() {
            return Some(data.len());
        }
        if self.has_ups() {
            return None;
        }
        let taken = data.len().min(READ_BYTES);
        self.push(Up::Data, Bytes::copy_from_slice(&data[..taken]));
        Some(taken)
    }

    fn take_in(&mut self, endpoint: u8, bytes_max: usize, _: &mut Halts) -> Option<Bytes> {
        if endpoint == NOTIFY {
            return self.has_news.then(|| self.serial_state());
        }
        let fits = self.input.len().min(bytes_max);
        if fits == 0 {
            return std::mem::take(&mut self.zero_packet_due).then(Bytes::new);
        }
        let data = Bytes::copy_from_slice(&self.input[..fits]);
        self.input.advance(fits);
        self.zero_packet_due = self.input.is_empty() && fits.is_multiple_of(PACKET_BYTES);
        Some(data)
    }

    fn extra(&self, interface: u8) -> Extra {
        match interface {
            0 => Extra { before: ASSOCIATION, after: FUNCTIONAL },
            _ => Extra::default(),
        }
    }
}

/// PSTN §6.3.11. What it cannot say stays as it was.
fn coding(bytes: &[u8], before: LineCoding) -> Option<LineCoding> {
    let &[b0, b1, b2, b3, stop, parity, data_bits] = bytes else { return None };
    let stop_bits = *STOP_BITS.get(usize::from(stop))?;
    let parity = *PARITIES.get(usize::from(parity))?;
    let baud_rate = u32::from_le_bytes([b0, b1, b2, b3]);
    let coding = LineCoding { baud_rate, data_bits, parity, stop_bits, flow: before.flow };
    coding.is_valid().then_some(coding)
}

fn line_coding(coding: &LineCoding) -> Bytes {
    let code = |at: Option<usize>| u8::try_from(at.unwrap_or(0)).expect("five at most");
    let mut bytes = BytesMut::with_capacity(7);
    bytes.put_u32_le(coding.baud_rate);
    bytes.put_u8(code(STOP_BITS.iter().position(|bits| *bits == coding.stop_bits)));
    bytes.put_u8(code(PARITIES.iter().position(|parity| *parity == coding.parity)));
    bytes.put_u8(coding.data_bits);
    bytes.freeze()
}

/// Bits of `SERIAL_STATE` that tell of events.
fn events(errors: LineErrors) -> u16 {
    let LineErrors { framing, parity, overrun, breaks } = errors;
    let bits = [(breaks, 4), (framing, 16), (parity, 32), (overrun, 64)];
    bits.iter().filter(|(count, _)| *count > 0).map(|(_, bit)| bit).sum()
}

/// In the order of their codes.
const STOP_BITS: [StopBits; 3] = [StopBits::One, StopBits::OneAndHalf, StopBits::Two];
const PARITIES: [Parity; 5] =
    [Parity::None, Parity::Odd, Parity::Even, Parity::Mark, Parity::Space];
