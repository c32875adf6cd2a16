//! A web UI that is open to the network: over real TLS, to a browser that pins the fingerprint.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use hub::view::{Grant, Role};
use hub::{Caller, Config, Hub};
use hyper::body::Incoming;
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use web::{Error, Front, Login, Web};

const PASSWORD: &str = "correct horse";
const LIMIT: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

struct Served {
    hub: Hub,
    web: Web,
    data: TempDir,
}

async fn hub(name: &str) -> (Hub, TempDir) {
    let data = TempDir::new().unwrap();
    let config = Config {
        data: data.path().to_owned(),
        name: name.parse().unwrap(),
        bind: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
        relays: vec![],
        lookup: None,
        offline: false,
        only: hub::Kinds::ALL,
        grace: hub::Grace::default(),
        discovery: hub::Discovery::Off,
        simulated: vec![],
        real: false,
        demo: false,
    };
    (Hub::start(config).await.unwrap(), data)
}

/// Open to the network, as far as a test can be.
async fn open() -> Served {
    let (hub, data) = hub("secret-name").await;
    hub.set_web_password(PASSWORD.into()).await.unwrap();
    let front = Front { hosts: vec!["garage.example".into()], ..everywhere().into() };
    let web = web::serve(hub.clone(), front, &data.path().join("hub.sock")).await.unwrap();
    Served { hub, web, data }
}

fn everywhere() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))
}

/// Takes one certificate and no other.
#[derive(Debug)]
struct Pinned(String, Arc<CryptoProvider>);

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let seen: Vec<_> =
            Sha256::digest(certificate).iter().map(|byte| format!("{byte:02X}")).collect();
        if seen.join(":") == self.0 {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(rustls::Error::General("another certificate".into()))
        }
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.3 only".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.1.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.1.signature_verification_algorithms.supported_schemes()
    }
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
    text: String,
}

type TlsStream = tokio_rustls::client::TlsStream<TcpStream>;

impl Served {
    fn near(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.web.address.port()).into()
    }

    async fn tls(&self, fingerprint: &str) -> std::io::Result<TlsStream> {
        let provider = Arc::new(ring::default_provider());
        let pinned = Pinned(fingerprint.to_owned(), provider.clone());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(pinned))
            .with_no_client_auth();
        let tcp = TcpStream::connect(self.near()).await.unwrap();
        let name = ServerName::try_from("garage.example").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, tcp).await
    }

    async fn send(&self, request: Request<Body>) -> hyper::Response<Incoming> {
        let tls = self.tls(&self.web.tls.as_ref().unwrap().fingerprint).await.unwrap();
        let (mut sender, connection) = handshake(TokioIo::new(tls)).await.unwrap();
        tokio::spawn(connection);
        sender.send_request(request).await.unwrap()
    }

    async fn ask(&self, request: Request<Body>) -> Answer {
        read(self.send(request).await).await
    }

    /// As our own page asks.
    fn request(&self, method: Method, path: &str, cookie: Option<&str>) -> Request<Body> {
        self.with_body(method, path, cookie, &Value::Null)
    }

    fn with_body(
        &self,
        method: Method,
        path: &str,
        cookie: Option<&str>,
        body: &Value,
    ) -> Request<Body> {
        let host = self.near().to_string();
        let mut request = Request::builder().method(method).uri(path);
        if let Some(cookie) = cookie {
            request = request.header(header::COOKIE, cookie);
        }
        request
            .header(header::ORIGIN, format!("https://{host}"))
            .header(header::HOST, host)
            .header(header::CONTENT_TYPE, "application/json")
            .header("farhub-request", "1")
            .body(if body.is_null() { Body::empty() } else { Body::from(body.to_string()) })
            .unwrap()
    }

    async fn login(&self, password: &str, cookie: Option<&str>) -> Answer {
        let body = json!({ "password": password });
        self.ask(self.with_body(Method::POST, "/api/v1/login", cookie, &body)).await
    }

    /// The cookie of a new session.
    async fn logged_in(&self) -> String {
        cookie_of(&self.login(PASSWORD, None).await)
    }

    async fn status(&self, path: &str, cookie: &str) -> StatusCode {
        self.ask(self.request(Method::GET, path, Some(cookie))).await.status
    }

    async fn socket(&self, method: Method, path: &str, body: Value) -> Answer {
        let socket = UnixStream::connect(self.data.path().join("hub.sock")).await.unwrap();
        let (mut sender, connection) = handshake(TokioIo::new(socket)).await.unwrap();
        tokio::spawn(connection);
        let request = Request::builder().method(method).uri(path).header(header::HOST, "hub");
        let request = request.header(header::CONTENT_TYPE, "application/json");
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        read(sender.send_request(request.body(body).unwrap()).await.unwrap()).await
    }

    /// A person opens the page, or does something.
    async fn acts(&self, cookie: &str) {
        let session = self.request(Method::GET, "/api/v1/session", Some(cookie));
        assert_eq!(self.ask(session).await.body["login"], "done");
    }

    /// The live feed of a page: after its first event.
    async fn feed(&self, cookie: &str) -> Incoming {
        let events = self.request(Method::GET, "/api/v1/events", Some(cookie));
        let mut body = self.send(events).await.into_body();
        let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert!(first.starts_with(b"event: state"), "{first:?}");
        body
    }

    async fn audited(&self) -> Vec<String> {
        let file = format!("sqlite:{}", self.data.path().join("farhub.db").display());
        let db = sqlx::SqlitePool::connect(&file).await.unwrap();
        let sql = "SELECT action FROM audit WHERE action LIKE 'web.%' ORDER BY seq";
        sqlx::query_scalar(sql).fetch_all(&db).await.unwrap()
    }
}

