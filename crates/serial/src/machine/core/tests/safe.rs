//! SAFE against lines of every kind: right ones, spoilt ones, ones made to slip through. A program
//! that was never armed for sends them, as a polite sender or as a flood, in any pieces, with
//! resets, stops, breaks and new sessions between them; the board's own record says whether its
//! beam was ever on.
//!
//! [`LINES`] of them in every run of the tests; `cargo xtask soak safe` sends a million.

mod fuzz;

use super::pair::Rig;
use super::*;
use fuzz::{Dialect, Dice, Fuzz};
use sim::machine::{Board, grbl, marlin};

/// Of each kind of board.
const LINES: u64 = 2000;
/// Of one case, which has a seed of its own.
const CASE_LINES: u64 = 250;
/// A polite sender gives up after so long.
const PATIENCE: Duration = Duration::from_millis(400);

/// How the program sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// Waits for each answer.
    Polite,
    /// Waits for nothing but room.
    Flood,
    /// Waits for a while.
    Paced,
}

struct Case {
    rig: Rig,
    dice: Dice,
    fuzz: Fuzz,
    manner: Manner,
    /// Whether the board is reset, by any of the ways there are.
    resets: bool,
}

impl Case {
    fn new(dialect: Dialect, seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let mut options = grbl::Options { settings: vec![(21, 1.0)], ..grbl::Options::default() };
        if dialect == Dialect::GrblHal {
            options = grbl::Options { settings: options.settings, ..grbl::Options::grbl_hal() };
        }
        if dice.one_in(4) {
            // a spindle, no laser
            options.settings.push((32, 0.0));
        }
        let (profile, board) = match dialect {
            Dialect::Grbl => (Profile::Grbl, Board::grbl(options)),
            Dialect::GrblHal => (Profile::GrblHal, Board::grbl(options)),
            Dialect::Marlin => {
                let advanced_ok = dice.one_in(2);
                let options = marlin::Options { advanced_ok, ..marlin::Options::default() };
                (Profile::Marlin, Board::marlin(options))
            }
        };
        let config = Config { arming: true, dead_man: None, ..Config::new(profile) };
        let mut rig = Rig::of(config, board);
        rig.run(Duration::from_secs(3));
        rig.bench.begin();
        let manner = dice.pick(&[Manner::Polite, Manner::Flood, Manner::Paced]);
        let resets = dice.one_in(2);
        if dialect != Dialect::Marlin {
            // what the last job has left: `M3` alone switches the beam on
            let now = rig.now();
            rig.board.received(b"G1S1000F600\n", now);
            rig.board.take_output(now);
        }
        let fuzz = Fuzz::new(dialect, resets);
        Self { rig, dice, fuzz, manner, resets }
    }

    fn send(&mut self) {
        let line = self.fuzz.line(&mut self.dice);
        let mut rest = &line[..];
        while !rest.is_empty() {
            let most = if self.dice.one_in(3) { 4 } else { 4096 };
            let count = (1 + self.dice.below(most) as usize).min(rest.len());
            while self.rig.bench.up.as_ref().unwrap().capacity() == 0 {
                self.rig.run(ms(10));
            }
            self.rig.bench.program(&rest[..count]);
            rest = &rest[count..];
            if self.dice.one_in(4) {
                self.rig.run(Duration::from_micros(self.dice.below(4000)));
            }
        }
        match self.manner {
            Manner::Polite => self.wait_for_answer(),
            Manner::Flood => {}
            Manner::Paced => self.rig.run(Duration::from_micros(self.dice.below(12_000))),
        }
    }

    fn wait_for_answer(&mut self) {
        let until = self.rig.bench.now + PATIENCE;
        while self.rig.bench.now < until {
            self.rig.run(ms(1));
            let got = self.rig.bench.got().0;
            if got.windows(2).any(|two| two == b"ok" || two == b"er") {
                return;
            }
        }
    }

    /// What happens between lines.
    fn happen(&mut self) {
        match self.dice.below(9) {
            0 if self.resets => drop(self.rig.bench.stop()),
            1 if self.resets => self.board_boots(),
            2 => self.begin_anew(),
            3 => self.rig.bench.frame(Up::Break { on: self.dice.one_in(2) }, b""),
            4 => self.rig.bench.frame(Up::Purge { input: true, output: true }, b""),
            5 => {
                let byte = self.fuzz.realtime(&mut self.dice);
                let bytes = Bytes::from(vec![byte]);
                self.rig.bench.core.control(Control::Overtake { bytes }, self.rig.bench.now);
            }
            6 => {
                let (answer, _) = oneshot::channel();
                self.rig.bench.core.control(Control::Clear { answer }, self.rig.bench.now);
            }
            7 => self.rig.run(ms(self.dice.below(400))),
            _ => {
                let stops = self.rig.bench.core.stops;
                self.rig.bench.frame(Up::Stopped { stops }, b"");
            }
        }
        self.rig.run(ms(self.dice.below(3)));
        self.rig.bench.got();
    }

