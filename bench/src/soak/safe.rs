//! SAFE on the real way: fuzzed lines through a pty, two hubs and another pty to machines that
//! nobody has armed. Their own record says whether the beam was ever on.

use super::door::{self, Reader, Writer};
use super::fuzz::{Dialect, Dice, Fuzz};
use crate::serial::hubs::Hubs;
use anyhow::{Result, ensure};
use hub::Caller;
use hub::view::{Doors, MachineSettings};
use sim::machine::{Board, Port, Simulated, grbl, marlin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const DIALECTS: [Dialect; 3] = [Dialect::Grbl, Dialect::GrblHal, Dialect::Marlin];
/// Of each.
const LINES: u32 = 7_000;
/// Between two unlockings.
const RECOVER_LINES: u32 = 40;
/// A board that is locked, or has lost a line, answers never.
const PATIENCE: Duration = Duration::from_millis(150);

pub(super) async fn run() -> Result<()> {
    let machines = [
        Simulated::laser(1, grbl::Options::default(), Port::default())?,
        Simulated::laser(2, grbl::Options::grbl_hal(), Port::default())?,
        Simulated::printer(3, marlin::Options::default(), Port::default())?,
    ]
    .map(Arc::new);
    let hubs = Hubs::start(vec![], machines.to_vec()).await?;
    let files = tempfile::TempDir::new()?;
    let seed = std::env::var("FARHUB_SOAK_SEED").map_or(Ok(1), |text| text.parse())?;
    let mut under_way = Vec::new();
    for (number, dialect) in DIALECTS.into_iter().enumerate() {
        let machine = machines[number].clone();
        let name = format!("port{number}");
        let profile = Some(machine.profile);
        let settings = MachineSettings { profile, arming: true, ..MachineSettings::default() };
        hubs.garage.set_machine(Caller::Local, &name, settings).await?;
        let link = files.path().join(&name).display().to_string();
        let doors = Doors { pty: Some(link), ..Doors::default() };
        let place = hubs.attach(number, doors).await?;
        under_way.push(tokio::task::spawn_blocking(move || {
            send(&machine, dialect, seed, door::open(&place)?)
        }));
    }
    for one in under_way {
        println!("{}", one.await??);
    }
    for (number, dialect) in DIALECTS.into_iter().enumerate() {
        let machine = hubs.garage.watched_machine(Caller::Local, &format!("port{number}"))?;
        let state = machine.state();
        let refused = state.counters.refused_lines;
        println!("{dialect:?}: {refused} refused, {} bytes dropped", state.counters.dropped);
        ensure!(refused > 0, "nothing was refused: it was not SAFE");
    }
    hubs.stop().await;
    Ok(())
}

/// Answers are counted by a thread of their own.
fn send(
    machine: &Simulated,
    dialect: Dialect,
    seed: u64,
    (mut reader, mut writer): (Reader, Writer),
) -> Result<String> {
    let answered = Arc::new(AtomicBool::new(false));
    let heard = answered.clone();
    thread::spawn(move || {
        let mut said = Vec::new();
        while reader.read(&mut said).is_ok() {
            if said.contains(&b'k') || said.windows(5).any(|word| word == b"error") {
                heard.store(true, Ordering::Relaxed);
            }
            said.clear();
        }
    });
    let (mut dice, mut fuzz) = (Dice::new(seed), Fuzz::new(dialect, true));
    for number in 0..LINES {
        if number % RECOVER_LINES == 0 {
            let is_killed = machine.pty().with(|board, now| match board {
                Board::Marlin(marlin) if marlin.is_killed() => {
                    board.boot(now);
                    true
                }
                _ => false,
            });
            if is_killed {
                fuzz.booted();
            }
            writer.write(fuzz.unlock())?;
        }
        answered.store(false, Ordering::Relaxed);
        let line = fuzz.line(&mut dice);
        let cut = dice.below(line.len() as u64 + 1) as usize;
        writer.write(&line[..cut])?;
        writer.write(&line[cut..])?;
        let began = Instant::now();
        let waits = dice.one_in(2);
        while waits && !answered.load(Ordering::Relaxed) && began.elapsed() < PATIENCE {
            thread::sleep(Duration::from_micros(200));
        }
        if number % 2000 == 1999 {
            eprintln!("{dialect:?}: {} lines", number + 1);
        }
        let power = machine.pty().truth().beam_power();
        ensure!(
            power == 0.0,
            "{dialect:?}, seed {seed}: the beam is on by line {number}: {line:?}"
        );
    }
    let truth = machine.pty().truth();
    let on = truth.beam().find(|change| change.power > 0.0);
    ensure!(on.is_none(), "{dialect:?}, seed {seed}: the beam was on: {on:?}");
    Ok(format!("{dialect:?}: {LINES} lines, {} carried out, beam never on", truth.lines))
}
