//! The race itself, without I/O and without a clock.
//!
//! A candidate is a lane. A lane has at most one attempt under way; an attempt ends by
//! succeeding, by failing, or by a [`Action::Cancel`], and whatever is said of it later counts for
//! nothing. So what was started is ended exactly once, and there is at most one winner.

use super::{Candidate, CandidateReport, Kinds, Pace, Reason, Report, State};
use std::cmp::Reverse;
use std::collections::VecDeque;
use std::time::Duration;

/// One dialling of one target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptId(pub u32);

/// What whoever drives a race is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action<T> {
    Start {
        attempt: AttemptId,
        target: T,
    },
    /// Nobody waits for it any more: clean up.
    Cancel {
        attempt: AttemptId,
    },
    /// The race is over; the last action.
    Done {
        winner: Option<AttemptId>,
    },
}

#[derive(Clone, Debug)]
pub struct Race<T> {
    pace: Pace,
    lanes: Vec<Lane<T>>,
    /// When the next lane may start, unless one fails before.
    next_start: Duration,
    actions: VecDeque<Action<T>>,
    attempts: u32,
    won: Option<(usize, Reason)>,
    over: Option<Duration>,
}

#[derive(Clone, Debug)]
struct Lane<T> {
    candidate: Candidate<T>,
    step: Step,
    shown: CandidateReport,
    began: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Not started yet.
    Waiting,
    Running {
        attempt: AttemptId,
        until: Duration,
    },
    /// Failed, and tried again then.
    Resting {
        until: Duration,
    },
    Ended,
}

/// Before a list of targets is gone through again: what fails at once is not dialled all the time.
const REST: Duration = Duration::from_millis(200);

impl<T: Clone> Race<T> {
    /// A race that starts at time 0.
    #[must_use]
    pub fn new(candidates: Vec<Candidate<T>>, only: Kinds, pace: Pace) -> Self {
        let mut candidates: Vec<_> = candidates.into_iter().enumerate().collect();
        candidates.sort_by_key(|(_, one)| (Reverse(one.last_good), Reverse(one.weight)));
        let lanes = candidates.into_iter().map(|(index, candidate)| {
            let why_not = match () {
                () if !only.has(candidate.kind) => Some("switched off"),
                () if candidate.targets.is_empty() => Some("no address"),
                () => None,
            };
            Lane::new(index, candidate, why_not)
        });
        let mut race = Self {
            pace,
            lanes: lanes.collect(),
            next_start: Duration::ZERO,
            actions: VecDeque::new(),
            attempts: 0,
            won: None,
            over: None,
        };
        race.advance(Duration::ZERO);
        race
    }

    /// What to do next; call until there is nothing, after everything else.
    pub fn next_action(&mut self) -> Option<Action<T>> {
        self.actions.pop_front()
    }

    /// When to call [`Race::advance`], if nothing happens before.
    #[must_use]
    pub fn wake(&self) -> Option<Duration> {
        if self.over.is_some() {
            return None;
        }
        let free = self.running() < self.pace.at_once_max;
        let timers = self.lanes.iter().filter_map(|lane| match lane.step {
            Step::Waiting => free.then_some(self.next_start),
            Step::Running { until, .. } => Some(until),
            Step::Resting { until } => free.then_some(until),
            Step::Ended => None,
        });
        timers.chain([self.pace.deadline]).min()
    }

    /// Time has passed.
    pub fn advance(&mut self, now: Duration) {
        if self.over.is_some() {
            return;
        }
        let overdue = |lane: &Lane<T>| match lane.step {
            Step::Running { attempt, until } if until <= now => Some(attempt),
            _ => None,
        };
        let overdue: Vec<_> = self.lanes.iter().filter_map(overdue).collect();
        for attempt in overdue {
            self.actions.push_back(Action::Cancel { attempt });
            self.fail(now, attempt, None);
        }
        if now >= self.pace.deadline {
            return self.end(now, None);
        }
        self.start_lanes(now);
    }

