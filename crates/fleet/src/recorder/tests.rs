//! Prints as printers tell of them, with all that is missed in between.

use super::*;
use printer::{Fault, Outcome};
use proptest::prelude::*;

const S: i64 = 1_000_000;
const T0: i64 = 1_800_000_000 * S;

fn recorder(stored: Vec<Job>) -> Recorder {
    Recorder::new("printer-1", "a1", T0 - 1000 * S, stored)
}

fn shows(phase: Phase, job: Running) -> PrinterState {
    PrinterState { phase, job: Some(job), ..PrinterState::default() }
}

fn benchy(percent: u8) -> Running {
    Running {
        name: "benchy.gcode".into(),
        progress_percent: Some(f32::from(percent)),
        ..Running::default()
    }
}

fn with_id(id: &str, percent: u8) -> Running {
    Running { id: Some(id.into()), ..benchy(percent) }
}

fn idle() -> PrinterState {
    PrinterState { phase: Phase::Idle, ..PrinterState::default() }
}

/// What a database would hold after these.
fn stored(changes: &[Change]) -> Vec<Job> {
    let mut jobs: Vec<Job> = vec![];
    for change in changes {
        jobs.retain(|job| job.id != change.job.id);
        jobs.push(change.job.clone());
    }
    jobs
}

fn words(changes: &[Change]) -> Vec<String> {
    changes.iter().flat_map(|change| &change.events).map(|event| event.what.clone()).collect()
}

#[test]
fn a_print_from_beginning_to_end() {
    let mut recorder = recorder(vec![]);
    let mut all = recorder.observe(&idle(), T0);
    let steps = [
        (5, Phase::Preparing, 0),
        (60, Phase::Printing, 1),
        (100, Phase::Paused, 40),
        (130, Phase::Printing, 40),
        (200, Phase::Finished, 100),
    ];
    for (at, phase, percent) in steps {
        all.extend(recorder.observe(&shows(phase, benchy(percent)), T0 + at * S));
    }
    assert_eq!(words(&all), ["started", "printing", "paused", "resumed", "finished"]);
    let jobs = stored(&all);
    assert_eq!(jobs.len(), 1);
    assert_eq!((jobs[0].started_us, jobs[0].ended_us), (T0 + 5 * S, Some(T0 + 200 * S)));
    assert_eq!((jobs[0].paused_s, jobs[0].printed_s), (30, Some(165)));
    assert_eq!((jobs[0].state.as_str(), jobs[0].known_by.as_str()), ("finished", "seen"));
    assert_eq!(jobs[0].progress_permille, 1000);
    // it is still shown, and is still the same one
    assert!(recorder.observe(&shows(Phase::Finished, benchy(100)), T0 + 300 * S).is_empty());
    assert!(recorder.observe(&idle(), T0 + 400 * S).is_empty());
}

#[test]
fn the_same_file_again_is_another_job() {
    let mut recorder = recorder(vec![]);
    let mut all = recorder.observe(&shows(Phase::Printing, benchy(10)), T0);
    all.extend(recorder.observe(&shows(Phase::Finished, benchy(100)), T0 + 60 * S));
    all.extend(recorder.observe(&shows(Phase::Printing, benchy(0)), T0 + 61 * S));
    all.extend(recorder.observe(&shows(Phase::Stopped, benchy(5)), T0 + 90 * S));
    let jobs = stored(&all);
    assert_eq!(jobs.len(), 2);
    assert_eq!((jobs[0].state.as_str(), jobs[1].state.as_str()), ("finished", "cancelled"));
}

#[test]
fn a_restart_goes_on_with_the_same_job() {
    let mut first = recorder(vec![]);
    let elapsed = |s| Running { elapsed_s: Some(s), ..benchy(20) };
    let mut all = first.observe(&shows(Phase::Printing, elapsed(100)), T0);
    assert_eq!(all[0].job.started_us, T0 - 100 * S, "found under way");
    let mut second = recorder(stored(&all));
    all.extend(second.observe(&shows(Phase::Printing, elapsed(400)), T0 + 300 * S));
    all.extend(second.observe(&shows(Phase::Finished, elapsed(500)), T0 + 400 * S));
    let jobs = stored(&all);
    assert_eq!(jobs.len(), 1);
    assert_eq!((jobs[0].started_us, jobs[0].ended_us), (T0 - 100 * S, Some(T0 + 400 * S)));
}

