//! What a race promises, one rule at a time.

use super::{PACE, candidate, ms};
use crate::race::{Action, AttemptId, Kind, Kinds, Race, Reason, State};

type Log = Vec<Action<&'static str>>;

fn drain(race: &mut Race<&'static str>) -> Log {
    std::iter::from_fn(|| race.next_action()).collect()
}

fn start(attempt: u32, target: &'static str) -> Action<&'static str> {
    Action::Start { attempt: AttemptId(attempt), target }
}

fn cancel(attempt: u32) -> Action<&'static str> {
    Action::Cancel { attempt: AttemptId(attempt) }
}

fn two() -> Race<&'static str> {
    let lan = candidate(Kind::Lan, 3, vec!["lan"]);
    let direct = candidate(Kind::Direct, 2, vec!["direct"]);
    Race::new(vec![direct, lan], Kinds::ALL, PACE)
}

fn nowhere() -> (Option<String>, Option<String>) {
    (None, None)
}

#[test]
fn rfc_8305_section_5_starts_are_staggered_by_preference() {
    let mut race = two();
    assert_eq!(drain(&mut race), [start(0, "lan")]);
    assert_eq!(race.wake(), Some(ms(250)));
    race.advance(ms(249));
    assert_eq!(drain(&mut race), []);
    race.advance(ms(250));
    assert_eq!(drain(&mut race), [start(1, "direct")]);
    let ends = (Some("192.0.2.1:5".to_owned()), Some("192.0.2.2:6".to_owned()));
    assert!(race.succeeded(ms(300), AttemptId(1), ends, None));
    let done = Action::Done { winner: Some(AttemptId(1)) };
    assert_eq!(drain(&mut race), [cancel(0), done]);
    let report = race.report(ms(9000));
    assert_eq!(report.winner, Some((0, Reason::Fastest)), "the index is that of the list");
    assert_eq!(report.elapsed, ms(300));
    let [lan, direct] = &report.candidates[..] else { panic!("{report:?}") };
    assert_eq!((lan.state, lan.elapsed, lan.tries), (State::Cancelled, ms(300), 1));
    assert_eq!((direct.state, direct.elapsed, direct.tries), (State::Success, ms(50), 1));
    assert_eq!(direct.remote.as_deref(), Some("192.0.2.2:6"));
}

#[test]
fn a_failure_starts_the_next_at_once() {
    let mut race = two();
    drain(&mut race);
    race.failed(ms(3), AttemptId(0), "refused");
    assert_eq!(drain(&mut race), [start(1, "direct")]);
    // and the one that failed has another try a little later
    assert_eq!(race.wake(), Some(ms(203)));
    race.advance(ms(203));
    assert_eq!(drain(&mut race), [start(2, "lan")]);
    assert!(race.succeeded(ms(209), AttemptId(1), nowhere(), None));
    assert_eq!(drain(&mut race)[0], cancel(2));
}

#[test]
fn the_list_is_gone_through_in_order_with_growing_timeouts() {
    let port = candidate(Kind::Other, 1, vec!["40611", "32100"]);
    let mut race = Race::new(vec![port], Kinds::ALL, crate::race::Pace { tries_max: 5, ..PACE });
    let mut log = vec![];
    while let Some(now) = race.wake() {
        log.extend(drain(&mut race).into_iter().map(|action| (now, action)));
        race.advance(now);
    }
    let starts = log.iter().filter_map(|(until, action)| match action {
        Action::Start { target, .. } => Some((until.as_millis(), *target)),
        _ => None,
    });
    let expected =
        [(1000, "40611"), (2000, "32100"), (4000, "40611"), (6000, "32100"), (10_000, "40611")];
    assert_eq!(starts.collect::<Vec<_>>(), expected, "each until its timeout");
    let report = race.report(ms(20_000));
    assert_eq!((report.winner, report.elapsed, report.over), (None, ms(10_000), true));
    assert_eq!(report.candidates[0].state, State::Failed);
    assert_eq!(report.candidates[0].error.as_deref(), Some("no answer in 4.0 s"));
}

#[test]
fn what_worked_last_goes_first() {
    let lan = candidate(Kind::Lan, 9, vec!["lan"]);
    let mut relay = candidate(Kind::Relay, 1, vec!["relay"]);
    relay.last_good = true;
    let mut race = Race::new(vec![lan, relay], Kinds::ALL, PACE);
    assert_eq!(drain(&mut race), [start(0, "relay")]);
    race.succeeded(ms(1), AttemptId(0), nowhere(), None);
    assert_eq!(race.report(ms(1)).winner, Some((1, Reason::WorkedLast)));
    assert_eq!(race.report(ms(1)).candidates[1].state, State::Cancelled);
    assert_eq!(race.report(ms(1)).candidates[1].tries, 0);
}

#[test]
fn a_kind_that_is_switched_off_is_said_and_not_dialled() {
    let lan = candidate(Kind::Lan, 9, vec!["lan"]);
    let relay = candidate(Kind::Relay, 1, vec!["relay"]);
    let only = Kinds::from_iter([Kind::Relay]);
    let mut race = Race::new(vec![lan.clone(), relay], only, PACE);
    assert_eq!(drain(&mut race), [start(0, "relay")]);
    assert!(race.succeeded(ms(1), AttemptId(0), nowhere(), None));
    let report = race.report(ms(1));
    assert_eq!(report.winner, Some((1, Reason::Alone)));
    assert_eq!(report.candidates[0].error.as_deref(), Some("switched off"));

    let mut none = Race::new(vec![lan], only, PACE);
    assert_eq!(drain(&mut none), [Action::Done { winner: None }]);
}

#[test]
fn who_answers_is_who_wins() {
    let mut race = two();
    race.advance(ms(250));
    drain(&mut race);
    assert!(race.succeeded(ms(260), AttemptId(0), nowhere(), Some(0)));
    let done = Action::Done { winner: Some(AttemptId(0)) };
    assert_eq!(drain(&mut race), [cancel(1), done]);
    let states = race.report(ms(260)).candidates.iter().map(|one| one.state).collect::<Vec<_>>();
    assert_eq!(states, [State::Cancelled, State::Success]);
}

#[test]
fn more_candidates_than_places_take_turns() {
    let many = (0..9).map(|_| candidate(Kind::Lan, 1, vec!["x"])).collect();
    let mut race = Race::new(many, Kinds::ALL, PACE);
    let (mut live, mut most) = (0_i32, 0);
    while let Some(now) = race.wake() {
        for action in drain(&mut race) {
            live += match action {
                Action::Start { .. } => 1,
                Action::Cancel { .. } => -1,
                Action::Done { .. } => 0,
            };
            most = most.max(live);
        }
        race.advance(now);
    }
    assert_eq!(most, 4);
    assert!(race.report(ms(0)).candidates.iter().all(|one| one.tries > 0), "each had a turn");
}