async fn read(answer: hyper::Response<Incoming>) -> Answer {
    let (parts, body) = answer.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let body = serde_json::from_str(&text).unwrap_or(Value::Null);
    Answer { status: parts.status, headers: parts.headers, body, text }
}

fn cookie_of(answer: &Answer) -> String {
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    let set = answer.headers[header::SET_COOKIE].to_str().unwrap();
    set.split(';').next().unwrap().to_owned()
}

/// Everything until the end of a stream, which must come.
async fn ends(mut body: Incoming) {
    let rest = async { while let Some(Ok(_)) = body.frame().await {} };
    tokio::time::timeout(LIMIT, rest).await.expect("the stream goes on");
}

/// Time passes, and nothing waits for it.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

#[tokio::test]
async fn the_network_needs_a_password() {
    let (hub, data) = hub("desk").await;
    let socket = data.path().join("hub.sock");
    let refused = web::serve(hub.clone(), everywhere(), &socket).await;
    assert!(matches!(refused, Err(Error::NoPassword(_))));
    let near = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let always = Front { login: Login::Always, ..near.into() };
    let refused = web::serve(hub.clone(), always.clone(), &socket).await;
    assert!(matches!(refused, Err(Error::NoPassword(_))));
    assert!(web::serve(hub.clone(), near, &socket).await.unwrap().tls.is_none());

    hub.set_web_password(PASSWORD.into()).await.unwrap();
    assert!(web::serve(hub.clone(), everywhere(), &socket).await.unwrap().tls.is_some());
    assert!(web::serve(hub, always, &socket).await.unwrap().tls.is_none());
}

#[tokio::test]
async fn behind_a_proxy_loopback_asks_too() {
    let (hub, data) = hub("desk").await;
    let near = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let front = Front { hosts: vec!["garage.example".into()], ..near.into() };
    let socket = data.path().join("hub.sock");
    let refused = web::serve(hub.clone(), front.clone(), &socket).await;
    assert!(matches!(refused, Err(Error::NoPassword(_))));
    hub.set_web_password(PASSWORD.into()).await.unwrap();
    let web = web::serve(hub, front, &socket).await.unwrap();
    let ask = async |method, path: &str, origin: &str, body: &str| {
        let tcp = TcpStream::connect(web.address).await.unwrap();
        let (mut sender, connection) = handshake(TokioIo::new(tcp)).await.unwrap();
        tokio::spawn(connection);
        let request = Request::builder().method(method).uri(path);
        let request = request.header(header::HOST, "garage.example").header(header::ORIGIN, origin);
        let request = request.header(header::CONTENT_TYPE, "application/json");
        let request = request.header("farhub-request", "1").body(Body::from(body.to_owned()));
        read(sender.send_request(request.unwrap()).await.unwrap()).await.status
    };
    let ours = "https://garage.example";
    let state = ask(Method::GET, "/api/v1/state", ours, "").await;
    assert_eq!(state, StatusCode::UNAUTHORIZED);
    let login = json!({ "password": PASSWORD }).to_string();
    for (origin, expected) in [
        (ours, StatusCode::OK),
        ("https://garage.example:8443", StatusCode::FORBIDDEN),
        ("ftp://garage.example", StatusCode::FORBIDDEN),
        ("https://evil.example", StatusCode::FORBIDDEN),
    ] {
        let status = ask(Method::POST, "/api/v1/login", origin, &login).await;
        assert_eq!(status, expected, "{origin}");
    }
}

