//! Whether the beam or spindle may be on, from the lines that a machine was given and from what
//! it says.
//!
//! Conservative: a line that cannot be read may have switched it on, and it is off only after the
//! machine has carried out what switches it off. The dead-man acts on [`Beam::may_be_on`]; the
//! gate lets move what [`Beam::is_off`].

use crate::gate::dollar::{self, Dollar};
use crate::profile::{is_answered, is_grbl};
use crate::status::Report;
use crate::words::Block;
use wire::serial::Profile;

/// What drives a Marlin machine's beam.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tool {
    /// `M3`, `M4`, `M5`.
    #[default]
    Spindle,
    /// Many convert a printer by a laser on its fan: `M106` and `M107`.
    Fan,
}

/// One machine's beam or spindle.
#[derive(Clone, Debug)]
pub struct Beam {
    profile: Profile,
    tool: Tool,
    modal: Modal,
    /// Lines that the machine has not answered.
    waiting: u32,
    /// Answers until what switched it off has been carried out.
    fading: u32,
    /// Something passed, or was seen, that may have switched it on.
    doubt: bool,
    block: Block,
}

/// As the last line left it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Modal {
    /// Nothing has been seen yet.
    Unknown,
    Off,
    On,
}

impl Beam {
    #[must_use]
    pub fn new(profile: Profile, tool: Tool) -> Self {
        let block = Block::default();
        Self { profile, tool, modal: Modal::Unknown, waiting: 0, fading: 0, doubt: false, block }
    }

    /// Whether it may be on now. Not before anything was seen that might have switched it on: who
    /// only looks at an idle machine has not started anything.
    #[must_use]
    pub fn may_be_on(&self) -> bool {
        self.modal == Modal::On || self.fading > 0 || self.doubt
    }

    /// Whether it is known to be off: the machine has taken what switched it off, and nothing
    /// since could have switched it on. Before anything is known it is neither this nor
    /// [`Beam::may_be_on`].
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.modal == Modal::Off && self.fading == 0 && !self.doubt
    }

    /// A line, without its end, is on its way to the machine. Every line: to GRBL `\r\n` ends two.
    pub fn line(&mut self, line: &[u8]) {
        if !is_answered(self.profile, line) {
            return;
        }
        let effect = match self.block.read(line, self.profile) {
            Ok(()) => self.effect(),
            Err(_) => Effect::Doubt,
        };
        self.waiting = self.waiting.saturating_add(1);
        match effect {
            Effect::None => {}
            Effect::On => (self.modal, self.fading) = (Modal::On, 0),
            Effect::Off if self.modal == Modal::Off => {}
            Effect::Off => (self.modal, self.fading) = (Modal::Off, self.waiting),
            Effect::Doubt => self.doubt = true,
        }
    }

    /// The machine has said something.
    pub fn received(&mut self, report: &Report) {
        if report.frees_a_line(self.profile) {
            self.waiting = self.waiting.saturating_sub(1);
            // GRBL drops a line with an error whole, its M5 too.
            let refused = matches!(report, Report::Error { .. });
            self.doubt |= refused && self.fading == 1;
            self.fading = self.fading.saturating_sub(1);
        }
        match report {
            Report::Greeting | Report::Halted => self.switched_off(),
            // The answer to `$G` comes before its own `ok`.
            Report::Modes(modes) if modes.spindle => self.modal = Modal::On,
            Report::Modes(_) if self.waiting <= 1 => self.switched_off(),
            Report::Status(status) => match status.spindle_on() {
                Some(true) => self.doubt |= self.modal != Modal::On && self.fading == 0,
                Some(false) if status.at_rest() && self.waiting == 0 => {
                    (self.doubt, self.fading) = (false, 0);
                }
                Some(false) | None => {}
            },
            _ => {}
        }
    }

    /// A stop was confirmed: the machine has forgotten what it was given.
    pub fn switched_off(&mut self) {
        (self.modal, self.waiting, self.fading, self.doubt) = (Modal::Off, 0, 0, false);
    }

    fn effect(&self) -> Effect {
        let block = &self.block;
        if block.text.first() == Some(&b'$') {
            return match dollar::read(block, self.profile) {
                Some(Dollar::Query | Dollar::Unlock | Dollar::Motion | Dollar::Setting) => {
                    Effect::None
                }
                None => Effect::Doubt,
            };
        }
        let mut off = false;
        for word in &block.words {
            match (word.letter, word.tenths) {
                (b'M', Some(30 | 40)) => return Effect::On,
                (b'M', Some(50)) => off = true,
                // GRBL `gcode.c`: the program's end switches the spindle off. Marlin: another M30.
                (b'M', Some(20 | 300)) if is_grbl(self.profile) => off = true,
                (b'M', Some(1060)) if self.tool == Tool::Fan => {
                    let stops = block.word(b'S').is_some_and(|speed| speed.value == Some(0.0));
                    if !stops {
                        return Effect::On;
                    }
                    off = true;
                }
                (b'M', Some(1070)) if self.tool == Tool::Fan => off = true,
                // Programs that the machine has itself: M24, M32, M98; and what is no number.
                (b'M', Some(240 | 320 | 980) | None) => return Effect::Doubt,
                // Smoothie's laser fires while it moves, without any M3.
                (b'G', Some(10 | 20 | 30)) if self.profile == Profile::Smoothie => {
                    return Effect::Doubt;
                }
                _ => {}
            }
        }
        if off { Effect::Off } else { Effect::None }
    }
}

