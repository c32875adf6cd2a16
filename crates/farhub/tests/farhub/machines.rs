//! `farhub machine` and `farhub console` against a hub that says what it was told to say.

use crate::fake::{Fake, Script, command, run_with};
use crate::{failure, golden, state};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};

const DEVICE: &str = "/api/v1/hubs/garage/api/v1/devices/laser/machine";

/// A laser at work for somebody, that was stopped before.
fn laser() -> Value {
    json!({
        "address": "garage/laser", "simulated": false, "role": "control",
        "settings": {"profile": "grbl", "arming": true, "deadman_ms": 500, "interlock": "cts",
            "on_open": "keep", "coding": coding()},
        "state": {
            "port": "open", "profile": "grbl", "coding": coding(),
            "firmware": {"profile": "grbl", "name": "Grbl", "version": "1.1h",
                "rx_bytes": 128, "planner_blocks": 15, "emergency_parser": false},
            "status": {"state": "run", "sub": null, "machine": [-10.0, 5.5, 0.0],
                "work": [0.0, 15.5, 0.0], "offset": [-10.0, -10.0, 0.0], "free": null,
                "line": null, "feed": 1500.0, "spindle": 800.0, "pins": "XP",
                "overrides": {"feed": 110, "rapid": 100, "spindle": 90}, "accessories": null},
            "lines": {"cts": true, "dsr": false, "ring": false, "carrier": false},
            "beam_may_be_on": true, "arming": {"armed": {"left_s": 95, "by": "office"}},
            "interlock_open": false,
            "buttons": [{"name": "bench", "contact": "ready"}], "stopped": null,
            "stops": 2, "stop_path": null,
            "user": "office", "program_open": true, "guarded": true,
            "counters": {"received": 10, "sent": 10, "refused_lines": 0, "dropped": 0,
                "errors": {"framing": 0, "parity": 0, "overrun": 0, "breaks": 0}},
        },
        "job": null,
    })
}

fn coding() -> Value {
    json!({"baud_rate": 115_200, "data_bits": 8, "parity": "none", "stop_bits": "one",
        "flow": "none"})
}

/// The same afterwards: its interlock has opened, and its port was pulled out.
fn stopped() -> Value {
    let mut laser = laser();
    let rung = json!({"name": "0x84 safety door", "at_ms": 1, "confirmed": false});
    let report = json!({"confirmed": false, "rungs": [rung], "left_after_us": 900});
    let state = &mut laser["state"];
    state["stopped"] = json!({"reason": "interlock", "report": report});
    state["stops"] = json!(3);
    state["interlock_open"] = json!(true);
    state["buttons"][0]["contact"] = json!({"lost": {"why": "it was pulled out"}});
    state["arming"] = json!("safe");
    state["beam_may_be_on"] = json!(false);
    state["guarded"] = json!(false);
    state["port"] = json!({"closed": {"why": "the device is gone"}});
    (state["user"], state["program_open"]) = (Value::Null, json!(false));
    laser
}

/// A laser that nobody uses, after it has said that much more.
fn idle(received: u64) -> Value {
    let mut laser = laser();
    let state = &mut laser["state"];
    (state["user"], state["program_open"]) = (Value::Null, json!(false));
    (state["stops"], state["beam_may_be_on"]) = (json!(0), json!(false));
    (state["arming"], state["status"]["state"]) = (json!("safe"), json!("idle"));
    state["counters"]["received"] = json!(received);
    laser
}

fn hub(more: &[(&'static str, u16, Value)], news: &[(&'static str, Value)]) -> Fake {
    let mut answers = vec![("GET /api/v1/state", 200, state::busy())];
    answers.extend(more.iter().cloned());
    Fake::start(Script { answers, news: news.to_vec(), ..Script::default() })
}

fn said(text: &str) -> (&'static str, Value) {
    ("output", json!({ "text": text, "missed": false }))
}

/// How long a test of the way to stop it took is another in each run.
fn timeless(line: &str) -> String {
    match line.split_once(" ms there and back") {
        Some((_, rest)) => format!("stop path    N ms there and back{rest}"),
        None => line.to_owned(),
    }
}

