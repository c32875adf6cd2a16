//! Realtime bytes: picked out of the stream as they come (`serial.c`, `ISR(SERIAL_RX)`), served
//! when the program looks (`protocol_exec_rt_system`), and reset, which does not wait for that.

use super::block::{Coolant, Spindle};
use super::suspend::SpindleStop;
use super::{ALARM_PAUSE, Flavor, Grbl, State};
use crate::machine::motion::Beam;

/// What is still to be served.
#[derive(Debug, Default)]
pub(super) struct Flags {
    pub reset: bool,
    status: bool,
    full_status: bool,
    parser_state: bool,
    start: bool,
    pub hold: bool,
    door: bool,
    cancel: bool,
    stop: bool,
    pub sleep: bool,
    pub alarm: Option<u8>,
    /// After a hard or soft limit: nothing but a reset helps.
    critical: bool,
    overrides: Vec<u8>,
}

/// In percent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Overrides {
    pub feed: u8,
    pub rapid: u8,
    pub spindle: u8,
}

impl Default for Overrides {
    fn default() -> Self {
        Self { feed: 100, rapid: 100, spindle: 100 }
    }
}

impl Grbl {
    /// Takes a realtime byte out of the stream. Any other byte above 127 is thrown away.
    pub(super) fn is_realtime(&mut self, byte: u8) -> bool {
        let hal = self.options.flavor == Flavor::GrblHal;
        match byte {
            0x18 => self.kill(),
            b'?' => self.flags.status = true,
            b'~' => self.flags.start = true,
            b'!' => self.flags.hold = true,
            0x84 => self.flags.door = true,
            0x85 => self.flags.cancel |= self.state == State::Jog,
            0x90..=0x97 | 0x99..=0x9E | 0xA0 | 0xA1 => self.flags.overrides.push(byte),
            0x19 if hal => self.flags.stop = true,
            0x80 if hal => self.flags.status = true,
            0x81 if hal => self.flags.start = true,
            0x82 if hal => self.flags.hold = true,
            0x83 if hal => self.flags.parser_state = true,
            0x87 if hal => (self.flags.status, self.flags.full_status) = (true, true),
            0x80.. => {}
            _ => return false,
        }
        true
    }

    /// `mc_reset`: beam, coolant and motors are off at once; the rest follows when the program
    /// looks.
    pub(super) fn kill(&mut self) {
        if self.flags.reset {
            return;
        }
        self.flags.reset = true;
        let moving = matches!(self.state, State::Run | State::Home | State::Jog);
        if moving || self.motion.is_moving() {
            let alarm = if self.state == State::Home { 6 } else { 3 };
            self.flags.alarm.get_or_insert(alarm);
        }
        self.motion.clear();
        self.set_spindle(Spindle::Off, 0.0);
        self.coolant = Coolant::default();
    }

    /// Something is triggered that stops all: a limit switch, or a limit of software.
    pub(super) fn alarm(&mut self, number: u8) {
        self.kill();
        self.flags.alarm = Some(number);
    }

    /// A limit switch is hit. Without `$21=1`, nothing happens.
    pub fn press_limit(&mut self, now: std::time::Duration) {
        self.advance(now);
        if self.settings.is_on(21) && !matches!(self.state, State::Alarm | State::Home) {
            self.alarm(1);
            self.work();
        }
    }

    /// Serves what is flagged. `false` when the program goes no further now.
    pub(super) fn serve_realtime(&mut self) -> bool {
        if let Some(number) = self.flags.alarm.take() {
            self.state = State::Alarm;
            self.say(&format!("ALARM:{number}"));
            self.flags.critical = number <= 2;
            self.frozen_until = self.now + ALARM_PAUSE;
            if self.flags.critical {
                self.message("Reset to continue");
                self.flags.reset = false;
            }
            return false;
        }
        if self.state == State::Home && !self.flags.reset {
            return self.serve_homing();
        }
        if self.flags.reset {
            self.restart();
            return true;
        }
        if self.flags.critical {
            return false;
        }
        self.serve_reports();
        if std::mem::take(&mut self.flags.stop) {
            self.stop();
        }
        let start = std::mem::take(&mut self.flags.start);
        let stopped = self.serve_holds();
        if start && !stopped {
            self.cycle_start();
        }
        for byte in std::mem::take(&mut self.flags.overrides) {
            self.serve_override(byte);
        }
        !self.suspended()
    }

    /// A homing cycle looks for a door and a reset, and for nothing else.
    fn serve_homing(&mut self) -> bool {
        if std::mem::take(&mut self.flags.door) {
            self.alarm(7);
            return self.serve_realtime();
        }
        true
    }

    fn serve_reports(&mut self) {
        if std::mem::take(&mut self.flags.full_status) {
            self.reports = super::report::Counters::default();
        }
        if std::mem::take(&mut self.flags.status) {
            self.report_status();
        }
        if std::mem::take(&mut self.flags.parser_state) {
            let modes = self.parser_state();
            self.say(&modes);
        }
    }

    /// Feed hold, safety door, jog cancel and sleep. Whether there was one.
    fn serve_holds(&mut self) -> bool {
        let hold = std::mem::take(&mut self.flags.hold);
        let door = std::mem::take(&mut self.flags.door);
        let cancel = std::mem::take(&mut self.flags.cancel);
        let sleep = std::mem::take(&mut self.flags.sleep);
        if !(hold || door || cancel || sleep) {
            return false;
        }
        if !matches!(self.state, State::Alarm | State::Check) {
            if matches!(self.state, State::Run | State::Jog) && !self.suspend.jog_cancel {
                self.motion.hold();
                self.suspend.jog_cancel = self.state == State::Jog && !sleep;
            }
            if self.state == State::Idle {
                self.suspend.hold_complete = true;
            }
            if hold && !matches!(self.state, State::Door | State::Jog | State::Sleep) {
                self.state = State::Hold;
            }
            if door {
                self.door();
            }
        }
        if sleep {
            self.suspend.hold_complete = true;
            self.state = State::Sleep;
        }
        hold || door || cancel
    }

