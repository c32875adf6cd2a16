//! Jobs on a simulated board, in virtual time.

use super::pair::{BYTE, Rig, raster};
use super::*;
use crate::machine::job::{Options, Phase, Piece, Progress, Start, Why};
use sim::machine::Board;
use tokio::sync::watch;

pub(super) const PLAIN: Options = Options { armed: false, hold_alone: false };

/// Starts a job of these lines.
pub(super) fn run(rig: &mut Rig, program: &[u8], options: Options) -> watch::Receiver<Progress> {
    let (pieces, source) = mpsc::channel(1000);
    for chunk in program.chunk_by(|byte, _| *byte != b'\n').collect::<Vec<_>>().chunks(2000) {
        pieces.try_send(Piece::Lines(chunk.concat().into())).unwrap();
    }
    pieces.try_send(Piece::End).unwrap();
    start(rig, source, options).unwrap()
}

fn start(
    rig: &mut Rig,
    source: mpsc::Receiver<Piece>,
    options: Options,
) -> Result<watch::Receiver<Progress>, Error> {
    let first = Progress { phase: Phase::Running, line: 0, lost_answers: 0, resent: 0 };
    let (progress, receiver) = watch::channel(first);
    let (answer, mut answered) = oneshot::channel();
    let start = Start { by: Text::from("job 1"), options, source, progress, answer };
    rig.bench.core.control(Control::Run(start), rig.bench.now);
    answered.try_recv().unwrap().map(|()| receiver)
}

pub(super) fn phase(progress: &watch::Receiver<Progress>) -> Phase {
    progress.borrow().phase.clone()
}

pub(super) fn why(progress: &watch::Receiver<Progress>) -> Why {
    match phase(progress) {
        Phase::Ended(ended) => ended.why,
        other => panic!("{other:?}"),
    }
}

/// Until it is over.
pub(super) fn finish(rig: &mut Rig, progress: &watch::Receiver<Progress>, within: Duration) {
    let until = rig.bench.now + within;
    while rig.bench.now < until && rig.bench.core.job.is_some() {
        rig.run(ms(10));
    }
    assert!(rig.bench.core.job.is_none(), "{:?}", progress.borrow());
}

fn idle() -> Rig {
    let mut rig = Rig::cold(grbl());
    rig.run(Duration::from_secs(3));
    rig
}

#[test]
fn a_raster_runs_at_the_cables_rate_and_never_overfills_the_controller() {
    let mut rig = idle();
    let lines = soak_number("FARHUB_SOAK_LINES", 3000);
    let mut program = b"G21 G91\nM4 S0 F6000\n".to_vec();
    for number in 0..lines {
        let sign = if number % 200 < 100 { "" } else { "-" };
        program.extend_from_slice(format!("G1X{sign}0.0100S{:07}\n", number % 1000).as_bytes());
    }
    program.extend_from_slice(b"M5\n");
    let progress = run(&mut rig, &program, PLAIN);
    assert_eq!(rig.bench.state().user, Some(Text::from("job 1")));
    let began = rig.now();
    let least = BYTE * u32::try_from(program.len()).unwrap();
    finish(&mut rig, &progress, least * 2);
    let took = rig.now() - began;
    assert_eq!((phase(&progress), progress.borrow().line), (Phase::Done, lines + 3));
    let truth = rig.board.truth();
    assert_eq!((truth.rx_dropped, truth.rx_unheard, truth.lines_refused), (0, 0, 0));
    assert!(truth.rx_peak <= 120, "{}", truth.rx_peak);
    // and two of ours
    assert_eq!(truth.lines, lines + 3 + 2);
    let rate = 100.0 * least.as_secs_f64() / took.as_secs_f64();
    println!(
        "{lines} lines in {took:.0?}, {rate:.2} % of what the cable carries, at most {} bytes in \
         the controller",
        truth.rx_peak,
    );
    // until it is seen to stand
    assert!(took < least.mul_f64(1.02) + Duration::from_secs(1), "{took:?} of {least:?}");
    assert_eq!(truth.beam_power(), 0.0);
    assert_eq!(rig.bench.state().user, None);
}

