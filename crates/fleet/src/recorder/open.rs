//! The job that is under way, and what its printer shows of it.

use super::{FileFacts, UNNAMED, event, micrometres, name, same, seconds, state, word};
use printer::{Phase, Running};
use store::shop::{Job, JobEvent};

/// The job that is under way, and what it looked like last.
#[derive(Clone, Debug)]
pub(super) struct Open {
    pub(super) job: Job,
    /// The date of another print, which was still shown.
    pub(super) stale: Option<String>,
    pub(super) elapsed_s: Option<u32>,
    pub(super) remaining_s: Option<u32>,
    pub(super) paused_since_us: Option<i64>,
    /// When it was last written.
    pub(super) written_us: i64,
    pub(super) file: Option<FileFacts>,
}

impl Open {
    pub(super) fn stored(job: Job) -> Self {
        let paused_since_us = (job.state == state::PAUSED).then_some(job.seen_us);
        let written_us = job.seen_us;
        Self {
            job,
            stale: None,
            elapsed_s: None,
            remaining_s: None,
            paused_since_us,
            written_us,
            file: None,
        }
    }

    /// Takes in the print as it is shown; gives what has happened, if something has.
    pub(super) fn go_on(
        &mut self,
        phase: Phase,
        running: &Running,
        now_us: i64,
    ) -> Option<JobEvent> {
        self.measure(running, now_us);
        let word = word(phase);
        if self.job.state == word {
            return None;
        }
        let was_paused = self.job.state == state::PAUSED;
        word.clone_into(&mut self.job.state);
        if let Some(since_us) = self.paused_since_us.take_if(|_| was_paused) {
            self.job.paused_s += seconds(now_us - since_us);
        }
        let what = match phase {
            Phase::Paused => {
                self.paused_since_us = Some(now_us);
                "paused"
            }
            Phase::Printing if was_paused => "resumed",
            Phase::Printing => "printing",
            _ => "preparing",
        };
        let detail = running.stage.as_ref().map_or("", |stage| stage.as_str());
        Some(event(&self.job, now_us, what, detail))
    }

    /// Takes over the numbers.
    pub(super) fn measure(&mut self, running: &Running, now_us: i64) {
        let job = &mut self.job;
        (job.seen_us, job.updated_us) = (now_us, now_us);
        self.elapsed_s = running.elapsed_s.or(self.elapsed_s);
        self.remaining_s = running.remaining_s.or(self.remaining_s);
        let better = same::own_id(running).filter(|id| self.stale.as_ref() != Some(id));
        if better.is_some() && job.own_id.as_ref().is_none_or(|id| same::is_stamp(id)) {
            job.own_id = better;
        }
        job.path = running.path.clone().or(job.path.take());
        if job.name == UNNAMED {
            job.name = name(running);
        }
        if let Some(percent) = running.progress_percent {
            #[expect(clippy::cast_possible_truncation, reason = "it is clamped")]
            let permille = (percent.clamp(0.0, 100.0) * 10.0) as i64;
            job.progress_permille = permille;
        }
        job.layer = running.layer.map(i64::from).or(job.layer);
        job.layers = running.layers.map(i64::from).or(job.layers);
        job.filament_um = running.filament_mm.and_then(micrometres).or(job.filament_um);
        if job.estimate_s.is_none()
            && let (Some(elapsed), Some(remaining)) = (running.elapsed_s, running.remaining_s)
        {
            job.estimate_s = Some(i64::from(elapsed) + i64::from(remaining));
        }
    }
}
