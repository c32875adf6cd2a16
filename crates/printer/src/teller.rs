//! Tells states: only when something has changed, and at most four times a second, or twenty when
//! it is another phase. That nothing has changed is told more seldom.

use crate::{Error, Phase, PrinterState, Reason, Told};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

pub(crate) struct Teller {
    told: mpsc::Sender<Told>,
    last: Option<Arc<PrinterState>>,
    told_at: Option<Instant>,
    /// When it is to be told that something has changed.
    due: Option<Instant>,
    still: Still,
}

/// When something was told last, be it that nothing has changed.
pub(crate) struct Still(Instant);

impl Still {
    pub(crate) fn new() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn told(&mut self) {
        self.0 = Instant::now();
    }

    /// Whether it is worth telling that nothing has changed; it counts as told then.
    pub(crate) fn is_due(&mut self, phase: Phase) -> bool {
        let pace = if phase.is_active() { STILL_PRINTING } else { STILL_IDLE };
        let due = self.0.elapsed() >= pace;
        if due {
            self.told();
        }
        due
    }
}

impl Teller {
    pub(crate) fn new(told: mpsc::Sender<Told>) -> Self {
        Self { told, last: None, told_at: None, due: None, still: Still::new() }
    }

    /// Something may have, and this is the phase now.
    pub(crate) fn changed(&mut self, phase: Phase) {
        let pace = pace(self.last.as_deref(), phase, PACE);
        self.due = Some(self.told_at.map_or_else(Instant::now, |told_at| told_at + pace));
    }

    /// When the state is to be given to [`Self::tell`]; never, unless something has changed.
    /// Cancel safe.
    pub(crate) async fn due(&self) {
        match self.due {
            Some(due) => sleep_until(due).await,
            None => std::future::pending().await,
        }
    }

    /// # Errors
    /// When nobody listens any more.
    pub(crate) async fn tell(&mut self, state: PrinterState) -> Result<(), Error> {
        self.due = None;
        if self.last.as_deref() == Some(&state) {
            if self.still.is_due(state.phase) {
                self.send(Told::Still).await?;
            }
            return Ok(());
        }
        let state = Arc::new(state);
        self.last = Some(state.clone());
        self.still.told();
        self.told_at = Some(Instant::now());
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

/// How long after a state the next is told, at the earliest.
pub(crate) fn pace(last: Option<&PrinterState>, phase: Phase, usual: Duration) -> Duration {
    let is_another = last.is_some_and(|last| last.phase != phase);
    if is_another { usual.min(HASTE) } else { usual }
}

/// Faster than that nobody reads.
const PACE: Duration = Duration::from_millis(250);
/// That a print has been paused is waited for; still, a printer may be out of its mind.
const HASTE: Duration = Duration::from_millis(50);
/// What is known of a print that ends unseen is as old as that.
const STILL_PRINTING: Duration = Duration::from_secs(1);
/// For people who look whether it is still there.
const STILL_IDLE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    fn in_phase(phase: Phase) -> PrinterState {
        PrinterState { phase, ..PrinterState::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn another_phase_waits_less_and_still_waits() {
        let (tell, _told) = mpsc::channel(4);
        let mut teller = Teller::new(tell);
        for (was, pace) in [(Phase::Printing, PACE), (Phase::Paused, HASTE)] {
            teller.tell(in_phase(was)).await.unwrap();
            let at = Instant::now();
            teller.changed(Phase::Printing);
            teller.due().await;
            let waited = at.elapsed();
            assert!(waited >= pace && waited < pace + HASTE, "{was:?}: {waited:?}");
        }
    }
}
