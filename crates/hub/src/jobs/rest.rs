//! The rest of a job that did not get to its end, as a job of its own: the lines from one on, and
//! before them what puts the machine where the lines before would have left it.
//!
//! A person asks for it, looks at it, and starts it. Never for a laser ([`gcode::resume`]).

use super::checking::{blocking, settings};
use super::{Job, conflict};
use crate::core::Caller;
use crate::failure::Failure;
use crate::management::Result;
use crate::pairing::internal;
use crate::view::{self, JobState, NewJob, Role};
use crate::{Hub, Inner};
use gcode::resume::{Head, NoResume, Resume};
use gcode::settings::Settings;
use ring::digest::{Context, SHA256};
use serial::machine::Machine;
use serial::program::{Chunks, lines};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use wire::serial::Profile;
use wire::{DeviceId, Text};

impl Hub {
    /// Makes a job of the lines of another one, from this one on; the first line is 1. The machine
    /// is asked whether it is a laser, so nobody may be using it.
    ///
    /// # Errors
    /// When the caller may not, the job is not over, its machine never resumes, or what the lines
    /// before would have left is not known.
    pub async fn rest_of_job(
        &self,
        caller: Caller,
        (device, id): (&str, u32),
        from_line: u64,
    ) -> Result<view::Job> {
        let inner = &self.0;
        let device = self.job_for(caller, device, id, Role::Control)?;
        let told = format!("{id} from line {from_line}");
        inner.audit(&caller.actor(), "job.rest", &device, &told).await.map_err(internal)?;
        let (profile, machine) = inner.shared.try_change(|core| {
            let local = core.devices.get(&device);
            let profile = local.map_or(Profile::Raw, |local| local.profile());
            let machine = core.machine(&device);
            let job = core.job(id)?;
            job.has_a_rest(from_line)?;
            // nobody removes it meanwhile
            job.busy = true;
            Ok::<_, Failure>((profile, machine))
        })?;
        let hub = inner.clone();
        let making = inner.tasks.spawn(async move {
            let made = hub.rest(caller, (device, id), from_line, profile, machine).await;
            hub.change_job(id, |job| job.busy = false);
            made
        });
        let new = making.await.map_err(internal)??;
        inner.check_soon(new).await;
        inner.job_view(new)
    }
}

impl Inner {
    async fn rest(
        self: &Arc<Self>,
        caller: Caller,
        (device, id): (DeviceId, u32),
        from_line: u64,
        profile: Profile,
        machine: Option<Machine>,
    ) -> Result<u32> {
        let machine = machine.ok_or_else(|| {
            conflict("its machine is not there, or not shared: it is asked what it is")
        })?;
        let head = head(settings(&machine).await)?;
        let resume = Resume::new(profile, head).map_err(refused)?;
        let file = self.unaltered(id).await?;
        let (name, on_loss) = self.shared.try_change(|core| {
            let job = core.job(id)?;
            Ok::<_, Failure>((job.name.clone(), job.on_loss))
        })?;
        let path = self.job_file(id).with_extension("rest");
        let into = path.clone();
        let written = blocking(move || write(resume, file, from_line, &into)).await?;
        let written = match written {
            Ok(written) => written,
            Err(why) => {
                discard(&path).await;
                return Err(refused(why));
            }
        };
        let name = Text::from(format!("{name} from line {from_line}"));
        let Written { bytes, sha256 } = written;
        let new = NewJob { name, bytes, sha256, on_loss };
        let made = self.announce(caller, &device, new).await;
        let new = match made {
            Ok(new) => new,
            Err(failure) => {
                discard(&path).await;
                return Err(failure);
            }
        };
        tokio::fs::rename(&path, self.job_file(new)).await.map_err(internal)?;
        self.change_job(new, |job| {
            (job.received_bytes, job.state) = (bytes, JobState::Uploaded);
        });
        Ok(new)
    }
}

impl Job {
    fn has_a_rest(&self, from_line: u64) -> Result<()> {
        let is_over = matches!(self.state, JobState::Done | JobState::Aborted | JobState::Fault);
        if !is_over || self.busy || self.received_bytes != self.bytes {
            return Err(conflict("only of a job that is over, and whose content is whole"));
        }
        if !(2..=self.found.lines).contains(&from_line) {
            let lines = self.found.lines;
            return Err(Failure::bad_request(format!("it has lines 2 to {lines} to go on from"))
                .hint(format!("the machine had taken {} lines", self.line)));
        }
        Ok(())
    }
}

/// What is not known for sure to be no laser is one.
fn head(settings: Settings) -> Result<Head> {
    match settings.laser {
        Some(false) => Ok(Head::Spindle),
        Some(true) => Ok(Head::Laser),
        None => Err(conflict("the machine has not told whether it is a laser ($32)")
            .hint("nobody may use it meanwhile: detach it, and ask again")),
    }
}

/// What was written.
struct Written {
    bytes: u64,
    sha256: String,
}

fn write(
    mut resume: Resume,
    file: File,
    from_line: u64,
    path: &Path,
) -> io::Result<std::result::Result<Written, NoResume>> {
    let mut rest = Hashing { to: BufWriter::new(File::create(path)?), bytes: 0, sha256: sha256() };
    let mut chunks = Chunks::new(file);
    let mut number = 0;
    while let Some(chunk) = chunks.next_chunk()? {
        for line in lines(&chunk) {
            number += 1;
            if number < from_line {
                if let Err(why) = resume.skip(line) {
                    return Ok(Err(why));
                }
                continue;
            }
            if number == from_line {
                match resume.preamble(line) {
                    Ok(before) => before.iter().try_for_each(|line| rest.line(line.as_bytes()))?,
                    Err(why) => return Ok(Err(why)),
                }
            }
            rest.line(line)?;
        }
    }
    rest.to.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    let sha256 = data_encoding::HEXLOWER.encode(rest.sha256.finish().as_ref());
    Ok(Ok(Written { bytes: rest.bytes, sha256 }))
}

struct Hashing {
    to: BufWriter<File>,
    bytes: u64,
    sha256: Context,
}

impl Hashing {
    fn line(&mut self, line: &[u8]) -> io::Result<()> {
        for part in [line, b"\n"] {
            self.to.write_all(part)?;
            self.sha256.update(part);
            self.bytes += part.len() as u64;
        }
        Ok(())
    }
}

fn sha256() -> Context {
    Context::new(&SHA256)
}

fn refused(why: NoResume) -> Failure {
    Failure::new(view::FailureCode::Conflict, why.to_string())
}

async fn discard(path: &PathBuf) {
    if let Err(error) = tokio::fs::remove_file(path).await {
        tracing::warn!("{}: {error}", path.display());
    }
}
