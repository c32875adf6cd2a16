//! What GRBL's own documents say, in virtual time.

use super::*;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A board and the time that has passed for it.
struct Bench {
    grbl: Grbl,
    now: Duration,
}

impl Bench {
    fn new(options: Options) -> Self {
        let mut bench = Self { grbl: Grbl::new(options, Duration::ZERO), now: Duration::ZERO };
        assert!(bench.take().starts_with("\r\nGrbl"));
        bench
    }

    fn laser() -> Self {
        Self::new(Options::default())
    }

    fn set(settings: &[(u8, f64)]) -> Self {
        Self::new(Options { settings: settings.to_vec(), ..Options::default() })
    }

    fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.grbl.received(bytes.as_ref(), self.now);
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.grbl.advance(self.now);
    }

    fn take(&mut self) -> String {
        String::from_utf8(self.grbl.take_output(self.now)).unwrap()
    }

    /// What comes back for a line within a minute.
    fn ask(&mut self, line: &str) -> String {
        self.send(format!("{line}\n"));
        self.pass(Duration::from_secs(60));
        self.take()
    }

    fn status(&mut self) -> String {
        self.send("?");
        self.take()
    }

    fn power(&self) -> f64 {
        self.grbl.truth().beam_power()
    }
}

/// interface.md, "Welcome Message"; `$I` tells planner blocks and receive buffer.
#[test]
fn greets_and_tells_its_sizes() {
    let mut grbl = Grbl::new(Options::default(), ms(5));
    assert_eq!(grbl.take_output(ms(5)), b"\r\nGrbl 1.1h ['$' for help]\r\n");
    grbl.received(b"$I\n", ms(6));
    let info = String::from_utf8(grbl.take_output(ms(6))).unwrap();
    assert_eq!(info, "[VER:1.1h.20190830:]\r\n[OPT:VM,15,128]\r\nok\r\n");
}

/// interface.md, "Grbl Response Messages".
#[test]
fn errors_have_their_numbers() {
    let cases = [
        ("", "ok"),
        ("G0X1 ; comment", "ok"),
        ("g1 x2 (slow) f100", "ok"),
        ("1", "error:1"),
        ("GX", "error:2"),
        ("$Q=1", "error:2"),
        ("$99=1", "error:3"),
        ("$X1", "error:3"),
        ("F-1", "error:4"),
        ("$H", "error:5"),
        ("$0=1", "error:6"),
        ("$20=1", "error:10"),
        ("$J=X1", "error:22"),
        ("$J=M3X1F100", "error:16"),
        ("G5", "error:20"),
        ("A1", "error:20"),
        ("M6", "error:20"),
        ("G0G1", "error:24"),
        ("G90G91", "error:21"),
        ("M3M4", "error:21"),
        ("G1.5", "error:23"),
        ("M3.1", "error:23"),
        ("G0G92X1", "error:24"),
        ("X1X2", "error:25"),
        ("G92", "error:26"),
        ("N10000001", "error:27"),
        ("G4", "error:28"),
        ("G10X1", "error:28"),
        ("G10L2P7X1", "error:29"),
        ("G53G2X1I1", "error:30"),
        ("G80X1", "error:31"),
        ("G2Z1I1F100", "error:32"),
        ("G2X9I1F100", "error:33"),
        ("G2X90R1F100", "error:34"),
        ("G2X9F100", "error:35"),
        ("G0P1X3", "error:36"),
        ("G43.1X1", "error:37"),
        ("T256", "error:38"),
    ];
    for (line, answer) in cases {
        let mut bench = Bench::laser();
        assert_eq!(bench.ask(line), format!("{answer}\r\n"), "{line}");
    }
    let mut bench = Bench::laser();
    assert_eq!(bench.ask("G1X1"), "error:22\r\n");
}

#[test]
fn a_line_has_79_characters_at_most() {
    let mut bench = Bench::laser();
    let line = |digits: usize| format!("G0X0.{}", "0".repeat(digits));
    assert_eq!(bench.ask(&line(74)), "ok\r\n");
    assert_eq!(bench.ask(&line(75)), "error:11\r\n");
    // What is not kept does not count.
    assert_eq!(bench.ask(&format!("{} ({})", line(70), "x".repeat(50))), "ok\r\n");
}

