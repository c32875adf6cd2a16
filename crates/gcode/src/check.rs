//! Looks a program through before it runs, line by line: a file of any size takes no memory.
//!
//! Errors are what would stop the job, break the machine or burn where nobody wants it; a job with
//! one is not run. Warnings are for a person to decide.

use crate::estimate::{Estimate, Estimator};
use crate::lines::Line;
use crate::modal::{Effect, Modal, Motion, Spindle};
use crate::profile::{is_grbl, rules};
use crate::realtime::is_realtime;
use crate::settings::Settings;
use crate::words::{Block, Unreadable, Word};
use serde::{Deserialize, Serialize};
use wire::serial::Profile;

/// Of each kind so many findings are given, and the others counted.
pub const GIVEN_MAX: u64 = 10;

/// Something about a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Finding {
    /// From 1; 0 is the program as a whole.
    pub line: u64,
    pub severity: Severity,
    pub problem: Problem,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Warning,
    Error,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Problem {
    /// Leaves the machine's travel.
    OutOfReach,
    /// The line is longer than the machine reads.
    TooLong,
    /// It cannot be read for sure, or holds a byte on which the machine would act at once.
    Unreadable,
    /// A command that has no place in a program: a setting, a stop, another program.
    Forbidden,
    /// A command that this firmware is not known to have.
    UnknownCommand,
    /// It writes to the EEPROM: slow, and never needed in a job.
    Eeprom,
    /// The laser burns where it stands: `M3` and a dwell, a pause, or the program's end.
    BeamAtRest,
    /// It goes to a place that the file does not tell: other coordinates, `G28`, `G53`.
    ElsewhereUnchecked,
    /// A cut without a feed, or an arc that is none.
    BadMotion,
}

/// What is counted of each [`Problem`].
const PROBLEMS: usize = 9;

/// Checks one program.
#[derive(Clone, Debug)]
pub struct Checker {
    profile: Profile,
    settings: Settings,
    block: Block,
    modal: Modal,
    estimator: Estimator,
    counts: [u64; PROBLEMS],
    lines: u64,
    errors: u64,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Summary {
    pub lines: u64,
    pub errors: u64,
    pub warnings: u64,
    pub estimate: Estimate,
}

impl Checker {
    #[must_use]
    pub fn new(profile: Profile, settings: Settings) -> Self {
        Self {
            profile,
            settings,
            block: Block::default(),
            modal: Modal::default(),
            estimator: Estimator::new(settings),
            counts: [0; PROBLEMS],
            lines: 0,
            errors: 0,
        }
    }

    /// Checks the next line.
    pub fn line(&mut self, line: Line<'_>, mut each: impl FnMut(Finding)) {
        self.lines += 1;
        let (counts, errors) = (&mut self.counts, &mut self.errors);
        let mut found = Found { line: self.lines, counts, errors, each: &mut each };
        if line.over_long {
            found.error(Problem::TooLong);
        } else {
            match self.block.read(line.text, self.profile) {
                Ok(()) => {
                    let effect = self.modal.apply(&self.block, self.profile);
                    let look = Look {
                        profile: self.profile,
                        settings: &self.settings,
                        block: &self.block,
                    };
                    look.length(line.text, &mut found);
                    look.commands(&mut found);
                    look.motion(&self.modal, &effect, &mut found);
                    self.estimator.add(&effect);
                }
                Err(Unreadable::TooLong) => found.error(Problem::TooLong),
                Err(_) => found.error(Problem::Unreadable),
            }
        }
    }

    /// The program is at its end.
    pub fn finish(&mut self, mut each: impl FnMut(Finding)) -> Summary {
        let estimate = self.estimator.estimate();
        let (counts, errors) = (&mut self.counts, &mut self.errors);
        let mut found = Found { line: 0, counts, errors, each: &mut each };
        if burns(&self.modal) {
            found.at_rest(&self.settings);
        }
        // Wherever its origin is: what is larger than the machine does not fit.
        if let (Some(low), Some(high)) = (estimate.low, estimate.high) {
            let large = (0..3).any(|axis| {
                self.settings.travel[axis].is_some_and(|travel| high[axis] - low[axis] > travel)
            });
            if large {
                found.error(Problem::OutOfReach);
            }
        }
        let all: u64 = self.counts.iter().sum();
        Summary { lines: self.lines, errors: self.errors, warnings: all - self.errors, estimate }
    }

    /// How long it takes up to here.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.estimator.estimate().seconds
    }

    /// What the program has set up to here.
    #[must_use]
    pub fn modal(&self) -> &Modal {
        &self.modal
    }
}

/// Whether a laser would, without moving.
fn burns(modal: &Modal) -> bool {
    modal.spindle == Spindle::On && modal.power > 0.0
}

/// Where findings go.
struct Found<'a> {
    line: u64,
    counts: &'a mut [u64; PROBLEMS],
    errors: &'a mut u64,
    each: &'a mut dyn FnMut(Finding),
}

