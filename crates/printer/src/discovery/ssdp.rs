//! Bambu's printers by SSDP: a `NOTIFY` each half minute, and an answer to `M-SEARCH`
//! (ha-bambulab; bambuddy). Anybody can send such a datagram, so one is believed only about the
//! address that it comes from.

use super::Seen;
use crate::Protocol;
use crate::bambu::Model;
use socket2::{Domain, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::sleep;
use wire::Text;

pub(super) const GROUP: Ipv4Addr = Ipv4Addr::new(239, 255, 255, 250);
const URN: &str = "urn:bambulab-com:device:3dprinter:1";

/// Shared with Bambu Studio and others that listen there too.
pub(super) fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None)?;
    if address.port() != 0 {
        socket.set_reuse_address(true)?;
        #[cfg(unix)]
        socket.set_reuse_port(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    if let Err(error) = socket.join_multicast_v4(&GROUP, &Ipv4Addr::UNSPECIFIED) {
        tracing::debug!(%error, "no multicast: printers that broadcast are still heard");
    }
    UdpSocket::from_std(socket.into())
}

/// Asks for printers; who does not, announces itself sooner or later.
pub(super) async fn ask(socket: &UdpSocket, to: SocketAddr) {
    let question = format!(
        "M-SEARCH * HTTP/1.1\r\nHOST: {to}\r\nMAN: \"ssdp:discover\"\r\nMX: 3\r\nST: {URN}\r\n\r\n"
    );
    if let Err(error) = socket.send_to(question.as_bytes(), to).await {
        tracing::debug!(%error, %to, "nobody can be asked");
    }
}

/// Until it is dropped.
pub(super) async fn listen(socket: UdpSocket, seen: mpsc::Sender<Seen>) {
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        // An error is about a datagram of ours that was not delivered; one about the socket itself
        // would come again at once.
        let Ok((bytes, from)) = socket.recv_from(&mut buffer).await else {
            sleep(AFTER_ERROR).await;
            continue;
        };
        if let Some(printer) = parse(&buffer[..bytes], from.ip())
            && seen.send(printer).await.is_err()
        {
            return;
        }
    }
}

/// The printer that tells of itself in a datagram from that address.
fn parse(datagram: &[u8], from: IpAddr) -> Option<Seen> {
    let text = String::from_utf8_lossy(datagram);
    let mut lines = text.lines();
    let kind = match lines.next()?.trim() {
        "NOTIFY * HTTP/1.1" => "nt",
        "HTTP/1.1 200 OK" => "st",
        _ => return None,
    };
    let headers: Vec<(String, &str)> = lines
        .take(LINES_MAX)
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim()))
        .collect();
    let header = |name: &str| {
        let found = headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| *value).filter(|value| !value.is_empty())
    };
    let leaving = header("nts").is_some_and(|nts| nts != "ssdp:alive");
    if header(kind)? != URN || leaving {
        return None;
    }
    let from = from.to_canonical();
    let location = header("location")?;
    let location = location.strip_prefix("http://").unwrap_or(location).trim_end_matches('/');
    if location.parse() != Ok(from) {
        tracing::debug!(%from, location, "a printer that is somewhere else");
        return None;
    }
    let serial = header("usn")?;
    let fits = serial.len() <= 64 && serial.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    let code = header("devmodel.bambu.com");
    let model = code.map(|code| Model::coded(code).map_or(code, |model| model.name));
    fits.then(|| Seen {
        protocol: Protocol::Bambu,
        host: from.to_string(),
        port: Protocol::Bambu.default_port(),
        serial_number: Some(Text::from(serial)),
        model: model.map(Text::from),
        name: Text::from(header("devname.bambu.com").unwrap_or(serial)),
    })
}

/// They have about 400.
const DATAGRAM_BYTES_MAX: usize = 4096;
const LINES_MAX: usize = 64;
const AFTER_ERROR: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOTIFY: &str = "NOTIFY * HTTP/1.1\r\nHOST: 239.255.255.250:1990\r\nServer: UPnP/1.0\r\n\
        Location: 192.168.1.7\r\nNT: urn:bambulab-com:device:3dprinter:1\r\nNTS: ssdp:alive\r\n\
        USN: 01P00A123456789\r\nCache-Control: max-age=1800\r\nDevModel.bambu.com: C12\r\n\
        DevName.bambu.com: Workshop left\r\nDevSignal.bambu.com: -44\r\n\
        DevConnect.bambu.com: lan\r\nDevBind.bambu.com: free\r\n\r\n";

    fn heard(text: &str, from: [u8; 4]) -> Option<Seen> {
        parse(text.as_bytes(), IpAddr::from(from))
    }

    #[test]
    fn a_printer_tells_of_itself() {
        let seen = heard(NOTIFY, [192, 168, 1, 7]).unwrap();
        assert_eq!(seen.host, "192.168.1.7");
        assert_eq!(seen.port, 8883);
        assert_eq!(seen.serial_number, Some("01P00A123456789".into()));
        assert_eq!(seen.model, Some("P1S".into()));
        assert_eq!(seen.name, "Workshop left".into());
        let answer = NOTIFY
            .replace("NOTIFY * HTTP/1.1", "HTTP/1.1 200 OK")
            .replace("NT: urn", "ST: urn")
            .replace("NTS: ssdp:alive\r\n", "");
        assert_eq!(heard(&answer, [192, 168, 1, 7]), Some(seen));
    }

    #[test]
    fn nobody_tells_of_others() {
        assert_eq!(heard(NOTIFY, [192, 168, 1, 8]), None);
        assert_eq!(heard(&NOTIFY.replace("192.168.1.7", "evil.example"), [192, 168, 1, 7]), None);
        assert_eq!(heard(&NOTIFY.replace("alive", "byebye"), [192, 168, 1, 7]), None);
        assert_eq!(heard(&NOTIFY.replace("bambulab", "other"), [192, 168, 1, 7]), None);
        assert_eq!(heard(&NOTIFY.replace("01P00A", "01P/../"), [192, 168, 1, 7]), None);
    }

    proptest! {
        #[test]
        fn no_datagram_makes_it_panic(
            bytes in any::<Vec<u8>>(),
            at in 0..NOTIFY.len(),
            from in any::<[u8; 4]>(),
        ) {
            parse(&bytes, IpAddr::from(from));
            let mut cut = NOTIFY.as_bytes()[..at].to_vec();
            cut.extend(bytes);
            parse(&cut, IpAddr::from([192, 168, 1, 7]));
        }
    }
}