/// interface.md, "Streaming": 128 bytes, and what is too much is lost without a word.
#[test]
fn the_receive_buffer_holds_128_bytes() {
    let mut bench = Bench::laser();
    // 15 blocks are planned, the next line waits for room: its bytes are out of the buffer.
    for x in 1..=16 {
        bench.send(format!("G1X{x}F600\n"));
    }
    assert_eq!(bench.take().matches("ok").count(), 15);
    assert_eq!(bench.grbl.rx_len(), 0);
    bench.send([b'\n'; 128]);
    assert_eq!((bench.grbl.truth().rx_peak, bench.grbl.truth().rx_dropped), (128, 0));
    bench.send("G0X0\n?");
    assert_eq!(bench.grbl.truth().rx_dropped, 5);
    assert!(bench.take().starts_with("<Run|MPos:"), "realtime bytes have room");
    bench.pass(Duration::from_secs(60));
    assert_eq!(bench.take().matches("ok").count(), 1 + 128);
    assert_eq!(bench.grbl.truth().position, [16.0, 0.0, 0.0]);
}

/// `ok` comes when the planner has the line, not when the machine has moved.
#[test]
fn a_planner_that_is_full_keeps_back_the_ok() {
    let mut bench = Bench::laser();
    (1..=17).for_each(|x| bench.send(format!("G1X{x}F60\n")));
    assert_eq!(bench.take().matches("ok").count(), 15);
    bench.pass(ms(1100));
    assert_eq!(bench.take().matches("ok").count(), 1, "one block is done after one second");
}

/// A trapezoid: 100 mm at 100 mm/s and 500 mm/s² take 1 s and 0.2 s for the ramps.
#[test]
fn motion_takes_its_time() {
    let mut bench = Bench::laser();
    bench.send("G0X100\n");
    bench.pass(ms(100));
    let [x, ..] = bench.grbl.truth().position;
    assert!((x - 2.5).abs() < 1e-3, "half of 500 mm/s² over 0.1 s, not {x}");
    bench.pass(ms(1099));
    assert_eq!(bench.grbl.state(), State::Run);
    bench.pass(ms(2));
    assert_eq!(bench.grbl.state(), State::Idle);
    // Collinear blocks do not slow down where they meet.
    bench.send("G91\n");
    (0..10).for_each(|_| bench.send("G0X-10\n"));
    bench.pass(ms(1202));
    assert_eq!(bench.grbl.state(), State::Idle);
    assert!(bench.grbl.truth().position[0].abs() < 1e-9);
}

/// interface.md, "Real-time Status Reports".
#[test]
fn status_reports_have_their_fields() {
    let mut bench = Bench::set(&[(10, 3.0)]);
    bench.take();
    let first = "<Idle|MPos:0.000,0.000,0.000|Bf:15,128|FS:0,0|WCO:0.000,0.000,0.000>\r\n";
    assert_eq!(bench.status(), first);
    let second = "<Idle|MPos:0.000,0.000,0.000|Bf:15,128|FS:0,0|Ov:100,100,100>\r\n";
    assert_eq!(bench.status(), second);
    assert_eq!(bench.status(), "<Idle|MPos:0.000,0.000,0.000|Bf:15,128|FS:0,0>\r\n");
    bench.ask("G92X5");
    assert!(bench.status().contains("|WCO:-5.000,0.000,0.000"));
    bench.ask("$10=0");
    assert!(bench.status().starts_with("<Idle|WPos:5.000,0.000,0.000|FS:"));
}

#[test]
fn a_hold_stops_in_good_order_and_resumes() {
    let mut bench = Bench::laser();
    bench.send("M4S500\nG1X100F3000\n");
    bench.pass(ms(500));
    assert_eq!(bench.power(), 500.0);
    assert_eq!(bench.take(), "ok\r\nok\r\n");
    bench.send("!");
    assert!(bench.status().starts_with("<Hold:1|"));
    bench.pass(ms(101));
    assert!(bench.status().starts_with("<Hold:0|"));
    assert_eq!(bench.power(), 0.0, "dynamic power ends with the motion");
    bench.send("~");
    bench.pass(Duration::from_secs(5));
    assert_eq!(bench.take(), "[MSG:Restoring spindle]\r\n");
    assert!(bench.status().starts_with("<Idle|MPos:100.000,"));
}

