//! One `farhub up` in a namespace, driven through the command line as a user would.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::chown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::lab::WORK;
use crate::net::output;
use crate::sys;
use crate::sysfs::{list, patient, read};

#[derive(Debug)]
pub(crate) struct Hub {
    pub name: &'static str,
    namespace: &'static str,
    user: User,
    program: PathBuf,
    data: PathBuf,
    child: Child,
}

/// Whose program a hub is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum User {
    Root,
    /// Without rights.
    Nobody,
}

impl Hub {
    /// Starts a hub and waits until it is ready.
    pub(crate) fn start(
        program: &Path,
        name: &'static str,
        namespace: &'static str,
        user: User,
    ) -> Result<Hub> {
        let data = Path::new(WORK).join(name);
        fs::create_dir_all(&data)?;
        if user == User::Nobody {
            chown(&data, Some(NOBODY), Some(NOBODY))?;
        }
        let child = spawn(program, name, namespace, user, &data)?;
        let program = program.to_owned();
        let mut hub = Hub { name, namespace, user, program, data, child };
        hub.ready()?;
        Ok(hub)
    }

    /// Runs a command of this hub's; returns what it printed.
    pub(crate) fn run(&self, words: &[&str]) -> Result<String> {
        let mut command = in_namespace(self.namespace, self.user, &self.program);
        command.arg("--data").arg(&self.data).args(words);
        Ok(output(&mut command)?.trim().to_owned())
    }

    /// Asks its API, by the socket that commands use.
    pub(crate) fn http(&self, method: &str, path: &str) -> Result<serde_json::Value> {
        let mut stream = UnixStream::connect(self.data.join("hub.sock"))?;
        write!(
            stream,
            "{method} /api/v1{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("no answer")?;
        if !head.starts_with("HTTP/1.1 2") {
            bail!("{method} {path}: {head}\n{body}");
        }
        Ok(serde_json::from_str(body).unwrap_or_default())
    }

    /// Ends it without a chance to tidy up, as a power failure would.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn terminate(&mut self) -> Result<()> {
        sys::kill(self.child.id(), libc::SIGTERM)?;
        let status = self.child.wait()?;
        if !status.success() {
            bail!("hub {} ended with {status} after SIGTERM", self.name);
        }
        Ok(())
    }

    /// Starts it again, with the same data.
    pub(crate) fn restart(&mut self) -> Result<()> {
        self.child = spawn(&self.program, self.name, self.namespace, self.user, &self.data)?;
        self.ready()
    }

    pub(crate) fn open_files(&self) -> usize {
        list(format!("/proc/{}/fd", self.child.id())).len()
    }

    pub(crate) fn resident_kib(&self) -> Result<u64> {
        let status = read(format!("/proc/{}/status", self.child.id()));
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        number.context("a process has a size")?.parse().context("VmRSS")
    }

    /// Processor time used so far.
    pub(crate) fn busy(&self) -> Result<Duration> {
        let stat = read(format!("/proc/{}/stat", self.child.id()));
        // after the name, which may have spaces: utime and stime are fields 14 and 15, in ticks
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
        let ticks = |field: usize| -> Result<u64> {
            Ok(fields.get(field - 3).context("a process has times")?.parse()?)
        };
        Ok(Duration::from_millis((ticks(14)? + ticks(15)?) * 1000 / TICKS_PER_S))
    }

    fn ready(&mut self) -> Result<()> {
        let lines = lines_of(&mut self.child)?;
        loop {
            let line = lines
                .recv_timeout(patient(READY_LIMIT))
                .with_context(|| format!("hub {} is not ready", self.name))?;
            let event: serde_json::Value = serde_json::from_str(&line)?;
            if event["event"] == "ready" {
                return Ok(());
            }
        }
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

fn spawn(program: &Path, name: &str, namespace: &str, user: User, data: &Path) -> Result<Child> {
    let log = Path::new(WORK).join(format!("hub-{name}.log"));
    let log = File::options().create(true).append(true).open(log)?;
    in_namespace(namespace, user, program)
        .arg("--data")
        .arg(data)
        .args(["--json", "up", "--name", name, "--listen", "127.0.0.1:0"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .context("cannot start a hub")
}

/// `ip netns exec` and `setpriv` become the program: the process id is the program's.
fn in_namespace(namespace: &str, user: User, program: &Path) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace]);
    if user == User::Nobody {
        let id = NOBODY.to_string();
        command.args(["setpriv", "--reuid", &id, "--regid", &id, "--clear-groups"]);
    }
    command.arg(program);
    command
}

/// Keeps reading, so that the hub never waits for us.
fn lines_of(child: &mut Child) -> Result<Receiver<String>> {
    let stdout = child.stdout.take().context("a hub has an output")?;
    let (tx, rx) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            // nobody listens once it is ready
            let _ = tx.send(line);
        }
    });
    Ok(rx)
}

/// The user nobody and the group nogroup.
pub(crate) const NOBODY: u32 = 65_534;

/// `USER_HZ`, the same on every architecture that we know.
const TICKS_PER_S: u64 = 100;

const READY_LIMIT: Duration = Duration::from_secs(15);
