//! A session where the device is: the streams of its endpoints on one side, the device's channels
//! on the other.
//!
//! One task, one loop; what may be asked is decided by [`checks`]. No endpoint waits for another:
//! each stream has its own queue of completions, and a stream that the peer doesn't read fills no
//! more than its share of the window. The place of an URB in the window is free when its
//! completion leaves, so what a peer can make us hold is bounded by twice the window.
//!
//! The session ends when the stream of endpoint 0 ends (detach), when the device is gone, or when
//! the peer breaks the rules. The device is released in every case.

pub mod checks;

use crate::streams::{Frame, Inbox, Outbox, frames};
use crate::{Command, Completion, Counters, Device};
use checks::{Checks, Violation};
use futures_util::{FutureExt, StreamExt};
use link::{Rx, Tx};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use wire::usb::{Down, Up, Window};

/// Why a session ended other than by a detach or with its device.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The path to the peer is gone, or the peer speaks something else.
    #[error(transparent)]
    Link(#[from] link::Error),
    #[error("the peer broke the rules: {0}")]
    Violation(#[from] Violation),
}

/// Serves `device` to one peer, until either is done with it.
///
/// `session` is the stream of endpoint 0, after the [`wire::usb::Attached`]. Further endpoints
/// come with their address as the peer opens streams for them, after the [`wire::Answer`].
///
/// # Errors
/// When the peer broke the rules, or the path to it is gone.
pub async fn run(
    device: Device,
    session: (Rx<Up>, Tx<Down>),
    mut endpoints: mpsc::Receiver<(u8, Rx<Up>, Tx<Down>)>,
    window: Window,
    counters: Arc<Counters>,
) -> Result<(), Error> {
    let Device { commands, mut completions, .. } = device;
    let mut serving = Serving::new(commands, window, counters);
    serving.inbox.push(frames(0, session.0));
    serving.outbox.insert(0, session.1);
    let mut batch = Vec::new();
    loop {
        tokio::select! {
            Some((endpoint, frame)) = serving.inbox.next() => {
                if serving.frames(endpoint, frame).await?.is_break() {
                    return Ok(());
                }
            }
            count = completions.recv_many(&mut batch, BATCH) => {
                if count == 0 {
                    break;
                }
                batch.drain(..).for_each(|completion| serving.complete(completion));
            }
            Some(_) = serving.outbox.written() => {}
            Some((endpoint, rx, tx)) = endpoints.recv() => serving.open(endpoint, rx, tx)?,
        }
        serving.outbox.start(|Down::Complete(complete)| serving.checks.left(complete.id));
    }
    // The device is gone. What it had to say goes out before the streams end.
    let _ = tokio::time::timeout(LINGER, serving.outbox.finish()).await;
    Ok(())
}

struct Serving {
    commands: mpsc::Sender<Command>,
    counters: Arc<Counters>,
    checks: Checks,
    inbox: Inbox<Up>,
    outbox: Outbox<Down>,
}

impl Serving {
    fn new(commands: mpsc::Sender<Command>, window: Window, counters: Arc<Counters>) -> Self {
        let (checks, inbox, outbox) = (Checks::new(window), Inbox::new(), Outbox::new());
        Self { commands, counters, checks, inbox, outbox }
    }

    fn open(&mut self, endpoint: u8, rx: Rx<Up>, tx: Tx<Down>) -> Result<(), Violation> {
        Checks::endpoint(endpoint)?;
        if self.outbox.contains(endpoint) {
            return Err(Violation::EndpointInUse(endpoint));
        }
        self.inbox.push(frames(endpoint, rx));
        self.outbox.insert(endpoint, tx);
        Ok(())
    }

    /// Takes in one frame, and what else is here already.
    async fn frames(
        &mut self,
        endpoint: u8,
        frame: Frame<Up>,
    ) -> Result<std::ops::ControlFlow<()>, Error> {
        let mut next = Some((endpoint, frame));
        for _ in 0..BATCH {
            let Some((endpoint, frame)) = next else { break };
            match frame {
                Ok(Some((up, data))) => {
                    if let Some(command) = self.checks.up(endpoint, up, data)? {
                        self.command(command).await;
                    }
                }
                Ok(None) if endpoint == 0 => return Ok(std::ops::ControlFlow::Break(())),
                Err(error) if endpoint == 0 => return Err(error.into()),
                Err(error @ link::Error::Frame(_)) => return Err(error.into()),
                // What became of the session is told by the stream of endpoint 0.
                Ok(None) | Err(_) => {
                    for cancel in self.checks.abandon(endpoint) {
                        self.command(cancel).await;
                    }
                }
            }
            next = self.inbox.next().now_or_never().flatten();
        }
        Ok(std::ops::ControlFlow::Continue(()))
    }

    async fn command(&mut self, command: Command) {
        // Without a receiver the device is gone, which its completions tell next.
        let _ = self.commands.send(command).await;
    }

    fn complete(&mut self, completion: Completion) {
        let Some(is_in) = self.checks.completed(&completion) else {
            let (endpoint, id) = (completion.endpoint, completion.complete.id);
            tracing::error!("endpoint {endpoint:#04x} completed URB {id}, which is not under way");
            return;
        };
        let Completion { endpoint, complete, data } = completion;
        self.counters.count(is_in, &complete);
        self.outbox.push(endpoint, Down::Complete(complete), data);
    }
}

/// Frames or completions taken in before others get their turn.
const BATCH: usize = 64;

/// How long the last completions of an unplugged device may take to leave.
const LINGER: Duration = Duration::from_secs(5);