#[tokio::test]
async fn a_stranger_gets_the_login_page_and_nothing_else() {
    let served = open().await;
    for path in [
        "/api/v1/state",
        "/api/v1/events",
        "/api/v1/openapi.json",
        "/api/v1/nothing",
        "/api/v1/web",
        "/api/v1/web/sessions",
        "/api/v1/hubs/garage/api/v1/state",
        "/api//v1/state",
        "/api",
    ] {
        let cookies = [None, Some("__Host-farhub=AAAA"), Some("__Host-farhub=")];
        for cookie in cookies {
            let answer = served.ask(served.request(Method::GET, path, cookie)).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
            assert_eq!(answer.body["error"]["code"], "login_needed");
        }
    }
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
        let answer = served.ask(served.request(method, "/", None)).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    }
    let session = served.ask(served.request(Method::GET, "/api/v1/session", None)).await;
    assert_eq!(session.body, json!({"login": "needed", "session": null}));
    let page = served.ask(served.request(Method::GET, "/", None)).await;
    assert!(page.status.is_success() && page.text.contains("<!doctype html>"));
    assert!(!format!("{}{:?}", page.text, page.headers).contains("secret-name"));
    for (name, part) in [
        ("content-security-policy", "frame-ancestors 'none'"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("strict-transport-security", "max-age"),
    ] {
        assert!(page.headers[name].to_str().unwrap().contains(part), "{name}");
    }
}

#[tokio::test]
async fn in_and_out() {
    let served = open().await;
    let wrong = served.login("wrong horse", None).await;
    assert_eq!(
        (wrong.status, wrong.headers.get(header::SET_COOKIE)),
        (StatusCode::UNAUTHORIZED, None)
    );
    // whatever a browser brings along, it gets a session of its own
    let planted = "__Host-farhub=QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE";
    let right = served.login(PASSWORD, Some(planted)).await;
    let set = right.headers[header::SET_COOKIE].to_str().unwrap().to_owned();
    for part in ["; Path=/", "; Secure", "; HttpOnly", "; SameSite=Strict"] {
        assert!(set.starts_with("__Host-farhub=") && set.contains(part), "{set}");
    }
    let first = cookie_of(&right);
    assert_ne!(first, planted);
    assert_eq!(served.status("/api/v1/state", planted).await, StatusCode::UNAUTHORIZED);
    assert_eq!(served.status("/api/v1/state", &first).await, StatusCode::OK);
    let session = served.ask(served.request(Method::GET, "/api/v1/session", Some(&first))).await;
    assert_eq!(
        (&session.body["login"], &session.body["session"]["account"]),
        (&json!("done"), &json!("admin"))
    );

    let second = cookie_of(&served.login(PASSWORD, Some(&first)).await);
    assert_eq!(served.status("/api/v1/state", &first).await, StatusCode::UNAUTHORIZED, "replaced");
    let feed = served.feed(&second).await;
    let out = served.ask(served.request(Method::POST, "/api/v1/logout", Some(&second))).await;
    assert_eq!(out.status, StatusCode::NO_CONTENT);
    assert!(out.headers[header::SET_COOKIE].to_str().unwrap().contains("Max-Age=0"));
    ends(feed).await;
    assert_eq!(served.status("/api/v1/state", &second).await, StatusCode::UNAUTHORIZED, "replay");
    assert_eq!(
        served.audited().await,
        ["web.password", "web.login_failed", "web.login", "web.login", "web.logout", "web.logout"]
    );
}

