//! How long a program takes, and what room it needs.
//!
//! Speeds are planned as the controller plans them (GRBL `planner.c`): trapezoids with the
//! machine's acceleration, junctions by deviation, over so many ways as its planner holds. Where
//! the machine has not told its limits, there is only way by feed, which is too short a time.

use crate::modal::{Effect, Motion, Move, Place};
use crate::settings::Settings;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Ways that are planned together: GRBL's blocks.
const WINDOW: usize = 16;

/// For rapids of machines that have not told their rates: mm a minute.
const RAPID: f64 = 3000.0;

/// GRBL's default for `$11`: mm.
const JUNCTION: f64 = 0.01;

/// What a program is expected to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Estimate {
    pub seconds: f64,
    /// Of ways whose both ends are known, mm.
    pub length: f64,
    /// Of these, those that are not rapid.
    pub length_worked: f64,
    /// The least and greatest coordinates of ways, mm; none before the first.
    #[schema(value_type = Option<Vec<f64>>)]
    pub low: Option<Place>,
    #[schema(value_type = Option<Vec<f64>>)]
    pub high: Option<Place>,
    /// Ways left out, since it is not known where they begin.
    pub unknown: u64,
}

/// Adds up a program's effects. Memory does not grow with the program.
#[derive(Clone, Debug)]
pub struct Estimator {
    settings: Settings,
    estimate: Estimate,
    window: VecDeque<Planned>,
    /// The speed at which the oldest of the window begins, mm/s.
    entry: f64,
}

#[derive(Clone, Copy, Debug)]
struct Planned {
    length: f64,
    /// mm/s.
    speed: f64,
    acceleration: f64,
    /// Of its begin: what the corner allows, mm/s.
    corner: f64,
    direction: Place,
}

impl Estimator {
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let estimate = Estimate::default();
        Self { settings, estimate, window: VecDeque::with_capacity(WINDOW + 1), entry: 0.0 }
    }

    /// One line's effect.
    pub fn add(&mut self, effect: &Effect) {
        if let Some(seconds) = effect.dwell {
            self.stop();
            self.estimate.seconds += seconds;
        }
        if effect.elsewhere {
            self.stop();
            self.estimate.unknown += 1;
        }
        if let Some(way) = &effect.way {
            self.reaches(way);
            if way.known {
                self.plan(way);
            } else {
                self.stop();
                self.estimate.unknown += 1;
            }
        }
    }

    /// What came of it up to now. The planner's last ways are counted as if all ended there.
    #[must_use]
    pub fn estimate(&self) -> Estimate {
        let mut rest = self.clone();
        rest.stop();
        rest.estimate
    }

    fn reaches(&mut self, way: &Move) {
        // Of a way whose begin is not known, the end is.
        let (low, high) = if way.known { (way.low, way.high) } else { (way.to, way.to) };
        let (least, most) = (self.estimate.low.unwrap_or(low), self.estimate.high.unwrap_or(high));
        self.estimate.low = Some(std::array::from_fn(|axis| least[axis].min(low[axis])));
        self.estimate.high = Some(std::array::from_fn(|axis| most[axis].max(high[axis])));
    }

    fn plan(&mut self, way: &Move) {
        if way.length <= 0.0 {
            return;
        }
        self.estimate.length += way.length;
        if way.motion != Motion::Rapid {
            self.estimate.length_worked += way.length;
        }
        let direction: Place =
            std::array::from_fn(|axis| (way.to[axis] - way.from[axis]) / way.length);
        let limit = |limits: &[Option<f64>; 3]| {
            let axes = (0..3).filter(|axis| direction[*axis] != 0.0);
            axes.filter_map(|axis| Some(limits[axis]? / direction[axis].abs()))
                .min_by(f64::total_cmp)
        };
        let rate = limit(&self.settings.rate);
        let wanted = match way.motion {
            Motion::Rapid => rate.unwrap_or(RAPID),
            _ => way.feed.unwrap_or(RAPID).min(rate.unwrap_or(f64::INFINITY)),
        };
        let speed = (wanted / 60.0).max(f64::MIN_POSITIVE);
        let Some(acceleration) = limit(&self.settings.acceleration) else {
            self.stop();
            self.estimate.seconds += way.length / speed;
            return;
        };
        let corner = self.corner(&direction, speed, acceleration);
        self.window.push_back(Planned {
            length: way.length,
            speed,
            acceleration,
            corner,
            direction,
        });
        if self.window.len() > WINDOW {
            self.finish_oldest();
        }
    }

    /// GRBL `planner.c`: the speed at which a circle of that deviation in the corner needs no more
    /// than the acceleration.
    fn corner(&self, direction: &Place, speed: f64, acceleration: f64) -> f64 {
        let Some(before) = self.window.back() else { return 0.0 };
        let cosine: f64 = (0..3).map(|axis| before.direction[axis] * direction[axis]).sum();
        let limit = speed.min(before.speed);
        if cosine > 0.999_999 {
            return limit;
        }
        if cosine < -0.999_999 {
            return 0.0;
        }
        let sine = ((1.0 + cosine) / 2.0).sqrt();
        let deviation = self.settings.junction.unwrap_or(JUNCTION);
        limit.min((acceleration * deviation * sine / (1.0 - sine)).sqrt())
    }

    /// All ways of the window end, with a stop.
    fn stop(&mut self) {
        while !self.window.is_empty() {
            self.finish_oldest();
        }
        self.entry = 0.0;
    }

    /// The oldest leaves the window: how fast it may end depends on those behind it, of which the
    /// last ends with a stop.
    fn finish_oldest(&mut self) {
        let mut exit = 0.0;
        for planned in self.window.iter().skip(1).rev() {
            exit = reachable(exit, planned).min(planned.corner);
        }
        let Some(oldest) = self.window.pop_front() else { return };
        let exit = reachable(self.entry, &oldest).min(exit);
        self.estimate.seconds += seconds(&oldest, self.entry, exit);
        self.entry = exit;
    }
}

