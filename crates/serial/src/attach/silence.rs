//! After a stop: when what a program wrote before it is all gone.
//!
//! What waits in a socket or a terminal is not all of it: a program's write goes on as soon as
//! there is room. So data is discarded until the program is silent for a moment. One that is never
//! silent is heard again after a while: its lines are refused by the machine then, not by us.

use std::time::Duration;
use tokio::time::{Instant, sleep_until};

#[derive(Debug)]
pub(super) struct Silence {
    /// What is answered in the end.
    pub(super) stops: u32,
    since: Instant,
    ends: Instant,
}

impl Silence {
    pub(super) fn new(stops: u32) -> Self {
        let since = Instant::now();
        Self { stops, since, ends: since + PATIENCE }
    }

    /// The program has written something.
    pub(super) fn broken(&mut self) {
        self.since = Instant::now();
    }
}

/// Waits until data is heard again. Cancel safe.
pub(super) async fn kept(silence: Option<&Silence>) {
    match silence {
        Some(silence) => sleep_until(silence.ends.min(silence.since + SILENT)).await,
        None => std::future::pending().await,
    }
}

/// Longer than a program that is in the middle of writing takes to be scheduled.
const SILENT: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(1);