#[test]
fn a_reprint_while_we_were_away_is_told_from_the_first() {
    let elapsed =
        |s, percent| Running { elapsed_s: Some(s), remaining_s: Some(50), ..benchy(percent) };
    let all = recorder(vec![]).observe(&shows(Phase::Printing, elapsed(100, 60)), T0);
    let mut again = recorder(stored(&all));
    // a thousand seconds later the same file has been printing for a hundred
    let changes = again.observe(&shows(Phase::Printing, elapsed(100, 60)), T0 + 1000 * S);
    let jobs = stored(&[all, changes].concat());
    assert_eq!(jobs.len(), 2);
    // the first had foretold its end, and that was long before the second began; how it ended was
    // not seen
    assert_eq!((jobs[0].state.as_str(), jobs[0].ended_us), ("unknown", Some(T0 + 50 * S)));
    assert_eq!(jobs[0].known_by, "assumed");
    assert_eq!(jobs[1].started_us, T0 + 900 * S);
}

#[test]
fn a_reprint_right_after_the_first_is_told_from_it() {
    // OctoPrint: no ids and no dates; the first was seen until its seventh second
    let elapsed = |s| Running { elapsed_s: Some(s), ..benchy(10) };
    let mut before = recorder(vec![]);
    let _ = before.observe(&shows(Phase::Printing, elapsed(0)), T0);
    let _ = before.observe(&shows(Phase::Printing, elapsed(7)), T0 + 7 * S);
    before.lost();
    let mut after = before.observe(&shows(Phase::Printing, elapsed(2)), T0 + 14 * S);
    assert_eq!(words(&after), ["unknown", "started"]);
    assert_eq!(after.remove(1).job.started_us, T0 + 12 * S);
    // one that has not been seen again for two seconds is not the first for that
    before.lost();
    let after = before.observe(&shows(Phase::Printing, elapsed(4)), T0 + 20 * S);
    assert_eq!(words(&after), ["unknown", "started"]);
    // one that stands still has not begun later for that
    before.lost();
    assert!(words(&before.observe(&shows(Phase::Paused, elapsed(3)), T0 + 99 * S)) == ["paused"]);
    before.lost();
    let changes = before.observe(&shows(Phase::Printing, elapsed(4)), T0 + 199 * S);
    assert_eq!(words(&changes), ["resumed"]);
}

#[test]
fn a_print_that_had_come_further_is_another() {
    // what a printer counts is not written, how far it had come is
    let elapsed = |s, percent| Running { elapsed_s: Some(s), ..benchy(percent) };
    let mut all = recorder(vec![]).observe(&shows(Phase::Paused, elapsed(300, 50)), T0);
    let mut again = recorder(stored(&all));
    all.extend(again.observe(&shows(Phase::Printing, elapsed(20, 3)), T0 + 600 * S));
    assert_eq!(words(&all), ["started", "unknown", "started"]);
}

#[test]
fn what_is_over_long_since_is_the_print_that_was_seen() {
    let elapsed = |s, percent| Running { elapsed_s: Some(s), ..benchy(percent) };
    let all = recorder(vec![]).observe(&shows(Phase::Printing, elapsed(300, 10)), T0);
    let mut again = recorder(stored(&all));
    let done = shows(Phase::Finished, elapsed(3600, 100));
    let changes = again.observe(&done, T0 + 36_000 * S);
    let job = &changes[0].job;
    assert_eq!((job.state.as_str(), job.ended_us), ("finished", Some(T0 + 3300 * S)));
}