enum Effect {
    None,
    On,
    Off,
    Doubt,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beam(profile: Profile, lines: &[&str]) -> Beam {
        let mut beam = Beam::new(profile, Tool::Spindle);
        lines.iter().for_each(|line| beam.line(line.as_bytes()));
        beam
    }

    fn hears(beam: &mut Beam, lines: &[&str]) {
        for line in lines {
            beam.received(&Report::read(line.as_bytes(), beam.profile));
        }
    }

    #[test]
    fn an_idle_terminal_switches_nothing_on() {
        let beam = beam(Profile::Grbl, &["", "$$", "$I", "G0 X1", "$J=G91 X1 F100", "S1000"]);
        assert!(!beam.may_be_on());
        // But nobody said yet that it is off.
        assert!(!beam.is_off());
    }

    #[test]
    fn it_is_off_once_the_machine_has_carried_out_m5() {
        let mut beam = beam(Profile::Grbl, &["M4 S0", "G1 X1 S500 F100", "m 5", "G0 X0"]);
        assert!(!beam.is_off());
        hears(&mut beam, &["ok", "error:22"]);
        assert!(beam.may_be_on());
        hears(&mut beam, &["ok"]);
        assert!(!beam.may_be_on() && beam.is_off());
        beam.line(b"M3");
        assert!(beam.may_be_on());
        hears(&mut beam, &["ok", "ok", "<Idle|FS:0,0|Ov:100,100,100>"]);
        // M3 with no power yet: the next S would be enough.
        assert!(beam.may_be_on());
        hears(&mut beam, &["Grbl 1.1h ['$' for help]"]);
        assert!(!beam.may_be_on() && beam.is_off());
    }

    #[test]
    fn m5_in_a_line_that_was_refused_is_none() {
        let mut beam = beam(Profile::Grbl, &["M3 S1", "M5 M5"]);
        hears(&mut beam, &["ok", "error:21"]);
        assert!(beam.may_be_on() && !beam.is_off());
    }

    #[test]
    fn startup_lines_are_run_after_the_greeting() {
        let mut beam = Beam::new(Profile::Grbl, Tool::Spindle);
        hears(&mut beam, &["Grbl 1.1h ['$' for help]", ">G54G20:ok"]);
        assert!(beam.is_off());
        hears(&mut beam, &[">M4S1000:ok"]);
        assert!(beam.may_be_on() && !beam.is_off());
    }

    #[test]
    fn the_modes_tell_what_nobody_has_seen() {
        let mut off = beam(Profile::Grbl, &["$G"]);
        hears(&mut off, &["[GC:G0 G54 G17 G21 G90 G94 M5 M9 T0 F0 S0]", "ok"]);
        assert!(off.is_off());
        let mut on = beam(Profile::Grbl, &["$G"]);
        hears(&mut on, &["[GC:G0 G54 G17 G21 G90 G94 M4 M9 T0 F0 S0]", "ok"]);
        assert!(on.may_be_on());
    }

    #[test]
    fn what_cannot_be_read_is_in_doubt_until_the_machine_says() {
        for line in ["O100 call", "$SD/Run=burn.nc", "M3.0001", "(open", "$F=/burn.nc"] {
            let mut beam = beam(Profile::FluidNc, &[line]);
            assert!(beam.may_be_on(), "{line}");
            hears(&mut beam, &["<Idle|FS:0,0>"]);
            assert!(beam.may_be_on(), "{line}: not answered yet");
            hears(&mut beam, &["error:20", "<Idle|FS:0,0>"]);
            assert!(!beam.may_be_on(), "{line}");
        }
        let mut beam = Beam::new(Profile::Grbl, Tool::Spindle);
        hears(&mut beam, &["<Run|FS:100,500>"]);
        assert!(beam.may_be_on());
    }

    #[test]
    fn marlin_answers_no_empty_lines_and_no_comments() {
        let mut beam = beam(Profile::Marlin, &["; a layer", "", "M3 S9", "", "; M5", "M5", ""]);
        hears(&mut beam, &["ok", "ok"]);
        assert!(beam.is_off());
    }

    #[test]
    fn lasers_on_a_fan() {
        let mut fan = Beam::new(Profile::Marlin, Tool::Fan);
        fan.line(b"N1 M106 S0*102");
        hears(&mut fan, &["ok"]);
        assert!(fan.is_off());
        fan.line(b"M106");
        assert!(fan.may_be_on());
        fan.line(b"M107");
        hears(&mut fan, &["ok", "ok"]);
        assert!(fan.is_off());
        assert!(!beam(Profile::Marlin, &["M106 S255"]).may_be_on());
        assert!(beam(Profile::Smoothie, &["G1 X1"]).may_be_on());
    }
}
