//! A shop that several hubs share: who watches which printer, and what the others see of it.
//!
//! Each printer is watched by the hub that holds its lease in the database. A hub prolongs its
//! leases every two seconds; one that was killed loses them after six, and another takes them. A
//! hub that cannot reach the database gives its printers up when its leases are over, so that no
//! printer is watched by two. A shop in SQLite has one hub, and none of this.

use crate::feed::News;
use crate::fleet::{Inner, now_us};
use crate::view::Link;
use printer::PrinterState;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use store::shop::Change;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use wire::DeviceId;

/// The printers that this hub may watch.
#[derive(Debug)]
pub(crate) struct Leases {
    /// `None` where no other hub could.
    mine: Option<watch::Sender<BTreeSet<String>>>,
}

impl Leases {
    pub(crate) fn new(shared: bool) -> Self {
        Self { mine: shared.then(watch::Sender::default) }
    }

    /// Resolves when this hub may watch the printer.
    pub(crate) async fn granted(&self, id: &DeviceId) {
        if let Some(mine) = &self.mine {
            let held = |mine: &BTreeSet<String>| mine.contains(id.as_str());
            let _ = mine.subscribe().wait_for(held).await;
        }
    }

    /// Resolves when it may no longer.
    pub(crate) async fn lost(&self, id: &DeviceId) {
        match &self.mine {
            Some(mine) => {
                let gone = |mine: &BTreeSet<String>| !mine.contains(id.as_str());
                let _ = mine.subscribe().wait_for(gone).await;
            }
            None => std::future::pending().await,
        }
    }

    pub(crate) fn holds(&self, id: &DeviceId) -> bool {
        self.mine.as_ref().is_none_or(|mine| mine.borrow().contains(id.as_str()))
    }
}

/// Keeps leases and the view of what is elsewhere, as long as the fleet runs.
pub(crate) async fn run(inner: Arc<Inner>, stopping: CancellationToken) {
    let Some(mine) = &inner.leases.mine else { return };
    let kept = keep(&inner, mine);
    let followed = follow(&inner);
    tokio::select! {
        () = stopping.cancelled() => {}
        () = kept => {}
        () = followed => {}
    }
    mine.send_replace(BTreeSet::new());
}

async fn keep(inner: &Inner, mine: &watch::Sender<BTreeSet<String>>) {
    let sure_until = watch::Sender::new(Instant::now());
    tokio::join!(prolong(inner, mine, &sure_until), give_up(mine, sure_until.subscribe()));
}

