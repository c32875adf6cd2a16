//! The print that an engine is at, and the heaters.

use crate::printer::file::Plan;
use std::time::{Duration, SystemTime};

#[derive(Clone, Debug)]
pub(in crate::printer) struct Job {
    /// The first is 1; every print has its own.
    pub(in crate::printer) id: u32,
    pub(in crate::printer) path: String,
    pub(in crate::printer) started: SystemTime,
    pub(in crate::printer) plan: Plan,
    /// Without pauses, in seconds.
    pub(super) active_s: f64,
    /// How much of `whole_s` is done.
    pub(super) worked_s: f64,
    /// Preparation and printing, at 100 % speed.
    pub(super) whole_s: f64,
    pub(super) prepare_s: f64,
    pub(super) rate: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::printer) struct Heat {
    pub(in crate::printer) now_c: f64,
    /// 0 is off.
    pub(in crate::printer) target_c: f64,
}

impl Job {
    /// 0 to 1; 0 while it heats.
    pub(in crate::printer) fn progress(&self) -> f64 {
        let printing_s = self.whole_s - self.prepare_s;
        if printing_s <= 0.0 {
            return 1.0;
        }
        ((self.worked_s - self.prepare_s) / printing_s).clamp(0.0, 1.0)
    }

    /// Since its start, without pauses.
    pub(in crate::printer) fn elapsed(&self) -> Duration {
        Duration::from_secs_f64(self.active_s)
    }

    pub(in crate::printer) fn remaining(&self) -> Duration {
        let prepare_s = (self.prepare_s - self.worked_s).max(0.0);
        let print_s = self.whole_s - self.worked_s.max(self.prepare_s);
        Duration::from_secs_f64(prepare_s + print_s.max(0.0) / self.rate)
    }

    /// What it takes at 100 % speed, preparation included.
    pub(in crate::printer) fn whole(&self) -> Duration {
        Duration::from_secs_f64(self.whole_s)
    }

    /// 0 while it heats; the first is 1.
    pub(in crate::printer) fn layer(&self) -> u32 {
        if self.worked_s < self.prepare_s {
            return 0;
        }
        let layers = f64::from(self.plan.layers);
        // Within 1 to the number of layers, which is a u32.
        ((self.progress() * layers).floor() + 1.0).min(layers) as u32
    }

    pub(in crate::printer) fn filament_mm(&self) -> f64 {
        self.plan.filament_mm * self.progress()
    }
}

impl Heat {
    pub(super) const COLD: Self = Self { now_c: ROOM_C, target_c: 0.0 };

    fn goal_c(self) -> f64 {
        self.target_c.max(ROOM_C)
    }
    pub(super) fn is_settled(self) -> bool {
        (self.now_c - self.goal_c()).abs() < f64::EPSILON
    }
    pub(super) fn step(&mut self, step_s: f64, tau_s: f64) {
        let goal_c = self.goal_c();
        // It cools slower than it heats.
        let tau_s = if goal_c < self.now_c { tau_s * 4.0 } else { tau_s };
        self.now_c = goal_c + (self.now_c - goal_c) * (-step_s / tau_s).exp();
        if (self.now_c - goal_c).abs() < 0.25 {
            self.now_c = goal_c;
        }
    }
}

const ROOM_C: f64 = 23.0;
