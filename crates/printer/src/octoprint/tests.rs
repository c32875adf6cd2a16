//! OctoPrint's messages as version 1.11.8 sends them.

use super::mapping::{Mapping, camera, file_path, identity};
use crate::{Ability, Command, Heater, Outcome, Phase, Reason, Start, Told};
use hyper::Method;
use proptest::prelude::*;
use serde_json::{Value, json};

fn flags(on: &[&str]) -> Value {
    let all = [
        "operational",
        "printing",
        "cancelling",
        "pausing",
        "resuming",
        "finishing",
        "closedOrError",
        "error",
        "paused",
        "ready",
        "sdReady",
    ];
    let flags: serde_json::Map<_, _> =
        all.iter().map(|flag| ((*flag).to_owned(), json!(on.contains(flag)))).collect();
    json!({"text": "Printing", "flags": flags, "error": ""})
}

fn current(on: &[&str], completion: Value) -> Value {
    json!({"current": {
        "state": flags(on),
        "job": {
            "file": {
                "name": "whistle_v2.gcode", "path": "folder/whistle_v2.gcode",
                "display": "whistle v2.gcode", "origin": "local", "size": 1_468_987,
                "date": 1_378_847_754
            },
            "estimatedPrintTime": 8811, "averagePrintTime": null, "lastPrintTime": null,
            "filament": {"tool0": {"length": 810.5, "volume": 5.36}}, "user": "farm"
        },
        "currentZ": 3.2,
        "progress": {
            "completion": completion, "filepos": 337_942, "printTime": 276, "printTimeLeft": 912,
            "printTimeLeftOrigin": "estimate"
        },
        "offsets": {}, "resends": {"count": 0, "transmitted": 10, "ratio": 0},
        "serverTime": 1_700_000_000.5,
        "temps": [{
            "time": 1_700_000_000, "tool0": {"actual": 214.88, "target": 220.0},
            "bed": {"actual": 50.58, "target": 70.0}, "chamber": {"actual": null, "target": null}
        }],
        "logs": [], "messages": [], "busyFiles": [], "markings": []
    }})
}

fn event(kind: &str, payload: Value) -> Value {
    json!({"event": {"type": kind, "payload": payload}})
}

fn payload() -> Value {
    json!({
        "name": "whistle_v2.gcode", "path": "folder/whistle_v2.gcode", "origin": "local",
        "size": 1_468_987, "owner": "farm", "user": "farm", "time": 1200.7
    })
}

fn printing() -> Mapping {
    let mut mapping = Mapping::default();
    assert!(mapping.push(&current(&["operational", "printing"], json!(23.0)), 0).is_empty());
    mapping
}

#[test]
fn a_print_is_read() {
    let state = printing().state();
    assert_eq!(state.phase, Phase::Printing);
    let job = state.job.unwrap();
    assert_eq!(job.name.as_str(), "whistle v2.gcode");
    assert_eq!(job.path.as_deref(), Some("local/folder/whistle_v2.gcode"));
    assert_eq!(job.progress_percent, Some(23.0));
    assert_eq!((job.elapsed_s, job.remaining_s), (Some(276), Some(912)));
    assert_eq!(state.temperatures.hotends[0].now_c, 214.9);
    assert_eq!(state.temperatures.bed.unwrap().target_c, Some(70.0));
    assert_eq!(state.temperatures.chamber, None);
    assert!(state.abilities.contains(&Ability::BedTemperature));
    assert!(!state.abilities.contains(&Ability::ChamberTemperature));
    assert!(!state.abilities.contains(&Ability::Light));
}

#[test]
fn every_flag_has_its_phase() {
    let phase = |on: &[&str]| {
        let mut mapping = Mapping::default();
        mapping.push(&current(on, json!(10.0)), 0);
        mapping.state().phase
    };
    assert_eq!(phase(&["operational", "ready"]), Phase::Idle);
    assert_eq!(phase(&["operational", "printing"]), Phase::Printing);
    assert_eq!(phase(&["operational", "printing", "pausing"]), Phase::Printing);
    assert_eq!(phase(&["operational", "paused", "ready"]), Phase::Paused);
    assert_eq!(phase(&["operational", "cancelling"]), Phase::Printing);
    assert_eq!(phase(&["closedOrError", "error"]), Phase::Error);
    assert_eq!(phase(&["closedOrError"]), Phase::Error);
    assert_eq!(phase(&[]), Phase::Busy);
    assert_eq!(Mapping::default().state().phase, Phase::Unknown);
}

