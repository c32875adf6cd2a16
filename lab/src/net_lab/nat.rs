//! The kinds of routers that people have, in nftables' words.
//!
//! Linux' own masquerading keeps a connection's port and lets answers in from where something was
//! sent only: the port-restricted cone of RFC 3489 (endpoint-independent mapping, address- and
//! port-dependent filtering in RFC 4787).

use super::rules;
use anyhow::Result;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nat {
    /// A router that translates nothing and lets everything through.
    None,
    /// Full cone: whoever knows the port may come in.
    Cone,
    /// Port-restricted: what most routers do.
    Restricted,
    /// A new port for each place that is spoken to.
    Symmetric,
    /// Only TCP gets out.
    UdpBlocked,
}

pub(super) fn apply(router: &str, nat: Nat, address: &str) -> Result<()> {
    match nat {
        Nat::None => Ok(()),
        Nat::Cone => rules(router, &CONE.replace("ADDRESS", address)),
        Nat::Restricted => rules(router, &masquerade("", "")),
        Nat::Symmetric => rules(router, &masquerade("random,fully-random", "")),
        Nat::UdpBlocked => rules(router, &masquerade("", "meta l4proto udp drop;")),
    }
}

/// What nobody asked for is dropped at the router itself too: else its own notes of a connection
/// could take the place of the one that is being made through it.
fn masquerade(how: &str, first: &str) -> String {
    format!(
        r#"
table ip nat {{ chain post {{ type nat hook postrouting priority srcnat;
    oifname "wan" masquerade {how}; }}; }}
table ip fw {{
    chain forward_f {{ type filter hook forward priority 0; policy drop;
        {first} iifname "lan" accept; ct state established,related accept; }}
    chain input_f {{ type filter hook input priority 0; policy accept;
        iifname "wan" ct state new drop; }}
}}"#
    )
}

const CONE: &str = r#"
table ip nat {
    map ports { type inet_service : ipv4_addr . inet_service; flags dynamic,timeout;
        timeout 300s; size 65536; }
    chain pre { type nat hook prerouting priority dstnat;
        iifname "wan" meta l4proto udp dnat to udp dport map @ports; }
    chain post { type nat hook postrouting priority srcnat;
        oifname "wan" meta l4proto udp
            update @ports { udp sport timeout 300s : ip saddr . udp sport };
        oifname "wan" snat to ADDRESS; }
}"#;
