//! A sender and a printer with a bad cable between them.

use super::*;
use proptest::prelude::*;
use wire::serial::Profile;

fn sender() -> Sender {
    Sender::new(&Firmware::assumed(Profile::Marlin))
}

fn hear(sender: &mut Sender, line: &str) -> Event {
    sender.received(&Report::read(line.as_bytes(), Profile::Marlin))
}

fn text(sender: &mut Sender) -> Option<String> {
    sender.transmit().map(|line| String::from_utf8_lossy(line).trim_end().to_owned())
}

#[test]
fn m110_and_checksums() {
    let mut sender = sender();
    assert_eq!(text(&mut sender).as_deref(), Some("N0 M110 N0*125"));
    assert_eq!(sender.push(7, b"G28 X ; home"), Ok(true));
    assert_eq!(text(&mut sender), None);
    assert_eq!(hear(&mut sender, "ok"), Event::None);
    assert_eq!(text(&mut sender).as_deref(), Some("N1 G28 X*106"));
    assert_eq!(text(&mut sender), None);
    assert_eq!(hear(&mut sender, "echo:busy: processing"), Event::Alive);
    assert_eq!(hear(&mut sender, "T:20 /0"), Event::None);
    assert_eq!(hear(&mut sender, "ok T:20 /0"), Event::Acked { line: 7 });
    assert!(sender.is_drained());
}

#[test]
fn what_cannot_be_numbered() {
    let mut sender = sender();
    assert!(text(&mut sender).is_some());
    assert_eq!(sender.push(1, b"  ; nothing"), Ok(false));
    assert_eq!(sender.push(1, b"N5 G1"), Err(Unsendable::Number));
    assert_eq!(sender.push(1, b"M110 N5"), Err(Unsendable::Number));
    assert_eq!(sender.push(1, b"M117 5*4"), Err(Unsendable::Realtime(b'*')));
    assert_eq!(sender.push(1, &[b'X'; 90]), Err(Unsendable::TooLong));
}

#[test]
fn resend_goes_back() {
    let mut sender = sender();
    let mut acked = Vec::new();
    for number in 1..=3 {
        while let Some(_line) = text(&mut sender) {}
        hear(&mut sender, "ok");
        sender.push(number, format!("G1 X{number}").as_bytes()).unwrap();
    }
    assert!(text(&mut sender).unwrap().starts_with("N3 G1 X3"));
    hear(&mut sender, "Error:checksum mismatch, Last Line: 1");
    assert_eq!(hear(&mut sender, "Resend: 2"), Event::Resent { line: 2 });
    assert_eq!(text(&mut sender), None);
    assert_eq!(hear(&mut sender, "ok"), Event::None);
    for _ in 0..2 {
        assert!(text(&mut sender).is_some());
        if let Event::Acked { line } = hear(&mut sender, "ok") {
            acked.push(line);
        }
    }
    assert_eq!(acked, [2, 3]);
    assert_eq!(hear(&mut sender, "Resend: 90"), Event::Unresendable { number: 90 });
    assert!(!sender.wants_line());
}

#[test]
fn a_lost_ok_heals_itself() {
    let mut sender = sender();
    assert!(text(&mut sender).is_some());
    hear(&mut sender, "ok");
    sender.push(1, b"G1 X1").unwrap();
    let first = text(&mut sender);
    sender.silent();
    assert_eq!(text(&mut sender), first);
    hear(&mut sender, "Error:Line Number is not Last Line Number+1, Last Line: 1");
    hear(&mut sender, "Resend: 2");
    assert_eq!(hear(&mut sender, "ok"), Event::None);
    assert!(sender.is_drained() && sender.wants_line());
}

#[test]
fn advanced_ok_makes_room_and_tells_numbers() {
    let mut sender = sender();
    assert!(text(&mut sender).is_some());
    hear(&mut sender, "ok N0 P15 B3");
    for number in 1..=4 {
        assert_eq!(sender.push(number, b"G1 X1"), Ok(true));
        assert_eq!(text(&mut sender).is_some(), number <= 3);
    }
    // The answers to 1 and 2 were lost.
    assert_eq!(hear(&mut sender, "ok N3 P15 B3"), Event::Acked { line: 3 });
    assert!(text(&mut sender).is_some());
    assert_eq!(hear(&mut sender, "ok N1 P15 B3"), Event::None);
    assert_eq!(hear(&mut sender, "start"), Event::Stopped);
}

/// As Marlin's `queue.cpp` takes a line.
struct Printer {
    last: u32,
    taken: Vec<String>,
}

impl Printer {
    fn line(&mut self, line: &str) -> Vec<String> {
        let resend = |last: u32| vec![format!("Resend: {}", last + 1), "ok".to_owned()];
        let Some((body, said)) = line.rsplit_once('*') else { return resend(self.last) };
        if said.parse() != Ok(sum(body.as_bytes())) {
            return resend(self.last);
        }
        let (number, text) = body[1..].split_once(' ').unwrap();
        let number: u32 = number.parse().unwrap();
        if !text.starts_with("M110") && number != self.last + 1 {
            return resend(self.last);
        }
        self.last = number;
        if !text.starts_with("M110") {
            self.taken.push(text.to_owned());
        }
        vec!["ok".to_owned()]
    }
}

proptest! {
    #[test]
    fn every_line_arrives_once_and_in_order(
        count in 1u64..150,
        faults in prop::collection::vec(0u8..8, 600),
    ) {
        let mut sender = sender();
        let mut printer = Printer { last: 77, taken: Vec::new() };
        let mut faults = faults.into_iter();
        let mut next = 0;
        for _round in 0..2000 {
            if sender.wants_line() && next < count {
                next += 1;
                sender.push(next, format!("G1 X{next}").as_bytes()).unwrap();
            }
            let Some(mut line) = text(&mut sender) else {
                if next == count && sender.is_drained() {
                    break;
                }
                sender.silent();
                continue;
            };
            let fault = faults.next().unwrap_or(7);
            match fault {
                0 => line = line.replacen('G', "g", 1),
                1 => continue,
                _ => {}
            }
            for answer in printer.line(&line) {
                // An answer gets lost.
                if fault != 2 {
                    hear(&mut sender, &answer);
                }
            }
        }
        let expected: Vec<_> = (1..=count).map(|number| format!("G1 X{number}")).collect();
        prop_assert_eq!(printer.taken, expected);
    }
}
