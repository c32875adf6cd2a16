//! Two hubs of this process, one of which shares ports and machines with the other.

use anyhow::{Context, Result};
use hub::view::{Doors, Grant, State, Via};
use hub::{Caller, Config, Hub};
use sim::machine::Simulated;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use wire::Address;

pub(crate) struct Hubs {
    pub(crate) garage: Hub,
    pub(crate) office: Hub,
    _data: [TempDir; 2],
}

impl Hubs {
    /// The ports are shared as `port0`, `port1` and so on, in this order, machines after them.
    pub(crate) async fn start(ports: Vec<PathBuf>, machines: Vec<Arc<Simulated>>) -> Result<Self> {
        let data = [TempDir::new()?, TempDir::new()?];
        let config = |name: &str, data: &TempDir| {
            anyhow::Ok(Config {
                bind: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
                offline: true,
                ..Config::new(data.path(), name.parse()?)
            })
        };
        let names: Vec<String> = ports
            .iter()
            .map(|path| path.file_name().unwrap_or_default().to_string_lossy().into_owned())
            .chain(machines.iter().map(|machine| machine.id.to_string()))
            .collect();
        let garage = config("garage", &data[0])?;
        let garage = Hub::start(Config { serial_ports: ports, machines, ..garage }).await?;
        let office = Hub::start(config("office", &data[1])?).await?;
        until(&garage, |state| (state.devices.len() == names.len()).then_some(())).await?;
        for (number, port) in names.iter().enumerate() {
            let name = Some(format!("port{number}").parse()?);
            garage.share(Caller::Local, port, name).await?;
        }
        let grants = [Grant { selector: "*".into(), ..Grant::default() }];
        let minute = Duration::from_secs(60);
        let (ticket, _) = garage.invite(Caller::Local, minute, &grants, None).await?;
        office.pair(Caller::Local, &ticket.to_string(), None).await?;
        Ok(Self { garage, office, _data: data })
    }

    /// Attaches a port, and returns where programs find it.
    pub(crate) async fn attach(&self, number: usize, doors: Doors) -> Result<String> {
        let address = Self::address(number)?;
        self.office.attach(Caller::Local, &address, Some(Via::Port(doors)), true).await?;
        until(&self.office, |state| {
            let found = state.attachments.iter().find(|one| one.address == address)?;
            found.place.clone()
        })
        .await
    }

    pub(crate) fn address(number: usize) -> Result<Address> {
        Ok(format!("garage/port{number}").parse()?)
    }

    pub(crate) async fn stop(&self) {
        self.office.stop().await;
        self.garage.stop().await;
    }
}

async fn until<R>(hub: &Hub, found: impl Fn(&State) -> Option<R>) -> Result<R> {
    let mut changes = hub.changes();
    let waits = async {
        loop {
            if let Some(found) = found(&hub.state(Caller::Local)) {
                return Ok(found);
            }
            changes.changed().await?;
        }
    };
    tokio::time::timeout(super::SILENCE_MAX, waits).await.context("it never comes")?
}
