//! `farhub up --demo`: this hub, and a second one in the same process that shares simulated
//! devices with it, as if it were in the garage.
//!
//! Both are whole hubs with keys of their own that talk over QUIC on loopback. They keep what they
//! know below `demo` in the data folder, so that nothing of it gets into the real hub.

mod farm;

use crate::data;
use crate::up::{Args, computer, guard};
use anyhow::{Context, Result};
use farm::{Farm, Which};
use hub::view::{self, Grant, Role};
use hub::{Caller, Config, Discovery, Hub};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use web::Web;
use wire::Name;

/// How long the invitation between the two is good.
const PAIRING: Duration = Duration::from_secs(60);
/// What is plugged in at this hub itself, so that there is something to share.
const OWN_DISK: (u16, u64) = (3, 16 << 20);

/// The hub in the garage, and what is simulated around both.
#[derive(Debug)]
pub(crate) struct Neighbour {
    pub(crate) hub: Hub,
    pub(crate) web: Web,
    pub(crate) farms: [Farm; 2],
}

/// Starts both; the first is this computer's. The other has a web UI as well, which nobody needs
/// to know of.
pub(crate) async fn start(args: &Args) -> Result<(Hub, Neighbour)> {
    let own = vec![sim::Simulated::disk(OWN_DISK.0, OWN_DISK.1)];
    let name = args.name.clone().unwrap_or_else(computer);
    let hub = Hub::start(config(args, name, args.bind, own, true)).await?;
    let garage: Name = "garage".parse()?;
    let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let devices = sim::demo();
    let names = [Name::from_text("disk", "disk"), Name::from_text("serial", "serial")];
    let mut shared: Vec<_> = devices.iter().map(|one| one.id.clone()).zip(names).collect();
    let garage_config = config(args, garage, Some(anywhere), devices, false);
    let ports = garage_config.data.join("simulated");
    std::fs::create_dir_all(&ports).with_context(|| ports.display().to_string())?;
    let machines = sim::machine::demo(&ports).context("simulated machines")?;
    shared.extend(machines.iter().map(|one| (one.id.clone(), one.name.clone())));
    let machines = machines.into_iter().map(Arc::new).collect();
    let socket = data::socket(&garage_config.data);
    let garage = Hub::start(Config { machines, ..garage_config }).await?;
    let web = web::serve(garage.clone(), anywhere, &socket).await?;

    if garage.state(Caller::Local).peers.is_empty() {
        let (selector, role) = ("*".into(), Role::Control);
        let grant = Grant { selector, role, ..Grant::default() };
        let (ticket, _) = garage.invite(Caller::Local, PAIRING, &[grant], None).await?;
        hub.pair(Caller::Local, &ticket.to_string(), None).await.context("pairing the two hubs")?;
    }
    let mut changes = garage.changes();
    for (id, name) in shared {
        let plugged = |state: view::State| state.devices.iter().any(|device| device.id == id);
        while !plugged(garage.state(Caller::Local)) {
            changes.changed().await?;
        }
        garage.share(Caller::Local, id.as_str(), Some(name)).await?;
    }
    let farms = [farm::start(&hub, Which::Here).await?, farm::start(&garage, Which::Garage).await?];
    Ok((hub, Neighbour { hub: garage, web, farms }))
}

fn config(
    args: &Args,
    name: Name,
    bind: Option<SocketAddr>,
    simulated: Vec<sim::Simulated>,
    real: bool,
) -> Config {
    let data = args.data.join("demo").join(if real { "here" } else { "garage" });
    let simulated = simulated.into_iter().map(Arc::new).collect();
    // the other hub is in this process
    let relays = if real { args.relays() } else { vec![] };
    let lookup = args.lookup.clone().filter(|_| real);
    let serial_ports = if real { args.serial_ports.clone() } else { vec![] };
    let offline = args.offline;
    // the one in the garage listens on loopback only: nobody else has to know of it
    let discovery = if real { args.discovery } else { Discovery::Off };
    Config {
        bind,
        relays,
        lookup,
        offline,
        discovery,
        simulated,
        serial_ports,
        guard: guard(),
        real,
        demo: true,
        ..Config::new(data, name)
    }
}
