//! What a sliced file says of itself: how long it prints, with what, on what.
//!
//! Only its first and last megabyte are read of G-code, only small parts of the others. Whatever
//! cannot be read is absent; no file is refused for it. Sources: the slicers' own output,
//! libbgcode `doc/specifications.md`.

mod bgcode;
mod project;
mod text;

use crate::view::Meta;
use std::path::Path;

/// Reads a file by its kind. Blocking.
pub(super) fn read(path: &Path, kind: &str) -> Meta {
    let read = match kind {
        "gcode" | "gco" | "g" => text::read(path),
        "bgcode" => bgcode::read(path),
        "3mf" | "gcode.3mf" => project::read(path),
        _ => Ok(Meta::default()),
    };
    read.unwrap_or_else(|error| {
        tracing::debug!(%error, "a file says nothing of itself");
        Meta::default()
    })
}

/// Takes in `key = value` as slicers write it, at the end of G-code and in binary G-code.
fn take(meta: &mut Meta, key: &str, value: &str) {
    let value = value.trim();
    match key.trim() {
        "filament used [mm]" => {
            meta.filament_um = list(value, |mm| number(mm).map(|mm| scaled(mm, 1000.0)));
        }
        "filament used [g]" | "total filament used [g]" => {
            let grams = list(value, |g| number(g).map(|g| scaled(g, 1000.0)));
            if meta.filament_mg.is_empty() && grams.iter().any(|mg| *mg > 0) {
                meta.filament_mg = grams;
            }
        }
        "estimated printing time (normal mode)" => meta.estimate_s = duration(value),
        "filament_type" => meta.materials = list(value, |name| Some(short(name))),
        "printer_model" => meta.printer_model = Some(short(value)),
        "nozzle_diameter" => {
            let first = value.split(',').next().and_then(number);
            meta.nozzle_um = first.and_then(|mm| u32::try_from(scaled(mm, 1000.0)).ok());
        }
        "layer_height" => {
            meta.layer_height_um =
                number(value).and_then(|mm| u32::try_from(scaled(mm, 1000.0)).ok());
        }
        "total layers count" | "total layer number" => meta.layers = value.parse().ok(),
        _ => {}
    }
}

/// `1d 2h 3m 4s`, in any subset.
fn duration(text: &str) -> Option<u32> {
    let mut seconds = 0_u32;
    let mut any = false;
    for part in text.split_whitespace() {
        let (digits, unit) = part.split_at_checked(part.len().checked_sub(1)?)?;
        let per = match unit {
            "d" => 86400,
            "h" => 3600,
            "m" => 60,
            "s" => 1,
            _ => return None,
        };
        seconds = seconds.checked_add(digits.parse::<u32>().ok()?.checked_mul(per)?)?;
        any = true;
    }
    any.then_some(seconds)
}

fn list<T>(text: &str, read: impl Fn(&str) -> Option<T>) -> Vec<T> {
    text.split([',', ';']).take(FILAMENTS_MAX).filter_map(|part| read(part.trim())).collect()
}

fn number(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|number: &f64| (0.0..1e9).contains(number))
}

fn scaled(number: f64, by: f64) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "numbers are below 1e9")]
    let scaled = (number * by).round() as i64;
    scaled
}

fn short(text: &str) -> String {
    let shown = text.trim_matches(['"', ' ']).chars().filter(|c| !c.is_control());
    shown.take(60).collect()
}

/// No printer has more.
const FILAMENTS_MAX: usize = 64;
