//! `farhub web`: against a fake hub, and against the real one that it opens to the network.

use super::fake::{Fake, Ran, Script, command, run};
use super::golden;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Stdio};

fn status() -> Value {
    json!({
        "url": "https://192.168.1.7:3482", "listen": "0.0.0.0:3482",
        "hosts": ["garage.lan", "garage.example.org"], "login": true, "account": "admin",
        "password_set": "2026-11-21T05:00:00.25Z",
        "tls": {"fingerprint": "AB:CD:EF", "self_signed": true}, "sessions": 2,
    })
}

fn session(id: &str, agent: &str) -> Value {
    json!({
        "id": id, "account": "admin", "address": "192.168.1.9", "agent": agent,
        "since": "2026-11-21T05:00:00Z", "seen": "2026-11-21T05:10:00Z",
        "expires": "2026-11-21T17:10:00Z",
    })
}

#[test]
fn the_web_ui_is_shown_and_people_are_logged_out() {
    let mut closed = status();
    closed["tls"] = Value::Null;
    closed["password_set"] = Value::Null;
    closed["login"] = json!(false);
    let near = Fake::start(Script {
        answers: vec![
            ("GET /api/v1/web", 200, closed),
            ("GET /api/v1/web/sessions", 200, json!([])),
        ],
        ..Script::default()
    });
    let sessions = json!([session("3f2a9c01", "Firefox"), session("77aa00bb", "x\u{1b}[2Jy")]);
    let hub = Fake::start(Script {
        answers: vec![
            ("GET /api/v1/web", 200, status()),
            ("GET /api/v1/web/sessions", 200, sessions),
            ("DELETE /api/v1/web/sessions/3f2a9c01", 204, Value::Null),
            ("DELETE /api/v1/web/sessions", 204, Value::Null),
        ],
        ..Script::default()
    });
    let told = [
        near.farhub(&["web", "status"]),
        near.farhub(&["web", "sessions"]),
        hub.farhub(&["web", "status"]),
        hub.farhub(&["web", "sessions"]),
        hub.farhub(&["web", "sessions", "--end", "3f2a9c01"]),
        hub.farhub(&["web", "sessions", "--all"]),
        hub.farhub(&["web", "status", "--hub", "garage"]),
    ];
    golden("web.txt", &told.map(|ran| ran.told()).join("\n"));
}

fn password(folder: &Path, typed: &str) -> Ran {
    let mut child = command(folder, &["web", "password"]).stdin(Stdio::piped()).spawn().unwrap();
    // a program that refuses without reading closes it
    let _ = child.stdin.take().unwrap().write_all(typed.as_bytes());
    Ran::new(child.wait_with_output().unwrap(), folder)
}

/// Ends when it is dropped.
struct Up(Child);

impl Drop for Up {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.0);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.0.wait();
    }
}

#[test]
fn the_network_gets_the_web_ui_only_with_a_password() {
    let folder = tempfile::tempdir().unwrap();
    let open = ["up", "--json", "--listen", "0.0.0.0:0", "--bind", "127.0.0.1:0"];
    let ran = run(folder.path(), &open);
    let told = ran.stderr.lines().last().unwrap();
    let error: Value = serde_json::from_str(told).unwrap();
    assert_eq!((ran.status, ran.stdout.as_str()), (4, ""));
    assert_eq!(error["error"]["code"], "refused");
    assert!(error["error"]["hint"].as_str().unwrap().contains("farhub web password"));

    let short = password(folder.path(), "too short\n");
    assert_eq!(short.status, 2, "{}", short.stderr);
    let set = password(folder.path(), "long enough\nanother line\n");
    assert_eq!((set.status, set.stdout.as_str()), (0, ""), "{}", set.stderr);
    let mut up = Up(command(folder.path(), &open).stderr(Stdio::null()).spawn().unwrap());
    let mut ready = String::new();
    BufReader::new(up.0.stdout.take().unwrap()).read_line(&mut ready).unwrap();
    let ready: Value = serde_json::from_str(&ready).unwrap();
    assert!(ready["web"].as_str().unwrap().starts_with("https://"), "{ready}");
    assert_eq!(ready["fingerprint"].as_str().unwrap().len(), 95);

    let status = || {
        let ran = run(folder.path(), &["web", "status", "--json"]);
        serde_json::from_str::<Value>(&ran.stdout).unwrap()
    };
    let before = status();
    assert_eq!((&before["login"], &before["sessions"]), (&json!(true), &json!(0)));
    assert_eq!(before["tls"]["fingerprint"], ready["fingerprint"]);
    assert_eq!(password(folder.path(), "short\n").status, 2);
    assert_eq!(password(folder.path(), "another one that is long\n").status, 0);
    assert_ne!(status()["password_set"], before["password_set"]);
}