/// laser_mode.md: M3 is constant, "regardless if the machine is moving, accelerating, or stopped".
#[test]
fn constant_power_burns_on_when_motion_ends() {
    let mut bench = Bench::laser();
    bench.ask("M3S300");
    assert_eq!(bench.power(), 0.0, "G0 is the default, and dark");
    bench.ask("G1X10F600");
    assert_eq!((bench.grbl.state(), bench.power()), (State::Idle, 300.0));
    bench.send("!");
    assert_eq!(bench.power(), 0.0, "DISABLE_LASER_DURING_HOLD");
    bench.send("~");
    assert!(bench.take().contains("[MSG:Restoring spindle]"));
    let mut fork = Bench::new(Options { laser_off_in_hold: false, ..Options::default() });
    fork.ask("M3S300");
    fork.ask("G1X10F600");
    fork.send("!");
    assert_eq!(fork.power(), 300.0, "as some forks have it");
    fork.send([0x84]);
    assert_eq!(fork.power(), 0.0);
}

/// laser_mode.md: M4 "turns off the laser when not in motion" and scales with speed.
#[test]
fn dynamic_power_follows_speed() {
    let mut bench = Bench::laser();
    bench.send("M4S1000\nG1X100F6000\n");
    assert_eq!(bench.power(), 0.0);
    bench.pass(ms(100));
    assert!((bench.power() - 500.0).abs() < 60.0, "half of the speed: {}", bench.power());
    bench.pass(ms(200));
    assert_eq!(bench.power(), 1000.0);
    bench.send([0x9B; 5]);
    assert_eq!(bench.power(), 500.0, "spindle override");
    bench.pass(Duration::from_secs(2));
    assert_eq!((bench.power(), bench.grbl.state()), (0.0, State::Idle));
    let on = bench.grbl.truth().beam_time(bench.now);
    assert!((ms(1180)..ms(1201)).contains(&on), "{on:?}");
}

#[test]
fn rapid_moves_are_dark() {
    let mut bench = Bench::laser();
    bench.send("M3S1000\nG1X10F6000\nG0X20\nG1X30\nM5\n");
    bench.pass(Duration::from_secs(5));
    let powers: Vec<_> = bench.grbl.truth().beam().map(|change| change.power).collect();
    assert_eq!(powers, [1000.0, 0.0, 1000.0, 0.0]);
}

/// A reset takes the beam at once; in motion, the position is lost (`ALARM:3`).
#[test]
fn a_reset_in_motion_is_an_alarm() {
    let mut bench = Bench::laser();
    bench.send("M3S1000\nG1X100F600\n");
    bench.pass(ms(300));
    bench.take();
    bench.send([0x18]);
    assert_eq!(bench.power(), 0.0);
    assert_eq!(bench.take(), "ALARM:3\r\n");
    bench.send("G0X1\n");
    bench.pass(ms(499));
    assert_eq!(bench.take(), "", "the processor waits half a second");
    bench.pass(ms(2));
    let greeting = "\r\nGrbl 1.1h ['$' for help]\r\n[MSG:'$H'|'$X' to unlock]\r\n";
    assert_eq!(bench.take(), greeting, "and forgets what came meanwhile");
    assert_eq!(bench.ask("G0X1"), "error:9\r\n");
    assert_eq!(bench.ask("$X"), "[MSG:Caution: Unlocked]\r\nok\r\n");
    assert_eq!(bench.ask("G0X1"), "ok\r\n");
}

#[test]
fn a_reset_in_a_complete_hold_keeps_the_position() {
    let mut bench = Bench::laser();
    bench.send("G1X100F600\n");
    bench.pass(ms(300));
    bench.send("!");
    bench.pass(ms(300));
    bench.take();
    bench.send([0x18]);
    assert_eq!(bench.take(), "\r\nGrbl 1.1h ['$' for help]\r\n");
    assert!(bench.status().starts_with("<Idle|MPos:"));
    assert!(bench.grbl.truth().position[0] > 1.0);
}

