//! Measuring the path to a peer: round trips of small blocks, and bytes each way.
//!
//! Over one stream of the connection that the devices use, behind everything that they send. A
//! peer may measure that sees any device of this hub; one measurement at a time and a few a minute,
//! each with a bound in bytes and time, so that nobody fills a line by it.

use crate::core::{Caller, PeerId};
use crate::failure::Failure;
use crate::view::{FailureCode, Measure, Measured};
use crate::{Hub, Inner, links};
use anyhow::{Context, Result};
use link::Duplex;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use wire::bench::{self, BYTES_MAX, ECHO_BYTES, ECHOES_MAX, Received, TIME_MAX};
use wire::{Open, Priority, Refusal};

/// Measurements that a peer may begin in a minute: `farhub bench` three times.
const A_MINUTE: (u32, Duration) = (9, Duration::from_secs(60));
/// From the request to the end, whatever the peer does.
const WHOLE_MAX: Duration = Duration::from_secs(10);
const CHUNK_BYTES: usize = 64 * 1024;

/// Who measures, and how often lately.
#[derive(Debug, Default)]
pub(crate) struct Benches(Mutex<BTreeMap<PeerId, Turns>>);

#[derive(Debug)]
struct Turns {
    running: bool,
    count: u32,
    since: Instant,
}

/// One measurement of a peer; dropping it ends it.
#[derive(Debug)]
struct Turn<'a>(&'a Benches, PeerId);

impl Benches {
    fn begin(&self, peer: PeerId, now: Instant) -> Result<Turn<'_>, Refusal> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let turns = all.entry(peer).or_insert(Turns { running: false, count: 0, since: now });
        if now.duration_since(turns.since) >= A_MINUTE.1 {
            (turns.count, turns.since) = (0, now);
        }
        if turns.running || turns.count >= A_MINUTE.0 {
            return Err(Refusal::Busy);
        }
        (turns.running, turns.count) = (true, turns.count + 1);
        Ok(Turn(self, peer))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut all = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turns) = all.get_mut(&self.1) {
            turns.running = false;
        }
    }
}

/// Serves one measurement to a peer.
pub(crate) async fn serve(
    inner: &Inner,
    peer: PeerId,
    measure: bench::Measure,
    mut duplex: Duplex,
) -> Result<()> {
    let granted = inner.shared.look(|core| {
        let sees_any = core.devices.keys().any(|id| core.role(&peer, id).is_some());
        sees_any || core.manages(Caller::Peer(peer)).is_ok()
    });
    let turn = match granted {
        true => inner.benches.begin(peer, Instant::now()),
        false => Err(Refusal::NotGranted),
    };
    let _turn = match turn {
        Ok(turn) => turn,
        Err(refusal) => {
            inner.audit_refusal(peer, "bench.refused", refusal, "").await?;
            return Ok(duplex.answer(Err(refusal)).await?);
        }
    };
    duplex.answer(Ok(())).await?;
    let Duplex { mut reader, mut writer } = duplex;
    let served = async {
        match measure {
            bench::Measure::Echo => echo(&mut reader, &mut writer).await,
            bench::Measure::Down => send(&mut writer).await,
            bench::Measure::Up => {
                let received = receive(&mut reader).await?;
                // what is still under way is not waited for
                drop(reader);
                writer.write_all(&received.to_bytes()).await?;
                writer.shutdown().await
            }
        }
    };
    Ok(timeout(WHOLE_MAX, served).await.context("a peer that measures too slowly")??)
}

async fn echo(
    reader: &mut (impl AsyncRead + Unpin),
    writer: &mut (impl AsyncWrite + Unpin),
) -> std::io::Result<()> {
    let mut block = [0; ECHO_BYTES];
    for _ in 0..ECHOES_MAX {
        match reader.read_exact(&mut block).await {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(error),
        }
        writer.write_all(&block).await?;
        writer.flush().await?;
    }
    writer.shutdown().await
}

