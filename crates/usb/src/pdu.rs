//! USB/IP after the import: 48-byte headers, data, isochronous descriptors.
//!
//! What the local kernel (`vhci_hcd`) or a USB/IP client sends is a [`Request`]; what it hears is
//! a [`Reply`]. Both directions are here both ways, so that tests and benches can be the kernel.
//! Everything is big-endian, except the setup packet, which is USB's own bytes. Lengths are
//! checked before anything is reserved.
//!
//! Source: `linux/Documentation/usb/usbip_protocol.rst`, and `drivers/usb/usbip/usbip_common.c`
//! where it differs: packets are 0 (not -1) for what is not isochronous, OUT data travels with its
//! gaps, IN data without.

pub mod gather;
pub mod op;

use bytes::{Buf, Bytes, BytesMut};
use gather::Gather;
use wire::usb::ISO_PACKETS_MAX;

pub const HEADER_BYTES: usize = 48;
const DESCRIPTOR_BYTES: usize = 16;

/// The longest OUT transfer that is read in: twice the default of usbfs's `usbfs_memory_mb`, so
/// that no program of this machine gets over it. The proxy refuses long before.
pub const OUT_BYTES_MAX: usize = 32 * 1024 * 1024;

const CMD_SUBMIT: u32 = 1;
const CMD_UNLINK: u32 = 2;
const RET_SUBMIT: u32 = 3;
const RET_UNLINK: u32 = 4;

/// Why bytes are not USB/IP. The stream they came from is of no further use.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    #[error("unknown USB/IP command {0:#x}")]
    Command(u32),
    #[error("direction {0} is neither 0 nor 1")]
    Direction(u32),
    #[error("endpoint number {0} is over 15")]
    Endpoint(u32),
    #[error("a transfer of {0} bytes")]
    Length(u32),
    #[error("{0} isochronous packets are over the limit of {ISO_PACKETS_MAX}")]
    Packets(u32),
    #[error("unknown USB/IP version {0:#06x}")]
    Version(u16),
}

/// What the kernel asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    Submit(Submit),
    /// Takes back the URB `target`; answered under the `seqnum` of its own.
    Unlink {
        seqnum: u32,
        target: u32,
    },
}

/// `USBIP_CMD_SUBMIT`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Submit {
    pub seqnum: u32,
    pub devid: u32,
    pub is_in: bool,
    /// 0 to 15, without the direction.
    pub endpoint: u8,
    /// `URB_*` of `linux/usb.h`.
    pub flags: u32,
    /// `transfer_buffer_length`
    pub length: u32,
    pub start_frame: u32,
    /// As it came: 0 or [`u32::MAX`] where the transfer is not isochronous.
    pub number_of_packets: u32,
    pub interval: u32,
    pub setup: [u8; 8],
    /// OUT only: `length` bytes, gaps between packets included.
    pub data: Bytes,
    pub packets: Vec<IsoPacket>,
}

/// `struct usbip_iso_packet_descriptor`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IsoPacket {
    pub offset: u32,
    pub length: u32,
    pub actual_length: u32,
    pub status: i32,
}

/// What the kernel hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    Submit(Ret),
    Unlink { seqnum: u32, status: i32 },
}

/// `USBIP_RET_SUBMIT`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ret {
    pub seqnum: u32,
    pub status: i32,
    pub actual_length: u32,
    pub start_frame: u32,
    /// As it was asked.
    pub number_of_packets: u32,
    pub error_count: u32,
    /// IN only: `actual_length` bytes, without gaps.
    pub data: Bytes,
    pub packets: Vec<IsoPacket>,
}

/// Isochronous packets that follow: 0 and -1 both mean that there are none.
fn packet_count(number_of_packets: u32) -> Result<usize, Error> {
    match number_of_packets {
        u32::MAX => Ok(0),
        count if count as usize <= ISO_PACKETS_MAX => Ok(count as usize),
        count => Err(Error::Packets(count)),
    }
}

/// What every header starts with.
struct Basic {
    command: u32,
    seqnum: u32,
    devid: u32,
    direction: u32,
    endpoint: u32,
}

