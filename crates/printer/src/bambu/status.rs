//! From what a printer has said to [`PrinterState`]. Keys: OpenBambuAPI mqtt.md; those of newer
//! models under `device`: ha-bambulab models.py.

use super::json::{at, bits, list, number, text, whole};
use super::model::{CameraKind, Model};
use super::report::Report;
use super::{fault, stage};
use crate::{
    Ability, Camera, Fan, Identity, Object, Phase, PrinterState, Running, Temperature, Temperatures,
};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use wire::Text;

/// `host` is where the printer was reached.
pub(super) fn state(report: &Report, host: &str, serial_number: &str) -> PrinterState {
    let status = &report.status;
    let model = Model::of(&report.modules, serial_number);
    let phase = phase(report);
    let read_only = read_only(report);
    let hms = list(status, &["hms"]);
    PrinterState {
        phase,
        job: job(report, phase),
        temperatures: temperatures(status, model),
        fans: fans(status),
        speed_percent: speed(status),
        light_on: light(status),
        slots: report.slots.clone(),
        faults: fault::faults(hms, report.print_error()),
        camera: camera(status, model, host),
        abilities: abilities(report, model, read_only.is_none()),
        read_only,
        identity: identity(report, model, serial_number),
        wifi_dbm: wifi(status),
        storage_ready: storage(status),
    }
}

pub(super) fn phase(report: &Report) -> Phase {
    let status = &report.status;
    let system = status.get("print_type").and_then(Value::as_str) == Some("system");
    let stage = status.get("stg_cur").and_then(whole).unwrap_or(-1);
    let layer = status.get("layer_num").and_then(whole).unwrap_or(0);
    match report.word.as_str() {
        // Calibrations of its own run like prints and are none.
        "PREPARE" | "SLICING" | "RUNNING" | "PAUSE" if system => Phase::Busy,
        "PREPARE" | "SLICING" => Phase::Preparing,
        "RUNNING" if layer == 0 && stage::prepares(stage) => Phase::Preparing,
        "RUNNING" => Phase::Printing,
        "PAUSE" => Phase::Paused,
        "FINISH" | "IDLE" | "FAILED" if is_updating(status) => Phase::Busy,
        "IDLE" if stage::moves(stage) => Phase::Busy,
        "IDLE" => Phase::Idle,
        "FINISH" => Phase::Finished,
        "FAILED" if report.cancelled => Phase::Stopped,
        "FAILED" => Phase::Failed,
        "INIT" => Phase::Busy,
        _ => Phase::Unknown,
    }
}

fn is_updating(status: &Map<String, Value>) -> bool {
    let word = at(status, &["upgrade_state", "status"]).and_then(Value::as_str).unwrap_or_default();
    matches!(word, "DOWNLOADING" | "UPGRADE_REQUEST" | "FLASHING" | "UPGRADING")
}

fn job(report: &Report, phase: Phase) -> Option<Running> {
    let status = &report.status;
    let file = status.get("gcode_file").and_then(text).unwrap_or_default();
    let subtask = status.get("subtask_name").and_then(text).unwrap_or_default();
    if phase == Phase::Busy || file.is_empty() && subtask.is_empty() {
        return None;
    }
    let of_file = file.rsplit('/').next().unwrap_or_default();
    let name = if subtask.is_empty() { of_file } else { &subtask };
    // 0 is what slicers on the local network send.
    let id = |key| status.get(key).and_then(text).filter(|id| id != "0");
    let count = |key| {
        let count = status.get(key).and_then(whole).and_then(|n| u32::try_from(n).ok());
        count.filter(|n| *n > 0)
    };
    let loading = status.get("gcode_file_prepare_percent").and_then(whole);
    let loading = loading.filter(|percent| (1..100).contains(percent));
    let stage = status.get("stg_cur").and_then(whole).and_then(stage::text);
    let preparing = report.word == "PREPARE";
    let minutes = status.get("mc_remaining_time").and_then(whole);
    Some(Running {
        id: id("task_id").or_else(|| id("subtask_id")).map(Text::from),
        name: Text::from(name),
        path: path(&file),
        started_us: started_us(status),
        progress_percent: progress(status, phase, preparing),
        elapsed_s: None,
        remaining_s: minutes
            .filter(|_| phase.is_active() && !preparing)
            .and_then(|minutes| u32::try_from(minutes.checked_mul(60)?).ok()),
        layer: count("layer_num").filter(|_| !preparing),
        layers: count("total_layer_num"),
        stage: match loading.filter(|_| preparing) {
            Some(percent) => Some(Text::from(format!("receiving the file, {percent} %"))),
            None => stage.filter(|_| phase.is_active()).map(Text::from),
        },
        filament_mm: None,
        objects: list(status, &["s_obj"]).iter().filter_map(skipped).collect(),
    })
}

