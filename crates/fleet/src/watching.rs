//! The task of one printer: connects, listens, writes down, and tries again when it was lost.
//!
//! Nothing waits for another printer. What a printer tells is taken in its order, and what happens
//! by it is written before the next is taken; while the database cannot be written to, what was
//! heard is kept here and written later.

use crate::Error;
use crate::feed::News;
use crate::fleet::{Ask, Entry, Inner, now_us};
use crate::notices::OfPrinter;
use crate::progress::is_progress;
use crate::recorder::{Change, Recorder};
use crate::view::{self, Link, Problem};
use futures_util::FutureExt;
use printer::{Order, Reason, Told};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wire::DeviceId;

struct Watching {
    inner: Arc<Inner>,
    id: DeviceId,
    recorder: Recorder,
    /// What could not be written yet, in its order.
    unwritten: Vec<Change>,
    /// When its files were looked at.
    listed: Option<Instant>,
    notices: OfPrinter,
}

/// Watches a printer until it is told to end.
pub(crate) async fn run(
    inner: Arc<Inner>,
    id: DeviceId,
    mut asked: mpsc::Receiver<Ask>,
    poke: Arc<Notify>,
    end: CancellationToken,
) {
    // what is seldom waited for is boxed: there are as many of these tasks as printers
    let begun = Box::pin(Watching::begin(inner, id, &end)).await;
    let Some(mut watching) = begun else { return };
    let mut wait = FIRST_WAIT;
    let mut tries = 0;
    loop {
        let granted = Box::pin(watching.granted(&mut asked));
        if end.run_until_cancelled(granted).await.is_none() {
            break;
        }
        let began = Instant::now();
        let lost = tokio::select! {
            () = end.cancelled() => break,
            lost = watching.connection(&mut asked, tries) => lost,
        };
        watching.recorder.lost();
        let Lost::Printer(lost) = lost else { continue };
        if began.elapsed() >= STEADY {
            (wait, tries) = (FIRST_WAIT, 0);
        }
        tries += 1;
        let pause = wait.mul_f64(rand::random_range(0.8..1.2));
        watching.offline(&lost, pause, tries);
        let ended = tokio::select! {
            () = end.cancelled() => true,
            () = poke.notified() => false,
            () = watching.pause(&mut asked, pause) => false,
        };
        if ended {
            break;
        }
        wait = (wait * 2).min(LONGEST_WAIT);
    }
    Box::pin(watching.write()).await;
}

/// Why a connection is over.
enum Lost {
    Printer(printer::Error),
    /// Another hub watches it now.
    Lease,
}

impl Watching {
    /// Reads what is known of the printer's jobs, as often as it takes.
    async fn begin(inner: Arc<Inner>, id: DeviceId, end: &CancellationToken) -> Option<Self> {
        loop {
            match stored(&inner, &id).await {
                Ok((since_us, name, jobs)) => {
                    let recorder = Recorder::new(id.as_str(), &name, since_us, jobs);
                    let job_id = recorder.job().map(|job| job.id.clone());
                    inner.change(&id, |entry| entry.job_id = job_id);
                    let (unwritten, listed, notices) = (vec![], None, OfPrinter::default());
                    let mut begun = Self { inner, id, recorder, unwritten, listed, notices };
                    begun.look_up_file().await;
                    return Some(begun);
                }
                Err(error) => tracing::error!(%id, %error, "its jobs cannot be read"),
            }
            tokio::select! {
                () = end.cancelled() => return None,
                () = tokio::time::sleep(RETRY_DATABASE) => {}
            }
        }
    }

    /// Waits until this hub may watch the printer; then reads anew what others have written.
    async fn granted(&mut self, asked: &mut mpsc::Receiver<Ask>) {
        let inner = self.inner.clone();
        let id = self.id.clone();
        let mut granted = pin!(inner.leases.granted(&id));
        if granted.as_mut().now_or_never().is_some() {
            return;
        }
        inner.change(&self.id, |entry| {
            entry.health.link = Link::Elsewhere;
            (entry.health.since_us, entry.health.problem) = (now_us(), None);
        });
        loop {
            tokio::select! {
                () = &mut granted => break,
                Some(ask) = asked.recv() => self.asked(ask, None),
            }
        }
        if let Ok((since_us, name, jobs)) = stored(&inner, &self.id).await {
            self.recorder = Recorder::new(self.id.as_str(), &name, since_us, jobs);
        }
        if let Ok(Some(expected)) = inner.awaited(self.id.as_str()).await {
            self.recorder.expect(expected);
        }
        inner.change(&self.id, |entry| entry.health.link = Link::Connecting);
    }