#[tokio::test]
async fn forged_requests_are_refused() {
    let served = open().await;
    let cookie = served.logged_in().await;
    let with = |name: &'static str, value: &str| {
        let mut request =
            served.with_body(Method::POST, "/api/v1/invites", Some(&cookie), &json!({}));
        request.headers_mut().insert(name, value.parse().unwrap());
        request
    };
    assert_eq!(served.ask(with("accept", "*/*")).await.status, StatusCode::OK);
    for (name, value) in [
        ("host", "evil.example"),
        ("host", "192.0.2.7"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("origin", &format!("http://{}", served.near())),
        ("sec-fetch-site", "same-site"),
        ("sec-fetch-site", "cross-site"),
    ] {
        let answer = served.ask(with(name, value)).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{name}: {value}");
    }
    let mut bare = with("accept", "*/*");
    bare.headers_mut().remove("farhub-request");
    assert_eq!(served.ask(bare).await.status, StatusCode::FORBIDDEN, "a form of another page");

    let named = |host: &str| {
        let mut request = served.request(Method::GET, "/api/v1/state", Some(&cookie));
        request.headers_mut().insert(header::HOST, host.parse().unwrap());
        request.headers_mut().insert(header::ORIGIN, format!("https://{host}").parse().unwrap());
        request
    };
    assert_eq!(served.ask(named("garage.example:8443")).await.status, StatusCode::OK);
    assert_eq!(served.ask(named("garage.example.evil")).await.status, StatusCode::FORBIDDEN);
    // a link on another page leads to ours, but not into the API, and not into a frame
    for (path, dest, expected) in [
        ("/", "document", StatusCode::OK),
        ("/", "iframe", StatusCode::FORBIDDEN),
        ("/api/v1/state", "document", StatusCode::FORBIDDEN),
    ] {
        let mut link = served.request(Method::GET, path, None);
        link.headers_mut().remove(header::ORIGIN);
        for (name, value) in [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")] {
            link.headers_mut().insert(name, value.parse().unwrap());
        }
        link.headers_mut().insert("sec-fetch-dest", dest.parse().unwrap());
        assert_eq!(served.ask(link).await.status, expected, "{path} {dest}");
    }
}

