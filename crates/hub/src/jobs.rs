//! Jobs: files that a machine of this hub is to run by itself, so that whoever sent them may
//! leave.
//!
//! A job is uploaded in pieces, compared with the hash that was announced, looked at line by line
//! ([`checking`]), armed where its machine wants that, and run ([`running`]). What state it is in
//! is in the database before anything of it is done: when the power comes back, a job that was
//! under way is at fault, and nothing starts by itself.

mod asking;
mod checking;
mod rest;
mod running;

use crate::Inner;
use crate::core::Core;
use crate::failure::Failure;
use crate::management::{Result, serde_word};
use crate::view::{self, FailureCode, JobFound, JobState, NewJob, OnLoss};
use jiff::Timestamp;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use store::Store;
use wire::{DeviceId, Text};

/// A job of a machine of this hub.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) device: DeviceId,
    name: Text,
    bytes: u64,
    sha256: String,
    received_bytes: u64,
    /// Somebody is adding to its content, looking at it, or about to run it.
    busy: bool,
    pub(crate) state: JobState,
    /// Until when it is armed.
    armed_until: Option<Instant>,
    line: u64,
    found: JobFound,
    /// How long it takes up to which line, by the estimate.
    marks: checking::Marks,
    left_s: Option<u32>,
    problem: Option<String>,
    by: Text,
    on_loss: OnLoss,
    created: Timestamp,
    started: Option<Timestamp>,
    ended: Option<Timestamp>,
}

impl Job {
    fn new(device: DeviceId, new: NewJob, by: Text) -> Self {
        Self {
            device,
            name: new.name,
            bytes: new.bytes,
            sha256: new.sha256.to_ascii_lowercase(),
            received_bytes: 0,
            busy: false,
            state: JobState::Uploading,
            armed_until: None,
            line: 0,
            found: JobFound::default(),
            marks: checking::Marks::default(),
            left_s: None,
            problem: None,
            by,
            on_loss: new.on_loss,
            created: Timestamp::now(),
            started: None,
            ended: None,
        }
    }

    pub(crate) fn view(&self, id: u32) -> view::Job {
        view::Job {
            id,
            name: self.name.clone(),
            bytes: self.bytes,
            sha256: self.sha256.clone(),
            received_bytes: self.received_bytes,
            state: self.state,
            line: self.line,
            found: self.found.clone(),
            left_s: self.left_s,
            problem: self.problem.clone(),
            by: self.by.clone(),
            on_loss: self.on_loss,
            created: self.created.to_string(),
            started: self.started.map(|at| at.to_string()),
            ended: self.ended.map(|at| at.to_string()),
        }
    }

    fn row(&self, id: u32) -> store::Job {
        let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        store::Job {
            id: id.into(),
            device_id: self.device.to_string(),
            name: self.name.to_string(),
            bytes: signed(self.bytes),
            sha256: self.sha256.clone(),
            state: serde_word(&self.state),
            line: signed(self.line),
            made_by: self.by.to_string(),
            on_loss: serde_word(&self.on_loss),
            found: serde_json::to_string(&self.found).expect("plain data"),
            problem: self.problem.clone(),
            created_us: self.created.as_microsecond(),
            started_us: self.started.map(Timestamp::as_microsecond),
            ended_us: self.ended.map(Timestamp::as_microsecond),
        }
    }

    /// As it was when this hub last ran. `None` when anything of it cannot be read.
    fn read(row: store::Job, received_bytes: u64) -> Option<(u32, Self)> {
        let word = |text: &str| serde_json::Value::from(text);
        let time = |us: i64| Timestamp::from_microsecond(us).ok();
        let mut job = Self {
            device: row.device_id.parse().ok()?,
            name: row.name.as_str().into(),
            bytes: row.bytes.try_into().ok()?,
            sha256: row.sha256,
            received_bytes,
            busy: false,
            state: serde_json::from_value(word(&row.state)).ok()?,
            armed_until: None,
            line: row.line.try_into().ok()?,
            found: serde_json::from_str(&row.found).ok()?,
            marks: checking::Marks::default(),
            left_s: None,
            problem: row.problem,
            by: row.made_by.as_str().into(),
            on_loss: serde_json::from_value(word(&row.on_loss)).ok()?,
            created: time(row.created_us)?,
            started: row.started_us.and_then(time),
            ended: row.ended_us.and_then(time),
        };
        job.after_restart();
        Some((row.id.try_into().ok()?, job))
    }

