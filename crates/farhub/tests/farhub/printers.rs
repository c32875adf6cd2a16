//! `farhub printer` against a hub that says what it was told to say.

use crate::fake::{Fake, Script};
use crate::{failure, golden, state};
use serde_json::{Value, json};

fn printer(name: &str, more: Value) -> Value {
    let mut printer = json!({
        "id": format!("printer-{name}"), "name": name, "title": "", "protocol": "prusalink",
        "address": {"host": "192.0.2.1", "port": 80, "tls": false, "has_secret": true},
        "model": "MK4", "location": "", "tags": [], "enabled": true, "bed_clear": true,
        "settings": {"keep_from_queue": false, "clears_itself": false},
        "health": {"link": "online", "since_us": 0, "tries": 0}, "simulated": false,
        "state": {"phase": "idle", "temperatures": {}, "abilities": [], "identity": {}},
    });
    let more = more.as_object().unwrap().clone();
    printer.as_object_mut().unwrap().extend(more);
    printer
}

fn printing() -> Value {
    printer(
        "mk4",
        json!({
            "title": "By the window", "tags": ["pla"], "bed_clear": false, "job_id": "1",
            "state": {
                "phase": "printing", "abilities": ["pause"], "identity": {"firmware": "6.0"},
                "job": {"name": "bracket.gcode", "progress_percent": 42.0, "remaining_s": 3723,
                    "elapsed_s": 2700, "layer": 12, "layers": 100},
                "temperatures": {"hotends": [{"now_c": 214.8, "target_c": 215.0}],
                    "bed": {"now_c": 24.5, "target_c": 0.0}},
                "speed_percent": 100, "fans": [{"name": "part", "percent": 50}],
                "faults": [{"severity": "common", "code": "0300_400C", "text": "door is open"}],
            },
            "transfer": {"file_id": "f", "name": "next.gcode", "direction": "to_printer",
                "bytes": 40, "bytes_total": 100},
        }),
    )
}

fn offline() -> Value {
    let problem = json!({"reason": "no_answer", "message": "nobody answers at 192.0.2.1",
        "hint": "is it switched on?"});
    let health = json!({"link": "offline", "since_us": 0, "tries": 3, "problem": problem});
    printer("p1s", json!({"health": health, "protocol": "bambu", "model": "P1S"}))
}

fn job() -> Value {
    json!({"id": "1", "printer_id": "printer-mk4", "printer": "mk4", "name": "bracket.gcode",
        "state": "failed", "reason": "thermal runaway", "started_us": 1_700_000_000_000_000_i64,
        "ended_us": null, "printed_s": 3661, "paused_s": 0, "progress_permille": 421,
        "filament_mg": 12_345, "known_by": "seen", "made_by": "", "note": "bed was cold"})
}

fn hub() -> Fake {
    let test = "POST /api/v1/printers/test?printer=p1s";
    let problem = json!({"reason": "wrong_secret", "message": "the access code is wrong"});
    let page = json!({"jobs": [job()], "total": 7, "counts": {"failed": 7}});
    let answers = vec![
        ("GET /api/v1/state", 200, state::busy()),
        ("GET /api/v1/printers", 200, json!([printing(), offline()])),
        ("GET /api/v1/hubs/garage/api/v1/printers", 200, json!([printer("xl", json!({}))])),
        ("GET /api/v1/printers/mk4", 200, printing()),
        ("GET /api/v1/printers/p1s", 200, offline()),
        (test, 200, json!({"problem": problem})),
        ("POST /api/v1/printers/mk4/command", 204, Value::Null),
        ("POST /api/v1/hubs/garage/api/v1/printers/xl/command", 204, Value::Null),
        (
            "POST /api/v1/printers/p1s/command",
            409,
            failure("conflict", "p1s is offline", Some("see: farhub printer test p1s")),
        ),
        ("GET /api/v1/shop/jobs?printer=mk4&state=failed&limit=50", 200, page),
    ];
    Fake::start(Script { answers, ..Script::default() })
}

#[test]
fn printers_are_shown_and_told() {
    let hub = hub();
    let commands: [&[&str]; 9] = [
        &["printer", "list"],
        &["printer", "show", "mk4"],
        &["printer", "test", "p1s"],
        &["printer", "pause", "mk4"],
        &["printer", "heat", "garage/xl", "hotend1", "215"],
        &["printer", "gcode", "mk4", "G28", "M84"],
        &["printer", "stop", "p1s"],
        &["printer", "jobs", "mk4", "--state", "failed"],
        &["printer", "heat", "mk4", "oven", "100"],
    ];
    let told =
        commands.map(|args| format!("$ farhub {}\n{}", args.join(" "), hub.farhub(args).told()));
    golden("printers.txt", &told.join("\n"));
    let heat = "POST /api/v1/hubs/garage/api/v1/printers/xl/command \
                {\"command\":{\"temperature\":{\"heater\":{\"hotend\":1},\"target_c\":215}}}";
    let lines =
        "POST /api/v1/printers/mk4/command {\"command\":{\"gcode\":{\"lines\":\"G28\\nM84\"}}}";
    let asked = hub.requests();
    for wanted in [heat, lines] {
        assert!(asked.iter().any(|it| it == wanted), "{asked:#?}");
    }
    let ran = hub.farhub(&["--json", "printer", "list"]);
    let listed: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((listed.as_array().unwrap().len(), &listed[2]["hub"]), (3, &json!("garage")));
}

#[test]
fn a_list_that_is_watched_tells_what_changes() {
    let first = json!({"printers": [printing(), offline()], "count": 1});
    let patch = json!({"state": {"phase": "paused"}, "transfer": null});
    let patch = json!({"count": 2, "printers": {"printer-mk4": patch, "printer-p1s": null}});
    let script = Script {
        answers: vec![("GET /api/v1/state", 200, state::empty())],
        news: vec![("printers", first), ("changes", patch)],
        stops: true,
        ..Script::default()
    };
    golden(
        "printers-watch.txt",
        &Fake::start(script).farhub(&["printer", "list", "--watch"]).told(),
    );
}
