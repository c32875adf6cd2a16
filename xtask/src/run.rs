//! Running other programs, from the root of the project.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// The root of the project.
pub(crate) fn root() -> PathBuf {
    let here = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    here.parent().expect("xtask is a folder of the project").to_owned()
}

/// A program that is run in a folder of the project.
pub(crate) fn program(
    folder: &str,
    name: &str,
    args: impl IntoIterator<Item = impl AsRef<OsStr>>,
) -> Command {
    let mut command = Command::new(name);
    command.args(args).current_dir(root().join(folder));
    command
}

/// Says what is run, runs it, and fails when it fails or takes longer than `limit`.
pub(crate) fn run(mut command: Command, limit: Duration) -> Result<()> {
    let shown = shown(&command);
    eprintln!("xtask: {shown}");
    let mut child = command.spawn().with_context(|| format!("cannot start {shown}"))?;
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            if status.success() {
                return Ok(());
            }
            bail!("failed ({status}): {shown}");
        }
        if began.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            bail!("stopped after {} s: {shown}", limit.as_secs());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).display().to_string();
    let args = command.get_args().map(|arg| arg.to_string_lossy().into_owned());
    std::iter::once(program).chain(args).collect::<Vec<_>>().join(" ")
}

/// Whether a program is there.
pub(crate) fn is_there(name: &str, arg: &str) -> bool {
    let mut command = Command::new(name);
    let status = command.arg(arg).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// Whether sudo works without asking.
fn may_sudo() -> bool {
    let mut command = Command::new("sudo");
    let status = command.args(["-n", "true"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// A program as root: by sudo where we are not; none where that would ask.
pub(crate) fn as_root(name: &str) -> Option<Command> {
    if rustix::process::geteuid().is_root() {
        return Some(program(".", name, [""; 0]));
    }
    may_sudo().then(|| program(".", "sudo", [name]))
}

/// Installs Debian packages that are not there, as root or by sudo; else says which are missing.
pub(crate) fn need_packages(packages: &[&str]) -> Result<()> {
    let is_missing = |package: &&&str| {
        let query = Command::new("dpkg-query").args(["-W", "-f=${Status}", package]).output();
        !query.is_ok_and(|out| String::from_utf8_lossy(&out.stdout).contains("ok installed"))
    };
    let missing: Vec<_> = packages.iter().filter(is_missing).copied().collect();
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    let apt = |args: &[&str]| {
        let mut command = as_root("apt-get")?;
        command.args(["-qq", "-o", "DPkg::Lock::Timeout=600"]).args(args);
        command.env("DEBIAN_FRONTEND", "noninteractive").stdout(Stdio::null());
        Some(command)
    };
    let install: Vec<_> =
        ["install", "-y", "--no-install-recommends"].into_iter().chain(missing).collect();
    let (Some(update), Some(install)) = (apt(&["update"]), apt(&install)) else {
        bail!("these packages are missing: sudo apt-get install {list}");
    };
    run(update, Duration::from_secs(300))?;
    run(install, Duration::from_secs(900))
        .with_context(|| format!("these packages are missing: {list}"))
}
