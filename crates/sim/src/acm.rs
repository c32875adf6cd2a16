//! A serial port that returns what is written to it.
//!
//! Its modem lines are wired as a loop-back plug does it: what the host sets as DTR comes back as
//! DSR, RTS as DCD (`SERIAL_STATE` has no bit for CTS). When the loop is full, writes wait.
//!
//! Source: USB CDC 1.2 (functional descriptors, §5.2.3) and its PSTN subclass 1.2 (§6.3, §6.5).

use bytes::{Buf, Bytes, BytesMut};
use usb::emulate::Setup;
use wire::device::{Endpoint, Interface, Transfer, Usb};
use wire::usb::Speed;

/// What the loop holds before writes wait.
pub const LOOP_BYTES_MAX: usize = 64 * 1024;

pub(crate) const NOTIFY: u8 = 0x81;
pub(crate) const OUT: u8 = 0x02;
pub(crate) const IN: u8 = 0x83;
const PACKET_BYTES_MAX: usize = 512;

/// Class, subclass and protocol of the control interface: communication, ACM, AT commands.
pub(crate) const CONTROL_CLASS: [u8; 3] = [2, 2, 1];

/// Header (CDC 1.20), call management (none, data interface 1), ACM (line coding, line state and
/// break are supported), union (control interface 0, data interface 1).
pub(crate) const FUNCTIONAL_DESCRIPTORS: &[u8] = &[
    5, 0x24, 0x00, 0x20, 0x01, //
    5, 0x24, 0x01, 0x00, 0x01, //
    4, 0x24, 0x02, 0x06, //
    5, 0x24, 0x06, 0x00, 0x01,
];

/// Class requests, PSTN §6.3.
pub(crate) const SET_LINE_CODING: u8 = 0x20;
pub(crate) const GET_LINE_CODING: u8 = 0x21;
pub(crate) const SET_CONTROL_LINE_STATE: u8 = 0x22;
pub(crate) const SEND_BREAK: u8 = 0x23;

/// Bits of `SERIAL_STATE`, PSTN §6.5.4.
const DCD: u16 = 1;
const DSR: u16 = 2;
const BREAK: u16 = 4;

#[derive(Debug)]
pub(crate) struct Acm {
    /// Baud rate (u32), stop bits, parity, data bits: PSTN §6.3.11.
    line_coding: [u8; 7],
    /// DTR (bit 0) and RTS (bit 1).
    lines: u16,
    /// The `SERIAL_STATE` that the host has yet to hear.
    news: Option<u16>,
    ring: BytesMut,
    /// The last packet was full and no data follows: an empty one tells the host so.
    zero_packet_due: bool,
}

impl Default for Acm {
    fn default() -> Self {
        // 9600 8N1
        let line_coding = [0x80, 0x25, 0, 0, 0, 0, 8];
        let ring = BytesMut::new();
        Self { line_coding, lines: 0, news: None, ring, zero_packet_due: false }
    }
}

pub(crate) fn describe(serial_number: &str) -> Usb {
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
        product_id: 0x0002,
        release: 0x0100,
        class: 2,
        subclass: 0,
        protocol: 0,
        speed: Speed::High,
        manufacturer: "farhub".into(),
        product: "farhub simulated serial".into(),
        serial_number: serial_number.into(),
        port: "".into(),
        interfaces: vec![interface(0, CONTROL_CLASS, notify), interface(1, [10, 0, 0], data)],
    }
}

impl Acm {
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn control(&mut self, setup: &Setup, data: &[u8]) -> Option<Bytes> {
        match (setup.request_type, setup.request, setup.index) {
            (0x21, SET_LINE_CODING, 0) => self.line_coding = data.try_into().ok()?,
            (0xa1, GET_LINE_CODING, 0) => return Some(Bytes::copy_from_slice(&self.line_coding)),
            (0x21, SET_CONTROL_LINE_STATE, 0) => {
                let before = std::mem::replace(&mut self.lines, setup.value & 3);
                if self.lines != before {
                    self.news = Some(self.state());
                }
            }
            (0x21, SEND_BREAK, 0) if setup.value > 0 => self.news = Some(self.state() | BREAK),
            (0x21, SEND_BREAK, 0) => {}
            _ => return None,
        }
        Some(Bytes::new())
    }

    /// Whole packets only, as far as there is room.
    pub(crate) fn take_out(&mut self, data: &[u8]) -> Option<usize> {
        let room = LOOP_BYTES_MAX - self.ring.len();
        let fits = if data.len() <= room { data.len() } else { room - room % PACKET_BYTES_MAX };
        if fits == 0 && !data.is_empty() {
            return None;
        }
        self.ring.extend_from_slice(&data[..fits]);
        Some(fits)
    }

    pub(crate) fn take_in(&mut self, endpoint: u8, bytes_max: usize) -> Option<Bytes> {
        if endpoint == NOTIFY {
            return self.news.take().map(serial_state);
        }
        let fits = self.ring.len().min(bytes_max);
        if fits == 0 {
            return std::mem::take(&mut self.zero_packet_due).then(Bytes::new);
        }
        let data = Bytes::copy_from_slice(&self.ring[..fits]);
        self.ring.advance(fits);
        self.zero_packet_due = self.ring.is_empty() && fits.is_multiple_of(PACKET_BYTES_MAX);
        Some(data)
    }

    fn state(&self) -> u16 {
        let line = |bit, state| if self.lines & bit != 0 { state } else { 0 };
        line(1, DSR) | line(2, DCD)
    }
}

/// The notification `SERIAL_STATE` of interface 0, PSTN §6.5.4.
fn serial_state(state: u16) -> Bytes {
    let [low, high] = state.to_le_bytes();
    Bytes::copy_from_slice(&[0xa1, 0x20, 0, 0, 0, 0, 2, 0, low, high])
}
