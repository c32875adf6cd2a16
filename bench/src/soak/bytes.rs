//! Bytes are sacred: a loop-back plug returns what was sent, through every door, whatever the
//! bytes are, however they are cut, and in both directions at once at full speed.

use super::door::{self, Reader, Writer};
use super::fuzz::Dice;
use crate::serial::hubs::Hubs;
use anyhow::{Context, Result, ensure};
use hub::view::Doors;
use sim::machine::Echo;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

const VOLUME_BYTES: usize = 100_000_000;
const UNDER_WAY_BYTES_MAX: usize = 1 << 20;
const PROGRESS_BYTES: usize = 25_000_000;
/// Beyond what any buffer on the way is cut by.
const CHUNK_BYTES_MAX: usize = 300;
/// 2 Mbaud: 200 kB in a second, in each direction.
const PACE_BYTES: usize = 2000;
const PACE: Duration = Duration::from_millis(10);
const PACED: Duration = Duration::from_secs(60);

type Open = (&'static str, Reader, Writer);

/// 100 MB of random bytes, there and back.
pub(super) async fn volume() -> Result<()> {
    each_door(|(name, mut reader, mut writer)| {
        let seed = Dice::new(name.len() as u64);
        let mut sends = seed.clone();
        let began = Instant::now();
        // a program that is 4 MiB behind its port is cut off
        let (back, returned) = mpsc::channel();
        let sender = thread::spawn(move || -> Result<()> {
            let (mut chunk, mut sent, mut under_way) = (vec![0; 64 << 10], 0, 0);
            while sent < VOLUME_BYTES {
                while under_way > UNDER_WAY_BYTES_MAX {
                    under_way -= returned.recv()?;
                }
                let count = (1 + sends.below(8192) as usize) * 8;
                let count = count.min(VOLUME_BYTES - sent);
                fill(&mut chunk[..count], &mut sends);
                writer.write(&chunk[..count])?;
                sent += count;
                under_way += count;
            }
            Ok(())
        });
        // the same dice say what is to come
        let (mut expects, mut expected, mut came) = (seed, vec![0; 64 << 10], Vec::new());
        let mut total = 0;
        while total < VOLUME_BYTES {
            let count = (1 + expects.below(8192) as usize) * 8;
            let count = count.min(VOLUME_BYTES - total);
            fill(&mut expected[..count], &mut expects);
            while came.len() < count {
                reader.read(&mut came).with_context(|| format!("after {total} bytes"))?;
            }
            ensure!(came[..count] == expected[..count], "other bytes came back after {total}");
            came.drain(..count);
            // at the end nobody waits for it
            let _ = back.send(count);
            if total / PROGRESS_BYTES != (total + count) / PROGRESS_BYTES {
                eprintln!("{name}: {} MB", (total + count) / 1_000_000);
            }
            total += count;
        }
        sender.join().expect("it does not panic")?;
        let rate = total as f64 / began.elapsed().as_secs_f64() / 1e6;
        Ok(format!("{name} {} MB both ways at {rate:.1} MB/s", total / 1_000_000))
    })
    .await
}

/// All values at both ends of chunks of every length, each alone on its way.
pub(super) async fn chunks() -> Result<()> {
    each_door(|(name, mut reader, mut writer)| {
        let (mut came, mut sent) = (Vec::new(), 0);
        for length in 1..=CHUNK_BYTES_MAX {
            for value in 0..=255_u8 {
                let mut chunk: Vec<u8> =
                    (0..length).map(|at| value.wrapping_add(at as u8)).collect();
                chunk[length - 1] = if length > 1 { !value } else { value };
                writer.write(&chunk)?;
                came.clear();
                while came.len() < length {
                    reader.read(&mut came)?;
                }
                ensure!(
                    came == chunk,
                    "{name}: {length} bytes from {value} on came back as others"
                );
                sent += length;
            }
            if length % 100 == 0 {
                eprintln!("{name}: chunks of {length}");
            }
        }
        Ok(format!("{name} {} chunks, {:.1} MB", 256 * CHUNK_BYTES_MAX, sent as f64 / 1e6))
    })
    .await
}

/// As fast as a port of 2 Mbaud, in both directions at once.
pub(super) async fn full_duplex() -> Result<()> {
    each_door(|(name, mut reader, mut writer)| {
        let rounds = (PACED.as_micros() / PACE.as_micros()) as usize;
        let mut sends = Dice::new(9);
        let mut expects = sends.clone();
        let began = Instant::now();
        let sender = thread::spawn(move || -> Result<Duration> {
            let (mut chunk, mut late) = ([0; PACE_BYTES], Duration::ZERO);
            for round in 0..rounds {
                fill(&mut chunk, &mut sends);
                writer.write(&chunk)?;
                let next = PACE * (round as u32 + 1);
                late = late.max(began.elapsed().saturating_sub(next));
                thread::sleep(next.saturating_sub(began.elapsed()));
            }
            Ok(late)
        });
        let (mut expected, mut came, mut longest) = ([0; PACE_BYTES], Vec::new(), Duration::ZERO);
        for round in 0..rounds {
            fill(&mut expected, &mut expects);
            while came.len() < PACE_BYTES {
                reader.read(&mut came).with_context(|| format!("round {round}"))?;
            }
            ensure!(came[..PACE_BYTES] == expected, "{name}: other bytes in round {round}");
            came.drain(..PACE_BYTES);
            longest = longest.max(began.elapsed().saturating_sub(PACE * round as u32));
        }
        let late = sender.join().expect("it does not panic")?;
        Ok(format!(
            "{name} {:.1} MB in {:.1} s, all back, longest on its way {} ms (writer late by {} ms)",
            (rounds * PACE_BYTES) as f64 / 1e6,
            began.elapsed().as_secs_f64(),
            longest.as_millis(),
            late.as_millis(),
        ))
    })
    .await
}

fn fill(bytes: &mut [u8], dice: &mut Dice) {
    for chunk in bytes.chunks_mut(8) {
        chunk.copy_from_slice(&dice.next().to_le_bytes()[..chunk.len()]);
    }
}

/// The same through the pty, TCP and RFC 2217, one after the other.
async fn each_door(run: fn(Open) -> Result<String>) -> Result<()> {
    let echoes: Vec<Echo> = (0..3).map(|_| Echo::start()).collect::<std::io::Result<_>>()?;
    let files = tempfile::TempDir::new()?;
    let hubs =
        Hubs::start(echoes.iter().map(|echo| echo.path().to_owned()).collect(), vec![]).await?;
    let anywhere = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    let link = files.path().join("port").display().to_string();
    let doors = [
        ("pty", Doors { pty: Some(link), ..Doors::default() }),
        ("TCP", Doors { tcp: anywhere, ..Doors::default() }),
        ("RFC 2217", Doors { rfc2217: anywhere, ..Doors::default() }),
    ];
    for (number, (name, doors)) in doors.into_iter().enumerate() {
        let place = hubs.attach(number, doors).await?;
        let done = tokio::task::spawn_blocking(move || {
            let (reader, writer) = door::open(&place)?;
            run((name, reader, writer))
        });
        println!("{}", done.await?.with_context(|| name.to_owned())?);
    }
    hubs.stop().await;
    Ok(())
}
