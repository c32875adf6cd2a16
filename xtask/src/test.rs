//! `cargo xtask test`: every test that needs no guest: Rust, the web UI, the whole in a browser.

use std::time::Duration;

use anyhow::Result;

use crate::run::{as_root, is_there, need_packages, program, root, run};
use crate::ui;

const RUST_LIMIT: Duration = Duration::from_secs(2400);

pub(crate) fn test() -> Result<()> {
    ui::test()?;
    ui::build()?;
    postgresql()?;
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
    ui::npm(&["run", "--silent", "e2e"])?;
    // the tests above have built it
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or(root().join("target"), Into::into);
    ui::e2e_of(&target.join("debug/farhub"))
}

/// The programs of PostgreSQL: the tests of the print shop start servers of their own.
fn postgresql() -> Result<()> {
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut programs = debian.map(|version| version.path().join("bin/initdb"));
    if is_there("initdb", "--version") || programs.any(|program| program.is_file()) {
        return Ok(());
    }
    // else Debian makes a database and starts it, now and with the computer (createcluster.conf(5))
    if let Some(mut shell) = as_root("sh") {
        let folder = "/etc/postgresql-common";
        let script = format!(
            "mkdir -p {folder} && cd {folder} && \
             test -e createcluster.conf || echo create_main_cluster = false >createcluster.conf"
        );
        shell.args(["-c", &script]);
        run(shell, Duration::from_secs(60))?;
    }
    need_packages(&["postgresql"])
}
