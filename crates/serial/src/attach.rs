//! A session where the port is used: the doors that programs come through on one side, the stream
//! to the peer on the other.
//!
//! A door is two channels ([`Door`]), whoever is behind them: a [`pty`], a TCP connection
//! ([`tcp`], [`rfc2217`]), an emulated USB device ([`cdc`]). Several may be open at a time; one
//! program writes, the others watch ([`doors`]). Bytes are never looked at.
//!
//! What the writer sends and what it is sent is never lost: when it does not read, the peer has to
//! wait, and when the peer does not, it has to. A watcher that does not read loses the oldest of
//! what it was to see. A port that no program has open loses what comes, as ports do.

#[cfg(target_os = "linux")]
pub mod cdc;
mod doors;
#[cfg(target_os = "linux")]
pub mod pty;
pub mod rfc2217;
mod silence;
mod stream;
pub mod tcp;
pub mod telnet;

use bytes::Bytes;
use doors::{Doors, Event};
use link::{Rx, Tx};
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use wire::serial::{Attached, DATA_BYTES_MAX, Down, Up};

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// There is no door any more, nor will there be.
    DoorsClosed,
    /// The path to the peer is gone.
    PeerGone,
    /// The peer ended the session: the port is unplugged, or not ours any more.
    PortGone,
}

/// Why a session failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something else than our protocol.
    #[error(transparent)]
    Link(link::Error),
    #[error("the peer sent {0} bytes at once: {DATA_BYTES_MAX} are allowed")]
    TooMuch(usize),
}

/// A way for a program to the port, as the session sees it.
///
/// The session tells the line coding and the modem lines as soon as it has the door, and again
/// when they change. Every [`Up::Coding`] is answered by a [`Down::Coding`]. Only a program that
/// has said [`Up::Program`] is sent data. After [`Down::Stopped`] its data is discarded until it
/// answers, as between hubs. Dropping the other end closes the door.
#[derive(Debug)]
pub struct Door {
    pub up: mpsc::Receiver<(Up, Bytes)>,
    pub down: mpsc::Sender<(Down, Bytes)>,
}

/// The program's side of a [`Door`].
#[derive(Debug)]
pub struct Program {
    pub up: mpsc::Sender<(Up, Bytes)>,
    pub down: mpsc::Receiver<(Down, Bytes)>,
}

impl Door {
    /// A door and its other side.
    #[must_use]
    pub fn new() -> (Self, Program) {
        let (up_tx, up) = mpsc::channel(CHANNEL_MESSAGES);
        let (down, down_rx) = mpsc::channel(CHANNEL_MESSAGES);
        (Self { up, down }, Program { up: up_tx, down: down_rx })
    }
}

/// What went through a session, for people to see.
#[derive(Debug, Default)]
pub struct Counters {
    /// Bytes from the port.
    pub in_bytes: AtomicU64,
    /// Bytes to the port.
    pub out_bytes: AtomicU64,
    /// Bytes written by programs that watch; they went nowhere.
    pub ignored_bytes: AtomicU64,
    /// Bytes that watchers were too slow for.
    pub missed_bytes: AtomicU64,
    /// Bytes written before a stop that did not get away any more.
    pub stopped_bytes: AtomicU64,
}

/// Carries one port between the programs at `doors` and the peer that has it.
///
/// `session` is the stream after `attached`. Doors come as they are opened; the session ends when
/// the last is closed and the sender of `doors` is gone.
///
/// # Errors
/// When the peer broke the rules.
pub async fn run(
    attached: Attached,
    (mut rx, tx): (Rx<Down>, Tx<Up>),
    mut more: mpsc::Receiver<Door>,
    counters: Arc<Counters>,
) -> Result<End, Error> {
    let mut doors = Doors::new(&attached, counters);
    let (out, gathered) = mpsc::channel(CHANNEL_MESSAGES);
    let mut writing = pin!(write(tx, gathered));
    let mut takes_more = true;
    while takes_more || !doors.is_empty() {
        let held_until = doors.held_until();
        tokio::select! {
            frame = rx.recv(), if doors.have_room() => match frame {
                Ok(Some((_, data))) if data.len() > DATA_BYTES_MAX => {
                    return Err(Error::TooMuch(data.len()));
                }
                Ok(Some((down, data))) => doors.down(down, data),
                Ok(None) => return Ok(End::PortGone),
                Err(link::Error::Io(_) | link::Error::Ended) => return Ok(End::PeerGone),
                Err(error) => return Err(Error::Link(error)),
            },
            event = poll_fn(|cx| doors.poll(cx)) => match event {
                Event::Up(door, up, data) => doors.up(door, up, data),
                Event::Gone(door) => doors.remove(door),
                Event::Moved => {}
            },
            permit = out.reserve(), if doors.has_outgoing() => {
                let Ok(permit) = permit else { return Ok(End::PeerGone) };
                permit.send(doors.outgoing().expect("there is something"));
            }
            door = more.recv(), if takes_more => match door {
                Some(door) => doors.add(door),
                None => takes_more = false,
            },
            () = &mut writing => return Ok(End::PeerGone),
            () = due(held_until) => doors.give_up(Instant::now()),
        }
    }
    // What was written to the last door before it was closed still goes out.
    let _ = tokio::time::timeout(LINGER, async {
        tokio::join!(writing, async {
            while let Some(message) = doors.outgoing() {
                let _ = out.send(message).await;
            }
            drop(out);
        })
    })
    .await;
    Ok(End::DoorsClosed)
}

async fn due(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Sends what comes, as many messages at once as there are. Returns when nothing more can leave.
async fn write(mut tx: Tx<Up>, mut gathered: mpsc::Receiver<(Up, Bytes)>) {
    while let Some((up, data)) = gathered.recv().await {
        if tx.feed(&up, data).await.is_err() {
            return;
        }
        while let Ok((up, data)) = gathered.try_recv() {
            if tx.feed(&up, data).await.is_err() {
                return;
            }
        }
        if tx.flush().await.is_err() {
            return;
        }
    }
    let _ = tx.finish().await;
}

/// Messages in a channel of a door: few, since what has been read from a program can't be taken
/// back by it.
const CHANNEL_MESSAGES: usize = 4;
/// What a door reads from its program at once.
const READ_BYTES: usize = 16 * 1024;
/// What may wait at a door for a program that does not read.
const WAITING_BYTES_MAX: usize = 64 * 1024;
/// How long the last bytes of the last program may take to the peer.
const LINGER: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests;
