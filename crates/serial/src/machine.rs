//! A shared machine: one thread owns its port for as long as it is shared, and opens it again when
//! it comes back. Everybody else holds a [`Machine`], which is channels only.
//!
//! **Why a thread and not a task.** STOP must reach the port in milliseconds whatever else this
//! process does: with two cores, one long poll of any other task would delay a task of its own. So
//! the port has a thread, before all ordinary ones where the system allows it (`SCHED_FIFO`), that
//! sleeps in one `poll(2)` for the port and for an eventfd, and looks at stops before all else. A
//! wake-up more for each message costs some 20 µs of the 300 that are allowed.
//!
//! **What passes.** Bytes pass as they are, in order, at any chunking; changes of the line coding
//! and of modem lines happen between the bytes that they were between. Only three things change
//! what passes, each only where the machine's owner chose a profile: realtime bytes overtake
//! (`gcode::realtime`), a machine that is not armed gets no lines that switch its beam on, and a
//! machine that was stopped gets none of what was sent before.
//!
//! **Who waits.** The program waits when 64 KiB are queued. What comes from the port is kept for
//! the program, for 4 MiB; a program that is further behind is cut off rather than shown a gap.
//! Watchers never make anybody wait: they lose the oldest.

mod answers;
mod core;
mod error;
pub mod job;
mod output;
mod pace;
mod port;
mod queue;
mod session;
pub mod state;

use crate::button::Button;
use crate::tty;
use crate::waker::Waker;
use bytes::Bytes;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use wire::Text;
use wire::serial::{Down, LineCoding, ModemLines, Profile, StopReport};

pub use error::Error;
use session::Sent;
pub use session::{Inflow, Life, Outlet, Session};
pub use state::{Reason, State};

/// How a machine is shared.
#[derive(Clone, Debug)]
pub struct Config {
    pub profile: Profile,
    /// Nobody has said what it is: the profile is what it was heard to be, or raw. What it turns
    /// out to be is told in [`State::firmware`].
    pub is_guess: bool,
    /// What drives its beam, where it is a Marlin.
    pub tool: gcode::beam::Tool,
    /// What the port is set to when nobody uses it.
    pub coding: LineCoding,
    pub lines: tty::Lines,
    /// What stops a raw device, if anything does.
    pub stop_bytes: Vec<u8>,
    /// Whether the beam is refused until somebody arms it.
    pub arming: bool,
    pub interlock: Option<Interlock>,
    /// Those of the hub that stop this machine.
    pub buttons: Vec<Button>,
    /// For how long who uses the machine may be silent while the beam or spindle may be on;
    /// `None` for ever.
    pub dead_man: Option<Duration>,
    /// The program that guards the port should this process die; see [`crate::guard`].
    pub guard: Option<crate::guard::Program>,
}

impl Config {
    /// A machine of this profile, with what suits most.
    #[must_use]
    pub fn new(profile: Profile) -> Self {
        Self {
            profile,
            is_guess: false,
            tool: gcode::beam::Tool::default(),
            coding: LineCoding::default(),
            lines: tty::Lines::default(),
            stop_bytes: Vec::new(),
            arming: false,
            interlock: None,
            buttons: Vec::new(),
            dead_man: Some(DEAD_MAN),
            guard: None,
        }
    }
}

/// A switch at a modem line of the machine's port. Open (or cut off) means stop: the line is low.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Interlock {
    Cts,
    Dsr,
}

impl Interlock {
    fn is_open(self, lines: &ModemLines) -> bool {
        match self {
            Self::Cts => !lines.cts,
            Self::Dsr => !lines.dsr,
        }
    }
}

/// A shared machine, for everybody who has to do with it. When the last one is dropped, the port
/// is closed.
#[derive(Clone, Debug)]
pub struct Machine {
    inlet: Arc<Inlet>,
}

#[derive(Debug)]
struct Inlet {
    urgent: mpsc::Sender<Urgent>,
    control: mpsc::Sender<Control>,
    state: Arc<watch::Sender<State>>,
    beam: watch::Receiver<bool>,
    news: watch::Receiver<State>,
    /// Dropped last, which wakes the thread to see that the others are gone.
    waker: Waker,
}

/// A stop that is under way.
#[derive(Debug)]
pub struct Stopping {
    /// When the first stop byte has left the port: so many microseconds after the request. `None`
    /// when none could.
    pub left: oneshot::Receiver<Option<u32>>,
    /// When the ladder is at its end.
    pub done: oneshot::Receiver<StopReport>,
}

