//! A fleet against simulated printers on the real wire: what is told of wrong addresses and codes,
//! printers that come later, and what is shown to nobody.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod bench;

use bench::{LIMIT, SECRET, begin, new, now_us, open, simulated, start, until};
use fleet::view::{JobFilter, Link, NewPrinter};
use fleet::{Fleet, Over};
use printer::Reason;
use serde_json::{Map, Value};
use sim::printer::{Act, Fault, Printer, Protocol, Spec};
use store::shop::Change;
use tokio::time::timeout;

async fn problem(fleet: &Fleet, new: NewPrinter) -> Reason {
    let probe = timeout(LIMIT, fleet.probe(&new, None)).await.unwrap().unwrap();
    probe.problem.unwrap().reason
}

#[tokio::test]
async fn a_hub_without_printers_has_no_database() {
    let (folder, fleet) = begin().await;
    fleet.ready().await.unwrap();
    assert!(fleet.printers().is_empty());
    assert_eq!(fleet.jobs(&JobFilter::default()).await.unwrap().total, 0);
    assert_eq!(fleet.queue(Over::Shown).await.unwrap().len(), 0);
    // what it does by itself when it starts has been done when it has stopped
    fleet.stop().await;
    let left: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().path()).collect();
    assert!(!folder.path().join("shop.db").exists(), "{left:?}");
}

#[tokio::test]
async fn a_test_of_the_connection_says_what_is_wrong() {
    let (_folder, fleet) = begin().await;
    let printers = [Protocol::Bambu, Protocol::PrusaLink, Protocol::Moonraker, Protocol::OctoPrint];
    for protocol in printers {
        let mut printer = simulated(protocol).await;
        let right = new(printer.spec());
        let probe = fleet.probe(&right, None).await.unwrap();
        assert_eq!(probe.problem, None, "{protocol:?}");
        if protocol != Protocol::Moonraker {
            let wrong = NewPrinter { secret: "87654321".to_owned(), ..right.clone() };
            assert_eq!(problem(&fleet, wrong).await, Reason::WrongSecret, "{protocol:?}");
        }
        if protocol == Protocol::Bambu {
            let serial_number = "01P00A000000009".to_owned();
            let other = NewPrinter { serial_number, ..right.clone() };
            assert_eq!(problem(&fleet, other).await, Reason::WrongCertificate);
        }
        printer.cut().await;
        assert_eq!(problem(&fleet, right.clone()).await, Reason::PortClosed, "{protocol:?}");
        let nowhere = NewPrinter { host: "printer.invalid".to_owned(), ..right };
        assert_eq!(problem(&fleet, nowhere).await, Reason::NoSuchHost, "{protocol:?}");
    }
    let printer = simulated(Protocol::Moonraker).await;
    let other = Spec { protocol: Protocol::OctoPrint, ..printer.spec().clone() };
    assert_eq!(problem(&fleet, new(&other)).await, Reason::NotAPrinter);
    fleet.stop().await;
}

#[tokio::test]
async fn a_printer_that_was_added_is_tested_with_its_secret_and_only_there() {
    let (_folder, fleet) = begin().await;
    for protocol in [Protocol::Bambu, Protocol::PrusaLink, Protocol::OctoPrint] {
        let printer = simulated(protocol).await;
        let right = new(printer.spec());
        let name = fleet.add(right.clone(), |_| false).await.unwrap().name.to_string();
        let unsaid = NewPrinter { secret: String::new(), ..right };
        let probe = fleet.probe(&unsaid, Some(&name)).await.unwrap();
        assert_eq!(probe.problem, None, "{protocol:?}");
        let elsewhere = NewPrinter { host: "localhost".to_owned(), ..unsaid };
        match fleet.probe(&elsewhere, Some(&name)).await {
            Ok(probe) => assert_ne!(probe.problem, None, "{protocol:?}"),
            Err(error) => assert_eq!(protocol, Protocol::Bambu, "{error}"),
        }
    }
    fleet.stop().await;
}

#[tokio::test]
async fn a_printer_that_was_off_appears_by_itself_and_a_silent_one_delays_nobody() {
    let (_folder, fleet) = begin().await;
    let mut late = simulated(Protocol::OctoPrint).await;
    late.cut().await;
    let late_name = fleet.add(new(late.spec()), |_| false).await.unwrap().name.to_string();
    until(&fleet, &late_name, Link::Offline).await;
    let silent = simulated(Protocol::PrusaLink).await;
    silent.set_fault(Fault::Silent);
    let silent_name = fleet.add(new(silent.spec()), |_| false).await.unwrap().name.to_string();
    late.mend().await.unwrap();
    until(&fleet, &late_name, Link::Online).await;
    assert_ne!(fleet.printer(&silent_name).unwrap().health.link, Link::Online);
    fleet.stop().await;
}

