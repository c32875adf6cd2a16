//! Printers by mDNS: OctoPrint and Moonraker have services of their own; PrusaLink is one of many
//! web servers, so each of those is asked once what it is.

use super::{Mdns, Seen};
use crate::Protocol;
use mdns_sd::{IfKind, Receiver, ResolvedService, ServiceDaemon, ServiceEvent};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use wire::Text;

const SERVICES: [(&str, Protocol); 3] = [
    ("_octoprint._tcp.local.", Protocol::OctoPrint),
    ("_moonraker._tcp.local.", Protocol::Moonraker),
    ("_http._tcp.local.", Protocol::PrusaLink),
];

/// Stops the thread of mDNS when the listening ends.
struct Daemon(ServiceDaemon);

impl Drop for Daemon {
    fn drop(&mut self) {
        self.0.shutdown().ok();
    }
}

/// Until it is dropped.
pub(super) async fn listen(mdns: Mdns, seen: mpsc::Sender<Seen>) {
    let started = tokio::task::spawn_blocking(move || start(mdns)).await;
    let (_daemon, browsed) = match started {
        Ok(Ok(started)) => started,
        Ok(Err(error)) => return tracing::debug!(%error, "no mDNS"),
        Err(error) => return tracing::debug!(%error, "no mDNS"),
    };
    let mut listening = JoinSet::new();
    for (protocol, events) in browsed {
        listening.spawn(follow(protocol, events, seen.clone()));
    }
    while listening.join_next().await.is_some() {}
}

type Browsed = Vec<(Protocol, Receiver<ServiceEvent>)>;

fn start(mdns: Mdns) -> Result<(Daemon, Browsed), mdns_sd::Error> {
    let daemon = Daemon(ServiceDaemon::new()?);
    match mdns {
        Mdns::Lan | Mdns::Off => {}
        Mdns::Loopback => {
            daemon.0.disable_interface(IfKind::All)?;
            daemon.0.enable_interface(IfKind::LoopbackV4)?;
        }
    }
    let browse = |(name, protocol)| Ok((protocol, daemon.0.browse(name)?));
    let browsed = SERVICES.into_iter().map(browse).collect::<Result<_, mdns_sd::Error>>()?;
    Ok((daemon, browsed))
}

async fn follow(protocol: Protocol, events: Receiver<ServiceEvent>, seen: mpsc::Sender<Seen>) {
    let mut asking = JoinSet::new();
    let mut asked = 0;
    while let Ok(event) = events.recv_async().await {
        let ServiceEvent::ServiceResolved(service) = event else { continue };
        let Some(printer) = printer(protocol, &service) else { continue };
        if protocol == Protocol::PrusaLink {
            if asked < ASKED_MAX {
                asked += 1;
                let seen = seen.clone();
                asking.spawn(async move {
                    if is_prusalink(&printer).await {
                        seen.send(printer).await.ok();
                    }
                });
            }
        } else if seen.send(printer).await.is_err() {
            return;
        }
    }
}

fn printer(protocol: Protocol, service: &ResolvedService) -> Option<Seen> {
    let v4 = service.get_addresses_v4().into_iter().min().map(IpAddr::V4);
    let any = || service.get_addresses().iter().map(|address| address.to_ip_addr()).min();
    let instance = service.get_fullname().split("._").next().unwrap_or_default();
    let model = service.get_property_val_str("model").filter(|model| !model.is_empty());
    Some(Seen {
        protocol,
        host: v4.or_else(any)?.to_string(),
        port: service.get_port(),
        serial_number: None,
        model: model.map(Text::from),
        name: Text::from(instance),
    })
}

/// Its login names itself, in a header (Prusa-Firmware-Buddy lib/WUI) or in the answer.
async fn is_prusalink(printer: &Seen) -> bool {
    let asking = async {
        let address = SocketAddr::new(printer.host.parse().ok()?, printer.port);
        let mut stream = TcpStream::connect(address).await.ok()?;
        let question =
            format!("GET /api/version HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(question.as_bytes()).await.ok()?;
        let mut answer = Vec::new();
        stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).await.ok();
        Some(is_answer_of_prusalink(&answer))
    };
    tokio::time::timeout(ANSWER, asking).await.ok().flatten().unwrap_or(false)
}

fn is_answer_of_prusalink(answer: &[u8]) -> bool {
    let answer = String::from_utf8_lossy(answer);
    answer.starts_with("HTTP/1.")
        && (answer.contains("realm=\"Printer API\"") || answer.contains("PrusaLink"))
}

const ANSWER: Duration = Duration::from_secs(3);
const ANSWER_BYTES_MAX: u64 = 8192;
/// Web servers that are asked while one looks.
const ASKED_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prusalink_is_told_from_other_web_servers() {
        let challenge = b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Digest \
            realm=\"Printer API\", nonce=\"00\", stale=false\r\n\r\n";
        assert!(is_answer_of_prusalink(challenge));
        let open = b"HTTP/1.1 200 OK\r\n\r\n{\"api\":\"2.0.0\",\"text\":\"PrusaLink\"}";
        assert!(is_answer_of_prusalink(open));
        assert!(!is_answer_of_prusalink(b"HTTP/1.1 404 Not Found\r\n\r\n"));
        assert!(!is_answer_of_prusalink(b"SSH-2.0 PrusaLink"));
        assert!(!is_answer_of_prusalink(&[0xFF; 9]));
    }
}
