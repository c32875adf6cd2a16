//! PrusaLink: logins, empty answers, transfers.

use crate::fake::{Fake, Watched, soon};
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::{Json, Router};
use md5::{Digest, Md5};
use printer::files::Upload;
use printer::{Command, Outcome, Phase, Protocol, Reason, Told};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

/// What the fake does, and what was asked of it.
#[derive(Default)]
struct Prusa {
    /// Of `/api/v1/status`.
    state: String,
    files: BTreeMap<String, Vec<u8>>,
    asked: Vec<String>,
    /// Answers that a nonce is good for; 0 is no digest at all.
    nonce_uses: u32,
    nonce: u32,
    used: u32,
    /// How much of what is put is kept.
    keeps: usize,
    /// What a PUT is refused with.
    refuses: Option<u16>,
}

type Shared = Arc<Mutex<Prusa>>;

fn shared(state: &str) -> Shared {
    let prusa = Prusa { state: state.to_owned(), keeps: usize::MAX, ..Prusa::default() };
    Arc::new(Mutex::new(prusa))
}

async fn fake(prusa: &Shared) -> Fake {
    let router = Router::new()
        .route("/api/{*path}", any(api))
        .route("/usb/{name}", get(download))
        .with_state(prusa.clone());
    Fake::new(router).await
}

fn hash(text: String) -> String {
    data_encoding::HEXLOWER.encode(&Md5::digest(text.as_bytes()))
}

