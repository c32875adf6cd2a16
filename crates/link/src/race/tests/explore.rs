//! Every interleaving of small races, and drawn ones of larger races.
//!
//! The world may, at any moment, let any attempt that was ever started succeed or fail, also one
//! that was cancelled already, or let time pass. Whatever it does, the rules hold.

use super::{candidate, ms};
use crate::race::{Action, AttemptId, Kind, Kinds, Pace, Race, State};
use proptest::prelude::*;
use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

/// A race and its world.
#[derive(Clone)]
struct World {
    race: Race<usize>,
    now: Duration,
    deadline: Duration,
    /// Attempts that were started and have not said anything: whether somebody waits for them.
    silent: BTreeMap<AttemptId, bool>,
    winners: u32,
    done: bool,
}

impl World {
    fn new(race: Race<usize>, deadline: Duration) -> Self {
        let silent = BTreeMap::new();
        let mut world = Self { race, now: ms(0), deadline, silent, winners: 0, done: false };
        world.obey();
        world
    }

    fn obey(&mut self) {
        while let Some(action) = self.race.next_action() {
            assert!(!self.done, "an action after the end: {action:?}");
            match action {
                Action::Start { attempt, .. } => {
                    assert!(self.silent.insert(attempt, true).is_none(), "started twice");
                }
                Action::Cancel { attempt } => {
                    let live = self.silent.get_mut(&attempt).expect("cancelled, but never started");
                    assert!(std::mem::take(live), "cancelled twice");
                }
                Action::Done { winner } => {
                    assert_eq!(winner.is_some(), self.winners == 1);
                    self.done = true;
                }
            }
        }
        self.check();
    }

    fn check(&self) {
        let report = self.race.report(self.now);
        let live = self.silent.values().filter(|live| **live).count();
        let running = report.candidates.iter().filter(|one| one.state == State::Running).count();
        assert_eq!(live, running, "what is shown as running runs, and nothing else");
        assert!(self.winners <= 1);
        let won = |state| report.candidates.iter().filter(|one| one.state == state).count();
        assert_eq!(won(State::Success) as u32, self.winners);
        assert_eq!(report.winner.is_some(), self.winners == 1);
        assert_eq!((report.over, self.race.wake().is_none()), (self.done, self.done));
        if self.done {
            assert_eq!(live, 0, "a leaked attempt");
            assert_eq!(won(State::Pending), 0);
            assert!(report.elapsed <= self.deadline, "later than the deadline");
        } else {
            assert!(self.race.wake().expect("checked") <= self.deadline, "a hang");
        }
        for one in &report.candidates {
            assert!(one.state != State::Failed || one.error.is_some());
            assert!(one.elapsed <= report.elapsed);
        }
    }

    fn succeed(&mut self, attempt: AttemptId, by: Option<usize>) {
        let waited_for = self.silent.remove(&attempt).expect("it was silent");
        let won = self.race.succeeded(self.now, attempt, (None, None), by);
        assert_eq!(won, waited_for, "what was cancelled does not win, what was not does");
        self.winners += u32::from(won);
        self.obey();
    }

    fn fail(&mut self, attempt: AttemptId) {
        self.silent.remove(&attempt);
        self.race.failed(self.now, attempt, "refused");
        self.obey();
    }

    fn wait(&mut self) {
        self.now = self.race.wake().expect("it is not over");
        self.race.advance(self.now);
        self.obey();
    }
}

/// Goes on from here in every possible way, once for each different world.
fn explore(world: World, seen: &mut HashSet<String>) {
    let fingerprint = format!("{:?}{:?}{:?}", world.race, world.now, world.silent);
    if !seen.insert(fingerprint) {
        return;
    }
    for attempt in world.silent.keys() {
        let (mut good, mut bad) = (world.clone(), world.clone());
        good.succeed(*attempt, None);
        explore(good, seen);
        bad.fail(*attempt);
        explore(bad, seen);
    }
    if !world.done {
        let mut later = world;
        later.wait();
        explore(later, seen);
    }
}

const SMALL: Pace = Pace {
    stagger: ms(1000),
    timeout: ms(1500),
    timeout_max: ms(3000),
    deadline: ms(4000),
    tries_max: 2,
    at_once_max: 3,
};

#[test]
fn every_interleaving_of_two_candidates() {
    let two = vec![candidate(Kind::Lan, 2, vec![0, 1]), candidate(Kind::Relay, 1, vec![2])];
    let mut seen = HashSet::new();
    explore(World::new(Race::new(two, Kinds::ALL, SMALL), SMALL.deadline), &mut seen);
    assert!(seen.len() > 100, "{}", seen.len());
}

#[test]
fn every_interleaving_of_three_candidates_for_two_places() {
    let kinds = [Kind::Lan, Kind::Direct, Kind::Relay];
    let three = kinds.iter().enumerate().map(|(at, kind)| candidate(*kind, 1, vec![at]));
    let pace = Pace { at_once_max: 2, tries_max: 1, ..SMALL };
    let mut seen = HashSet::new();
    let race = Race::new(three.collect(), Kinds::ALL, pace);
    explore(World::new(race, pace.deadline), &mut seen);
    assert!(seen.len() > 100, "{}", seen.len());
}

/// Kind, weight, whether it worked last, targets.
type Drawn = (u8, u32, bool, usize);

fn races() -> impl Strategy<Value = (Vec<Drawn>, [u64; 4], u32, usize, u8)> {
    let one = (0..4_u8, 0..9_u32, any::<bool>(), 0..4_usize);
    let times = [1..2000_u64, 1..3000, 1..9000, 0..20_000];
    (proptest::collection::vec(one, 0..7), times, 0..5_u32, 1..5_usize, 0..16_u8)
}

proptest! {
    #[test]
    fn drawn_races_keep_the_rules(
        (lanes, [stagger, timeout, timeout_max, deadline], tries_max, at_once_max, only) in races(),
        happens in proptest::collection::vec((0..4_u8, any::<u16>()), 0..60),
    ) {
        let kind = |n: u8| [Kind::Lan, Kind::Direct, Kind::Relay, Kind::Other][n as usize];
        let candidates: Vec<_> = lanes.iter().map(|(k, weight, last_good, targets)| {
            let targets = (0..*targets).collect();
            crate::race::Candidate { last_good: *last_good, ..candidate(kind(*k), *weight, targets) }
        }).collect();
        let only = (0..4).filter(|n| only & 1 << n != 0).map(kind).collect();
        let pace = Pace {
            stagger: ms(stagger),
            timeout: ms(timeout),
            timeout_max: ms(timeout_max),
            deadline: ms(deadline),
            tries_max,
            at_once_max,
        };
        let count = candidates.len();
        let mut world = World::new(Race::new(candidates, only, pace), pace.deadline);
        for (what, which) in happens {
            let which = usize::from(which);
            let attempt = world.silent.keys().nth(which % world.silent.len().max(1)).copied();
            match (what, attempt) {
                (0, Some(attempt)) => world.succeed(attempt, Some(which % count)),
                (1, Some(attempt)) => world.succeed(attempt, None),
                (2, Some(attempt)) => world.fail(attempt),
                _ if !world.done => world.wait(),
                _ => {}
            }
        }
        let mut steps = 0;
        while !world.done {
            world.wait();
            steps += 1;
            prop_assert!(steps < 1000, "it does not end");
        }
        // whatever comes afterwards changes nothing
        let late: Vec<_> = world.silent.keys().copied().collect();
        late.into_iter().for_each(|attempt| world.succeed(attempt, None));
    }
}
