//! What the port's thread decides, without I/O and with the time given: what to do to the port
//! next, what everybody is told, and when to look again.

mod buttons;
mod climb;
mod hearing;
mod job;
mod sending;
mod using;

use super::output::{Behind, Output};
use super::state::{self, Counters, Reason, State, StopPath, Stopped};
use super::{Begin, Config, Control, Watching};
use crate::button::{Button, Look};
use crate::guard::{self, Guard};
use crate::tty;
use bytes::Bytes;
use climb::Climb;
use gcode::beam::Beam;
use hearing::Hearing;
use job::Job;
use sending::Sending;
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use using::{Armed, User};
use wire::Text;
use wire::serial::{Down, LineCoding, LineErrors, ModemLines};

#[derive(Debug)]
pub(super) struct Core {
    config: Config,
    /// `Err` tells why it is closed.
    port: Result<(), Text>,
    coding: LineCoding,
    lines: ModemLines,
    guarded: bool,
    /// Those of the hub, in the order of the configuration.
    buttons: Vec<Look>,
    /// To be done to the port before anything of the program.
    immediate: VecDeque<Act>,
    /// DTR and RTS are to rise again.
    pulse_until: Option<Instant>,
    sending: Sending,
    hearing: Hearing,
    output: Output,
    beam: Beam,
    user: Option<User>,
    /// Wants to use the machine as soon as it has said what it is.
    waiting: Option<Begin>,
    armed: Option<Armed>,
    job: Option<Job>,
    climb: Option<Climb>,
    stopped: Option<Stopped>,
    stops: u32,
    stop_path: Option<StopPath>,
    counters: Counters,
    /// Since when the beam may be on.
    beam_since: Option<Instant>,
    /// Whoever switched it on has ended their session.
    is_left_on: bool,
    /// When the guard was told last.
    fed: Option<(Instant, bool)>,
    /// Somebody looks at the state.
    is_seen: bool,
    changed: bool,
}

/// What to do to the port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// The port may take fewer.
    Write(Bytes),
    /// Discards what has not left.
    Flush,
    /// Discards what has come.
    PurgeInput,
    Coding(LineCoding),
    Modem {
        dtr: Option<bool>,
        rts: Option<bool>,
    },
    Break {
        on: bool,
    },
}

impl Core {
    pub(super) fn new(config: Config, now: Instant) -> Self {
        let (profile, coding) = (config.profile, config.coding);
        Self {
            port: Err(Text::from("not opened yet")),
            coding,
            lines: ModemLines::default(),
            guarded: false,
            buttons: config.buttons.iter().map(Button::look).collect(),
            immediate: VecDeque::new(),
            pulse_until: None,
            sending: Sending::new(profile, &coding, true, now),
            hearing: Hearing::new(profile, config.is_guess, now),
            output: Output::new(),
            beam: Beam::new(profile, config.tool),
            user: None,
            waiting: None,
            armed: None,
            job: None,
            climb: None,
            stopped: None,
            stops: 0,
            stop_path: None,
            counters: Counters::default(),
            beam_since: None,
            is_left_on: false,
            fed: None,
            is_seen: false,
            changed: true,
            config,
        }
    }

    /// What the port is opened with.
    pub(super) fn idle_coding(&self) -> &LineCoding {
        &self.config.coding
    }

    pub(super) fn guard(&self) -> Option<&guard::Program> {
        self.config.guard.as_ref()
    }

    /// The port is open. `lines` are `None` where it has none; then it does not say either what
    /// is unsent.
    pub(super) fn opened(&mut self, coding: LineCoding, lines: Option<ModemLines>, now: Instant) {
        let tells = lines.is_some();
        let lines = lines.unwrap_or_default();
        let profile = self.config.profile;
        self.port = Ok(());
        (self.coding, self.lines) = (coding, lines);
        self.immediate.clear();
        self.sending = Sending::new(profile, &self.coding, tells, now);
        self.hearing = Hearing::new(profile, self.config.is_guess, now);
        if self.stopped.is_some() {
            self.sending.latch.set();
        }
        let level = match self.config.lines {
            tty::Lines::Keep => None,
            tty::Lines::Assert => Some(true),
            tty::Lines::Deassert | tty::Lines::Pulse => Some(false),
        };
        if level.is_some() {
            self.immediate.push_back(Act::Modem { dtr: level, rts: level });
        }
        self.pulse_until = (self.config.lines == tty::Lines::Pulse).then(|| now + PULSE);
        self.interlock(now);
        self.open_buttons(now);
        self.changed = true;
    }

