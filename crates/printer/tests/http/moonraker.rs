//! Moonraker: a whole conversation with a fake, and an upload with its hash.

use crate::fake::{Fake, Watched, soon};
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use axum::{Json, Router};
use printer::files::Upload;
use printer::{Command, Phase, Protocol, Reason, Told};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

#[derive(Default)]
struct Klipper {
    /// The form of the upload.
    form: String,
    /// How many bytes it says it has.
    bytes: Option<u64>,
    deleted: usize,
    /// It cannot write.
    is_stuck: bool,
}

type Shared = Arc<Mutex<Klipper>>;

async fn fake(klipper: &Shared) -> Fake {
    let info = json!({"result": {
        "klippy_connected": true, "klippy_state": "ready", "moonraker_version": "v0.9.3"
    }});
    let settings = json!({"result": {"status": {"configfile": {"settings": {
        "extruder": {"nozzle_diameter": 0.4}, "extruder1": {"nozzle_diameter": 0.6}
    }}}}});
    let router = Router::new()
        // The one that everybody may see.
        .route("/server/info", get(move || async move { Json(info) }))
        .route("/printer/info", get(printer_info))
        .route("/printer/objects/query", get(move || async move { Json(settings) }))
        .route("/server/files/list", get(list))
        .route("/server/files/upload", post(upload))
        .route("/server/files/gcodes/{name}", any(delete))
        .route("/websocket", get(socket))
        .with_state(klipper.clone());
    Fake::new(router).await
}

async fn printer_info(headers: HeaderMap) -> Response {
    let is_known = headers.get("x-api-key").is_some_and(|key| key == "secret");
    let info = json!({"result": {"hostname": "voron", "software_version": "v0.12"}});
    if is_known { Json(info).into_response() } else { StatusCode::UNAUTHORIZED.into_response() }
}

async fn list(State(klipper): State<Shared>) -> Json<Value> {
    let bytes = klipper.lock().unwrap().bytes;
    let files = bytes.map(|size| json!({"path": "a b.gcode", "modified": 1.7e9, "size": size}));
    Json(json!({"result": files.into_iter().collect::<Vec<_>>()}))
}

async fn upload(State(klipper): State<Shared>, body: Bytes) -> (StatusCode, Json<Value>) {
    let mut klipper = klipper.lock().unwrap();
    if klipper.is_stuck {
        // As Moonraker 0.11 tells every exception.
        let error = json!({"error": {"code": 500, "message": "Internal Server Error",
            "traceback": "OSError: [Errno 28] No space left on device"}});
        return (StatusCode::INTERNAL_SERVER_ERROR, Json(error));
    }
    klipper.form = String::from_utf8(body.to_vec()).unwrap();
    klipper.bytes = klipper.bytes.or(Some(4));
    (StatusCode::CREATED, Json(json!({"item": {"path": "a b.gcode", "root": "gcodes"}})))
}

async fn delete(State(klipper): State<Shared>) -> &'static str {
    klipper.lock().unwrap().deleted += 1;
    "{}"
}

async fn socket(upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(converse)
}

async fn converse(mut socket: WebSocket) {
    // What is not understood is skipped.
    for junk in ["not json", "[]", "{\"method\": 5}", "{\"id\": \"x\", \"result\": null}"] {
        socket.send(Message::text(junk)).await.unwrap();
    }
    while let Some(Ok(Message::Text(text))) = socket.recv().await {
        let call: Value = serde_json::from_str(&text).unwrap();
        let result = match call["method"].as_str().unwrap() {
            "server.connection.identify" => {
                assert_eq!(call["params"]["api_key"], "secret");
                json!({"connection_id": 1})
            }
            "server.info" => json!({"klippy_connected": true, "klippy_state": "ready"}),
            "printer.info" => json!({"hostname": "voron", "software_version": "v0.12"}),
            "printer.objects.list" => json!({"objects": ["print_stats", "virtual_sdcard",
                "pause_resume", "extruder", "webhooks"]}),
            "printer.objects.subscribe" => json!({"eventtime": 1.0, "status": {
                "print_stats": {"state": "printing", "filename": "a.gcode", "print_duration": 5.0},
                "virtual_sdcard": {"progress": 0.1}, "pause_resume": {"is_paused": false},
                "extruder": {"temperature": 200.0, "target": 200.0}
            }}),
            "server.history.list" => json!({"count": 1, "jobs": [{
                "job_id": "00000A", "filename": "a.gcode", "status": "in_progress",
                "start_time": 1.7e9, "end_time": null
            }]}),
            "printer.print.pause" => {
                let delta = json!({"jsonrpc": "2.0", "method": "notify_status_update",
                    "params": [{"print_stats": {"state": "paused"}}, 2.0]});
                socket.send(Message::text(delta.to_string())).await.unwrap();
                json!("ok")
            }
            _ => {
                let error = json!({"jsonrpc": "2.0", "id": call["id"],
                    "error": {"code": 404, "message": "no"}});
                socket.send(Message::text(error.to_string())).await.unwrap();
                continue;
            }
        };
        let answer = json!({"jsonrpc": "2.0", "id": call["id"], "result": result});
        socket.send(Message::text(answer.to_string())).await.unwrap();
    }
}

