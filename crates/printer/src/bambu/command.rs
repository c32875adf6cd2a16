//! What a printer is told, as its JSON. Forms: OpenBambuAPI mqtt.md; `project_file` as Bambu Studio
//! sends it (bambuddy).

use super::slots::{EXTERNAL, EXTERNAL_MAIN, HT};
use crate::{Command, Error, Heater, Phase, PrinterState, Reason, Start};
use serde_json::{Value, json};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// One message to a printer, and how its answer is known.
#[derive(Debug, PartialEq)]
pub(super) struct Message {
    pub(super) payload: Value,
    pub(super) command: &'static str,
    pub(super) sequence_id: String,
}

/// Percent of the speed levels from 1 on: silent, standard, sport, ludicrous.
pub(super) const LEVELS: [u16; 4] = [50, 100, 124, 166];

/// # Errors
/// When this printer would not take it now, or never would.
pub(super) fn message(command: &Command, state: &PrinterState) -> Result<Message, Error> {
    let print = |command, param: Value| Ok(message_of("print", command, json!({ "param": param })));
    match command {
        Command::Start(start) => start_message(start, state),
        Command::Pause => print("pause", json!("")),
        Command::Resume => print("resume", json!("")),
        Command::Stop => print("stop", json!("")),
        Command::Light { on } => Ok(light(*on)),
        Command::Speed { percent } => print("print_speed", json!(level(*percent).to_string())),
        Command::Temperature { heater, target_c } => {
            print("gcode_line", json!(heat(*heater, *target_c, state)?))
        }
        Command::SkipObjects { ids } => skip(ids),
        Command::Gcode { lines } => print("gcode_line", json!(gcode(lines)?)),
        Command::Clear => Ok(clear(state)),
    }
}

/// Asks for everything.
pub(super) fn push_all() -> Message {
    message_of("pushing", "pushall", json!({ "version": 1, "push_target": 1 }))
}

/// Asks for models and versions.
pub(super) fn get_version() -> Message {
    message_of("info", "get_version", json!({}))
}

/// Whether the effect of a command can be seen: some firmwares act and do not answer.
pub(super) fn is_visible(command: &Command, state: &PrinterState) -> bool {
    match command {
        Command::Start(_) => state.phase.is_active(),
        Command::Pause => state.phase == Phase::Paused,
        Command::Resume => state.phase == Phase::Printing,
        Command::Stop => !state.phase.is_active(),
        Command::Light { on } => state.light_on == Some(*on),
        Command::Speed { percent } => {
            let wanted = LEVELS.get(usize::from(level(*percent)) - 1);
            state.speed_percent.as_ref() == wanted
        }
        Command::Temperature { .. }
        | Command::SkipObjects { .. }
        | Command::Gcode { .. }
        | Command::Clear => false,
    }
}

fn message_of(kind: &str, command: &'static str, body: Value) -> Message {
    let sequence_id = fresh_id().to_string();
    let mut all = json!({ "sequence_id": sequence_id, "command": command });
    if let (Value::Object(all), Value::Object(body)) = (&mut all, body) {
        all.extend(body);
    }
    Message { payload: json!({ kind: all }), command, sequence_id }
}

/// Never the same twice in this process, and hardly ever that of another program: a printer that
/// sees an id again takes the print for the continuation of the old one, and a P1S makes the
/// largest `i32` of everything beyond (bambuddy).
fn fresh_id() -> u32 {
    const MAX: u32 = i32::MAX as u32;
    // far from where other programs begin to count
    static NEXT: LazyLock<AtomicU32> =
        LazyLock::new(|| AtomicU32::new(rand::random_range(1_000_000..MAX / 2)));
    NEXT.fetch_add(1, Ordering::Relaxed) % MAX + 1
}

fn start_message(start: &Start, state: &PrinterState) -> Result<Message, Error> {
    if !state.phase.is_free() {
        // An A1 mini that prints would give up its print for this one.
        return Err(Error::new(Reason::Busy, "the printer is not free")
            .hint("wait until it is, or stop what it does"));
    }
    let path = start.path.trim();
    let inside = path.starts_with('/') && path.len() <= PATH_BYTES_MAX;
    if !inside || path.chars().any(char::is_control) || path.contains("/../") {
        return Err(unacceptable(format!("{path:?} is no path of a file on a printer")));
    }
    if !super::is_printable(path) {
        return Err(unacceptable(format!("{path:?} is neither .3mf nor .gcode")));
    }
    if path.to_ascii_lowercase().ends_with(".3mf") {
        return project(start, path, state);
    }
    let param = json!({ "param": path });
    Ok(message_of("print", "gcode_file", param))
}

