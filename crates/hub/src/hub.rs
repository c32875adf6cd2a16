//! A hub from start to stop.

use crate::access::timer::{self, WallClock};
use crate::backup::{self, Elsewhere};
use crate::benching::Benches;
use crate::config::Database;
use crate::core::{Caller, Core, PeerId, Shared};
use crate::devices::Local;
use crate::links::{self, Links};
use crate::login::Login;
use crate::pairing::Asks;
use crate::paths::Paths;
use crate::peers::Peer;
use crate::plugging::{Listing, MadeOfSoftware};
use crate::relays::Relays;
use crate::{
    Config, Discovery, Grace, attaching, attachments, buttons, dialing, discovery, identity, jobs,
    linking, machines, network, plugging, printers, view,
};
use anyhow::{Context, Result, bail};
use fleet::Fleet;
use iroh::Endpoint;
use link::Duplex;
use link::race::{Kind, Kinds};
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use store::Store;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Streams that peers opened for management and that wait to be served.
const HTTP_WAITING_MAX: usize = 32;
/// In the data folder.
pub(crate) const DATABASE: &str = "farhub.db";
/// Pairings at the same time: strangers wait for each other, and peers for none of them.
const PAIRINGS_MAX: usize = 8;
/// Proofs that are looked at at the same time: each takes 19 MiB for a moment.
const CHECKS_MAX: usize = 2;
/// Jobs that are drawn at the same time.
const DRAWINGS_MAX: usize = 2;
/// Devices that are given back and peers that are told, before the hub is gone all the same.
const STOP_TIMEOUT: Duration = Duration::from_secs(8);
/// Refusals that are noted in the audit log, so that nobody can fill the disk with it: of
/// strangers, and of peers, who are not to be hidden behind those.
const STRANGERS_NOTED: (u32, Duration) = (10, Duration::from_secs(60));
const PEERS_NOTED: (u32, Duration) = (60, Duration::from_secs(60));

/// A running hub.
#[derive(Clone, Debug)]
pub struct Hub(pub(crate) Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) shared: Shared,
    pub(crate) store: Store,
    pub(crate) fleet: Fleet,
    pub(crate) endpoint: Endpoint,
    pub(crate) links: Links,
    pub(crate) paths: Paths,
    pub(crate) benches: Benches,
    /// Kinds of paths that may be used.
    pub(crate) only: Kinds,
    /// Counts changes of this computer's network.
    pub(crate) network: watch::Sender<u64>,
    pub(crate) relays: Relays,
    pub(crate) data: PathBuf,
    pub(crate) tasks: TaskTracker,
    pub(crate) stopping: CancellationToken,
    pub(crate) http: mpsc::Sender<(PeerId, Duplex)>,
    http_streams: Mutex<Option<mpsc::Receiver<(PeerId, Duplex)>>>,
    pub(crate) new_peers: mpsc::Sender<PeerId>,
    pub(crate) grace: Grace,
    strangers: Mutex<(u32, Instant)>,
    refused_peers: Mutex<(u32, Instant)>,
    /// Places for those who prove themselves: each takes argon2's memory.
    pub(crate) checks: Semaphore,
    /// Places for those who want to pair.
    pub(crate) pairings: Arc<Semaphore>,
    /// Places for those who want to see where a job goes: each reads all of it.
    pub(crate) drawings: Semaphore,
    pub(crate) login: Login,
    /// Who has asked to pair by code of late.
    pub(crate) asks: Mutex<Asks>,
    /// Files elsewhere that a backup needs.
    pub(crate) elsewhere: Elsewhere,
    _lock: File,
}