    /// One connection, from its beginning to its end.
    async fn connection(&mut self, asked: &mut mpsc::Receiver<Ask>, tries: u32) -> Lost {
        let Some(connection) = self.inner.look(&self.id, |entry| entry.connection()) else {
            return Lost::Printer(printer::Error::new(Reason::Local, "the printer was removed"));
        };
        let inner = self.inner.clone();
        let id = self.id.clone();
        let mut lease_lost = pin!(inner.leases.lost(&id));
        self.inner.change(&self.id, |entry| {
            entry.health.next_try_us = None;
            entry.health.tries = tries;
        });
        let (tell, mut told) = mpsc::channel(TOLD_MAX);
        let (order, mut orders) = mpsc::channel(ORDERS_MAX);
        let mut watch = pin!(printer::watch(&connection, tell, &mut orders));
        let mut retry = tokio::time::interval(RETRY_DATABASE);
        let lost = loop {
            tokio::select! {
                biased;
                Some(told) = told.recv() => self.told(told).await,
                lost = &mut watch => break Lost::Printer(lost),
                () = &mut lease_lost => break Lost::Lease,
                Some(ask) = asked.recv() => self.asked(ask, Some(&order)),
                _ = retry.tick(), if !self.unwritten.is_empty() => Box::pin(self.write()).await,
            }
        };
        while let Ok(told) = told.try_recv() {
            self.told(told).await;
        }
        lost
    }

    /// Waits, and says to whoever asks that the printer is away.
    async fn pause(&mut self, asked: &mut mpsc::Receiver<Ask>, pause: Duration) {
        let mut pause = pin!(tokio::time::sleep(pause));
        loop {
            tokio::select! {
                () = &mut pause => return,
                Some(ask) = asked.recv() => self.asked(ask, None),
            }
        }
    }

    fn asked(&mut self, ask: Ask, orders: Option<&mpsc::Sender<Order>>) {
        match ask {
            Ask::Expect(expected) => self.recorder.expect(expected),
            Ask::Order(command, done) => {
                let online = self.inner.look(&self.id, |entry| entry.health.link == Link::Online);
                let Some(orders) = orders.filter(|_| online == Some(true)) else {
                    let name = self.inner.look(&self.id, |entry| entry.called());
                    let _ = done.send(Err(Error::away(&name.unwrap_or_default())));
                    return;
                };
                if let Err(full) = orders.try_send(Order { command, done }) {
                    let order = full.into_inner();
                    let busy = "the printer has not done yet what it was asked before";
                    let _ = order.done.send(Err(printer::Error::new(Reason::Busy, busy)));
                }
            }
        }
    }

    async fn told(&mut self, told: Told) {
        let now_us = now_us();
        match told {
            Told::State(state) => {
                let changes = self.recorder.observe(&state, now_us);
                let began = changes.iter().any(|change| {
                    change.job.ended_us.is_none()
                        && change.events.iter().any(|event| event.what == "started")
                });
                self.record(changes).await;
                let tell = self.notices.shows(&state);
                self.inner.tell_of_printer(&self.id, tell);
                if began {
                    self.look_up_file().await;
                }
                let lists = state.abilities.contains(&printer::Ability::ListFiles);
                if lists && self.listed.is_none_or(|at| at.elapsed() > LIST_EVERY) {
                    self.list_files();
                }
                let job_id = self.recorder.job().map(|job| job.id.clone());
                let (model, phase) = (state.identity.model.clone(), state.phase);
                let was = self.inner.change(&self.id, |entry| {
                    let was = entry.state.as_ref();
                    let was = was.map(|state| (state.identity.model.clone(), state.phase));
                    entry.state = Some(state);
                    entry.job_id = job_id;
                    if entry.health.link != Link::Online {
                        entry.health.link = Link::Online;
                        entry.health.since_us = now_us;
                        (entry.health.tries, entry.health.problem) = (0, None);
                    }
                    if is_old(entry, now_us) {
                        entry.health.heard_us = Some(now_us);
                    }
                    was
                });
                let Some(was) = was else { return };
                let (model_was, phase_was) = was.unzip();
                if phase_was != Some(phase) {
                    self.inner.feed.hurry();
                }
                if model_was.flatten() != model {
                    // the shelf shows what it is
                    self.inner.roll.send_modify(|count| *count += 1);
                }
            }
            Told::Still => {
                let change = self.recorder.still(now_us);
                self.record(change.into_iter().collect()).await;
                if self.inner.look(&self.id, |entry| is_old(entry, now_us)) == Some(true) {
                    self.inner.change(&self.id, |entry| entry.health.heard_us = Some(now_us));
                }
            }
            Told::Ended(past) => {
                let changes = self.recorder.remembered(&past, now_us);
                self.record(changes).await;
                let job_id = self.recorder.job().map(|job| job.id.clone());
                self.inner.change(&self.id, |entry| entry.job_id = job_id);
            }
            Told::Files => {
                if self.listed.is_none_or(|at| at.elapsed() > LIST_AGAIN) {
                    self.list_files();
                }
            }
            Told::Certificate(fingerprint) => Box::pin(self.pin(fingerprint)).await,
        }
    }

