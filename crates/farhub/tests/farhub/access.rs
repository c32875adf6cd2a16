//! Who may do what, and who did what: the commands of the owner and of those who ask.

use crate::fake::run;
use crate::{answers, golden};
use serde_json::json;

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
