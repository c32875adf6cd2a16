//! The conversation with Moonraker 0.9 to 0.11, as their documents and a real one have it.

use super::mapping::{Mapping, camera, past};
use super::session::Session;
use crate::{
    Ability, Command, Heater, Order, Outcome, Phase, PrinterState, Reason, Severity, Told,
};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// A session and what it has asked, in order.
struct Talk {
    session: Session,
    now: Instant,
    asked: Vec<(u64, String, Value)>,
}

impl Talk {
    fn new() -> Self {
        let now = Instant::now();
        let mut talk =
            Self { session: Session::new("voron.lan", Some("key"), now), now, asked: Vec::new() };
        talk.drain();
        talk
    }

    fn drain(&mut self) {
        for message in std::mem::take(&mut self.session.out) {
            let call: Value = serde_json::from_str(&message).unwrap();
            let id = call["id"].as_u64().unwrap();
            let method = call["method"].as_str().unwrap().to_owned();
            self.asked.push((id, method, call["params"].clone()));
        }
    }

    fn hear(&mut self, message: &Value) {
        self.session.hear(message, self.now).unwrap();
        self.drain();
    }

    /// Answers the oldest call of that method and gives its parameters.
    fn answer(&mut self, method: &str, result: Value) -> Value {
        let at = self.asked.iter().position(|(_, asked, _)| asked == method);
        let (id, _, params) = self.asked.remove(at.unwrap_or_else(|| panic!("no {method}")));
        self.hear(&json!({"jsonrpc": "2.0", "id": id, "result": result}));
        params
    }

    fn notify(&mut self, method: &str, params: Value) {
        self.hear(&json!({"jsonrpc": "2.0", "method": method, "params": params}));
    }

    fn state(&self) -> PrinterState {
        self.session.mapping.state()
    }

    /// Up to the subscription of a printer that prints.
    fn printing() -> Self {
        let jobs = json!([
            entry("000064", "parts/bracket.gcode", "in_progress", Value::Null),
            entry("000063", "cube.gcode", "completed", json!(1_706_300_000.0)),
        ]);
        Self::remembering(jobs, status())
    }

    fn remembering(jobs: Value, status: Value) -> Self {
        let mut talk = Self::new();
        let who = talk.answer("server.connection.identify", json!({"connection_id": 1730367696}));
        assert_eq!(
            (who["client_name"].as_str(), who["api_key"].as_str()),
            (Some("farhub"), Some("key"))
        );
        talk.answer("server.info", info("ready"));
        talk.answer(
            "printer.info",
            json!({
                "state": "ready", "state_message": "Printer is ready", "hostname": "voron",
                "software_version": "v0.12.0-396-gb7233d119"
            }),
        );
        talk.answer(
            "printer.objects.list",
            json!({"objects": [
                "webhooks", "configfile", "print_stats", "virtual_sdcard", "pause_resume",
                "display_status", "exclude_object", "gcode_move", "heater_bed", "extruder", "fan",
                "heater_fan hotend_fan", "output_pin caselight", "temperature_sensor chamber",
                "idle_timeout", "gcode_macro PRINT_START", "stepper_enable"
            ]}),
        );
        let subscribed = talk.answer(
            "printer.objects.subscribe",
            json!({
                "eventtime": 578_243.5, "status": status
            }),
        );
        assert!(subscribed["objects"]["gcode_macro PRINT_START"].is_null());
        assert_eq!(subscribed["objects"]["heater_bed"], json!(["temperature", "target"]));
        talk.answer(
            "server.files.metadata",
            json!({
                "size": 1_629_418, "modified": 1_706_359_465.4, "slicer": "OrcaSlicer",
                "layer_height": 0.2, "first_layer_height": 0.25, "layer_count": 100,
                "estimated_time": 3700, "filename": "parts/bracket.gcode"
            }),
        );
        talk.answer("server.history.list", json!({"count": 2, "jobs": jobs}));
        talk
    }
}

fn info(klippy: &str) -> Value {
    json!({
        "klippy_connected": klippy != "disconnected", "klippy_state": klippy, "components": [],
        "failed_components": [], "moonraker_version": "v0.9.3-1-g4e00a07", "websocket_count": 2,
        "api_version": [1, 5, 0]
    })
}

