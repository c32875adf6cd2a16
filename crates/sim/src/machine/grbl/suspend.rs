//! Hold, safety door and sleep: what goes on while the program is suspended
//! (`protocol_exec_rt_suspend`), and how motion starts and stops.

use super::block::{Coolant, Spindle};
use super::{Grbl, State};
use std::time::Duration;

#[derive(Debug, Default)]
pub(super) struct Suspend {
    pub hold_complete: bool,
    pub jog_cancel: bool,
    retracted: bool,
    ajar: bool,
    /// Until spindle and coolant are back after a door.
    restore_until: Option<Duration>,
    pub spindle_stop: SpindleStop,
    entered: bool,
    sleeping: bool,
    pub soft_limit: bool,
}

/// The spindle stop override, which has an effect in a hold only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum SpindleStop {
    #[default]
    No,
    Wanted,
    Stopped,
    Restore,
}

/// What a person does to the inputs.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pins {
    pub door: bool,
}

/// `SAFETY_DOOR_SPINDLE_DELAY` and `SAFETY_DOOR_COOLANT_DELAY`.
const SPINDLE_DELAY: Duration = Duration::from_secs(4);
const COOLANT_DELAY: Duration = Duration::from_secs(1);

impl Suspend {
    fn is_active(&self) -> bool {
        self.hold_complete || self.jog_cancel || self.ajar
    }

    pub(super) fn restore_at(&self) -> Option<Duration> {
        self.restore_until
    }

    /// The digit behind `Door:`.
    pub(super) fn door_digit(&self) -> u8 {
        match (self.restore_until, self.retracted, self.ajar) {
            (Some(_), ..) => 3,
            (None, false, _) => 2,
            (None, true, true) => 1,
            (None, true, false) => 0,
        }
    }
}

impl Grbl {
    /// The door switch (an input that stock boards do not have).
    pub fn open_door(&mut self, now: Duration) {
        self.advance(now);
        self.pins.door = true;
        self.is_realtime(0x84);
        self.work();
    }

    pub fn close_door(&mut self, now: Duration) {
        self.advance(now);
        self.pins.door = false;
        self.work();
    }

    pub(super) fn door(&mut self) {
        self.message("Check Door");
        if !self.suspend.jog_cancel {
            if self.state == State::Door && self.suspend.restore_until.take().is_some() {
                self.suspend.retracted = false;
            }
            if self.state != State::Sleep {
                self.state = State::Door;
            }
        }
        self.suspend.ajar = true;
    }

    /// Motion begins, or a hold ends (`EXEC_CYCLE_START`).
    pub(super) fn cycle_start(&mut self) {
        if self.state == State::Door && !self.suspend.ajar && self.suspend.retracted {
            self.restore();
            return;
        }
        let ready = self.state == State::Hold && self.suspend.hold_complete;
        if self.state != State::Idle && !ready {
            return;
        }
        if ready && self.suspend.spindle_stop == SpindleStop::Stopped {
            self.message("Restoring spindle");
            if !self.is_laser() {
                self.set_spindle(self.modal.spindle, self.speed);
            }
        }
        if self.state == State::Idle && self.motion.is_empty() {
            return;
        }
        self.suspend = Suspend::default();
        self.state = if self.motion.is_empty() { State::Idle } else { State::Run };
        self.motion.start();
        self.follow_motion();
    }

    /// A door is closed again, and a resume is asked for.
    fn restore(&mut self) {
        if self.suspend.restore_until.is_some() {
            return;
        }
        let mut delay = Duration::ZERO;
        if self.modal.spindle != Spindle::Off && !self.is_laser() {
            self.set_spindle(self.modal.spindle, self.speed);
            delay += SPINDLE_DELAY;
        }
        if self.modal.coolant != Coolant::default() {
            self.coolant = self.modal.coolant;
            delay += COOLANT_DELAY;
        }
        self.suspend.restore_until = Some(self.now + delay);
    }

    /// Motion has come to its end, by itself or in a hold (`EXEC_CYCLE_STOP`).
    pub(super) fn cycle_stopped(&mut self) {
        let held = matches!(self.state, State::Hold | State::Door | State::Sleep);
        if held && !self.suspend.soft_limit && !self.suspend.jog_cancel {
            self.suspend.hold_complete = true;
            return;
        }
        if self.suspend.jog_cancel {
            self.motion.clear();
            self.sync_position();
        }
        if self.suspend.ajar {
            self.suspend.jog_cancel = false;
            self.suspend.hold_complete = true;
            self.state = State::Door;
        } else if self.state != State::Home {
            self.suspend = Suspend::default();
            self.state = State::Idle;
        }
    }

    /// Whether the program waits in a hold, at a door or in sleep, after what is to be done there.
    pub(super) fn suspended(&mut self) -> bool {
        if !self.suspend.is_active() {
            return false;
        }
        if !std::mem::replace(&mut self.suspend.entered, true)
            && self.is_laser()
            && self.options.laser_off_in_hold
            && self.state == State::Hold
        {
            self.suspend.spindle_stop = SpindleStop::Wanted;
        }
        if !self.suspend.hold_complete {
            return true;
        }
        match self.state {
            State::Door | State::Sleep => self.de_energize(),
            _ => self.serve_spindle_stop(),
        }
        if self.state == State::Door && self.suspend.restore_until.is_some_and(|at| at <= self.now)
        {
            self.suspend = Suspend::default();
            self.state = State::Idle;
            self.cycle_start();
        }
        self.suspend.is_active()
    }

    fn de_energize(&mut self) {
        if !self.suspend.retracted {
            self.suspend.spindle_stop = SpindleStop::No;
            self.set_spindle(Spindle::Off, 0.0);
            self.coolant = Coolant::default();
            self.suspend.retracted = true;
        }
        if self.state == State::Sleep {
            if !std::mem::replace(&mut self.suspend.sleeping, true) {
                self.message("Sleeping");
            }
        } else if !self.pins.door {
            self.suspend.ajar = false;
        }
    }

    fn serve_spindle_stop(&mut self) {
        self.suspend.spindle_stop = match self.suspend.spindle_stop {
            SpindleStop::Wanted if self.modal.spindle == Spindle::Off => SpindleStop::No,
            SpindleStop::Wanted => {
                self.set_spindle(Spindle::Off, 0.0);
                SpindleStop::Stopped
            }
            SpindleStop::Restore => {
                if self.modal.spindle != Spindle::Off {
                    self.message("Restoring spindle");
                    self.spindle_in_hold();
                }
                SpindleStop::No
            }
            rest @ (SpindleStop::No | SpindleStop::Stopped) => rest,
        };
    }

    /// The spindle as it is to be in a hold: as in the block that waits, or else as programmed.
    pub(super) fn spindle_in_hold(&mut self) {
        if self.suspend.spindle_stop != SpindleStop::Stopped {
            let speed = self.motion.waiting_beam().map_or(self.speed, |beam| beam.power);
            self.set_spindle(self.modal.spindle, speed);
        }
    }
}
