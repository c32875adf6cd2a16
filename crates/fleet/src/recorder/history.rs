//! What printers tell of prints that are over, joined to what was seen of them.

use super::open::Open;
use super::{Change, Recorder, event, known_by, micrometres, same, seconds, state};
use printer::{Outcome, Past, Phase, Running};
use store::shop::Job;

impl Recorder {
    /// A printer without a history says that a print has ended, which its state says as well; but
    /// the state may be late, or gone before it was looked at.
    pub(super) fn told_of_end(&mut self, past: &Past, now_us: i64) -> Option<Change> {
        let word = ended_as(past.outcome);
        let live = self.last.is_some_and(Phase::is_active);
        if let Some(open) = &self.open
            && live
            && same::is_told(&open.job, past)
        {
            let mut change = self.end(word, None, now_us, known_by::SEEN);
            self.told_end = Some(change.job.id.clone());
            change.job.filament_um = past.filament_mm.and_then(micrometres);
            self.keep(change.job.clone());
            return Some(change);
        }
        if self.open.is_some() || past.id.is_some() || self.last.is_none() {
            return None;
        }
        let lasted_us = i64::from(past.printed_s.unwrap_or(0)) * 1_000_000;
        let began_us = now_us - lasted_us;
        // an end is told once: the next is that of another print, however soon
        let (known, told_end) = (self.told_end.take(), &mut self.told_end);
        let told = |job: &&mut Job| {
            known.as_ref() != Some(&job.id)
                && past.heard_us.is_none_or(|heard_us| job.ended_us > Some(heard_us))
                && same::is_told(job, past)
                && same::is_end_of(job, began_us, now_us)
        };
        if let Some(job) = self.recent.last_mut().filter(told) {
            *told_end = Some(job.id.clone());
            if job.state == word || job.known_by != known_by::SEEN {
                return None;
            }
            word.clone_into(&mut job.state);
            job.reason = None;
            if word == state::FINISHED {
                job.progress_permille = 1000;
            }
            let events = vec![event(job, job.ended_us.unwrap_or(now_us), word, "")];
            return Some(Change { job: job.clone(), events });
        }
        let running = Running { name: past.name.clone(), ..Running::default() };
        let job = self.blank(&running, began_us, now_us);
        let began = event(&job, began_us, "started", "");
        self.open = Some(Open::stored(job));
        let mut change = self.end(word, None, now_us, known_by::SEEN);
        self.told_end = Some(change.job.id.clone());
        change.events.insert(0, began);
        Some(change)
    }

    /// Joins what the printer remembers to what is recorded.
    pub(super) fn reconcile(
        &mut self,
        past: &Past,
        started_us: i64,
        now_us: i64,
    ) -> Option<Change> {
        let is_known = self.recent.iter().any(|job| same::has_id(job, past));
        if let Some(open) = &self.open
            && !is_known
            && same::is_past(&open.job, past, started_us)
        {
            let mut job = open.job.clone();
            job.paused_s += open.paused_since_us.map_or(0, |since| seconds(now_us - since));
            self.open = None;
            return Some(self.settle(job, past, started_us, now_us));
        }
        let is_it = |job: &&Job| {
            same::has_id(job, past) || !is_known && same::is_past(job, past, started_us)
        };
        if let Some(job) = self.recent.iter().find(is_it) {
            if job.known_by != known_by::ASSUMED && job.state != state::UNKNOWN {
                return None;
            }
            let job = job.clone();
            return Some(self.settle(job, past, started_us, now_us));
        }
        if past.ended_us <= self.since_us || past.ended_us > now_us + CLOCKS_APART_US {
            return None;
        }
        let running =
            Running { id: past.id.clone(), name: past.name.clone(), ..Running::default() };
        let job = self.blank(&running, started_us, now_us);
        let began = event(&job, started_us, "started", "while nobody listened");
        let mut change = self.settle(job, past, started_us, now_us);
        change.events.insert(0, began);
        Some(change)
    }

    fn settle(&mut self, mut job: Job, past: &Past, started_us: i64, now_us: i64) -> Change {
        let lasted_us = (past.ended_us - started_us).max(0);
        // its clock may be wrong; how long it took is right all the same
        let ended_us = (job.started_us + lasted_us).min(now_us.max(job.started_us));
        if job.state == state::UNKNOWN {
            // why it was not known
            job.reason = None;
        }
        ended_as(past.outcome).clone_into(&mut job.state);
        job.ended_us = Some(ended_us);
        job.known_by = known_by::HISTORY.to_owned();
        job.own_id = job.own_id.or_else(|| past.id.as_ref().map(|id| id.as_str().to_owned()));
        job.updated_us = now_us;
        if past.outcome == Outcome::Finished {
            (job.progress_permille, job.reason) = (1000, None);
        }
        let whole_s = seconds(ended_us - job.started_us);
        job.printed_s = past.printed_s.map(i64::from).or(Some((whole_s - job.paused_s).max(0)));
        if let Some(printed_s) = job.printed_s {
            job.paused_s = (whole_s - printed_s).max(0);
        }
        job.filament_um = past.filament_mm.and_then(micrometres).or(job.filament_um);
        let event = event(&job, ended_us, &job.state, "as the printer remembers");
        self.keep(job.clone());
        Change { job, events: vec![event] }
    }
}

fn ended_as(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Finished => state::FINISHED,
        Outcome::Cancelled => state::CANCELLED,
        Outcome::Failed => state::FAILED,
    }
}

/// As a printer's clock may differ from ours before its history is not believed.
const CLOCKS_APART_US: i64 = 24 * 3600 * 1_000_000;
