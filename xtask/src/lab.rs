//! `cargo xtask lab`: tests with the real kernel's USB on a machine that has none.
//!
//! Every test runs in a fresh guest of its own, so that none can spoil or hang another: User
//! Mode Linux (native speed, software devices) or a stock Debian kernel under QEMU (slow, with
//! emulated hardware that we didn't write). The tests are in the crate `lab`; here is what makes
//! the guests, starts them, and counts.

mod debian;
mod guest;
mod initramfs;
mod patience;
mod uml;
mod vm;

use std::fs::File;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::{Command as Process, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::{Subcommand, ValueEnum};
use serde::Deserialize;

pub(crate) use guest::{Ending, Guest, Report};

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// Run the tests whose name contains one of these, instead of the small set
    names: Vec<String>,
    /// Run every test
    #[arg(long)]
    all: bool,
    /// Show the tests and run none
    #[arg(long)]
    list: bool,
    /// Only the tests of one kind of guest
    #[arg(long)]
    backend: Option<Backend>,
    /// How the devices travel: through farhub, or the kernel's own USB/IP (which tests the tests)
    #[arg(long, default_value = "farhub")]
    door: Door,
    /// Show the guest's output of passing tests too
    #[arg(long, short)]
    verbose: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make the guests, run nothing
    Setup {
        /// Only one kind of guest
        #[arg(long)]
        backend: Option<Backend>,
    },
    /// A root shell in a guest
    Shell {
        #[command(flatten)]
        machine: Machine,
    },
    /// Run a command as root in a guest; its output and exit status are ours
    Run {
        #[command(flatten)]
        machine: Machine,
        /// Seconds after which the guest is stopped
        #[arg(long, default_value_t = 120)]
        limit: u64,
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
}

#[derive(Debug, clap::Args)]
struct Machine {
    #[arg(long, default_value = "uml")]
    backend: Backend,
    /// Emulated devices of the vm: storage, uas, serial, kbd, audio, net, ccid ...
    #[arg(long)]
    plug: Vec<String>,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Backend {
    /// User Mode Linux
    Uml,
    /// Debian's kernel under QEMU
    Vm,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Door {
    /// Two hubs
    Farhub,
    /// usbipd and usbip
    Kernel,
}

/// What `farhub-lab list` says of a test.
#[derive(Debug, Deserialize)]
struct Test {
    name: String,
    backend: Backend,
    small: bool,
    limit_s: u64,
    plugs: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let lab = Lab::open()?;
    match &args.command {
        Some(Command::Setup { backend }) => {
            for each in [Backend::Uml, Backend::Vm] {
                if backend.is_none_or(|only| only == each) {
                    lab.setup(each)?;
                }
            }
            Ok(ExitCode::SUCCESS)
        }
        Some(Command::Shell { machine }) => lab.shell(machine),
        Some(Command::Run { machine, limit, command }) => lab.command(machine, *limit, command),
        None => lab.tests(args),
    }
}

/// Where everything of the lab is.
#[derive(Debug)]
pub(crate) struct Lab {
    /// The repository.
    root: PathBuf,
    /// What cargo builds.
    target: PathBuf,
    /// What is fetched and built here, below `target`.
    cache: PathBuf,
}

impl Lab {
    pub(crate) fn open() -> Result<Lab> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("no workspace")?;
        let target =
            std::env::var_os("CARGO_TARGET_DIR").map_or(root.join("target"), PathBuf::from);
        let cache = target.join("lab/guests");
        std::fs::create_dir_all(&cache)?;
        Ok(Lab { root: root.into(), target, cache })
    }

    /// Makes a kind of guest unless it is there already.
    pub(crate) fn setup(&self, backend: Backend) -> Result<()> {
        // another xtask may be at it
        let lock = File::create(self.cache.join("lock"))?;
        lock.lock()?;
        crate::run::need_packages(GUEST_PACKAGES)?;
        match backend {
            Backend::Uml => uml::setup(self),
            Backend::Vm => vm::setup(self),
        }
    }

    /// What is made here and kept.
    pub(crate) fn cache(&self) -> &Path {
        &self.cache
    }

    /// A file of the lab, such as the guests' init.
    fn file(&self, name: &str) -> PathBuf {
        self.root.join("lab").join(name)
    }

    /// Builds a program that will run inside.
    pub(crate) fn build(&self, package: &str, program: &str) -> Result<PathBuf> {
        let status = Process::new(env!("CARGO"))
            .current_dir(&self.root)
            .args(["build", "--quiet", "--profile", "lab", "--package", package])
            .args(["--bin", program, "--target-dir"])
            .arg(&self.target)
            .status()?;
        ensure!(status.success(), "cannot build {program}");
        Ok(self.target.join("lab").join(program))
    }

    fn shell(&self, machine: &Machine) -> Result<ExitCode> {
        ensure!(std::io::stdin().is_terminal(), "a shell needs a terminal: see `lab run`");
        self.setup(machine.backend)?;
        let tool = self.build("lab", "farhub-lab")?;
        println!("farhub-lab is on the PATH: farhub-lab gadget ms. Leave with exit.");
        let mut guest = Guest::new(self, machine.backend, Vec::new());
        guest.path = tool.parent().map(Path::to_path_buf);
        guest.plugs = machine.plug.clone();
        guest.interact()?;
        Ok(ExitCode::SUCCESS)
    }

    fn command(&self, machine: &Machine, limit_s: u64, command: &[String]) -> Result<ExitCode> {
        self.setup(machine.backend)?;
        let tool = self.build("lab", "farhub-lab")?;
        let mut guest = Guest::new(self, machine.backend, command.to_vec());
        guest.path = tool.parent().map(Path::to_path_buf);
        guest.plugs = machine.plug.clone();
        guest.limit = Duration::from_secs(limit_s);
        let report = guest.run(|line| println!("{line}"))?;
        match report.ending {
            Ending::Exit(code) => Ok(ExitCode::from(u8::try_from(code)?)),
            Ending::Limit => bail!("stopped after {limit_s} s"),
            Ending::Died => bail!("the guest died:\n{}", report.console),
        }
    }

    fn tests(&self, args: &Args) -> Result<ExitCode> {
        let tool = self.build("lab", "farhub-lab")?;
        let listing = Process::new(&tool).arg("list").output()?;
        let tests: Vec<Test> = String::from_utf8(listing.stdout)?
            .lines()
            .map(serde_json::from_str)
            .collect::<Result<_, _>>()?;
        let chosen: Vec<&Test> = tests.iter().filter(|test| args.wants(test)).collect();
        if args.list {
            for test in chosen {
                let set = if test.small { "small" } else { "all" };
                println!("{:32} {:4} {set}", test.name, test.backend.name());
            }
            return Ok(ExitCode::SUCCESS);
        }
        ensure!(!chosen.is_empty(), "no test has such a name: see --list");
        let farhub = match args.door {
            Door::Farhub => Some(self.build("farhub", "farhub")?),
            Door::Kernel => None,
        };
        for backend in [Backend::Uml, Backend::Vm] {
            if chosen.iter().any(|test| test.backend == backend) {
                self.setup(backend)?;
            }
        }
        let mut tally = Tally::default();
        for test in chosen {
            let mut command = vec![tool.display().to_string(), "test".into(), test.name.clone()];
            match &farhub {
                Some(farhub) => command.push(format!("--farhub={}", farhub.display())),
                None => command.push("--kernel".into()),
            }
            tally.test(self, test, command, args.verbose)?;
        }
        println!("{} passed, {} failed, {} skipped", tally.passed, tally.failed, tally.skipped);
        Ok(if tally.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

impl Report {
    /// How long it took, and whether this machine was to blame.
    fn took(&self) -> String {
        let (took, starved) = (self.verdict.took, self.verdict.starved);
        let text = format!("{:.1} s", took.as_secs_f64());
        if starved * 4 < took {
            return text;
        }
        let share = starved.as_secs_f64() / took.as_secs_f64() * 100.0;
        format!("{text} ({share:.0} % of it without a processor: this machine is busy)")
    }
}

#[derive(Debug, Default)]
struct Tally {
    passed: usize,
    failed: usize,
    skipped: usize,
}

impl Tally {
    fn test(&mut self, lab: &Lab, test: &Test, command: Vec<String>, verbose: bool) -> Result<()> {
        let mut guest = Guest::new(lab, test.backend, command);
        guest.plugs = test.plugs.clone();
        guest.limit = Duration::from_secs(test.limit_s);
        let mut output = Vec::new();
        let report = guest.run(|line| output.push(line.to_owned()))?;
        let took = report.took();
        let title = format!("{:4} {:32}", test.backend.name(), test.name);
        let reason = match report.ending {
            Ending::Exit(0) => {
                self.passed += 1;
                println!("{title} ok {took}");
                // what was measured is worth seeing even when it was good
                let seen = output.iter().filter(|line| verbose || line.starts_with("seen: "));
                seen.for_each(|line| println!("     {line}"));
                return Ok(());
            }
            Ending::Exit(SKIPPED) => {
                self.skipped += 1;
                println!("{title} {}", output.last().map_or("skipped", String::as_str));
                return Ok(());
            }
            Ending::Exit(code) => format!("exit status {code}"),
            Ending::Limit => format!("stopped after {} s", test.limit_s),
            Ending::Died => "the guest died".into(),
        };
        self.failed += 1;
        println!("{title} FAILED {took}: {reason}");
        output.iter().for_each(|line| println!("  | {line}"));
        let console: Vec<&str> = report.console.lines().collect();
        for line in &console[console.len().saturating_sub(CONSOLE_LINES_MAX)..] {
            println!("  # {line}");
        }
        Ok(())
    }
}

impl Args {
    fn wants(&self, test: &Test) -> bool {
        let named = self.names.iter().any(|name| test.name.contains(name.as_str()));
        let chosen = named || self.names.is_empty() && (self.all || self.list || test.small);
        chosen && self.backend.is_none_or(|backend| backend == test.backend)
    }
}

impl Door {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Door::Farhub => "farhub",
            Door::Kernel => "the kernel",
        }
    }
}

impl Backend {
    fn name(self) -> &'static str {
        match self {
            Backend::Uml => "uml",
            Backend::Vm => "vm",
        }
    }
}

/// Exit status of a test that cannot run here, as automake has it; its last line says why.
const SKIPPED: i32 = 77;

/// Lines of the guest's kernel log shown below a failure.
const CONSOLE_LINES_MAX: usize = 40;

/// The guests use the host's userland, so what tests run inside is installed here.
const GUEST_PACKAGES: &[&str] =
    &["busybox-static", "kmod", "usbip", "iproute2", "e2fsprogs", "fio", "alsa-utils"];
