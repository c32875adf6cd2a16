//! The methods, by their JSON-RPC names; over HTTP a point is a slash.

use super::{DISCONNECTED, Door, Failed, Params, SHUTDOWN, failed, klippy_state};
use crate::printer::engine::{Engine, Refused};
use crate::printer::gcode;
use axum::http::StatusCode;
use serde_json::{Value, json};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

impl Door {
    pub(super) fn call(&self, method: &str, params: &Params) -> Result<Value, Failed> {
        let state = self.shared.with(|engine| klippy_state(engine));
        if state == DISCONNECTED && method.starts_with("printer.") {
            return failed(StatusCode::SERVICE_UNAVAILABLE, "Klippy Host not connected");
        }
        match method {
            "server.info" => Ok(self.server_info()),
            "server.config" => Ok(json!({ "config": {} })),
            "server.websocket.id" | "server.connection.identify" => {
                failed(StatusCode::BAD_REQUEST, "Only over a WebSocket")
            }
            "server.restart" | "access.login" | "access.refresh_jwt" => {
                failed(StatusCode::BAD_REQUEST, "Not simulated")
            }
            "access.info" => Ok(json!({
                "default_source": "moonraker", "available_sources": ["moonraker"],
                "login_required": false, "trusted": self.shared.spec.secret.is_empty(),
            })),
            "access.get_api_key" => Ok(json!(self.shared.spec.secret)),
            "access.oneshot_token" => Ok(json!(self.new_token())),
            "printer.info" => Ok(self.printer_info()),
            "printer.objects.list" => Ok(json!({ "objects": super::objects::NAMES })),
            "printer.objects.query" => self.query(params),
            "printer.emergency_stop" => {
                self.shared
                    .with(|engine| engine.fail(SHUTDOWN, "Shutdown due to webhooks request"));
                Ok(json!("ok"))
            }
            "printer.restart" | "printer.firmware_restart" => {
                self.shared.with(Engine::power_off);
                Ok(json!("ok"))
            }
            "printer.gcode.script" => self.script(&text(params, "script")?),
            "printer.gcode.help" => Ok(json!({ "PAUSE": "Pauses the current print" })),
            "printer.print.start" => self.start(&text(params, "filename")?),
            "printer.print.pause" => self.print(Engine::pause),
            "printer.print.resume" => self.print(Engine::resume),
            "printer.print.cancel" => self.print(Engine::cancel),
            "server.files.list" => Ok(self.list()),
            "server.files.roots" => Ok(json!([{
                "name": "gcodes", "path": "/home/pi/printer_data/gcodes", "permissions": "rw",
            }])),
            "server.files.metadata" => self.metadata(&text(params, "filename")?),
            "server.files.metascan" => self.metadata(&text(params, "filename")?),
            "server.files.thumbnails" => self.thumbnails(&text(params, "filename")?),
            "server.files.get_directory" => self.directory(params),
            "server.files.delete_file" => {
                let path = text(params, "path")?;
                self.delete_file(path.strip_prefix("gcodes/").unwrap_or(&path))
            }
            "server.history.list" => Ok(self.history(params)),
            "server.history.totals" => Ok(self.totals()),
            "server.history.get_job" => self.history_job(&text(params, "uid")?),
            "server.job_queue.status" => Ok(json!({ "queued_jobs": [], "queue_state": "ready" })),
            "server.webcams.list" => Ok(json!({ "webcams": [] })),
            "server.temperature_store" => Ok(json!({})),
            "server.gcode_store" => Ok(json!({ "gcode_store": [] })),
            "machine.system_info" => Ok(json!({ "system_info": { "cpu_info": {} } })),
            "machine.proc_stats" => Ok(self.proc_stats()),
            "api.version" => Ok(json!({})),
            _ => failed(StatusCode::NOT_FOUND, "Method not found"),
        }
    }

    fn new_token(&self) -> String {
        let token = format!("{:016X}{:016X}", self.shared.random(), self.shared.random());
        let mut tokens = self.own.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if tokens.len() < TOKENS_MAX {
            tokens.insert(token.clone());
        }
        token
    }

