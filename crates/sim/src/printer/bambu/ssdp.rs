//! How Bambu printers are found: they tell of themselves by SSDP, each by itself on UDP port 2021,
//! and answer who asks (ha-bambulab, OpenBambuAPI; `Host` says port 1990 for no good reason).
//!
//! One [`Announcer`] tells of any number of printers. Where to is up to whoever starts it, so that
//! tests stay on loopback.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::task::JoinSet;

use super::model::Model;
use crate::printer::Spec;

/// Where the printers of a network are announced.
pub const MULTICAST: SocketAddr = SocketAddr::new(IpAddr::V4(GROUP), 2021);

/// Tells of printers until it is dropped.
#[derive(Debug)]
pub struct Announcer {
    address: SocketAddr,
    _task: JoinSet<()>,
}

#[derive(Clone, Debug)]
pub struct Options {
    /// Where questions are waited for; port 0 is any.
    pub listen: SocketAddr,
    pub target: SocketAddr,
    /// Real ones: about 30 s.
    pub every: Duration,
}

impl Announcer {
    /// Announces at once, and then again and again.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub async fn start(printers: &[&Spec], options: Options) -> io::Result<Self> {
        let socket = UdpSocket::bind(options.listen).await?;
        socket.set_broadcast(true)?;
        if options.target.ip() == IpAddr::V4(GROUP) {
            // Somebody may ask by multicast; a network without it can still be told.
            let joined = socket.join_multicast_v4(GROUP, Ipv4Addr::UNSPECIFIED);
            joined.inspect_err(|error| tracing::debug!(%error, "no multicast")).ok();
        }
        let address = socket.local_addr()?;
        let known: Vec<Vec<String>> = printers.iter().map(|spec| headers(spec)).collect();
        let mut task = JoinSet::new();
        task.spawn(run(socket, known, options));
        Ok(Self { address, _task: task })
    }

    /// Where it can be asked.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn run(socket: UdpSocket, printers: Vec<Vec<String>>, options: Options) {
    let mut tick = tokio::time::interval(options.every);
    let mut buffer = vec![0; QUESTION_BYTES_MAX];
    loop {
        tokio::select! {
            _ = tick.tick() => {
                for printer in &printers {
                    send(&socket, &notify(printer), options.target).await;
                }
            }
            got = socket.recv_from(&mut buffer) => {
                // An error here is about a datagram that could not be delivered earlier.
                let Ok((bytes, from)) = got else { continue };
                if asks_for_us(&buffer[..bytes]) {
                    for printer in &printers {
                        send(&socket, &answer(printer), from).await;
                    }
                }
            }
        }
    }
}

async fn send(socket: &UdpSocket, text: &str, to: SocketAddr) {
    if let Err(error) = socket.send_to(text.as_bytes(), to).await {
        tracing::debug!(%error, %to, "not announced");
    }
}

fn asks_for_us(question: &[u8]) -> bool {
    let text = String::from_utf8_lossy(question).to_lowercase();
    let wanted = text.lines().find_map(|line| line.strip_prefix("st:")).map(str::trim);
    text.starts_with("m-search * http/1.1") && matches!(wanted, Some("ssdp:all" | URN))
}

fn notify(headers: &[String]) -> String {
    let lines = headers.join("\r\n");
    format!(
        "NOTIFY * HTTP/1.1\r\nHOST: 239.255.255.250:1990\r\nServer: UPnP/1.0\r\nNT: {URN}\r\n\
         NTS: ssdp:alive\r\nCache-Control: max-age=1800\r\n{lines}\r\n\r\n"
    )
}

fn answer(headers: &[String]) -> String {
    let lines = headers.join("\r\n");
    format!(
        "HTTP/1.1 200 OK\r\nServer: UPnP/1.0\r\nST: {URN}\r\nEXT:\r\n\
         Cache-Control: max-age=1800\r\n{lines}\r\n\r\n"
    )
}

fn headers(spec: &Spec) -> Vec<String> {
    let model = Model::named(&spec.model);
    vec![
        format!("Location: {}", spec.ip),
        format!("USN: {}", spec.serial_number),
        format!("DevModel.bambu.com: {}", model.code),
        format!("DevName.bambu.com: {}", spec.name),
        "DevSignal.bambu.com: -44".into(),
        "DevConnect.bambu.com: lan".into(),
        "DevBind.bambu.com: free".into(),
        "Devseclink.bambu.com: secure".into(),
        "DevInf.bambu.com: wlan0".into(),
        format!("DevVersion.bambu.com: {}", model.firmware),
        "DevCap.bambu.com: 1".into(),
    ]
}

const URN: &str = "urn:bambulab-com:device:3dprinter:1";
const GROUP: Ipv4Addr = Ipv4Addr::new(239, 255, 255, 250);
/// More than any question has.
const QUESTION_BYTES_MAX: usize = 2048;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_questions_for_such_a_printer_are_answered() {
        let ask = |st: &str| {
            format!("M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1990\r\nST: {st}\r\n\r\n")
        };
        assert!(asks_for_us(ask(URN).as_bytes()));
        assert!(asks_for_us(ask("ssdp:all").as_bytes()));
        assert!(!asks_for_us(ask("upnp:rootdevice").as_bytes()));
        assert!(!asks_for_us(b"NOTIFY * HTTP/1.1\r\nST: ssdp:all\r\n\r\n"));
        assert!(!asks_for_us(&[0xFF; 40]));
    }
}
