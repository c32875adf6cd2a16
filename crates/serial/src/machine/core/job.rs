//! A job as the user of the machine: which line goes next, what the machine says to it, and when
//! it is over.
//!
//! A job ends in one of two ways. Either the machine has taken every line and stands; or something
//! went wrong, and then the machine is stopped as by hand, and the job is over when that is: with
//! the beam off as far as the machine can tell.

mod sending;

use super::Core;
use super::hearing::Identifying;
use crate::machine::Error;
use crate::machine::job::{Ended, Options, Phase, Piece, Progress, Start, Why};
use crate::machine::state::Reason;
use bytes::Bytes;
use gcode::realtime::{HOLD, RESUME};
use gcode::sender::Sender;
use gcode::status::{Report, State as Doing};
use sending::SILENCE;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};
use wire::Text;
use wire::serial::{Profile, StopReport};

#[derive(Debug)]
pub(super) struct Job {
    pub(super) by: Text,
    pub(super) options: Options,
    is_marlin: bool,
    sender: Sender,
    source: mpsc::Receiver<Piece>,
    /// Lines that were read and not looked at yet.
    lines: Bytes,
    /// The number of the last line that was looked at.
    line: u64,
    /// There are no more lines than these.
    is_read: bool,
    /// What is still to be sent behind the program's own, the last first; `None` before its end.
    tail: Option<Vec<&'static [u8]>>,
    stage: Stage,
    held: bool,
    /// What the machine is doing, as it said last.
    doing: Option<Doing>,
    /// Since when nobody looks.
    alone: Option<Instant>,
    /// When the machine said anything last, and how often it was asked again since.
    heard: Instant,
    asked_again: u32,
    /// For how long it may say nothing.
    patience: Duration,
    sent: Instant,
    /// It cannot go on: the machine is to be stopped.
    failing: Option<Why>,
    /// The machine is being stopped.
    why: Option<Why>,
    progress: Progress,
    told: watch::Sender<Progress>,
    told_at: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The machine has to say first that it stands and is ready; until then.
    Ready(Instant),
    Sending,
    /// Everything was taken; so many reports in a row have said since that the machine stands.
    Standing(u32),
    Done,
}

impl Core {
    /// Somebody wants to run a job.
    pub(super) fn run(&mut self, start: Start, now: Instant) {
        // who asked may be gone
        let Start { by, options, source, progress: told, answer } = start;
        let sender = match self.job_sender(options) {
            Ok(sender) => sender,
            Err(error) => return drop(answer.send(Err(error))),
        };
        if answer.send(Ok(())).is_err() {
            return;
        }
        let is_marlin = self.config.profile == Profile::Marlin;
        let progress = told.borrow().clone();
        tracing::info!(%by, "a job begins");
        self.armed = None;
        self.changed = true;
        self.job = Some(Job {
            by,
            options,
            is_marlin,
            sender,
            source,
            lines: Bytes::new(),
            line: 0,
            is_read: false,
            tail: None,
            // Marlin is silent while it stands; its answer to the first line tells as much
            stage: if is_marlin { Stage::Sending } else { Stage::Ready(now + READY) },
            held: false,
            doing: None,
            alone: None,
            heard: now,
            asked_again: 0,
            patience: SILENCE,
            sent: now,
            failing: None,
            why: None,
            progress,
            told,
            told_at: now,
        });
    }

    /// What sends it, if it may be run at all.
    fn job_sender(&self, options: Options) -> Result<Sender, Error> {
        if let Err(why) = &self.port {
            return Err(Error::Closed(why.clone()));
        }
        if self.is_used() {
            return Err(Error::InUse);
        }
        if self.hearing.identifying != Identifying::Done {
            return Err(Error::Starting);
        }
        self.lets_arm()?;
        if self.stopped.is_some() {
            return Err(Error::Stopped);
        }
        if self.config.arming && !options.armed {
            return Err(Error::NotArmed);
        }
        Sender::new(self.hearing.detector.firmware()).ok_or(Error::NoAnswers)
    }

