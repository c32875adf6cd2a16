//! The window against a controller that counts its own bytes.

use super::*;
use proptest::prelude::*;

fn sender(profile: Profile) -> Sender {
    Sender::new(&Firmware::assumed(profile))
}

fn hear(sender: &mut Sender, line: &str) -> Event {
    sender.received(&Report::read(line.as_bytes(), Profile::Grbl))
}

/// Pushes as long as there is room; the number of lines that went out.
fn fill(sender: &mut Sender, lines: &[&str]) -> usize {
    for (number, line) in (1u64..).zip(lines) {
        assert_eq!(sender.push(number, line.as_bytes()), Ok(true), "{line}");
        if sender.transmit().is_none() {
            return usize::try_from(number).unwrap() - 1;
        }
    }
    lines.len()
}

#[test]
fn interface_md_character_counting() {
    let windows = [(Profile::Grbl, 120), (Profile::GrblHal, 1000), (Profile::FluidNc, 248)];
    for (profile, window) in windows {
        assert_eq!(sender(profile).window_bytes(), window);
    }
    let mut sender = sender(Profile::Grbl);
    // 20 bytes each with its end: six fit 120.
    let sent = fill(&mut sender, &["G1X100.123Y100.12S99"; 9].map(|line| &line[..19]));
    assert_eq!((sent, sender.peak_bytes()), (6, 120));
    assert_eq!(hear(&mut sender, "[MSG:Pgm End]"), Event::None);
    assert_eq!(sender.transmit(), None);
    assert_eq!(hear(&mut sender, "ok"), Event::Acked { line: 1 });
    assert_eq!(sender.transmit(), Some(&b"G1X100.123Y100.12S9\n"[..]));
    assert_eq!(sender.transmit(), None);
}

#[test]
fn a_line_is_sent_as_the_firmware_keeps_it() {
    let mut sender = sender(Profile::Grbl);
    let mut send = |line: &str| -> Result<Option<String>, Unsendable> {
        if !sender.push(1, line.as_bytes())? {
            return Ok(None);
        }
        let sent = sender.transmit().map(|line| String::from_utf8_lossy(line).into_owned());
        sender.received(&Report::Ok(crate::status::Ack::default()));
        Ok(sent)
    };
    assert_eq!(send("G1 X1 (to the ! right) Y2 ; f\u{e4}st?"), Ok(Some("G1X1Y2\n".into())));
    assert_eq!(send("$N0=G54 G20"), Ok(Some("$N0=G54 G20\n".into())));
    assert_eq!((send(""), send("; only words"), send(" %\r")), (Ok(None), Ok(None), Ok(None)));
    assert_eq!(send("G1 X1 !"), Err(Unsendable::Realtime(b'!')));
    assert_eq!(send("G1 X1\u{18}"), Err(Unsendable::Realtime(0x18)));
    assert_eq!(send(&"X1".repeat(40)), Err(Unsendable::TooLong));
    assert_eq!(send("M5"), Ok(Some("M5\n".into())));
}

#[test]
fn interface_md_eeprom_issues() {
    for line in ["$110=5", "$I=x", "$RST=*", "G10 L20 P1 X0", "g010 l2p1", "G28.1", "G30.1", "G55"]
    {
        let mut sender = sender(Profile::Grbl);
        assert_eq!(fill(&mut sender, &["G0X1", line]), 1, "{line}");
        hear(&mut sender, "ok");
        assert!(sender.transmit().is_some(), "{line}");
        assert_eq!(sender.push(3, b"G0X1"), Ok(true));
        assert_eq!(sender.transmit(), None, "{line} is still alone");
        assert_eq!(hear(&mut sender, "ok"), Event::Acked { line: 2 });
        assert!(sender.transmit().is_some());
    }
    assert_eq!(fill(&mut sender(Profile::Grbl), &["G28", "G1X1", "M5"]), 3);
}

#[test]
fn lost_answers_are_missed_without_bf_too() {
    let mut motion = sender(Profile::Grbl);
    assert_eq!(fill(&mut motion, &["G1X1", "G1X2"]), 2);
    for report in ["<Run>", "<Idle>", "<Idle>", "<Run>", "<Idle>", "<Idle>"] {
        assert_eq!(hear(&mut motion, report), Event::None);
    }
    assert_eq!(hear(&mut motion, "<Idle>"), Event::LostAnswers { line: 2 });
    let mut slow = sender(Profile::Grbl);
    assert_eq!(fill(&mut slow, &["G4P9", "G1X2"]), 2);
    for _ in 0..9 {
        assert_eq!(hear(&mut slow, "<Idle>"), Event::None);
    }
}

