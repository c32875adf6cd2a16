//! A driver for serial ports (CDC-ACM).

use super::{Error, Host, succeeded};
use crate::acm::{GET_LINE_CODING, IN, NOTIFY, OUT, SEND_BREAK};
use crate::acm::{SET_CONTROL_LINE_STATE, SET_LINE_CODING};
use bytes::{BufMut, Bytes, BytesMut};
use usb::emulate::Setup;
use wire::usb::Submit;

/// What one read asks for: some packets, so that no packet is longer.
const READ_BYTES: u32 = 4096;
const NOTIFICATION_BYTES: u32 = 16;

/// A serial port on a host. There is always a read and a notification under way.
#[derive(Debug)]
pub struct AcmPort {
    pub host: Host,
    read_id: u32,
    notify_id: u32,
}

/// PSTN §6.3.11, with the numbers of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineCoding {
    pub baud_rate: u32,
    /// 0: one, 1: one and a half, 2: two.
    pub stop_bits: u8,
    /// 0: none, 1: odd, 2: even, 3: mark, 4: space.
    pub parity: u8,
    pub data_bits: u8,
}

impl AcmPort {
    /// Starts to read.
    ///
    /// # Errors
    /// When the device is gone.
    pub async fn open(mut host: Host) -> Result<Self, Error> {
        let read_id = submit(&mut host, IN, READ_BYTES).await?;
        let notify_id = submit(&mut host, NOTIFY, NOTIFICATION_BYTES).await?;
        Ok(Self { host, read_id, notify_id })
    }

    /// Writes all of it. More than [`crate::LOOP_BYTES_MAX`] waits until it is read.
    ///
    /// # Errors
    /// With the status of a transfer that failed.
    pub async fn write(&mut self, data: Bytes) -> Result<(), Error> {
        self.host.write(OUT, data).await
    }

    /// What came in, at least a byte of it.
    ///
    /// # Errors
    /// With the status of a transfer that failed.
    pub async fn read(&mut self) -> Result<Bytes, Error> {
        loop {
            let ended = self.host.wait(self.read_id).await?;
            self.read_id = submit(&mut self.host, IN, READ_BYTES).await?;
            let data = succeeded(ended)?;
            if !data.is_empty() {
                return Ok(data);
            }
        }
    }

    /// The next `SERIAL_STATE`: DCD is bit 0, DSR bit 1, a break bit 2.
    ///
    /// # Errors
    /// With the status of a transfer that failed.
    pub async fn serial_state(&mut self) -> Result<u16, Error> {
        let ended = self.host.wait(self.notify_id).await?;
        self.notify_id = submit(&mut self.host, NOTIFY, NOTIFICATION_BYTES).await?;
        match succeeded(ended)?[..] {
            [0xa1, 0x20, _, _, _, _, 2, 0, low, high] => Ok(u16::from_le_bytes([low, high])),
            _ => Err(Error::Protocol("not a SERIAL_STATE")),
        }
    }

    /// Sets DTR (bit 0) and RTS (bit 1).
    ///
    /// # Errors
    /// With the status of a transfer that failed.
    pub async fn set_lines(&mut self, lines: u16) -> Result<(), Error> {
        self.set(SET_CONTROL_LINE_STATE, lines, Bytes::new()).await
    }

    /// # Errors
    /// With the status of a transfer that failed.
    pub async fn send_break(&mut self, duration_ms: u16) -> Result<(), Error> {
        self.set(SEND_BREAK, duration_ms, Bytes::new()).await
    }

    /// # Errors
    /// With the status of a transfer that failed.
    pub async fn set_line_coding(&mut self, coding: LineCoding) -> Result<(), Error> {
        let mut data = BytesMut::with_capacity(7);
        data.put_u32_le(coding.baud_rate);
        data.put_slice(&[coding.stop_bits, coding.parity, coding.data_bits]);
        self.set(SET_LINE_CODING, 0, data.freeze()).await
    }

    /// # Errors
    /// With the status of a transfer that failed.
    pub async fn line_coding(&mut self) -> Result<LineCoding, Error> {
        let request = GET_LINE_CODING;
        let setup = Setup { request_type: 0xa1, request, length: 7, ..Setup::default() };
        match self.host.control_in(setup).await?[..] {
            [b0, b1, b2, b3, stop_bits, parity, data_bits] => {
                let baud_rate = u32::from_le_bytes([b0, b1, b2, b3]);
                Ok(LineCoding { baud_rate, stop_bits, parity, data_bits })
            }
            _ => Err(Error::Protocol("not a line coding")),
        }
    }

    async fn set(&mut self, request: u8, value: u16, data: Bytes) -> Result<(), Error> {
        let setup = Setup { request_type: 0x21, request, value, ..Setup::default() };
        self.host.control_out(setup, data).await
    }
}

async fn submit(host: &mut Host, endpoint: u8, length: u32) -> Result<u32, Error> {
    host.submit(endpoint, Submit { length, ..Submit::default() }, Bytes::new()).await
}