#[test]
fn what_stands_still_is_known_until_it_was_heard_last() {
    let mut recorder = recorder(vec![]);
    let mut all = recorder.observe(&shows(Phase::Printing, with_id("7", 10)), T0);
    all.extend(recorder.observe(&shows(Phase::Paused, with_id("7", 50)), T0 + 9 * S));
    assert!(recorder.still(T0 + 9 * S + S / 2).is_none(), "it was written a moment ago");
    for second in 11..600 {
        all.extend(recorder.still(T0 + second * S));
    }
    assert!(all.iter().all(|change| change.events.len() < 2));
    // killed; and something else is printed when it begins again
    let mut again = self::recorder(stored(&all));
    let changes = again.observe(&shows(Phase::Printing, with_id("8", 1)), T0 + 3600 * S);
    let ended_us = changes[0].job.ended_us.unwrap();
    assert!((T0 + 594 * S..T0 + 600 * S).contains(&ended_us), "{}", (ended_us - T0) / S);
    recorder.lost();
    assert!(recorder.still(T0 + 700 * S).is_none(), "that was another connection");
}

#[test]
fn a_name_that_comes_after_the_end_is_taken() {
    let unnamed = Running { name: "".into(), ..with_id("7", 100) };
    let mut recorder = recorder(vec![]);
    let _ = recorder.observe(&idle(), T0);
    let _ = recorder.observe(&shows(Phase::Failed, unnamed), T0 + S);
    let changes = recorder.observe(&shows(Phase::Failed, with_id("7", 100)), T0 + 3 * S);
    assert_eq!((changes.len(), changes[0].job.name.as_str()), (1, "benchy.gcode"));
    assert!(recorder.observe(&shows(Phase::Failed, with_id("7", 99)), T0 + 4 * S).is_empty());
}

#[test]
fn what_is_gone_has_not_been_cancelled_for_that() {
    let mut recorder = recorder(vec![]);
    let _ = recorder.observe(&shows(Phase::Printing, benchy(30)), T0);
    assert_eq!(words(&recorder.observe(&idle(), T0 + S)), ["unknown"]);
    let told = told_end(None, Outcome::Cancelled, 80);
    assert_eq!(words(&recorder.remembered(&[told], T0 + 2 * S)), ["cancelled"]);
}

#[test]
fn what_has_gone_back_in_time_and_in_the_file_is_another() {
    // the end and the next beginning came between two messages of one connection
    let elapsed = |s, percent| Running { elapsed_s: Some(s), ..benchy(percent) };
    let mut recorder = recorder(vec![]);
    let _ = recorder.observe(&shows(Phase::Printing, elapsed(7, 95)), T0);
    let again = recorder.observe(&shows(Phase::Printing, elapsed(2, 17)), T0 + 8 * S);
    assert_eq!(words(&again), ["unknown", "started"]);
    // a count that goes back alone is the firmware's
    assert!(
        words(&recorder.observe(&shows(Phase::Printing, elapsed(1, 18)), T0 + 9 * S)).is_empty()
    );
}

#[test]
fn what_vanished_a_little_before_its_end_may_have_failed() {
    for (percent, word) in [(99, "unknown"), (100, "finished")] {
        let all = recorder(vec![]).observe(&shows(Phase::Printing, with_id("7", percent)), T0);
        let mut again = recorder(stored(&all));
        assert_eq!(words(&again.observe(&idle(), T0 + 60 * S)), [word], "{percent}");
    }
}

#[test]
fn an_id_tells_two_prints_of_one_file_apart() {
    let all = recorder(vec![]).observe(&shows(Phase::Printing, with_id("7", 50)), T0);
    let mut again = recorder(stored(&all));
    let changes = again.observe(&shows(Phase::Printing, with_id("8", 51)), T0 + 60 * S);
    assert_eq!(words(&changes), ["unknown", "started"]);
    let mut same = recorder(stored(&all));
    assert!(words(&same.observe(&shows(Phase::Printing, with_id("7", 2)), T0 + 60 * S)).is_empty());
}

