//! Against a broker of a few bytes, for what no printer does on demand: being full, being silent.

use super::super::tls::tests::{SERIAL, certificate};
use super::*;
use crate::{Command, Phase, Protocol, Secret};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

const PATIENCE: Duration = Duration::from_secs(20);
const QUICK: Pace = Pace {
    between_states: Duration::from_millis(50),
    answer: Duration::from_millis(200),
    silence: (Duration::from_millis(400), Duration::from_millis(900)),
    refresh: Duration::from_secs(300),
};

/// Lets one client in with that code, tells it one report, and then only listens.
async fn broker(code: u8, report: Option<Value>) -> (Connection, JoinHandle<Vec<u8>>) {
    let (chain, key) = certificate(SERIAL);
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let connection = Connection {
        port: listener.local_addr().unwrap().port(),
        serial_number: SERIAL.into(),
        secret: Secret::from("12345678"),
        ..Connection::new(Protocol::Bambu, "127.0.0.1")
    };
    let serving = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = TlsAcceptor::from(Arc::new(config)).accept(stream).await.unwrap();
        let mut heard = vec![0; 4096];
        let connect = stream.read(&mut heard).await.unwrap();
        heard.truncate(connect);
        // MQTT 3.1.1 §3.2: CONNACK
        stream.write_all(&[0x20, 2, 0, code]).await.unwrap();
        stream.flush().await.unwrap();
        let mut block = [0; 4096];
        if let Ok(bytes @ 5..) = stream.read(&mut block).await {
            // §3.8 and §3.9: SUBSCRIBE and SUBACK, between which nothing is asked
            assert_eq!((block[0], bytes), (0x82, 2 + usize::from(block[1])));
            heard.extend_from_slice(&block[..bytes]);
            stream.write_all(&[0x90, 3, block[2], block[3], 0]).await.unwrap();
        }
        if let Some(report) = report {
            stream.write_all(&publish(&report)).await.unwrap();
        }
        stream.flush().await.unwrap();
        while let Ok(bytes @ 1..) = stream.read(&mut block).await {
            heard.extend_from_slice(&block[..bytes]);
        }
        heard
    });
    (connection, serving)
}

/// MQTT 3.1.1 §3.3, in less than 16 KiB.
fn publish(report: &Value) -> Vec<u8> {
    let topic = format!("device/{SERIAL}/report");
    let mut body = u16::try_from(topic.len()).unwrap().to_be_bytes().to_vec();
    body.extend(topic.as_bytes());
    body.extend(report.to_string().as_bytes());
    let low = u8::try_from(body.len() & 0x7F).unwrap() | 0x80;
    let mut packet = vec![0x30, low, u8::try_from(body.len() >> 7).unwrap()];
    packet.extend(body);
    packet
}

fn idle() -> Value {
    let lights = json!([{ "node": "chamber_light", "mode": "off" }]);
    json!({ "print": { "command": "push_status", "msg": 0, "gcode_state": "IDLE",
        "lights_report": lights } })
}

fn count(heard: &[u8], what: &str) -> usize {
    String::from_utf8_lossy(heard).matches(what).count()
}

#[tokio::test]
async fn why_it_is_not_let_in() {
    for (code, reason) in [
        (1, Reason::NotAPrinter),
        (3, Reason::TooManyConnections),
        (4, Reason::WrongSecret),
        (5, Reason::WrongSecret),
    ] {
        let (connection, _broker) = broker(code, None).await;
        let refused = timeout(PATIENCE, probe(&connection, QUICK)).await.unwrap().unwrap_err();
        assert_eq!(refused.reason, reason, "{code}: {refused}");
    }
}

#[tokio::test]
async fn one_that_tells_nothing_is_no_use() {
    let (connection, _broker) = broker(0, None).await;
    let refused = timeout(PATIENCE, probe(&connection, QUICK)).await.unwrap().unwrap_err();
    assert_eq!(refused.reason, Reason::NoAnswer);
}

#[tokio::test]
async fn it_listens_before_it_asks() {
    for round in 0..20 {
        let (connection, broker) = broker(0, Some(idle())).await;
        timeout(PATIENCE, probe(&connection, QUICK)).await.unwrap().unwrap();
        let heard = timeout(PATIENCE, broker).await.unwrap().unwrap();
        let heard = String::from_utf8_lossy(&heard);
        let place = |what| heard.find(what).unwrap();
        assert!(place("/report") < place("pushall"), "round {round}: {heard}");
    }
}

#[tokio::test]
async fn silence_is_asked_and_then_left() {
    let (connection, broker) = broker(0, Some(idle())).await;
    let (tell, mut told) = mpsc::channel(8);
    let (_orders, mut incoming) = mpsc::channel(1);
    let watching = watch(&connection, &tell, &mut incoming, QUICK);
    let error = timeout(PATIENCE, watching).await.unwrap();
    assert_eq!(error.reason, Reason::Lost);
    assert!(matches!(told.recv().await, Some(Told::Certificate(_))));
    assert!(matches!(told.recv().await, Some(Told::State(_))));
    let heard = timeout(PATIENCE, broker).await.unwrap().unwrap();
    assert_eq!(count(&heard, "pushall"), 1);
    assert_eq!(count(&heard, "get_version"), 2, "once more to be sure");
}

#[tokio::test]
async fn a_command_without_an_answer_is_told_so_and_the_next_is_taken() {
    let (connection, broker) = broker(0, Some(idle())).await;
    let (tell, mut told) = mpsc::channel(8);
    let (orders, mut incoming) = mpsc::channel(2);
    let watching = tokio::spawn(async move {
        watch(&connection, &tell, &mut incoming, Pace { silence: (PATIENCE, PATIENCE), ..QUICK })
            .await
    });
    while let Some(news) = timeout(PATIENCE, told.recv()).await.unwrap() {
        if matches!(news, Told::State(state) if state.phase == Phase::Idle) {
            break;
        }
    }
    for (command, expected) in [
        (Command::Light { on: true }, Err(Reason::NoAnswer)),
        // It is off: whether it answers or not, that has been done.
        (Command::Light { on: false }, Ok(())),
    ] {
        let (done, answer) = oneshot::channel();
        orders.send(Order { command, done }).await.unwrap();
        let answer = timeout(PATIENCE, answer).await.unwrap().unwrap();
        assert_eq!(answer.map_err(|error| error.reason), expected);
    }
    drop(orders);
    assert_eq!(timeout(PATIENCE, watching).await.unwrap().unwrap().reason, Reason::Local);
    let heard = timeout(PATIENCE, broker).await.unwrap().unwrap();
    assert_eq!(count(&heard, "ledctrl"), 2);
    assert!(heard.ends_with(&[0xE0, 0]), "it says goodbye");
}
