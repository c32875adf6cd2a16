//! Ladders in virtual time, against machines that obey, are slow, or are dead.

use super::*;
use crate::words::sum;

/// Drives a ladder; `machine` says what is heard in answer to what was written.
fn climb(
    firmware: &Firmware,
    custom: &[u8],
    mut machine: impl FnMut(&Step, u128) -> Vec<&'static str>,
) -> (Vec<(u128, Step)>, StopReport) {
    let began = Instant::now();
    let mut now = began;
    let mut ladder = Ladder::new(firmware, custom, began);
    let mut steps = Vec::new();
    loop {
        assert!(steps.len() < 1000, "the ladder ends");
        let at = (now - began).as_millis();
        match ladder.poll(now) {
            Step::Wait(until) => {
                assert!(until > now, "it waits for something");
                now = until;
            }
            Step::Done => break,
            step => {
                for line in machine(&step, at) {
                    ladder.received(&Report::read(line.as_bytes(), firmware.profile));
                }
                steps.push((at, step));
            }
        }
    }
    (steps, ladder.report(Some(Duration::from_millis(1))))
}

fn rungs(report: &StopReport) -> Vec<(&str, u32, bool)> {
    report.rungs.iter().map(|rung| (rung.name.as_str(), rung.at_ms, rung.confirmed)).collect()
}

fn wrote(step: &Step, bytes: &[u8]) -> bool {
    matches!(step, Step::Write(wrote) if wrote == bytes)
}

#[test]
fn grbl_that_holds_is_reset_at_once() {
    let firmware = Firmware::assumed(Profile::Grbl);
    assert_eq!(first(&firmware, b""), b"\x84!");
    let mut reset = false;
    let (steps, report) = climb(&firmware, b"", |step, at| {
        reset |= wrote(step, b"\x18");
        if wrote(step, b"\x18") {
            vec!["Grbl 1.1h ['$' for help]"]
        } else if !wrote(step, b"?") {
            vec![]
        } else if reset {
            vec!["<Idle|MPos:1,2,3|FS:0,0>"]
        } else if at < 100 {
            vec!["<Door:2|MPos:1,2,3|FS:900,500>"]
        } else {
            vec!["<Door:0|MPos:1,2,3|FS:0,0>"]
        }
    });
    assert_eq!(steps[0], (0, Step::Write(b"\x84!".to_vec())));
    let expected = [("0x84 safety door, ! hold", 0, true), ("0x18 reset", 100, true)];
    assert_eq!(rungs(&report), expected);
    assert!(report.confirmed);
    assert_eq!(report.left_after_us, Some(1000));
}

#[test]
fn grbl_with_the_beam_on_is_reset_after_a_rung() {
    // A fork that holds and leaves its laser on (gnea/grbl#1039).
    let mut reset = false;
    let (_, report) = climb(&Firmware::assumed(Profile::Grbl), b"", |step, _| {
        reset |= wrote(step, b"\x18");
        match (wrote(step, b"?"), reset) {
            (true, false) => vec!["<Hold:0|FS:0,500>"],
            (true, true) => vec!["ALARM:3", "Grbl 1.1h ['$' for help]", "<Alarm|F:0>"],
            _ => vec![],
        }
    });
    let expected = [("0x84 safety door, ! hold", 0, false), ("0x18 reset", 250, true)];
    assert_eq!(rungs(&report), expected);
    assert!(report.confirmed);
}

#[test]
fn a_status_of_before_the_reset_proves_nothing() {
    let (_, report) = climb(&Firmware::assumed(Profile::Grbl), b"", |step, _| {
        if wrote(step, b"?") { vec!["<Door:0|FS:0,0>"] } else { vec![] }
    });
    assert_eq!(rungs(&report).iter().map(|rung| rung.2).collect::<Vec<_>>(), [true, false, false]);
    assert!(!report.confirmed);
}