#[test]
fn what_ended_while_we_were_away_is_taken_from_what_is_shown() {
    let running = Running { elapsed_s: Some(10), ..with_id("7", 50) };
    let all = recorder(vec![]).observe(&shows(Phase::Printing, running), T0);
    let mut again = recorder(stored(&all));
    let done = Running { elapsed_s: Some(110), ..with_id("7", 100) };
    let changes = again.observe(&shows(Phase::Finished, done), T0 + 5000 * S);
    let jobs = stored(&changes);
    assert_eq!((jobs[0].state.as_str(), jobs[0].ended_us), ("finished", Some(T0 + 100 * S)));
    assert_eq!(jobs[0].known_by, "assumed");
}

#[test]
fn what_began_and_ended_while_we_were_away_is_not_lost() {
    let started_us = Some(T0 + 100 * S);
    let shown = Running { started_us, elapsed_s: Some(60), ..with_id("9", 100) };
    let mut recorder = recorder(vec![]);
    let changes = recorder.observe(&shows(Phase::Failed, shown.clone()), T0 + 500 * S);
    let jobs = stored(&changes);
    assert_eq!((jobs[0].started_us, jobs[0].ended_us), (T0 + 100 * S, Some(T0 + 160 * S)));
    assert_eq!(jobs[0].state, "failed");
    let mut again = self::recorder(jobs);
    assert!(again.observe(&shows(Phase::Failed, shown), T0 + 600 * S).is_empty(), "once");
}

#[test]
fn what_a_printer_did_before_it_was_added_is_not_ours() {
    let shown = Running { started_us: Some(T0 - 9000 * S), ..with_id("1", 100) };
    assert!(recorder(vec![]).observe(&shows(Phase::Finished, shown), T0).is_empty());
    let past = past("0", T0 - 9000 * S, T0 - 8000 * S);
    assert!(recorder(vec![]).remembered(&[past], T0).is_empty());
}

fn past(id: &str, started_us: i64, ended_us: i64) -> Past {
    Past {
        id: Some(id.into()),
        name: "benchy.gcode".into(),
        outcome: Outcome::Finished,
        started_us: Some(started_us),
        ended_us,
        heard_us: None,
        printed_s: Some(80),
        filament_mm: Some(1234.5),
    }
}

#[test]
fn a_printer_that_remembers_says_how_that_ended_which_was_seen_to_end() {
    let mut recorder = recorder(vec![]);
    let _ = recorder.observe(&shows(Phase::Printing, with_id("7", 50)), T0);
    assert_eq!(words(&recorder.observe(&idle(), T0 + 60 * S)), ["unknown"]);
    let failed = [Past { outcome: Outcome::Failed, ..past("7", T0, T0 + 60 * S) }];
    let settled = recorder.remembered(&failed, T0 + 70 * S);
    assert_eq!(words(&settled), ["failed"]);
    assert_eq!(settled[0].job.reason, None);
    assert!(recorder.remembered(&failed, T0 + 80 * S).is_empty());
}

#[test]
fn a_printer_that_remembers_settles_what_we_guessed() {
    let all = recorder(vec![]).observe(&shows(Phase::Printing, with_id("7", 50)), T0);
    let mut again = recorder(stored(&all));
    let guessed = again.observe(&idle(), T0 + 500 * S);
    assert_eq!(guessed[0].job.state, "unknown");
    let settled = again.remembered(&[past("7", T0, T0 + 100 * S)], T0 + 501 * S);
    let job = &settled[0].job;
    assert_eq!((job.state.as_str(), job.known_by.as_str()), ("finished", "history"));
    assert_eq!((job.ended_us, job.printed_s, job.paused_s), (Some(T0 + 100 * S), Some(80), 20));
    assert_eq!(job.filament_um, Some(1_234_500));
    assert!(again.remembered(&[past("7", T0, T0 + 100 * S)], T0 + 502 * S).is_empty());
}

