//! Beginning a program in its middle, with the state that the lines before would have left.
//!
//! Never by itself, and never for a laser: where the beam stood when the job ended nobody knows,
//! and a burn that begins anew in a place that was burnt is a fire. What is given is for a person
//! to look at, on a machine that has been homed.

use crate::modal::{Modal, Motion, Plane, Spindle};
use crate::profile::is_grbl;
use crate::words::Block;
use thiserror::Error;
use wire::serial::Profile;

/// Why a program cannot begin there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NoResume {
    #[error("a laser never resumes in the middle of a job: run the rest as a job of its own")]
    Laser,
    #[error(
        "only machines that speak GRBL can resume: a printer's nozzle and layer have gone cold"
    )]
    Profile,
    #[error("line {0} cannot be read, so that what it leaves behind is not known")]
    Unreadable(u64),
    #[error("line {0} is a command whose effect is not known")]
    Unknown(u64),
    #[error("where the program was is not known: it had not set all axes, or went elsewhere (G28)")]
    Place,
    #[error("the program moves its origin (G92): set it by hand and run the rest as a job")]
    Shift,
    #[error("the line goes on with an arc or a probe of the line before: begin at another one")]
    Arc,
}

/// What the machine's spindle is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    Laser,
    Spindle,
}

/// Reads the lines before the one to begin with.
#[derive(Clone, Debug)]
pub struct Resume {
    profile: Profile,
    modal: Modal,
    block: Block,
    lines: u64,
    highest: f64,
}

impl Resume {
    /// # Errors
    /// When this machine never resumes.
    pub fn new(profile: Profile, head: Head) -> Result<Self, NoResume> {
        if head == Head::Laser {
            return Err(NoResume::Laser);
        }
        if !is_grbl(profile) {
            return Err(NoResume::Profile);
        }
        let (modal, block) = (Modal::default(), Block::default());
        Ok(Self { profile, modal, block, lines: 0, highest: f64::NEG_INFINITY })
    }

    /// The next line of those that are not to be run again, without its end.
    ///
    /// # Errors
    /// When it leaves something behind that is not known.
    pub fn skip(&mut self, line: &[u8]) -> Result<(), NoResume> {
        self.lines += 1;
        let read = self.block.read(line, self.profile);
        read.map_err(|_| NoResume::Unreadable(self.lines))?;
        let known = |letter: u8, tenths: Option<u32>| match (letter, tenths) {
            (b'G', Some(command)) => KNOWN_G.contains(&command),
            (b'M', Some(command)) => KNOWN_M.contains(&command),
            (b'G' | b'M', None) => false,
            _ => true,
        };
        let all = self.block.words.iter().all(|word| known(word.letter, word.tenths));
        if !all || self.block.text.first() == Some(&b'$') {
            return Err(NoResume::Unknown(self.lines));
        }
        let effect = self.modal.apply(&self.block, self.profile);
        if let Some(way) = effect.way.filter(|_| self.modal.known[2]) {
            self.highest = self.highest.max(way.to[2]);
        }
        Ok(())
    }

    /// The lines to send before `next`, the one to begin with: up to the highest place that the
    /// program has been at, over, spindle on, down at the program's feed, and its modes.
    ///
    /// # Errors
    /// When the place is not known, or `next` relies on what cannot be set without a motion.
    pub fn preamble(&mut self, next: &[u8]) -> Result<Vec<String>, NoResume> {
        self.stands_alone(next)?;
        let modal = &self.modal;
        if modal.shift != [0.0; 3] {
            return Err(NoResume::Shift);
        }
        if modal.known.contains(&false) {
            return Err(NoResume::Place);
        }
        let [x, y, z] = modal.place;
        let mut lines = vec![
            format!("G21 G90 G94 G17 G{}", modal.coordinates),
            format!("G0 Z{:.4}", self.highest.max(z)),
            format!("G0 X{x:.4} Y{y:.4}"),
        ];
        match modal.spindle {
            Spindle::Off => lines.push(format!("M5 S{}", modal.power)),
            Spindle::On => lines.push(format!("M3 S{}", modal.power)),
            Spindle::Dynamic => lines.push(format!("M4 S{}", modal.power)),
        }
        lines.extend(modal.mist.then(|| "M7".to_owned()));
        lines.extend(modal.flood.then(|| "M8".to_owned()));
        // In inverse time a feed means nothing outside of its line.
        let feed = if modal.inverse_time { 0.0 } else { modal.feed };
        match feed > 0.0 {
            true => lines.push(format!("G1 Z{z:.4} F{feed:.3}")),
            false => lines.push(format!("G0 Z{z:.4}")),
        }
        let units = if modal.inches { "G20" } else { "G21" };
        let distances = if modal.relative { "G91" } else { "G90" };
        let feeds = if modal.inverse_time { "G93" } else { "G94" };
        let plane = match modal.plane {
            Plane(2, ..) => "G18",
            Plane(1, ..) => "G19",
            Plane(..) => "G17",
        };
        lines.push(format!("{units} {distances} {feeds} {plane}"));
        // A motion's word needs no axes, but an arc's does: the next line says it.
        match modal.motion {
            Motion::Rapid => lines.push("G0".to_owned()),
            Motion::Linear => lines.push("G1".to_owned()),
            Motion::Cancelled => lines.push("G80".to_owned()),
            Motion::Clockwise | Motion::Counterclockwise | Motion::Probe => {}
        }
        Ok(lines)
    }