fn basic(header: &mut &[u8]) -> Basic {
    Basic {
        command: header.get_u32(),
        seqnum: header.get_u32(),
        devid: header.get_u32(),
        direction: header.get_u32(),
        endpoint: header.get_u32(),
    }
}

fn put_basic(out: &mut Gather, basic: &Basic) {
    let words = [basic.command, basic.seqnum, basic.devid, basic.direction, basic.endpoint];
    words.iter().for_each(|word| out.put(&word.to_be_bytes()));
}

/// Splits a PDU with its header off `buf`, or reserves the room for the rest of it.
fn take(buf: &mut BytesMut, after_header: usize) -> Option<BytesMut> {
    let whole = HEADER_BYTES + after_header;
    if buf.len() < whole {
        buf.reserve(whole - buf.len());
        return None;
    }
    let mut pdu = buf.split_to(whole);
    pdu.advance(HEADER_BYTES);
    Some(pdu)
}

fn take_packets(bytes: &mut BytesMut, count: usize) -> Vec<IsoPacket> {
    let packet = |_| IsoPacket {
        offset: bytes.get_u32(),
        length: bytes.get_u32(),
        actual_length: bytes.get_u32(),
        status: bytes.get_i32(),
    };
    (0..count).map(packet).collect()
}

fn put_packets(out: &mut Gather, packets: &[IsoPacket]) {
    for packet in packets {
        out.put(&packet.offset.to_be_bytes());
        out.put(&packet.length.to_be_bytes());
        out.put(&packet.actual_length.to_be_bytes());
        out.put(&packet.status.to_be_bytes());
    }
}

impl Request {
    /// Takes one whole request off the front of `buf`, or says that more bytes are needed.
    ///
    /// # Errors
    /// When the bytes are no USB/IP, or over a limit.
    pub fn decode(buf: &mut BytesMut) -> Result<Option<Self>, Error> {
        let Some(header) = buf.first_chunk::<HEADER_BYTES>().copied() else { return Ok(None) };
        let header = &mut &header[..];
        let basic = basic(header);
        match basic.command {
            CMD_SUBMIT => Submit::decode(&basic, header, buf).map(|it| it.map(Self::Submit)),
            CMD_UNLINK => {
                let target = header.get_u32();
                let whole = take(buf, 0);
                Ok(whole.map(|_| Self::Unlink { seqnum: basic.seqnum, target }))
            }
            command => Err(Error::Command(command)),
        }
    }

    /// Appends the request: what the kernel does.
    pub fn encode(&self, out: &mut Gather) {
        match self {
            Self::Submit(submit) => submit.encode(out),
            Self::Unlink { seqnum, target } => {
                put_basic(out, &Basic { command: CMD_UNLINK, ..Basic::reply(*seqnum) });
                out.put(&target.to_be_bytes());
                out.put(&[0; 24]);
            }
        }
    }
}

impl Basic {
    /// Replies name nothing but the request; vhci ignores the rest.
    fn reply(seqnum: u32) -> Self {
        Self { command: RET_SUBMIT, seqnum, devid: 0, direction: 0, endpoint: 0 }
    }
}

impl Submit {
    fn decode(
        basic: &Basic,
        header: &mut &[u8],
        buf: &mut BytesMut,
    ) -> Result<Option<Self>, Error> {
        let is_in = match basic.direction {
            0 => false,
            1 => true,
            other => return Err(Error::Direction(other)),
        };
        let endpoint = u8::try_from(basic.endpoint).ok().filter(|number| *number < 16);
        let mut submit = Self {
            seqnum: basic.seqnum,
            devid: basic.devid,
            is_in,
            endpoint: endpoint.ok_or(Error::Endpoint(basic.endpoint))?,
            flags: header.get_u32(),
            length: header.get_u32(),
            start_frame: header.get_u32(),
            number_of_packets: header.get_u32(),
            interval: header.get_u32(),
            ..Self::default()
        };
        header.copy_to_slice(&mut submit.setup);
        let out_bytes = if is_in { 0 } else { submit.length as usize };
        if submit.length > i32::MAX as u32 || out_bytes > OUT_BYTES_MAX {
            return Err(Error::Length(submit.length));
        }
        let packets = packet_count(submit.number_of_packets)?;
        let Some(mut rest) = take(buf, out_bytes + packets * DESCRIPTOR_BYTES) else {
            return Ok(None);
        };
        submit.data = rest.split_to(out_bytes).freeze();
        submit.packets = take_packets(&mut rest, packets);
        Ok(Some(submit))
    }

