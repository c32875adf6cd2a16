//! A planner and the motion that follows it, in virtual time: straight blocks, each with a
//! trapezoid of speed, joined at the speed that their angle allows.
//!
//! The motion is known in closed form, so that nothing is missed between two looks at it: every
//! [`Motion::next_change`] is the end of a phase with constant acceleration. Which speed is kept
//! over a junction follows "junction deviation" (GRBL's `$11`), as both firmwares do.

use std::collections::VecDeque;
use std::time::Duration;

/// X, Y, Z and the extruder.
pub(super) const AXES: usize = 4;

pub(super) type Point = [f64; AXES];

/// What a machine can do, in mm, s and their kin.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    pub rate: Point,
    pub acceleration: Point,
    pub junction_deviation: f64,
}

/// A straight move as it is ordered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Move {
    pub target: Point,
    /// mm/s; `None` is as fast as can be.
    pub feed: Option<f64>,
    /// Whether the feed override has no effect on it.
    pub fixed_feed: bool,
    pub beam: Beam,
}

/// What the beam or spindle does during a move.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Beam {
    pub power: f64,
    /// Power follows speed (GRBL's M4 in laser mode).
    pub dynamic: bool,
}

#[derive(Clone, Debug)]
struct Block {
    target: Point,
    unit: Point,
    length: f64,
    order: Move,
    /// The fastest that the axes can in this direction.
    rate: f64,
    acceleration: f64,
    /// Squares of speeds: what the junction before allows, and what is planned.
    junction: f64,
    entry: f64,
}

/// A time of constant acceleration.
#[derive(Clone, Copy, Debug)]
struct Phase {
    acceleration: f64,
    seconds: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Drive {
    Stopped,
    Running,
    /// Slowing down to stand still, wherever that is.
    Holding,
}

#[derive(Debug)]
pub(super) struct Motion {
    limits: Limits,
    blocks: VecDeque<Block>,
    blocks_max: usize,
    drive: Drive,
    /// Percent.
    feed_override: f64,
    rapid_override: f64,
    /// At `since`: how far into the first block, and how fast.
    since: f64,
    done: f64,
    speed: f64,
    phases: VecDeque<Phase>,
    position: Point,
}

impl Motion {
    pub(super) fn new(limits: Limits, blocks_max: usize) -> Self {
        Self {
            limits,
            blocks: VecDeque::with_capacity(blocks_max),
            blocks_max,
            drive: Drive::Stopped,
            feed_override: 100.0,
            rapid_override: 100.0,
            since: 0.0,
            done: 0.0,
            speed: 0.0,
            phases: VecDeque::new(),
            position: [0.0; AXES],
        }
    }

    pub(super) fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Where the machine is, as of the last [`Motion::advance`].
    pub(super) fn position(&self) -> Point {
        self.position
    }

    /// Where it will be when all blocks are done.
    pub(super) fn end(&self) -> Point {
        self.blocks.back().map_or(self.position, |block| block.target)
    }

    /// Says where the machine is. Only while there are no blocks.
    pub(super) fn set_position(&mut self, position: Point) {
        debug_assert!(self.blocks.is_empty(), "a position is set at rest");
        self.position = position;
    }