#[test]
fn prints_that_only_the_printer_saw_are_added_once() {
    let mut recorder = recorder(vec![]);
    let past = [past("7", T0 + 10 * S, T0 + 90 * S), past("8", T0 + 100 * S, T0 + 200 * S)];
    let added = recorder.remembered(&past, T0 + 300 * S);
    assert_eq!(words(&added), ["started", "finished", "started", "finished"]);
    assert!(recorder.remembered(&past, T0 + 301 * S).is_empty());
    let mut again = self::recorder(stored(&added));
    assert!(again.remembered(&past, T0 + 400 * S).is_empty());
}

#[test]
fn a_print_without_an_id_is_none_of_those_that_are_known() {
    let mut recorder = recorder(vec![]);
    let known = past("1", T0, T0 + 8 * S);
    let _ = recorder.remembered(std::slice::from_ref(&known), T0 + 10 * S);
    // found under way before the history told its number
    let _ = recorder.observe(&shows(Phase::Printing, benchy(10)), T0 + 73 * S);
    recorder.lost();
    let all = [known, past("2", T0 + 20 * S, T0 + 30 * S), past("3", T0 + 70 * S, T0 + 79 * S)];
    let changes = recorder.remembered(&all, T0 + 80 * S);
    let jobs = stored(&changes);
    let ids: Vec<_> = jobs.iter().map(|job| (job.own_id.as_deref(), job.started_us)).collect();
    assert!(ids.contains(&(Some("3"), T0 + 73 * S)), "{ids:?}");
    assert!(ids.contains(&(Some("2"), T0 + 20 * S)), "{ids:?}");
    assert_eq!(ids.len(), 2);
}

#[test]
fn a_printers_wrong_clock_moves_nothing_that_we_saw() {
    let mut recorder = recorder(vec![]);
    let _ = recorder.observe(&idle(), T0);
    let _ = recorder.observe(&shows(Phase::Printing, with_id("7", 1)), T0 + S);
    recorder.lost();
    // it lives an hour ahead
    let ahead = 3600 * S;
    let settled = recorder.remembered(&[past("7", T0 + ahead, T0 + ahead + 100 * S)], T0 + 500 * S);
    assert_eq!(settled[0].job.started_us, T0 + S);
    assert_eq!(settled[0].job.ended_us, Some(T0 + 101 * S));
}

#[test]
fn a_reason_is_kept() {
    let mut recorder = recorder(vec![]);
    let _ = recorder.observe(&shows(Phase::Printing, benchy(10)), T0);
    let mut failed = shows(Phase::Failed, benchy(10));
    let (code, text) = ("0700_8010".into(), "the filament is stuck".into());
    failed.faults.push(Fault { severity: printer::Severity::Serious, code, text });
    let changes = recorder.observe(&failed, T0 + S);
    assert_eq!(changes[0].job.reason.as_deref(), Some("the filament is stuck (0700_8010)"));
}

#[test]
fn what_we_started_is_known_by_its_file() {
    let mut recorder = recorder(vec![]);
    let _ = recorder.observe(&idle(), T0);
    recorder.expect(Expected {
        name: "Benchy.gcode.3mf".to_owned(),
        hash: Some("abc".to_owned()),
        queue_run: Some("run".to_owned()),
        made_by: "local".to_owned(),
        at_us: T0,
    });
    let other = Running { name: "other".into(), ..Running::default() };
    let changes = recorder.observe(&shows(Phase::Preparing, other), T0 + S);
    assert_eq!(changes[0].job.hash, None);
    let _ = recorder.observe(&shows(Phase::Stopped, Running::default()), T0 + 2 * S);
    let ours = Running { name: "benchy".into(), ..Running::default() };
    let changes = recorder.observe(&shows(Phase::Preparing, ours), T0 + 3 * S);
    assert_eq!(changes[0].job.hash.as_deref(), Some("abc"));
    assert_eq!(changes[0].job.queue_run.as_deref(), Some("run"));
}

fn dated(at_us: i64, percent: u8) -> Running {
    Running { started_us: Some(at_us), ..benchy(percent) }
}

