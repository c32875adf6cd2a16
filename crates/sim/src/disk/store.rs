//! The blocks of a disk, in memory only where they were written.

use bytes::{Bytes, BytesMut};
use std::collections::BTreeMap;

/// A block, as SCSI addresses them.
pub const BLOCK_BYTES: usize = 512;

/// Memory is taken in pieces of this size, one page.
const PIECE_BYTES: usize = 4096;

#[derive(Debug)]
pub(crate) struct Store {
    bytes: u64,
    pieces: BTreeMap<u64, Box<[u8; PIECE_BYTES]>>,
}

impl Store {
    pub(crate) fn new(bytes: u64) -> Self {
        Self { bytes, pieces: BTreeMap::new() }
    }

    pub(crate) fn blocks(&self) -> u64 {
        self.bytes / BLOCK_BYTES as u64
    }

    /// The caller keeps within the disk.
    pub(crate) fn write(&mut self, mut at: u64, mut data: &[u8]) {
        while !data.is_empty() {
            let (piece, start) = position(at);
            let now = data.len().min(PIECE_BYTES - start);
            let (head, rest) = data.split_at(now);
            let piece = self.pieces.entry(piece).or_insert_with(|| Box::new([0; PIECE_BYTES]));
            piece[start..start + now].copy_from_slice(head);
            at += now as u64;
            data = rest;
        }
    }

    /// What was never written reads as zeros. The caller keeps within the disk.
    pub(crate) fn read(&self, mut at: u64, bytes: usize) -> Bytes {
        let mut data = BytesMut::with_capacity(bytes);
        while data.len() < bytes {
            let (piece, start) = position(at);
            let now = (bytes - data.len()).min(PIECE_BYTES - start);
            match self.pieces.get(&piece) {
                Some(piece) => data.extend_from_slice(&piece[start..start + now]),
                None => data.resize(data.len() + now, 0),
            }
            at += now as u64;
        }
        data.freeze()
    }
}

fn position(at: u64) -> (u64, usize) {
    let start = usize::try_from(at % PIECE_BYTES as u64).expect("less than a piece");
    (at / PIECE_BYTES as u64, start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_written_takes_memory() {
        let mut store = Store::new(1 << 30);
        let data: Vec<u8> = (0..10_000u32).map(|i| i.to_le_bytes()[0]).collect();
        store.write((1 << 29) - 5, &data);
        assert_eq!(store.pieces.len(), 4);
        assert_eq!(store.read((1 << 29) - 5, data.len()), data);
        assert_eq!(store.read((1 << 29) - 8, 3), [0u8; 3][..]);
    }
}