fn project(start: &Start, path: &str, state: &PrinterState) -> Result<Message, Error> {
    let plate = start.plate.unwrap_or(1);
    if plate == 0 {
        return Err(unacceptable("plates are counted from 1".to_owned()));
    }
    let mapping = Mapping::of(&start.slots, state)?;
    let file = path.rsplit('/').next().unwrap_or(path);
    let name = file.strip_suffix(".3mf").or(file.strip_suffix(".3MF")).unwrap_or(file);
    let name = name.strip_suffix(".gcode").unwrap_or(name);
    let id = fresh_id().to_string();
    // Each choice is told twice: as it is for older firmwares, and as 0 no, 1 yes, 2 "as you like".
    let three = |choice: Option<bool>| choice.map_or(2, u8::from);
    let level = start.level_bed;
    let flow = start.calibrate_flow;
    Ok(message_of(
        "print",
        "project_file",
        json!({
            "param": format!("Metadata/plate_{plate}.gcode"),
            "url": format!("ftp://{path}"),
            "file": file,
            "md5": "",
            "bed_type": "auto",
            "timelapse": start.timelapse.unwrap_or(false),
            "bed_leveling": level.unwrap_or(true),
            "auto_bed_leveling": three(level),
            "flow_cali": flow.unwrap_or(false),
            "extrude_cali_flag": three(flow),
            "nozzle_offset_cali": 2,
            "vibration_cali": false,
            "layer_inspect": false,
            "use_ams": mapping.use_ams,
            "ams_mapping": mapping.trays,
            "ams_mapping2": mapping.places,
            "subtask_name": name,
            "profile_id": "0",
            "project_id": id,
            "subtask_id": id,
            "task_id": id,
        }),
    ))
}

/// Which filament of a file comes from where, in both of the forms that a printer wants.
#[derive(Debug, PartialEq)]
struct Mapping {
    use_ams: bool,
    trays: Vec<i32>,
    places: Vec<Value>,
}

impl Mapping {
    /// Without a choice: what feeds the hotend now, where that is a tray; else the external spool.
    fn of(slots: &[u16], state: &PrinterState) -> Result<Self, Error> {
        let chosen: Vec<u16> = if slots.is_empty() {
            state.slots.iter().filter(|slot| slot.active).map(|slot| slot.id).take(1).collect()
        } else {
            slots.to_vec()
        };
        if chosen.len() > FILAMENTS_MAX {
            return Err(unacceptable(format!("a file has at most {FILAMENTS_MAX} filaments")));
        }
        let known = |id: u16| state.slots.is_empty() || state.slots.iter().any(|s| s.id == id);
        if let Some(odd) = slots.iter().find(|id| !known(**id)) {
            return Err(unacceptable(format!("the printer has no slot {odd}")));
        }
        let two = state.slots.iter().any(|slot| slot.id == EXTERNAL_MAIN);
        let external = |id: u16| id == EXTERNAL || id == EXTERNAL_MAIN;
        let trays = chosen.iter().map(|id| if external(*id) { -1 } else { i32::from(*id) });
        let places = chosen.iter().map(|id| {
            let (unit, tray) = match *id {
                EXTERNAL if two => (EXTERNAL, 0),
                EXTERNAL | EXTERNAL_MAIN => (EXTERNAL_MAIN, 0),
                HT.. => (*id, 0),
                _ => (id / 4, id % 4),
            };
            json!({ "ams_id": unit, "slot_id": tray })
        });
        // With `use_ams` and only external spools it stops for want of a mapping: 07FF_8012.
        let use_ams = chosen.iter().any(|id| !external(*id));
        Ok(Self { use_ams, trays: trays.collect(), places: places.collect() })
    }
}

fn light(on: bool) -> Message {
    let mode = if on { "on" } else { "off" };
    // The times mean nothing here, and it does not work without them.
    let body = json!({
        "led_node": "chamber_light", "led_mode": mode, "led_on_time": 500, "led_off_time": 500,
        "loop_times": 1, "interval_time": 1000,
    });
    message_of("system", "ledctrl", body)
}