#[test]
fn prints_without_ids_are_told_apart_by_their_dates() {
    let all = recorder(vec![]).observe(&shows(Phase::Printing, dated(T0 - S, 10)), T0);
    let mut same = recorder(stored(&all));
    assert!(
        words(&same.observe(&shows(Phase::Printing, dated(T0 - S, 50)), T0 + 9 * S)).is_empty()
    );
    let mut other = recorder(stored(&all));
    let changes = other.observe(&shows(Phase::Printing, dated(T0 + 4 * S, 50)), T0 + 9 * S);
    assert_eq!(words(&changes), ["unknown", "started"]);
    let mut over = recorder(stored(&all));
    let changes = over.observe(&shows(Phase::Finished, dated(T0 + 4 * S, 100)), T0 + 9 * S);
    assert_eq!(words(&changes), ["unknown", "started", "finished"]);
    assert!(over.observe(&shows(Phase::Finished, dated(T0 + 4 * S, 100)), T0 + 99 * S).is_empty());
}

#[test]
fn a_print_without_an_id_is_not_the_one_that_had_one() {
    let all = recorder(vec![]).observe(&shows(Phase::Printing, with_id("7", 10)), T0);
    let mut again = recorder(stored(&all));
    let changes = again.observe(&shows(Phase::Printing, dated(T0 + 4 * S, 50)), T0 + 9 * S);
    assert_eq!(words(&changes), ["unknown", "started"]);
}

#[test]
fn a_print_with_an_id_is_not_the_one_that_had_another_date() {
    let all = recorder(vec![]).observe(&shows(Phase::Printing, dated(T0 - S, 10)), T0);
    let both = |at_us| Running { id: Some("7".into()), ..dated(at_us, 50) };
    let mut again = recorder(stored(&all));
    let changes = again.observe(&shows(Phase::Printing, both(T0 + 4 * S)), T0 + 9 * S);
    assert_eq!(words(&changes), ["unknown", "started"]);
    let mut same = recorder(stored(&all));
    assert!(words(&same.observe(&shows(Phase::Printing, both(T0 - S)), T0 + 9 * S)).is_empty());
}

#[test]
fn a_date_that_is_early_makes_no_print_that_is_over() {
    let begun = recorder(vec![]).observe(&shows(Phase::Printing, dated(T0 - 60 * S, 90)), T0);
    let mut again = recorder(stored(&begun));
    // while nobody listened it ended, and the date is that of the next one already
    let changes = again.observe(&shows(Phase::Finished, dated(T0 + 8 * S, 100)), T0 + 9 * S);
    assert_eq!(words(&changes), ["unknown"]);
    let changes = again.observe(&shows(Phase::Preparing, dated(T0 + 8 * S, 0)), T0 + 10 * S);
    assert_eq!(words(&changes), ["started"]);
    let changes = again.observe(&shows(Phase::Failed, dated(T0 + 8 * S, 3)), T0 + 12 * S);
    assert_eq!(words(&changes), ["failed"]);
}

#[test]
fn a_date_that_is_late_makes_no_other_print() {
    let mut recorder = recorder(vec![]);
    let mut all = recorder.observe(&shows(Phase::Printing, dated(T0 - 60 * S, 90)), T0);
    all.extend(recorder.observe(&shows(Phase::Finished, dated(T0 - 60 * S, 100)), T0 + 5 * S));
    // the next one still has the date of the one before
    all.extend(recorder.observe(&shows(Phase::Preparing, dated(T0 - 60 * S, 0)), T0 + 9 * S));
    all.extend(recorder.observe(&shows(Phase::Preparing, dated(T0 + 9 * S, 0)), T0 + 10 * S));
    let jobs = stored(&all);
    assert_eq!(jobs.len(), 2);
    let own_id = format!("@{}", (T0 + 9 * S) / S);
    assert_eq!(jobs[0].own_id.as_deref(), Some(format!("@{}", (T0 - 60 * S) / S).as_str()));
    assert_eq!(recorder.job().and_then(|job| job.own_id.clone()), Some(own_id));
}

