//! Arcs: by their centre (`I`, `J`, `K`, from the start) or by their radius (`R`).
//!
//! NIST RS274NGC §3.5.3; GRBL 1.1 `gcode.c` for the radius' sign and what fits.

use super::{Modal, Motion, Move, Place};
use crate::words::Block;
use std::f64::consts::TAU;

/// GRBL `gcode.c`: start and end may differ so little in their distance from the centre,
const ERROR_MM: f64 = 0.005;
/// or by this part of the radius,
const ERROR_PART: f64 = 0.001;
/// but never so much.
const ERROR_MM_MAX: f64 = 0.5;

/// Of a whole circle: its chords are 0.1 % of the radius from it at most.
const CHORDS: f64 = 72.0;

/// Makes a straight way an arc; `false` when it cannot be one.
pub(super) fn follow(way: &mut Move, block: &Block, modal: &Modal) -> bool {
    let plane = modal.plane;
    let (first, second) = (plane.0, plane.1);
    let Some(arc) = Arc::of(way, block, modal) else { return false };
    let Arc { centre, radius, begin, sweep, .. } = arc;
    way.length = (radius * sweep).hypot(way.to[plane.2] - way.from[plane.2]);
    let quarters = [(1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0)];
    for (quarter, (x, y)) in (0u8..).zip(quarters) {
        if (f64::from(quarter) * TAU / 4.0 - begin).rem_euclid(TAU) <= sweep {
            let (x, y) = (centre.0 + radius * x, centre.1 + radius * y);
            way.low[first] = way.low[first].min(x);
            way.high[first] = way.high[first].max(x);
            way.low[second] = way.low[second].min(y);
            way.high[second] = way.high[second].max(y);
        }
    }
    true
}

/// Points on it, as close to each other as it needs to look round, without its ends.
pub(super) fn along(way: &Move, block: &Block, modal: &Modal, mut each: impl FnMut(Place)) {
    let Some(arc) = Arc::of(way, block, modal) else { return };
    let plane = modal.plane;
    let steps = (arc.sweep / TAU * CHORDS).ceil();
    let mut step = 1.0;
    while step < steps {
        let share = if arc.clockwise { 1.0 - step / steps } else { step / steps };
        let angle = share.mul_add(arc.sweep, arc.begin);
        let mut point = way.from;
        point[plane.0] = arc.radius.mul_add(angle.cos(), arc.centre.0);
        point[plane.1] = arc.radius.mul_add(angle.sin(), arc.centre.1);
        point[plane.2] += (way.to[plane.2] - way.from[plane.2]) * step / steps;
        each(point);
        step += 1.0;
    }
}

struct Arc {
    centre: (f64, f64),
    radius: f64,
    /// From here counterclockwise, whichever way it goes.
    begin: f64,
    sweep: f64,
    clockwise: bool,
}

impl Arc {
    fn of(way: &Move, block: &Block, modal: &Modal) -> Option<Self> {
        let (first, second) = (modal.plane.0, modal.plane.1);
        let from = (way.from[first], way.from[second]);
        let to = (way.to[first], way.to[second]);
        let clockwise = modal.motion == Motion::Clockwise;
        let value = |letter: u8| {
            block.word(letter).and_then(|word| word.value).map(|value| value * modal.unit())
        };
        let centre = match value(b'R') {
            Some(radius) => by_radius(from, to, radius, clockwise),
            None => {
                let offsets = [b'I', b'J', b'K'];
                let (i, j) = (value(offsets[first]), value(offsets[second]));
                (i.is_some() || j.is_some())
                    .then(|| (from.0 + i.unwrap_or(0.0), from.1 + j.unwrap_or(0.0)))
            }
        };
        let centre = centre?;
        let radius = (from.0 - centre.0).hypot(from.1 - centre.1);
        let end = (to.0 - centre.0).hypot(to.1 - centre.1);
        let error = (radius - end).abs();
        let fits = error <= (radius * ERROR_PART).clamp(ERROR_MM, ERROR_MM_MAX);
        if !radius.is_finite() || radius <= 0.0 || !fits {
            return None;
        }
        let angle = |point: (f64, f64)| (point.1 - centre.1).atan2(point.0 - centre.0);
        let (begin, end) =
            if clockwise { (angle(to), angle(from)) } else { (angle(from), angle(to)) };
        // Counterclockwise from `begin`; a whole circle where it ends where it began.
        let sweep = (end - begin).rem_euclid(TAU);
        let sweep = if sweep < 1e-9 { TAU } else { sweep };
        Some(Self { centre, radius, begin, sweep, clockwise })
    }
}

/// The centre of the shorter arc, or of the longer where the radius is negative.
fn by_radius(from: (f64, f64), to: (f64, f64), radius: f64, clockwise: bool) -> Option<(f64, f64)> {
    let (x, y) = (to.0 - from.0, to.1 - from.1);
    let chord = x.hypot(y);
    let height = radius * radius - chord * chord / 4.0;
    if chord <= 0.0 || height < -1e-6 {
        return None;
    }
    let height = height.max(0.0).sqrt() / chord;
    let side = if clockwise == (radius > 0.0) { -1.0 } else { 1.0 };
    Some((from.0 + x / 2.0 - side * y * height, from.1 + y / 2.0 + side * x * height))
}
