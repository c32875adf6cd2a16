//! What the machine says, and what is asked of it.

use super::Core;
use crate::machine::answers::Answers;
use bytes::Bytes;
use gcode::beam::Beam;
use gcode::detect::Detector;
use gcode::lines::Lines;
use gcode::profile::rules;
use gcode::status::{Report, Status};
use std::time::{Duration, Instant};
use wire::serial::Profile;

/// What was heard, and what is known by that.
#[derive(Debug)]
pub(super) struct Hearing {
    lines: Lines,
    pub(super) detector: Detector,
    /// Finds out what speaks at a raw port of which nobody has said that.
    pub(super) overhearing: Option<Detector>,
    pub(super) status: Option<Status>,
    pub(super) answers: Answers,
    /// Asked who it is: nobody uses it before it has answered, or is late.
    pub(super) identifying: Identifying,
    asked: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Identifying {
    /// Once it has had time to start: opening a port resets many boards.
    At(Instant),
    /// Until it has answered that many lines, and not longer.
    Until(Instant, usize),
    Done,
}

impl Hearing {
    pub(super) fn new(profile: Profile, is_guess: bool, now: Instant) -> Self {
        let is_raw = profile == Profile::Raw;
        let identifying = if rules(profile).identify.is_empty() {
            Identifying::Done
        } else {
            Identifying::At(now + START)
        };
        Self {
            lines: Lines::default(),
            detector: if is_guess && !is_raw {
                Detector::was(profile)
            } else {
                Detector::of(profile)
            },
            overhearing: (is_guess && is_raw).then(Detector::new),
            status: None,
            answers: Answers::new(now),
            identifying,
            asked: now,
        }
    }

    /// A report leaves out what is as it was.
    fn merge(&mut self, mut new: Status) {
        let Some(old) = &mut self.status else {
            new.complete();
            self.status = Some(new);
            return;
        };
        let old_accessories = if new.overrides.is_some() { None } else { old.accessories };
        *old = Status {
            offset: new.offset.or_else(|| old.offset.take()),
            overrides: new.overrides.or(old.overrides),
            accessories: new.accessories.or(old_accessories),
            machine: new.machine,
            work: new.work,
            pins: new.pins,
            ..new
        };
        old.complete();
    }
}

impl Core {
    /// Bytes of the machine.
    pub(in crate::machine) fn received(&mut self, bytes: &[u8], now: Instant) {
        self.counters.received += bytes.len() as u64;
        if self.config.profile == Profile::Raw {
            self.overhear(bytes);
            return self.say(bytes);
        }
        let mut reports = Vec::new();
        let profile = self.config.profile;
        let Hearing { lines, detector, .. } = &mut self.hearing;
        lines.push(bytes, |line| {
            if !line.text.is_empty() {
                let is_news = detector.received(line.text);
                reports.push((Report::read(line.text, profile), is_news));
            }
        });
        let passed = self.hearing.answers.pass(bytes, now);
        let is_answer = matches!(self.hearing.identifying, Identifying::Until(..));
        let greets = reports.iter().any(|(report, _)| matches!(report, Report::Greeting));
        if !is_answer || greets {
            self.say(&passed);
        }
        for (report, is_news) in reports {
            self.changed |= is_news;
            self.heard(report, now);
        }
    }

    /// Programs ask machines who they are, and boards say it when they start.
    fn overhear(&mut self, bytes: &[u8]) {
        let Hearing { lines, overhearing, .. } = &mut self.hearing;
        let unknown = |detector: &&mut Detector| detector.firmware().profile == Profile::Raw;
        let Some(detector) = overhearing.as_mut().filter(unknown) else { return };
        lines.push(bytes, |line| self.changed |= detector.received(line.text));
    }

    fn heard(&mut self, report: Report, now: Instant) {
        let profile = self.config.profile;
        self.beam.received(&report);
        self.climb_heard(&report, now);
        self.job_heard(&report, now);
        if let Identifying::Until(_, left) = &mut self.hearing.identifying
            && report.frees_a_line(profile)
        {
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.identified(now);
            }
        }
        match report {
            Report::Status(status) => {
                let state = self.hearing.status.as_ref().map(|status| status.state);
                self.changed |= state != Some(status.state);
                self.hearing.merge(*status);
            }
            Report::Greeting => {
                self.hearing.answers.reset();
                if let Identifying::At(_) = self.hearing.identifying {
                    self.hearing.identifying = Identifying::At(now);
                }
                self.changed = true;
            }
            Report::Alarm { .. } | Report::Halted => self.changed = true,
            _ => {}
        }
        self.beam_changed(now);
    }

    /// Asks what is to be asked now.
    pub(super) fn poll(&mut self, now: Instant) {
        if self.port.is_err() || self.climb.is_some() {
            return;
        }
        let rules = rules(self.config.profile);
        match self.hearing.identifying {
            Identifying::At(at) if now >= at => {
                let asked = [rules.identify, rules.modes].concat();
                let lines = asked.iter().filter(|byte| **byte == b'\n').count();
                self.hearing.identifying = Identifying::Until(now + IDENTIFY, lines);
                self.ask(&asked);
            }
            Identifying::Until(until, _) if now >= until => {
                // it did not hear us, and owes no answers
                self.beam = Beam::new(self.config.profile, self.config.tool);
                self.identified(now);
            }
            _ => {}
        }
        if self.poll_at(now).is_some_and(|at| now >= at)
            && self.hearing.identifying == Identifying::Done
        {
            self.hearing.asked = now;
            self.hearing.answers.we_asked(now);
            self.ask(rules.query);
        }
    }

    /// When there is something to ask.
    pub(super) fn poll_at(&self, now: Instant) -> Option<Instant> {
        let rules = rules(self.config.profile);
        match self.hearing.identifying {
            Identifying::At(at) | Identifying::Until(at, _) => return Some(at),
            Identifying::Done => {}
        }
        // a whole line as a question would come among the program's own
        let [_] = rules.query else { return None };
        let used = self.beam_since.is_some() || self.job.is_some();
        let wanted = self.is_seen || self.output.is_watched() || used;
        let asks_itself = self.hearing.answers.program_asks(now);
        (wanted && !asks_itself && self.climb.is_none())
            .then(|| self.hearing.asked + rules.query_every)
    }

    fn identified(&mut self, now: Instant) {
        self.hearing.identifying = Identifying::Done;
        self.sending.lane_of(self.hearing.detector.firmware());
        self.changed = true;
        self.begin_waiting(now);
    }

    /// Our own lines count as sent: they are answered too.
    fn ask(&mut self, bytes: &[u8]) {
        let mut lines = Lines::default();
        lines.push(bytes, |line| self.beam.line(line.text));
        self.immediate.push_back(super::Act::Write(Bytes::copy_from_slice(bytes)));
    }
}

/// What a board needs after a reset before it listens: a boot loader on AVR waits longer, but then
/// nothing is lost but its name.
const START: Duration = Duration::from_millis(1500);
/// A machine that has not said who it is by then is used without.
const IDENTIFY: Duration = Duration::from_secs(1);
