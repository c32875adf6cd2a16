//! Who is contacted on a cable: a line for each packet that does not stay in 10.9.0.0/24.

use socket2::{Domain, Protocol, Socket, Type};
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// `linux/if_ether.h`
const ETH_P_ALL: u16 = 3;
const ETHERNET_BYTES: usize = 14;

/// Until it is killed. The namespace has no other interface but loopback.
pub(crate) fn sniff() {
    let protocol = Protocol::from(i32::from(ETH_P_ALL.to_be()));
    let mut socket = Socket::new(Domain::PACKET, Type::RAW, Some(protocol)).unwrap();
    println!("listening");
    let mut packet = [0; 2048];
    loop {
        let length = socket.read(&mut packet).unwrap();
        let Some(to) = destination(&packet[..length]) else { continue };
        if !stays(to) {
            println!("{to}");
        }
    }
}

fn destination(packet: &[u8]) -> Option<IpAddr> {
    let kind = packet.get(12..ETHERNET_BYTES)?;
    let packet = packet.get(ETHERNET_BYTES..)?;
    match kind {
        [0x08, 0x00] => Some(Ipv4Addr::from(<[u8; 4]>::try_from(packet.get(16..20)?).ok()?).into()),
        [0x86, 0xdd] => {
            Some(Ipv6Addr::from(<[u8; 16]>::try_from(packet.get(24..40)?).ok()?).into())
        }
        _ => None,
    }
}

fn stays(to: IpAddr) -> bool {
    match to {
        IpAddr::V4(v4) => {
            let local = v4.octets()[..3] == [10, 9, 0];
            local || v4.is_multicast() || v4.is_broadcast() || v4.is_loopback()
        }
        IpAddr::V6(v6) => v6.is_multicast() || v6.is_unicast_link_local() || v6.is_loopback(),
    }
}
