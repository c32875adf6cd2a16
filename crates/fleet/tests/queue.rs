//! The queue over restarts, and what is held for somebody to look at.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod bench;

use bench::{begin, new, now_us, open, start, until, when};
use fleet::Fleet;
use fleet::view::{Link, NewPrinter, QueueChange, QueueItem, Settings};
use serde_json::json;
use sim::printer::{Act, Printer, Protocol, Spec};
use store::shop::{Job, QueueRun};
use tempfile::TempDir;

async fn enqueue(fleet: &Fleet, item: serde_json::Value) -> QueueItem {
    let mut receiving = fleet.receive("cube.gcode").await.unwrap();
    receiving.write(b";TIME:600\n;LAYER_COUNT:20\nG28\n").await.unwrap();
    let mut new = json!({ "file_id": receiving.finish().await.unwrap().id });
    new.as_object_mut().unwrap().extend(item.as_object().unwrap().clone());
    fleet.enqueue(serde_json::from_value(new).unwrap(), "test").await.unwrap()
}

async fn quick() -> Printer {
    let spec = Spec { speed: 300.0, ..Spec::new(Protocol::Moonraker, "quick") };
    Printer::start(spec).await.unwrap()
}

/// A hub that was killed while a copy was so far, and is here again.
async fn killed(printer: &Printer, state: &str, age_us: i64) -> (TempDir, Fleet, String) {
    let folder = tempfile::tempdir().unwrap();
    let shop = open(&folder).await;
    let fleet = start(&folder, shop).await;
    let added = fleet.add(new(printer.spec()), |_| false).await.unwrap();
    let item = enqueue(&fleet, json!({ "held": true })).await.id;
    fleet.stop().await;
    let shop = open(&folder).await;
    let mut row = shop.queue_item(&item).await.unwrap().unwrap();
    row.held = false;
    shop.put_queue_item(&row).await.unwrap();
    let run = shop.claim_run(&item, added.id.as_str()).await.unwrap().unwrap();
    let updated_us = now_us() - age_us;
    shop.put_run(&QueueRun { state: state.to_owned(), updated_us, ..run }).await.unwrap();
    let fleet = start(&folder, shop).await;
    (folder, fleet, item)
}

#[tokio::test]
async fn a_copy_that_was_on_its_way_is_brought_again() {
    let printer = quick().await;
    let (_folder, fleet, item) = killed(&printer, "uploading", 0).await;
    let item = when(&fleet, "it is printed", async || {
        let item = fleet.queue_item(&item).await.unwrap();
        (item.state == "done").then_some(item)
    })
    .await;
    let states: Vec<_> = item.runs.iter().map(|run| &*run.state).collect();
    assert_eq!((states, printer.truth().len()), (vec!["failed", "finished"], 1));
    fleet.stop().await;
}

#[tokio::test]
async fn a_copy_that_was_started_is_known_when_it_begins() {
    let printer = quick().await;
    printer.put_file("cube.gcode", b";TIME:600\n;LAYER_COUNT:20\nG28\n".to_vec());
    let (_folder, fleet, item) = killed(&printer, "starting", 0).await;
    printer.act(Act::Start { path: "cube.gcode".to_owned() });
    when(&fleet, "it is counted", async || {
        let item = fleet.queue_item(&item).await.unwrap();
        (item.state == "done").then_some(())
    })
    .await;
    fleet.stop().await;
}

#[tokio::test]
async fn a_copy_that_nobody_saw_begin_is_held() {
    let printer = quick().await;
    let (_folder, fleet, item) = killed(&printer, "starting", 16 * 60 * 1_000_000).await;
    let item = when(&fleet, "it is held", async || {
        let item = fleet.queue_item(&item).await.unwrap();
        item.held.then_some(item)
    })
    .await;
    assert_eq!(item.runs[0].state, "failed");
    assert!(item.runs[0].problem.as_deref().unwrap().contains("nobody saw it begin"));
    assert!(printer.truth().is_empty());
    fleet.stop().await;
}

