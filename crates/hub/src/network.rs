//! Tells when this computer's network changes: an interface gets or loses its link, an address or
//! a route comes or goes. Whoever waits to dial again then does so at once.
//!
//! The kernel's own messages, since iroh's watcher (`netwatch`) looks at addresses and routes
//! only: with fixed addresses neither changes when a cable is put back.
//!
//! `rtnetlink(7)`, `linux/rtnetlink.h`, `linux/if_link.h`.

use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use std::collections::BTreeMap;
use std::io;
use std::os::unix::net::UnixDatagram as Datagrams;
use std::time::Duration;
use tokio::net::UnixDatagram;
use tokio::sync::watch;

/// Changes come in bursts: link, addresses, routes. One has ended after so long a silence.
const SETTLED: Duration = Duration::from_millis(100);
/// But what never settles is told all the same.
const BURST_MAX: usize = 5;

/// Counts the changes, for as long as the hub runs.
pub(crate) async fn watch(changes: watch::Sender<u64>) {
    if let Err(error) = follow(&changes).await {
        tracing::warn!("changes of the network go unnoticed, and peers wait for retries: {error}");
        std::future::pending().await
    }
}

async fn follow(changes: &watch::Sender<u64>) -> io::Result<()> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let (family, kind) = (AddressFamily::NETLINK, SocketType::RAW);
    // protocol 0 is NETLINK_ROUTE
    let socket = rustix::net::socket_with(family, kind, flags, None)?;
    rustix::net::bind(&socket, &SocketAddrNetlink::new(0, GROUPS))?;
    // whatever its family, it receives datagrams like any other
    let socket = UnixDatagram::from_std(Datagrams::from(socket))?;
    let mut links = Links::default();
    loop {
        if !changed(&socket, &mut links).await? {
            continue;
        }
        for _ in 0..BURST_MAX {
            match tokio::time::timeout(SETTLED, changed(&socket, &mut links)).await {
                Ok(more) => more?,
                Err(_) => break,
            };
        }
        changes.send_modify(|count| *count += 1);
    }
}

/// Waits for messages, and says whether one of them matters. Cancel safe.
async fn changed(socket: &UnixDatagram, links: &mut Links) -> io::Result<bool> {
    let mut buffer = [0; MESSAGES_BYTES_MAX];
    match socket.recv(&mut buffer).await {
        Ok(length) => Ok(links.changed_by(&buffer[..length])),
        // too many came at once
        Err(error) if Errno::from_io_error(&error) == Some(Errno::NOBUFS) => Ok(true),
        Err(error) => Err(error),
    }
}

/// Which interfaces have a link. A scan for wireless networks is a message about an interface as
/// well, and changes nothing.
#[derive(Debug, Default)]
struct Links(BTreeMap<u32, u32>);

impl Links {
    fn changed_by(&mut self, mut messages: &[u8]) -> bool {
        let mut matters = false;
        // struct nlmsghdr, then what it is about, each aligned to 4 bytes
        while let Some((length, rest)) = messages.split_first_chunk() {
            let length = u32::from_ne_bytes(*length) as usize;
            let Some(message) = rest.get(..length.saturating_sub(4)) else { break };
            if length < HEADER_BYTES {
                break;
            }
            let kind = u16::from_ne_bytes([message[0], message[1]]);
            matters |= match kind {
                RTM_NEWLINK => self.link(&message[HEADER_BYTES - 4..]),
                RTM_DELLINK | RTM_NEWADDR | RTM_DELADDR | RTM_NEWROUTE | RTM_DELROUTE => true,
                _ => false,
            };
            messages = messages.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
        matters
    }

    /// `struct ifinfomsg`: index at 4, flags at 8.
    fn link(&mut self, info: &[u8]) -> bool {
        let word = |at: usize| {
            let bytes = info.get(at..).and_then(|rest| rest.first_chunk());
            bytes.map(|bytes| u32::from_ne_bytes(*bytes))
        };
        let (Some(index), Some(flags)) = (word(4), word(8)) else { return false };
        let state = flags & (IFF_UP | IFF_RUNNING | IFF_LOWER_UP);
        self.0.insert(index, state) != Some(state)
    }
}

const HEADER_BYTES: usize = 16;
/// What the kernel sends at once, at most (`NLMSG_GOODSIZE`).
const MESSAGES_BYTES_MAX: usize = 8 * 1024;

const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
const RTM_NEWROUTE: u16 = 24;
const RTM_DELROUTE: u16 = 25;
const IFF_UP: u32 = 1;
const IFF_RUNNING: u32 = 0x40;
const IFF_LOWER_UP: u32 = 0x1_0000;
/// `RTMGRP_LINK`, `_IPV4_IFADDR`, `_IPV4_ROUTE`, `_IPV6_IFADDR`, `_IPV6_ROUTE`.
const GROUPS: u32 = 0x1 | 0x10 | 0x40 | 0x100 | 0x400;

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, body: &[u8]) -> Vec<u8> {
        let mut bytes = ((HEADER_BYTES + body.len()) as u32).to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.resize(HEADER_BYTES, 0);
        bytes.extend(body);
        bytes
    }

    fn link(index: u32, flags: u32) -> Vec<u8> {
        let words = [0, index, flags, 0].map(u32::to_ne_bytes);
        message(RTM_NEWLINK, &words.concat())
    }

    #[test]
    fn a_cable_that_is_put_back_matters_and_a_scan_does_not() {
        let mut links = Links::default();
        let (up, down) = (IFF_UP | IFF_RUNNING | IFF_LOWER_UP, IFF_UP);
        assert!(links.changed_by(&link(2, up)));
        assert!(!links.changed_by(&link(2, up)));
        assert!(!links.changed_by(&link(2, up | 0x8000)), "another flag");
        assert!(links.changed_by(&link(2, down)));
        assert!(links.changed_by(&[link(2, down), link(2, up)].concat()), "in one go");
        assert!(links.changed_by(&message(RTM_NEWADDR, &[])));
        assert!(!links.changed_by(&message(3, &[])));
    }

    #[test]
    fn what_is_cut_off_is_no_message() {
        let mut links = Links::default();
        let whole = [link(2, IFF_UP), message(RTM_NEWADDR, &[0; 8])].concat();
        for cut in 0..HEADER_BYTES {
            assert!(!links.changed_by(&whole[..cut]));
        }
        assert!(!links.changed_by(&[0; 64]), "a length of zero is the end");
        assert!(!links.changed_by(&[0xff; 64]));
    }
}
