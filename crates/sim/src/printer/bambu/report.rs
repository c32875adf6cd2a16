//! The whole report of a printer, with the types that real ones have: numbers as text here and
//! there, minutes, lists of lists. Keys and types are those of reports that users of ha-bambulab
//! recorded (A1, P1P, X1C).

use std::net::IpAddr;
use std::time::UNIX_EPOCH;

use serde_json::{Map, Value, json};

use super::model::{Camera, Model, Reports, Unit};
use super::own::{EXTERNAL, Order, Own, Tray};
use crate::printer::engine::{Engine, Job, Phase, Trouble};
use crate::printer::{Fault, Spec};

pub(super) struct View<'a> {
    pub spec: &'a Spec,
    pub model: &'a Model,
    pub engine: &'a Engine,
    pub own: &'a Own,
    pub fault: Fault,
}

/// Everything but `msg` and `sequence_id`.
pub(super) fn whole(view: &View<'_>) -> Map<String, Value> {
    let mut report = Map::new();
    let parts = [print(view), heat(view), machine(view), network(view), model(view), ams(view)];
    for part in parts {
        if let Value::Object(part) = part {
            report.extend(part);
        }
    }
    report
}

/// The order of the print that is shown, if it came as one.
fn order<'a>(view: &'a View<'_>) -> Option<&'a Order> {
    let job = view.engine.job.as_ref()?;
    view.own.order.as_ref().filter(|order| order.print == job.id)
}

fn print(view: &View<'_>) -> Value {
    let job = view.engine.job.as_ref();
    let order = order(view);
    let text = |get: fn(&Order) -> &String| order.map_or("0", |order| get(order)).to_owned();
    let (stage, file_percent) = (stage(view), file_percent(view));
    let name = order.map_or_else(|| job.map(|job| stem(&job.path)), |o| Some(o.name.clone()));
    let percent = job.map_or(0, |job| match view.engine.phase {
        Phase::Finished => 100,
        // Of 0 to 1.
        _ => (job.progress() * 100.0) as u8,
    });
    let remaining_s =
        job.filter(|_| view.engine.is_active()).map_or(0, |j| j.remaining().as_secs());
    json!({
        "command": "push_status",
        "gcode_state": state(view),
        "mc_percent": percent,
        "mc_remaining_time": (remaining_s + 30) / 60,
        "mc_print_stage": if view.engine.is_active() { "2" } else { "1" },
        "mc_print_sub_stage": 0,
        "mc_print_line_number": "0",
        "layer_num": job.map_or(0, Job::layer),
        "total_layer_num": job.map_or(0, |job| job.plan.layers),
        "gcode_file": gcode_file(view),
        "gcode_file_prepare_percent": file_percent.to_string(),
        "gcode_start_time": job.map_or(0, |job| unix_s(job.started)).to_string(),
        "subtask_name": name.unwrap_or_default(),
        "task_id": text(|order| &order.task_id),
        "subtask_id": text(|order| &order.subtask_id),
        "project_id": text(|order| &order.project_id),
        "profile_id": text(|order| &order.profile_id),
        "print_type": if view.engine.is_active() { "local" } else { "idle" },
        "print_error": print_error(view),
        "hms": hms(view),
        "stg": if view.engine.is_active() { json!([2, 1]) } else { json!([]) },
        "stg_cur": stage,
        "s_obj": order.map_or(&[][..], |order| &order.skipped[..]),
        "queue_number": 0, "queue_total": 0, "queue_est": 0, "queue_sts": 0,
    })
}