fn progress(status: &Map<String, Value>, phase: Phase, preparing: bool) -> Option<f32> {
    let percent = status.get("mc_percent").and_then(number)?;
    // While it prepares, it still says what the print before had come to.
    let percent = if preparing { 0.0 } else { percent };
    let known = (0.0..=100.0).contains(&percent) && phase != Phase::Idle;
    #[expect(clippy::cast_possible_truncation, reason = "at most 100")]
    known.then_some(percent as f32)
}

/// Only a file that others can see as well: not what the printer has unpacked for itself.
fn path(file: &str) -> Option<String> {
    let file = file.strip_prefix("/mnt").unwrap_or(file);
    let file = file.strip_prefix("/sdcard").unwrap_or(file);
    let own = ["/data/", "/usr/", "/userdata/"].iter().any(|folder| file.starts_with(folder));
    let printable = super::is_printable(file);
    (printable && !own).then(|| format!("/{}", file.trim_start_matches('/')))
}

fn started_us(status: &Map<String, Value>) -> Option<i64> {
    /// 2020, before the first of these printers: its clock is not set.
    const EARLIEST_S: i64 = 1_577_836_800;
    let seconds = status.get("gcode_start_time").and_then(whole)?;
    (seconds > EARLIEST_S).then_some(seconds)?.checked_mul(1_000_000)
}

fn skipped(object: &Value) -> Option<Object> {
    let id = text(object)?;
    Some(Object { name: Text::from(format!("object {id}")), id: Text::from(id), skipped: true })
}

fn temperatures(status: &Map<String, Value>, model: Option<&Model>) -> Temperatures {
    let plain = |now: &str, target: &str| {
        let now = status.get(now).and_then(number)?;
        Temperature::checked(now, status.get(target).and_then(number))
    };
    let nozzles = list(status, &["device", "extruder", "info"]);
    let mut hotends: Vec<_> =
        nozzles.iter().filter_map(|nozzle| packed(nozzle.get("temp")?)).collect();
    hotends.truncate(HOTENDS_MAX);
    if hotends.is_empty() {
        hotends.extend(plain("nozzle_temper", "nozzle_target_temper"));
    }
    let chamber = || {
        // Those without a sensor tell a constant.
        model.is_none_or(|model| model.chamber_sensor).then_some(())?;
        let now = status.get("chamber_temper").and_then(number)?;
        Temperature::checked(now, None)
    };
    let of_device = |part: &str| packed(at(status, &["device", part, "info", "temp"])?);
    Temperatures {
        hotends,
        bed: of_device("bed").or_else(|| plain("bed_temper", "bed_target_temper")),
        chamber: of_device("ctc").or_else(chamber),
    }
}

/// The temperature in the lower 16 bits, what it is to be in the upper.
fn packed(value: &Value) -> Option<Temperature> {
    let both = u32::try_from(whole(value)?).ok()?;
    Temperature::checked(f64::from(both & 0xFFFF), Some(f64::from(both >> 16)))
}

fn fans(status: &Map<String, Value>) -> Vec<Fan> {
    const FANS: [(&str, &str); 4] = [
        ("cooling_fan_speed", "part"),
        ("heatbreak_fan_speed", "hotend"),
        ("big_fan1_speed", "auxiliary"),
        ("big_fan2_speed", "chamber"),
    ];
    let known = FANS.iter().filter_map(|(key, name)| {
        let steps = status.get(*key).and_then(number)?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 100")]
        let percent = (steps.clamp(0.0, 15.0) * 100.0 / 15.0).round() as u8;
        Some(Fan { name: Text::from(*name), percent })
    });
    known.collect()
}

fn speed(status: &Map<String, Value>) -> Option<u16> {
    let percent =
        status.get("spd_mag").and_then(whole).filter(|percent| (1..=500).contains(percent));
    let level = || super::command::LEVELS.get(usize::try_from(level(status)? - 1).ok()?).copied();
    percent.and_then(|percent| u16::try_from(percent).ok()).or_else(level)
}

fn level(status: &Map<String, Value>) -> Option<i64> {
    status.get("spd_lvl").and_then(whole).filter(|level| (1..=4).contains(level))
}

fn light(status: &Map<String, Value>) -> Option<bool> {
    let lights = list(status, &["lights_report"]);
    let word = |light: &Value, key| light.get(key).and_then(text);
    let chamber = lights.iter().find(|l| word(l, "node").as_deref() == Some("chamber_light"))?;
    word(chamber, "mode").map(|mode| mode != "off")
}

