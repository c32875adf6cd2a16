//! OctoPrint: the push, polls without it, and asking for a key.

use crate::fake::{Fake, Watched, soon};
use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use printer::{Command, Outcome, Phase, Protocol, Reason, Told};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

#[derive(Default)]
struct Octo {
    has_push: bool,
    is_paused: bool,
    asked: Vec<(String, Value)>,
    /// Answers to the request for a key, the last first.
    decisions: Vec<u16>,
}

type Shared = Arc<Mutex<Octo>>;

async fn fake(octo: &Shared) -> Fake {
    let router = Router::new().route("/sockjs/websocket", get(socket));
    Fake::new(router.fallback(api).with_state(octo.clone())).await
}

async fn api(
    State(octo): State<Shared>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: String,
) -> Response {
    let mut octo = octo.lock().unwrap();
    let body: Value = serde_json::from_str(&body).unwrap_or_default();
    let ask = format!("{method} {}", uri.path());
    octo.asked.push((ask.clone(), body));
    if !uri.path().starts_with("/plugin/appkeys")
        && headers.get("x-api-key").is_none_or(|key| key != "secret")
    {
        return StatusCode::FORBIDDEN.into_response();
    }
    match ask.as_str() {
        "GET /api/version" => {
            Json(json!({"api": "0.1", "text": "OctoPrint 1.11.8"})).into_response()
        }
        "GET /api/printerprofiles" => StatusCode::FORBIDDEN.into_response(),
        "POST /api/login" => Json(json!({"name": "farm", "session": "abc"})).into_response(),
        "GET /api/printer" => Json(json!({
            "temperature": {"tool0": {"actual": 200.0, "target": 200.0}},
            "state": {"text": "x", "flags": {
                "operational": true, "printing": !octo.is_paused, "paused": octo.is_paused
            }}
        }))
        .into_response(),
        "GET /api/job" => Json(json!({
            "job": {"file": {"name": "a.gcode", "path": "a.gcode", "origin": "local"}},
            "progress": {"completion": 10.0, "printTime": 5, "printTimeLeft": 45}
        }))
        .into_response(),
        "POST /api/job" => {
            octo.is_paused = true;
            StatusCode::NO_CONTENT.into_response()
        }
        "GET /plugin/appkeys/probe" => StatusCode::NO_CONTENT.into_response(),
        "POST /plugin/appkeys/request" => {
            (StatusCode::CREATED, Json(json!({"app_token": "T0k3n"}))).into_response()
        }
        "GET /plugin/appkeys/request/T0k3n" => {
            let status = octo.decisions.pop().unwrap_or(404);
            let key = (status == 200).then(|| json!({"api_key": "granted"}));
            (StatusCode::from_u16(status).unwrap(), Json(key)).into_response()
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn socket(State(octo): State<Shared>, upgrade: WebSocketUpgrade) -> Response {
    if !octo.lock().unwrap().has_push {
        return StatusCode::NOT_FOUND.into_response();
    }
    upgrade.on_upgrade(push)
}

async fn push(mut socket: WebSocket) {
    let Some(Ok(Message::Text(login))) = socket.recv().await else { return };
    assert_eq!(serde_json::from_str::<Value>(&login).unwrap(), json!({"auth": "farm:abc"}));
    let current = json!({"current": {
        "state": {"text": "Printing", "flags": {"operational": true, "printing": true}},
        "job": {"file": {"name": "pushed.gcode", "path": "pushed.gcode", "origin": "local"}},
        "progress": {"completion": 99.0, "printTime": 100}, "serverTime": 1.7e9,
        "temps": [{"tool0": {"actual": 210.0, "target": 210.0}}]
    }});
    let done = json!({"event": {"type": "PrintDone", "payload": {
        "name": "pushed.gcode", "path": "pushed.gcode", "origin": "local", "time": 101.5
    }}});
    let rest = json!({"current": {
        "state": {"text": "Operational", "flags": {"operational": true, "ready": true}},
        "progress": {"completion": 100.0, "printTime": 101}
    }});
    for message in [current, json!({"reauthRequired": {"reason": "stale"}}), done, rest] {
        socket.send(Message::text(message.to_string())).await.unwrap();
    }
    while let Some(Ok(_)) = socket.recv().await {}
}

#[tokio::test]
async fn the_push_tells_of_a_print_and_its_end() {
    let octo = Arc::new(Mutex::new(Octo { has_push: true, ..Octo::default() }));
    let fake = fake(&octo).await;
    let mut watched = Watched::new(fake.connection(Protocol::OctoPrint));
    let (mut ended, mut finished) = (false, false);
    while !(ended && finished) {
        match watched.next().await {
            Told::State(state) => {
                finished = state.phase == Phase::Finished;
            }
            Told::Ended(past) => {
                assert_eq!((past[0].outcome, past[0].printed_s), (Outcome::Finished, Some(101)));
                assert_eq!(past[0].ended_us, 1_700_000_000_000_000);
                ended = true;
            }
            Told::Still | Told::Files | Told::Certificate(_) => {}
        }
    }
    let asked = octo.lock().unwrap().asked.clone();
    // Once to begin with, and once when it was asked to.
    assert_eq!(asked.iter().filter(|(ask, _)| ask == "POST /api/login").count(), 2);
}

#[tokio::test]
async fn without_a_push_it_is_polled() {
    let octo = Shared::default();
    let fake = fake(&octo).await;
    let mut watched = Watched::new(fake.connection(Protocol::OctoPrint));
    watched.until(|state| state.phase == Phase::Printing).await;
    watched.order(Command::Pause).await.unwrap();
    watched.until(|state| state.phase == Phase::Paused).await;
    let asked = octo.lock().unwrap().asked.clone();
    let pause = json!({"command": "pause", "action": "pause"});
    assert!(asked.contains(&("POST /api/job".to_owned(), pause)));
}

#[tokio::test]
async fn a_push_that_could_not_be_had_is_tried_again() {
    let octo = Shared::default();
    let fake = fake(&octo).await;
    let mut watched = Watched::new(fake.connection(Protocol::OctoPrint));
    watched.until(|state| state.phase == Phase::Printing).await;
    octo.lock().unwrap().has_push = true;
    let is_pushed = |state: &printer::PrinterState| {
        state.job.as_ref().is_some_and(|job| job.name.as_str() == "pushed.gcode")
    };
    soon(watched.until(is_pushed)).await;
}

#[tokio::test]
async fn a_wrong_key_is_said_to_be_one() {
    let fake = fake(&Shared::default()).await;
    let mut connection = fake.connection(Protocol::OctoPrint);
    connection.secret = "wrong".into();
    let error = soon(printer::probe(&connection)).await.unwrap_err();
    assert_eq!(error.reason, Reason::WrongSecret);
    let watched = Watched::new(connection);
    assert_eq!(soon(watched.over).await.unwrap().reason, Reason::WrongSecret);
}

#[tokio::test]
async fn a_key_is_asked_for() {
    let octo = Shared::default();
    let fake = fake(&octo).await;
    let connection = fake.connection(Protocol::OctoPrint);
    octo.lock().unwrap().decisions = vec![200, 202];
    let key = soon(printer::appkey::request_key(&connection)).await.unwrap();
    assert_eq!(key.expose(), "granted");
    octo.lock().unwrap().decisions = vec![404, 202];
    let denied = soon(printer::appkey::request_key(&connection)).await.unwrap_err();
    assert_eq!(denied.reason, Reason::ReadOnly);
    let asked = octo.lock().unwrap().asked.clone();
    assert!(asked.contains(&("POST /plugin/appkeys/request".to_owned(), json!({"app": "farhub"}))));
}
