//! Who may do what, and who did what: the commands of the owner and of those who ask.

use crate::fake::{Fake, Script, run, run_with};
use crate::{answers, golden, state};
use serde_json::{Value, json};

/// What was sent with the first request of this kind.
fn body(hub: &Fake, request: &str) -> Value {
    let requests = hub.requests();
    let found = requests.iter().find_map(|asked| asked.strip_prefix(request));
    serde_json::from_str(found.unwrap()).unwrap()
}

#[test]
fn a_grant_is_bound_to_terms() {
    let mut peer = state::busy()["peers"][0].clone();
    peer["grants"] = json!([
        {"selector": "laser", "role": "control", "windows": ["Mon-Fri 08:00-18:00"],
            "zone": "Europe/Berlin", "limit_s": 5400, "until": "2026-12-02T00:00:00Z",
            "pin": true, "totp": true, "closed": true},
        {"selector": "disk", "role": "use", "until": "2026-11-21T09:00:00Z", "asked": true},
    ]);
    let totp = json!({"uri": "otpauth://totp/farhub:garage@bench?secret=GEZDGNBV&issuer=farhub",
        "secret": "GEZDGNBV", "qr_svg": "<svg/>"});
    let path = "POST /api/v1/peers/garage/grants";
    let hub = answers(&[(path, 200, json!({"peer": peer, "totp": totp}))]);
    let args = [
        "grant",
        "garage",
        "laser",
        "--role",
        "control",
        "--window",
        "Mon-Fri 08:00-18:00",
        "--zone",
        "Europe/Berlin",
        "--limit",
        "90m",
        "--until",
        "2026-12-02T00:00:00Z",
        "--pin",
        "--totp",
    ];
    let ran = run_with(hub.folder.path(), &args, "4711\n");
    assert_eq!(ran.stdout, format!("{}\n", totp["uri"].as_str().unwrap()));
    let lines: Vec<_> = ran.stderr.lines().filter(|line| !line.contains('█')).collect();
    golden("grant-terms.txt", &(lines.join("\n") + "\n"));
    let asked = json!({"selector": "laser", "role": "control", "windows": ["Mon-Fri 08:00-18:00"],
        "zone": "Europe/Berlin", "limit_s": 5400, "until": "2026-12-02T00:00:00Z",
        "pin": "4711", "totp": true});
    assert_eq!(body(&hub, path), asked);
    assert!(!format!("{}{}", ran.stdout, ran.stderr).contains("4711"));

    let mut state = state::busy();
    peer["unreadable"] = json!(2);
    peer["expires"] = json!("2026-11-21T10:00:00Z");
    state["peers"][0] = peer;
    let hub = Fake::with_state(state);
    let told = hub.farhub(&["grant"]).told() + "\n" + &hub.farhub(&["peers"]).told();
    golden("grants-terms.txt", &told);
    let doctor = hub.farhub(&["doctor", "--json", "--root", "/nowhere"]);
    assert!(doctor.stdout.contains("2 grants in the database cannot be read"), "{doctor:?}");
    for wrong in [
        &["grant", "garage", "--pin"][..],
        &["grant", "garage", "laser", "--zone", "Europe/Berlin"],
        &["grant", "garage", "laser", "--until", "someday"],
        &["grant", "garage", "laser", "--pin=4711"],
        &["invite", "--guest", "0s"],
    ] {
        assert_eq!(run(hub.folder.path(), wrong).status, 2, "{wrong:?}");
    }
}

#[test]
fn a_pin_comes_from_stdin() {
    let hub = answers(&[
        ("POST /api/v1/unlock", 204, Value::Null),
        ("POST /api/v1/attachments", 201, state::attachment("attached", "vhci")),
    ]);
    let args = ["attach", "garage/disk", "--pin", "--totp", "123456"];
    let ran = run_with(hub.folder.path(), &args, "4711\r\n");
    assert_eq!(ran.status, 0, "{ran:?}");
    let shown = json!({"address": "garage/disk", "pin": "4711", "code": "123456"});
    assert_eq!(body(&hub, "POST /api/v1/unlock"), shown);
    let ran = run_with(hub.folder.path(), &["attach", "garage/disk", "--pin"], "");
    assert_eq!(ran.status, 2, "{ran:?}");
}

#[test]
fn a_guest_is_invited() {
    let invite =
        json!({"ticket": state::TICKET, "expires": "2020-01-01T00:00:00Z", "qr_svg": "<svg/>"});
    let hub = answers(&[("POST /api/v1/invites", 201, invite)]);
    let ran = hub.farhub(&["invite", "--guest", "2h", "--grant", "disk"]);
    let told = "It is a guest, and no peer any more 2h after it has paired.";
    assert!(ran.stderr.contains(told), "{}", ran.stderr);
    assert_eq!(body(&hub, "POST /api/v1/invites")["guest_s"], 7200);
}

