//! The port's thread and a simulated board at both ends of a cable of 115200 baud, in virtual
//! time. What happened to the beam is told by the board's own record.

use super::*;
use proptest::prelude::*;
use sim::machine::Board;
use sim::machine::grbl::Options;
use std::collections::VecDeque;

pub(super) struct Rig {
    pub(super) bench: Bench,
    pub(super) board: Board,
    pub(super) began: Instant,
    /// What the board says is lost.
    pub(super) deaf: bool,
    /// What it is told arrives spoilt.
    pub(super) spoils: bool,
    /// On the cable, each byte with the time at which it is whole.
    cable: VecDeque<(Duration, u8)>,
    /// What the board heard last.
    pub(super) heard: VecDeque<u8>,
}

/// Enough to see what it was.
const HEARD_BYTES: usize = 600;

pub(super) const BYTE: Duration = Duration::from_nanos(86_805);

impl Rig {
    fn new(config: Config) -> Self {
        let mut rig = Self::cold(config);
        rig.run(Duration::from_secs(3));
        rig.bench.begin();
        rig
    }

    pub(super) fn cold(config: Config) -> Self {
        let settings = vec![(21, 1.0), (32, 1.0)];
        Self::of(config, Board::grbl(Options { settings, ..Options::default() }))
    }

    pub(super) fn of(config: Config, board: Board) -> Self {
        let began = Instant::now();
        let mut core = Core::new(config, began);
        let lines = ModemLines { cts: true, ..ModemLines::default() };
        core.opened(LineCoding::default(), Some(lines), began);
        let (_, down) = mpsc::channel(1);
        let (out, acts) = (Vec::new(), Vec::new());
        let bench = Bench { core, now: began, out, acts, up: None, down };
        let (cable, heard) = (VecDeque::new(), VecDeque::new());
        Self { bench, board, began, deaf: false, spoils: false, cable, heard }
    }

    pub(super) fn now(&self) -> Duration {
        self.bench.now - self.began
    }

    pub(super) fn run(&mut self, time: Duration) {
        let until = self.bench.now + time;
        while self.bench.now < until {
            self.step();
            self.bench.now += Duration::from_micros(200);
        }
    }

    fn step(&mut self) {
        let flushed = self.bench.acts.len();
        self.bench.step();
        let now = self.now();
        if self.bench.acts[flushed..].contains(&Act::Flush) {
            self.cable.clear();
        }
        for byte in self.bench.take() {
            let after = self.cable.back().map_or(now, |(at, _)| (*at).max(now));
            self.cable.push_back((after + BYTE, byte));
        }
        while let Some((at, byte)) = self.cable.pop_front_if(|(at, _)| *at <= now) {
            let spoilt = self.spoils && byte.is_ascii_digit();
            self.board.received(&[if spoilt { byte ^ 1 } else { byte }], at);
            if self.heard.len() == HEARD_BYTES {
                self.heard.pop_front();
            }
            self.heard.push_back(byte);
        }
        self.board.advance(now);
        let says = self.board.take_output(now);
        if !says.is_empty() && !self.deaf {
            self.bench.says(&says);
        }
    }

    /// What the program got, as text.
    fn got(&mut self) -> String {
        String::from_utf8(self.bench.got().0).unwrap()
    }
}

/// A raster: short moves with power, 20 bytes a line.
pub(super) fn raster(lines: usize) -> Vec<u8> {
    let mut program = b"G21 G91\nM4 S0 F3000\n".to_vec();
    for number in 0..lines {
        let sign = if number % 2 == 0 { "" } else { "-" };
        program.extend_from_slice(format!("G1 X{sign}0.500 S{:05}\n", number % 1000).as_bytes());
    }
    program
}

#[test]
fn it_finds_out_what_the_board_is_and_that_its_beam_is_off() {
    let mut rig = Rig::cold(grbl());
    rig.run(Duration::from_secs(3));
    let firmware = rig.bench.state().firmware.unwrap();
    assert_eq!((firmware.profile, firmware.rx_bytes), (Profile::Grbl, 128));
    assert!(rig.bench.core.beam.is_off());
}

