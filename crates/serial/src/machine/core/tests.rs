//! The port's thread without its port: virtual time, and a port that is a list.

use super::*;
use crate::machine::session::Sent;
use crate::machine::{Error, Interlock, Waiting};
use tokio::sync::{mpsc, oneshot};
use wire::serial::{Profile, StopReport, Up};

mod buttons;
mod job;
mod pair;
mod printer;
mod safe;

struct Bench {
    core: Core,
    now: Instant,
    /// What has left the port.
    out: Vec<u8>,
    acts: Vec<Act>,
    up: Option<mpsc::Sender<Sent>>,
    down: mpsc::Receiver<(Down, Bytes)>,
}

impl Bench {
    fn new(config: Config) -> Self {
        let now = Instant::now();
        let mut core = Core::new(config, now);
        let lines = ModemLines { cts: true, ..ModemLines::default() };
        core.opened(LineCoding::default(), Some(lines), now);
        let (_, down) = mpsc::channel(1);
        let mut bench = Self { core, now, out: Vec::new(), acts: Vec::new(), up: None, down };
        bench.run(Duration::from_secs(3));
        bench.out.clear();
        bench
    }

    fn used(config: Config) -> Self {
        let mut bench = Self::new(config);
        bench.begin();
        bench
    }

    fn begin(&mut self) {
        let (up, up_rx) = mpsc::channel(1000);
        let (down_tx, down) = mpsc::channel(1000);
        let (answer, begun) = oneshot::channel();
        let begin = Begin { by: Text::from("somebody"), up: up_rx, down: down_tx, answer };
        self.core.control(Control::Begin(begin), self.now);
        let mut begun = begun;
        begun.try_recv().unwrap().unwrap();
        (self.up, self.down) = (Some(up), down);
    }

    /// Lets time pass, a fifth of a millisecond at a time.
    fn run(&mut self, time: Duration) {
        let until = self.now + time;
        while self.now < until {
            self.step();
            self.now += Duration::from_micros(200);
        }
        self.step();
    }

    fn step(&mut self) {
        self.core.hear_program(self.now);
        self.core.tick(self.now);
        while let Some(act) = self.core.act(None, || true, self.now) {
            let count = match &act {
                Act::Write(bytes) => {
                    self.out.extend_from_slice(bytes);
                    bytes.len()
                }
                Act::Coding(coding) => {
                    self.core.coded(*coding);
                    0
                }
                _ => 0,
            };
            if !matches!(act, Act::Write(_)) {
                self.acts.push(act.clone());
            }
            self.core.did(&act, count, self.now);
        }
    }

    fn frame(&mut self, up: Up, bytes: &[u8]) {
        let frame = Sent::Frame(up, Bytes::copy_from_slice(bytes));
        self.up.as_ref().unwrap().try_send(frame).unwrap();
    }

    fn program(&mut self, bytes: &[u8]) {
        self.frame(Up::Data, bytes);
    }

    fn says(&mut self, bytes: &[u8]) {
        self.core.received(bytes, self.now);
    }

    /// What the program has got: bytes, and in their place what else it was told.
    fn got(&mut self) -> (Vec<u8>, Vec<Down>) {
        let (mut bytes, mut told) = (Vec::new(), Vec::new());
        while let Ok((down, data)) = self.down.try_recv() {
            match down {
                Down::Data => bytes.extend_from_slice(&data),
                down => told.push(down),
            }
        }
        (bytes, told)
    }

    fn stop(&mut self) -> (oneshot::Receiver<Option<u32>>, oneshot::Receiver<StopReport>) {
        let (left_tx, left) = oneshot::channel();
        let (done_tx, done) = oneshot::channel();
        let waiting = Waiting { left: Some(left_tx), done: done_tx };
        let reason = Reason::Asked { by: Text::from("me") };
        self.core.stop(self.now, reason, Some(waiting), self.now);
        (left, done)
    }

    fn state(&self) -> State {
        self.core.state(self.now)
    }

    fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }
}

