//! What a line asks for, in GRBL's order of execution (`gc_execute_line`, steps 3 and 4).

use super::block::{AxisUse, Block, Flow, Modal, MotionMode, Once, Spindle, group};
use super::obey::Order;
use super::settings::{COORDINATES_BYTES, write_time};
use super::{Code, Grbl, geometry};
use crate::machine::motion::{Beam, Move, Point};
use std::time::Duration;

impl Grbl {
    pub(super) fn sync_position(&mut self) {
        let [x, y, z, _] = self.motion.position();
        self.target = [x, y, z];
    }

    /// `gc_init`.
    pub(super) fn reset_parser(&mut self) {
        self.modal = Modal::default();
        (self.feed, self.speed, self.tool) = (0.0, 0.0, 0);
        (self.offset, self.tool_length) = ([0.0; 3], 0.0);
        self.sync_position();
        self.wco = self.offsets();
    }

    /// What work coordinates add to machine coordinates.
    pub(super) fn offsets(&self) -> [f64; 3] {
        let system = self.settings.coordinates[self.modal.system];
        let tool = [0.0, 0.0, self.tool_length];
        std::array::from_fn(|axis| system[axis] + self.offset[axis] + tool[axis])
    }

    /// `$J=`: a move that changes nothing of the parser but its position (`jogging.md`).
    pub(super) fn jog(&mut self, text: &str) -> Result<Vec<Order>, Code> {
        let mut block = Block::read(text, &self.modal, true)?;
        if block.axes().iter().any(Option::is_some) && block.axis_use == AxisUse::Nothing {
            block.axis_use = AxisUse::Motion;
        }
        let feed = block.get('F').ok_or(Code::NO_FEED)?;
        let feed = block.mm(feed);
        let target = self.aim(&block, &self.settings.coordinates[self.modal.system]);
        if block.axes() == [None; 3] {
            return Err(Code::NO_AXIS);
        }
        if feed == 0.0 {
            return Err(Code::NO_FEED);
        }
        if block.has_unused("NFXYZ") {
            return Err(Code::UNUSED);
        }
        let allowed = group::ONCE | group::DISTANCE | group::UNITS;
        if block.groups & !allowed != 0 || !matches!(block.once, Once::Nothing | Once::Machine) {
            return Err(Code::JOG);
        }
        if self.settings.is_on(20) && self.settings.is_outside(&target) {
            return Err(Code::TRAVEL);
        }
        self.target = target;
        let power = if self.modal.spindle == Spindle::Off { 0.0 } else { self.speed };
        let beam = Beam { power, dynamic: self.is_dynamic(self.modal.spindle) };
        let order = Move { target: point(target), feed: Some(feed / 60.0), fixed_feed: true, beam };
        Ok(vec![Order::Move { order, jog: true }])
    }

    fn is_dynamic(&self, spindle: Spindle) -> bool {
        self.is_laser() && spindle == Spindle::Counterclockwise
    }

    /// Where the axis words of a line lead, in machine coordinates.
    fn aim(&self, block: &Block, system: &[f64; 3]) -> [f64; 3] {
        let axes = block.axes();
        let tool = [0.0, 0.0, self.tool_length];
        std::array::from_fn(|axis| match axes[axis] {
            None => self.target[axis],
            Some(value) if block.once == Once::Machine => value,
            Some(value) if block.modal.incremental => self.target[axis] + value,
            Some(value) => value + system[axis] + self.offset[axis] + tool[axis],
        })
    }

    /// A line of G-code: first all that can be wrong with it, then what it does, in GRBL's order.
    pub(super) fn execute(&mut self, text: &str) -> Result<Vec<Order>, Code> {
        let mut block = Block::read(text, &self.modal, false)?;
        let has_axes = block.axes().iter().any(Option::is_some);
        if has_axes && block.axis_use == AxisUse::Nothing {
            block.axis_use = AxisUse::Motion;
        }
        if block.get('N').is_some_and(|number| number > 10_000_000.0) {
            return Err(Code::LINE_NUMBER);
        }
        let feed = self.feed_of(&block)?;
        let dwell = match block.once {
            Once::Dwell => Some(block.take('P').ok_or(Code::VALUE_MISSING)?),
            _ => None,
        };
        let tool_length = block.axis_use == AxisUse::ToolLength(true);
        if tool_length && !matches!(block.axes(), [None, None, Some(_)]) {
            return Err(Code::TOOL_LENGTH_AXIS);
        }
        let before = (self.offset, self.target, self.settings.coordinates);
        let result = self.once_and_path(&mut block, feed);
        match result {
            Ok((once, path)) => Ok(self.carry_out(&block, feed, dwell, once, path)),
            Err(code) => {
                (self.offset, self.target, self.settings.coordinates) = before;
                Err(code)
            }
        }
    }

    fn once_and_path(
        &mut self,
        block: &mut Block,
        feed: f64,
    ) -> Result<(Vec<Order>, geometry::Path), Code> {
        let system = self.settings.coordinates[block.modal.system];
        let once = self.once(block, &system)?;
        let path = self.path(block, feed, &system)?;
        let used = if block.axis_use == AxisUse::Nothing { "NFST" } else { "NFSTXYZ" };
        if block.has_unused(used) {
            return Err(Code::UNUSED);
        }
        Ok((once, path))
    }

