//! Speeds of farhub beside a peer's, in the same run: `bench agents`, the same simulated disk and
//! the same driver; `bench paths`, the path between two hubs ([`paths`]);
//! `bench serial`, serial ports ([`serial`]); `bench fleet`, printers ([`fleet`]). And
//! `bench soak`, what has no time to be a test ([`soak`]).
//!
//! For agents the peer is the server of the `usbip` crate, twice: through a tunnel with the
//! encryption that farhub has, which is the fair comparison, and in plain TCP straight to the
//! process with the device, which says what the way between two agents costs. Rounds alternate
//! between the three, and medians over the rounds are shown.

mod client;
mod farhub;
mod fleet;
mod paths;
mod peer;
mod quic;
mod serial;
mod soak;

use anyhow::{Result, bail};
use client::{BLOCK_BYTES, Client};
use sim::Simulated;
use std::io::{Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

const DISK_BYTES: u64 = 32 * 1024 * 1024;
const ROUNDS: usize = 15;
const TRANSFERS: u32 = 500;
/// What Linux's usb-storage asks for at once at high speed: 240 blocks.
const COMMAND_BLOCKS: u16 = 240;
const COMMANDS: u32 = 100;
/// One command whose data is read with many transfers under way.
const QUEUED_BLOCKS: u16 = 32 * 1024;
const QUEUED_URB_BYTES: u32 = 64 * 1024;
const QUEUE_DEPTH: u32 = 16;

/// One figure of one round.
struct Figure {
    what: &'static str,
    unit: Unit,
    value: f64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    /// Less is better.
    Microseconds,
    /// More is better. 10^6 bytes.
    MegabytesPerSecond,
}

/// The lanes of one round: farhub, the peer through a tunnel, the peer in plain text.
type Round = [Vec<Figure>; 3];

fn main() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["agents"] => agents(&runtime),
        ["paths", farhub] => runtime.block_on(paths::run(Path::new(farhub))),
        ["fleet", farhub] => runtime.block_on(fleet::run(Path::new(farhub))),
        ["serial"] => runtime.block_on(serial::run()),
        ["soak", name, farhub] => runtime.block_on(soak::run(name, Path::new(farhub))),
        _ => bail!("usage: bench agents | paths FARHUB | fleet FARHUB | serial | soak NAME FARHUB"),
    }
}

fn agents(runtime: &tokio::runtime::Runtime) -> Result<()> {
    let disk = || Simulated::disk(1, DISK_BYTES);
    let mut farhub = Client::new(runtime.block_on(farhub::connect(disk()))?);
    let mut tunnelled = Client::new(runtime.block_on(peer::tunnelled(disk()))?);
    let mut plain = Client::new(runtime.block_on(peer::plain(disk()))?);
    // Warm up, and see that all are right before they are fast.
    check(&mut farhub)?;
    check(&mut tunnelled)?;
    check(&mut plain)?;
    let mut rounds = Vec::new();
    for number in 1..=ROUNDS {
        eprintln!("round {number} of {ROUNDS}");
        rounds.push([round(&mut farhub)?, round(&mut tunnelled)?, round(&mut plain)?]);
    }
    print(&rounds);
    Ok(())
}

fn check(client: &mut Client<impl Read + Write>) -> Result<()> {
    let bytes = usize::from(COMMAND_BLOCKS) * BLOCK_BYTES as usize;
    let data: Vec<u8> = (0..bytes).map(|i| (i % 251) as u8).collect();
    for lba in [1000, 20_000] {
        client.write(lba, &data)?;
        client.check(lba, &data)?;
    }
    Ok(())
}

fn round(client: &mut Client<impl Read + Write>) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    let descriptors = (0..TRANSFERS).map(|_| client.device_descriptor());
    let [p50, p99] = percentiles(descriptors.collect::<Result<_>>()?);
    figures.push(Figure { what: "control IN, 18 bytes, p50", ..p50 });
    figures.push(Figure { what: "control IN, 18 bytes, p99", ..p99 });
    let reads = (0..TRANSFERS).map(|lba| client.read(lba, 1));
    let [p50, p99] = percentiles(reads.collect::<Result<_>>()?);
    figures.push(Figure { what: "bulk IN, 512 bytes, p50", ..p50 });
    figures.push(Figure { what: "bulk IN, 512 bytes, p99", ..p99 });

    let command_bytes = u32::from(COMMAND_BLOCKS) * BLOCK_BYTES;
    let lbas = || (0..COMMANDS).map(|at| at * u32::from(COMMAND_BLOCKS));
    let start = Instant::now();
    lbas().try_for_each(|lba| client.read(lba, COMMAND_BLOCKS).map(drop))?;
    figures.push(rate("disk read, 120 KiB per command", COMMANDS * command_bytes, start.elapsed()));
    let data = vec![0x5a; command_bytes as usize];
    let start = Instant::now();
    lbas().try_for_each(|lba| client.write(lba, &data))?;
    figures.push(rate(
        "disk write, 120 KiB per command",
        COMMANDS * command_bytes,
        start.elapsed(),
    ));
    let start = Instant::now();
    client.read_queued(QUEUED_BLOCKS, QUEUED_URB_BYTES, QUEUE_DEPTH)?;
    let bytes = u32::from(QUEUED_BLOCKS) * BLOCK_BYTES;
    figures.push(rate("bulk IN, 16 x 64 KiB under way", bytes, start.elapsed()));
    Ok(figures)
}

fn percentiles(mut times: Vec<Duration>) -> [Figure; 2] {
    times.sort();
    [50, 99].map(|percent| {
        let time = times[times.len() * percent / 100];
        Figure { what: "", unit: Unit::Microseconds, value: time.as_secs_f64() * 1e6 }
    })
}

fn rate(what: &'static str, bytes: u32, time: Duration) -> Figure {
    let value = f64::from(bytes) / time.as_secs_f64() / 1e6;
    Figure { what, unit: Unit::MegabytesPerSecond, value }
}

fn print(rounds: &[Round]) {
    println!(
        "| agent to agent, loopback | farhub | usbip crate, tunnelled | ratio | plain | ratio |"
    );
    println!("|---|---:|---:|---:|---:|---:|");
    for (at, figure) in rounds[0][0].iter().enumerate() {
        let lane = |lane: usize| median(rounds.iter().map(|round| round[lane][at].value).collect());
        let [farhub, tunnelled, plain] = [lane(0), lane(1), lane(2)];
        let ratio = |theirs: f64| match figure.unit {
            Unit::Microseconds => theirs / farhub,
            Unit::MegabytesPerSecond => farhub / theirs,
        };
        let unit = match figure.unit {
            Unit::Microseconds => "µs",
            Unit::MegabytesPerSecond => "MB/s",
        };
        let (what, against_tunnelled, against_plain) =
            (figure.what, ratio(tunnelled), ratio(plain));
        println!(
            "| {what} | {farhub:.0} {unit} | {tunnelled:.0} {unit} | {against_tunnelled:.2} \
             | {plain:.0} {unit} | {against_plain:.2} |"
        );
    }
    println!();
    println!("Medians of {} alternating rounds. Above 1 is in farhub's favour.", rounds.len());
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
