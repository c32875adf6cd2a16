//! Over real sockets.

use super::*;
use crate::printer::tests::{Bench, CUBE, code, soon};
use crate::printer::{Act, Fault, Protocol, Spec};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn bench() -> Bench {
    Bench::new(Protocol::PrusaLink, 1.0).await
}

/// Sends bytes as they are and gives the connection.
async fn send(bench: &Bench, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(bench.address()).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    stream
}

/// All that comes until the printer closes.
async fn rest(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    let _ = soon(stream.read_to_end(&mut bytes)).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The head of one answer, and its body as far as it came along.
async fn answer(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    while !bytes.windows(4).any(|end| end == b"\r\n\r\n") {
        let mut some = [0; 4096];
        let count = soon(stream.read(&mut some)).await.unwrap();
        assert!(count > 0, "it hung up");
        bytes.extend_from_slice(&some[..count]);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn md5(text: &str) -> String {
    use md5::Digest;
    data_encoding::HEXLOWER.encode(&md5::Md5::digest(text))
}

fn digest(challenge: &str, secret: &str, more: &str) -> String {
    let nonce = challenge.split("nonce=\"").nth(1).unwrap().split('"').next().unwrap();
    let a1 = md5(&format!("maker:Printer API:{secret}"));
    let response = md5(&format!("{a1}:{nonce}:{}", md5("GET:/api/v1/info")));
    format!(
        "GET /api/v1/info HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
         Authorization: Digest username=\"maker\", realm=\"Printer API\", nonce=\"{nonce}\", \
         uri=\"/api/v1/info\", response=\"{response}\"{more}\r\n\r\n"
    )
}

#[tokio::test]
async fn a_login_by_digest() {
    let bench = bench().await;
    let plain = "GET /api/v1/info HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let challenge = rest(send(&bench, plain).await).await;
    assert!(challenge.starts_with("HTTP/1.1 401"), "{challenge}");
    assert!(challenge.contains("Digest realm=\"Printer API\", nonce=\""), "{challenge}");
    assert!(challenge.contains("stale=false"));
    assert!(!challenge.contains("qop") && !challenge.contains("algorithm"));
    let good = rest(send(&bench, &digest(&challenge, "12345678", "")).await).await;
    assert!(good.starts_with("HTTP/1.1 200"), "{good}");
    let wrong = rest(send(&bench, &digest(&challenge, "1", "")).await).await;
    assert!(wrong.starts_with("HTTP/1.1 401") && wrong.contains("stale=false"), "{wrong}");
    let more = digest(&challenge, "12345678", ", algorithm=MD5");
    assert!(rest(send(&bench, &more).await).await.starts_with("HTTP/1.1 401"));
    let old = digest("nonce=\"0000000000000000\"", "12345678", "");
    let stale = rest(send(&bench, &old).await).await;
    assert!(stale.starts_with("HTTP/1.1 401") && stale.contains("stale=true"), "{stale}");
}

#[tokio::test]
async fn three_connections() {
    let bench = bench().await;
    let text = "GET /api/version HTTP/1.1\r\nHost: x\r\nX-Api-Key: 12345678\r\n\r\n";
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut stream = send(&bench, text).await;
        assert!(answer(&mut stream).await.starts_with("HTTP/1.1 200"));
        held.push(stream);
    }
    let mut fourth = TcpStream::connect(bench.address()).await.unwrap();
    let _ = fourth.write_all(text.as_bytes()).await;
    assert_eq!(rest(fourth).await, "", "it is closed without a word");
    held.pop();
    let again = async {
        loop {
            let mut stream = TcpStream::connect(bench.address()).await.unwrap();
            let _ = stream.write_all(text.as_bytes()).await;
            let mut some = [0; 12];
            if stream.read_exact(&mut some).await.is_ok() {
                break;
            }
        }
    };
    soon(again).await;
}

#[tokio::test]
async fn a_job_and_its_commands() {
    let bench = bench().await;
    assert_eq!(bench.status("GET", "/api/v1/job").await, 204);
    assert_eq!(bench.status("POST", "/api/v1/files/usb/none.gcode").await, 404);
    assert_eq!(bench.status("POST", "/api/v1/files/usb/CUBE~1.GCO").await, 204);
    assert_eq!(bench.status("POST", "/api/v1/files/usb/cube.gcode").await, 409);
    let job = bench.get("/api/v1/job").await;
    assert_eq!(job["file"]["name"], "CUBE~1.GCO");
    assert_eq!(job["file"]["display_name"], CUBE);
    assert_eq!(job["file"]["path"], "/usb");
    assert_eq!(job["file"]["refs"]["download"], "/usb/CUBE~1.GCO");
    assert_eq!((job["state"].as_str(), job["id"].as_u64()), (Some("PRINTING"), Some(1)));
    assert!(job["time_remaining"].as_u64().unwrap() >= 3590);
    assert_eq!(bench.status("PUT", "/api/v1/job/2/pause").await, 404);
    assert_eq!(bench.status("PUT", "/api/v1/job/1/resume").await, 409);
    assert_eq!(bench.status("PUT", "/api/v1/job/1/pause").await, 204);
    assert_eq!(bench.status("PUT", "/api/v1/job/1/pause").await, 409);
    let status = bench.get("/api/v1/status").await;
    assert_eq!(status["printer"]["state"], "PAUSED");
    assert_eq!(status["printer"]["target_nozzle"], 230.0);
    assert_eq!(status["job"]["id"], 1);
    assert!(status["printer"].get("axis_x").is_none(), "only when it does not print");
    assert_eq!(bench.status("PUT", "/api/v1/job/1/continue").await, 204);
    assert_eq!(bench.status("DELETE", "/api/v1/job/1").await, 204);
    assert_eq!(bench.status("DELETE", "/api/v1/job/1").await, 409);
    assert_eq!(bench.get("/api/v1/job").await["state"], "STOPPED");
    bench.printer.act(Act::Clear);
    assert_eq!(bench.status("GET", "/api/v1/job").await, 204);
    assert_eq!(bench.get("/api/v1/status").await["printer"]["state"], "IDLE");
    let text = || "filament runout".to_owned();
    bench.printer.act(Act::Fail { code: "1".to_owned(), text: text() });
    assert_eq!(bench.get("/api/v1/status").await["printer"]["state"], "ATTENTION");
    assert_eq!(bench.status("POST", "/api/v1/files/usb/cube.gcode").await, 409);
    bench.printer.act(Act::Clear);
    assert_eq!(bench.status("POST", "/api/v1/files/usb/cube.gcode").await, 204);
    bench.printer.act(Act::Fail { code: "1".to_owned(), text: text() });
    assert_eq!(bench.get("/api/v1/job").await["state"], "ERROR");
}

fn put(bench: &Bench, path: &str, content: &'static str) -> reqwest::RequestBuilder {
    bench.ask("PUT", &format!("/api/v1/files/{path}")).body(content)
}

#[tokio::test]
async fn what_it_does_not_take() {
    let bench = bench().await;
    assert_eq!(code(put(&bench, "usb/a.gcode", "G28")).await, 201);
    assert_eq!(code(put(&bench, "usb/a.gcode", "G28")).await, 409);
    assert_eq!(code(put(&bench, "usb/a.gcode", "G29").header("Overwrite", "?1")).await, 201);
    assert_eq!(code(put(&bench, "usb/a.stl", "G28")).await, 415);
    assert_eq!(code(put(&bench, "usb/a%3Ab.gcode", "G28")).await, 422);
    let long = format!("usb/{}.gcode", "a".repeat(300));
    assert_eq!(code(put(&bench, &long, "G28")).await, 431);
    assert_eq!(code(put(&bench, "local/a.gcode", "G28")).await, 403);
    assert_eq!(code(put(&bench, "usb/%2e%2e/a.gcode", "G28")).await, 403);
    let stream = futures_util::stream::iter([Ok::<_, std::io::Error>("G28")]);
    let chunked = bench.ask("PUT", "/api/v1/files/usb/b.gcode");
    assert_eq!(code(chunked.body(reqwest::Body::wrap_stream(stream))).await, 411);
    for (fault, text) in
        [(Fault::DiskFull, "USB drive full"), (Fault::NoStorage, "Missing USB drive")]
    {
        bench.printer.set_fault(fault);
        let refused = soon(put(&bench, "usb/c.gcode", "G28").send()).await.unwrap();
        assert_eq!(refused.status(), 507);
        let body: Value = soon(refused.json()).await.unwrap();
        assert_eq!(body["message"], text);
    }
    bench.printer.set_fault(Fault::None);
    bench.printer.act(Act::Start { path: CUBE.to_owned() });
    let again = put(&bench, "usb/cube.gcode", "G28").header("Overwrite", "?1");
    assert_eq!(code(again).await, 409);
    let print = put(&bench, "usb/d.gcode", "G28").header("Print-After-Upload", "?1");
    assert_eq!(code(print).await, 409);
    assert_eq!(bench.status("DELETE", "/api/v1/files/usb/cube.gcode").await, 409);
    assert_eq!(bench.status("DELETE", "/api/v1/files/usb/none.gcode").await, 404);
    assert_eq!(bench.status("DELETE", "/api/v1/files/usb/a.gcode").await, 204);
    assert_eq!(bench.printer.files().len(), 1, "{:?}", bench.printer.files());
}

#[tokio::test]
async fn one_transfer_at_a_time() {
    let bench = bench().await;
    let head = "PUT /api/v1/files/usb/big.gcode HTTP/1.1\r\nHost: x\r\nX-Api-Key: 12345678\r\n\
                Content-Length: 100\r\n\r\nG28\n";
    let first = send(&bench, head).await;
    let shown = async {
        loop {
            let status = bench.get("/api/v1/status").await;
            if status["transfer"]["transferred"] == 4 {
                break;
            }
        }
    };
    soon(shown).await;
    let transfer = bench.get("/api/v1/transfer").await;
    assert_eq!(transfer["path"], "/usb/big.gcode");
    let second = soon(put(&bench, "usb/e.gcode", "G28").send()).await.unwrap();
    assert_eq!(second.status(), 409);
    let body: Value = soon(second.json()).await.unwrap();
    assert_eq!(body["message"], "Another transfer in progress");
    assert_eq!(bench.status("DELETE", "/api/v1/transfer/7").await, 404);
    assert_eq!(bench.status("DELETE", "/api/v1/transfer/1").await, 204);
    assert!(rest(first).await.contains("Transfer aborted"));
    assert_eq!(bench.status("GET", "/api/v1/transfer").await, 204);
    // A client that goes away leaves nothing behind.
    let mut cut = send(&bench, head).await;
    cut.shutdown().await.unwrap();
    let said = rest(cut).await;
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 400"), "{said}");
    let freed = async {
        while code(put(&bench, "usb/f.gcode", "G28")).await != 201 {
            bench.status("DELETE", "/api/v1/files/usb/f.gcode").await;
        }
    };
    soon(freed).await;
    assert!(!bench.printer.files().iter().any(|(path, _)| path == "big.gcode"));
}

#[tokio::test]
async fn files_and_folders() {
    let bench = bench().await;
    let picture = ";\n; thumbnail begin 16x16 8\n; iVBORw0KGgo=\n; thumbnail end\n";
    bench.printer.put_file("a long folder/a long name.gcode", picture.into());
    let root = bench.get("/api/v1/files/usb").await;
    let names: Vec<&str> =
        root["children"].as_array().unwrap().iter().filter_map(|c| c["name"].as_str()).collect();
    assert_eq!(names, ["CUBE~1.GCO", "ALONGF~1"]);
    let file = bench.get("/api/v1/files/usb/ALONGF~1/ALONGN~1.GCO").await;
    assert_eq!(file["display_name"], "a long name.gcode");
    assert_eq!(file["size"], picture.len());
    assert_eq!(file, bench.get("/api/v1/files/usb/a%20long%20folder/a%20long%20name.gcode").await);
    let bytes = bench.ask("GET", file["refs"]["download"].as_str().unwrap());
    let bytes = soon(soon(bytes.send()).await.unwrap().bytes()).await.unwrap();
    assert_eq!(&bytes[..], picture.as_bytes());
    let png = bench.ask("GET", file["refs"]["thumbnail"].as_str().unwrap());
    let png = soon(soon(png.send()).await.unwrap().bytes()).await.unwrap();
    assert_eq!(&png[..], b"\x89PNG\r\n\x1a\n");
    assert_eq!(bench.status("GET", "/thumb/l/usb/cube.gcode").await, 404);
    let head = soon(bench.ask("HEAD", "/api/v1/files/usb/cube.gcode").send()).await.unwrap();
    assert_eq!(
        (head.status().as_u16(), &head.headers()["currently-printed"]),
        (200, &http::value("false"))
    );
    let tag = head.headers()["etag"].to_str().unwrap();
    let again = bench.ask("GET", "/api/v1/files/usb/cube.gcode").header("If-None-Match", tag);
    assert_eq!(code(again).await, 304);
    assert_eq!(bench.status("DELETE", "/api/v1/files/usb/ALONGF~1").await, 409);
    let create = bench.ask("PUT", "/api/v1/files/usb/new").header("Create-Folder", "?1");
    assert_eq!(code(create).await, 201);
    assert_eq!(bench.get("/api/v1/files/usb/new").await["type"], "FOLDER");
    assert_eq!(bench.status("DELETE", "/api/v1/files/usb/new").await, 204);
    assert_eq!(bench.status("HEAD", "/api/v1/files/usb/new").await, 404);
    bench.printer.set_fault(Fault::TruncatesFiles);
    assert_eq!(code(put(&bench, "usb/cut.gcode", "G28\nG29\n")).await, 201);
    bench.printer.set_fault(Fault::None);
    assert!(bench.get("/api/v1/files/usb/cut.gcode").await["size"].as_u64().unwrap() < 8);
}

#[tokio::test]
async fn a_firmware_without_api_v1() {
    let spec = Spec { firmware: "3.1".to_owned(), ..Spec::new(Protocol::PrusaLink, "old") };
    let bench = Bench::of(spec).await;
    assert_eq!(bench.get("/api/version").await["capabilities"]["upload-by-put"], false);
    assert_eq!(bench.status("GET", "/api/v1/status").await, 404);
    assert_eq!(bench.get("/api/printer").await["state"]["flags"]["ready"], true);
    let file = bench.get("/api/files").await["files"][0]["children"][0].clone();
    assert_eq!(file["display"], CUBE);
    let start = bench.ask("POST", "/api/files/usb/CUBE~1.GCO");
    assert_eq!(code(start.json(&json!({ "command": "start" }))).await, 204);
    let job = bench.get("/api/job").await;
    assert_eq!(
        (job["state"].as_str(), &job["job"]["file"]["display"]),
        (Some("Printing"), &json!(CUBE))
    );
    assert_eq!(job["progress"]["completion"], 0.0);
    let command = |body: Value| bench.ask("POST", "/api/job").json(&body);
    assert_eq!(code(command(json!({ "command": "pause", "action": "pause" }))).await, 204);
    assert_eq!(code(command(json!({ "command": "pause", "action": "pause" }))).await, 409);
    assert_eq!(bench.get("/api/printer").await["state"]["flags"]["paused"], true);
    assert_eq!(code(command(json!({ "command": "pause", "action": "resume" }))).await, 204);
    assert_eq!(code(command(json!({ "command": "cancel" }))).await, 204);
    let part = reqwest::multipart::Part::text("G28").file_name("new.gcode");
    let form = reqwest::multipart::Form::new().part("file", part).text("print", "true");
    assert_eq!(code(bench.ask("POST", "/api/files/usb").multipart(form)).await, 201);
    assert_eq!(bench.printer.truth().len(), 2);
}
