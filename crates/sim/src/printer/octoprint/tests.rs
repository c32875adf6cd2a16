//! Over real sockets.

use super::*;
use crate::printer::tests::{Bench, CUBE, code, soon};
use crate::printer::{Act, Fault, Protocol};
use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

#[tokio::test]
async fn an_application_asks_for_a_key() {
    let bench = Bench::new(Protocol::OctoPrint, 1.0).await;
    assert_eq!(code(bench.client.get(bench.url("/plugin/appkeys/probe"))).await, 204);
    assert_eq!(code(bench.client.get(bench.url("/api/version"))).await, 403);
    for (app, last) in [("farhub", 200), ("denied", 404)] {
        let ask = bench.client.post(bench.url("/plugin/appkeys/request"));
        let asked = soon(ask.json(&json!({ "app": app })).send()).await.unwrap();
        assert_eq!(asked.status(), 201);
        let place = asked.headers()["location"].to_str().unwrap().to_owned();
        assert_eq!(code(bench.client.get(&place)).await, 202);
        let decided = soon(bench.client.get(&place).send()).await.unwrap();
        assert_eq!(decided.status().as_u16(), last);
        if last == 200 {
            let key: Value = soon(decided.json()).await.unwrap();
            let with = bench.client.get(bench.url("/api/version"));
            let with = with.header("X-Api-Key", key["api_key"].as_str().unwrap());
            assert_eq!(code(with).await, 200);
        }
    }
}

#[tokio::test]
async fn what_is_printed_is_selected_whoever_began_it() {
    let bench = Bench::new(Protocol::OctoPrint, 100_000.0).await;
    bench.printer.put_file("other.gcode", b";TIME:60\n".to_vec());
    let select = json!({ "command": "select" });
    let file = format!("/api/files/local/{CUBE}");
    assert_eq!(code(bench.ask("POST", &file).json(&select)).await, 204);
    bench.printer.act(Act::Start { path: "other.gcode".to_owned() });
    let mut job = bench.get("/api/job").await;
    while job["state"] != "Operational" {
        job = bench.get("/api/job").await;
    }
    assert_eq!(job["job"]["file"]["path"], "other.gcode");
    assert_eq!(job["progress"]["completion"], 100.0);
    assert_eq!(code(bench.ask("POST", &file).json(&select)).await, 204);
    assert_eq!(bench.get("/api/job").await["job"]["file"]["path"], CUBE);
}

#[tokio::test]
async fn a_job_and_its_commands() {
    let bench = Bench::new(Protocol::OctoPrint, 1.0).await;
    let post = |path: &str, body: Value| code(bench.ask("POST", path).json(&body));
    assert_eq!(bench.get("/api/job").await["job"]["file"]["name"], Value::Null);
    assert_eq!(post("/api/job", json!({ "command": "start" })).await, 204, "as the real one");
    assert_eq!(post("/api/job", json!({ "command": "cancel" })).await, 409);
    let file = format!("/api/files/local/{CUBE}");
    assert_eq!(post("/api/files/local/none.gcode", json!({ "command": "select" })).await, 404);
    assert_eq!(post(&file, json!({ "command": "select" })).await, 204);
    assert_eq!(bench.get("/api/job").await["job"]["file"]["path"], CUBE);
    assert_eq!(post("/api/job", json!({ "command": "start" })).await, 204);
    assert_eq!(post("/api/job", json!({ "command": "start" })).await, 409);
    assert_eq!(post(&file, json!({ "command": "select", "print": true })).await, 409);
    assert_eq!(bench.status("DELETE", &file).await, 409);
    let pause = json!({ "command": "pause", "action": "pause" });
    assert_eq!(post("/api/job", pause.clone()).await, 204);
    assert_eq!(post("/api/job", pause).await, 204, "once more does nothing");
    let mut job = bench.get("/api/job").await;
    assert_eq!(job["state"], "Pausing", "it takes a moment");
    while job["state"] == "Pausing" {
        job = bench.get("/api/job").await;
    }
    assert_eq!(job["state"], "Paused");
    assert_eq!(job["progress"]["printTimeLeft"], Value::Null, "not while it heats");
    let printer = bench.get("/api/printer").await;
    assert_eq!(printer["state"]["flags"]["paused"], true);
    assert_eq!(printer["temperature"]["tool0"]["target"], 230.0);
    assert_eq!(post("/api/job", json!({ "command": "pause", "action": "resume" })).await, 204);
    let heat = json!({ "command": "target", "targets": { "tool0": 205 } });
    assert_eq!(post("/api/printer/tool", heat).await, 204);
    assert_eq!(post("/api/printer/bed", json!({ "command": "target", "target": 55 })).await, 204);
    assert_eq!(post("/api/printer/bed", json!({ "command": "target" })).await, 400);
    assert_eq!(post("/api/printer/command", json!({ "commands": ["M106 S255"] })).await, 204);
    let home = json!({ "command": "home", "axes": ["x"] });
    assert_eq!(post("/api/printer/printhead", home).await, 409);
    let printer = bench.get("/api/printer?exclude=state,sd").await;
    assert_eq!(printer["temperature"]["tool0"]["target"], 205.0);
    assert_eq!(printer["temperature"]["bed"]["target"], 55.0);
    assert!(printer.get("state").is_none());
    assert_eq!(post("/api/job", json!({ "command": "cancel" })).await, 204);
    let job = bench.get("/api/job").await;
    assert_eq!(
        (job["state"].as_str(), &job["progress"]["completion"]),
        (Some("Operational"), &Value::Null)
    );
}

