//! What people ask of jobs.

use super::{Job, conflict, gone};
use crate::core::Caller;
use crate::failure::Failure;
use crate::machines::may;
use crate::management::{Result, serde_word};
use crate::pairing::internal;
use crate::view::{self, JobAct, JobState, NewJob, Role};
use crate::{Hub, Inner};
use bytes::Bytes;
use gcode::preview::Preview;
use std::io;
use std::path::PathBuf;
use tokio::io::AsyncWriteExt;
use wire::{DeviceId, Pin};

impl Hub {
    /// The jobs of a machine, the newest first.
    ///
    /// # Errors
    /// When this hub has no such machine, or the caller may not see it.
    pub fn jobs(&self, caller: Caller, device: &str) -> Result<Vec<view::Job>> {
        self.0.shared.look(|core| {
            let (device, _) = may(core, caller, device, Role::View)?;
            let jobs = core.jobs.iter().rev().filter(|(_, job)| job.device == device);
            Ok(jobs.map(|(id, job)| job.view(*id)).collect())
        })
    }

    /// One of them.
    ///
    /// # Errors
    /// When there is no such job, or the caller may not see it.
    pub fn job(&self, caller: Caller, device: &str, id: u32) -> Result<view::Job> {
        self.job_for(caller, device, id, Role::View)?;
        self.0.job_view(id)
    }

    /// Announces a job; its content follows in pieces.
    ///
    /// # Errors
    /// When the caller may not, or it is too large, or there are too many.
    pub async fn new_job(&self, caller: Caller, device: &str, new: NewJob) -> Result<view::Job> {
        let inner = &self.0;
        let (device, _) = inner.shared.look(|core| may(core, caller, device, Role::Control))?;
        let hash = new.sha256.len() == 64 && new.sha256.bytes().all(|b| b.is_ascii_hexdigit());
        if !hash || new.bytes == 0 || new.bytes > BYTES_MAX {
            let message = "a job has 1 byte to 1 GiB, and a SHA-256 of 64 hexadecimal digits";
            return Err(Failure::bad_request(message));
        }
        let id = inner.announce(caller, &device, new).await?;
        inner.job_view(id)
    }

    /// Adds to the content of a job, from where it ends.
    ///
    /// # Errors
    /// When the caller may not, or it is not from where the content ends: then an upload goes on
    /// at `received_bytes`.
    pub async fn job_content(
        &self,
        caller: Caller,
        (device, id): (&str, u32),
        offset: u64,
        bytes: Bytes,
    ) -> Result<view::Job> {
        let inner = &self.0;
        self.job_for(caller, device, id, Role::Control)?;
        inner.shared.try_change(|core| {
            let job = core.job(id)?;
            job.takes(offset, bytes.len() as u64)?;
            job.busy = true;
            Ok::<_, Failure>(())
        })?;
        // to its end, also when whoever sends it is gone: else it would stay busy
        let hub = inner.clone();
        let adding = inner.tasks.spawn(async move {
            let length = bytes.len() as u64;
            let added = append(hub.job_file(id), offset, bytes).await;
            hub.shared.change(|core| {
                let job = core.job(id)?;
                job.busy = false;
                added.map_err(internal)?;
                job.received_bytes += length;
                let is_whole = job.received_bytes == job.bytes;
                if is_whole {
                    job.state = JobState::Uploaded;
                }
                Ok::<_, Failure>(is_whole)
            })
        });
        if adding.await.map_err(internal)?? {
            inner.check_soon(id).await;
        }
        inner.job_view(id)
    }

    /// Lets a job turn on the beam or the spindle, if it is started within two minutes; with the
    /// code that the grant may ask for.
    ///
    /// # Errors
    /// When the caller may not, or it was not checked, or its machine is not to be armed now.
    pub async fn arm_job(
        &self,
        caller: Caller,
        job: (&str, u32),
        code: Option<Pin>,
    ) -> Result<view::Job> {
        self.0.prove(caller, job.0, code).await?;
        self.job_act(caller, job, JobAct::Arm).await
    }

