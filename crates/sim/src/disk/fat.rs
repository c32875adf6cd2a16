//! A small FAT16 file system, so that a simulated disk can be mounted and shows something.
//!
//! Source: Microsoft, FAT: General Overview of On-Disk Format 1.03. There is no partition table:
//! removable disks may do without.

use super::store::{BLOCK_BYTES, Store};
use bytes::{BufMut, Bytes, BytesMut};

/// What the disk says about itself.
pub const README_NAME: &str = "README.TXT";
/// A file to compare: its content is [`pattern`].
pub const PATTERN_NAME: &str = "PATTERN.BIN";
pub const PATTERN_BYTES: usize = 256 * 1024;

const README: &str = "This disk is simulated by farhub: it exists only in memory.\r\n\
    You can read and write it like any other; it is empty again when farhub restarts.\r\n\
    PATTERN.BIN is there to compare: every four bytes are their own number, counted from 0,\r\n\
    little endian.\r\n";

/// Removable media.
const MEDIA: u8 = 0xf8;
const ROOT_ENTRIES: u16 = 512;
const ENTRY_BYTES: usize = 32;
/// Below 4085 clusters it would be FAT12, above 65524 FAT32. The smallest clusters that fit give at
/// least half of the most, far from the lower limit.
const CLUSTERS_MIN: u64 = CLUSTERS_MAX / 8;
const CLUSTERS_MAX: u64 = 65_524;
/// 2026-01-01, and no time.
const DATE: u16 = (2026 - 1980) << 9 | 1 << 5 | 1;

/// The content of [`PATTERN_NAME`]: every four bytes are their number, little endian.
#[must_use]
pub fn pattern() -> Bytes {
    let mut data = BytesMut::with_capacity(PATTERN_BYTES);
    (0u32..).take(PATTERN_BYTES / 4).for_each(|number| data.put_u32_le(number));
    data.freeze()
}

/// Where things are, in blocks.
struct Layout {
    blocks: u32,
    cluster_blocks: u8,
    fat_blocks: u16,
}

impl Layout {
    fn new(bytes: u64) -> Self {
        assert!((8 << 20..=1 << 30).contains(&bytes), "FAT16 holds 8 MiB to 1 GiB here");
        let blocks = u32::try_from(bytes / BLOCK_BYTES as u64).expect("1 GiB has 2^21 blocks");
        let clusters = |cluster_blocks: u8| u64::from(blocks) / u64::from(cluster_blocks);
        let fits = |size: &u8| (CLUSTERS_MIN..=CLUSTERS_MAX).contains(&clusters(*size));
        let cluster_blocks = [1, 2, 4, 8, 16, 32, 64].into_iter().find(fits);
        let cluster_blocks = cluster_blocks.expect("one of them fits from 8 MiB to 1 GiB");
        let fat_bytes = 2 * (clusters(cluster_blocks) + 2);
        let fat_blocks = fat_bytes.div_ceil(BLOCK_BYTES as u64);
        let fat_blocks = u16::try_from(fat_blocks).expect("65526 entries are 256 blocks");
        Self { blocks, cluster_blocks, fat_blocks }
    }

    /// The first block of the root directory, after the boot sector and two FATs.
    fn root(&self) -> u64 {
        1 + 2 * u64::from(self.fat_blocks)
    }

    /// The first block of the data, where cluster 2 is.
    fn data(&self) -> u64 {
        self.root() + u64::from(ROOT_ENTRIES) * ENTRY_BYTES as u64 / BLOCK_BYTES as u64
    }

    fn boot_sector(&self) -> Bytes {
        let mut sector = BytesMut::with_capacity(BLOCK_BYTES);
        sector.put_slice(&[0xeb, 0x3c, 0x90]);
        sector.put_slice(b"FARHUB  ");
        sector.put_u16_le(512);
        sector.put_u8(self.cluster_blocks);
        // One reserved sector, two FATs.
        sector.put_u16_le(1);
        sector.put_u8(2);
        sector.put_u16_le(ROOT_ENTRIES);
        sector.put_u16_le(u16::try_from(self.blocks).unwrap_or(0));
        sector.put_u8(MEDIA);
        sector.put_u16_le(self.fat_blocks);
        // Sectors per track and heads, as for other disks of this size; no hidden sectors.
        sector.put_u16_le(63);
        sector.put_u16_le(255);
        sector.put_u32_le(0);
        sector.put_u32_le(if u16::try_from(self.blocks).is_ok() { 0 } else { self.blocks });
        // Drive number, extended signature, volume id, label, type.
        sector.put_slice(&[0x80, 0, 0x29]);
        sector.put_u32_le(0xfa4b_0001);
        sector.put_slice(LABEL);
        sector.put_slice(b"FAT16   ");
        sector.resize(BLOCK_BYTES - 2, 0);
        sector.put_slice(&[0x55, 0xaa]);
        sector.freeze()
    }
}

const LABEL: &[u8; 11] = b"FARHUB DEMO";

/// A disk of this size with the two files.
pub(crate) fn format(bytes: u64) -> Store {
    let layout = Layout::new(bytes);
    let mut store = Store::new(bytes);
    let write = |store: &mut Store, block: u64, data: &[u8]| {
        store.write(block * BLOCK_BYTES as u64, data);
    };
    write(&mut store, 0, &layout.boot_sector());

    let mut fat = BytesMut::new();
    fat.put_u16_le(0xff00 | u16::from(MEDIA));
    fat.put_u16_le(0xffff);
    let mut root = entry(LABEL, 0x08, 0, 0);
    let mut cluster: u16 = 2;
    let cluster_bytes = usize::from(layout.cluster_blocks) * BLOCK_BYTES;
    let pattern = pattern();
    for (name, data) in [(b"README  TXT", README.as_bytes()), (b"PATTERN BIN", &pattern[..])] {
        let clusters = u16::try_from(data.len().div_ceil(cluster_bytes)).expect("small files");
        let length = u32::try_from(data.len()).expect("small files");
        root.put(entry(name, 0x20, cluster, length));
        let first = layout.data() + u64::from(cluster - 2) * u64::from(layout.cluster_blocks);
        write(&mut store, first, data);
        (cluster + 1..cluster + clusters).for_each(|next| fat.put_u16_le(next));
        fat.put_u16_le(0xffff);
        cluster += clusters;
    }
    write(&mut store, 1, &fat);
    write(&mut store, 1 + u64::from(layout.fat_blocks), &fat);
    write(&mut store, layout.root(), &root);
    store
}

/// A directory entry, §6 of the source.
fn entry(name: &[u8; 11], attributes: u8, cluster: u16, bytes: u32) -> BytesMut {
    let mut entry = BytesMut::with_capacity(ENTRY_BYTES);
    entry.put_slice(name);
    entry.put_u8(attributes);
    entry.put_bytes(0, 4);
    // Creation date, access date, upper half of the cluster, write time, write date.
    for word in [DATE, DATE, 0, 0, DATE] {
        entry.put_u16_le(word);
    }
    entry.put_u16_le(cluster);
    entry.put_u32_le(bytes);
    entry
}
