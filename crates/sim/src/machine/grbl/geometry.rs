//! Paths of moves: straight ones, and arcs as chords (`mc_arc`).

use super::Code;
use super::block::{Block, MotionMode, Plane};
use super::execute::point;
use super::obey::Order;
use crate::machine::motion::{Beam, Move};
use std::f64::consts::TAU;

/// The moves of a line and where they end.
#[derive(Debug, Default)]
pub(super) struct Path {
    pub end: Option<[f64; 3]>,
    pub orders: Vec<Order>,
}

impl Path {
    pub(super) fn straight(target: [f64; 3], feed: Option<f64>) -> Self {
        Self { end: Some(target), orders: vec![step(target, feed)] }
    }
}

fn step(target: [f64; 3], feed: Option<f64>) -> Order {
    let beam = Beam::default();
    Order::Move { order: Move { target: point(target), feed, fixed_feed: false, beam }, jog: false }
}

pub(super) fn distance(from: &[f64; 3], to: &[f64; 3]) -> f64 {
    (0..3).map(|axis| (to[axis] - from[axis]).powi(2)).sum::<f64>().sqrt()
}

/// An arc in a plane, a helix if its third axis moves too.
#[derive(Debug)]
pub(super) struct Arc {
    axes: [usize; 3],
    start: [f64; 3],
    center: [f64; 2],
    radius: f64,
    /// Radians; negative is clockwise.
    sweep: f64,
}

impl Arc {
    pub(super) fn new(
        block: &mut Block,
        start: &[f64; 3],
        target: &[f64; 3],
    ) -> Result<Self, Code> {
        let axes = match block.modal.plane {
            Plane::Xy => [0, 1, 2],
            Plane::Zx => [2, 0, 1],
            Plane::Yz => [1, 2, 0],
        };
        let words = block.axes();
        if words == [None; 3] {
            return Err(Code::NO_AXIS);
        }
        if words[axes[0]].is_none() && words[axes[1]].is_none() {
            return Err(Code::NO_AXIS_IN_PLANE);
        }
        let clockwise = block.modal.motion == MotionMode::Clockwise;
        let (x, y) = (target[axes[0]] - start[axes[0]], target[axes[1]] - start[axes[1]]);
        let offset = match block.take('R') {
            Some(radius) => {
                if start == target {
                    return Err(Code::TARGET);
                }
                from_radius(block.mm(radius), x, y, clockwise)?
            }
            None => from_offsets(block, &axes, x, y)?,
        };
        let radius = offset[0].hypot(offset[1]);
        let from = (-offset[1]).atan2(-offset[0]);
        let to = (y - offset[1]).atan2(x - offset[0]);
        // A full circle where start and end meet; so small a difference is rounding.
        let turn = (if clockwise { from - to } else { to - from }).rem_euclid(TAU);
        let turn = if turn < 5e-7 { TAU } else { turn };
        let sweep = if clockwise { -turn } else { turn };
        let center = [start[axes[0]] + offset[0], start[axes[1]] + offset[1]];
        Ok(Self { axes, start: *start, center, radius, sweep })
    }

    /// Chords that stay within `tolerance` of the arc.
    pub(super) fn path(
        &self,
        target: &[f64; 3],
        tolerance: f64,
        speed: impl Fn(f64, f64) -> f64,
    ) -> Path {
        let chord = (tolerance * (2.0 * self.radius - tolerance)).max(1e-6).sqrt();
        let count = (0.5 * self.sweep.abs() * self.radius / chord).floor().clamp(1.0, CHORDS_MAX);
        let count = count as usize;
        let begin = (self.start[self.axes[1]] - self.center[1])
            .atan2(self.start[self.axes[0]] - self.center[0]);
        let mut orders = Vec::with_capacity(count);
        let mut before = self.start;
        for number in 1..=count {
            let part = number as f64 / count as f64;
            let angle = begin + self.sweep * part;
            let mut next = *target;
            if number < count {
                next[self.axes[0]] = self.center[0] + self.radius * angle.cos();
                next[self.axes[1]] = self.center[1] + self.radius * angle.sin();
                let (from, to) = (self.start[self.axes[2]], target[self.axes[2]]);
                next[self.axes[2]] = from + (to - from) * part;
            }
            let feed = speed(distance(&before, &next), count as f64);
            orders.push(step(next, Some(feed)));
            before = next;
        }
        Path { end: Some(*target), orders }
    }
}

/// Where the center is, from the start, by a radius: the short way round, or the long one when the
/// radius is negative.
fn from_radius(radius: f64, x: f64, y: f64, clockwise: bool) -> Result<[f64; 2], Code> {
    let square = 4.0 * radius * radius - x * x - y * y;
    if square < 0.0 {
        return Err(Code::RADIUS);
    }
    let height = square.sqrt() / x.hypot(y);
    let side = if clockwise == (radius > 0.0) { -height } else { height };
    Ok([0.5 * (x - y * side), 0.5 * (y + x * side)])
}

fn from_offsets(block: &mut Block, axes: &[usize; 3], x: f64, y: f64) -> Result<[f64; 2], Code> {
    let words = ['I', 'J', 'K'].map(|letter| block.take(letter).map(|value| block.mm(value)));
    if words[axes[0]].is_none() && words[axes[1]].is_none() {
        return Err(Code::NO_OFFSET);
    }
    let offset = [axes[0], axes[1]].map(|axis| words[axis].unwrap_or(0.0));
    let radius = offset[0].hypot(offset[1]);
    let difference = ((x - offset[0]).hypot(y - offset[1]) - radius).abs();
    let wrong = difference > 0.5 || (difference > 0.005 && difference > 0.001 * radius);
    if wrong { Err(Code::TARGET) } else { Ok(offset) }
}

/// Enough for a circle of 100 m; a bound for what comes from outside.
const CHORDS_MAX: f64 = 100_000.0;
