//! What a printer is without its network: files, heaters, fans, and one print at a time.
//!
//! It has no clock and no I/O: [`Engine::advance`] is told how late it is, and every command takes
//! effect at that moment. A front end (the server of one protocol) holds an `Arc` of
//! [`Shared`](super::shared::Shared) and does everything by [`Shared::with`], which locks the
//! engine, advances it to now, and wakes those who wait for [`Shared::changes`] when something
//! became different. A front end keeps no state of the print for itself, and asks
//! [`Shared::fault`] before it answers. What the printer did is in [`Engine::records`], which
//! commands of the protocol and buttons of the panel ([`Act`](super::Act)) go into alike.
//!
//! A print is shorter by [`Engine::speed`], but all its times are true ones: a file of an hour at
//! speed 60 is started with 60 s remaining.
//!
//! [`Shared::with`]: super::shared::Shared::with
//! [`Shared::changes`]: super::shared::Shared::changes
//! [`Shared::fault`]: super::shared::Shared::fault

mod job;

pub(super) use job::{Heat, Job};

use super::file::File;
use super::{End, Print};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

#[derive(Debug)]
pub(super) struct Engine {
    pub(super) phase: Phase,
    pub(super) hotend: Heat,
    pub(super) bed: Heat,
    /// Of the print, 0 to 100.
    pub(super) fan_percent: u16,
    pub(super) speed_percent: u16,
    pub(super) flow_percent: u16,
    pub(super) light_on: bool,
    /// What is being printed, or was printed last and is still shown.
    pub(super) job: Option<Job>,
    /// An error that is shown until somebody clears it.
    pub(super) trouble: Option<Trouble>,
    /// Every print since the printer was made.
    pub(super) records: Vec<Record>,
    /// Goes up whenever something that can be seen changes.
    pub(super) revision: u64,
    /// Goes up whenever files come or go.
    pub(super) files_revision: u64,
    /// Time is this much faster for the print, and for the heaters.
    pub(super) speed: f64,
    files: BTreeMap<String, File>,
    now: SystemTime,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Idle,
    /// It heats.
    Preparing,
    Printing,
    Paused,
    Finished,
    Cancelled,
    Failed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heater {
    Hotend,
    Bed,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    pub(super) code: String,
    pub(super) text: String,
    /// Whether it ended a print.
    pub(super) ended_print: bool,
}

/// A print that is under way, or over.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) id: u32,
    pub(super) print: Print,
    /// While it laid down plastic, without pauses.
    pub(super) printing: Duration,
    pub(super) filament_mm: f64,
    /// It ended because the power went.
    pub(super) lost: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    NoSuchFile,
    /// Nothing is printing that this could be about.
    NoPrint,
    /// A print is under way.
    Busy,
    /// It is what it is told to become, or has an error to be cleared first.
    WrongState,
    /// The storage is full.
    Full,
    NoStorage,
}

impl Engine {
    pub(super) fn new(speed: f64, now: SystemTime) -> Self {
        Self {
            phase: Phase::Idle,
            hotend: Heat::COLD,
            bed: Heat::COLD,
            fan_percent: 0,
            speed_percent: 100,
            flow_percent: 100,
            light_on: true,
            job: None,
            trouble: None,
            records: Vec::new(),
            revision: 0,
            files_revision: 0,
            speed: speed.max(1.0),
            files: BTreeMap::new(),
            now,
        }
    }

    /// Lets time pass. What ended on the way ended at its own moment.
    pub(super) fn advance(&mut self, now: SystemTime) {
        let Ok(passed) = now.duration_since(self.now) else { return };
        let mut left_s = passed.as_secs_f64();
        if !self.is_moving() {
            self.now = now;
            return;
        }
        while left_s > 0.0 {
            let until_s = self.until_next_phase_s();
            let step_s = until_s.map_or(left_s, |until_s| until_s.min(left_s));
            self.step(step_s);
            left_s -= step_s;
            if until_s.is_some_and(|until_s| until_s <= step_s) {
                self.next_phase();
            }
        }
        self.now = now;
        self.revision += 1;
    }

    /// Whether something changes by itself.
    pub(super) fn is_moving(&self) -> bool {
        matches!(self.phase, Phase::Preparing | Phase::Printing)
            || !self.hotend.is_settled()
            || !self.bed.is_settled()
    }

    pub(super) fn is_active(&self) -> bool {
        matches!(self.phase, Phase::Preparing | Phase::Printing | Phase::Paused)
    }

