//! After STOP: no line of a program runs until somebody unlocks the machine.
//!
//! STOP leaves the firmware itself unlocked where it stood still (GRBL is `Idle` after a reset
//! while held). A program that has not noticed would go on with its next line, so that lines are
//! refused here, as the firmware refuses them in its alarm state.

use super::dollar::{self, Dollar};
use super::{Refused, Verdict, Why, number, numbered};
use crate::profile::is_grbl;
use crate::realtime::RESET;
use crate::words::Block;
use wire::serial::Profile;

/// Holds lines back after a stop.
#[derive(Clone, Debug)]
pub struct Latch {
    profile: Profile,
    set: bool,
    block: Block,
}

impl Latch {
    #[must_use]
    pub fn new(profile: Profile) -> Self {
        Self { profile, set: false, block: Block::default() }
    }

    /// The machine was stopped.
    pub fn set(&mut self) {
        self.set = true;
    }

    /// A person said that it may go on, or the program has opened the port anew.
    pub fn clear(&mut self) {
        self.set = false;
    }

    #[must_use]
    pub fn is_set(&self) -> bool {
        self.set
    }

    /// A realtime byte passes; a soft reset unlocks, as the program knows then that all it sent
    /// is forgotten.
    pub fn realtime(&mut self, byte: u8) {
        if byte == RESET && self.profile != Profile::Raw {
            self.set = false;
        }
    }

    /// Whether a line, without its end, may go to the machine: `$X`, `$H` and `M999` unlock.
    #[must_use]
    pub fn line(&mut self, line: &[u8]) -> Verdict {
        if !self.set {
            return Verdict::Pass;
        }
        let read = self.block.read(line, self.profile).is_ok();
        if read && self.unlocks() {
            self.set = false;
            return Verdict::Pass;
        }
        if read && self.asks() {
            return Verdict::Pass;
        }
        Verdict::Refuse(refused(self.profile, line))
    }

    fn unlocks(&self) -> bool {
        let block = &self.block;
        let grbl = is_grbl(self.profile) || self.profile == Profile::Smoothie;
        let m999 = matches!(block.words[..], [word] if word.is(b'M', 9990));
        (m999 && matches!(self.profile, Profile::Marlin | Profile::Smoothie))
            || grbl
                && (matches!(dollar::read(block, self.profile), Some(Dollar::Unlock))
                    || block.text == b"$H")
    }

    /// GRBL answers `$` commands and empty lines in its alarm state too.
    fn asks(&self) -> bool {
        is_grbl(self.profile)
            && (self.block.is_empty()
                || dollar::read(&self.block, self.profile) == Some(Dollar::Query))
    }
}

/// What the firmware says to lines in its alarm, halted or stopped state: GRBL `report.c`,
/// Smoothie `GcodeDispatch.cpp`, Marlin `language.h`.
fn refused(profile: Profile, line: &[u8]) -> Refused {
    let number = number(line).filter(|_| profile == Profile::Marlin);
    let answer: &[u8] = match (profile, number) {
        (Profile::Grbl | Profile::GrblHal | Profile::FluidNc, _) => {
            b"[MSG:'$H'|'$X' to unlock]\r\nerror:9\r\n"
        }
        (Profile::Smoothie, _) => b"!!\r\n",
        (Profile::Marlin, None) => {
            b"Error:Printer stopped due to errors. Fix the error and use M999 to restart.\nok\n"
        }
        (Profile::Marlin, Some(_)) => {
            b"Error:Printer stopped due to errors. Fix the error and use M999 to restart.\n"
        }
        (Profile::Raw, _) => b"",
    };
    let instead = number.map(|number| numbered(number, false));
    Refused { why: Why::Stopped, answer: answer.to_vec(), instead }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(latch: &mut Latch, line: &str) -> bool {
        latch.line(line.as_bytes()) == Verdict::Pass
    }

    #[test]
    fn grbl_alarm_lock() {
        let mut latch = Latch::new(Profile::Grbl);
        assert!(passes(&mut latch, "G1 X10"));
        latch.set();
        for line in ["G1 X10", "M5", "$J=G91 X1 F1", "$110=1", "M3 S1", "(x", "$SD/Run=x"] {
            assert!(!passes(&mut latch, line), "{line}");
        }
        for line in ["", "$", "$$", "$I", "$G", "; nothing"] {
            assert!(passes(&mut latch, line), "{line}");
        }
        assert!(latch.is_set());
        assert!(passes(&mut latch, "$x") && !latch.is_set());
        latch.set();
        assert!(passes(&mut latch, "$H") && !latch.is_set());
        latch.set();
        latch.realtime(0x84);
        assert!(latch.is_set());
        latch.realtime(RESET);
        assert!(passes(&mut latch, "G1 X10"));
    }

    #[test]
    fn marlin_stopped() {
        let mut latch = Latch::new(Profile::Marlin);
        latch.set();
        let Verdict::Refuse(refused) = latch.line(b"N7 G1 X1*102") else { panic!("refused") };
        assert!(refused.answer.starts_with(b"Error:Printer stopped"));
        assert_eq!(refused.instead.as_deref(), Some(&b"N7 M105*32\n"[..]));
        let Verdict::Refuse(refused) = latch.line(b"G1 X1") else { panic!("refused") };
        assert!(refused.answer.ends_with(b"\nok\n") && refused.instead.is_none());
        assert!(!passes(&mut latch, "M999 S1"));
        assert!(passes(&mut latch, "N8 M999*34") && !latch.is_set());
    }

    #[test]
    fn raw_is_unlocked_by_a_person_or_by_opening_it() {
        let mut latch = Latch::new(Profile::Raw);
        latch.set();
        latch.realtime(RESET);
        assert!(!passes(&mut latch, "$X"));
        latch.clear();
        assert!(passes(&mut latch, "anything"));
    }
}