/// Sends until there was enough or the other side has enough.
async fn send(writer: &mut (impl AsyncWrite + Unpin)) -> std::io::Result<()> {
    let chunk = vec![0; CHUNK_BYTES];
    let (began, mut sent) = (Instant::now(), 0);
    while sent < BYTES_MAX && began.elapsed() < TIME_MAX {
        writer.write_all(&chunk).await?;
        sent += CHUNK_BYTES as u64;
    }
    writer.shutdown().await
}

/// Receives until there was enough.
async fn receive(reader: &mut (impl AsyncRead + Unpin)) -> std::io::Result<Received> {
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut bytes = reader.read(&mut chunk).await? as u64;
    let (began, mut last) = (Instant::now(), Duration::ZERO);
    // the first bytes only begin the time: what came with them took none of it
    let first = bytes;
    while bytes > 0 && bytes < BYTES_MAX && last < TIME_MAX {
        let left = TIME_MAX.saturating_sub(began.elapsed());
        match timeout(left, reader.read(&mut chunk)).await {
            Ok(Ok(0)) | Err(_) => break,
            Ok(Ok(more)) => bytes += more as u64,
            Ok(Err(error)) => return Err(error),
        }
        last = began.elapsed();
    }
    Ok(Received { bytes: bytes - first, took: last })
}

impl Hub {
    /// Measures the path to a peer.
    ///
    /// # Errors
    /// When there is no such peer, it cannot be reached, or it does not let us.
    pub async fn bench(
        &self,
        caller: Caller,
        name: &str,
        what: Measure,
    ) -> Result<Measured, Failure> {
        self.0.allowed(caller)?;
        let id = self.0.shared.look(|core| core.peer_named(name))?;
        let connection = self.0.links.latest(&id).ok_or_else(|| unreachable(name, "be reached"))?;
        let measuring = async {
            let mut duplex = links::open(&connection, Priority::Background).await?;
            let measure = match what {
                Measure::Echo => bench::Measure::Echo,
                Measure::Down => bench::Measure::Down,
                Measure::Up => bench::Measure::Up,
            };
            duplex.open(&Open::Bench { measure }).await?;
            let duplex = duplex.answered().await?;
            Ok(measured(what, duplex).await?)
        };
        let measured = match timeout(WHOLE_MAX, measuring).await {
            Ok(Ok(measured)) => measured,
            Ok(Err(link::Error::Refused(refusal))) => return Err(refused(name, refusal)),
            Ok(Err(_)) => return Err(unreachable(name, "be measured: it broke off")),
            Err(_) => return Err(unreachable(name, "be measured: it is too slow")),
        };
        let path = links::selected(&connection).0.map(|path| self.0.complete_path(&id, path));
        Ok(Measured { path, ..measured })
    }
}

async fn measured(what: Measure, duplex: Duplex) -> std::io::Result<Measured> {
    let Duplex { mut reader, mut writer } = duplex;
    match what {
        Measure::Echo => round_trips(&mut reader, &mut writer).await,
        Measure::Down => Ok(throughput(what, receive(&mut reader).await?)),
        Measure::Up => {
            let mut received = [0; 16];
            let answer = reader.read_exact(&mut received);
            tokio::pin!(answer);
            // the answer comes while we are still sending
            let ended = tokio::select! {
                biased;
                ended = &mut answer => Some(ended),
                _ = send(&mut writer) => None,
            };
            match ended {
                Some(ended) => ended?,
                None => answer.await?,
            };
            Ok(throughput(what, Received::from_bytes(received)))
        }
    }
}

fn throughput(what: Measure, received: Received) -> Measured {
    let seconds = received.took.as_secs_f64();
    let bytes_per_s = (seconds > 0.0).then(|| received.bytes as f64 / seconds);
    Measured {
        what,
        path: None,
        seconds,
        count: received.bytes,
        p50_us: None,
        p99_us: None,
        bytes_per_s,
    }
}

