//! Drives a device as the kernel's `vhci_hcd` does: USB/IP requests on a socket, and replies.
//!
//! It blocks, in a thread of its own, and shares no code with what it measures. The disk is
//! driven as Linux's usb-storage does it: command, data and status, one transfer after the other.
//!
//! Source: Linux, `Documentation/usb/usbip_protocol.rst`; Bulk-Only Transport 1.0.

use anyhow::{Context, Result, ensure};
use std::io::{Read, Write};
use std::time::{Duration, Instant};

const BULK_IN: u32 = 1;
const BULK_OUT: u32 = 2;
const HEADER_BYTES: usize = 48;
const CSW_BYTES: u32 = 13;
pub(crate) const BLOCK_BYTES: u32 = 512;

pub(crate) struct Client<S> {
    stream: S,
    seqnum: u32,
    request: Vec<u8>,
    /// The data of the last IN transfer.
    data: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Out = 0,
    In = 1,
}

impl<S: Read + Write> Client<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, seqnum: 0, request: Vec::new(), data: Vec::new() }
    }

    /// The device descriptor: one control transfer.
    pub(crate) fn device_descriptor(&mut self) -> Result<Duration> {
        let start = Instant::now();
        let setup = [0x80, 6, 0, 1, 0, 0, 18, 0];
        self.submit(0, Direction::In, 18, setup, &[])?;
        let bytes = self.complete(Direction::In)?;
        let took = start.elapsed();
        ensure!(bytes == 18 && self.data[..2] == [18, 1], "not a device descriptor");
        Ok(took)
    }

    /// Reads blocks with one command; returns how long its data took.
    pub(crate) fn read(&mut self, lba: u32, blocks: u16) -> Result<Duration> {
        let length = u32::from(blocks) * BLOCK_BYTES;
        self.command(0x28, lba, blocks, Direction::In)?;
        let start = Instant::now();
        self.submit(BULK_IN, Direction::In, length, [0; 8], &[])?;
        let bytes = self.complete(Direction::In)?;
        let took = start.elapsed();
        ensure!(bytes == length, "{bytes} bytes of {length}");
        self.status()?;
        Ok(took)
    }

    /// Reads blocks with one command, and keeps `depth` transfers of `urb_bytes` under way.
    pub(crate) fn read_queued(&mut self, blocks: u16, urb_bytes: u32, depth: u32) -> Result<()> {
        let length = u32::from(blocks) * BLOCK_BYTES;
        ensure!(length.is_multiple_of(urb_bytes), "whole transfers");
        let urbs = length / urb_bytes;
        self.command(0x28, 0, blocks, Direction::In)?;
        for _ in 0..depth.min(urbs) {
            self.submit(BULK_IN, Direction::In, urb_bytes, [0; 8], &[])?;
        }
        for done in 0..urbs {
            ensure!(self.complete(Direction::In)? == urb_bytes, "a short transfer");
            if done + depth < urbs {
                self.submit(BULK_IN, Direction::In, urb_bytes, [0; 8], &[])?;
            }
        }
        self.status()
    }

    pub(crate) fn write(&mut self, lba: u32, data: &[u8]) -> Result<()> {
        let length = u32::try_from(data.len())?;
        self.command(0x2a, lba, u16::try_from(length / BLOCK_BYTES)?, Direction::Out)?;
        self.submit(BULK_OUT, Direction::Out, length, [0; 8], data)?;
        ensure!(self.complete(Direction::Out)? == length, "a short write");
        self.status()
    }

    /// Reads as [`Client::read`], and compares.
    pub(crate) fn check(&mut self, lba: u32, data: &[u8]) -> Result<()> {
        self.command(0x28, lba, u16::try_from(data.len() / 512)?, Direction::In)?;
        self.submit(BULK_IN, Direction::In, u32::try_from(data.len())?, [0; 8], &[])?;
        self.complete(Direction::In)?;
        ensure!(self.data == data, "other data came back than was written");
        self.status()
    }

    fn command(&mut self, code: u8, lba: u32, blocks: u16, direction: Direction) -> Result<()> {
        let mut cbw = [0; 31];
        cbw[..4].copy_from_slice(b"USBC");
        cbw[8..12].copy_from_slice(&(u32::from(blocks) * BLOCK_BYTES).to_le_bytes());
        cbw[12] = if direction == Direction::In { 0x80 } else { 0 };
        (cbw[14], cbw[15]) = (10, code);
        cbw[17..21].copy_from_slice(&lba.to_be_bytes());
        cbw[22..24].copy_from_slice(&blocks.to_be_bytes());
        self.submit(BULK_OUT, Direction::Out, 31, [0; 8], &cbw)?;
        self.complete(Direction::Out).map(drop)
    }

    fn status(&mut self) -> Result<()> {
        self.submit(BULK_IN, Direction::In, CSW_BYTES, [0; 8], &[])?;
        let bytes = self.complete(Direction::In)?;
        ensure!(bytes == CSW_BYTES && self.data[12] == 0, "the command failed");
        Ok(())
    }

    fn submit(
        &mut self,
        endpoint: u32,
        direction: Direction,
        length: u32,
        setup: [u8; 8],
        data: &[u8],
    ) -> Result<()> {
        self.seqnum += 1;
        self.request.clear();
        // CMD_SUBMIT, number, device, direction, endpoint; flags, length, three for isochronous.
        let head = [1, self.seqnum, 0x0001_0002, direction as u32, endpoint, 0, length, 0, 0, 0];
        head.iter().for_each(|word| self.request.extend_from_slice(&word.to_be_bytes()));
        self.request.extend_from_slice(&setup);
        self.request.extend_from_slice(data);
        self.stream.write_all(&self.request).context("a request")
    }

    /// Waits for the next reply; returns its actual length.
    fn complete(&mut self, direction: Direction) -> Result<u32> {
        let mut header = [0; HEADER_BYTES];
        self.stream.read_exact(&mut header).context("a reply")?;
        let word = |at: usize| {
            u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
        };
        let (command, status, bytes) = (word(0), word(20), word(24));
        ensure!(command == 3 && status == 0, "reply {command} with status {status:#x}");
        if direction == Direction::In {
            self.data.resize(bytes as usize, 0);
            self.stream.read_exact(&mut self.data).context("the data of a reply")?;
        }
        Ok(bytes)
    }
}
