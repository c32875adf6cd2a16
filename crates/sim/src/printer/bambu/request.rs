//! What clients ask of a printer (OpenBambuAPI `mqtt.md`): each answer is the request itself with a
//! `result`, and goes to all who listen.

use serde_json::{Map, Value, json};

use super::files;
use super::model::{Model, Reports, Unit};
use super::own::{EXTERNAL, Order, Own};
use super::report::{self, SPEED_PERCENTS};
use crate::printer::engine::Engine;
use crate::printer::{Fault, Spec, gcode};

pub(super) struct Desk<'a> {
    pub spec: &'a Spec,
    pub model: &'a Model,
    pub engine: &'a mut Engine,
    pub own: &'a mut Own,
    pub fault: Fault,
}

#[derive(Debug, Default, PartialEq)]
pub(super) struct Answer {
    pub replies: Vec<Value>,
    /// The whole report is wanted.
    pub whole: bool,
}

/// Why something is not done, as it stands in the answer.
type Refusal = &'static str;

impl Desk<'_> {
    /// One message may ask several things. What is no request is not answered.
    pub(super) fn take(&mut self, payload: &[u8]) -> Answer {
        let mut answer = Answer::default();
        let Ok(Value::Object(message)) = serde_json::from_slice(payload) else { return answer };
        for (kind, request) in message {
            let Value::Object(request) = request else { continue };
            self.one(&kind, request, &mut answer);
        }
        answer
    }

    fn one(&mut self, kind: &str, request: Map<String, Value>, answer: &mut Answer) {
        let command = text(&request, "command").to_owned();
        let done = match (kind, command.as_str()) {
            ("pushing", "pushall") => {
                answer.whole = true;
                return;
            }
            ("pushing", _) => return,
            ("info", "get_version") => {
                let mut request = request;
                request.insert("module".into(), report::modules(self.spec, self.model));
                return answer.push(kind, request, Ok(()));
            }
            ("upgrade", "get_history") => {
                let mut request = request;
                request.insert("firmware_optional".into(), json!([]));
                return answer.push(kind, request, Ok(()));
            }
            _ if self.fault == Fault::DeveloperModeOff => {
                if !self.model.tells_abilities {
                    return;
                }
                let mut request = request;
                request.insert("result".into(), "failed".into());
                request.insert("reason".into(), "mqtt message verify failed".into());
                return answer.replies.push(json!({ kind: request }));
            }
            ("print", command) => self.print(command, &request),
            ("system", "ledctrl" | "") => self.light(&request),
            ("camera", command) => self.camera(command, &request),
            ("xcam", "xcam_control_set") => Ok(()),
            _ => Err("unknown command"),
        };
        answer.push(kind, request, done);
    }

    fn print(&mut self, command: &str, request: &Map<String, Value>) -> Result<(), Refusal> {
        match command {
            "pause" => self.engine.pause().map_err(|_| "nothing is printing"),
            "resume" => self.engine.resume().map_err(|_| "nothing is paused"),
            "stop" => self.engine.cancel().map_err(|_| "nothing is printing"),
            "clean_print_error" => {
                self.own.dismissed = self.engine.job.as_ref().map(|job| job.id);
                self.engine.trouble = None;
                self.touch();
                Ok(())
            }
            "gcode_line" => {
                text(request, "param").lines().for_each(|line| gcode::run(self.engine, line));
                Ok(())
            }
            "print_speed" => {
                let level: usize = text(request, "param").parse().unwrap_or(0);
                let percent = SPEED_PERCENTS.get(level.wrapping_sub(1)).ok_or("no such level")?;
                self.engine.set_speed(*percent);
                Ok(())
            }
            "skip_objects" => self.skip(request),
            "project_file" => self.project(request),
            "gcode_file" => self.start(text(request, "param"), ".gcode", request, EXTERNAL),
            "ams_filament_setting" => self.filament(request),
            "ams_change_filament" => {
                let slot = request.get("target").and_then(Value::as_u64).unwrap_or(255);
                let is_there = slot == 255
                    || u16::try_from(slot).is_ok_and(|slot| self.own.tray_mut(slot).is_some());
                is_there.then_some(()).ok_or("no such tray")
            }
            "ams_control" | "ams_user_setting" | "ams_get_rfid" | "calibration"
            | "print_option" | "unload_filament" | "extrusion_cali" | "extrusion_cali_sel" => {
                Ok(())
            }
            _ => Err("unknown command"),
        }
    }

    fn skip(&mut self, request: &Map<String, Value>) -> Result<(), Refusal> {
        let shown = self.engine.job.as_ref().filter(|_| self.engine.is_active()).map(|job| job.id);
        let order = self.own.order.as_mut().filter(|order| Some(order.print) == shown);
        let order = order.ok_or("nothing is printing")?;
        let objects = request.get("obj_list").and_then(Value::as_array).ok_or("no list")?;
        for object in objects.iter().take(OBJECTS_MAX).filter_map(Value::as_i64) {
            if !order.skipped.contains(&object) {
                order.skipped.push(object);
            }
        }
        self.touch();
        Ok(())
    }

    fn project(&mut self, request: &Map<String, Value>) -> Result<(), Refusal> {
        let slot = match self.slot(request) {
            Some(slot) => slot,
            None if self.engine.is_active() => EXTERNAL,
            None => return Err(self.trouble(NO_MAPPING, "no ams mapping table")),
        };
        self.start(text(request, "url"), ".3mf", request, slot)
    }

    fn start(
        &mut self,
        url: &str,
        ending: &str,
        request: &Map<String, Value>,
        slot: u16,
    ) -> Result<(), Refusal> {
        if self.engine.is_active() {
            // Seen with an A1 mini (bambuddy#2598): what it prints is lost.
            let _ = self.engine.cancel();
            return Err(self.trouble(BUSY, "device is busy"));
        }
        if self.fault == Fault::NoStorage {
            return Err(self.trouble(NO_CARD, "no sdcard"));
        }
        let path = place(url);
        if !path.ends_with(ending) {
            return Err(self.trouble(UNSUPPORTED, "unsupported file"));
        }
        let plate = text(request, "param").strip_prefix("Metadata/plate_");
        let plate = plate.and_then(|rest| rest.strip_suffix(".gcode")?.parse().ok());
        if plate.is_none() && ending == ".3mf" {
            return Err(self.trouble(UNREADABLE, "no such plate"));
        }
        let key = files::key(self.engine, path);
        let key = key.ok_or_else(|| self.trouble(NOT_THERE, "file not exist"))?;
        self.engine.clear();
        let print = self.engine.start(&key).map_err(|_| "not ready")?;
        self.own.timelapse = request.get("timelapse").and_then(Value::as_bool).unwrap_or(false);
        self.own.order = Some(self.order(print, &key, plate.unwrap_or(1), slot, request));
        Ok(())
    }

    fn order(
        &self,
        print: u32,
        key: &str,
        plate: u32,
        slot: u16,
        request: &Map<String, Value>,
    ) -> Order {
        let name = text(request, "subtask_name");
        let id = |key| {
            let id = match request.get(key) {
                Some(Value::String(id)) => id.parse().unwrap_or(0),
                Some(id) => id.as_u64().unwrap_or(0),
                None => 0,
            };
            match self.model.reports {
                Reports::Whole => id,
                // Of 32 bits, with a sign.
                Reports::Changes => id.min(i32::MAX as u64),
            }
            .to_string()
        };
        Order {
            print,
            name: if name.is_empty() { report::stem(key) } else { name.to_owned() },
            gcode_file: format!("/data/Metadata/plate_{plate}.gcode"),
            task_id: id("task_id"),
            subtask_id: id("subtask_id"),
            project_id: id("project_id"),
            profile_id: id("profile_id"),
            slot,
            skipped: Vec::new(),
        }
    }

    /// The tray that feeds the first filament of the plate. `None` when that cannot be.
    fn slot(&mut self, request: &Map<String, Value>) -> Option<u16> {
        let uses = request.get("use_ams").and_then(Value::as_bool).unwrap_or(false);
        if !uses || self.model.unit == Unit::None {
            return Some(EXTERNAL);
        }
        let mapping = request.get("ams_mapping").and_then(Value::as_array)?;
        let slots = mapping.iter().filter_map(Value::as_i64).filter(|slot| *slot >= 0);
        let slots: Option<Vec<u16>> = slots.map(|slot| u16::try_from(slot).ok()).collect();
        let slots = slots.filter(|slots| slots.iter().all(|s| self.own.tray_mut(*s).is_some()))?;
        slots.first().copied()
    }

    fn filament(&mut self, request: &Map<String, Value>) -> Result<(), Refusal> {
        let number = |key| request.get(key).and_then(Value::as_u64).unwrap_or(0);
        let slot = match number("ams_id") {
            254 | 255 => EXTERNAL,
            unit => {
                let slot = unit.saturating_mul(4).saturating_add(number("tray_id"));
                u16::try_from(slot).unwrap_or(u16::MAX)
            }
        };
        let tray = self.own.tray_mut(slot).ok_or("no such tray")?;
        let set = |key, field: &mut String| {
            if let Some(Value::String(value)) = request.get(key) {
                *field = value.chars().take(FIELD_CHARS_MAX).collect();
            }
        };
        set("tray_type", &mut tray.material);
        set("tray_color", &mut tray.color);
        set("tray_info_idx", &mut tray.info_idx);
        self.touch();
        Ok(())
    }

    fn light(&mut self, request: &Map<String, Value>) -> Result<(), Refusal> {
        let on = match text(request, "led_mode") {
            "on" | "flashing" => true,
            "off" => false,
            _ => return Err("unknown mode"),
        };
        match text(request, "led_node") {
            "work_light" => {
                self.own.work_light_on = on;
                self.touch();
            }
            "chamber_light" | "" => self.engine.set_light(on),
            _ => return Err("no such light"),
        }
        Ok(())
    }

    fn camera(&mut self, command: &str, request: &Map<String, Value>) -> Result<(), Refusal> {
        let on = text(request, "control") == "enable";
        match command {
            "ipcam_record_set" => self.own.records = on,
            "ipcam_timelapse" => self.own.timelapse = on,
            _ => return Err("unknown command"),
        }
        self.touch();
        Ok(())
    }

    /// It shows an error, and says why.
    fn trouble(&mut self, print_error: u32, why: Refusal) -> Refusal {
        let code = format!("{:04X}_{:04X}", print_error >> 16, print_error & 0xFFFF);
        self.engine.fail(&code, why);
        why
    }

    /// Something that is no part of the engine has changed.
    fn touch(&mut self) {
        self.engine.revision += 1;
    }
}

