//! Being found on the local network, and finding others there: mDNS.
//!
//! A hub says its name, its key and its version, and where it is; it hears the same of others and
//! tells those who dial where a peer may be. Nothing that is heard is believed (`table`): the key
//! that answers is checked by TLS. Nothing waits for the network: where there is none, or none
//! that does multicast, this is tried again from time to time.
//!
//! `mdns-sd` has a thread of its own and no bound on what it remembers, so that is watched: a
//! network that floods is left alone for a while.

mod network;
mod table;

pub(crate) use network::Networks;
pub(crate) use table::Table;

use crate::Inner;
use crate::core::Core;
use anyhow::{Context, Result};
use mdns_sd::{IfKind, Receiver, ResolvedService, ServiceDaemon, ServiceEvent, ServiceInfo};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use table::Heard;
use tokio::sync::watch;
use utoipa::ToSchema;
use wire::announce::{ADDRESSES_MAX, Announcement, SERVICE};

/// Before mDNS is tried again where it did not work, or the network flooded us.
const AGAIN: Duration = Duration::from_secs(30);
/// How often it is looked which networks this computer is in, in seconds: after a change until it
/// has settled, and else.
const NETWORKS_S: (u32, u32) = (1, 60);
/// Addresses come for so long after a link.
const SETTLED: Duration = Duration::from_secs(5);
/// How often the memory of `mdns-sd` is looked at.
const LOOK: Duration = Duration::from_secs(2);
/// Records that it may remember: four for each of a table of hubs, several times over.
const RECORDS_MAX: i64 = 8192;
/// Events that are taken before people are told of a change.
const EVENTS_AT_ONCE: usize = 64;
/// For the goodbye.
const GOODBYE: Duration = Duration::from_secs(1);

/// Where other hubs are looked for, and where this one says that it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Discovery {
    /// On the local network, by mDNS.
    #[default]
    Lan,
    /// Nowhere.
    Off,
}

/// Announces this hub and hears others until the hub stops.
pub(crate) async fn run(inner: Arc<Inner>) {
    let mut told = false;
    while !inner.stopping.is_cancelled() {
        match start(&inner).await {
            Ok((daemon, events)) => {
                let ended = tokio::select! {
                    ended = follow(&inner, &daemon, &events) => ended,
                    ended = look_after_changes(&daemon, inner.network.subscribe()) => ended,
                    () = inner.stopping.cancelled() => Ok(()),
                };
                goodbye(&daemon).await;
                if let Err(error) = ended {
                    tracing::warn!("finding hubs on this network pauses: {error:#}");
                }
            }
            Err(error) if !told => {
                told = true;
                tracing::warn!("hubs on this network are not found: {error:#}");
            }
            Err(_) => {}
        }
        inner.shared.change(|core| core.nearby.clear());
        tokio::select! {
            () = tokio::time::sleep(AGAIN) => {}
            () = inner.stopping.cancelled() => {}
        }
    }
}

async fn start(inner: &Inner) -> Result<(ServiceDaemon, Receiver<ServiceEvent>)> {
    let (own, place) = (announcement(inner), Place::of(&inner.endpoint.bound_sockets()));
    let start = move || {
        let daemon = ServiceDaemon::new()?;
        daemon.disable_interface(vec![IfKind::LoopbackV4, IfKind::LoopbackV6])?;
        if let Some(place) = &place {
            daemon.register(place.service(&own)?)?;
        }
        let events = daemon.browse(SERVICE)?;
        Ok((daemon, events))
    };
    tokio::task::spawn_blocking(start).await.context("mDNS")?
}

fn announcement(inner: &Inner) -> Announcement {
    let key = *inner.endpoint.id().as_bytes();
    let port_v6 = Place::of(&inner.endpoint.bound_sockets()).and_then(|place| place.port_v6);
    inner.shared.look(|core| Announcement {
        key,
        name: core.hub.name.clone(),
        version: core.hub.version.clone(),
        port_v6,
    })
}

/// Where this hub is reached, as far as others can use it.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    /// `None`: every address that this computer has.
    ip: Option<IpAddr>,
    port: u16,
    port_v6: Option<u16>,
}

impl Place {
    fn of(sockets: &[SocketAddr]) -> Option<Self> {
        let mut useful = sockets.iter().filter(|socket| !socket.ip().is_loopback());
        let v4 = useful.clone().find(|socket| socket.is_ipv4());
        let v6 = useful.find(|socket| socket.is_ipv6());
        let first = v4.or(v6)?;
        let ip = Some(first.ip()).filter(|ip| !ip.is_unspecified());
        // with an address of its own the other family is not what was asked for
        let v6 = v6.filter(|v6| ip.is_none() && v6.port() != first.port());
        Some(Self { ip, port: first.port(), port_v6: v6.map(SocketAddr::port) })
    }

    fn service(&self, own: &Announcement) -> Result<ServiceInfo, mdns_sd::Error> {
        // both names are this key's alone, so nobody has to be asked whether they are free
        let key = data_encoding::HEXLOWER.encode(&own.key[..6]);
        let (instance, host) = (format!("{} {key}", own.name), format!("farhub-{key}.local."));
        let ip = self.ip.map(|ip| ip.to_string()).unwrap_or_default();
        let txt = own.to_txt();
        let service =
            ServiceInfo::new(SERVICE, &instance, &host, ip.as_str(), self.port, &txt[..])?;
        let mut service = if self.ip.is_none() { service.enable_addr_auto() } else { service };
        service.set_requires_probe(false);
        Ok(service)
    }
}

