//! The real program against a fake hub: what it prints, what it asks, how it ends.
//!
//! The golden files say what people see. `FARHUB_GOLDEN=write cargo nextest run -p farhub` writes
//! them anew; read the difference.

#![allow(clippy::unwrap_used, reason = "a test ends there")]

mod access;
mod fake;
mod machines;
mod printers;
mod relay;
mod state;
mod web;

use fake::{Fake, Ran, Script, command, run};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;

fn golden(name: &str, text: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("FARHUB_GOLDEN").is_some() {
        std::fs::write(path, text).unwrap();
    } else {
        let expected = std::fs::read_to_string(path).unwrap_or_default();
        assert_eq!(text, expected, "golden/{name}");
    }
}

fn answers(answers: &[(&'static str, u16, Value)]) -> Fake {
    Fake::start(Script { answers: answers.to_vec(), ..Script::default() })
}

fn failure(code: &str, message: &str, hint: Option<&str>) -> Value {
    json!({"error": {"code": code, "message": message, "hint": hint}})
}

#[test]
fn help_teaches() {
    let folder = tempfile::tempdir().unwrap();
    golden("help.txt", &run(folder.path(), &["--help"]).told());
    golden("help-short.txt", &run(folder.path(), &["-h"]).told());
    golden("help-attach.txt", &run(folder.path(), &["attach", "--help"]).told());
    golden("help-attach.txt", &run(folder.path(), &["help", "attach"]).told());
    golden("help-console.txt", &run(folder.path(), &["console", "--help"]).told());
    golden("help-machine.txt", &run(folder.path(), &["machine", "--help"]).told());
    golden("help-machine-set.txt", &run(folder.path(), &["machine", "set", "--help"]).told());
    golden("help-grant.txt", &run(folder.path(), &["grant", "--help"]).told());
    golden("help-web.txt", &run(folder.path(), &["web", "--help"]).told());
    for (command, file) in [
        (&["printer"][..], "help-printer.txt"),
        (&["printer", "add"], "help-printer-add.txt"),
        (&["printer", "set"], "help-printer-set.txt"),
        (&["printer", "jobs"], "help-printer-jobs.txt"),
        (&["printer", "queue", "add"], "help-printer-queue-add.txt"),
        (&["printer", "notices", "add"], "help-printer-notices-add.txt"),
        (&["backup"], "help-backup.txt"),
        (&["restore"], "help-restore.txt"),
    ] {
        golden(file, &run(folder.path(), &[command, &["--help"]].concat()).told());
    }
    golden("help-up.txt", &run(folder.path(), &["up", "--help"]).told());
}

#[test]
fn devices_of_every_hub() {
    let hub = Fake::with_state(state::busy());
    golden("devices.txt", &hub.farhub(&["devices"]).told());
    golden("peers.txt", &hub.farhub(&["peers"]).told());
    golden("attached.txt", &hub.farhub(&["attached"]).told());
    golden("grants.txt", &hub.farhub(&["grant"]).told());
}

#[test]
fn a_hub_with_nothing_teaches_the_next_command() {
    let hub = Fake::with_state(state::empty());
    let commands = [&["devices"], &["peers"], &["attached"], &["grant"]];
    let told: Vec<String> = commands.map(|command| hub.farhub(command).told()).to_vec();
    golden("empty.txt", &told.join("\n"));
}

#[test]
fn json_is_the_hub_s_own() {
    let hub = Fake::with_state(state::busy());
    for (command, part) in [("devices", "devices"), ("peers", "peers"), ("attached", "attachments")]
    {
        let ran = hub.farhub(&["--json", command]);
        let data: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!((data, ran.stderr.as_str()), (state::busy()[part].clone(), ""));
    }
}

#[test]
fn devices_watch_tells_what_changes() {
    let script = || Script {
        events: vec![state::busy(), state::busy(), state::busy_later()],
        stops: true,
        ..Script::default()
    };
    golden("watch.txt", &Fake::start(script()).farhub(&["devices", "--watch"]).told());
    let ran = Fake::start(script()).farhub(&["devices", "--watch", "--json"]);
    let lines: Vec<Value> =
        ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let devices = |state: Value| state["devices"].clone();
    assert_eq!(lines, [devices(state::busy()), devices(state::busy_later())]);
}

#[test]
fn without_a_hub_it_says_how_to_start_one() {
    let folder = tempfile::tempdir().unwrap();
    let ran = run(folder.path(), &["devices"]);
    let text = "farhub: the hub is not running (nobody listens at DATA/hub.sock)\n  \
                hint: farhub --data DATA up\n";
    assert_eq!(ran, Ran { status: 3, stdout: String::new(), stderr: text.into() });
    let ran = run(folder.path(), &["devices", "--json"]);
    let error: Value = serde_json::from_str(&ran.stderr).unwrap();
    assert_eq!((ran.status, &error["error"]["code"]), (3, &json!("not_running")));
}

#[test]
fn every_failure_has_its_exit_status() {
    for (code, status) in [
        ("bad_request", 2),
        ("refused", 4),
        ("not_found", 5),
        ("timed_out", 6),
        ("conflict", 1),
        ("unreachable", 1),
        ("internal", 1),
    ] {
        let body = failure(code, "it did \u{1b}[31mnot\nwork", Some("try again"));
        let hub = answers(&[("GET /api/v1/state", 400, body)]);
        let ran = hub.farhub(&["devices"]);
        assert_eq!(ran.stderr, "farhub: it did [31mnot work\n  hint: try again\n");
        assert_eq!((ran.status, ran.stdout.as_str()), (status, ""), "{code}");
    }
}

#[test]
fn a_hub_of_another_version_is_told_as_that() {
    let hub = answers(&[("GET /api/v1/state", 200, json!({"hub": 1}))]);
    let told = hub.farhub(&["devices"]).told();
    golden("version.txt", &(told + "\n" + &hub.farhub(&["path", "garage"]).told()));
}

#[test]
fn a_wrong_command_line_is_status_2() {
    let folder = tempfile::tempdir().unwrap();
    let commands: [&[&str]; 8] = [
        &["attach", "disk"],
        &["attach", "garage/disk", "--via", "serial"],
        &["invite", "--expires", "soon"],
        &["invite", "--grant", "disk=owner"],
        &["pair", "farhub1abcdefghijklmnopqrst"],
        &["grant", "laptop", "*", "--role", "owner"],
        &["detach"],
        &["up", "--hub", "garage"],
    ];
    let told = commands.map(|args| {
        let ran = run(folder.path(), args);
        assert_eq!(ran.status, 2, "{args:?}");
        format!("$ farhub {}\n{}", args.join(" "), ran.stderr)
    });
    golden("usage.txt", &told.join("\n"));
}

#[test]
fn wrong_settings_are_an_error() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("farhub.toml"), "nmae = \"garage\"\n").unwrap();
    golden("config.txt", &run(folder.path(), &["up"]).told());
}

