//! What a printer has said so far, as one report.
//!
//! X1 printers send everything each time. P1, A1 and newer ones answer `pushall` with everything
//! (`msg` 0) and then tell only what has changed (`msg` 1), down to single trays of an AMS
//! (ha-bambulab models.py; OpenBambuAPI mqtt.md). So the reports are laid on top of each other;
//! what comes out is read in [`status`](super::status).

use super::{fault, json, slots};
use crate::Slot;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::sync::Arc;

/// What has been heard from one printer over one connection.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// All of `print` of its `push_status`.
    pub(super) status: Map<String, Value>,
    /// Where filament lies: read again only when something of it was told.
    pub(super) slots: Arc<[Slot]>,
    /// As `get_version` lists them.
    pub(super) modules: Vec<Module>,
    /// `IDLE`, `RUNNING`, … in capitals; empty before it has been told.
    pub(super) word: String,
    /// Whether it has told a state at all.
    pub(super) has_state: bool,
    /// Whether somebody stopped the last print: the code that says so is gone once it has been
    /// acknowledged at the panel.
    pub(super) cancelled: bool,
    /// It has refused a command for want of a signature.
    pub(super) unsigned_refused: bool,
    stop_asked: bool,
    /// Which print it told of last.
    print: [Option<String>; 4],
    /// It has told everything.
    is_whole: bool,
    /// How much is known, when it was counted last, and how much has been heard since.
    nodes: usize,
    bytes: usize,
    /// Something was lost or cannot be understood: what is known may be wrong until the printer
    /// has told everything again.
    pub(super) is_doubtful: bool,
    /// Changes were lost, and it has not told everything since.
    pub(super) has_gaps: bool,
}

/// A board of the printer and its software.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Module {
    pub(super) name: String,
    pub(super) project: String,
    pub(super) product: String,
    pub(super) software: String,
}

/// What a message was.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Status,
    Version,
    Reply(Reply),
    Other,
}

/// The answer to a command of ours, or of another client: all of them read the same topic.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) command: String,
    pub(super) sequence_id: String,
    /// Or why not, in the printer's words.
    pub(super) result: Result<(), String>,
}

impl Report {
    /// Takes one message. `None` is one that cannot be read.
    ///
    /// An A1 mini has been seen to send bytes that are no UTF-8 in the name of a file; the rest of
    /// such a message is good (bambuddy). Of one that tells only changes that is not sure.
    pub(super) fn take(&mut self, payload: &[u8]) -> Option<Heard> {
        let text = String::from_utf8_lossy(payload);
        self.bytes = self.bytes.saturating_add(payload.len());
        let Ok(Value::Object(message)) = serde_json::from_str(&text) else {
            self.gap();
            return None;
        };
        if matches!(text, Cow::Owned(_)) {
            self.gap();
        }
        let mut heard = Heard::Other;
        for (kind, body) in message {
            let Value::Object(body) = body else { continue };
            if kind == "print" && !body.get("command").is_some_and(Value::is_string) {
                self.gap();
            }
            let command = body.get("command").and_then(Value::as_str).unwrap_or_default();
            match (kind.as_str(), command) {
                ("print", "push_status") => {
                    self.status(body);
                    heard = Heard::Status;
                }
                ("info", "get_version") => {
                    self.modules = modules(&body);
                    heard = Heard::Version;
                }
                _ => {
                    if let Some(reply) = reply(command, &body) {
                        heard = Heard::Reply(reply);
                    }
                }
            }
        }
        Some(heard)
    }

    /// Changes are told once: those of a message that is not understood are missing.
    fn gap(&mut self) {
        (self.is_doubtful, self.has_gaps) = (true, true);
    }

    /// Tells that this printer was asked by us to stop, and said yes.
    pub(super) fn stop_accepted(&mut self) {
        self.stop_asked = true;
    }

