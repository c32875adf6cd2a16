//! A SCSI disk: commands in, what is to be transferred out.
//!
//! Source: SPC-3 (T10/1416-D) and SBC-2 (T10/1417-D), by the names of their sections; READ FORMAT
//! CAPACITIES is of MMC-2. It says version 4 (SPC-2) of itself, as USB disks do.

use super::store::{BLOCK_BYTES, Store};
use bytes::{BufMut, Bytes, BytesMut};

#[derive(Debug)]
pub(crate) struct Lun {
    pub(crate) store: Store,
    serial_number: String,
    /// Of the last command that failed, until it was asked for.
    sense: Sense,
    /// Whether the medium is in. START STOP UNIT ejects and loads it.
    is_loaded: bool,
    /// PREVENT ALLOW MEDIUM REMOVAL.
    is_locked: bool,
    /// Whether the host has yet to hear that a medium was loaded.
    is_changed: bool,
}

/// What a command wants to transfer.
#[derive(Debug)]
pub(crate) enum Plan {
    Done,
    In {
        source: Source,
        length: u64,
    },
    /// To the disk from this byte on.
    Out {
        at: u64,
        length: u64,
    },
}

/// Where the data of an IN transfer comes from.
#[derive(Debug)]
pub(crate) enum Source {
    Answer(Bytes),
    /// The disk, from this byte on.
    Disk(u64),
}

impl Source {
    /// The next `bytes`; the caller takes no more than there are.
    pub(crate) fn take(&mut self, store: &Store, bytes: usize) -> Bytes {
        match self {
            Self::Answer(answer) => answer.split_to(bytes),
            Self::Disk(at) => {
                let data = store.read(*at, bytes);
                *at += bytes as u64;
                data
            }
        }
    }
}

/// Sense key, additional sense code and its qualifier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sense(pub(crate) u8, pub(crate) u8, pub(crate) u8);

impl Sense {
    const NONE: Self = Self(0, 0, 0);
    const NO_MEDIUM: Self = Self(0x02, 0x3a, 0x00);
    const UNKNOWN_COMMAND: Self = Self(0x05, 0x20, 0x00);
    const OUT_OF_RANGE: Self = Self(0x05, 0x21, 0x00);
    const INVALID_FIELD: Self = Self(0x05, 0x24, 0x00);
    const REMOVAL_PREVENTED: Self = Self(0x05, 0x53, 0x02);
    const MEDIUM_CHANGED: Self = Self(0x06, 0x28, 0x00);
}

/// Operation codes.
const TEST_UNIT_READY: u8 = 0x00;
const REQUEST_SENSE: u8 = 0x03;
const READ_6: u8 = 0x08;
const WRITE_6: u8 = 0x0a;
const INQUIRY: u8 = 0x12;
const MODE_SENSE_6: u8 = 0x1a;
const START_STOP_UNIT: u8 = 0x1b;
const PREVENT_ALLOW_MEDIUM_REMOVAL: u8 = 0x1e;
const READ_FORMAT_CAPACITIES: u8 = 0x23;
const READ_CAPACITY_10: u8 = 0x25;
const READ_10: u8 = 0x28;
const WRITE_10: u8 = 0x2a;
const VERIFY_10: u8 = 0x2f;
const SYNCHRONIZE_CACHE_10: u8 = 0x35;
const MODE_SENSE_10: u8 = 0x5a;
const READ_16: u8 = 0x88;
const WRITE_16: u8 = 0x8a;
const SERVICE_ACTION_IN_16: u8 = 0x9e;
/// The service action of READ CAPACITY (16).
const READ_CAPACITY_16: u8 = 0x10;

const VENDOR: &[u8; 8] = b"farhub  ";
const PRODUCT: &[u8; 16] = b"simulated disk  ";
const REVISION: &[u8; 4] = b"1.00";

impl Lun {
    pub(crate) fn new(store: Store, serial_number: &str) -> Self {
        let (sense, serial_number) = (Sense::NONE, serial_number.to_owned());
        let (is_loaded, is_locked, is_changed) = (true, false, false);
        Self { store, serial_number, sense, is_loaded, is_locked, is_changed }
    }