#[test]
fn a_stop_in_a_job_is_its_end_and_no_byte_of_it_comes_after() {
    let mut rig = idle();
    let progress = run(&mut rig, &raster(4000), PLAIN);
    rig.run(Duration::from_secs(3));
    assert!(rig.board.truth().beam_power() > 0.0);
    let before = rig.now();
    let (_, mut done) = rig.bench.stop();
    finish(&mut rig, &progress, Duration::from_secs(3));
    assert!(done.try_recv().unwrap().confirmed);
    let Phase::Ended(ended) = phase(&progress) else { panic!() };
    assert!(ended.report.unwrap().confirmed);
    assert_eq!(ended.why, Why::Stopped(Reason::Asked { by: Text::from("me") }));
    let truth = rig.board.truth();
    assert_eq!(truth.program_bytes_after(before + BYTE), 0);
    assert_eq!(truth.beam_power(), 0.0);
    let (_, source) = mpsc::channel(1);
    assert_eq!(start(&mut rig, source, PLAIN).unwrap_err(), Error::Stopped);
}

#[test]
fn a_line_that_is_refused_stops_the_machine_and_is_told() {
    let mut rig = idle();
    let mut program = raster(100);
    program.extend_from_slice(b"G1 X1 G2\n");
    program.extend_from_slice(&raster(2000));
    let progress = run(&mut rig, &program, PLAIN);
    finish(&mut rig, &progress, Duration::from_secs(60));
    assert!(matches!(why(&progress), Why::Refused { line: 103, .. }), "{:?}", phase(&progress));
    assert_eq!(rig.board.truth().beam_power(), 0.0);
    assert_eq!(rig.bench.state().stopped.unwrap().reason, Reason::JobFailed);
}

#[test]
fn a_job_is_held_and_goes_on_where_it_was() {
    let mut rig = idle();
    let program = raster(1500);
    let progress = run(&mut rig, &program, PLAIN);
    rig.run(Duration::from_secs(2));
    rig.bench.core.hold(rig.bench.now).unwrap();
    rig.run(Duration::from_secs(1));
    assert_eq!(phase(&progress), Phase::Held);
    let (line, held) = (progress.borrow().line, rig.now());
    rig.run(Duration::from_secs(20));
    assert_eq!(progress.borrow().line, line);
    assert!(!rig.board.truth().beam_since(held));
    rig.bench.core.resume(rig.bench.now).unwrap();
    finish(&mut rig, &progress, Duration::from_secs(600));
    assert_eq!((phase(&progress), progress.borrow().line), (Phase::Done, 1502));
    // the program leaves its beam on; the job does not
    assert_eq!(rig.board.truth().lines, 1502 + 2 + 1);
    assert_eq!(rig.board.truth().beam_power(), 0.0);
    assert_eq!(rig.bench.state().stopped, None);
}

#[test]
fn a_job_that_nobody_watches_is_held_if_it_is_to_be() {
    let mut rig = idle();
    rig.bench.core.is_seen(true);
    let progress = run(&mut rig, &raster(4000), Options { hold_alone: true, ..PLAIN });
    rig.run(Duration::from_secs(6));
    assert_eq!(phase(&progress), Phase::Running);
    rig.bench.core.is_seen(false);
    rig.run(Duration::from_millis(4900));
    assert_eq!(phase(&progress), Phase::Running);
    rig.run(Duration::from_millis(600));
    assert_eq!(phase(&progress), Phase::Held);
    rig.bench.core.is_seen(true);
    rig.run(Duration::from_secs(1));
    assert_eq!(phase(&progress), Phase::Held);
}

