//! Tests with the real kernel's USB. Runs as root inside a guest of the lab: it loads modules,
//! plugs software devices in, and lays network namespaces.

mod bench;
mod disk;
mod gadget;
mod gpio;
mod hub;
mod keyboard;
mod lab;
mod machine;
mod mon;
mod net;
mod net_lab;
mod pair;
mod serial;
mod sound;
mod sys;
mod sysfs;
mod tests;
mod usbtest;
mod v4l2;
mod video;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};

use lab::{Door, Lab, Rtt, Skip};

#[derive(Debug, Parser)]
#[command(about = "Tests with the real kernel's USB")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Every test, one JSON object a line
    List,
    /// Run one test
    Test {
        name: String,
        #[command(flatten)]
        door: DoorArgs,
    },
    /// Measure a kind of device; a line of JSON for each figure
    Bench {
        device: bench::Device,
        /// The round-trip time between the two ends, in milliseconds
        #[arg(long)]
        rtt_ms: u32,
        #[command(flatten)]
        door: DoorArgs,
    },
    /// Networks of namespaces: `cargo xtask net` starts these in namespaces of their own
    #[command(subcommand)]
    Net(Net),
    /// Plug a software device in, print its bus id, stay behind it
    Gadget {
        /// ms, acm, hid, uac2, uvc, ncm, printer, midi, zero, or several with + between
        functions: String,
        /// Such as size_mib=64
        options: Vec<String>,
    },
}

#[derive(Debug, Subcommand)]
enum Net {
    /// Every test, one a line
    List,
    /// Run one test
    Test {
        name: String,
        #[arg(long)]
        farhub: PathBuf,
        /// A folder for data and logs
        #[arg(long)]
        work: PathBuf,
        /// How much is transferred where something is
        #[arg(long, default_value_t = 48)]
        mib: u64,
    },
    /// Read a disk that USB/IP offers
    Read { address: String, bus_id: String },
    /// Answer everything with noise
    Garbage { address: String },
    /// Pass bytes on to a relay, some of them changed; a line for each
    Corrupt { address: String, relay: String },
}

#[derive(Args, Debug)]
struct DoorArgs {
    /// Through two hubs of this program
    #[arg(long, required_unless_present = "kernel")]
    farhub: Option<PathBuf>,
    /// Through the kernel's own USB/IP
    #[arg(long, conflicts_with = "farhub")]
    kernel: bool,
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => match error.downcast_ref::<Skip>() {
            Some(skip) => {
                println!("{skip}");
                ExitCode::from(SKIPPED)
            }
            None => {
                println!("error: {error:#}");
                println!("{}", lab::tails());
                ExitCode::FAILURE
            }
        },
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::List => tests::list(),
        Command::Test { name, door } => {
            let test = tests::find(&name).with_context(|| format!("no test {name}"))?;
            watch();
            (test.run)(&mut Lab::new(door.door())?)
        }
        Command::Bench { device, rtt_ms, door } => {
            bench::run(&mut Lab::new(door.door())?, device, Rtt(rtt_ms))
        }
        Command::Net(Net::List) => {
            net_lab::list();
            Ok(())
        }
        Command::Net(Net::Test { name, farhub, work, mib }) => {
            net_lab::test(&name, &farhub, &work, mib)
        }
        Command::Net(Net::Read { address, bus_id }) => net_lab::read(&address, &bus_id),
        Command::Net(Net::Garbage { address }) => net_lab::garbage(&address),
        Command::Net(Net::Corrupt { address, relay }) => net_lab::corrupt(&address, &relay),
        Command::Gadget { functions, options } => {
            let mut lab = Lab::new(Door::Kernel)?;
            let options: Vec<&str> = options.iter().map(String::as_str).collect();
            let gadget = match functions.as_str() {
                "uvc" => lab.camera()?,
                other => lab.gadget(other, &options)?,
            };
            println!("{}", gadget.bus_id);
            if functions.contains("acm") {
                serial::echo(gadget.tty());
            }
            loop {
                std::thread::park();
            }
        }
    }
}

/// Ends a test that hangs when xtask says so, with the logs and what everybody waits for.
fn watch() {
    std::thread::spawn(move || {
        while !Path::new(ENOUGH).exists() {
            // nothing tells of files that the host makes
            std::thread::sleep(Duration::from_secs(1));
        }
        println!("error: still not done\n{}{}", lab::waiting(), lab::tails());
        std::process::exit(1);
    });
}

impl DoorArgs {
    fn door(self) -> Door {
        self.farhub.map_or(Door::Kernel, Door::Farhub)
    }
}

/// What xtask makes in the folder that it shares with the guest's init.
const ENOUGH: &str = "/ctl/enough";

/// As automake has it; the last line says why.
const SKIPPED: u8 = 77;