fn status() -> Value {
    json!({
        "webhooks": {"state": "ready", "state_message": "Printer is ready"},
        "print_stats": {
            "filename": "parts/bracket.gcode", "total_duration": 2000.5, "print_duration": 1800.0,
            "filament_used": 2345.6, "state": "printing", "message": "",
            "info": {"total_layer": 120, "current_layer": 60}
        },
        "virtual_sdcard": {"progress": 0.45},
        "display_status": {"progress": 0.5, "message": null},
        "pause_resume": {"is_paused": false},
        "idle_timeout": {"state": "Printing"},
        "exclude_object": {
            "objects": [{"name": "BRACKET_0", "polygon": [[1, 2], [3, 4]]}, {"name": "BRACKET_1"}],
            "excluded_objects": ["BRACKET_1"]
        },
        "gcode_move": {"speed_factor": 1.2},
        "heater_bed": {"temperature": 59.97, "target": 60.0},
        "extruder": {"temperature": 214.23, "target": 215.0},
        "fan": {"speed": 0.5},
        "heater_fan hotend_fan": {"speed": 1.0},
        "output_pin caselight": {"value": 1.0},
        "temperature_sensor chamber": {"temperature": 38.0}
    })
}

fn entry(id: &str, filename: &str, status: &str, end: Value) -> Value {
    json!({
        "job_id": id, "exists": true, "end_time": end, "filament_used": 1234.5,
        "filename": filename, "metadata": {}, "print_duration": 3000.0, "status": status,
        "start_time": 1_706_296_000.25, "total_duration": 3500.0, "user": null,
        "auxiliary_data": []
    })
}

#[test]
fn a_print_is_read() {
    let talk = Talk::printing();
    let state = talk.state();
    assert_eq!(state.phase, Phase::Printing);
    let job = state.job.unwrap();
    assert_eq!(job.id, Some("000064".into()));
    assert_eq!(
        (job.name.as_str(), job.path.as_deref()),
        ("bracket.gcode", Some("parts/bracket.gcode"))
    );
    assert_eq!(job.started_us, Some(1_706_296_000_250_000));
    assert_eq!(job.progress_percent, Some(50.0));
    assert_eq!((job.elapsed_s, job.remaining_s), (Some(2000), Some(1900)));
    assert_eq!((job.layer, job.layers), (Some(60), Some(120)));
    assert_eq!(job.objects.len(), 2);
    assert!(job.objects[1].skipped && !job.objects[0].skipped);
    assert_eq!(state.speed_percent, Some(120));
    assert_eq!(state.light_on, Some(true));
    assert_eq!(state.temperatures.chamber.unwrap().now_c, 38.0);
    let fans: Vec<_> = state.fans.iter().map(|fan| (fan.name.as_str(), fan.percent)).collect();
    assert_eq!(fans, [("part", 50), ("hotend_fan", 100)]);
    assert_eq!(state.identity.name, Some("voron".into()));
    for can in [Ability::Light, Ability::SkipObjects, Ability::Pause, Ability::Upload] {
        assert!(state.abilities.contains(&can), "{can:?}");
    }
    assert!(!state.abilities.contains(&Ability::ChamberTemperature));
    let [Told::Ended(past)] = &talk.session.told[..] else { panic!("{:?}", talk.session.told) };
    assert_eq!((past.len(), past[0].outcome), (1, Outcome::Finished));
}

#[test]
fn what_changes_is_merged() {
    let mut talk = Talk::printing();
    talk.notify("notify_status_update", json!([
        {"extruder": {"temperature": 215.3}, "print_stats": {"print_duration": 1801.0},
         "gcode_macro PRINT_START": {"x": 1}, "extruder": {"temperature": 216.0, "pressure": 1}},
        578_244.5
    ]));
    let state = talk.state();
    let hotend = state.temperatures.hotends[0];
    assert_eq!((hotend.now_c, hotend.target_c), (216.0, Some(215.0)));
    assert_eq!(state.job.unwrap().filament_mm, Some(2345.6));
}

#[test]
fn the_next_print_of_the_same_file_has_another_id() {
    let mut talk = Talk::printing();
    talk.session.told.clear();
    talk.notify(
        "notify_status_update",
        json!([{"print_stats": {"state": "complete"},
        "idle_timeout": {"state": "Ready"}}, 1.0]),
    );
    let job = entry("000064", "parts/bracket.gcode", "completed", json!(1_706_300_500.0));
    talk.notify("notify_history_changed", json!([{"action": "finished", "job": job}]));
    assert!(
        matches!(&talk.session.told[..], [Told::Ended(past)] if past[0].id == Some("000064".into()))
    );
    let state = talk.state();
    assert_eq!((state.phase, state.job.unwrap().id), (Phase::Finished, Some("000064".into())));
    let delta = json!({"print_stats": {"state": "printing", "print_duration": 0.0}});
    talk.notify("notify_status_update", json!([delta, 2.0]));
    // The number that is known is the last print's.
    assert_eq!(talk.state().job.unwrap().id, None);
    assert!(!talk.session.is_known(talk.now));
    assert!(talk.session.is_known(talk.now + Duration::from_secs(2)));
    let job = entry("000065", "parts/bracket.gcode", "in_progress", Value::Null);
    talk.notify("notify_history_changed", json!([{"action": "added", "job": job}]));
    assert!(talk.session.is_known(talk.now));
    let state = talk.state();
    assert_eq!((state.phase, state.job.unwrap().id), (Phase::Preparing, Some("000065".into())));
}

