//! The WebSocket: calls in, results and notifications out.

use super::calls::text;
use super::history::{job, unix_s};
use super::objects::{Wanted, delta, wanted};
use super::{DISCONNECTED, Door, Failed, Params, failed, klippy_state};
use crate::printer::engine::Phase;
use crate::printer::http::{Life, Push};
use axum::extract::ws::WebSocket;
use axum::http::StatusCode;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::time::{Instant, interval, sleep_until};

/// What one client has been told.
#[derive(Default)]
struct Told {
    wanted: Wanted,
    status: Map<String, Value>,
    klippy: &'static str,
    /// How many prints there were, and whether the last had ended.
    prints: (usize, bool),
    files_revision: u64,
    files: BTreeMap<String, SystemTime>,
}

pub(super) async fn run(door: Door, socket: WebSocket, life: Life, id: u64, allowed: bool) {
    let shared = Arc::clone(&door.shared);
    let mut changes = shared.changes();
    let mut push = Push::new(socket, shared, life);
    let mut client = Client { told: Told::new(&door), door, id, allowed, identified: false };
    let mut seconds = interval(Duration::from_secs(1));
    let (mut next, mut waits) = (Instant::now(), false);
    loop {
        let sent = tokio::select! {
            message = push.receive() => match message {
                Ok(text) => match client.answer(&text) {
                    Some(answer) => push.send(&answer).await,
                    None => Ok(()),
                },
                Err(closed) => Err(closed),
            },
            changed = changes.changed(), if !waits => {
                if changed.is_err() {
                    return;
                }
                waits = true;
                Ok(())
            }
            () = sleep_until(next), if waits => {
                waits = false;
                next = Instant::now() + DELTA_EVERY;
                client.send_news(&mut push).await
            }
            _ = seconds.tick(), if client.allowed => {
                push.send(&note("notify_proc_stat_update", json!([client.door.proc_stats()]))).await
            }
        };
        if sent.is_err() {
            return;
        }
    }
}

struct Client {
    door: Door,
    id: u64,
    allowed: bool,
    identified: bool,
    told: Told,
}

impl Client {
    /// The answer to a message; none to a notification.
    fn answer(&mut self, message: &str) -> Option<Value> {
        let request = match serde_json::from_str(message) {
            Ok(Value::Object(request)) => request,
            // Of a batch it answers each request, and here is none.
            Ok(_) => return None,
            Err(_) => return Some(error(&Value::Null, -32700, "Parse error")),
        };
        let id = request.get("id").cloned();
        let given = request.get("id").unwrap_or(&Value::Null);
        // Without a method it is an answer, and we have asked nothing.
        let method = request.get("method").and_then(Value::as_str)?;
        if request.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
            return Some(error(given, -32600, "Invalid Request"));
        }
        let params = match request.get("params") {
            None => Params::new(),
            Some(Value::Object(params)) => params.clone(),
            Some(_) => return Some(error(given, -32602, "Invalid params:")),
        };
        let result = self.call(method, &params);
        let id = id?;
        Some(match result {
            Ok(value) => json!({ "jsonrpc": "2.0", "result": value, "id": id }),
            Err(failed) => error(&id, failed.rpc_code(), &failed.message),
        })
    }

    fn call(&mut self, method: &str, params: &Params) -> Result<Value, Failed> {
        if method == "server.connection.identify" {
            return self.identify(params);
        }
        if !self.allowed && method != "access.info" {
            return Err(Failed::unauthorized());
        }
        match method {
            "server.websocket.id" => Ok(json!({ "websocket_id": self.id })),
            "printer.objects.subscribe"
                if self.door.shared.with(|engine| klippy_state(engine)) == DISCONNECTED =>
            {
                failed(StatusCode::SERVICE_UNAVAILABLE, "Klippy Host not connected")
            }
            "printer.objects.subscribe" => {
                self.told.wanted = wanted(params)?;
                self.told.status = self.door.status(&self.told.wanted);
                Ok(json!({ "eventtime": self.door.event_time(), "status": self.told.status }))
            }
            _ => self.door.call(method, params),
        }
    }

    fn identify(&mut self, params: &Params) -> Result<Value, Failed> {
        for name in ["client_name", "version", "type", "url"] {
            text(params, name)?;
        }
        let kinds = ["web", "mobile", "desktop", "display", "bot", "agent", "other"];
        if !kinds.contains(&text(params, "type")?.as_str()) {
            let text = format!("Invalid Client Type: {}", text(params, "type")?);
            return failed(StatusCode::BAD_REQUEST, text);
        }
        if self.identified {
            return failed(StatusCode::BAD_REQUEST, "Connection already identified");
        }
        if let Ok(key) = text(params, "api_key") {
            if !self.door.shared.is_secret(&key) {
                return failed(StatusCode::UNAUTHORIZED, "Invalid API Key");
            }
            self.allowed = true;
        }
        if !self.allowed {
            return Err(Failed::unauthorized());
        }
        self.identified = true;
        Ok(json!({ "connection_id": self.id }))
    }

    async fn send_news(&mut self, push: &mut Push) -> Result<(), crate::printer::http::Closed> {
        if !self.allowed {
            return Ok(());
        }
        for news in self.told.news(&self.door) {
            push.send(&news).await?;
        }
        Ok(())
    }
}

