//! Commands of Marlin: what they do, and when they are done.

use super::heat::Heater;
use super::{Command, Doing, Marlin};
use crate::machine::motion::{Beam, Move};
use crate::machine::words;
use std::time::Duration;

/// What `M115` tells, after which 0 or 1 follows.
const CAPABILITIES: &[(&str, bool)] = &[
    ("SERIAL_XON_XOFF", false),
    ("BINARY_FILE_TRANSFER", false),
    ("EEPROM", false),
    ("VOLUMETRIC", true),
    ("AUTOREPORT_POS", false),
    ("AUTOREPORT_TEMP", true),
    ("PROGRESS", false),
    ("PRINT_JOB", true),
    ("AUTOLEVEL", false),
    ("Z_PROBE", false),
    ("SOFTWARE_POWER", false),
    ("TOGGLE_LIGHTS", false),
];

/// Homing: mm/s.
const HOMING_SPEED: f64 = 50.0;

/// Settings and the like: taken, without effect.
const SILENT: &[u32] = &[
    17, 73, 75, 76, 77, 84, 18, 92, 106, 107, 108, 117, 201, 203, 204, 205, 207, 208, 209, 211,
    221, 300, 301, 304, 355, 412, 413, 420, 500, 501, 502, 503, 900,
];

/// The parameters of a command.
struct Words<'a>(&'a str);

impl Words<'_> {
    /// The number behind a letter; `None` where there is none.
    fn get(&self, letter: char) -> Option<f64> {
        let at = self.0.find(letter)?;
        Some(words::number(&self.0[at + 1..]).map_or(0.0, |(value, _)| value))
    }
}

impl Marlin {
    /// Begins the first command of the queue, and answers it if it is done at once.
    pub(super) fn begin(&mut self, command: &Command) {
        let text = command.text.to_ascii_uppercase();
        let (name, rest) = match text.find([' ', '*']) {
            Some(end) => (&text[..end], &text[end..]),
            None => split(&text),
        };
        let words = Words(rest.split('*').next().unwrap_or_default());
        let number = words::number(name.get(1..).unwrap_or_default());
        let number = number.map(|(number, _)| number as u32);
        match (name.as_bytes().first(), number) {
            (Some(b'G'), Some(number)) => self.begin_g(number, name, &words),
            (Some(b'M'), Some(number)) => self.begin_m(number, name, &words),
            (Some(b'T'), Some(0)) => self.ok(""),
            _ => self.unknown(name),
        }
    }

    fn unknown(&mut self, name: &str) {
        self.say(&format!("echo:Unknown command: \"{name}\""));
        self.ok("");
    }

    fn begin_g(&mut self, number: u32, name: &str, words: &Words<'_>) {
        match number {
            0 | 1 => return self.begin_move(words),
            4 => {
                let seconds = words.get('S').or(words.get('P').map(|millis| millis / 1000.0));
                let time = Duration::try_from_secs_f64(seconds.unwrap_or(0.0)).unwrap_or_default();
                self.doing = Some(Doing::Dwell(time));
                return;
            }
            28 => {
                let named = ['X', 'Y', 'Z'].map(|axis| words.0.contains(axis));
                let axes = if named == [false; 3] { [true; 3] } else { named };
                self.doing = Some(Doing::Home(axes));
                return;
            }
            20 | 21 => self.inches = number == 20,
            90 | 91 => (self.relative, self.relative_extruder) = (number == 91, number == 91),
            92 => {
                for (axis, letter) in ['X', 'Y', 'Z', 'E'].into_iter().enumerate() {
                    if let Some(value) = words.get(letter) {
                        self.offset[axis] = self.target[axis] - self.mm(value);
                    }
                }
            }
            _ => return self.unknown(name),
        }
        self.ok("");
    }

    fn mm(&self, value: f64) -> f64 {
        if self.inches { value * 25.4 } else { value }
    }

    fn begin_move(&mut self, words: &Words<'_>) {
        if let Some(feed) = words.get('F').filter(|feed| *feed > 0.0) {
            self.feed = self.mm(feed) / 60.0;
        }
        for (axis, letter) in ['X', 'Y', 'Z', 'E'].into_iter().enumerate() {
            let relative = if axis == 3 { self.relative_extruder } else { self.relative };
            if let Some(value) = words.get(letter) {
                let base = if relative { self.target[axis] } else { self.offset[axis] };
                self.target[axis] = base + self.mm(value);
            }
        }
        let (target, feed, beam) = (self.target, Some(self.feed), Beam::default());
        self.doing = Some(Doing::Room(Move { target, feed, fixed_feed: false, beam }));
    }