#[test]
fn nothing_is_sent_after_an_error() {
    let mut sender = sender(Profile::Grbl);
    assert_eq!(fill(&mut sender, &["G1X1", "G99", "G1X2"]), 3);
    assert_eq!(hear(&mut sender, "ok"), Event::Acked { line: 1 });
    assert_eq!(hear(&mut sender, "error:20"), Event::Refused { line: 2, code: Some(20) });
    assert!(!sender.wants_line() && sender.transmit().is_none());
    assert_eq!(sender.push(4, b"G1"), Err(Unsendable::Busy));
    assert_eq!(hear(&mut sender, "ok"), Event::Acked { line: 3 });
    assert!(sender.is_drained());
    for line in ["ALARM:1", "Grbl 1.1h ['$' for help]"] {
        let mut sender = self::sender(Profile::Grbl);
        fill(&mut sender, &["G1X1"]);
        assert_eq!(hear(&mut sender, line), Event::Stopped);
        assert!(!sender.wants_line() && sender.is_drained());
    }
}

#[test]
fn the_window_is_what_the_idle_machine_says() {
    let mut sender = sender(Profile::Grbl);
    hear(&mut sender, "<Idle|MPos:0,0,0|Bf:15,254|FS:0,0>");
    assert_eq!(sender.window_bytes(), 246);
    fill(&mut sender, &["G1X1"]);
    hear(&mut sender, "<Run|MPos:0,0,0|Bf:14,100|FS:0,0>");
    assert_eq!(sender.window_bytes(), 246);
}

#[test]
fn lost_answers_are_certain_after_three_polls() {
    let mut sender = sender(Profile::Grbl);
    assert_eq!(fill(&mut sender, &["G1X1", "G1X2", "G1X3"]), 3);
    let (full, empty) = ("<Run|Bf:0,100>", "<Run|Bf:0,128>");
    for line in [empty, empty, full, empty, empty] {
        assert_eq!(hear(&mut sender, line), Event::None);
    }
    // The third may wait for room in the planner.
    assert_eq!(hear(&mut sender, empty), Event::LostAnswers { line: 2 });
    for _ in 0..5 {
        assert_eq!(hear(&mut sender, empty), Event::None);
    }
    for _ in 0..2 {
        assert_eq!(hear(&mut sender, "<Idle|Bf:15,128>"), Event::None);
    }
    assert_eq!(hear(&mut sender, "<Idle|Bf:15,128>"), Event::LostAnswers { line: 3 });
    assert!(sender.is_drained());
}

#[test]
fn a_dwell_is_no_lost_answer() {
    for line in ["G4 P10", "M3 S100", "M0", "G28"] {
        let mut sender = sender(Profile::Grbl);
        fill(&mut sender, &[line]);
        for _ in 0..9 {
            assert_eq!(hear(&mut sender, "<Idle|Bf:15,128>"), Event::None, "{line}");
        }
    }
}

proptest! {
    /// A controller that reads lines whenever it likes never overflows, and gets every line.
    #[test]
    fn the_buffer_never_overflows(
        lines in prop::collection::vec(
            "(G1|G0|M5|G10L2P1|G4P0|S[0-9]{1,4})(X[0-9]{1,6}){0,9}",
            1..60,
        ),
        reads in prop::collection::vec(0usize..4, 400),
    ) {
        let mut sender = sender(Profile::Grbl);
        let (mut rx, mut rx_bytes) = (VecDeque::new(), 0);
        let (mut taken, mut pushed) = (Vec::new(), 0);
        for read in reads.into_iter().chain(std::iter::repeat_n(3, 60)) {
            while sender.wants_line() && pushed < lines.len() {
                let line = lines[pushed].as_bytes();
                prop_assert_eq!(sender.push(u64::try_from(pushed).unwrap(), line), Ok(true));
                pushed += 1;
                while let Some(bytes) = sender.transmit() {
                    rx_bytes += bytes.len();
                    rx.push_back(bytes.to_vec());
                    prop_assert!(rx_bytes <= 120);
                }
            }
            for _ in 0..read {
                let Some(line) = rx.pop_front() else { break };
                rx_bytes -= line.len();
                taken.push(String::from_utf8(line).unwrap().trim_end().to_owned());
                hear(&mut sender, "ok");
            }
            while let Some(bytes) = sender.transmit() {
                rx_bytes += bytes.len();
                rx.push_back(bytes.to_vec());
            }
        }
        prop_assert_eq!(taken, lines);
        prop_assert!(sender.is_drained());
    }
}