#[test]
fn a_startup_line_that_switches_it_on_is_no_success() {
    let (_, report) = climb(&Firmware::assumed(Profile::Grbl), b"", |step, _| {
        if wrote(step, b"?") {
            vec!["Grbl 1.1h ['$' for help]", "<Idle|FS:0,1000>"]
        } else {
            vec![]
        }
    });
    assert!(!report.confirmed);
}

#[test]
fn a_dead_board_has_its_reset_line_pulled() {
    let mut pulsed = false;
    let (steps, report) = climb(&Firmware::assumed(Profile::GrblHal), b"", |step, at| {
        pulsed |= matches!(step, Step::Modem { dtr: true, .. });
        if pulsed && at > 2000 {
            return vec!["GrblHAL 1.1f ['$' or '$HELP' for help]", "<Idle|FS:0,0>"];
        }
        vec![]
    });
    let names: Vec<_> = rungs(&report);
    assert_eq!(names[1], ("0x19 stop", 250, false));
    assert_eq!(names[3], ("DTR reset pulse", 750, true));
    let lines: Vec<_> =
        steps.iter().filter(|(_, step)| matches!(step, Step::Modem { .. })).collect();
    assert_eq!(lines[0], &(750, Step::Modem { dtr: false, rts: true }));
    assert_eq!(lines[1], &(850, Step::Modem { dtr: true, rts: true }));
    assert!(report.confirmed);
}

#[test]
fn grblhal_stops_and_forgets_without_a_reset() {
    let mut stopped = false;
    let (steps, report) = climb(&Firmware::assumed(Profile::GrblHal), b"", |step, _| {
        stopped |= wrote(step, b"\x19");
        match (wrote(step, &[0x80]), stopped) {
            (true, false) => vec!["<Door:0|FS:0,0>"],
            (true, true) => vec!["<Idle|FS:0,0>"],
            _ => vec![],
        }
    });
    assert!(report.confirmed && report.rungs.len() == 2);
    assert!(!steps.iter().any(|(_, step)| wrote(step, b"\x18")));
}

#[test]
fn marlin_with_emergency_parser() {
    let firmware = Firmware { emergency_parser: true, ..Firmware::assumed(Profile::Marlin) };
    assert_eq!(first(&firmware, b""), b"\nM410\nM112\n");
    let (steps, report) =
        climb(&firmware, b"", |_, _| vec!["Error:Printer halted. kill() called!"]);
    // What is heard before a rung's bytes have left proves nothing; here it is heard after.
    assert_eq!((steps.len(), report.confirmed), (1, true));
}

#[test]
fn marlin_that_does_not_listen_is_reset() {
    let (steps, report) = climb(&Firmware::assumed(Profile::Marlin), b"", |step, _| {
        if matches!(step, Step::Modem { dtr: true, .. }) { vec!["start"] } else { vec![] }
    });
    assert!(wrote(&steps[0].1, b"\nM112\nN0 M110 N0*125\nN1 M112*32\n"));
    assert_eq!(rungs(&report), [("M112", 0, false), ("DTR reset pulse", 250, true)]);
    assert_eq!((sum(b"N0 M110 N0"), sum(b"N1 M112")), (125, 32));
}

#[test]
fn smoothie_halts() {
    let (_, report) = climb(&Firmware::assumed(Profile::Smoothie), b"", |step, _| {
        if wrote(step, b"\x18") { vec!["HALTED, M999 or $X to exit HALT state"] } else { vec![] }
    });
    assert_eq!(rungs(&report), [("0x18 halt", 0, true)]);
}

#[test]
fn nobody_knows_what_a_raw_device_did() {
    let raw = Firmware::assumed(Profile::Raw);
    assert_eq!(first(&raw, b"STOP\r"), b"STOP\r");
    let (steps, report) = climb(&raw, b"STOP\r", |_, _| vec!["ok"]);
    let expected = [Step::Write(b"STOP\r".to_vec()), Step::Modem { dtr: false, rts: false }];
    assert_eq!(steps.into_iter().map(|(_, step)| step).collect::<Vec<_>>(), expected);
    assert!(!report.confirmed);
    assert_eq!(climb(&raw, b"", |_, _| vec![]).0.len(), 1);
}
