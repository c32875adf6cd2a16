//! SAFE: the lines that a machine may have while its beam or spindle must stay off.
//!
//! What passes is listed, not what is refused; a line that cannot be read for sure is refused. So
//! a firmware's command that we have never heard of fails closed.
//!
//! A refused line is answered in the firmware's own words, and counts as answered: GRBL's
//! `error:9` is "G-code locked out during alarm or jog state", the answer to every line of a
//! program that may not run now. Senders stop at it; others would be wrong about the reason:
//! `error:20` says that the file is faulty, `error:8` that the machine is busy. What a person can
//! do about it stands before it, as a message that no sender counts.

pub(crate) mod dollar;
mod latch;

pub use latch::Latch;

use crate::beam::Beam;
use crate::profile::{is_grbl, rules};
use crate::words::{Block, Unreadable, sum};
use dollar::Dollar;
use std::fmt::Write;
use wire::serial::Profile;

/// What becomes of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Pass,
    Refuse(Refused),
}

/// A line that the machine must not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub why: Why,
    /// For the program, in its line's place among the machine's own answers: one that overtakes
    /// those of earlier lines frees the room of a line that is still in the controller.
    pub answer: Vec<u8>,
    /// For the machine in the line's stead, with its end: a numbered line of Marlin's may not be
    /// missing. The machine says its `ok` to it.
    pub instead: Option<Vec<u8>>,
}

/// Why a line was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It could switch the beam or spindle on.
    Beam,
    /// It moves, and the beam is not known to be off.
    Motion,
    /// It could change what later lines mean.
    Setting,
    /// It is not known what the firmware makes of it.
    Unknown,
    /// The machine was stopped.
    Stopped,
}

/// Looks at every line of a machine that is SAFE.
#[derive(Clone, Debug)]
pub struct Gate {
    profile: Profile,
    block: Block,
}

impl Gate {
    #[must_use]
    pub fn new(profile: Profile) -> Self {
        Self { profile, block: Block::default() }
    }

    /// Whether a line, without its end and without realtime bytes, may go to the machine. A line
    /// that [`Lines`](crate::lines::Lines) calls over-long never may: [`Gate::over_long`].
    #[must_use]
    pub fn line(&mut self, line: &[u8], beam: &Beam) -> Verdict {
        let read = self.block.read(line, self.profile);
        let why = match read {
            Ok(()) => self.allowed(beam).err(),
            Err(_) => Some(Why::Unknown),
        };
        let Some(why) = why else { return Verdict::Pass };
        let spoilt = read == Err(Unreadable::Checksum);
        Verdict::Refuse(refused(self.profile, why, line, spoilt))
    }

    /// The answer to a line of which only the beginning is known.
    #[must_use]
    pub fn over_long(&self, beginning: &[u8]) -> Refused {
        refused(self.profile, Why::Unknown, beginning, false)
    }

    fn allowed(&self, beam: &Beam) -> Result<(), Why> {
        let block = &self.block;
        if self.profile == Profile::Raw {
            return Err(Why::Unknown);
        }
        // Without its comment, its checksum would be another.
        if self.profile == Profile::Smoothie && block.comment && block.number.is_some() {
            return Err(Why::Unknown);
        }
        if block.is_empty() || (block.text == b"%" && is_grbl(self.profile)) {
            return Ok(());
        }
        if block.text.len() > rules(self.profile).line_bytes_max {
            return Err(Why::Unknown);
        }
        let moves = match block.text[0] {
            b'$' => match dollar::read(block, self.profile).ok_or(Why::Unknown)? {
                Dollar::Query | Dollar::Unlock => false,
                Dollar::Motion => true,
                Dollar::Setting => return dollar::setting_is_harmless(&block.text),
            },
            _ => self.moves()?,
        };
        if moves && !beam.is_off() { Err(Why::Motion) } else { Ok(()) }
    }

