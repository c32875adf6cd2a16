//! The real program, a real hub, and printers that are simulated here and say what really
//! happened.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test ends there")]

mod backups;
mod hub;

use hub::{Hub, Ran, SOON};
use rustix::process::{Pid, Signal};
use serde_json::Value;
use sim::printer::{Act, Fault, Printer, Protocol, Spec};
use std::time::{Duration, Instant};

/// What a slicer writes, as far as anybody looks at it.
const PART: &str = "; estimated printing time (normal mode) = 1h 0m 0s\n;LAYER_COUNT:100\nG28\n";

async fn prusa() -> Printer {
    Printer::start(Spec::new(Protocol::PrusaLink, "left")).await.unwrap()
}

/// Adds it by the name `mk4`, and waits until it is watched.
fn add(hub: &Hub, printer: &Printer) -> Ran {
    let port = printer.spec().port.to_string();
    let args = ["printer", "add", "127.0.0.1", "--protocol", "prusalink", "--user", "maker"];
    let more = ["--port", &port, "--name", "mk4", "--title", "Left one", "--tag", "pla"];
    let added = hub.says(&[&args[..], &more].concat(), &printer.spec().secret);
    assert_eq!(added.status, 0, "{added:?}");
    until(hub, "mk4", |printer| printer["health"]["link"] == "online");
    added
}

/// Asks until it is so.
fn until(hub: &Hub, name: &str, so: impl Fn(&Value) -> bool) -> Value {
    let began = Instant::now();
    loop {
        let printer = hub.json(&["printer", "show", name]);
        if so(&printer) {
            return printer;
        }
        assert!(began.elapsed() < SOON, "{name} never is so: {printer:#}");
    }
}