    /// Checks a command and does what needs no data. An error is a check condition: the host asks
    /// for it with REQUEST SENSE.
    pub(crate) fn execute(&mut self, command: &[u8]) -> Result<Plan, Sense> {
        let mut cdb = [0; 16];
        let bytes = command.len().min(cdb.len());
        cdb[..bytes].copy_from_slice(&command[..bytes]);
        match cdb[0] {
            REQUEST_SENSE => {
                let sense = std::mem::take(&mut self.sense);
                Ok(answer(fixed_sense(sense), cdb[4].into()))
            }
            _ => {
                let plan = self.dispatch(&cdb);
                self.sense = plan.as_ref().err().copied().unwrap_or(Sense::NONE);
                plan
            }
        }
    }

    fn dispatch(&mut self, cdb: &[u8; 16]) -> Result<Plan, Sense> {
        if cdb[0] == INQUIRY {
            return Ok(answer(self.inquiry(cdb)?, word(cdb, 3).into()));
        }
        if std::mem::take(&mut self.is_changed) {
            return Err(Sense::MEDIUM_CHANGED);
        }
        match cdb[0] {
            START_STOP_UNIT => self.start_stop(cdb[4]),
            PREVENT_ALLOW_MEDIUM_REMOVAL => {
                self.is_locked = cdb[4] & 1 != 0;
                Ok(Plan::Done)
            }
            MODE_SENSE_6 => {
                let pages = mode_pages(cdb[2])?;
                let mut data = BytesMut::from(&[u8_len(3 + pages.len()), 0, 0, 0][..]);
                data.put(pages);
                Ok(answer(data, cdb[4].into()))
            }
            MODE_SENSE_10 => {
                let pages = mode_pages(cdb[2])?;
                let mut data = BytesMut::from(&[0, u8_len(6 + pages.len()), 0, 0, 0, 0, 0, 0][..]);
                data.put(pages);
                Ok(answer(data, word(cdb, 7).into()))
            }
            READ_FORMAT_CAPACITIES => Ok(answer(self.format_capacities(), word(cdb, 7).into())),
            TEST_UNIT_READY => self.loaded().map(|()| Plan::Done),
            READ_CAPACITY_10 => Ok(answer(self.capacity_10()?, 8)),
            SERVICE_ACTION_IN_16 if cdb[1] & 0x1f == READ_CAPACITY_16 => {
                Ok(answer(self.capacity_16()?, long(cdb, 10).into()))
            }
            READ_6 | WRITE_6 | READ_10 | WRITE_10 | READ_16 | WRITE_16 => self.transfer(cdb),
            VERIFY_10 if cdb[1] & 0x06 != 0 => Err(Sense::INVALID_FIELD),
            VERIFY_10 | SYNCHRONIZE_CACHE_10 => {
                self.range(long(cdb, 2).into(), word(cdb, 7).into()).map(|_| Plan::Done)
            }
            _ => Err(Sense::UNKNOWN_COMMAND),
        }
    }

    /// READ and WRITE in their three sizes.
    fn transfer(&mut self, cdb: &[u8; 16]) -> Result<Plan, Sense> {
        let (lba, blocks) = match cdb[0] {
            READ_6 | WRITE_6 => {
                let lba = u32::from_be_bytes([0, cdb[1] & 0x1f, cdb[2], cdb[3]]);
                (lba.into(), if cdb[4] == 0 { 256 } else { cdb[4].into() })
            }
            READ_10 | WRITE_10 => (long(cdb, 2).into(), u64::from(word(cdb, 7))),
            _ => {
                let lba = u64::from(long(cdb, 2)) << 32 | u64::from(long(cdb, 6));
                (lba, long(cdb, 10).into())
            }
        };
        let at = self.range(lba, blocks)?;
        let length = blocks * BLOCK_BYTES as u64;
        Ok(match cdb[0] {
            _ if blocks == 0 => Plan::Done,
            READ_6 | READ_10 | READ_16 => Plan::In { source: Source::Disk(at), length },
            _ => Plan::Out { at, length },
        })
    }

    /// The first byte of a range of blocks, when all of it is on the disk.
    fn range(&self, lba: u64, blocks: u64) -> Result<u64, Sense> {
        self.loaded()?;
        let end = lba.checked_add(blocks).filter(|end| *end <= self.store.blocks());
        end.map(|_| lba * BLOCK_BYTES as u64).ok_or(Sense::OUT_OF_RANGE)
    }

    fn loaded(&self) -> Result<(), Sense> {
        if self.is_loaded { Ok(()) } else { Err(Sense::NO_MEDIUM) }
    }