    /// An attempt failed. Of one that was cancelled it changes nothing.
    pub fn failed(&mut self, now: Duration, attempt: AttemptId, error: &str) {
        if self.fail(now, attempt, Some(error)) {
            self.start_lanes(now);
        }
    }

    /// An attempt worked. Says whether it is the winner; if not, it came too late, and whoever
    /// drives the race closes what it brought.
    ///
    /// `by` is the index of the candidate that answered, where dialling one may be answered by
    /// another one.
    pub fn succeeded(
        &mut self,
        now: Duration,
        attempt: AttemptId,
        (local, remote): (Option<String>, Option<String>),
        by: Option<usize>,
    ) -> bool {
        let Some(own) = self.lane_of(attempt) else { return false };
        let by = by.and_then(|index| self.lanes.iter().position(|l| l.shown.index == index));
        let place = by.unwrap_or(own);
        let reason = self.reason(place);
        self.lanes[own].stop(now, State::Cancelled);
        let lane = &mut self.lanes[place];
        if let Step::Running { attempt, .. } = lane.step {
            self.actions.push_back(Action::Cancel { attempt });
        }
        lane.began.get_or_insert(now);
        lane.stop(now, State::Success);
        lane.shown.tries = lane.shown.tries.max(1);
        (lane.shown.local, lane.shown.remote, lane.shown.error) = (local, remote, None);
        self.won = Some((lane.shown.index, reason));
        self.end(now, Some(attempt));
        true
    }

    #[must_use]
    pub fn report(&self, now: Duration) -> Report {
        let shown = |lane: &Lane<T>| {
            let mut shown = lane.shown.clone();
            if let (Some(began), Step::Running { .. } | Step::Resting { .. }) =
                (lane.began, lane.step)
            {
                shown.elapsed = now.saturating_sub(began);
            }
            shown
        };
        Report {
            candidates: self.lanes.iter().map(shown).collect(),
            winner: self.won,
            elapsed: self.over.unwrap_or(now),
            over: self.over.is_some(),
        }
    }

    /// Ends an attempt as failed. Says whether it was under way.
    fn fail(&mut self, now: Duration, attempt: AttemptId, error: Option<&str>) -> bool {
        let (Some(place), pace) = (self.lane_of(attempt), self.pace) else { return false };
        let lane = &mut self.lanes[place];
        let timeout = lane.timeout(&pace);
        let silent = || format!("no answer in {:.1} s", timeout.as_secs_f64());
        lane.shown.error = Some(error.map_or_else(silent, str::to_owned));
        if lane.shown.tries >= pace.tries_max.max(lane.candidate.targets.len() as u32) {
            lane.stop(now, State::Failed);
        } else {
            let again = lane.at_the_top() && error.is_some();
            lane.step = Step::Resting { until: if again { now + REST } else { now } };
            lane.shown.state = State::Pending;
        }
        // a failure starts the next one at once
        self.next_start = self.next_start.min(now);
        true
    }

    /// Starts what is due: first those that have not had a try, so that nobody starves.
    fn start_lanes(&mut self, now: Duration) {
        while self.over.is_none() && self.running() < self.pace.at_once_max {
            let waiting = self.lanes.iter().position(|lane| lane.step == Step::Waiting);
            let rested =
                |lane: &Lane<T>| matches!(lane.step, Step::Resting { until } if until <= now);
            let place = match waiting.filter(|_| self.next_start <= now) {
                Some(place) => {
                    self.next_start = now + self.pace.stagger;
                    place
                }
                None => match self.lanes.iter().position(rested) {
                    Some(place) => place,
                    None => break,
                },
            };
            let attempt = AttemptId(self.attempts);
            self.attempts += 1;
            let target = self.lanes[place].start(now, attempt, &self.pace);
            self.actions.push_back(Action::Start { attempt, target });
        }
        if self.lanes.iter().all(|lane| lane.step == Step::Ended) {
            self.end(now, None);
        }
    }