/// The file is fetched and unpacked first, then everything is heated and levelled.
fn state(view: &View<'_>) -> &'static str {
    match view.engine.phase {
        Phase::Idle => "IDLE",
        Phase::Preparing if file_percent(view) < 100 => "PREPARE",
        Phase::Preparing | Phase::Printing => "RUNNING",
        Phase::Paused => "PAUSE",
        Phase::Finished => "FINISH",
        Phase::Cancelled | Phase::Failed => "FAILED",
    }
}

/// A third of the preparation, which takes a twentieth of the print or more.
fn file_percent(view: &View<'_>) -> u8 {
    let Some(job) = &view.engine.job else { return 0 };
    if view.engine.phase != Phase::Preparing {
        return 100;
    }
    let share = job.elapsed().as_secs_f64() / (job.whole().as_secs_f64() / 60.0).max(0.001);
    // Of 0 to 1.
    (share.clamp(0.0, 1.0) * 100.0) as u8
}

fn stage(view: &View<'_>) -> i64 {
    let is_hot = |heat: crate::printer::engine::Heat| heat.now_c >= heat.target_c - 1.0;
    match view.engine.phase {
        Phase::Idle | Phase::Finished | Phase::Cancelled | Phase::Failed => view.model.idle_stage,
        Phase::Preparing if !is_hot(view.engine.bed) => 2,
        Phase::Preparing if !is_hot(view.engine.hotend) => 7,
        Phase::Preparing => 1,
        Phase::Printing => 0,
        Phase::Paused => 16,
    }
}

/// X1 unpack a project; others name the file, and forget it at the end.
fn gcode_file(view: &View<'_>) -> String {
    let Some(job) = &view.engine.job else { return String::new() };
    match view.model.reports {
        Reports::Whole => order(view).map_or_else(|| job.path.clone(), |o| o.gcode_file.clone()),
        Reports::Changes if view.engine.is_active() => job.path.clone(),
        Reports::Changes => String::new(),
    }
}

fn print_error(view: &View<'_>) -> u32 {
    let trouble = view.engine.trouble.as_ref().map(code);
    if let Some(Code::Print(error)) = trouble {
        return error;
    }
    let dismissed = view.engine.job.as_ref().is_some_and(|j| view.own.dismissed == Some(j.id));
    let cancelled = view.engine.phase == Phase::Cancelled && !dismissed;
    if cancelled { USER_CANCELLED } else { 0 }
}

fn hms(view: &View<'_>) -> Value {
    let mut list = Vec::new();
    if let Some(Code::Hms(attr, code)) = view.engine.trouble.as_ref().map(code) {
        list.push(json!({"attr": attr, "code": code}));
    }
    if view.fault == Fault::DeveloperModeOff && !view.model.tells_abilities {
        list.push(json!({"attr": 0x0500_0500_u32, "code": 0x0001_0007_u32}));
    }
    list.into()
}

enum Code {
    Print(u32),
    Hms(u32, u32),
}

/// As people write them: `0300_400C` or `0300_0100_0001_0007`.
fn code(trouble: &Trouble) -> Code {
    let digits: String = trouble.code.chars().filter(char::is_ascii_hexdigit).collect();
    let number = |digits: &str| u32::from_str_radix(digits, 16).ok();
    let found = match digits.len() {
        8 => number(&digits).map(Code::Print),
        16 => number(&digits[..8]).zip(number(&digits[8..])).map(|(a, c)| Code::Hms(a, c)),
        _ => None,
    };
    found.unwrap_or(Code::Print(UNKNOWN_REASON))
}

fn heat(view: &View<'_>) -> Value {
    let engine = view.engine;
    let second = unix_s(engine.now());
    // What is hot is never quite at its target.
    let jitter = |target_c: f64, salt: u64| {
        let step = ((second * 7 + view.spec.seed + salt) % 5) as f64 - 2.0;
        if target_c > 0.0 { step / 32.0 } else { 0.0 }
    };
    let shown = |now_c: f64| match view.model.reports {
        Reports::Whole => now_c.round(),
        Reports::Changes => (now_c * 32.0).round() / 32.0,
    };
    let (hotend, bed) = (engine.hotend, engine.bed);
    let gear = |percent: u16| (u32::from(percent) * 15 + 50) / 100;
    let byte = u32::from(engine.fan_percent) * 255 / 100;
    let mut heat = json!({
        "nozzle_temper": shown(hotend.now_c + jitter(hotend.target_c, 0)),
        "nozzle_target_temper": hotend.target_c,
        "bed_temper": shown(bed.now_c + jitter(bed.target_c, 2)),
        "bed_target_temper": bed.target_c,
        "cooling_fan_speed": gear(engine.fan_percent).to_string(),
        "big_fan1_speed": "0",
        "big_fan2_speed": "0",
        "heatbreak_fan_speed": if hotend.now_c > 50.0 { "15" } else { "0" },
        "fan_gear": byte,
        "spd_lvl": level(engine.speed_percent),
        "spd_mag": engine.speed_percent,
        "chamber_temper": 5,
    });
    if view.model.has_chamber {
        let chamber_c = (23.0 + (bed.now_c - 23.0).max(0.0) / 4.0).round();
        heat["chamber_temper"] = chamber_c.into();
        heat["info"] = json!({"temp": chamber_c as i64});
    }
    heat
}

/// Silent, standard, sport, ludicrous; a speed between them is shown as the nearest.
fn level(percent: u16) -> usize {
    let nearest = SPEED_PERCENTS.iter().enumerate().min_by_key(|(_, of)| of.abs_diff(percent));
    nearest.map_or(2, |(level, _)| level + 1)
}

fn machine(view: &View<'_>) -> Value {
    let card = view.fault != Fault::NoStorage;
    let on_off = |on: bool| if on { "on" } else { "off" };
    let mut lights = vec![json!({"node": "chamber_light", "mode": on_off(view.engine.light_on)})];
    if view.model.reports == Reports::Whole {
        let mode = if view.own.work_light_on { "flashing" } else { "off" };
        lights.push(json!({"node": "work_light", "mode": mode}));
    }
    let enabled = |on: bool| if on { "enable" } else { "disable" };
    let mut ipcam = json!({
        "ipcam_dev": "1",
        "ipcam_record": enabled(view.own.records),
        "timelapse": enabled(view.own.timelapse),
        "resolution": "1080p",
        "tutk_server": "disable",
        "mode_bits": 3,
    });
    if view.model.camera == Camera::Rtsp {
        ipcam["rtsp_url"] = format!("rtsps://{}/streaming/live/1", view.spec.ip).into();
    }
    json!({
        "lights_report": lights,
        "ipcam": ipcam,
        "sdcard": card,
        // Axes are homed, 220 V, filament is changed over automatically; the card.
        "home_flag": 0x040F | if card { 0x0100 } else { 0 },
        "nozzle_diameter": "0.4",
        "nozzle_type": if view.model.has_chamber { "hardened_steel" } else { "stainless_steel" },
        "lifecycle": "product",
        "mess_production_state": "active",
        "force_upgrade": false,
        "hw_switch_state": 1,
        "cali_version": 0,
        "filam_bak": [],
        "k": "0.0000",
        "flag3": 31,
        "online": {"ahb": false, "rfid": false, "version": 1_334_604_853},
        "xcam": {"buildplate_marker_detector": true},
        "upload": {"status": "idle", "progress": 0, "message": ""},
        "upgrade_state": {
            "sequence_id": 0, "progress": "", "status": "IDLE", "consistency_request": false,
            "dis_state": 0, "err_code": 0, "force_upgrade": false, "message": "0%, 0B/s",
            "module": "", "new_version_state": 2, "cur_state_code": 0, "new_ver_list": [],
        },
    })
}

fn network(view: &View<'_>) -> Value {
    let ip = match view.spec.ip {
        IpAddr::V4(ip) => u32::from_le_bytes(ip.octets()),
        IpAddr::V6(_) => 0,
    };
    let dbm = 44 + (unix_s(view.engine.now()) / 30 + view.spec.seed) % 4;
    json!({
        "net": {"conf": 0, "info": [{"ip": ip, "mask": 0x00FF_FFFF}]},
        "wifi_signal": format!("-{dbm}dBm"),
    })
}

/// What only some models say.
fn model(view: &View<'_>) -> Value {
    let signed = view.fault == Fault::DeveloperModeOff;
    // With and without "commands must be signed".
    let fun = if signed { "11A30F9CFB" } else { "11830F9CFB" };
    match view.model.reports {
        Reports::Whole => json!({
            "fun": fun,
            "fail_reason": "0",
            "aux_part_fan": true,
            "device": {"type": 1, "nozzle": {"exist": 1, "info":
                [{"diameter": 0.4, "id": 0, "tm": 0, "type": "HX01", "wear": 0}], "state": 0}},
            "t_utc": unix_s(view.engine.now()) * 1000,
        }),
        Reports::Changes if view.model.tells_abilities => json!({"fun": fun}),
        Reports::Changes => json!({}),
    }
}

fn ams(view: &View<'_>) -> Value {
    let trays: Vec<Value> =
        (0_u16..).zip(&view.own.trays).map(|(id, slot)| tray(id, slot)).collect();
    let bits = |has: &dyn Fn(&Tray) -> bool| {
        let slots = view.own.trays.iter().enumerate();
        let bits = slots.filter(|(_, slot)| slot.as_ref().is_some_and(has));
        format!("{:x}", bits.fold(0, |bits, (slot, _)| bits | 1 << slot))
    };
    let (units, exist) = match view.model.unit {
        Unit::None => (json!([]), "0"),
        Unit::Ams => (json!([{"id": "0", "humidity": "4", "temp": "24.5", "tray": trays}]), "1"),
    };
    let fed = view.engine.is_active().then(|| order(view).map_or(EXTERNAL, |order| order.slot));
    let now = fed.unwrap_or(255).to_string();
    let there = bits(&|_| true);
    json!({
        "ams": {
            "ams": units,
            "ams_exist_bits": exist,
            "tray_exist_bits": there,
            "tray_is_bbl_bits": bits(&|tray| tray.remain_percent >= 0),
            "tray_read_done_bits": there,
            "tray_reading_bits": "0",
            "tray_now": now,
            "tray_tar": now,
            "tray_pre": now,
            "version": 4,
            "insert_flag": true,
            "power_on_flag": false,
        },
        "ams_status": 0,
        "ams_rfid_status": 0,
        "vt_tray": tray(EXTERNAL, &Some(view.own.external.clone())),
    })
}

fn tray(id: u16, tray: &Option<Tray>) -> Value {
    let id = id.to_string();
    let Some(tray) = tray else { return json!({"id": id}) };
    let is_of_maker = tray.remain_percent >= 0;
    json!({
        "id": id,
        "remain": tray.remain_percent,
        "k": 0.019_999_999_552_965_164,
        "n": 1,
        "cali_idx": -1,
        "tag_uid": if is_of_maker { &tray.uuid[16..] } else { "0000000000000000" },
        "tray_id_name": if is_of_maker { "A00-R0" } else { "" },
        "tray_info_idx": tray.info_idx,
        "tray_type": tray.material,
        "tray_sub_brands": tray.product,
        "tray_color": tray.color,
        "tray_weight": if is_of_maker { "1000" } else { "0" },
        "tray_diameter": if is_of_maker { "1.75" } else { "0.00" },
        "tray_temp": "0",
        "tray_time": "0",
        "bed_temp_type": "0",
        "bed_temp": "0",
        "nozzle_temp_min": tray.nozzle_c.0.to_string(),
        "nozzle_temp_max": tray.nozzle_c.1.to_string(),
        "xcam_info": "000000000000000000000000",
        "tray_uuid": tray.uuid,
        "ctype": 0,
        "cols": [tray.color],
    })
}

/// What `get_version` is answered.
pub(super) fn modules(spec: &Spec, model: &Model) -> Value {
    let firmware = if spec.firmware.is_empty() { model.firmware } else { &spec.firmware };
    let module = |name: &str, version: &str, hardware: &str, sn: &str, product: &str| {
        json!({"name": name, "project_name": model.code, "sw_ver": version, "hw_ver": hardware,
            "loader_ver": "00.00.00.00", "sn": sn, "product_name": product,
            "visible": !product.is_empty(), "flag": 0})
    };
    let product = format!("Bambu Lab {}", model.name);
    let serial_number = &spec.serial_number;
    let mut modules = vec![
        module("ota", firmware, "OTA", serial_number, &product),
        module("esp32", "01.11.35.64", "AP04", serial_number, ""),
        module("mc", "00.01.32.85", "MC07", serial_number, ""),
        module("th", "00.00.09.95", "TH09", serial_number, ""),
    ];
    if model.unit == Unit::Ams {
        modules.push(module("ams/0", "00.00.06.44", "AMS08", "0060A0000000001", "AMS (1)"));
    }
    modules.into()
}

/// As a project is named that has no other name.
pub(super) fn stem(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or(path);
    let name = name.strip_suffix(".3mf").unwrap_or(name);
    name.strip_suffix(".gcode").unwrap_or(name).to_owned()
}

fn unix_s(time: std::time::SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Of the levels 1 to 4.
pub(super) const SPEED_PERCENTS: [u16; 4] = [50, 100, 124, 166];
/// 0300_400C: "The task was canceled."
const USER_CANCELLED: u32 = 0x0300_400C;
/// 0300_8000: "Printing was paused for unknown reason."
const UNKNOWN_REASON: u32 = 0x0300_8000;
