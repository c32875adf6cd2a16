//! The REST API without files.

use super::keys::USER;
use super::state::temperatures;
use super::{Door, NOT_OPERATIONAL, Serial, done, ok, refuse};
use crate::printer::engine::{Engine, Heater, Phase};
use crate::printer::gcode;
use crate::printer::http::Query;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

impl Door {
    pub(super) fn answer_get(&self, path: &[&str], query: &Query) -> Response {
        match path {
            ["version"] => {
                let (version, text) = (self.version(), format!("OctoPrint {}", self.version()));
                ok(&json!({ "api": "0.1", "server": version, "text": text }))
            }
            ["server"] => ok(&json!({ "version": self.version(), "safemode": null })),
            ["connection"] => self.connection(),
            ["currentuser"] => {
                ok(&json!({ "name": USER, "permissions": [], "groups": ["admins", "users"] }))
            }
            ["settings"] => ok(&json!({
                "appearance": { "name": self.shared.spec.name },
                "webcam": { "webcamEnabled": false }, "plugins": {}, "feature": {},
            })),
            ["printerprofiles"] => ok(&json!({ "profiles": { "_default": {
                "id": "_default", "name": "Default", "model": self.shared.spec.model,
                "default": true, "current": true, "heatedBed": true, "heatedChamber": false,
                "extruder": { "count": 1, "nozzleDiameter": 0.4 },
                "volume": { "width": 220, "depth": 220, "height": 250 },
            } } })),
            ["job"] => {
                let (job, progress) = self.job();
                let state = self.state_text();
                ok(&json!({ "job": job, "progress": progress, "state": state }))
            }
            ["printer", rest @ ..] => self.printer(rest, query),
            ["timelapse"] => ok(&json!({ "config": { "type": "off" }, "enabled": false,
                "files": [], "unrendered": [] })),
            _ => refuse(StatusCode::NOT_FOUND, "The requested URL was not found on the server."),
        }
    }

    pub(super) fn answer_post(&self, path: &[&str], body: &Value) -> Response {
        let command = body["command"].as_str().unwrap_or_default();
        match path {
            ["login"] => self.log_in(body),
            ["logout"] => done(),
            ["connection"] => self.connect(command),
            ["job"] => self.command_job(command, body),
            ["printer", what] => {
                if !self.is_operational() {
                    return refuse(StatusCode::CONFLICT, NOT_OPERATIONAL);
                }
                match *what {
                    "command" => self.run(body),
                    "tool" => self.command_tool(command, body),
                    "bed" => self.command_bed(command, body),
                    "printhead" => self.command_head(command, body),
                    "sd" | "chamber" => refuse(StatusCode::CONFLICT, "The printer has none"),
                    _ => refuse(StatusCode::NOT_FOUND, ""),
                }
            }
            _ => refuse(StatusCode::NOT_FOUND, "The requested URL was not found on the server."),
        }
    }

    pub(super) fn version(&self) -> &str {
        let version = self.shared.spec.firmware.as_str();
        if version.is_empty() { "1.11.8" } else { version }
    }

    fn connection(&self) -> Response {
        let connected = self.serial().connected;
        ok(&json!({
            "current": {
                "state": if connected { self.state_text() } else { "Closed".to_owned() },
                "port": connected.then_some("/dev/ttyACM0"),
                "baudrate": connected.then_some(115_200),
                "printerProfile": "_default",
            },
            "options": {
                "ports": ["/dev/ttyACM0"], "baudrates": [250_000, 115_200],
                "printerProfiles": [{ "id": "_default", "name": self.shared.spec.model }],
                "portPreference": "/dev/ttyACM0", "baudratePreference": 115_200,
                "printerProfilePreference": "_default", "autoconnect": true,
            },
        }))
    }

    fn connect(&self, command: &str) -> Response {
        match command {
            "connect" => {
                if !self.is_operational() {
                    self.shared.with(Engine::clear);
                }
                self.serial().connected = true;
                done()
            }
            "disconnect" => {
                // The printer hears nothing any more, and stops where it is.
                let _ = self.shared.with(Engine::cancel);
                *self.serial() = Serial { connected: false, selected: None };
                self.shared.with(Engine::clear);
                done()
            }
            "fake_ack" => done(),
            _ => refuse(StatusCode::BAD_REQUEST, "command is invalid"),
        }
    }

    fn log_in(&self, body: &Value) -> Response {
        if body["passive"] != true {
            return refuse(StatusCode::FORBIDDEN, "User unknown or password invalid");
        }
        ok(&json!({
            "name": USER, "active": true, "user": true, "admin": true, "apikey": null,
            "permissions": [], "groups": ["admins", "users"], "needs": {},
            "session": self.new_session(),
            "_is_external_client": false, "_login_mechanism": "apikey",
        }))
    }