/// The speed at the other end of a way that has this at one end.
fn reachable(speed: f64, planned: &Planned) -> f64 {
    let reached = 2.0f64.mul_add(planned.acceleration * planned.length, speed * speed).sqrt();
    reached.min(planned.speed)
}

/// A trapezoid, or a triangle where the way is too short for its speed.
fn seconds(planned: &Planned, entry: f64, exit: f64) -> f64 {
    let Planned { length, speed, acceleration, .. } = *planned;
    let ramps = (2.0 * speed * speed - entry * entry - exit * exit) / (2.0 * acceleration);
    if ramps <= length {
        return (2.0 * speed - entry - exit) / acceleration + (length - ramps) / speed;
    }
    let peak = ((2.0 * acceleration * length + entry * entry + exit * exit) / 2.0).sqrt();
    ((2.0 * peak - entry - exit) / acceleration).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modal::Modal;
    use crate::words::Block;
    use proptest::prelude::*;
    use wire::serial::Profile;

    fn run(settings: Settings, lines: &[&str]) -> Estimate {
        let (mut modal, mut block) = (Modal::default(), Block::default());
        let mut estimator = Estimator::new(settings);
        for line in lines {
            block.read(line.as_bytes(), Profile::Grbl).unwrap();
            estimator.add(&modal.apply(&block, Profile::Grbl));
        }
        estimator.estimate()
    }

    fn laser() -> Settings {
        Settings { rate: [Some(6000.0); 3], acceleration: [Some(500.0); 3], ..Settings::default() }
    }

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-6 * b.max(1.0)
    }

    #[test]
    fn way_by_feed_where_nothing_is_known() {
        let estimate =
            run(Settings::default(), &["G0 X0 Y0 Z0", "G1 X100 F600", "G4 P2", "G0 X50"]);
        assert!(near(estimate.seconds, 10.0 + 2.0 + 1.0));
        assert_eq!((estimate.length, estimate.length_worked), (150.0, 100.0));
        assert_eq!(estimate.high, Some([100.0, 0.0, 0.0]));
        assert_eq!(estimate.unknown, 1);
    }

    #[test]
    fn trapezoids_and_triangles() {
        // 100 mm at 100 mm/s, 500 mm/s²: 0.2 s up and down over 10 mm each, 0.8 s between.
        let one = run(laser(), &["G0 X0 Y0 Z0", "G1 X100 F6000"]);
        assert!(near(one.seconds, 1.2), "{}", one.seconds);
        // 1 mm: up and down to the root of 500 mm²/s².
        let short = run(laser(), &["G0 X0 Y0 Z0", "G1 X1 F6000"]);
        assert!(near(short.seconds, 2.0 * 500.0f64.sqrt() / 500.0));
        // Straight on does not slow down; back does, to a stop.
        let two = run(laser(), &["G0 X0 Y0 Z0", "G1 X50 F6000", "X100"]);
        assert!(near(two.seconds, 1.2));
        let back = run(laser(), &["G0 X0 Y0 Z0", "G1 X50 F6000", "X0"]);
        assert!(near(back.seconds, 2.0 * 0.7));
        // A diagonal moves both axes at their rate.
        let diagonal = run(laser(), &["G0 X0 Y0 Z0", "G0 X100 Y100"]);
        assert!(near(diagonal.seconds, 1.2));
    }

    proptest! {
        #[test]
        fn never_faster_than_way_by_speed(
            lines in prop::collection::vec(
                "G[0-3] ?(X[0-9]{1,3})?(Y[0-9]{1,3})?(I[0-9])?F[1-9]{2,4}",
                1..60,
            )
        ) {
            let lines: Vec<_> = lines.iter().map(String::as_str).collect();
            let plain = run(Settings::default(), &lines);
            let planned = run(laser(), &lines);
            prop_assert!(planned.seconds.is_finite());
            prop_assert!(planned.seconds >= plain.length / 6000.0 * 60.0 / 3.0f64.sqrt() - 1e-6);
        }
    }
}
