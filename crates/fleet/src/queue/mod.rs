//! The queue: jobs that wait for a printer, and the task that gives them to printers.
//!
//! What goes where is decided by [`plan`], without I/O. A copy of a job is *claimed* in the
//! database before anything is done for it, so that no two hubs and no two rounds take the same
//! one; a printer has one claim at a time, and only the hub that has the content makes one.
//! Whatever fails on the way to the printer holds the job, with its reason, until somebody has
//! looked: nothing is tried again and again. So does a print that nobody saw begin or end, and one
//! that failed where nobody comes to clear the bed.

mod plan;
mod run;

pub(crate) use run::run;

use crate::Error;
use crate::feed::News;
use crate::files::Kept;
use crate::fleet::{Fleet, Inner, now_us};
use crate::printers::json;
use crate::view::{self, NewQueueItem, QueueChange};
use printer::Start;
use std::collections::BTreeMap;
use store::shop;

impl Fleet {
    /// What waits, in its order; with `over`, also what is done or cancelled.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn queue(&self, over: Over) -> Result<Vec<view::QueueItem>, Error> {
        let items = self.0.shop.queue(over == Over::Shown).await?;
        let mut views = vec![];
        let waits = self.0.waits().await?;
        for item in items {
            let runs = self.0.shop.runs(&item.id).await?;
            let why = waits.get(&item.id).cloned().unwrap_or_default();
            views.push(shown(item, runs, why));
        }
        Ok(views)
    }

    /// # Errors
    /// When the file or a printer is not there, or what is asked makes no sense.
    pub async fn enqueue(
        &self,
        new: NewQueueItem,
        made_by: &str,
    ) -> Result<view::QueueItem, Error> {
        let file = self.0.stored_file(&new.file_id).await?;
        let kept = self.0.content_for_queue(&file).await?;
        let copies = new.copies.unwrap_or(1);
        checked(copies, &new.targets, &self.0)?;
        let now_us = now_us();
        let title = new.title.as_deref().map(str::trim).filter(|title| !title.is_empty());
        let item = shop::QueueItem {
            id: crate::id::fresh(now_us),
            hash: kept.hash.clone(),
            file_name: file.name.clone(),
            title: short(title.unwrap_or(&file.name)),
            targets: json(&new.targets),
            needs: json(&new.needs),
            options: json(&new.options.unwrap_or_default()),
            copies,
            priority: new.priority,
            due_us: new.due_us,
            held: new.held,
            state: "waiting".to_owned(),
            position: now_us,
            note: short(&new.note),
            made_by: made_by.to_owned(),
            created_us: now_us,
            updated_us: now_us,
        };
        self.0.shop.put_queue_item(&item).await?;
        self.0.queue_changed();
        self.queue_item(&item.id).await
    }

    /// # Errors
    /// When there is no such item.
    pub async fn queue_item(&self, id: &str) -> Result<view::QueueItem, Error> {
        let item = self.0.stored_item(id).await?;
        let runs = self.0.shop.runs(id).await?;
        let why = self.0.waits().await?.remove(id).unwrap_or_default();
        Ok(shown(item, runs, why))
    }

    /// # Errors
    /// When there is no such item, it is over, or what is asked makes no sense.
    pub async fn change_queue(
        &self,
        id: &str,
        change: QueueChange,
    ) -> Result<view::QueueItem, Error> {
        let mut item = self.0.stored_item(id).await?;
        if item.state == "cancelled" {
            return Err(Error::Conflict("this job was cancelled: add it again".to_owned()));
        }
        if let Some(before) = &change.before {
            item.position = self.0.position_before(before).await?;
        }
        if let Some(title) = &change.title {
            item.title = short(title.trim());
        }
        if let Some(targets) = &change.targets {
            item.targets = json(targets);
        }
        if let Some(needs) = &change.needs {
            item.needs = json(needs);
        }
        if let Some(note) = &change.note {
            item.note = short(note);
        }
        item.copies = change.copies.unwrap_or(item.copies);
        item.priority = change.priority.unwrap_or(item.priority);
        item.due_us = change.due_us.unwrap_or(item.due_us);
        item.held = change.held.unwrap_or(item.held);
        let targets = serde_json::from_str(&item.targets).unwrap_or_default();
        checked(item.copies, &targets, &self.0)?;
        let finished = self.0.shop.runs(id).await?;
        let finished = finished.iter().filter(|run| run.state == "finished").count();
        let over = i64::try_from(finished).unwrap_or(i64::MAX) >= item.copies;
        (if over { "done" } else { "waiting" }).clone_into(&mut item.state);
        item.updated_us = now_us();
        self.0.shop.put_queue_item(&item).await?;
        self.0.queue_changed();
        self.queue_item(id).await
    }

    /// Takes a job from the queue. What is printing goes on.
    ///
    /// # Errors
    /// When there is no such item.
    pub async fn cancel_queue(&self, id: &str) -> Result<(), Error> {
        let mut item = self.0.stored_item(id).await?;
        "cancelled".clone_into(&mut item.state);
        item.updated_us = now_us();
        self.0.shop.put_queue_item(&item).await?;
        self.0.queue_changed();
        Ok(())
    }
}