    /// Nothing goes on by itself: whoever comes back to a machine looks at it first.
    fn after_restart(&mut self) {
        match self.state {
            JobState::Armed => self.state = JobState::Checked,
            JobState::Running | JobState::Held => {
                let line = self.line;
                let told = format!("{CUT_OFF}: the machine had taken {line} lines or a few more");
                self.end(JobState::Fault, Some(told));
            }
            // the last piece came, and nobody noted it
            JobState::Uploading if self.received_bytes == self.bytes => {
                self.state = JobState::Uploaded;
            }
            JobState::Uploading | JobState::Uploaded | JobState::Checked => {}
            JobState::Done | JobState::Aborted | JobState::Fault => {}
        }
    }

    fn end(&mut self, state: JobState, problem: Option<String>) {
        (self.state, self.problem) = (state, problem);
        (self.armed_until, self.left_s) = (None, None);
        self.ended = Some(Timestamp::now());
    }

    /// Whether somebody would want to see it at its machine, and the more the greater.
    fn matters(&self) -> Option<u8> {
        match self.state {
            JobState::Running | JobState::Held => Some(2),
            JobState::Armed => Some(1),
            JobState::Uploaded | JobState::Checked => Some(0),
            JobState::Uploading | JobState::Done | JobState::Aborted | JobState::Fault => None,
        }
    }
}

impl Core {
    /// The job that a machine runs, or else the one that it is to run next.
    pub(crate) fn job_of(&self, device: &DeviceId) -> Option<view::Job> {
        let jobs = self.jobs.iter().filter(|(_, job)| job.device == *device);
        let most = jobs
            .filter_map(|(id, job)| Some((job.matters()?, id, job)))
            .max_by_key(|job| (job.0, job.1));
        most.map(|(_, id, job)| job.view(*id))
    }

    fn job(&mut self, id: u32) -> Result<&mut Job> {
        self.jobs.get_mut(&id).ok_or_else(gone)
    }
}

impl Inner {
    fn job_file(&self, id: u32) -> PathBuf {
        file(&self.data, id.into())
    }

    /// Writes down what a job is now. What cannot be written is not done.
    async fn journal(&self, id: u32) -> Result<()> {
        let row = self.shared.look(|core| core.jobs.get(&id).map(|job| job.row(id)));
        match row {
            Some(row) => Ok(self.store.put_job(&row).await?),
            None => Err(gone()),
        }
    }

    fn job_view(&self, id: u32) -> Result<view::Job> {
        self.shared.look(|core| Some(core.jobs.get(&id)?.view(id))).ok_or_else(gone)
    }
}

/// The jobs that this hub remembers. One that cannot be read is not shown, and does not run.
pub(crate) async fn remembered(core: &mut Core, store: &Store, data: &Path) -> anyhow::Result<()> {
    for row in store.jobs().await? {
        let id = row.id;
        let bytes = tokio::fs::metadata(file(data, id)).await.map_or(0, |file| file.len());
        match Job::read(row, bytes) {
            Some((id, job)) => {
                store.put_job(&job.row(id)).await?;
                core.jobs.insert(id, job);
            }
            None => tracing::error!("job {id} cannot be read"),
        }
    }
    Ok(())
}

/// Looks at what was uploaded before this hub started.
pub(crate) async fn catch_up(inner: Arc<Inner>) {
    let jobs = inner.shared.look(|core| {
        let waiting = core.jobs.iter().filter(|(_, job)| job.state == JobState::Uploaded);
        waiting.map(|(id, _)| *id).collect::<Vec<_>>()
    });
    for id in jobs {
        inner.check_job(id).await;
    }
}

/// What is said of a job that was not at its end.
const CUT_OFF: &str = "this hub ended while the job ran";

fn file(data: &Path, id: i64) -> PathBuf {
    data.join("jobs").join(format!("{id}.gcode"))
}

fn gone() -> Failure {
    Failure::not_found("this machine has no such job")
}

fn conflict(message: impl Into<String>) -> Failure {
    Failure::new(FailureCode::Conflict, message)
}
