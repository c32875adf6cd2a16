//! Several ways to the same thing, tried beside each other: the first that works is taken.
//!
//! Who dials one address after the other waits for the dead ones; who dials all at once loads
//! every network with packets for nothing. So candidates start one after the other with a short
//! delay between them, the likeliest first, and a failure starts the next at once (RFC 8305,
//! "Happy Eyeballs"). Each candidate goes through its own list of targets, again and again, with
//! timeouts that grow, until it has had its tries or the deadline of the whole race comes.
//!
//! [`Race`] is sans-IO: it is told what happened and when, as time since its start, and says what
//! to do ([`Action`]). It knows nothing of what dialing means; [`run()`] drives it over any closure
//! that returns a future. What came of it, for each candidate and for the whole, is a [`Report`]
//! at every moment.

mod engine;
mod history;
mod pace;
mod report;
mod run;
#[cfg(test)]
mod tests;

pub use engine::{Action, AttemptId, Race};
pub use history::History;
pub use pace::{Pace, Rtt};
pub use report::{CandidateReport, Reason, Report, State};
pub use run::{Answer, run};

/// What sort of way it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Lan,
    Direct,
    Relay,
    /// Any socket that is none of these.
    Other,
}

/// The kinds that may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kinds(u8);

impl Kinds {
    pub const ALL: Self = Self(0b1111);
    pub const NONE: Self = Self(0);

    #[must_use]
    pub fn with(self, kind: Kind) -> Self {
        Self(self.0 | 1 << kind as u8)
    }

    #[must_use]
    pub fn has(self, kind: Kind) -> bool {
        self.0 & 1 << kind as u8 != 0
    }
}

impl FromIterator<Kind> for Kinds {
    fn from_iter<I: IntoIterator<Item = Kind>>(kinds: I) -> Self {
        kinds.into_iter().fold(Self::NONE, Self::with)
    }
}

/// One way, which may be dialled at several targets.
#[derive(Clone, Debug)]
pub struct Candidate<T> {
    pub kind: Kind,
    /// The larger goes first; see [`History::weigh`].
    pub weight: u32,
    /// It won the last time, and goes before all others.
    pub last_good: bool,
    /// Ports or addresses, dialled in this order.
    pub targets: Vec<T>,
}
