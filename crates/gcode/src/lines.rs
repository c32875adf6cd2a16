//! A byte stream as lines, at any chunking.
//!
//! GRBL, Marlin and Smoothie end a line at `\n` and at `\r` alike, and GRBL answers an empty line
//! too, so that `\r\n` is two lines to it. A line of a program is therefore given out with its
//! end, byte for byte; whoever reads what a machine says drops the end and the empty lines.

/// Longer lines are cut off here: no firmware has room for them, and a stream without line ends
/// must not fill our memory.
pub const LINE_BYTES_MAX: usize = 1024;

/// Cuts a stream into lines.
#[derive(Clone, Debug, Default)]
pub struct Lines {
    line: Vec<u8>,
    /// The line was too long, and its rest is on the way.
    over_long: bool,
}

/// One line, without its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    pub text: &'a [u8],
    /// `\n` or `\r`.
    pub end: u8,
    /// More than [`LINE_BYTES_MAX`] bytes came before the end; `text` is only their beginning.
    pub over_long: bool,
}

impl Lines {
    /// Feeds a chunk, and gives every line that ends in it.
    pub fn push(&mut self, chunk: &[u8], mut each: impl FnMut(Line<'_>)) {
        for &byte in chunk {
            if matches!(byte, b'\n' | b'\r') {
                each(Line { text: &self.line, end: byte, over_long: self.over_long });
                self.reset();
            } else if self.line.len() < LINE_BYTES_MAX {
                self.line.push(byte);
            } else {
                self.over_long = true;
            }
        }
    }

    /// What has come of a line that has not ended yet.
    #[must_use]
    pub fn partial(&self) -> &[u8] {
        &self.line
    }

    /// Forgets a line that has begun.
    pub fn reset(&mut self) {
        self.line.clear();
        self.over_long = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines(chunks: &[&[u8]]) -> Vec<(Vec<u8>, u8, bool)> {
        let (mut lines, mut all) = (Lines::default(), Vec::new());
        for chunk in chunks {
            lines.push(chunk, |line| all.push((line.text.to_vec(), line.end, line.over_long)));
        }
        all
    }

    #[test]
    fn a_line_ends_at_either() {
        let all = lines(&[b"G0 X1\r", b"\nG1", b" Y2\nrest"]);
        let texts: Vec<&[u8]> = all.iter().map(|(text, ..)| &text[..]).collect();
        assert_eq!(texts, [&b"G0 X1"[..], b"", b"G1 Y2"]);
    }

    #[test]
    fn an_endless_line_takes_no_memory() {
        let long = vec![b'x'; LINE_BYTES_MAX + 1];
        let all = lines(&[&long, b"\nM5\n"]);
        assert_eq!((all[0].0.len(), all[0].2), (LINE_BYTES_MAX, true));
        assert_eq!(all[1], (b"M5".to_vec(), b'\n', false));
    }

    proptest! {
        #[test]
        fn any_chunking_is_the_same(text in prop::collection::vec(prop_oneof![
            any::<u8>(), Just(b'\n')], 0..300), cut in 0usize..300) {
            let cut = cut.min(text.len());
            prop_assert_eq!(lines(&[&text]), lines(&[&text[..cut], &text[cut..]]));
        }
    }
}