#[tokio::test]
async fn a_print_is_watched_and_paused() {
    let fake = fake(&Shared::default()).await;
    let mut watched = Watched::new(fake.connection(Protocol::Moonraker));
    let state = watched.until(|state| state.job.as_ref().is_some_and(|job| job.id.is_some()));
    let state = state.await;
    assert_eq!((state.phase, state.identity.nozzles_um), (Phase::Printing, vec![400, 600]));
    let missing = Command::Start(Box::default());
    assert_eq!(watched.order(missing).await.unwrap_err().reason, Reason::Busy);
    watched.order(Command::Pause).await.unwrap();
    drop(fake);
    let error = soon(watched.over).await.unwrap();
    assert_eq!(error.reason, Reason::Lost, "{error}");
}

#[tokio::test]
async fn a_wrong_key_is_said_to_be_one() {
    let fake = fake(&Shared::default()).await;
    let mut connection = fake.connection(Protocol::Moonraker);
    assert!(soon(printer::probe(&connection)).await.is_ok());
    connection.secret = "wrong".into();
    let error = soon(printer::probe(&connection)).await.unwrap_err();
    assert_eq!(error.reason, Reason::WrongSecret);
    let watched = Watched::new(connection);
    assert_eq!(soon(watched.over).await.unwrap().reason, Reason::WrongSecret);
}

#[tokio::test]
async fn an_upload_carries_its_hash_and_is_compared() {
    let klipper = Shared::default();
    let fake = fake(&klipper).await;
    let connection = fake.connection(Protocol::Moonraker);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a");
    std::fs::write(&file, "G28\n").unwrap();
    let sha256 = "ab".repeat(32);
    let name = "a b.gcode";
    let mut upload = Upload { file: &file, name, bytes: 4, sha256: &sha256, replace: false };
    let (progress, _moves) = watch::channel(0);
    let there = soon(printer::files::upload(&connection, &upload, &progress)).await.unwrap();
    assert_eq!((there.path.as_str(), there.bytes), ("a b.gcode", Some(4)));
    let form = klipper.lock().unwrap().form.clone();
    assert!(form.contains("name=\"checksum\"\r\n\r\nabab"), "{form}");
    assert!(form.contains("filename=\"a b.gcode\"") && form.contains("\r\n\r\nG28\n\r\n--"));
    let again = soon(printer::files::upload(&connection, &upload, &progress)).await;
    assert_eq!(again.unwrap_err().reason, Reason::AlreadyThere);
    upload.replace = true;
    klipper.lock().unwrap().bytes = Some(3);
    let short = soon(printer::files::upload(&connection, &upload, &progress)).await;
    assert_eq!(short.unwrap_err().reason, Reason::Corrupt);
    assert_eq!(klipper.lock().unwrap().deleted, 1);
    klipper.lock().unwrap().is_stuck = true;
    let stuck = soon(printer::files::upload(&connection, &upload, &progress)).await.unwrap_err();
    assert_eq!(stuck.reason, Reason::Storage, "{stuck}");
}

#[tokio::test]
async fn nobody_listens_any_more() {
    let fake = fake(&Shared::default()).await;
    let mut watched = Watched::new(fake.connection(Protocol::Moonraker));
    assert!(matches!(watched.next().await, Told::State(_) | Told::Ended(_)));
    let over = watched.stop();
    assert_eq!(soon(over).await.unwrap().reason, Reason::Local);
}
