//! Which addresses are on the networks that this computer is in.

use crate::links::is_near;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The networks of this computer's interfaces, as they are now.
#[derive(Clone, Debug, Default)]
pub(crate) struct Networks(Vec<(IpAddr, u8)>);

impl Networks {
    /// Asks the system.
    ///
    /// # Errors
    /// When it does not say.
    pub(crate) fn now() -> io::Result<Self> {
        let interfaces = if_addrs::get_if_addrs()?;
        let networks = interfaces.into_iter().map(|interface| match interface.addr {
            if_addrs::IfAddr::V4(v4) => (IpAddr::V4(v4.ip), v4.prefixlen),
            if_addrs::IfAddr::V6(v6) => (IpAddr::V6(v6.ip), v6.prefixlen),
        });
        Ok(Self(networks.filter(|(ip, _)| !ip.is_loopback()).collect()))
    }

    /// Whether packets to it leave no network of ours by a router. mDNS is within one link
    /// (RFC 6762 §11), so an announcement that names an address elsewhere is a lie or a mistake.
    ///
    /// Link-local addresses of IPv6 are of no use: iroh 1.4 forgets to which interface they
    /// belong, answers nobody there, and holds on to such a path.
    pub(crate) fn has(&self, ip: IpAddr) -> bool {
        let useless = match ip {
            IpAddr::V4(v4) => v4.is_broadcast() || v4.is_multicast() || v4.is_unspecified(),
            IpAddr::V6(v6) => v6.is_multicast() || v6.is_unspecified(),
        };
        let link_local = matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local());
        !useless && !link_local && self.0.iter().any(|(own, prefix)| same(*own, ip, *prefix))
    }

    /// Whether somebody there is in a local network: one of ours, this computer, or one with
    /// addresses that the internet does not carry.
    pub(crate) fn is_local(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        is_near(ip) || self.has(ip)
    }
}

fn same(own: IpAddr, other: IpAddr, prefix: u8) -> bool {
    match (own, other) {
        (IpAddr::V4(own), IpAddr::V4(other)) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0);
            prefix > 0 && Ipv4Addr::to_bits(own) & mask == Ipv4Addr::to_bits(other) & mask
        }
        (IpAddr::V6(own), IpAddr::V6(other)) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix.min(128))).unwrap_or(0);
            prefix > 0 && Ipv6Addr::to_bits(own) & mask == Ipv6Addr::to_bits(other) & mask
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_on_a_link_of_ours() {
        let networks = Networks(vec![
            ("192.168.1.5".parse().unwrap(), 24),
            ("203.0.113.9".parse().unwrap(), 32),
            ("2001:db8:1::5".parse().unwrap(), 64),
            ("10.0.0.1".parse().unwrap(), 0),
        ]);
        let has = |text: &str| networks.has(text.parse().unwrap());
        assert!(has("192.168.1.77") && has("2001:db8:1::77"));
        assert!(has("203.0.113.9") && !has("203.0.113.10"));
        for elsewhere in
            ["192.168.2.77", "8.8.8.8", "127.0.0.1", "2001:db8:2::7", "224.0.0.251", "fe80::1"]
        {
            assert!(!has(elsewhere), "{elsewhere}");
        }
        let is_local = |text: &str| networks.is_local(text.parse().unwrap());
        assert!(is_local("10.200.0.1") && is_local("127.0.0.1") && is_local("::ffff:10.0.0.1"));
        assert!(is_local("203.0.113.9") && !is_local("8.8.8.8") && !is_local("2001:db8:9::1"));
    }
}