    fn start_stop(&mut self, byte: u8) -> Result<Plan, Sense> {
        let (start, load_or_eject) = (byte & 1 != 0, byte & 2 != 0);
        match (load_or_eject, start) {
            (true, false) if self.is_locked => return Err(Sense::REMOVAL_PREVENTED),
            (true, false) => self.is_loaded = false,
            (true, true) => {
                self.is_changed = !self.is_loaded;
                self.is_loaded = true;
            }
            (false, _) => {}
        }
        Ok(Plan::Done)
    }

    /// Standard data, or a page of vital product data.
    fn inquiry(&self, cdb: &[u8; 16]) -> Result<BytesMut, Sense> {
        let serial = self.serial_number.as_bytes();
        let page = |code, body: &[u8]| {
            let mut page = BytesMut::from(&[0, code, 0, u8_len(body.len())][..]);
            page.put_slice(body);
            page
        };
        match (cdb[1] & 1, cdb[2]) {
            (0, 0) => {
                // A removable direct access device, SPC-2, 31 more bytes.
                let mut data = BytesMut::from(&[0, 0x80, 4, 2, 31, 0, 0, 0][..]);
                data.put_slice(VENDOR);
                data.put_slice(PRODUCT);
                data.put_slice(REVISION);
                Ok(data)
            }
            (1, 0x00) => Ok(page(0x00, &[0x00, 0x80, 0x83])),
            (1, 0x80) => Ok(page(0x80, serial)),
            (1, 0x83) => {
                // One designator: ASCII, T10 vendor identification, of the logical unit.
                let text = [VENDOR, &PRODUCT[..], serial].concat();
                let head = [2, 1, 0, u8_len(text.len())];
                Ok(page(0x83, &[&head[..], &text].concat()))
            }
            _ => Err(Sense::INVALID_FIELD),
        }
    }

    fn capacity_10(&self) -> Result<BytesMut, Sense> {
        self.loaded()?;
        let mut data = BytesMut::new();
        data.put_u32(u32::try_from(self.store.blocks() - 1).unwrap_or(u32::MAX));
        data.put_u32(BLOCK_BYTES as u32);
        Ok(data)
    }

    fn capacity_16(&self) -> Result<BytesMut, Sense> {
        self.loaded()?;
        let mut data = BytesMut::new();
        data.put_u64(self.store.blocks() - 1);
        data.put_u32(BLOCK_BYTES as u32);
        data.put_bytes(0, 20);
        Ok(data)
    }

    fn format_capacities(&self) -> BytesMut {
        let mut data = BytesMut::from(&[0, 0, 0, 8][..]);
        data.put_u32(u32::try_from(self.store.blocks()).unwrap_or(u32::MAX));
        // 2: formatted; 3: no medium. Then the block length in three bytes.
        let kind: u32 = if self.is_loaded { 2 } else { 3 };
        data.put_u32(kind << 24 | BLOCK_BYTES as u32);
        data
    }
}

/// As much of an answer as the host has room for.
fn answer(mut data: BytesMut, allocation_bytes: u64) -> Plan {
    data.truncate(usize::try_from(allocation_bytes).unwrap_or(usize::MAX));
    match data.len() {
        0 => Plan::Done,
        length => Plan::In { source: Source::Answer(data.freeze()), length: length as u64 },
    }
}

/// Sense data, fixed format.
fn fixed_sense(Sense(key, code, qualifier): Sense) -> BytesMut {
    let mut data = BytesMut::from(&[0x70, 0, key, 0, 0, 0, 0, 10][..]);
    data.put_bytes(0, 4);
    data.put_slice(&[code, qualifier]);
    data.put_bytes(0, 4);
    data
}

/// Mode pages: caching (SBC-2), with the write cache off, as what is written is there at once.
fn mode_pages(byte: u8) -> Result<BytesMut, Sense> {
    let (control, page) = (byte >> 6, byte & 0x3f);
    let mut pages = BytesMut::from(&[0x08, 18][..]);
    pages.put_bytes(0, 18);
    match (control, page) {
        (0..=2, 0x08 | 0x3f) => Ok(pages),
        // Saved values do not exist.
        (_, _) => Err(Sense::INVALID_FIELD),
    }
}

fn word(cdb: &[u8; 16], at: usize) -> u16 {
    u16::from_be_bytes([cdb[at], cdb[at + 1]])
}

fn long(cdb: &[u8; 16], at: usize) -> u32 {
    u32::from_be_bytes([cdb[at], cdb[at + 1], cdb[at + 2], cdb[at + 3]])
}

fn u8_len(len: usize) -> u8 {
    u8::try_from(len).expect("all our answers are shorter than 256 bytes")
}
