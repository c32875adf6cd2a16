//! What Marlin's own documents and `queue.cpp` say, in virtual time.

use super::*;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

struct Bench {
    marlin: Marlin,
    now: Duration,
}

impl Bench {
    fn new(options: Options) -> Self {
        let mut bench = Self { marlin: Marlin::new(options, Duration::ZERO), now: Duration::ZERO };
        assert!(bench.take().starts_with("start\necho:Marlin "));
        bench
    }

    fn printer() -> Self {
        Self::new(Options::default())
    }

    fn send(&mut self, text: &str) {
        self.marlin.received(text.as_bytes(), self.now);
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.marlin.advance(self.now);
    }

    fn take(&mut self) -> String {
        String::from_utf8(self.marlin.take_output(self.now)).unwrap()
    }

    fn ask(&mut self, line: &str) -> String {
        self.send(&format!("{line}\n"));
        self.take()
    }

    fn numbered(&mut self, number: i64, command: &str) -> String {
        let line = format!("N{number} {command}");
        let sum = line.bytes().fold(0, |sum, byte| sum ^ byte);
        self.ask(&format!("{line}*{sum}"))
    }
}

/// reprap.org, "Checking"; `queue.cpp`.
#[test]
fn lines_are_numbered_and_summed() {
    let mut bench = Bench::printer();
    assert_eq!(bench.numbered(0, "M110 N0"), "ok\n");
    assert_eq!(bench.numbered(1, "G21"), "ok\n");
    let gap = "Error:Line Number is not Last Line Number+1, Last Line: 1\nResend: 2\nok\n";
    assert_eq!(bench.numbered(3, "G90"), gap);
    let sum = "Error:checksum mismatch, Last Line: 1\nResend: 2\nok\n";
    assert_eq!(bench.ask("N2 G90*1"), sum);
    let none = "Error:No Checksum with line number, Last Line: 1\nResend: 2\nok\n";
    assert_eq!(bench.ask("N2 G90"), none);
    assert_eq!(bench.numbered(2, "G90"), "ok\n");
    assert_eq!(bench.numbered(9, "M110 N41"), "ok\n");
    assert_eq!(bench.numbered(42, "G21"), "ok\n");
    assert_eq!(bench.marlin.truth().lines_refused, 3);
}

/// Four commands have a place, 128 bytes wait before them, and no more.
#[test]
fn the_queue_and_the_buffer_are_small() {
    let mut bench = Bench::printer();
    bench.send("G4 S1\n");
    (0..3).for_each(|_| bench.send("G21\n"));
    (0..32).for_each(|_| bench.send("G21\n"));
    assert_eq!((bench.marlin.truth().rx_peak, bench.marlin.truth().rx_dropped), (128, 0));
    bench.send("G21\n");
    assert_eq!(bench.marlin.truth().rx_dropped, 4);
    bench.pass(ms(1001));
    assert_eq!(bench.take().matches("ok\n").count(), 36);
}

#[test]
fn advanced_ok_tells_the_room() {
    let mut bench = Bench::new(Options { advanced_ok: true, ..Options::default() });
    assert_eq!(bench.numbered(1, "G1 X10"), "ok N1 P14 B3\n");
}

/// `busy: processing` every two seconds while a command is under way.
#[test]
fn a_long_command_says_that_it_is_busy() {
    let mut bench = Bench::printer();
    assert_eq!(bench.ask("G4 S5"), "");
    bench.pass(ms(4500));
    assert_eq!(bench.take(), "echo:busy: processing\n".repeat(2));
    bench.pass(ms(501));
    assert_eq!(bench.take(), "ok\n");
}

#[test]
fn heaters_take_their_time() {
    let mut bench = Bench::printer();
    assert_eq!(bench.ask("M104 S60"), "ok\n");
    bench.pass(ms(5000));
    assert_eq!(bench.ask("M105"), "ok T:40.00 /60.00 B:20.00 /0.00 @:127 B@:0\n");
    assert!(bench.ask("M109 S60").starts_with(" T:40.00 /60.00"));
    bench.pass(ms(5001));
    let said = bench.take();
    assert_eq!(said.matches(" W:?").count(), 4);
    assert!(said.ends_with("ok\n"));
    bench.send("M190 S100\n");
    bench.pass(ms(500));
    bench.take();
    assert_eq!(bench.ask("M108"), "ok\nok\n", "the emergency parser ends the wait");
}

