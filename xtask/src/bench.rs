//! `cargo xtask bench`: every speed that we promise, beside a peer's, in the same run.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use clap::{Subcommand, ValueEnum};
use serde::Deserialize;

use crate::lab::{Backend, Door, Ending, Guest, Lab};
use crate::run;

/// With the build.
const NATIVE_LIMIT: Duration = Duration::from_secs(1800);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// USB devices in the lab, beside the kernel's own USB/IP
    Usb(Usb),
    /// A simulated device between two hubs' agents on this machine, beside the `usbip` crate
    Agents,
    /// The path between two hubs, beside iroh's own and TCP with TLS, directly and by a relay
    Paths(Paths),
    /// Five hundred simulated printers at one hub, and fifty dashboards
    Fleet,
    /// Serial ports through two hubs on this machine, beside socat, ser2net and pyserial
    Serial,
}

/// A link that is not as it is on this machine is made in a guest of the lab.
#[derive(Debug, clap::Args)]
struct Paths {
    /// Round-trip time in milliseconds
    #[arg(long, default_value_t = 0)]
    rtt_ms: u32,
    /// Packets of a hundred that are lost, each way
    #[arg(long, default_value_t = 0.0)]
    loss: f64,
    /// The guest, where the link is not as it is
    #[arg(long, default_value = "uml")]
    backend: Backend,
}

#[derive(Debug, clap::Args)]
struct Usb {
    /// How often each figure is taken; the medians count
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Round-trip times in milliseconds
    #[arg(long, value_delimiter = ',', default_value = "0,10,50")]
    rtt_ms: Vec<u32>,
    /// Only one of the two, without ratios
    #[arg(long)]
    door: Option<Door>,
    /// How programs in the guest read the clock
    #[arg(long, default_value = "counter")]
    clock: Clock,
}

/// User Mode Linux has no clock that programs can read without a system call.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Clock {
    /// From the processor's counter, as on every kernel that people run
    Counter,
    /// By a system call of 8 us
    Call,
}