#[test]
fn an_error_after_an_absence_does_not_end_another_print() {
    let all = recorder(vec![]).observe(&shows(Phase::Printing, with_id("4", 50)), T0);
    let mut again = recorder(stored(&all));
    let changes = again.observe(&shows(Phase::Error, with_id("5", 10)), T0 + 60 * S);
    assert_eq!(words(&changes), ["unknown", "started", "failed"]);
    let mut bare = recorder(stored(&all));
    let error = PrinterState { phase: Phase::Error, ..PrinterState::default() };
    assert_eq!(words(&bare.observe(&error, T0 + 60 * S)), ["unknown"]);
}

#[test]
fn a_print_between_two_looks_is_not_lost() {
    let mut recorder = recorder(vec![]);
    let _ = recorder.observe(&idle(), T0);
    let changes = recorder.observe(&shows(Phase::Stopped, with_id("7", 3)), T0 + 2 * S);
    assert_eq!(words(&changes), ["started", "cancelled"]);
    assert!(recorder.observe(&shows(Phase::Stopped, with_id("7", 3)), T0 + 4 * S).is_empty());
}

#[test]
fn the_same_file_again_that_fails_at_once_is_not_the_one_before() {
    // sent from here, with an id; then started at the panel, where it has only a date
    let mut recorder = recorder(vec![]);
    let _ = recorder.observe(&shows(Phase::Printing, with_id("7", 50)), T0);
    let mut all = recorder.observe(&shows(Phase::Finished, with_id("7", 100)), T0 + 60 * S);
    all.extend(recorder.observe(&shows(Phase::Failed, dated(T0 + 90 * S, 0)), T0 + 91 * S));
    assert_eq!(words(&all), ["finished", "started", "failed"]);
    // an id that comes later than the date is of the same print
    let both = Running { id: Some("8".into()), ..dated(T0 + 90 * S, 0) };
    assert!(recorder.observe(&shows(Phase::Failed, both), T0 + 92 * S).is_empty());
}

#[test]
fn a_printer_that_starts_anew_has_not_cancelled_its_print() {
    let mut recorder = recorder(vec![]);
    let _ = recorder.observe(&shows(Phase::Printing, with_id("7", 50)), T0);
    assert_eq!(words(&recorder.observe(&idle(), T0 + S)), ["unknown"]);
}

fn told_end(id: Option<&str>, outcome: Outcome, printed_s: u32) -> Past {
    let (id, printed_s) = (id.map(Into::into), Some(printed_s));
    Past { id, outcome, printed_s, started_us: None, ..past("", 0, T0) }
}

#[test]
fn the_word_of_an_end_dates_nothing() {
    // an hour of pauses is no part of what it printed
    let mut recorder = recorder(vec![]);
    let _ = recorder.observe(&idle(), T0);
    let _ = recorder.observe(&shows(Phase::Printing, benchy(10)), T0 + S);
    let told = told_end(None, Outcome::Finished, 80);
    let changes = recorder.remembered(std::slice::from_ref(&told), T0 + 3700 * S);
    let job = &changes[0].job;
    assert_eq!((job.ended_us, job.known_by.as_str()), (Some(T0 + 3700 * S), "seen"));
    assert!(recorder.observe(&shows(Phase::Finished, benchy(100)), T0 + 3701 * S).is_empty());
    // the state was sooner, and did not know why
    let _ = recorder.observe(&shows(Phase::Printing, benchy(10)), T0 + 4000 * S);
    let _ = recorder.observe(&idle(), T0 + 4080 * S);
    let told = told_end(None, Outcome::Failed, 80);
    let changes = recorder.remembered(&[told], T0 + 4081 * S);
    assert_eq!(words(&changes), ["failed"]);
    assert_eq!(changes[0].job.reason, None);
    // nothing was seen of it at all
    let told = told_end(None, Outcome::Failed, 1);
    let changes = recorder.remembered(&[told], T0 + 4200 * S);
    assert_eq!(words(&changes), ["started", "failed"]);
}

