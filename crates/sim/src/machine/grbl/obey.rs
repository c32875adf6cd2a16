//! Orders are obeyed one by one: an order that has to wait, for room in the planner or for motion
//! to end, keeps those behind it and the receive buffer waiting. That is why a sender must count.

use super::block::{Coolant, Spindle};
use super::{Code, Grbl, State};
use crate::machine::motion::Move;
use std::time::Duration;

#[derive(Clone, Debug)]
pub(super) enum Order {
    /// `ok` or `error:n`.
    Answer(Result<(), Code>),
    Say(String),
    /// Waits until nothing moves.
    Sync,
    Wait {
        until: Duration,
    },
    Pause {
        time: Duration,
    },
    Spindle(Spindle, f64),
    Coolant(Coolant),
    Move {
        order: Move,
        jog: bool,
    },
    /// Work coordinates have changed.
    Offsets([f64; 3]),
    /// An EEPROM write.
    Write(Duration),
    ProgramPause,
    Homed([f64; 3]),
    /// The probe has not met anything.
    ProbeFailed {
        alarm: bool,
    },
    /// The last word before a reset that the program asked for itself.
    OkAndReset,
    OkAndSleep,
    /// The startup lines are due.
    Startup,
    /// The program has ended: spindle and coolant are off.
    ProgramEnd,
}

impl Grbl {
    /// Obeys the first order. `false` when it has to wait.
    pub(super) fn obey(&mut self) -> bool {
        let Some(order) = self.orders.front().cloned() else { return false };
        let done = match order {
            Order::Sync => self.is_still(),
            Order::Wait { until } => self.now >= until,
            Order::Move { order, jog } => return self.obey_move(order, jog),
            other => {
                self.orders.pop_front();
                self.obey_now(other);
                return true;
            }
        };
        if done {
            self.orders.pop_front();
        }
        done
    }

    /// `protocol_buffer_synchronize`: starts what is queued.
    fn is_still(&mut self) -> bool {
        self.cycle_start();
        self.motion.is_empty() && self.state != State::Run
    }

    fn obey_move(&mut self, order: Move, jog: bool) -> bool {
        let [x, y, z, _] = order.target;
        if !jog && self.settings.is_on(20) && self.settings.is_outside(&[x, y, z]) {
            return self.soft_limit();
        }
        if self.state == State::Check {
            self.orders.pop_front();
            return true;
        }
        if self.motion.free() == 0 {
            self.cycle_start();
            return false;
        }
        self.orders.pop_front();
        if !self.motion.push(order) {
            let spindle = self.modal.spindle;
            if self.is_laser() && spindle == Spindle::Clockwise {
                self.orders.push_front(Order::Spindle(spindle, order.beam.power));
                self.orders.push_front(Order::Sync);
            }
        } else if jog && self.state == State::Idle {
            self.state = State::Jog;
            self.motion.start();
            self.follow_motion();
        }
        true
    }

    /// A move would leave the machine's travel: it stops in good order, and then it is an alarm.
    fn soft_limit(&mut self) -> bool {
        if self.state == State::Run && !self.suspend.soft_limit {
            self.suspend.soft_limit = true;
            self.flags.hold = true;
            return true;
        }
        if matches!(self.state, State::Idle | State::Check) {
            self.alarm(2);
            return true;
        }
        false
    }

    fn obey_now(&mut self, order: Order) {
        let check = self.state == State::Check;
        match order {
            Order::Answer(Ok(())) => {
                self.truth.lines += 1;
                self.say("ok");
            }
            Order::Answer(Err(Code(number))) => {
                self.truth.lines_refused += 1;
                self.say(&format!("error:{number}"));
            }
            Order::Say(text) => self.say(&text),
            Order::Pause { .. } | Order::Spindle(..) | Order::Coolant(_) if check => {}
            Order::Pause { time } => {
                self.orders.push_front(Order::Wait { until: self.now + time });
            }
            Order::Spindle(spindle, speed) => self.set_spindle(spindle, speed),
            Order::Coolant(coolant) => self.coolant = coolant,
            Order::Offsets(wco) => {
                self.wco = wco;
                self.reports.offsets = 0;
            }
            Order::Write(time) => {
                self.frozen_until = self.now + time;
                if self.options.deaf_in_writes {
                    self.deaf_until = self.frozen_until;
                }
            }
            Order::ProgramPause if check => {}
            Order::ProgramPause => {
                self.flags.hold = true;
                self.orders.push_front(Order::Sync);
            }
            Order::Homed([x, y, z]) => {
                self.motion.set_position([x, y, z, 0.0]);
                self.sync_position();
                self.state = State::Idle;
            }
            Order::OkAndReset | Order::OkAndSleep => {
                self.truth.lines += 1;
                self.say("ok");
                match order {
                    Order::OkAndSleep => self.flags.sleep = true,
                    _ => self.kill(),
                }
            }
            Order::Startup => {
                for order in self.startup().into_iter().rev() {
                    self.orders.push_front(order);
                }
            }
            Order::ProbeFailed { alarm } => {
                self.sync_position();
                self.say(&format!("[PRB:{}:0]", self.axes(&[0.0; 3])));
                if alarm {
                    self.flags.alarm = Some(5);
                }
            }
            Order::ProgramEnd => {
                if !check {
                    self.overrides = super::realtime::Overrides::default();
                    self.motion.set_overrides(100.0, 100.0);
                    self.set_spindle(Spindle::Off, 0.0);
                    self.coolant = Coolant::default();
                }
                self.message("Pgm End");
            }
            Order::Sync | Order::Wait { .. } | Order::Move { .. } => {
                unreachable!("these may wait, and are obeyed elsewhere")
            }
        }
    }
}
