//! The real program in a namespace, and what it prints as it comes.

use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// For anything that is to happen.
const SOON: Duration = Duration::from_secs(20);

/// A hub that runs. Killed when it is dropped.
pub(crate) struct Hub {
    data: PathBuf,
    up: Told,
}

impl Hub {
    pub(crate) fn up(namespace: &str, data: &Path, name: &str, more: &[&str]) -> Self {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", namespace, env!("CARGO_BIN_EXE_farhub")]);
        command.args(["up", "--json", "--listen", "127.0.0.1:0", "--name", name]).args(more);
        let mut up = Told::start(command.arg("--data").arg(data));
        up.until(|line| line.contains("\"ready\""));
        Self { data: data.to_owned(), up }
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_farhub"));
        command.args(args).arg("--data").arg(&self.data).stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        let output = self.command(args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        output
    }

    pub(crate) fn told(&self, args: &[&str]) -> Told {
        Told::start(&mut self.command(args))
    }

    /// What `farhub nearby` has, when it is as wanted.
    pub(crate) fn nearby(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut told = self.told(&["nearby", "--watch", "--json"]);
        let mut found = Value::Null;
        told.expect(what, |line| {
            found = serde_json::from_str(line).unwrap();
            wanted(&found)
        });
        found
    }

    /// Ends it as Ctrl-C does.
    pub(crate) fn stop(mut self) {
        let pid = rustix::process::Pid::from_child(&self.up.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        assert!(self.up.child.wait().unwrap().success());
    }
}

/// A process and the lines of its stdout. Killed when it is dropped.
pub(crate) struct Told {
    pub(crate) child: Child,
    lines: mpsc::Receiver<String>,
}

impl Told {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (tx, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if tx.send(line).is_err() {
                    break;
                }
            }
        });
        Self { child, lines }
    }

    pub(crate) fn until(&mut self, wanted: impl FnMut(&str) -> bool) -> String {
        self.expect("what was waited for", wanted)
    }

    /// The first line that is as wanted.
    pub(crate) fn expect(&mut self, what: &str, mut wanted: impl FnMut(&str) -> bool) -> String {
        let mut seen = vec![];
        loop {
            let Ok(line) = self.lines.recv_timeout(SOON) else { panic!("never {what}: {seen:#?}") };
            if wanted(&line) {
                return line;
            }
            seen.push(line);
        }
    }

    pub(crate) fn line(&mut self) -> String {
        self.until(|_| true)
    }

    pub(crate) fn succeeded(mut self) {
        assert!(self.child.wait().unwrap().success());
    }

    /// What has come so far.
    pub(crate) fn so_far(&self) -> Vec<String> {
        self.lines.try_iter().collect()
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
