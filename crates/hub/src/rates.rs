//! What goes through the devices in use, measured each second; nothing is measured while none is.

use crate::Inner;
use crate::core::{Core, PeerId};
use crate::view::{Rate, Rates, Side};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;
use usb::Counters;
use wire::{Address, DeviceId};

const EVERY: Duration = Duration::from_secs(1);

type Key = (Option<PeerId>, DeviceId);

/// A counter as it was read.
#[derive(Clone, Copy, Debug, Default)]
struct Reading {
    urbs: u64,
    in_bytes: u64,
    out_bytes: u64,
}

/// Runs for as long as the hub runs.
pub(crate) async fn measure(inner: Arc<Inner>) {
    let mut before: BTreeMap<Key, Reading> = BTreeMap::new();
    let mut measured = Instant::now();
    loop {
        inner.shared.until(|core| (!in_use(core).is_empty()).then_some(())).await;
        tokio::time::sleep_until(measured.max(Instant::now()) + EVERY).await;
        let seconds = measured.elapsed().as_secs_f64();
        measured = Instant::now();
        let mut now = BTreeMap::new();
        let mut rates = Rates::default();
        for (key, side, address, counters) in inner.shared.look(in_use) {
            let reading = read(&counters);
            let last = before.get(&key).copied().unwrap_or_default();
            let per_second =
                |now: u64, last: u64| (now.saturating_sub(last) as f64 / seconds) as u64;
            rates.devices.push(Rate {
                address,
                side,
                in_bytes_per_s: per_second(reading.in_bytes, last.in_bytes),
                out_bytes_per_s: per_second(reading.out_bytes, last.out_bytes),
                urbs_per_s: per_second(reading.urbs, last.urbs),
                errors: counters.errors.load(Ordering::Relaxed),
            });
            now.insert(key, reading);
        }
        before = now;
        inner.rates.send_if_modified(|shown| {
            let differs = *shown != rates;
            *shown = rates;
            differs
        });
    }
}

fn read(counters: &Counters) -> Reading {
    Reading {
        urbs: counters.urbs.load(Ordering::Relaxed),
        in_bytes: counters.in_bytes.load(Ordering::Relaxed),
        out_bytes: counters.out_bytes.load(Ordering::Relaxed),
    }
}

fn in_use(core: &Core) -> Vec<(Key, Side, Address, Arc<Counters>)> {
    let served = core.devices.iter().filter_map(|(id, local)| {
        let counters = local.lease.as_ref()?.counters.clone();
        let address = Address { hub: core.hub.name.clone(), device: local.name.clone() };
        Some(((None, id.clone()), Side::Serve, address, counters))
    });
    let attached = core.attachments.iter().filter_map(|(key, known)| {
        known.is_attached().then_some(())?;
        let (peer, id) = key.clone();
        let address = known.address(key, core);
        Some(((Some(peer), id), Side::Attach, address, known.counters.clone()))
    });
    served.chain(attached).collect()
}