impl Told {
    /// Everything, as it is now.
    fn new(door: &Door) -> Self {
        let mut told = Self::default();
        told.news(door);
        told
    }

    fn news(&mut self, door: &Door) -> Vec<Value> {
        let mut news = Vec::new();
        let klippy = door.shared.with(|engine| {
            door.shared.tells(engine.phase == Phase::Paused);
            klippy_state(engine)
        });
        if klippy != self.klippy {
            news.push(note(&format!("notify_klippy_{klippy}"), json!([])));
        }
        self.klippy = klippy;
        let status = door.status(&self.wanted);
        let changed = delta(&self.status, &status);
        if !changed.is_empty() {
            news.push(note("notify_status_update", json!([changed, door.event_time()])));
        }
        self.status = status;
        self.news_of_prints(door, &mut news);
        self.news_of_files(door, &mut news);
        news
    }

    fn news_of_prints(&mut self, door: &Door, news: &mut Vec<Value>) {
        let (known, ended) = self.prints;
        door.shared.with(|engine| {
            for (at, record) in engine.records.iter().enumerate().skip(known.saturating_sub(1)) {
                let mut tell = |action: &str| {
                    let params = json!([{ "action": action, "job": job(engine, record) }]);
                    news.push(note("notify_history_changed", params));
                };
                if at >= known {
                    tell("added");
                }
                if record.print.ended.is_some() && !(at < known && ended) {
                    tell("finished");
                }
            }
            let last = engine.records.last();
            self.prints =
                (engine.records.len(), last.is_some_and(|record| record.print.ended.is_some()));
        });
    }

    fn news_of_files(&mut self, door: &Door, news: &mut Vec<Value>) {
        door.shared.with(|engine| {
            if engine.files_revision == self.files_revision {
                return;
            }
            let mut tell = |action: &str, path: &str, bytes: usize, changed: SystemTime| {
                let item = json!({
                    "path": path, "root": "gcodes", "size": bytes, "modified": unix_s(changed),
                    "permissions": "rw",
                });
                let params = json!([{ "action": action, "item": item }]);
                news.push(note("notify_filelist_changed", params));
            };
            for (path, file) in engine.files() {
                if self.files.get(path) != Some(&file.changed) {
                    tell("create_file", path, file.content.len(), file.changed);
                }
            }
            for (path, changed) in &self.files {
                if !engine.files().contains_key(path) {
                    tell("delete_file", path, 0, *changed);
                }
            }
            self.files_revision = engine.files_revision;
            self.files =
                engine.files().iter().map(|(path, file)| (path.clone(), file.changed)).collect();
        });
    }
}

fn note(method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "method": method, "params": params })
}

fn error(id: &Value, code: i32, message: &str) -> Value {
    json!({ "jsonrpc": "2.0", "error": { "code": code, "message": message }, "id": id })
}

/// Klipper's own.
const DELTA_EVERY: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::printer::{Protocol, Spec, shared::Shared};

    proptest::proptest! {
        #[test]
        fn any_message_does_no_harm(
            text: String,
            method in "(server|printer)\\.(info|files|print|objects|history)(\\.[a-z]{1,8})?",
            name in "objects|filename|script|limit|path",
            value in "null|1|-1e300|\"x\"|\\[1\\]|\\{\"a\":null\\}",
        ) {
            let shared = Shared::new(Spec::new(Protocol::Moonraker, "any"));
            let door = Door { shared, own: Arc::default() };
            let told = Told::new(&door);
            let mut client = Client { door, id: 1, allowed: true, identified: false, told };
            client.answer(&text);
            client.answer(&format!(
                r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{"{name}":{value}}}}}"#
            ));
        }
    }
}
