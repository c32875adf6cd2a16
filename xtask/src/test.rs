//! `cargo xtask test`: every test that needs no guest: Rust, the web UI, the whole in a browser.

use std::time::Duration;

use anyhow::Result;

use crate::run::{is_there, need_packages, program, run};
use crate::ui;

const RUST_LIMIT: Duration = Duration::from_secs(2400);

pub(crate) fn test() -> Result<()> {
    ui::test()?;
    ui::build()?;
    // nextest gives each test a time limit; without it there is one for all of them
    let tests = if is_there("cargo-nextest", "--version") {
        vec!["nextest", "run", "--workspace", "--locked", "--profile", "ci"]
    } else {
        vec!["test", "--workspace", "--locked", "--quiet"]
    };
    run(program(".", "cargo", tests), RUST_LIMIT)?;
    // another browser may be named, as on systems without such a package
    if std::env::var_os("CHROMIUM").is_none() {
        need_packages(&["chromium"])?;
    }
    ui::npm(&["run", "--silent", "e2e"])
}
