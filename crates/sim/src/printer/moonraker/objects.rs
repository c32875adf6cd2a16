//! Klipper's printer objects, as they can be asked for and subscribed to.

use super::{Door, Failed, Params, failed};
use crate::printer::engine::{Engine, Heat, Phase};
use axum::http::StatusCode;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

pub(super) const NAMES: &[&str] = &[
    "configfile",
    "display_status",
    "exclude_object",
    "extruder",
    "fan",
    "gcode",
    "gcode_move",
    "heater_bed",
    "heaters",
    "idle_timeout",
    "output_pin caselight",
    "pause_resume",
    "print_stats",
    "toolhead",
    "virtual_sdcard",
    "webhooks",
];

/// Objects, each with the fields that are wanted; `None` is all.
pub(super) type Wanted = BTreeMap<String, Option<Vec<String>>>;

impl Door {
    pub(super) fn query(&self, params: &Params) -> Result<Value, Failed> {
        let wanted = wanted(params)?;
        Ok(json!({ "eventtime": self.event_time(), "status": self.status(&wanted) }))
    }

    pub(super) fn status(&self, wanted: &Wanted) -> Map<String, Value> {
        self.shared.with(|engine| {
            wanted
                .iter()
                .filter_map(|(name, fields)| {
                    let value = object(engine, name)?;
                    let (Value::Object(all), Some(fields)) = (&value, fields) else {
                        return Some((name.clone(), value));
                    };
                    let kept = fields.iter().filter_map(|f| Some((f.clone(), all.get(f)?.clone())));
                    Some((name.clone(), Value::Object(kept.collect())))
                })
                .collect()
        })
    }
}

/// From `{"objects":{"name":null|["field"]}}`, or from a query `name=field,field&other`.
pub(super) fn wanted(params: &Params) -> Result<Wanted, Failed> {
    let objects = match params.get("objects") {
        Some(Value::Object(objects)) => objects,
        Some(_) => return failed(StatusCode::BAD_REQUEST, "Invalid argument 'objects'"),
        None => params,
    };
    let fields = |value: &Value| match value {
        Value::Null => Ok(None),
        Value::Array(list) => {
            Ok(Some(list.iter().filter_map(|f| f.as_str().map(str::to_owned)).collect()))
        }
        Value::String(text) if text.is_empty() => Ok(None),
        Value::String(text) => Ok(Some(text.split(',').map(str::to_owned).collect())),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
            failed(StatusCode::BAD_REQUEST, "Invalid argument 'objects'")
        }
    };
    objects.iter().map(|(name, value)| Ok((name.clone(), fields(value)?))).collect()
}

/// What differs, object by object and field by field.
pub(super) fn delta(old: &Map<String, Value>, new: &Map<String, Value>) -> Map<String, Value> {
    let mut changed = Map::new();
    for (name, value) in new {
        let (Value::Object(new), Some(Value::Object(old))) = (value, old.get(name)) else {
            changed.insert(name.clone(), value.clone());
            continue;
        };
        let fields = new.iter().filter(|(field, value)| old.get(*field) != Some(value));
        let fields: Map<_, _> =
            fields.map(|(field, value)| (field.clone(), value.clone())).collect();
        if !fields.is_empty() {
            changed.insert(name.clone(), Value::Object(fields));
        }
    }
    changed
}

