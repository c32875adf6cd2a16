//! The real program in a host: a relay, hubs with data folders of their own, and what they say.

use super::{End, PUBLIC};
use crate::sysfs::within;
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Lines, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// A program that says when it is ready. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    out: Lines<BufReader<ChildStdout>>,
    /// What it said.
    pub ready: Value,
}

impl Running {
    fn start(namespace: &str, log: &Path, farhub: &Path, args: &[&str]) -> Result<Running> {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", namespace]).arg(farhub).args(args).arg("--json");
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command.stderr(File::options().create(true).append(true).open(log)?);
        let mut child = command.spawn()?;
        let out = BufReader::new(child.stdout.take().context("no stdout")?).lines();
        let mut running = Running { child, out, ready: Value::Null };
        let line = running.line()?;
        let ready = line.with_context(|| {
            let told = fs::read_to_string(log).unwrap_or_default();
            format!("{args:?} did not start: {told}")
        })?;
        running.ready = ready;
        Ok(running)
    }

    /// The next thing that it says.
    fn line(&mut self) -> Result<Option<Value>> {
        self.out.next().map(|line| Ok(serde_json::from_str(&line?)?)).transpose()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // gone already, or gone now
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A relay on the public side.
#[derive(Debug)]
pub(crate) struct Relay {
    farhub: PathBuf,
    folder: PathBuf,
    more: &'static [&'static str],
    running: Option<Running>,
    pub line: String,
}

impl Relay {
    pub(crate) fn start(farhub: &Path, work: &Path) -> Result<Relay> {
        Relay::start_with(farhub, work, &[])
    }

    /// With options of `farhub relay`.
    pub(crate) fn start_with(
        farhub: &Path,
        work: &Path,
        more: &'static [&'static str],
    ) -> Result<Relay> {
        let folder = work.join("relay");
        let (farhub, line) = (farhub.to_owned(), String::new());
        let mut relay = Relay { farhub, folder, more, running: None, line };
        relay.restart()?;
        Ok(relay)
    }

    pub(crate) fn restart(&mut self) -> Result<()> {
        let listen = format!("{PUBLIC}:3483");
        let data = self.folder.display().to_string();
        let log = self.folder.with_extension("log");
        let args = [&["--data", &data, "relay", "--listen", &listen], self.more].concat();
        let running = Running::start("pub", &log, &self.farhub, &args)?;
        running.ready["relay"].as_str().context("no line")?.clone_into(&mut self.line);
        self.running = Some(running);
        Ok(())
    }

    pub(crate) fn kill(&mut self) {
        self.running = None;
    }
}

/// A hub in a host.
#[derive(Debug)]
pub(crate) struct Hub {
    farhub: PathBuf,
    end: End,
    folder: PathBuf,
    running: Option<Running>,
}

impl Hub {
    /// A has simulated devices; both know the relays.
    pub(crate) fn start(farhub: &Path, work: &Path, end: End, relays: &[&str]) -> Result<Hub> {
        let folder = work.join(end.name());
        fs::create_dir_all(&folder)?;
        let relays = serde_json::to_string(relays)?;
        fs::write(folder.join("farhub.toml"), format!("relay = {relays}\n"))?;
        let mut hub = Hub { farhub: farhub.to_owned(), end, folder, running: None };
        hub.restart()?;
        Ok(hub)
    }