impl Prusa {
    fn login(&mut self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Option<Response> {
        if self.nonce_uses == 0 {
            let is_key = headers.get("x-api-key").is_some_and(|key| key == "secret");
            return (!is_key).then(|| StatusCode::UNAUTHORIZED.into_response());
        }
        let said = headers.get("authorization").and_then(|value| value.to_str().ok());
        let mut stale = false;
        if let Some(said) = said {
            assert!(!said.contains("qop") && !said.contains("algorithm"), "{said}");
            let nonce = format!("{:016x}", self.nonce);
            if !said.contains(&format!("nonce=\"{nonce}\"")) || self.used >= self.nonce_uses {
                stale = true;
            } else {
                let mine = hash("maker:Printer API:secret".to_owned());
                let what = hash(format!("{method}:{uri}"));
                let response = hash(format!("{mine}:{nonce}:{what}"));
                if said.contains(&format!("response=\"{response}\"")) {
                    self.used += 1;
                    return None;
                }
            }
        }
        self.nonce += 1;
        self.used = 0;
        let challenge =
            format!("Digest realm=\"Printer API\", nonce=\"{:016x}\", stale={stale}", self.nonce);
        Some((StatusCode::UNAUTHORIZED, [("www-authenticate", challenge)]).into_response())
    }

    fn put(&mut self, name: &str, headers: &HeaderMap, body: &Bytes) -> StatusCode {
        assert_eq!(headers["print-after-upload"], "?0");
        assert_eq!(headers["content-length"], body.len().to_string().as_str());
        if let Some(status) = self.refuses {
            return StatusCode::from_u16(status).unwrap();
        }
        if headers["overwrite"] == "?0" && self.files.contains_key(name) {
            return StatusCode::CONFLICT;
        }
        self.files.insert(name.to_owned(), body[..body.len().min(self.keeps)].to_vec());
        StatusCode::CREATED
    }

    fn entry(&self, name: &str) -> Option<Value> {
        let content = self.files.get(name)?;
        Some(json!({
            "name": name, "display_name": name, "type": "PRINT_FILE", "size": content.len(),
            "m_timestamp": 1_700_000_000, "read_only": false,
            "refs": {"download": format!("/usb/{name}")}
        }))
    }
}

async fn api(
    State(prusa): State<Shared>,
    method: Method,
    uri: Uri,
    Path(path): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut prusa = prusa.lock().unwrap();
    prusa.asked.push(format!("{method} {}", uri.path()));
    if let Some(refused) = prusa.login(&method, &uri, &headers) {
        return refused;
    }
    let file = path.strip_prefix("v1/files/usb/").map(str::to_owned);
    match (method.as_str(), path.as_str(), file) {
        ("GET", "version", _) => {
            Json(json!({"api": "2.0.0", "text": "PrusaLink", "hostname": "mini"})).into_response()
        }
        ("GET", "v1/info", _) => Json(json!({"serial": "CZ1"})).into_response(),
        ("GET", "v1/status", _) => Json(json!({
            "job": (prusa.state != "IDLE").then(|| json!({"id": 7, "progress": 50.0})),
            "storage": {"path": "/usb/", "name": "usb", "read_only": false},
            "printer": {"state": prusa.state, "temp_nozzle": 20.0, "target_nozzle": 0.0}
        }))
        .into_response(),
        // The status still has a job when the job's own details are gone.
        ("GET", "v1/job", _) => StatusCode::NO_CONTENT.into_response(),
        ("PUT", "v1/job/7/pause", _) => StatusCode::CONFLICT.into_response(),
        ("DELETE", "v1/job/7", _) => {
            prusa.state = "STOPPED".to_owned();
            StatusCode::NO_CONTENT.into_response()
        }
        ("GET", "v1/storage", _) => Json(json!({"storage_list": [
            {"path": "/usb/", "name": "usb", "type": "USB", "read_only": false, "available": true}
        ]}))
        .into_response(),
        ("GET", "v1/files/usb", _) => {
            let children = prusa.files.keys().filter_map(|name| prusa.entry(name));
            let children: Vec<_> = children.collect();
            Json(json!({"type": "FOLDER", "name": "usb", "children": children})).into_response()
        }
        ("GET", _, Some(name)) => match prusa.entry(&name) {
            Some(entry) => Json(entry).into_response(),
            None => StatusCode::NOT_FOUND.into_response(),
        },
        ("PUT", _, Some(name)) => prusa.put(&name, &headers, &body).into_response(),
        ("DELETE", _, Some(name)) => match prusa.files.remove(&name) {
            Some(_) => StatusCode::NO_CONTENT.into_response(),
            None => StatusCode::NOT_FOUND.into_response(),
        },
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn download(
    State(prusa): State<Shared>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Response {
    let content = prusa.lock().unwrap().files[&name].clone();
    let range = headers.get("range").and_then(|range| range.to_str().ok());
    let from =
        range.and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    let Some(from) = from else { return Body::from(content).into_response() };
    let from: usize = from;
    let range = format!("bytes {from}-{}/{}", content.len() - 1, content.len());
    let rest = content[from..].to_vec();
    (StatusCode::PARTIAL_CONTENT, [("content-range", range)], rest).into_response()
}

#[tokio::test]
async fn a_key_or_a_password_lets_us_in() {
    let prusa = shared("IDLE");
    let fake = fake(&prusa).await;
    let mut connection = fake.connection(Protocol::PrusaLink);
    let found = soon(printer::probe(&connection)).await.unwrap();
    assert_eq!(found.identity.serial_number, Some("CZ1".into()));
    prusa.lock().unwrap().nonce_uses = 1000;
    connection.user = "maker".to_owned();
    prusa.lock().unwrap().asked.clear();
    soon(printer::probe(&connection)).await.unwrap();
    // One challenge, then the nonce is used again.
    assert_eq!(prusa.lock().unwrap().asked.len(), 3);
    for (user, secret) in [("", "secret"), ("maker", "wrong"), ("other", "secret")] {
        connection.user = user.to_owned();
        connection.secret = secret.into();
        let error = soon(printer::probe(&connection)).await.unwrap_err();
        assert_eq!(error.reason, Reason::WrongSecret, "{user} {secret}");
        assert!(!error.message.contains(secret));
    }
}

#[tokio::test]
async fn a_stale_nonce_is_replaced() {
    let prusa = shared("PRINTING");
    prusa.lock().unwrap().nonce_uses = 1;
    let fake = fake(&prusa).await;
    let mut connection = fake.connection(Protocol::PrusaLink);
    connection.user = "maker".to_owned();
    prusa.lock().unwrap().files.insert("a.gcode".to_owned(), b"G28\n".to_vec());
    let files = soon(printer::files::list(&connection)).await.unwrap();
    assert_eq!((files.len(), files[0].path.as_str()), (1, "/usb/a.gcode"));
    assert_eq!(fake.accepted(), 1, "a refusal does not cost the connection");
}

#[tokio::test]
async fn a_print_without_details_is_watched_and_stopped() {
    let prusa = shared("PRINTING");
    let fake = fake(&prusa).await;
    let mut watched = Watched::new(fake.connection(Protocol::PrusaLink));
    let state = watched.until(|state| state.phase == Phase::Printing).await;
    assert_eq!(state.job.unwrap().id, Some("7".into()));
    let error = watched.order(Command::Pause).await.unwrap_err();
    assert_eq!(error.reason, Reason::Busy);
    let start = Command::Start(Box::default());
    assert_eq!(watched.order(start).await.unwrap_err().reason, Reason::Busy);
    let clear = watched.order(Command::Clear).await.unwrap_err();
    assert_eq!(clear.reason, Reason::Unable);
    watched.order(Command::Stop).await.unwrap();
    watched.until(|state| state.phase == Phase::Stopped).await;
    let Told::Ended(past) = watched.next().await else { panic!("no end") };
    assert_eq!((past[0].id.clone(), past[0].outcome), (Some("7".into()), Outcome::Cancelled));
    assert_eq!(fake.accepted(), 1, "one connection for all of it");
    let asked = prusa.lock().unwrap().asked.clone();
    assert!(!asked.iter().any(|asked| asked.starts_with("POST")), "{asked:?}");
}

#[tokio::test]
async fn a_print_that_stands_still_is_heard_all_the_same() {
    let fake = fake(&shared("PAUSED")).await;
    let mut watched = Watched::new(fake.connection(Protocol::PrusaLink));
    watched.until(|state| state.phase == Phase::Paused).await;
    assert_eq!(watched.next().await, Told::Still);
}

#[tokio::test]
async fn a_file_goes_there_and_back() {
    let prusa = shared("IDLE");
    let fake = fake(&prusa).await;
    let connection = fake.connection(Protocol::PrusaLink);
    let folder = tempfile::tempdir().unwrap();
    let content: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
    let file = folder.path().join("part one.gcode");
    std::fs::write(&file, &content).unwrap();
    let bytes = content.len() as u64;
    let name = "part one.gcode";
    let mut upload = Upload { file: &file, name, bytes, sha256: "", replace: false };
    let (progress, moves) = watch::channel(0);
    let there = soon(printer::files::upload(&connection, &upload, &progress)).await.unwrap();
    assert_eq!((there.path.as_str(), there.bytes), ("/usb/part one.gcode", Some(bytes)));
    assert_eq!(*moves.borrow(), bytes);
    let again = soon(printer::files::upload(&connection, &upload, &progress)).await;
    assert_eq!(again.unwrap_err().reason, Reason::AlreadyThere);
    upload.replace = true;
    soon(printer::files::upload(&connection, &upload, &progress)).await.unwrap();

    // The first half is here already.
    let into = folder.path().join("back");
    std::fs::write(&into, &content[..200_000]).unwrap();
    let (progress, moves) = watch::channel(0);
    let got = printer::files::download(&connection, &there.path, &into, 200_000, &progress);
    assert_eq!(soon(got).await.unwrap(), bytes);
    assert_eq!(*moves.borrow(), bytes);
    assert_eq!(std::fs::read(&into).unwrap(), content);

    soon(printer::files::delete(&connection, &there.path)).await.unwrap();
    let gone = soon(printer::files::delete(&connection, &there.path)).await.unwrap_err();
    assert_eq!(gone.reason, Reason::NotFound);
    let got = printer::files::download(&connection, &there.path, &into, 0, &progress);
    assert_eq!(soon(got).await.unwrap_err().reason, Reason::NotFound);
}

#[tokio::test]
async fn every_refusal_of_an_upload_has_its_reason() {
    let prusa = shared("IDLE");
    let fake = fake(&prusa).await;
    let connection = fake.connection(Protocol::PrusaLink);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a");
    std::fs::write(&file, "G28\n").unwrap();
    let upload = Upload { file: &file, name: "a.gcode", bytes: 4, sha256: "", replace: true };
    let (progress, _moves) = watch::channel(0);
    for (status, reason) in [
        (400, Reason::Corrupt),
        (403, Reason::Unacceptable),
        (409, Reason::Busy),
        (411, Reason::Unacceptable),
        (415, Reason::Unacceptable),
        (422, Reason::Unacceptable),
        (431, Reason::Unacceptable),
        (507, Reason::Storage),
    ] {
        prusa.lock().unwrap().refuses = Some(status);
        let refused = soon(printer::files::upload(&connection, &upload, &progress)).await;
        assert_eq!(refused.unwrap_err().reason, reason, "{status}");
    }
    {
        let mut prusa = prusa.lock().unwrap();
        prusa.refuses = None;
        prusa.keeps = 2;
    }
    let short = soon(printer::files::upload(&connection, &upload, &progress)).await;
    assert_eq!(short.unwrap_err().reason, Reason::Corrupt);
    // And nothing of that name is left.
    assert!(prusa.lock().unwrap().files.is_empty());
    let model = Upload { name: "a.stl", ..upload.clone() };
    let refused = soon(printer::files::upload(&connection, &model, &progress)).await;
    assert_eq!(refused.unwrap_err().reason, Reason::Unacceptable);
    let grown = Upload { bytes: 3, ..upload };
    let refused = soon(printer::files::upload(&connection, &grown, &progress)).await;
    assert_eq!(refused.unwrap_err().reason, Reason::Local);
}
