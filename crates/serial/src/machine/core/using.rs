//! Who uses the machine, whether it lives, and whether it is armed for them.

use super::hearing::Identifying;
use super::{Act, Core};
use crate::machine::job::Why;
use crate::machine::session::Sent;
use crate::machine::state::{Arming, Reason};
use crate::machine::{Begin, Begun, Error};
use bytes::Bytes;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{self, error::TryRecvError};
use wire::Text;
use wire::serial::{Profile, Up};

#[derive(Debug)]
pub(super) struct User {
    pub(super) by: Text,
    up: mpsc::Receiver<Sent>,
    /// The stops that it knows of: what it sent before it knew of the last is discarded.
    stops: u32,
    pub(super) program_open: bool,
    /// Its last sign of life.
    beat: Instant,
    pub(super) sent_at: Instant,
    /// It does not read.
    pub(super) is_cut_off: bool,
}

/// Lines that switch the beam on are let through.
#[derive(Debug)]
pub(super) struct Armed {
    by: Text,
    ttl: Duration,
    at: Instant,
}

impl Core {
    /// Somebody wants to use the machine.
    pub(super) fn begin(&mut self, begin: Begin, now: Instant) {
        // who asked may be gone
        if let Err(why) = &self.port {
            let _ = begin.answer.send(Err(Error::Closed(why.clone())));
        } else if self.is_used() {
            let _ = begin.answer.send(Err(Error::InUse));
        } else if self.hearing.identifying != Identifying::Done {
            // what is asked of the machine now is not for a program to see
            self.waiting = Some(begin);
        } else {
            self.begun(begin, now);
        }
    }

    /// Who uses the machine, or runs a job on it.
    pub(super) fn used_by(&self) -> Option<&Text> {
        let runs = self.job.as_ref().map(|job| &job.by);
        self.user.as_ref().map(|user| &user.by).or(runs)
    }

    pub(super) fn is_used(&self) -> bool {
        self.used_by().is_some() || self.waiting.is_some()
    }

    pub(super) fn begin_waiting(&mut self, now: Instant) {
        if let Some(begin) = self.waiting.take() {
            self.begun(begin, now);
        }
    }

    fn begun(&mut self, begin: Begin, now: Instant) {
        let Begin { by, up, down, answer } = begin;
        let (coding, lines) = (self.coding, self.lines);
        let (profile, stops) = (self.config.profile, self.stops);
        if answer.send(Ok(Begun { coding, lines, profile, stops })).is_err() {
            return;
        }
        self.output.begin(down);
        self.armed = None;
        let (beat, sent_at) = (now, now);
        let (program_open, is_cut_off) = (false, false);
        self.user = Some(User { by, up, stops, program_open, beat, sent_at, is_cut_off });
        self.changed = true;
    }

    /// Takes in what the program has sent, as far as there is room for it.
    pub(in crate::machine) fn hear_program(&mut self, now: Instant) {
        while self.has_room()
            && let Some(user) = &mut self.user
        {
            match user.up.try_recv() {
                Ok(Sent::Frame(up, bytes)) => self.frame(up, bytes, now),
                Ok(Sent::Finish) => self.ended(Ending::Finished, now),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => self.ended(Ending::Vanished, now),
            }
        }
        if self.user.as_ref().is_some_and(|user| user.is_cut_off) {
            self.ended(Ending::Vanished, now);
        }
    }

    /// Whether the program has sent something for which there is room only now.
    pub(in crate::machine) fn has_more(&self) -> bool {
        let waits = |user: &User| !user.up.is_empty() || user.up.is_closed();
        self.has_room() && self.user.as_ref().is_some_and(waits)
    }

    fn frame(&mut self, up: Up, bytes: Bytes, now: Instant) {
        let Some(user) = &mut self.user else { return };
        let knows = user.stops == self.stops;
        match up {
            Up::Stopped { stops } => user.stops = stops,
            Up::Data if knows => self.program_bytes(bytes, now),
            Up::Data => self.counters.dropped += bytes.len() as u64,
            Up::Purge { input, output } => {
                if output {
                    self.sending.queue.purge();
                    self.immediate.push_back(Act::Flush);
                }
                if input {
                    self.output.purge();
                    self.immediate.push_back(Act::PurgeInput);
                }
            }
            Up::Program { .. } => self.sending.queue.push_do(up),
            Up::Coding(_) | Up::Modem { .. } | Up::Break { .. } if knows => {
                self.sending.queue.push_do(up);
            }
            Up::Coding(_) | Up::Modem { .. } | Up::Break { .. } => {}
        }
    }

    /// The program has opened the port, or has closed it, after all that it sent.
    pub(super) fn program(&mut self, open: bool, now: Instant) {
        let Some(user) = &mut self.user else { return };
        user.program_open = open;
        self.changed = true;
        if open && self.config.profile == Profile::Raw {
            self.sending.latch.clear();
            self.unlatched();
        }
        if !open {
            self.lost_client(now);
        }
    }

