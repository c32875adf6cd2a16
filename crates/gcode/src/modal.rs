//! What a program has set: units, distances, plane, feed, power, place.
//!
//! The state of GRBL's parser (`gcode.h`, NIST RS274NGC), as far as checks, estimates and resuming
//! need it. Lengths are millimetres, feeds millimetres a minute, whatever the program's units.

use crate::profile::is_grbl;
use crate::words::Block;
use wire::serial::Profile;

const MM_PER_INCH: f64 = 25.4;

/// X, Y, Z.
pub type Place = [f64; 3];

/// `M3`, `M4`, `M5`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Spindle {
    #[default]
    Off,
    /// `M3`: clockwise; a laser's constant power, also when it does not move.
    On,
    /// `M4`: counterclockwise; a laser's power follows its speed.
    Dynamic,
}

/// `G17`, `G18`, `G19`, as the indices of their first, second and normal axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plane(pub usize, pub usize, pub usize);

/// After the lines that were applied.
#[derive(Clone, Debug, PartialEq)]
pub struct Modal {
    pub motion: Motion,
    pub inches: bool,
    pub relative: bool,
    pub plane: Plane,
    /// `G93`: `F` is one by minutes.
    pub inverse_time: bool,
    pub feed: f64,
    pub power: f64,
    pub spindle: Spindle,
    pub flood: bool,
    pub mist: bool,
    /// 54 to 59.
    pub coordinates: u32,
    /// Without the shift of `G92`.
    pub place: Place,
    /// Which axes of `place` the program has set: not at its begin, nor after `G28`.
    pub known: [bool; 3],
    /// What `G92` subtracts.
    pub shift: Place,
}

/// The mode of lines that have axes only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Motion {
    #[default]
    Rapid,
    Linear,
    Clockwise,
    Counterclockwise,
    /// `G38.x`: towards a place that it may not reach.
    Probe,
    /// `G80`.
    Cancelled,
}

/// A way that one line goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Move {
    pub from: Place,
    pub to: Place,
    pub motion: Motion,
    pub length: f64,
    /// What lies within, arcs included.
    pub low: Place,
    pub high: Place,
    /// Millimetres a minute as programmed; none for rapids, and where none was set.
    pub feed: Option<f64>,
    /// `false` where it is only known where it ends.
    pub known: bool,
}

/// What a line does.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Effect {
    pub way: Option<Move>,
    /// Seconds.
    pub dwell: Option<f64>,
    /// To where the machine's own coordinates say: `G28`, `G30`, `G53`, `$H`.
    pub elsewhere: bool,
    /// An arc that has neither centre nor radius that fit.
    pub bad_arc: bool,
}

impl Default for Modal {
    /// GRBL's state after a reset.
    fn default() -> Self {
        Self {
            motion: Motion::Rapid,
            inches: false,
            relative: false,
            plane: Plane(0, 1, 2),
            inverse_time: false,
            feed: 0.0,
            power: 0.0,
            spindle: Spindle::Off,
            flood: false,
            mist: false,
            coordinates: 54,
            place: [0.0; 3],
            known: [false; 3],
            shift: [0.0; 3],
        }
    }
}

impl Modal {
    /// Carries out a line that was read.
    pub fn apply(&mut self, block: &Block, profile: Profile) -> Effect {
        let mut effect = Effect::default();
        let mut takes_axes = false;
        // Modes first, wherever they stand in the line: they say what its numbers mean.
        for word in &block.words {
            match (word.letter, word.tenths) {
                (b'G', Some(command)) => {
                    takes_axes |= self.g(command, block, profile, &mut effect);
                }
                (b'M', Some(command)) => self.m(command, profile),
                _ => {}
            }
        }
        for word in &block.words {
            match (word.letter, word.value) {
                (b'S', Some(power)) => self.power = power,
                (b'F', Some(feed)) if self.inverse_time => self.feed = feed,
                (b'F', Some(feed)) => self.feed = feed * self.unit(),
                _ => {}
            }
        }
        if takes_axes {
            self.elsewhere(block, &mut effect);
            return effect;
        }
        let axes = [b'X', b'Y', b'Z'];
        let moves = axes.iter().any(|axis| block.word(*axis).is_some());
        // Marlin's other commands have axes too (`M84 X`), and its lines one command each.
        let own = is_grbl(profile) || block.words.first().is_some_and(|word| word.letter == b'G');
        if moves && own && self.motion != Motion::Cancelled {
            effect.way = self.go(block, &mut effect.bad_arc);
        }
        effect
    }

    /// Millimetres of a unit of the program.
    #[must_use]
    pub fn unit(&self) -> f64 {
        if self.inches { MM_PER_INCH } else { 1.0 }
    }

    /// Points between the ends of a way, where it is no straight line. `block` and `self` are
    /// those that it came of.
    pub fn along(&self, way: &Move, block: &Block, each: impl FnMut(Place)) {
        if matches!(way.motion, Motion::Clockwise | Motion::Counterclockwise) {
            arc::along(way, block, self, each);
        }
    }

