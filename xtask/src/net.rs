//! `cargo xtask net`: two hubs behind routers of every common kind, with a relay of their own and
//! no internet.
//!
//! Each test runs in namespaces of its own, made by `unshare`: users, mounts, network and
//! processes. So it needs no root where users may make namespaces, leaves nothing behind, and
//! where neither is allowed it is skipped, with the reason.

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::run::{need_packages, program, root, run};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Run the tests whose name contains one of these, instead of the small set
    names: Vec<String>,
    /// Run every test
    #[arg(long)]
    all: bool,
    /// Show the tests and run none
    #[arg(long)]
    list: bool,
    /// How many MiB are transferred where something is: 1024 for the whole of what is promised
    #[arg(long, default_value_t = 48)]
    mib: u64,
}

pub(crate) fn net(args: &Args) -> Result<ExitCode> {
    for build in BUILDS {
        run(program(".", env!("CARGO"), build), Duration::from_secs(1800))?;
    }
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or(root().join("target"), Into::into)
        .join("debug");
    let (tool, farhub) = (target.join("farhub-lab"), target.join("farhub"));
    let listing = Command::new(&tool).args(["net", "list"]).output()?;
    let listing = String::from_utf8(listing.stdout)?;
    let chosen: Vec<&str> = listing.lines().filter(|line| args.wants(line)).collect();
    if args.list {
        chosen.iter().for_each(|line| println!("{line}"));
        return Ok(ExitCode::SUCCESS);
    }
    ensure!(!chosen.is_empty(), "no test has such a name: see --list");
    if let Some(reason) = hindrance() {
        println!("{} skipped: {reason}", chosen.len());
        return Ok(ExitCode::SUCCESS);
    }
    let mut failed = 0;
    for line in &chosen {
        let name = line.split(' ').next().context("an empty line")?;
        failed += usize::from(!test(&tool, &farhub, name, args.mib)?);
    }
    println!("{} passed, {failed} failed", chosen.len() - failed);
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Why no network can be made here.
fn hindrance() -> Option<String> {
    if let Err(error) = need_packages(PACKAGES) {
        return Some(format!("{error:#}"));
    }
    let mut command = unshare();
    command.args(["sh", "-c", TRIAL]);
    match command.output() {
        Ok(out) if out.status.success() => None,
        Ok(out) => {
            let told = String::from_utf8_lossy(&out.stderr);
            Some(format!("no network namespaces with nftables here: {}", told.trim()))
        }
        Err(error) => Some(format!("unshare: {error}")),
    }
}

fn unshare() -> Command {
    let mut command = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command.args(["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]);
    command
}

/// Says whether it passed.
fn test(tool: &Path, farhub: &Path, name: &str, mib: u64) -> Result<bool> {
    let work = tempfile::tempdir()?;
    let began = Instant::now();
    let mut command = unshare();
    // ip keeps the names of namespaces below /run
    command.args(["sh", "-c", "mount -t tmpfs none /run && exec \"$@\"", "sh"]);
    command.arg(tool).args(["net", "test", name]).arg("--farhub").arg(farhub);
    command.arg("--work").arg(work.path()).args(["--mib", &mib.to_string()]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let limit = LIMIT + Duration::from_secs(mib);
    let ended = loop {
        match child.try_wait()? {
            Some(status) => break Some(status),
            None if began.elapsed() > limit => break None,
            None => std::thread::sleep(Duration::from_millis(50)),
        }
    };
    child.kill()?;
    let output = child.wait_with_output()?;
    let output = String::from_utf8_lossy(&output.stdout);
    let seconds = began.elapsed().as_secs_f64();
    if ended.is_some_and(|status| status.success()) {
        println!("{name:24} ok {seconds:.1} s");
        output.lines().for_each(|line| println!("     {line}"));
        return Ok(true);
    }
    let reason = if ended.is_some() { "" } else { " (it hung)" };
    println!("{name:24} FAILED {seconds:.1} s{reason}");
    output.lines().for_each(|line| println!("  | {line}"));
    for log in ["a.log", "b.log", "relay.log"] {
        let text = std::fs::read_to_string(work.path().join(log)).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        for line in &lines[lines.len().saturating_sub(LOG_LINES)..] {
            println!("  # {log}: {line}");
        }
    }
    Ok(false)
}

impl Args {
    fn wants(&self, line: &str) -> bool {
        let (name, set) = line.split_once(' ').unwrap_or((line, ""));
        let named = self.names.iter().any(|wanted| name.contains(wanted.as_str()));
        named || self.names.is_empty() && (self.all || self.list || set == "small")
    }
}

/// What `cargo xtask test` builds is what is tested, so that nothing is built twice.
const BUILDS: [&[&str]; 2] =
    [&["test", "--workspace", "--no-run", "--quiet"], &["build", "--quiet", "--package", "lab"]];
const PACKAGES: &[&str] = &["iproute2", "nftables", "util-linux", "procps"];
const TRIAL: &str =
    "mount -t tmpfs none /run && ip netns add try && ip netns exec try nft add table ip t";
/// Far more than a test takes, beside its transfer.
const LIMIT: Duration = Duration::from_secs(150);
const LOG_LINES: usize = 30;
