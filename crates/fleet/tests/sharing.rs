//! Two hubs on one PostgreSQL: each printer is watched by one of them, and by the other when that
//! one is gone.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

#[path = "../../store/tests/shop/place.rs"]
#[allow(dead_code, reason = "the store's own tests use the rest of it")]
mod place;

mod bench;

use fleet::view::{JobFilter, Link};
use fleet::{Config, Fleet, News};
use place::Place;
use sim::printer::{Act, Printer, Protocol, Spec};
use sqlx::{Connection, PgConnection};
use std::path::Path;
use std::time::{Duration, Instant};
use store::shop::Job;
use tokio::runtime::Runtime;

async fn hub(place: &Place, name: &str, data: &Path) -> Fleet {
    let data = data.join(name);
    let (shop, hub) = (place.shop().await, name.to_owned());
    Fleet::start(Config { data, shop, hub, discovery: bench::nowhere() }).await.unwrap()
}

async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let waited = tokio::time::timeout(Duration::from_secs(60), async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("in time: {what}"))
}

async fn all_are(fleet: &Fleet, link: Link) {
    until("every printer has that link", async || {
        let printers = fleet.printers();
        printers.iter().all(|printer| printer.health.link == link).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_hub_takes_over_what_a_killed_one_watched() {
    let Some(place) = Place::postgres() else { return };
    let data = tempfile::tempdir().unwrap();
    let mut printers = vec![];
    for (number, protocol) in [Protocol::Moonraker, Protocol::PrusaLink].into_iter().enumerate() {
        let spec = Spec { speed: 20.0, ..Spec::new(protocol, &format!("no {number}")) };
        let printer = Printer::start(spec).await.unwrap();
        printer.put_file("part.gcode", b";TIME:400\n;LAYER_COUNT:10\nG28\n".to_vec());
        printers.push(printer);
    }

    // a runtime of its own, so that it can be gone as by kill -9
    let killed = Runtime::new().unwrap();
    let first = std::thread::scope(|scope| {
        let started = scope.spawn(|| killed.block_on(hub(&place, "first", data.path())));
        started.join().unwrap()
    });
    for printer in &printers {
        let (first, new) = (first.clone(), bench::new(printer.spec()));
        killed.spawn(async move { first.add(new, |_| false).await.unwrap() }).await.unwrap();
    }
    all_are(&first, Link::Online).await;
    let second = hub(&place, "second", data.path()).await;
    all_are(&second, Link::Elsewhere).await;
    until("what the first sees is seen", async || {
        second.printers().iter().all(|printer| printer.state.is_some()).then_some(())
    })
    .await;

    for printer in &printers {
        printer.act(Act::Start { path: "part.gcode".to_owned() });
    }
    let jobs = async || second.jobs(&JobFilter::default()).await.unwrap();
    until("both prints are known at the second", async || (jobs().await.total == 2).then_some(()))
        .await;

    let gone = Instant::now();
    killed.shutdown_background();
    all_are(&second, Link::Online).await;
    eprintln!("watched again after {:?}", gone.elapsed());
    let over = until("both are over", async || {
        let page = jobs().await;
        page.jobs.iter().all(|job| job.ended_us.is_some()).then_some(page)
    })
    .await;
    assert_eq!(over.total, 2, "{over:#?}");
    assert!(over.jobs.iter().all(|job| job.state == "finished"), "{over:#?}");
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_whose_database_says_nothing_gives_its_printers_up() {
    let Some(place) = Place::postgres() else { return };
    let data = tempfile::tempdir().unwrap();
    let printer = Printer::start(Spec::new(Protocol::Moonraker, "klipper")).await.unwrap();
    let only = hub(&place, "only", data.path()).await;
    only.add(bench::new(printer.spec()), |_| false).await.unwrap();
    all_are(&only, Link::Online).await;
    let mut other = PgConnection::connect(&place.address()).await.unwrap();
    let mut locked = other.begin().await.unwrap();
    sqlx::query("LOCK TABLE leases IN ACCESS EXCLUSIVE MODE").execute(&mut *locked).await.unwrap();
    all_are(&only, Link::Elsewhere).await;
    locked.rollback().await.unwrap();
    all_are(&only, Link::Online).await;
    only.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_hub_adds_and_removes_the_other_has() {
    let Some(place) = Place::postgres() else { return };
    let data = tempfile::tempdir().unwrap();
    let printer = Printer::start(Spec::new(Protocol::Moonraker, "klipper")).await.unwrap();
    let (first, second) =
        (hub(&place, "first", data.path()).await, hub(&place, "second", data.path()).await);
    let added = first.add(bench::new(printer.spec()), |_| false).await.unwrap();
    let name = added.name.as_str();
    until("it is there", async || second.printer(name).ok()).await;
    until("one of them watches it", async || {
        let links = [&first, &second].map(|hub| hub.printer(name).unwrap().health.link);
        (links.contains(&Link::Online) && links.contains(&Link::Elsewhere)).then_some(())
    })
    .await;
    second.remove(name).await.unwrap();
    until("it is gone", async || first.printers().is_empty().then_some(())).await;
    first.stop().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_waits_for_the_hub_that_has_it() {
    let Some(place) = Place::postgres() else { return };
    let data = tempfile::tempdir().unwrap();
    let spec = Spec { speed: 300.0, ..Spec::new(Protocol::Moonraker, "klipper") };
    let printer = Printer::start(spec).await.unwrap();
    let first = hub(&place, "first", data.path()).await;
    first.add(bench::new(printer.spec()), |_| false).await.unwrap();
    all_are(&first, Link::Online).await;
    let second = hub(&place, "second", data.path()).await;
    let receive = async |hub: &Fleet| {
        let mut receiving = hub.receive("part.gcode").await.unwrap();
        receiving.write(b";TIME:400\n;LAYER_COUNT:10\nG28\n").await.unwrap();
        receiving.finish().await.unwrap()
    };
    let new = serde_json::json!({ "file_id": receive(&second).await.id });
    let item = second.enqueue(serde_json::from_value(new).unwrap(), "test").await.unwrap().id;
    for hub in [&first, &second] {
        until("somebody is told why", async || {
            let why = hub.queue_item(&item).await.unwrap().waits.into_values().next()?;
            why.contains("another hub").then_some(())
        })
        .await;
    }
    let waiting = first.queue_item(&item).await.unwrap();
    assert!(waiting.runs.is_empty() && !waiting.held, "{waiting:?}");
    receive(&first).await;
    // the folder is looked at when the queue is: whatever changes it wakes it
    let change = fleet::view::QueueChange { priority: Some(1), ..Default::default() };
    second.change_queue(&item, change).await.unwrap();
    until("it is printed", async || {
        (first.queue_item(&item).await.unwrap().state == "done").then_some(())
    })
    .await;
    first.stop().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_job_that_is_changed_is_not_the_one_under_way() {
    let Some(place) = Place::postgres() else { return };
    let data = tempfile::tempdir().unwrap();
    let spec = Spec { speed: 20.0, ..Spec::new(Protocol::Moonraker, "klipper") };
    let printer = Printer::start(spec).await.unwrap();
    printer.put_file("part.gcode", b";TIME:4000\n;LAYER_COUNT:10\nG28\n".to_vec());
    let first = hub(&place, "first", data.path()).await;
    let id = first.add(bench::new(printer.spec()), |_| false).await.unwrap().id;
    all_are(&first, Link::Online).await;
    let second = hub(&place, "second", data.path()).await;
    printer.act(Act::Start { path: "part.gcode".to_owned() });
    let under_way = || second.printer(id.as_str()).unwrap().job_id;
    let job = until("the print is known at the second", async || under_way()).await;
    let mut listener = second.listen();
    listener.snapshot();
    let old = Job {
        id: "old".to_owned(),
        printer_id: id.to_string(),
        state: "finished".to_owned(),
        ended_us: Some(2),
        ..Job::default()
    };
    place.shop().await.put_job(&old, &[]).await.unwrap();
    until("it is told", async || {
        let beat = listener.next().await.unwrap()?;
        let told = |news: &News| matches!(news, News::Job(job) if job.id == "old");
        beat.news.iter().any(told).then_some(())
    })
    .await;
    assert_eq!(under_way(), Some(job));
    first.stop().await;
    second.stop().await;
}