#[test]
fn a_print_goes_on_without_moonraker_and_ends_with_klipper() {
    let end = json!(1_706_300_500.0);
    let closed = entry("000064", "parts/bracket.gcode", "server_exit", end.clone());
    let mut talk = Talk::printing();
    talk.session.told.clear();
    talk.notify("notify_history_changed", json!([{"action": "finished", "job": closed}]));
    assert!(talk.session.told.is_empty(), "it leaves, and the print stays");
    let before = entry("000063", "cube.gcode", "server_exit", end);
    let jobs = json!([closed, before]);
    let talk = Talk::remembering(jobs.clone(), status());
    let told = |talk: &Talk| {
        let ids = talk.session.told.iter().flat_map(|told| match told {
            Told::Ended(past) => past.iter().filter_map(|past| past.id.clone()).collect(),
            _ => vec![],
        });
        ids.map(|id| id.as_str().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(told(&talk), ["000063"]);
    let mut standby = status();
    standby["print_stats"]["state"] = "standby".into();
    standby["idle_timeout"]["state"] = "Ready".into();
    let talk = Talk::remembering(jobs, standby);
    assert_eq!(told(&talk), ["000063", "000064"]);
}

#[test]
fn a_halted_klipper_is_an_error_with_its_words() {
    let mut talk = Talk::printing();
    talk.notify("notify_klippy_shutdown", Value::Null);
    talk.answer(
        "printer.info",
        json!({
            "state": "shutdown", "hostname": "voron",
            "state_message": "MCU 'mcu' shutdown: Timer too close\nThis often indicates…"
        }),
    );
    let state = talk.state();
    assert_eq!(state.phase, Phase::Error);
    assert_eq!(state.faults[0].severity, Severity::Fatal);
    assert_eq!(state.faults[0].text.as_str(), "MCU 'mcu' shutdown: Timer too close");
    assert!(state.temperatures.hotends.is_empty());
    assert!(
        !state.abilities.contains(&Ability::Start) && state.abilities.contains(&Ability::Clear)
    );
    let (method, _) = talk.session.mapping.request(&Command::Clear).unwrap();
    assert_eq!(method, "printer.firmware_restart");
    talk.notify("notify_klippy_ready", Value::Null);
    talk.answer("server.info", info("ready"));
    assert!(talk.asked.iter().any(|(_, method, _)| method == "printer.objects.list"));
}

#[test]
fn klipper_is_looked_for_until_it_is_ready() {
    let mut talk = Talk::new();
    talk.answer("server.connection.identify", json!({"connection_id": 1}));
    talk.answer("server.info", info("disconnected"));
    talk.answer("server.history.list", json!({"count": 0, "jobs": []}));
    // Moonraker may have begun a moment ago, and a print goes on
    assert!(!talk.session.is_known(talk.now));
    assert!(talk.session.is_known(talk.now + Duration::from_secs(5)));
    assert_eq!(talk.state().phase, Phase::Error);
    talk.now = talk.session.next_tick(talk.now).unwrap();
    talk.session.tick(talk.now).unwrap();
    talk.drain();
    talk.answer("server.info", info("startup"));
    let state = talk.state();
    assert_eq!((state.phase, state.faults[0].severity), (Phase::Error, Severity::Info));
    assert!(!talk.session.is_known(talk.now));
    talk.now = talk.session.next_tick(talk.now).unwrap();
    talk.session.tick(talk.now).unwrap();
    talk.drain();
    talk.answer("server.info", info("ready"));
    assert!(!talk.session.is_known(talk.now), "what it does comes next");
    // once it was there, it is gone when it is gone
    let mut talk = Talk::printing();
    talk.notify("notify_klippy_disconnected", Value::Null);
    assert!(talk.session.is_known(talk.now));
}

#[test]
fn an_order_is_done_when_klipper_says_so() {
    let mut talk = Talk::printing();
    let (done, mut is_done) = oneshot::channel();
    talk.session.order(Order { command: Command::Pause, done }, talk.now);
    talk.drain();
    assert!(is_done.try_recv().is_err());
    talk.answer("printer.print.pause", json!("ok"));
    assert!(is_done.try_recv().unwrap().is_ok());
    let (done, mut is_done) = oneshot::channel();
    talk.session.order(Order { command: Command::Resume, done }, talk.now);
    talk.drain();
    let (id, ..) = talk.asked.pop().unwrap();
    let error = json!({"code": 400, "message": "Print is not paused"});
    talk.hear(&json!({"jsonrpc": "2.0", "id": id, "error": error}));
    assert_eq!(is_done.try_recv().unwrap().unwrap_err().reason, Reason::Unacceptable);
    let (done, mut is_done) = oneshot::channel();
    talk.session.order(Order { command: Command::Stop, done }, talk.now);
    talk.session.tick(talk.now + Duration::from_secs(121)).unwrap_or_default();
    assert_eq!(is_done.try_recv().unwrap().unwrap_err().reason, Reason::NoAnswer);
}

#[test]
fn commands_become_methods() {
    let talk = Talk::printing();
    let script = |command| {
        let (method, params) = talk.session.mapping.request(&command).unwrap();
        assert_eq!(method, "printer.gcode.script");
        params["script"].as_str().unwrap().to_owned()
    };
    assert_eq!(script(Command::Speed { percent: 80 }), "M220 S80");
    assert_eq!(script(Command::Light { on: false }), "SET_PIN PIN=caselight VALUE=0");
    let heat = Command::Temperature { heater: Heater::Bed, target_c: 65 };
    assert_eq!(script(heat), "M140 S65");
    let skip = Command::SkipObjects { ids: vec!["BRACKET_0".into()] };
    assert_eq!(script(skip), "EXCLUDE_OBJECT NAME=BRACKET_0");
    let request = |command| talk.session.mapping.request(&command);
    let skip = Command::SkipObjects { ids: vec!["X\nM112".into()] };
    assert_eq!(request(skip).unwrap_err().reason, Reason::NotFound);
    let heat = Command::Temperature { heater: Heater::Hotend(1), target_c: 200 };
    assert_eq!(request(heat).unwrap_err().reason, Reason::Unable);
    assert_eq!(request(Command::Clear).unwrap_err().reason, Reason::Busy);
}

#[test]
fn a_refused_login_ends_the_conversation() {
    let mut session = Session::new("voron.lan", None, Instant::now());
    let error = json!({"code": -32602, "message": "Unauthorized"});
    let refused = json!({"jsonrpc": "2.0", "id": 1, "error": error});
    let error = session.hear(&refused, Instant::now()).unwrap_err();
    assert_eq!(error.reason, Reason::WrongSecret);
}

#[test]
fn a_camera_without_a_secret() {
    let list = |url: &str| {
        json!({"webcams": [
            {"name": "off", "enabled": false, "stream_url": "/x"},
            {"name": "top", "enabled": true, "service": "mjpegstreamer", "stream_url": url}
        ]})
    };
    let source = |url: &str| camera(&list(url), "voron.lan").map(|camera| camera.source);
    let expected = Some("http://voron.lan/webcam/?action=stream".to_owned());
    assert_eq!(source("/webcam/?action=stream"), expected);
    assert_eq!(source("http://me:secret@cam/stream"), None);
    assert_eq!(source("file:///etc/passwd"), None);
}

#[test]
fn the_history_has_four_ends() {
    let end = json!(1_706_300_000.0);
    let outcome =
        |status: &str| past(&entry("1", "a.gcode", status, end.clone())).map(|p| p.outcome);
    assert_eq!(outcome("completed"), Some(Outcome::Finished));
    assert_eq!(outcome("cancelled"), Some(Outcome::Cancelled));
    assert_eq!(outcome("klippy_shutdown"), Some(Outcome::Failed));
    assert_eq!(outcome("in_progress"), None);
}

proptest! {
    #[test]
    fn no_message_panics(messages in prop::collection::vec(crate::json::any(), 0..8)) {
        let mut talk = Talk::printing();
        for message in messages {
            let _ = talk.session.hear(&message, talk.now);
            for method in ["notify_status_update", "notify_history_changed",
                "notify_filelist_changed", "notify_webcams_changed"] {
                let call = json!({"method": method, "params": message});
                let _ = talk.session.hear(&call, talk.now);
                let call = json!({"method": method, "params": [message]});
                let _ = talk.session.hear(&call, talk.now);
            }
            talk.state();
        }
    }

    #[test]
    fn no_wrong_type_panics(value in crate::json::any(), at in 0_usize..80) {
        let mut mapping = Mapping::default();
        mapping.klippy = super::mapping::Klippy::Ready;
        mapping.objects.merge(&crate::json::spoil(status(), at, &value));
        mapping.state();
        past(&crate::json::spoil(entry("1", "a", "completed", json!(2e9)), at, &value));
    }
}
