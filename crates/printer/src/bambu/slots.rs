//! Where filament lies: in the trays of an AMS, or on the external spool.
//!
//! A tray counts through all units, `4 * unit + tray`; an AMS HT has one tray and is its own number
//! from 128 on; 254 is the external spool, and 255 that of the right nozzle where there are two
//! (OpenBambuAPI mqtt.md; ha-bambulab).

use super::json;
use crate::Slot;
use serde_json::{Map, Value};
use wire::Text;

pub(super) const EXTERNAL: u16 = 254;
/// The external spool of the main nozzle of a printer with two; else: none.
pub(super) const EXTERNAL_MAIN: u16 = 255;
/// The first AMS HT.
pub(super) const HT: u16 = 128;

/// What [`slots`] reads.
pub(super) const KEYS: [&str; 4] = ["ams", "vir_slot", "vt_tray", "device"];

/// All of them, in the order of their units.
pub(super) fn slots(status: &Map<String, Value>) -> Vec<Slot> {
    let nozzles = json::list(status, &["device", "extruder", "info"]).len();
    let active = active(status, nozzles);
    let mut slots = Vec::new();
    for (at, unit) in (0..).zip(json::list(status, &["ams", "ams"])) {
        let Some(number) = id(unit) else { continue };
        for tray in unit.get("tray").and_then(Value::as_array).map_or(&[][..], Vec::as_slice) {
            let known = id(tray).and_then(|tray| place(number, tray, at));
            let Some((id, name)) = known else { continue };
            slots.push(slot(tray, id, name, active));
        }
    }
    let spools = json::list(status, &["vir_slot"]);
    if nozzles > 1 && spools.len() > 1 {
        for spool in spools {
            let (id, name) = match id(spool) {
                Some(EXTERNAL_MAIN) => (EXTERNAL_MAIN, "external right"),
                Some(EXTERNAL) => (EXTERNAL, "external left"),
                Some(_) | None => continue,
            };
            slots.push(slot(spool, id, name.to_owned(), active));
        }
    } else if let Some(spool) = json::at(status, &["vt_tray"]).or(spools.first()) {
        slots.push(slot(spool, EXTERNAL, "external".to_owned(), active));
    }
    slots.truncate(SLOTS_MAX);
    slots
}

/// Which one feeds the hotend.
fn active(status: &Map<String, Value>, nozzles: usize) -> Option<u16> {
    let now = json::at(status, &["ams", "tray_now"]).and_then(json::whole);
    if nozzles > 1
        && let Some(snow) = at_active_nozzle(status)
    {
        let (unit, tray) =
            (u16::try_from(snow >> 8 & 0xFF).ok()?, u16::try_from(snow & 0xFF).ok()?);
        return match unit {
            EXTERNAL | EXTERNAL_MAIN => (tray != 0xFF).then_some(unit),
            _ => place(unit, tray, 0).map(|(id, _)| id),
        };
    }
    u16::try_from(now?).ok().filter(|now| *now != 255)
}

/// What the nozzle that prints has been given: unit in the upper byte, tray in the lower.
fn at_active_nozzle(status: &Map<String, Value>) -> Option<i64> {
    let state = json::at(status, &["device", "extruder", "state"]).and_then(json::whole)?;
    let number = u16::try_from(state >> 4 & 0xF).ok()?;
    let nozzles = json::list(status, &["device", "extruder", "info"]);
    let nozzle = nozzles.iter().find(|nozzle| id(nozzle) == Some(number))?;
    json::whole(nozzle.get("snow")?)
}

/// `at` is where the unit stands in the list: those of an A2L count from 16 on, and are its first
/// all the same.
fn place(unit: u16, tray: u16, at: u16) -> Option<(u16, String)> {
    let shown = if unit < 4 { unit } else { at };
    let letter = |n: u16| u8::try_from(n).ok().filter(|n| *n < 26).map(|n| char::from(b'A' + n));
    match (unit, tray) {
        (0..32, 0..4) => Some((unit * 4 + tray, format!("{}{}", letter(shown)?, tray + 1))),
        (HT..154, 0) => Some((unit, format!("HT-{}", letter(unit - HT)?))),
        _ => None,
    }
}

fn slot(tray: &Value, id: u16, name: String, active: Option<u16>) -> Slot {
    let text = |key: &str| tray.get(key).and_then(json::text);
    let remain = tray.get("remain").and_then(json::whole);
    let material = text("tray_type");
    let tag = |key| text(key).filter(|tag| is_tag(tag));
    // The spool before both of its tags.
    let tag = tag("tray_uuid").or_else(|| tag("tag_uid"));
    // It is known of spools with a tag; of others some models say 0, some 100, some −1.
    let remain = remain.filter(|_| tag.is_some() && material.is_some());
    Slot {
        id,
        name: Text::from(name),
        product: text("tray_sub_brands").map(Text::from),
        color: text("tray_color").filter(|_| material.is_some()).and_then(|c| color(&c)),
        remaining_percent: remain
            .and_then(|percent| u8::try_from(percent).ok())
            .filter(|percent| *percent <= 100),
        tag: tag.map(Text::from),
        active: active == Some(id),
        material: material.map(Text::from),
    }
}

/// Of `RRGGBBAA`.
fn color(text: &str) -> Option<Text> {
    let rgb = text.get(..6).filter(|rgb| rgb.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    Some(Text::from(format!("#{}", rgb.to_ascii_lowercase())))
}

/// Only zeros: there is no tag.
fn is_tag(text: &str) -> bool {
    text.bytes().any(|byte| byte != b'0')
}

fn id(value: &Value) -> Option<u16> {
    u16::try_from(json::whole(value.get("id")?)?).ok()
}

/// More than can be plugged together: four units of four, eight of one, two spools.
const SLOTS_MAX: usize = 64;
