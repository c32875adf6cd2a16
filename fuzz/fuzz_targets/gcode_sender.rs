//! A sender whose machine says anything, in any order.

#![no_main]

use arbitrary::Arbitrary;
use gcode::detect::Firmware;
use gcode::sender::{Event, Sender};
use gcode::status::Report;
use libfuzzer_sys::fuzz_target;
use wire::serial::Profile;

const PROFILES: [Profile; 4] =
    [Profile::Grbl, Profile::FluidNc, Profile::Smoothie, Profile::Marlin];

#[derive(Debug, Arbitrary)]
enum Step {
    /// The program has a line.
    Push(Vec<u8>),
    /// The machine says a line,
    Say(Vec<u8>),
    /// or one of those that matter.
    Answer(Answer),
    /// Nothing, for long.
    Silence,
}

#[derive(Debug, Arbitrary)]
enum Answer {
    Ok,
    Numbered(u8),
    Resend(u8),
    Room(u8),
    Error,
}

fuzz_target!(|input: (u8, Vec<Step>)| {
    let (profile, steps) = input;
    let profile = PROFILES[usize::from(profile) % PROFILES.len()];
    let mut sender = Sender::new(&Firmware::assumed(profile)).expect("not raw");
    let (mut pushed, mut acked) = (0, 0);
    for step in steps {
        let said = match step {
            Step::Push(line) => {
                if sender.push(pushed + 1, &line) == Ok(true) {
                    pushed += 1;
                }
                None
            }
            Step::Say(line) => Some(line),
            Step::Answer(Answer::Ok) => Some(b"ok".to_vec()),
            Step::Answer(Answer::Numbered(n)) => Some(format!("ok N{n} P9 B3").into_bytes()),
            Step::Answer(Answer::Resend(n)) => Some(format!("Resend: {n}").into_bytes()),
            Step::Answer(Answer::Room(n)) => Some(format!("<Idle|Bf:15,{n}>").into_bytes()),
            Step::Answer(Answer::Error) => Some(b"error:9".to_vec()),
            Step::Silence => {
                if let Sender::Marlin(sender) = &mut sender {
                    sender.silent();
                }
                None
            }
        };
        if let Some(line) = said {
            match sender.received(&Report::read(&line, profile)) {
                // Answers are for lines that were pushed, and GRBL's come in order.
                Event::Acked { line } | Event::LostAnswers { line } => {
                    assert!((1..=pushed).contains(&line));
                    assert!(line > acked || matches!(sender, Sender::Marlin(_)));
                    acked = line;
                }
                Event::Refused { line, .. } => assert!((1..=pushed).contains(&line)),
                Event::None
                | Event::Resent { .. }
                | Event::Alive
                | Event::Stopped
                | Event::Unresendable { .. } => {}
            }
        }
        while let Some(line) = sender.transmit() {
            assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
            assert_eq!(line.last(), Some(&b'\n'));
        }
        if let Sender::Grbl(sender) = &sender {
            assert!(sender.peak_bytes() <= 256);
        }
    }
});