/// interface.md, `0x84`: "Door:0" is closed and ready to resume, "Door:1" is ajar.
#[test]
fn a_safety_door_puts_all_out_and_resumes() {
    let mut bench = Bench::laser();
    bench.send("M3S1000\nG1X100F600\n");
    bench.pass(ms(300));
    bench.take();
    bench.send([0x84]);
    assert_eq!(bench.take(), "[MSG:Check Door]\r\n");
    assert!(bench.status().starts_with("<Door:2|"));
    bench.pass(ms(100));
    assert!(bench.status().starts_with("<Door:0|"));
    assert_eq!(bench.power(), 0.0);
    bench.grbl.open_door(bench.now);
    assert!(bench.status().contains("<Door:1|"));
    bench.send("~");
    assert!(bench.status().starts_with("<Door:1|"), "not while it is open");
    bench.grbl.close_door(bench.now);
    bench.send("~");
    assert!(bench.status().starts_with("<Run|"));
    bench.pass(ms(100));
    assert_eq!(bench.power(), 1000.0);
}

/// jogging.md: G-code is locked out, 0x85 cancels and empties the planner.
#[test]
fn jogs_can_be_cancelled() {
    let mut bench = Bench::laser();
    bench.send("$J=G91X50F600\n$J=G91X50F600\n");
    assert_eq!(bench.take(), "ok\r\nok\r\n");
    assert!(bench.status().starts_with("<Jog|"));
    bench.send("G0X1\n");
    assert_eq!(bench.take(), "error:9\r\n");
    bench.pass(ms(1000));
    bench.send([0x85]);
    bench.pass(ms(100));
    assert!(bench.status().starts_with("<Idle|"));
    let [x, ..] = bench.grbl.truth().position;
    assert!(x > 9.0 && x < 11.0, "{x}");
    assert!(bench.ask("$G").starts_with("[GC:G0 G54 G17 G21 G90 G94 M5 M9 T0 F0 S0]"));
}

#[test]
fn soft_limits_stop_first_and_then_want_a_reset() {
    let mut bench = Bench::set(&[(22, 1.0), (20, 1.0)]);
    bench.take();
    assert_eq!(bench.ask("G0X-1"), "error:9\r\n", "homing first");
    assert_eq!(bench.ask("$H"), "ok\r\n");
    assert_eq!(bench.grbl.truth().position, [-1.0; 3]);
    assert_eq!(bench.ask("$J=X10F100"), "error:15\r\n");
    bench.send("G0X-100\nG0X5\n");
    bench.pass(ms(600));
    let said = bench.take();
    assert!(said.starts_with("ok\r\nALARM:2\r\n[MSG:Reset to continue]"), "{said}");
    assert_eq!(bench.status(), "", "nothing but a reset is heard");
    bench.send([0x18]);
    assert!(bench.take().ends_with("[MSG:'$H'|'$X' to unlock]\r\n"));
    assert!(bench.status().starts_with("<Alarm|"));
}

#[test]
fn hard_limits_lose_the_position() {
    let mut bench = Bench::set(&[(21, 1.0)]);
    bench.send("G0X100\n");
    bench.pass(ms(100));
    bench.take();
    bench.grbl.press_limit(bench.now);
    assert!(bench.take().starts_with("ALARM:1\r\n"));
}

/// commands.md, `$C`: motion is none, errors are the same; leaving it is a reset.
#[test]
fn check_mode_moves_nothing() {
    let mut bench = Bench::laser();
    assert_eq!(bench.ask("$C"), "[MSG:Enabled]\r\nok\r\n");
    assert_eq!(bench.ask("M3S1000G1X100F600"), "ok\r\n");
    assert_eq!(bench.ask("G1G2"), "error:24\r\n");
    assert_eq!((bench.power(), bench.grbl.truth().position), (0.0, [0.0; 3]));
    assert!(bench.status().starts_with("<Check|"));
    let left = bench.ask("$C");
    assert_eq!(left, "[MSG:Disabled]\r\nok\r\n\r\nGrbl 1.1h ['$' for help]\r\n");
}