    fn command_job(&self, command: &str, body: &Value) -> Response {
        let conflict = |text| refuse(StatusCode::CONFLICT, text);
        if !self.is_operational() {
            return conflict(NOT_OPERATIONAL);
        }
        let phase = self.shared.with(|engine| engine.phase);
        let paused = phase == Phase::Paused;
        let active = paused || matches!(phase, Phase::Preparing | Phase::Printing);
        let selected = self.selected();
        let action = body["action"].as_str().unwrap_or("toggle");
        match command {
            "start" if active => conflict(
                "Printer already has an active print job, did you mean \
                'restart'?",
            ),
            "start" => match selected.map(|path| self.start(&path)) {
                Some(Ok(())) => done(),
                Some(Err(_)) => conflict("Cannot print"),
                // OctoPrint says yes, and does nothing.
                None => done(),
            },
            "restart" if !paused => conflict(
                "Printer does not have an active print job or is not \
                paused",
            ),
            "restart" => {
                let _ = self.shared.with(Engine::cancel);
                let _ = selected.map(|path| self.start(&path));
                done()
            }
            "pause" | "cancel" if !active => conflict(
                "Printer is neither printing nor paused, 'pause' command cannot be \
                    performed",
            ),
            "cancel" => {
                let _ = self.shared.with(Engine::cancel);
                done()
            }
            "pause" => {
                match action {
                    "pause" => drop(self.shared.with(Engine::pause)),
                    "resume" => drop(self.shared.with(Engine::resume)),
                    "toggle" if paused => drop(self.shared.with(Engine::resume)),
                    "toggle" => drop(self.shared.with(Engine::pause)),
                    _ => return refuse(StatusCode::BAD_REQUEST, "Unknown action"),
                }
                done()
            }
            _ => refuse(StatusCode::BAD_REQUEST, "command is invalid"),
        }
    }

    fn printer(&self, path: &[&str], query: &Query) -> Response {
        if !self.is_operational() {
            return refuse(StatusCode::CONFLICT, NOT_OPERATIONAL);
        }
        let temps = self.shared.with(|engine| temperatures(engine));
        match path {
            [] => {
                let excluded = query.get("exclude").map_or("", String::as_str);
                let parts = [
                    ("temperature", temps),
                    ("sd", json!({ "ready": false })),
                    ("state", self.state()),
                ];
                let parts = parts.into_iter().filter(|(name, _)| !excluded.contains(name));
                ok(&parts.map(|(name, value)| (name.to_owned(), value)).collect())
            }
            ["tool"] => ok(&json!({ "tool0": temps["tool0"] })),
            ["bed"] => ok(&json!({ "bed": temps["bed"] })),
            ["chamber"] => refuse(StatusCode::CONFLICT, "Printer does not have a heated chamber"),
            ["sd"] => ok(&json!({ "ready": false })),
            _ => refuse(StatusCode::NOT_FOUND, ""),
        }
    }

    fn run(&self, body: &Value) -> Response {
        let lines: Vec<&str> = match (&body["command"], &body["commands"]) {
            (Value::String(line), _) => vec![line],
            (_, Value::Array(lines)) => lines.iter().filter_map(Value::as_str).collect(),
            _ => return refuse(StatusCode::BAD_REQUEST, "No commands"),
        };
        self.shared.with(|engine| lines.iter().for_each(|line| gcode::run(engine, line)));
        done()
    }

    fn command_tool(&self, command: &str, body: &Value) -> Response {
        match command {
            "target" => {
                let targets = body["targets"].as_object();
                let Some(targets) = targets.filter(|all| all.values().all(Value::is_number)) else {
                    return refuse(StatusCode::BAD_REQUEST, "targets contains invalid value");
                };
                // One that it does not have is passed over.
                match targets.get("tool0").and_then(Value::as_f64) {
                    Some(celsius) => self.set_target(Heater::Hotend, celsius),
                    None => done(),
                }
            }
            "offset" | "select" => done(),
            "extrude" if self.shared.with(|engine| is_printing(engine)) => {
                refuse(StatusCode::CONFLICT, "Printer is currently printing")
            }
            "extrude" => done(),
            "flowrate" => match factor(body) {
                Some(percent) => {
                    self.shared.with(|engine| engine.set_flow(percent));
                    done()
                }
                None => refuse(StatusCode::BAD_REQUEST, "Invalid factor"),
            },
            _ => refuse(StatusCode::BAD_REQUEST, "command is invalid"),
        }
    }

    fn command_bed(&self, command: &str, body: &Value) -> Response {
        match (command, body["target"].as_f64()) {
            ("target", Some(celsius)) => self.set_target(Heater::Bed, celsius),
            ("target", None) => refuse(StatusCode::BAD_REQUEST, "Mandatory parameters missing"),
            ("offset", _) => done(),
            _ => refuse(StatusCode::BAD_REQUEST, "command is invalid"),
        }
    }

    fn command_head(&self, command: &str, body: &Value) -> Response {
        match command {
            "feedrate" => match factor(body) {
                Some(percent) => {
                    self.shared.with(|engine| engine.set_speed(percent));
                    done()
                }
                None => refuse(StatusCode::BAD_REQUEST, "Invalid factor"),
            },
            "home" | "jog" if self.shared.with(|engine| is_printing(engine)) => {
                refuse(StatusCode::CONFLICT, "Printer is currently printing")
            }
            "home" | "jog" => done(),
            _ => refuse(StatusCode::BAD_REQUEST, "command is invalid"),
        }
    }

    fn set_target(&self, heater: Heater, celsius: f64) -> Response {
        if !(0.0..=500.0).contains(&celsius) {
            return refuse(StatusCode::BAD_REQUEST, "Invalid target temperature");
        }
        self.shared.with(|engine| engine.set_target(heater, celsius));
        done()
    }
}

/// Percent, or a share when it is no whole number.
fn factor(body: &Value) -> Option<u16> {
    let percent = match body["factor"].as_u64() {
        Some(percent) => percent as f64,
        None => body["factor"].as_f64()? * 100.0,
    };
    (1.0..=10_000.0).contains(&percent).then_some(percent as u16)
}

/// It may be moved by hand while it is paused.
fn is_printing(engine: &Engine) -> bool {
    matches!(engine.phase, Phase::Preparing | Phase::Printing)
}