/// Acknowledges the error of the print, whose code has one underscore.
fn clear(state: &PrinterState) -> Message {
    let codes = state.faults.iter().map(|fault| fault.code.as_str()).filter(|code| code.len() == 9);
    let code = codes.map(|code| u32::from_str_radix(&code.replace('_', ""), 16));
    let code = code.flatten().next().unwrap_or(0);
    let subtask = state.job.as_ref().and_then(|job| job.id.as_ref()).map_or("", |id| id.as_str());
    let body = json!({ "print_error": code, "subtask_id": subtask });
    message_of("print", "clean_print_error", body)
}

fn level(percent: u16) -> u8 {
    let nearest = (1..).zip(LEVELS).min_by_key(|(_, known)| known.abs_diff(percent));
    nearest.map_or(2, |(level, _)| level)
}

fn heat(heater: Heater, target_c: u16, state: &PrinterState) -> Result<String, Error> {
    let (most, line) = match heater {
        Heater::Hotend(0) => (350, format!("M104 S{target_c}\n")),
        Heater::Hotend(n) => (350, format!("M104 T{n} S{target_c}\n")),
        Heater::Bed => (140, format!("M140 S{target_c}\n")),
        Heater::Chamber => (80, format!("M141 S{target_c}\n")),
    };
    let hotends = state.temperatures.hotends.len().max(1);
    if matches!(heater, Heater::Hotend(n) if usize::from(n) >= hotends) {
        return Err(unacceptable("there is no such hotend".to_owned()));
    }
    if target_c > most {
        return Err(unacceptable(format!("{target_c} °C is more than {most} °C")));
    }
    Ok(line)
}

fn skip(ids: &[wire::Text]) -> Result<Message, Error> {
    let numbers: Option<Vec<u32>> = ids.iter().map(|id| id.as_str().parse().ok()).collect();
    let numbers = numbers.filter(|all| !all.is_empty() && all.len() <= OBJECTS_MAX);
    let numbers = numbers.ok_or_else(|| unacceptable("objects have numbers here".to_owned()))?;
    Ok(message_of("print", "skip_objects", json!({ "obj_list": numbers })))
}

fn gcode(lines: &str) -> Result<String, Error> {
    let lines = lines.trim();
    if lines.is_empty() || lines.len() > GCODE_BYTES_MAX {
        return Err(unacceptable(format!("G-code has 1 to {GCODE_BYTES_MAX} bytes")));
    }
    Ok(format!("{lines}\n"))
}

fn unacceptable(message: String) -> Error {
    Error::new(Reason::Unacceptable, message)
}