async fn prolong(
    inner: &Inner,
    mine: &watch::Sender<BTreeSet<String>>,
    sure_until: &watch::Sender<Instant>,
) {
    let mut told = BTreeMap::new();
    loop {
        let until = Instant::now() + LEASE;
        match timeout_at(until, held(inner)).await {
            Ok(Ok(held)) => {
                sure_until.send_replace(until);
                mine.send_if_modified(|mine| {
                    let news = *mine != held;
                    *mine = held;
                    news
                });
            }
            Ok(Err(error)) => tracing::warn!(%error, "leases of printers cannot be prolonged"),
            Err(_) => tracing::warn!("leases of printers cannot be prolonged: no answer"),
        }
        match timeout(LEASE, exchange(inner, &mut told)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "what other hubs see cannot be exchanged"),
            Err(_) => tracing::debug!("what other hubs see cannot be exchanged: no answer"),
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// A database may also say nothing at all: what ends then is not waited with.
async fn give_up(mine: &watch::Sender<BTreeSet<String>>, mut sure_until: watch::Receiver<Instant>) {
    loop {
        let over = *sure_until.borrow_and_update();
        tokio::select! {
            biased;
            _ = sure_until.changed() => continue,
            () = sleep_until(over) => {}
        }
        if !mine.send_replace(BTreeSet::new()).is_empty() {
            tracing::warn!("leases of printers are over: another hub may watch them");
        }
        let _ = sure_until.changed().await;
    }
}

/// The printers whose leases this hub has, after it took those that are free.
async fn held(inner: &Inner) -> Result<BTreeSet<String>, store::Error> {
    let for_us = i64::try_from(LEASE.as_micros()).expect("seconds");
    let renewed = inner.shop.renew_leases(&inner.hub, now_us(), for_us).await?;
    let mut held: BTreeSet<_> = renewed.into_iter().collect();
    let wanted: Vec<_> = {
        let printers = inner.lock();
        let enabled = printers.iter().filter(|(_, entry)| entry.row.enabled);
        enabled.map(|(id, _)| id.as_str().to_owned()).collect()
    };
    held.retain(|id| wanted.contains(id));
    // only those that look free: five hundred that are another's are not asked for one by one
    let now = now_us();
    let leases = inner.shop.leases().await?.into_iter();
    let taken = leases.filter(|lease| lease.hub != inner.hub && lease.until_us > now);
    let taken: BTreeSet<_> = taken.map(|lease| lease.printer_id).collect();
    for id in wanted {
        let free = !held.contains(&id) && !taken.contains(&id);
        if free && inner.shop.take_lease(&id, &inner.hub, now_us(), for_us).await? {
            held.insert(id);
        }
    }
    Ok(held)
}

/// Shows others what is seen here, and takes over what they see.
async fn exchange(
    inner: &Inner,
    told: &mut BTreeMap<DeviceId, String>,
) -> Result<(), store::Error> {
    let states: Vec<_> = {
        let printers = inner.lock();
        let here = printers.iter().filter(|(id, _)| inner.leases.holds(id));
        let state =
            |id: &DeviceId, state: &PrinterState| (id.clone(), crate::printers::json(state));
        here.filter_map(|(id, entry)| Some(state(id, entry.state.as_ref()?))).collect()
    };
    let news = states.into_iter().filter(|(id, state)| told.get(id) != Some(state));
    let news: Vec<_> = news.collect();
    if !news.is_empty() {
        let rows: Vec<_> = news.iter().map(|(id, state)| (id.to_string(), state.clone())).collect();
        inner.shop.put_seen(&rows, now_us()).await?;
        told.extend(news);
    }
    for (id, state, time_us) in inner.shop.seen().await? {
        let Ok(id) = id.parse::<DeviceId>() else { continue };
        let elsewhere = |entry: &crate::fleet::Entry| {
            entry.health.link == Link::Elsewhere && entry.health.heard_us != Some(time_us)
        };
        if inner.look(&id, elsewhere) != Some(true) {
            continue;
        }
        if let Ok(state) = serde_json::from_str::<PrinterState>(&state) {
            inner.change(&id, |entry| {
                entry.state = Some(Arc::new(state));
                entry.health.heard_us = Some(time_us);
            });
        }
    }
    Ok(())
}

/// Takes over what other hubs write.
async fn follow(inner: &Arc<Inner>) {
    let mut changes = inner.shop.changes();
    loop {
        let change = match changes.recv().await {
            Ok(change) => change,
            Err(RecvError::Lagged(_)) => Change::Lost,
            Err(RecvError::Closed) => return,
        };
        if let Err(error) = take_over(inner, change).await {
            tracing::warn!(%error, "what another hub has changed cannot be read");
        }
    }
}

async fn take_over(inner: &Arc<Inner>, change: Change) -> Result<(), crate::Error> {
    match change {
        Change::Printer(id) => printer_changed(inner, &id).await?,
        Change::Job(id) => {
            let Some(job) = inner.shop.job(&id).await? else { return Ok(()) };
            let Ok(printer) = job.printer_id.parse::<DeviceId>() else { return Ok(()) };
            if !inner.leases.holds(&printer) {
                // it may be an old one that was given a note
                let open = inner.shop.open_jobs(printer.as_str()).await?.into_iter().next();
                let open = open.map(|job| job.id);
                inner.change(&printer, |entry| entry.job_id = open);
                inner.feed.news(News::Job(Arc::new(job.into())));
            }
        }
        Change::File(id) => {
            if let Some(file) = inner.shop.file(&id).await? {
                inner.feed.news(News::Files(file.place.into()));
            }
        }
        Change::Queue(_) => {
            inner.feed.news(News::Queue);
            inner.wake_queue();
        }
        Change::Channel(_) => inner.feed.news(News::Channels),
        Change::Folder(_) => inner.folders.notify_one(),
        Change::Lease(_) => {}
        Change::Lost => {
            let rows = inner.shop.printers().await?;
            let gone: Vec<_> = {
                let printers = inner.lock();
                let known = printers.keys().map(|id| id.as_str().to_owned());
                known.filter(|id| !rows.iter().any(|row| row.id == *id)).collect()
            };
            for id in rows.into_iter().map(|row| row.id).chain(gone) {
                printer_changed(inner, &id).await?;
            }
            inner.folders.notify_one();
            inner.feed.news(News::Queue);
            inner.wake_queue();
        }
    }
    Ok(())
}

async fn printer_changed(inner: &Arc<Inner>, id: &str) -> Result<(), crate::Error> {
    let Ok(printer) = id.parse::<DeviceId>() else { return Ok(()) };
    let Some(row) = inner.shop.printer(id).await? else {
        inner.drop_printer(&printer);
        return Ok(());
    };
    let known = inner.look(&printer, |entry| (entry.row.clone(), entry.secret.clone()));
    let Some((known, secret)) = known else {
        return inner.clone().take_up(row, false).await;
    };
    let stored = inner.secret_of(&row).await?;
    if crate::printers::is_other_connection(&known, &row) || stored != secret.expose() {
        inner.clone().take_up(row, false).await?;
    } else if known != row {
        inner.change(&printer, |entry| entry.row = row);
        inner.roll.send_modify(|count| *count += 1);
        inner.wake_queue();
    }
    Ok(())
}

/// For how long a printer is one hub's without another word.
const LEASE: Duration = Duration::from_secs(6);
const EVERY: Duration = Duration::from_secs(2);
