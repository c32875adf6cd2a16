//! Whether two looks at a printer show the same print.

use super::{Expected, Open, name};
use printer::{Past, Phase, Running};
use store::shop::Job;

/// Whether what a printer shows now is the job that is under way. `live` is when it was shown a
/// moment ago too, on the same connection: what changes then is not a new print.
pub(super) fn is_same(
    open: &Open,
    (phase, shown): (Phase, &Running),
    now_us: i64,
    live: bool,
) -> bool {
    if let (Some(own), Some(shown)) = (&open.job.own_id, own_id(shown))
        && is_stamp(own) == is_stamp(&shown)
    {
        if *own == shown {
            return true;
        }
        // a date may come a moment after the print it belongs to
        if !(live && is_stamp(own)) {
            return false;
        }
    }
    // an id may come later than the date, which stays
    let stamped = open.job.own_id.as_ref().filter(|own| is_stamp(own) && shown.id.is_some());
    if let (Some(own), Some(shown)) = (stamped, stamp(shown))
        && !live
    {
        return *own == shown;
    }
    // what had an id keeps it
    let had_id = open.job.own_id.as_ref().is_some_and(|own| !is_stamp(own));
    if !live && had_id && shown.id.is_none() && shown.started_us.is_some() {
        return false;
    }
    if !shown.name.is_empty() && open.job.name != super::UNNAMED && open.job.name != name(shown) {
        return false;
    }
    let permille = shown.progress_percent.map_or(1000, permille);
    if !live && permille + BACK_PERMILLE < open.job.progress_permille {
        return false;
    }
    if let Some(elapsed_s) = shown.elapsed_s {
        let went_back = permille + BACK_PERMILLE < open.job.progress_permille;
        let back_s = if went_back { 0 } else { BACK_S };
        if open.elapsed_s.is_some_and(|was_s| elapsed_s + back_s < was_s) {
            return false;
        }
        // it began when it did; or it stood still unseen, but had begun before it was seen
        let start_us = start_us(shown, now_us);
        let known_us = open.job.started_us + open.job.paused_s * 1_000_000 + COUNT_US;
        let seen_us = open.job.seen_us + if shown.started_us.is_some() { CLOCK_US } else { 0 };
        let stood = open.paused_since_us.is_some() || phase == Phase::Paused;
        // of what is over it says how long it took, and not when it began
        let is_over = !phase.is_active() && shown.started_us.is_none();
        return live || stood || is_over || start_us <= known_us.max(seen_us);
    }
    true
}

/// What the printer calls this one print, or else its own date of the beginning: no two of its
/// prints begin in one second.
pub(super) fn own_id(shown: &Running) -> Option<String> {
    shown.id.as_ref().map(|id| id.as_str().to_owned()).or_else(|| stamp(shown))
}

fn stamp(shown: &Running) -> Option<String> {
    shown.started_us.map(|us| format!("@{}", us / 1_000_000))
}

pub(super) fn is_stamp(own_id: &str) -> bool {
    own_id.starts_with('@')
}

/// Whether what is shown is a print of which the end was told a moment ago.
pub(super) fn has_just_ended(job: &Job, shown: &Running, now_us: i64) -> bool {
    let recently = job.ended_us.is_some_and(|us| now_us - us < LATE_US);
    recently && shown.id.as_ref().is_some_and(|id| job.own_id.as_deref() == Some(id.as_str()))
}

/// Whether a printer without a history means this job, by what it tells of it.
pub(super) fn is_told(job: &Job, past: &Past) -> bool {
    match (&job.own_id, &past.id) {
        (Some(own), Some(past)) => own == past.as_str(),
        _ => job.name == past.name.as_str(),
    }
}

/// Whether the end of a print that lasted since then at least is that of a job that was seen to end
/// a moment ago.
pub(super) fn is_end_of(job: &Job, began_us: i64, now_us: i64) -> bool {
    let Some(ended_us) = job.ended_us else { return false };
    let short = ended_us - job.started_us < SHORT_US;
    now_us - ended_us < LATE_US && (short || began_us < ended_us - SHORT_US)
}

/// When a print began: by the printer's word, or by how long it has been going on.
pub(super) fn start_us(shown: &Running, now_us: i64) -> i64 {
    let by_elapsed = now_us - i64::from(shown.elapsed_s.unwrap_or(0)) * 1_000_000;
    match shown.started_us {
        Some(started_us) if (now_us - LONGEST_US..=now_us).contains(&started_us) => started_us,
        Some(_) | None => by_elapsed,
    }
}

/// Whether a job that is over is the print that is shown.
pub(super) fn is_recorded(job: &Job, shown: &Running, started_us: i64) -> bool {
    match (&job.own_id, own_id(shown)) {
        (Some(own), Some(id)) if is_stamp(own) == is_stamp(&id) => *own == id,
        // what had an id keeps it: the same file again, started at the panel, has only a date
        (Some(own), Some(_)) if !is_stamp(own) => false,
        // an id may come later than the date
        (Some(own), Some(_)) if shown.started_us.is_some() => stamp(shown).as_ref() == Some(own),
        _ => job.name == name(shown) && (job.started_us - started_us).abs() < PAST_APART_US,
    }
}

pub(super) fn has_id(job: &Job, past: &Past) -> bool {
    past.id.as_ref().is_some_and(|id| job.own_id.as_deref() == Some(id.as_str()))
}

/// Whether a job is the one that the printer remembers.
pub(super) fn is_past(job: &Job, past: &Past, started_us: i64) -> bool {
    if let (Some(own), Some(past)) = (&job.own_id, &past.id) {
        return own == past.as_str();
    }
    job.name == past.name.as_str() && (job.started_us - started_us).abs() < PAST_APART_US
}

/// Whether a print is the one that was ordered here. Printers add and take away endings.
pub(super) fn name_fits(expected: &Expected, shown: &Running) -> bool {
    let stem = |name: &str| {
        let name = name.rsplit('/').next().unwrap_or(name).to_lowercase();
        let ends = [".gcode.3mf", ".3mf", ".bgcode", ".gcode", ".gco", ".g"];
        let end = ends.into_iter().find(|end| name.ends_with(end)).unwrap_or("");
        name[..name.len() - end.len()].to_owned()
    };
    let wanted = stem(&expected.name);
    let path = shown.path.as_deref().map(stem);
    stem(shown.name.as_str()) == wanted || path.is_some_and(|path| path == wanted)
}

fn permille(percent: f32) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "it is clamped")]
    let permille = (percent.clamp(0.0, 100.0) * 10.0) as i64;
    permille
}

/// A printer's own date of a beginning may move by as much when its clock is set.
const CLOCK_US: i64 = 90 * 1_000_000;
/// What a printer counts in whole seconds, and tells a moment later.
const COUNT_US: i64 = 3 * 1_000_000;
/// Messages about one end come as far apart.
const LATE_US: i64 = 10 * 1_000_000;
const SHORT_US: i64 = 3 * 1_000_000;
/// A firmware's count of seconds may go back by as much within a print.
const BACK_S: u32 = 5;
const BACK_PERMILLE: i64 = 50;
/// No print takes longer; a date before that is a clock that was never set.
const LONGEST_US: i64 = 60 * 24 * 3600 * 1_000_000;
/// Two prints of one file are further apart than this, but for prints that fail at once, which
/// have ids where printers have histories.
const PAST_APART_US: i64 = 5 * 60 * 1_000_000;