/// Bytes are lost while the EEPROM is written, so such lines want an answer before the next.
#[test]
fn eeprom_writes_lose_bytes() {
    let mut bench = Bench::laser();
    bench.send("$110=5000\nG0X1\n");
    bench.pass(ms(100));
    assert_eq!(bench.take(), "ok\r\n");
    assert_eq!(bench.grbl.truth().rx_unheard, 5);
    bench.send("G10L20P1X0\n");
    bench.pass(ms(10));
    bench.send([0x18]);
    bench.pass(ms(100));
    assert_eq!(bench.take(), "ok\r\n", "not even a reset is heard");
    assert!(bench.ask("$$").contains("$110=5000.000\r\n"));
}

#[test]
fn commands_of_a_running_program_are_refused() {
    let mut bench = Bench::laser();
    bench.send("G1X10F60\n$$\n$H\n$J=X1F100\n$C\n");
    assert_eq!(bench.take(), format!("ok\r\n{}", "error:8\r\n".repeat(4)));
}

/// G4 waits for motion; M0 waits for a resume; M2 ends the program.
#[test]
fn dwell_pause_and_end() {
    let mut bench = Bench::laser();
    bench.send("M8\nG4P2\n");
    bench.pass(ms(1999));
    assert_eq!(bench.take(), "ok\r\n");
    bench.pass(ms(2));
    assert_eq!(bench.take(), "ok\r\n");
    bench.send("M0\n");
    assert!(bench.status().starts_with("<Hold:0|"));
    assert!(bench.status().contains("|A:F"));
    bench.send("~");
    assert_eq!(bench.take(), "ok\r\n");
    assert_eq!(bench.ask("M2"), "[MSG:Pgm End]\r\nok\r\n");
    assert!(bench.ask("$G").starts_with("[GC:G1 G54 G17 G21 G90 G94 M5 M9 "));
}

#[test]
fn overrides_change_the_speed() {
    let mut bench = Bench::laser();
    bench.send("G1X100F600\n");
    bench.send([0x91, 0x91, 0x94]);
    bench.pass(ms(500));
    let status = bench.status();
    assert!(status.contains("|FS:714,0|"), "{status}");
    assert!(bench.status().contains("|Ov:119,100,100"));
}

#[test]
fn arcs_go_round() {
    let mut bench = Bench::laser();
    bench.send("G2X10Y0I5J0F6000\n");
    bench.pass(ms(100));
    assert!(bench.grbl.truth().position[1] > 1.0, "clockwise to the right is upwards first");
    bench.pass(Duration::from_secs(60));
    assert_eq!(bench.take(), "ok\r\n");
    assert_eq!(bench.grbl.truth().position, [10.0, 0.0, 0.0]);
    assert_eq!(bench.ask("G3X0R5"), "ok\r\n");
    assert_eq!(bench.grbl.truth().position, [0.0; 3]);
}

#[test]
fn coordinates_and_homes() {
    let mut bench = Bench::laser();
    bench.ask("G0X10Y5");
    bench.ask("G10L20P0X0Y0");
    assert!(bench.status().contains("|WCO:10.000,5.000,0.000"));
    bench.ask("G28.1");
    bench.ask("G91G0X-3");
    assert_eq!(bench.grbl.truth().position, [7.0, 5.0, 0.0]);
    bench.ask("G28");
    assert_eq!(bench.grbl.truth().position, [10.0, 5.0, 0.0]);
    bench.ask("G90G53G0X1");
    assert_eq!(bench.grbl.truth().position, [1.0, 5.0, 0.0]);
    let parameters = bench.ask("$#");
    assert!(parameters.contains("[G54:10.000,5.000,0.000]\r\n"));
    assert!(parameters.contains("[G28:10.000,5.000,0.000]\r\n"));
}

#[test]
fn sleep_ends_with_a_reset_only() {
    let mut bench = Bench::laser();
    assert_eq!(bench.ask("$SLP"), "ok\r\n[MSG:Sleeping]\r\n");
    bench.send("~");
    assert!(bench.status().starts_with("<Sleep|"));
    bench.send([0x18]);
    assert!(bench.take().ends_with("[MSG:'$H'|'$X' to unlock]\r\n"));
}

