//! The task of the queue: plans, claims, sends, starts, and follows what becomes of it.

use super::plan::{Candidate, Plan, Waiting, plan};
use crate::Error;
use crate::files::Begin;
use crate::fleet::{Entry, Inner, now_us};
use crate::recorder::{Expected, state};
use crate::view::{Link, Notice};
use printer::{Protocol, Start};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use store::shop::{Job, QueueItem, QueueRun};
use tokio_util::sync::CancellationToken;
use wire::DeviceId;

/// Gives jobs to printers as long as the fleet runs.
pub(crate) async fn run(inner: Arc<Inner>, stopping: CancellationToken) {
    if let Err(error) = inner.take_up_runs().await {
        tracing::error!(%error, "what the queue had begun cannot be looked up");
    }
    loop {
        let any = inner.round().await.unwrap_or_else(|error| {
            tracing::error!(%error, "the queue cannot be looked at");
            true
        });
        tokio::select! {
            () = stopping.cancelled() => return,
            () = inner.queue.notified() => {}
            // an empty queue sleeps
            () = tokio::time::sleep(LOOK_EVERY), if any => {}
        }
        tokio::time::sleep(BREATH).await;
    }
}

impl Inner {
    /// Why the jobs of the queue wait.
    pub(super) async fn waits(&self) -> Result<BTreeMap<String, BTreeMap<String, String>>, Error> {
        Ok(self.planned().await?.0.waits)
    }

    /// Says whether anything is in the queue.
    async fn round(self: &Arc<Self>) -> Result<bool, Error> {
        let (plan, items) = self.planned().await?;
        for (item, printer) in plan.begin {
            let Some(item) = items.get(&item) else { continue };
            let Ok(printer) = printer.parse::<DeviceId>() else { continue };
            let Some(run) = self.shop.claim_run(&item.id, printer.as_str()).await? else {
                continue;
            };
            let (inner, item, stopping) = (self.clone(), item.clone(), self.stopping.clone());
            self.tasks.spawn(async move {
                stopping.run_until_cancelled(inner.begin(printer, item, run)).await;
            });
        }
        Ok(!items.is_empty())
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
            copies_left: (item.copies - spent).max(0),
        })
    }

    /// One copy, from its claim until it prints.
    async fn begin(self: Arc<Self>, printer: DeviceId, item: QueueItem, mut run: QueueRun) {
        self.follow(&mut run, "uploading", None).await;
        let begun = self.send_copy(&printer, &item, &mut run).await;
        if let Err(error) = begun {
            tracing::warn!(%printer, item = item.title, %error, "the queue is stuck");
            self.follow(&mut run, "failed", Some(error.to_string())).await;
            self.hold(&item.id).await;
            let text = format!("{} could not be started: {error}", item.title);
            self.notice(Notice::QueueStuck, &printer, &text);
        }
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
    pub(crate) async fn queue_follows(&self, _printer: &DeviceId, job: &Job) {
        let Some(id) = &job.queue_run else { return };
        let runs = self.shop.open_runs().await.unwrap_or_default();
        let Some(mut run) = runs.into_iter().find(|run| run.id == *id) else { return };
        run.job_id = Some(job.id.clone());
        let word = match job.state.as_str() {
            state::FINISHED => "finished",
            state::CANCELLED => "cancelled",
            state::FAILED | state::UNKNOWN => "failed",
            _ => "printing",
        };
        self.follow(&mut run, word, job.reason.clone()).await;
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

    /// What was under way when the hub ended: a copy that had not reached its printer is free
    /// again; one that may have begun is waited for.
    async fn take_up_runs(&self) -> Result<(), Error> {
        for mut run in self.shop.open_runs().await? {
            let Some(printer) = run.printer_id.parse().ok().filter(|id| self.knows(id)) else {
                continue;
            };
            match run.state.as_str() {
                "claimed" | "uploading" => {
                    let why = Some("the hub was stopped on the way".to_owned());
                    self.follow(&mut run, "failed", why).await;
                }
                "starting" => self.expect_again(&printer, &run).await?,
                _ => {}
            }
        }
        Ok(())
    }

    async fn expect_again(&self, printer: &DeviceId, run: &QueueRun) -> Result<(), Error> {
        let Some(item) = self.shop.queue_item(&run.item_id).await? else { return Ok(()) };
        let asks = self.look(printer, |entry| entry.asks.clone());
        let expected = Expected {
            name: item.file_name,
            hash: Some(item.hash),
            queue_run: Some(run.id.clone()),
            made_by: item.made_by,
            at_us: now_us(),
        };
        if let Some(asks) = asks {
            let _ = asks.try_send(crate::fleet::Ask::Expect(expected));
        }
        Ok(())
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
