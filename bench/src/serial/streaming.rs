//! Lines of a raster that a laser gets from a program at a distance: one at a time, as many as its
//! buffer holds, and handed over as a job. The distance is put between the program and its way in;
//! to a job it makes no difference, so that is measured once.

use super::SILENCE_MAX;
use super::hubs::Hubs;
use anyhow::{Context, Result, bail, ensure};
use data_encoding::HEXLOWER;
use hub::Caller;
use hub::view::{Doors, JobAct, JobState, NewJob, OnLoss};
use sha2::{Digest, Sha256};
use sim::machine::{Port, Simulated, grbl};
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};
use tokio::task::spawn_blocking;

const RTTS_MS: [u64; 3] = [0, 10, 50];
const LASTS: Duration = Duration::from_secs(5);
/// 20 bytes each: 576 lines in a second at 115200 baud. Each is done sooner than the next is there,
/// once the head is at its speed.
const LINES: [&str; 2] = ["G1X000.05F9000S0500\n", "G1X-00.05F9000S0400\n"];
/// Lines in one direction, as of a raster.
const ROW: usize = 1000;
const JOB_LINES: usize = 4000;
/// GRBL's receive buffer, less what its own code takes of it.
const WINDOW_BYTES: usize = 127;

pub(super) async fn run() -> Result<()> {
    let laser = Arc::new(Simulated::laser(1, grbl::Options::default(), Port::default())?);
    let hubs = Hubs::start(vec![], vec![laser]).await?;
    let doors = Doors { tcp: Some((Ipv4Addr::LOCALHOST, 0).into()), ..Doors::default() };
    let place = hubs.attach(0, doors).await?;
    let address: SocketAddr = place.trim_start_matches("tcp://").parse()?;
    println!("| a laser at 115200 baud, lines of 20 bytes | RTT 0 | 10 ms | 50 ms |");
    println!("|---|---:|---:|---:|");
    for (name, window) in [("one line at a time", 1), ("what its buffer holds", WINDOW_BYTES)] {
        let mut cells = Vec::new();
        for rtt_ms in RTTS_MS {
            let door = distant(address, Duration::from_millis(rtt_ms) / 2)?;
            let rate = spawn_blocking(move || stream(door, window)).await??;
            cells.push(format!("{rate:.0}/s"));
        }
        println!("| {name} | {} |", cells.join(" | "));
    }
    // whoever has it attached uses it
    hubs.office.detach(Caller::Local, &Hubs::address(0)?).await?;
    let machine = hubs.garage.watched_machine(Caller::Local, "port0")?;
    let free = async { machine.news().wait_for(|state| state.user.is_none()).await.map(drop) };
    tokio::time::timeout(SILENCE_MAX, free).await??;
    let rate = job(&hubs).await?;
    println!("| a job that its hub runs | {rate:.0}/s | {rate:.0}/s | {rate:.0}/s |");
    println!();
    hubs.stop().await;
    Ok(())
}

/// The lines, in their order, for ever.
fn lines() -> impl Iterator<Item = &'static str> {
    LINES.into_iter().flat_map(|line| std::iter::repeat_n(line, ROW)).cycle()
}

/// Lines in a second, from when the job is started until the machine has taken them all.
async fn job(hubs: &Hubs) -> Result<f64> {
    let hub = &hubs.garage;
    let program: String =
        ["G91M4\n"].into_iter().chain(lines().take(JOB_LINES)).chain(["M5\n"]).collect();
    let new = NewJob {
        name: "raster".into(),
        bytes: program.len() as u64,
        sha256: HEXLOWER.encode(&Sha256::digest(&program)),
        on_loss: OnLoss::Continue,
    };
    let device = Hubs::address(0)?.device.to_string();
    let id = hub.new_job(Caller::Local, &device, new).await?.id;
    let mut changes = hub.changes();
    hub.job_content(Caller::Local, (&device, id), 0, program.into()).await?;
    hub.job_act(Caller::Local, (&device, id), JobAct::Start).await?;
    let began = Instant::now();
    loop {
        let job = hub.job(Caller::Local, &device, id)?;
        match job.state {
            JobState::Done => return Ok(JOB_LINES as f64 / began.elapsed().as_secs_f64()),
            state if state.is_under_way() => changes.changed().await?,
            state => bail!("the job is {state:?}: {:?}", job.problem),
        }
    }
}

/// Lines in a second.
fn stream(door: SocketAddr, window: usize) -> Result<f64> {
    let mut program = TcpStream::connect(door)?;
    program.set_nodelay(true)?;
    program.set_read_timeout(Some(SILENCE_MAX))?;
    let mut hears = BufReader::new(program.try_clone()?);
    let mut answer = move || -> Result<String> {
        let mut line = String::new();
        ensure!(hears.read_line(&mut line)? > 0, "closed");
        ensure!(!line.starts_with("ALARM"), "the machine was stopped: {line}");
        Ok(line.trim().to_owned())
    };
    program.write_all(b"$X\nG91M4\n")?;
    for _ in 0..2 {
        while answer()? != "ok" {}
    }
    let began = Instant::now();
    let (mut under_way, mut bytes, mut done) = (VecDeque::new(), 0, 0u32);
    let mut lines = lines();
    while began.elapsed() < LASTS {
        let line = lines.next().context("a cycle has no end")?;
        while bytes > 0 && bytes + line.len() > window {
            let said = answer()?;
            ensure!(said == "ok", "said {said:?}");
            bytes -= under_way.pop_front().context("an answer to nothing")?;
            done += 1;
        }
        program.write_all(line.as_bytes())?;
        under_way.push_back(line.len());
        bytes += line.len();
    }
    let rate = f64::from(done) / began.elapsed().as_secs_f64();
    // who leaves with the beam on leaves a machine that is stopped
    program.write_all(b"M5\n")?;
    for _ in 0..=under_way.len() {
        let said = answer()?;
        ensure!(said == "ok", "said {said:?}");
    }
    Ok(rate)
}

/// The same port, further away: for one program.
fn distant(address: SocketAddr, one_way: Duration) -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let place = listener.local_addr()?;
    std::thread::spawn(move || -> Result<()> {
        let near = listener.accept()?.0;
        let far = TcpStream::connect(address)?;
        near.set_nodelay(true)?;
        far.set_nodelay(true)?;
        carry(near.try_clone()?, far.try_clone()?, one_way);
        carry(far, near, one_way);
        Ok(())
    });
    Ok(place)
}

fn carry(mut from: TcpStream, mut to: TcpStream, one_way: Duration) {
    let (tx, rx) = mpsc::sync_channel::<(Instant, Vec<u8>)>(4096);
    std::thread::spawn(move || {
        let mut some = [0; 4096];
        while let Ok(count @ 1..) = std::io::Read::read(&mut from, &mut some) {
            if tx.send((Instant::now() + one_way, some[..count].to_vec())).is_err() {
                return;
            }
        }
    });
    std::thread::spawn(move || {
        for (due, bytes) in rx {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&bytes).is_err() {
                return;
            }
        }
        let _ = to.shutdown(std::net::Shutdown::Both);
    });
}