#[test]
fn temperatures_come_by_themselves() {
    let mut bench = Bench::printer();
    bench.ask("M155 S2");
    bench.pass(ms(6100));
    assert_eq!(bench.take().matches(" T:20.00 /0.00").count(), 3);
}

#[test]
fn moves_are_planned_and_done() {
    let mut bench = Bench::printer();
    assert_eq!(bench.ask("G28"), "");
    bench.pass(ms(1001));
    assert_eq!(bench.take(), "ok\n");
    assert_eq!(bench.ask("G1 X10 F600"), "ok\n");
    assert_eq!(bench.ask("M400"), "");
    bench.pass(ms(1100));
    assert_eq!(bench.take(), "ok\n");
    let told = "X:10.00 Y:0.00 Z:0.00 E:0.00 Count X:800 Y:0 Z:0\nok\n";
    assert_eq!(bench.ask("M114"), told);
    bench.ask("G92 X0");
    bench.ask("G91");
    bench.ask("G1X5Y1");
    assert!(bench.ask("M114").starts_with("X:5.00 Y:1.00"));
    assert_eq!(bench.ask("G999"), "echo:Unknown command: \"G999\"\nok\n");
}

#[test]
fn tells_what_it_can() {
    let mut bench = Bench::printer();
    let told = bench.ask("M115");
    assert!(told.starts_with("FIRMWARE_NAME:Marlin 2.1.2.5 "));
    assert!(told.contains("\nCap:AUTOREPORT_TEMP:1\n"));
    assert!(told.ends_with("\nCap:EMERGENCY_PARSER:1\nok\n"));
}

/// With the emergency parser M112 acts at once, numbered or not; only a reset helps after it.
#[test]
fn m112_halts_for_good() {
    let mut bench = Bench::printer();
    bench.ask("M104 S200");
    bench.ask("M3 S128");
    assert_eq!(bench.marlin.truth().beam_power(), 128.0);
    bench.send("G4 S60\nG21\nG21\nG21\nG21\nN7 M112*1\n");
    assert!(bench.take().ends_with("Error:Printer halted. kill() called!\n"));
    assert_eq!(bench.marlin.truth().beam_power(), 0.0);
    assert_eq!(bench.ask("M105"), "");
    bench.marlin.boot(bench.now);
    assert!(bench.take().starts_with("start\n"));
}

/// Without it, M112 waits in the serial buffer until the queue has room.
#[test]
fn without_emergency_parser_m112_is_late() {
    let mut bench = Bench::new(Options { emergency_parser: false, ..Options::default() });
    bench.send("G4 S60\nG4 S1\nG4 S1\nG4 S1\nM112\n");
    bench.pass(ms(59_000));
    assert!(!bench.marlin.is_killed());
    bench.pass(ms(1001));
    assert!(bench.marlin.is_killed());
}

/// Noise: whatever comes, the board keeps its bounds.
#[test]
fn noise_does_no_harm() {
    use rand::{Rng, SeedableRng};
    let mut random = rand::rngs::StdRng::seed_from_u64(4);
    let mut bench = Bench::new(Options { emergency_parser: false, ..Options::default() });
    let alphabet = b"GMNTXYZEFSPR0123456789.-*; \n\n\n\xC3\xA9";
    for _ in 0..20_000 {
        let byte = alphabet[random.random_range(0..alphabet.len())];
        bench.marlin.received(&[byte], bench.now);
        bench.pass(Duration::from_micros(random.random_range(0..20_000)));
        bench.take();
        assert!(bench.marlin.truth().rx_peak <= 128);
    }
}

/// M410 stops motion, and the beam burns on where it stands.
#[test]
fn m410_stops_motion_only() {
    let mut bench = Bench::printer();
    bench.ask("M3 S255");
    bench.ask("G1 X100 F600");
    bench.pass(ms(500));
    bench.send("M410\n");
    let [x, ..] = bench.marlin.truth().position;
    bench.pass(ms(5000));
    assert_eq!(bench.marlin.truth().position[0], x);
    assert_eq!(bench.marlin.truth().beam_power(), 255.0);
}