#[tokio::test]
async fn a_secret_is_in_nothing_that_is_shown() {
    let (_folder, fleet) = begin().await;
    let printer = simulated(Protocol::Bambu).await;
    let name = fleet.add(new(printer.spec()), |_| false).await.unwrap().name.to_string();
    until(&fleet, &name, Link::Online).await;
    let shown = serde_json::to_string(&fleet.printers()).unwrap();
    let fed = format!("{:?}", fleet.listen().snapshot());
    assert!(!shown.contains(SECRET) && !fed.contains(SECRET) && shown.contains("has_secret"));
    fleet.stop().await;
}

#[tokio::test]
async fn a_certificate_that_is_not_the_pinned_one_is_refused() {
    let (_folder, fleet) = begin().await;
    let printer = simulated(Protocol::Bambu).await;
    let right = new(printer.spec());
    let known = fleet.probe(&right, None).await.unwrap().pin;
    let pinned = NewPrinter { pin: known, ..right.clone() };
    assert_eq!(fleet.probe(&pinned, None).await.unwrap().problem, None);
    let other = NewPrinter { pin: Some("ab".repeat(32)), ..right };
    assert_eq!(problem(&fleet, other.clone()).await, Reason::WrongCertificate);
    let name = fleet.add(other, |_| false).await.unwrap().name.to_string();
    until(&fleet, &name, Link::Offline).await;
    let health = fleet.printer(&name).unwrap().health;
    assert_eq!(health.problem.unwrap().reason, Reason::WrongCertificate);
    fleet.stop().await;
}

/// RFC 7386 §2
fn apply(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    for (key, value) in patch {
        match value {
            Value::Null => drop(target.as_object_mut().unwrap().remove(key)),
            _ => apply(&mut target[key], value),
        }
    }
}

#[tokio::test]
async fn the_changes_make_the_state() {
    let (_folder, fleet) = begin().await;
    let spec = Spec { speed: 600.0, ..Spec::new(Protocol::Moonraker, "voron") };
    let printer = Printer::start(spec).await.unwrap();
    printer.put_file("cube.gcode", b";TIME:900\n;LAYER_COUNT:20\nG28\n".to_vec());
    let name = fleet.add(new(printer.spec()), |_| false).await.unwrap().name.to_string();
    let mut listener = fleet.listen();
    let (mut count, mut told) = listener.snapshot();
    until(&fleet, &name, Link::Online).await;
    printer.act(Act::Start { path: "cube.gcode".to_owned() });
    let over = async {
        loop {
            let beat = listener.next().await.unwrap().expect("nobody falls behind here");
            assert_eq!(beat.count, count + 1);
            count = beat.count;
            for (id, patch) in &beat.printers {
                let patch = serde_json::from_str(patch).unwrap();
                apply(told.entry(id.clone()).or_default(), &patch);
            }
            let phase = told.values().next().map(|printer| printer["state"]["phase"].clone());
            if phase == Some("finished".into()) {
                break;
            }
        }
    };
    timeout(LIMIT, over).await.unwrap();
    let mut whole = fleet.listen();
    let (_, now) = whole.snapshot();
    for (id, told) in &told {
        assert_eq!(told["state"]["job"], now[id]["state"]["job"]);
        assert_eq!(told["address"], now[id]["address"]);
    }
    fleet.stop().await;
}

