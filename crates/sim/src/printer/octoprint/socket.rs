//! `/sockjs/websocket`: one JSON object in each message, without SockJS's frames.

use super::keys::USER;
use super::state::PAUSING;
use super::{Door, has_error};
use crate::printer::End;
use crate::printer::engine::Phase;
use crate::printer::http::{Closed, Life, Push};
use axum::extract::ws::WebSocket;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::time::{Instant, sleep_until};

pub(super) async fn run(door: Door, socket: WebSocket, life: Life) {
    let shared = Arc::clone(&door.shared);
    let mut changes = shared.changes();
    let mut push = Push::new(socket, shared, life);
    let seen = Seen::of(&door, None);
    let mut client = Client { seen, door, allowed: false, throttle: 1, temps: Value::Null };
    if push.send(&client.connected()).await.is_err() {
        return;
    }
    // The state waits for its turn; events do not.
    let (mut next, mut waits) = (Instant::now(), false);
    let mut quiet = Instant::now() + QUIET_MAX;
    loop {
        let sent = tokio::select! {
            message = push.receive() => match message {
                Ok(text) => {
                    let heard = client.hear(&text, &mut push).await;
                    (next, quiet) = (next.min(client.next()), client.quiet());
                    heard
                }
                Err(closed) => Err(closed),
            },
            changed = changes.changed() => {
                if changed.is_err() {
                    return;
                }
                let sent = client.send_events(&mut push).await;
                (waits, quiet) = (true, client.quiet());
                sent
            }
            () = sleep_until(quiet), if client.allowed => {
                let sent = client.send_events(&mut push).await;
                (waits, quiet) = (true, client.quiet());
                sent
            }
            () = sleep_until(next), if waits => {
                let sent = client.send_current(&mut push).await;
                (waits, next) = (false, client.next());
                sent
            }
        };
        if sent.is_err() {
            return;
        }
    }
}

struct Client {
    door: Door,
    allowed: bool,
    throttle: u32,
    /// The temperatures that it was told last.
    temps: Value,
    seen: Seen,
}

impl Client {
    fn connected(&self) -> Value {
        let version = self.door.version();
        json!({ "connected": {
            "version": version, "display_version": version, "branch": "HEAD",
            "plugin_hash": "0", "config_hash": "0", "debug": false, "safe_mode": null,
            "online": true, "permissions": [], "python_version": "3.11.2",
            "connectivity": { "online": true },
        } })
    }

    fn next(&self) -> Instant {
        Instant::now() + CURRENT_EVERY * self.throttle
    }

    /// When it is told something though nothing was done.
    fn quiet(&self) -> Instant {
        let pausing = self.seen.state == "Pausing";
        Instant::now() + if pausing { PAUSING } else { QUIET_MAX }
    }

    async fn hear(&mut self, text: &str, push: &mut Push) -> Result<(), Closed> {
        let Ok(message) = serde_json::from_str::<Value>(text) else { return Ok(()) };
        if let Some(auth) = message["auth"].as_str() {
            if !self.door.own.is_session(auth) {
                return push.send(&json!({ "reauthRequired": { "reason": "stale" } })).await;
            }
            self.allowed = true;
            self.seen = Seen::of(&self.door, None);
            let mut history = self.door.current(&mut self.temps);
            history.as_object_mut().map(|history| history.remove("busyFiles"));
            push.send(&json!({ "history": history })).await?;
            push.send(&json!({ "timelapse": null })).await?;
            let payload = json!({ "username": USER, "remoteAddress": "127.0.0.1" });
            let event = json!({ "type": "ClientAuthed", "payload": payload });
            return push.send(&json!({ "event": event })).await;
        }
        if let Some(throttle) = message["throttle"].as_u64() {
            self.throttle = u32::try_from(throttle).unwrap_or(1).clamp(1, 100);
        }
        Ok(())
    }

    async fn send_events(&mut self, push: &mut Push) -> Result<(), Closed> {
        if !self.allowed {
            return Ok(());
        }
        let seen = Seen::of(&self.door, Some(&self.seen));
        let events = self.seen.events(&seen);
        self.seen = seen;
        for (kind, payload) in events {
            push.send(&json!({ "event": { "type": kind, "payload": payload } })).await?;
        }
        Ok(())
    }

    async fn send_current(&mut self, push: &mut Push) -> Result<(), Closed> {
        if !self.allowed {
            return Ok(());
        }
        let current = self.door.current(&mut self.temps);
        push.send(&json!({ "current": current })).await
    }
}

