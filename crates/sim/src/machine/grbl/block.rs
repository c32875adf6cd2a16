//! One line of G-code: its words, and what is wrong with them (GRBL's `gc_execute_line`, steps 1
//! and 2; the numbers are those of `doc/markdown/interface.md`, "Grbl Response Messages").

use super::Code;
use crate::machine::words;

/// What keeps its meaning from line to line.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Modal {
    pub motion: MotionMode,
    /// 0 to 5: G54 to G59.
    pub system: usize,
    pub plane: Plane,
    pub inches: bool,
    pub incremental: bool,
    pub inverse_time: bool,
    pub spindle: Spindle,
    pub coolant: Coolant,
}

impl Default for Modal {
    fn default() -> Self {
        Self {
            motion: MotionMode::Rapid,
            system: 0,
            plane: Plane::Xy,
            inches: false,
            incremental: false,
            inverse_time: false,
            spindle: Spindle::Off,
            coolant: Coolant::default(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MotionMode {
    Rapid,
    Line,
    Clockwise,
    Counterclockwise,
    /// G38.2 to G38.5, by the digit.
    Probe(u8),
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plane {
    Xy,
    Zx,
    Yz,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Spindle {
    #[default]
    Off,
    /// M3.
    Clockwise,
    /// M4.
    Counterclockwise,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Coolant {
    pub flood: bool,
    pub mist: bool,
}

/// Commands that hold for their line only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Once {
    Nothing,
    Dwell,
    SetSystem,
    /// G28 or G30, by index.
    GoHome(usize),
    SetHome(usize),
    Machine,
    SetOffset,
    ClearOffset,
}

/// What the axis words of a line are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AxisUse {
    Nothing,
    Once,
    Motion,
    /// G43.1 with `true`, G49 with `false`.
    ToolLength(bool),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    Pause,
    End,
}

/// A line, read.
#[derive(Clone, Debug)]
pub(super) struct Block {
    pub modal: Modal,
    pub axis_use: AxisUse,
    pub once: Once,
    pub flow: Option<Flow>,
    /// Modal groups with a command in this line, as bits.
    pub groups: u16,
    values: [Option<f64>; 26],
}

/// Modal groups that other parts ask for (NIST RS274-NGC v3, table 4).
pub(super) mod group {
    pub(in super::super) const ONCE: u16 = 1 << 0;
    pub(in super::super) const MOTION: u16 = 1 << 1;
    pub(in super::super) const PLANE: u16 = 1 << 2;
    pub(in super::super) const DISTANCE: u16 = 1 << 3;
    pub(in super::super) const ARC_DISTANCE: u16 = 1 << 4;
    pub(in super::super) const FEED: u16 = 1 << 5;
    pub(in super::super) const UNITS: u16 = 1 << 6;
    pub(in super::super) const CUTTER: u16 = 1 << 7;
    pub(in super::super) const TOOL_LENGTH: u16 = 1 << 8;
    pub(in super::super) const SYSTEM: u16 = 1 << 9;
    pub(in super::super) const CONTROL: u16 = 1 << 10;
    pub(in super::super) const FLOW: u16 = 1 << 11;
    pub(in super::super) const SPINDLE: u16 = 1 << 12;
    pub(in super::super) const COOLANT: u16 = 1 << 13;
}

/// Value words that there are.
const VALUES: &str = "FIJKLNPRSTXYZ";

/// Those that may not be negative.
const NOT_NEGATIVE: &str = "FNPST";

const TOOL_MAX: f64 = 255.0;

impl Block {
    /// A line without blanks and comments, in capitals. `jog` is behind `$J=`.
    pub(super) fn read(line: &str, modal: &Modal, jog: bool) -> Result<Self, Code> {
        let mut block = Self {
            modal: modal.clone(),
            axis_use: AxisUse::Nothing,
            once: Once::Nothing,
            flow: None,
            groups: 0,
            values: [None; 26],
        };
        if jog {
            (block.modal.motion, block.modal.inverse_time) = (MotionMode::Line, false);
        }
        let mut rest = line;
        while let Some(letter) = rest.chars().next() {
            if !letter.is_ascii_uppercase() {
                return Err(Code::EXPECTED_LETTER);
            }
            let (value, behind) = words::number(&rest[1..]).ok_or(Code::BAD_NUMBER)?;
            rest = behind;
            match letter {
                'G' | 'M' => block.command(letter, value)?,
                _ => block.value(letter, value)?,
            }
        }
        Ok(block)
    }

    fn command(&mut self, letter: char, value: f64) -> Result<(), Code> {
        let number = if value < 0.0 { u32::MAX } else { value.trunc() as u32 };
        let hundredths = (100.0 * value.fract().abs()).round() as u32;
        let group = match (letter, hundredths) {
            ('G', _) => self.g(number, hundredths)?,
            (_, 0) => self.m(number)?,
            _ => return Err(Code::NOT_INTEGER),
        };
        if self.groups & group != 0 {
            return Err(Code::MODAL_GROUP);
        }
        self.groups |= group;
        Ok(())
    }

    /// Says what the axis words are for; there is one such thing in a line.
    fn axes_for(&mut self, axis_use: AxisUse) -> Result<(), Code> {
        if self.axis_use != AxisUse::Nothing {
            return Err(Code::AXIS_CONFLICT);
        }
        self.axis_use = axis_use;
        Ok(())
    }

    fn g(&mut self, number: u32, hundredths: u32) -> Result<u16, Code> {
        let modal = &mut self.modal;
        let group = match (number, hundredths) {
            (10 | 28 | 30 | 92, 0) => {
                self.axes_for(AxisUse::Once)?;
                self.once = match number {
                    10 => Once::SetSystem,
                    28 => Once::GoHome(0),
                    30 => Once::GoHome(1),
                    _ => Once::SetOffset,
                };
                group::ONCE
            }
            (28 | 30 | 92, 10) => {
                self.once = match number {
                    28 => Once::SetHome(0),
                    30 => Once::SetHome(1),
                    _ => Once::ClearOffset,
                };
                group::ONCE
            }
            (4, 0) => self.once_only(Once::Dwell),
            (53, 0) => self.once_only(Once::Machine),
            (0..=3, 0) => {
                self.axes_for(AxisUse::Motion)?;
                self.modal.motion = match number {
                    0 => MotionMode::Rapid,
                    1 => MotionMode::Line,
                    2 => MotionMode::Clockwise,
                    _ => MotionMode::Counterclockwise,
                };
                group::MOTION
            }
            (38, 20 | 30 | 40 | 50) => {
                self.axes_for(AxisUse::Motion)?;
                self.modal.motion = MotionMode::Probe((hundredths / 10) as u8);
                group::MOTION
            }
            (80, 0) => {
                modal.motion = MotionMode::None;
                group::MOTION
            }
            (17..=19, 0) => {
                modal.plane = [Plane::Xy, Plane::Zx, Plane::Yz][number as usize - 17];
                group::PLANE
            }
            (90 | 91, 0) => {
                modal.incremental = number == 91;
                group::DISTANCE
            }
            (91, 10) => group::ARC_DISTANCE,
            (93 | 94, 0) => {
                modal.inverse_time = number == 93;
                group::FEED
            }
            (20 | 21, 0) => {
                modal.inches = number == 20;
                group::UNITS
            }
            (40, 0) => group::CUTTER,
            (43, 10) | (49, _) => {
                self.axes_for(AxisUse::ToolLength(number == 43))?;
                group::TOOL_LENGTH
            }
            (54..=59, 0) => {
                modal.system = number as usize - 54;
                group::SYSTEM
            }
            (61, 0) => group::CONTROL,
            (0..=4 | 10 | 17..=21 | 40 | 53..=59 | 80 | 93 | 94, _) => {
                return Err(Code::NOT_INTEGER);
            }
            _ => return Err(Code::UNSUPPORTED),
        };
        Ok(group)
    }

    fn once_only(&mut self, once: Once) -> u16 {
        self.once = once;
        group::ONCE
    }

    fn m(&mut self, number: u32) -> Result<u16, Code> {
        let modal = &mut self.modal;
        match number {
            0 => self.flow = Some(Flow::Pause),
            1 => {}
            2 | 30 => self.flow = Some(Flow::End),
            3 => modal.spindle = Spindle::Clockwise,
            4 => modal.spindle = Spindle::Counterclockwise,
            5 => modal.spindle = Spindle::Off,
            7 => modal.coolant.mist = true,
            8 => modal.coolant.flood = true,
            9 => modal.coolant = Coolant::default(),
            _ => return Err(Code::UNSUPPORTED),
        }
        Ok(match number {
            0..=2 | 30 => group::FLOW,
            3..=5 => group::SPINDLE,
            _ => group::COOLANT,
        })
    }

    fn value(&mut self, letter: char, value: f64) -> Result<(), Code> {
        if !VALUES.contains(letter) {
            return Err(Code::UNSUPPORTED);
        }
        if letter == 'T' && value > TOOL_MAX {
            return Err(Code::MAX_VALUE);
        }
        let place = &mut self.values[index(letter)];
        if place.is_some() {
            return Err(Code::REPEATED);
        }
        if NOT_NEGATIVE.contains(letter) && value < 0.0 {
            return Err(Code::NEGATIVE);
        }
        *place = Some(value);
        Ok(())
    }

    pub(super) fn get(&self, letter: char) -> Option<f64> {
        self.values[index(letter)]
    }

    /// The value of a word, which is used by that.
    pub(super) fn take(&mut self, letter: char) -> Option<f64> {
        self.values[index(letter)].take()
    }

    /// X, Y and Z in mm.
    pub(super) fn axes(&self) -> [Option<f64>; 3] {
        ['X', 'Y', 'Z'].map(|letter| self.get(letter).map(|value| self.mm(value)))
    }

    pub(super) fn mm(&self, value: f64) -> f64 {
        if self.modal.inches { value * 25.4 } else { value }
    }

    /// Whether a word other than these is left.
    pub(super) fn has_unused(&self, used: &str) -> bool {
        VALUES.chars().any(|letter| !used.contains(letter) && self.get(letter).is_some())
    }
}

fn index(letter: char) -> usize {
    usize::from(letter as u8 - b'A')
}
