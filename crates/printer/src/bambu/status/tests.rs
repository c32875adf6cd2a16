//! Reports as the models send them, written from the list of keys in OpenBambuAPI and ha-bambulab.

use super::*;
use crate::bambu::slots;
use crate::{Fault, Severity};
use proptest::prelude::*;
use serde_json::{Value, json};

const SERIAL_A1: &str = "03919A000000001";
const SERIAL_P1S: &str = "01P00A000000001";
const SERIAL_X1C: &str = "00M00A000000001";

fn report(messages: &[Value]) -> Report {
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

fn state_of(messages: &[Value], serial: &str) -> PrinterState {
    state(&report(messages), "192.168.1.7", serial)
}

/// An A1 with an AMS lite, in the middle of a print.
fn a1() -> Value {
    const BODY: &str = r##"{
        "msg": 0, "sequence_id": "2021", "gcode_state": "RUNNING", "print_type": "local",
        "mc_percent": 42, "mc_remaining_time": 83, "layer_num": 57, "total_layer_num": 140,
        "gcode_file": "Vase.gcode.3mf", "subtask_name": "Vase", "task_id": "123456",
        "subtask_id": "123457", "project_id": "123458", "profile_id": "0",
        "gcode_start_time": "1795276800", "gcode_file_prepare_percent": "100",
        "stg": [2, 14, 1], "stg_cur": 0, "nozzle_temper": 219.96875,
        "nozzle_target_temper": 220.0, "bed_temper": 59.9, "bed_target_temper": 60,
        "chamber_temper": 5, "cooling_fan_speed": "15", "big_fan1_speed": "0",
        "big_fan2_speed": "0", "heatbreak_fan_speed": "8", "spd_lvl": 2, "spd_mag": 100,
        "wifi_signal": "-48dBm", "home_flag": 256, "sdcard": true, "nozzle_diameter": "0.4",
        "lights_report": [{ "node": "chamber_light", "mode": "on" },
            { "node": "work_light", "mode": "flashing" }],
        "ipcam": { "ipcam_dev": "1", "ipcam_record": "enable", "timelapse": "disable" },
        "ams": { "tray_now": "1", "tray_tar": "1", "ams_exist_bits": "1", "tray_exist_bits": "3",
            "ams": [{ "id": "0", "humidity": "4", "temp": "0.0", "tray": [
                { "id": "0", "tray_type": "PLA", "tray_sub_brands": "PLA Matte",
                    "tray_color": "FF8800FF", "remain": 63, "tag_uid": "0000000000000000",
                    "tray_uuid": "7B0A5C1D2E3F405162738495A6B7C8D9" },
                { "id": "1", "tray_type": "PETG", "tray_color": "0A0B0CFF", "remain": -1,
                    "tray_uuid": "00000000000000000000000000000000" },
                { "id": "2" }, { "id": "3" }] }] },
        "vt_tray": { "id": "254", "tray_type": "", "tray_color": "00000000", "remain": 0 },
        "hms": [], "print_error": 0, "s_obj": [], "upgrade_state": { "status": "IDLE" }
    }"##;
    push(serde_json::from_str(BODY).unwrap())
}

#[test]
fn an_a1_that_prints() {
    let version = json!({ "info": { "command": "get_version", "sequence_id": "1", "module": [
        { "name": "ota", "sw_ver": "01.06.00.00", "product_name": "Bambu Lab A1" },
        { "name": "esp32", "sw_ver": "00.03.40.99" }] } });
    let state = state_of(&[a1(), version], SERIAL_A1);
    assert_eq!(state.phase, Phase::Printing);
    let job = state.job.unwrap();
    assert_eq!((job.name.as_str(), job.path.as_deref()), ("Vase", Some("/Vase.gcode.3mf")));
    assert_eq!(job.id, Some("123456".into()));
    assert_eq!(job.started_us, Some(1_795_276_800_000_000));
    assert_eq!(job.remaining_s, Some(83 * 60), "it tells minutes");
    assert_eq!((job.layer, job.layers), (Some(57), Some(140)));
    assert_eq!(job.progress_percent, Some(42.0));
    assert_eq!(job.stage, None);
    let hotend = Temperature { now_c: 220.0, target_c: Some(220.0) };
    assert_eq!(state.temperatures.hotends, [hotend]);
    assert_eq!(state.temperatures.bed, Some(Temperature { now_c: 59.9, target_c: Some(60.0) }));
    assert_eq!(state.temperatures.chamber, None, "it has no sensor there and says 5");
    let fans: Vec<_> = state.fans.iter().map(|fan| (fan.name.as_str(), fan.percent)).collect();
    assert_eq!(fans, [("part", 100), ("hotend", 53), ("auxiliary", 0), ("chamber", 0)]);
    assert_eq!((state.speed_percent, state.light_on), (Some(100), Some(true)));
    assert_eq!((state.wifi_dbm, state.storage_ready), (Some(-48), Some(true)));
    assert_eq!(state.camera.unwrap().source, "bambu://192.168.1.7:6000");
    assert_eq!(state.identity.model, Some("A1".into()));
    assert_eq!(state.identity.firmware, Some("01.06.00.00".into()));
    assert_eq!(state.identity.nozzles_um, [400]);
    assert!(state.faults.is_empty() && state.read_only.is_none());
    assert!(state.abilities.contains(&Ability::Pause));
    assert!(!state.abilities.contains(&Ability::ChamberTemperature));
}

