//! Programs with one fault each, and without.

use super::*;
use crate::lines::Lines;
use proptest::prelude::*;

fn check(profile: Profile, settings: Settings, text: &str) -> (Vec<(u64, Problem)>, Summary) {
    let mut checker = Checker::new(profile, settings);
    let (mut lines, mut found) = (Lines::default(), Vec::new());
    lines.push(text.as_bytes(), |line| {
        checker.line(line, |finding| found.push((finding.line, finding.problem)));
    });
    let summary = checker.finish(|finding| found.push((finding.line, finding.problem)));
    (found, summary)
}

fn grbl(text: &str) -> Vec<(u64, Problem)> {
    check(Profile::Grbl, Settings::default(), text).0
}

#[test]
fn a_good_program() {
    let text = "; LightBurn\nG00 G17 G40 G21 G54\nG90\nM4\nM8\nG0 X10 Y10\n\
                G1 X20 S500 F1000\nG2 X30 Y10 I5 J0\nM9\nG1 S0\nM5\nG4 P1\nM2\n";
    let (found, summary) = check(Profile::Grbl, Settings::default(), text);
    assert_eq!(found, []);
    assert_eq!((summary.lines, summary.errors, summary.warnings), (13, 0, 0));
}

#[test]
fn bounds_against_travel() {
    let travel = Settings { travel: [Some(100.0), Some(100.0), None], ..Settings::default() };
    let text = "G0 X0 Y0\nG1 X100 F100\nY100\n";
    assert_eq!(check(Profile::Grbl, travel, text).0, []);
    let text = "G0 X0 Y0\nG1 X60 F100\nX-41\n";
    assert_eq!(check(Profile::Grbl, travel, text).0, [(0, Problem::OutOfReach)]);
    // An arc leaves it where neither of its ends does.
    let text = "G0 X0 Y0\nG0 X100\nG2 X0 I-50 F100\nG0 Y60";
    assert_eq!(check(Profile::Grbl, travel, &format!("{text}\n")).0, [(0, Problem::OutOfReach)]);

    let reach = Settings { reach: Some(([0.0; 3], [100.0, 100.0, 0.0])), ..Settings::default() };
    let text = "G20\nG0 X1 Y1\nX4\nX3\nZ1\n";
    let expected = [3, 4, 5].map(|line| (line, Problem::OutOfReach));
    assert_eq!(check(Profile::Grbl, reach, text).0, expected);
}

#[test]
fn the_beam_at_rest() {
    let burns = [(2, Problem::BeamAtRest)];
    assert_eq!(grbl("M3 S100\nG4 P1\nM5\n"), burns);
    assert_eq!(grbl("M3 S100\nM0\nM5\n"), burns);
    assert_eq!(grbl("M4 S100\nG4 P1\nM5\n"), []);
    assert_eq!(grbl("M3 S0\nG4 P1\nM5\n"), []);
    assert_eq!(grbl("M3 S100\nG4 P0\nM2\n"), []);
    assert_eq!(grbl("M3 S100\n"), [(0, Problem::BeamAtRest)]);
    let laser = Settings { laser: Some(true), ..Settings::default() };
    assert_eq!(check(Profile::Grbl, laser, "M3 S100\nG4 P1\nM5\n").1.errors, 1);
    assert_eq!(check(Profile::Grbl, Settings::default(), "M3 S1\nG4 P1\nM5\n").1.warnings, 1);
    let router = Settings { laser: Some(false), ..Settings::default() };
    assert_eq!(check(Profile::Grbl, router, "M3 S9000\nG4 P3\n").0, []);
}

#[test]
fn words_that_have_no_place_in_a_program() {
    for line in ["$110=5", "$RST=*", "$N0=M3", "$J=X1F1", "$$", "M98 P1"] {
        assert_eq!(grbl(&format!("{line}\n")), [(1, Problem::Forbidden)], "{line}");
    }
    for line in ["M112", "M110 N1", "M500", "M24", "M999"] {
        let found = check(Profile::Marlin, Settings::default(), &format!("{line}\n")).0;
        assert_eq!(found, [(1, Problem::Forbidden)], "{line}");
    }
    assert_eq!(grbl("G10 L20 P1 X0\n"), [(1, Problem::Eeprom)]);
    assert_eq!(grbl("G28\n"), [(1, Problem::ElsewhereUnchecked)]);
    assert_eq!(grbl("G55\n"), [(1, Problem::ElsewhereUnchecked)]);
    for line in ["G5.3", "G81 Z1", "M62", "T1", "M3.0001"] {
        assert!(grbl(&format!("{line}\n")).contains(&(1, Problem::UnknownCommand)), "{line}");
    }
}

#[test]
fn lines_that_cannot_be_sent() {
    let long = format!("G1F1{}\n", "X1.00".repeat(16));
    assert!(grbl(&long).contains(&(1, Problem::TooLong)));
    assert_eq!(grbl(&format!("{}\n", "X".repeat(5000))), [(1, Problem::TooLong)]);
    for line in ["G1 X1 !", "G1 X1\u{18}", "#1=2", "(open", "G1 X"] {
        assert_eq!(grbl(&format!("{line}\n")), [(1, Problem::Unreadable)], "{line}");
    }
    assert_eq!(grbl("G0 X1 (really?)\n"), []);
    assert_eq!(grbl("G1 X1\n"), [(1, Problem::BadMotion)]);
    assert_eq!(grbl("G0 X0 Y0\nG2 X5 F1\n"), [(2, Problem::BadMotion)]);
}

#[test]
fn a_bad_file_does_not_fill_the_memory() {
    let (found, summary) = check(Profile::Grbl, Settings::default(), &"#\nG55\n".repeat(1000));
    assert_eq!(found.len(), 20);
    assert_eq!((summary.errors, summary.warnings), (1000, 1000));
}

proptest! {
    #[test]
    fn any_file_any_chunking(text in prop::collection::vec(any::<u8>(), 0..600)) {
        for profile in [Profile::Raw, Profile::Grbl, Profile::Marlin] {
            let mut checker = Checker::new(profile, Settings::default());
            Lines::default().push(&text, |line| checker.line(line, |_| {}));
            let summary = checker.finish(|_| {});
            prop_assert!(summary.estimate.seconds.is_finite());
        }
    }
}