/// FAT32 has names of 255 characters, and there are few folders.
const PATH_BYTES_MAX: usize = 1024;
/// As many as a slicer knows.
const FILAMENTS_MAX: usize = 64;
const OBJECTS_MAX: usize = 256;
/// A line or a few: files are for more.
const GCODE_BYTES_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Slot;
    use std::collections::HashSet;
    use std::sync::Arc;

    fn free() -> PrinterState {
        let slot = |id| Slot { id, ..Slot::default() };
        let slots = vec![slot(0), slot(5), slot(128), slot(254)];
        PrinterState { phase: Phase::Idle, slots: slots.into(), ..PrinterState::default() }
    }

    fn start(path: &str, slots: &[u16]) -> Command {
        Command::Start(Box::new(Start {
            path: path.into(),
            slots: slots.to_vec(),
            ..Start::default()
        }))
    }

    fn print_of(command: &Command, state: &PrinterState) -> Value {
        message(command, state).unwrap().payload["print"].clone()
    }

    #[test]
    fn a_project_has_all_its_fields() {
        let print = print_of(&start("/cache/box.gcode.3mf", &[5, 254, 128]), &free());
        assert_eq!(print["command"], "project_file");
        assert_eq!(print["param"], "Metadata/plate_1.gcode");
        assert_eq!(print["url"], "ftp:///cache/box.gcode.3mf");
        assert_eq!(print["file"], "box.gcode.3mf");
        assert_eq!(print["subtask_name"], "box");
        assert_eq!(print["use_ams"], true);
        assert_eq!(print["ams_mapping"], json!([5, -1, 128]));
        let places = json!([{ "ams_id": 1, "slot_id": 1 }, { "ams_id": 255, "slot_id": 0 },
            { "ams_id": 128, "slot_id": 0 }]);
        assert_eq!(print["ams_mapping2"], places);
        assert_eq!(print["bed_leveling"], json!(true));
        assert_eq!(print["auto_bed_leveling"], 2);
        assert_eq!(print["task_id"], print["project_id"]);
        let id: u32 = print["task_id"].as_str().unwrap().parse().unwrap();
        assert!(id > 0 && id <= i32::MAX as u32);
    }

    #[test]
    fn only_external_spools_need_no_ams() {
        let print = print_of(&start("/box.3mf", &[254]), &free());
        assert_eq!((&print["use_ams"], &print["ams_mapping"]), (&json!(false), &json!([-1])));
        let print = print_of(&start("/box.3mf", &[]), &free());
        assert_eq!((&print["use_ams"], &print["ams_mapping"]), (&json!(false), &json!([])));
        let mut loaded = free();
        Arc::make_mut(&mut loaded.slots)[1].active = true;
        let print = print_of(&start("/box.3mf", &[]), &loaded);
        assert_eq!((&print["use_ams"], &print["ams_mapping"]), (&json!(true), &json!([5])));
    }

    #[test]
    fn two_nozzles_have_two_external_spools() {
        let mut two = free();
        let right = Slot { id: 255, ..Slot::default() };
        two.slots = two.slots.iter().cloned().chain([right]).collect();
        let print = print_of(&start("/box.3mf", &[254, 255]), &two);
        let places = json!([{ "ams_id": 254, "slot_id": 0 }, { "ams_id": 255, "slot_id": 0 }]);
        assert_eq!(print["ams_mapping2"], places);
    }

    #[test]
    fn nothing_is_started_where_something_runs() {
        for phase in [Phase::Preparing, Phase::Printing, Phase::Paused, Phase::Unknown, Phase::Busy]
        {
            let state = PrinterState { phase, ..free() };
            let refused = message(&start("/box.3mf", &[]), &state).unwrap_err();
            assert_eq!(refused.reason, Reason::Busy, "{phase:?}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let long = "x".repeat(GCODE_BYTES_MAX + 1);
        let wrong = [
            start("box.3mf", &[]),
            start("/box.stl", &[]),
            start("/../box.3mf", &[]),
            start("/box\n.3mf", &[]),
            start("/box.3mf", &[77]),
            Command::Temperature { heater: Heater::Bed, target_c: 400 },
            Command::Temperature { heater: Heater::Hotend(3), target_c: 200 },
            Command::SkipObjects { ids: vec!["one".into()] },
            Command::SkipObjects { ids: vec![] },
            Command::Gcode { lines: long },
            Command::Gcode { lines: "  \n".into() },
        ];
        for command in &wrong {
            let refused = message(command, &free()).unwrap_err();
            assert_eq!(refused.reason, Reason::Unacceptable, "{command:?}");
        }
    }

    #[test]
    fn commands_are_as_documented() {
        let of = |command: &Command| print_of(command, &free());
        assert_eq!(of(&Command::Pause)["param"], "");
        assert_eq!(of(&Command::Stop)["command"], "stop");
        assert_eq!(of(&Command::Speed { percent: 120 })["param"], "3");
        assert_eq!(of(&Command::Speed { percent: 1 })["param"], "1");
        let bed = Command::Temperature { heater: Heater::Bed, target_c: 60 };
        assert_eq!(of(&bed)["param"], "M140 S60\n");
        assert_eq!(of(&Command::SkipObjects { ids: vec!["92".into()] })["obj_list"], json!([92]));
        assert_eq!(of(&start("/a.gcode", &[]))["command"], "gcode_file");
        let light = message(&Command::Light { on: true }, &free()).unwrap().payload;
        assert_eq!(light["system"]["led_mode"], "on");
        assert_eq!(light["system"]["led_node"], "chamber_light");
    }

    #[test]
    fn no_id_comes_twice() {
        let ids: HashSet<u32> = (0..1000).map(|_| fresh_id()).collect();
        assert_eq!(ids.len(), 1000);
    }
}
