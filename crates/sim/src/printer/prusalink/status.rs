//! `info`, `status` and `storage`.

use super::{Door, lock};
use crate::printer::engine::{Engine, FILES_BYTES_MAX, Heat, Phase};
use crate::printer::http::json;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

impl Door {
    pub(super) fn info(&self) -> Response {
        let spec = &self.shared.spec;
        let value = json!({
            "nozzle_diameter": 0.4,
            "mmu": false,
            "serial": spec.serial_number,
            "hostname": spec.name,
            "min_extrusion_temp": 170,
        });
        json(StatusCode::OK, &value)
    }

    pub(super) fn status(&self) -> Response {
        let mut value = self.shared.with(|engine| {
            self.shared.tells(engine.phase == Phase::Paused);
            let mut value = json!({ "printer": printer(engine) });
            if let Some(job) = &engine.job {
                value["job"] = json!({
                    "id": job.id,
                    "progress": (job.progress() * 100.0).floor(),
                    "time_remaining": job.remaining().as_secs(),
                    "time_printing": job.elapsed().as_secs(),
                });
            }
            value
        });
        if self.shared.has_storage() {
            value["storage"] = json!({ "path": "/usb/", "name": "usb", "read_only": false });
        }
        if let Some(transfer) = lock(&self.own.transfer).brief(self.shared.now()) {
            value["transfer"] = transfer;
        }
        json(StatusCode::OK, &value)
    }

    pub(super) fn storage(&self) -> Response {
        let (files, bytes) = self.shared.with(|engine| {
            let bytes: usize = engine.files().values().map(|file| file.content.len()).sum();
            (engine.files().len(), bytes)
        });
        let available = self.shared.has_storage();
        let mut usb = json!({
            "path": "/usb/", "name": "usb", "type": "USB", "read_only": false,
            "available": available,
        });
        if available {
            usb["free_space"] = json!(FILES_BYTES_MAX.saturating_sub(bytes));
            usb["total_space"] = json!(FILES_BYTES_MAX);
            usb["print_files"] = json!(files);
        }
        json(StatusCode::OK, &json!({ "storage_list": [usb] }))
    }
}

fn printer(engine: &Engine) -> Value {
    let z_mm = engine.job.as_ref().map_or(0.0, |job| f64::from(job.layer()) * 0.2);
    let mut value = json!({
        "state": state(engine),
        "temp_nozzle": tenths(engine.hotend.now_c),
        "target_nozzle": engine.hotend.target_c,
        "temp_bed": tenths(engine.bed.now_c),
        "target_bed": engine.bed.target_c,
        "axis_z": tenths(z_mm),
        "flow": engine.flow_percent,
        "speed": engine.speed_percent,
        "fan_hotend": hotend_fan_rpm(engine.hotend),
        "fan_print": u32::from(engine.fan_percent) * 60,
    });
    if !engine.is_active() {
        (value["axis_x"], value["axis_y"]) = (json!(0.0), json!(0.0));
    }
    value
}

/// Heating for a print is a part of it. An error that ended no print wants somebody at the panel.
pub(super) fn state(engine: &Engine) -> &'static str {
    match &engine.trouble {
        Some(trouble) if trouble.ended_print => return "ERROR",
        Some(_) => return "ATTENTION",
        None => {}
    }
    match engine.phase {
        Phase::Idle => "IDLE",
        Phase::Preparing | Phase::Printing => "PRINTING",
        Phase::Paused => "PAUSED",
        Phase::Finished => "FINISHED",
        Phase::Cancelled => "STOPPED",
        Phase::Failed => "ERROR",
    }
}

fn hotend_fan_rpm(hotend: Heat) -> u32 {
    if hotend.now_c > 50.0 { 7200 } else { 0 }
}

pub(super) fn tenths(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}