#[test]
fn answers_that_are_lost_are_missed_and_it_goes_on() {
    let mut rig = idle();
    let mut program = b"G21 G91\n".to_vec();
    program.extend(b"G1 X0.5 F3000\nG1 X-0.5\n".repeat(50));
    let progress = run(&mut rig, &program, PLAIN);
    rig.run(Duration::from_millis(400));
    for _ in 0..3 {
        rig.deaf = true;
        rig.run(Duration::from_millis(150));
        rig.deaf = false;
        rig.run(Duration::from_secs(2));
    }
    finish(&mut rig, &progress, Duration::from_secs(60));
    assert_eq!((phase(&progress), progress.borrow().line), (Phase::Done, 101));
    assert!(progress.borrow().lost_answers > 0);
    assert_eq!(rig.board.truth().lines, 101 + 2);
}

#[test]
fn a_device_that_is_gone_and_a_board_that_starts_anew_end_it() {
    let mut rig = idle();
    let progress = run(&mut rig, &raster(4000), PLAIN);
    rig.run(Duration::from_secs(2));
    let now = rig.now();
    rig.board.boot(now);
    finish(&mut rig, &progress, Duration::from_secs(5));
    assert!(matches!(why(&progress), Why::Restarted { .. }), "{:?}", phase(&progress));

    let mut rig = idle();
    let progress = run(&mut rig, &raster(4000), PLAIN);
    rig.run(Duration::from_secs(2));
    rig.bench.core.lost();
    assert!(matches!(why(&progress), Why::Lost { line: 40.. }), "{:?}", phase(&progress));
    assert_eq!(rig.bench.state().user, None);
}

#[test]
fn a_machine_in_alarm_gets_no_line() {
    let mut rig = idle();
    if let Board::Grbl(board) = &mut rig.board {
        board.press_limit(rig.bench.now - rig.began);
    }
    rig.run(Duration::from_secs(1));
    let before = rig.board.truth().program_bytes();
    let progress = run(&mut rig, &raster(10), PLAIN);
    finish(&mut rig, &progress, Duration::from_secs(8));
    assert!(matches!(why(&progress), Why::NotReady(_)), "{:?}", phase(&progress));
    assert_eq!(rig.board.truth().program_bytes(), before);
}

#[test]
fn with_arming_a_job_is_to_be_armed_and_nobody_else_gets_in() {
    let mut rig = Rig::cold(armed());
    rig.run(Duration::from_secs(3));
    let (_, source) = mpsc::channel(1);
    assert_eq!(start(&mut rig, source, PLAIN).unwrap_err(), Error::NotArmed);
    let progress = run(&mut rig, &raster(500), Options { armed: true, ..PLAIN });
    assert!(matches!(rig.bench.state().arming, state::Arming::Armed { .. }));
    let (_, up) = mpsc::channel(1);
    let (down, _down) = mpsc::channel(1);
    let (answer, mut begun) = oneshot::channel();
    let begin = Begin { by: Text::from("you"), up, down, answer };
    rig.bench.core.control(Control::Begin(begin), rig.bench.now);
    assert_eq!(begun.try_recv().unwrap().unwrap_err(), Error::InUse);
    finish(&mut rig, &progress, Duration::from_secs(600));
    assert_eq!(phase(&progress), Phase::Done);
    assert_eq!(rig.bench.state().arming, state::Arming::Safe);
}

#[test]
fn a_reader_that_ends_early_is_no_end_of_the_program() {
    let mut rig = idle();
    let (pieces, source) = mpsc::channel(1);
    pieces.try_send(Piece::Lines(Bytes::from_static(b"G91\nG1X1F1000\n"))).unwrap();
    let progress = start(&mut rig, source, PLAIN).unwrap();
    rig.run(Duration::from_secs(1));
    drop(pieces);
    finish(&mut rig, &progress, Duration::from_secs(5));
    assert!(matches!(why(&progress), Why::Unreadable { line: 2, .. }), "{:?}", phase(&progress));
}