    fn end(&mut self, now: Duration, winner: Option<AttemptId>) {
        if self.over.is_some() {
            return;
        }
        for lane in &mut self.lanes {
            match lane.step {
                Step::Running { attempt, .. } => {
                    self.actions.push_back(Action::Cancel { attempt });
                    let out_of_time = winner.is_none();
                    if out_of_time {
                        lane.shown.error = Some("no answer before the deadline".to_owned());
                    }
                    lane.stop(now, if out_of_time { State::Failed } else { State::Cancelled });
                }
                Step::Resting { .. } => lane.stop(now, State::Failed),
                Step::Waiting => lane.stop(now, State::Cancelled),
                Step::Ended => {}
            }
        }
        self.over = Some(now);
        self.actions.push_back(Action::Done { winner });
    }

    fn reason(&self, winner: usize) -> Reason {
        let tried = |lane: &&Lane<T>| lane.shown.tries > 0;
        let others = || self.lanes.iter().enumerate().filter(|(at, _)| *at != winner);
        let possible = others().filter(|(_, lane)| tried(lane) || lane.step != Step::Ended);
        let mut started = others().map(|(_, lane)| lane).filter(tried).peekable();
        if possible.count() == 0 {
            Reason::Alone
        } else if started.peek().is_none() && self.lanes[winner].candidate.last_good {
            Reason::WorkedLast
        } else if started.peek().is_none() {
            Reason::Preferred
        } else if started.all(|lane| !matches!(lane.step, Step::Running { .. })) {
            Reason::OthersFailed
        } else {
            Reason::Fastest
        }
    }

    fn lane_of(&self, attempt: AttemptId) -> Option<usize> {
        let runs = |lane: &Lane<T>| matches!(lane.step, Step::Running { attempt: known, .. } if known == attempt);
        self.lanes.iter().position(runs)
    }

    fn running(&self) -> usize {
        let running = |lane: &&Lane<T>| matches!(lane.step, Step::Running { .. });
        self.lanes.iter().filter(running).count()
    }
}

impl<T: Clone> Lane<T> {
    fn new(index: usize, candidate: Candidate<T>, why_not: Option<&str>) -> Self {
        let state = if why_not.is_some() { State::Cancelled } else { State::Pending };
        let shown = CandidateReport {
            index,
            kind: candidate.kind,
            state,
            tries: 0,
            elapsed: Duration::ZERO,
            local: None,
            remote: None,
            error: why_not.map(str::to_owned),
        };
        let step = if why_not.is_some() { Step::Ended } else { Step::Waiting };
        Self { candidate, step, shown, began: None }
    }

    /// How often the whole list was gone through before the try that is next or under way.
    fn round(&self) -> u32 {
        let tried = match self.step {
            Step::Running { .. } => self.shown.tries.saturating_sub(1),
            Step::Waiting | Step::Resting { .. } | Step::Ended => self.shown.tries,
        };
        tried / self.candidate.targets.len() as u32
    }

    /// Whether the list begins anew.
    fn at_the_top(&self) -> bool {
        self.shown.tries.is_multiple_of(self.candidate.targets.len() as u32)
    }

    fn timeout(&self, pace: &Pace) -> Duration {
        let grown = pace.timeout.saturating_mul(1 << self.round().min(16));
        grown.min(pace.timeout_max)
    }

    fn start(&mut self, now: Duration, attempt: AttemptId, pace: &Pace) -> T {
        let until = now + self.timeout(pace);
        let targets = &self.candidate.targets;
        let target = targets[self.shown.tries as usize % targets.len()].clone();
        self.step = Step::Running { attempt, until };
        self.began.get_or_insert(now);
        self.shown.state = State::Running;
        self.shown.tries += 1;
        target
    }

    fn stop(&mut self, now: Duration, state: State) {
        self.shown.elapsed = now.saturating_sub(self.began.unwrap_or(now));
        (self.step, self.shown.state) = (Step::Ended, state);
    }
}
