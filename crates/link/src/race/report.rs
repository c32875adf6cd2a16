//! What came of a race, said while it runs and afterwards.

use super::Kind;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Not started yet, or about to be tried again.
    Pending,
    Running,
    /// The winner.
    Success,
    /// It had its tries, and none worked.
    Failed,
    /// Given up because another one won, or because its kind is switched off.
    Cancelled,
}

/// Why the winner won.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// There was no other.
    Alone,
    /// It worked last time, went first, and answered before another one was started.
    WorkedLast,
    /// It went first as the preferred one, and answered before another one was started.
    Preferred,
    /// All that had started with it had failed.
    OthersFailed,
    /// Others were under way, and it answered first.
    Fastest,
}

/// One candidate, in the order in which they were to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CandidateReport {
    /// Its place in the list that the race was given.
    pub index: usize,
    pub kind: Kind,
    pub state: State,
    /// Targets dialled so far, the same one perhaps several times.
    pub tries: u32,
    /// From its first try until it ended, or until now.
    pub elapsed: Duration,
    /// Where it was dialled from and to, when it worked.
    pub local: Option<String>,
    pub remote: Option<String>,
    /// Why its last try failed, or why there was none.
    pub error: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub candidates: Vec<CandidateReport>,
    /// The index of the one that won, and why.
    pub winner: Option<(usize, Reason)>,
    /// Until the end, or until now.
    pub elapsed: Duration,
    pub over: bool,
}
