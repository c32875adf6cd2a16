//! A job while it runs: it is started, steered, and what becomes of it is written down.

use super::{CUT_OFF, Job, conflict, gone};
use crate::Inner;
use crate::core::{Caller, Core};
use crate::failure::Failure;
use crate::machines::refused;
use crate::management::Result;
use crate::view::{JobAct, JobState, OnLoss};
use jiff::Timestamp;
use serial::machine::job::{Options, Phase, Progress, Why};
use serial::machine::{Machine, Reason};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::time::timeout;
use wire::{DeviceId, Text};

impl Inner {
    /// Somebody says that it may turn on the beam or the spindle; for two minutes.
    pub(super) fn arm_job(self: &Arc<Self>, id: u32) -> Result<()> {
        self.shared.try_change(|core| {
            core.may_arm(id)?;
            let job = core.job(id)?;
            if job.busy || !matches!(job.state, JobState::Checked | JobState::Armed) {
                return Err(conflict("only a job that was checked is armed"));
            }
            (job.state, job.armed_until) = (JobState::Armed, Some(Instant::now() + ARMED));
            Ok(())
        })?;
        let inner = self.clone();
        self.background(async move {
            tokio::time::sleep(ARMED).await;
            inner.shared.change_if(|core| core.jobs.get_mut(&id).is_some_and(Job::expires));
        });
        Ok(())
    }

    /// What was armed is no longer: an interlock of its machine is open, or a stop button lost.
    pub(crate) fn disarm_jobs(&self, device: &DeviceId) {
        self.shared.change_if(|core| {
            let of_it = core.jobs.values_mut().filter(|job| job.device == *device);
            of_it.map(Job::disarm).filter(|was| *was).count() > 0
        });
    }

    /// Runs a job. Before its first byte, its content is compared with its hash, and that it runs
    /// is in the database.
    pub(super) async fn start_job(self: &Arc<Self>, caller: Caller, id: u32) -> Result<()> {
        let (machine, options, by) = self.shared.try_change(|core| core.take_job(caller, id))?;
        let before = self.shared.look(|core| core.jobs.get(&id).map(|job| job.state));
        let started = self.started(id, machine, options, by).await;
        self.change_job(id, |job| {
            job.busy = false;
            if let (Err(_), Some(before), JobState::Running) = (&started, before, job.state) {
                (job.state, job.started) = (before, None);
            }
        });
        let progress = match started {
            Ok(progress) => progress,
            Err(failure) => {
                self.journal(id).await?;
                return Err(failure);
            }
        };
        // until it is over, also while this hub stops
        self.tasks.spawn(follow(self.clone(), id, progress));
        Ok(())
    }

    async fn started(
        &self,
        id: u32,
        machine: Machine,
        options: Options,
        by: Text,
    ) -> Result<watch::Receiver<Progress>> {
        let file = self.unaltered(id).await?;
        self.change_job(id, |job| {
            (job.state, job.armed_until) = (JobState::Running, None);
            (job.line, job.started) = (0, Some(Timestamp::now()));
        });
        self.journal(id).await?;
        machine.run(by, file, options).await.map_err(refused)
    }

    /// Holds or resumes it, and waits until it is.
    pub(super) async fn steer_job(&self, id: u32, act: JobAct) -> Result<()> {
        let machine = self.shared.look(|core| core.machine_of(id))?;
        let (steered, wanted) = match act {
            JobAct::Hold => (machine.hold().await, JobState::Held),
            JobAct::Resume => (machine.resume().await, JobState::Running),
            JobAct::Arm | JobAct::Start | JobAct::Abort => return Ok(()),
        };
        steered.map_err(refused)?;
        let reached = self.shared.until(|core| {
            let state = core.jobs.get(&id).map(|job| job.state);
            (state.is_none_or(|now| now == wanted || !now.is_under_way())).then_some(())
        });
        // a machine that takes longer is looked at again
        let _ = timeout(STEERED, reached).await;
        Ok(())
    }

