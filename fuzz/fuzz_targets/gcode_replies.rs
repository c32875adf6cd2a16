//! What a machine says, or whatever is at the other end of the cable.

#![no_main]

use gcode::beam::{Beam, Tool};
use gcode::detect::{Detector, Firmware};
use gcode::lines::Lines;
use gcode::settings::Settings;
use gcode::status::Report;
use gcode::stop::{Ladder, Step};
use libfuzzer_sys::fuzz_target;
use std::time::Instant;
use wire::serial::Profile;

const PROFILES: [Profile; 6] = [
    Profile::Raw,
    Profile::Grbl,
    Profile::GrblHal,
    Profile::FluidNc,
    Profile::Smoothie,
    Profile::Marlin,
];

fuzz_target!(|input: (u8, &[u8])| {
    let (profile, bytes) = input;
    let profile = PROFILES[usize::from(profile) % PROFILES.len()];
    let mut detector = Detector::new();
    let mut beam = Beam::new(profile, Tool::Spindle);
    let mut settings = Settings::default();
    let mut reports = Vec::new();
    Lines::default().push(bytes, |line| {
        detector.received(line.text);
        let report = Report::read(line.text, profile);
        beam.received(&report);
        settings.received(&report);
        reports.push(report);
    });
    assert!((0..=65_535).contains(&detector.firmware().rx_bytes));

    // A ladder ends, whatever it hears.
    let mut now = Instant::now();
    let mut ladder = Ladder::new(&Firmware::assumed(profile), b"", now);
    let mut reports = reports.iter();
    for _ in 0..1000 {
        match ladder.poll(now) {
            Step::Write(_) | Step::Modem { .. } => {}
            Step::Wait(until) => {
                assert!(until > now);
                now = until;
            }
            Step::Done => return,
        }
        if let Some(report) = reports.next() {
            ladder.received(report);
        }
    }
    panic!("a ladder ends");
});
