//! What is plugged in: looked at when the kernel says that something has changed.

use crate::Inner;
use crate::devices::{Found, Source};
use std::sync::Arc;
use wire::device::Kind;

/// Keeps the shelf true for as long as the hub runs.
pub(crate) async fn watch(inner: Arc<Inner>, simulated: Vec<sim::Simulated>, real: bool) {
    let mut hotplug = None;
    if real {
        let journal = inner.data.join("detached");
        // drivers that a hub took away and, killed, could not give back
        let give_back = move || usb::linux::give_back_leftovers(&journal);
        if tokio::task::spawn_blocking(give_back).await.is_err() {
            tracing::error!("giving back devices failed");
        }
        match usb::linux::Hotplug::new() {
            Ok(new) => hotplug = Some(new),
            Err(error) => tracing::warn!("devices plugged in later will not be seen: {error}"),
        }
    }
    loop {
        let found = look(&simulated, real).await;
        end_sessions_of_the_gone(&inner, &found);
        inner.shared.change(|core| core.plug(found));
        let mut changed = None;
        if let Some(hotplug) = &mut hotplug {
            changed = Some(hotplug.changed());
        }
        let simulated_changed = sim::changed(&simulated);
        tokio::select! {
            result = async { match changed { Some(changed) => changed.await, None => std::future::pending().await } } => {
                if let Err(error) = result {
                    tracing::warn!("devices plugged in later will not be seen: {error}");
                    hotplug = None;
                }
            }
            () = simulated_changed => {}
        }
    }
}

async fn look(simulated: &[sim::Simulated], real: bool) -> Vec<Found> {
    let mut found: Vec<_> = simulated.iter().filter(|one| one.is_plugged()).map(|one| Found {
        id: one.id.clone(),
        kind: Kind::Usb(one.usb.clone()),
        source: Source::Simulated(one.clone()),
        problem: None,
    }).collect();
    if real {
        let listed = tokio::task::spawn_blocking(usb::linux::list).await;
        match listed {
            Ok(Ok(listed)) => found.extend(listed.into_iter().map(|one| Found {
                id: one.id.clone(),
                kind: Kind::Usb(one.usb.clone()),
                problem: one.problem.clone(),
                source: Source::Usb(one),
            })),
            Ok(Err(error)) => tracing::warn!("USB devices cannot be listed: {error}"),
            Err(error) => tracing::error!("listing USB devices: {error}"),
        }
    }
    found
}