/// What came before, and what comes.
#[derive(Debug)]
pub struct Watching {
    /// The last 64 KiB.
    pub before: Bytes,
    pub next: broadcast::Receiver<Bytes>,
}

/// What the thread looks at before all else.
#[derive(Debug)]
enum Urgent {
    Stop { at: Instant, reason: Reason, waiting: Waiting },
    Test { at: Instant, done: oneshot::Sender<()> },
}

#[derive(Debug)]
struct Waiting {
    left: Option<oneshot::Sender<Option<u32>>>,
    done: oneshot::Sender<StopReport>,
}

#[derive(Debug)]
enum Control {
    Begin(Begin),
    Watch {
        answer: oneshot::Sender<Watching>,
    },
    Arm {
        by: Text,
        ttl: Duration,
        answer: Answer<()>,
    },
    Disarm,
    Overtake {
        bytes: Bytes,
    },
    Clear {
        answer: Answer<()>,
    },
    Run(job::Start),
    Hold {
        answer: Answer<()>,
    },
    Resume {
        answer: Answer<()>,
    },
    /// Who uses the machine lived at that time.
    Beat {
        at: Instant,
    },
    Look,
}

#[derive(Debug)]
struct Begin {
    by: Text,
    up: mpsc::Receiver<Sent>,
    down: mpsc::Sender<(Down, Bytes)>,
    answer: Answer<Begun>,
}

type Answer<T> = oneshot::Sender<Result<T, Error>>;

/// What a session begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begun {
    pub coding: LineCoding,
    pub lines: ModemLines,
    pub profile: Profile,
    pub stops: u32,
}

impl Machine {
    /// Starts the thread that owns the port. `opener` opens it with a line coding, each time that
    /// it is (or may be) there. The receiver resolves when the port is closed for good.
    ///
    /// # Errors
    /// When the system has no thread or no file left.
    pub fn start<O>(config: Config, opener: O) -> std::io::Result<(Self, oneshot::Receiver<()>)>
    where
        O: FnMut(&LineCoding) -> Result<tty::Tty, tty::Error> + Send + 'static,
    {
        let waker = Waker::new()?;
        let (urgent_tx, urgent) = mpsc::channel(URGENT_MAX);
        let (control_tx, control) = mpsc::channel(CONTROL_MAX);
        let buttons = config.buttons.iter().map(|button| button.watch(&waker)).collect();
        let core = core::Core::new(config, Instant::now());
        let state = Arc::new(watch::Sender::new(core.state(Instant::now())));
        let (beam_tx, beam) = watch::channel(false);
        let (news_tx, news) = watch::channel(state.borrow().clone());
        let inlet = Arc::new(Inlet {
            urgent: urgent_tx,
            control: control_tx,
            state: state.clone(),
            beam,
            news,
            waker: waker.clone(),
        });
        let told = port::Told { state, beam: beam_tx, news: news_tx };
        let inlets = port::Inlets { urgent, control, buttons };
        let thread = port::Thread::new(core, opener, inlets, told, waker);
        let (ended_tx, ended) = oneshot::channel();
        std::thread::Builder::new().name("serial-port".into()).spawn(move || {
            thread.run();
            // nobody may want to know
            let _ = ended_tx.send(());
        })?;
        Ok((Self { inlet }, ended))
    }

    /// What the machine is like. While a receiver lives, somebody looks, and the machine is asked
    /// for its status.
    #[must_use]
    pub fn look(&self) -> watch::Receiver<State> {
        let receiver = self.inlet.state.subscribe();
        self.inlet.waker.wake();
        receiver
    }

    /// Tells when something has happened, without having the machine asked for its status.
    #[must_use]
    pub fn news(&self) -> watch::Receiver<State> {
        self.inlet.news.clone()
    }

    /// What the machine was like when it was last asked.
    #[must_use]
    pub fn state(&self) -> State {
        self.inlet.state.borrow().clone()
    }

    /// Stops the machine. Returns at once, for any thread to call.
    ///
    /// # Errors
    /// [`Error::Ended`], or [`Error::BeingStopped`].
    pub fn stop(&self, reason: Reason) -> Result<Stopping, Error> {
        let (left_tx, left) = oneshot::channel();
        let (done_tx, done) = oneshot::channel();
        let waiting = Waiting { left: Some(left_tx), done: done_tx };
        self.urgent(Urgent::Stop { at: Instant::now(), reason, waiting })?;
        Ok(Stopping { left, done })
    }