    /// grblHAL's `CMD_STOP`: everything is dropped, nothing is locked.
    fn stop(&mut self) {
        if matches!(self.state, State::Alarm | State::Sleep) {
            return;
        }
        self.motion.clear();
        self.set_spindle(Spindle::Off, 0.0);
        self.coolant = Coolant::default();
        self.orders.clear();
        self.rx.clear();
        self.line = super::Line::default();
        self.reset_parser();
        self.suspend = super::Suspend::default();
        self.state = State::Idle;
    }

    /// After a reset: everything as after power, but for where the machine is (`main.c`).
    fn restart(&mut self) {
        let state = self.state;
        self.flags = Flags::default();
        self.suspend = super::Suspend::default();
        self.overrides = Overrides::default();
        self.motion.clear();
        self.motion.set_overrides(100.0, 100.0);
        self.orders.clear();
        self.rx.clear();
        self.line = super::Line::default();
        self.reset_parser();
        self.reports = super::report::Counters::default();
        self.truth.boots += 1;
        self.greet();
        if matches!(state, State::Alarm | State::Sleep) {
            self.message("'$H'|'$X' to unlock");
            self.state = State::Alarm;
            return;
        }
        self.state = State::Idle;
        if self.pins.door {
            self.flags.door = true;
        }
        let startup = self.startup();
        self.orders.extend(startup);
    }

    fn serve_override(&mut self, byte: u8) {
        let before = self.overrides;
        let change = |percent: u8, by: i16| (i16::from(percent) + by).clamp(10, 200) as u8;
        match byte {
            0x90 => self.overrides.feed = 100,
            0x91 => self.overrides.feed = change(before.feed, 10),
            0x92 => self.overrides.feed = change(before.feed, -10),
            0x93 => self.overrides.feed = change(before.feed, 1),
            0x94 => self.overrides.feed = change(before.feed, -1),
            0x95 => self.overrides.rapid = 100,
            0x96 => self.overrides.rapid = 50,
            0x97 => self.overrides.rapid = 25,
            0x99 => self.overrides.spindle = 100,
            0x9A => self.overrides.spindle = change(before.spindle, 10),
            0x9B => self.overrides.spindle = change(before.spindle, -10),
            0x9C => self.overrides.spindle = change(before.spindle, 1),
            0x9D => self.overrides.spindle = change(before.spindle, -1),
            0x9E => self.toggle_spindle_stop(),
            _ => self.toggle_coolant(byte == 0xA0),
        }
        if self.overrides == before {
            return;
        }
        self.reports.overrides = 0;
        let Overrides { feed, rapid, spindle } = self.overrides;
        self.motion.set_overrides(feed.into(), rapid.into());
        if spindle != before.spindle {
            match self.state {
                State::Idle => self.set_spindle(self.modal.spindle, self.speed),
                State::Hold if self.suspend.hold_complete => self.spindle_in_hold(),
                _ => self.follow_motion(),
            }
        }
    }

    fn toggle_spindle_stop(&mut self) {
        if self.state == State::Hold {
            self.suspend.spindle_stop = match self.suspend.spindle_stop {
                SpindleStop::No => SpindleStop::Wanted,
                SpindleStop::Stopped => SpindleStop::Restore,
                other @ (SpindleStop::Wanted | SpindleStop::Restore) => other,
            };
        }
    }

    fn toggle_coolant(&mut self, flood: bool) {
        if matches!(self.state, State::Idle | State::Run | State::Hold | State::Jog) {
            let coolant = &mut self.modal.coolant;
            let which = if flood { &mut coolant.flood } else { &mut coolant.mist };
            *which = !*which;
            self.coolant = *coolant;
            self.reports.overrides = 0;
        }
    }

    /// `spindle_set_state`, while nothing moves: a laser with dynamic power is dark then.
    pub(super) fn set_spindle(&mut self, spindle: Spindle, speed: f64) {
        let dark = self.is_laser() && spindle == Spindle::Counterclockwise;
        let speed = if dark || spindle == Spindle::Off { 0.0 } else { speed };
        self.spindle = (spindle, self.output(speed));
        self.reports.overrides = 0;
        self.truth.beam_is(self.now, self.spindle.1);
    }

    /// `S` after override and limits (`spindle_compute_pwm_value`).
    fn output(&self, speed: f64) -> f64 {
        let (least, most) = (self.settings.get(31), self.settings.get(30));
        let speed = speed * f64::from(self.overrides.spindle) / 100.0;
        let speed = match speed {
            ..=0.0 => 0.0,
            _ if least >= most => most,
            _ => speed.clamp(least, most),
        };
        // The output has 255 steps; thousandths are more than enough.
        (speed * 1000.0).round() / 1000.0
    }

    /// The beam does what the block under way says; dynamic power ends with the motion.
    pub(super) fn follow_motion(&mut self) {
        match self.motion.beam() {
            Some(Beam { power, dynamic }) => {
                let power = self.output(power);
                self.spindle.1 = power;
                self.was_dynamic = dynamic;
            }
            None if self.was_dynamic => {
                self.spindle.1 = 0.0;
                self.was_dynamic = false;
            }
            None => return,
        }
        self.truth.beam_is(self.now, self.spindle.1);
    }
}