#[test]
fn two_that_fail_at_once_are_two() {
    let mut recorder = recorder(vec![]);
    let _ = recorder.observe(&idle(), T0);
    let told = [Outcome::Failed, Outcome::Failed, Outcome::Cancelled];
    for (second, outcome) in (1..).zip(told) {
        let past = told_end(None, outcome, 0);
        let changes = recorder.remembered(&[past], T0 + second * S);
        assert_eq!((changes.len(), words(&changes).len()), (1, 2), "{second}");
    }
}

#[test]
fn what_was_heard_to_begin_is_none_that_ended_before() {
    // it broke off; then one of the same file began and failed at once
    let all = recorder(vec![]).observe(&shows(Phase::Printing, benchy(1)), T0);
    let mut again = recorder(stored(&all));
    assert_eq!(words(&again.observe(&idle(), T0 + 2 * S)), ["unknown"]);
    let heard = |at_us| Past { heard_us: at_us, ..told_end(None, Outcome::Failed, 0) };
    let changes = again.remembered(&[heard(Some(T0 + 3 * S))], T0 + 3 * S);
    assert_eq!(words(&changes), ["started", "failed"]);
    // of one that was seen it is the end, though the state was sooner
    let _ = again.observe(&shows(Phase::Printing, benchy(1)), T0 + 60 * S);
    let _ = again.observe(&idle(), T0 + 62 * S);
    let changes = again.remembered(&[heard(Some(T0 + 59 * S))], T0 + 62 * S);
    assert_eq!(words(&changes), ["failed"]);
}

#[test]
fn an_end_that_is_told_sooner_than_the_state_begins_nothing() {
    let mut recorder = recorder(vec![]);
    let _ = recorder.observe(&shows(Phase::Printing, with_id("7", 90)), T0);
    let _ = recorder.remembered(&[past("7", T0 - 100 * S, T0 + S)], T0 + S);
    assert!(recorder.observe(&shows(Phase::Printing, with_id("7", 99)), T0 + 2 * S).is_empty());
}

#[derive(Clone, Debug)]
enum Step {
    Print(u8),
    End(u8),
    Idle,
    Wait(u16),
    Restart,
    Drop,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0..100_u8).prop_map(Step::Print),
        (0..3_u8).prop_map(Step::End),
        Just(Step::Idle),
        (1..2000_u16).prop_map(Step::Wait),
        Just(Step::Restart),
        Just(Step::Drop),
    ];
    prop::collection::vec(step, 0..60)
}

proptest! {
    /// Whatever is heard in whatever order: one job at most is under way, no time runs backwards,
    /// and what is stored is what a restart finds.
    #[test]
    fn the_history_always_makes_sense(steps in steps()) {
        let (mut recorder, mut all, mut now) = (recorder(vec![]), vec![], T0);
        for step in steps {
            now += S;
            match step {
                Step::Print(percent) => {
                    all.extend(recorder.observe(&shows(Phase::Printing, benchy(percent)), now));
                }
                Step::End(how) => {
                    let phase = [Phase::Finished, Phase::Stopped, Phase::Failed][usize::from(how)];
                    all.extend(recorder.observe(&shows(phase, benchy(100)), now));
                }
                Step::Idle => all.extend(recorder.observe(&idle(), now)),
                Step::Wait(s) => now += i64::from(s) * S,
                Step::Restart => recorder = self::recorder(stored(&all)),
                Step::Drop => recorder.lost(),
            }
            let jobs = stored(&all);
            let open: Vec<_> = jobs.iter().filter(|job| job.ended_us.is_none()).collect();
            prop_assert!(open.len() <= 1);
            prop_assert_eq!(open.first().map(|job| &job.id), recorder.job().map(|job| &job.id));
            for job in &jobs {
                prop_assert!(job.started_us <= now);
                let ended_us = job.ended_us.unwrap_or(now);
                prop_assert!(job.started_us <= ended_us && ended_us <= now);
                prop_assert!(job.paused_s >= 0 && job.printed_s.is_none_or(|s| s >= 0));
                prop_assert_eq!(job.ended_us.is_none(), job.known_by.is_empty());
            }
        }
    }
}