#[test]
fn slots_of_an_ams_and_the_external_spool() {
    let state = state_of(&[a1()], SERIAL_A1);
    let ids: Vec<_> = state.slots.iter().map(|slot| (slot.id, slot.name.as_str())).collect();
    assert_eq!(ids, [(0, "A1"), (1, "A2"), (2, "A3"), (3, "A4"), (254, "external")]);
    let first = &state.slots[0];
    assert_eq!(first.material, Some("PLA".into()));
    assert_eq!(first.product, Some("PLA Matte".into()));
    assert_eq!(first.color, Some("#ff8800".into()));
    assert_eq!(first.remaining_percent, Some(63));
    assert_eq!(first.tag, Some("7B0A5C1D2E3F405162738495A6B7C8D9".into()));
    let second = &state.slots[1];
    assert!(second.active && second.tag.is_none() && second.remaining_percent.is_none());
    assert_eq!((&state.slots[2].material, &state.slots[4].material), (&None, &None));
    assert_eq!(state.slots[4].color, None);
}

#[test]
fn deltas_of_a_p1s_change_only_what_they_say() {
    let full = push(json!({
        "msg": 0, "gcode_state": "IDLE", "stg_cur": 255, "mc_percent": 100,
        "gcode_file": "/sdcard/old.gcode", "subtask_name": "old", "nozzle_temper": 24.5,
        "nozzle_target_temper": 0, "bed_temper": 22, "bed_target_temper": 0,
        "chamber_temper": 5.0, "sdcard": true, "fun": "1000000",
        "lights_report": [{ "node": "chamber_light", "mode": "off" }],
    }));
    let idle = state_of(std::slice::from_ref(&full), SERIAL_P1S);
    assert_eq!((idle.phase, idle.light_on), (Phase::Idle, Some(false)));
    assert_eq!(idle.identity.model, Some("P1S".into()), "by its serial number");
    let job = idle.job.unwrap();
    assert_eq!((job.progress_percent, job.remaining_s), (None, None));
    assert_eq!(job.path.as_deref(), Some("/old.gcode"));
    let begun = push(json!({ "msg": 1, "gcode_state": "PREPARE", "subtask_name": "new",
        "gcode_file": "new.3mf", "gcode_file_prepare_percent": "40", "stg_cur": 2,
        "task_id": "0", "subtask_id": "0" }));
    let preparing = state_of(&[full.clone(), begun.clone()], SERIAL_P1S);
    assert_eq!(preparing.phase, Phase::Preparing);
    let job = preparing.job.unwrap();
    assert_eq!((job.id, job.progress_percent), (None, Some(0.0)), "not the 100 of the last");
    assert_eq!(job.stage, Some("receiving the file, 40 %".into()));
    let levels = push(json!({ "msg": 1, "gcode_state": "RUNNING", "stg_cur": 1, "layer_num": 0,
        "mc_percent": 0, "mc_remaining_time": 5 }));
    let levelling = state_of(&[full.clone(), begun.clone(), levels.clone()], SERIAL_P1S);
    assert_eq!(levelling.phase, Phase::Preparing);
    assert_eq!(levelling.job.unwrap().stage, Some("levelling the bed".into()));
    assert_eq!(levelling.temperatures.bed.unwrap().now_c, 22.0);
    let prints = push(json!({ "msg": 1, "stg_cur": 0, "layer_num": 1 }));
    let printing = state_of(&[full, begun, levels, prints], SERIAL_P1S);
    assert_eq!(printing.phase, Phase::Printing);
    assert_eq!(printing.job.unwrap().remaining_s, Some(300));
}