#[test]
fn a_pause_is_known_by_its_event() {
    let change = |id| event("PrinterStateChanged", json!({"state_id": id, "state_string": ""}));
    let mut mapping = printing();
    for (id, phase) in [
        ("PAUSING", Phase::Printing),
        ("PAUSED", Phase::Paused),
        ("RESUMING", Phase::Printing),
        ("PRINTING", Phase::Printing),
        ("PAUSED", Phase::Paused),
        // how it ended is not known yet
        ("OPERATIONAL", Phase::Paused),
        ("OFFLINE", Phase::Paused),
    ] {
        mapping.push(&change(id), 0);
        assert_eq!(mapping.state().phase, phase, "{id}");
    }
    mapping.push(&event("PrintCancelled", payload()), 0);
    mapping.push(&change("PRINTING"), 0);
    assert_eq!(mapping.state().phase, Phase::Busy, "it is over");
    mapping.push(&current(&["operational", "ready"], json!(0.0)), 0);
    mapping.push(&change("PRINTING"), 0);
    assert_eq!(mapping.state().phase, Phase::Stopped, "what it prints is not known yet");
}

#[test]
fn the_end_of_a_print_is_told_and_stays_shown() {
    for (kind, outcome, phase) in [
        ("PrintDone", Outcome::Finished, Phase::Finished),
        ("PrintCancelled", Outcome::Cancelled, Phase::Stopped),
    ] {
        let mut mapping = Mapping::default();
        mapping.push(&event("PrintStarted", payload()), 7);
        mapping.push(&current(&["operational", "printing"], json!(23.0)), 8);
        let told = mapping.push(&event(kind, payload()), 9);
        let [Told::Ended(past)] = &told[..] else { panic!("{told:?}") };
        assert_eq!(past[0].heard_us, Some(7));
        assert_eq!((past[0].outcome, past[0].printed_s), (outcome, Some(1200)));
        assert_eq!(past[0].ended_us, 1_700_000_000_500_000);
        assert_eq!((past[0].started_us, past[0].printed_s), (None, Some(1200)));
        mapping.push(&current(&["operational", "ready"], json!(0.0)), 0);
        assert_eq!(mapping.state().phase, phase);
        assert!(mapping.state().job.is_some());
        mapping.push(&event("PrintStarted", payload()), 2);
        mapping.push(&current(&["operational", "printing"], json!(0.0)), 0);
        assert_eq!(mapping.state().phase, Phase::Printing);
    }
}

#[test]
fn between_an_end_and_the_state_that_comes_of_it_nothing_prints() {
    for on in
        [["operational", "printing"], ["operational", "paused"], ["operational", "cancelling"]]
    {
        let mut mapping = printing();
        mapping.push(&current(&on, json!(24.0)), 0);
        assert_eq!(mapping.push(&event("PrintCancelled", payload()), 1).len(), 1);
        assert_eq!(mapping.state().phase, Phase::Busy, "{on:?}");
        mapping.push(&current(&["operational", "ready"], Value::Null), 0);
        assert_eq!(mapping.state().phase, Phase::Stopped);
    }
}

#[test]
fn a_cancelled_print_is_told_of_once() {
    let mut mapping = printing();
    let mut failed = payload();
    failed["reason"] = "cancelled".into();
    assert!(mapping.push(&event("PrintFailed", failed.clone()), 1).is_empty());
    failed["reason"] = "error".into();
    failed["error"] = "Thermal runaway".into();
    assert_eq!(mapping.push(&event("PrintFailed", failed), 1).len(), 1);
    mapping.push(&current(&["operational"], json!(0.0)), 0);
    let state = mapping.state();
    assert_eq!((state.phase, state.faults[0].text.as_str()), (Phase::Failed, "Thermal runaway"));
}

#[test]
fn a_loaded_file_is_no_print() {
    let mut mapping = Mapping::default();
    mapping.push(&current(&["operational", "ready"], Value::Null), 0);
    assert_eq!((mapping.state().phase, mapping.state().job), (Phase::Idle, None));
    mapping.push(&current(&["operational", "ready"], json!(100.0)), 0);
    assert_eq!(mapping.state().phase, Phase::Finished);
}