#[test]
fn a_device_is_shared_by_whatever_it_is_called() {
    let device = state::busy()["devices"][0].clone();
    let hub = answers(&[
        ("POST /api/v1/devices/0403%3A6001/share", 200, device.clone()),
        ("POST /api/v1/devices/laser/unshare", 200, device),
    ]);
    golden("share.txt", &hub.farhub(&["share", "0403:6001", "--name", "laser"]).told());
    assert_eq!(hub.farhub(&["unshare", "laser"]).status, 0);
    let asked = [
        "POST /api/v1/devices/0403%3A6001/share {\"name\":\"laser\"}",
        "POST /api/v1/devices/laser/unshare {}",
    ];
    assert_eq!(hub.requests(), asked);
}

#[test]
fn another_hub_is_asked_through_ours() {
    let hub = answers(&[("GET /api/v1/hubs/garage/api/v1/state", 200, state::busy())]);
    let ran = hub.farhub(&["devices", "--hub", "garage"]);
    assert!(ran.stdout.contains("\nbench (as it shows itself to us)\n"), "{}", ran.stdout);
}

#[test]
fn invite_prints_the_ticket_and_a_code() {
    let invite =
        json!({"ticket": state::TICKET, "expires": "2020-01-01T00:00:00Z", "qr_svg": "<svg/>"});
    let hub = answers(&[("POST /api/v1/invites", 201, invite)]);
    golden("invite.txt", &hub.farhub(&["invite", "--grant", "disk", "--grant", "*=view"]).told());
    let asked = hub.requests().remove(0);
    let body = asked.strip_prefix("POST /api/v1/invites ").unwrap();
    let body: Value = serde_json::from_str(body).unwrap();
    let grants = json!([{"selector": "disk", "role": "use"}, {"selector": "*", "role": "view"}]);
    assert_eq!(body, json!({"expires_s": 600, "grants": grants, "guest_s": null}));
}