    fn until_next_phase_s(&self) -> Option<f64> {
        let job = self.job.as_ref()?;
        match self.phase {
            Phase::Preparing => Some(job.prepare_s - job.worked_s),
            Phase::Printing => Some((job.whole_s - job.worked_s) / job.rate),
            Phase::Idle | Phase::Paused | Phase::Finished | Phase::Cancelled | Phase::Failed => {
                None
            }
        }
    }

    fn step(&mut self, step_s: f64) {
        self.now += Duration::from_secs_f64(step_s);
        self.hotend.step(step_s * self.speed, HOTEND_TAU_S);
        self.bed.step(step_s * self.speed, BED_TAU_S);
        let Some(job) = &mut self.job else { return };
        match self.phase {
            Phase::Preparing => job.worked_s += step_s,
            Phase::Printing => {
                job.worked_s += step_s * job.rate;
                if let Some(record) = self.records.last_mut() {
                    record.printing += Duration::from_secs_f64(step_s);
                }
            }
            Phase::Idle | Phase::Paused | Phase::Finished | Phase::Cancelled | Phase::Failed => {
                return;
            }
        }
        job.active_s += step_s;
    }

    fn next_phase(&mut self) {
        match self.phase {
            Phase::Preparing => {
                self.phase = Phase::Printing;
                self.fan_percent = 100;
                if let Some(job) = &mut self.job {
                    job.worked_s = job.prepare_s;
                }
            }
            Phase::Printing => {
                if let Some(job) = &mut self.job {
                    job.worked_s = job.whole_s;
                }
                self.end(End::Finished);
            }
            Phase::Idle | Phase::Paused | Phase::Finished | Phase::Cancelled | Phase::Failed => {}
        }
    }

    fn end(&mut self, end: End) {
        self.phase = match end {
            End::Finished => Phase::Finished,
            End::Cancelled => Phase::Cancelled,
            End::Failed => Phase::Failed,
        };
        if let (Some(record), Some(job)) = (self.records.last_mut(), &self.job) {
            if let Some((_, until @ None)) = record.print.pauses.last_mut() {
                *until = Some(self.now);
            }
            record.print.ended = Some((self.now, end));
            record.filament_mm = job.filament_mm();
        }
        (self.hotend.target_c, self.bed.target_c, self.fan_percent) = (0.0, 0.0, 0);
        self.speed_percent = 100;
        self.revision += 1;
    }

    /// Begins a print and gives its id.
    pub(super) fn start(&mut self, path: &str) -> Result<u32, Refused> {
        if self.is_active() {
            return Err(Refused::Busy);
        }
        if self.trouble.is_some() {
            return Err(Refused::WrongState);
        }
        let plan = self.files.get(path).ok_or(Refused::NoSuchFile)?.plan;
        let id = self.records.last().map_or(1, |record| record.id + 1);
        let whole_s = plan.estimate.as_secs_f64() / self.speed;
        let prepare_s = (whole_s / 20.0).max(60.0 / self.speed).min(whole_s / 2.0);
        let job = Job {
            id,
            path: path.to_owned(),
            started: self.now,
            plan,
            active_s: 0.0,
            worked_s: 0.0,
            whole_s,
            prepare_s,
            rate: f64::from(self.speed_percent) / 100.0,
        };
        self.job = Some(job);
        (self.hotend.target_c, self.bed.target_c) = (plan.hotend_c, plan.bed_c);
        self.phase = Phase::Preparing;
        let print =
            Print { file: path.to_owned(), started: self.now, ended: None, pauses: Vec::new() };
        let printing = Duration::ZERO;
        self.records.push(Record { id, print, printing, filament_mm: 0.0, lost: false });
        self.revision += 1;
        Ok(id)
    }

    pub(super) fn pause(&mut self) -> Result<(), Refused> {
        match self.phase {
            Phase::Preparing | Phase::Printing => {}
            Phase::Paused => return Err(Refused::WrongState),
            Phase::Idle | Phase::Finished | Phase::Cancelled | Phase::Failed => {
                return Err(Refused::NoPrint);
            }
        }
        self.phase = Phase::Paused;
        if let Some(record) = self.records.last_mut() {
            record.print.pauses.push((self.now, None));
        }
        self.revision += 1;
        Ok(())
    }

