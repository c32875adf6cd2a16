//! When and how a print ended that nobody saw end.

use super::{Open, state};
use printer::Running;

/// When a print ended whose end the printer shows: by how long it took, else by what it had
/// foretold, and always between when it was last seen and now.
pub(super) fn end_us(open: &Open, shown: Option<&Running>, word: &str, now_us: i64) -> i64 {
    let seen_us = open.job.seen_us.min(now_us);
    let took = shown.and_then(|shown| shown.elapsed_s).map(|s| i64::from(s) * 1_000_000);
    let paused_us = open.job.paused_s * 1_000_000;
    let by_length = took.map(|took_us| open.job.started_us + took_us + paused_us);
    let foretold = (word == state::FINISHED).then(|| foretold_us(open)).flatten();
    by_length.or(foretold).unwrap_or(now_us).clamp(seen_us, now_us)
}

/// How and when a print ended of which nothing is left, before another thing was seen. That there
/// was time enough for it does not say that it was finished: it may have been cancelled, or the
/// power may have been away; so may it have been a little before its end. What was seen complete
/// is.
pub(super) fn guess(open: &Open, before_us: i64) -> (&'static str, i64) {
    let seen_us = open.job.seen_us;
    let done = open.job.progress_permille >= 1000;
    let word = if done { state::FINISHED } else { state::UNKNOWN };
    let end_us = foretold_us(open).filter(|end_us| *end_us <= before_us + SLACK_US);
    (word, end_us.unwrap_or(seen_us).clamp(seen_us, before_us.max(seen_us)))
}

/// When it would have ended by what was last said of it, or by what was said at first.
fn foretold_us(open: &Open) -> Option<i64> {
    let job = &open.job;
    if job.state == state::PAUSED {
        return None;
    }
    let remaining = open.remaining_s.map(|s| job.seen_us + i64::from(s) * 1_000_000);
    let whole = job.estimate_s.map(|s| job.started_us + (s + job.paused_s) * 1_000_000);
    remaining.or(whole)
}

/// Printers are a little ahead of what they foretell.
const SLACK_US: i64 = 60 * 1_000_000;