    fn ended(&mut self, ending: Ending, now: Instant) {
        let Some(user) = self.user.take() else { return };
        tracing::info!(by = %user.by, ?ending, "a session with a machine has ended");
        if ending == Ending::Vanished {
            self.counters.dropped += self.sending.clear() as u64;
        }
        self.output.end();
        self.armed = None;
        self.changed = true;
        self.lost_client(now);
        if self.coding != self.config.coding {
            self.sending.queue.push_do(Up::Coding(self.config.coding));
        }
    }

    /// Nobody watches over what it started any more.
    pub(super) fn lost_client(&mut self, now: Instant) {
        let is_guarded = self.config.dead_man.is_some();
        if is_guarded && self.beam.may_be_on() && self.stopped.is_none() {
            self.stop(now, Reason::ClientLost, None, now);
        }
    }

    /// Nobody holds the machine any more. Whether something is left to be done: nobody would stop
    /// it later.
    pub(in crate::machine) fn winds_down(&mut self, now: Instant) -> bool {
        self.fail_job(Why::Unshared, now);
        self.lost_client(now);
        self.climb.is_some()
    }

    pub(super) fn beat(&mut self, at: Instant) {
        if let Some(user) = &mut self.user {
            user.beat = user.beat.max(at);
        }
    }

    /// Notes when the beam may be on, and when it is surely off.
    pub(super) fn beam_changed(&mut self, now: Instant) {
        let may_be_on = self.beam.may_be_on();
        if may_be_on != self.beam_since.is_some() {
            self.beam_since = may_be_on.then_some(now);
            self.is_left_on &= may_be_on;
            self.changed = true;
        }
    }

    /// A line has gone, perhaps the last of a session that has ended before: a console's session
    /// is over when its line is.
    pub(super) fn beam_sent(&mut self, now: Instant) {
        let was_off = self.beam_since.is_none();
        self.beam_changed(now);
        let is_on = was_off && self.beam_since.is_some();
        self.is_left_on |= is_on && self.user.is_none() && self.job.is_none();
    }

    /// When silence of the client stops the machine. A beam that was not switched on by what was
    /// sent is none of our business while nobody uses the machine.
    fn dead_at(&self) -> Option<Instant> {
        let (since, limit) = (self.beam_since?, self.config.dead_man?);
        let lived = match &self.user {
            Some(user) => user.beat.max(since),
            None if self.is_left_on => since,
            None => return None,
        };
        self.stopped.is_none().then(|| lived + limit)
    }

    fn safe_at(&self) -> Option<Instant> {
        let armed = self.armed.as_ref()?;
        let sent_at = self.user.as_ref().map_or(armed.at, |user| user.sent_at);
        self.beam_since.is_none().then(|| armed.at.max(sent_at) + armed.ttl)
    }

    pub(super) fn expires_at(&self) -> Option<Instant> {
        self.dead_at().into_iter().chain(self.safe_at()).min()
    }

    pub(super) fn expire(&mut self, now: Instant) {
        if self.dead_at().is_some_and(|at| now >= at) {
            self.stop(now, Reason::ClientLost, None, now);
        }
        if self.safe_at().is_some_and(|at| now >= at) {
            self.disarm();
        }
    }

    pub(super) fn arm(&mut self, by: Text, ttl: Duration, now: Instant) -> Result<(), Error> {
        if !self.config.arming {
            return Err(Error::NoArming);
        }
        if let Err(why) = &self.port {
            return Err(Error::Closed(why.clone()));
        }
        self.lets_arm()?;
        if self.stopped.is_some() {
            return Err(Error::Stopped);
        }
        if self.user.is_none() {
            return Err(Error::NoSession);
        }
        self.armed = Some(Armed { by, ttl, at: now });
        self.changed = true;
        Ok(())
    }

    /// Whether the beam may be on and nobody has armed it any more: it was held, and disarmed.
    pub(super) fn is_unarmed_with_beam(&self) -> bool {
        let is_armed = match &self.job {
            Some(job) => job.options.armed,
            None => self.armed.is_some(),
        };
        self.config.arming && !is_armed && self.beam.may_be_on()
    }

    pub(super) fn disarm(&mut self) {
        self.changed |= self.armed.is_some();
        self.armed = None;
    }

    pub(super) fn arming(&self, now: Instant) -> Arming {
        if let Some(job) = self.job.as_ref().filter(|job| job.options.armed) {
            return Arming::Armed { left_s: job.armed_s(now), by: job.by.clone() };
        }
        match (&self.armed, self.config.arming) {
            (_, false) => Arming::Off,
            (None, true) => Arming::Safe,
            (Some(armed), true) => {
                let until = self.safe_at().unwrap_or(now + armed.ttl);
                let left = until.saturating_duration_since(now).as_secs();
                Arming::Armed { left_s: u32::try_from(left).unwrap_or(0), by: armed.by.clone() }
            }
        }
    }
}

/// How a session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// As it should: what it sent goes out.
    Finished,
    Vanished,
}