#[test]
fn startup_lines_run_after_a_reset() {
    let mut bench = Bench::laser();
    assert_eq!(bench.ask("$N0=G20"), "ok\r\n");
    bench.send([0x18]);
    assert!(bench.take().ends_with(">G20:ok\r\n"));
    assert!(bench.ask("$G").contains(" G20 "));
    assert_eq!(bench.ask("$N"), "$N0=G20\r\n$N1=\r\nok\r\n");
}

/// grblHAL: 0x19 stops and empties without an alarm; 0x87 tells all.
#[test]
fn grbl_hal_has_more_realtime_bytes() {
    let mut bench = Bench::new(Options::grbl_hal());
    bench.send("M3S1000\nG1X100F600\nG1X0\n");
    bench.pass(ms(300));
    bench.take();
    bench.send([0x82]);
    assert!(bench.status().starts_with("<Hold:1|"));
    bench.send([0x19]);
    assert!(bench.status().starts_with("<Idle|"));
    assert_eq!(bench.power(), 0.0);
    bench.send([0x87]);
    assert!(bench.take().contains("|WCO:"));
    bench.send([0x83]);
    assert!(bench.take().starts_with("[GC:G0 "));
    let mut plain = Bench::laser();
    plain.send("G1X100F600\n\x19");
    assert_eq!(plain.grbl.state(), State::Run);
}

/// Noise: whatever comes, the board keeps its bounds.
#[test]
fn noise_does_no_harm() {
    use rand::{Rng, SeedableRng};
    let mut random = rand::rngs::StdRng::seed_from_u64(4);
    let mut bench = Bench::laser();
    let alphabet = b"GMXYZIJKFSPLRTN$=HCJ0123456789.-+ \n\n\n()?!~\x18\x84\x85\x90\x9e";
    for _ in 0..20_000 {
        let byte = alphabet[random.random_range(0..alphabet.len())];
        bench.send([byte]);
        bench.pass(Duration::from_micros(random.random_range(0..20_000)));
        bench.take();
        assert!(bench.grbl.rx_len() <= 128);
    }
}

/// What a wire carries, a board takes: lines of 20 bytes at 115200 baud by character counting are
/// 576 a second, and the buffer never runs over.
#[test]
fn a_raster_runs_as_fast_as_its_wire() {
    const BYTE: Duration = Duration::from_nanos(86_805);
    let options = Options { settings: vec![(120, 2000.0)], ..Options::default() };
    let mut grbl = Grbl::new(options, Duration::ZERO);
    grbl.take_output(Duration::ZERO);
    let mut lines = vec!["M4S0F6000G1\n".to_owned()];
    lines.extend(
        (0..20_000).map(|n| format!("G1X{:09.3}Y0S{:04}\n", f64::from(n) * 0.04, n % 1000)),
    );
    let (mut now, mut oks, mut window) = (Duration::ZERO, 0, VecDeque::new());
    for line in &lines {
        while window.iter().sum::<usize>() + line.len() > 127 {
            let next = grbl.next_event().expect("a full window means motion");
            now = now.max(next);
            oks += grbl.take_output(now).iter().filter(|byte| **byte == b'\n').count();
            window.drain(..std::mem::take(&mut oks).min(window.len()));
        }
        for byte in line.bytes() {
            now += BYTE;
            grbl.received(&[byte], now);
        }
        window.push_back(line.len());
        oks += grbl.take_output(now).iter().filter(|byte| **byte == b'\n').count();
        window.drain(..std::mem::take(&mut oks).min(window.len()));
    }
    assert_eq!(lines[1].len(), 20);
    assert_eq!((grbl.truth().rx_dropped, grbl.truth().lines_refused), (0, 0));
    assert!(grbl.truth().rx_peak <= 127);
    let model = BYTE * lines.iter().map(|line| line.len() as u32).sum::<u32>();
    assert!(now < model.mul_f64(1.02), "{now:?} instead of {model:?}");
}