fn until_job(hub: &Hub, state: &str) -> Value {
    let began = Instant::now();
    loop {
        let page = hub.json(&["printer", "jobs", "mk4"]);
        if page["jobs"][0]["state"] == state {
            return page;
        }
        assert!(began.elapsed() < SOON, "no job is {state}: {page:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_printer_is_tried_added_driven_and_removed() {
    let printer = prusa().await;
    let hub = Hub::up("garage", "");
    let port = printer.spec().port.to_string();
    let args = ["printer", "add", "127.0.0.1", "--protocol", "prusalink", "--user", "maker"];
    let args = [&args[..], &["--port", &port]].concat();
    let wrong = hub.says(&args, "not it");
    assert_eq!(wrong.status, 4, "{wrong:?}");
    assert!(wrong.stderr.contains("127.0.0.1: ") && wrong.stderr.contains("hint:"), "{wrong:?}");
    let closed = ["printer", "add", "127.0.0.1", "--protocol", "moonraker", "--port", "1"];
    let closed = hub.ran(&closed);
    assert_eq!(closed.status, 1, "{closed:?}");
    assert_eq!(hub.json(&["printer", "list"]), Value::Array(vec![]), "nothing was stored");

    let added = add(&hub, &printer);
    assert_eq!(added.stdout, "mk4\n");
    assert!(added.stderr.contains("127.0.0.1 answers: "), "{added:?}");
    let again = hub.says(&[&args[..], &["--name", "twin"]].concat(), &printer.spec().secret);
    assert_eq!(again.status, 1, "it is here already: {again:?}");
    assert_eq!(hub.ran(&["printer", "test", "mk4"]).status, 0);
    let list = hub.run(&["printer", "list"]);
    assert!(list.contains("garage/mk4") && list.contains("idle"), "{list}");
    let show = hub.run(&["printer", "show", "garage/mk4"]);
    assert!(show.contains("Left one (mk4)") && show.contains("hotend"), "{show}");
    let set = ["printer", "set", "mk4", "--title", "Right one", "--queue", "off", "--tag", ""];
    let set = hub.json(&set);
    assert_eq!((&set["title"], set["tags"].as_array().unwrap().len()), (&"Right one".into(), 0));
    assert_eq!(set["settings"]["keep_from_queue"], true);
    assert_eq!(set["address"]["has_secret"], true, "it is still there");

    assert_eq!(hub.ran(&["printer", "pause", "mk4"]).status, 1, "it prints nothing");
    assert_eq!(hub.ran(&["printer", "pause", "twin"]).status, 5);
    hub.run(&["printer", "remove", "mk4"]);
    assert_eq!(hub.ran(&["printer", "show", "mk4"]).status, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_sent_printed_and_fetched_and_the_job_is_kept() {
    let printer = prusa().await;
    let hub = Hub::up("garage", "");
    add(&hub, &printer);
    let part = hub.file("part.gcode", PART);
    let sent = hub.ran(&["printer", "send", "mk4", &part, "--start"]);
    assert_eq!(sent.status, 0, "{sent:?}");
    assert!(sent.stderr.contains("mk4 prints part.gcode"), "{sent:?}");
    until_job(&hub, "printing");
    assert_eq!(printer.truth().len(), 1);
    let busy = hub.ran(&["printer", "send", "mk4", &part, "--start"]);
    assert_eq!(busy.status, 1, "it is not free: {busy:?}");
    hub.run(&["printer", "pause", "mk4"]);
    until(&hub, "mk4", |printer| printer["state"]["phase"] == "paused");
    hub.run(&["printer", "resume", "mk4"]);
    until(&hub, "mk4", |printer| printer["state"]["phase"] == "printing");
    hub.run(&["printer", "stop", "mk4"]);
    let page = until_job(&hub, "cancelled");
    assert_eq!(page["total"], 1);
    assert!(page["jobs"][0]["name"].as_str().unwrap().contains("part"), "{page:#}");

    let table = hub.run(&["printer", "jobs", "--search", "part", "--since", "1h"]);
    assert!(table.contains("cancelled") && table.contains("part"), "{table}");
    assert_eq!(hub.json(&["printer", "jobs", "--state", "failed"])["total"], 0);
    let csv = hub.run(&["printer", "jobs", "--csv", "--german"]);
    assert!(csv.starts_with('\u{feff}') && csv.contains(';') && csv.contains("part"), "{csv}");

    printer.act(Act::Clear);
    printer.put_file("old.gcode", PART.as_bytes().to_vec());
    let to = hub.data.path().join("here.gcode");
    let to = to.to_str().unwrap();
    let files = hub.run(&["printer", "files", "mk4", "--refresh"]);
    assert!(files.contains("old.gcode"), "{files}");
    let fetched = hub.ran(&["printer", "fetch", "mk4", "old.gcode", "--to", to]);
    assert_eq!((fetched.status, fetched.stdout.trim()), (0, to), "{fetched:?}");
    assert_eq!(std::fs::read_to_string(to).unwrap(), PART);
    let again = hub.ran(&["printer", "fetch", "mk4", "old.gcode", "--to", to]);
    assert_eq!(again.status, 2, "nothing is overwritten: {again:?}");
    assert_eq!(hub.ran(&["printer", "fetch", "mk4", "none.gcode"]).status, 5);
    hub.run(&["printer", "start", "mk4", "old.gcode"]);
    until_job(&hub, "printing");
    assert_eq!(printer.truth().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_leaves_a_transfer_to_the_hub() {
    let printer = prusa().await;
    let hub = Hub::up("garage", "");
    add(&hub, &printer);
    // its answers come late, so that there is a transfer to leave
    printer.set_fault(Fault::Slow(Duration::from_secs(5)));
    let part = hub.file("part.gcode", PART);
    let child = hub.begin(&["printer", "send", "mk4", &part]);
    until(&hub, "mk4", |printer| printer["transfer"].is_object());
    rustix::process::kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let ran = Ran::of(&child.wait_with_output().unwrap());
    assert_eq!(ran.status, 130, "{ran:?}");
    assert!(ran.stderr.contains("part.gcode goes on to mk4"), "{ran:?}");
    printer.set_fault(Fault::None);
    until(&hub, "mk4", |printer| printer["transfer"].is_null());
    assert_eq!(printer.files().len(), 1, "it has arrived");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_waits_until_it_is_released() {
    let printer = prusa().await;
    let hub = Hub::up("garage", "");
    add(&hub, &printer);
    let part = hub.file("part.gcode", PART);
    let item = hub.json(&["printer", "queue", "add", &part, "--on", "mk4", "--hold"]);
    let id = item["id"].as_str().unwrap();
    let list = hub.run(&["printer", "queue", "list"]);
    assert!(list.contains("held") && list.contains("mk4") && list.contains(id), "{list}");
    assert_eq!(printer.truth().len(), 0);
    let table = hub.run(&["printer", "queue", "release", id]);
    assert!(!table.contains("held"), "{table}");
    until_job(&hub, "printing");
    assert_eq!(printer.truth().len(), 1);
    hub.run(&["printer", "queue", "cancel", id]);
    assert_eq!(hub.ran(&["printer", "queue", "hold", "none"]).status, 5);
    let url = "http://127.0.0.1:1/hook";
    hub.run(&["printer", "notices", "add", "shop", "--webhook", url]);
    assert!(hub.run(&["printer", "notices", "list"]).contains("shop"));
    assert_ne!(hub.ran(&["printer", "notices", "test", "shop"]).status, 0, "nobody is there");
    hub.run(&["printer", "notices", "remove", "shop"]);
    assert_eq!(hub.json(&["printer", "notices", "list"]), Value::Array(vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_s_printer_is_driven_as_far_as_it_was_granted() {
    let printer = prusa().await;
    let garage = Hub::up("garage", "");
    let office = Hub::up("office", "");
    add(&garage, &printer);
    office.run(&["pair", &garage.run(&["invite", "--grant", "mk4"])]);
    let began = Instant::now();
    while !office.run(&["printer", "list"]).contains("garage/mk4") {
        assert!(began.elapsed() < SOON, "it is never seen");
    }
    let shown = office.json(&["printer", "show", "garage/mk4"]);
    assert_eq!(shown["address"]["host"], "", "its address is for its owner");
    let part = office.file("part.gcode", PART);
    let sent = office.ran(&["printer", "send", "garage/mk4", &part, "--start"]);
    assert_eq!(sent.status, 0, "{sent:?}");
    until_job(&garage, "printing");
    office.run(&["printer", "pause", "garage/mk4"]);
    until(&office, "garage/mk4", |printer| printer["state"]["phase"] == "paused");
    assert_eq!(office.json(&["printer", "jobs", "garage/mk4"])["total"], 1);
    assert_eq!(office.json(&["--hub", "garage", "printer", "list"])[0]["name"], "mk4");
    let refused = office.ran(&["printer", "remove", "garage/mk4"]);
    assert_eq!(refused.status, 4, "{refused:?}");
}
