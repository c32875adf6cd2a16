//! The API over its three doors: loopback, the Unix socket, and a peer's stream.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use hub::view::{NewGrant, Role};
use hub::{Caller, Config, Hub};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use web::Web;

const LOCAL: Caller = Caller::Local;

struct Served {
    hub: Hub,
    web: Web,
    data: TempDir,
}

async fn serve(name: &str, simulated: Vec<Arc<sim::Simulated>>) -> Served {
    let data = TempDir::new().unwrap();
    let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let config = Config {
        bind: Some(anywhere),
        simulated,
        ..Config::new(data.path(), name.parse().unwrap())
    };
    let hub = Hub::start(config).await.unwrap();
    let web = web::serve(hub.clone(), anywhere, &data.path().join("hub.sock")).await.unwrap();
    Served { hub, web, data }
}

/// One request over a stream: status and body.
async fn ask(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: Request<Body>,
) -> (StatusCode, Value) {
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let answer = sender.send_request(request).await.unwrap();
    let status = answer.status();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

fn request(method: Method, path: &str, host: &str, body: Option<Value>) -> Request<Body> {
    let request = Request::builder().method(method).uri(path).header(header::HOST, host);
    match body {
        Some(body) => request
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_string()))
            .unwrap(),
        None => request.body(Body::empty()).unwrap(),
    }
}

impl Served {
    async fn loopback(&self, request: Request<Body>) -> (StatusCode, Value) {
        ask(TcpStream::connect(self.web.address).await.unwrap(), request).await
    }

    async fn socket(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let socket = UnixStream::connect(self.data.path().join("hub.sock")).await.unwrap();
        ask(socket, request(method, path, "hub", body)).await
    }

    fn host(&self) -> String {
        self.web.address.to_string()
    }
}

