//! What a program or a peer writes to a machine, at any chunking: in SAFE, after STOP, in a file.

#![no_main]

use gcode::beam::{Beam, Tool};
use gcode::check::Checker;
use gcode::gate::{Gate, Latch, Verdict};
use gcode::lines::Lines;
use gcode::realtime::Lane;
use gcode::resume::{Head, Resume};
use gcode::settings::Settings;
use gcode::status::Report;
use gcode::words::Block;
use libfuzzer_sys::fuzz_target;
use wire::serial::Profile;

const PROFILES: [Profile; 6] = [
    Profile::Raw,
    Profile::Grbl,
    Profile::GrblHal,
    Profile::FluidNc,
    Profile::Smoothie,
    Profile::Marlin,
];

fuzz_target!(|input: (u8, u8, &[u8])| {
    let (profile, cut, bytes) = input;
    let profile = PROFILES[usize::from(profile) % PROFILES.len()];
    let cut = usize::from(cut).min(bytes.len());

    let split = |chunks: &[&[u8]]| {
        let (mut rest, mut realtime) = (Vec::new(), Vec::new());
        let mut lane = Lane::new(profile, true);
        chunks.iter().for_each(|chunk| lane.split(chunk, &mut rest, &mut realtime));
        (rest, realtime)
    };
    let whole = split(&[bytes]);
    assert_eq!(whole, split(&[&bytes[..cut], &bytes[cut..]]));
    let (rest, _) = whole;

    let mut beam = Beam::new(profile, Tool::Spindle);
    beam.received(&Report::Greeting);
    let (mut gate, mut latch) = (Gate::new(profile), Latch::new(profile));
    let mut checker = Checker::new(profile, Settings::default());
    let mut resume = Resume::new(profile, Head::Spindle).ok();
    let mut block = Block::default();
    latch.set();
    Lines::default().push(&rest, |line| {
        checker.line(line, |_| {});
        let _ = latch.line(line.text);
        resume = resume.take().and_then(|mut at| at.skip(line.text).is_ok().then_some(at));
        if gate.line(line.text, &beam) == Verdict::Pass {
            // What passes can be read, and switches nothing on.
            block.read(line.text, profile).expect("what passes can be read");
            assert!(!block.has(b'M', 30) && !block.has(b'M', 40));
            beam.line(line.text);
            beam.received(&Report::Ok(gcode::status::Ack::default()));
            assert!(!beam.may_be_on(), "{:?}", String::from_utf8_lossy(line.text));
        }
    });
    assert!(checker.finish(|_| {}).estimate.seconds.is_finite());
    if let Some(Ok(lines)) = resume.map(|at| at.preamble()) {
        for line in lines {
            block.read(line.as_bytes(), profile).expect("our own lines can be read");
        }
    }
});