#[test]
fn an_x1c_with_a_fault_and_a_camera_that_is_off() {
    let body = json!({
        "msg": 0, "gcode_state": "PAUSE", "stg_cur": 6,
        "gcode_file": "/data/Metadata/plate_1.gcode",
        "subtask_name": "Gear", "layer_num": 3, "total_layer_num": 80, "mc_percent": 9,
        "mc_remaining_time": 61, "chamber_temper": 38.0, "print_error": 0x0700_8011,
        "hms": [{ "attr": 0x0700_2000, "code": 0x0002_0001 },
            { "attr": 0x0500_0200, "code": 0x0002_0001 }],
        "ipcam": { "rtsp_url": "disable" }, "spd_lvl": 3, "sdcard": "HAS_SDCARD_NORMAL",
        "s_obj": [92], "ams": { "tray_now": "0", "ams": [{ "id": "128", "tray": [{ "id": "0",
            "tray_type": "PA" }] }] },
    });
    let state = state_of(&[push(body)], SERIAL_X1C);
    assert_eq!(state.phase, Phase::Paused);
    let job = state.job.unwrap();
    assert_eq!(job.path, None, "what the printer has unpacked is not one of its files");
    assert_eq!(job.stage, Some("paused: the filament has run out".into()));
    assert_eq!(job.objects.len(), 1);
    assert!(job.objects[0].skipped && job.objects[0].id == "92".into());
    assert_eq!(state.temperatures.chamber.unwrap().now_c, 38.0);
    let codes: Vec<_> = state.faults.iter().map(|fault| fault.code.as_str()).collect();
    assert_eq!(codes.len(), 3);
    assert!(codes.contains(&"0700_2000_0002_0001") && codes.contains(&"0700_8011"));
    let camera = state.camera.unwrap();
    assert_eq!(camera.source, "rtsps://192.168.1.7:322/streaming/live/1");
    assert!(camera.problem.unwrap().as_str().contains("LAN Only Liveview"));
    assert_eq!((state.speed_percent, state.storage_ready), (Some(124), Some(true)));
    assert_eq!((state.slots[0].id, state.slots[0].name.as_str()), (128, "HT-A"));
}

#[test]
fn an_h2d_tells_both_its_nozzles() {
    let packed = |now: u32, target: u32| target << 16 | now;
    let body = json!({
        "msg": 0, "gcode_state": "RUNNING", "layer_num": 2, "stg_cur": 0, "subtask_name": "x",
        "nozzle_temper": 1, "device": {
            "extruder": { "state": 0x12, "info": [
                { "id": 0, "temp": packed(35, 0), "snow": 0xFFFF },
                { "id": 1, "temp": packed(219, 220), "snow": 0x0102 }] },
            "bed": { "info": { "temp": packed(80, 80) } },
            "ctc": { "info": { "temp": packed(45, 50) } },
            "nozzle": { "info": [{ "id": 0, "diameter": 0.4 }, { "id": 1, "diameter": 0.6 }] } },
        "ams": { "tray_now": "0", "ams": [{ "id": "1", "tray": [
            { "id": "2", "tray_type": "ABS", "tray_color": "zz" }] }] },
        "vir_slot": [{ "id": "254" }, { "id": "255", "tray_type": "PLA" }],
    });
    let one =
        json!({ "device": { "extruder": { "info": [{ "id": 1, "temp": packed(221, 220) }] } } });
    let state = state_of(&[push(body), push(one)], "094000000000001");
    let hotends: Vec<_> =
        state.temperatures.hotends.iter().map(|t| (t.now_c, t.target_c)).collect();
    assert_eq!(hotends, [(35.0, Some(0.0)), (221.0, Some(220.0))]);
    assert_eq!(state.temperatures.bed.unwrap().target_c, Some(80.0));
    assert_eq!(state.temperatures.chamber.unwrap().target_c, Some(50.0));
    assert_eq!(state.identity.nozzles_um, [400, 600]);
    let slots: Vec<_> = state.slots.iter().map(|slot| (slot.id, slot.active)).collect();
    assert_eq!(slots, [(6, true), (254, false), (255, false)]);
    assert!(state.abilities.contains(&Ability::ChamberTemperature));
}

#[test]
fn who_stops_a_print_has_not_met_a_fault() {
    let running = push(json!({ "msg": 0, "gcode_state": "RUNNING", "layer_num": 1 }));
    let cancelled = push(json!({ "gcode_state": "FAILED", "print_error": 0x0300_400C }));
    let state = state_of(&[running.clone(), cancelled], SERIAL_A1);
    assert_eq!(state.phase, Phase::Stopped);
    assert!(state.faults.is_empty());
    let failed = push(json!({ "gcode_state": "FAILED", "print_error": 0x0300_4006 }));
    let state = state_of(&[running, failed], SERIAL_A1);
    assert_eq!(state.phase, Phase::Failed);
    let fault = Fault {
        severity: Severity::Serious,
        code: "0300_4006".into(),
        text: "stopped: the nozzle is clogged".into(),
    };
    assert_eq!(state.faults, [fault]);
    assert!(state.abilities.contains(&Ability::Clear));
}

