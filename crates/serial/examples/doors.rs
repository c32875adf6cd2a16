//! Every door to one port that returns what is written to it: to try programs by hand.
//!
//! `cargo run -p serial --example doors -- /tmp/laser 127.0.0.1:4001 127.0.0.1:4002` opens a pseudo
//! terminal, a TCP port and an RFC 2217 port, and tells on standard error what programs ask for.

use bytes::Bytes;
use link::{Duplex, Rx, Tx};
use serial::attach::{self, Counters, Door, pty::Pty, tcp};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use wire::SessionId;
use wire::serial::{Attached, Down, LineCoding, ModemLines, Profile, Up};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut argument = || arguments.next().ok_or("three arguments: path, address, address");
    let (path, raw, rfc2217) = (PathBuf::from(argument()?), argument()?, argument()?);
    let coding = LineCoding::default();
    let (ours, theirs) = Duplex::pipe(256 * 1024);
    let (more, doors) = mpsc::channel(4);
    let (door, program) = Door::new();
    more.send(door).await?;
    let pty = Pty::create(path, coding)?;
    eprintln!("{}", pty.terminal().display());
    tokio::spawn(pty.run(program));
    let speeches = [(raw, tcp::Speech::Raw), (rfc2217, tcp::Speech::Rfc2217)];
    for (address, speech) in speeches {
        let listener = TcpListener::bind(address).await?;
        eprintln!("{speech:?} on {}", listener.local_addr()?);
        tokio::spawn(tcp::listen(listener, speech, more.clone()));
    }
    let (rx, tx) = theirs.framed::<Up, Down>();
    tokio::spawn(returning(rx, tx));
    let lines = ModemLines { cts: true, dsr: true, ring: false, carrier: true };
    let (session, profile) = (SessionId(1), Profile::Raw);
    let attached = Attached { session, coding, lines, profile, stops: 0 };
    let counters = Arc::new(Counters::default());
    let end = attach::run(attached, ours.framed(), doors, counters).await?;
    eprintln!("{end:?}");
    Ok(())
}

/// The port: returns bytes, and does what it is asked for.
async fn returning(mut rx: Rx<Up>, mut tx: Tx<Down>) -> Result<(), link::Error> {
    while let Some((up, data)) = rx.recv().await? {
        let answer = match up {
            Up::Data => Some(Down::Data),
            Up::Coding(coding) => Some(Down::Coding(coding)),
            Up::Modem { .. }
            | Up::Break { .. }
            | Up::Purge { .. }
            | Up::Program { .. }
            | Up::Stopped { .. } => None,
        };
        if !matches!(up, Up::Data) {
            eprintln!("{up:?}");
        }
        if let Some(answer) = answer {
            let data = if up == Up::Data { data } else { Bytes::new() };
            tx.send(&answer, data).await?;
        }
    }
    Ok(())
}
