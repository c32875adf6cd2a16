//! Discovery over loopback: what real printers send, and what nobody should.

use super::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);

fn notify(serial: &str) -> String {
    format!(
        "NOTIFY * HTTP/1.1\r\nLocation: 127.0.0.1\r\nNT: urn:bambulab-com:device:3dprinter:1\r\n\
         NTS: ssdp:alive\r\nUSN: {serial}\r\nDevModel.bambu.com: N2S\r\n\r\n"
    )
}

/// A port that is free.
async fn free_port() -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.local_addr().unwrap().port()
}

#[tokio::test]
async fn who_is_asked_answers_and_each_is_told_once() {
    let printer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let options = Options {
        ssdp_ports: vec![free_port().await],
        ask: vec![printer.local_addr().unwrap()],
        mdns: Mdns::Off,
    };
    let mut seen = discover(PATIENCE, options).await;
    let mut question = [0; 512];
    let asked = timeout(PATIENCE, printer.recv_from(&mut question)).await.unwrap();
    let (bytes, from) = asked.unwrap();
    assert!(question[..bytes].starts_with(b"M-SEARCH * HTTP/1.1\r\n"));
    for serial in ["0391", "0391", "0392"] {
        printer.send_to(notify(serial).as_bytes(), from).await.unwrap();
    }
    for serial in ["0391", "0392"] {
        let printer = timeout(PATIENCE, seen.recv()).await.unwrap().unwrap();
        assert_eq!(printer.serial_number, Some(serial.into()));
        assert_eq!((printer.host.as_str(), printer.model), ("127.0.0.1", Some("A1".into())));
    }
}

#[tokio::test]
async fn it_ends_in_time() {
    let options = Options { ssdp_ports: vec![], ask: vec![], mdns: Mdns::Off };
    let mut seen = discover(Duration::from_millis(1), options).await;
    assert_eq!(timeout(PATIENCE, seen.recv()).await.unwrap(), None);
}

#[tokio::test]
async fn mdns_finds_octoprint_and_asks_web_servers_whether_they_are_prusalink() {
    let web = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = web.local_addr().unwrap().port();
    let serving = tokio::spawn(async move {
        while let Ok((mut stream, _)) = web.accept().await {
            let mut question = [0; 512];
            let _read = stream.read(&mut question).await;
            let answer = b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Digest \
                realm=\"Printer API\"\r\nContent-Length: 0\r\n\r\n";
            stream.write_all(answer).await.ok();
        }
    });
    let daemon = mdns_sd::ServiceDaemon::new().unwrap();
    daemon.disable_interface(mdns_sd::IfKind::All).unwrap();
    daemon.enable_interface(mdns_sd::IfKind::LoopbackV4).unwrap();
    let tag = format!("t{port}");
    for service in ["_octoprint._tcp.local.", "_http._tcp.local."] {
        let host = format!("{tag}.local.");
        let txt = [("model", "MK4")];
        let info =
            mdns_sd::ServiceInfo::new(service, &tag, &host, "127.0.0.1", port, &txt[..]).unwrap();
        daemon.register(info).unwrap();
    }
    let options = Options { ssdp_ports: vec![], ask: vec![], mdns: Mdns::Loopback };
    let mut seen = discover(PATIENCE, options).await;
    let mut found = HashSet::new();
    while found.len() < 2 {
        // Other tests may announce at the same time.
        let Some(printer) = timeout(PATIENCE, seen.recv()).await.unwrap() else { break };
        if printer.port == port {
            assert_eq!(printer.name.as_str(), tag);
            found.insert(printer.protocol);
        }
    }
    assert_eq!(found, HashSet::from([Protocol::OctoPrint, Protocol::PrusaLink]));
    daemon.shutdown().unwrap();
    serving.abort();
}