    /// It cannot be opened.
    pub(super) fn closed(&mut self, why: &str) {
        let why = Text::from(why);
        self.changed |= self.port.as_ref().err() != Some(&why);
        self.port = Err(why);
    }

    /// The device is gone. Whoever uses it is told at once, by the end of what it says.
    pub(super) fn lost(&mut self) {
        self.closed("the device is gone");
        self.output.end();
        // by the end of its answer, it learns that there is none
        (self.user, self.waiting) = (None, None);
        self.armed = None;
        self.immediate.clear();
        self.sending.clear();
        self.job_lost();
        self.fail_climb();
        // without its port, the machine is beyond us; its own power decides
        self.beam.switched_off();
        self.guarded = false;
        self.changed = true;
    }

    /// The guard lives, or does not.
    pub(super) fn guarded(&mut self, is_guarded: bool, now: Instant) {
        self.changed |= self.guarded != is_guarded;
        if self.guarded && !is_guarded {
            tracing::error!("the guard of a serial port has died");
            // it may have stopped the machine, or be about to be missed
            if self.beam.may_be_on() && self.stopped.is_none() {
                self.stop(now, Reason::GuardLost, None, now);
            }
        }
        self.guarded = is_guarded;
    }

    pub(super) fn tested(&mut self, at: Instant, now: Instant) {
        let took = now.saturating_duration_since(at).as_micros();
        let tests = self.stop_path.map_or(0, |path| path.tests).wrapping_add(1);
        let took_us = u32::try_from(took).unwrap_or(u32::MAX);
        self.stop_path = Some(StopPath { tests, took_us });
        self.changed = true;
    }

    pub(super) fn control(&mut self, control: Control, now: Instant) {
        // who asked may be gone: then nobody wants the answer
        match control {
            Control::Begin(begin) => self.begin(begin, now),
            Control::Watch { answer } => {
                let (before, next) = self.output.watch();
                let _ = answer.send(Watching { before, next });
            }
            Control::Arm { by, ttl, answer } => {
                let _ = answer.send(self.arm(by, ttl, now));
            }
            Control::Disarm => self.disarm(),
            Control::Overtake { bytes } => self.overtaking(&bytes, now),
            Control::Clear { answer } => {
                let _ = answer.send(self.clear_stop());
            }
            Control::Run(start) => self.run(start, now),
            Control::Hold { answer } => {
                let _ = answer.send(self.hold(now));
            }
            Control::Resume { answer } => {
                let _ = answer.send(self.resume(now));
            }
            Control::Beat { at } => self.beat(at),
            // the thread's own
            Control::Look => {}
        }
    }

    /// The modem lines, if they may have changed, and what went wrong on the wire.
    pub(super) fn looked(&mut self, lines: Option<ModemLines>, errors: LineErrors, now: Instant) {
        if let Some(lines) = lines.filter(|lines| *lines != self.lines) {
            self.lines = lines;
            self.changed = true;
            let told = self.output.tell(Down::Lines(lines));
            self.behind(told);
            self.interlock(now);
        }
        if errors != LineErrors::default() {
            let total = &mut self.counters.errors;
            total.framing = total.framing.wrapping_add(errors.framing);
            total.parity = total.parity.wrapping_add(errors.parity);
            total.overrun = total.overrun.wrapping_add(errors.overrun);
            total.breaks = total.breaks.wrapping_add(errors.breaks);
            let told = self.output.tell(Down::Errors(errors));
            self.behind(told);
        }
    }

    /// How often the lines are to be looked at.
    pub(super) fn look_every(&self) -> Duration {
        match (self.config.interlock, &self.user) {
            (Some(_), _) => LOOK_INTERLOCK,
            (None, Some(_)) => LOOK_USED,
            (None, None) => LOOK_IDLE,
        }
    }

    fn interlock(&mut self, now: Instant) {
        let Some(interlock) = self.config.interlock else { return };
        if interlock.is_open(&self.lines) && self.port.is_ok() {
            self.armed = None;
            if self.stopped.as_ref().is_none_or(|stopped| stopped.reason != Reason::Interlock) {
                self.stop(now, Reason::Interlock, None, now);
            }
        }
    }

