//! `cargo xtask peers`: programs that are not ours, at ports that come through farhub, and clients
//! of printers at our simulated printers.
//!
//! They are installed here, in versions that are known, below `target/peers`: with pip into folders
//! of their own, with npm, and as Debian's packages. `peers/peers.py` drives those at ports,
//! `peers/printers.py` and `peers/bambu.py` those of printers.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;

use crate::run::{need_packages, program, root, run};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only those whose name contains one of these
    names: Vec<String>,
    /// Also those that take minutes to install: CNCjs, esptool, MeerK40t, OctoPrint
    #[arg(long)]
    all: bool,
}

pub(crate) fn peers(args: &Args) -> Result<ExitCode> {
    need_packages(PACKAGES)?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or(root().join("target"), Into::into);
    let folder = target.join("peers");
    std::fs::create_dir_all(&folder)?;
    python(&folder, "pyserial", PYSERIAL)?;
    python(&folder, "printers", PRINTERS)?;
    python(&folder, "bambu", BAMBU)?;
    if args.all {
        python(&folder, "esptool", ESPTOOL)?;
        python(&folder, "meerk40t", MEERK40T)?;
        python(&folder, "octoprint", OCTOPRINT)?;
        node(&folder)?;
    }
    let build = ["build", "--quiet", "--locked", "--package", "farhub"];
    run(program(".", env!("CARGO"), build), INSTALL_LIMIT)?;
    let interpreter = folder.join("pyserial/bin/python");
    let mut command = program(".", &interpreter.to_string_lossy(), ["xtask/src/peers/peers.py"]);
    command.arg(target.join("debug/farhub")).arg(&folder).args(&args.names);
    if args.all {
        command.arg("--all");
    }
    run(command, RUN_LIMIT)?;
    printers(&target, &folder, &args.names)?;
    Ok(ExitCode::SUCCESS)
}

fn printers(target: &Path, folder: &Path, names: &[String]) -> Result<()> {
    let build = ["build", "--quiet", "--locked", "--package", "sim", "--example", "printers"];
    run(program(".", env!("CARGO"), build), INSTALL_LIMIT)?;
    for kind in ["printers", "bambu"] {
        let interpreter = folder.join(kind).join("bin/python");
        let script = format!("xtask/src/peers/{kind}.py");
        let mut command = program(".", &interpreter.to_string_lossy(), [&script]);
        command.arg(target.join("debug/examples/printers")).arg(folder).args(names);
        run(command, RUN_LIMIT)?;
    }
    Ok(())
}

/// Installs a Python program with what it needs, unless this version is there. What it needs and
/// does not say is behind it.
fn python(folder: &Path, name: &str, versions: &[&str]) -> Result<()> {
    let (home, done) = (folder.join(name), folder.join(name).join(versions.join(",")));
    if !done.exists() {
        let _ = std::fs::remove_dir_all(&home);
        let place = home.to_string_lossy().into_owned();
        run(program(".", "python3", ["-m", "venv", &place]), INSTALL_LIMIT)?;
        let pip = home.join("bin/pip").to_string_lossy().into_owned();
        let mut install = program(".", &pip, ["-q", "install"]);
        install.args(versions);
        run(install, INSTALL_LIMIT)?;
        std::fs::write(done, "")?;
    }
    Ok(())
}

fn node(folder: &Path) -> Result<()> {
    let (home, done) = (folder.join("npm"), folder.join("npm").join(CNCJS));
    if !done.exists() {
        std::fs::create_dir_all(&home)?;
        let place = home.to_string_lossy().into_owned();
        let install = ["install", "--no-audit", "--no-fund", "--silent", "--prefix", &place, CNCJS];
        run(program(".", "npm", install), INSTALL_LIMIT)?;
        std::fs::write(done, "")?;
    }
    Ok(())
}

const BAMBU: &[&str] = &["bambulabs_api==2.6.6", "paho-mqtt==2.2.0", "pillow==13.0.0"];
const PACKAGES: &[&str] = &["curl", "gensio-bin", "picocom", "python3-venv", "socat"];
const ESPTOOL: &[&str] = &["esptool==5.6.0"];
const MEERK40T: &[&str] = &["meerk40t==0.9.9100", "pillow==13.0.0"];
const OCTOPRINT: &[&str] = &["octoprint==1.11.8"];
const PRINTERS: &[&str] = &[
    "moonraker-api==4.0.0",
    "octorest==0.4",
    "prusalinkpy==2.2.1",
    "pyprusalink==3.1.0",
    "websocket-client==1.9.2",
];
const PYSERIAL: &[&str] = &["pyserial==3.5"];
const CNCJS: &str = "cncjs@1.11.5";

const INSTALL_LIMIT: Duration = Duration::from_secs(1800);
const RUN_LIMIT: Duration = Duration::from_secs(1200);
