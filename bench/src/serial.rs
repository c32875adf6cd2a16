//! Serial ports: the ways in through two hubs, encrypted, beside programs that put a port on the
//! network in plain text, all on loopback and each with a loop-back plug of the same kind behind it
//! ([`Echo`]). Then how soon a stop is out, and how many lines a laser gets.

pub(crate) mod hubs;
mod others;
pub(crate) mod stopping;
mod streaming;

use crate::{Figure, Unit, median, percentiles};
use anyhow::{Context, Result, bail};
use hub::view::Doors;
use hubs::Hubs;
use sim::machine::Echo;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

const ROUNDS: usize = 3;
const ECHOES: usize = 500;
/// A short line of a program.
const ECHO_BYTES: usize = 16;
const FLOOD_BYTES: usize = 256 << 10;
const UNDER_WAY_BYTES: usize = 2048;
/// What nothing on the way takes for anything else than data.
const BYTE: u8 = b'U';
/// Longer than anything stands still.
pub(crate) const SILENCE_MAX: Duration = Duration::from_secs(20);

pub(crate) async fn run() -> Result<()> {
    let mut lanes = Vec::new();
    let (echoes, files) = (echoes(4)?, tempfile::TempDir::new()?);
    let mut paths: Vec<_> = echoes.iter().map(|echo| echo.path().to_owned()).collect();
    // what a program gets without anything between
    let itself = paths.pop().context("four")?;
    lanes.push(("the port itself", Port::open(&itself.display().to_string())?));
    let hubs = Hubs::start(paths, vec![]).await?;
    let link = files.path().join("port");
    let anywhere = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    let pty = Doors { pty: Some(link.display().to_string()), ..Doors::default() };
    let tcp = Doors { tcp: anywhere, ..Doors::default() };
    let rfc2217 = Doors { rfc2217: anywhere, ..Doors::default() };
    for (name, number, doors) in
        [("farhub, pty", 0, pty), ("farhub, TCP", 1, tcp), ("farhub, RFC 2217", 2, rfc2217)]
    {
        let place = hubs.attach(number, doors).await?;
        lanes.push((name, Port::open(&place).context(name)?));
    }
    let others = others::Others::start(files.path())?;
    for (name, address) in &others.places {
        lanes.push((name, Port::connect(*address).context(*name)?));
    }
    let (lanes, rounds) = tokio::task::spawn_blocking(move || measured(lanes)).await??;
    print(&lanes, &rounds);
    drop(others);
    hubs.stop().await;
    stopping::run(stopping::STOPS).await?;
    streaming::run().await
}

fn echoes(count: usize) -> Result<Vec<Echo>> {
    (0..count).map(|_| Ok(Echo::start()?)).collect()
}

type Lanes = Vec<(&'static str, Port)>;
/// Of each round, of each lane.
type Rounds = Vec<Vec<Vec<Figure>>>;

/// Rounds of every lane in turn.
fn measured(mut lanes: Lanes) -> Result<(Vec<&'static str>, Rounds)> {
    let mut rounds = Vec::new();
    for number in 1..=ROUNDS {
        eprintln!("round {number} of {ROUNDS}");
        let mut round = Vec::new();
        for (name, port) in &mut lanes {
            round.push(port.round().with_context(|| (*name).to_owned())?);
        }
        rounds.push(round);
    }
    Ok((lanes.iter().map(|(name, _)| *name).collect(), rounds))
}

/// A way in, opened.
struct Port {
    reader: Box<dyn Read + Send>,
    writer: Box<dyn Write + Send>,
    /// Bytes that have come and were not waited for yet.
    ahead: usize,
}

impl Port {
    /// By what `farhub attach` printed.
    fn open(place: &str) -> Result<Self> {
        if let Some((_, address)) = place.split_once("://") {
            return Self::connect(address.parse()?);
        }
        let file = File::options().read(true).write(true).open(Path::new(place))?;
        Ok(Self { reader: Box::new(file.try_clone()?), writer: Box::new(file), ahead: 0 })
    }

    fn connect(address: SocketAddr) -> Result<Self> {
        // once only: each connection of socat is a process that reads the port
        let began = Instant::now();
        let stream = loop {
            match TcpStream::connect(address) {
                Ok(stream) => break stream,
                Err(error) if began.elapsed() > SILENCE_MAX => return Err(error.into()),
                // it has only just been started
                Err(_) => std::thread::yield_now(),
            }
        };
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE_MAX))?;
        let mut port =
            Self { reader: Box::new(stream.try_clone()?), writer: Box::new(stream), ahead: 0 };
        // what is negotiated first is not measured
        port.round_trip(ECHO_BYTES)?;
        Ok(port)
    }

    fn round(&mut self) -> Result<Vec<Figure>> {
        let times = (0..ECHOES).map(|_| self.round_trip(ECHO_BYTES)).collect::<Result<_>>()?;
        let mut figures = Vec::from(percentiles(times));
        let began = Instant::now();
        self.flood(FLOOD_BYTES)?;
        figures.push(crate::rate("", FLOOD_BYTES as u32, began.elapsed()));
        Ok(figures)
    }

    fn round_trip(&mut self, bytes: usize) -> Result<Duration> {
        let began = Instant::now();
        self.writer.write_all(&[BYTE; 4096][..bytes])?;
        self.expect(bytes)?;
        Ok(began.elapsed())
    }

    /// Sends and receives at the same time, with a little under way: socat stands still when both
    /// directions are full.
    fn flood(&mut self, bytes: usize) -> Result<()> {
        let chunk = [BYTE; UNDER_WAY_BYTES / 4];
        for _ in 0..4 {
            self.writer.write_all(&chunk)?;
        }
        for _ in 4..bytes / chunk.len() {
            self.expect(chunk.len())?;
            self.writer.write_all(&chunk)?;
        }
        self.expect(UNDER_WAY_BYTES)
    }

    /// What came beyond that counts for the next time.
    fn expect(&mut self, bytes: usize) -> Result<()> {
        let wanted = bytes.saturating_sub(self.ahead);
        let came = if wanted == 0 { 0 } else { expect(&mut self.reader, wanted)? };
        self.ahead = self.ahead + came - bytes;
        Ok(())
    }
}

/// Reads until so many bytes of data have come; what else there is belongs to a protocol.
fn expect(reader: &mut impl Read, bytes: usize) -> Result<usize> {
    let (mut came, mut some) = (0, [0; UNDER_WAY_BYTES]);
    while came < bytes {
        let count = reader.read(&mut some).with_context(|| format!("{came} of {bytes} came"))?;
        if count == 0 {
            bail!("closed after {came} of {bytes} bytes");
        }
        came += some[..count].iter().filter(|byte| **byte == BYTE).count();
    }
    Ok(came)
}

fn print(lanes: &[&str], rounds: &[Vec<Vec<Figure>>]) {
    println!("| a port with a loop-back plug, loopback | round trip p50 | p99 | 2 KiB under way |");
    println!("|---|---:|---:|---:|");
    for (at, name) in lanes.iter().enumerate() {
        let of =
            |figure: usize| median(rounds.iter().map(|round| round[at][figure].value).collect());
        debug_assert!(rounds[0][at][2].unit == Unit::MegabytesPerSecond);
        println!("| {name} | {:.0} us | {:.0} us | {:.2} MB/s |", of(0), of(1), of(2));
    }
    println!();
    println!(
        "Medians of {} rounds in which all took turns; 16 bytes there and back.",
        rounds.len()
    );
    println!();
}