/// What `farhub-lab bench` prints.
#[derive(Debug, Deserialize)]
struct Figure {
    device: String,
    door: String,
    rtt_ms: u32,
    metric: String,
    value: f64,
    unit: String,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    match &args.what {
        What::Usb(usb) => usb.run(),
        What::Agents => {
            let bench = Lab::open()?.build("bench", "bench")?.display().to_string();
            run::run(run::program(".", &bench, ["agents"]), NATIVE_LIMIT)?;
            Ok(ExitCode::SUCCESS)
        }
        What::Paths(paths) => paths.run(),
        What::Fleet => {
            let lab = Lab::open()?;
            let farhub = lab.build("farhub", "farhub")?.display().to_string();
            let bench = lab.build("bench", "bench")?.display().to_string();
            run::run(run::program(".", &bench, ["fleet", &farhub]), NATIVE_LIMIT)?;
            Ok(ExitCode::SUCCESS)
        }
        What::Serial => {
            run::need_packages(&["python3-serial", "ser2net", "socat"])?;
            let bench = Lab::open()?.build("bench", "bench")?.display().to_string();
            run::run(run::program(".", &bench, ["serial"]), NATIVE_LIMIT)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

impl Paths {
    fn run(&self) -> Result<ExitCode> {
        let lab = Lab::open()?;
        let farhub = lab.build("farhub", "farhub")?.display().to_string();
        let bench = lab.build("bench", "bench")?.display().to_string();
        if self.rtt_ms == 0 && self.loss == 0.0 {
            run::run(run::program(".", &bench, ["paths", &farhub]), NATIVE_LIMIT)?;
            return Ok(ExitCode::SUCCESS);
        }
        lab.setup(self.backend)?;
        let link = LINK.replace("DELAY", &format!("{}us", self.rtt_ms * 1000 / 2));
        let link = link.replace("LOSS", &format!("{}%", self.loss));
        let command = ["sh", "-ec", &link, "sh", &bench, "paths", &farhub].map(String::from);
        let mut guest = Guest::new(&lab, self.backend, command.into());
        guest.limit = PATHS_LIMIT;
        let report = guest.run(|line| println!("{line}"))?;
        ensure!(report.ending == Ending::Exit(0), "{:?}\n{}", report.ending, report.console);
        Ok(ExitCode::SUCCESS)
    }
}

impl Usb {
    fn run(&self) -> Result<ExitCode> {
        let lab = Lab::open()?;
        lab.setup(Backend::Uml)?;
        let doors: Vec<Door> = [Door::Kernel, Door::Farhub]
            .into_iter()
            .filter(|door| self.door.is_none_or(|only| only == *door))
            .collect();
        let tool = lab.build("lab", "farhub-lab")?.display().to_string();
        let farhub = match doors.contains(&Door::Farhub) {
            true => format!("--farhub={}", lab.build("farhub", "farhub")?.display()),
            false => String::new(),
        };
        let before = match self.clock {
            Clock::Counter => vec!["env".to_owned(), format!("LD_PRELOAD={}", clock(&lab)?)],
            Clock::Call => Vec::new(),
        };
        let mut table = Table::default();
        for round in 1..=self.rounds {
            for (rtt_ms, device) in self.runs() {
                // the doors take turns, so that a busy moment hits both
                for door in &doors {
                    eprintln!("round {round}: {device} at {rtt_ms} ms through {}", door.name());
                    let way = match door {
                        Door::Kernel => "--kernel",
                        Door::Farhub => &farhub,
                    };
                    let rtt = rtt_ms.to_string();
                    let words = [&tool, "bench", device, "--rtt-ms", &rtt, way];
                    let words = before.iter().cloned().chain(words.map(String::from));
                    table.measure(&lab, words.collect())?;
                }
            }
        }
        table.print();
        Ok(ExitCode::SUCCESS)
    }

    fn runs(&self) -> impl Iterator<Item = (u32, &'static str)> {
        self.rtt_ms.iter().flat_map(|rtt| DEVICES.iter().map(|device| (*rtt, *device)))
    }
}

/// Compiles what answers for the clock: a library to be preloaded.
fn clock(lab: &Lab) -> Result<String> {
    let library = lab.cache().join("clock.so");
    let mut cc = run::program(".", "cc", ["-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o"]);
    cc.arg(&library).arg("lab/src/clock.c");
    run::run(cc, COMPILE_LIMIT)?;
    Ok(library.display().to_string())
}

/// The figures of each row, by door.
#[derive(Debug, Default)]
struct Table {
    /// Rows in the order in which they came.
    rows: Vec<Row>,
    values: BTreeMap<(usize, String), Vec<f64>>,
}

#[derive(Debug, Eq, PartialEq)]
struct Row {
    device: String,
    metric: String,
    unit: String,
    rtt_ms: u32,
}

impl Table {
    /// Takes figures in a guest of their own.
    fn measure(&mut self, lab: &Lab, command: Vec<String>) -> Result<()> {
        let mut guest = Guest::new(lab, Backend::Uml, command);
        guest.limit = LIMIT;
        let mut output = Vec::new();
        let report = guest.run(|line| output.push(line.to_owned()))?;
        if report.ending != Ending::Exit(0) {
            bail!("{:?}\n{}\n{}", report.ending, output.join("\n"), report.console);
        }
        for line in output {
            self.add(serde_json::from_str(&line)?);
        }
        Ok(())
    }

    fn add(&mut self, figure: Figure) {
        let Figure { device, door, rtt_ms, metric, value, unit } = figure;
        let row = Row { device, metric, unit, rtt_ms };
        let number = self.rows.iter().position(|known| *known == row).unwrap_or_else(|| {
            self.rows.push(row);
            self.rows.len() - 1
        });
        self.values.entry((number, door)).or_default().push(value);
    }

    fn print(&self) {
        println!("| device | figure | RTT, ms | kernel USB/IP | farhub | times as fast |");
        println!("|---|---|---|---|---|---|");
        for (number, row) in self.rows.iter().enumerate() {
            let median = |door: &str| {
                self.values.get(&(number, door.to_owned())).map(|values| median(values))
            };
            let [kernel, farhub] = ["kernel", "farhub"].map(median);
            let ratio = kernel.zip(farhub).map(|(kernel, farhub)| row.ratio(kernel, farhub));
            let cell = |value: Option<f64>, digits: usize| {
                value.map_or("-".into(), |value| format!("{value:.digits$}"))
            };
            println!(
                "| {} | {}, {} | {} | {} | {} | {} |",
                row.device,
                row.metric,
                row.unit,
                row.rtt_ms,
                cell(kernel, 2),
                cell(farhub, 2),
                cell(ratio, 2),
            );
        }
    }
}

impl Row {
    /// How many times as fast farhub is: of times less is better, of all else more.
    fn ratio(&self, kernel: f64, farhub: f64) -> f64 {
        if self.unit == "ms" { kernel / farhub } else { farhub / kernel }
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

const DEVICES: [&str; 3] = ["disk", "serial", "keyboard"];

/// netem loses what it is given, and the kernel gives it many packets as one: the bucket takes them
/// apart first, since none but a single packet fits into it. So the loss is that of packets.
const LINK: &str = "
modprobe -a sch_tbf sch_netem
ip link set lo mtu 1500
tc qdisc add dev lo root handle 1: tbf rate 200mbit burst 2000 limit 16mb
tc qdisc add dev lo parent 1:1 netem limit 100000 delay DELAY loss LOSS
exec \"$@\"";

const COMPILE_LIMIT: Duration = Duration::from_secs(60);

/// 54 measurements of 3 s, and what an emulated processor takes to begin.
const PATHS_LIMIT: Duration = Duration::from_secs(600);

/// Far more than any of them takes.
const LIMIT: Duration = Duration::from_secs(180);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twice_as_fast_is_two_for_times_and_for_speeds() {
        let row = |unit: &str| Row {
            device: "disk".into(),
            metric: "figure".into(),
            unit: unit.into(),
            rtt_ms: 0,
        };
        assert_eq!(row("ms").ratio(10.0, 5.0), 2.0);
        assert_eq!(row("MiB/s").ratio(10.0, 20.0), 2.0);
    }
}