    /// Starts, holds, resumes or aborts a job, or arms it for a caller who needs no code.
    ///
    /// # Errors
    /// When the caller may not, or it is not in a state for that.
    pub async fn job_act(
        &self,
        caller: Caller,
        (device, id): (&str, u32),
        act: JobAct,
    ) -> Result<view::Job> {
        let inner = &self.0;
        let machine = self.job_for(caller, device, id, Role::Control)?;
        let action = format!("job.{}", serde_word(&act));
        inner.audit(&caller.actor(), &action, &machine, id).await.map_err(internal)?;
        match act {
            JobAct::Arm => inner.arm_job(id)?,
            JobAct::Start => inner.start_job(caller, id).await?,
            JobAct::Hold | JobAct::Resume => inner.steer_job(id, act).await?,
            JobAct::Abort => inner.abort_job(caller, id).await?,
        }
        inner.journal(id).await?;
        inner.job_view(id)
    }

    /// Forgets a job and its content.
    ///
    /// # Errors
    /// When the caller may not, or it is under way.
    pub async fn remove_job(&self, caller: Caller, device: &str, id: u32) -> Result<()> {
        let inner = &self.0;
        let machine = self.job_for(caller, device, id, Role::Control)?;
        inner.audit(&caller.actor(), "job.remove", &machine, id).await.map_err(internal)?;
        inner.shared.try_change(|core| {
            let job = core.job(id)?;
            if job.state.is_under_way() || job.busy {
                return Err(conflict("it is under way: abort it first"));
            }
            core.jobs.remove(&id);
            Ok(())
        })?;
        inner.store.remove_job(id.into()).await?;
        // without its entry it is never run; what is left of it is a file
        if let Err(error) = tokio::fs::remove_file(inner.job_file(id)).await {
            tracing::warn!("the file of job {id}: {error}");
        }
        Ok(())
    }

    /// Where a job goes, to be drawn.
    ///
    /// # Errors
    /// When there is no such job, or its content is not whole.
    pub async fn job_preview(&self, caller: Caller, device: &str, id: u32) -> Result<Preview> {
        let inner = &self.0;
        self.job_for(caller, device, id, Role::View)?;
        if inner.job_view(id)?.state == JobState::Uploading {
            return Err(conflict("its content is not whole yet"));
        }
        inner.draw_job(id).await
    }

    /// The machine of a job that the caller may do something with.
    pub(super) fn job_for(
        &self,
        caller: Caller,
        device: &str,
        id: u32,
        role: Role,
    ) -> Result<DeviceId> {
        self.0.shared.look(|core| {
            let (device, _) = may(core, caller, device, role)?;
            let job = core.jobs.get(&id).filter(|job| job.device == device);
            job.map(|_| device).ok_or_else(gone)
        })
    }
}

impl Inner {
    /// Makes a job without its content.
    pub(super) async fn announce(
        &self,
        caller: Caller,
        device: &DeviceId,
        new: NewJob,
    ) -> Result<u32> {
        self.audit(&caller.actor(), "job.new", device, &new.name).await.map_err(internal)?;
        let id = self.shared.try_change(|core| {
            if core.jobs.values().filter(|job| job.device == *device).count() >= JOBS_MAX {
                return Err(conflict(format!("this machine has {JOBS_MAX} jobs already"))
                    .hint("remove some that are over: farhub job remove"));
            }
            let id = core.jobs.last_key_value().map_or(1, |(id, _)| id + 1);
            let by = core.called(caller);
            core.jobs.insert(id, Job::new(device.clone(), new, by));
            Ok(id)
        })?;
        let made = async {
            tokio::fs::create_dir_all(self.data.join("jobs")).await?;
            tokio::fs::write(self.job_file(id), b"").await
        };
        made.await.map_err(internal)?;
        self.journal(id).await?;
        Ok(id)
    }
}

impl Job {
    /// Whether that much may be added there.
    fn takes(&self, offset: u64, bytes: u64) -> Result<()> {
        if self.state != JobState::Uploading || self.busy {
            return Err(conflict("nothing can be added to it now"));
        }
        if offset != self.received_bytes {
            return Err(conflict(format!("its content goes on at byte {}", self.received_bytes)));
        }
        if offset + bytes > self.bytes {
            return Err(conflict(format!("it was announced with {} bytes", self.bytes)));
        }
        Ok(())
    }
}

/// Whatever was there of an attempt that failed, it goes on from where it should.
async fn append(path: PathBuf, offset: u64, bytes: Bytes) -> io::Result<()> {
    let mut file = tokio::fs::OpenOptions::new().append(true).open(path).await?;
    file.set_len(offset).await?;
    file.write_all(&bytes).await?;
    file.flush().await
}

const BYTES_MAX: u64 = 1 << 30;
/// Of one machine.
const JOBS_MAX: usize = 200;
