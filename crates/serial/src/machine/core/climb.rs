//! STOP: what is queued is dropped, what has not left is discarded, and the ladder is climbed.

use super::{Act, Core};
use crate::machine::state::{Reason, Stopped};
use crate::machine::{Error, Waiting};
use bytes::Bytes;
use gcode::status::Report;
use gcode::stop::{Ladder, Step};
use std::time::{Duration, Instant};
use wire::serial::{Down, StopReport};

/// A ladder that is being climbed.
#[derive(Debug)]
pub(super) struct Climb {
    ladder: Ladder,
    /// When it was asked for.
    at: Instant,
    left: Left,
    waiting: Vec<Waiting>,
    until: Instant,
}

/// The first stop byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    /// Not written.
    No,
    /// So many bytes have been written since, with it.
    Written(usize),
    After(Duration),
}

impl Core {
    /// Stops the machine; asked for at `at`. A second stop joins the first.
    pub(in crate::machine) fn stop(
        &mut self,
        at: Instant,
        reason: Reason,
        waiting: Option<Waiting>,
        now: Instant,
    ) {
        if let Some(climb) = &mut self.climb {
            climb.waiting.extend(waiting);
            climb.tell_left();
            return;
        }
        if let Err(why) = &self.port {
            tracing::warn!(%reason, %why, "a machine cannot be stopped: its port is not open");
            let report = StopReport { confirmed: false, rungs: Vec::new(), left_after_us: None };
            return done(waiting.into_iter().collect(), &report);
        }
        tracing::warn!(%reason, "STOP");
        self.stops = self.stops.wrapping_add(1);
        self.counters.dropped += self.sending.clear() as u64;
        self.sending.latch.set();
        self.armed = None;
        self.job_stopped(&reason);
        self.stopped = Some(Stopped { reason, report: None });
        self.changed = true;
        self.hearing.answers.forget();
        self.immediate.clear();
        self.immediate.push_back(Act::Flush);
        let told = self.output.tell(Down::Stopped { stops: self.stops });
        self.behind(told);
        let ladder = Ladder::new(self.hearing.detector.firmware(), &self.config.stop_bytes, now);
        let waiting = waiting.into_iter().collect();
        self.climb = Some(Climb { ladder, at, left: Left::No, waiting, until: now });
        self.climb(now);
    }

    /// Does the ladder's next steps.
    pub(super) fn climb(&mut self, now: Instant) {
        while let Some(climb) = &mut self.climb
            && self.immediate.iter().all(|act| *act == Act::Flush)
        {
            match climb.ladder.poll(now) {
                Step::Write(bytes) => {
                    if bytes == gcode::profile::rules(self.config.profile).query {
                        self.hearing.answers.we_asked(now);
                    }
                    self.immediate.push_back(Act::Write(Bytes::from(bytes)));
                }
                Step::Modem { dtr, rts } => {
                    self.immediate.push_back(Act::Modem { dtr: Some(dtr), rts: Some(rts) });
                }
                Step::Wait(until) => {
                    climb.until = until;
                    return;
                }
                Step::Done => return self.climbed(now),
            }
        }
    }

    pub(super) fn climb_heard(&mut self, report: &Report, now: Instant) {
        if let Some(climb) = &mut self.climb {
            climb.ladder.received(report);
            self.climb(now);
        }
    }

    /// Bytes of the ladder were written.
    pub(super) fn climb_wrote(&mut self, count: usize) {
        if let Some(climb) = &mut self.climb {
            climb.left = match climb.left {
                Left::No => Left::Written(count),
                Left::Written(before) => Left::Written(before + count),
                left @ Left::After(_) => left,
            };
        }
    }

    /// So many bytes have not left.
    pub(super) fn climb_left(&mut self, unsent: usize, now: Instant) {
        if let Some(climb) = &mut self.climb
            && let Left::Written(count) = climb.left
            && unsent < count
        {
            climb.left = Left::After(now.saturating_duration_since(climb.at));
            climb.tell_left();
        }
    }

    fn climbed(&mut self, now: Instant) {
        let Some(mut climb) = self.climb.take() else { return };
        if climb.ladder.report(None).confirmed && climb.left_after().is_none() {
            // what was answered has left
            climb.left = Left::After(now.saturating_duration_since(climb.at));
        }
        let report = climb.report();
        tracing::warn!(confirmed = report.confirmed, rungs = report.rungs.len(), "stopped");
        if report.confirmed {
            self.beam.switched_off();
            self.beam_since = None;
        }
        if let Some(stopped) = &mut self.stopped {
            stopped.report = Some(report.clone());
        }
        self.changed = true;
        self.job_over(Some(&report));
        climb.finish(&report);
    }

    /// The port is gone while it is climbed.
    pub(super) fn fail_climb(&mut self) {
        if let Some(climb) = self.climb.take() {
            let report = StopReport { confirmed: false, ..climb.report() };
            if let Some(stopped) = &mut self.stopped {
                stopped.report = Some(report.clone());
            }
            self.job_over(Some(&report));
            climb.finish(&report);
        }
    }

    /// A person says that it may go on.
    pub(super) fn clear_stop(&mut self) -> Result<(), Error> {
        self.lets_go_on()?;
        if self.climb.is_some() {
            return Err(Error::BeingStopped);
        }
        self.sending.latch.clear();
        self.unlatched();
        Ok(())
    }

    /// The program has unlocked the machine: its next lines pass. Not before the ladder is at its
    /// end, and not while an interlock is open.
    pub(super) fn unlatched(&mut self) {
        if self.stopped.is_none() {
            return;
        }
        if self.climb.is_some() || self.lets_go_on().is_err() {
            self.sending.latch.set();
            return;
        }
        self.stopped = None;
        self.changed = true;
    }
}

impl Climb {
    /// When to look again: very soon, while the first byte is on its way.
    pub(super) fn deadline(&self, now: Instant) -> Instant {
        match self.left {
            Left::Written(_) => self.until.min(now + SOON),
            Left::No | Left::After(_) => self.until,
        }
    }

    fn report(&self) -> StopReport {
        self.ladder.report(self.left_after())
    }

    fn left_after(&self) -> Option<Duration> {
        match self.left {
            Left::After(after) => Some(after),
            Left::No | Left::Written(_) => None,
        }
    }

    fn tell_left(&mut self) {
        let Some(after) = self.left_after() else { return };
        for waiting in &mut self.waiting {
            // who asked may be gone
            if let Some(left) = waiting.left.take() {
                let _ = left.send(Some(micros(after)));
            }
        }
    }

    fn finish(self, report: &StopReport) {
        done(self.waiting, report);
    }
}

fn done(waiting: Vec<Waiting>, report: &StopReport) {
    for waiting in waiting {
        // who asked may be gone
        if let Some(left) = waiting.left {
            let _ = left.send(report.left_after_us);
        }
        let _ = waiting.done.send(report.clone());
    }
}

fn micros(after: Duration) -> u32 {
    u32::try_from(after.as_micros()).unwrap_or(u32::MAX)
}

/// Between two looks at whether the first byte has left: a byte takes 87 µs at 115200.
const SOON: Duration = Duration::from_micros(200);