#[tokio::test]
async fn an_end_that_nobody_saw_holds_the_job() {
    let folder = tempfile::tempdir().unwrap();
    let shop = open(&folder).await;
    let fleet = start(&folder, shop.clone()).await;
    let printer = quick().await;
    let added = fleet.add(new(printer.spec()), |_| false).await.unwrap();
    let item = enqueue(&fleet, json!({ "copies": 2, "held": true })).await.id;
    fleet.stop().await;
    let shop = open(&folder).await;
    let row = shop.queue_item(&item).await.unwrap().unwrap();
    shop.put_queue_item(&store::shop::QueueItem { held: false, ..row }).await.unwrap();
    let run = shop.claim_run(&item, added.id.as_str()).await.unwrap().unwrap();
    shop.put_run(&QueueRun { state: "printing".to_owned(), ..run.clone() }).await.unwrap();
    let job = Job {
        id: "j1".to_owned(),
        printer_id: added.id.to_string(),
        name: "cube.gcode".to_owned(),
        queue_run: Some(run.id),
        state: "unknown".to_owned(),
        reason: Some("it ended while nobody listened".to_owned()),
        started_us: now_us() - 9,
        ended_us: Some(now_us()),
        ..Job::default()
    };
    // the hub was killed before the queue had heard of it
    shop.put_job(&job, &[]).await.unwrap();
    let fleet = start(&folder, shop).await;
    until(&fleet, added.name.as_str(), Link::Online).await;
    let shown = when(&fleet, "it is held", async || {
        let item = fleet.queue_item(&item).await.unwrap();
        item.held.then_some(item)
    })
    .await;
    let problem = shown.runs[0].problem.as_deref().unwrap();
    assert!(problem.contains("nobody saw how it ended"), "{problem}");
    assert!(shown.waits.values().all(|why| why == "it is held"), "{shown:?}");
    assert!(printer.truth().is_empty(), "nothing is printed before somebody has looked");
    let go_on = QueueChange { held: Some(false), ..QueueChange::default() };
    fleet.change_queue(&item, go_on).await.unwrap();
    when(&fleet, "it goes on", async || (!printer.truth().is_empty()).then_some(())).await;
    fleet.stop().await;
}

#[tokio::test]
async fn a_bed_that_clears_itself_is_not_printed_on_again_and_again() {
    let (_folder, fleet) = begin().await;
    let printer = quick().await;
    let settings = Settings { clears_itself: true, keep_from_queue: false };
    let belt = NewPrinter { settings, ..new(printer.spec()) };
    let name = fleet.add(belt, |_| false).await.unwrap().name.to_string();
    until(&fleet, &name, Link::Online).await;
    let item = enqueue(&fleet, json!({ "copies": 5 })).await.id;
    when(&fleet, "it prints", async || (!printer.truth().is_empty()).then_some(())).await;
    when(&fleet, "it is seen", async || fleet.printer(&name).unwrap().job_id).await;
    printer.act(Act::Cancel);
    let item = when(&fleet, "it is held", async || {
        let item = fleet.queue_item(&item).await.unwrap();
        item.held.then_some(item)
    })
    .await;
    assert_eq!((&*item.runs[0].state, printer.truth().len()), ("cancelled", 1));
    fleet.stop().await;
}

#[tokio::test]
async fn a_due_date_comes_and_goes() {
    let (_folder, fleet) = begin().await;
    let item = enqueue(&fleet, json!({ "due_us": 5 })).await;
    assert_eq!(item.due_us, Some(5));
    let change = async |change: serde_json::Value| {
        let change = serde_json::from_value(change).unwrap();
        fleet.change_queue(&item.id, change).await.unwrap().due_us
    };
    assert_eq!(change(json!({ "priority": 1 })).await, Some(5));
    assert_eq!(change(json!({ "due_us": 7 })).await, Some(7));
    assert_eq!(change(json!({ "due_us": null })).await, None);
    fleet.stop().await;
}
