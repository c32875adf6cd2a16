//! Programs, line by line.

use super::*;
use proptest::prelude::*;
use std::f64::consts::PI;

fn run(lines: &[&str]) -> (Modal, Vec<Effect>) {
    let (mut modal, mut block) = (Modal::default(), Block::default());
    let effects = lines.iter().map(|line| {
        block.read(line.as_bytes(), Profile::Grbl).unwrap();
        modal.apply(&block, Profile::Grbl)
    });
    let effects = effects.collect();
    (modal, effects)
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-6
}

#[test]
fn units_distances_and_modes() {
    let (modal, effects) = run(&["G20 G91 G1 F10", "X1", "X1 Y-2", "G21 G90 X0", "G0 Z5 M4 S300"]);
    assert_eq!(modal.place, [0.0, -50.8, 5.0]);
    assert_eq!((modal.feed, modal.power, modal.spindle), (254.0, 300.0, Spindle::Dynamic));
    assert_eq!(effects[1].way.unwrap().length, 25.4);
    assert_eq!(effects[1].way.unwrap().feed, Some(254.0));
    assert_eq!(effects[4].way.unwrap().feed, None);
    assert_eq!(modal.known, [true, false, true]);
}

#[test]
fn g92_shifts() {
    let (modal, _) = run(&["G0 X10 Y10", "G92 X0 Y0", "G1 X5 F100", "G10 L20 P1 X0"]);
    assert_eq!(modal.place, [15.0, 10.0, 0.0]);
    assert_eq!(modal.known, [false; 3]);
    let (modal, _) = run(&["G0 X10", "G92 X0", "G92.1", "X1"]);
    assert_eq!(modal.place[0], 1.0);
}

#[test]
fn arcs_by_centre_and_by_radius() {
    let (_, effects) = run(&["G0 X0 Y0 Z0", "G2 X10 Y0 I5 J0 F100", "G0 X0 Y0", "G3 X10 Y0 R5"]);
    let (over, under) = (effects[1].way.unwrap(), effects[3].way.unwrap());
    assert!(near(over.length, 5.0 * PI) && near(over.high[1], 5.0) && near(over.low[1], 0.0));
    assert!(near(under.length, 5.0 * PI) && near(under.low[1], -5.0));
    // A quarter, its long way round, and a whole circle with a helix.
    let (_, effects) = run(&[
        "G0 X5 Y0 Z0",
        "G3 X0 Y5 R5 F1",
        "G0 X5 Y0",
        "G3 X0 Y5 R-5",
        "G0 X5 Y0",
        "G2 X5 Y0 Z3 I-5",
    ]);
    let way = |at: usize| effects[at].way.unwrap();
    assert!(near(way(1).length, 2.5 * PI) && near(way(1).low[0], 0.0));
    assert!(near(way(3).length, 7.5 * PI) && near(way(3).high[0], 10.0));
    assert!(near(way(5).length, (10.0 * PI).hypot(3.0)) && near(way(5).low[0], -5.0));
    // XZ and YZ.
    let (_, effects) = run(&["G0 X0 Y0 Z0", "G18 G2 X10 Z0 I5 K0 F1", "G0 X0", "G19 G3 Y10 J5 K0"]);
    assert!(effects[1].way.unwrap().high[2] > 4.9 || effects[1].way.unwrap().low[2] < -4.9);
    assert!(near(effects[3].way.unwrap().length, 5.0 * PI));
    let (_, effects) = run(&["G0 X0 Y0", "G2 X10 F1", "G2 X10 Y10 R1", "G2 X0 Y0 I50"]);
    assert!(effects[1..].iter().all(|effect| effect.bad_arc));
}

#[test]
fn elsewhere_is_not_known() {
    let (modal, effects) = run(&["G0 X1 Y1 Z1", "G28 X0"]);
    assert_eq!(modal.known, [false, true, true]);
    assert!(effects[1].elsewhere && effects[1].way.is_none());
    assert!(run(&["G0 X1 Y1 Z1", "G28"]).0.known == [false; 3]);
    assert_eq!(run(&["G4 P1.5"]).1[0].dwell, Some(1.5));
}

proptest! {
    #[test]
    fn any_program_is_harmless(
        lines in prop::collection::vec("([GMXYZIJRFSP]-?[0-9]{1,9}(\\.[0-9])?){0,5}", 0..30)
    ) {
        let (mut modal, mut block) = (Modal::default(), Block::default());
        for line in lines {
            for profile in [Profile::Grbl, Profile::Marlin] {
                if block.read(line.as_bytes(), profile).is_ok() {
                    let effect = modal.apply(&block, profile);
                    if let Some(way) = effect.way {
                        prop_assert!(way.length.is_finite() && way.length >= 0.0);
                        prop_assert!((0..3).all(|axis| way.low[axis] <= way.high[axis]));
                    }
                }
            }
        }
    }
}
