//! What is plugged in: looked at again when the kernel says that something has changed.

use crate::Inner;
use crate::devices::{Found, Source};
use futures_util::future::select_all;
use sim::Simulated;
use std::future::pending;
use std::path::Path;
use std::sync::Arc;
use tokio::task::spawn_blocking;
use usb::linux::Hotplug;
use wire::device::Kind;
use wire::{DeviceId, Text};

/// Keeps the shelf true for as long as the hub runs.
pub(crate) async fn watch(inner: Arc<Inner>, simulated: Vec<Arc<Simulated>>, real: bool) {
    let mut hotplug = None;
    if real {
        give_back_leftovers(&inner).await;
        match Hotplug::open() {
            Ok(opened) => hotplug = Some(opened),
            Err(error) => unseen(&error),
        }
    }
    loop {
        let plugged: Vec<_> = simulated.iter().map(|one| one.is_plugged()).collect();
        let mut found = made_of_software(&simulated, &plugged);
        let listed = if real { on_the_bus().await } else { Some(vec![]) };
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
            () = replugged(&simulated, &plugged) => {}
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

fn made_of_software(simulated: &[Arc<Simulated>], plugged: &[bool]) -> Vec<Found> {
    let plugged = simulated.iter().zip(plugged).filter(|(_, plugged)| **plugged);
    let found = plugged.map(|(one, _)| Found {
        id: one.id.clone(),
        kind: Kind::Usb(one.usb.clone()),
        source: Source::Simulated(one.clone()),
        problem: None,
    });
    found.collect()
}

async fn on_the_bus() -> Option<Vec<Found>> {
    match spawn_blocking(|| usb::linux::list(Path::new("/"))).await {
        Ok(Ok(listed)) => Some(listed.into_iter().map(from_usb).collect()),
        Ok(Err(error)) => {
            tracing::warn!("what is on the USB cannot be listed: {error}");
            None
        }
        Err(error) => {
            tracing::error!("listing what is on the USB: {error}");
            None
        }
    }
}

fn from_usb(found: usb::linux::Found) -> Found {
    let problem = found.problem.as_ref().map(|problem| problem.to_string().as_str().into());
    let (id, kind) = (found.id.clone(), Kind::Usb(found.usb.clone()));
    Found { id, kind, source: Source::Usb(Box::new(found)), problem }
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

/// Resolves when a simulated device is plugged in or pulled out.
async fn replugged(simulated: &[Arc<Simulated>], plugged: &[bool]) {
    let waits = simulated.iter().zip(plugged).map(|(one, plugged)| {
        let plugged = *plugged;
        Box::pin(async move { one.until_plugged(!plugged).await })
    });
    let waits: Vec<_> = waits.collect();
    if waits.is_empty() {
        pending().await
    } else {
        select_all(waits).await;
    }
}
