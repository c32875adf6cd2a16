//! The driver, on a paused clock.

use super::{PACE, candidate, ms};
use crate::race::{Answer, Kind, Kinds, Race, Report, State, run};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// What an attempt holds; how many there are is how many were not cleaned up.
type Held = Arc<()>;

/// When it ends, and how.
type Plan = (Duration, Result<(), &'static str>);

fn race(plans: &[Plan]) -> Race<Plan> {
    let lane = |plan: &Plan| candidate(Kind::Lan, 1, vec![*plan]);
    Race::new(plans.iter().map(lane).collect(), Kinds::ALL, PACE)
}

async fn dial((after, result): Plan, held: Held) -> Result<Answer<Held>, String> {
    sleep(after).await;
    let at = Some("here".to_owned());
    let answer = Answer { brought: held, local: at.clone(), remote: at, by: None };
    result.map(|()| answer).map_err(str::to_owned)
}

async fn outcome(plans: &[Plan]) -> (Option<Held>, Report, Held) {
    let held = Held::default();
    let holding = held.clone();
    let (won, report) = run(race(plans), move |plan| dial(plan, holding.clone()), |_| {}).await;
    (won, report, held)
}

#[tokio::test(start_paused = true)]
async fn the_first_that_answers_is_kept_and_nothing_else() {
    let began = Instant::now();
    let (won, report, held) =
        outcome(&[(ms(60_000), Ok(())), (ms(40), Ok(())), (ms(60_000), Ok(()))]).await;
    assert_eq!(began.elapsed(), ms(290), "one delay and one answer");
    assert!(won.is_some());
    assert_eq!(Arc::strong_count(&held), 2, "ours and the winner's");
    let states: Vec<_> = report.candidates.iter().map(|one| one.state).collect();
    assert_eq!(states, [State::Cancelled, State::Success, State::Cancelled]);
}

#[tokio::test(start_paused = true)]
async fn when_all_fail_it_says_why() {
    let (won, report, held) = outcome(&[(ms(5), Err("refused")), (ms(99_000), Ok(()))]).await;
    assert!(won.is_none());
    assert_eq!(Arc::strong_count(&held), 1);
    let errors: Vec<_> = report.candidates.iter().map(|one| one.error.as_deref()).collect();
    assert_eq!(errors, [Some("refused"), Some("no answer in 4.0 s")]);
    assert!(report.elapsed <= PACE.deadline);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_panics_has_failed() {
    let dial = |_: Plan| async { panic!("a bug in what dials") };
    let (won, report) = run::<_, Held, _>(race(&[(ms(1), Ok(()))]), dial, |_| {}).await;
    assert!(won.is_none());
    assert_eq!(report.candidates[0].error.as_deref(), Some("the attempt broke off"));
}

#[tokio::test(start_paused = true)]
async fn dropping_the_race_drops_the_attempts() {
    let held = Held::default();
    let holding = held.clone();
    let plans = [(ms(60_000), Ok(())), (ms(60_000), Ok(()))];
    let mut steps = 0;
    let racing = run(race(&plans), move |plan| dial(plan, holding.clone()), |_| steps += 1);
    assert!(tokio::time::timeout(ms(900), racing).await.is_err());
    tokio::task::yield_now().await;
    assert_eq!(Arc::strong_count(&held), 1);
}