#[test]
fn a_device_is_asked_for() {
    let asked = |reply: Value| {
        let mut state = state::busy();
        state["asked"] = json!([{"address": "garage/disk", "message": "please",
            "since": "2026-11-21T08:00:00Z", "reply": reply, "error": null}]);
        state
    };
    let script = |reply: Value| Script {
        answers: vec![
            ("POST /api/v1/asked", 204, Value::Null),
            ("DELETE /api/v1/asked/garage/disk", 204, Value::Null),
        ],
        events: vec![asked(Value::Null), asked(reply)],
        stops: false,
        ..Script::default()
    };
    let hub = Fake::start(script(json!({"accepted": {"seconds": 3600}})));
    let accepted = hub.farhub(&["request", "garage/disk", "--message", "please"]);
    assert_eq!(
        body(&hub, "POST /api/v1/asked"),
        json!({"address": "garage/disk", "message": "please"})
    );
    let denied = Fake::start(script(json!("denied"))).farhub(&["request", "garage/disk"]);
    let mut silent = script(Value::Null);
    silent.events.pop();
    let silent = Fake::start(silent).farhub(&["request", "garage/disk", "--timeout", "1ms"]);
    let withdrawn = hub.farhub(&["request", "garage/disk", "--withdraw"]);
    let told = [accepted, denied, silent, withdrawn].map(|ran| ran.told()).join("\n");
    golden("request.txt", &told);
}

#[test]
fn requests_are_answered() {
    let mut state = state::busy();
    state["requests"] = json!([{"number": 3, "peer": "garage", "address": "bench/laser",
        "message": "ten minutes?", "since": "2026-11-21T08:00:00Z", "in_use": "laptop"}]);
    state["asked"] = json!([{"address": "attic/scope", "message": "", "reply": "denied",
        "since": "2026-11-21T08:00:00Z", "error": null}]);
    let device = state["devices"][0].clone();
    let hub = answers(&[
        ("GET /api/v1/state", 200, state),
        ("POST /api/v1/requests/3/accept", 204, Value::Null),
        ("POST /api/v1/requests/3/deny", 204, Value::Null),
        ("POST /api/v1/devices/laser/handover", 200, device.clone()),
        ("POST /api/v1/hubs/garage/api/v1/devices/disk/handover", 200, device),
    ]);
    let commands: [&[&str]; 6] = [
        &["requests"],
        &["accept", "3", "--for", "20m", "--now"],
        &["deny", "3"],
        &["handover", "laser"],
        &["handover", "laser", "garage"],
        &["handover", "garage/disk"],
    ];
    let told =
        commands.map(|args| format!("$ farhub {}\n{}", args.join(" "), hub.farhub(args).told()));
    let none = Fake::with_state(state::empty()).farhub(&["requests"]).told();
    golden("requests.txt", &(told.join("\n") + "\n" + &none));
    let accepted = json!({"turn": "at_once", "for_s": 1200});
    assert_eq!(body(&hub, "POST /api/v1/requests/3/accept"), accepted);
    assert_eq!(body(&hub, "POST /api/v1/devices/laser/handover"), json!({}));
}

#[test]
fn the_audit_log_is_shown_and_checked() {
    let entry = |seq: i64, actor: &str, action: &str, detail: &str| {
        json!({"seq": seq, "time": "2026-11-21T08:00:00.25Z", "actor": actor, "name": null,
            "action": action, "detail": detail, "hash": "ab"})
    };
    let mut laptop = entry(7, &"fade".repeat(16), "session.start", "usb-0403:6001@1-1.4");
    laptop["name"] = json!("laptop");
    let stranger = entry(6, &"dead".repeat(16), "pair.refused", "\u{1b}[2Jx");
    let page = json!({"entries": [laptop, stranger, entry(5, "local", "hub.start", "0.1.0")],
        "more": true});
    let asked = "GET /api/v1/audit?who=laptop&action=session&device=laser\
                 &since=2026-11-21T07%3A00%3A00Z&limit=3";
    let whole = json!({"entries": 7, "hash": "c0ffee", "broken": null});
    let hub = answers(&[(asked, 200, page), ("GET /api/v1/audit/check", 200, whole)]);
    let audit = [
        "audit",
        "--who",
        "laptop",
        "--action",
        "session",
        "--device",
        "laser",
        "--since",
        "2026-11-21T07:00:00Z",
        "--limit",
        "3",
    ];
    let told = hub.farhub(&audit).told() + "\n" + &hub.farhub(&["audit", "--verify"]).told();
    let broken = json!({"entries": 4, "hash": "ab", "broken": {"seq": 5, "how": "changed"}});
    let hub = answers(&[("GET /api/v1/audit/check", 200, broken)]);
    golden("audit.txt", &(told + "\n" + &hub.farhub(&["audit", "--verify"]).told()));
    for wrong in [&["audit", "--limit", "0"][..], &["audit", "--since", "soon"]] {
        assert_eq!(run(hub.folder.path(), wrong).status, 2, "{wrong:?}");
    }
}
