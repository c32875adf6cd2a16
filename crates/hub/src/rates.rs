//! What goes through the devices in use, measured each second for each who looks. Nothing is
//! measured while nobody does, or no device is in use.

use crate::Inner;
use crate::core::{Core, PeerId};
use crate::view::{Rate, Rates, Side};
use futures_util::stream::{self, Stream};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;
use wire::{Address, DeviceId};

const EVERY: Duration = Duration::from_secs(1);

type Key = (Option<PeerId>, DeviceId);

/// What counts for a session.
#[derive(Clone, Debug)]
pub(crate) enum Counted {
    Usb(Arc<usb::Counters>),
    Serial(Arc<serial::attach::Counters>),
}

impl Default for Counted {
    fn default() -> Self {
        Self::Usb(Arc::default())
    }
}

/// A counter as it was read.
#[derive(Clone, Copy, Debug, Default)]
struct Reading {
    urbs: u64,
    in_bytes: u64,
    out_bytes: u64,
    errors: u64,
}

/// One who looks at the rates.
#[derive(Debug)]
struct Look {
    inner: Arc<Inner>,
    before: BTreeMap<Key, Reading>,
    measured: Instant,
    shown: Rates,
}

/// The rates from now on, each time that they differ.
pub(crate) fn follow(inner: Arc<Inner>) -> impl Stream<Item = Rates> + use<> {
    let mut look =
        Look { inner, before: BTreeMap::new(), measured: Instant::now(), shown: Rates::default() };
    look.measure();
    stream::unfold(look, |mut look| async move { Some((look.next().await, look)) })
}

impl Look {
    async fn next(&mut self) -> Rates {
        loop {
            self.inner.shared.until(|core| (!in_use(core).is_empty()).then_some(())).await;
            tokio::time::sleep_until(self.measured.max(Instant::now()) + EVERY).await;
            let rates = self.measure();
            if rates != self.shown {
                self.shown = rates.clone();
                return rates;
            }
        }
    }

    /// What went through since the last time.
    fn measure(&mut self) -> Rates {
        let seconds = self.measured.elapsed().as_secs_f64();
        self.measured = Instant::now();
        let mut now = BTreeMap::new();
        let mut rates = Rates::default();
        for (key, side, address, counters) in self.inner.shared.look(in_use) {
            let reading = counters.read();
            let last = self.before.get(&key).copied().unwrap_or_default();
            let per_second =
                |now: u64, last: u64| (now.saturating_sub(last) as f64 / seconds) as u64;
            rates.devices.push(Rate {
                address,
                side,
                in_bytes_per_s: per_second(reading.in_bytes, last.in_bytes),
                out_bytes_per_s: per_second(reading.out_bytes, last.out_bytes),
                urbs_per_s: per_second(reading.urbs, last.urbs),
                errors: reading.errors,
            });
            now.insert(key, reading);
        }
        self.before = now;
        rates
    }
}

impl Counted {
    fn read(&self) -> Reading {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        match self {
            Self::Usb(counters) => Reading {
                urbs: load(&counters.urbs),
                in_bytes: load(&counters.in_bytes),
                out_bytes: load(&counters.out_bytes),
                errors: load(&counters.errors),
            },
            Self::Serial(counters) => Reading {
                urbs: 0,
                in_bytes: load(&counters.in_bytes),
                out_bytes: load(&counters.out_bytes),
                errors: 0,
            },
        }
    }
}

fn in_use(core: &Core) -> Vec<(Key, Side, Address, Counted)> {
    let served = core.devices.iter().filter_map(|(id, local)| {
        let counters = Counted::Usb(local.lease.as_ref()?.counters.clone());
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