    fn interlock_open(&self) -> Option<bool> {
        self.config.interlock.map(|interlock| interlock.is_open(&self.lines))
    }

    /// What time brings.
    pub(super) fn tick(&mut self, now: Instant) {
        if self.pulse_until.is_some_and(|until| now >= until) {
            self.pulse_until = None;
            self.immediate.push_back(Act::Modem { dtr: Some(true), rts: Some(true) });
        }
        let overdue = self.hearing.answers.overdue(now);
        self.say(&overdue);
        let passed = self.output.flush();
        self.behind(passed);
        self.poll(now);
        self.beam_changed(now);
        self.expire(now);
        self.job_tick(now);
        self.climb(now);
    }

    /// When to look again, whatever happens.
    pub(super) fn deadline(&self, now: Instant) -> Option<Instant> {
        if self.port.is_err() {
            return None;
        }
        let lives = self.beam_since.and(self.fed).map(|(at, _)| at + FEED);
        [
            self.pulse_until,
            self.sending.retry_at,
            self.hearing.answers.deadline(),
            self.poll_at(now),
            self.expires_at(),
            self.climb.as_ref().map(|climb| climb.deadline(now)),
            self.job.as_ref().and_then(|job| job.deadline(now)),
            lives,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Tells the guard how things are, when it is time to. `false` when the guard is gone.
    pub(super) fn feed(&mut self, guard: &Guard, now: Instant) -> bool {
        let beam = self.beam_since.is_some();
        let is_due = match self.fed {
            Some((at, was)) if self.guarded => {
                was != beam || beam && now.duration_since(at) >= FEED
            }
            _ => true,
        };
        if !is_due {
            return true;
        }
        self.fed = Some((now, beam));
        let limit = self.config.dead_man.unwrap_or(super::DEAD_MAN);
        let firmware = self.hearing.detector.firmware();
        guard.tick(beam, limit, firmware, &self.config.stop_bytes).is_ok()
    }

    pub(super) fn is_seen(&mut self, is_seen: bool) {
        self.is_seen = is_seen;
    }

    /// Whether there is something that everybody should know at once.
    pub(super) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    pub(super) fn state(&self, now: Instant) -> State {
        let port = match &self.port {
            Ok(()) => state::Port::Open,
            Err(why) => state::Port::Closed { why: why.clone() },
        };
        let Hearing { detector, overhearing, .. } = &self.hearing;
        let firmware = overhearing.as_ref().unwrap_or(detector).firmware();
        let is_known = !firmware.name.is_empty() || !firmware.version.is_empty();
        State {
            port,
            profile: self.config.profile,
            firmware: is_known.then(|| firmware.clone()),
            status: self.hearing.status.clone(),
            coding: self.coding,
            lines: self.lines,
            beam_may_be_on: self.beam.may_be_on(),
            arming: self.arming(now),
            interlock_open: self.interlock_open(),
            buttons: self.button_states(),
            stopped: self.stopped.clone(),
            stops: self.stops,
            stop_path: self.stop_path,
            user: self.used_by().cloned(),
            program_open: self.user.as_ref().is_some_and(|user| user.program_open),
            guarded: self.config.guard.as_ref().map(|_| self.guarded),
            counters: self.counters,
        }
    }

    /// The program and whoever watches see the same: what the machine says, refusals in their
    /// places, and no answers to questions of ours.
    fn say(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.output.show(&Bytes::copy_from_slice(bytes));
            let passed = self.output.send(bytes);
            self.behind(passed);
        }
    }

    /// A program that does not read ends its session, and nothing else.
    fn behind(&mut self, result: Result<(), Behind>) {
        if let Err(error) = result {
            tracing::warn!(%error, "the session ends");
            if let Some(user) = &mut self.user {
                user.is_cut_off = true;
            }
        }
    }
}

/// How long DTR and RTS are low: longer than any board needs to notice.
const PULSE: Duration = Duration::from_millis(250);
/// An open interlock stops the machine within 20 ms.
const LOOK_INTERLOCK: Duration = Duration::from_millis(10);
const LOOK_USED: Duration = Duration::from_millis(20);
const LOOK_IDLE: Duration = Duration::from_secs(1);
/// Five signs of life fit into the shortest limit.
const FEED: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests;