    pub(super) fn resume(&mut self) -> Result<(), Refused> {
        let job = self.job.as_ref().filter(|_| self.is_active()).ok_or(Refused::NoPrint)?;
        if self.phase != Phase::Paused {
            return Err(Refused::WrongState);
        }
        let prepared = job.worked_s >= job.prepare_s;
        self.phase = if prepared { Phase::Printing } else { Phase::Preparing };
        if let Some((_, until)) = self.records.last_mut().and_then(|r| r.print.pauses.last_mut()) {
            *until = Some(self.now);
        }
        self.revision += 1;
        Ok(())
    }

    pub(super) fn cancel(&mut self) -> Result<(), Refused> {
        if !self.is_active() {
            return Err(Refused::NoPrint);
        }
        self.end(End::Cancelled);
        Ok(())
    }

    /// An error of the printer itself. It ends a print, and is shown until it is cleared.
    pub(super) fn fail(&mut self, code: &str, text: &str) {
        let (code, text, ended_print) = (code.to_owned(), text.to_owned(), self.is_active());
        self.trouble = Some(Trouble { code, text, ended_print });
        if ended_print {
            self.end(End::Failed);
        }
        (self.hotend.target_c, self.bed.target_c) = (0.0, 0.0);
        self.revision += 1;
    }

    /// Dismisses what is still shown of the last print, and the error. A print goes on.
    pub(super) fn clear(&mut self) {
        self.trouble = None;
        if !self.is_active() {
            self.phase = Phase::Idle;
            self.job = None;
        }
        self.revision += 1;
    }

    /// The power goes: what was printing is lost, and nobody remembers it afterwards.
    pub(super) fn power_off(&mut self) {
        if self.is_active() {
            self.end(End::Failed);
            if let Some(record) = self.records.last_mut() {
                record.lost = true;
            }
        }
        self.clear();
        (self.hotend.target_c, self.bed.target_c, self.fan_percent) = (0.0, 0.0, 0);
        (self.speed_percent, self.flow_percent, self.light_on) = (100, 100, true);
    }

    pub(super) fn set_target(&mut self, heater: Heater, target_c: f64) {
        match heater {
            Heater::Hotend => self.hotend.target_c = target_c.clamp(0.0, HOTEND_MAX_C),
            Heater::Bed => self.bed.target_c = target_c.clamp(0.0, BED_MAX_C),
        }
        self.revision += 1;
    }

    pub(super) fn set_speed(&mut self, percent: u16) {
        self.speed_percent = percent.clamp(10, 999);
        if let Some(job) = &mut self.job {
            job.rate = f64::from(self.speed_percent) / 100.0;
        }
        self.revision += 1;
    }

    pub(super) fn set_flow(&mut self, percent: u16) {
        self.flow_percent = percent.clamp(10, 999);
        self.revision += 1;
    }

    pub(super) fn set_fan(&mut self, percent: u16) {
        self.fan_percent = percent.min(100);
        self.revision += 1;
    }

    pub(super) fn set_light(&mut self, on: bool) {
        self.light_on = on;
        self.revision += 1;
    }

    pub(super) fn now(&self) -> SystemTime {
        self.now
    }

    pub(super) fn files(&self) -> &BTreeMap<String, File> {
        &self.files
    }

    pub(super) fn is_printing(&self, path: &str) -> bool {
        self.is_active() && self.job.as_ref().is_some_and(|job| job.path == path)
    }

    /// Stores a file, in place of one that has its name.
    pub(super) fn put_file(&mut self, path: &str, content: Bytes) -> Result<(), Refused> {
        let others = self.files.iter().filter(|(other, _)| *other != path);
        let bytes: usize = others.map(|(_, file)| file.content.len()).sum();
        if bytes + content.len() > FILES_BYTES_MAX {
            return Err(Refused::Full);
        }
        self.files.insert(path.to_owned(), File::new(content, self.now));
        self.files_revision += 1;
        self.revision += 1;
        Ok(())
    }

    /// Gives what was removed.
    pub(super) fn remove_file(&mut self, path: &str) -> Result<File, Refused> {
        if self.is_printing(path) {
            return Err(Refused::Busy);
        }
        let file = self.files.remove(path).ok_or(Refused::NoSuchFile)?;
        self.files_revision += 1;
        self.revision += 1;
        Ok(file)
    }
}

/// What one printer keeps at most; beyond it the drive is full.
pub(super) const FILES_BYTES_MAX: usize = 256 * 1024 * 1024;
const HOTEND_MAX_C: f64 = 300.0;
const BED_MAX_C: f64 = 120.0;
/// Quick enough to be hot within the minute that a print heats.
const HOTEND_TAU_S: f64 = 10.0;
const BED_TAU_S: f64 = 9.0;

#[cfg(test)]
mod tests;
