//! The task of the queue: plans, claims, sends, starts, and follows what becomes of it.

use super::plan::{Candidate, Plan, Waiting, plan};
use crate::Error;
use crate::files::Begin;
use crate::fleet::{Entry, Inner, now_us};
use crate::recorder::{Expected, state};
use crate::view::{Link, Notice};
use printer::{Protocol, Start};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;
use store::shop::{Job, QueueItem, QueueRun};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wire::DeviceId;

/// Gives jobs to printers as long as the fleet runs.
pub(crate) async fn run(inner: Arc<Inner>, stopping: CancellationToken) {
    let mut checked: Option<Instant> = None;
    loop {
        let mut next = None;
        if checked.is_none_or(|at| at.elapsed() >= CHECK_EVERY) {
            checked = Some(Instant::now());
            match inner.take_up_runs().await {
                Ok(any) => next = any.then_some(CHECK_EVERY),
                Err(error) => {
                    tracing::error!(%error, "what the queue had begun cannot be looked up");
                    next = Some(CHECK_EVERY);
                }
            }
        }
        match inner.round().await {
            Ok(Left::Nothing) => {}
            Ok(Left::Runs) => next = Some(CHECK_EVERY),
            Ok(Left::Jobs) => next = Some(next.unwrap_or(LOOK_EVERY)),
            Err(error) => {
                tracing::error!(%error, "the queue cannot be looked at");
                next = Some(CHECK_EVERY);
            }
        }
        tokio::select! {
            () = stopping.cancelled() => return,
            () = inner.queue.notified() => {}
            // an empty queue sleeps
            () = tokio::time::sleep(next.unwrap_or_default()), if next.is_some() => {}
        }
        tokio::time::sleep(BREATH).await;
    }
}

/// What there is to come back for.
enum Left {
    Nothing,
    /// Copies are under way.
    Runs,
    Jobs,
}

impl Inner {
    /// Why the jobs of the queue wait.
    pub(super) async fn waits(&self) -> Result<BTreeMap<String, BTreeMap<String, String>>, Error> {
        Ok(self.planned().await?.0.waits)
    }

    async fn round(self: &Arc<Self>) -> Result<Left, Error> {
        let (plan, items) = self.planned().await?;
        let (mut left, begins) =
            (if items.is_empty() { Left::Nothing } else { Left::Jobs }, !plan.begin.is_empty());
        for (item, printer) in plan.begin {
            let Some(item) = items.get(&item) else { continue };
            let Ok(printer) = printer.parse::<DeviceId>() else { continue };
            let Some(run) = self.shop.claim_run(&item.id, printer.as_str()).await? else {
                continue;
            };
            self.runs().insert(run.id.clone());
            let (inner, item, stopping) = (self.clone(), item.clone(), self.stopping.clone());
            self.tasks.spawn(async move {
                stopping.run_until_cancelled(inner.begin(printer, item, run)).await;
            });
        }
        if begins || !self.runs().is_empty() {
            left = Left::Runs;
        }
        Ok(left)
    }

    async fn planned(&self) -> Result<(Plan, BTreeMap<String, QueueItem>), Error> {
        let items = self.shop.queue(false).await?;
        if items.is_empty() {
            return Ok((Plan::default(), BTreeMap::new()));
        }
        let open = self.shop.open_runs().await?;
        let claimed: BTreeSet<_> = open.iter().map(|run| run.printer_id.as_str()).collect();
        let mut waiting = vec![];
        for item in items.iter().filter(|item| item.state == "waiting") {
            let runs = self.shop.runs(&item.id).await?;
            waiting.push(self.waiting(item, &runs).await?);
        }
        let candidates: Vec<_> = {
            let printers = self.lock();
            printers
                .iter()
                .map(|(id, entry)| entry.candidate(id, claimed.contains(id.as_str())))
                .collect()
        };
        let items = items.into_iter().map(|item| (item.id.clone(), item)).collect();
        Ok((plan(waiting, &candidates), items))
    }

    async fn waiting(&self, item: &QueueItem, runs: &[QueueRun]) -> Result<Waiting, Error> {
        let blob = self.shop.blob(&item.hash).await?;
        let spent = runs.iter().filter(|run| !["failed", "cancelled"].contains(&&*run.state));
        let spent = i64::try_from(spent.count()).unwrap_or(i64::MAX);
        let meta = blob.as_ref().and_then(|blob| serde_json::from_str(&blob.meta).ok());
        // without other hubs it could be nowhere else: that is for somebody to look at
        let elsewhere = self.shop.is_shared() && !self.is_here(&item.hash).await;
        let copies = if elsewhere { self.shop.copies_of(&item.hash).await? } else { vec![] };
        Ok(Waiting {
            id: item.id.clone(),
            targets: serde_json::from_str(&item.targets).unwrap_or_default(),
            needs: serde_json::from_str(&item.needs).unwrap_or_default(),
            meta: meta.unwrap_or_default(),
            kind: blob.map(|blob| blob.kind).unwrap_or_default(),
            priority: item.priority,
            due_us: item.due_us,
            position: item.position,
            held: item.held,
            elsewhere,
            lies_on: copies.into_iter().map(|file| file.place).collect(),
            copies_left: (item.copies - spent).max(0),
        })
    }