    fn encode(&self, out: &mut Gather) {
        put_basic(
            out,
            &Basic {
                command: CMD_SUBMIT,
                seqnum: self.seqnum,
                devid: self.devid,
                direction: u32::from(self.is_in),
                endpoint: u32::from(self.endpoint),
            },
        );
        let words =
            [self.flags, self.length, self.start_frame, self.number_of_packets, self.interval];
        words.iter().for_each(|word| out.put(&word.to_be_bytes()));
        out.put(&self.setup);
        out.push(self.data.clone());
        put_packets(out, &self.packets);
    }
}

impl Reply {
    #[must_use]
    pub fn seqnum(&self) -> u32 {
        match self {
            Self::Submit(ret) => ret.seqnum,
            Self::Unlink { seqnum, .. } => *seqnum,
        }
    }

    /// Takes one whole reply off the front of `buf`: what the kernel does. A reply does not tell
    /// whether it carries IN data; `is_in` knows it by the sequence number.
    ///
    /// # Errors
    /// When the bytes are no USB/IP, or over a limit.
    pub fn decode(buf: &mut BytesMut, is_in: impl Fn(u32) -> bool) -> Result<Option<Self>, Error> {
        let Some(header) = buf.first_chunk::<HEADER_BYTES>().copied() else { return Ok(None) };
        let header = &mut &header[..];
        let basic = basic(header);
        let seqnum = basic.seqnum;
        let status = header.get_i32();
        match basic.command {
            RET_UNLINK => Ok(take(buf, 0).map(|_| Self::Unlink { seqnum, status })),
            RET_SUBMIT => {
                let actual_length = header.get_u32();
                let start_frame = header.get_u32();
                let number_of_packets = header.get_u32();
                let error_count = header.get_u32();
                let packets = packet_count(number_of_packets)?;
                let in_bytes = if is_in(seqnum) { actual_length as usize } else { 0 };
                if in_bytes > OUT_BYTES_MAX {
                    return Err(Error::Length(actual_length));
                }
                let Some(mut rest) = take(buf, in_bytes + packets * DESCRIPTOR_BYTES) else {
                    return Ok(None);
                };
                let data = rest.split_to(in_bytes).freeze();
                let packets = take_packets(&mut rest, packets);
                Ok(Some(Self::Submit(Ret {
                    seqnum,
                    status,
                    actual_length,
                    start_frame,
                    number_of_packets,
                    error_count,
                    data,
                    packets,
                })))
            }
            command => Err(Error::Command(command)),
        }
    }

    /// Appends the reply.
    pub fn encode(self, out: &mut Gather) {
        put_basic(
            out,
            &match self {
                Self::Submit(_) => Basic::reply(self.seqnum()),
                Self::Unlink { seqnum, .. } => {
                    Basic { command: RET_UNLINK, ..Basic::reply(seqnum) }
                }
            },
        );
        match self {
            Self::Submit(ret) => {
                out.put(&ret.status.to_be_bytes());
                let words =
                    [ret.actual_length, ret.start_frame, ret.number_of_packets, ret.error_count];
                words.iter().for_each(|word| out.put(&word.to_be_bytes()));
                out.put(&[0; 8]);
                out.push(ret.data);
                put_packets(out, &ret.packets);
            }
            Self::Unlink { status, .. } => {
                out.put(&status.to_be_bytes());
                out.put(&[0; 24]);
            }
        }
    }
}

#[cfg(test)]
mod tests;
