//! The network: whether peers can be reached, without sending anything but a relay's TCP greeting.

use super::{Area, Finding, In};
use crate::config::{Config, Relay};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;
use tokio::net::TcpStream;

const NETWORK: In = In(Area::Network);

pub(super) async fn look(config: &Config) -> Vec<Finding> {
    let mut findings = vec![socket(config.bind)];
    findings.push(routes(
        source((Ipv4Addr::new(192, 0, 2, 1), 9).into()),
        source((Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1), 9).into()),
    ));
    for url in &config.relay {
        findings.push(relay(url).await);
    }
    findings
}

/// Peers speak QUIC, which is UDP.
fn socket(bind: Option<SocketAddr>) -> Finding {
    let address = bind.unwrap_or((Ipv4Addr::UNSPECIFIED, 0).into());
    match UdpSocket::bind(address) {
        Ok(_) => NETWORK.ok("peers can be spoken to over UDP"),
        // The hub itself, most likely; and if not, it says so when it starts.
        Err(e) if e.kind() == io::ErrorKind::AddrInUse => {
            NETWORK.ok(format!("UDP {address} is in use, as it is while the hub runs"))
        }
        Err(e) => NETWORK.fail(
            format!("no UDP socket at {address}: {e}"),
            "correct bind in farhub.toml to an address of this computer",
        ),
    }
}

/// The address from which something would be sent there. A UDP socket that is connected has sent
/// nothing; the addresses are of RFC 5737 and RFC 3849, where nobody is.
fn source(there: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr = match there {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(there).ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|ip| !ip.is_unspecified() && !ip.is_loopback())
}

fn routes(v4: Option<IpAddr>, v6: Option<IpAddr>) -> Finding {
    match (v4, v6) {
        (Some(v4), Some(v6)) => NETWORK.ok(format!("the way out is by {v4} and by {v6}")),
        (Some(v4), None) => NETWORK.ok(format!("the way out is by {v4}; there is no IPv6")),
        (None, Some(v6)) => NETWORK.ok(format!("the way out is by {v6}; there is no IPv4")),
        (None, None) => NETWORK.warn(
            "there is no way out of this network: only peers in it can be reached",
            "ip route (there should be a default route)",
        ),
    }
}

async fn relay(relay: &Relay) -> Finding {
    let connect = TcpStream::connect((relay.host(), relay.port()));
    let why = match tokio::time::timeout(RELAY_TIMEOUT, connect).await {
        Ok(Ok(_)) => return NETWORK.ok(format!("the relay {relay} answers")),
        Ok(Err(e)) => e.to_string(),
        Err(_) => format!("no answer in {} s", RELAY_TIMEOUT.as_secs()),
    };
    NETWORK.fail(
        format!("the relay {relay} cannot be reached: {why}"),
        format!("curl -sv {relay} (tells where it fails), or correct relay in farhub.toml"),
    )
}

/// A person is waiting, and a relay that takes longer is of no use.
const RELAY_TIMEOUT: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;
    use std::net::TcpListener;

    fn at(port: u16) -> Relay {
        Relay::try_from(format!("http://127.0.0.1:{port}")).unwrap()
    }

    #[tokio::test]
    async fn a_relay_answers_or_not() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(relay(&at(port)).await.verdict, Verdict::Ok);
        drop(listener);
        assert_eq!(relay(&at(port)).await.verdict, Verdict::Fail);
    }

    #[test]
    fn an_address_of_another_computer_cannot_be_bound() {
        assert_eq!(socket(Some("192.0.2.1:0".parse().unwrap())).verdict, Verdict::Fail);
        let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert_eq!(socket(taken.local_addr().ok()).verdict, Verdict::Ok);
    }

    #[test]
    fn without_a_route_it_is_told() {
        assert_eq!(routes(None, None).verdict, Verdict::Warn);
        let told = routes("10.0.0.7".parse().ok(), None).message;
        assert_eq!(told, "the way out is by 10.0.0.7; there is no IPv6");
    }
}