impl Hub {
    /// Starts a hub. Nothing waits for the network.
    ///
    /// # Errors
    /// When the data folder, the key, the database or the port cannot be used.
    pub async fn start(config: Config) -> Result<Self> {
        let data = config.data.clone();
        make_folder(&data)?;
        let lock = lock(&data)?;
        backup::sweep(&data);
        let key = identity::load_or_make(&data.join("key"))?;
        let store = Store::open(&data.join(DATABASE)).await?;
        let login = Login::load(&store).await?;
        let elsewhere = Elsewhere { settings: config.settings, shop_key: config.shop_key.clone() };
        let url = config.database.as_ref().map(|Database(url)| url.as_str());
        let shop = printers::open(&data, url, config.shop_key).await?;
        let relayed = !config.offline && config.only.has(Kind::Relay);
        let relays = if relayed { Relays::new(config.relays) } else { Relays::never() };
        let lookup = config.lookup.filter(|_| !config.offline);
        let ways = links::Ways { relays: &relays, lookup: lookup.as_ref(), only: config.only };
        let endpoint = links::bind(key, config.bind, ways, &data).await?;
        let me = endpoint.id().to_string();
        let fleet =
            fleet::Config { data: data.join("shop"), shop, hub: me, discovery: config.printers };
        let fleet = Fleet::start(fleet).await.context("the print shop")?;
        let hub = view::Hub {
            id: endpoint.id().to_string(),
            name: config.name,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            demo: config.demo,
            web: None,
            discovery: config.discovery,
        };
        let mut core = Core::new(hub);
        remembered(&mut core, &store).await?;
        jobs::remembered(&mut core, &store, &data).await?;
        let buttons = buttons::start(config.stop_buttons).context("a stop button")?;
        core.buttons = buttons.iter().map(buttons::Running::view).collect();
        let peers: Vec<_> = core.peers.keys().copied().collect();
        for peer in core.peers.values() {
            relays.learn(&endpoint, &peer.reach.relays).await;
        }
        let attachments: Vec<_> = core.attachments.keys().cloned().collect();

        let clock = WallClock::new().context("a timer of the clock")?;
        let (http, http_streams) = mpsc::channel(HTTP_WAITING_MAX);
        let (new_peers, mut peers_to_reach) = mpsc::channel(HTTP_WAITING_MAX);
        let inner = Arc::new(Inner {
            shared: Shared::new(core),
            store,
            fleet,
            endpoint,
            links: Links::default(),
            paths: Paths::default(),
            benches: Benches::default(),
            only: config.only,
            network: watch::Sender::default(),
            relays,
            data,
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
            http,
            http_streams: Mutex::new(Some(http_streams)),
            new_peers,
            grace: config.grace,
            strangers: Mutex::new((0, Instant::now())),
            refused_peers: Mutex::new((0, Instant::now())),
            checks: Semaphore::new(CHECKS_MAX),
            pairings: Arc::new(Semaphore::new(PAIRINGS_MAX)),
            drawings: Semaphore::new(DRAWINGS_MAX),
            login,
            asks: Mutex::default(),
            elsewhere,
            _lock: lock,
        });
        inner.audit("local", "hub.start", env!("CARGO_PKG_VERSION"), "").await?;
        let simulated = MadeOfSoftware { usb: config.simulated, machines: config.machines };
        let listing = Listing { real: config.real, serial_ports: config.serial_ports };
        inner.background(plugging::watch(inner.clone(), simulated, listing));
        for (index, running) in buttons.iter().enumerate() {
            inner.background(buttons::follow(inner.clone(), index, running.button.clone()));
        }
        inner.background(machines::keep(inner.clone(), config.guard, buttons));
        inner.background(jobs::catch_up(inner.clone()));
        inner.background(timer::keep_time(inner.clone(), clock));
        inner.background(network::watch(inner.network.clone()));
        inner.background(linking::accept(inner.clone()));
        match config.discovery {
            Discovery::Lan => drop(inner.tasks.spawn(discovery::run(inner.clone()))),
            Discovery::Off => {}
        }
        for key in attachments {
            inner.background(attaching::keep(inner.clone(), key));
        }
        let reaching = inner.clone();
        inner.background(async move {
            for peer in peers {
                reaching.background(dialing::keep_reached(reaching.clone(), peer));
            }
            while let Some(peer) = peers_to_reach.recv().await {
                reaching.background(dialing::keep_reached(reaching.clone(), peer));
            }
        });
        Ok(Self(inner))
    }

    /// The streams that peers open for management: whoever serves HTTP takes them, once.
    #[must_use]
    pub fn http_streams(&self) -> Option<mpsc::Receiver<(PeerId, Duplex)>> {
        self.0.http_streams.lock().expect("nobody panics with it").take()
    }

    /// The folder with the key and the database, for what else is kept there.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.0.data
    }

    /// Says where the web UI is.
    pub fn web_is_at(&self, url: &str) {
        self.0.shared.change(|core| core.hub.web = Some(url.to_owned()));
    }

    /// Gives every device back, ends every connection, and writes everything out.
    pub async fn stop(&self) {
        let inner = &self.0;
        // from here on nobody gets a lease: peers want a device again as soon as it is free
        inner.stopping.cancel();
        inner.shared.look(|core| {
            let leases = core.devices.values().filter_map(|local| local.lease.as_ref());
            leases.for_each(|lease| lease.end.cancel());
        });
        let given_back = inner
            .shared
            .until(|core| core.devices.values().all(|local| local.lease.is_none()).then_some(()));
        if tokio::time::timeout(STOP_TIMEOUT, given_back).await.is_err() {
            tracing::warn!("some devices were not given back in time");
        }
        inner.fleet.stop().await;
        inner.links.stop();
        inner.endpoint.close().await;
        inner.tasks.close();
        if tokio::time::timeout(STOP_TIMEOUT, inner.tasks.wait()).await.is_err() {
            tracing::warn!("some tasks did not end in time");
        }
        if let Err(error) = inner.audit("local", "hub.stop", "", "").await {
            tracing::warn!("the audit log: {error:#}");
        }
        inner.store.close().await;
    }
}