    fn status(&mut self, mut new: Map<String, Value>) {
        limit(&mut new);
        let mut of_slots = slots::KEYS.iter().any(|key| new.contains_key(*key));
        if is_full(&new) {
            of_slots = true;
            (self.status, self.is_whole) = (new, true);
            (self.is_doubtful, self.has_gaps) = (false, false);
        } else {
            merge(&mut self.status, new);
        }
        // A node is two bytes at least.
        if self.nodes + self.bytes / 2 > NODES_MAX {
            (self.nodes, self.bytes) = (nodes(&self.status), 0);
            if self.nodes > NODES_MAX {
                tracing::debug!("a printer says more than a printer has to say: forgotten");
                self.status.clear();
                (self.is_whole, self.is_doubtful) = (false, true);
                of_slots = true;
            }
        }
        if of_slots {
            self.slots = slots::slots(&self.status).into();
        }
        let word = self.status.get("gcode_state").and_then(Value::as_str).unwrap_or_default();
        self.word = word.to_ascii_uppercase();
        self.is_doubtful |= !self.word.is_empty() && !STATES.contains(&self.word.as_str());
        // Changes may come before the answer to `pushall`: a state without the print's name would
        // be taken for another print.
        let has = |key: &&str| self.status.contains_key(*key);
        self.has_state = has(&"gcode_state") && (self.is_whole || ESSENTIALS.iter().all(has));
        let failed = self.word == "FAILED";
        if self.is_another() {
            // one that fails at once is never told as anything else
            self.cancelled = false;
        }
        if self.print_error().is_some_and(fault::is_cancel) || failed && self.stop_asked {
            self.cancelled = true;
        } else if !failed {
            self.cancelled = false;
        }
        if matches!(self.word.as_str(), "FAILED" | "FINISH" | "IDLE") {
            self.stop_asked = false;
        }
    }

    /// Whether it tells of another print than before. What it has forgotten tells nothing.
    fn is_another(&mut self) -> bool {
        let mut is_another = false;
        for (key, known) in PRINT.iter().zip(&mut self.print) {
            let told = self.status.get(*key).and_then(json::text);
            let Some(told) = told.filter(|told| !["", "0"].contains(&told.as_str())) else {
                continue;
            };
            let before = known.replace(told);
            is_another |= before.is_some() && before != *known;
        }
        is_another
    }

    /// The code of what is wrong with the print; `None` is nothing.
    pub(super) fn print_error(&self) -> Option<u32> {
        let code = json::whole(self.status.get("print_error")?)?;
        u32::try_from(code).ok().filter(|code| *code != 0)
    }
}

/// Everything anew, and not only what has changed.
fn is_full(status: &Map<String, Value>) -> bool {
    status.get("msg").and_then(json::whole) == Some(0) && status.contains_key("gcode_state")
}

fn merge(into: &mut Map<String, Value>, new: Map<String, Value>) {
    for (key, value) in new {
        match (into.get_mut(&key), value) {
            (Some(Value::Object(old)), Value::Object(value)) => merge(old, value),
            (Some(Value::Array(old)), Value::Array(value)) if BY_ID.contains(&key.as_str()) => {
                merge_by_id(old, value);
            }
            (Some(old), value) => *old = value,
            (None, value) => {
                if into.len() < KEYS_MAX {
                    into.insert(key, value);
                }
            }
        }
    }
}

fn merge_by_id(into: &mut Vec<Value>, new: Vec<Value>) {
    for value in new {
        let Some(id) = id_of(&value) else { continue };
        let known = into.iter_mut().find(|old| id_of(old).as_ref() == Some(&id));
        match (known, value) {
            // Only an id: that tray has been taken out.
            (Some(Value::Object(old)), Value::Object(value)) if value.len() > 1 => {
                merge(old, value);
            }
            (Some(old), value) => *old = value,
            (None, value) => {
                if into.len() < LIST_MAX {
                    into.push(value);
                }
            }
        }
    }
}

fn id_of(value: &Value) -> Option<String> {
    json::text(value.get("id")?)
}