    fn server_info(&self) -> Value {
        let state = self.shared.with(|engine| klippy_state(engine));
        json!({
            "klippy_connected": state != DISCONNECTED,
            "klippy_state": state,
            "components": ["database", "file_manager", "history", "klippy_apis", "websockets"],
            "failed_components": [],
            "registered_directories": ["config", "gcodes", "logs"],
            "warnings": [],
            "websocket_count": self.own.connections.load(Ordering::Relaxed),
            "moonraker_version": self.version(),
            "missing_klippy_requirements": [],
            "api_version": [1, 5, 0],
            "api_version_string": "1.5.0",
        })
    }

    fn version(&self) -> &str {
        let version = self.shared.spec.firmware.as_str();
        if version.is_empty() { "v0.11.0" } else { version }
    }

    fn printer_info(&self) -> Value {
        let halted = self.shared.with(|engine| Self::halted(engine));
        let state = if halted.is_some() { "shutdown" } else { "ready" };
        json!({
            "state": state,
            "state_message": halted.unwrap_or_else(|| "Printer is ready".to_owned()),
            "hostname": self.shared.spec.name,
            "software_version": "v0.13.0",
            "cpu_info": "4 core ARMv7",
            "klipper_path": "/home/pi/klipper",
            "python_path": "/home/pi/klippy-env/bin/python",
            "log_file": "/home/pi/printer_data/logs/klippy.log",
            "config_file": "/home/pi/printer_data/config/printer.cfg",
            "process_id": 700, "user_id": 1000, "group_id": 1000,
        })
    }

    pub(super) fn proc_stats(&self) -> Value {
        json!({
            "moonraker_stats": { "time": self.event_time(), "cpu_usage": 1.5, "memory": 54_000 },
            "cpu_temp": 45.2,
            "network": {},
            "system_cpu_usage": { "cpu": 3.0 },
            "system_uptime": self.event_time(),
            "websocket_connections": self.own.connections.load(Ordering::Relaxed),
        })
    }

    fn script(&self, script: &str) -> Result<Value, Failed> {
        self.ready()?;
        self.shared.with(|engine| script.lines().for_each(|line| gcode::run(engine, line)));
        Ok(json!("ok"))
    }

    pub(super) fn start(&self, filename: &str) -> Result<Value, Failed> {
        self.ready()?;
        if !self.shared.has_storage() {
            return failed(StatusCode::BAD_REQUEST, "Unable to open file");
        }
        let started = self.shared.with(|engine| {
            if !engine.is_active() && engine.trouble.is_some() {
                engine.clear();
            }
            engine.start(filename)
        });
        match started {
            Ok(_) => Ok(json!("ok")),
            Err(Refused::Busy) => failed(StatusCode::BAD_REQUEST, "SD busy"),
            Err(_) => failed(StatusCode::BAD_REQUEST, "Unable to open file"),
        }
    }

    /// Klipper says "ok" to a pause of nothing, too.
    fn print(
        &self,
        order: impl FnOnce(&mut Engine) -> Result<(), Refused>,
    ) -> Result<Value, Failed> {
        self.ready()?;
        let _ = self.shared.with(order);
        Ok(json!("ok"))
    }

    fn ready(&self) -> Result<(), Failed> {
        match self.shared.with(|engine| Self::halted(engine)) {
            Some(text) => failed(StatusCode::BAD_REQUEST, text),
            None => Ok(()),
        }
    }

    /// Seconds since it was switched on, as Klipper counts.
    pub(super) fn event_time(&self) -> f64 {
        (self.shared.age().as_secs_f64() * 1000.0).round() / 1000.0
    }
}

pub(super) fn text(params: &Params, name: &str) -> Result<String, Failed> {
    match params.get(name) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) | None => failed(StatusCode::BAD_REQUEST, format!("No data for argument: {name}")),
    }
}

/// Nobody fetches more without using them.
const TOKENS_MAX: usize = 100;
