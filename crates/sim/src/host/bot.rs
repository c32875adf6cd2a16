//! A driver for disks: the host's side of the Bulk-only transport, and the few SCSI commands that
//! reading and writing take.

use super::{Error, Host};
use crate::disk::BLOCK_BYTES;
use crate::disk::{CBW_SIGNATURE, CSW_BYTES, CSW_SIGNATURE, GET_MAX_LUN, IN, OUT, RESET};
use bytes::{BufMut, Bytes, BytesMut};
use usb::emulate::Setup;

const EPIPE: i32 = -32;

/// A disk on a host.
#[derive(Debug)]
pub struct Bot {
    pub host: Host,
    tag: u32,
}

/// The data phase that the host wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    None,
    In(u32),
    Out(Bytes),
}

/// How a command went, BOT §5.2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub data: Bytes,
    /// What was not transferred of what the host wanted.
    pub residue: u32,
    /// `bCSWStatus`: 0 passed, 1 failed, 2 phase error.
    pub status: u8,
}

/// Sense key, additional sense code and its qualifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sense {
    pub key: u8,
    pub code: u8,
    pub qualifier: u8,
}

impl Bot {
    #[must_use]
    pub fn new(host: Host) -> Self {
        Self { host, tag: 0 }
    }

    /// `GET_MAX_LUN`.
    ///
    /// # Errors
    /// When the transfer fails.
    pub async fn max_lun(&mut self) -> Result<u8, Error> {
        let request = GET_MAX_LUN;
        let setup = Setup { request_type: 0xa1, request, length: 1, ..Setup::default() };
        let data = self.host.control_in(setup).await?;
        data.first().copied().ok_or(Error::Protocol("no maximum LUN"))
    }

    /// Reset recovery, BOT §5.3.4.
    ///
    /// # Errors
    /// When a transfer fails.
    pub async fn recover(&mut self) -> Result<(), Error> {
        let setup = Setup { request_type: 0x21, request: RESET, ..Setup::default() };
        self.host.control_out(setup, Bytes::new()).await?;
        self.host.clear_halt(IN).await?;
        self.host.clear_halt(OUT).await
    }

    /// Any command: its three phases, with the halts in between cleared.
    ///
    /// # Errors
    /// When a transfer fails otherwise than by a halt, or the status is not valid.
    pub async fn command(&mut self, command: &[u8], data: Data) -> Result<Outcome, Error> {
        self.tag = self.tag.wrapping_add(1);
        let length = match &data {
            Data::None => 0,
            Data::In(length) => *length,
            Data::Out(data) => {
                u32::try_from(data.len()).map_err(|_| Error::Protocol("too much data"))?
            }
        };
        let mut cbw = BytesMut::new();
        cbw.put_slice(&CBW_SIGNATURE);
        cbw.put_u32_le(self.tag);
        cbw.put_u32_le(length);
        cbw.put_slice(&[if matches!(data, Data::In(_)) { 0x80 } else { 0 }, 0]);
        cbw.put_u8(u8::try_from(command.len()).map_err(|_| Error::Protocol("a long command"))?);
        cbw.put_slice(command);
        cbw.resize(crate::disk::CBW_BYTES, 0);
        self.host.write(OUT, cbw.freeze()).await?;
        let read = match data {
            Data::None => Bytes::new(),
            Data::In(length) => match self.host.read(IN, length).await {
                Err(Error::Status { status: EPIPE, data }) => {
                    self.host.clear_halt(IN).await?;
                    data
                }
                read => read?,
            },
            Data::Out(data) => {
                match self.host.write(OUT, data).await {
                    Err(Error::Status { status: EPIPE, .. }) => self.host.clear_halt(OUT).await?,
                    written => written?,
                }
                Bytes::new()
            }
        };
        let csw = match self.host.read(IN, CSW_BYTES as u32).await {
            Err(Error::Status { status: EPIPE, .. }) => {
                self.host.clear_halt(IN).await?;
                self.host.read(IN, CSW_BYTES as u32).await?
            }
            csw => csw?,
        };
        let (residue, status) = self.parse_csw(&csw)?;
        Ok(Outcome { data: read, residue, status })
    }

    fn parse_csw(&self, csw: &[u8]) -> Result<(u32, u8), Error> {
        let invalid = Error::Protocol("an invalid command status wrapper");
        let Ok(csw) = <&[u8; CSW_BYTES]>::try_from(csw) else { return Err(invalid) };
        if csw[..4] != CSW_SIGNATURE || csw[4..8] != self.tag.to_le_bytes() {
            return Err(invalid);
        }
        Ok((u32::from_le_bytes([csw[8], csw[9], csw[10], csw[11]]), csw[12]))
    }

    /// A command that has to pass.
    ///
    /// # Errors
    /// [`Error::Check`] when the disk refuses, or as [`Bot::command`].
    pub async fn passed(&mut self, command: &[u8], data: Data) -> Result<Bytes, Error> {
        let outcome = self.command(command, data).await?;
        match outcome.status {
            0 => Ok(outcome.data),
            1 => Err(Error::Check(self.sense().await?)),
            _ => Err(Error::Protocol("a phase error")),
        }
    }

    /// REQUEST SENSE.
    ///
    /// # Errors
    /// As [`Bot::command`].
    pub async fn sense(&mut self) -> Result<Sense, Error> {
        let data = self.command(&[0x03, 0, 0, 0, 18, 0], Data::In(18)).await?.data;
        match data[..] {
            [0x70, _, key, _, _, _, _, _, _, _, _, _, code, qualifier, ..] => {
                Ok(Sense { key: key & 0x0f, code, qualifier })
            }
            _ => Err(Error::Protocol("sense data of another format")),
        }
    }

    /// INQUIRY: the standard data.
    ///
    /// # Errors
    /// As [`Bot::passed`].
    pub async fn inquiry(&mut self) -> Result<Bytes, Error> {
        self.passed(&[0x12, 0, 0, 0, 36, 0], Data::In(36)).await
    }

    /// READ CAPACITY (10): the number of blocks.
    ///
    /// # Errors
    /// As [`Bot::passed`].
    pub async fn blocks(&mut self) -> Result<u32, Error> {
        let data = self.passed(&[0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0], Data::In(8)).await?;
        let last = data.first_chunk().ok_or(Error::Protocol("no capacity"))?;
        Ok(u32::from_be_bytes(*last).saturating_add(1))
    }

    /// READ (10).
    ///
    /// # Errors
    /// As [`Bot::passed`].
    pub async fn read(&mut self, lba: u32, blocks: u16) -> Result<Bytes, Error> {
        let length = u32::from(blocks) * BLOCK_BYTES as u32;
        self.passed(&transfer(0x28, lba, blocks), Data::In(length)).await
    }

    /// WRITE (10) of whole blocks.
    ///
    /// # Errors
    /// As [`Bot::passed`].
    pub async fn write(&mut self, lba: u32, data: Bytes) -> Result<(), Error> {
        let blocks = u16::try_from(data.len() / BLOCK_BYTES);
        let blocks = blocks.map_err(|_| Error::Protocol("too many blocks"))?;
        self.passed(&transfer(0x2a, lba, blocks), Data::Out(data)).await.map(drop)
    }
}

fn transfer(operation: u8, lba: u32, blocks: u16) -> [u8; 10] {
    let [l0, l1, l2, l3] = lba.to_be_bytes();
    let [b0, b1] = blocks.to_be_bytes();
    [operation, 0, l0, l1, l2, l3, 0, b0, b1, 0]
}
