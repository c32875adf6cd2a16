//! What is plugged in: looked at again when the kernel says that something has changed.

use crate::Inner;
use crate::devices::{Found, Source};
use futures_util::FutureExt;
use futures_util::future::select_all;
use sim::{Simulated, machine};
use std::future::pending;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::task::spawn_blocking;
use usb::linux::Hotplug;
use wire::device::{Kind, Serial};
use wire::serial::Profile;
use wire::{DeviceId, Text};

/// Where to look for real devices.
#[derive(Clone, Debug)]
pub(crate) struct Listing {
    /// In what the system lists.
    pub(crate) real: bool,
    /// And these ports, whatever it lists.
    pub(crate) serial_ports: Vec<PathBuf>,
}

/// Keeps the shelf true for as long as the hub runs.
pub(crate) async fn watch(inner: Arc<Inner>, simulated: MadeOfSoftware, listing: Listing) {
    let mut hotplug = None;
    if listing.real {
        give_back_leftovers(&inner).await;
        match Hotplug::open() {
            Ok(opened) => hotplug = Some(opened),
            Err(error) => unseen(&error),
        }
    }
    let mut roll = inner.fleet.roll();
    loop {
        roll.mark_unchanged();
        let plugged = simulated.plugged();
        let mut found = simulated.found(&plugged);
        found.extend(inner.fleet.printers().into_iter().map(from_printer));
        let listed = real_devices(listing.clone()).await;
        // what cannot be listed has not been pulled out
        if let Some(listed) = listed {
            found.extend(listed);
            inner.shared.change(|core| core.plug(found));
        }
        let changed = async {
            match &mut hotplug {
                Some(hotplug) => hotplug.changed().await,
                None => pending().await,
            }
        };
        tokio::select! {
            changed = changed => if let Err(error) = changed {
                unseen(&error);
                hotplug = None;
            },
            () = simulated.replugged(&plugged) => {}
            Ok(()) = roll.changed() => {}
        }
    }
}

fn unseen(error: &std::io::Error) {
    tracing::warn!("devices that come and go from now on are not seen: {error}");
}

/// Devices that a hub took from their drivers and, killed, did not give back.
async fn give_back_leftovers(inner: &Inner) {
    let data = inner.data.clone();
    let done = spawn_blocking(move || usb::linux::give_back_leftovers(Path::new("/"), &data)).await;
    if let Ok(Err(error)) = done {
        tracing::warn!("devices of the last run were not given back to their drivers: {error}");
    }
}

/// Devices made of software, of either kind.
#[derive(Debug)]
pub(crate) struct MadeOfSoftware {
    pub(crate) usb: Vec<Arc<Simulated>>,
    pub(crate) machines: Vec<Arc<machine::Simulated>>,
}

impl MadeOfSoftware {
    /// Which are plugged in.
    fn plugged(&self) -> Vec<bool> {
        let usb = self.usb.iter().map(|one| one.is_plugged());
        usb.chain(self.machines.iter().map(|one| one.is_plugged())).collect()
    }

    fn found(&self, plugged: &[bool]) -> Vec<Found> {
        let usb = self.usb.iter().map(|one| Found {
            id: one.id.clone(),
            kind: Kind::Usb(one.usb.clone()),
            source: Source::Simulated(one.clone()),
            name: None,
            problem: None,
        });
        let machines = self.machines.iter().map(|one| Found {
            id: one.id.clone(),
            kind: Kind::Serial(Serial {
                profile: one.profile,
                product: Text::from(format!("simulated {}", one.name).as_str()),
                serial_number: Text::from(""),
                port: Text::from(one.name.as_str()),
            }),
            source: Source::SimulatedSerial(one.clone()),
            name: None,
            problem: None,
        });
        let all = usb.chain(machines).zip(plugged);
        all.filter(|(_, plugged)| **plugged).map(|(found, _)| found).collect()
    }

    /// Resolves when one is plugged in or pulled out.
    async fn replugged(&self, plugged: &[bool]) {
        let (usb, machines) = plugged.split_at(self.usb.len());
        let usb = self.usb.iter().zip(usb).map(|(one, plugged)| {
            let plugged = *plugged;
            async move { one.until_plugged(!plugged).await }.boxed()
        });
        let machines = self.machines.iter().zip(machines).map(|(one, plugged)| {
            let plugged = *plugged;
            async move { one.until_plugged(!plugged).await }.boxed()
        });
        let waits: Vec<_> = usb.chain(machines).collect();
        if waits.is_empty() {
            pending().await
        } else {
            select_all(waits).await;
        }
    }
}

async fn real_devices(listing: Listing) -> Option<Vec<Found>> {
    let listed = spawn_blocking(move || {
        let root = Path::new("/");
        let (on_the_bus, ports) = match listing.real {
            true => (usb::linux::list(root)?, serial::tty::list::list(root)?),
            false => (vec![], vec![]),
        };
        let named = serial::tty::list::named(&listing.serial_ports, &ports);
        let ports = ports.into_iter().chain(named).map(from_port);
        std::io::Result::Ok(on_the_bus.into_iter().map(from_usb).chain(ports).collect())
    });
    match listed.await {
        Ok(Ok(listed)) => Some(listed),
        Ok(Err(error)) => {
            tracing::warn!("what is plugged in cannot be listed: {error}");
            None
        }
        Err(error) => {
            tracing::error!("listing what is plugged in: {error}");
            None
        }
    }
}

fn from_usb(found: usb::linux::Found) -> Found {
    let problem = found.problem.as_ref().map(|problem| problem.to_string().as_str().into());
    let (id, kind) = (found.id.clone(), Kind::Usb(found.usb.clone()));
    Found { id, kind, source: Source::Usb(Box::new(found)), name: None, problem }
}

fn from_port(found: serial::tty::list::Found) -> Found {
    let node = found.node.file_name().unwrap_or_default().to_string_lossy();
    let kind = Kind::Serial(Serial {
        profile: Profile::Raw,
        product: found.product,
        serial_number: found.usb.map_or(Text::from(""), |usb| usb.serial_number),
        port: Text::from(&*node),
    });
    let problem = found.problem.map(|problem| problem.to_string().as_str().into());
    Found { id: found.id, kind, source: Source::Serial(found.node), name: None, problem }
}

fn from_printer(printer: fleet::view::Printer) -> Found {
    let said = printer.state.and_then(|state| state.identity.model.clone());
    let model = Some(Text::from(printer.model)).filter(|model| !model.is_empty()).or(said);
    let kind = Kind::Printer(wire::device::Printer {
        protocol: printer.protocol.as_str().into(),
        title: printer.title.into(),
        model: model.unwrap_or_default(),
    });
    let source = Source::Printer { simulated: printer.simulated };
    Found { id: printer.id, kind, source, name: Some(printer.name), problem: None }
}

/// Looks again at what keeps a device from being used: no uevent of a USB device tells that
/// something on it was mounted, or unmounted.
pub(crate) async fn problem_now(inner: &Inner, id: &DeviceId) -> Option<Text> {
    let source = inner.shared.look(|core| core.devices.get(id)?.source.clone());
    let Some(Source::Usb(found)) = source else { return None };
    let problem = spawn_blocking(move || found.problem_now(Path::new("/"))).await.ok()?;
    let problem = problem.map(|problem| Text::from(problem.to_string()));
    inner.shared.change(|core| {
        if let Some(local) = core.devices.get_mut(id) {
            local.problem.clone_from(&problem);
        }
    });
    problem
}
