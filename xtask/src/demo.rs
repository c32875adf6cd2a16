//! `cargo xtask demo`: builds everything and starts a hub with simulated devices.

use std::os::unix::process::CommandExt;
use std::time::Duration;

use anyhow::Result;

use crate::run::{program, root, run};
use crate::ui;

const BUILD_LIMIT: Duration = Duration::from_secs(3600);

pub(crate) fn demo(args: &[String]) -> Result<()> {
    ui::build()?;
    run(program(".", "cargo", ["build", "--locked", "--package", "farhub"]), BUILD_LIMIT)?;
    let farhub = root().join("target/debug/farhub");
    let mut command = program(".", &farhub.to_string_lossy(), ["up", "--demo"]);
    // in our place, so that Ctrl-C reaches the hub and nobody else
    Err(command.args(args).exec().into())
}