    fn begin_m(&mut self, number: u32, name: &str, words: &Words<'_>) {
        match number {
            3 | 4 => return self.doing = Some(Doing::Power(words.get('S').unwrap_or(255.0))),
            5 => return self.doing = Some(Doing::Power(0.0)),
            400 => return self.doing = Some(Doing::Still),
            82 | 83 => self.relative_extruder = number == 83,
            104 | 109 => {
                let target = words.get('S').or(words.get('R'));
                target.inspect(|target| self.hotend.set(*target, self.now));
                if number == 109 && target.is_some_and(|target| target > 0.0) {
                    return self.doing = Some(Doing::Hotend { report_at: self.now });
                }
            }
            140 | 190 => {
                let target = words.get('S').or(words.get('R'));
                target.inspect(|target| self.bed.set(*target, self.now));
                if number == 190 && target.is_some_and(|target| target > 0.0) {
                    return self.doing = Some(Doing::Bed { report_at: self.now });
                }
            }
            105 => {
                let temperatures = self.temperatures();
                return self.ok(&temperatures);
            }
            110 => {
                if let Some(number) = words.get('N') {
                    self.last_number = number as i64;
                }
            }
            112 => return self.kill(),
            114 => {
                let position = self.position();
                self.say(&position);
            }
            115 => self.tell_firmware(),
            155 => {
                let seconds = words.get('S').unwrap_or(0.0).clamp(0.0, 60.0);
                self.report_every = Duration::from_secs_f64(seconds);
                self.report_at = self.now + self.report_every;
            }
            220 => {
                let percent = words.get('S').unwrap_or(100.0).clamp(10.0, 999.0);
                self.motion.set_overrides(percent, 100.0);
            }
            410 => self.quick_stop(),
            999 => {
                self.ask_again();
                self.queue.pop_front();
                return;
            }
            number if SILENT.contains(&number) => {}
            _ => return self.unknown(name),
        }
        self.ok("");
    }

    /// Whether what is being done is done.
    pub(super) fn is_done(&mut self, doing: Doing) -> bool {
        match doing {
            Doing::Room(order) => {
                let room = self.motion.free() > 0;
                if room {
                    self.motion.push(order);
                    self.motion.start();
                }
                room
            }
            Doing::Still => self.motion.is_empty(),
            Doing::Until(until) => self.now >= until,
            Doing::Dwell(time) => {
                if self.motion.is_empty() {
                    self.doing = Some(Doing::Until(self.now + time));
                }
                false
            }
            Doing::Home(axes) => {
                if self.motion.is_empty() {
                    self.home(axes);
                }
                false
            }
            Doing::Hotend { report_at } => {
                let next = self.wait_for_heat(self.hotend, report_at);
                self.doing = next.map(|report_at| Doing::Hotend { report_at });
                next.is_none()
            }
            Doing::Bed { report_at } => {
                let next = self.wait_for_heat(self.bed, report_at);
                self.doing = next.map(|report_at| Doing::Bed { report_at });
                next.is_none()
            }
            Doing::Power(power) => {
                let still = self.motion.is_empty();
                if still {
                    self.truth.beam_is(self.now, power);
                }
                still
            }
        }
    }

    /// When to tell the temperature next, once a second; `None` when it is reached.
    fn wait_for_heat(&mut self, heater: Heater, report_at: Duration) -> Option<Duration> {
        if self.now >= heater.reached_at() {
            return None;
        }
        if self.now < report_at {
            return Some(report_at);
        }
        let temperatures = self.temperatures();
        self.say(&format!("{temperatures} W:?"));
        Some(self.now + Duration::from_secs(1))
    }

    fn home(&mut self, axes: [bool; 3]) {
        let mut position = self.motion.position();
        let mut way = 0.0_f64;
        for (axis, _) in axes.iter().enumerate().filter(|(_, homes)| **homes) {
            way += position[axis].abs();
            (position[axis], self.offset[axis]) = (0.0, 0.0);
        }
        self.motion.set_position(position);
        self.target = position;
        let time = Duration::from_secs_f64(1.0 + way / HOMING_SPEED);
        self.doing = Some(Doing::Until(self.now + time));
    }

    /// ` T:21.00 /0.00 B:20.00 /0.00 @:0 B@:0`.
    pub(super) fn temperatures(&self) -> String {
        let ([hotend, bed], now) = (self.degrees(), self.now);
        format!(
            " T:{hotend:.2} /{:.2} B:{bed:.2} /{:.2} @:{} B@:{}",
            self.hotend.target,
            self.bed.target,
            self.hotend.power(now),
            self.bed.power(now),
        )
    }

    fn position(&self) -> String {
        let [x, y, z, e] = std::array::from_fn(|axis| self.target[axis] - self.offset[axis]);
        let steps = self.motion.position();
        let count = |axis: usize, per_mm: f64| (steps[axis] * per_mm).round();
        format!(
            "X:{x:.2} Y:{y:.2} Z:{z:.2} E:{e:.2} Count X:{} Y:{} Z:{}",
            count(0, 80.0),
            count(1, 80.0),
            count(2, 400.0),
        )
    }

    fn tell_firmware(&mut self) {
        self.say(
            "FIRMWARE_NAME:Marlin 2.1.2.5 (simulated) SOURCE_CODE_URL:github.com/MarlinFirmware/\
             Marlin PROTOCOL_VERSION:1.0 MACHINE_TYPE:Simulated printer EXTRUDER_COUNT:1 \
             UUID:cede2a2f-41a2-4748-9b12-c55c62f367ff",
        );
        for (name, has) in CAPABILITIES {
            self.say(&format!("Cap:{name}:{}", u8::from(*has)));
        }
        self.say(&format!("Cap:EMERGENCY_PARSER:{}", u8::from(self.options.emergency_parser)));
    }
}

/// The command and its parameters where no blank is between, as in `G1X10`.
fn split(text: &str) -> (&str, &str) {
    let digits = |c: char| !(c.is_ascii_digit() || c == '.');
    let end = text.get(1..).and_then(|rest| rest.find(digits)).map_or(text.len(), |at| at + 1);
    text.split_at(end)
}