    /// Goes the way of a stop and does nothing. Returns how long it took, there and back.
    ///
    /// # Errors
    /// [`Error::Ended`], or [`Error::BeingStopped`].
    pub async fn test(&self) -> Result<Duration, Error> {
        let (done_tx, done) = oneshot::channel();
        let at = Instant::now();
        self.urgent(Urgent::Test { at, done: done_tx })?;
        done.await.map_err(|_| Error::Ended)?;
        Ok(at.elapsed())
    }

    /// Begins the use of the machine: one at a time.
    ///
    /// # Errors
    /// When the port is not open or somebody else uses the machine.
    pub async fn begin(&self, by: Text) -> Result<(Session, Begun), Error> {
        let (up, up_rx) = mpsc::channel(UP_MESSAGES);
        let (down_tx, down) = mpsc::channel(output::PROGRAM_MESSAGES);
        let begin = |answer| Control::Begin(Begin { by, up: up_rx, down: down_tx, answer });
        let begun = self.ask(begin).await??;
        let waker = self.inlet.waker.clone();
        let up = Outlet { up, waker: waker.clone() };
        let life = Life { beam: self.inlet.beam.clone(), machine: self.clone() };
        Ok((Session { up, down: Inflow { down, waker }, life }, begun))
    }

    /// Watches what the machine says.
    ///
    /// # Errors
    /// [`Error::Ended`]
    pub async fn watch(&self) -> Result<Watching, Error> {
        self.ask(|answer| Control::Watch { answer }).await
    }

    /// Lets lines through that may switch the beam on, for who uses the machine now, until nothing
    /// was sent for `ttl`.
    ///
    /// # Errors
    /// When there is nobody to arm for, or the machine is not to be armed now.
    pub async fn arm(&self, by: Text, ttl: Duration) -> Result<(), Error> {
        self.ask(|answer| Control::Arm { by, ttl, answer }).await?
    }

    /// Refuses such lines again.
    ///
    /// # Errors
    /// [`Error::Ended`]
    pub async fn disarm(&self) -> Result<(), Error> {
        self.tell(Control::Disarm).await
    }

    /// Sends bytes that overtake everything, beside whoever uses the machine: hold, resume,
    /// overrides.
    ///
    /// # Errors
    /// [`Error::Ended`]
    pub async fn overtake(&self, bytes: Bytes) -> Result<(), Error> {
        self.tell(Control::Overtake { bytes }).await
    }

    /// A person says that the machine may go on after a stop.
    ///
    /// # Errors
    /// [`Error::InterlockOpen`], [`Error::ButtonOpen`], [`Error::ButtonLost`],
    /// [`Error::BeingStopped`] while the ladder is climbed, or [`Error::Ended`].
    pub async fn clear_stop(&self) -> Result<(), Error> {
        self.ask(|answer| Control::Clear { answer }).await?
    }

    /// Something was plugged in: the port may be there.
    ///
    /// # Errors
    /// [`Error::Ended`]
    pub async fn plugged(&self) -> Result<(), Error> {
        self.tell(Control::Look).await
    }

    /// Who uses the machine lived at that time.
    pub(crate) async fn beat(&self, at: Instant) -> Result<(), Error> {
        self.tell(Control::Beat { at }).await
    }

    fn urgent(&self, urgent: Urgent) -> Result<(), Error> {
        self.inlet.urgent.try_send(urgent).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Error::BeingStopped,
            mpsc::error::TrySendError::Closed(_) => Error::Ended,
        })?;
        self.inlet.waker.wake();
        Ok(())
    }

    async fn tell(&self, control: Control) -> Result<(), Error> {
        self.inlet.control.send(control).await.map_err(|_| Error::Ended)?;
        self.inlet.waker.wake();
        Ok(())
    }

    async fn ask<T>(&self, ask: impl FnOnce(oneshot::Sender<T>) -> Control) -> Result<T, Error> {
        let (tx, rx) = oneshot::channel();
        self.tell(ask(tx)).await?;
        rx.await.map_err(|_| Error::Ended)
    }
}

/// The limit that DESIGN.md gives: five signs of life missed.
pub const DEAD_MAN: Duration = Duration::from_millis(500);
/// Requests to stop at once; each is answered.
const URGENT_MAX: usize = 64;
const CONTROL_MAX: usize = 32;
/// Frames of the program on their way to the thread, at most 64 KiB each, most a line long.
const UP_MESSAGES: usize = 16;

#[cfg(test)]
mod tests;
