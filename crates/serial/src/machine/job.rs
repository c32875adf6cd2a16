//! A job: a program that the port's own thread sends, with nobody at the other end of anything.
//!
//! So it goes on at the machine's own speed whatever the rest of this process does, and whoever
//! started it may leave. A thread of its own reads the file ahead; the port's thread waits for no
//! disk.

use super::state::Reason;
use super::{Answer, Control, Error, Machine};
use crate::program::Chunks;
use crate::waker::Waker;
use bytes::Bytes;
use gcode::sender::Unsendable;
use gcode::status;
use std::io::Read;
use tokio::sync::{mpsc, oneshot, watch};
use wire::Text;
use wire::serial::StopReport;

/// How a job is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Somebody has said that it may turn on the beam or the spindle.
    pub armed: bool,
    /// It is held when nobody has looked at the machine for 5 s.
    pub hold_alone: bool,
}

/// How far a job is.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    pub phase: Phase,
    /// The last line that the machine has taken.
    pub line: u64,
    /// Answers that were lost on their way, and lines that the machine asked for again.
    pub lost_answers: u32,
    pub resent: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Phase {
    Running,
    Held,
    /// The machine has done all of it, and stands.
    Done,
    Ended(Ended),
}

/// A job that came to no good end. The machine was stopped, as far as it is there.
#[derive(Clone, Debug, PartialEq)]
pub struct Ended {
    pub why: Why,
    /// What came of stopping the machine.
    pub report: Option<StopReport>,
}

/// Why a job has ended before its end.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Why {
    #[error("the machine was stopped: {0}")]
    Stopped(Reason),
    #[error("the machine has refused line {line}{}", code_text(*.code))]
    Refused { line: u64, code: Option<u16> },
    #[error("line {line} cannot be sent: {why}")]
    Unsendable { line: u64, why: Unsendable },
    #[error("the machine has raised an alarm after line {line}{}", alarm_text(*.code))]
    Alarm { line: u64, code: Option<u16> },
    #[error("the machine has halted or started anew after line {line}")]
    Restarted { line: u64 },
    #[error("the machine asks for its line {number} again, which is long gone")]
    Unresendable { number: u32 },
    #[error("the machine has said nothing for too long after line {line}")]
    Silent { line: u64 },
    #[error("the machine was not ready: it {}", state_text(*.0))]
    NotReady(Option<status::State>),
    #[error("the device is gone: the machine had taken {line} lines")]
    Lost { line: u64 },
    #[error("the file cannot be read after line {line}: {why}")]
    Unreadable { line: u64, why: Text },
    #[error("the machine is no longer shared")]
    Unshared,
    #[error("nobody watched it any more, and with its beam on it cannot be held")]
    Alone,
}

fn code_text(code: Option<u16>) -> String {
    code.map(|code| format!(" (error:{code})")).unwrap_or_default()
}

fn alarm_text(code: Option<u16>) -> String {
    code.map(|code| format!(" (ALARM:{code})")).unwrap_or_default()
}

fn state_text(state: Option<status::State>) -> &'static str {
    match state {
        None => "did not answer",
        Some(status::State::Alarm) => "is in alarm: home it, or unlock it",
        Some(status::State::Hold) => "is held",
        Some(status::State::Door) => "has its door open",
        Some(status::State::Sleep) => "sleeps: reset it",
        Some(_) => "was moving",
    }
}

/// From the thread that reads the file.
#[derive(Debug)]
pub(super) enum Piece {
    /// Whole lines.
    Lines(Bytes),
    End,
    Failed(Text),
}

#[derive(Debug)]
pub(super) struct Start {
    pub(super) by: Text,
    pub(super) options: Options,
    pub(super) source: mpsc::Receiver<Piece>,
    pub(super) progress: watch::Sender<Progress>,
    pub(super) answer: Answer<()>,
}

impl Machine {
    /// Runs a program: the machine is `by`'s until it is over. The receiver's last value tells how
    /// it ended; without one, the port's thread has.
    ///
    /// # Errors
    /// When the machine is not there, not armed where it must be, stopped, or somebody else's; and
    /// when the system has no thread left.
    pub async fn run<R>(
        &self,
        by: Text,
        program: R,
        options: Options,
    ) -> Result<watch::Receiver<Progress>, Error>
    where
        R: Read + Send + 'static,
    {
        let (pieces, source) = mpsc::channel(PIECES);
        let first = Progress { phase: Phase::Running, line: 0, lost_answers: 0, resent: 0 };
        let (progress, receiver) = watch::channel(first);
        let waker = self.inlet.waker.clone();
        let (go, going) = oneshot::channel::<()>();
        let reads = move || {
            if going.blocking_recv().is_ok() {
                read_ahead(program, &pieces, &waker);
            }
        };
        let thread = std::thread::Builder::new().name("job-reader".into()).spawn(reads);
        thread.map_err(|error| Error::NoReader(Text::from(error.to_string())))?;
        self.ask(|answer| Control::Run(Start { by, options, source, progress, answer })).await??;
        // a reader that has gone is seen as a file that cannot be read
        let _ = go.send(());
        Ok(receiver)
    }

    /// Holds the job: the machine stands, and goes on where it was when it is resumed.
    ///
    /// # Errors
    /// When there is no job, or the machine cannot do that now.
    pub async fn hold(&self) -> Result<(), Error> {
        self.ask(|answer| Control::Hold { answer }).await?
    }

    /// Goes on with a job that is held.
    ///
    /// # Errors
    /// When there is no job.
    pub async fn resume(&self) -> Result<(), Error> {
        self.ask(|answer| Control::Resume { answer }).await?
    }
}

/// Until its end, or that of the job.
fn read_ahead(program: impl Read, pieces: &mpsc::Sender<Piece>, waker: &Waker) {
    let mut chunks = Chunks::new(program);
    loop {
        let (piece, is_last) = match chunks.next_chunk() {
            Ok(Some(lines)) => (Piece::Lines(lines), false),
            Ok(None) => (Piece::End, true),
            Err(error) => (Piece::Failed(Text::from(error.to_string())), true),
        };
        let sent = pieces.blocking_send(piece);
        waker.wake();
        if is_last || sent.is_err() {
            return;
        }
    }
}

/// Of 64 KiB: seconds of the fastest machine.
const PIECES: usize = 4;