    pub(super) fn free(&self) -> usize {
        self.blocks_max - self.blocks.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    pub(super) fn is_moving(&self) -> bool {
        self.drive != Drive::Stopped
    }

    /// mm/s, as of the last [`Motion::advance`].
    pub(super) fn speed(&self) -> f64 {
        self.speed
    }

    /// What the beam is ordered to do in the block under way, with dynamic power worked out.
    pub(super) fn beam(&self) -> Option<Beam> {
        let block = self.blocks.front().filter(|_| self.is_moving())?;
        let Beam { power, dynamic } = block.order.beam;
        let scale = match block.order.feed {
            Some(feed) if dynamic => self.speed / feed,
            Some(_) | None => 1.0,
        };
        Some(Beam { power: power * scale, dynamic })
    }

    /// What the beam is ordered to do in the block that waits in a hold.
    pub(super) fn waiting_beam(&self) -> Option<Beam> {
        self.blocks.front().map(|block| block.order.beam)
    }

    /// Appends a block. A move to where it would be anyway is none.
    ///
    /// # Panics
    /// When there is no room: see [`Motion::free`].
    pub(super) fn push(&mut self, order: Move) -> bool {
        assert!(self.free() > 0, "a block is pushed where there is room");
        let start = self.end();
        let delta: Point = std::array::from_fn(|axis| order.target[axis] - start[axis]);
        let xyz = delta[..3].iter().map(|d| d * d).sum::<f64>().sqrt();
        let length = if xyz > 0.0 { xyz } else { delta[3].abs() };
        if length < 1e-6 {
            return false;
        }
        let unit: Point = delta.map(|d| d / length);
        let least = |limits: &Point| {
            let of = |axis: usize| limits[axis] / unit[axis].abs();
            (0..AXES).filter(|axis| unit[*axis] != 0.0).map(of).fold(f64::INFINITY, f64::min)
        };
        let rate = least(&self.limits.rate);
        // A setting of 0 would be a move without end.
        let acceleration = least(&self.limits.acceleration).max(1e-3);
        let junction = match self.blocks.back() {
            Some(before) => self.junction(&before.unit, &unit, acceleration),
            None => 0.0,
        };
        let target = order.target;
        self.blocks.push_back(Block {
            target,
            unit,
            length,
            order,
            rate,
            acceleration,
            junction,
            entry: 0.0,
        });
        self.plan();
        true
    }

    /// The square of the speed at which two blocks may meet.
    fn junction(&self, before: &Point, after: &Point, acceleration: f64) -> f64 {
        let cosine: f64 = -(0..3).map(|axis| before[axis] * after[axis]).sum::<f64>();
        if cosine > 0.999_999 {
            return 0.0;
        }
        if cosine < -0.999_999 {
            return f64::INFINITY;
        }
        let half_sine = ((1.0 - cosine) / 2.0).sqrt();
        acceleration * self.limits.junction_deviation * half_sine / (1.0 - half_sine)
    }

    /// Starts, or goes on after a hold.
    pub(super) fn start(&mut self) {
        if !self.blocks.is_empty() && self.drive == Drive::Stopped {
            self.drive = Drive::Running;
            self.plan();
        }
    }

    /// Slows down to a stop and keeps what is left.
    pub(super) fn hold(&mut self) {
        if self.drive == Drive::Running {
            self.drive = Drive::Holding;
            self.plan();
        }
    }

    /// Stops at once and forgets all blocks.
    pub(super) fn clear(&mut self) {
        self.blocks.clear();
        self.phases.clear();
        (self.drive, self.done, self.speed) = (Drive::Stopped, 0.0, 0.0);
    }

    pub(super) fn set_overrides(&mut self, feed: f64, rapid: f64) {
        (self.feed_override, self.rapid_override) = (feed, rapid);
        self.plan();
    }

    fn nominal(&self, block: &Block) -> f64 {
        let wish = match block.order.feed {
            None => block.rate * self.rapid_override / 100.0,
            Some(feed) if block.order.fixed_feed => feed,
            Some(feed) => feed * self.feed_override / 100.0,
        };
        // GRBL's MINIMUM_FEED_RATE is 1 mm/min.
        wish.min(block.rate).max(1.0 / 60.0)
    }

    /// Plans entry speeds from the last block to the first, and the first one's phases.
    fn plan(&mut self) {
        let mut exit = 0.0;
        for index in (1..self.blocks.len()).rev() {
            let block = &self.blocks[index];
            let (own, before) = (self.nominal(block), self.nominal(&self.blocks[index - 1]));
            let most = block.junction.min(own * own).min(before * before);
            let entry = most.min(exit + 2.0 * block.acceleration * block.length);
            self.blocks[index].entry = entry;
            exit = entry;
        }
        self.plan_first();
    }

    fn plan_first(&mut self) {
        self.phases.clear();
        let Some(block) = self.blocks.front() else { return };
        if self.drive == Drive::Stopped {
            return;
        }
        let (a, left) = (block.acceleration, block.length - self.done);
        if self.drive == Drive::Holding {
            self.phases.push_back(slow_down(self.speed, 0.0, a, left));
            return;
        }
        let cruise = self.nominal(block);
        let exit = self.blocks.get(1).map_or(0.0, |next| next.entry);
        self.phases.extend(trapezoid(self.speed, cruise, exit, a, left));
    }

    /// When something changes next: a phase ends, or dynamic power is due for a look.
    pub(super) fn next_change(&self) -> Option<Duration> {
        let phase = self.phases.front()?;
        let dynamic = self.blocks.front().is_some_and(|block| block.order.beam.dynamic);
        let ramp = dynamic && phase.acceleration != 0.0;
        let seconds = if ramp { phase.seconds.min(SEGMENT_SECONDS) } else { phase.seconds };
        // A nanosecond late, and never early: looking then always finds the phase over.
        Some(Duration::from_secs_f64(self.since + seconds) + Duration::from_nanos(1))
    }

    /// Moves on to `now`, or to the end of a phase before that.
    pub(super) fn advance(&mut self, now: Duration) {
        let now = now.as_secs_f64();
        let Some(phase) = self.phases.front().copied() else {
            self.since = now;
            return;
        };
        let ends = now >= self.since + phase.seconds;
        let seconds = if ends { phase.seconds } else { (now - self.since).max(0.0) };
        self.done += self.speed * seconds + phase.acceleration * seconds * seconds / 2.0;
        self.speed = (self.speed + phase.acceleration * seconds).max(0.0);
        self.since += seconds;
        if ends {
            self.phases.pop_front();
        } else if let Some(phase) = self.phases.front_mut() {
            phase.seconds -= seconds;
        }
        let Some(block) = self.blocks.front() else { return };
        self.position = std::array::from_fn(|axis| {
            block.target[axis] - block.unit[axis] * (block.length - self.done)
        });
        if self.phases.is_empty() {
            self.phase_ended();
        }
    }

    /// The first block is done, or the machine stands still in a hold.
    fn phase_ended(&mut self) {
        let block = self.blocks.front().expect("phases belong to a block");
        let is_done = self.done >= block.length - 1e-9;
        if is_done {
            self.position = block.target;
            self.blocks.pop_front();
            self.done = 0.0;
        }
        let rests = self.blocks.is_empty() || (self.drive == Drive::Holding && self.speed < 1e-6);
        if rests {
            (self.drive, self.speed) = (Drive::Stopped, 0.0);
        } else {
            self.plan_first();
        }
    }
}

/// Slows down to `to`, or for as long as there is way left.
fn slow_down(from: f64, to: f64, acceleration: f64, left: f64) -> Phase {
    let way = (from * from - to * to) / (2.0 * acceleration);
    let last = if way <= left { to } else { (from * from - 2.0 * acceleration * left).sqrt() };
    Phase { acceleration: -acceleration, seconds: (from - last) / acceleration }
}

/// From one speed over a cruising speed to another, on a given way.
fn trapezoid(from: f64, cruise: f64, exit: f64, a: f64, left: f64) -> Vec<Phase> {
    let exit = exit.sqrt().min(cruise);
    let change = |from: f64, to: f64| (from * from - to * to).abs() / (2.0 * a);
    let ramp = |from: f64, to: f64| Phase {
        acceleration: if to > from { a } else { -a },
        seconds: (to - from).abs() / a,
    };
    let (first, last) = (change(from, cruise), change(cruise, exit));
    if first + last <= left {
        let even = Phase { acceleration: 0.0, seconds: (left - first - last) / cruise };
        return keep(vec![ramp(from, cruise), even, ramp(cruise, exit)]);
    }
    let peak = (a * left + (from * from + exit * exit) / 2.0).sqrt();
    if from > cruise || peak <= from || peak <= exit {
        // No way for a cruise: all of it is one ramp.
        let faster = from < exit;
        let square =
            if faster { from * from + 2.0 * a * left } else { from * from - 2.0 * a * left };
        let reached = square.max(exit.min(from).powi(2)).sqrt();
        let mean = (from + reached) / 2.0;
        let seconds = if mean > 0.0 { left / mean } else { (2.0 * left / a).sqrt() };
        return keep(vec![Phase { acceleration: (reached - from) / seconds.max(1e-12), seconds }]);
    }
    keep(vec![ramp(from, peak), ramp(peak, exit)])
}

/// Without phases of no time; but one is always there, so that a block ends.
fn keep(mut phases: Vec<Phase>) -> Vec<Phase> {
    phases.retain(|phase| phase.seconds > 1e-12);
    if phases.is_empty() {
        phases.push(Phase { acceleration: 0.0, seconds: 0.0 });
    }
    phases
}

/// GRBL works out speed and power for so long ahead (`ACCELERATION_TICKS_PER_SECOND` 100).
const SEGMENT_SECONDS: f64 = 0.01;
