//! How soon a stop is out: a simulated laser at 115200 baud whose program has queued far more than
//! 64 KiB, while another port floods the same connection both ways.

use super::hubs::Hubs;
use super::{BYTE, SILENCE_MAX};
use anyhow::{Context, Result, ensure};
use hub::Caller;
use hub::view::Doors;
use sim::machine::{Echo, Port, Simulated, grbl};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::task::spawn_blocking;

pub(crate) const STOPS: usize = 50;
/// In the program's socket and both hubs.
const QUEUED_BYTES: usize = 256 << 10;

/// Prints the times of so many stops.
pub(crate) async fn run(stops: usize) -> Result<()> {
    let echo = Echo::start()?;
    let laser = Simulated::laser(1, grbl::Options::default(), Port::default())?;
    let laser = Arc::new(laser);
    let hubs = Hubs::start(vec![echo.path().to_owned()], vec![laser.clone()]).await?;
    let tcp = || Doors { tcp: Some((Ipv4Addr::LOCALHOST, 0).into()), ..Doors::default() };
    let flood = Flood::start(connect(&hubs.attach(0, tcp()).await?)?)?;
    let program = connect(&hubs.attach(1, tcp()).await?)?;
    let began = Instant::now();
    let (mut at_hub, mut heard, mut end_to_end) = (vec![], vec![], vec![]);
    for number in 1..=stops {
        if number % 100 == 0 {
            eprintln!("stop {number} of {stops}");
        }
        let (mut reads, mut writes) = (program.try_clone()?, program.try_clone()?);
        spawn_blocking(move || begin(&mut reads)).await??;
        let sends = spawn_blocking(move || writes.write_all(&lines()));
        sent(&hubs, 4000).await?;
        let asked = Instant::now();
        let stopped = hubs.office.stop_machine(Caller::Local, &Hubs::address(1)?).await?;
        end_to_end.push(asked.elapsed());
        let since = laser.pty().now();
        let report = stopped.report.context("it was not reached")?;
        ensure!(report.confirmed, "not confirmed");
        at_hub.push(Duration::from_micros(report.left_after_us.context("nothing left")?.into()));
        heard.push(f64::from(stopped.left_ms.context("nothing was heard")?));
        sends.await??;
        ensure!(laser.pty().truth().program_bytes_after(since) == 0, "program bytes after a stop");
    }
    let rate = flood.bytes.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64() / 1e6;
    flood.is_over.store(true, Ordering::Relaxed);
    println!("{stops} stops, {QUEUED_BYTES} bytes queued, {rate:.0} MB/s on the same connection:");
    println!();
    println!("| | p50 | p99 | longest |");
    println!("|---|---:|---:|---:|");
    let heard = heard.into_iter().map(|ms| Duration::from_secs_f64(ms / 1e3)).collect();
    for (what, times) in [
        ("the first byte is out, from when the hub heard", at_hub),
        ("who stopped has heard that it is out", heard),
        ("it stands, confirmed", end_to_end),
    ] {
        let longest = times.iter().max().copied().unwrap_or_default();
        let [p50, p99] = crate::percentiles(times).map(|figure| figure.value / 1e3);
        println!("| {what} | {p50:.2} ms | {p99:.2} ms | {:.2} ms |", longest.as_secs_f64() * 1e3);
    }
    let path = hubs.office.state(Caller::Local).attachments;
    let tested = path.iter().filter_map(|one| one.stop_path_ms).max();
    println!();
    println!("Program bytes after the stop: none. The stop path's own test: {tested:?} ms.");
    println!();
    hubs.stop().await;
    Ok(())
}

/// Unlocks the machine.
fn begin(program: &mut TcpStream) -> Result<()> {
    // what is still said of lines before the stop is passed over
    let mut some = [0; 4096];
    for text in ["\x18", "$X\n", "G91\n"] {
        let wanted = if text == "\x18" { "Grbl" } else { "ok" };
        program.write_all(text.as_bytes())?;
        let mut heard = String::new();
        while !heard.contains(wanted) {
            let count = program.read(&mut some).with_context(|| format!("{text:?} {heard:?}"))?;
            ensure!(count > 0, "closed after {heard:?}");
            heard.push_str(&String::from_utf8_lossy(&some[..count]));
        }
    }
    Ok(())
}

fn lines() -> Vec<u8> {
    let line = b"G1 X1 Y1 F6000 S500\nG1 X-1 Y-1\n";
    line.repeat(QUEUED_BYTES / line.len())
}

/// Waits until so many more bytes have left.
async fn sent(hubs: &Hubs, bytes: u64) -> Result<()> {
    let machine = hubs.garage.watched_machine(Caller::Local, "port1")?;
    let mut states = machine.look();
    let until = states.borrow().counters.sent + bytes;
    let reached = states.wait_for(|state| state.counters.sent >= until);
    tokio::time::timeout(SILENCE_MAX, reached).await.context("nothing is sent")??;
    Ok(())
}

fn connect(place: &str) -> Result<TcpStream> {
    let address: SocketAddr = place.trim_start_matches("tcp://").parse()?;
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(SILENCE_MAX))?;
    Ok(stream)
}

/// Fills the connection in both directions.
struct Flood {
    is_over: Arc<AtomicBool>,
    bytes: Arc<AtomicU64>,
}

impl Flood {
    fn start(port: TcpStream) -> Result<Self> {
        let flood = Self { is_over: Arc::default(), bytes: Arc::default() };
        let (mut reads, mut writes) = (port.try_clone()?, port);
        let (is_over, bytes) = (flood.is_over.clone(), flood.bytes.clone());
        std::thread::spawn(move || {
            let mut some = [0; 64 << 10];
            while let Ok(count @ 1..) = reads.read(&mut some) {
                bytes.fetch_add(2 * count as u64, Ordering::Relaxed);
            }
        });
        std::thread::spawn(move || {
            let chunk = [BYTE; 16 << 10];
            while !is_over.load(Ordering::Relaxed) && writes.write_all(&chunk).is_ok() {}
        });
        Ok(flood)
    }
}
