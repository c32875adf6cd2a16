//! The use of a machine by one program.

use super::{Error, Machine};
use crate::waker::Waker;
use bytes::Bytes;
use std::time::Instant;
use tokio::sync::{mpsc, watch};
use wire::serial::{Down, Up};

/// From a session to the thread.
#[derive(Debug)]
pub(super) enum Sent {
    Frame(Up, Bytes),
    /// It ends as it should: what it has sent goes out.
    Finish,
}

/// The use of a machine, in parts. When the first is dropped, it ends as if who used it had
/// vanished; see [`Outlet::finish`].
#[derive(Debug)]
pub struct Session {
    pub up: Outlet,
    pub down: Inflow,
    pub life: Life,
}

/// The sign of life that is owed while the beam may be on.
#[derive(Debug)]
pub struct Life {
    pub(super) beam: watch::Receiver<bool>,
    pub(super) machine: Machine,
}

impl Life {
    /// Resolves when the beam may be on. Cancel safe.
    ///
    /// # Errors
    /// When the machine is not shared any more.
    pub async fn owed(&mut self) -> Result<(), Error> {
        self.beam.wait_for(|on| *on).await.map_err(|_| Error::Ended)?;
        Ok(())
    }

    /// Whether the beam may be on.
    #[must_use]
    pub fn is_owed(&self) -> bool {
        *self.beam.borrow()
    }

    /// Who uses the machine has shown that they lived at that time.
    ///
    /// # Errors
    /// When the machine is not shared any more.
    pub async fn beat(&self, at: Instant) -> Result<(), Error> {
        self.machine.beat(at).await
    }
}

/// Towards the machine.
#[derive(Debug)]
pub struct Outlet {
    pub(super) up: mpsc::Sender<Sent>,
    pub(super) waker: Waker,
}

impl Outlet {
    /// Waits while the queue is full. Cancel safe: sent or not sent.
    ///
    /// # Errors
    /// When the port is gone.
    pub async fn send(&self, up: Up, bytes: Bytes) -> Result<(), Error> {
        self.up.send(Sent::Frame(up, bytes)).await.map_err(|_| Error::Ended)?;
        self.waker.wake();
        Ok(())
    }

    /// Ends the session as it should: what was sent goes out.
    pub async fn finish(self) {
        // a port that is gone has ended it already
        let _ = self.up.send(Sent::Finish).await;
        self.waker.wake();
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        // the waker's own end comes after that of the channel
        let (closed, _) = mpsc::channel(1);
        self.up = closed;
        self.waker.wake();
    }
}

/// From the machine.
#[derive(Debug)]
pub struct Inflow {
    pub(super) down: mpsc::Receiver<(Down, Bytes)>,
    pub(super) waker: Waker,
}

impl Inflow {
    /// The next; `None` when the port is gone, or the session was ended. Cancel safe.
    pub async fn recv(&mut self) -> Option<(Down, Bytes)> {
        let next = self.down.recv().await;
        self.made_room();
        next
    }

    /// What is here already.
    pub fn ready(&mut self) -> Option<(Down, Bytes)> {
        let next = self.down.try_recv().ok();
        self.made_room();
        next
    }

    /// The thread keeps what it had no room for, and wakes for it when there is some again.
    fn made_room(&self) {
        if self.down.len() + 1 >= self.down.max_capacity() {
            self.waker.wake();
        }
    }
}
