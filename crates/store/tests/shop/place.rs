//! Where a shop lies: an SQLite file, or a throw-away PostgreSQL on a socket in a temporary folder.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use store::Shop;
use store::shop::SecretKey;
use tempfile::TempDir;

pub(crate) const KEY: [u8; 32] = [42; 32];

pub(crate) struct Place {
    pub(crate) server: Option<Server>,
    pub(crate) dir: TempDir,
}

impl Place {
    pub(crate) fn lite() -> Self {
        Self { server: None, dir: tempfile::tempdir().unwrap() }
    }

    /// None, and said so, where there is no PostgreSQL.
    pub(crate) fn postgres() -> Option<Self> {
        let Some(programs) = programs() else {
            eprintln!("SKIPPED: PostgreSQL is not installed (Debian: postgresql)");
            return None;
        };
        let dir = tempfile::tempdir().unwrap();
        let server = Server::make(programs, dir.path());
        Some(Self { server: Some(server), dir })
    }

    pub(crate) fn both() -> Vec<Self> {
        [Some(Self::lite()), Self::postgres()].into_iter().flatten().collect()
    }

    pub(crate) async fn shop(&self) -> Shop {
        self.shop_with(KEY).await
    }

    pub(crate) async fn shop_with(&self, key: [u8; 32]) -> Shop {
        open(&self.address(), key).await.unwrap()
    }

    /// What [`open`] takes.
    pub(crate) fn address(&self) -> String {
        match &self.server {
            Some(server) => server.url(),
            None => self.dir.path().join("shop.db").to_str().unwrap().to_owned(),
        }
    }
}

/// A handle of its own, as another hub would have.
pub(crate) async fn open(address: &str, key: [u8; 32]) -> Result<Shop, store::Error> {
    let key = SecretKey::new(key);
    if address.starts_with("postgres:") {
        Shop::connect(address, key).await
    } else {
        Shop::open(Path::new(address), key).await
    }
}

/// A PostgreSQL that ends with its owner.
pub(crate) struct Server {
    programs: PathBuf,
    dir: PathBuf,
    /// The server refuses to be root.
    user: Option<(u32, u32)>,
}

impl Server {
    fn make(programs: PathBuf, dir: &Path) -> Self {
        let user = (fs::metadata(dir).unwrap().uid() == 0).then(nobody);
        if let Some((uid, gid)) = user {
            chown(dir, Some(uid), Some(gid)).unwrap();
        }
        let server = Self { programs, dir: dir.to_owned(), user };
        let made = ["--no-sync", "--auth=trust", "--username=farhub", "--encoding=UTF8"];
        server.run("initdb", &[&made[..], &["--locale=C", "-D", "data"]].concat());
        server.start();
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("postgres:///postgres?user=farhub&host={}", self.dir.display())
    }

    /// Returns when it takes connections. No TCP; -F: what survives a kill needs no fsync.
    pub(crate) fn start(&self) {
        let options = format!("-F -c listen_addresses='' -k '{}'", self.dir.display());
        self.run("pg_ctl", &["start", "-w", "-s", "-D", "data", "-l", "log", "-o", &options]);
    }

    /// `fast` is in order, `immediate` a crash.
    pub(crate) fn stop(&self, how: &str) {
        self.run("pg_ctl", &["stop", "-w", "-s", "-D", "data", "-m", how]);
    }

    fn run(&self, program: &str, args: &[&str]) {
        let out = self.command(program, args).output().unwrap();
        let said = |bytes| String::from_utf8_lossy(bytes).into_owned();
        let log = || fs::read_to_string(self.dir.join("log")).unwrap_or_default();
        let (stdout, stderr) = (said(&out.stdout), said(&out.stderr));
        assert!(out.status.success(), "{program} {args:?}: {stdout}{stderr}{}", log());
    }

    fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.args(args).current_dir(&self.dir).env_remove("PGDATA").env("LC_ALL", "C");
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // it may be down already, and a test that has failed must not abort
        let _ =
            self.command("pg_ctl", &["stop", "-w", "-s", "-D", "data", "-m", "immediate"]).output();
    }
}

/// The folder of `initdb` and `pg_ctl`: Debian keeps them out of the path.
fn programs() -> Option<PathBuf> {
    let mut versions: Vec<_> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .collect();
    versions.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = versions.into_iter().rev().chain(std::env::split_paths(&path));
    folders.find(|folder| ["initdb", "pg_ctl"].iter().all(|name| folder.join(name).is_file()))
}

fn nobody() -> (u32, u32) {
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let line = users.lines().find(|line| line.starts_with("nobody:")).unwrap_or_default();
    let mut ids = line.split(':').skip(2).map(|id| id.parse().unwrap());
    ids.next().zip(ids.next()).expect("a system has a nobody")
}