    /// Whether the line's axes are not those of a motion.
    fn g(&mut self, command: u32, block: &Block, profile: Profile, effect: &mut Effect) -> bool {
        match command {
            0 => self.motion = Motion::Rapid,
            10 => self.motion = Motion::Linear,
            20 => self.motion = Motion::Clockwise,
            30 => self.motion = Motion::Counterclockwise,
            382..=385 => self.motion = Motion::Probe,
            800 => self.motion = Motion::Cancelled,
            40 => effect.dwell = Some(dwell(block, profile)),
            170 => self.plane = Plane(0, 1, 2),
            180 => self.plane = Plane(2, 0, 1),
            190 => self.plane = Plane(1, 2, 0),
            200 => self.inches = true,
            210 => self.inches = false,
            540 | 550 | 560 | 570 | 580 | 590 => {
                let coordinates = command / 10;
                if coordinates != self.coordinates {
                    self.known = [false; 3];
                }
                self.coordinates = coordinates;
            }
            900 => self.relative = false,
            910 => self.relative = true,
            930 => self.inverse_time = true,
            940 => self.inverse_time = false,
            920 => {
                self.shift_to(block);
                return true;
            }
            921 => {
                self.shift = [0.0; 3];
                return true;
            }
            280 | 300 | 530 => {
                effect.elsewhere = true;
                return true;
            }
            // G10 changes offsets that we don't know; G28.1 and its like change none.
            100 => {
                self.known = [false; 3];
                return true;
            }
            281 | 301 | 431 => return true,
            _ => {}
        }
        false
    }

    fn m(&mut self, command: u32, profile: Profile) {
        match command {
            30 => self.spindle = Spindle::On,
            40 => self.spindle = Spindle::Dynamic,
            50 => self.spindle = Spindle::Off,
            70 => self.mist = true,
            80 => self.flood = true,
            90 => (self.mist, self.flood) = (false, false),
            // GRBL `gcode.c`: the program's end resets these modes.
            20 | 300 if is_grbl(profile) => {
                let (place, known, shift) = (self.place, self.known, self.shift);
                let (inches, feed, power) = (self.inches, self.feed, self.power);
                let ended = Self { place, known, shift, inches, feed, power, ..Self::default() };
                *self = Self { motion: Motion::Linear, ..ended };
            }
            _ => {}
        }
    }

    /// Where a line's axes lead, in millimetres; an axis without a word stays.
    fn target(&self, block: &Block) -> Place {
        let mut to = self.place;
        for (axis, letter) in [b'X', b'Y', b'Z'].into_iter().enumerate() {
            let Some(value) = block.word(letter).and_then(|word| word.value) else { continue };
            let value = value * self.unit();
            to[axis] = if self.relative { to[axis] + value } else { value + self.shift[axis] };
        }
        to
    }

    fn shift_to(&mut self, block: &Block) {
        for (axis, letter) in [b'X', b'Y', b'Z'].into_iter().enumerate() {
            let Some(value) = block.word(letter).and_then(|word| word.value) else { continue };
            self.shift[axis] = self.place[axis] - value * self.unit();
        }
    }

    fn elsewhere(&mut self, block: &Block, effect: &mut Effect) {
        if !effect.elsewhere {
            return;
        }
        let named = |letter: u8| block.word(letter).is_some();
        let some = [b'X', b'Y', b'Z'].map(named);
        // G28 alone takes all axes there.
        let all = !some.contains(&true);
        for (known, named) in self.known.iter_mut().zip(some) {
            *known &= !(all || named);
        }
    }

    fn go(&mut self, block: &Block, bad_arc: &mut bool) -> Option<Move> {
        let (from, to) = (self.place, self.target(block));
        let mut known = true;
        for (axis, letter) in [b'X', b'Y', b'Z'].into_iter().enumerate() {
            let named = block.word(letter).is_some_and(|word| word.value.is_some());
            // Where an axis that stays is, does not matter.
            known &= self.known[axis] || !named;
            self.known[axis] |= named && !self.relative;
        }
        self.place = to;
        if !to.iter().all(|value| value.is_finite()) {
            (self.place, self.known) = (from, [false; 3]);
            return None;
        }
        let mut way = Move {
            from,
            to,
            motion: self.motion,
            length: distance(from, to),
            low: lower(from, to),
            high: upper(from, to),
            feed: None,
            known,
        };
        if matches!(self.motion, Motion::Clockwise | Motion::Counterclockwise) {
            *bad_arc = !arc::follow(&mut way, block, self);
        }
        if self.motion != Motion::Rapid {
            let feed = if self.inverse_time { self.feed * way.length } else { self.feed };
            way.feed = (feed > 0.0 && feed.is_finite()).then_some(feed);
        }
        Some(way)
    }
}

/// `G4 P`: seconds to GRBL, milliseconds to Marlin and Smoothie, which also know `S` in seconds.
fn dwell(block: &Block, profile: Profile) -> f64 {
    let value = |letter| block.word(letter).and_then(|word| word.value).unwrap_or(0.0);
    let seconds = if is_grbl(profile) { value(b'P') } else { value(b'P') / 1000.0 + value(b'S') };
    if seconds.is_finite() { seconds.max(0.0) } else { 0.0 }
}

fn distance(from: Place, to: Place) -> f64 {
    (0..3).map(|axis| (to[axis] - from[axis]).powi(2)).sum::<f64>().sqrt()
}

fn lower(a: Place, b: Place) -> Place {
    std::array::from_fn(|axis| a[axis].min(b[axis]))
}

fn upper(a: Place, b: Place) -> Place {
    std::array::from_fn(|axis| a[axis].max(b[axis]))
}

mod arc;

#[cfg(test)]
mod tests;
