//! Bytes gathered for one `writev`: small pieces are copied together, large ones stay where they
//! are.

use bytes::{Buf, Bytes, BytesMut};
use std::collections::VecDeque;
use std::io::IoSlice;

/// Pieces up to this size are copied: cheaper than one more element of an `iovec`.
const COPY_BYTES_MAX: usize = 4096;

/// An output buffer. Read it as a [`Buf`], which makes `AsyncWriteExt::write_buf` write many
/// pieces at once.
#[derive(Debug, Default)]
pub struct Gather {
    sealed: VecDeque<Bytes>,
    sealed_bytes: usize,
    tail: BytesMut,
}

impl Gather {
    /// Appends a copy of `bytes`.
    pub fn put(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(bytes);
    }

    /// Appends `bytes`.
    pub fn push(&mut self, bytes: Bytes) {
        if bytes.len() <= COPY_BYTES_MAX {
            return self.put(&bytes);
        }
        if !self.tail.is_empty() {
            self.sealed_bytes += self.tail.len();
            self.sealed.push_back(self.tail.split().freeze());
        }
        self.sealed_bytes += bytes.len();
        self.sealed.push_back(bytes);
    }
}

impl Buf for Gather {
    fn remaining(&self) -> usize {
        self.sealed_bytes + self.tail.len()
    }

    fn chunk(&self) -> &[u8] {
        self.sealed.front().map_or(&self.tail, |piece| piece)
    }

    fn advance(&mut self, mut count: usize) {
        while let Some(piece) = self.sealed.front_mut() {
            let here = piece.len().min(count);
            piece.advance(here);
            self.sealed_bytes -= here;
            count -= here;
            if !piece.is_empty() {
                return;
            }
            self.sealed.pop_front();
        }
        self.tail.advance(count);
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let pieces = self.sealed.iter().map(|piece| &piece[..]).chain([&self.tail[..]]);
        let mut used = 0;
        for (slice, piece) in slices.iter_mut().zip(pieces.filter(|piece| !piece.is_empty())) {
            *slice = IoSlice::new(piece);
            used += 1;
        }
        used
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_come_out_in_order_however_they_are_read() {
        let mut gather = Gather::default();
        let mut expected = Vec::new();
        for size in [3, 5000, 0, 10, 4096, 9000, 8000, 1] {
            let piece = Bytes::from(vec![size as u8; size]);
            expected.extend_from_slice(&piece);
            gather.push(piece);
        }
        assert_eq!(gather.remaining(), expected.len());
        let mut slices = [IoSlice::new(&[]); 16];
        let used = gather.chunks_vectored(&mut slices);
        let all: Vec<u8> = slices[..used].iter().flat_map(|slice| slice.iter().copied()).collect();
        assert_eq!(all, expected);
        gather.advance(5001);
        assert_eq!(gather.copy_to_bytes(gather.remaining())[..], expected[5001..]);
        assert!(!gather.has_remaining());
    }
}