/// What `cargo xtask soak` asks for, and what a run of the tests has time for.
fn soak_number(name: &str, without: u64) -> u64 {
    std::env::var(name).map_or(without, |text| text.parse().expect("a number"))
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn grbl() -> Config {
    Config::new(Profile::Grbl)
}

fn armed() -> Config {
    Config { arming: true, ..grbl() }
}

/// The answers to our own questions, of a machine whose beam is off.
fn identify(bench: &mut Bench) {
    bench.says(b"[VER:1.1h.20190825:]\r\n[OPT:VL,15,128]\r\nok\r\n");
    bench.says(b"[GC:G0 G54 G17 G21 G90 G94 M5 M9 T0 F0 S0]\r\nok\r\n");
}

#[test]
fn every_byte_passes_in_order_with_what_happens_between() {
    let mut bench = Bench::used(Config::new(Profile::Raw));
    let all: Vec<u8> = (0..=255).collect();
    let coding = LineCoding { baud_rate: 9600, ..LineCoding::default() };
    bench.program(&all);
    bench.frame(Up::Coding(coding), b"");
    bench.program(&all);
    bench.frame(Up::Break { on: true }, b"");
    bench.run(ms(400));
    assert_eq!(bench.take(), [all.clone(), all.clone()].concat());
    assert_eq!(bench.acts, [Act::Coding(coding), Act::Break { on: true }]);
    bench.says(&all);
    assert_eq!(bench.got(), (all, vec![Down::Coding(coding)]));
}

#[test]
fn nobody_waits_for_more_than_64_bytes() {
    let mut bench = Bench::used(grbl());
    bench.program(&[b'\n'; 1000]);
    bench.step();
    assert_eq!(bench.take().len(), 64);
    bench.program(b"?");
    bench.step();
    assert_eq!(bench.take(), b"?");
    bench.run(ms(87));
    assert!(bench.take().len() >= 936);
}

#[test]
fn a_stop_drops_what_is_queued_and_is_confirmed_by_the_machine() {
    let mut bench = Bench::used(grbl());
    bench.program(&[b'G'; 60_000]);
    bench.run(ms(10));
    bench.take();
    let (mut left, mut done) = bench.stop();
    bench.run(ms(1));
    assert_eq!(bench.take()[..2], [0x84, b'!']);
    assert!(left.try_recv().unwrap().unwrap() < 1000);
    bench.says(b"<Door:0|MPos:0,0,0|FS:0,0>\r\n");
    bench.run(ms(1));
    assert!(bench.take().contains(&0x18));
    bench.says(b"\r\nGrbl 1.1h ['$' for help]\r\n<Idle|MPos:0,0,0|FS:0,0>\r\n");
    bench.run(ms(100));
    bench.says(b"<Idle|MPos:0,0,0|FS:0,0>\r\n");
    bench.run(ms(100));
    let report = done.try_recv().unwrap();
    assert!(report.confirmed, "{report:?}");
    assert_eq!(bench.state().stopped.unwrap().report, Some(report));
    assert_eq!(bench.state().stops, 1);
    assert!(bench.got().1.contains(&Down::Stopped { stops: 1 }));
    assert!(bench.acts.contains(&Act::Flush));
    assert!(!bench.take().contains(&b'G'));
}

/// Stopped, confirmed, and what the program was told is read.
fn stopped(mut bench: Bench) -> Bench {
    let (_, mut done) = bench.stop();
    for _ in 0..8 {
        bench.run(ms(40));
        bench.says(b"<Alarm|MPos:0,0,0|FS:0,0>\r\n");
    }
    bench.run(ms(40));
    assert!(done.try_recv().unwrap().confirmed);
    bench.take();
    bench.got();
    bench
}

#[test]
fn nothing_that_was_sent_before_the_stop_was_known_comes_after_it() {
    let mut bench = stopped(Bench::used(grbl()));
    bench.program(b"G1 X1\n~?");
    bench.frame(Up::Modem { dtr: Some(false), rts: None }, b"");
    bench.run(ms(10));
    assert_eq!(bench.take(), b"");
    bench.frame(Up::Stopped { stops: 1 }, b"");
    bench.program(b"G1 X2\n");
    bench.run(ms(10));
    assert_eq!(bench.take(), b"");
    assert!(bench.got().0.ends_with(b"error:9\r\n"));
    bench.program(b"?~");
    bench.run(ms(10));
    assert_eq!(bench.take(), b"?");
    bench.program(b"$X\nG1 X3\n");
    bench.run(ms(10));
    assert_eq!(bench.take(), b"$X\nG1 X3\n");
    assert_eq!(bench.state().stopped, None);
}

#[test]
fn a_person_clears_a_stop() {
    let mut bench = stopped(Bench::used(grbl()));
    let (answer, mut cleared) = oneshot::channel();
    bench.core.control(Control::Clear { answer }, bench.now);
    assert_eq!(cleared.try_recv().unwrap(), Ok(()));
    bench.frame(Up::Stopped { stops: 1 }, b"");
    bench.program(b"G1 X1\n");
    bench.run(ms(10));
    assert_eq!(bench.take(), b"G1 X1\n");
}

#[test]
fn a_machine_that_says_nothing_has_not_confirmed() {
    let mut bench = Bench::used(grbl());
    let (_, mut done) = bench.stop();
    bench.run(Duration::from_secs(10));
    let report = done.try_recv().unwrap();
    assert!(!report.confirmed);
    assert!(report.left_after_us.is_some());
    assert!(bench.acts.iter().any(|act| matches!(act, Act::Modem { .. })));
}

#[test]
fn a_port_that_is_gone_fails_the_stop_and_ends_the_session() {
    let mut bench = Bench::used(grbl());
    let (mut left, mut done) = bench.stop();
    bench.core.lost();
    assert_eq!(left.try_recv().unwrap(), None);
    assert!(!done.try_recv().unwrap().confirmed);
    bench.got();
    assert_eq!(bench.down.try_recv(), Err(mpsc::error::TryRecvError::Disconnected));
    let (_, mut done) = bench.stop();
    assert!(!done.try_recv().unwrap().confirmed);
}

#[test]
fn safe_refuses_the_beam_and_armed_does_not() {
    let mut bench = Bench::new(armed());
    identify(&mut bench);
    bench.begin();
    bench.program(b"M5\nG0 X1\nM3 S1000\nG0 X2\n");
    // one at a time
    for line in [b"M5\n".to_vec(), b"G0 X1\n".to_vec(), b"G0 X2\n".to_vec()] {
        bench.run(ms(20));
        assert_eq!(bench.take(), line);
        bench.says(b"ok\r\n");
    }
    let (got, _) = bench.got();
    let text = String::from_utf8(got).unwrap();
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('[')).collect();
    assert_eq!(lines, ["ok", "ok", "error:9", "ok"]);
    assert_eq!(bench.state().arming, state::Arming::Safe);
    bench.core.arm(Text::from("me"), Duration::from_secs(60), bench.now).unwrap();
    bench.program(b"M3 S1000\nG1 X3\n");
    bench.run(ms(20));
    assert!(bench.take().starts_with(b"M3 S1000\nG1 X3\n"));
    assert!(bench.state().beam_may_be_on);
}