    /// One copy, from its claim until it prints.
    async fn begin(self: Arc<Self>, printer: DeviceId, item: QueueItem, mut run: QueueRun) {
        self.follow(&mut run, "uploading", None).await;
        let begun = self.send_copy(&printer, &item, &mut run).await;
        if let Err(error) = begun {
            tracing::warn!(%printer, item = item.title, %error, "the queue is stuck");
            let text = format!("{} could not be started: {error}", item.title);
            self.give_up(&printer, &mut run, error.to_string(), &text).await;
        }
    }

    /// A copy that somebody has to look at: its job is held until they have.
    async fn give_up(&self, printer: &DeviceId, run: &mut QueueRun, why: String, text: &str) {
        self.follow(run, "failed", Some(why)).await;
        self.hold(&run.item_id).await;
        self.notice(Notice::QueueStuck, printer, text);
    }

    async fn send_copy(
        self: &Arc<Self>,
        printer: &DeviceId,
        item: &QueueItem,
        run: &mut QueueRun,
    ) -> Result<(), Error> {
        let copies = self.shop.copies_of(&item.hash).await?;
        let here = copies.iter().find(|file| file.place == printer.as_str());
        let file = here
            .or(copies.first())
            .cloned()
            .ok_or_else(|| Error::NotFound(format!("the content of {} is gone", item.file_name)))?;
        let options = serde_json::from_str::<Start>(&item.options).unwrap_or_default();
        self.announce_copy(printer, &file)?;
        let path = self.bring(printer, &file).await;
        self.end_copy(printer, path.as_ref().err());
        let path = path?;
        self.follow(run, "starting", None).await;
        let begin =
            Begin { options, queue_run: Some(run.id.clone()), made_by: item.made_by.clone() };
        self.begin_print(printer, &file, path, begin).await
    }

    /// A job has begun or ended that came from the queue.
    pub(crate) async fn queue_follows(&self, printer: &DeviceId, job: &Job) {
        let Some(id) = &job.queue_run else { return };
        let runs = match self.shop.open_runs().await {
            Ok(runs) => runs,
            // it is looked up again
            Err(error) => return tracing::error!(run = id, %error, "a copy cannot be followed"),
        };
        if let Some(run) = runs.into_iter().find(|run| run.id == *id) {
            self.follows(printer, job, run).await;
        }
    }

    async fn follows(&self, printer: &DeviceId, job: &Job, mut run: QueueRun) {
        run.job_id = Some(job.id.clone());
        let why = job.reason.as_deref().unwrap_or("no reason is known");
        let clears_itself = self.look(printer, |entry| entry.settings().clears_itself);
        let (word, against) = match job.state.as_str() {
            state::FINISHED => ("finished", None),
            // it may be there, or in pieces
            state::UNKNOWN => (
                "failed",
                Some("nobody saw how it ended: look at it, then let the job go on or cancel it"),
            ),
            // nobody comes to clear the bed, who would see why
            state::CANCELLED if clears_itself == Some(true) => {
                ("cancelled", Some("look why it was cancelled, then let the job go on"))
            }
            state::FAILED if clears_itself == Some(true) => {
                ("failed", Some("look why it failed, then let the job go on"))
            }
            state::CANCELLED => ("cancelled", None),
            state::FAILED => ("failed", None),
            _ => ("printing", None),
        };
        match against {
            Some(against) => {
                let text = format!("{} ended ({why}): {against}", job.name);
                self.follow(&mut run, word, Some(format!("{why}: {against}"))).await;
                self.hold(&run.item_id).await;
                self.notice(Notice::QueueStuck, printer, &text);
            }
            None => self.follow(&mut run, word, job.reason.clone()).await,
        }
        if word == "finished" {
            self.count(&run.item_id).await;
        }
    }

    /// Sees whether a job of the queue is done.
    async fn count(&self, id: &str) {
        let done = async {
            let Some(mut item) = self.shop.queue_item(id).await? else { return Ok(()) };
            let runs = self.shop.runs(id).await?;
            let finished = runs.iter().filter(|run| run.state == "finished").count();
            if i64::try_from(finished).unwrap_or(i64::MAX) >= item.copies {
                "done".clone_into(&mut item.state);
                item.updated_us = now_us();
                self.shop.put_queue_item(&item).await?;
            }
            Ok::<_, store::Error>(())
        };
        if let Err(error) = done.await {
            tracing::error!(id, %error, "a job of the queue cannot be counted");
        }
        self.queue_changed();
    }

    async fn hold(&self, id: &str) {
        let held = async {
            if let Some(mut item) = self.shop.queue_item(id).await? {
                item.held = true;
                item.updated_us = now_us();
                self.shop.put_queue_item(&item).await?;
            }
            Ok::<_, store::Error>(())
        };
        if let Err(error) = held.await {
            tracing::error!(id, %error, "a job of the queue cannot be held");
        }
        self.queue_changed();
    }

