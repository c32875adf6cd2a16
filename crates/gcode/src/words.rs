//! A line of G-code as its words: letter and number.
//!
//! Firmwares drop white space wherever it stands, also inside numbers (GRBL `protocol.c`), fold
//! case, and take comments out. They differ in what they do with everything else, so that a line
//! in which they could differ is [`Unreadable`], and whoever must be sure refuses it.

use crate::lines::LINE_BYTES_MAX;
use crate::profile::is_grbl;
use thiserror::Error;
use wire::serial::Profile;

/// No firmware takes more words in a line.
pub const WORDS_MAX: usize = 64;

/// GRBL `nuts_bolts.c` reads so many digits and drops the others.
const COMMAND_DIGITS_MAX: usize = 8;

/// A number is read from so many bytes.
const NUMBER_BYTES_MAX: usize = 24;

/// Why a line cannot be read for sure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Unreadable {
    #[error("the line is too long")]
    TooLong,
    #[error("a byte that has no place in G-code")]
    Byte(u8),
    #[error("a comment that does not end, or stands in another")]
    Comment,
    #[error("a letter without its number")]
    Number(u8),
    #[error("a number without its letter")]
    Letter,
    #[error("the checksum is not that of the line")]
    Checksum,
}

/// `G1`, `X-12.5`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Word {
    /// Upper case.
    pub letter: u8,
    /// `None` for a letter alone, which is a flag to Marlin and Smoothie (`G28 X`).
    pub value: Option<f64>,
    /// Ten times the number, where it has at most one decimal and eight digits: commands, as every
    /// firmware reads them alike (`G38.2` is 382).
    pub tenths: Option<u32>,
}

impl Word {
    /// The command number of `G` and `M`, times ten.
    #[must_use]
    pub fn is(&self, letter: u8, tenths: u32) -> bool {
        self.letter == letter && self.tenths == Some(tenths)
    }
}

/// One line, read. Made to be used again for the next.
#[derive(Clone, Debug, Default)]
pub struct Block {
    /// The line without comments, white space, number and checksum, in upper case.
    pub text: Vec<u8>,
    /// The `N` word before the line.
    pub number: Option<u32>,
    /// Something was taken out as a comment.
    pub comment: bool,
    /// Empty for an empty line, and for a `$` command, which is in `text`.
    pub words: Vec<Word>,
}

impl Block {
    /// Reads a line, without its end.
    ///
    /// # Errors
    /// When firmwares could differ in what it means. The block then holds nothing to rely on.
    pub fn read(&mut self, line: &[u8], profile: Profile) -> Result<(), Unreadable> {
        self.words.clear();
        self.number = None;
        self.strip(line, profile)?;
        if self.text.first() == Some(&b'$') || self.text == b"%" {
            return Ok(());
        }
        let flags = !is_grbl(profile);
        let mut rest = &self.text[..];
        while let Some((&letter, after)) = rest.split_first() {
            if !letter.is_ascii_uppercase() {
                return Err(match letter {
                    b'0'..=b'9' | b'.' | b'+' | b'-' => Unreadable::Letter,
                    other => Unreadable::Byte(other),
                });
            }
            let length = after.iter().take_while(|byte| is_number(**byte)).count();
            let (number, after) = after.split_at(length);
            let command = matches!(letter, b'G' | b'M' | b'N' | b'T' | b'S');
            let word = word(letter, number, flags && !command).ok_or(Unreadable::Number(letter))?;
            if letter == b'N' && self.words.is_empty() && self.number.is_none() {
                self.number = word.tenths.filter(|n| n % 10 == 0).map(|n| n / 10);
                self.number.ok_or(Unreadable::Number(letter))?;
            } else if self.words.len() < WORDS_MAX {
                self.words.push(word);
            } else {
                return Err(Unreadable::TooLong);
            }
            rest = after;
        }
        Ok(())
    }

    /// Whether it has nothing to do: empty, or a comment.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// The first word of this letter.
    #[must_use]
    pub fn word(&self, letter: u8) -> Option<&Word> {
        self.words.iter().find(|word| word.letter == letter)
    }

    /// Whether it has this command, times ten: `has(b'G', 381)`.
    #[must_use]
    pub fn has(&self, letter: u8, tenths: u32) -> bool {
        self.words.iter().any(|word| word.is(letter, tenths))
    }