/// Cuts to what can be meant.
fn limit(object: &mut Map<String, Value>) {
    fn of(value: &mut Value) {
        match value {
            Value::String(text) => {
                if let Some((end, _)) = text.char_indices().nth(CHARS_MAX) {
                    text.truncate(end);
                }
            }
            Value::Array(values) => {
                values.truncate(LIST_MAX);
                values.iter_mut().for_each(of);
            }
            Value::Object(values) => limit(values),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    if object.len() > KEYS_MAX {
        *object = std::mem::take(object).into_iter().take(KEYS_MAX).collect();
    }
    object.values_mut().for_each(of);
}

fn nodes(object: &Map<String, Value>) -> usize {
    fn of(value: &Value) -> usize {
        1 + match value {
            Value::Array(values) => values.iter().map(of).sum(),
            Value::Object(values) => nodes(values),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
        }
    }
    object.values().map(of).sum()
}

fn reply(command: &str, body: &Map<String, Value>) -> Option<Reply> {
    let sequence_id = json::text(body.get("sequence_id")?)?;
    let said = body.get("result").and_then(Value::as_str);
    // `SUCCESS` and `success` are both about; what has no result was at least understood.
    let result = match said {
        Some(word) if !word.eq_ignore_ascii_case("success") => {
            let reason = body.get("reason").and_then(json::text);
            Err(reason.unwrap_or_else(|| word.to_owned()))
        }
        Some(_) | None => Ok(()),
    };
    (!command.is_empty()).then(|| Reply { command: command.to_owned(), sequence_id, result })
}

fn modules(body: &Map<String, Value>) -> Vec<Module> {
    let word = |module: &Value, key: &str| module.get(key).and_then(json::text).unwrap_or_default();
    let all = json::list(body, &["module"]).iter().take(LIST_MAX);
    all.map(|module| Module {
        name: word(module, "name"),
        project: word(module, "project_name"),
        product: word(module, "product_name"),
        software: word(module, "sw_ver"),
    })
    .collect()
}

/// What every full report has, and what one print is told from another by.
const ESSENTIALS: [&str; 2] = ["gcode_file", "subtask_name"];
/// What differs from one print to the next; the file is forgotten at its end.
const PRINT: [&str; 4] = ["gcode_start_time", "task_id", "subtask_id", "subtask_name"];
const STATES: [&str; 10] = [
    "IDLE", "INIT", "PREPARE", "SLICING", "RUNNING", "PAUSE", "FINISH", "FAILED", "OFFLINE",
    "UNKNOWN",
];
/// Lists whose members have an id, and of which only those are told that have changed.
const BY_ID: [&str; 4] = ["ams", "tray", "vir_slot", "info"];
/// A full report of an H2D has about 120.
const KEYS_MAX: usize = 512;
/// Four AMS of four trays, eight small ones; the longest are lists of stages and of filaments.
const LIST_MAX: usize = 256;
/// A file's name has at most 255 bytes.
const CHARS_MAX: usize = 1024;
/// A full report of an H2D with all its AMS has about 2000.
const NODES_MAX: usize = 20_000;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn told(messages: &[Value]) -> Report {
        let mut report = Report::default();
        for message in messages {
            assert!(report.take(message.to_string().as_bytes()).is_some());
        }
        report
    }

    fn push(mut body: Value) -> Value {
        body["command"] = json!("push_status");
        json!({ "print": body })
    }

    #[test]
    fn a_change_before_the_whole_is_no_state_yet() {
        let mut report = told(&[push(json!({ "msg": 1, "gcode_state": "RUNNING" }))]);
        assert!(!report.has_state, "which print it is was not told");
        report.take(push(json!({ "msg": 0, "gcode_state": "RUNNING" })).to_string().as_bytes());
        assert!(report.has_state);
    }

    #[test]
    fn what_was_lost_is_asked_for_again() {
        let whole = push(json!({ "msg": 0, "gcode_state": "RUNNING" }));
        let mut torn = push(json!({ "gcode_state": "FINISH" })).to_string().into_bytes();
        torn.truncate(30);
        let odd = push(json!({ "gcode_state": "DANCING" })).to_string().into_bytes();
        // one that is understood, but for its word, is none that is missing
        for (has_gaps, lost) in [
            (true, torn),
            (false, odd),
            (true, b"[1]".to_vec()),
            (true, br#"{"print":{"command":7}}"#.to_vec()),
        ] {
            let mut report = told(std::slice::from_ref(&whole));
            assert!(!report.is_doubtful && !report.has_gaps);
            report.take(&lost);
            let text = String::from_utf8_lossy(&lost);
            assert!(report.is_doubtful, "{text}");
            assert_eq!(report.has_gaps, has_gaps, "{text}");
            report.take(whole.to_string().as_bytes());
            assert!(!report.has_gaps, "{text}");
        }
    }

    #[test]
    fn what_has_changed_is_laid_over_what_was() {
        let report = told(&[
            push(json!({ "msg": 0, "gcode_state": "RUNNING", "mc_percent": 3,
                "ipcam": { "timelapse": "disable", "resolution": "1080p" },
                "stg": [2, 14, 1], "hms": [{ "attr": 1, "code": 2 }] })),
            push(json!({ "msg": 1, "mc_percent": 4, "ipcam": { "timelapse": "enable" },
                "stg": [], "hms": [] })),
        ]);
        assert_eq!(report.status["gcode_state"], "RUNNING");
        assert_eq!(report.status["mc_percent"], 4);
        assert_eq!(report.status["ipcam"], json!({ "timelapse": "enable", "resolution": "1080p" }));
        assert_eq!(report.status["stg"], json!([]));
        assert_eq!(report.status["hms"], json!([]), "a fault that is over is over");
    }

    #[test]
    fn trays_are_merged_by_their_id_and_one_that_is_only_an_id_is_empty() {
        let tray = |id: &str, kind: &str| json!({ "id": id, "tray_type": kind, "remain": 50 });
        let report = told(&[
            push(json!({ "msg": 0, "gcode_state": "IDLE", "ams": { "tray_now": "255", "ams": [
                { "id": "0", "humidity": "4", "tray": [tray("0", "PLA"), tray("1", "PETG")] },
                { "id": "1", "humidity": "5", "tray": [tray("0", "ABS")] } ] } })),
            push(json!({ "msg": 1, "ams": { "ams": [
                { "id": "0", "tray": [{ "id": "1", "remain": 49 }, { "id": "0" }] } ] } })),
        ]);
        let units = &report.status["ams"]["ams"];
        assert_eq!(units[0]["humidity"], "4");
        assert_eq!(units[0]["tray"][0], json!({ "id": "0" }));
        let changed = json!({ "id": "1", "tray_type": "PETG", "remain": 49 });
        assert_eq!(units[0]["tray"][1], changed);
        assert_eq!(units[1]["tray"][0]["tray_type"], "ABS");
        assert_eq!(report.status["ams"]["tray_now"], "255");
    }

    #[test]
    fn a_full_report_forgets_what_it_no_longer_has() {
        let report = told(&[
            push(json!({ "msg": 0, "gcode_state": "RUNNING", "print_error": 1 })),
            push(json!({ "msg": 0, "gcode_state": "IDLE" })),
        ]);
        assert!(report.print_error().is_none());
    }

    #[test]
    fn bytes_that_are_no_utf_8_spoil_only_the_text_they_are_in() {
        let mut report = Report::default();
        let mut payload =
            br#"{"print":{"command":"push_status","gcode_state":"IDLE","gcode_file":""#.to_vec();
        payload.extend([0xFF, 0xC3, b'x']);
        payload.extend(br#""}}"#);
        assert_eq!(report.take(&payload), Some(Heard::Status));
        assert_eq!(report.word, "IDLE");
    }

    #[test]
    fn answers_are_told_from_reports() {
        let mut report = Report::default();
        let mut reply = |body: Value| report.take(body.to_string().as_bytes());
        let ok =
            json!({ "print": { "command": "pause", "sequence_id": "7", "result": "SUCCESS" } });
        let no = json!({ "system": { "command": "ledctrl", "sequence_id": 8, "result": "failed",
            "reason": "mqtt message verify failed" } });
        assert_eq!(
            reply(ok),
            Some(Heard::Reply(Reply {
                command: "pause".into(),
                sequence_id: "7".into(),
                result: Ok(())
            }))
        );
        let Some(Heard::Reply(no)) = reply(no) else { panic!("no reply") };
        assert_eq!((no.sequence_id.as_str(), no.result.is_err()), ("8", true));
        assert_eq!(reply(json!([1])), None);
        assert_eq!(reply(json!({ "print": 5 })), Some(Heard::Other));
        assert_eq!(reply(json!({ "mc_print": { "command": "push_info" } })), Some(Heard::Other));
    }

    #[test]
    fn a_stop_is_remembered_until_the_next_print() {
        const CANCEL: u32 = 0x0300_400C;
        let mut report = told(&[
            push(json!({ "msg": 0, "gcode_state": "RUNNING", "print_error": 0 })),
            push(json!({ "gcode_state": "FAILED", "print_error": CANCEL })),
            push(json!({ "print_error": 0 })),
        ]);
        assert!(report.cancelled);
        let next = push(json!({ "gcode_state": "PREPARE" })).to_string();
        report.take(next.as_bytes()).unwrap();
        assert!(!report.cancelled);
        report.stop_accepted();
        let failed = push(json!({ "gcode_state": "FAILED" })).to_string();
        report.take(failed.as_bytes()).unwrap();
        assert!(report.cancelled, "we had asked for it");
    }

    #[test]
    fn a_stop_is_not_that_of_the_next_print_which_fails_at_once() {
        let mut report = told(&[
            push(json!({ "msg": 0, "gcode_state": "FAILED", "print_error": 0x0300_400C,
                "gcode_start_time": "1700000000", "subtask_name": "a" })),
            push(json!({ "print_error": 0 })),
        ]);
        assert!(report.cancelled);
        let next = push(json!({ "gcode_start_time": "1700000009", "print_error": 0x0300_8000 }));
        report.take(next.to_string().as_bytes()).unwrap();
        assert!(!report.cancelled);
    }

    #[test]
    fn endless_talk_is_not_kept() {
        let mut report = Report::default();
        for n in 0..200 {
            let list: Vec<u32> = (0..1000).collect();
            let new = push(json!({ "gcode_state": "IDLE", format!("key {n}"): list }));
            report.take(new.to_string().as_bytes()).unwrap();
        }
        assert!(nodes(&report.status) <= NODES_MAX);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(messages in prop::collection::vec(any::<Vec<u8>>(), 0..8)) {
            let mut report = Report::default();
            for message in &messages {
                report.take(message);
            }
        }
    }
}
