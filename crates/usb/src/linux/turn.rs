//! One session after the other: a device is reset when it is given back, and who opens it
//! meanwhile would lose it to that.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OwnedMutexGuard;

/// By port. There are never more than ports.
static TURNS: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>> = Mutex::new(BTreeMap::new());

/// The right to have a device, as long as this lives.
#[derive(Debug)]
pub(super) struct Turn {
    _guard: OwnedMutexGuard<()>,
}

/// Waits until nobody else of this process has the device on `port`. Cancel safe.
pub(super) async fn turn(port: &str) -> Turn {
    let turn = {
        let mut turns = TURNS.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(turns.entry(port.to_owned()).or_default())
    };
    Turn { _guard: turn.lock_owned().await }
}