#[test]
fn an_answer_that_is_lost_does_not_hold_a_safe_program_for_ever() {
    let mut bench = Bench::new(armed());
    identify(&mut bench);
    bench.begin();
    let long = format!("G0 X1{}\n", " F600".repeat(13));
    bench.program(format!("M5\n{long}{long}").as_bytes());
    bench.run(Duration::from_secs(9));
    assert_eq!(bench.take(), b"M5\n");
    bench.says(b"ok\r\n");
    bench.run(Duration::from_secs(9));
    assert_eq!(bench.take(), long.as_bytes());
    // there would be no room for both
    bench.run(Duration::from_secs(3));
    assert_eq!(bench.take(), b"");
    bench.program(b"\x18$X\n");
    bench.run(ms(20));
    assert_eq!(bench.take(), b"\x18");
    bench.says(b"\r\nGrbl 1.1h ['$' for help]\r\n");
    bench.run(ms(20));
    assert_eq!(bench.take(), b"$X\n");
}

#[test]
fn who_watches_sees_refusals_and_no_answers_to_questions_of_ours() {
    let mut bench = Bench::new(armed());
    identify(&mut bench);
    let (_, mut next) = bench.core.output.watch();
    bench.core.is_seen(true);
    bench.run(ms(300));
    assert!(bench.take().contains(&b'?'), "its status is asked for");
    bench.says(b"<Idle|MPos:0.000,0.000,0.000|FS:0,0>\r\n");
    bench.begin();
    bench.program(b"M3 S1000\n");
    bench.up.take().unwrap().try_send(Sent::Finish).unwrap();
    bench.run(ms(5));
    let told = std::iter::from_fn(|| next.try_recv().ok()).collect::<Vec<_>>().concat();
    let text = String::from_utf8(told).unwrap();
    assert_eq!(text, "[MSG:SAFE: not armed, beam and spindle stay off]\r\nerror:9\r\n");
    let (before, _) = bench.core.output.watch();
    assert!(before.ends_with(text.as_bytes()) && !before.contains(&b'<'));
}

