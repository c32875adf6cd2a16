//! What all printers that speak HTTP have in common, and what their tests share.

use super::*;
use reqwest::{Client, RequestBuilder};
use serde_json::Value;
use std::time::Instant;
use tokio::time::timeout;

/// Nothing here takes long, on the slowest machine.
pub(super) const SOON: Duration = Duration::from_secs(30);
pub(super) const CUBE: &str = "cube.gcode";
pub(super) const HTTP: [Protocol; 3] =
    [Protocol::PrusaLink, Protocol::Moonraker, Protocol::OctoPrint];

/// A printer with one file, of an hour, and a client without a connection pool.
pub(super) struct Bench {
    pub(super) printer: Printer,
    pub(super) client: Client,
}

impl Bench {
    pub(super) async fn new(protocol: Protocol, speed: f64) -> Self {
        Self::of(Spec { speed, ..Spec::new(protocol, "bench") }).await
    }

    pub(super) async fn of(spec: Spec) -> Self {
        let printer = Printer::start(spec).await.unwrap();
        printer.put_file(CUBE, b";TIME:3600\n;LAYER_COUNT:60\nM104 S230\n".to_vec());
        Self { printer, client: client() }
    }

    pub(super) fn url(&self, path: &str) -> String {
        let spec = self.printer.spec();
        format!("http://{}:{}{path}", spec.ip, spec.port)
    }

    pub(super) fn address(&self) -> (IpAddr, u16) {
        (self.printer.spec().ip, self.printer.spec().port)
    }

    /// With the right key.
    pub(super) fn ask(&self, method: &str, path: &str) -> RequestBuilder {
        let method = method.parse().unwrap();
        let secret = &self.printer.spec().secret;
        self.client.request(method, self.url(path)).header("X-Api-Key", secret)
    }

    pub(super) async fn get(&self, path: &str) -> Value {
        let answer = soon(self.ask("GET", path).send()).await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        soon(answer.json()).await.unwrap()
    }

    pub(super) async fn status(&self, method: &str, path: &str) -> u16 {
        code(self.ask(method, path)).await
    }
}

pub(super) async fn code(request: RequestBuilder) -> u16 {
    soon(request.send()).await.unwrap().status().as_u16()
}

pub(super) async fn soon<F: Future>(future: F) -> F::Output {
    timeout(SOON, future).await.expect("it takes too long")
}

pub(super) fn client() -> Client {
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let builder = Client::builder().tls_backend_preconfigured(tls).no_proxy();
    builder.pool_max_idle_per_host(0).build().unwrap()
}

/// What each is asked for its state.
pub(super) fn state_path(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::PrusaLink => "/api/v1/status",
        Protocol::Moonraker => "/printer/objects/query?print_stats&extruder=temperature",
        Protocol::OctoPrint => "/api/printer",
        Protocol::Bambu => unreachable!("it speaks no HTTP"),
    }
}

#[tokio::test]
async fn without_power_and_without_a_cable() {
    for protocol in HTTP {
        let mut bench = Bench::new(protocol, 1.0).await;
        let path = state_path(protocol);
        bench.get(path).await;
        let address = bench.address();
        bench.printer.act(Act::Start { path: CUBE.to_owned() });
        soon(bench.printer.cut()).await;
        let refused = soon(tokio::net::TcpStream::connect(address)).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        soon(bench.printer.mend()).await.unwrap();
        bench.get(path).await;
        assert_eq!(bench.printer.truth()[0].ended, None, "it goes on printing unseen");
        soon(bench.printer.off()).await;
        assert!(soon(bench.ask("GET", path).send()).await.is_err());
        soon(bench.printer.on()).await.unwrap();
        assert_eq!(bench.address(), address, "the same port");
        bench.get(path).await;
        assert_eq!(bench.printer.truth()[0].ended.unwrap().1, End::Failed, "lost with the power");
        assert_eq!(bench.printer.files().len(), 1, "files stay");
        drop(bench.printer);
        let gone = async {
            while tokio::net::TcpStream::connect(address).await.is_ok() {
                tokio::task::yield_now().await;
            }
        };
        soon(gone).await;
    }
}

#[tokio::test]
async fn a_connection_ends_with_the_cable() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut bench = Bench::new(Protocol::PrusaLink, 1.0).await;
    let mut stream = tokio::net::TcpStream::connect(bench.address()).await.unwrap();
    stream.write_all(b"GET /api/version HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut some = [0; 16];
    soon(stream.read_exact(&mut some)).await.unwrap();
    soon(bench.printer.cut()).await;
    let mut rest = Vec::new();
    let _ = soon(stream.read_to_end(&mut rest)).await;
}

