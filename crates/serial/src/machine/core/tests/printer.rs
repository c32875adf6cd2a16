//! Jobs on a simulated Marlin, in virtual time.

use super::job::{PLAIN, finish, phase, run, why};
use super::pair::Rig;
use super::*;
use crate::machine::job::{Phase, Why};
use sim::machine::Board;
use sim::machine::marlin::Options as Marlin;

fn printer() -> Rig {
    let board = Board::marlin(Marlin::default());
    let mut rig = Rig::of(Config::new(Profile::Marlin), board);
    rig.run(Duration::from_secs(3));
    rig
}

/// Short ways, and nothing that takes long.
fn print(lines: usize) -> Vec<u8> {
    let mut program = b"G91\n; a layer\nG1 F6000\n".to_vec();
    for number in 0..lines {
        let sign = if number % 20 < 10 { "" } else { "-" };
        program.extend_from_slice(format!("G1 X{sign}0.5 Y{sign}0.25\n").as_bytes());
    }
    program
}

#[test]
fn a_print_is_done_when_the_printer_stands() {
    let mut rig = printer();
    let before = rig.board.truth().lines;
    let progress = run(&mut rig, &print(300), PLAIN);
    finish(&mut rig, &progress, Duration::from_secs(120));
    assert_eq!((phase(&progress), progress.borrow().line), (Phase::Done, 303));
    let truth = rig.board.truth();
    // without the comment, with M110 and M400
    assert_eq!((truth.lines - before, truth.rx_dropped), (302 + 2, 0));
}

#[test]
fn lines_that_arrive_spoilt_are_sent_again() {
    let mut rig = printer();
    let before = rig.board.truth().lines;
    let progress = run(&mut rig, &print(300), PLAIN);
    for _ in 0..5 {
        rig.run(Duration::from_millis(300));
        rig.spoils = true;
        rig.run(Duration::from_millis(20));
        rig.spoils = false;
    }
    finish(&mut rig, &progress, Duration::from_secs(200));
    assert_eq!((phase(&progress), progress.borrow().line), (Phase::Done, 303));
    assert!(progress.borrow().resent > 0);
    assert_eq!(rig.board.truth().lines - before, 302 + 2);
}

#[test]
fn an_answer_that_is_lost_is_asked_for_again() {
    let mut rig = printer();
    let before = rig.board.truth().lines;
    let progress = run(&mut rig, &print(300), PLAIN);
    rig.run(Duration::from_millis(300));
    rig.deaf = true;
    rig.run(Duration::from_millis(200));
    rig.deaf = false;
    finish(&mut rig, &progress, Duration::from_secs(120));
    assert_eq!((phase(&progress), progress.borrow().line), (Phase::Done, 303));
    assert_eq!(rig.board.truth().lines - before, 302 + 2);
}

#[test]
fn a_print_is_held_and_resumed_and_one_that_hears_nothing_ends() {
    let mut rig = printer();
    let progress = run(&mut rig, &print(3000), PLAIN);
    rig.run(Duration::from_secs(2));
    rig.bench.core.hold(rig.bench.now).unwrap();
    rig.run(Duration::from_secs(1));
    let line = progress.borrow().line;
    rig.run(Duration::from_secs(60));
    assert_eq!((phase(&progress), progress.borrow().line), (Phase::Held, line));
    rig.bench.core.resume(rig.bench.now).unwrap();
    rig.run(Duration::from_secs(2));
    assert_eq!(phase(&progress), Phase::Running);
    assert!(progress.borrow().line > line);
    rig.deaf = true;
    finish(&mut rig, &progress, Duration::from_secs(200));
    assert!(matches!(why(&progress), Why::Silent { .. }), "{:?}", phase(&progress));
}