#[tokio::test]
async fn sessions_end_by_themselves_and_by_the_owner() {
    let served = open().await;
    let cookie = served.logged_in().await;
    pass(HOUR * 11).await;
    served.acts(&cookie).await;
    pass(HOUR * 11).await;
    // what a page asks for by itself is no use
    assert_eq!(served.status("/api/v1/state", &cookie).await, StatusCode::OK);
    let feed = served.feed(&cookie).await;
    assert_eq!(served.hub.web_sessions(Caller::Local).unwrap().len(), 1);
    pass(HOUR).await;
    ends(feed).await;
    assert_eq!(served.status("/api/v1/state", &cookie).await, StatusCode::UNAUTHORIZED, "idle");

    let cookie = served.logged_in().await;
    for _ in 0..65 {
        pass(HOUR * 11).await;
        served.acts(&cookie).await;
    }
    pass(HOUR * 6).await;
    assert_eq!(served.status("/api/v1/state", &cookie).await, StatusCode::UNAUTHORIZED, "30 days");

    let [one, other] = [served.logged_in().await, served.logged_in().await];
    let feed = served.feed(&one).await;
    let sessions = served.socket(Method::GET, "/api/v1/web/sessions", Value::Null).await.body;
    let id = sessions[0]["id"].as_str().unwrap();
    let end = format!("/api/v1/web/sessions/{id}");
    let ended = served.socket(Method::DELETE, &end, Value::Null).await;
    assert_eq!(ended.status, StatusCode::NO_CONTENT);
    ends(feed).await;
    assert_eq!(served.status("/api/v1/state", &one).await, StatusCode::UNAUTHORIZED);
    assert_eq!(served.status("/api/v1/state", &other).await, StatusCode::OK);
    let again = served.socket(Method::DELETE, &end, Value::Null).await;
    assert_eq!(again.status, StatusCode::NOT_FOUND);

    let feed = served.feed(&other).await;
    let new = json!({"password": "battery staple"});
    let set = served.socket(Method::PUT, "/api/v1/web/password", new).await;
    assert_eq!((set.status, &set.body["sessions"]), (StatusCode::OK, &json!(0)));
    ends(feed).await;
    assert_eq!(served.status("/api/v1/state", &other).await, StatusCode::UNAUTHORIZED);
    assert_eq!(served.login(PASSWORD, None).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(served.login("battery staple", None).await.status, StatusCode::OK);
}

#[tokio::test]
async fn guesses_have_to_wait() {
    let served = open().await;
    for _ in 0..5 {
        assert_eq!(served.login("guess", None).await.status, StatusCode::UNAUTHORIZED);
    }
    let late = served.login(PASSWORD, None).await;
    assert_eq!(late.status, StatusCode::TOO_MANY_REQUESTS, "also with the right one");
    assert_eq!(late.body["error"]["code"], "too_many");
    let wait: u64 = late.headers[header::RETRY_AFTER].to_str().unwrap().parse().unwrap();
    assert!((1..=15).contains(&wait), "{wait}");
    pass(Duration::from_secs(wait)).await;
    assert_eq!(served.login("guess", None).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(served.login("guess", None).await.status, StatusCode::TOO_MANY_REQUESTS);
    // whoever is at the computer gets in again
    served.hub.set_web_password(PASSWORD.into()).await.unwrap();
    assert_eq!(served.login(PASSWORD, None).await.status, StatusCode::OK);
    let noted = served.audited().await;
    assert!(noted.iter().filter(|action| *action == "web.login_refused").count() >= 1);
    let long = served.login(&"x".repeat(9000), None).await;
    assert_eq!(long.status, StatusCode::BAD_REQUEST, "not even read");
}

#[tokio::test]
async fn the_fingerprint_is_the_certificate_s() {
    let served = open().await;
    let tls = served.web.tls.clone().unwrap();
    assert!(tls.self_signed && served.tls(&tls.fingerprint).await.is_ok());
    let other = tls.fingerprint.replace(&tls.fingerprint[..2], "zz");
    assert!(served.tls(&other).await.is_err());
    let status = served.socket(Method::GET, "/api/v1/web", Value::Null).await.body;
    assert_eq!(
        (&status["tls"]["fingerprint"], &status["login"]),
        (&json!(tls.fingerprint), &json!(true))
    );
    assert!(served.web.url.starts_with("https://garage.example:"), "{}", served.web.url);
    assert!(!served.data.path().join("web-tls.pem.new").exists());
}

#[tokio::test]
async fn without_tls_one_is_sent_to_it() {
    let served = open().await;
    let plain = async |text: String| {
        let mut tcp = TcpStream::connect(served.near()).await.unwrap();
        tcp.write_all(text.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let read = tcp.read_to_string(&mut answer);
        tokio::time::timeout(LIMIT, read).await.unwrap().unwrap();
        answer
    };
    let near = served.near();
    let page = plain(format!("GET /a?b HTTP/1.1\r\nhost: {near}\r\n\r\n")).await;
    assert!(page.starts_with("HTTP/1.1 307 "), "{page}");
    assert!(page.contains(&format!("location: https://{near}/a?b\r\n")), "{page}");
    for request in [
        "GET / HTTP/1.1\r\nhost: evil.example\r\n\r\n".to_owned(),
        format!("POST /api/v1/login HTTP/1.1\r\nhost: {near}\r\ncontent-length: 0\r\n\r\n"),
    ] {
        let answer = plain(request).await;
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("https://"), "{answer}");
    }
}

#[tokio::test]
async fn peers_and_the_socket_need_no_login() {
    let garage = open().await;
    let (office, data) = hub("office").await;
    let near = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let web = web::serve(office.clone(), near, &data.path().join("hub.sock")).await.unwrap();
    let office = Served { hub: office, web, data };
    let state = garage.socket(Method::GET, "/api/v1/state", Value::Null).await;
    assert_eq!((state.status, &state.body["hub"]["name"]), (StatusCode::OK, &json!("secret-name")));
    let session = garage.socket(Method::GET, "/api/v1/session", Value::Null).await;
    assert_eq!(session.body["login"], "off");

    let all = Grant { selector: "*".into(), role: Role::Admin, ..Grant::default() };
    let (ticket, _) = garage.hub.invite(Caller::Local, LIMIT, &[all], None).await.unwrap();
    office.hub.pair(Caller::Local, &ticket.to_string(), None).await.unwrap();
    let mut changes = office.hub.changes();
    let connected = async {
        while !office.hub.state(Caller::Local).peers[0].online {
            changes.changed().await.unwrap();
        }
    };
    tokio::time::timeout(LIMIT, connected).await.unwrap();
    let garages = "/api/v1/hubs/secret-name/api/v1";
    let there = async |method, path: &str, body| {
        let answer = office.socket(method, &format!("{garages}{path}"), body).await;
        (answer.status, answer.body)
    };
    let (status, state) = there(Method::GET, "/state", Value::Null).await;
    assert_eq!((status, &state["hub"]["name"]), (StatusCode::OK, &json!("secret-name")));
    assert_eq!(there(Method::POST, "/invites", json!({})).await.0, StatusCode::OK);
    // who is let in by password is nobody's business from there
    let password = json!({"password": "battery staple"});
    for (method, path, body) in [
        (Method::PUT, "/web/password", password.clone()),
        (Method::GET, "/web", Value::Null),
        (Method::GET, "/web/sessions", Value::Null),
        (Method::DELETE, "/web/sessions", Value::Null),
    ] {
        assert_eq!(there(method, path, body).await.0, StatusCode::FORBIDDEN, "{path}");
    }
    assert_eq!(there(Method::POST, "/login", password).await.0, StatusCode::CONFLICT);
}
