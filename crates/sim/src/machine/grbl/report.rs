//! What GRBL tells: status reports, parser state, parameters (`report.c`, `interface.md`).

use super::block::{MotionMode, Plane, Spindle};
use super::{Grbl, State};

/// After how many reports the seldom fields come again.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub offsets: u8,
    pub overrides: u8,
}

/// `REPORT_WCO_REFRESH_BUSY_COUNT` and its kin.
const OFFSETS_BUSY: u8 = 30;
const OVERRIDES_BUSY: u8 = 20;
const IDLE: u8 = 10;

impl Grbl {
    pub(super) fn report_status(&mut self) {
        let mask = self.settings.bits(10);
        let machine = mask & 1 != 0;
        let [x, y, z, _] = self.motion.position();
        let mut position = [x, y, z];
        if !machine {
            position = std::array::from_fn(|axis| position[axis] - self.wco[axis]);
        }
        let name = if machine { "MPos" } else { "WPos" };
        let mut text = format!("<{}|{name}:{}", self.state_name(), self.axes(&position));
        if mask & 2 != 0 {
            let free = self.options.rx_bytes - self.rx.len();
            text += &format!("|Bf:{},{free}", self.motion.free());
        }
        let feed = self.length(self.motion.speed() * 60.0);
        text += &format!("|FS:{feed:.0},{:.0}", self.spindle.1);
        if self.pins.door {
            text += "|Pn:D";
        }
        let busy = !matches!(self.state, State::Idle | State::Alarm | State::Check | State::Sleep);
        if self.reports.offsets > 0 {
            self.reports.offsets -= 1;
        } else {
            self.reports.offsets = if busy { OFFSETS_BUSY } else { IDLE } - 1;
            self.reports.overrides = self.reports.overrides.max(1);
            text += &format!("|WCO:{}", self.axes(&self.wco));
        }
        if self.reports.overrides > 0 {
            self.reports.overrides -= 1;
        } else {
            self.reports.overrides = if busy { OVERRIDES_BUSY } else { IDLE } - 1;
            let super::realtime::Overrides { feed, rapid, spindle } = self.overrides;
            text += &format!("|Ov:{feed},{rapid},{spindle}{}", self.accessories());
        }
        self.say(&format!("{text}>"));
    }

    /// Spindle, only while its output is on, and coolant.
    fn accessories(&self) -> String {
        let mut text = String::new();
        match self.spindle {
            (Spindle::Clockwise, 0.1..) => text.push('S'),
            (Spindle::Counterclockwise, 0.1..) => text.push('C'),
            _ => {}
        }
        if self.coolant.flood {
            text.push('F');
        }
        if self.coolant.mist {
            text.push('M');
        }
        if text.is_empty() { text } else { format!("|A:{text}") }
    }

    fn state_name(&self) -> String {
        match self.state {
            State::Idle => "Idle".to_owned(),
            State::Run => "Run".to_owned(),
            State::Hold => format!("Hold:{}", u8::from(!self.suspend.hold_complete)),
            State::Jog => "Jog".to_owned(),
            State::Alarm => "Alarm".to_owned(),
            State::Door => format!("Door:{}", self.suspend.door_digit()),
            State::Check => "Check".to_owned(),
            State::Home => "Home".to_owned(),
            State::Sleep => "Sleep".to_owned(),
        }
    }

    /// mm, or inches after `$13=1`.
    fn length(&self, mm: f64) -> f64 {
        if self.settings.is_on(13) { mm / 25.4 } else { mm }
    }

    pub(super) fn axes(&self, position: &[f64; 3]) -> String {
        let decimals = if self.settings.is_on(13) { 4 } else { 3 };
        // Without the sign of a zero, which GRBL does not write.
        let [x, y, z] = position.map(|mm| self.length(mm) + 0.0).map(|value| {
            let tiny = value.abs() < 0.5 * 10_f64.powi(-decimals);
            if tiny { 0.0 } else { value }
        });
        let places = decimals as usize;
        format!("{x:.places$},{y:.places$},{z:.places$}")
    }

    /// `[GC:...]`.
    pub(super) fn parser_state(&self) -> String {
        let modal = &self.modal;
        let motion = match modal.motion {
            MotionMode::Rapid => "0".to_owned(),
            MotionMode::Line => "1".to_owned(),
            MotionMode::Clockwise => "2".to_owned(),
            MotionMode::Counterclockwise => "3".to_owned(),
            MotionMode::Probe(kind) => format!("38.{kind}"),
            MotionMode::None => "80".to_owned(),
        };
        let plane = match modal.plane {
            Plane::Xy => 17,
            Plane::Zx => 18,
            Plane::Yz => 19,
        };
        let spindle = match modal.spindle {
            Spindle::Clockwise => 3,
            Spindle::Counterclockwise => 4,
            Spindle::Off => 5,
        };
        let coolant = match (modal.coolant.mist, modal.coolant.flood) {
            (true, true) => "M7 M8",
            (true, false) => "M7",
            (false, true) => "M8",
            (false, false) => "M9",
        };
        format!(
            "[GC:G{motion} G{} G{plane} G{} G{} G{} M{spindle} {coolant} T{} F{:.0} S{:.0}]",
            54 + modal.system,
            21 - u8::from(modal.inches),
            90 + u8::from(modal.incremental),
            94 - u8::from(modal.inverse_time),
            self.tool,
            self.length(self.feed),
            self.speed,
        )
    }

    /// The lines of `$#`.
    pub(super) fn parameters(&self) -> Vec<String> {
        const NAMES: [&str; 8] = ["G54", "G55", "G56", "G57", "G58", "G59", "G28", "G30"];
        let named = NAMES.iter().zip(&self.settings.coordinates);
        let mut lines: Vec<_> =
            named.map(|(name, values)| format!("[{name}:{}]", self.axes(values))).collect();
        lines.push(format!("[G92:{}]", self.axes(&self.offset)));
        let places = if self.settings.is_on(13) { 4 } else { 3 };
        lines.push(format!("[TLO:{:.places$}]", self.length(self.tool_length)));
        lines.push(format!("[PRB:{}:0]", self.axes(&[0.0; 3])));
        lines
    }
}
