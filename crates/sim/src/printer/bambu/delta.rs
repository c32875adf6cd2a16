//! What has changed between two reports, as P1 and A1 say it (OpenBambuAPI `mqtt.md`): only keys
//! whose value is another, objects likewise within, and of lists of things with an `id` only those
//! things. A tray that is reduced to its `id` has become empty.

use serde_json::{Map, Value};

/// Empty when nothing has changed.
pub(super) fn delta(old: &Map<String, Value>, new: &Map<String, Value>) -> Map<String, Value> {
    let changed = new.iter().filter_map(|(key, value)| {
        let value = match old.get(key) {
            Some(before) => change(before, value)?,
            None => value.clone(),
        };
        Some((key.clone(), value))
    });
    changed.collect()
}

fn change(old: &Value, new: &Value) -> Option<Value> {
    if old == new {
        return None;
    }
    Some(match (old, new) {
        (Value::Object(old), Value::Object(new)) => Value::Object(delta(old, new)),
        (Value::Array(old), Value::Array(new)) => match things(old, new) {
            Some(things) => Value::Array(things),
            None => Value::Array(new.clone()),
        },
        _ => new.clone(),
    })
}

/// Of lists with the same things.
fn things(old: &[Value], new: &[Value]) -> Option<Vec<Value>> {
    let same = old.len() == new.len()
        && old.iter().zip(new).all(|(old, new)| id(old).is_some() && id(old) == id(new));
    same.then(|| old.iter().zip(new).filter_map(|(old, new)| thing(old, new)).collect())
}

fn thing(old: &Value, new: &Value) -> Option<Value> {
    let (old, new) = (old.as_object()?, new.as_object()?);
    let mut changed = delta(old, new);
    if changed.is_empty() && old.len() == new.len() {
        return None;
    }
    changed.insert("id".into(), new.get("id")?.clone());
    Some(Value::Object(changed))
}

fn id(thing: &Value) -> Option<&str> {
    thing.get("id")?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(old: &Value, new: &Value, expected: &Value) {
        let delta = delta(old.as_object().unwrap(), new.as_object().unwrap());
        assert_eq!(&Value::Object(delta), expected);
    }

    #[test]
    fn only_what_is_another_is_said() {
        let old = json!({"mc_percent": 1, "gcode_state": "RUNNING", "stg": [1, 2],
            "ipcam": {"timelapse": "disable", "ipcam_record": "enable"}});
        check(&old, &old, &json!({}));
        let mut new = old.clone();
        new["mc_percent"] = 2.into();
        new["stg"] = json!([2]);
        new["ipcam"]["timelapse"] = "enable".into();
        check(&old, &new, &json!({"mc_percent": 2, "stg": [2], "ipcam": {"timelapse": "enable"}}));
    }

    #[test]
    fn trays_are_said_by_their_id() {
        let old = json!({"ams": {"tray_now": "255", "ams": [{"id": "0", "humidity": "5", "tray": [
            {"id": "0", "tray_type": "PLA", "remain": 90},
            {"id": "1", "tray_type": "PETG", "remain": 50}]}]}});
        let mut new = old.clone();
        new["ams"]["ams"][0]["tray"][1]["remain"] = 49.into();
        let changed = json!({"ams": {"ams": [{"id": "0", "tray": [{"id": "1", "remain": 49}]}]}});
        check(&old, &new, &changed);
        new = old.clone();
        new["ams"]["ams"][0]["tray"][0] = json!({"id": "0"});
        check(&old, &new, &json!({"ams": {"ams": [{"id": "0", "tray": [{"id": "0"}]}]}}));
        new = old.clone();
        new["ams"]["ams"] = json!([]);
        check(&old, &new, &json!({"ams": {"ams": []}}));
    }
}