#[test]
fn without_developer_mode_it_can_be_looked_at_and_given_files() {
    let by_flag = push(json!({ "msg": 0, "gcode_state": "IDLE", "fun": "3020000021" }));
    let by_fault = push(json!({ "msg": 0, "gcode_state": "IDLE",
        "hms": [{ "attr": 0x0500_0500, "code": 0x0001_0007 }] }));
    for message in [by_flag, by_fault] {
        let state = state_of(&[message], SERIAL_P1S);
        assert!(state.read_only.unwrap().as_str().contains("Developer Mode"));
        let files = [Ability::ListFiles, Ability::Download, Ability::Upload, Ability::Delete];
        assert_eq!(state.abilities, BTreeSet::from(files));
    }
}

#[test]
fn words_that_are_not_known_are_not_guessed() {
    let phase = |body: Value| state_of(&[push(body)], "x").phase;
    assert_eq!(phase(json!({})), Phase::Unknown);
    assert_eq!(phase(json!({ "gcode_state": "DANCING" })), Phase::Unknown);
    assert_eq!(phase(json!({ "gcode_state": "FINISH" })), Phase::Finished);
    assert_eq!(phase(json!({ "gcode_state": "SLICING" })), Phase::Preparing);
    assert_eq!(phase(json!({ "gcode_state": "IDLE", "stg_cur": 24 })), Phase::Busy);
    assert_eq!(phase(json!({ "gcode_state": "RUNNING", "print_type": "system" })), Phase::Busy);
    let updating = json!({ "gcode_state": "IDLE", "upgrade_state": { "status": "FLASHING" } });
    assert_eq!(phase(updating), Phase::Busy);
}

#[test]
fn wrong_types_are_left_out() {
    let odd = json!({
        "gcode_state": "RUNNING", "mc_percent": "many", "mc_remaining_time": [1],
        "layer_num": { "a": 1 }, "nozzle_temper": "hot", "bed_temper": null, "ams": [1, 2],
        "vt_tray": "none", "hms": { "attr": 1 }, "lights_report": 5, "ipcam": "off",
        "wifi_signal": -40, "sdcard": 5, "home_flag": "x", "s_obj": [[], {}], "spd_mag": -1,
        "gcode_file": 7, "subtask_name": false, "fun": true, "device": "none", "stg_cur": "x",
        "upgrade_state": 0, "print_error": "x", "cooling_fan_speed": "x", "gcode_start_time": {},
    });
    let state = state_of(&[push(odd)], "x");
    assert_eq!(state.phase, Phase::Printing);
    assert!(state.slots.len() <= 1 && state.faults.is_empty() && state.fans.is_empty());
    assert_eq!((state.wifi_dbm, state.light_on, state.speed_percent), (Some(-40), None, None));
}

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[0-9a-fA-F.:/-]{0,12}".prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        let key = prop_oneof![
            Just("id".to_owned()),
            Just("tray".to_owned()),
            Just("ams".to_owned()),
            Just("info".to_owned()),
            Just("temp".to_owned()),
            Just("state".to_owned()),
            Just("attr".to_owned()),
            Just("code".to_owned()),
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::hash_map(key, inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_report_makes_it_panic(values in prop::collection::vec((0..30_usize, anything()), 0..20)) {
        const KEYS: [&str; 30] = [
            "gcode_state", "mc_percent", "mc_remaining_time", "layer_num", "ams", "vt_tray",
            "vir_slot", "hms", "print_error", "device", "nozzle_temper", "spd_mag", "spd_lvl",
            "lights_report", "ipcam", "wifi_signal", "home_flag", "sdcard", "s_obj", "fun",
            "gcode_start_time", "gcode_file", "subtask_name", "stg_cur", "upgrade_state",
            "cooling_fan_speed", "nozzle_diameter", "task_id", "msg", "chamber_temper",
        ];
        let mut report = Report::default();
        for (key, value) in values {
            let mut body = json!({ "command": "push_status" });
            body[KEYS[key]] = value;
            report.take(json!({ "print": body }).to_string().as_bytes());
            let shown = state(&report, "host", "094");
            prop_assert!(serde_json::to_vec(&shown).is_ok());
            prop_assert_eq!(&*shown.slots, slots::slots(&report.status), "read in time");
        }
    }
}
