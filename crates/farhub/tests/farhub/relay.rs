//! `farhub relay` and what `farhub doctor` says of it: the real program on both sides.

use crate::fake::{command, run};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, ChildStderr};

/// A key of a hub, which nobody has here.
const KEY: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

struct Relay {
    child: Child,
    stderr: Option<ChildStderr>,
    line: String,
}

impl Relay {
    fn start(folder: &Path, args: &[&str]) -> Self {
        let all = [&["relay", "--listen", "127.0.0.1:0", "--json"], args].concat();
        let mut child = command(folder, &all).spawn().unwrap();
        let mut ready = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        let stderr = child.stderr.take();
        let ready: Value = serde_json::from_str(&ready).unwrap();
        assert_eq!(ready["event"], json!("ready"));
        Self { child, stderr, line: ready["relay"].as_str().unwrap().to_owned() }
    }

    /// Ctrl-C; what it said until then.
    fn stop(mut self) -> String {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        let mut said = String::new();
        self.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        said
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // gone already, or gone now
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The doctor's verdict about a relay, and its words.
fn doctor(line: &str) -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("farhub.toml"), format!("relay = [\"{line}\"]")).unwrap();
    doctor_in(folder.path())
}

fn doctor_in(folder: &Path) -> (String, String) {
    let ran = run(folder, &["doctor", "--json"]);
    let findings: Vec<Value> = serde_json::from_str(&ran.stdout).unwrap();
    let of_relay = |it: &&Value| it["message"].as_str().unwrap().starts_with("the relay");
    let found = findings.iter().find(of_relay);
    let found = found.unwrap();
    assert!(!ran.stdout.contains("secret="), "{}", ran.stdout);
    (found["verdict"].as_str().unwrap().into(), found["message"].as_str().unwrap().into())
}

fn setting<'a>(line: &'a str, key: &str) -> &'a str {
    let settings = line.split_once('#').unwrap().1;
    settings.split('&').find_map(|it| it.strip_prefix(key)).unwrap()
}

#[test]
fn the_secret_and_the_pin_are_what_counts() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::start(folder.path(), &[]);
    let (verdict, message) = doctor(&relay.line);
    assert_eq!(verdict, "ok", "{message}");
    let (secret, pin) = (setting(&relay.line, "secret="), setting(&relay.line, "pin="));
    let zeros = "0".repeat(64);
    for (line, said) in [
        (relay.line.replace(secret, "abcdefghij0123456789"), "does not admit us"),
        (relay.line.replace(pin, &zeros), "another certificate than that of its pin"),
        (relay.line.replace(&format!("&pin={pin}"), ""), "certificate is not good"),
        (relay.line.replace(&format!("secret={secret}&"), ""), "keys"),
    ] {
        let (verdict, message) = doctor(&line);
        assert!(verdict != "ok" && message.contains(said), "{verdict}: {message}");
    }
    let line = relay.line.clone();
    let said = relay.stop();
    assert!(!said.contains(setting(&line, "secret=")), "{said}");
    let (verdict, message) = doctor(&line);
    assert!(verdict == "fail" && message.contains("does not answer"), "{message}");
}

#[test]
fn a_listed_key_needs_no_secret() {
    let (folder, hub) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let list = folder.path().join("keys");
    fs::write(&list, format!("{KEY} # somebody\n")).unwrap();
    let relay = Relay::start(folder.path(), &["--allow-file", list.to_str().unwrap()]);
    assert!(!relay.line.contains("secret="), "{}", relay.line);
    // RFC 8032 §7.1, test 1: the secret of KEY
    let key = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    fs::write(hub.path().join("key"), key).unwrap();
    fs::set_permissions(hub.path().join("key"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(hub.path().join("farhub.toml"), format!("relay = [\"{}\"]", relay.line)).unwrap();
    let (verdict, message) = doctor_in(hub.path());
    assert_eq!(verdict, "ok", "{message}");
    fs::write(&list, "").unwrap();
    let (verdict, message) = doctor_in(hub.path());
    assert!(verdict == "fail" && message.contains("not on its list"), "{message}");
}

#[test]
fn without_tls_it_is_a_relay_too_and_shows_metrics_here() {
    let folder = tempfile::tempdir().unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let metrics = free.local_addr().unwrap().to_string();
    drop(free);
    let relay = Relay::start(folder.path(), &["--http", "--metrics", &metrics, "--qad", "0"]);
    assert!(relay.line.starts_with("http://127.0.0.1:"), "{}", relay.line);
    assert_eq!(doctor(&relay.line).0, "ok");
    let mut stream = TcpStream::connect(&metrics).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.0\r\nhost: localhost\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("relayserver_accepts"), "{answer}");
    assert!(relay.stop().contains("learns the secret"), "it is said that HTTP is readable");
}

#[test]
fn what_is_wrong_is_said_before_anything_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let commands: [(&[&str], i32, &str); 5] = [
        (&["relay", "--metrics", "0.0.0.0:9090"], 2, "only be on 127.0.0.1"),
        (&["relay", "--allow", "me"], 2, "--allow"),
        (&["relay", "--cert", "x.pem"], 2, "--key"),
        (&["relay", "--url", "https://a/path"], 2, "no user, path or query"),
        (&["relay", "--listen", "192.0.2.1:1"], 1, "the relay does not start"),
    ];
    for (args, status, said) in commands {
        let ran = run(folder.path(), args);
        assert!(ran.status == status && ran.stderr.contains(said), "{args:?}: {}", ran.stderr);
    }
    fs::write(folder.path().join("relay.toml"), "conections = 5\n").unwrap();
    let ran = run(folder.path(), &["relay"]);
    assert!(ran.status == 1 && ran.stderr.contains("line 1: unknown field"), "{}", ran.stderr);
    fs::remove_file(folder.path().join("relay.toml")).unwrap();
    let shown = run(folder.path(), &["relay", "--show", "--url", "https://relay.example.org:3483"]);
    assert!(shown.stdout.starts_with("https://relay.example.org:3483/#secret="), "{shown:?}");
}