    /// Comments, white space and the checksum go; letters become upper case.
    fn strip(&mut self, line: &[u8], profile: Profile) -> Result<(), Unreadable> {
        self.text.clear();
        self.comment = false;
        if line.len() > LINE_BYTES_MAX {
            return Err(Unreadable::TooLong);
        }
        let sums = matches!(profile, Profile::Marlin | Profile::Smoothie);
        let mut bytes = line.iter().enumerate();
        while let Some((at, &byte)) = bytes.next() {
            match byte {
                b' ' | b'\t' => {}
                b';' => {
                    self.comment = true;
                    break;
                }
                // Text to Marlin, unless it was built otherwise.
                b'(' if profile == Profile::Marlin => return Err(Unreadable::Comment),
                b'(' => {
                    self.comment = true;
                    let inside = bytes.by_ref().map(|(_, byte)| *byte);
                    match inside.into_iter().find(|byte| matches!(byte, b'(' | b')')) {
                        Some(b')') => {}
                        _ => return Err(Unreadable::Comment),
                    }
                }
                b'*' if sums => {
                    checksum(&line[..at], &line[at + 1..])?;
                    break;
                }
                b'a'..=b'z' if profile != Profile::Smoothie => {
                    self.text.push(byte.to_ascii_uppercase());
                }
                b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'+' | b'-' => self.text.push(byte),
                b'$' | b'=' | b'#' | b'%' | b'*' | b',' => self.text.push(byte),
                // A small letter is a command of Smoothie's console (`fire 50`).
                other => return Err(Unreadable::Byte(other)),
            }
        }
        Ok(())
    }
}

/// A line that can be read, without its comments: nothing that is left of it is a command when its
/// beginning is lost, as `M3` is of `; M3`.
#[must_use]
pub fn without_comments(line: &[u8], profile: Profile) -> Vec<u8> {
    let mut rest = Vec::with_capacity(line.len());
    let mut is_inside = false;
    for &byte in line {
        match byte {
            b')' if is_inside => is_inside = false,
            _ if is_inside => {}
            b';' => break,
            b'(' if profile != Profile::Marlin => is_inside = true,
            _ => rest.push(byte),
        }
    }
    rest
}

const fn is_number(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'.' | b'+' | b'-')
}

fn word(letter: u8, number: &[u8], may_be_flag: bool) -> Option<Word> {
    if number.is_empty() {
        return may_be_flag.then_some(Word { letter, value: None, tenths: None });
    }
    let digits = number.iter().filter(|byte| byte.is_ascii_digit()).count();
    if number.len() > NUMBER_BYTES_MAX || digits == 0 {
        return None;
    }
    // Rust reads no more than firmwares do, once there are only digits, a point and a sign.
    let value: f64 = std::str::from_utf8(number).ok()?.parse().ok()?;
    Some(Word { letter, value: Some(value), tenths: tenths(number) })
}

fn tenths(number: &[u8]) -> Option<u32> {
    let digits = number.iter().filter(|byte| byte.is_ascii_digit()).count();
    if digits > COMMAND_DIGITS_MAX || matches!(number[0], b'+' | b'-') {
        return None;
    }
    let (whole, tenth) = match number.iter().position(|byte| *byte == b'.') {
        None => (number, 0),
        Some(0) => return None,
        Some(point) => match &number[point + 1..] {
            [digit] => (&number[..point], u32::from(digit - b'0')),
            _ => return None,
        },
    };
    let whole: u32 = std::str::from_utf8(whole).ok()?.parse().ok()?;
    Some(whole * 10 + tenth)
}

/// Marlin's: all bytes before `*`, by exclusive or.
#[must_use]
pub fn sum(line: &[u8]) -> u8 {
    line.iter().fold(0, |sum, byte| sum ^ byte)
}

