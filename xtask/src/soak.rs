//! `cargo xtask soak`: what the serial side promises, at volumes for which no test has time.
//!
//! Most runs are in `bench/src/soak`; those in virtual time are tests of the crate `serial` that
//! are told to go on for longer.

use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::lab::Lab;
use crate::run::{self, program};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only those whose name contains one of these
    names: Vec<String>,
    /// Show the runs, and run none
    #[arg(long)]
    list: bool,
    /// Where the fuzzed lines begin: what a failure has shown
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

struct Run {
    name: &'static str,
    about: &'static str,
    how: How,
}

enum How {
    Bench,
    /// Tests of `serial`, and for how many lines of each.
    Tests(&'static str, u64),
}

const RUNS: &[Run] = &[
    Run {
        name: "safe-lines",
        about: "a million fuzzed lines to machines that are not armed, in virtual time",
        how: How::Tests("machine::core::tests::safe::", 334_000),
    },
    Run { name: "safe", about: "21,000 such lines through two hubs and ptys", how: How::Bench },
    Run {
        name: "dead-man",
        about: "who uses a machine dies while its beam is on: six ways, 20 times each",
        how: How::Bench,
    },
    Run {
        name: "bytes",
        about: "100 MB of random bytes, there and back, through each door",
        how: How::Bench,
    },
    Run {
        name: "raster-lines",
        about: "a job of a million lines on a simulated GRBL, in virtual time",
        how: How::Tests("machine::core::tests::job::a_raster_", 1_000_000),
    },
    Run { name: "raster", about: "jobs at three baud rates, in real time", how: How::Bench },
    Run {
        name: "full-duplex",
        about: "2 Mbaud in both directions at once, a minute through each door",
        how: How::Bench,
    },
    Run { name: "stop", about: "500 stops with a full queue beside a flood", how: How::Bench },
    Run {
        name: "slow",
        about: "programs that read nothing, or come and go, and what they leave",
        how: How::Bench,
    },
    Run {
        name: "chunks",
        about: "every value at both ends of chunks of every length",
        how: How::Bench,
    },
];

pub(crate) fn soak(args: &Args) -> Result<ExitCode> {
    let wanted = |run: &&Run| {
        args.names.is_empty() || args.names.iter().any(|name| run.name.contains(&**name))
    };
    let runs: Vec<&Run> = RUNS.iter().filter(wanted).collect();
    if args.list {
        for run in runs {
            println!("{:<13} {}", run.name, run.about);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let lab = Lab::open()?;
    let farhub = lab.build("farhub", "farhub")?.display().to_string();
    let bench = lab.build("bench", "bench")?.display().to_string();
    let mut failed = 0;
    for one in runs {
        let mut command = match one.how {
            How::Bench => program(".", &bench, ["soak", one.name, &farhub]),
            How::Tests(names, lines) => tests(names, lines),
        };
        command.env("FARHUB_SOAK_SEED", args.seed.to_string());
        let began = Instant::now();
        let word = match run::run(command, LIMIT) {
            Ok(()) => "PASS",
            Err(error) => {
                eprintln!("xtask: {error:#}");
                failed += 1;
                "FAIL"
            }
        };
        println!("{word}  {:<13} {} s", one.name, began.elapsed().as_secs());
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn tests(names: &str, lines: u64) -> Command {
    let words = ["test", "--quiet", "--locked", "--profile", "lab", "--package", "serial", "--lib"];
    let mut command = program(".", env!("CARGO"), words);
    command.args([names, "--", "--nocapture"]).env("FARHUB_SOAK_LINES", lines.to_string());
    command
}

/// Far more than any of them takes.
const LIMIT: Duration = Duration::from_secs(3600);
