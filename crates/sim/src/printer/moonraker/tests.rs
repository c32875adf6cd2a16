//! Over real sockets.

use super::*;
use crate::printer::tests::{Bench, CUBE, code, soon};
use crate::printer::{Act, Fault, Protocol};
use futures_util::{SinkExt, StreamExt};
use sha2::Digest;
use std::collections::VecDeque;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

type Stream = WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>;

/// With what came while it waited for something else.
struct Socket(Stream, VecDeque<Value>);

impl Socket {
    async fn new(bench: &Bench) -> Self {
        let url = bench.url("/websocket").replace("http", "ws");
        Self(soon(connect_async(url)).await.unwrap().0, VecDeque::new())
    }

    async fn say(&mut self, text: String) {
        soon(self.0.send(Message::text(text))).await.unwrap();
    }

    async fn hear(&mut self) -> Value {
        loop {
            let message = soon(self.0.next()).await.unwrap().unwrap();
            if let Message::Text(text) = message {
                return serde_json::from_str(&text).unwrap();
            }
        }
    }

    async fn call(&mut self, method: &str, params: Value) -> Value {
        let request = json!({ "jsonrpc": "2.0", "method": method, "params": params, "id": 7 });
        self.say(request.to_string()).await;
        loop {
            let answer = self.hear().await;
            if answer["id"] == 7 {
                return answer;
            }
            self.1.push_back(answer);
        }
    }

    async fn until(&mut self, method: &str) -> Value {
        loop {
            let note = match self.1.pop_front() {
                Some(note) => note,
                None => self.hear().await,
            };
            if note["method"] == method {
                return note["params"].clone();
            }
        }
    }

    async fn identify(&mut self) {
        let answer = self.call("server.connection.identify", who("12345678")).await;
        assert!(answer["result"]["connection_id"].is_number(), "{answer}");
    }
}

fn who(key: &str) -> Value {
    json!({
        "client_name": "test", "version": "1", "type": "other", "url": "http://x",
        "api_key": key,
    })
}

#[tokio::test]
async fn who_may() {
    let bench = Bench::new(Protocol::Moonraker, 1.0).await;
    let stranger = bench.client.get(bench.url("/printer/info"));
    assert_eq!(code(stranger).await, 401);
    assert_eq!(code(bench.client.get(bench.url("/server/info"))).await, 401);
    assert_eq!(code(bench.client.get(bench.url("/access/info"))).await, 200);
    let mut socket = Socket::new(&bench).await;
    assert_eq!(socket.call("printer.info", json!({})).await["error"]["code"], -32602);
    let wrong = socket.call("server.connection.identify", who("1")).await;
    assert_eq!(wrong["error"]["message"], "Invalid API Key");
    socket.identify().await;
    assert_eq!(socket.call("printer.info", json!({})).await["result"]["state"], "ready");
    let token = bench.get("/access/oneshot_token").await["result"].clone();
    let path = format!("/printer/info?token={}", token.as_str().unwrap());
    assert_eq!(code(bench.client.get(bench.url(&path))).await, 200);
    assert_eq!(code(bench.client.get(bench.url(&path))).await, 401, "for one use");
}

