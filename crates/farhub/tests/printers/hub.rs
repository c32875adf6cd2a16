//! `farhub up` with a data folder of its own.

use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// For anything that is to happen.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// Killed when it is dropped.
pub(crate) struct Hub {
    pub data: TempDir,
    folder: PathBuf,
    child: Child,
}

/// What a run of the program left behind.
#[derive(Debug)]
pub(crate) struct Ran {
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    pub(crate) fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let status = output.status.code().unwrap_or(-1);
        Self { status, stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }
}

impl Hub {
    pub(crate) fn up(name: &str, settings: &str) -> Self {
        let data = TempDir::new().unwrap();
        let folder = data.path().join("hub");
        std::fs::create_dir(&folder).unwrap();
        if !settings.is_empty() {
            std::fs::write(folder.join("farhub.toml"), settings).unwrap();
        }
        Self::up_in(name, data, folder)
    }

    /// In a folder that is there already.
    pub(crate) fn up_in(name: &str, data: TempDir, folder: PathBuf) -> Self {
        let mut command = farhub(&folder);
        command.args(["up", "--json", "--offline", "--listen", "127.0.0.1:0", "--name", name]);
        command.stderr(Stdio::inherit());
        let mut child = command.args(["--bind", "127.0.0.1:0"]).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.contains("\"ready\""), "{line}");
        Self { data, folder, child }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// A file beside the data folder.
    pub(crate) fn file(&self, name: &str, content: &str) -> String {
        let file = self.data.path().join(name);
        std::fs::write(&file, content).unwrap();
        file.to_str().unwrap().to_owned()
    }

    pub(crate) fn ran(&self, args: &[&str]) -> Ran {
        ran(&self.folder, args)
    }

    /// A run that goes on.
    pub(crate) fn begin(&self, args: &[&str]) -> Child {
        farhub(&self.folder).args(args).spawn().unwrap()
    }

    /// With a secret piped in.
    pub(crate) fn says(&self, args: &[&str], secret: &str) -> Ran {
        let mut command = farhub(&self.folder);
        let mut child = command.args(args).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(format!("{secret}\n").as_bytes()).unwrap();
        Ran::of(&child.wait_with_output().unwrap())
    }

    /// What it writes to stdout.
    pub(crate) fn run(&self, args: &[&str]) -> String {
        let ran = self.ran(args);
        assert_eq!(ran.status, 0, "{args:?}: {ran:?}");
        ran.stdout.trim_end().to_owned()
    }

    pub(crate) fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.run(&[&["--json"], args].concat())).unwrap()
    }

    /// Stops it as people do. Gives what its folder is in.
    pub(crate) fn down(mut self) -> TempDir {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.child.wait().unwrap();
        std::mem::replace(&mut self.data, TempDir::new().unwrap())
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn ran(folder: &Path, args: &[&str]) -> Ran {
    Ran::of(&farhub(folder).args(args).output().unwrap())
}

fn farhub(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_farhub"));
    command.arg("--data").arg(folder).stdin(Stdio::null()).stdout(Stdio::piped());
    command.stderr(Stdio::piped());
    command
}
