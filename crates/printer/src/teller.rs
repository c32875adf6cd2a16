//! Tells states: only when something has changed, and at most four times a second.

use crate::{Error, PrinterState, Reason, Told};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

pub(crate) struct Teller {
    told: mpsc::Sender<Told>,
    last: Option<Box<PrinterState>>,
    /// Not before that.
    next: Instant,
    changed: bool,
}

impl Teller {
    pub(crate) fn new(told: mpsc::Sender<Told>) -> Self {
        Self { told, last: None, next: Instant::now(), changed: false }
    }

    /// Something may have.
    pub(crate) fn changed(&mut self) {
        self.changed = true;
    }

    /// When the state is to be given to [`Self::tell`]; never, unless something has changed.
    /// Cancel safe.
    pub(crate) async fn due(&self) {
        if self.changed {
            sleep_until(self.next).await;
        } else {
            std::future::pending::<()>().await;
        }
    }

    /// # Errors
    /// When nobody listens any more.
    pub(crate) async fn tell(&mut self, state: PrinterState) -> Result<(), Error> {
        self.changed = false;
        if self.last.as_deref() == Some(&state) {
            return Ok(());
        }
        let state = Box::new(state);
        self.last = Some(state.clone());
        self.next = Instant::now() + PACE;
        self.send(Told::State(state)).await
    }

    /// # Errors
    /// When nobody listens any more.
    pub(crate) async fn send(&self, told: Told) -> Result<(), Error> {
        self.told.send(told).await.map_err(|_| over())
    }

    pub(crate) async fn closed(&self) {
        self.told.closed().await;
    }

    /// What was told last.
    pub(crate) fn last(&self) -> Option<&PrinterState> {
        self.last.as_deref()
    }
}

/// Why a connection ends that nobody wants any more.
pub(crate) fn over() -> Error {
    Error::new(Reason::Local, "the connection was not wanted any more")
}

/// Faster than that nobody reads.
const PACE: Duration = Duration::from_millis(250);
