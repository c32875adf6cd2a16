//! What passes in SAFE, and what never does.

use super::*;
use crate::beam::Tool;
use crate::status::Report;
use proptest::prelude::*;

fn off(profile: Profile) -> Beam {
    let mut beam = Beam::new(profile, Tool::Spindle);
    beam.received(&Report::Greeting);
    assert!(beam.is_off());
    beam
}

fn why(profile: Profile, line: &str) -> Option<Why> {
    match Gate::new(profile).line(line.as_bytes(), &off(profile)) {
        Verdict::Pass => None,
        Verdict::Refuse(refused) => Some(refused.why),
    }
}

#[test]
fn grbl_what_could_switch_it_on() {
    for line in [
        "M3",
        "m4",
        "M03",
        "M003 S0",
        "M 3",
        "G1 X1 S1",
        "S0.001",
        "S1000",
        "G0 X1 M3 S5",
        "N10 M3",
        "(hm) M3 (hm)",
        "M5 M3",
        "G1X1S500F100",
    ] {
        assert_eq!(why(Profile::Grbl, line), Some(Why::Beam), "{line}");
    }
}

#[test]
fn what_cannot_be_read_for_sure() {
    for line in [
        "M3.00001",
        "M000000003",
        "M+3",
        "(a (b) M3)",
        "((a)M3 S1",
        "(a",
        "/M3",
        "M\x013",
        "M\x003",
        "G1 X1 *20",
        "M6 T1",
        "M62 P0",
        "M64 P0",
        "M67 E0 Q50",
        "M68 E0 Q50",
        "M98 P1",
        "#1=3",
        "G1 X[#1]",
        "O100 call",
        "o<x> sub",
        "G5 X1",
        "G33 Z1",
        "G96 S1",
        "$SD/Run=x",
        "$F=x",
        "[ESP220]x",
        "$N0=M3S1000",
        "$N=",
        "$RST=*",
        "$I=x",
        "$J=G91 X1 F1 S1",
        "$J=M3",
        "$J=",
        "$HELP",
        "$H (M3)",
        "$X M3",
        "\u{e4}",
        "M",
        "G1 X",
        "X",
        "1",
        "T1",
        "\"M5\"",
        "M5\\",
    ] {
        assert!(why(Profile::GrblHal, line).is_some(), "{line}");
        assert!(why(Profile::FluidNc, line).is_some(), "{line}");
    }
    assert!(why(Profile::Grbl, &format!("G1{}", "X1".repeat(50))).is_some());
    assert!(why(Profile::Grbl, "%").is_none());
    assert!(why(Profile::Raw, "").is_some());
}

#[test]
fn grbl_settings_md_what_changes_the_meaning() {
    for line in ["$32=0", "$30=1", "$31=0", "$33=1", "$4=1", "$16=1", "$341=1", "$99999=1"] {
        assert_eq!(why(Profile::Grbl, line), Some(Why::Setting), "{line}");
    }
    for line in ["$10=1", "$110=5000", "$ 130 = 300.0", "$100=80.000"] {
        assert_eq!(why(Profile::Grbl, line), None, "{line}");
    }
}

#[test]
fn grbl_what_sets_up_and_moves() {
    for line in [
        "",
        ";",
        "(M3)",
        "; M3 S1000",
        "G1 X1 F100",
        "g0x1y-2",
        "G2 X1 Y1 I1 J0",
        "X10",
        "M5",
        "M5 S0",
        "G0 G53 X0",
        "G10 L20 P1 X0 Y0",
        "G92 X0",
        "G28.1",
        "G38.2 Z-5 F10",
        "G4 P0.5",
        "G21 G90 G94",
        "M2",
        "M8",
        "M9",
        "$",
        "$$",
        "$G",
        "$H",
        "$x",
        "$J=G91 X1.5 F1000",
        "$I",
    ] {
        assert_eq!(why(Profile::Grbl, line), None, "{line}");
    }
}

#[test]
fn nothing_moves_while_it_may_be_on() {
    let mut gate = Gate::new(Profile::Grbl);
    let beam = Beam::new(Profile::Grbl, Tool::Spindle);
    for line in ["G0 X1", "G1 X1", "X1", "$J=G91 X1 F1", "$H", "G28", "G38.2 Z-1", "G53 X1"] {
        let Verdict::Refuse(refused) = gate.line(line.as_bytes(), &beam) else {
            panic!("{line} passes");
        };
        assert_eq!(refused.why, Why::Motion, "{line}");
    }
    for line in ["M5", "G92 X0", "G10 L20 P1 X0", "G90", "$G", "$X", "M2"] {
        assert_eq!(gate.line(line.as_bytes(), &beam), Verdict::Pass, "{line}");
    }
}