impl Inner {
    /// Runs a task until it ends or the hub stops.
    pub(crate) fn background(self: &Arc<Self>, task: impl Future<Output = ()> + Send + 'static) {
        let stopping = self.stopping.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = task => {}
                () = stopping.cancelled() => {}
            }
        });
    }

    /// Notes who did what to what.
    pub(crate) async fn audit(
        &self,
        actor: &str,
        action: &str,
        what: impl std::fmt::Display,
        more: impl std::fmt::Display,
    ) -> Result<()> {
        let detail = format!("{what} {more}");
        Ok(self.store.audit(actor, action, detail.trim()).await?)
    }

    /// Notes that somebody was refused, but not each of many times.
    pub(crate) async fn audit_refusal(
        &self,
        peer: PeerId,
        action: &str,
        what: impl std::fmt::Display,
        more: impl std::fmt::Display,
    ) -> Result<()> {
        let known = self.shared.look(|core| core.peers.contains_key(&peer));
        let (noted, (max, within)) = match known {
            true => (&self.refused_peers, PEERS_NOTED),
            false => (&self.strangers, STRANGERS_NOTED),
        };
        let count = {
            let mut noted = noted.lock().expect("nobody panics with it");
            if noted.1.elapsed() > within {
                *noted = (0, Instant::now());
            }
            noted.0 = noted.0.saturating_add(1);
            noted.0
        };
        if count > max {
            return Ok(());
        }
        self.audit(&peer.to_string(), action, what, more).await
    }

    /// Ends an attachment that the kernel's user ended.
    pub(crate) async fn forget_attachment(&self, key: &(PeerId, wire::DeviceId)) {
        let (peer, device) = (key.0.to_string(), key.1.as_str());
        if let Err(error) = self.audit("kernel", "device.detach", device, &peer).await {
            tracing::warn!("the audit log: {error:#}");
        }
        if let Err(error) = self.store.remove_attachment(&peer, device).await {
            tracing::warn!("{error}");
        }
        self.shared.change(|core| core.attachments.remove(key));
    }

    pub(crate) fn allowed(&self, caller: Caller) -> Result<(), crate::Failure> {
        self.shared.look(|core| core.manages(caller))
    }
}

/// What the database knows from before.
async fn remembered(core: &mut Core, store: &Store) -> Result<()> {
    for row in store.peers().await? {
        let id: PeerId = row.id.parse().with_context(|| format!("peer {}", row.id))?;
        let reach = serde_json::from_str(&row.reach).unwrap_or_default();
        let mut peer = Peer::new(row.name.parse()?, reach);
        peer.trusted = row.trusted;
        let expires = row.expires_us.map(jiff::Timestamp::from_microsecond).transpose();
        peer.expires = expires.with_context(|| format!("peer {}", row.id))?;
        core.peers.insert(id, peer);
    }
    for row in store.grants().await? {
        core.remember_grant(row);
    }
    for row in store.devices().await? {
        let kind = serde_json::from_str(&row.kind).with_context(|| format!("device {}", row.id))?;
        let settings = serde_json::from_str(&row.machine);
        let settings = settings.with_context(|| format!("the machine at {}", row.id))?;
        let local = Local {
            name: row.name.parse()?,
            shared: row.shared,
            kind,
            source: None,
            problem: None,
            lease: None,
            settings,
            machine: None,
            kept: true,
        };
        core.devices.insert(row.id.parse()?, local);
    }
    for row in store.attachments().await? {
        let via = attachments::via_read(&row.via)?;
        let attachment = attachments::Attachment::new(row.name.parse()?, via);
        core.attachments.insert((row.peer_id.parse()?, row.device_id.parse()?), attachment);
    }
    Ok(())
}

pub(crate) fn make_folder(data: &Path) -> Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(data).with_context(|| in_(data))
}

/// One hub at a time uses a data folder.
pub(crate) fn lock(data: &Path) -> Result<File> {
    let file = data.join("lock");
    let lock = fs::OpenOptions::new().create(true).truncate(false).write(true).open(&file);
    let lock = lock.with_context(|| in_(&file))?;
    if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
        bail!(
            "a hub is running already with the data folder {}. To run another one, give it a \
             folder of its own with --data",
            data.display()
        );
    }
    Ok(lock)
}

fn in_(path: &Path) -> String {
    format!("in {}", path.display())
}
