//! A session where the machine is: the peer's streams on one side, the machine's channels on the
//! other. Also the stream on which a peer stops a machine.
//!
//! Two loops, one in each direction, and a third for the peer's signs of life, joined by one
//! `select!`. When the peer's stream ends in order, what it sent goes out; when it breaks, nothing
//! more does. When the port is gone, the session ends with an error, so that nobody takes it for
//! an orderly end.

mod questions;

use crate::machine::{self, Inflow, Life, Machine, Outlet, Reason, Session};
use bytes::Bytes;
use link::{Rx, Tx};
use questions::Questions;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use usb::Counters;
use wire::Text;
use wire::serial::{Beat, DATA_BYTES_MAX, Down, StopDown, StopUp, Up};

/// Why a session ended other than by a detach.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The path to the peer is gone, or the peer speaks something else.
    #[error(transparent)]
    Link(#[from] link::Error),
    #[error("the peer broke the rules: {0} bytes in one message")]
    TooLong(usize),
    #[error("the port is gone, or the program has not read for too long")]
    Gone,
    #[error(transparent)]
    Machine(#[from] machine::Error),
}

/// The two directions of a stream of [`wire::Open::Pulse`].
pub type Pulse = (Rx<Beat>, Tx<Beat>);

/// Serves a machine to one peer, until either is done with it.
///
/// `streams` is the stream of [`wire::Open::Device`], after the [`wire::serial::Attached`]. Pulses
/// come as the peer opens streams for them, after the [`wire::Answer`]; each replaces the one
/// before. A peer that opens none is taken for dead as soon as the beam may be on.
///
/// # Errors
/// When the port or the path to the peer is gone, or the peer broke the rules.
pub async fn run(
    session: Session,
    streams: (Rx<Up>, Tx<Down>),
    pulses: mpsc::Receiver<Pulse>,
    counters: &Counters,
) -> Result<(), Error> {
    let Session { up, down, life } = session;
    tokio::select! {
        result = upwards(streams.0, up, counters) => result,
        result = downwards(down, streams.1, counters) => result,
        result = beats(life, pulses) => result,
    }
}

async fn upwards(mut rx: Rx<Up>, outlet: Outlet, counters: &Counters) -> Result<(), Error> {
    while let Some((up, mut bytes)) = rx.recv().await? {
        counters.out_bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        if bytes.len() > DATA_BYTES_MAX {
            return Err(Error::TooLong(bytes.len()));
        }
        // small pieces, so that what waits in the channel is bounded as the queue behind it
        while bytes.len() > PIECE_BYTES {
            outlet.send(up, bytes.split_to(PIECE_BYTES)).await?;
        }
        outlet.send(up, bytes).await?;
    }
    outlet.finish().await;
    Ok(())
}

async fn downwards(mut inflow: Inflow, mut tx: Tx<Down>, counters: &Counters) -> Result<(), Error> {
    let count = |bytes: &Bytes| {
        counters.in_bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
    };
    while let Some((down, bytes)) = inflow.recv().await {
        count(&bytes);
        tx.feed(&down, bytes).await?;
        while let Some((down, bytes)) = inflow.ready() {
            count(&bytes);
            tx.feed(&down, bytes).await?;
        }
        tx.flush().await?;
    }
    Err(Error::Gone)
}

/// Asks the peer whether it lives, while the beam may be on, and passes on that it does.
async fn beats(mut life: Life, mut pulses: mpsc::Receiver<Pulse>) -> Result<(), Error> {
    let mut pulse: Option<Pulse> = None;
    loop {
        let Some(mut current) = pulse.take() else {
            match pulses.recv().await {
                Some(new) => pulse = Some(new),
                None => std::future::pending().await,
            }
            continue;
        };
        tokio::select! {
            result = ask(&mut life, &mut current) => result?,
            Some(new) = pulses.recv() => pulse = Some(new),
        }
    }
}

/// Until the pulse's stream ends or breaks; what that means is for the dead-man to decide.
async fn ask(life: &mut Life, (rx, tx): &mut Pulse) -> Result<(), Error> {
    let mut questions = Questions::default();
    let mut every = interval(BEAT);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        if !life.is_owed() {
            life.owed().await?;
            every.reset_immediately();
        }
        tokio::select! {
            _ = every.tick() => {
                let beat = questions.ask(Instant::now().into_std());
                if tx.send(&beat, Bytes::new()).await.is_err() {
                    return Ok(());
                }
            }
            beat = rx.recv() => match beat {
                Ok(Some((beat, _))) => {
                    if let Some(at) = questions.answered(beat, Instant::now().into_std()) {
                        life.beat(at).await?;
                    }
                }
                Ok(None) | Err(_) => return Ok(()),
            },
        }
    }
}

/// Serves a stream of [`wire::Open::Stop`], until the peer ends it. `by` is who stops.
///
/// # Errors
/// When the path to the peer is gone, or the machine is not shared any more.
pub async fn stops(
    machine: &Machine,
    by: &Text,
    (mut rx, mut tx): (Rx<StopUp>, Tx<StopDown>),
) -> Result<(), Error> {
    let (answers_tx, mut answers) = mpsc::channel(ANSWERS);
    let mut under_way = JoinSet::new();
    loop {
        tokio::select! {
            up = rx.recv() => match up? {
                Some((StopUp::Test { number }, _)) => {
                    machine.test().await?;
                    tx.send(&StopDown::Tested { number }, Bytes::new()).await?;
                }
                Some((StopUp::Stop { number }, _)) => {
                    let reason = Reason::Asked { by: by.clone() };
                    let stopping = machine.stop(reason)?;
                    under_way.spawn(follow(number, stopping, answers_tx.clone()));
                }
                None => break,
            },
            Some(answer) = answers.recv() => tx.send(&answer, Bytes::new()).await?,
            Some(_) = under_way.join_next() => {}
        }
    }
    // who has asked for a stop and leaves has asked for it all the same
    let until = Instant::now() + LINGER;
    drop(answers_tx);
    loop {
        tokio::select! {
            answer = answers.recv() => match answer {
                Some(answer) => tx.send(&answer, Bytes::new()).await?,
                None => return Ok(()),
            },
            () = sleep_until(until) => return Ok(()),
        }
    }
}

/// Tells what comes of one stop.
async fn follow(number: u32, stopping: machine::Stopping, answers: mpsc::Sender<StopDown>) {
    // without the thread there is nothing to tell, and the stream ends by its own
    if let Ok(Some(after_us)) = stopping.left.await {
        let _ = answers.send(StopDown::Left { number, after_us }).await;
    }
    if let Ok(report) = stopping.done.await {
        let _ = answers.send(StopDown::Done { number, report }).await;
    }
}

/// How often a peer is asked whether it lives: five times within the shortest usual limit.
const BEAT: Duration = Duration::from_millis(100);
const PIECE_BYTES: usize = 4096;
/// Answers on their way to the peer.
const ANSWERS: usize = 16;
/// The longest ladder is shorter.
const LINGER: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests;