/// What events are made of.
struct Seen {
    state: String,
    phase: Phase,
    prints: Vec<Seen1>,
    files: Arc<Vec<(String, SystemTime)>>,
    files_revision: u64,
    has_error: Option<String>,
}

/// One print.
#[derive(Clone, PartialEq)]
struct Seen1 {
    id: u32,
    path: String,
    end: Option<End>,
    pauses: usize,
    paused: bool,
    seconds: f64,
}

impl Seen {
    fn of(door: &Door, before: Option<&Self>) -> Self {
        let state = door.state_text();
        door.shared.tells(state == "Paused");
        door.shared.with(|engine| {
            // Only the last few can be new.
            let first = engine.records.len().saturating_sub(PRINTS_SEEN);
            let prints = engine.records[first..].iter().map(|record| Seen1 {
                id: record.id,
                path: record.print.file.clone(),
                end: record.print.ended.map(|(_, end)| end),
                pauses: record.print.pauses.len(),
                paused: record.print.pauses.last().is_some_and(|(_, until)| until.is_none()),
                seconds: record.printing.as_secs_f64(),
            });
            let files = before
                .filter(|before| before.files_revision == engine.files_revision)
                .map(|before| Arc::clone(&before.files));
            let all = || engine.files().iter().map(|(p, file)| (p.clone(), file.changed));
            Self {
                state,
                phase: engine.phase,
                prints: prints.collect(),
                files: files.unwrap_or_else(|| Arc::new(all().collect())),
                files_revision: engine.files_revision,
                has_error: engine
                    .trouble
                    .as_ref()
                    .filter(|_| has_error(engine))
                    .map(|t| t.text.clone()),
            }
        })
    }

    fn events(&self, new: &Self) -> Vec<(&'static str, Value)> {
        let mut events = Vec::new();
        for (path, _) in new.files.iter().filter(|file| !self.files.contains(file)) {
            events.push(("FileAdded", file_payload(path)));
        }
        for (path, _) in self.files.iter() {
            if !new.files.iter().any(|(other, _)| other == path) {
                events.push(("FileRemoved", file_payload(path)));
            }
        }
        if self.files != new.files {
            events.push(("UpdatedFiles", json!({ "type": "printables" })));
        }
        if new.has_error != self.has_error
            && let Some(text) = &new.has_error
        {
            events.push(("Error", json!({ "error": text, "reason": "firmware" })));
        }
        for print in &new.prints {
            let old = self.prints.iter().find(|old| old.id == print.id);
            print.events(old, &mut events);
        }
        if new.state != self.state || new.phase != self.phase {
            let id = match new.state.as_str() {
                "Operational" | "Printing" | "Pausing" | "Paused" | "Offline" => {
                    new.state.to_uppercase()
                }
                _ => "ERROR".to_owned(),
            };
            let payload = json!({ "state_id": id, "state_string": new.state });
            events.push(("PrinterStateChanged", payload));
        }
        events
    }
}

impl Seen1 {
    fn events(&self, old: Option<&Self>, events: &mut Vec<(&'static str, Value)>) {
        let payload = file_payload(&self.path);
        let pauses = old.map_or(0, |old| old.pauses);
        if old.is_none() {
            events.push(("PrintStarted", payload.clone()));
        }
        if self.pauses > pauses {
            events.push(("PrintPaused", payload.clone()));
        }
        let was_paused = old.is_some_and(|old| old.paused) || self.pauses > pauses;
        if was_paused && !self.paused && self.end.is_none() {
            events.push(("PrintResumed", payload.clone()));
        }
        if old.is_some_and(|old| old.end.is_some()) {
            return;
        }
        let mut payload = payload;
        payload["time"] = json!(self.seconds);
        match self.end {
            Some(End::Finished) => events.push(("PrintDone", payload)),
            Some(End::Cancelled) => {
                events.push(("PrintCancelled", payload.clone()));
                payload["reason"] = json!("cancelled");
                events.push(("PrintFailed", payload));
            }
            Some(End::Failed) => {
                payload["reason"] = json!("error");
                events.push(("PrintFailed", payload));
            }
            None => {}
        }
    }
}

fn file_payload(path: &str) -> Value {
    let name = path.rsplit('/').next();
    json!({ "name": name, "path": path, "origin": "local", "owner": USER, "user": USER })
}

/// At throttle 1.
const CURRENT_EVERY: Duration = Duration::from_millis(500);
/// OctoPrint asks an idle printer for its temperatures this often, and tells them.
const QUIET_MAX: Duration = Duration::from_secs(5);
const PRINTS_SEEN: usize = 16;