    /// Looks what lies on the printer, beside the connection.
    fn list_files(&mut self) {
        self.listed = Some(Instant::now());
        let (inner, id) = (self.inner.clone(), self.id.clone());
        let stopping = self.inner.stopping.clone();
        self.inner.tasks.spawn(async move {
            let listed = async {
                let _few = inner.listings.acquire().await;
                // boxed, as all of them may wait at once
                Box::pin(inner.refresh(&id)).await
            };
            if let Some(Err(error)) = stopping.run_until_cancelled(listed).await {
                tracing::debug!(%id, %error, "its files cannot be listed");
            }
        });
    }

    /// Finds what the file of the job under way says, if its content is here.
    async fn look_up_file(&mut self) {
        let Some(job) = self.recorder.job() else { return };
        let (hash, path) = (job.hash.clone(), job.path.clone());
        match Box::pin(self.inner.file_facts(&self.id, hash, path)).await {
            Ok(Some(facts)) => {
                let change = self.recorder.knows_file(facts);
                self.record(change.into_iter().collect()).await;
            }
            Ok(None) => {}
            Err(error) => tracing::debug!(id = %self.id, %error, "its file cannot be looked up"),
        }
    }

    /// Remembers the certificate that it showed first.
    async fn pin(&mut self, fingerprint: printer::Fingerprint) {
        let row = self.inner.change(&self.id, |entry| {
            entry.row.pin = Some(fingerprint.to_string());
            entry.row.clone()
        });
        let Some(row) = row else { return };
        if let Err(error) = self.inner.shop.put_printer(&row, None).await {
            tracing::error!(id = %self.id, %error, "its certificate cannot be remembered");
        }
    }

    async fn record(&mut self, changes: Vec<Change>) {
        if !changes.is_empty() {
            self.unwritten.extend(changes);
            Box::pin(self.write()).await;
        }
    }

    /// Writes what was heard; what cannot be written stays.
    async fn write(&mut self) {
        while let Some(change) = self.unwritten.first() {
            if is_progress(change) {
                self.inner.progress.note(self.unwritten.remove(0).job);
                continue;
            }
            if let Err(error) = self.inner.shop.put_job(&change.job, &change.events).await {
                tracing::error!(id = %self.id, %error, "a job cannot be written; it is kept");
                return;
            }
            let change = self.unwritten.remove(0);
            if !change.events.is_empty() {
                self.inner.happened(&self.id, &change).await;
                let job = Arc::new(view::Job::from(change.job));
                self.inner.feed.news(News::Job(job));
            }
        }
    }

    fn offline(&mut self, lost: &printer::Error, pause: Duration, tries: u32) {
        tracing::debug!(id = %self.id, reason = ?lost.reason, "{lost}");
        let tell = self.notices.is_away(&lost.message, std::time::Instant::now());
        self.inner.tell_of_printer(&self.id, tell);
        let now_us = now_us();
        self.inner.change(&self.id, |entry| {
            let health = &mut entry.health;
            if health.link != Link::Offline {
                health.since_us = if tries > 1 { health.since_us } else { now_us };
                health.link = Link::Offline;
            }
            health.tries = tries;
            health.problem = Some(Problem::from(lost));
            let pause_us = i64::try_from(pause.as_micros()).unwrap_or(i64::MAX);
            health.next_try_us = Some(now_us.saturating_add(pause_us));
        });
    }
}

/// To the minute: it is for those who ask how fresh this is.
fn is_old(entry: &Entry, now_us: i64) -> bool {
    entry.health.heard_us.is_none_or(|us| now_us - us > HEARD_STEP_US)
}

/// What is stored of a printer's jobs, and since when it is known.
async fn stored(
    inner: &Inner,
    id: &DeviceId,
) -> Result<(i64, String, Vec<store::shop::Job>), store::Error> {
    let known = inner.look(id, |entry| (entry.row.created_us, entry.called()));
    let (since_us, name) = known.unwrap_or_default();
    // whoever watched it before has perhaps just noted more
    inner.write_progress().await?;
    let mut jobs = inner.shop.last_jobs(id.as_str(), JOBS_KNOWN).await?;
    for open in inner.shop.open_jobs(id.as_str()).await? {
        if !jobs.iter().any(|job| job.id == open.id) {
            jobs.push(open);
        }
    }
    Ok((since_us, name, jobs))
}

/// Files that somebody puts onto a card by hand are seen by then.
const LIST_EVERY: Duration = Duration::from_secs(15 * 60);
/// A printer that says again and again that its files have changed is not asked each time.
const LIST_AGAIN: Duration = Duration::from_secs(5);
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// A connection that lasted that long was a good one.
const STEADY: Duration = Duration::from_secs(10);
const RETRY_DATABASE: Duration = Duration::from_secs(5);
const HEARD_STEP_US: i64 = 60 * 1_000_000;
/// States that wait to be written; a driver waits when there are more.
const TOLD_MAX: usize = 16;
const ORDERS_MAX: usize = 4;
/// Enough to know a print again.
const JOBS_KNOWN: u32 = 100;