    /// An arc and a probe are modes as well, and none can be set without its motion.
    fn stands_alone(&mut self, next: &[u8]) -> Result<(), NoResume> {
        use Motion::{Cancelled, Clockwise, Counterclockwise, Linear, Probe, Rapid};
        match self.modal.motion {
            Rapid | Linear | Cancelled => return Ok(()),
            Clockwise | Counterclockwise | Probe => {}
        }
        let read = self.block.read(next, self.profile);
        read.map_err(|_| NoResume::Unreadable(self.lines + 1))?;
        let (mut axes, mut says) = (false, false);
        for word in &self.block.words {
            match (word.letter, word.tenths) {
                (b'G', Some(command)) => says |= MOTIONS.contains(&command),
                (b'X' | b'Y' | b'Z' | b'A' | b'B' | b'C', _) => axes = true,
                _ => {}
            }
        }
        if axes && !says { Err(NoResume::Arc) } else { Ok(()) }
    }
}

/// In tenths.
const MOTIONS: [u32; 5] = [0, 10, 20, 30, 800];

/// Whose effect [`Modal`] knows, in tenths.
const KNOWN_G: [u32; 31] = [
    0, 10, 20, 30, 40, 170, 180, 190, 200, 210, 280, 281, 300, 301, 400, 490, 530, 540, 550, 560,
    570, 580, 590, 610, 800, 900, 910, 911, 920, 930, 940,
];

const KNOWN_M: [u32; 8] = [0, 10, 30, 40, 50, 70, 80, 90];

#[cfg(test)]
mod tests {
    use super::*;

    fn resume(lines: &[&str]) -> Result<Vec<String>, NoResume> {
        let mut resume = Resume::new(Profile::Grbl, Head::Spindle)?;
        lines.iter().try_for_each(|line| resume.skip(line.as_bytes()))?;
        resume.preamble(b"X1")
    }

    #[test]
    fn never_for_a_laser_or_a_printer() {
        assert_eq!(Resume::new(Profile::Grbl, Head::Laser).unwrap_err(), NoResume::Laser);
        let printer = Resume::new(Profile::Marlin, Head::Spindle);
        assert_eq!(printer.unwrap_err(), NoResume::Profile);
    }

    #[test]
    fn the_modal_state_is_rebuilt() {
        let lines =
            ["G20 G90 G55", "M3 S12000", "M8", "G0 Z1", "G0 X1 Y2", "G1 Z-0.1 F10", "G91", "G1 X1"];
        let expected = [
            "G21 G90 G94 G17 G55",
            "G0 Z25.4000",
            "G0 X50.8000 Y50.8000",
            "M3 S12000",
            "M8",
            "G1 Z-2.5400 F254.000",
            "G20 G91 G94 G17",
            "G1",
        ];
        assert_eq!(resume(&lines).unwrap(), expected);
    }

    #[test]
    fn what_is_not_known_is_refused() {
        assert_eq!(resume(&["G0 X1 Y1"]), Err(NoResume::Place));
        assert_eq!(resume(&["G0 X1 Y1 Z1", "G28"]), Err(NoResume::Place));
        assert_eq!(resume(&["G0 X1 Y1 Z1", "G92 X0"]), Err(NoResume::Shift));
        assert_eq!(resume(&["", "#1=3"]), Err(NoResume::Unreadable(2)));
        assert_eq!(resume(&["M6 T1"]), Err(NoResume::Unknown(1)));
        assert_eq!(resume(&["$H"]), Err(NoResume::Unknown(1)));
    }

    #[test]
    fn a_line_that_goes_on_with_an_arc_is_no_begin() {
        let mut resume = Resume::new(Profile::Grbl, Head::Spindle).unwrap();
        for line in ["G0 X1 Y1 Z1", "G2 X2 Y2 I1 F100"] {
            resume.skip(line.as_bytes()).unwrap();
        }
        assert_eq!(resume.preamble(b"X3 Y1 I1"), Err(NoResume::Arc));
        assert!(resume.preamble(b"G3 X3 Y1 I1").is_ok());
        assert!(resume.preamble(b"M5").is_ok());
    }

    /// What the preamble leaves is what the skipped lines would have left.
    #[test]
    fn the_preamble_leads_to_the_same_state() {
        let lines = ["G91 G18 G93", "G90 G0 X5 Y6 Z7", "M4 S5", "G94 G1 X1 F100", "G91"];
        let (mut direct, mut block) = (Modal::default(), Block::default());
        for line in lines {
            block.read(line.as_bytes(), Profile::Grbl).unwrap();
            direct.apply(&block, Profile::Grbl);
        }
        let mut resumed = Modal::default();
        for line in resume(&lines).unwrap() {
            block.read(line.as_bytes(), Profile::Grbl).unwrap();
            resumed.apply(&block, Profile::Grbl);
        }
        assert_eq!(resumed, direct);
    }
}