    /// The feed in mm/min, or in blocks per minute after G93; 0 when there is none.
    fn feed_of(&self, block: &Block) -> Result<f64, Code> {
        let word = block.get('F');
        if block.modal.inverse_time {
            let cuts = !matches!(block.modal.motion, MotionMode::None | MotionMode::Rapid);
            if block.axis_use == AxisUse::Motion && cuts && word.is_none() {
                return Err(Code::NO_FEED);
            }
            return Ok(word.unwrap_or(0.0));
        }
        Ok(match word {
            Some(word) => block.mm(word),
            None if self.modal.inverse_time => 0.0,
            None => self.feed,
        })
    }

    /// Everything of a line that has been found right, in the order of execution.
    fn carry_out(
        &mut self,
        block: &Block,
        feed: f64,
        dwell: Option<f64>,
        once: Vec<Order>,
        path: geometry::Path,
    ) -> Vec<Order> {
        let mut orders = Vec::new();
        self.feed = feed;
        let speed = block.get('S').unwrap_or(self.speed);
        let cuts = matches!(
            block.modal.motion,
            MotionMode::Line | MotionMode::Clockwise | MotionMode::Counterclockwise
        );
        let laser_dark = self.is_laser() && !cuts;
        let moves = block.axis_use == AxisUse::Motion && block.axes() != [None; 3];
        let was_cut = matches!(
            self.modal.motion,
            MotionMode::Line | MotionMode::Clockwise | MotionMode::Counterclockwise
        );
        let on = self.modal.spindle != Spindle::Off;
        let constant = self.is_laser() && self.modal.spindle == Spindle::Clockwise;
        let force = constant && !moves && was_cut == laser_dark;
        if on && (speed != self.speed || force) && !(self.is_laser() && moves) {
            let speed = if laser_dark { 0.0 } else { speed };
            orders.extend([Order::Sync, Order::Spindle(self.modal.spindle, speed)]);
        }
        self.speed = speed;
        let block_speed = if laser_dark { 0.0 } else { speed };
        self.tool = block.get('T').map_or(self.tool, |tool| tool as u8);
        if self.modal.spindle != block.modal.spindle {
            orders.extend([Order::Sync, Order::Spindle(block.modal.spindle, block_speed)]);
        }
        if self.modal.coolant != block.modal.coolant {
            orders.extend([Order::Sync, Order::Coolant(block.modal.coolant)]);
        }
        if let Some(seconds) = dwell {
            let time = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX / 4);
            orders.extend([Order::Sync, Order::Pause { time }]);
        }
        let spindle = block.modal.spindle;
        let power = if spindle == Spindle::Off { 0.0 } else { block_speed };
        let beam = Beam { power, dynamic: self.is_dynamic(spindle) };
        self.tool_length_and_system(block, &mut orders);
        orders.extend(once.into_iter().map(|order| with_beam(order, beam)));
        self.target = path.end.unwrap_or(self.target);
        orders.extend(path.orders.into_iter().map(|order| with_beam(order, beam)));
        self.flow(block, &mut orders);
        orders
    }

    fn tool_length_and_system(&mut self, block: &Block, orders: &mut Vec<Order>) {
        let before = self.offsets();
        let system = self.modal.system;
        if let AxisUse::ToolLength(on) = block.axis_use {
            let [.., z] = block.axes();
            self.tool_length = if on { z.unwrap_or(0.0) } else { 0.0 };
        }
        self.modal = block.modal.clone();
        if self.modal.system != system || self.offsets() != before {
            orders.extend([Order::Sync, Order::Offsets(self.offsets())]);
        }
    }

    fn flow(&mut self, block: &Block, orders: &mut Vec<Order>) {
        match block.flow {
            None => {}
            Some(Flow::Pause) => orders.extend([Order::Sync, Order::ProgramPause]),
            Some(Flow::End) => {
                let inches = self.modal.inches;
                let motion = MotionMode::Line;
                self.modal = Modal { inches, motion, ..Modal::default() };
                let offsets = Order::Offsets(self.offsets());
                orders.extend([Order::Sync, offsets, Order::ProgramEnd]);
            }
        }
    }

    /// G10, G28, G30, G53 and G92, with what is to be done for them.
    fn once(&mut self, block: &mut Block, system: &[f64; 3]) -> Result<Vec<Order>, Code> {
        let axes = block.axes();
        let sync_write = [Order::Sync, Order::Write(write_time(COORDINATES_BYTES))].into_iter();
        match block.once {
            Once::Nothing | Once::Dwell => Ok(Vec::new()),
            Once::Machine => match block.modal.motion {
                MotionMode::Rapid | MotionMode::Line => Ok(Vec::new()),
                _ => Err(Code::MACHINE_MOTION),
            },
            Once::SetSystem => self.set_system(block),
            Once::SetOffset | Once::ClearOffset => {
                if block.once == Once::SetOffset && axes == [None; 3] {
                    return Err(Code::NO_AXIS);
                }
                let clear = block.once == Once::ClearOffset;
                let tool = [0.0, 0.0, self.tool_length];
                self.offset = std::array::from_fn(|axis| match axes[axis] {
                    _ if clear => 0.0,
                    None => self.offset[axis],
                    Some(value) => self.target[axis] - system[axis] - tool[axis] - value,
                });
                let sum = std::array::from_fn(|axis| system[axis] + self.offset[axis] + tool[axis]);
                Ok(vec![Order::Sync, Order::Offsets(sum)])
            }
            Once::SetHome(index) => {
                self.settings.coordinates[6 + index] = self.target;
                Ok(sync_write.collect())
            }
            Once::GoHome(index) => {
                let mut home = self.settings.coordinates[6 + index];
                let mut orders = Vec::new();
                if axes != [None; 3] {
                    let via = self.aim(block, system);
                    orders.push(rapid(via));
                    for axis in 0..3 {
                        home[axis] = if axes[axis].is_some() { home[axis] } else { via[axis] };
                    }
                }
                orders.push(rapid(home));
                self.target = home;
                Ok(orders)
            }
        }
    }

    /// `G10 L2` and `G10 L20`: nothing has been changed when an error comes back.
    fn set_system(&mut self, block: &mut Block) -> Result<Vec<Order>, Code> {
        let axes = block.axes();
        if axes == [None; 3] {
            return Err(Code::NO_AXIS);
        }
        let (Some(l), Some(p)) = (block.take('L'), block.take('P')) else {
            return Err(Code::VALUE_MISSING);
        };
        let here = match (l.trunc() as i64, block.get('R')) {
            (20, _) => true,
            (2, None) => false,
            _ => return Err(Code::UNSUPPORTED),
        };
        let index = match p.trunc() as usize {
            0 => block.modal.system,
            index @ 1..=6 => index - 1,
            _ => return Err(Code::SYSTEM),
        };
        let tool = [0.0, 0.0, self.tool_length];
        let mut system = self.settings.coordinates[index];
        for axis in 0..3 {
            system[axis] = match axes[axis] {
                None => system[axis],
                Some(value) if here => self.target[axis] - self.offset[axis] - tool[axis] - value,
                Some(value) => value,
            };
        }
        self.settings.coordinates[index] = system;
        let mut orders = vec![Order::Sync, Order::Write(write_time(COORDINATES_BYTES))];
        if index == block.modal.system {
            let offset = self.offset;
            let sum = std::array::from_fn(|axis| system[axis] + offset[axis] + tool[axis]);
            orders.push(Order::Offsets(sum));
        }
        Ok(orders)
    }

    /// Motion: where it leads, and the moves to get there.
    fn path(
        &self,
        block: &mut Block,
        feed: f64,
        system: &[f64; 3],
    ) -> Result<geometry::Path, Code> {
        let axes = block.axes();
        if block.modal.motion == MotionMode::None {
            let left = axes != [None; 3];
            return if left { Err(Code::AXIS_UNUSED) } else { Ok(geometry::Path::default()) };
        }
        if block.axis_use != AxisUse::Motion {
            return Ok(geometry::Path::default());
        }
        if block.modal.motion != MotionMode::Rapid && feed == 0.0 {
            return Err(Code::NO_FEED);
        }
        let target = self.aim(block, system);
        let start = self.target;
        let inverse_time = block.modal.inverse_time;
        let speed = |length: f64, parts: f64| {
            if inverse_time { length * parts * feed / 60.0 } else { feed / 60.0 }
        };
        let straight = |feed: Option<f64>| geometry::Path::straight(target, feed);
        Ok(match block.modal.motion {
            MotionMode::Rapid | MotionMode::Line if axes == [None; 3] => geometry::Path::default(),
            MotionMode::Rapid => straight(None),
            MotionMode::Line => straight(Some(speed(geometry::distance(&start, &target), 1.0))),
            MotionMode::Clockwise | MotionMode::Counterclockwise => {
                let tolerance = self.settings.get(12);
                let arc = geometry::Arc::new(block, &start, &target)?;
                arc.path(&target, tolerance, speed)
            }
            MotionMode::Probe(kind) => {
                if axes == [None; 3] {
                    return Err(Code::NO_AXIS);
                }
                if start == target {
                    return Err(Code::TARGET);
                }
                let mut path = straight(Some(feed / 60.0));
                path.orders.insert(0, Order::Sync);
                let alarm = matches!(kind, 2 | 4);
                path.orders.extend([Order::Sync, Order::ProbeFailed { alarm }]);
                path
            }
            MotionMode::None => unreachable!("handled above"),
        })
    }
}

pub(super) fn point(target: [f64; 3]) -> Point {
    let [x, y, z] = target;
    [x, y, z, 0.0]
}

fn rapid(target: [f64; 3]) -> Order {
    Order::Move {
        order: Move { target: point(target), feed: None, fixed_feed: false, beam: Beam::default() },
        jog: false,
    }
}

fn with_beam(order: Order, beam: Beam) -> Order {
    match order {
        Order::Move { order, jog } => Order::Move { order: Move { beam, ..order }, jog },
        other => other,
    }
}
