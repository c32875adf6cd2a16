//! Streams that outlive the connection they run over.
//!
//! A session is some streams between the same two programs, each known by a number: the endpoints
//! of a USB device, the port of a machine. Over [`Lines`] each of them is a *line*: a byte stream
//! for its user, which runs over one QUIC stream after another. When the connection is cut, a line
//! is *frozen*: its user reads nothing and may write until there is no more room. Over the next
//! connection each line gets a new stream, both sides say how much they have received, and it
//! goes on from there: nothing is lost, nothing comes twice ([`ledger`]).
//!
//! Whoever owns the session decides what a cut is ([`Lines::lost`]), how long a frozen session is
//! kept, and who may resume it.

mod ledger;
mod line;

use crate::Duplex;
pub use ledger::Violation;
use line::Line;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// The lines of one session.
#[derive(Clone, Debug, Default)]
pub struct Lines(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    lines: Mutex<BTreeMap<u8, Arc<Line>>>,
    signal: Arc<Signal>,
}

/// What became of the streams, for the session's owner.
#[derive(Debug, Default)]
struct Signal {
    lost: Mutex<Option<io::Error>>,
    changed: Notify,
}

impl Lines {
    /// Puts a line over a stream that has been opened for it; `None` when there is such a line.
    #[must_use]
    pub fn begin(&self, number: u8, stream: Duplex) -> Option<Duplex> {
        let mut lines = self.lock();
        if lines.contains_key(&number) {
            return None;
        }
        let line = Line::new(stream, self.0.signal.clone());
        lines.insert(number, line.clone());
        Some(line.duplex())
    }

    /// The numbers of all lines.
    #[must_use]
    pub fn numbers(&self) -> Vec<u8> {
        self.lock().keys().copied().collect()
    }

    /// Takes the stream away from a line, and says how much the line has received; `None` when
    /// there is no such line.
    #[must_use]
    pub fn halt(&self, number: u8) -> Option<u64> {
        Some(self.lock().get(&number)?.halt())
    }

    /// Gives a halted line a new stream, to a side that has received so much.
    ///
    /// # Errors
    /// When that cannot be: the line is then of no further use.
    pub fn resume(&self, number: u8, stream: Duplex, their_received: u64) -> Result<(), Violation> {
        let line = self.lock().get(&number).cloned();
        let resumed = line.map_or(Ok(()), |line| line.resume(stream, their_received));
        self.0.signal.changed.notify_waiters();
        resumed
    }

    /// A stream that was meant for a line did not come to be: as if the line had lost it.
    pub fn lose(&self, error: io::Error) {
        self.0.signal.lose(error);
    }

    /// Waits until a line loses its stream, and says why. What was lost and is there again by now
    /// is not told. Cancel safe.
    pub async fn lost(&self) -> io::Error {
        loop {
            let changed = self.0.signal.changed.notified();
            let lost = self.0.signal.lock().take();
            if let Some(error) = lost.filter(|_| !self.is_whole()) {
                return error;
            }
            changed.await;
        }
    }

    /// Waits until every line has a stream. Cancel safe.
    pub async fn whole(&self) {
        loop {
            let changed = self.0.signal.changed.notified();
            if self.is_whole() {
                return;
            }
            changed.await;
        }
    }

    fn is_whole(&self) -> bool {
        self.lock().values().all(|line| line.runs())
    }

    /// Ends every line: their users get an error.
    pub fn end(&self) {
        self.lock().values().for_each(|line| line.end());
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u8, Arc<Line>>> {
        self.0.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Signal {
    fn lock(&self) -> MutexGuard<'_, Option<io::Error>> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lose(&self, error: io::Error) {
        *self.lock() = Some(error);
        self.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests;