fn object(engine: &Engine, name: &str) -> Option<Value> {
    let halted = Door::halted(engine);
    Some(match name {
        "webhooks" => json!({
            "state": if halted.is_some() { "shutdown" } else { "ready" },
            "state_message": halted.unwrap_or_else(|| "Printer is ready".to_owned()),
        }),
        "print_stats" => print_stats(engine),
        "virtual_sdcard" => virtual_sdcard(engine),
        "display_status" => {
            let job = engine.job.as_ref();
            let progress = job.map_or(0.0, |job| thousandths(job.progress()));
            json!({ "progress": progress, "message": null })
        }
        "extruder" => {
            let mut value = heater(engine.hotend);
            value["can_extrude"] = json!(engine.hotend.now_c >= 170.0);
            value["pressure_advance"] = json!(0.04);
            value["smooth_time"] = json!(0.04);
            value
        }
        "heater_bed" => heater(engine.bed),
        "heaters" => json!({
            "available_heaters": ["heater_bed", "extruder"],
            "available_sensors": ["heater_bed", "extruder"],
        }),
        "fan" => json!({ "speed": f64::from(engine.fan_percent) / 100.0, "rpm": null }),
        "output_pin caselight" => json!({ "value": if engine.light_on { 1.0 } else { 0.0 } }),
        "gcode_move" => json!({
            "speed_factor": f64::from(engine.speed_percent) / 100.0,
            "extrude_factor": f64::from(engine.flow_percent) / 100.0,
            "speed": 1500.0,
            "absolute_coordinates": true,
            "absolute_extrude": true,
            "homing_origin": [0.0, 0.0, 0.0, 0.0],
            "position": position(engine),
            "gcode_position": position(engine),
        }),
        "toolhead" => json!({
            "position": position(engine),
            "homed_axes": if engine.job.is_some() { "xyz" } else { "" },
            "extruder": "extruder",
            "max_velocity": 300.0, "max_accel": 3000.0,
            "axis_minimum": [0.0, 0.0, 0.0, 0.0], "axis_maximum": [250.0, 250.0, 250.0, 0.0],
        }),
        "pause_resume" => json!({ "is_paused": engine.phase == Phase::Paused }),
        "idle_timeout" => {
            let state = if engine.is_active() { "Printing" } else { "Ready" };
            json!({ "state": state, "printing_time": 0.0 })
        }
        "exclude_object" => {
            json!({ "objects": [], "excluded_objects": [], "current_object": null })
        }
        "configfile" => json!({ "config": {}, "settings": {}, "warnings": [] }),
        "gcode" => json!({ "commands": {} }),
        _ => return None,
    })
}

fn print_stats(engine: &Engine) -> Value {
    let Some(job) = &engine.job else {
        return json!({
            "filename": "", "total_duration": 0.0, "print_duration": 0.0, "filament_used": 0.0,
            "state": "standby", "message": "",
            "info": { "total_layer": null, "current_layer": null },
        });
    };
    let state = match engine.phase {
        Phase::Idle => "standby",
        Phase::Preparing | Phase::Printing => "printing",
        Phase::Paused => "paused",
        Phase::Finished => "complete",
        Phase::Cancelled => "cancelled",
        Phase::Failed => "error",
    };
    let record = engine.records.last();
    let until = record.and_then(|r| r.print.ended).map_or(engine.now(), |(ended, _)| ended);
    let total = until.duration_since(job.started).unwrap_or_default();
    let printing = record.map(|record| record.printing).unwrap_or_default();
    let message = engine.trouble.as_ref().map_or("", |trouble| trouble.text.as_str());
    json!({
        "filename": job.path,
        "total_duration": thousandths(total.as_secs_f64()),
        "print_duration": thousandths(printing.as_secs_f64()),
        "filament_used": thousandths(job.filament_mm()),
        "state": state,
        "message": message,
        "info": { "total_layer": job.plan.layers, "current_layer": job.layer() },
    })
}

fn virtual_sdcard(engine: &Engine) -> Value {
    let job = engine.job.as_ref().filter(|_| engine.is_active() || engine.phase == Phase::Finished);
    let Some(job) = job else {
        return json!({
            "file_path": null, "progress": 0.0, "is_active": false, "file_position": 0,
            "file_size": 0,
        });
    };
    let bytes = engine.files().get(&job.path).map_or(0, |file| file.content.len());
    json!({
        "file_path": format!("/home/pi/printer_data/gcodes/{}", job.path),
        "progress": thousandths(job.progress()),
        "is_active": matches!(engine.phase, Phase::Preparing | Phase::Printing),
        "file_position": (job.progress() * bytes as f64) as u64,
        "file_size": bytes,
    })
}

fn heater(heat: Heat) -> Value {
    let power: f64 = if heat.target_c > 0.0 { 0.4 } else { 0.0 };
    json!({
        "temperature": (heat.now_c * 100.0).round() / 100.0, "target": heat.target_c,
        "power": power,
    })
}

fn position(engine: &Engine) -> [f64; 4] {
    let z_mm = engine.job.as_ref().map_or(0.0, |job| f64::from(job.layer()) * 0.2);
    [0.0, 0.0, thousandths(z_mm), 0.0]
}

pub(super) fn thousandths(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}
