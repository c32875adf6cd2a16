//! `cargo xtask tidy`: what holds for the whole tree and no compiler checks.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::run::root;

/// A crate may depend on those before it only: `ARCHITECTURE.md`, "Code map".
const ROWS: &[&str] = &[
    "wire", "link", "gcode", "usb", "serial", "printer", "sim", "store", "fleet", "hub", "web",
    "farhub",
];

/// The files that talk to the kernel.
const UNSAFE: &[&str] = &[
    "crates/farhub/src/rest.rs",
    "crates/serial/src/attach/pty/kernel.rs",
    "crates/serial/src/button/sys.rs",
    "crates/serial/src/tty/sys.rs",
    "crates/usb/src/linux/ioctl.rs",
    "crates/usb/src/linux/memory.rs",
];

const LINES_MAX: usize = 800;
const COLUMNS_MAX: usize = 100;

pub(crate) fn tidy() -> Result<()> {
    let mut faults = Vec::new();
    rows(&mut faults)?;
    for file in tracked()? {
        let shown = file.display().to_string();
        let Ok(text) = fs::read_to_string(root().join(&file)) else { continue };
        if shown.ends_with(".rs") {
            rust(&shown, &text, &mut faults);
        }
        if !shown.contains("lock") {
            hosts(&shown, &text, &mut faults);
        }
    }
    for fault in &faults {
        eprintln!("tidy: {fault}");
    }
    if !faults.is_empty() {
        bail!("{} places are not tidy", faults.len());
    }
    eprintln!("tidy: all is tidy");
    Ok(())
}

/// What git tracks, or would.
fn tracked() -> Result<Vec<PathBuf>> {
    let list = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .context("git ls-files")?;
    Ok(String::from_utf8_lossy(&list.stdout).lines().map(PathBuf::from).collect())
}

fn rows(faults: &mut Vec<String>) -> Result<()> {
    let row: BTreeMap<_, _> = ROWS.iter().enumerate().map(|(row, name)| (*name, row)).collect();
    for entry in fs::read_dir(root().join("crates"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let Some(own) = row.get(name.as_str()) else {
            faults.push(format!("crates/{name} has no row in the layout"));
            continue;
        };
        let manifest = fs::read_to_string(root().join("crates").join(&name).join("Cargo.toml"))?;
        let manifest: toml::Table = manifest.parse()?;
        let dependencies = manifest.get("dependencies").and_then(toml::Value::as_table);
        let names = dependencies.into_iter().flat_map(toml::Table::keys);
        for below in names.filter(|name| row.get(name.as_str()).is_some_and(|row| row >= own)) {
            faults.push(format!("crates/{name} depends on {below}, which is in a later row"));
        }
    }
    Ok(())
}

fn rust(file: &str, text: &str, faults: &mut Vec<String>) {
    let mut fault = |line: usize, what: &str| faults.push(format!("{file}:{line}: {what}"));
    let in_program = file.starts_with("crates/");
    if !text.starts_with("//!") && !text.starts_with("#!") {
        fault(1, "does not begin with what it is (//!)");
    }
    if text.lines().count() > LINES_MAX {
        fault(LINES_MAX, "is longer than 800 lines: a room should not be");
    }
    let name = Path::new(file).file_stem().unwrap_or_default().to_string_lossy();
    if matches!(&*name, "utils" | "util" | "common" | "helpers" | "manager" | "types") {
        fault(1, "has a name that says nothing");
    }
    for (line, content) in (1..).zip(text.lines()) {
        if content.chars().count() > COLUMNS_MAX {
            fault(line, "is longer than 100 columns");
        }
        let code = content.trim_start();
        if code.starts_with("#[ignore") {
            fault(line, "ignores a test: a rung that cannot run says why and is counted");
        }
        let is_unsafe = code.contains("unsafe {") || code.contains("unsafe fn");
        if in_program && is_unsafe && !code.starts_with("//") && !UNSAFE.contains(&file) {
            fault(line, "is unsafe, outside of the files that talk to the kernel");
        }
    }
}

/// Nothing names a machine of ours or a package registry.
fn hosts(file: &str, text: &str, faults: &mut Vec<String>) {
    let banned = [concat!("/root/", "."), concat!("/work", "/"), concat!("static.crates", ".io")];
    for (line, content) in (1..).zip(text.lines()) {
        if banned.iter().any(|word| content.contains(word)) {
            faults.push(format!("{file}:{line}: names a place of one machine"));
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_tree_is_tidy() {
        super::tidy().unwrap();
    }
}
