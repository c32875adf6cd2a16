//! `cargo xtask ui`: builds the web UI into `ui/dist`, where the program takes it from.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Result, ensure};

use crate::run::{is_there, program, root, run};

const LIMIT: Duration = Duration::from_secs(600);

/// Builds when something is newer than what was built.
pub(crate) fn build() -> Result<()> {
    let ui = root().join("ui");
    let built = modified(&ui.join("dist/index.html"));
    let sources = ["src", "public", "index.html", "package-lock.json", "vite.config.ts"];
    if built > sources.iter().map(|name| newest(&ui.join(name))).max().flatten() {
        return Ok(());
    }
    install()?;
    npm(&["run", "--silent", "build"])
}

/// The checks and the unit tests of the UI.
pub(crate) fn test() -> Result<()> {
    install()?;
    npm(&["run", "--silent", "check"])?;
    npm(&["run", "--silent", "test"])
}

/// The page in a browser, against that program as a hub.
pub(crate) fn e2e_of(hub: &Path) -> Result<()> {
    let mut command = program("ui", "npm", ["run", "--silent", "e2e:hub"]);
    command.env("FARHUB_BIN", hub);
    run(command, LIMIT)
}

/// What `package-lock.json` names, unless it is there already.
fn install() -> Result<()> {
    ensure!(is_there("npm", "--version"), "the web UI needs Node.js 20 or newer, with npm");
    let ui = root().join("ui");
    let installed = modified(&ui.join("node_modules/.package-lock.json"));
    if installed.is_some() && installed > modified(&ui.join("package-lock.json")) {
        return Ok(());
    }
    npm(&["ci", "--no-audit", "--no-fund", "--loglevel=error"])
}

pub(crate) fn npm(args: &[&str]) -> Result<()> {
    run(program("ui", "npm", args), LIMIT)
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

fn newest(path: &Path) -> Option<SystemTime> {
    let below = fs::read_dir(path).into_iter().flatten().flatten();
    below.map(|entry| newest(&entry.path())).max().flatten().max(modified(path))
}