    pub(super) fn hold(&mut self, now: Instant) -> Result<(), Error> {
        let job = self.job.as_mut().ok_or(Error::NoJob)?;
        if !job.is_marlin {
            self.overtaking(&[HOLD], now);
        } else if self.beam.may_be_on() {
            return Err(Error::NoHold);
        } else {
            job.held = true;
        }
        self.changed = true;
        Ok(())
    }

    pub(super) fn resume(&mut self, now: Instant) -> Result<(), Error> {
        let job = self.job.as_mut().ok_or(Error::NoJob)?;
        job.alone = None;
        if job.is_marlin {
            job.held = false;
        } else {
            self.overtaking(&[RESUME], now);
        }
        self.changed = true;
        Ok(())
    }

    /// The next line to write, with its end, if there is one and the machine has room.
    pub(super) fn job_line(&mut self, now: Instant) -> Option<Bytes> {
        let may_be_on = self.beam.may_be_on();
        let job = self.job.as_mut()?;
        let line = job.next(may_be_on);
        if line.is_some() {
            job.sent = now;
        }
        line
    }

    /// The machine has said something.
    pub(super) fn job_heard(&mut self, report: &Report, now: Instant) {
        if let Some(job) = self.job.as_mut().filter(|job| job.why.is_none()) {
            job.hear(report, now);
            self.changed |= job.is_news();
        }
    }

    /// What time brings, and what is to be done of what was noticed meanwhile.
    pub(super) fn job_tick(&mut self, now: Instant) {
        let Some(job) = self.job.as_mut().filter(|job| job.why.is_none()) else { return };
        job.expire(now);
        let alone = job.is_alone(self.is_seen, now);
        if let Some(why) = job.failing.take() {
            return self.fail_job(why, now);
        }
        if job.stage == Stage::Done {
            job.progress.phase = Phase::Done;
            self.end_job();
            return self.lost_client(now);
        }
        job.tell(now);
        if alone {
            tracing::info!("nobody watches a job: it is held");
            if self.hold(now).is_err() {
                self.fail_job(Why::Alone, now);
            }
        }
    }

    /// It cannot go on: the machine is stopped, and then it is over.
    pub(super) fn fail_job(&mut self, why: Why, now: Instant) {
        let Some(job) = self.job.as_mut().filter(|job| job.why.is_none()) else { return };
        tracing::warn!(%why, "a job has failed");
        job.why = Some(why);
        self.stop(now, Reason::JobFailed, None, now);
    }

    /// The machine is being stopped.
    pub(super) fn job_stopped(&mut self, reason: &Reason) {
        if let Some(job) = &mut self.job {
            job.why.get_or_insert_with(|| Why::Stopped(reason.clone()));
        }
    }

    /// It has been stopped, as far as it could be.
    pub(super) fn job_over(&mut self, report: Option<&StopReport>) {
        let Some(job) = &mut self.job else { return };
        let Some(why) = job.why.take() else { return };
        job.progress.phase = Phase::Ended(Ended { why, report: report.cloned() });
        self.end_job();
    }

    /// The device is gone.
    pub(super) fn job_lost(&mut self) {
        if let Some(job) = &mut self.job {
            let lost = Why::Lost { line: job.progress.line };
            // who pulls a cable may be heard of in another way before
            job.why = Some(job.why.take().filter(|why| *why != Why::Unshared).unwrap_or(lost));
            self.job_over(None);
        }
    }

    fn end_job(&mut self) {
        if let Some(job) = self.job.take() {
            tracing::info!(by = %job.by, phase = ?job.progress.phase, "a job is over");
            job.told.send_replace(job.progress);
            self.changed = true;
        }
    }
}

/// A machine that stands says so within a fifth of a second; one that was just moved by hand gets
/// there soon.
const READY: Duration = Duration::from_secs(3);
