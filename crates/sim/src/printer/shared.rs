//! One printer as its server and its owner hold it: the engine behind a lock that is never held
//! over an `await`, the fault that it has, and a bell that rings when something changed.

use super::engine::{Engine, Refused};
use super::{Fault, Spec};
use bytes::Bytes;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::watch;

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) spec: Spec,
    engine: Mutex<Engine>,
    changes: watch::Sender<u64>,
    fault: watch::Sender<Fault>,
    random: AtomicU64,
    /// The wall clock when the printer was made, and the moment: a clock that is set meanwhile
    /// changes no print.
    made: (SystemTime, Instant),
    /// Since when clients are told that it is paused.
    paused_told: Mutex<Option<Instant>>,
}

impl Shared {
    pub(super) fn new(spec: Spec) -> Arc<Self> {
        let made = (SystemTime::now(), Instant::now());
        let shared = Arc::new(Self {
            engine: Mutex::new(Engine::new(spec.speed, made.0)),
            changes: watch::Sender::default(),
            fault: watch::Sender::default(),
            random: AtomicU64::new(spec.seed),
            made,
            paused_told: Mutex::default(),
            spec,
        });
        tick(&shared);
        shared
    }

    /// Looks at the engine as it is now, or does something to it. Those who wait for a change are
    /// told of it.
    pub(super) fn with<T>(&self, look: impl FnOnce(&mut Engine) -> T) -> T {
        let mut engine = lock(&self.engine);
        engine.advance(self.now());
        let result = look(&mut engine);
        let revision = engine.revision;
        drop(engine);
        self.changes.send_if_modified(|last| std::mem::replace(last, revision) != revision);
        result
    }

    pub(super) fn now(&self) -> SystemTime {
        self.made.0 + self.made.1.elapsed()
    }

    /// Since it was made.
    pub(super) fn age(&self) -> Duration {
        self.made.1.elapsed()
    }

    /// Its value is [`Engine::revision`]. While something moves it changes with every tick.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub(super) fn fault(&self) -> Fault {
        *self.fault.borrow()
    }

    pub(super) fn faults(&self) -> watch::Receiver<Fault> {
        self.fault.subscribe()
    }

    /// A client is being told whether it is paused.
    pub(super) fn tells(&self, paused: bool) {
        let mut told = lock(&self.paused_told);
        *told = paused.then(|| told.unwrap_or_else(Instant::now));
    }

    pub(super) fn paused_told(&self) -> Option<Instant> {
        *lock(&self.paused_told)
    }

    /// Whether a client knows the secret.
    pub(super) fn is_secret(&self, given: &str) -> bool {
        given == self.spec.secret && self.fault() != Fault::WrongSecret
    }

    /// Takes a file from a client, as far as the printer's faults let it.
    pub(super) fn store(&self, path: &str, content: Bytes) -> Result<(), Refused> {
        let content = match self.fault() {
            Fault::DiskFull => return Err(Refused::Full),
            Fault::NoStorage => return Err(Refused::NoStorage),
            Fault::TruncatesFiles => {
                content.slice(..content.len() - LOST_BYTES.min(content.len() / 2 + 1))
            }
            Fault::None
            | Fault::Slow(_)
            | Fault::Silent
            | Fault::Drops
            | Fault::Garbled
            | Fault::DeveloperModeOff
            | Fault::WrongSecret => content,
        };
        self.with(|engine| engine.put_file(path, content))
    }

    /// Whether there is a drive in it.
    pub(super) fn has_storage(&self) -> bool {
        self.fault() != Fault::NoStorage
    }

    /// Looks random, and is the same in each run with the same seed (splitmix64).
    pub(super) fn random(&self) -> u64 {
        let mut x = self.random.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    pub(super) fn set_fault(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }
}

/// Has the printer moved from now on until it is dropped: by one thread for all of a process, which
/// ends with the last of them. (A task would end with the runtime of the test that started it.)
fn tick(shared: &Arc<Shared>) {
    let mut printers = lock(&PRINTERS);
    printers.push(Arc::downgrade(shared));
    if printers.len() == 1 {
        let started = std::thread::Builder::new().name("sim-printers".to_owned()).spawn(run);
        started.expect("a process that simulates printers can have one more thread");
    }
}

fn run() {
    loop {
        std::thread::sleep(TICK);
        let live: Vec<Arc<Shared>> = {
            let mut printers = lock(&PRINTERS);
            printers.retain(|printer| printer.strong_count() > 0);
            if printers.is_empty() {
                return;
            }
            printers.iter().filter_map(Weak::upgrade).collect()
        };
        for printer in live {
            if lock(&printer.engine).is_moving() {
                printer.with(|_| ());
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// As much as pyftpdlib's clients lost for want of a `close_notify`.
const LOST_BYTES: usize = 1152;
static PRINTERS: Mutex<Vec<Weak<Shared>>> = Mutex::new(Vec::new());
/// Four times a second is what the busiest protocol pushes.
const TICK: Duration = Duration::from_millis(100);