#[test]
fn after_a_stop_with_64_kib_queued_no_byte_of_the_program_and_no_beam() {
    let mut rig = Rig::new(Config { dead_man: None, ..grbl() });
    let program = raster(4000);
    rig.bench.program(&program[..65_536]);
    rig.bench.program(&program[65_536..]);
    rig.run(Duration::from_secs(2));
    assert!(rig.board.truth().beam_power() > 0.0);
    let before = rig.now();
    let (mut left, mut done) = rig.bench.stop();
    rig.run(ms(5));
    assert!(left.try_recv().unwrap().unwrap() < 5000);
    rig.run(ms(1500));
    let report = done.try_recv().unwrap();
    assert!(report.confirmed, "{report:?}");
    let truth = rig.board.truth();
    assert!(!truth.beam_since(before + ms(700)), "{:?}", truth.beam().next_back());
    // what was on the cable when it was flushed is nothing; a byte may just have been whole
    assert_eq!(truth.program_bytes_after(before + BYTE), 0);
    // a program that goes on as if nothing had happened gets nowhere
    rig.bench.program(&program[..1000]);
    rig.bench.frame(Up::Stopped { stops: 1 }, b"");
    rig.bench.program(&program[..1000]);
    rig.run(Duration::from_secs(1));
    assert_eq!(rig.board.truth().program_bytes_after(before + BYTE), 0);
    assert!(rig.got().contains("error:9"));
}

#[test]
fn a_client_that_dies_in_a_raster_leaves_no_beam_on() {
    let mut rig = Rig::new(grbl());
    rig.bench.program(&raster(4000));
    for _ in 0..10 {
        rig.run(ms(100));
        let at = rig.bench.now;
        rig.bench.core.control(Control::Beat { at }, at);
    }
    let last_beat = rig.now();
    assert!(rig.board.truth().beam_power() > 0.0);
    rig.run(Duration::from_secs(3));
    assert!(!rig.board.truth().beam_since(last_beat + ms(1500)));
    assert_eq!(rig.bench.state().stopped.unwrap().reason, Reason::ClientLost);
    let first = rig.board.truth().beam().rev().find(|change| change.power == 0.0).unwrap();
    assert!(first.at < last_beat + ms(1500));
}

#[test]
fn a_program_sees_no_report_that_it_did_not_ask_for() {
    let mut rig = Rig::new(Config { dead_man: None, ..grbl() });
    rig.bench.core.is_seen(true);
    rig.bench.program(&raster(20));
    rig.run(Duration::from_secs(3));
    let got = rig.got();
    assert_eq!(got.lines().filter(|line| *line == "ok").count(), 22);
    assert!(!got.contains('<'), "{got}");
    for _ in 0..10 {
        rig.bench.program(b"?");
        rig.run(ms(130));
    }
    let reports = rig.got().lines().filter(|line| line.starts_with('<')).count();
    assert_eq!(reports, 10);
}

#[test]
fn a_sender_that_counts_characters_never_overflows_the_board() {
    let mut rig = Rig::new(Config { dead_man: None, ..grbl() });
    rig.bench.core.is_seen(true);
    let program = raster(300);
    let mut lines: VecDeque<&[u8]> = program.split_inclusive(|byte| *byte == b'\n').collect();
    let mut under_way = VecDeque::new();
    let mut answers = 0;
    for _ in 0..120_000 {
        while lines.front().is_some_and(|line| under_way.iter().sum::<usize>() + line.len() <= 120)
        {
            let line = lines.pop_front().unwrap();
            under_way.push_back(line.len());
            rig.bench.program(line);
        }
        rig.run(Duration::from_micros(200));
        for answer in rig.got().matches('k') {
            assert_eq!(answer, "k");
            under_way.pop_front().unwrap();
            answers += 1;
        }
        if answers == 302 {
            break;
        }
    }
    assert_eq!(answers, 302);
    let truth = rig.board.truth();
    assert_eq!(truth.rx_dropped, 0);
    assert!(truth.rx_peak <= 128);
}

/// Lines that might switch the beam on, somehow.
fn lines() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("M3".to_owned()),
        Just("m 0 4".to_owned()),
        Just("M3.0".to_owned()),
        Just("M5".to_owned()),
        Just("G1".to_owned()),
        Just("G0".to_owned()),
        Just("$J=G91".to_owned()),
        Just("$X".to_owned()),
        Just("$32=0".to_owned()),
        Just("(a)".to_owned()),
        (0u32..1000).prop_map(|power| format!("S{power}")),
        (-9i32..9).prop_map(|x| format!("X{x}F500")),
        "[ -~]{0,6}",
    ];
    prop::collection::vec(word, 0..5).prop_map(|words| words.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn no_line_switches_the_beam_on_while_safe(
        lines in prop::collection::vec(lines(), 1..60),
        chunk in 1usize..40,
    ) {
        let mut rig = Rig::new(armed());
        let program = lines.join("\n") + "\n";
        for chunk in program.as_bytes().chunks(chunk) {
            rig.bench.program(chunk);
            rig.run(ms(2));
        }
        rig.run(Duration::from_secs(2));
        prop_assert!(!rig.board.truth().beam_since(Duration::ZERO));
    }
}