    /// Ends it: its machine is stopped, with its beam off.
    pub(super) async fn abort_job(&self, caller: Caller, id: u32) -> Result<()> {
        let runs = self.shared.look(|core| core.machine_of(id));
        let Ok(machine) = runs else {
            return self.shared.try_change(|core| {
                let job = core.job(id)?;
                if job.busy || job.ended.is_some() {
                    return Err(conflict("it is over, or somebody is just doing something to it"));
                }
                job.end(JobState::Aborted, None);
                Ok(())
            });
        };
        let by = self.shared.look(|core| core.called(caller));
        machine.stop(Reason::Asked { by }).map_err(refused)?;
        let over = self.shared.until(|core| {
            let job = core.jobs.get(&id);
            job.is_none_or(|job| !job.state.is_under_way()).then_some(())
        });
        timeout(ABORTED, over).await.map_err(|_| {
            Failure::new(crate::view::FailureCode::TimedOut, "the machine is still being stopped")
        })
    }

    /// The hub stops: what runs is stopped before.
    fn stop_job(&self, id: u32) {
        let by = Text::from("the hub, which ends");
        let machine = self.shared.look(|core| core.machine_of(id));
        // one that is not there any more has ended its job
        if let Ok(machine) = machine {
            let _ = machine.stop(Reason::Asked { by });
        }
    }

    async fn write_down(&self, id: u32) {
        if let Err(failure) = self.journal(id).await {
            tracing::error!("job {id} is not in the database: {failure}");
        }
    }
}

impl Core {
    /// Takes a job that is to be started away from everybody else.
    fn take_job(&mut self, caller: Caller, id: u32) -> Result<(Machine, Options, Text)> {
        let called = self.called(caller);
        let device = self.job(id)?.device.clone();
        let local = self.devices.get(&device).ok_or_else(gone)?;
        let arming = local.settings.arming;
        let machine = local.machine.clone();
        let machine = machine.ok_or_else(|| conflict("its machine is not there, or not shared"))?;
        if self.jobs.values().any(|job| job.device == device && job.state.is_under_way()) {
            return Err(conflict("its machine runs another job"));
        }
        let job = self.job(id)?;
        let armed = job.state == JobState::Armed;
        if job.busy || !matches!(job.state, JobState::Checked | JobState::Armed) {
            return Err(conflict("only a job that was checked is started"));
        }
        if arming && !armed {
            return Err(conflict("its machine wants it armed first")
                .hint(format!("farhub run --arm, or in the web UI: Arm, for job {id}")));
        }
        job.busy = true;
        let hold_alone = job.on_loss == OnLoss::Hold;
        let by = Text::from(format!("job {id}, {}, of {called}", job.name));
        Ok((machine, Options { armed, hold_alone }, by))
    }

    fn may_arm(&self, id: u32) -> Result<()> {
        let job = self.jobs.get(&id).ok_or_else(gone)?;
        let local = self.devices.get(&job.device);
        let machine = local.and_then(|local| local.machine.as_ref());
        let Some(machine) = machine else {
            return Err(conflict("its machine is not there, or not shared"));
        };
        let state = machine.state();
        state.lets_arm().map_err(refused)?;
        if state.stopped.is_some() {
            return Err(conflict("the machine was stopped: clear the stop first"));
        }
        Ok(())
    }

    /// Where a job runs.
    fn machine_of(&self, id: u32) -> Result<Machine> {
        let job = self.jobs.get(&id).ok_or_else(gone)?;
        let local = self.devices.get(&job.device).filter(|_| job.state.is_under_way());
        let machine = local.and_then(|local| local.machine.clone());
        machine.ok_or_else(|| conflict("it is not running"))
    }
}

impl Job {
    fn disarm(&mut self) -> bool {
        let was = self.state == JobState::Armed && !self.busy;
        if was {
            (self.state, self.armed_until) = (JobState::Checked, None);
        }
        was
    }

    fn expires(&mut self) -> bool {
        self.armed_until.is_some_and(|until| Instant::now() >= until) && self.disarm()
    }

