//! The job itself: its lines, what the machine says to them, and how long it may say nothing.

use super::{Job, Stage};
use crate::machine::job::{Phase, Piece, Why};
use crate::program;
use bytes::{Buf, Bytes};
use gcode::realtime::{DOOR, HOLD, RESUME};
use gcode::sender::Event;
use gcode::status::{Report, State as Doing};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::error::TryRecvError;
use wire::Text;

impl Job {
    /// For how long it would be armed if nothing more were sent.
    pub(in crate::machine::core) fn armed_s(&self, now: Instant) -> u32 {
        let left = ARMED.saturating_sub(now.saturating_duration_since(self.sent));
        u32::try_from(left.as_secs()).unwrap_or(0)
    }

    /// A byte has overtaken its lines: its own, or somebody's at the panel.
    pub(in crate::machine::core) fn overtaken(&mut self, byte: u8) {
        match byte {
            HOLD | DOOR | GRBL_HAL_HOLD => self.held = true,
            RESUME | GRBL_HAL_RESUME => self.held = false,
            _ => {}
        }
    }

    pub(in crate::machine::core) fn deadline(&self, now: Instant) -> Option<Instant> {
        if self.why.is_some() {
            return None;
        }
        if self.failing.is_some() || self.stage == Stage::Done {
            return Some(now);
        }
        let ready = match self.stage {
            Stage::Ready(until) => Some(until),
            Stage::Sending | Stage::Standing(_) | Stage::Done => None,
        };
        let tells = (*self.told.borrow() != self.progress).then_some(self.told_at + TELL_EVERY);
        let alone = self.alone.map(|since| since + ALONE);
        [ready, tells, alone, Some(self.heard + self.patience)].into_iter().flatten().min()
    }

    pub(super) fn next(&mut self, beam_may_be_on: bool) -> Option<Bytes> {
        let goes = self.stage == Stage::Sending && self.why.is_none() && self.failing.is_none();
        if !goes || self.held {
            return None;
        }
        loop {
            if let Some(line) = self.sender.transmit() {
                self.patience = if line.starts_with(b"$H") { HOMING } else { SILENCE };
                return Some(Bytes::copy_from_slice(line));
            }
            if !self.sender.wants_line() || !self.push(beam_may_be_on) {
                return None;
            }
        }
    }

    /// Gives the sender the next line. `false` while there is none.
    fn push(&mut self, beam_may_be_on: bool) -> bool {
        if let Some((length, next)) = program::first(&self.lines) {
            self.line += 1;
            if let Err(why) = self.sender.push(self.line, &self.lines[..length]) {
                self.failing = Some(Why::Unsendable { line: self.line, why });
                return false;
            }
            self.lines.advance(next);
            return true;
        }
        if self.is_read {
            return self.push_tail(beam_may_be_on);
        }
        match self.source.try_recv() {
            Ok(Piece::Lines(lines)) => self.lines = lines,
            Ok(Piece::End) => self.is_read = true,
            Ok(Piece::Failed(why)) => self.unreadable(why),
            Err(TryRecvError::Empty) => return false,
            Err(TryRecvError::Disconnected) => self.unreadable(Text::from("its reader has ended")),
        }
        self.failing.is_none()
    }

    /// What comes behind the program, once the machine has taken all of that: the beam off if the
    /// program has left it on, and for a machine that does not tell whether it stands, a line that
    /// it answers only then.
    fn push_tail(&mut self, beam_may_be_on: bool) -> bool {
        if !self.sender.is_drained() {
            return false;
        }
        let tail = self.tail.get_or_insert_with(|| {
            let stands = self.is_marlin.then_some(&b"M400"[..]);
            let off = beam_may_be_on.then_some(&b"M5"[..]);
            stands.into_iter().chain(off).collect()
        });
        let Some(line) = tail.pop() else {
            self.stage = if self.is_marlin { Stage::Done } else { Stage::Standing(0) };
            return false;
        };
        if let Err(why) = self.sender.push(self.line.max(1), line) {
            self.failing = Some(Why::Unsendable { line: self.line, why });
        }
        true
    }

    fn unreadable(&mut self, why: Text) {
        self.failing = Some(Why::Unreadable { line: self.line, why });
    }

