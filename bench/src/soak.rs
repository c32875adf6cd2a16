//! `cargo xtask soak`: what the serial side promises, at volumes for which no test has time. Each
//! run says what it did in one line of figures, or fails.

mod bytes;
mod door;
mod dying;
#[path = "../../crates/serial/src/machine/core/tests/safe/fuzz.rs"]
mod fuzz;
mod house;
mod raster;
mod safe;
mod slow;

use anyhow::{Result, bail};
use std::path::Path;

/// `farhub` is the program, for runs in which hubs are killed.
pub(crate) async fn run(name: &str, farhub: &Path) -> Result<()> {
    match name {
        "bytes" => bytes::volume().await,
        "chunks" => bytes::chunks().await,
        "full-duplex" => bytes::full_duplex().await,
        "safe" => safe::run().await,
        "raster" => raster::run().await,
        "dead-man" => dying::run(farhub),
        "stop" => crate::serial::stopping::run(STOPS).await,
        "slow" => slow::run(farhub),
        other => bail!("there is no run {other}"),
    }
}

const STOPS: usize = 500;