#[tokio::test]
async fn faults_and_their_end() {
    for protocol in HTTP {
        let bench = Bench::new(protocol, 1.0).await;
        let path = state_path(protocol);
        let late = Duration::from_millis(200);
        bench.printer.set_fault(Fault::Slow(late));
        let asked = Instant::now();
        bench.get(path).await;
        assert!(asked.elapsed() >= late);

        bench.printer.set_fault(Fault::Silent);
        let waiting = bench.ask("GET", path).send();
        assert!(timeout(Duration::from_millis(200), waiting).await.is_err());

        bench.printer.set_fault(Fault::Drops);
        let answer = soon(bench.ask("GET", path).send()).await.unwrap();
        assert_eq!(answer.headers()["connection"], "close");

        bench.printer.set_fault(Fault::WrongSecret);
        let code = bench.status("GET", path).await;
        assert_eq!(code, if protocol == Protocol::OctoPrint { 403 } else { 401 });

        bench.printer.set_fault(Fault::Garbled);
        let mut good = 0;
        for _ in 0..12 {
            let answer = soon(bench.ask("GET", path).send()).await.unwrap();
            let bytes = soon(answer.bytes()).await.unwrap();
            let value = serde_json::from_slice::<Value>(&bytes);
            good += u32::from(value.is_ok_and(|value| looks_good(protocol, &value)));
        }
        assert_eq!(good, 0);

        bench.printer.set_fault(Fault::None);
        assert!(looks_good(protocol, &bench.get(path).await));
    }
}

fn looks_good(protocol: Protocol, value: &Value) -> bool {
    match protocol {
        Protocol::PrusaLink => value["printer"]["temp_nozzle"].is_number(),
        Protocol::Moonraker => value["result"]["status"]["print_stats"]["state"].is_string(),
        Protocol::OctoPrint => value["state"]["flags"]["ready"].is_boolean(),
        Protocol::Bambu => false,
    }
}

#[tokio::test]
async fn what_is_printed_is_what_happened() {
    for protocol in HTTP {
        let bench = Bench::new(protocol, 3600.0).await;
        bench.printer.act(Act::Pause);
        bench.printer.act(Act::Start { path: CUBE.to_owned() });
        bench.printer.act(Act::Pause);
        bench.printer.act(Act::Resume);
        let ended = async {
            while bench.printer.truth()[0].ended.is_none() {
                bench.get(state_path(protocol)).await;
            }
        };
        soon(ended).await;
        let print = bench.printer.truth().remove(0);
        let (ended, end) = print.ended.unwrap();
        assert_eq!((print.file.as_str(), end, print.pauses.len()), (CUBE, End::Finished, 1));
        let took = ended.duration_since(print.started).unwrap();
        let paused = print.pauses[0].1.unwrap().duration_since(print.pauses[0].0).unwrap();
        let off = (took - paused).as_secs_f64() - 1.0;
        assert!(off.abs() < 0.001, "an hour at speed 3600 took {took:?}");
        bench.printer.act(Act::Fail { code: "E1".to_owned(), text: "hot".to_owned() });
        bench.printer.act(Act::Clear);
        assert_eq!(bench.printer.truth().len(), 1);
    }
}

#[tokio::test]
async fn what_is_pushed_breaks_too() {
    use futures_util::{SinkExt, StreamExt};
    use tokio_tungstenite::tungstenite::Message;
    let bench = Bench::new(Protocol::Moonraker, 1.0).await;
    let url = bench.url("/websocket").replace("http", "ws");
    let connect = || async {
        let mut socket = soon(tokio_tungstenite::connect_async(&url)).await.unwrap().0;
        let hello = r#"{"jsonrpc":"2.0","id":1,"method":"server.connection.identify","params":
            {"client_name":"t","version":"1","type":"other","url":"x","api_key":"12345678"}}"#;
        soon(socket.send(Message::text(hello))).await.unwrap();
        let first = soon(socket.next()).await.unwrap().unwrap();
        assert!(first.to_text().unwrap().contains("connection_id"), "{first:?}");
        socket
    };
    let ask = || Message::text(r#"{"jsonrpc":"2.0","id":2,"method":"printer.info"}"#);

    let mut socket = connect().await;
    bench.printer.set_fault(Fault::Silent);
    soon(socket.send(ask())).await.unwrap();
    // What was under way may still come, and then not even the second's tick.
    let mut heard = 0;
    while timeout(Duration::from_millis(1500), socket.next()).await.is_ok() {
        heard += 1;
    }
    assert!(heard < 3, "{heard}");
    bench.printer.set_fault(Fault::None);
    soon(socket.next()).await.unwrap().unwrap();

    bench.printer.set_fault(Fault::Garbled);
    let mut broken = 0;
    for _ in 0..12 {
        soon(socket.send(ask())).await.unwrap();
        let message = soon(socket.next()).await.unwrap().unwrap();
        let value = message.to_text().ok().and_then(|t| serde_json::from_str::<Value>(t).ok());
        broken += u32::from(value.is_none_or(|value| value["result"]["state"] != "ready"));
    }
    assert_eq!(broken, 12);
    bench.printer.set_fault(Fault::None);

    let mut socket = connect().await;
    bench.printer.set_fault(Fault::Drops);
    let closed = async { while let Some(Ok(_)) = socket.next().await {} };
    soon(closed).await;
}