/// Whether what is over is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    Hidden,
    Shown,
}

impl Inner {
    pub(crate) fn wake_queue(&self) {
        self.queue.notify_one();
    }

    pub(super) fn queue_changed(&self) {
        self.feed.news(News::Queue);
        self.wake_queue();
    }

    pub(super) async fn stored_item(&self, id: &str) -> Result<shop::QueueItem, Error> {
        let item = self.shop.queue_item(id).await?;
        item.ok_or_else(|| Error::NotFound(format!("the queue has no job {id}")))
    }

    /// The content of a file, under its hash. What is in a folder of the owner is taken over, so
    /// that it is still there when its turn comes.
    async fn content_for_queue(&self, file: &shop::File) -> Result<Kept, Error> {
        let Some(hash) = &file.hash else { return self.take_over(file).await };
        let kept = self.hold_content(hash).await;
        match self.shop.blob(hash).await? {
            Some(_) => Ok(kept),
            None => Err(Error::NotFound(format!("the content of {} is gone", file.name))),
        }
    }

    async fn position_before(&self, id: &str) -> Result<i64, Error> {
        let at = self.stored_item(id).await?;
        let items = self.shop.queue(false).await?;
        let earlier = items.iter().filter(|item| item.position < at.position);
        let below = earlier.map(|item| item.position).max();
        // microseconds leave room for a thousand moves between two items
        Ok(below.map_or(at.position - 1_000_000, |below| below + (at.position - below) / 2))
    }
}

fn checked(copies: i64, targets: &view::Targets, inner: &Inner) -> Result<(), Error> {
    if !(1..=COPIES_MAX).contains(&copies) {
        return Err(Error::Unacceptable(format!("copies are 1 to {COPIES_MAX}")));
    }
    let missing = targets.printers.iter().find(|printer| inner.named(printer).is_err());
    match missing {
        Some(missing) => Err(Error::no_printer(missing)),
        None => Ok(()),
    }
}

fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(TEXT_CHARS_MAX).collect()
}

fn shown(
    item: shop::QueueItem,
    runs: Vec<shop::QueueRun>,
    waits: BTreeMap<String, String>,
) -> view::QueueItem {
    let done = runs.iter().filter(|run| run.state == "finished").count();
    view::QueueItem {
        id: item.id,
        hash: item.hash,
        file_name: item.file_name,
        title: item.title,
        targets: serde_json::from_str(&item.targets).unwrap_or_default(),
        needs: serde_json::from_str(&item.needs).unwrap_or_default(),
        options: serde_json::from_str::<Start>(&item.options).unwrap_or_default(),
        copies: item.copies,
        done: i64::try_from(done).unwrap_or(i64::MAX),
        priority: item.priority,
        due_us: item.due_us,
        held: item.held,
        state: item.state,
        note: item.note,
        made_by: item.made_by,
        created_us: item.created_us,
        runs: runs.into_iter().map(view::QueueRun::from).collect(),
        waits,
    }
}

impl From<shop::QueueRun> for view::QueueRun {
    fn from(run: shop::QueueRun) -> Self {
        Self {
            printer_id: run.printer_id,
            state: run.state,
            job_id: run.job_id,
            problem: run.problem,
            updated_us: run.updated_us,
        }
    }
}

/// More is a mistake at the keyboard.
const COPIES_MAX: i64 = 100_000;
const TEXT_CHARS_MAX: usize = 500;
