//! How printers are found.

use std::net::Ipv4Addr;
use std::time::Duration;

use sim::printer::bambu::{Announcer, Options};
use tokio::net::UdpSocket;

use crate::{limited, printer};

#[tokio::test]
async fn printers_tell_of_themselves_and_answer() {
    limited(async {
        let (a1, x1) = (printer("A1").await, printer("X1C").await);
        let hub = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let options = Options {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            target: hub.local_addr().unwrap(),
            every: Duration::from_secs(3600),
        };
        let announcer = Announcer::start(&[a1.spec(), x1.spec()], options).await.unwrap();
        for code in ["N2S", "BL-P001"] {
            let text = heard(&hub).await;
            assert!(text.starts_with("NOTIFY * HTTP/1.1\r\n") && text.ends_with("\r\n\r\n"));
            assert!(text.contains("\r\nNTS: ssdp:alive\r\n"));
            assert!(text.contains("\r\nLocation: 127.0.0.1\r\n"));
            assert!(text.contains(&format!("\r\nDevModel.bambu.com: {code}\r\n")), "{text}");
        }
        let search = "M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1990\r\n\
                      MAN: \"ssdp:discover\"\r\nMX: 3\r\n\
                      ST: urn:bambulab-com:device:3dprinter:1\r\n\r\n";
        hub.send_to(search.as_bytes(), announcer.address()).await.unwrap();
        let text = heard(&hub).await;
        assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.contains("\r\nUSN: FARHUBA1\r\n"));
        assert!(heard(&hub).await.contains("\r\nUSN: FARHUBX1C\r\n"));
    })
    .await;
}

async fn heard(socket: &UdpSocket) -> String {
    let mut buffer = [0; 2048];
    let (bytes, _) = socket.recv_from(&mut buffer).await.unwrap();
    String::from_utf8(buffer[..bytes].to_vec()).unwrap()
}