fn checksum(line: &[u8], said: &[u8]) -> Result<(), Unreadable> {
    let digits = said.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, after) = said.split_at(digits);
    if !after.iter().all(|byte| matches!(byte, b' ' | b'\t')) {
        return Err(Unreadable::Checksum);
    }
    let said = std::str::from_utf8(digits).ok().and_then(|said| said.parse::<u8>().ok());
    if said == Some(sum(line)) { Ok(()) } else { Err(Unreadable::Checksum) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(line: &str, profile: Profile) -> Result<(Option<u32>, String), Unreadable> {
        let mut block = Block::default();
        block.read(line.as_bytes(), profile)?;
        let words = block.words.iter().map(|word| {
            let letter = char::from(word.letter);
            word.value.map_or(letter.to_string(), |value| format!("{letter}{value}"))
        });
        Ok((block.number, words.collect::<Vec<_>>().join(" ")))
    }

    #[test]
    fn grbl_protocol_c_drops_spaces_comments_and_case() {
        let grbl = |line| read(line, Profile::Grbl).map(|(_, words)| words);
        assert_eq!(
            grbl("g 1 x1 0.5 Y-.5 (to the right) F+300 ; fast").unwrap(),
            "G1 X10.5 Y-0.5 F300"
        );
        assert_eq!(grbl("; (M3").unwrap(), "");
        assert_eq!(grbl("m03s0").unwrap(), "M3 S0");
        assert_eq!(grbl("(a (b) M3)"), Err(Unreadable::Comment));
        assert_eq!(grbl("(a"), Err(Unreadable::Comment));
        assert_eq!(grbl("/M3"), Err(Unreadable::Byte(b'/')));
        assert_eq!(grbl("M\x013"), Err(Unreadable::Byte(1)));
        assert_eq!(grbl("G"), Err(Unreadable::Number(b'G')));
        assert_eq!(grbl("G1 X"), Err(Unreadable::Number(b'X')));
        assert_eq!(grbl("G1 X1.2.3"), Err(Unreadable::Number(b'X')));
        assert_eq!(grbl("3"), Err(Unreadable::Letter));
        assert_eq!(grbl("G1 X#1"), Err(Unreadable::Number(b'X')));
    }

    #[test]
    fn comments_go_and_words_stay() {
        let without = |line: &str| {
            String::from_utf8(without_comments(line.as_bytes(), Profile::Grbl)).unwrap()
        };
        assert_eq!(without("G1 (M3 S9) X1 ; M3 (S9)"), "G1  X1 ");
        assert_eq!(without("(M3;) M5"), " M5");
        assert_eq!(without("; M3"), "");
        assert_eq!(without_comments(b"N1 G0 X1*9", Profile::Marlin), b"N1 G0 X1*9");
    }

    #[test]
    fn commands_are_exact_or_no_commands() {
        let mut block = Block::default();
        block.read(b"G38.2 M3.0 M3.00001 M000000003 G-1", Profile::Grbl).unwrap();
        let tenths: Vec<_> = block.words.iter().map(|word| word.tenths).collect();
        assert_eq!(tenths, [Some(382), Some(30), None, None, None]);
    }

    #[test]
    fn marlin_line_numbers_and_checksums() {
        let marlin = |line| read(line, Profile::Marlin);
        assert_eq!(marlin("N0 M110 N0*125").unwrap(), (Some(0), "M110 N0".into()));
        assert_eq!(marlin("N2 M112*35").unwrap(), (Some(2), "M112".into()));
        assert_eq!(marlin("N2 M112*36"), Err(Unreadable::Checksum));
        assert_eq!(marlin("N2 M112*35x"), Err(Unreadable::Checksum));
        assert_eq!(marlin("G28 X Y").unwrap(), (None, "G28 X Y".into()));
        assert_eq!(marlin("G1 S"), Err(Unreadable::Number(b'S')));
        assert_eq!(marlin("G1 (x) X1"), Err(Unreadable::Comment));
        assert_eq!(read("fire 50", Profile::Smoothie), Err(Unreadable::Byte(b'f')));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_not(line in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut block = Block::default();
            for profile in [Profile::Grbl, Profile::Marlin, Profile::Smoothie] {
                let _ = block.read(&line, profile);
                prop_assert!(block.words.len() <= WORDS_MAX);
            }
        }

        #[test]
        fn numbers_are_numbers(value in -99_999.0f64..99_999.0) {
            let mut block = Block::default();
            block.read(format!("X{value:.3}").as_bytes(), Profile::Grbl).unwrap();
            let read = block.words[0].value.unwrap();
            prop_assert!((read - value).abs() < 0.001);
        }
    }
}
