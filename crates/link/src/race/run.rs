//! A race over tokio: dials as it is told, and gives back what the winner brought.

use super::{Action, AttemptId, Race, Report};
use std::future::Future;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// What a dial that worked brought.
#[derive(Clone, Debug)]
pub struct Answer<C> {
    pub brought: C,
    pub local: Option<String>,
    pub remote: Option<String>,
    /// The index of the candidate that answered, if it is not the one that was dialled.
    pub by: Option<usize>,
}

/// Runs a race to its end. `dial` starts one attempt; `seen` is told after each step.
///
/// Cancel safe: dropping it drops every attempt. A cancelled attempt is dropped, and so is what an
/// attempt brings that comes too late: both must clean up when they are dropped.
pub async fn run<T, C, F>(
    mut race: Race<T>,
    mut dial: impl FnMut(T) -> F,
    mut seen: impl FnMut(Report),
) -> (Option<C>, Report)
where
    T: Clone,
    C: Send + 'static,
    F: Future<Output = Result<Answer<C>, String>> + Send + 'static,
{
    let began = Instant::now();
    let mut running = JoinSet::new();
    let mut handles = Vec::new();
    let mut won: Option<C> = None;
    loop {
        while let Some(action) = race.next_action() {
            match action {
                Action::Start { attempt, target } => {
                    let dialled = dial(target);
                    let task = running.spawn(async move { (attempt, dialled.await) });
                    handles.push((attempt, task));
                }
                Action::Cancel { attempt } => {
                    handles.iter().filter(|(id, _)| *id == attempt).for_each(|(_, h)| h.abort());
                }
                Action::Done { .. } => {
                    // what they held is released before the race is over for the caller
                    running.shutdown().await;
                    return (won, race.report(began.elapsed()));
                }
            }
        }
        seen(race.report(began.elapsed()));
        let wake = began + race.wake().expect("a race that is not over has a deadline");
        tokio::select! {
            biased;
            Some(ended) = running.join_next() => {
                // an aborted one has nothing to say, and one that panicked has failed
                let (id, result): (AttemptId, _) = match ended {
                    Ok(ended) => ended,
                    Err(error) => match handles.iter().find(|(_, h)| h.id() == error.id()) {
                        Some((id, _)) => (*id, Err("the attempt broke off".to_owned())),
                        None => continue,
                    },
                };
                let now = began.elapsed();
                match result {
                    Ok(Answer { brought, local, remote, by }) => {
                        if race.succeeded(now, id, (local, remote), by) {
                            won = Some(brought);
                        }
                    }
                    Err(error) => race.failed(now, id, &error),
                }
            }
            () = tokio::time::sleep_until(wake) => race.advance(began.elapsed()),
        }
    }
}