#[tokio::test]
async fn what_is_no_json_rpc() {
    let bench = Bench::new(Protocol::Moonraker, 1.0).await;
    let mut socket = Socket::new(&bench).await;
    socket.identify().await;
    for (text, expected) in [
        ("{", -32700),
        (r#"{"method":"printer.info","id":1}"#, -32600),
        (r#"{"jsonrpc":"2.0","method":"printer.info","params":[],"id":1}"#, -32602),
        (r#"{"jsonrpc":"2.0","method":"no.such","id":1}"#, -32601),
        (r#"{"jsonrpc":"2.0","method":"printer.print.start","id":1}"#, 400),
    ] {
        socket.say(text.to_owned()).await;
        let mut answer = socket.hear().await;
        while answer.get("error").is_none() {
            answer = socket.hear().await;
        }
        assert_eq!(answer["error"]["code"], expected, "{text}");
    }
}

#[tokio::test]
async fn a_print_as_it_is_pushed() {
    let bench = Bench::new(Protocol::Moonraker, 1200.0).await;
    let mut socket = Socket::new(&bench).await;
    socket.identify().await;
    let objects = json!({ "objects": { "print_stats": null, "extruder": ["target"] } });
    let first = socket.call("printer.objects.subscribe", objects).await;
    let status = &first["result"]["status"];
    assert_eq!(status["print_stats"]["state"], "standby");
    assert_eq!(status["extruder"], json!({ "target": 0.0 }));
    let start = json!({ "filename": CUBE });
    assert_eq!(socket.call("printer.print.start", start.clone()).await["result"], "ok");
    let refused = socket.call("printer.print.start", start).await;
    assert_eq!(refused["error"]["message"], "SD busy");
    let params = socket.until("notify_history_changed").await;
    assert_eq!(params[0]["action"], "added");
    assert_eq!(params[0]["job"]["status"], "in_progress");
    socket.call("printer.gcode.script", json!({ "script": "M104 S201\nM220 S150" })).await;
    let (mut target, mut done) = (false, false);
    while !done {
        let params = socket.until("notify_status_update").await;
        target |= params[0]["extruder"]["target"] == 201.0;
        done = params[0]["print_stats"]["state"] == "complete";
        let unchanged = params[0]["print_stats"].get("filename").is_some();
        assert!(!unchanged || params[0]["print_stats"]["state"] == "printing", "{params}");
    }
    assert!(target);
    let params = socket.until("notify_history_changed").await;
    assert_eq!(params[0]["action"], "finished");
    let history = bench.get("/server/history/list?limit=5").await;
    let job = &history["result"]["jobs"][0];
    assert_eq!(
        (job["status"].as_str(), job["job_id"].as_str()),
        (Some("completed"), Some("000001"))
    );
    let totals = bench.get("/server/history/totals").await;
    assert_eq!(totals["result"]["job_totals"]["total_jobs"], 1);
}

#[tokio::test]
async fn klipper_stops_and_comes_back() {
    let bench = Bench::new(Protocol::Moonraker, 1.0).await;
    let mut socket = Socket::new(&bench).await;
    socket.identify().await;
    bench.printer.act(Act::Start { path: CUBE.to_owned() });
    assert_eq!(bench.status("POST", "/printer/emergency_stop").await, 200);
    socket.until("notify_klippy_shutdown").await;
    assert_eq!(bench.get("/server/info").await["result"]["klippy_state"], "shutdown");
    let start = format!("/printer/print/start?filename={CUBE}");
    assert_eq!(bench.status("POST", &start).await, 400);
    let history = bench.get("/server/history/list").await;
    assert_eq!(history["result"]["jobs"][0]["status"], "klippy_shutdown");
    assert_eq!(bench.status("POST", "/printer/firmware_restart").await, 200);
    socket.until("notify_klippy_ready").await;
    assert_eq!(bench.status("POST", &start).await, 200);
    let fail = |code: &str, text: &str| {
        bench.printer.act(Act::Fail { code: code.to_owned(), text: text.to_owned() });
    };
    fail("disconnected", "the board has no power");
    socket.until("notify_klippy_disconnected").await;
    assert_eq!(bench.status("POST", &start).await, 503);
    assert_eq!(bench.get("/server/info").await["result"]["klippy_connected"], false);
    let history = bench.get("/server/history/list").await;
    assert_eq!(history["result"]["jobs"][0]["status"], "klippy_disconnect");
    bench.printer.act(Act::Clear);
    socket.until("notify_klippy_ready").await;
    assert_eq!(bench.status("POST", &start).await, 200);
    fail("1", "move out of range");
    let stats = bench.get("/printer/objects/query?print_stats").await;
    let stats = &stats["result"]["status"]["print_stats"];
    assert_eq!(stats["state"], "error");
    assert_eq!(stats["message"], "move out of range");
    assert_eq!(bench.status("POST", &start).await, 200, "an error of a print needs no restart");
}

#[tokio::test]
async fn files_by_their_hash() {
    let bench = Bench::new(Protocol::Moonraker, 1.0).await;
    let form = |checksum: String| {
        let part = reqwest::multipart::Part::text("G28\nG29\n").file_name("a b.gcode");
        let form = reqwest::multipart::Form::new().part("file", part).text("root", "gcodes");
        form.text("path", "deep").text("checksum", checksum).text("print", "true")
    };
    let upload = |form| bench.ask("POST", "/server/files/upload").multipart(form);
    assert_eq!(code(upload(form("0".repeat(64)))).await, 422);
    let right = data_encoding::HEXLOWER.encode(&sha2::Sha256::digest("G28\nG29\n"));
    bench.printer.set_fault(Fault::DiskFull);
    assert_eq!(code(upload(form(right.clone()))).await, 500);
    bench.printer.set_fault(Fault::None);
    let answer = soon(upload(form(right.clone())).send()).await.unwrap();
    assert_eq!(answer.status(), 201);
    let answer: Value = soon(answer.json()).await.unwrap();
    assert_eq!(answer["item"]["path"], "deep/a b.gcode");
    assert_eq!(answer["print_started"], true);
    assert_eq!(code(upload(form(right))).await, 403, "it is being printed");
    let path = "/server/files/gcodes/deep/a%20b.gcode";
    assert_eq!(bench.status("DELETE", path).await, 403);
    let part = soon(bench.ask("GET", path).header("Range", "bytes=4-5").send()).await.unwrap();
    assert_eq!(part.headers()["content-range"], "bytes 4-5/8");
    assert_eq!((part.status().as_u16(), soon(part.text()).await.unwrap()), (206, "G2".to_owned()));
    let beyond = bench.ask("GET", path).header("Range", "bytes=8-");
    assert_eq!(code(beyond).await, 416);
    let list = bench.get("/server/files/list?root=gcodes").await;
    assert_eq!(list["result"].as_array().unwrap().len(), 2);
    let folder = bench.get("/server/files/directory?path=gcodes").await;
    assert_eq!(folder["result"]["dirs"][0]["dirname"], "deep");
    bench
        .printer
        .put_file("cura.gcode", b";TIME:3600\n;Generated with Cura_SteamEngine 5\n".to_vec());
    let metadata = bench.get(&format!("/server/files/metadata?filename={CUBE}")).await;
    assert_eq!(metadata["result"]["slicer"], "Unknown");
    assert!(metadata["result"].get("estimated_time").is_none());
    let metadata = bench.get("/server/files/metadata?filename=cura.gcode").await;
    assert_eq!(metadata["result"]["estimated_time"], 3600);
    assert_eq!(bench.status("GET", "/server/files/metadata?filename=none").await, 404);
    assert_eq!(bench.status("POST", "/printer/print/cancel").await, 200);
    assert_eq!(bench.status("GET", "/server/files/gcodes/deep").await, 403);
    assert_eq!(bench.status("DELETE", path).await, 200);
    assert_eq!(bench.status("DELETE", path).await, 400);
    assert_eq!(bench.status("GET", "/printer/print/pause").await, 405);
}
