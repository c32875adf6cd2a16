//! Printers that tell of themselves on this network.
//!
//! Bambu's do by SSDP at ports of their own ([`ssdp`]), the others by mDNS ([`mdns`]). What is
//! heard is a proposal and nothing more: whoever adds a printer from it still gives its secret, and
//! the connection shows whether it is what it said.

mod mdns;
mod ssdp;

use crate::Protocol;
use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use wire::Text;

/// A printer that was heard of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Seen {
    pub protocol: Protocol,
    /// An address: names of mDNS are not known to every computer.
    pub host: String,
    pub port: u16,
    pub serial_number: Option<Text>,
    pub model: Option<Text>,
    /// What its owner calls it, or what it calls itself.
    pub name: Text,
}

/// Where printers are listened for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// UDP ports of SSDP.
    pub ssdp_ports: Vec<u16>,
    /// Who is asked by SSDP at the beginning.
    pub ask: Vec<SocketAddr>,
    pub mdns: Mdns,
}

/// Where mDNS is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mdns {
    /// In every network of this computer.
    Lan,
    /// Only inside this computer.
    Loopback,
    Off,
}

impl Default for Options {
    /// For real networks. Bambu's printers announce to 2021 and say 1990.
    fn default() -> Self {
        let ssdp_ports = vec![2021, 1990];
        let group = IpAddr::V4(ssdp::GROUP);
        let ask = ssdp_ports.iter().map(|port| SocketAddr::new(group, *port)).collect();
        Self { ssdp_ports, ask, mdns: Mdns::Lan }
    }
}

/// Listens for so long, at most [`LONGEST`], and tells each printer once. Ends early when the
/// receiver is dropped. What cannot be listened to (a port that another program has) is left out.
pub async fn discover(time: Duration, options: Options) -> mpsc::Receiver<Seen> {
    let (seen, heard) = mpsc::channel(QUEUE);
    let (tell, told) = mpsc::channel(QUEUE);
    let mut listeners = JoinSet::new();
    for port in options.ssdp_ports {
        match ssdp::bind(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port)) {
            Ok(socket) => {
                for to in &options.ask {
                    ssdp::ask(&socket, *to).await;
                }
                listeners.spawn(ssdp::listen(socket, seen.clone()));
            }
            Err(error) => tracing::debug!(%error, port, "no SSDP"),
        }
    }
    if options.mdns != Mdns::Off {
        listeners.spawn(mdns::listen(options.mdns, seen.clone()));
    }
    drop(seen);
    // Ends by itself, with the time or with its receiver.
    tokio::spawn(pass_on(time.min(LONGEST), heard, tell, listeners));
    told
}

/// Tells each printer once.
async fn pass_on(
    time: Duration,
    mut heard: mpsc::Receiver<Seen>,
    tell: mpsc::Sender<Seen>,
    _listeners: JoinSet<()>,
) {
    let mut known = HashSet::new();
    let end = tokio::time::sleep(time);
    tokio::pin!(end);
    loop {
        let seen = tokio::select! {
            seen = heard.recv() => seen,
            () = tell.closed() => return,
            () = &mut end => return,
        };
        let Some(seen) = seen else { return };
        if known.len() < PRINTERS_MAX
            && known.insert(seen.clone())
            && tell.send(seen).await.is_err()
        {
            return;
        }
    }
}

/// Nobody waits longer for a list.
pub const LONGEST: Duration = Duration::from_secs(300);
/// More are not told: it is a flood.
const PRINTERS_MAX: usize = 1000;
/// When nobody takes them, the next wait, and the network's own queue overflows.
const QUEUE: usize = 64;

#[cfg(test)]
mod tests;
