//! What goes over one stream: round trips of small blocks, and bytes each way. As between hubs
//! (`hub::benching`), with the same bounds, for the two peers that have no such thing.

use crate::{Figure, Unit, percentiles};
use anyhow::Result;
use link::Duplex;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use wire::bench::{BYTES_MAX, ECHO_BYTES, ECHOES_MAX, Received, TIME_MAX};

const ECHO: u8 = b'e';
const DOWN: u8 = b'd';
const UP: u8 = b'u';
const CHUNK_BYTES: usize = 64 << 10;

/// The serving side of a stream.
pub(super) async fn answer(mut stream: Duplex) -> Result<()> {
    match stream.reader.read_u8().await? {
        ECHO => {
            let mut block = [0; ECHO_BYTES];
            while stream.reader.read_exact(&mut block).await.is_ok() {
                stream.writer.write_all(&block).await?;
                stream.writer.flush().await?;
            }
        }
        DOWN => flood(&mut stream).await?,
        _ => {
            let received = receive(&mut stream).await?;
            stream.writer.write_all(&received.to_bytes()).await?;
            stream.writer.shutdown().await?;
        }
    }
    Ok(())
}

/// Everything that is measured, each over a stream of its own.
pub(super) async fn measure<F: Future<Output = Result<Duplex>>>(
    open: impl Fn() -> F,
) -> Result<Vec<Figure>> {
    let mut figures = Vec::from(percentiles(round_trips(begin(open().await?, ECHO).await?).await?));

    let mut stream = begin(open().await?, DOWN).await?;
    figures.push(throughput(receive(&mut stream).await?));

    let Duplex { mut reader, writer } = begin(open().await?, UP).await?;
    let mut sending = Duplex { reader: Box::new(tokio::io::empty()), writer };
    let mut received = [0; 16];
    let told = reader.read_exact(&mut received);
    tokio::pin!(told);
    // the answer comes while we are still sending
    let told_early = tokio::select! {
        biased;
        told = &mut told => Some(told),
        _ = flood(&mut sending) => None,
    };
    match told_early {
        Some(told) => told?,
        None => told.await?,
    };
    figures.push(throughput(Received::from_bytes(received)));
    Ok(figures)
}

async fn begin(mut stream: Duplex, what: u8) -> Result<Duplex> {
    stream.writer.write_u8(what).await?;
    stream.writer.flush().await?;
    Ok(stream)
}

async fn round_trips(mut stream: Duplex) -> Result<Vec<Duration>> {
    let (began, mut times) = (Instant::now(), Vec::new());
    let mut block = [7; ECHO_BYTES];
    while times.len() < ECHOES_MAX as usize && began.elapsed() < TIME_MAX {
        let sent = Instant::now();
        stream.writer.write_all(&block).await?;
        stream.writer.flush().await?;
        stream.reader.read_exact(&mut block).await?;
        times.push(sent.elapsed());
    }
    Ok(times)
}

/// Sends until there was enough.
async fn flood(stream: &mut Duplex) -> Result<()> {
    let chunk = vec![0; CHUNK_BYTES];
    let (began, mut sent) = (Instant::now(), 0);
    while sent < BYTES_MAX && began.elapsed() < TIME_MAX {
        stream.writer.write_all(&chunk).await?;
        sent += CHUNK_BYTES as u64;
    }
    Ok(stream.writer.shutdown().await?)
}

/// Receives until there was enough; from the first bytes to the last.
async fn receive(stream: &mut Duplex) -> Result<Received> {
    let mut chunk = vec![0; CHUNK_BYTES];
    let first = stream.reader.read(&mut chunk).await? as u64;
    let (began, mut bytes, mut took) = (Instant::now(), 0, Duration::ZERO);
    while first + bytes < BYTES_MAX && took < TIME_MAX {
        let left = TIME_MAX.saturating_sub(began.elapsed());
        match timeout(left, stream.reader.read(&mut chunk)).await {
            Ok(Ok(0)) | Err(_) => break,
            Ok(more) => bytes += more? as u64,
        }
        took = began.elapsed();
    }
    Ok(Received { bytes, took })
}

fn throughput(received: Received) -> Figure {
    let value = received.bytes as f64 / received.took.as_secs_f64() / 1e6;
    Figure { what: "", unit: Unit::MegabytesPerSecond, value }
}