    /// Whether a line of words that may pass would move the machine.
    fn moves(&self) -> Result<bool, Why> {
        let grbl = is_grbl(self.profile);
        let words = &self.block.words;
        // Marlin and Smoothie take a line by its first word, and know lines without any.
        if !grbl && !words.first().is_some_and(|word| matches!(word.letter, b'G' | b'M')) {
            return Err(Why::Unknown);
        }
        let (mut moves, mut axes, mut axes_of_others) = (false, false, false);
        for word in words {
            match (word.letter, word.tenths) {
                (b'G', Some(10 | 20 | 30)) if self.profile == Profile::Smoothie => {
                    return Err(Why::Beam);
                }
                (b'G', Some(command)) if motion(self.profile).contains(&command) => moves = true,
                (b'G', Some(command)) if still(self.profile).contains(&command) => {
                    axes_of_others |= WITH_AXES.contains(&command);
                }
                (b'M', Some(30 | 40 | 1060)) => return Err(Why::Beam),
                (b'M', Some(command)) if of_m(self.profile).contains(&command) => {}
                (b'S', _) if word.value == Some(0.0) => {}
                (b'S', _) => return Err(Why::Beam),
                (b'X' | b'Y' | b'Z' | b'A' | b'B' | b'C', _) => axes = true,
                (b'F' | b'I' | b'J' | b'K' | b'L' | b'P' | b'R', _) => {}
                (b'E' | b'N' | b'D', _) if !grbl => {}
                _ => return Err(Why::Unknown),
            }
        }
        Ok(moves || axes && grbl && !axes_of_others)
    }
}

/// Commands that move, in tenths. GRBL 1.1 `gcode.c`; Marlin's G-code pages.
fn motion(profile: Profile) -> &'static [u32] {
    match profile {
        Profile::Marlin | Profile::Smoothie => &[0, 10, 20, 30, 280],
        _ => &[0, 10, 20, 30, 280, 300, 382, 383, 384, 385],
    }
}

/// Commands that set modes and offsets, and dwell.
fn still(profile: Profile) -> &'static [u32] {
    match profile {
        Profile::Marlin | Profile::Smoothie => &[40, 170, 180, 190, 200, 210, 900, 910, 920],
        _ => &[
            40, 100, 170, 180, 190, 200, 210, 281, 301, 400, 431, 490, 530, 540, 550, 560, 570,
            580, 590, 610, 800, 900, 910, 911, 920, 921, 930, 940,
        ],
    }
}

/// Those of them that take axes without moving them: G10, G28.1, G30.1, G43.1, G92.
const WITH_AXES: [u32; 5] = [100, 281, 301, 431, 920];

/// Program flow, coolant, and what asks. Marlin: motors, positions, temperatures, waiting, M112.
fn of_m(profile: Profile) -> &'static [u32] {
    match profile {
        Profile::Marlin | Profile::Smoothie => &[
            50, 90, 170, 180, 820, 830, 840, 1050, 1070, 1080, 1100, 1120, 1140, 1150, 1190, 1540,
            1550, 2200, 4000, 4100, 5030, 9990,
        ],
        _ => &[0, 10, 20, 50, 70, 80, 90, 300],
    }
}

fn refused(profile: Profile, why: Why, line: &[u8], spoilt: bool) -> Refused {
    let mut answer = String::new();
    let mut instead = None;
    // Writing to a string does not fail.
    let _ = match profile {
        Profile::Grbl | Profile::GrblHal | Profile::FluidNc => {
            write!(answer, "[MSG:SAFE: {}]\r\nerror:9\r\n", hint(why))
        }
        Profile::Smoothie => write!(answer, "// SAFE: {}\r\nerror:Alarm lock\r\n", hint(why)),
        Profile::Marlin => {
            instead = number(line).map(|number| numbered(number, spoilt));
            let ok = if instead.is_some() { "" } else { "ok\n" };
            write!(answer, "echo:SAFE: {}\n{ok}", hint(why))
        }
        Profile::Raw => Ok(()),
    };
    Refused { why, answer: answer.into_bytes(), instead }
}

/// Without `[` and `]`, which end a message.
const fn hint(why: Why) -> &'static str {
    match why {
        Why::Beam => "not armed, beam and spindle stay off",
        Why::Motion => "no motion while the beam may be on, send M5 first",
        Why::Setting => "not armed, this setting stays",
        Why::Unknown => "not armed, and this line is not understood",
        Why::Stopped => "stopped, unlock first",
    }
}

/// The number of a line, whatever else is in it.
fn number(line: &[u8]) -> Option<u32> {
    let text = line.trim_ascii_start();
    let digits = text.strip_prefix(b"N").or_else(|| text.strip_prefix(b"n"))?.trim_ascii_start();
    let length = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&digits[..length]).ok()?.parse().ok()
}

/// A harmless line of this number. With a spoilt checksum the machine asks for it again, as it
/// would have asked for the line that came spoilt.
fn numbered(number: u32, spoilt: bool) -> Vec<u8> {
    let line = format!("N{number} M105");
    let sum = sum(line.as_bytes()) ^ u8::from(spoilt);
    format!("{line}*{sum}\n").into_bytes()
}

#[cfg(test)]
mod tests;