    fn board_boots(&mut self) {
        let now = self.rig.now();
        self.rig.board.boot(now);
        self.fuzz.booted();
    }

    fn begin_anew(&mut self) {
        if self.dice.one_in(2) {
            // in order
            self.rig.bench.up.as_ref().unwrap().try_send(Sent::Finish).unwrap();
        }
        self.rig.bench.up = None;
        while self.rig.bench.core.is_used() {
            self.rig.run(ms(10));
        }
        self.rig.bench.begin();
    }

    /// Gets a board that is locked, killed or busy going again.
    fn recover(&mut self) {
        if self.resets && self.dice.one_in(2) {
            self.rig.bench.program(b"\x18");
            self.rig.run(ms(20));
        }
        self.rig.bench.program(self.fuzz.unlock());
        self.rig.run(ms(50));
        if let Board::Marlin(board) = &self.rig.board
            && board.is_killed()
        {
            self.board_boots();
            self.rig.bench.program(b"M999\n");
        }
        let stops = self.rig.bench.core.stops;
        self.rig.bench.frame(Up::Stopped { stops }, b"");
        self.rig.bench.got();
    }

    fn run(&mut self) {
        for number in 0..CASE_LINES {
            if number % 40 == 0 {
                self.recover();
            }
            self.send();
            if self.dice.one_in(30) {
                self.happen();
            }
        }
        self.rig.run(ms(500));
    }
}

fn never_on(dialect: Dialect) {
    let lines = soak_number("FARHUB_SOAK_LINES", LINES);
    let first = soak_number("FARHUB_SOAK_SEED", 1);
    let (mut passed, mut refused) = (0, 0);
    for seed in first..first + lines.div_ceil(CASE_LINES) {
        let mut case = Case::new(dialect, seed);
        case.run();
        let truth = case.rig.board.truth();
        if let Some(change) = truth.beam().find(|change| change.power > 0.0) {
            let heard: Vec<u8> = case.rig.heard.iter().copied().collect();
            let heard = String::from_utf8_lossy(&heard);
            panic!(
                "{dialect:?}, FARHUB_SOAK_SEED={seed}, {:?}, resets: {}: the beam is on at \
                 {change:?}; of {:?} the board last heard {heard:?}",
                case.manner,
                case.resets,
                case.rig.now(),
            );
        }
        passed += truth.lines;
        refused += case.rig.bench.core.counters.refused_lines;
    }
    println!("{dialect:?}: {lines} lines, {refused} refused, {passed} carried out, beam never on");
    assert!(refused > lines / 10 && passed > lines / 10, "{refused} refused, {passed} passed");
}

#[test]
fn no_line_switches_the_beam_of_a_grbl_on_while_safe() {
    never_on(Dialect::Grbl);
}

#[test]
fn no_line_switches_the_beam_of_a_grbl_hal_on_while_safe() {
    never_on(Dialect::GrblHal);
}

#[test]
fn no_line_switches_the_beam_of_a_marlin_on_while_safe() {
    never_on(Dialect::Marlin);
}

/// A machine that is not armed for, with the power of the last job still set.
fn safe() -> Rig {
    let config = Config { arming: true, dead_man: None, ..grbl() };
    let mut rig = Rig::of(config, Board::grbl(grbl::Options::default()));
    rig.run(Duration::from_secs(3));
    rig.bench.begin();
    let now = rig.now();
    rig.board.received(b"G1S1000F600\n", now);
    rig.board.take_output(now);
    rig
}

/// A comment that is a command where its beginning is missing.
fn comment(bytes: usize) -> Vec<u8> {
    [b";".to_vec(), vec![b' '; bytes], b"G1 F600 M3 S1000\n".to_vec()].concat()
}

fn is_dark(rig: &Rig) -> bool {
    rig.board.truth().beam().all(|change| change.power == 0.0)
}

#[test]
fn a_line_that_a_board_writing_its_settings_hears_the_end_of() {
    for bytes in (100..260).step_by(20) {
        let mut rig = safe();
        rig.bench.program(&[b"$110=500\n".to_vec(), comment(bytes)].concat());
        rig.run(Duration::from_secs(3));
        assert!(is_dark(&rig), "{bytes}");
    }
}

#[test]
fn a_line_that_is_cut_by_a_reset() {
    for bytes in [50, 100, 200] {
        let mut rig = safe();
        rig.bench.program(&comment(bytes));
        rig.run(ms(1));
        rig.bench.program(b"\x18");
        rig.run(Duration::from_secs(3));
        assert!(is_dark(&rig), "{bytes}");
    }
}

#[test]
fn lines_that_overflow_a_board() {
    for bytes in 20..60 {
        let mut rig = safe();
        let mut program = Vec::new();
        for number in 0..40 {
            program.extend_from_slice(format!("G1 X{} F600\n", number % 2).as_bytes());
            program.extend_from_slice(&comment(bytes));
        }
        rig.bench.program(&program);
        rig.run(Duration::from_secs(9));
        assert!(is_dark(&rig), "{bytes}");
    }
}
