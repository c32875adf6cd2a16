//! Keys of a terminal, without I/O: bytes in, keys out.
//!
//! Source: ECMA-48 §5.4 (control sequences), `console_codes(4)`. A control character is a key
//! wherever it comes, also within a sequence that is not whole: Ctrl-X stops a machine.

use std::str;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Char(char),
    /// With the letter, as in `Ctrl('x')`.
    Ctrl(char),
    Enter,
    Backspace,
    Delete,
    Left,
    Right,
    Up,
    Down,
    Home,
    End,
}

#[derive(Debug, Default)]
pub(super) struct Keys {
    /// A sequence, or a character of several bytes, that is not whole.
    begun: Vec<u8>,
}

impl Keys {
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Vec<Key> {
        bytes.iter().filter_map(|byte| self.byte(*byte)).collect()
    }

    fn byte(&mut self, byte: u8) -> Option<Key> {
        match byte {
            0x1b => {
                self.begun = vec![byte];
                None
            }
            0..0x20 | 0x7f => {
                self.begun.clear();
                control(byte)
            }
            _ => {
                self.begun.push(byte);
                let (key, is_whole) = read(&self.begun);
                if is_whole {
                    self.begun.clear();
                }
                key
            }
        }
    }
}

fn control(byte: u8) -> Option<Key> {
    match byte {
        b'\r' | b'\n' => Some(Key::Enter),
        0x08 | 0x7f => Some(Key::Backspace),
        0 => None,
        // Ctrl-A is 1; Ctrl-] is 0x1d
        _ => Some(Key::Ctrl(char::from(byte | 0x40).to_ascii_lowercase())),
    }
}

/// What has come so far, and whether that is all of it.
fn read(begun: &[u8]) -> (Option<Key>, bool) {
    match begun {
        [0x1b, b'[' | b'O'] => (None, false),
        [0x1b, b'[', parameters @ .., last @ 0x40..=0x7e] => (sequence(parameters, *last), true),
        [0x1b, b'[', ..] => (None, begun.len() > SEQUENCE_BYTES_MAX),
        [0x1b, b'O', last] => (sequence(&[], *last), true),
        // with Alt
        [0x1b, ..] => (None, true),
        _ => match str::from_utf8(begun) {
            Ok(text) => (text.chars().next().map(Key::Char), true),
            Err(error) => (None, error.error_len().is_some()),
        },
    }
}

fn sequence(parameters: &[u8], last: u8) -> Option<Key> {
    match (last, parameters) {
        (b'A', _) => Some(Key::Up),
        (b'B', _) => Some(Key::Down),
        (b'C', _) => Some(Key::Right),
        (b'D', _) => Some(Key::Left),
        (b'H', _) | (b'~', b"1" | b"7") => Some(Key::Home),
        (b'F', _) | (b'~', b"4" | b"8") => Some(Key::End),
        (b'~', b"3") => Some(Key::Delete),
        _ => None,
    }
}

/// Terminals send shorter ones.
const SEQUENCE_BYTES_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(bytes: &[u8]) -> Vec<Key> {
        let whole = Keys::default().feed(bytes);
        let mut keys = Keys::default();
        let pieces: Vec<Key> = bytes.iter().flat_map(|byte| keys.feed(&[*byte])).collect();
        assert_eq!(whole, pieces, "at any chunking");
        whole
    }

    #[test]
    fn what_is_typed_is_read() {
        let typed = [Key::Char('$'), Key::Char('é'), Key::Enter, Key::Ctrl('x'), Key::Ctrl(']')];
        assert_eq!(keys("$é\r\x18\x1d".as_bytes()), typed);
        assert_eq!(keys(b"\x1b[A\x1bOB\x1b[1;5C"), [Key::Up, Key::Down, Key::Right]);
        assert_eq!(
            keys(b"\x1b[3~\x1b[H\x1b[4~\x7f"),
            [Key::Delete, Key::Home, Key::End, Key::Backspace]
        );
        assert_eq!(keys(b"\x1ba\x1b[200~b"), [Key::Char('b')], "Alt-A, and what is not known");
    }

    #[test]
    fn a_control_character_is_a_key_wherever_it_comes() {
        for before in [&b"\x1b"[..], b"\x1b[", b"\x1b[12;", b"\x1bO", b"\xc3", b"\xf0\x9f"] {
            assert_eq!(keys(&[before, b"\x18"].concat()), [Key::Ctrl('x')], "{before:?}");
        }
        let endless = [&b"\x1b["[..], &[b'0'; 100], b"a"].concat();
        assert_eq!(keys(&endless).last(), Some(&Key::Char('a')));
    }
}
