//! `$` commands: GRBL's own, and the few that Smoothie knows.
//!
//! Source: GRBL 1.1 `system.c`, `doc/markdown/commands.md` and `settings.md`.

use super::Why;
use crate::profile::is_grbl;
use crate::words::Block;
use wire::serial::Profile;

/// What kind of a `$` command it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dollar {
    /// Tells something, sleeps, checks.
    Query,
    Unlock,
    /// Homes or jogs.
    Motion,
    /// `$110=500`.
    Setting,
}

/// Settings that are about motion, limits and reports only. `$30` to `$33` scale the beam, `$4`
/// inverts outputs, `$N` is run at the next start, and of the others forks have their own ideas.
const HARMLESS: [u16; 31] = [
    0, 1, 2, 3, 10, 11, 12, 13, 20, 21, 22, 23, 24, 25, 26, 27, 100, 101, 102, 103, 110, 111, 112,
    113, 120, 121, 122, 130, 131, 132, 133,
];

/// Reads a `$` command; `None` when it is not known. Comments are none in such a line for all
/// firmwares, so that it may have none.
pub(crate) fn read(block: &Block, profile: Profile) -> Option<Dollar> {
    let text = std::str::from_utf8(&block.text).ok()?.strip_prefix('$')?;
    if block.comment {
        return None;
    }
    if profile == Profile::Smoothie {
        return match text {
            "G" | "#" | "I" => Some(Dollar::Query),
            "X" => Some(Dollar::Unlock),
            "H" => Some(Dollar::Motion),
            _ => None,
        };
    }
    if !is_grbl(profile) {
        return None;
    }
    match text {
        "" | "$" | "#" | "G" | "I" | "I+" | "N" | "C" | "SLP" => return Some(Dollar::Query),
        // grblHAL's lists of what it has.
        "EA" | "EE" | "EG" | "ES" | "ESH" => return Some(Dollar::Query),
        "X" => return Some(Dollar::Unlock),
        "H" | "HX" | "HY" | "HZ" | "HA" | "HB" | "HC" => return Some(Dollar::Motion),
        _ => {}
    }
    if let Some(jog) = text.strip_prefix("J=") {
        return jogs(jog, profile).then_some(Dollar::Motion);
    }
    let (number, value) = text.split_once('=')?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let is_value = value.bytes().all(|byte| byte.is_ascii_digit() || b".-".contains(&byte));
    (is_number && is_value && !value.is_empty()).then_some(Dollar::Setting)
}

/// `jogging.md`: a feed, axes, G20, G21, G53, G90, G91, and nothing else.
fn jogs(text: &str, profile: Profile) -> bool {
    let mut block = Block::default();
    let read = block.read(text.as_bytes(), profile);
    read.is_ok()
        && !block.words.is_empty()
        && block.words.iter().all(|word| match word.letter {
            b'G' => matches!(word.tenths, Some(200 | 210 | 530 | 900 | 910)),
            letter => matches!(letter, b'X' | b'Y' | b'Z' | b'A' | b'B' | b'C' | b'F'),
        })
}

/// Whether a `$n=v` leaves beam and spindle as they are.
pub(super) fn setting_is_harmless(text: &[u8]) -> Result<(), Why> {
    let number = text[1..].split(|byte| *byte == b'=').next();
    let number = number.and_then(|number| std::str::from_utf8(number).ok()?.parse().ok());
    match number {
        Some(number) if HARMLESS.contains(&number) => Ok(()),
        Some(_) | None => Err(Why::Setting),
    }
}