impl Answer {
    fn push(&mut self, kind: &str, mut request: Map<String, Value>, done: Result<(), Refusal>) {
        request.insert("result".into(), if done.is_ok() { "success" } else { "fail" }.into());
        request.insert("reason".into(), done.err().unwrap_or_default().into());
        self.replies.push(json!({ kind: request }));
    }
}

fn text<'a>(request: &'a Map<String, Value>, key: &str) -> &'a str {
    request.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Where a file lies, of `ftp:///x`, `ftp://x`, `file:///sdcard/x` or a path.
fn place(url: &str) -> &str {
    let path = url.strip_prefix("ftp://").or_else(|| url.strip_prefix("file://")).unwrap_or(url);
    let path = path.trim_start_matches('/');
    let mounts = ["sdcard/", "mnt/sdcard/", "media/usb0/"];
    mounts.iter().find_map(|mount| path.strip_prefix(mount)).unwrap_or(path)
}

const UNSUPPORTED: u32 = 0x0500_4002;
const UNREADABLE: u32 = 0x0500_4003;
const BUSY: u32 = 0x0500_4004;
const NOT_THERE: u32 = 0x0500_400B;
const NO_CARD: u32 = 0x0500_400C;
const NO_MAPPING: u32 = 0x07FF_8012;
const OBJECTS_MAX: usize = 1000;
const FIELD_CHARS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::UNIX_EPOCH;

    fn ask(model: &str, payload: &[u8]) -> (Answer, Engine) {
        let model = Model::named(model);
        let mut engine = Engine::new(60.0, UNIX_EPOCH);
        engine.put_file("x.3mf", bytes::Bytes::from_static(b";TIME:600\n")).unwrap();
        let spec = Spec::new(crate::printer::Protocol::Bambu, "x");
        let mut own = Own::new(model);
        let fault = Fault::None;
        let mut desk = Desk { spec: &spec, model, engine: &mut engine, own: &mut own, fault };
        let answer = desk.take(payload);
        (answer, engine)
    }

    #[test]
    fn one_message_asks_several_things() {
        // As bambulabs_api does it, without numbers.
        let payload = br#"{"pushing": {"command": "pushall"}, "info": {"command": "get_version"},
            "upgrade": {"command": "get_history"}, "system": {"led_mode": "off"}}"#;
        let (answer, engine) = ask("A1", payload);
        assert!(answer.whole && !engine.light_on);
        assert_eq!(answer.replies.len(), 3);
        assert!(answer.replies.iter().all(|reply| {
            reply.as_object().unwrap().values().all(|reply| reply["result"] == "success")
        }));
    }

    #[test]
    fn where_a_file_lies() {
        for (url, expected) in [
            ("ftp:///x.3mf", "x.3mf"),
            ("ftp://cache/x.3mf", "cache/x.3mf"),
            ("file:///sdcard/cache/x.3mf", "cache/x.3mf"),
            ("file:///media/usb0/x.3mf", "x.3mf"),
            ("/mnt/sdcard/x.gcode", "x.gcode"),
        ] {
            assert_eq!(place(url), expected);
        }
    }

    #[test]
    fn filament_is_set_in_the_tray_that_is_meant() {
        for (unit, tray, there) in [(0, 1, true), (0, 3, false), (1, 0, false), (255, 254, true)] {
            let payload = json!({"print": {"command": "ams_filament_setting", "ams_id": unit,
                "tray_id": tray, "tray_type": "ABS", "tray_color": "112233FF"}});
            let (answer, _) = ask("P1S", payload.to_string().as_bytes());
            let expected = if there { "success" } else { "fail" };
            assert_eq!(answer.replies[0]["print"]["result"], expected, "{unit} {tray}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_bad(payload in prop::collection::vec(any::<u8>(), 0..400)) {
            ask("A1", &payload);
        }

        #[test]
        fn no_request_is_too_bad(
            command in "project_file|skip_objects|gcode_line|print_speed|ams_filament_setting|\
                ams_change_filament|gcode_file|stop|[a-z_]{0,9}",
            key in "url|param|obj_list|ams_mapping|use_ams|tray_id|ams_id|target|task_id|led_mode",
            number in any::<i64>(),
            text in ".{0,40}",
        ) {
            for value in [json!(number), json!(text), json!([number, text]), json!({"a": number})] {
                let mut request = json!({"command": command, "url": "ftp:///x.3mf",
                    "param": "Metadata/plate_1.gcode", "use_ams": true, "ams_mapping": [0]});
                request[&key] = value;
                for kind in ["print", "system", "camera", "pushing"] {
                    ask("A1", json!({kind: request}).to_string().as_bytes());
                }
            }
        }
    }
}