#[test]
fn without_its_printer_it_only_has_files() {
    let mut mapping = Mapping::default();
    mapping.printer(None);
    let state = mapping.state();
    assert_eq!(state.phase, Phase::Error);
    assert!(state.faults[0].text.as_str().contains("not connected"));
    assert!(state.abilities.contains(&Ability::Upload));
    assert!(!state.abilities.contains(&Ability::Start));
    assert_eq!(mapping.request(&Command::Clear).unwrap().path, "/api/connection");
}

#[test]
fn what_is_asked_instead_of_pushed_is_the_same() {
    let mut pushed = Mapping::default();
    pushed.push(&current(&["operational", "printing"], json!(23.0)), 0);
    let current = current(&["operational", "printing"], json!(23.0));
    let current = &current["current"];
    let mut asked = Mapping::default();
    asked.printer(Some(&json!({"state": current["state"], "temperature": current["temps"][0]})));
    asked
        .job(&json!({"job": current["job"], "progress": current["progress"], "state": "Printing"}));
    assert_eq!(asked.state(), pushed.state());
}

#[test]
fn commands_become_requests() {
    let mapping = printing();
    let ask = |command| mapping.request(&command).unwrap();
    let start = Start { path: "local/a b/c.gcode".into(), ..Start::default() };
    let start = ask(Command::Start(Box::new(start)));
    assert_eq!(
        (start.method, start.path.as_str()),
        (Method::POST, "/api/files/local/a%20b/c.gcode")
    );
    assert_eq!(start.json, Some(json!({"command": "select", "print": true})));
    let pause = ask(Command::Pause);
    assert_eq!(pause.json, Some(json!({"command": "pause", "action": "pause"})));
    let heat = ask(Command::Temperature { heater: Heater::Hotend(1), target_c: 220 });
    assert_eq!(heat.json, Some(json!({"command": "target", "targets": {"tool1": 220}})));
    let gcode = ask(Command::Gcode { lines: "G28\n\nM84".into() });
    assert_eq!(gcode.json, Some(json!({"commands": ["G28", "M84"]})));
    assert_eq!(mapping.request(&Command::Clear).unwrap_err().reason, Reason::Busy);
    for bad in ["local/../x", "etc/passwd", "local", "local//x", "/local/x", "local/a\nb"] {
        assert_eq!(file_path(bad).unwrap_err().reason, Reason::NotFound, "{bad}");
    }
}

#[test]
fn who_it_is() {
    let version = json!({"api": "0.1", "server": "1.11.8", "text": "OctoPrint 1.11.8"});
    let profiles = json!({"profiles": {
        "_default": {"id": "_default", "name": "Default", "model": "Generic RepRap Printer",
            "default": true, "current": false, "extruder": {"count": 1, "nozzleDiameter": 0.4}},
        "ender": {"id": "ender", "name": "The big one", "model": "Ender 5", "default": false,
            "current": true, "extruder": {"count": 2, "nozzleDiameter": 0.6, "sharedNozzle": false}}
    }});
    let identity = identity(&version, &profiles);
    assert_eq!(identity.model, Some("Ender 5".into()));
    assert_eq!(identity.nozzles_um, [600, 600]);
    let settings =
        json!({"webcam": {"webcamEnabled": true, "streamUrl": "/webcam/?action=stream"}});
    let source = camera(&settings, "fe80::1").unwrap().source;
    assert_eq!(source, "http://[fe80::1]/webcam/?action=stream");
}

proptest! {
    #[test]
    fn no_message_panics(messages in prop::collection::vec(crate::json::any(), 0..8)) {
        let mut mapping = printing();
        for message in messages {
            mapping.push(&message, 0);
            mapping.push(&json!({"current": message}), 0);
            mapping.push(&event("PrintDone", message.clone()), 0);
            mapping.printer(Some(&message));
            mapping.job(&message);
            mapping.state();
            identity(&message, &message);
            camera(&message, "x");
        }
    }

    #[test]
    fn no_wrong_type_panics(value in crate::json::any(), at in 0_usize..60) {
        let mut mapping = Mapping::default();
        let whole = current(&["operational", "printing"], json!(23.0));
        mapping.push(&crate::json::spoil(whole, at, &value), 0);
        mapping.push(&event("PrintDone", crate::json::spoil(payload(), at, &value)), 0);
        mapping.state();
    }
}
