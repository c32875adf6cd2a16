//! A program in a file, in chunks of whole lines: a file of any size takes no memory, and whoever
//! sends the lines does not wait for the disk.
//!
//! Lines are counted as an editor counts them: `\n`, `\r\n` and `\r` end one each.

use bytes::Bytes;
use std::io::{self, Read};

/// Reads a program.
#[derive(Debug)]
pub struct Chunks<R> {
    reader: R,
    /// The beginning of a line whose end has not been read.
    rest: Vec<u8>,
}

impl<R: Read> Chunks<R> {
    pub fn new(reader: R) -> Self {
        Self { reader, rest: Vec::new() }
    }

    /// The next lines, each whole; `None` at the end.
    ///
    /// # Errors
    /// When it cannot be read, or holds a line that no machine could take.
    pub fn next_chunk(&mut self) -> io::Result<Option<Bytes>> {
        let mut chunk = std::mem::take(&mut self.rest);
        loop {
            let known = chunk.len();
            if known >= CHUNK_BYTES {
                let message = "a line of more than 64 KiB: this is no program";
                return Err(io::Error::new(io::ErrorKind::InvalidData, message));
            }
            chunk.resize(known + CHUNK_BYTES, 0);
            let count = read(&mut self.reader, &mut chunk[known..])?;
            chunk.truncate(known + count);
            if count == 0 {
                return Ok((!chunk.is_empty()).then(|| chunk.into()));
            }
            if let Some(end) = whole(&chunk) {
                self.rest = chunk.split_off(end);
                return Ok(Some(chunk.into()));
            }
        }
    }
}

/// The lines of a chunk, without their ends.
pub fn lines(chunk: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = chunk;
    std::iter::from_fn(move || {
        let (text, next) = first(rest)?;
        let line = &rest[..text];
        rest = &rest[next..];
        Some(line)
    })
}

/// The length of the first line, and where the next begins. `None` when there is nothing more.
pub(crate) fn first(chunk: &[u8]) -> Option<(usize, usize)> {
    if chunk.is_empty() {
        return None;
    }
    let text = chunk.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(chunk.len());
    let end = match &chunk[text..] {
        [b'\r', b'\n', ..] => 2,
        [] => 0,
        _ => 1,
    };
    Some((text, text + end))
}

/// Where the last line ends that is surely whole: a `\r` at the end may be half of an end.
fn whole(chunk: &[u8]) -> Option<usize> {
    let before_last = &chunk[..chunk.len() - 1];
    let last = chunk.iter().rposition(|byte| *byte == b'\n');
    last.or_else(|| before_last.iter().rposition(|byte| *byte == b'\r')).map(|at| at + 1)
}

fn read(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match reader.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

const CHUNK_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Gives a few bytes at a time.
    struct Slow<'a>(&'a [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(self.0.len()).min(buffer.len());
            let (now, later) = self.0.split_at(count);
            buffer[..count].copy_from_slice(now);
            self.0 = later;
            Ok(count)
        }
    }

    fn all(text: &[u8], step: usize) -> Vec<Vec<u8>> {
        let mut chunks = Chunks::new(Slow(text, step));
        let mut all = Vec::new();
        while let Some(chunk) = chunks.next_chunk().unwrap() {
            all.extend(lines(&chunk).map(<[u8]>::to_vec));
        }
        all
    }

    #[test]
    fn lines_end_as_in_an_editor() {
        for step in 1..12 {
            let lines = all(b"G0\r\nG1\n\rG2\r\r\nG3", step);
            assert_eq!(lines, [&b"G0"[..], b"G1", b"", b"G2", b"", b"G3"], "{step}");
        }
        assert_eq!(all(b"", 1).len(), 0);
        assert_eq!(all(b"\n", 1), [b""]);
    }

    #[test]
    fn what_is_no_program_takes_no_memory() {
        let mut chunks = Chunks::new(io::repeat(b'x'));
        assert_eq!(chunks.next_chunk().unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    proptest! {
        #[test]
        fn any_chunking_is_the_same(text in prop::collection::vec(
            prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'a')], 0..60), step in 1usize..9) {
            prop_assert_eq!(all(&text, step), all(&text, 1000));
        }
    }
}