    async fn follow(&self, run: &mut QueueRun, word: &str, problem: Option<String>) {
        word.clone_into(&mut run.state);
        (run.problem, run.updated_us) = (problem, now_us());
        if let Err(error) = self.shop.put_run(run).await {
            tracing::error!(run = run.id, %error, "a copy of the queue cannot be followed");
        }
        self.feed.news(crate::feed::News::Queue);
    }

    /// What nobody brings any more, after a restart of this hub or the end of another: a copy that
    /// had not reached its printer is free again, one that has become a job is followed, and one
    /// that nobody saw begin is somebody's to look at. Says whether any are open.
    async fn take_up_runs(&self) -> Result<bool, Error> {
        let open = self.shop.open_runs().await?;
        self.runs().retain(|id| open.iter().any(|run| run.id == *id));
        let any = !open.is_empty();
        for mut run in open {
            let Ok(printer) = run.printer_id.parse::<DeviceId>() else { continue };
            if self.runs().contains(&run.id) && run.state != "starting" && run.state != "printing" {
                continue;
            }
            if !self.knows(&printer) {
                // another hub may just have added it
                if self.shop.printer(printer.as_str()).await?.is_none() {
                    let why = Some("its printer was removed".to_owned());
                    self.follow(&mut run, "failed", why).await;
                }
                continue;
            }
            if self.leases.holds(&printer) {
                self.take_up_run(&printer, run).await?;
            }
        }
        Ok(any)
    }

    async fn take_up_run(&self, printer: &DeviceId, mut run: QueueRun) -> Result<(), Error> {
        if !["starting", "printing"].contains(&run.state.as_str()) {
            let why = Some("the hub was stopped on the way".to_owned());
            self.follow(&mut run, "failed", why).await;
            self.wake_queue();
            return Ok(());
        }
        if let Some(job) = self.shop.job_of_run(printer.as_str(), &run.id).await? {
            if job.ended_us.is_some() || run.state == "starting" {
                self.follows(printer, &job, run).await;
            }
            return Ok(());
        }
        let late = now_us() - run.updated_us > STARTING_MAX_US;
        let online = self.look(printer, |entry| entry.health.link == Link::Online);
        if late && online == Some(true) {
            let why = "it was started and nobody saw it begin: look at the printer, then let the \
                       job go on or cancel it";
            self.give_up(printer, &mut run, why.to_owned(), why).await;
        }
        Ok(())
    }

    /// The print that the queue has started at a printer and nobody has seen begin.
    pub(crate) async fn awaited(&self, printer: &str) -> Result<Option<Expected>, Error> {
        let open = self.shop.open_runs().await?;
        let starting = |run: &QueueRun| run.printer_id == printer && run.state == "starting";
        let Some(run) = open.into_iter().find(starting) else { return Ok(None) };
        let Some(item) = self.shop.queue_item(&run.item_id).await? else { return Ok(None) };
        Ok(Some(Expected {
            name: item.file_name,
            hash: Some(item.hash),
            queue_run: Some(run.id),
            made_by: item.made_by,
            at_us: now_us(),
        }))
    }

    /// Ids of the copies that this hub brings to their printers, or has brought.
    fn runs(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.queue_runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn candidate(&self, id: &DeviceId, claimed: bool) -> Candidate {
        let online = self.health.link == Link::Online;
        let state = self.state.as_ref().filter(|_| online);
        let said = state.and_then(|state| state.identity.model.as_ref());
        let model = if self.row.model.is_empty() {
            said.map_or(String::new(), |model| model.as_str().to_owned())
        } else {
            self.row.model.clone()
        };
        let settings = self.settings();
        Candidate {
            id: id.as_str().to_owned(),
            name: self.row.name.clone(),
            tags: self.tags(),
            model,
            nozzles_um: state.map(|state| state.identity.nozzles_um.clone()).unwrap_or_default(),
            slots: state.map(|state| state.slots.clone()).unwrap_or_default(),
            kinds: kinds(self.protocol()),
            phase: state.map(|state| state.phase),
            elsewhere: self.health.link == Link::Elsewhere,
            read_only: state.is_some_and(|state| state.read_only.is_some()),
            bed_clear: self.row.bed_clear || settings.clears_itself,
            claimed: claimed || self.transfer.as_ref().is_some_and(|t| t.problem.is_none()),
            kept: settings.keep_from_queue,
        }
    }
}

/// The files that printers of a protocol print.
fn kinds(protocol: Protocol) -> &'static [&'static str] {
    match protocol {
        Protocol::Bambu => &["3mf", "gcode.3mf", "gcode"],
        Protocol::PrusaLink => &["bgcode", "gcode", "gco", "g"],
        Protocol::Moonraker | Protocol::OctoPrint => &["gcode", "gco", "g"],
    }
}

/// So that several changes are looked at together.
const BREATH: Duration = Duration::from_millis(200);
/// Nothing should need it: whatever makes a job ready wakes the queue.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// While copies are under way.
const CHECK_EVERY: Duration = Duration::from_secs(10);
/// From the order to start until the printer must have shown the print: longer than it is expected
/// (`recorder`).
const STARTING_MAX_US: i64 = 15 * 60 * 1_000_000;