    pub(crate) fn restart(&mut self) -> Result<()> {
        self.running = None;
        let data = self.folder.display().to_string();
        let mut args = vec!["--data", &data, "up", "--listen", "127.0.0.1:0"];
        args.extend(["--name", self.end.name()]);
        if self.end == End::A {
            args.push("--demo");
        }
        let log = self.folder.with_extension("log");
        self.running = Some(Running::start(&self.end.host(), &log, &self.farhub, &args)?);
        Ok(())
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.end.host()]).arg(&self.farhub);
        command.arg("--data").arg(&self.folder).arg("--json").args(args);
        command.stdin(Stdio::null());
        command
    }

    /// What a command of the program answers.
    pub(crate) fn ask(&self, args: &[&str]) -> Result<Value> {
        let done = self.command(args).output()?;
        let told = String::from_utf8_lossy(&done.stderr);
        ensure!(done.status.success(), "farhub {args:?} in {}: {told}", self.end.name());
        let text = String::from_utf8_lossy(&done.stdout).into_owned();
        if text.trim().is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&text).with_context(|| format!("farhub {args:?}: {text}"))
    }

    /// What the doctor finds of the relays.
    pub(crate) fn doctor(&self) -> Result<String> {
        let done = self.command(&["doctor"]).output()?;
        let findings: Vec<Value> = serde_json::from_slice(&done.stdout)?;
        let messages = findings.iter().filter_map(|it| it["message"].as_str());
        Ok(messages.filter(|it| it.contains("relay")).collect::<Vec<_>>().join("; "))
    }

    /// The kind of path to the other end; `None` when there is none.
    pub(crate) fn path(&self) -> Result<Option<String>> {
        let peers = self.ask(&["peers"])?;
        let other = self.end.other().name();
        let peer = peers.as_array().into_iter().flatten().find(|peer| peer["name"] == other);
        let peer = peer.with_context(|| format!("{other} is not a peer"))?;
        Ok(peer["path"]["kind"].as_str().filter(|_| peer["online"] == true).map(str::to_owned))
    }

    /// Waits for a kind of path; how long it took.
    pub(crate) fn until_path(&self, wanted: &[&str], limit: Duration) -> Result<Duration> {
        let began = Instant::now();
        within(limit, &format!("a path of {wanted:?}"), || {
            let path = self.path().ok().flatten()?;
            wanted.contains(&path.as_str()).then_some(())
        })?;
        Ok(began.elapsed())
    }

    /// The state of what this hub has attached.
    pub(crate) fn attachment(&self) -> Result<String> {
        let attached = self.ask(&["attached"])?;
        Ok(attached[0]["state"].as_str().context("nothing is attached")?.to_owned())
    }

    /// This hub's simulated disk.
    pub(crate) fn own_disk(&self) -> Result<Value> {
        let devices = self.ask(&["devices"])?;
        let mut own = devices.as_array().into_iter().flatten().filter(|it| it["local"] == true);
        let disk = own.find(|it| it["kind"]["usb"].is_object());
        disk.cloned().with_context(|| format!("{} has no disk", self.end.name()))
    }

    /// The other end's disk, when this hub sees it.
    pub(crate) fn until_shelf(&self, limit: Duration) -> Result<()> {
        let mut command = self.command(&["devices", "--watch"]);
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let lines = BufReader::new(child.stdout.take().context("no stdout")?).lines();
        let (seen, wait) = std::sync::mpsc::channel();
        let wanted = self.end.other().name();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let devices: Value = serde_json::from_str(&line).unwrap_or_default();
                let mut devices = devices.as_array().into_iter().flatten();
                let there = devices.any(|it| it["hub"] == wanted && it["kind"]["usb"].is_object());
                if there {
                    // nobody may wait any more
                    let _ = seen.send(());
                    return;
                }
            }
        });
        let seen = wait.recv_timeout(limit);
        child.kill()?;
        child.wait()?;
        seen.with_context(|| format!("{wanted}'s disk was not seen in {limit:?}"))
    }
}

/// Two hubs that have paired; A shares its disk with B.
pub(crate) fn pair(a: &Hub, b: &Hub) -> Result<()> {
    let invite = a.ask(&["invite", "--grant", "*"])?;
    b.ask(&["pair", invite["ticket"].as_str().context("no ticket")?])?;
    let disk = a.own_disk()?;
    let id = disk["id"].as_str().context("no id")?;
    a.ask(&["share", id, "--name", "disk"])?;
    b.until_shelf(LIMIT)
}

/// Somebody who reads A's disk at B, again and again, and checks every byte.
#[derive(Debug)]
pub(crate) struct Reader {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Reader {
    pub(crate) fn start(b: &Hub) -> Result<Reader> {
        let attached = b.ask(&["attach", "a/disk", "--via", "usbip", "--timeout", "30s"])?;
        let place = attached["place"].as_str().context("no place")?;
        let words: Vec<&str> = place.split_whitespace().collect();
        let after = |flag: &str| {
            let at = words.iter().position(|word| *word == flag);
            at.and_then(|at| words.get(at + 1)).with_context(|| format!("{flag} in {place:?}"))
        };
        let address = format!("{}:{}", after("-r")?, after("--tcp-port")?);
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &End::B.host()]).arg(std::env::current_exe()?);
        command.args(["net", "read", &address, after("-b")?]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut out = BufReader::new(child.stdout.take().context("no stdout")?);
        let mut reading = String::new();
        out.read_line(&mut reading)?;
        ensure!(reading.trim() == "reading", "the reader says {reading:?}");
        Ok(Reader { child, out })
    }

    /// Waits until it has failed.
    pub(crate) fn fails(mut self, limit: Duration) -> Result<Duration> {
        let began = Instant::now();
        let status = within(limit, "the end of the reader", || self.child.try_wait().ok()?)?;
        ensure!(!status.success(), "the reader did not fail");
        Ok(began.elapsed())
    }

    /// Lets it read `mib` more and say what it saw.
    pub(crate) fn finish(mut self, mib: u64) -> Result<Read> {
        let mut stdin = self.child.stdin.take().context("no stdin")?;
        std::io::Write::write_all(&mut stdin, format!("{mib}\n").as_bytes())?;
        drop(stdin);
        let mut text = String::new();
        self.out.read_to_string(&mut text)?;
        if !self.child.wait()?.success() {
            bail!("the reader failed: {text}");
        }
        Ok(serde_json::from_str(text.lines().last().unwrap_or_default())?)
    }
}

/// What the reader saw.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Read {
    pub bytes: u64,
    pub seconds: f64,
    /// Pauses between one answer and the next, the longest first.
    pub gaps_ms: Vec<u64>,
}

impl Read {
    pub(crate) fn mib_per_s(&self) -> f64 {
        self.bytes as f64 / self.seconds / f64::from(1 << 20)
    }

    pub(crate) fn gap_ms(&self) -> u64 {
        self.gaps_ms.first().copied().unwrap_or_default()
    }
}

impl End {
    fn name(self) -> &'static str {
        match self {
            End::A => "a",
            End::B => "b",
        }
    }

    fn other(self) -> End {
        match self {
            End::A => End::B,
            End::B => End::A,
        }
    }
}

/// For what takes a second.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);
