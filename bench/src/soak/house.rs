//! Hubs that are processes of their own, to be killed and frozen, and looked at from outside.

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// For anything that is to happen.
pub(super) const SOON: Duration = Duration::from_secs(30);

/// `farhub up` with a data folder of its own. Killed when it is dropped, frozen or not.
pub(super) struct House {
    farhub: PathBuf,
    /// The network namespace it is in, if it is in one of its own.
    namespace: Option<String>,
    data: TempDir,
    child: Child,
}

impl House {
    /// `bind` is the address for peers.
    pub(super) fn up(
        farhub: &Path,
        name: &str,
        settings: &str,
        namespace: Option<&str>,
        bind: &str,
    ) -> Result<Self> {
        let data = TempDir::new()?;
        fs::write(data.path().join("farhub.toml"), settings)?;
        let namespace = namespace.map(str::to_owned);
        let mut command = program(farhub, namespace.as_deref(), data.path());
        command.args(["--json", "up", "--offline", "--listen", "127.0.0.1:0", "--name", name]);
        let mut child = command.args(["--bind", bind]).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("piped")?).read_line(&mut line)?;
        ensure!(line.contains("\"ready\""), "{name} does not start: {line}");
        Ok(Self { farhub: farhub.to_owned(), namespace, data, child })
    }

    pub(super) fn run(&self, args: &[&str]) -> Result<String> {
        let mut command = program(&self.farhub, self.namespace.as_deref(), self.data.path());
        let output = command.args(args).output()?;
        if !output.status.success() {
            bail!("{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    pub(super) fn devices(&self) -> Result<Vec<Value>> {
        Ok(serde_json::from_str(&self.run(&["--json", "devices"])?)?)
    }

    /// Shares the port at this path under this name.
    pub(super) fn share(&self, path: &Path, name: &str, profile: &str) -> Result<()> {
        let port = path.file_name().context("a path")?.to_string_lossy().into_owned();
        let devices = self.devices()?;
        let device = devices.iter().find(|one| one["kind"]["serial"]["port"] == *port);
        let id = device.and_then(|one| one["id"].as_str()).context("the port is not found")?;
        self.run(&["share", id, "--name", name, "--profile", profile])?;
        Ok(())
    }

    /// `KILL`, `STOP`.
    pub(super) fn signal(&self, signal: &str) -> Result<()> {
        let status = Command::new("kill").args(["-s", signal, &self.pid()]).status()?;
        ensure!(status.success(), "kill -s {signal}");
        Ok(())
    }

    pub(super) fn pid(&self) -> String {
        self.child.id().to_string()
    }

    /// Files that it has open.
    pub(super) fn files(&self) -> Result<usize> {
        Ok(fs::read_dir(format!("/proc/{}/fd", self.pid()))?.count())
    }

    /// Megabytes that it has in memory.
    pub(super) fn resident_mb(&self) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
        let kib: f64 = line.trim().trim_end_matches(" kB").trim().parse()?;
        Ok(kib * 1024.0 / 1e6)
    }
}

impl Drop for House {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `ip netns exec` becomes the program, so that its process is ours to signal.
fn program(farhub: &Path, namespace: Option<&str>, data: &Path) -> Command {
    let mut command = match namespace {
        None => Command::new(farhub),
        Some(namespace) => {
            let mut command = Command::new("ip");
            command.args(["netns", "exec", namespace]).arg(farhub);
            command
        }
    };
    command.arg("--data").arg(data).stdin(Stdio::null()).stdout(Stdio::piped());
    command.stderr(Stdio::piped());
    command
}

/// Pairs them: the second may use what the first shares as `name`.
pub(super) fn pair(garage: &House, office: &House, name: &str) -> Result<()> {
    let ticket = garage.run(&["invite", "--grant", name])?;
    office.run(&["pair", &ticket])?;
    Ok(())
}

/// Waits until it is so.
pub(super) fn until(what: &str, mut is_so: impl FnMut() -> Result<bool>) -> Result<()> {
    let began = Instant::now();
    while !is_so()? {
        ensure!(began.elapsed() < SOON, "never: {what}");
        thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}
