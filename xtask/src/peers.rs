//! `cargo xtask peers`: programs that are not ours, at ports that come through farhub; clients of
//! printers at our simulated printers; and our drivers at servers that are not ours.
//!
//! They are installed here, in versions that are known, below `target/peers`: with pip into folders
//! of their own, with npm, and as Debian's packages. `peers/peers.py` drives those at ports,
//! `peers/printers.py` and `peers/bambu.py` the clients of printers. `peers/drivers.py` drives the
//! whole program (`farhub up` and its command line) at OctoPrint, Moonraker, and in the role of a
//! Bambu printer mosquitto with vsftpd and with pyftpdlib. Klipper is not installed here: where
//! `FARHUB_KLIPPER` names one that is built, Moonraker has it behind itself too.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;

use crate::run::{need_packages, program, root, run};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only those whose name contains one of these, as in `driver_bambu`
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
    python(&folder, "moonraker", MOONRAKER)?;
    if args.all {
        python(&folder, "esptool", ESPTOOL)?;
        python(&folder, "meerk40t", MEERK40T)?;
        python(&folder, "octoprint", OCTOPRINT)?;
        node(&folder)?;
    }
    for package in [&["farhub"][..], &["sim", "--example", "printers"]] {
        let build = ["build", "--quiet", "--locked", "--package"];
        run(program(".", env!("CARGO"), build.iter().chain(package)), INSTALL_LIMIT)?;
    }
    let farhub = target.join("debug/farhub");
    let simulated = target.join("debug/examples/printers");
    // All are told of, and then whether one failed.
    let results = [
        script(&folder, "pyserial", "peers", &[&farhub, &folder], args),
        script(&folder, "printers", "printers", &[&simulated], args),
        script(&folder, "bambu", "bambu", &[&simulated], args),
        script(&folder, "bambu", "drivers", &[&farhub, &folder], args),
    ];
    results.into_iter().collect::<Result<()>>()?;
    Ok(ExitCode::SUCCESS)
}

/// Runs a script with the Python and the packages of one of our folders.
fn script(folder: &Path, home: &str, name: &str, words: &[&Path], args: &Args) -> Result<()> {
    let interpreter = folder.join(home).join("bin/python");
    let script = format!("xtask/src/peers/{name}.py");
    let mut command = program(".", &interpreter.to_string_lossy(), [&script]);
    // Nothing is to be left beside the scripts.
    command.env("PYTHONDONTWRITEBYTECODE", "1").args(words).args(&args.names);
    if args.all {
        command.arg("--all");
    }
    run(command, RUN_LIMIT)
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

const BAMBU: &[&str] = &[
    "bambulabs_api==2.6.6",
    "paho-mqtt==2.2.0",
    "pillow==13.0.0",
    "pyftpdlib==2.0.1",
    "pyopenssl==25.1.0",
];
/// `libsodium23` is Moonraker's.
const PACKAGES: &[&str] = &[
    "curl",
    "gensio-bin",
    "libsodium23",
    "mosquitto",
    "openssl",
    "picocom",
    "python3-venv",
    "socat",
    "vsftpd",
];
const ESPTOOL: &[&str] = &["esptool==5.6.0"];
const MEERK40T: &[&str] = &["meerk40t==0.9.9100", "pillow==13.0.0"];
const MOONRAKER: &[&str] = &["moonraker==0.11.0"];
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