    /// Notes how far it is. Whether that is another state.
    fn progressed(&mut self, progress: &Progress, hub: Hub) -> bool {
        let before = self.state;
        self.line = progress.line;
        match &progress.phase {
            Phase::Running => self.state = JobState::Running,
            Phase::Held => self.state = JobState::Held,
            Phase::Done => self.end(JobState::Done, None),
            Phase::Ended(ended) => {
                let (state, mut told) = match (&ended.why, hub) {
                    (Why::Stopped(Reason::Asked { .. }), Hub::Goes) => {
                        (JobState::Aborted, ended.why.to_string())
                    }
                    (Why::Stopped(_), Hub::Ends) => {
                        (JobState::Fault, format!("{CUT_OFF}, and the machine was stopped"))
                    }
                    (why, _) => (JobState::Fault, why.to_string()),
                };
                if !ended.report.as_ref().is_some_and(|report| report.confirmed) {
                    told.push_str("; it has NOT confirmed that it stands: look at it");
                }
                self.end(state, Some(told));
            }
        }
        if self.state.is_under_way() {
            self.left_s = self.left();
        }
        self.state != before
    }

    /// By the estimate, and by how long it has taken for what is done.
    fn left(&self) -> Option<u32> {
        let whole = self.marks.whole().or(self.found.estimate_s.map(f64::from))?;
        let share = self.line as f64 / self.found.lines.max(1) as f64;
        let done = self.marks.seconds_at(self.line).unwrap_or(whole * share);
        let took = Timestamp::now().duration_since(self.started?).as_secs_f64();
        // at first the estimate alone: what was taken is not done yet
        let slower = if done > SETTLED_S { (took / done).clamp(0.2, 20.0) } else { 1.0 };
        let left = ((whole - done) * slower).ceil().clamp(0.0, f64::from(u32::MAX));
        Some(left as u32)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hub {
    Goes,
    /// It stops, and has the machine stopped.
    Ends,
}

/// Writes down how far a job is, until it is over.
async fn follow(inner: Arc<Inner>, id: u32, mut progress: watch::Receiver<Progress>) {
    let mut written = Instant::now();
    let mut hub = Hub::Goes;
    loop {
        let now = progress.borrow_and_update().clone();
        let changed = inner.progressed(id, &now, hub);
        if changed || written.elapsed() >= WRITTEN {
            written = Instant::now();
            inner.write_down(id).await;
        }
        if matches!(now.phase, Phase::Done | Phase::Ended(_)) {
            break;
        }
        tokio::select! {
            more = progress.changed() => if more.is_err() {
                inner.change_job(id, |job| {
                    job.end(JobState::Fault, Some(Why::Unshared.to_string()));
                });
                inner.write_down(id).await;
                break;
            },
            () = inner.stopping.cancelled(), if hub == Hub::Goes => {
                hub = Hub::Ends;
                inner.stop_job(id);
            }
        }
    }
    let over = inner.shared.look(|core| {
        let job = core.jobs.get(&id)?;
        let word = crate::management::serde_word(&job.state);
        let told = job.problem.clone().unwrap_or_default();
        Some((
            format!("job.{word}"),
            format!("{id}, {} lines {told}", job.line),
            job.device.clone(),
        ))
    });
    let Some((action, told, device)) = over else { return };
    if let Err(error) = inner.audit("machine", &action, &device, told.trim()).await {
        tracing::error!("the end of job {id} is not in the audit log: {error:#}");
    }
}

impl Inner {
    fn progressed(&self, id: u32, progress: &Progress, hub: Hub) -> bool {
        self.shared
            .change(|core| core.jobs.get_mut(&id).is_some_and(|job| job.progressed(progress, hub)))
    }
}

/// For how long a job that was armed may be started.
const ARMED: Duration = Duration::from_secs(120);
/// A machine that is held slows down first.
const STEERED: Duration = Duration::from_secs(2);
/// The longest ladder is shorter.
const ABORTED: Duration = Duration::from_secs(10);
/// How much of what a machine has taken is unknown after a power cut.
const WRITTEN: Duration = Duration::from_secs(1);
/// The planner of a machine is far behind by then.
const SETTLED_S: f64 = 10.0;
