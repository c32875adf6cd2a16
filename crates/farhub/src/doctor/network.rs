//! The network: whether peers can be reached, without sending anything but a
//! greeting to the relays.

use super::{Area, Finding, In};
use crate::config::Config;
use hub::{RelayTrouble, probe_relay};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use wire::Relay;

const NETWORK: In = In(Area::Network);

/// `key`: that of the hub, if it does not run.
pub(super) async fn look(config: &Config, key: Option<[u8; 32]>) -> Vec<Finding> {
    let mut findings = vec![socket(config.bind)];
    findings.push(routes(
        source((Ipv4Addr::new(192, 0, 2, 1), 9).into()),
        source((Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1), 9).into()),
    ));
    for one in &config.relay {
        findings.push(relay(one, key).await);
    }
    findings.extend(public(config));
    findings
}

/// What is used of others' servers, since that was asked for.
fn public(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    if config.public_relays {
        let relays: Vec<String> = hub::public_relays().iter().map(Relay::to_string).collect();
        let relays = relays.join(", ");
        findings.push(NETWORK.ok(format!("the public relays may be used: {relays}")));
    }
    if let Some(lookup) = &config.public_discovery {
        let told = format!("peers find this hub, and are found, by the public server {lookup}");
        findings.push(NETWORK.ok(told));
    }
    let contradicts = config.offline && !findings.is_empty();
    if contradicts {
        findings.push(NETWORK.fail(
            "offline contradicts public_relays and public_discovery: the hub does not start",
            "take one of them out of farhub.toml",
        ));
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

/// Connects as the hub does. While the hub runs, its key may not be used a second time: then with
/// a key that nobody knows, which the relay's secret admits.
async fn relay(relay: &Relay, key: Option<[u8; 32]>) -> Finding {
    let probed = probe_relay(relay, key.unwrap_or_else(rand::random)).await;
    let Err(trouble) = probed else {
        return NETWORK.ok(format!("the relay {relay} admits this hub"));
    };
    let by_key = relay.token().is_none();
    let message = format!("the relay {relay} cannot be used: {trouble}");
    let fix = match trouble {
        RelayTrouble::Unreachable(_) => {
            format!("curl -sv {relay} (tells where it fails), or correct relay in farhub.toml")
        }
        RelayTrouble::Impostor => "the relay was set up anew, or somebody else answers in its \
             place. On the relay's computer: farhub relay --show; then correct relay in farhub.toml"
            .to_owned(),
        RelayTrouble::Certificate(_) => {
            "on the relay's computer: farhub relay --show; is relay in \
             farhub.toml the same, and the clock right?"
                .to_owned()
        }
        RelayTrouble::Denied(_) if by_key && key.is_none() => {
            let message = format!("the relay {relay} admits hubs by their keys");
            let fix = "whether this one: stop the hub, then farhub doctor";
            return NETWORK.warn(message, fix);
        }
        RelayTrouble::Denied(_) if by_key => {
            "on the relay's computer: farhub relay --allow with that key, or beside those of its \
             list"
                .to_owned()
        }
        RelayTrouble::Denied(_) => {
            "on the relay's computer: farhub relay --show; then correct relay in farhub.toml"
                .to_owned()
        }
        RelayTrouble::NotARelay(_) => {
            "correct relay in farhub.toml; a proxy before the relay must pass WebSockets on"
                .to_owned()
        }
    };
    NETWORK.fail(message, fix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;
    use std::io::{Read, Write};
    use std::net::TcpListener;

    #[tokio::test]
    async fn nobody_answers_or_somebody_else() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let at: Relay = format!("http://127.0.0.1:{port}").parse().unwrap();
        let stranger = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1];
            stream.read_exact(&mut request).unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
        });
        let found = relay(&at, None).await;
        assert_eq!(found.verdict, Verdict::Fail);
        assert!(found.message.contains("is not a relay"), "{}", found.message);
        stranger.join().unwrap();
        let found = relay(&at, None).await;
        assert!(found.message.contains("does not answer"), "{}", found.message);
    }

    #[test]
    fn an_address_of_another_computer_cannot_be_bound() {
        assert_eq!(socket(Some("192.0.2.1:0".parse().unwrap())).verdict, Verdict::Fail);
        let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert_eq!(socket(taken.local_addr().ok()).verdict, Verdict::Ok);
    }

    #[test]
    fn servers_of_others_are_told() {
        let told = |text: &str| public(&crate::config::parse(text).unwrap());
        assert!(told("").is_empty(), "none unless it is asked for");
        let both = told("public_relays = true\npublic_discovery = \"n0\"");
        assert!(both.iter().all(|finding| finding.verdict == Verdict::Ok) && both.len() == 2);
        assert!(both[0].message.contains("relay.n0.iroh.link"), "{}", both[0].message);
        assert!(both[1].message.contains("dns.iroh.link"), "{}", both[1].message);
        let wrong = told("public_relays = true\noffline = true");
        assert_eq!(wrong[1].verdict, Verdict::Fail);
    }

    #[test]
    fn without_a_route_it_is_told() {
        assert_eq!(routes(None, None).verdict, Verdict::Warn);
        let told = routes("10.0.0.7".parse().ok(), None).message;
        assert_eq!(told, "the way out is by 10.0.0.7; there is no IPv6");
    }
}