#[test]
fn pair_names_the_new_peer() {
    let hub = answers(&[("POST /api/v1/pair", 201, state::busy()["peers"][0].clone())]);
    golden("pair.txt", &hub.farhub(&["pair", state::TICKET, "--name", "garage"]).told());
    let asked =
        format!("POST /api/v1/pair {{\"name\":\"garage\",\"ticket\":\"{}\"}}", state::TICKET);
    assert_eq!(hub.requests(), [asked]);
}

#[test]
fn nearby_shows_hubs_doubts_and_who_asks() {
    let asks = state::while_pairing("asked", "code", None);
    golden("nearby.txt", &Fake::with_state(asks.clone()).farhub(&["nearby"]).told());
    let mut off = state::empty();
    off["hub"]["discovery"] = json!("off");
    let told = [state::empty(), off].map(|it| Fake::with_state(it).farhub(&["nearby"]).told());
    golden("nearby-empty.txt", &told.join("\n"));
    let ran = Fake::with_state(asks.clone()).farhub(&["nearby", "--json"]);
    let data: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(data, json!({"hubs": asks["nearby"], "pairings": asks["pairings"]}));

    let mut gone = asks.clone();
    gone["nearby"].as_array_mut().unwrap().remove(1);
    gone["pairings"] = json!([]);
    let events = vec![state::nearby(), asks.clone(), asks, gone];
    let script = Script { events, stops: true, ..Script::default() };
    golden("nearby-watch.txt", &Fake::start(script).farhub(&["nearby", "--watch"]).told());
}

#[test]
fn pair_by_code_shows_it_and_waits_for_both_screens() {
    let asking = |word: &str| state::while_pairing("asking", word, Some("189 869"));
    let post = state::pairing("asking", "code", Some("189 869"));
    let script = |last: &str| Script {
        answers: vec![
            ("POST /api/v1/pairings", 200, post.clone()),
            ("GET /api/v1/state", 200, asking("paired")),
        ],
        events: vec![asking("code"), asking("code"), asking("check"), asking(last)],
        stops: false,
        ..Script::default()
    };
    let hub = Fake::start(script("paired"));
    golden("pair-code.txt", &hub.farhub(&["pair", "garage"]).told());
    assert_eq!(hub.requests()[1], "POST /api/v1/pairings {\"hub\":\"garage\"}");
    let hub = Fake::start(script("failed"));
    let ran = hub.farhub(&["pair", "--at", "garage.lan:3482", "--name", "shed"]);
    assert_eq!(ran.status, 4);
    assert!(ran.stderr.ends_with("is no peer: the codes differ\n  hint: ask\n"), "{}", ran.stderr);
    let asked = "POST /api/v1/pairings {\"at\":\"garage.lan:3482\",\"name\":\"shed\"}";
    assert_eq!(hub.requests()[1], asked);
}

