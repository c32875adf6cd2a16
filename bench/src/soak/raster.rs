//! A raster on a simulated GRBL as a job of its hub, with nobody else there: how many lines it gets
//! of those that its cable can carry.

use crate::serial::SILENCE_MAX;
use crate::serial::hubs::Hubs;
use anyhow::{Context, Result, ensure};
use hub::Caller;
use hub::view::{JobAct, JobState, MachineSettings, NewJob};
use sha2::{Digest, Sha256};
use sim::machine::{Port, Simulated, grbl};
use std::sync::Arc;
use std::time::{Duration, Instant};
use wire::serial::LineCoding;

/// Seconds that each rate would take at the rate of the cable.
const LASTS_S: usize = 40;
const BAUD_RATES: [u32; 3] = [115_200, 250_000, 1_000_000];
const LINE_BYTES: usize = 20;
const CHUNK_BYTES: usize = 256 << 10;

pub(super) async fn run() -> Result<()> {
    for baud_rate in BAUD_RATES {
        println!("{}", at(baud_rate).await?);
    }
    Ok(())
}

async fn at(baud_rate: u32) -> Result<String> {
    let coding = LineCoding { baud_rate, ..LineCoding::default() };
    // fast enough for the cable to be what limits it
    let settings = vec![(110, 60_000.0), (120, 50_000.0)];
    let options = grbl::Options { settings, ..grbl::Options::default() };
    let port = Port { coding, ..Port::default() };
    let laser = Arc::new(Simulated::laser(1, options, port)?);
    let hubs = Hubs::start(vec![], vec![laser.clone()]).await?;
    let (garage, profile) = (&hubs.garage, Some(laser.profile));
    let settings = MachineSettings { profile, coding, ..MachineSettings::default() };
    garage.set_machine(Caller::Local, "port0", settings).await?;
    let lines = coding.baud_rate as usize / 10 * LASTS_S / LINE_BYTES;
    let program = raster(lines);
    let id = upload(&hubs, &program).await?;
    // the other hub is gone: nobody watches
    hubs.office.stop().await;
    started(&hubs, id).await?;
    let before = laser.pty().truth().lines;
    let began = Instant::now();
    let mut said = 0;
    let job = loop {
        let job = garage.job(Caller::Local, "port0", id)?;
        if !job.state.is_under_way() {
            break job;
        }
        let tenths = job.line as usize * 4 / lines;
        if tenths > said {
            said = tenths;
            eprintln!("{baud_rate} baud: {} of {lines} lines", job.line);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let took = began.elapsed().as_secs_f64();
    ensure!(job.state == JobState::Done, "{:?}: {:?}", job.state, job.problem);
    let truth = laser.pty().truth();
    ensure!(truth.rx_dropped == 0, "{} bytes did not fit", truth.rx_dropped);
    ensure!(truth.rx_peak <= 127, "{} bytes in a buffer of 128", truth.rx_peak);
    let model = program.len() as f64 * coding.byte_time().as_secs_f64();
    hubs.stop().await;
    Ok(format!(
        "{baud_rate} baud: {} lines in {took:.1} s, {:.1} % of what the cable carries, \
         at most {} bytes in the controller",
        truth.lines - before,
        100.0 * model / took,
        truth.rx_peak,
    ))
}

/// Short moves with power, 20 bytes each, that no planner has to wait for.
fn raster(lines: usize) -> Vec<u8> {
    let mut program = b"G21 G91\nM4 S0 F60000\n".to_vec();
    for number in 0..lines {
        let sign = if number % 200 < 100 { "" } else { "-" };
        let width = LINE_BYTES - b"G1X0.0100S\n".len() - sign.len();
        let line = format!("G1X{sign}0.0100S{:0width$}\n", number % 1000);
        program.extend_from_slice(line.as_bytes());
    }
    program.extend_from_slice(b"M5\n");
    program
}

async fn upload(hubs: &Hubs, program: &[u8]) -> Result<u32> {
    let sha256 = Sha256::digest(program).iter().map(|byte| format!("{byte:02x}")).collect();
    let (name, bytes) = ("raster".into(), program.len() as u64);
    let new = NewJob { name, bytes, sha256, on_loss: Default::default() };
    let id = hubs.garage.new_job(Caller::Local, "port0", new).await?.id;
    let mut offset = 0;
    for chunk in program.chunks(CHUNK_BYTES) {
        let bytes = bytes::Bytes::copy_from_slice(chunk);
        hubs.garage.job_content(Caller::Local, ("port0", id), offset, bytes).await?;
        offset += chunk.len() as u64;
    }
    Ok(id)
}

/// Once it has been looked through, and the machine has said what it is.
async fn started(hubs: &Hubs, id: u32) -> Result<()> {
    let began = Instant::now();
    loop {
        let job = hubs.garage.job(Caller::Local, "port0", id)?;
        if job.state == JobState::Checked {
            match hubs.garage.job_act(Caller::Local, ("port0", id), JobAct::Start).await {
                Ok(_) => return Ok(()),
                Err(error) if began.elapsed() > SILENCE_MAX => return Err(error).context("start"),
                Err(_) => {}
            }
        }
        ensure!(began.elapsed() < SILENCE_MAX, "it is {:?}: {:?}", job.state, job.problem);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
