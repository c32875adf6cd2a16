//! Networks made of network namespaces: two hosts, each behind routers of a chosen kind, and a
//! relay where both can reach it. No internet.
//!
//! ```text
//! host a ─ router ra ─ [carrier ga] ─┐                    ┌─ [carrier gb] ─ router rb ─ host b
//!  10.1.0.2           203.0.113.11   └─ bridge in "pub" ──┘   203.0.113.12           10.2.0.2
//!                                        203.0.113.1
//! ```
//!
//! Everything lives in the namespaces that `cargo xtask net` made for this process (mounts, network
//! and processes): with it all of it goes, whatever happens.

mod client;
mod corrupt;
mod hubs;
mod nat;
mod tests;

use crate::net::{output, run};
use anyhow::{Context, Result};
use std::io::Write;
use std::process::{Command, Stdio};

pub(crate) use client::read;
pub(crate) use corrupt::corrupt;
pub(crate) use nat::Nat;
pub(crate) use tests::{garbage, list, test};

/// One end of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    A,
    B,
}

/// What stands between a host and the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Between {
    /// One router.
    Router(Nat),
    /// A router at home, and one of the carrier, which has too few addresses.
    Carrier(Nat, Nat),
    /// Nothing: both hosts are on the same switch.
    Switch,
}

/// Where the relay is, and nobody else.
pub(crate) const PUBLIC: &str = "203.0.113.1";

/// Lays the network out. In a fresh set of namespaces only.
pub(crate) fn lay(a: Between, b: Between) -> Result<()> {
    for name in ["pub", "ca", "cb"] {
        namespace(name)?;
    }
    ns("pub", "ip link add br0 type bridge")?;
    ns("pub", &format!("ip addr add {PUBLIC}/24 dev br0"))?;
    ns("pub", "ip addr add 192.168.5.1/24 dev br0")?;
    ns("pub", "ip link set br0 up")?;
    for (end, between) in [(End::A, a), (End::B, b)] {
        match between {
            Between::Switch => {
                cable("pub", &end.on("p"), &end.host(), "eth0")?;
                ns("pub", &format!("ip link set {} master br0", end.on("p")))?;
                let address = format!("192.168.5.{}", 100 + end.number());
                ns(&end.host(), &format!("ip addr add {address}/24 dev eth0"))?;
                ns(&end.host(), "ip route add default via 192.168.5.1")?;
            }
            Between::Router(nat) => {
                home(end)?;
                outside(end, &end.on("r"), nat)?;
            }
            Between::Carrier(nat, carrier) => {
                home(end)?;
                namespace(&end.on("g"))?;
                cable(&end.on("g"), "lan", &end.on("r"), "wan")?;
                let number = end.number();
                ns(&end.on("g"), &format!("ip addr add 100.64.{number}.1/24 dev lan"))?;
                ns(&end.on("r"), &format!("ip addr add 100.64.{number}.2/24 dev wan"))?;
                ns(&end.on("r"), &format!("ip route add default via 100.64.{number}.1"))?;
                nat::apply(&end.on("r"), nat, &format!("100.64.{number}.2"))?;
                outside(end, &end.on("g"), carrier)?;
            }
        }
    }
    for (end, other, between) in [(End::A, End::B, a), (End::B, End::A, b)] {
        if between == Between::Router(Nat::None) {
            let (number, via) = (end.number(), end.address());
            let route = format!("ip route add 10.{number}.0.0/24 via {via}");
            ns("pub", &route)?;
            ns(&other.on("r"), &route)?;
        }
    }
    Ok(())
}

/// A host and the near side of its router.
fn home(end: End) -> Result<()> {
    let (router, host, number) = (end.on("r"), end.host(), end.number());
    namespace(&router)?;
    cable(&router, "lan", &host, "eth0")?;
    ns(&router, &format!("ip addr add 10.{number}.0.1/24 dev lan"))?;
    ns(&host, &format!("ip addr add 10.{number}.0.2/24 dev eth0"))?;
    ns(&host, &format!("ip route add default via 10.{number}.0.1"))
}

/// The far side of a router, on the bridge.
fn outside(end: End, router: &str, nat: Nat) -> Result<()> {
    let port = end.on("p");
    cable("pub", &port, router, "wan")?;
    ns("pub", &format!("ip link set {port} master br0"))?;
    ns(router, &format!("ip addr add {}/24 dev wan", end.address()))?;
    nat::apply(router, nat, &end.address())
}

fn namespace(name: &str) -> Result<()> {
    run(&format!("ip netns add {name}"))?;
    ns(name, "ip link set lo up")?;
    ns(name, "sysctl -qw net.ipv4.ip_forward=1")
}

fn cable(one: &str, port: &str, other: &str, other_port: &str) -> Result<()> {
    run(&format!("ip link add {port} netns {one} type veth peer name {other_port} netns {other}"))?;
    ns(one, &format!("ip link set {port} up"))?;
    ns(other, &format!("ip link set {other_port} up"))
}

/// Runs a command in a namespace.
pub(crate) fn ns(name: &str, line: &str) -> Result<()> {
    run(&format!("ip netns exec {name} {line}")).map(|_| ())
}

/// Gives rules to a namespace.
pub(crate) fn rules(name: &str, text: &str) -> Result<()> {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", name, "nft", "-f", "-"]).stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    child.stdin.take().context("no stdin")?.write_all(text.as_bytes())?;
    let done = child.wait_with_output()?;
    let told = String::from_utf8_lossy(&done.stderr);
    anyhow::ensure!(done.status.success(), "nft in {name}: {told}\n{text}");
    Ok(())
}

/// Nothing goes from one end directly to the other any more, and nobody is told; the relay stays.
pub(crate) fn cut() -> Result<()> {
    let there = End::B.address();
    rules(
        &End::A.on("r"),
        &format!(
            "table ip cut {{ chain forward_c {{ type filter hook forward priority -10;
                 ip daddr {{ {there}, 10.2.0.0/24 }} drop; ip saddr {{ {there}, 10.2.0.0/24 }} drop;
             }}; }}"
        ),
    )
}

pub(crate) fn mend() -> Result<()> {
    ns(&End::A.on("r"), "nft delete table ip cut")
}

/// Packets that a host has sent so far.
pub(crate) fn packets(end: End) -> Result<u64> {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", &end.host(), "cat"]);
    command.arg("/sys/class/net/eth0/statistics/tx_packets");
    Ok(output(&mut command)?.trim().parse()?)
}

impl End {
    fn number(self) -> u8 {
        match self {
            End::A => 1,
            End::B => 2,
        }
    }

    /// The name of this end's thing of a kind.
    fn on(self, kind: &str) -> String {
        format!("{kind}{}", if self == End::A { "a" } else { "b" })
    }

    pub(crate) fn host(self) -> String {
        self.on("c")
    }

    /// That the others see.
    fn address(self) -> String {
        format!("203.0.113.{}", 10 + self.number())
    }
}