#[test]
fn nobody_sees_the_answers_to_who_it_is() {
    let mut bench = Bench::new(grbl());
    bench.core.opened(LineCoding::default(), None, bench.now);
    let (_, mut watched) = bench.core.output.watch();
    bench.run(ms(1600));
    assert_eq!(bench.take(), b"$I\n$G\n");
    let (up, up_rx) = mpsc::channel(1);
    let (down_tx, down) = mpsc::channel(10);
    let (answer, mut begun) = oneshot::channel();
    let begin = Begin { by: Text::from("somebody"), up: up_rx, down: down_tx, answer };
    bench.core.control(Control::Begin(begin), bench.now);
    (bench.up, bench.down) = (Some(up), down);
    bench.says(b"[VER:1.1h.20190825:]\r\n[OPT:VL,15,128]\r\nok\r\n");
    bench.says(b"[GC:G0 G54 G17 G21 G90 G94 M5 M9 T0 F0 S0]\r\n");
    assert!(begun.try_recv().is_err(), "one answer is still to come");
    bench.says(b"ok\r\n");
    assert!(begun.try_recv().unwrap().is_ok());
    bench.says(b"[MSG:x]\r\n");
    assert_eq!(bench.got().0, b"[MSG:x]\r\n");
    assert_eq!(watched.try_recv().unwrap(), "[MSG:x]\r\n");
}

#[test]
fn a_line_in_pieces_is_judged_whole() {
    let mut bench = Bench::new(armed());
    identify(&mut bench);
    bench.begin();
    for piece in [&b"M"[..], b"3", b" S", b"1", b"\n"] {
        bench.program(piece);
        bench.run(ms(5));
    }
    assert_eq!(bench.take(), b"");
    assert!(bench.got().0.ends_with(b"error:9\r\n"));
}

#[test]
fn arming_ends_with_time_with_its_session_and_with_a_stop() {
    let mut bench = Bench::used(armed());
    let arm = |bench: &mut Bench| bench.core.arm(Text::from("me"), ms(1000), bench.now);
    arm(&mut bench).unwrap();
    bench.run(ms(900));
    bench.program(b"\n");
    bench.run(ms(900));
    assert!(matches!(bench.state().arming, state::Arming::Armed { .. }));
    bench.run(ms(200));
    assert_eq!(bench.state().arming, state::Arming::Safe);
    arm(&mut bench).unwrap();
    bench.up = None;
    bench.run(ms(1));
    assert_eq!(bench.state().arming, state::Arming::Safe);
    assert_eq!(arm(&mut bench), Err(Error::NoSession));
    bench.begin();
    arm(&mut bench).unwrap();
    let mut bench = stopped(bench);
    assert_eq!(bench.state().arming, state::Arming::Safe);
    assert_eq!(arm(&mut bench), Err(Error::Stopped));
}

#[test]
fn a_beam_that_was_held_and_disarmed_does_not_go_on_by_a_byte() {
    let mut bench = Bench::new(armed());
    identify(&mut bench);
    bench.begin();
    let arm = |bench: &mut Bench| bench.core.arm(Text::from("me"), ms(60_000), bench.now);
    arm(&mut bench).unwrap();
    bench.program(b"M3 S1000\n");
    bench.run(ms(20));
    bench.take();
    let goes_on = |bench: &mut Bench| {
        bench.program(b"!~");
        bench.run(ms(1));
        bench.core.control(Control::Overtake { bytes: Bytes::from_static(b"\x81") }, bench.now);
        bench.run(ms(5));
        bench.take().into_iter().filter(|byte| *byte != b'?').collect::<Vec<_>>()
    };
    assert_eq!(goes_on(&mut bench), b"!~\x81");
    bench.core.disarm();
    assert_eq!(goes_on(&mut bench), b"!");
    arm(&mut bench).unwrap();
    assert_eq!(goes_on(&mut bench), b"!~\x81");
}

