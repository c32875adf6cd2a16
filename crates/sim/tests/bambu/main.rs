//! A simulated Bambu printer at its own doors: real sockets, real TLS.

#![allow(clippy::unwrap_used, reason = "a test ends there")]

mod camera;
mod doors;
mod faults;
mod files;
mod messages;
mod ssdp;

use std::future::Future;
use std::time::Duration;

use sim::printer::{Printer, Protocol, Spec};

/// A printer at a speed at which a print of ten minutes takes this many seconds: 2.
const SPEED: f64 = 300.0;
const TEN_MINUTES: &[u8] = b";TIME:600\n;LAYER_COUNT:50\nM140 S60\nM104 S215\nG28\n";
/// Of a whole test. Nothing here takes that long.
const LIMIT: Duration = Duration::from_secs(60);

async fn printer(model: &str) -> Printer {
    let serial_number = format!("FARHUB{}", model.replace(' ', ""));
    let model = model.to_owned();
    let spec = Spec { model, serial_number, speed: SPEED, ..Spec::new(Protocol::Bambu, "Bamboo") };
    Printer::start(spec).await.unwrap()
}

async fn limited<T>(test: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, test).await.expect("in time")
}