/// Takes what is heard into the table, until something is wrong.
async fn follow(
    inner: &Inner,
    daemon: &ServiceDaemon,
    events: &Receiver<ServiceEvent>,
) -> Result<()> {
    let mut look = tokio::time::interval(LOOK);
    loop {
        let first = tokio::select! {
            event = events.recv_async() => event.context("mDNS ended, or came too fast")?,
            _ = look.tick() => {
                bounded(daemon).await?;
                continue;
            }
        };
        let more = events.try_iter().take(EVENTS_AT_ONCE);
        let networks = Networks::now().context("this computer's networks")?;
        let changes: Vec<_> =
            std::iter::once(first).chain(more).filter_map(|it| change(it, &networks)).collect();
        take(inner, changes);
    }
}

/// Looks which networks this computer is in when they change: `mdns-sd` alone asks the system all
/// the time.
async fn look_after_changes(
    daemon: &ServiceDaemon,
    mut changes: watch::Receiver<u64>,
) -> Result<()> {
    loop {
        daemon.set_ip_check_interval(NETWORKS_S.0)?;
        tokio::time::sleep(SETTLED).await;
        daemon.set_ip_check_interval(NETWORKS_S.1)?;
        changes.changed().await?;
    }
}

async fn bounded(daemon: &ServiceDaemon) -> Result<()> {
    let metrics = daemon.get_metrics()?.recv_async().await?;
    let cached = metrics.iter().filter(|(name, _)| name.starts_with("cached-"));
    let records: i64 = cached.map(|(_, count)| count).sum();
    anyhow::ensure!(records <= RECORDS_MAX, "somebody announces {records} records");
    Ok(())
}

/// What an event means for the table: an instance, and what it says now.
fn change(event: ServiceEvent, networks: &Networks) -> Option<(String, Option<Heard>)> {
    match event {
        ServiceEvent::ServiceResolved(service) => {
            let heard = heard(&service, networks);
            Some((service.fullname, heard))
        }
        ServiceEvent::ServiceRemoved(_, instance) => Some((instance, None)),
        _ => None,
    }
}

/// What a service says, as far as it makes sense.
fn heard(service: &ResolvedService, networks: &Networks) -> Option<Heard> {
    let txt = service.txt_properties.iter();
    let txt = txt.map(|property| (property.key(), property.val().unwrap_or_default()));
    let said = match Announcement::from_txt(txt) {
        Ok(said) => said,
        Err(error) => {
            tracing::debug!("an announcement with {error}");
            return None;
        }
    };
    let mut addresses: Vec<SocketAddr> = vec![];
    for ip in &service.addresses {
        let port = if ip.is_ipv6() { said.port_v6.unwrap_or(service.port) } else { service.port };
        let address = SocketAddr::from((ip.to_ip_addr(), port));
        if address.port() != 0 && networks.has(address.ip()) {
            addresses.push(address);
        }
    }
    // of a set, so in an order that they do not have: the same each time
    addresses.sort_by_key(|address| (address.is_ipv6(), *address));
    addresses.truncate(ADDRESSES_MAX);
    Some(Heard { said, addresses })
}

fn take(inner: &Inner, changes: Vec<(String, Option<Heard>)>) {
    // a flood that changes nothing wakes nobody
    inner.shared.change_if(|core| {
        let Core { nearby, peers, .. } = core;
        let changed = changes.into_iter().fold(false, |changed, (instance, heard)| {
            changed
                | match heard {
                    Some(heard) => nearby.put(&instance, heard, |key| peers.contains_key(key)),
                    None => nearby.remove(&instance),
                }
        });
        for (key, peer) in peers.iter_mut().filter(|_| changed) {
            peer.reach.found(nearby.addresses(key));
        }
        changed
    });
}

/// Tells the network that this hub goes.
async fn goodbye(daemon: &ServiceDaemon) {
    if let Ok(done) = daemon.shutdown() {
        let _ = tokio::time::timeout(GOODBYE, done.recv_async()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(sockets: &[&str]) -> Option<Place> {
        let sockets: Vec<_> = sockets.iter().map(|text| text.parse().unwrap()).collect();
        Place::of(&sockets)
    }

    #[test]
    fn what_is_announced_is_what_others_can_reach() {
        let everywhere = place(&["0.0.0.0:3482", "[::]:3483"]).unwrap();
        assert_eq!((everywhere.ip, everywhere.port, everywhere.port_v6), (None, 3482, Some(3483)));
        let one = place(&["192.168.1.7:3482", "[::]:4000"]).unwrap();
        assert_eq!((one.ip, one.port_v6), (Some("192.168.1.7".parse().unwrap()), None));
        assert_eq!(place(&["127.0.0.1:3482"]), None);
        assert_eq!(place(&["0.0.0.0:3482", "[::]:3482"]).unwrap().port_v6, None);
    }

    #[test]
    fn an_announcement_holds_nothing_secret_and_fits_one_packet() {
        let own = Announcement {
            key: [7; 32],
            name: "x".repeat(48).parse().unwrap(),
            version: "0.1.0".to_owned(),
            port_v6: Some(3483),
        };
        let service = place(&["0.0.0.0:3482"]).unwrap().service(&own).unwrap();
        let names: Vec<_> = service.get_properties().iter().map(|it| it.key().to_owned()).collect();
        assert_eq!(names, ["key", "name", "version", "port6"]);
        // a label has at most 63 bytes (RFC 1035 §2.3.4)
        let instance = service.get_fullname().strip_suffix(SERVICE).unwrap();
        assert_eq!(instance, format!("{} 070707070707.", own.name));
        assert!(instance.len() - 1 <= 63);
        assert_eq!(service.get_hostname(), "farhub-070707070707.local.");
    }
}