/// What a hub that is killed finds again.
#[tokio::test]
async fn prints_that_go_on_are_known_to_five_seconds_and_are_written_together() {
    let folder = tempfile::tempdir().unwrap();
    let shop = open(&folder).await;
    let fleet = start(&folder, shop.clone()).await;
    let (mut printers, mut ids) = (vec![], vec![]);
    for protocol in [Protocol::Moonraker, Protocol::PrusaLink, Protocol::OctoPrint] {
        let spec = Spec { speed: 600.0, ..Spec::new(protocol, &format!("{protocol:?}")) };
        let printer = Printer::start(spec).await.unwrap();
        let content = b";TIME:36000\n;LAYER_COUNT:9000\nG28\n".to_vec();
        printer.put_file("cube.gcode", content);
        let added = fleet.add(new(printer.spec()), |_| false).await.unwrap();
        until(&fleet, added.name.as_str(), Link::Online).await;
        printer.act(Act::Start { path: "cube.gcode".to_owned() });
        ids.push(added.id.to_string());
        printers.push(printer);
    }
    let prints = async || {
        let mut open = vec![];
        for id in &ids {
            open.extend(shop.open_jobs(id).await.unwrap());
        }
        open
    };
    let mut listener = fleet.listen();
    listener.snapshot();
    let begun = async {
        while !(prints().await.iter().map(|job| &*job.state).eq(["printing"; 3])) {
            listener.next().await.unwrap();
        }
    };
    timeout(LIMIT, begun).await.expect("three prints");
    let mut changes = shop.changes();
    let mut times = vec![std::collections::BTreeSet::new(); 3];
    let go_on = async {
        while times.iter().any(|times| times.len() < 4) {
            listener.next().await.unwrap();
            for (job, times) in prints().await.iter().zip(&mut times) {
                times.insert(job.seen_us);
                let since_us = now_us() - job.seen_us;
                assert!(since_us < 5_000_000, "{since_us} us: {job:?}");
            }
        }
    };
    timeout(LIMIT, go_on).await.expect("they go on");
    while let Ok(change) = changes.try_recv() {
        assert!(!matches!(change, Change::Job(_)), "nothing has happened in {change:?}");
    }
    fleet.stop().await;
}

async fn enqueue(fleet: &Fleet, copies: i64, printers: Vec<String>) -> String {
    let mut receiving = fleet.receive("cube.gcode").await.unwrap();
    receiving.write(b";TIME:600\n;LAYER_COUNT:20\nG28\n").await.unwrap();
    receiving.write("G1 X1 Y1 E1\n".repeat(1000).as_bytes()).await.unwrap();
    let file_id = receiving.finish().await.unwrap().id;
    let new = serde_json::json!({
        "file_id": file_id, "copies": copies, "targets": {"printers": printers, "tags": []},
    });
    fleet.enqueue(serde_json::from_value(new).unwrap(), "test").await.unwrap().id
}

#[tokio::test]
async fn five_copies_are_printed_on_three_printers_whose_beds_are_cleared() {
    let (_folder, fleet) = begin().await;
    let (mut printers, mut names) = (vec![], vec![]);
    for protocol in [Protocol::PrusaLink, Protocol::Moonraker, Protocol::OctoPrint] {
        let spec = Spec { speed: 300.0, ..Spec::new(protocol, &format!("{protocol:?}")) };
        let printer = Printer::start(spec).await.unwrap();
        names.push(fleet.add(new(printer.spec()), |_| false).await.unwrap().name.to_string());
        printers.push(printer);
    }
    for name in &names {
        until(&fleet, name, Link::Online).await;
    }
    let item = enqueue(&fleet, 5, names.clone()).await;
    let mut listener = fleet.listen();
    let mut cleared = 0;
    let done = async {
        listener.snapshot();
        while fleet.queue_item(&item).await.unwrap().state != "done" {
            for name in &names {
                let printer = fleet.printer(name).unwrap();
                let free = printer.state.is_some_and(|state| state.phase.is_free());
                if !printer.bed_clear && free && printer.job_id.is_none() {
                    fleet.clear_bed(name).await.unwrap();
                    cleared += 1;
                }
            }
            listener.next().await.unwrap();
        }
    };
    let done = timeout(2 * LIMIT, done).await;
    let item = fleet.queue_item(&item).await.unwrap();
    done.unwrap_or_else(|_| panic!("{item:#?}"));
    let prints: Vec<_> = printers.iter().map(|printer| printer.truth().len()).collect();
    assert_eq!(prints.iter().sum::<usize>(), 5, "{prints:?} {item:#?}");
    assert!(prints.iter().all(|count| *count > 0) && cleared >= 2, "{prints:?} {cleared}");
    fleet.stop().await;
}

#[tokio::test]
async fn a_copy_that_did_not_arrive_whole_is_not_printed_and_holds_its_job() {
    let (_folder, fleet) = begin().await;
    let printer = simulated(Protocol::OctoPrint).await;
    printer.set_fault(Fault::TruncatesFiles);
    let name = fleet.add(new(printer.spec()), |_| false).await.unwrap().name.to_string();
    until(&fleet, &name, Link::Online).await;
    let mut listener = fleet.listen();
    listener.snapshot();
    let item = enqueue(&fleet, 1, vec![name]).await;
    let held = async {
        while !fleet.queue_item(&item).await.unwrap().held {
            listener.next().await.unwrap();
        }
    };
    timeout(LIMIT, held).await.unwrap();
    let runs = fleet.queue_item(&item).await.unwrap().runs;
    assert!(runs[0].problem.is_some() && runs[0].state == "failed", "{runs:?}");
    assert!(printer.truth().is_empty());
    fleet.stop().await;
}