#[tokio::test]
async fn a_printer_that_is_not_operational() {
    let bench = Bench::new(Protocol::OctoPrint, 1.0).await;
    let post = |body: Value| code(bench.ask("POST", "/api/connection").json(&body));
    assert_eq!(post(json!({ "command": "disconnect" })).await, 204);
    assert_eq!(bench.status("GET", "/api/printer").await, 409);
    assert_eq!(bench.get("/api/connection").await["current"]["state"], "Closed");
    assert_eq!(bench.get("/api/job").await["state"], "Offline");
    assert_eq!(post(json!({ "command": "connect", "port": "AUTO" })).await, 204);
    assert_eq!(bench.status("GET", "/api/printer").await, 200);
    bench.printer.act(Act::Fail { code: "1".to_owned(), text: "Thermal Runaway".to_owned() });
    assert_eq!(bench.get("/api/job").await["state"], "Error: Thermal Runaway");
    assert_eq!(bench.status("GET", "/api/printer").await, 409);
    assert_eq!(post(json!({ "command": "dance" })).await, 400);
}

#[tokio::test]
async fn files() {
    let bench = Bench::new(Protocol::OctoPrint, 1.0).await;
    let upload = |name: &str, print: &'static str| {
        let part = reqwest::multipart::Part::text("G28\nG29\n").file_name(name.to_owned());
        let form = reqwest::multipart::Form::new().part("file", part).text("path", "deep");
        bench.ask("POST", "/api/files/local").multipart(form.text("print", print))
    };
    assert_eq!(code(upload("a.txt", "false")).await, 415);
    bench.printer.set_fault(Fault::DiskFull);
    assert_eq!(code(upload("a.gcode", "false")).await, 507);
    bench.printer.set_fault(Fault::None);
    let answer: Value =
        soon(soon(upload("a b.gcode", "true").send()).await.unwrap().json()).await.unwrap();
    assert_eq!(answer["files"]["local"]["path"], "deep/a b.gcode");
    assert_eq!(answer["effectivePrint"], true);
    assert_eq!(code(upload("a b.gcode", "true")).await, 409);
    let list = bench.get("/api/files?recursive=true").await;
    let folder = list["files"].as_array().unwrap().iter().find(|item| item["type"] == "folder");
    let file = folder.unwrap()["children"][0].clone();
    let flat = bench.get("/api/files").await;
    let folder = flat["files"].as_array().unwrap().iter().find(|item| item["type"] == "folder");
    assert_eq!(folder.unwrap()["children"], json!([]));
    assert_eq!(bench.get("/api/files/local/deep").await["children"][0], file);
    assert_eq!((file["path"].as_str(), file["size"].as_u64()), (Some("deep/a b.gcode"), Some(8)));
    assert_eq!(file["hash"].as_str().unwrap().len(), 40);
    let get = bench.client.get(file["refs"]["download"].as_str().unwrap());
    let get = get.header("X-Api-Key", "12345678");
    let text =
        soon(soon(get.header("Range", "bytes=4-").send()).await.unwrap().text()).await.unwrap();
    assert_eq!(text, "G29\n");
    bench.printer.act(Act::Cancel);
    assert_eq!(bench.status("DELETE", "/api/files/local/deep/a%20b.gcode").await, 204);
    assert_eq!(bench.status("DELETE", "/api/files/local/deep/a%20b.gcode").await, 404);
}

#[tokio::test]
async fn what_is_pushed() {
    let bench = Bench::new(Protocol::OctoPrint, 1800.0).await;
    let login = bench.ask("POST", "/api/login").json(&json!({ "passive": true }));
    let login: Value = soon(soon(login.send()).await.unwrap().json()).await.unwrap();
    let url = bench.url("/sockjs/websocket").replace("http", "ws");
    let mut socket = soon(connect_async(url)).await.unwrap().0;
    let mut messages = Vec::new();
    let wrong = json!({ "auth": "_api:wrong" }).to_string();
    soon(socket.send(Message::text(wrong))).await.unwrap();
    let auth = format!("_api:{}", login["session"].as_str().unwrap());
    soon(socket.send(Message::text(json!({ "auth": auth }).to_string()))).await.unwrap();
    let mut started = false;
    while !messages.iter().any(|(kind, _)| kind == "PrintDone") {
        let Message::Text(text) = soon(socket.next()).await.unwrap().unwrap() else { continue };
        let message: Value = serde_json::from_str(&text).unwrap();
        let (kind, value) = message.as_object().unwrap().iter().next().unwrap();
        let kind = if kind == "event" { value["type"].as_str().unwrap() } else { kind.as_str() };
        messages.push((kind.to_owned(), value.clone()));
        if kind == "current" && !started {
            started = true;
            bench.printer.act(Act::Start { path: CUBE.to_owned() });
        }
    }
    let kinds: Vec<&str> = messages.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(kinds[..4], ["connected", "reauthRequired", "history", "timelapse"]);
    assert!(kinds.contains(&"PrintStarted") && kinds.contains(&"PrinterStateChanged"), "{kinds:?}");
    let currents: Vec<&Value> =
        messages.iter().filter(|(kind, _)| kind == "current").map(|(_, value)| value).collect();
    assert!(currents.iter().any(|current| current["state"]["flags"]["printing"] == true));
}