#[test]
fn a_client_that_is_silent_while_the_beam_may_be_on_stops_the_machine() {
    let mut bench = Bench::used(grbl());
    bench.run(Duration::from_secs(5));
    assert_eq!(bench.state().stopped, None);
    bench.program(b"M3 S500\n");
    for _ in 0..20 {
        bench.run(ms(100));
        bench.core.control(Control::Beat { at: bench.now }, bench.now);
    }
    assert_eq!(bench.state().stopped, None);
    bench.take();
    bench.run(ms(499));
    assert_eq!(bench.state().stopped, None);
    bench.run(ms(2));
    assert_eq!(bench.state().stopped.unwrap().reason, Reason::ClientLost);
    assert!(bench.take().contains(&0x84));
}

#[test]
fn a_beam_that_is_switched_on_by_the_last_line_of_a_session_does_not_stay_on() {
    let mut bench = Bench::new(grbl());
    let line = |bench: &mut Bench, text: &[u8]| {
        bench.begin();
        bench.program(text);
        bench.up.take().unwrap().try_send(Sent::Finish).unwrap();
        bench.run(ms(20));
        bench.says(b"ok\r\n");
    };
    line(&mut bench, b"M5\n");
    line(&mut bench, b"G0 X1\n");
    bench.run(ms(1000));
    assert_eq!(bench.state().stopped, None);
    line(&mut bench, b"M3 S500\n");
    assert!(bench.state().beam_may_be_on && bench.state().user.is_none());
    bench.run(ms(470));
    assert_eq!(bench.state().stopped, None);
    bench.run(ms(30));
    assert_eq!(bench.state().stopped.unwrap().reason, Reason::ClientLost);
    assert!(bench.take().contains(&0x84));
}

#[test]
fn a_client_that_is_gone_stops_the_machine_at_once_or_not_at_all() {
    let mut bench = Bench::used(grbl());
    bench.up = None;
    bench.run(ms(1));
    assert_eq!(bench.state().stopped, None);
    bench.begin();
    bench.program(b"M4 S500\n");
    bench.run(ms(1));
    bench.frame(Up::Program { open: false }, b"");
    bench.run(ms(2));
    assert_eq!(bench.state().stopped.unwrap().reason, Reason::ClientLost);
}

#[test]
fn an_open_interlock_stops_and_keeps_it_stopped() {
    let config = Config { interlock: Some(Interlock::Cts), ..armed() };
    let mut bench = Bench::used(config);
    assert_eq!(bench.state().interlock_open, Some(false));
    let no_errors = LineErrors::default();
    bench.core.looked(Some(ModemLines::default()), no_errors, bench.now);
    bench.run(ms(1));
    assert!(bench.take().contains(&0x84));
    assert_eq!(bench.state().stopped.unwrap().reason, Reason::Interlock);
    let mut bench = stopped(bench);
    assert_eq!(bench.core.clear_stop(), Err(Error::InterlockOpen));
    let arm = bench.core.arm(Text::from("me"), ms(1000), bench.now);
    assert_eq!(arm, Err(Error::InterlockOpen));
    bench.frame(Up::Stopped { stops: bench.core.stops }, b"");
    bench.program(b"$X\nG1 X1\n");
    bench.run(ms(10));
    assert!(bench.state().stopped.is_some());
    let closed = ModemLines { cts: true, ..ModemLines::default() };
    bench.core.looked(Some(closed), no_errors, bench.now);
    assert_eq!(bench.core.clear_stop(), Ok(()));
}