#[test]
fn the_hub_that_is_asked_takes_the_code_and_shows_two_digits() {
    let asked = |word: &str, shown| state::while_pairing("asked", word, shown);
    let answers = vec![
        ("GET /api/v1/state", 200, asked("code", None)),
        ("POST /api/v1/pairings/7/accept", 200, state::pairing("asked", "check", Some("20"))),
        ("DELETE /api/v1/pairings/7", 204, Value::Null),
    ];
    let events = vec![asked("code", None), asked("check", Some("20")), asked("paired", None)];
    let hub = Fake::start(Script { answers, events, stops: false, ..Script::default() });
    golden("pair-accept.txt", &hub.farhub(&["pair", "--accept", "189 869"]).told());
    let said = "POST /api/v1/pairings/7/accept {\"code\":\"189 869\"}";
    assert!(hub.requests().iter().any(|it| it == said), "{:?}", hub.requests());
    assert_eq!(hub.farhub(&["pair", "--decline"]).status, 0);
    assert_eq!(hub.farhub(&["pair", "attic", "--decline"]).status, 5, "it does not ask");
    assert_eq!(hub.farhub(&["pair", "attic", "--accept", "189869"]).status, 5);
}

#[test]
fn addresses_of_a_peer_are_added_and_removed() {
    let peer = state::busy()["peers"][0].clone();
    let hub = answers(&[
        ("POST /api/v1/peers/garage/addresses", 200, peer.clone()),
        ("DELETE /api/v1/peers/garage/addresses?at=%5B%3A%3A1%5D%3A3482", 200, peer),
    ]);
    let ran = hub.farhub(&["peers", "add-address", "garage", "garage.lan:3482"]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    let ran = hub.farhub(&["peers", "remove-address", "garage", "[::1]:3482"]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert!(hub.requests()[0].ends_with("{\"at\":\"garage.lan:3482\"}"));
    assert_eq!(hub.farhub(&["peers", "add-address", "garage", "garage.lan"]).status, 2);
}

#[test]
fn grants_are_given_and_taken() {
    let peer = |selectors: &[&str]| {
        let mut peer = state::busy()["peers"][0].clone();
        let grant = |selector: &&str| json!({"selector": selector, "role": "use"});
        peer["grants"] = selectors.iter().map(grant).collect();
        peer
    };
    let hub = answers(&[
        ("POST /api/v1/peers/garage/grants", 200, json!({"peer": peer(&["laser", "class:hid"])})),
        ("DELETE /api/v1/peers/garage/grants?selector=class%3Ahid", 200, peer(&["laser"])),
        ("DELETE /api/v1/peers/garage/grants", 200, peer(&[])),
        ("PUT /api/v1/peers/garage/trust", 200, peer(&[])),
        ("DELETE /api/v1/peers/garage", 204, Value::Null),
    ]);
    let commands: [&[&str]; 6] = [
        &["grant", "garage", "class:hid", "--role", "view"],
        &["revoke", "garage", "class:hid"],
        &["revoke", "garage"],
        &["trust", "garage"],
        &["trust", "garage", "--no"],
        &["peers", "remove", "garage"],
    ];
    let told =
        commands.map(|args| format!("$ farhub {}\n{}", args.join(" "), hub.farhub(args).told()));
    golden("grant.txt", &told.join("\n"));
    let requests = hub.requests();
    let asked: Vec<&String> = requests.iter().filter(|it| !it.starts_with("GET")).collect();
    assert_eq!(
        asked[0],
        "POST /api/v1/peers/garage/grants {\"selector\":\"class:hid\",\"role\":\"view\"}"
    );
    assert_eq!(asked[4], "PUT /api/v1/peers/garage/trust {\"trusted\":false}");
}

#[test]
fn attach_waits_and_tells_for_what() {
    let answers = vec![("POST /api/v1/attachments", 201, state::attachment("waiting", "vhci"))];
    let events = ["waiting", "connecting", "attached"];
    let events = events.map(|word| state::attaching(word, "vhci")).to_vec();
    let hub = Fake::start(Script { answers, events, stops: false, ..Script::default() });
    golden("attach.txt", &hub.farhub(&["attach", "garage/disk"]).told());
    let asked: Value = serde_json::from_str(&hub.requests()[0][25..]).unwrap();
    assert_eq!(asked, json!({"address": "garage/disk", "via": null, "once": false}));
}

#[test]
fn attach_for_usbip_prints_the_command() {
    let hub = answers(&[("POST /api/v1/attachments", 201, state::attachment("attached", "usbip"))]);
    golden("attach-usbip.txt", &hub.farhub(&["attach", "garage/disk", "--via", "usbip"]).told());
}

/// A hub where the device never comes.
fn never() -> Fake {
    let answers = vec![
        ("POST /api/v1/attachments", 201, state::attachment("waiting", "vhci")),
        ("DELETE /api/v1/attachments/garage/disk", 204, Value::Null),
    ];
    let events = vec![state::attaching("waiting", "vhci")];
    Fake::start(Script { answers, events, stops: false, ..Script::default() })
}

#[test]
fn attach_gives_up_after_its_timeout() {
    let hub = never();
    let ran = hub.farhub(&["attach", "garage/disk", "--timeout", "1ms"]);
    assert_eq!((ran.status, ran.stdout.as_str()), (6, ""));
    let end = "farhub: garage/disk cannot be used yet\n  hint: the hub attaches it when it can; \
               to end that: farhub detach garage/disk\n";
    assert!(ran.stderr.ends_with(end), "{}", ran.stderr);
    assert!(!hub.requests().iter().any(|request| request.starts_with("DELETE")));
    let ran = hub.farhub(&["attach", "garage/disk", "--once", "--timeout", "1ms"]);
    assert_eq!(ran.status, 6);
    assert!(hub.requests().iter().any(|request| request.starts_with("DELETE")));
}

#[test]
fn ctrl_c_leaves_the_attachment_to_the_hub() {
    let hub = never();
    for (once, deleted) in [(false, 0), (true, 1)] {
        let mut args = vec!["attach", "garage/disk"];
        args.extend(once.then_some("--once"));
        let mut child = command(hub.folder.path(), &args).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        stderr.read_line(&mut line).unwrap();
        assert_eq!(line, "Waiting for garage/disk: garage/disk is in use by anna\n");
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(130));
        let deletes = hub.requests().iter().filter(|it| it.starts_with("DELETE")).count();
        assert_eq!(deletes, deleted);
    }
}

#[test]
fn attach_tells_when_the_hub_stops() {
    let answers = vec![("POST /api/v1/attachments", 201, state::attachment("waiting", "vhci"))];
    let events = vec![state::attaching("waiting", "vhci")];
    let hub = Fake::start(Script { answers, events, stops: true, ..Script::default() });
    let ran = hub.farhub(&["attach", "garage/disk"]);
    assert_eq!(ran.status, 3);
    assert!(ran.stderr.ends_with("farhub: the hub has stopped\n"), "{}", ran.stderr);
}

#[test]
fn detach_one_or_all() {
    let hub = answers(&[
        ("GET /api/v1/state", 200, state::busy()),
        ("DELETE /api/v1/attachments/garage/disk", 204, Value::Null),
        ("DELETE /api/v1/attachments/attic/scope", 204, Value::Null),
    ]);
    assert_eq!(hub.farhub(&["detach", "garage/disk"]).stderr, "garage/disk is detached.\n");
    let ran = hub.farhub(&["detach", "--all"]);
    assert_eq!(ran.stderr, "garage/disk is detached.\nattic/scope is detached.\n");
}

#[test]
fn path_shows_every_way_and_why() {
    let hub = answers(&[
        ("GET /api/v1/peers/garage/path", 200, state::relayed()),
        ("GET /api/v1/peers/attic/path", 200, state::out_of_reach()),
    ]);
    let told = ["garage", "attic"].map(|peer| hub.farhub(&["path", peer]).told());
    golden("path.txt", &told.join("\n"));
    let ran = hub.farhub(&["path", "garage", "--json"]);
    let told: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(told, state::relayed());
}

#[test]
fn path_watch_goes_on() {
    let hub = answers(&[("GET /api/v1/peers/garage/path", 200, state::relayed())]);
    let mut child = command(hub.folder.path(), &["path", "garage", "--watch"]).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().take(2);
    for line in lines.map(Result::unwrap) {
        let (_, told) = line.split_once("Z  ").unwrap();
        assert!(told.starts_with("relay, 48.0 ms, in 1.5 MB/s, out 512 B/s, loss up to 0.4 %"));
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn bench_measures_three_things_in_turn() {
    let hub = answers(&[("POST /api/v1/peers/garage/bench", 200, state::measured())]);
    golden("bench.txt", &hub.farhub(&["bench", "garage"]).told());
    let asked = ["echo", "down", "up"]
        .map(|what| format!("POST /api/v1/peers/garage/bench {{\"what\":\"{what}\"}}"));
    assert_eq!(hub.requests(), asked);
    let ran = hub.farhub(&["bench", "garage", "--json"]);
    let told: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(told, json!([state::measured(), state::measured(), state::measured()]));
}

#[test]
fn a_reader_that_has_enough_is_no_failure() {
    let hub = Fake::with_state(state::busy());
    let mut child = command(hub.folder.path(), &["devices"]).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(Ran::new(output, hub.folder.path()).told(), "--- stderr\n--- status 0\n");
}

#[test]
fn completions_for_each_shell() {
    let folder = tempfile::tempdir().unwrap();
    for (shell, part) in
        [("bash", "complete -F"), ("zsh", "#compdef farhub"), ("fish", "complete -c farhub")]
    {
        let ran = run(folder.path(), &["completions", shell]);
        assert!(ran.stdout.contains(part), "{shell}");
    }
}

#[test]
fn doctor_finds_what_must_be_mended() {
    use std::os::unix::fs::PermissionsExt;
    let hub = Fake::with_state(state::busy());
    let folder = hub.folder.path();
    let write = |path: &str, text: &str| {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("key", "00");
    let key = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(folder.join("key"), key).unwrap();
    write("farhub.toml", "relay = 1\n");
    write("root/proc/sys/kernel/osrelease", "6.1.0-9");
    write("root/lib/modules/6.1.0-9/modules.dep", "kernel/drivers/usb/usbip/vhci-hcd.ko:\n");
    write("root/sys/module/usbcore/parameters/usbfs_memory_mb", "16");
    write("root/sys/bus/usb/devices/1-1/bDeviceClass", "00");
    write("root/sys/bus/usb/devices/1-1/busnum", "1");
    write("root/sys/bus/usb/devices/1-1/devnum", "4");
    let root = folder.join("root");
    let ran = hub.farhub(&["doctor", "--root", root.to_str().unwrap()]);
    // The rest is about the network of whoever runs the test.
    let (told, network) = ran.stdout.split_once("The network\n").unwrap();
    assert!(network.starts_with("  ok    peers can be spoken to over UDP\n"), "{network}");
    golden("doctor.txt", &Ran { stdout: told.to_owned(), ..ran }.told());
    let ran = hub.farhub(&["doctor", "--json", "--root", root.to_str().unwrap()]);
    let findings: Value = serde_json::from_str(&ran.stdout).unwrap();
    let first = json!({"area": "hub", "verdict": "ok", "message": findings[0]["message"],
        "fix": null});
    assert_eq!((ran.status, &findings[0]), (1, &first));
}

#[test]
fn the_service_is_shown_written_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    let root = root.to_str().unwrap();
    let service = |args: &[&str]| {
        let args = [&["service"], args, &["--root", root]].concat();
        format!("$ farhub {}\n{}", args[..2].join(" "), run(folder.path(), &args).told())
    };
    golden("service-dry-run.txt", &service(&["install", "--dry-run"]));
    let json = ["--json", "service", "install", "--dry-run", "--root", root];
    let steps: Value = serde_json::from_str(&run(folder.path(), &json).stdout).unwrap();
    let written = |step: &Value| step["write"]["path"].is_string();
    assert_eq!(steps.as_array().unwrap().iter().filter(|step| written(step)).count(), 5);
    assert!(!std::path::Path::new(root).exists(), "a dry run writes nothing");
    let steps: [&[&str]; 5] =
        [&["status"], &["install"], &["status"], &["uninstall"], &["uninstall"]];
    golden("service.txt", &steps.map(service).join("\n"));
}

#[test]
fn the_hub_is_no_root() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_str().unwrap();
    for user in ["root", "-x", "a b", ""] {
        let args = ["service", "install", "--root", root, &format!("--user={user}")];
        assert_eq!(run(folder.path(), &args).status, 2, "{user}");
    }
}