    pub(super) fn hear(&mut self, report: &Report, now: Instant) {
        (self.heard, self.asked_again) = (now, 0);
        let line = self.progress.line;
        match self.sender.received(report) {
            Event::None | Event::Alive => {}
            Event::Acked { line } => self.progress.line = line,
            Event::LostAnswers { line } => {
                self.progress.line = line;
                self.progress.lost_answers += 1;
            }
            Event::Resent { .. } => self.progress.resent += 1,
            Event::Refused { line, code } => self.failing = Some(Why::Refused { line, code }),
            Event::Unresendable { number } => self.failing = Some(Why::Unresendable { number }),
            Event::Stopped => {
                self.failing = Some(match report {
                    Report::Alarm { code } => Why::Alarm { line, code: *code },
                    _ => Why::Restarted { line },
                });
            }
        }
        if let Report::Status(status) = report {
            self.doing = Some(status.state);
            self.does(status.state);
        }
    }

    /// The machine has said what it is doing.
    fn does(&mut self, doing: Doing) {
        let stands = matches!(doing, Doing::Idle | Doing::Check);
        self.stage = match self.stage {
            Stage::Ready(_) if stands => Stage::Sending,
            // a report may have been on its way while the last line was taken
            Stage::Standing(STANDS) if stands => Stage::Done,
            Stage::Standing(count) if stands => Stage::Standing(count + 1),
            Stage::Standing(_) => Stage::Standing(0),
            stage => stage,
        };
        if doing == Doing::Alarm && self.stage != Stage::Done {
            let why = match self.stage {
                Stage::Ready(_) => Why::NotReady(self.doing),
                _ => Why::Alarm { line: self.progress.line, code: None },
            };
            self.failing.get_or_insert(why);
        }
    }

    pub(super) fn expire(&mut self, now: Instant) {
        if let Stage::Ready(until) = self.stage
            && now >= until
        {
            self.failing.get_or_insert(Why::NotReady(self.doing));
        }
        if now < self.heard + self.patience {
            return;
        }
        self.heard = now;
        // a line that comes again is answered, unless the one before it takes so long
        let is_asked_again = self.asked_again < ASKED_AGAIN_MAX;
        if self.is_marlin && is_asked_again && !self.sender.silent() {
            return;
        }
        self.asked_again += 1;
        if !self.is_marlin || self.asked_again >= SILENT_MAX {
            self.failing.get_or_insert(Why::Silent { line: self.progress.line });
        }
    }

    /// Whether it is to be held now, because nobody looks.
    pub(super) fn is_alone(&mut self, is_seen: bool, now: Instant) -> bool {
        if is_seen || self.held || !self.options.hold_alone {
            self.alone = None;
            return false;
        }
        now >= *self.alone.get_or_insert(now) + ALONE
    }

    /// Notes whether it is held. Whether that has changed.
    pub(super) fn is_news(&mut self) -> bool {
        let stands = matches!(self.doing, Some(Doing::Hold | Doing::Door | Doing::Tool));
        let phase = if self.held || stands { Phase::Held } else { Phase::Running };
        let changed = self.progress.phase != phase;
        self.progress.phase = phase;
        changed
    }

    pub(super) fn tell(&mut self, now: Instant) {
        let changed = self.is_news();
        if changed || now >= self.told_at + TELL_EVERY && *self.told.borrow() != self.progress {
            self.told_at = now;
            self.told.send_replace(self.progress.clone());
        }
    }
}

/// Five questions a second, and `busy:` every other: whatever it does, it says something.
pub(super) const SILENCE: Duration = Duration::from_secs(10);
/// But GRBL says nothing while it homes (`limits.c`).
const HOMING: Duration = Duration::from_secs(180);
const ASKED_AGAIN_MAX: u32 = 3;
/// Some printers are built without `busy:`, and level their beds for a minute.
const SILENT_MAX: u32 = 12;
/// Reports that the machine stands, before the one that ends the job.
const STANDS: u32 = 1;
/// Longer than a page takes to load again, or a link to come back.
const ALONE: Duration = Duration::from_secs(5);
const TELL_EVERY: Duration = Duration::from_millis(200);
/// As long as a job is armed before it runs.
const ARMED: Duration = Duration::from_secs(120);
const GRBL_HAL_RESUME: u8 = 0x81;
const GRBL_HAL_HOLD: u8 = 0x82;
