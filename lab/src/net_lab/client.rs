//! A small USB/IP client that reads a disk without any driver: what it reads is checked, and the
//! pauses are measured. USB/IP as in the kernel's `Documentation/usb/usbip_protocol.rst`; the disk
//! speaks Bulk-Only Transport and SCSI's READ(10) and WRITE(10).

use super::hubs::Read;
use anyhow::{Context, Result, bail, ensure};
use std::io::{Read as _, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Fills a part of the disk, then reads it again and again: until stdin has said how many MiB more
/// it shall be, and they are read. Says when it begins to read, and at the end what it saw.
pub(crate) fn read(address: &str, bus_id: &str) -> Result<()> {
    let mut disk = Disk::import(address, bus_id)?;
    for block in 0..BLOCKS {
        disk.write(block, &content(block))?;
    }
    std::thread::spawn(|| {
        let mut line = String::new();
        let wanted =
            std::io::stdin().read_line(&mut line).ok().and_then(|_| line.trim().parse().ok());
        WANTED_MIB.store(wanted.unwrap_or(0), Ordering::Relaxed);
    });
    let expected: Vec<Vec<u8>> = (0..BLOCKS).map(content).collect();
    println!("reading");
    let began = Instant::now();
    let (mut bytes, mut gaps) = (0u64, vec![]);
    let (mut last, mut end) = (began, None);
    for block in (0..BLOCKS).cycle() {
        let wanted = WANTED_MIB.load(Ordering::Relaxed);
        if wanted != FOREVER && bytes >= *end.get_or_insert(bytes + (wanted << 20)) {
            break;
        }
        let data = disk.read(block)?;
        ensure!(data == expected[block as usize], "block {block} came back changed");
        bytes += data.len() as u64;
        gaps.push(last.elapsed().as_millis() as u64);
        last = Instant::now();
    }
    gaps.sort_unstable_by(|one, other| other.cmp(one));
    gaps.truncate(GAPS_TOLD);
    let read = Read { bytes, seconds: began.elapsed().as_secs_f64(), gaps_ms: gaps };
    println!("{}", serde_json::to_string(&read)?);
    Ok(())
}

/// Bytes that nobody guesses, different for each block.
fn content(block: u32) -> Vec<u8> {
    let mut bytes = vec![0; BLOCK_BYTES];
    blake3::Hasher::new().update(&block.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

struct Disk {
    stream: TcpStream,
    device: u32,
    number: u32,
    bulk_in: u32,
    bulk_out: u32,
}

impl Disk {
    fn import(address: &str, bus_id: &str) -> Result<Disk> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(HANG))?;
        // OP_REQ_IMPORT
        let mut request = [0; 40];
        request[..4].copy_from_slice(&[1, 0x11, 0x80, 3]);
        request[8..8 + bus_id.len()].copy_from_slice(bus_id.as_bytes());
        stream.write_all(&request)?;
        let mut reply = [0; 8 + 312];
        stream.read_exact(&mut reply[..8])?;
        ensure!(reply[4..8] == [0; 4], "the import is refused");
        stream.read_exact(&mut reply[8..])?;
        // behind path and bus id
        let word = |at: usize| u32::from_be_bytes(reply[at..at + 4].try_into().expect("four"));
        let device = word(8 + 288) << 16 | word(8 + 292);
        let mut disk = Disk { stream, device, number: 0, bulk_in: 0, bulk_out: 0 };
        let configuration = disk.control([0x80, 6, 0, 2, 0, 0, 255, 0], 255)?;
        for endpoint in descriptors(&configuration).filter(|it| it[1] == 5) {
            let number = u32::from(endpoint[2] & 0x0f);
            match endpoint[2] & 0x80 {
                0 => disk.bulk_out = number,
                _ => disk.bulk_in = number,
            }
        }
        ensure!(disk.bulk_in > 0 && disk.bulk_out > 0, "no bulk endpoints: {configuration:?}");
        disk.control([0, 9, configuration[5], 0, 0, 0, 0, 0], 0)?;
        // a disk may have something to say first
        for _ in 0..READY_TRIES {
            if disk.command([0; 10], 6, Way::None)?.1 == 0 {
                return Ok(disk);
            }
            disk.command([3, 0, 0, 0, 18, 0, 0, 0, 0, 0], 6, Way::In(18))?;
        }
        bail!("the disk does not become ready")
    }

    fn read(&mut self, block: u32) -> Result<Vec<u8>> {
        let (data, status) = self.command(ten(0x28, block), 10, Way::In(BLOCK_BYTES as u32))?;
        ensure!(status == 0 && data.len() == BLOCK_BYTES, "READ(10): {status}, {}", data.len());
        Ok(data)
    }

    fn write(&mut self, block: u32, data: &[u8]) -> Result<()> {
        let (_, status) = self.command(ten(0x2a, block), 10, Way::Out(data))?;
        ensure!(status == 0, "WRITE(10): {status}");
        Ok(())
    }

    /// One SCSI command: its data, its status.
    fn command(&mut self, cdb: [u8; 10], length: u8, way: Way<'_>) -> Result<(Vec<u8>, u8)> {
        let (bytes, flags) = match way {
            Way::None => (0, 0),
            Way::In(bytes) => (bytes, 0x80),
            Way::Out(data) => (data.len() as u32, 0),
        };
        let mut wrapper = [0; 31];
        wrapper[..4].copy_from_slice(b"USBC");
        wrapper[8..12].copy_from_slice(&bytes.to_le_bytes());
        (wrapper[12], wrapper[14]) = (flags, length);
        wrapper[15..25].copy_from_slice(&cdb);
        self.submit(self.bulk_out, Way::Out(&wrapper), [0; 8])?;
        let data = match way {
            Way::None => vec![],
            Way::In(bytes) => self.submit(self.bulk_in, Way::In(bytes), [0; 8])?,
            Way::Out(data) => self.submit(self.bulk_out, Way::Out(data), [0; 8])?,
        };
        let status = self.submit(self.bulk_in, Way::In(13), [0; 8])?;
        ensure!(status.len() == 13 && status.starts_with(b"USBS"), "no status: {status:?}");
        Ok((data, status[12]))
    }

    fn control(&mut self, setup: [u8; 8], bytes: u32) -> Result<Vec<u8>> {
        let way = if bytes > 0 { Way::In(bytes) } else { Way::None };
        self.submit(0, way, setup)
    }

    /// One USBIP_CMD_SUBMIT and its USBIP_RET_SUBMIT.
    fn submit(&mut self, endpoint: u32, way: Way<'_>, setup: [u8; 8]) -> Result<Vec<u8>> {
        let (bytes, direction) = match way {
            Way::None => (0, 0),
            Way::In(bytes) => (bytes, 1),
            Way::Out(data) => (data.len() as u32, 0),
        };
        self.number += 1;
        let words = [1, self.number, self.device, direction, endpoint, 0, bytes, 0, u32::MAX, 0];
        let mut request: Vec<u8> = words.into_iter().flat_map(u32::to_be_bytes).collect();
        request.extend(setup);
        if let Way::Out(data) = way {
            request.extend_from_slice(data);
        }
        self.stream.write_all(&request)?;
        let mut head = [0; 48];
        self.stream.read_exact(&mut head).context("no answer")?;
        let word = |at: usize| u32::from_be_bytes(head[at..at + 4].try_into().expect("four"));
        ensure!(word(0) == 3 && word(4) == self.number, "an answer to something else");
        ensure!(word(20) == 0, "the transfer failed: {}", word(20) as i32);
        let length = if direction == 1 { word(24).min(bytes) } else { 0 };
        let mut data = vec![0; length as usize];
        self.stream.read_exact(&mut data)?;
        Ok(data)
    }
}

#[derive(Clone, Copy)]
enum Way<'a> {
    None,
    In(u32),
    Out(&'a [u8]),
}

/// READ(10) or WRITE(10) of one block of ours.
fn ten(code: u8, block: u32) -> [u8; 10] {
    let sectors = (BLOCK_BYTES / 512) as u16;
    let at = (FIRST_SECTOR + block * u32::from(sectors)).to_be_bytes();
    let [high, low] = sectors.to_be_bytes();
    [code, 0, at[0], at[1], at[2], at[3], 0, high, low, 0]
}

fn descriptors(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let length = usize::from(*bytes.first()?).max(2);
        let (one, rest) = bytes.split_at_checked(length)?;
        bytes = rest;
        Some(one)
    })
}

const BLOCK_BYTES: usize = 128 << 10;
/// 8 MiB of the disk's 16, behind its file system's tables.
const BLOCKS: u32 = 64;
const FIRST_SECTOR: u32 = 8192;
const READY_TRIES: usize = 4;
const GAPS_TOLD: usize = 8;
/// Longer than any outage of the tests.
const HANG: Duration = Duration::from_secs(60);

const FOREVER: u64 = u64::MAX;
/// Until stdin has said so: for ever.
static WANTED_MIB: AtomicU64 = AtomicU64::new(FOREVER);