#[test]
fn a_machine_is_shown_and_followed() {
    let test = ("POST /api/v1/machines/garage/laser/test", 204, Value::Null);
    let mut later = laser();
    later["state"]["counters"]["received"] = json!(50);
    let near = hub(&[test], &[("machine", laser()), ("machine", later.clone())]);
    let broken = failure("unreachable", "its hub does not answer", None);
    let far =
        hub(&[("POST /api/v1/machines/garage/laser/test", 502, broken)], &[("machine", stopped())]);
    let told = [&near, &far].map(|hub| hub.farhub(&["machine", "show", "garage/laser"]).told());
    let told: Vec<String> = told.iter().flat_map(|text| text.lines()).map(timeless).collect();
    golden("machine-show.txt", &(told.join("\n") + "\n"));
    let ran = near.farhub(&["machine", "show", "garage/laser", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&ran.stdout).unwrap(), later);

    let test = ("POST /api/v1/machines/garage/laser/test", 204, Value::Null);
    let mut answers = vec![("GET /api/v1/state", 200, state::busy())];
    answers.push(test);
    let news = vec![("machine", laser()), ("machine", stopped()), said("ok"), ("machine", laser())];
    let hub = Fake::start(Script { answers, news, ..Script::default() });
    let text = watched(&hub, &["machine", "show", "garage/laser", "--watch"], 35);
    let text: Vec<String> = text.lines().map(timeless).collect();
    golden("machine-watch.txt", &(text.join("\n") + "\n"));
}

#[test]
fn settings_are_read_and_only_what_is_named_is_changed() {
    let settings = json!({"coding": coding(), "on_open": "keep", "arming": false,
        "deadman_ms": 500, "interlock": "dsr"});
    let path = "GET /api/v1/devices/laser/machine/settings";
    let put = "PUT /api/v1/devices/laser/machine/settings";
    let hub = hub(&[(path, 200, settings.clone()), (put, 200, settings.clone())], &[]);
    let commands: [&[&str]; 5] = [
        &["machine", "set", "laser", "--arming", "on", "--baud", "9600"],
        &["machine", "set", "laser", "--interlock", "dsr"],
        &["machine", "set", "laser"],
        &["machine", "set", "laser", "--profile", "gerbil"],
        &["machine", "set", "laser", "--arming", "yes"],
    ];
    let told =
        commands.map(|args| format!("$ farhub {}\n{}", args.join(" "), hub.farhub(args).told()));
    golden("machine-set.txt", &told.join("\n"));
    let requests = hub.requests();
    let asked: Vec<&String> = requests.iter().filter(|it| it.starts_with("PUT")).collect();
    let mut wanted = settings;
    (wanted["arming"], wanted["coding"]["baud_rate"]) = (json!(true), json!(9600));
    let body: Value = serde_json::from_str(asked[0].strip_prefix(put).unwrap()).unwrap();
    assert_eq!((asked.len(), body), (1, wanted));
    hub.farhub(&["machine", "set", "garage/laser", "--deadman", "1s"]);
    let (requests, theirs) = (hub.requests(), format!("GET {DEVICE}/settings"));
    assert!(requests.contains(&theirs), "of a peer's machine, the peer is asked: {requests:?}");
}

#[test]
fn arming_tells_for_whom_or_what_to_do_first() {
    let refused = failure("conflict", "nobody uses the machine", None);
    let hub = hub(
        &[
            ("POST /api/v1/hubs/garage/api/v1/devices/laser/machine/arm", 204, Value::Null),
            ("POST /api/v1/hubs/garage/api/v1/devices/laser/machine/disarm", 204, Value::Null),
            ("POST /api/v1/hubs/garage/api/v1/devices/laser/machine/clear", 204, Value::Null),
            ("GET /api/v1/hubs/garage/api/v1/devices/laser/machine", 200, laser()),
            ("POST /api/v1/devices/saw/machine/arm", 409, refused),
            ("GET /api/v1/devices/saw/machine", 200, {
                let mut saw = idle(0);
                saw["address"] = json!("bench/saw");
                saw
            }),
        ],
        &[],
    );
    let commands: [&[&str]; 5] = [
        &["machine", "arm", "garage/laser", "--for", "10m", "--totp", "123456"],
        &["machine", "disarm", "garage/laser"],
        &["machine", "clear", "garage/laser"],
        &["machine", "arm", "bench/saw"],
        &["machine", "arm", "bench/saw", "--for", "2h"],
    ];
    let told =
        commands.map(|args| format!("$ farhub {}\n{}", args.join(" "), hub.farhub(args).told()));
    golden("machine-arm.txt", &told.join("\n"));
    let armed = format!("POST {DEVICE}/arm {{\"code\":\"123456\",\"seconds\":600}}");
    assert!(hub.requests().contains(&armed), "{:?}", hub.requests());
}