#[test]
fn marlin_lines() {
    for line in [
        "M3",
        "M3 I",
        "M4 S1",
        "M106 S255",
        "M106",
        "G1 X1 S20",
        "G1 X1 S",
        "M104 S200",
        "M24",
        "M23 burn.gco",
        "M32 burn.gco",
        "M42 P4 S255",
        "M117 M3 S1",
        "M500",
        "G29",
        "X1",
        "fan",
        "M355 S1",
        "M280 P0 S90",
        "$H",
        "G61 X",
        "M3*1",
        "(x) M5",
    ] {
        assert!(why(Profile::Marlin, line).is_some(), "{line}");
    }
    for line in ["G28 X Y", "G1 X1 E1 F100", "M5", "M107", "M114", "N0 M110 N0*125", "M115"] {
        assert_eq!(why(Profile::Marlin, line), None, "{line}");
    }
}

#[test]
fn smoothie_fires_while_it_moves() {
    for line in ["G1 X1", "G2 X1 I1", "fire 50", "M3", "play /sd/burn", "M1000 fire", "$J X1"] {
        assert!(why(Profile::Smoothie, line).is_some(), "{line}");
    }
    for line in ["G0 X1", "M114", "$H", "$X", "M999", "M5"] {
        assert_eq!(why(Profile::Smoothie, line), None, "{line}");
    }
}

#[test]
fn answers_in_the_firmwares_words() {
    let refused =
        |profile, line: &str| match Gate::new(profile).line(line.as_bytes(), &off(profile)) {
            Verdict::Refuse(refused) => refused,
            Verdict::Pass => panic!("{line} passes"),
        };
    let grbl = refused(Profile::Grbl, "M3 S1000");
    assert!(grbl.answer.starts_with(b"[MSG:SAFE") && grbl.answer.ends_with(b"]\r\nerror:9\r\n"));
    let marlin = refused(Profile::Marlin, "M3 S5");
    assert!(marlin.answer.starts_with(b"echo:SAFE") && marlin.answer.ends_with(b"\nok\n"));
    // A number may not be missing; the machine itself says ok to its replacement.
    let numbered = refused(Profile::Marlin, "N5 M3 S9*111");
    assert_eq!(numbered.instead.as_deref(), Some(&b"N5 M105*34\n"[..]));
    assert!(!numbered.answer.ends_with(b"ok\n"));
    let spoilt = refused(Profile::Marlin, "N5 G1 S9*111");
    assert_eq!(spoilt.instead.as_deref(), Some(&b"N5 M105*35\n"[..]));
}

/// As GRBL's `protocol.c` and `gcode.c` read a line, without any of its error checks: all that
/// could switch the spindle on.
fn grbl_would_switch_on(line: &[u8]) -> bool {
    let mut text = String::new();
    let (mut parentheses, mut semicolon) = (false, false);
    for &byte in line {
        match byte {
            b')' if parentheses => parentheses = false,
            _ if parentheses || semicolon => {}
            0..=b' ' | b'/' | 0x80.. => {}
            b'(' => parentheses = true,
            b';' => semicolon = true,
            byte => text.push(char::from(byte.to_ascii_uppercase())),
        }
    }
    let mut letters = text.match_indices('M').map(|(at, _)| &text[at + 1..]);
    let word = |rest: &str| -> Option<f64> {
        let end = rest.find(|c: char| !(c.is_ascii_digit() || ".+-".contains(c)));
        rest[..end.unwrap_or(rest.len())].parse().ok()
    };
    let m = letters.any(|rest| word(rest).is_some_and(|n| (3.0..5.0).contains(&n)));
    let mut powers = text.match_indices('S').map(|(at, _)| &text[at + 1..]);
    m || !text.starts_with('$') && powers.any(|rest| word(rest).is_some_and(|power| power > 0.0))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn no_text_of_these_letters_switches_it_on(
        line in "[ MmSsGgXNTP$J=/;()*%.+0-9\u{0}\u{1}#-]{0,16}",
    ) {
        for profile in [Profile::Grbl, Profile::GrblHal, Profile::FluidNc] {
            if why(profile, &line).is_none() {
                prop_assert!(!grbl_would_switch_on(line.as_bytes()), "{line:?}");
            }
        }
    }

    #[test]
    fn any_bytes_pass_or_not(line in prop::collection::vec(any::<u8>(), 0..150)) {
        use Profile::*;
        for profile in [Raw, Grbl, GrblHal, FluidNc, Smoothie, Marlin] {
            let verdict = Gate::new(profile).line(&line, &off(profile));
            let has_beam_word = verdict == Verdict::Pass && grbl_would_switch_on(&line);
            prop_assert!(!has_beam_word, "{line:?}");
        }
    }
}