impl Found<'_> {
    fn error(&mut self, problem: Problem) {
        *self.errors += 1;
        self.add(Severity::Error, problem);
    }

    fn warning(&mut self, problem: Problem) {
        self.add(Severity::Warning, problem);
    }

    fn add(&mut self, severity: Severity, problem: Problem) {
        let count = &mut self.counts[problem as usize];
        *count += 1;
        if *count <= GIVEN_MAX {
            (self.each)(Finding { line: self.line, severity, problem });
        }
    }

    /// A spindle does so to speed up; a machine that has not said which it has is a person's to
    /// know.
    fn at_rest(&mut self, settings: &Settings) {
        match settings.laser {
            Some(true) => self.error(Problem::BeamAtRest),
            Some(false) => {}
            None => self.warning(Problem::BeamAtRest),
        }
    }
}

/// One line that was read.
struct Look<'a> {
    profile: Profile,
    settings: &'a Settings,
    block: &'a Block,
}

impl Look<'_> {
    fn length(&self, line: &[u8], found: &mut Found<'_>) {
        let max = rules(self.profile).line_bytes_max;
        if max > 0 && self.block.text.len() > max {
            found.error(Problem::TooLong);
        }
        let realtime = |byte: &u8| is_realtime(self.profile, *byte);
        // In comments they are dropped before the line is sent.
        if !self.block.comment && line.iter().any(realtime) {
            found.error(Problem::Unreadable);
        }
    }

    fn commands(&self, found: &mut Found<'_>) {
        let text = &self.block.text;
        if text.first() == Some(&b'$') {
            match &text[1..] {
                b"H" => found.warning(Problem::ElsewhereUnchecked),
                _ => found.error(Problem::Forbidden),
            }
            return;
        }
        let grbl = is_grbl(self.profile);
        for word in &self.block.words {
            match (word.letter, word.tenths) {
                (b'G', Some(100 | 281 | 301)) if grbl => found.warning(Problem::Eeprom),
                (b'G', Some(command)) if grbl && !GRBL_G.contains(&command) => {
                    found.warning(Problem::UnknownCommand);
                }
                (b'M', Some(command)) if forbidden(self.profile).contains(&command) => {
                    found.error(Problem::Forbidden);
                }
                (b'M', Some(command)) if grbl && !GRBL_M.contains(&command) => {
                    found.warning(Problem::UnknownCommand);
                }
                (b'G' | b'M', None) => found.warning(Problem::UnknownCommand),
                (b'T' | b'E' | b'D' | b'H' | b'O' | b'Q' | b'U' | b'V' | b'W', _) if grbl => {
                    found.warning(Problem::UnknownCommand);
                }
                _ => {}
            }
        }
    }

    fn motion(&self, modal: &Modal, effect: &Effect, found: &mut Found<'_>) {
        let pauses = |word: &Word| word.is(b'M', 0) || word.is(b'M', 10);
        let rests = effect.dwell.is_some_and(|seconds| seconds > 0.0)
            || self.block.words.iter().any(pauses);
        if rests && burns(modal) {
            found.at_rest(self.settings);
        }
        let other = self.block.words.iter().any(|word| {
            word.letter == b'G' && matches!(word.tenths, Some(550 | 560 | 570 | 580 | 590))
        });
        if effect.elsewhere || other {
            found.warning(Problem::ElsewhereUnchecked);
        }
        let Some(way) = effect.way else { return };
        let needs_feed = !matches!(way.motion, Motion::Rapid) && is_grbl(self.profile);
        if effect.bad_arc || (needs_feed && way.feed.is_none()) {
            found.error(Problem::BadMotion);
        }
        let Some((least, most)) = self.settings.reach else { return };
        let (low, high) = if way.known { (way.low, way.high) } else { (way.to, way.to) };
        let moves = |axis: usize| way.from[axis] != way.to[axis] || low[axis] != high[axis];
        let leaves = |axis: usize| low[axis] < least[axis] || high[axis] > most[axis];
        if (0..3).any(|axis| moves(axis) && leaves(axis)) {
            found.error(Problem::OutOfReach);
        }
    }
}

/// GRBL 1.1 `gcode.c`, in tenths.
const GRBL_G: [u32; 44] = [
    0, 10, 20, 30, 40, 100, 170, 180, 190, 200, 210, 280, 281, 300, 301, 382, 383, 384, 385, 400,
    431, 490, 530, 540, 550, 560, 570, 580, 590, 591, 592, 593, 610, 800, 900, 910, 911, 920, 921,
    930, 940, 50, 51, 730,
];

const GRBL_M: [u32; 11] = [0, 10, 20, 30, 40, 50, 70, 80, 90, 300, 560];

/// Stops, resets, other programs, stored settings.
fn forbidden(profile: Profile) -> &'static [u32] {
    match profile {
        Profile::Marlin | Profile::Smoothie => &[
            230, 240, 280, 290, 300, 320, 1080, 1100, 1120, 4100, 5000, 5010, 5020, 5240, 9280,
            9970, 9990,
        ],
        _ => &[980, 990],
    }
}

#[cfg(test)]
mod tests;