#[test]
fn lines_from_a_pipe_are_sent_and_what_is_refused_ends_it() {
    let sent: (&'static str, u16, Value) =
        ("POST /api/v1/hubs/garage/api/v1/devices/laser/machine/send", 204, Value::Null);
    let news = [
        ("machine", idle(10)),
        said("Grbl 1.1h\r\nok\r\n"),
        said("<Idle|MPos:0.000,0.000,0.000|FS:0,0>\r\n$0=1"),
        said("0\r\nok\r\n"),
    ];
    let hub = self::hub(std::slice::from_ref(&sent), &news);
    let args = ["console", "garage/laser", "--wait", "1ms"];
    let ran = run_with(hub.folder.path(), &args, "$$\n; a remark\n\n");
    assert_eq!((ran.status, ran.stdout.as_str(), ran.stderr.as_str()), (0, "$0=10\nok\n", ""));
    assert_eq!(hub.requests().iter().filter(|it| it.starts_with("POST")).count(), 1);

    let news = [("machine", idle(10)), said(""), said("error:20\r\n")];
    let hub = self::hub(&[sent], &news);
    let ran = run_with(hub.folder.path(), &["console", "garage/laser", "--json"], "G7\nM3\n");
    golden("console-refused.txt", &ran.told());

    let used = failure("conflict", "somebody else uses the machine", None);
    let path = "POST /api/v1/hubs/garage/api/v1/devices/laser/machine/send";
    let hub = self::hub(&[(path, 409, used)], &[("machine", laser()), said("")]);
    let ran = run_with(hub.folder.path(), &["console", "garage/laser"], "$$\n$I\n");
    let told = "farhub: somebody else uses the machine\n  \
                hint: office uses it; to watch: farhub console garage/laser --watch\n";
    assert_eq!((ran.status, ran.stderr.as_str()), (1, told));
    let posts: Vec<_> = hub.requests().into_iter().filter(|it| it.starts_with("POST")).collect();
    assert_eq!(posts, [format!("{path} {{\"text\":\"$$\"}}")], "and nothing after it");
}

#[test]
fn watching_shows_what_was_said_before_too() {
    let news = vec![("machine", idle(10)), said("Grbl 1.1h\r\n\r\nok\r\n"), ("machine", stopped())];
    let answers = vec![("GET /api/v1/state", 200, state::busy())];
    let hub = Fake::start(Script { answers, news, ..Script::default() });
    let text = watched(&hub, &["console", "garage/laser", "--watch"], 2);
    assert_eq!(text, "Grbl 1.1h\nok\n");
}

/// The first lines of a command that goes on.
fn watched(hub: &Fake, args: &[&str], count: usize) -> String {
    let mut child = command(hub.folder.path(), args).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().take(count);
    let text: String = lines.map(|line| line.unwrap() + "\n").collect();
    child.kill().unwrap();
    child.wait().unwrap();
    text
}

#[test]
fn attached_machines_tell_whether_they_could_be_stopped() {
    let mut state = state::busy();
    let mut devices = Vec::new();
    let mut attachments = Vec::new();
    let dark = ("garage/saw", "attached", Value::Null);
    let lost = ("garage/lathe", "frozen", Value::Null);
    let wait = ("garage/mill", "waiting", Value::Null);
    for (address, word, ms) in [("garage/laser", "attached", json!(3)), dark, lost, wait] {
        let mut device = state["devices"][3].clone();
        device["address"] = json!(address);
        device["kind"] = json!({"serial": {"profile": "grbl", "product": "USB Serial",
            "serial_number": "", "port": "ttyUSB0"}});
        devices.push(device);
        let mut attachment = state::attachment(word, "vhci");
        (attachment["address"], attachment["stop_path_ms"]) = (json!(address), ms);
        attachments.push(attachment);
    }
    (state["devices"], state["attachments"]) = (devices.into(), attachments.into());
    golden("attached-machines.txt", &Fake::with_state(state).farhub(&["attached"]).told());
}