fn camera(status: &Map<String, Value>, model: Option<&Model>, host: &str) -> Option<Camera> {
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let url = at(status, &["ipcam", "rtsp_url"]).and_then(text);
    let kind = match (model, &url) {
        (Some(model), _) => model.camera,
        (None, Some(_)) => CameraKind::Rtsp,
        (None, None) => return None,
    };
    let off = "the live view is off: switch on \"LAN Only Liveview\" in the printer's settings";
    Some(match kind {
        CameraKind::Pictures => Camera { source: format!("bambu://{host}:6000"), problem: None },
        CameraKind::Rtsp => Camera {
            source: format!("rtsps://{host}:322/streaming/live/1"),
            problem: (url.as_deref() == Some("disable")).then(|| Text::from(off)),
        },
    })
}

/// Since 2025 firmwares take only commands that the maker's cloud has signed, unless the printer's
/// owner says otherwise (ha-bambulab models.py: bit 29 of `fun`).
fn read_only(report: &Report) -> Option<Text> {
    const SIGNATURE: u64 = 0x2000_0000;
    let fun = report.status.get("fun").and_then(bits);
    let needed = fun.is_some_and(|fun| fun & SIGNATURE != 0);
    let codes = list(&report.status, &["hms"]).iter().filter_map(fault::hms_code);
    let complains = codes.into_iter().any(|code| code == fault::UNSIGNED);
    let text =
        "developer mode is off: switch on LAN Only and Developer Mode at the printer's panel";
    (needed || complains || report.unsigned_refused).then(|| Text::from(text))
}

fn abilities(report: &Report, model: Option<&Model>, control: bool) -> BTreeSet<Ability> {
    use Ability::{
        BedTemperature, ChamberTemperature, Clear, Delete, Download, Gcode, HotendTemperature,
        Light, ListFiles, Pause, Resume, SkipObjects, Speed, Start, Stop, Upload,
    };
    let mut can = BTreeSet::from([ListFiles, Download, Upload, Delete]);
    if control {
        can.extend([Start, Pause, Resume, Stop, Speed, SkipObjects, Gcode]);
        can.extend([HotendTemperature, BedTemperature]);
        can.extend(light(&report.status).map(|_| Light));
        can.extend(model.filter(|model| model.chamber_heater).map(|_| ChamberTemperature));
        can.extend(report.print_error().map(|_| Clear));
    }
    can
}

fn identity(report: &Report, model: Option<&Model>, serial_number: &str) -> Identity {
    let named = report.modules.iter().find(|module| module.name == "ota");
    let firmware = named.map(|ota| ota.software.clone()).filter(|text| !text.is_empty());
    let said = report.modules.iter().map(|module| &module.product).find(|name| !name.is_empty());
    let model = model.map(|model| model.name).or(said.map(String::as_str));
    let bore_um = |value: &Value| {
        let mm = number(value).filter(|mm| (0.05..=5.0).contains(mm))?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most 5000")]
        Some((mm * 1000.0).round() as u32)
    };
    let nozzles = list(&report.status, &["device", "nozzle", "info"]);
    let bores = nozzles.iter().filter_map(|nozzle| bore_um(nozzle.get("diameter")?));
    let mut nozzles_um: Vec<u32> = bores.take(HOTENDS_MAX).collect();
    if nozzles_um.is_empty() {
        nozzles_um.extend(report.status.get("nozzle_diameter").and_then(bore_um));
    }
    Identity {
        model: model.map(Text::from),
        name: None,
        serial_number: Some(Text::from(serial_number)),
        firmware: firmware.map(Text::from),
        nozzles_um,
    }
}

/// `-48dBm`.
fn wifi(status: &Map<String, Value>) -> Option<i16> {
    let text = status.get("wifi_signal").and_then(text)?;
    let dbm = text.trim_end_matches("dBm").trim().parse().ok();
    dbm.filter(|dbm| (-120..0).contains(dbm))
}

fn storage(status: &Map<String, Value>) -> Option<bool> {
    let flags = status.get("home_flag").and_then(whole);
    // Newer models print from a memory of their own, and what they say is of the USB drive.
    let has_own = at(status, &["device", "extruder"]).is_some();
    let told = match status.get("sdcard") {
        Some(Value::Bool(there)) => {
            let broken = flags.is_some_and(|flags| flags & 0x200 != 0);
            Some(*there && !broken)
        }
        Some(Value::String(word)) => Some(word == "HAS_SDCARD_NORMAL"),
        // Two bits: 1 is there and fit, 2 broken, 3 read only.
        _ => flags.map(|flags| flags >> 8 & 3 == 1),
    };
    told.filter(|ready| *ready || !has_own)
}

/// A changer of the H2C holds seven.
const HOTENDS_MAX: usize = 8;

#[cfg(test)]
mod tests;