#[tokio::test]
async fn loopback_answers_its_own_pages_only() {
    let served = serve("desk", vec![]).await;
    let (status, state) =
        served.loopback(request(Method::GET, "/api/v1/state", &served.host(), None)).await;
    assert_eq!((status, &state["hub"]["name"]), (StatusCode::OK, &json!("desk")));

    let rebound = request(Method::GET, "/api/v1/state", "evil.example", None);
    assert_eq!(served.loopback(rebound).await.0, StatusCode::FORBIDDEN);
    let mut foreign = request(Method::POST, "/api/v1/invites", &served.host(), Some(json!({})));
    foreign.headers_mut().insert(header::ORIGIN, "http://evil.example".parse().unwrap());
    assert_eq!(served.loopback(foreign).await.0, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn what_is_wrong_is_said_as_json() {
    let served = serve("desk", vec![]).await;
    let (status, body) = served.socket(Method::GET, "/api/v1/nothing", None).await;
    assert_eq!((status, &body["error"]["code"]), (StatusCode::NOT_FOUND, &json!("not_found")));
    let typo = Some(json!({"adress": "garage/disk"}));
    let (status, body) = served.socket(Method::POST, "/api/v1/attachments", typo).await;
    assert_eq!((status, &body["error"]["code"]), (StatusCode::BAD_REQUEST, &json!("bad_request")));
    let unknown = Some(json!({"address": "garage/disk"}));
    let (status, body) = served.socket(Method::POST, "/api/v1/attachments", unknown).await;
    assert_eq!((status, &body["error"]["code"]), (StatusCode::NOT_FOUND, &json!("not_found")));
    assert!(body["error"]["hint"].is_string());
    for query in ["/api/v1/audit?wo=local", "/api/v1/shop/jobs?limit=many", "/api/v1/shop/jobs?x=1"]
    {
        let (status, body) = served.socket(Method::GET, query, None).await;
        let code = &body["error"]["code"];
        assert_eq!((status, code), (StatusCode::BAD_REQUEST, &json!("bad_request")), "{query}");
    }
    let several = "/api/v1/shop/jobs?printer=a&printer=b%2Fc&search=M%C3%A4x+1%25";
    let (status, page) = served.socket(Method::GET, several, None).await;
    assert_eq!((status, &page["total"]), (StatusCode::OK, &json!(0)));
}

#[tokio::test]
async fn one_hub_shows_and_drives_another_under_its_grants() {
    let disk = Arc::new(sim::Simulated::disk(1, 8 << 20));
    let garage = serve("garage", vec![disk]).await;
    let office = serve("office", vec![]).await;
    let invite = Some(json!({"expires_s": 60, "grants": [{"selector": "*", "role": "use"}]}));
    let (_, invite) = garage.socket(Method::POST, "/api/v1/invites", invite).await;
    assert!(invite["qr_svg"].as_str().unwrap().starts_with("<svg"));
    let ticket = Some(json!({"ticket": invite["ticket"]}));
    let (status, peer) = office.socket(Method::POST, "/api/v1/pair", ticket).await;
    assert_eq!((status, &peer["name"]), (StatusCode::OK, &json!("garage")));

    let mut changes = office.hub.changes();
    let connected = async {
        while !office.hub.state(LOCAL).peers[0].online {
            changes.changed().await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(20), connected).await.unwrap();

    let garages = "/api/v1/hubs/garage/api/v1";
    let share = format!("{garages}/devices/sim-1/share");
    let (status, refused) = office.socket(Method::POST, &share, Some(json!({}))).await;
    assert_eq!((status, &refused["error"]["code"]), (StatusCode::FORBIDDEN, &json!("refused")));

    let admin = NewGrant { selector: "*".into(), role: Role::Admin, ..NewGrant::default() };
    garage.hub.grant(LOCAL, "office", admin).await.unwrap();
    let named = Some(json!({"name": "disk"}));
    let (status, device) = office.socket(Method::POST, &share, named).await;
    assert_eq!((status, &device["address"]), (StatusCode::OK, &json!("garage/disk")));
    let (_, state) = office.socket(Method::GET, &format!("{garages}/state"), None).await;
    assert_eq!(state["devices"].as_array().unwrap().len(), 1);
    assert_eq!(state["peers"][0]["name"], "office", "who manages sees all");
}

/// The next event, its name and what it says.
async fn event(body: &mut hyper::body::Incoming, text: &mut String) -> (String, Value) {
    let read = async {
        loop {
            if let Some((one, rest)) = text.split_once("\n\n") {
                let (one, rest) = (one.to_owned(), rest.to_owned());
                *text = rest;
                let of = |key: &str| one.lines().find_map(|line| line.strip_prefix(key));
                if let Some((name, data)) = of("event: ").zip(of("data: ")) {
                    return (name.to_owned(), serde_json::from_str(data).unwrap());
                }
                continue;
            }
            let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
            text.push_str(std::str::from_utf8(&frame).unwrap());
        }
    };
    tokio::time::timeout(Duration::from_secs(20), read).await.unwrap()
}

#[tokio::test]
async fn who_looks_at_printers_sees_what_the_grants_say_now() {
    let (garage, office) = (serve("garage", vec![]).await, serve("office", vec![]).await);
    let new = json!({"protocol": "moonraker", "host": "127.0.0.7", "port": 9, "title": "MK4"});
    let (status, _) = garage.socket(Method::POST, "/api/v1/printers", Some(new)).await;
    assert_eq!(status, StatusCode::CREATED);
    let invite = Some(json!({"expires_s": 60, "grants": [{"selector": "*", "role": "admin"}]}));
    let (_, invite) = garage.socket(Method::POST, "/api/v1/invites", invite).await;
    let ticket = Some(json!({"ticket": invite["ticket"]}));
    assert_eq!(office.socket(Method::POST, "/api/v1/pair", ticket).await.0, StatusCode::OK);
    let mut changes = office.hub.changes();
    let connected = async {
        while !office.hub.state(LOCAL).peers[0].online {
            changes.changed().await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(20), connected).await.unwrap();

    let socket = UnixStream::connect(office.data.path().join("hub.sock")).await.unwrap();
    let (mut sender, connection) = handshake(TokioIo::new(socket)).await.unwrap();
    tokio::spawn(connection);
    let path = "/api/v1/hubs/garage/api/v1/printers/events";
    let events = request(Method::GET, path, "hub", None);
    let mut body = sender.send_request(events).await.unwrap().into_body();
    let mut text = String::new();
    let mut shown = async || loop {
        let (name, data) = event(&mut body, &mut text).await;
        if name == "printers" {
            return data["printers"].as_array().unwrap().clone();
        }
    };
    assert_eq!(shown().await[0]["address"]["host"], "127.0.0.7", "who manages sees all");

    garage.hub.revoke(LOCAL, "office", None).await.unwrap();
    assert!(shown().await.is_empty(), "nothing is granted any more");
    let view = NewGrant { selector: "printers".into(), role: Role::View, ..NewGrant::default() };
    garage.hub.grant(LOCAL, "office", view).await.unwrap();
    let printers = shown().await;
    assert_eq!(
        (&printers[0]["title"], &printers[0]["address"]["host"]),
        (&json!("MK4"), &json!(""))
    );
    assert!(!json!(printers).to_string().contains("127.0.0.7"), "{printers:?}");
}

#[tokio::test]
async fn the_audit_log_is_read_and_checked() {
    let served = serve("desk", vec![Arc::new(sim::Simulated::disk(1, 8 << 20))]).await;
    let mut changes = served.hub.changes();
    while served.hub.state(LOCAL).devices.is_empty() {
        changes.changed().await.unwrap();
    }
    let named = Some(json!({"name": "disk"}));
    served.socket(Method::POST, "/api/v1/devices/sim-1/share", named).await;
    let (status, page) = served.socket(Method::GET, "/api/v1/audit?device=disk", None).await;
    assert_eq!((status, &page["entries"][0]["action"]), (StatusCode::OK, &json!("device.share")));
    let (_, page) = served.socket(Method::GET, "/api/v1/audit?who=local&limit=1", None).await;
    assert_eq!((page["entries"].as_array().unwrap().len(), &page["more"]), (1, &json!(true)));
    let (_, check) = served.socket(Method::GET, "/api/v1/audit/check", None).await;
    assert_eq!((&check["entries"], &check["broken"]), (&json!(2), &Value::Null));
    for wrong in ["since=yesterday", "who=nobody", "wo=local"] {
        let path = format!("/api/v1/audit?{wrong}");
        assert!(served.socket(Method::GET, &path, None).await.0.is_client_error(), "{wrong}");
    }
}

#[tokio::test]
async fn events_begin_with_the_state() {
    let served = serve("desk", vec![]).await;
    let socket = UnixStream::connect(served.data.path().join("hub.sock")).await.unwrap();
    let (mut sender, connection) = handshake(TokioIo::new(socket)).await.unwrap();
    tokio::spawn(connection);
    let events = request(Method::GET, "/api/v1/events", "hub", None);
    let mut body = sender.send_request(events).await.unwrap().into_body();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    let text = String::from_utf8(first.to_vec()).unwrap();
    assert!(text.starts_with("event: state\ndata: {\"hub\":"), "{text}");
}

#[test]
fn the_description_names_every_path() {
    let description = serde_json::to_value(web::openapi()).unwrap();
    let paths = description["paths"].as_object().unwrap();
    for path in [
        "/api/v1/state",
        "/api/v1/events",
        "/api/v1/devices/{device}/share",
        "/api/v1/attachments/{hub}/{device}",
        "/api/v1/peers/{name}/grants",
        "/api/v1/peers/{name}/path",
        "/api/v1/peers/{name}/bench",
        "/api/v1/pair",
        "/api/v1/unlock",
        "/api/v1/asked",
        "/api/v1/requests/{number}/accept",
        "/api/v1/devices/{device}/handover",
        "/api/v1/audit",
        "/api/v1/audit/check",
        "/api/v1/pairings/{id}/accept",
        "/api/v1/peers/{name}/addresses",
        "/api/v1/login",
        "/api/v1/web/sessions/{id}",
    ] {
        assert!(paths.contains_key(path), "{path}");
    }
    assert!(description["components"]["schemas"]["DeviceState"].is_object());
}
