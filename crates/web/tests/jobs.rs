//! Jobs over the API, on a simulated laser: from the upload to the end, whatever comes between.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use hub::{Config, Hub};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sim::machine::{Port, Simulated, grbl};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::UnixStream;
use tokio::time::timeout;
use web::Web;

/// Everything here takes a few seconds, of a machine that nothing else uses.
const SOON: Duration = Duration::from_secs(60);
/// The board's time goes by so much faster, and its cable is so much faster.
const SPEED: f64 = 20.0;

struct Served {
    hub: Hub,
    _web: Web,
    laser: Arc<Simulated>,
}

fn laser() -> Arc<Simulated> {
    board(vec![(120, 5000.0)])
}

fn board(settings: Vec<(u8, f64)>) -> Arc<Simulated> {
    let options = grbl::Options { settings, ..grbl::Options::default() };
    Arc::new(Simulated::laser(1, options, Port { speed: SPEED, ..Port::default() }).unwrap())
}

async fn serve(data: &Path, laser: Arc<Simulated>) -> Served {
    let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let config = || Config {
        bind: Some(anywhere),
        machines: vec![laser.clone()],
        real: false,
        ..Config::new(data, "garage".parse().unwrap())
    };
    let started = async {
        loop {
            // one that was here before lets go of its folder when its last request has ended
            match Hub::start(config()).await {
                Ok(hub) => return hub,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    };
    let hub = timeout(SOON, started).await.unwrap();
    let web = web::serve(hub.clone(), anywhere, &data.join("hub.sock")).await.unwrap();
    Served { hub, _web: web, laser }
}

/// A hub with its laser shared, on a cable as fast as the board's time.
async fn garage(data: &TempDir, more: Value) -> Served {
    shared(serve(data.path(), laser()).await, more).await
}

async fn shared(served: Served, more: Value) -> Served {
    served.until_there().await;
    let mut settings = json!({"profile": "grbl", "coding": {"baud_rate": 2_304_000,
        "data_bits": 8, "parity": "none", "stop_bits": "one", "flow": "none"}});
    settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let path = "/devices/laser/machine/settings";
    let (status, body) = served.ask(Method::PUT, path, Some(settings)).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let (status, body) = served.ask(Method::POST, "/devices/laser/share", Some(json!({}))).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    served.until_open().await;
    served
}

impl Served {
    async fn call(&self, data: &Path, request: Request<Body>) -> (StatusCode, Value) {
        let socket = UnixStream::connect(data.join("hub.sock")).await.unwrap();
        let (mut sender, connection) = handshake(TokioIo::new(socket)).await.unwrap();
        tokio::spawn(connection);
        let answer = sender.send_request(request).await.unwrap();
        let status = answer.status();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let request = Request::builder().method(method).uri(format!("/api/v1{path}"));
        let request = request.header(header::HOST, "hub");
        let request = request.header(header::CONTENT_TYPE, "application/json");
        let body = Body::from(body.map(|body| body.to_string()).unwrap_or_default());
        self.call(self.hub.data(), request.body(body).unwrap()).await
    }

    async fn put(&self, id: u64, offset: usize, bytes: &[u8]) -> (StatusCode, Value) {
        let uri = format!("/api/v1/devices/laser/jobs/{id}/content?offset={offset}");
        let request = Request::builder().method(Method::PUT).uri(uri);
        let request = request.header(header::HOST, "hub").body(Body::from(bytes.to_vec()));
        self.call(self.hub.data(), request.unwrap()).await
    }

    async fn announce(&self, program: &[u8]) -> u64 {
        let sha256: String =
            Sha256::digest(program).iter().map(|byte| format!("{byte:02x}")).collect();
        let new = json!({"name": "box.nc", "bytes": program.len(), "sha256": sha256});
        let (status, job) = self.ask(Method::POST, "/devices/laser/jobs", Some(new)).await;
        assert_eq!(status, StatusCode::CREATED, "{job}");
        job["id"].as_u64().unwrap()
    }

    /// Announces it, sends it, and waits until it was looked at.
    async fn upload(&self, program: &[u8]) -> (u64, Value) {
        let id = self.announce(program).await;
        let mut offset = 0;
        for piece in program.chunks(100_000) {
            let (status, job) = self.put(id, offset, piece).await;
            assert_eq!(status, StatusCode::OK, "{job}");
            offset += piece.len();
        }
        (id, self.until(id, &["checked", "fault"]).await)
    }

    async fn act(&self, id: u64, act: &str) -> (StatusCode, Value) {
        self.ask(Method::POST, &format!("/devices/laser/jobs/{id}/{act}"), Some(json!({}))).await
    }

    async fn job(&self, id: u64) -> Value {
        self.ask(Method::GET, &format!("/devices/laser/jobs/{id}"), None).await.1
    }

    /// Until the job is in one of these states.
    async fn until(&self, id: u64, states: &[&str]) -> Value {
        self.wait(async || {
            let job = self.job(id).await;
            states.contains(&job["state"].as_str().unwrap()).then_some(job)
        })
        .await
    }

    async fn wait<T>(&self, look: impl AsyncFn() -> Option<T>) -> T {
        let mut changes = self.hub.changes();
        let found = async {
            loop {
                changes.mark_unchanged();
                if let Some(found) = look().await {
                    return found;
                }
                changes.changed().await.unwrap();
            }
        };
        timeout(SOON, found).await.unwrap()
    }

    async fn until_there(&self) {
        let there = async || {
            let (_, state) = self.ask(Method::GET, "/state", None).await;
            state["devices"].as_array().unwrap().first().map(drop)
        };
        self.wait(there).await;
    }

    async fn until_open(&self) {
        let machine =
            self.wait(async || self.hub.watched_machine(hub::Caller::Local, "laser").ok()).await;
        let mut states = machine.look();
        let known = states.wait_for(|state| state.firmware.is_some());
        timeout(SOON, known).await.unwrap().unwrap();
    }
}

/// Lines of 20 bytes, each with another power.
fn raster(lines: usize) -> Vec<u8> {
    let mut program = b"G21 G90 G0 X0 Y0\r\nM4 S0 F6000\r\n".to_vec();
    for number in 0..lines {
        let step = (number % 400).min(400 - number % 400);
        let x = step as f64 * 0.02;
        program.extend_from_slice(format!("G1X{x:06.3}S{:09}\n", number % 1000).as_bytes());
    }
    program.extend_from_slice(b"M5\r\n");
    program
}

#[tokio::test]
async fn a_raster_of_20000_lines_runs_while_nobody_looks() {
    let data = TempDir::new().unwrap();
    let garage = garage(&data, json!({})).await;
    let program = raster(20_000);
    let (id, job) = garage.upload(&program).await;
    assert_eq!((&job["state"], &job["lines"]), (&json!("checked"), &json!(20_003)), "{job}");
    assert_eq!(job["findings"], json!([]));
    assert!(job["estimate_s"].as_u64().unwrap() > 1 && job["extent"].is_object());
    let path = format!("/devices/laser/jobs/{id}/preview");
    let (status, preview) = garage.ask(Method::GET, &path, None).await;
    assert_eq!((status, &preview["cut"]), (StatusCode::OK, &json!(false)));

    let before = garage.laser.pty().truth();
    let (status, job) = garage.act(id, "start").await;
    assert_eq!((status, &job["state"]), (StatusCode::OK, &json!("running")), "{job}");
    let (_, machine) = garage.ask(Method::GET, "/devices/laser/machine", None).await;
    assert_eq!(machine["job"]["id"], json!(id));
    assert_eq!(machine["state"]["user"], json!(format!("job {id}, box.nc, of garage")));
    let (status, _) = garage
        .ask(Method::POST, "/devices/laser/machine/send", Some(json!({"text": "G0 X1"})))
        .await;
    assert_eq!(status, StatusCode::CONFLICT);

    let job = garage.until(id, &["done", "fault", "aborted"]).await;
    assert_eq!((&job["state"], &job["line"]), (&json!("done"), &json!(20_003)), "{job}");
    let truth = garage.laser.pty().truth();
    assert_eq!((truth.rx_dropped, truth.rx_unheard, truth.lines_refused), (0, 0, 0));
    assert!(truth.rx_peak <= 120, "{}", truth.rx_peak);
    assert_eq!(truth.lines - before.lines, 20_003);
    assert_eq!(truth.beam_power(), 0.0);
    garage.hub.stop().await;
}

#[tokio::test]
async fn an_upload_goes_on_where_it_broke_off_and_never_runs_altered() {
    let data = TempDir::new().unwrap();
    let garage = garage(&data, json!({})).await;
    let program = raster(5000);
    let id = garage.announce(&program).await;
    let (status, job) = garage.put(id, 0, &program[..1000]).await;
    assert_eq!((status, &job["received_bytes"]), (StatusCode::OK, &json!(1000)));
    assert_eq!(garage.act(id, "start").await.0, StatusCode::CONFLICT);
    assert_eq!(garage.put(id, 999, b"x").await.0, StatusCode::CONFLICT);
    assert_eq!(garage.put(id, 1000, &vec![b'x'; (1 << 20) + 1]).await.0, StatusCode::BAD_REQUEST);
    let laser = garage.laser.clone();
    garage.hub.stop().await;
    drop(garage);

    let garage = serve(data.path(), laser).await;
    garage.until_open().await;
    assert_eq!(garage.job(id).await["received_bytes"], json!(1000));
    let (_, job) = garage.put(id, 1000, &program[1000..]).await;
    assert_eq!(job["state"], json!("checked"), "{job}");

    // somebody changes it behind our back
    let file = data.path().join(format!("jobs/{id}.gcode"));
    let mut altered = program.clone();
    altered[30] ^= 1;
    std::fs::write(&file, &altered).unwrap();
    let before = garage.laser.pty().truth().program_bytes();
    let (status, told) = garage.act(id, "start").await;
    assert_eq!(status, StatusCode::CONFLICT, "{told}");
    assert_eq!(garage.job(id).await["state"], json!("fault"));

    // on its way
    let other = garage.announce(&program).await;
    let (_, job) = garage.put(other, 0, &altered).await;
    assert_eq!(job["state"], json!("fault"), "{job}");
    assert_eq!(garage.act(other, "start").await.0, StatusCode::CONFLICT);
    let (forbidden, job) = garage.upload(b"G1 X1 F100\n$110=1\n").await;
    assert_eq!(job["state"], json!("fault"), "{job}");
    assert_eq!(
        (&job["findings"][0]["line"], &job["findings"][0]["severity"]),
        (&json!(2), &json!("error"))
    );
    assert_eq!(garage.act(forbidden, "start").await.0, StatusCode::CONFLICT);
    // but for the settings, which a check asks for
    let asked = "$$\n".len() as u64;
    assert!(garage.laser.pty().truth().program_bytes() <= before + 2 * asked);
    garage.hub.stop().await;
}

#[tokio::test]
async fn a_job_is_armed_held_resumed_and_aborted() {
    let data = TempDir::new().unwrap();
    let garage = garage(&data, json!({"arming": true})).await;
    let (id, _) = garage.upload(&raster(200_000)).await;
    let (status, told) = garage.act(id, "start").await;
    assert_eq!(status, StatusCode::CONFLICT, "{told}");
    assert_eq!(garage.act(id, "arm").await.1["state"], json!("armed"));
    let (status, job) = garage.act(id, "start").await;
    assert_eq!((status, &job["state"]), (StatusCode::OK, &json!("running")), "{job}");
    garage.wait(async || (garage.job(id).await["line"].as_u64()? > 500).then_some(())).await;

    let (_, job) = garage.act(id, "hold").await;
    assert_eq!(job["state"], json!("held"), "{job}");
    let path = format!("/devices/laser/jobs/{id}");
    assert_eq!(garage.ask(Method::DELETE, &path, None).await.0, StatusCode::CONFLICT);
    let (_, job) = garage.act(id, "resume").await;
    assert_eq!(job["state"], json!("running"), "{job}");
    let line = job["line"].as_u64().unwrap();
    garage.wait(async || (garage.job(id).await["line"].as_u64()? > line + 500).then_some(())).await;

    let (status, job) = garage.act(id, "abort").await;
    assert_eq!((status, &job["state"]), (StatusCode::OK, &json!("aborted")), "{job}");
    assert_eq!(garage.laser.pty().truth().beam_power(), 0.0);
    let sent = garage.laser.pty().truth().program_bytes();
    let (_, machine) = garage.ask(Method::GET, "/devices/laser/machine", None).await;
    assert_eq!(machine["state"]["stopped"]["report"]["confirmed"], json!(true), "{machine}");
    assert_eq!((&machine["job"], &machine["state"]["user"]), (&Value::Null, &Value::Null));
    assert_eq!(garage.ask(Method::DELETE, &path, None).await.0, StatusCode::NO_CONTENT);
    let (_, jobs) = garage.ask(Method::GET, "/devices/laser/jobs", None).await;
    assert_eq!(jobs, json!([]));
    assert_eq!(garage.laser.pty().truth().program_bytes(), sent);
    let (_, audit) = garage.ask(Method::GET, "/audit", None).await;
    let told = audit.to_string();
    for action in ["job.new", "job.arm", "job.start", "job.hold", "job.abort", "job.aborted"] {
        assert!(told.contains(action), "{action} in {told}");
    }
    garage.hub.stop().await;
}

#[tokio::test]
async fn a_stop_and_a_cable_that_is_pulled_end_a_job() {
    let data = TempDir::new().unwrap();
    let garage = garage(&data, json!({})).await;
    let (id, _) = garage.upload(&raster(200_000)).await;
    garage.act(id, "start").await;
    garage.wait(async || (garage.job(id).await["line"].as_u64()? > 500).then_some(())).await;
    let (_, stopped) =
        garage.ask(Method::POST, "/machines/garage/laser/stop", Some(json!({}))).await;
    assert_eq!(stopped["report"]["confirmed"], json!(true), "{stopped}");
    let sent = garage.laser.pty().truth().program_bytes();
    let job = garage.until(id, &["aborted"]).await;
    assert!(job["problem"].as_str().unwrap().contains("stopped"), "{job}");
    assert_eq!(garage.act(id, "start").await.0, StatusCode::CONFLICT);
    assert_eq!(garage.laser.pty().truth().program_bytes(), sent);

    garage.ask(Method::POST, "/devices/laser/machine/clear", Some(json!({}))).await;
    garage.ask(Method::POST, "/devices/laser/machine/act", Some(json!({"act": "unlock"}))).await;
    let (id, _) = garage.upload(&raster(200_000)).await;
    let (status, job) = garage.act(id, "start").await;
    assert_eq!(status, StatusCode::OK, "{job}");
    garage.wait(async || (garage.job(id).await["line"].as_u64()? > 500).then_some(())).await;
    garage.laser.unplug();
    let job = garage.until(id, &["fault"]).await;
    assert!(job["problem"].as_str().unwrap().contains("device is gone"), "{job}");
    garage.hub.stop().await;
}

#[tokio::test]
async fn a_hub_that_ended_in_a_job_tells_so_and_sends_nothing() {
    let data = TempDir::new().unwrap();
    let garage = garage(&data, json!({})).await;
    let (id, _) = garage.upload(&raster(200_000)).await;
    let (cut, _) = garage.upload(&raster(10)).await;
    garage.act(id, "start").await;
    garage.wait(async || (garage.job(id).await["line"].as_u64()? > 500).then_some(())).await;
    let laser = garage.laser.clone();
    garage.hub.stop().await;
    drop(garage);
    assert_eq!(laser.pty().truth().beam_power(), 0.0);
    let sent = laser.pty().truth().program_bytes();

    // as if the power had gone in the middle of the other
    let url = format!("sqlite:{}", data.path().join("farhub.db").display());
    let db = sqlx::SqlitePool::connect(&url).await.unwrap();
    let sql = "UPDATE jobs SET state = 'running', line = 7 WHERE id = $1";
    sqlx::query(sql).bind(i64::try_from(cut).unwrap()).execute(&db).await.unwrap();
    db.close().await;
    let garage = serve(data.path(), laser).await;
    garage.until_open().await;
    for (id, line) in [(id, 501), (cut, 7)] {
        let job = garage.job(id).await;
        assert_eq!(job["state"], json!("fault"), "{job}");
        assert!(job["line"].as_u64().unwrap() >= line, "{job}");
        assert!(job["problem"].as_str().unwrap().contains("this hub ended"), "{job}");
        assert_eq!(garage.act(id, "start").await.0, StatusCode::CONFLICT);
    }
    // but for its own questions of what the machine is
    let asked = garage.laser.pty().truth().program_bytes() - sent;
    assert!(asked <= "$I\n$G\n".len() as u64, "{asked}");
    garage.hub.stop().await;
}

#[tokio::test]
async fn the_rest_of_a_job_is_a_job_but_never_of_a_laser() {
    let program = b"G21 G90\nG0 Z5\nG0 X0 Y0\nM3 S1000\nG1 Z-1 F600\nX10\nY10\nX0\nG0 Z5\nM5\n";
    let rest = async |garage: &Served, id: u64, from_line: u64| {
        let path = format!("/devices/laser/jobs/{id}/rest");
        garage.ask(Method::POST, &path, Some(json!({"from_line": from_line}))).await
    };
    let data = TempDir::new().unwrap();
    let router = board(vec![(32, 0.0), (120, 5000.0)]);
    let garage = shared(serve(data.path(), router).await, json!({})).await;
    let (id, _) = garage.upload(program).await;
    let (status, failure) = rest(&garage, id, 7).await;
    assert_eq!(status, StatusCode::CONFLICT, "it is not over: {failure}");
    assert_eq!(garage.act(id, "start").await.0, StatusCode::OK);
    garage.until(id, &["done"]).await;
    for wrong in [0, 1, 11] {
        assert_eq!(rest(&garage, id, wrong).await.0, StatusCode::BAD_REQUEST, "{wrong}");
    }
    let (status, failure) = rest(&garage, id, 2).await;
    assert_eq!(status, StatusCode::CONFLICT, "where it is then is not known: {failure}");
    let (status, made) = rest(&garage, id, 7).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let new = made["id"].as_u64().unwrap();
    let made = garage.until(new, &["checked", "fault"]).await;
    assert_eq!((&made["state"], &made["name"]), (&json!("checked"), &json!("box.nc from line 7")));
    let content = std::fs::read_to_string(data.path().join(format!("jobs/{new}.gcode"))).unwrap();
    assert_eq!(
        content,
        "G21 G90 G94 G17 G54\nG0 Z5.0000\nG0 X10.0000 Y0.0000\nM3 S1000\nG1 Z-1.0000 F600.000\n\
         G21 G90 G94 G17\nG1\nY10\nX0\nG0 Z5\nM5\n"
    );
    assert_eq!(garage.act(new, "start").await.0, StatusCode::OK);
    garage.until(new, &["done"]).await;
    drop(garage);

    let data = TempDir::new().unwrap();
    let garage = shared(serve(data.path(), laser()).await, json!({})).await;
    let (id, _) = garage.upload(program).await;
    assert_eq!(garage.act(id, "start").await.0, StatusCode::OK);
    garage.until(id, &["done"]).await;
    let (status, failure) = rest(&garage, id, 7).await;
    assert_eq!(status, StatusCode::CONFLICT, "{failure}");
    assert!(failure.to_string().contains("a laser never resumes"), "{failure}");
    assert_eq!(std::fs::read_dir(data.path().join("jobs")).unwrap().count(), 1);
}
