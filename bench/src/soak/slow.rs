//! Clients that nobody wants: who read nothing, send a byte a second, or open and close without
//! end. The next one must find the port usable, and both hubs as they were.

use super::house::{self, House};
use anyhow::{Context, Result, ensure};
use sim::machine::Echo;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

const OPENS: usize = 1000;
const WATCHERS: usize = 50;
const LASTS: Duration = Duration::from_secs(10);
/// Of each hub, for all that nobody reads: 4 MiB for the program, 1 MiB for each watcher, and what
/// an allocator keeps.
const GROWTH_MB_MAX: f64 = 120.0;
/// Sockets that are closing, and threads that come and go.
const FILES_MORE: usize = 8;

pub(super) fn run(farhub: &Path) -> Result<()> {
    let echo = Echo::start()?;
    let settings = format!("serial_ports = [{:?}]", echo.path().display().to_string());
    let garage = House::up(farhub, "garage", &settings, None, "127.0.0.1:0")?;
    let office = House::up(farhub, "office", "", None, "127.0.0.1:0")?;
    garage.share(echo.path(), "port", "raw")?;
    house::pair(&garage, &office, "port")?;
    let said = office.run(&["attach", "garage/port", "--tcp", "0", "--rfc2217", "0"])?;
    for place in said.split(", ") {
        let (kind, address) = place.split_once("://").with_context(|| said.clone())?;
        let address: SocketAddr = address.parse()?;
        answers(address).context("before")?;
        let before = [&garage, &office].map(|hub| (hub.files(), hub.resident_mb()));
        for (what, harm) in HARMS {
            eprintln!("{kind}: {what}");
            harm(address).with_context(|| what.to_owned())?;
            answers(address).with_context(|| format!("after: {what}"))?;
        }
        for ((hub, name), (files, mb)) in
            [(&garage, "garage"), (&office, "office")].into_iter().zip(before)
        {
            let (files, mb) = (files?, mb?);
            // what is closed is not gone at once
            house::until("files are closed", || Ok(hub.files()? <= files + FILES_MORE))?;
            let after = hub.resident_mb()?;
            println!(
                "{kind}, {name}: files {files} -> {}, memory {mb:.0} -> {after:.0} MB",
                hub.files()?
            );
            ensure!(after - mb < GROWTH_MB_MAX, "{name} has grown by {:.0} MB", after - mb);
        }
    }
    Ok(())
}

type Harm = fn(SocketAddr) -> Result<()>;

const HARMS: [(&str, Harm); 5] = [
    ("opened and closed 1000 times", open_and_close),
    ("reset 1000 times with bytes on their way", reset),
    ("50 that read nothing while another floods", watchers),
    ("one that writes and never reads", never_reads),
    ("one that sends a byte a second", one_byte_a_second),
];

/// The port has a loop-back plug; what the program before has left may still come first. Who opens
/// it before the last one is seen to have gone has to open it again.
fn answers(address: SocketAddr) -> Result<()> {
    let began = Instant::now();
    for opened in 1.. {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(WORDS)?;
        let (mut came, mut some) = (Vec::new(), [0; 64 << 10]);
        while let Ok(count @ 1..) = stream.read(&mut some) {
            came.extend_from_slice(&some[..count]);
            if came.windows(WORDS.len()).any(|words| words == WORDS) {
                let took = began.elapsed();
                eprintln!("answers after {} ms, opened {opened} times", took.as_millis());
                return Ok(());
            }
            came.drain(..came.len().saturating_sub(WORDS.len()));
        }
        ensure!(began.elapsed() < house::SOON, "it does not answer, opened {opened} times");
    }
    Ok(())
}

const WORDS: &[u8] = b"are you still there?";

fn open_and_close(address: SocketAddr) -> Result<()> {
    for _ in 0..OPENS {
        drop(TcpStream::connect(address)?);
    }
    Ok(())
}

fn reset(address: SocketAddr) -> Result<()> {
    for _ in 0..OPENS {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(b"UUUUUUUU")?;
        // closed with bytes unread, it is reset
    }
    Ok(())
}

fn watchers(address: SocketAddr) -> Result<()> {
    let first = TcpStream::connect(address)?;
    let idle: Vec<TcpStream> =
        (0..WATCHERS).map(|_| TcpStream::connect(address)).collect::<std::io::Result<_>>()?;
    flood(&first, true)?;
    drop(idle);
    Ok(())
}

fn never_reads(address: SocketAddr) -> Result<()> {
    flood(&TcpStream::connect(address)?, false)
}

fn flood(stream: &TcpStream, reads: bool) -> Result<()> {
    stream.set_nonblocking(true)?;
    let (chunk, mut some, began) = ([b'U'; 16 << 10], [0; 64 << 10], Instant::now());
    let mut stream = stream;
    while began.elapsed() < LASTS {
        let wrote = would_block(stream.write(&chunk))?;
        let read = reads && would_block(stream.read(&mut some))?;
        if !wrote && !read {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    Ok(())
}

/// Whether something was done.
fn would_block(result: std::io::Result<usize>) -> Result<bool> {
    match result {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn one_byte_a_second(address: SocketAddr) -> Result<()> {
    let (mut stream, began) = (TcpStream::connect(address)?, Instant::now());
    while began.elapsed() < LASTS {
        stream.write_all(b"U")?;
        std::thread::sleep(Duration::from_secs(1));
    }
    Ok(())
}