async fn round_trips(
    reader: &mut (impl AsyncRead + Unpin),
    writer: &mut (impl AsyncWrite + Unpin),
) -> std::io::Result<Measured> {
    let (mut block, mut trips) = ([0; ECHO_BYTES], Vec::new());
    let began = Instant::now();
    while trips.len() < ECHOES_MAX as usize && began.elapsed() < TIME_MAX {
        let sent = Instant::now();
        writer.write_all(&[trips.len() as u8; ECHO_BYTES]).await?;
        writer.flush().await?;
        reader.read_exact(&mut block).await?;
        if block != [trips.len() as u8; ECHO_BYTES] {
            return Err(std::io::Error::other("another block came back"));
        }
        trips.push(sent.elapsed());
    }
    let seconds = began.elapsed().as_secs_f64();
    trips.sort_unstable();
    let share = |percent: usize| {
        let at = (trips.len() * percent / 100).min(trips.len().saturating_sub(1));
        trips.get(at).map(|trip| trip.as_secs_f64() * 1e6)
    };
    Ok(Measured {
        what: Measure::Echo,
        path: None,
        seconds,
        count: trips.len() as u64,
        p50_us: share(50),
        p99_us: share(99),
        bytes_per_s: None,
    })
}

fn refused(name: &str, refusal: Refusal) -> Failure {
    match refusal {
        Refusal::Busy => {
            let message = format!("{name} has been measured often enough for now");
            Failure::new(FailureCode::Conflict, message).hint("try again in a minute")
        }
        refusal => Failure::refused(format!("{name} does not let its path be measured: {refusal}"))
            .hint(format!("on {name}: share a device, and farhub grant it to this hub")),
    }
}

fn unreachable(name: &str, what: &str) -> Failure {
    Failure::new(FailureCode::Unreachable, format!("{name} cannot {what}"))
        .hint(format!("see why: farhub path {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use iroh::SecretKey;

    fn peer(byte: u8) -> PeerId {
        SecretKey::from_bytes(&[byte; 32]).public()
    }

    #[test]
    fn one_at_a_time_and_a_few_a_minute() {
        let (benches, now) = (Benches::default(), Instant::now());
        let turn = benches.begin(peer(1), now).unwrap();
        assert_eq!(benches.begin(peer(1), now).unwrap_err(), Refusal::Busy);
        assert!(benches.begin(peer(2), now).is_ok(), "peers do not wait for each other");
        drop(turn);
        for _ in 1..A_MINUTE.0 {
            drop(benches.begin(peer(1), now).unwrap());
        }
        let soon = now + A_MINUTE.1 - Duration::from_millis(1);
        assert_eq!(benches.begin(peer(1), soon).unwrap_err(), Refusal::Busy);
        assert!(benches.begin(peer(1), now + A_MINUTE.1).is_ok());
    }

    #[tokio::test]
    async fn both_ends_over_a_pipe() {
        let (here, there) = Duplex::pipe(1 << 16);
        let Duplex { mut reader, mut writer } = there;
        let echo = tokio::spawn(async move { echo(&mut reader, &mut writer).await });
        let trips = measured(Measure::Echo, here).await.unwrap();
        assert_eq!(trips.count, u64::from(ECHOES_MAX));
        assert!(trips.p50_us.unwrap() <= trips.p99_us.unwrap());
        echo.await.unwrap().unwrap();

        let (here, there) = Duplex::pipe(1 << 16);
        let Duplex { mut writer, .. } = there;
        let sending = tokio::spawn(async move { send(&mut writer).await });
        let down = measured(Measure::Down, here).await.unwrap();
        assert!(down.count <= BYTES_MAX && down.bytes_per_s.unwrap() > 0.0);
        sending.await.unwrap().ok();

        let (here, there) = Duplex::pipe(1 << 16);
        let Duplex { mut reader, mut writer } = there;
        let receiving = tokio::spawn(async move {
            let received = receive(&mut reader).await?;
            writer.write_all(&received.to_bytes()).await
        });
        let up = measured(Measure::Up, here).await.unwrap();
        assert!(up.count > 0 && up.bytes_per_s.unwrap() > 0.0);
        receiving.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn what_comes_back_is_what_was_sent() {
        let (here, there) = Duplex::pipe(1 << 16);
        let Duplex { mut reader, mut writer } = there;
        tokio::spawn(async move {
            let mut block = [0; ECHO_BYTES];
            reader.read_exact(&mut block).await.unwrap();
            writer.write_all(&[7; ECHO_BYTES]).await.unwrap();
        });
        assert!(measured(Measure::Echo, here).await.is_err());
    }
}
