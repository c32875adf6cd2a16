//! Klipper's objects: which are asked for, what is kept of them, and what they mean.

use crate::json::Json;
use crate::{Fan, Object, Temperature, Temperatures};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use wire::Text;

/// The objects that the printer has and we know, merged from what it tells of each.
#[derive(Clone, Debug, Default)]
pub(super) struct Objects(BTreeMap<String, Map<String, Value>>);

impl Objects {
    /// What to subscribe to, of the names that the printer has.
    pub(super) fn wanted(names: &[Value]) -> Value {
        let known = names.iter().filter_map(Value::as_str).take(NAMES_MAX);
        let wanted = known.filter_map(|name| Some((name.to_owned(), json!(fields(name)?))));
        Value::Object(wanted.take(OBJECTS_MAX).collect())
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Of a subscription's answer, or of a notification: each object with the fields that changed.
    pub(super) fn merge(&mut self, status: &Value) {
        let Some(status) = status.as_object() else { return };
        for (name, changes) in status {
            let (Some(fields), Some(changes)) = (fields(name), changes.as_object()) else {
                continue;
            };
            if !self.0.contains_key(name) && self.0.len() >= OBJECTS_MAX {
                continue;
            }
            let object = self.0.entry(name.clone()).or_default();
            for (field, value) in changes {
                if fields.contains(&field.as_str()) {
                    object.insert(field.clone(), kept(field, value));
                }
            }
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(super) fn field(&self, object: &str, field: &str) -> &Value {
        self.0.get(object).and_then(|object| object.get(field)).unwrap_or(&Value::Null)
    }

    pub(super) fn number(&self, object: &str, field: &str) -> Option<f64> {
        self.field(object, field).number("")
    }

    pub(super) fn temperatures(&self) -> Temperatures {
        let hotends = self.0.keys().filter(|name| is_hotend(name));
        let chamber = self.0.keys().filter(|name| is_chamber(name));
        Temperatures {
            hotends: hotends.filter_map(|name| self.temperature(name)).collect(),
            bed: self.temperature("heater_bed"),
            // A heater before a mere sensor, by their names' order.
            chamber: chamber.filter_map(|name| self.temperature(name)).next(),
        }
    }

    fn temperature(&self, name: &str) -> Option<Temperature> {
        Temperature::checked(self.number(name, "temperature")?, self.number(name, "target"))
    }

    /// The heater of the chamber, where it can be set.
    pub(super) fn chamber_heater(&self) -> Option<&str> {
        let mut names = self.0.keys().filter_map(|name| name.strip_prefix("heater_generic "));
        names.find(|name| name.to_ascii_lowercase().contains("chamber") && is_word(name))
    }

    /// A lamp that can be switched, with what kind of output it hangs on.
    pub(super) fn light(&self) -> Option<(&str, &str)> {
        self.0.keys().filter_map(|name| name.split_once(' ')).find(|(kind, name)| {
            matches!(*kind, "output_pin" | "led" | "neopixel" | "dotstar") && is_word(name)
        })
    }

    pub(super) fn light_on(&self) -> Option<bool> {
        let (kind, name) = self.light()?;
        let object = format!("{kind} {name}");
        if kind == "output_pin" {
            return Some(self.number(&object, "value")? > 0.0);
        }
        let colors = self.field(&object, "color_data").as_array()?;
        let lit = colors.iter().flat_map(|color| color.items(""));
        Some(lit.filter_map(Value::as_f64).any(|part| part > 0.0))
    }

    pub(super) fn fans(&self) -> Vec<Fan> {
        let fans = self.0.keys().filter_map(|object| {
            let name = match object.split_once(' ') {
                None if object == "fan" => "part",
                Some(("heater_fan" | "controller_fan" | "fan_generic", name)) => name,
                _ => return None,
            };
            let part = self.number(object, "speed")?.clamp(0.0, 1.0);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1")]
            let percent = (part * 100.0).round() as u8;
            Some(Fan { name: Text::from(name), percent })
        });
        fans.collect()
    }

    pub(super) fn parts(&self) -> Vec<Object> {
        let skipped = self.field("exclude_object", "excluded_objects").items("");
        let names = self.field("exclude_object", "objects").items("").iter();
        let part = |name: &Value| {
            let id = Text::from(name.as_str()?);
            Some(Object { name: id.clone(), id, skipped: skipped.contains(name) })
        };
        names.filter_map(part).collect()
    }
}

/// What is asked of an object; `None` where it is of no use to us.
fn fields(name: &str) -> Option<&'static [&'static str]> {
    let kind = name.split(' ').next().unwrap_or_default();
    Some(match kind {
        "print_stats" => &[
            "state",
            "filename",
            "message",
            "print_duration",
            "total_duration",
            "filament_used",
            "info",
        ],
        "virtual_sdcard" => &["progress"],
        "display_status" => &["progress", "message"],
        "idle_timeout" => &["state"],
        "pause_resume" => &["is_paused"],
        "gcode_move" => &["speed_factor"],
        "webhooks" => &["state", "state_message"],
        "exclude_object" => &["objects", "excluded_objects"],
        "heater_bed" => &["temperature", "target"],
        "heater_generic" | "temperature_sensor" | "temperature_fan" if is_chamber(name) => {
            &["temperature", "target"]
        }
        "fan" | "heater_fan" | "controller_fan" | "fan_generic" => &["speed"],
        "output_pin" | "led" | "neopixel" | "dotstar"
            if name.to_ascii_lowercase().contains("light") =>
        {
            &["value", "color_data"]
        }
        _ if is_hotend(name) => &["temperature", "target"],
        _ => return None,
    })
}

/// `extruder`, `extruder1`, …
fn is_hotend(name: &str) -> bool {
    name.strip_prefix("extruder").is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit()))
}

fn is_chamber(name: &str) -> bool {
    name.split_once(' ').is_some_and(|(kind, name)| {
        matches!(kind, "heater_generic" | "temperature_sensor" | "temperature_fan")
            && name.to_ascii_lowercase().contains("chamber")
    })
}

/// Fit to stand in G-code as a name.
pub(super) fn is_word(name: &str) -> bool {
    let is_fit = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '#');
    !name.is_empty() && name.len() <= 128 && name.chars().all(is_fit)
}

/// Of the parts only their names: their outlines are long.
fn kept(field: &str, value: &Value) -> Value {
    match field {
        "objects" => {
            let names = value.items("").iter().filter_map(|part| part.at("/name").cloned());
            names.filter(Value::is_string).take(PARTS_MAX).collect()
        }
        "excluded_objects" => value.items("").iter().take(PARTS_MAX).cloned().collect(),
        "color_data" => value.items("").iter().take(1).cloned().collect(),
        _ => match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
            Value::String(text) => {
                Value::from(text.chars().take(TEXT_CHARS_MAX).collect::<String>())
            }
            // Only `print_stats.info`, of which two numbers are read.
            Value::Object(_) => json!({
                "total_layer": value.count("/total_layer"),
                "current_layer": value.count("/current_layer"),
            }),
            Value::Array(_) => Value::Null,
        },
    }
}

const NAMES_MAX: usize = 10_000;
const OBJECTS_MAX: usize = 64;
const PARTS_MAX: usize = 256;
const TEXT_CHARS_MAX: usize = 4096;