#[test]
fn status_is_asked_for_while_somebody_looks_and_not_shown_to_the_program() {
    let mut bench = Bench::used(grbl());
    bench.run(Duration::from_secs(2));
    assert_eq!(bench.take(), b"");
    bench.core.is_seen(true);
    bench.run(ms(990));
    assert_eq!(bench.take(), b"?????");
    bench.says(b"<Idle|MPos:1.000,2.000,3.000|FS:0,0>\r\n");
    assert_eq!(bench.got().0, b"");
    let status = bench.state().status.unwrap();
    assert_eq!((status.machine, status.work), (Some(vec![1.0, 2.0, 3.0]), None));
    // told now and then, and good until it is told again
    bench.says(b"<Idle|MPos:1.000,2.000,3.000|FS:0,0|WCO:0.500,0.000,4.000>\r\n");
    bench.says(b"<Idle|MPos:2.000,2.000,3.000|FS:0,0>\r\n");
    assert_eq!(bench.state().status.unwrap().work, Some(vec![1.5, 2.0, -1.0]));
    bench.says(b"<Idle|WPos:1.000,2.000,3.000|FS:0,0>\r\n");
    assert_eq!(bench.state().status.unwrap().machine, Some(vec![1.5, 2.0, 7.0]));
}

#[test]
fn a_test_goes_the_way_of_a_stop() {
    let mut bench = Bench::new(grbl());
    bench.core.tested(bench.now, bench.now + Duration::from_micros(50));
    assert_eq!(bench.state().stop_path, Some(StopPath { tests: 1, took_us: 50 }));
}

#[test]
fn what_speaks_at_an_unknown_port_is_overheard() {
    let raw = Config::new(Profile::Raw);
    let mut bench = Bench::used(Config { is_guess: true, ..raw.clone() });
    bench.says(b"\r\nGrbl 1.1h ['$' for help]\r\n");
    let firmware = bench.state().firmware.unwrap();
    assert_eq!((firmware.profile, bench.state().profile), (Profile::Grbl, Profile::Raw));
    // what its owner says it is, it is
    let mut bench = Bench::used(raw);
    bench.says(b"\r\nGrbl 1.1h ['$' for help]\r\n");
    assert_eq!(bench.state().firmware, None);
}

#[test]
fn a_board_with_another_firmware_than_last_time_is_told() {
    let mut bench = Bench::new(Config { is_guess: true, ..grbl() });
    bench.says(b"FIRMWARE_NAME:Marlin 2.1.2.4\nok\n");
    let firmware = bench.state().firmware.unwrap();
    assert_eq!((firmware.profile, bench.state().profile), (Profile::Marlin, Profile::Grbl));
    let mut bench = Bench::new(grbl());
    bench.says(b"FIRMWARE_NAME:Marlin 2.1.2.4\nok\n");
    assert_eq!(bench.state().firmware.unwrap().profile, Profile::Grbl);
}

#[test]
fn a_reset_by_the_program_drops_what_it_had_queued() {
    let mut bench = Bench::used(grbl());
    bench.program(&b"G1 X10.000 Y10.000 F3000\n".repeat(40));
    bench.run(ms(20));
    bench.program(b"!\x18");
    bench.run(Duration::from_secs(1));
    let out = bench.take();
    let reset = out.iter().position(|byte| *byte == 0x18).unwrap();
    assert_eq!(String::from_utf8_lossy(&out[reset + 1..]), "");
    bench.program(b"$X\n");
    bench.run(ms(20));
    assert_eq!(bench.take(), b"$X\n");
}

#[test]
fn an_emergency_command_is_a_line_of_its_own() {
    let mut bench = Bench::used(Config::new(Profile::Marlin));
    bench.says(b"FIRMWARE_NAME:Marlin\nCap:EMERGENCY_PARSER:1\nok\n");
    bench.core.sending.lane_of(bench.core.hearing.detector.firmware());
    bench.program(&b"G1 X10.000 Y10.000 Z10.000 E10.00000 F3000\n".repeat(40));
    bench.run(ms(20));
    bench.program(b"M410\n");
    bench.run(Duration::from_secs(1));
    let out = String::from_utf8(bench.take()).unwrap();
    let at = out.lines().position(|line| line == "M410");
    assert!(at.is_some_and(|at| at < 20), "{at:?} {out:?}");
}
