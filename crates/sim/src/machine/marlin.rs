//! A simulated Marlin board of a 3D printer (or a laser: `M3`), strict about line numbers and
//! checksums, with four commands in its queue and 128 bytes before that.
//!
//! Like [`super::grbl`], it has no clock. The behaviour is that of MarlinFirmware/Marlin 2
//! (`gcode/queue.cpp`, `feature/e_parser.h`, the pages of marlinfw.org/docs/gcode); the code is
//! ours. Not simulated: SD card, arcs, levelling, and most settings, which are accepted in silence.

mod command;
mod heat;
mod intake;

use super::motion::{Limits, Motion, Move, Point};
use super::truth::Truth;
use heat::Heater;
use std::collections::VecDeque;
use std::time::Duration;

/// How this board was built.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whether `M108`, `M112` and `M410` are heard as they come in (`EMERGENCY_PARSER`).
    pub emergency_parser: bool,
    /// Whether `ok` tells what room there is (`ADVANCED_OK`).
    pub advanced_ok: bool,
    /// Whether an `ok` follows a `Resend:`. Versions differ.
    pub ok_after_resend: bool,
    pub rx_bytes: usize,
    /// From power or reset by DTR to `start`. Nobody listens meanwhile.
    pub boot_time: Duration,
    /// By how much heaters are faster than real ones.
    pub heat_speed: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            emergency_parser: true,
            advanced_ok: false,
            ok_after_resend: true,
            rx_bytes: 128,
            boot_time: Duration::ZERO,
            heat_speed: 1.0,
        }
    }
}

/// `BUFSIZE`, and `MAX_CMD_SIZE` less the zero at the end.
const QUEUE_MAX: usize = 4;
const LINE_CHARS_MAX: usize = 95;

/// `BLOCK_BUFFER_SIZE` less one.
const BLOCKS_MAX: usize = 15;

/// `DEFAULT_KEEPALIVE_INTERVAL`.
const BUSY_EVERY: Duration = Duration::from_secs(2);

/// A line that has been taken in.
#[derive(Clone, Debug)]
struct Command {
    number: Option<i64>,
    text: String,
}

/// What a command is waiting for.
#[derive(Clone, Copy, Debug)]
enum Doing {
    /// Room in the planner.
    Room(Move),
    Still,
    Dwell(Duration),
    Home([bool; 3]),
    Until(Duration),
    Hotend {
        report_at: Duration,
    },
    Bed {
        report_at: Duration,
    },
    /// The beam or spindle, once nothing moves.
    Power(f64),
}

/// What comes in is a line that grows.
#[derive(Debug, Default)]
struct Line {
    text: String,
    /// The rest is a comment, or too long.
    skip: bool,
}

/// A simulated controller.
#[derive(Debug)]
pub struct Marlin {
    options: Options,
    truth: Truth,
    out: Vec<u8>,
    now: Duration,
    rx: VecDeque<u8>,
    line: Line,
    /// The line as the emergency parser sees it, as it comes in.
    emergency: String,
    last_number: i64,
    queue: VecDeque<Command>,
    doing: Option<Doing>,
    busy_at: Duration,
    boot_until: Option<Duration>,
    killed: bool,
    motion: Motion,
    /// Where the last move leads, in machine coordinates, and what `G92` adds to them.
    target: Point,
    offset: Point,
    /// mm/s.
    feed: f64,
    relative: bool,
    relative_extruder: bool,
    inches: bool,
    hotend: Heater,
    bed: Heater,
    report_every: Duration,
    report_at: Duration,
}

impl Marlin {
    /// A board that gets its power at `now`.
    #[must_use]
    pub fn new(options: Options, now: Duration) -> Self {
        let speed = options.heat_speed;
        let limits = Limits {
            rate: [300.0, 300.0, 10.0, 50.0],
            acceleration: [1000.0, 1000.0, 100.0, 5000.0],
            junction_deviation: 0.013,
        };
        let mut marlin = Self {
            options,
            truth: Truth::default(),
            out: Vec::new(),
            now,
            rx: VecDeque::new(),
            line: Line::default(),
            emergency: String::new(),
            last_number: 0,
            queue: VecDeque::new(),
            doing: None,
            busy_at: now,
            boot_until: None,
            killed: false,
            motion: Motion::new(limits, BLOCKS_MAX),
            target: [0.0; 4],
            offset: [0.0; 4],
            feed: 25.0,
            relative: false,
            relative_extruder: false,
            inches: false,
            hotend: Heater::new(4.0 * speed, 1.0 * speed),
            bed: Heater::new(1.0 * speed, 0.2 * speed),
            report_every: Duration::ZERO,
            report_at: now,
        };
        marlin.boot(now);
        marlin
    }

    /// Power, or a reset by DTR.
    pub fn boot(&mut self, now: Duration) {
        self.advance(now);
        self.all_off();
        self.rx.clear();
        self.line = Line::default();
        self.emergency.clear();
        (self.last_number, self.doing) = (0, None);
        self.queue.clear();
        self.motion.set_position([0.0; 4]);
        self.motion.set_overrides(100.0, 100.0);
        (self.target, self.offset, self.feed) = ([0.0; 4], [0.0; 4], 25.0);
        (self.relative, self.relative_extruder, self.inches) = (false, false, false);
        self.report_every = Duration::ZERO;
        self.killed = false;
        self.boot_until = Some(now + self.options.boot_time);
        self.work();
    }

    fn all_off(&mut self) {
        self.motion.clear();
        self.truth.beam_is(self.now, 0.0);
        self.hotend.set(0.0, self.now);
        self.bed.set(0.0, self.now);
    }

    fn greet(&mut self) {
        self.truth.boots += 1;
        self.say("start");
        self.say("echo:Marlin 2.1.2.5");
        self.say("echo: Last Updated: 2024-11-13 | Author: (simulated)");
        self.say(&format!("echo: Free Memory: 3000  PlannerBufferBytes: {}", BLOCKS_MAX * 82));
    }

    /// Bytes from the wire, all at once.
    pub fn received(&mut self, bytes: &[u8], now: Duration) {
        self.advance(now);
        for byte in bytes {
            if self.boot_until.is_some() {
                self.truth.rx_unheard += 1;
                continue;
            }
            self.truth.arrived(self.now, 1);
            if self.options.emergency_parser {
                self.hear(*byte);
            }
            if self.rx.len() == self.options.rx_bytes {
                self.truth.rx_dropped += 1;
            } else {
                self.rx.push_back(*byte);
                self.truth.stored(self.rx.len());
            }
            self.work();
        }
    }

    /// What goes out on the wire by `now`.
    pub fn take_output(&mut self, now: Duration) -> Vec<u8> {
        self.advance(now);
        std::mem::take(&mut self.out)
    }

    /// When something happens by itself.
    #[must_use]
    pub fn next_event(&self) -> Option<Duration> {
        let doing = match self.doing {
            Some(Doing::Until(until)) => Some(until),
            Some(Doing::Hotend { report_at }) => Some(report_at.min(self.hotend.reached_at())),
            Some(Doing::Bed { report_at }) => Some(report_at.min(self.bed.reached_at())),
            Some(Doing::Room(_) | Doing::Still | Doing::Dwell(_) | Doing::Home(_)) | None => None,
            Some(Doing::Power(_)) => None,
        };
        let busy = self.doing.map(|_| self.busy_at);
        let report = (!self.report_every.is_zero()).then_some(self.report_at);
        let timers = if self.killed { [None; 3] } else { [doing, busy, report] };
        let later = timers.into_iter().chain([self.boot_until]).flatten();
        later.filter(|at| *at > self.now).chain(self.motion.next_change()).min()
    }

    /// Lets everything happen that happens until `now`.
    pub fn advance(&mut self, now: Duration) {
        while let Some(at) = self.next_event().filter(|at| *at <= now) {
            self.tick(at);
        }
        if now > self.now {
            self.tick(now);
        }
    }

    fn tick(&mut self, now: Duration) {
        self.now = self.now.max(now);
        self.motion.advance(self.now);
        let [x, y, z, _] = self.motion.position();
        self.truth.position = [x, y, z];
        self.work();
    }

    fn work(&mut self) {
        if self.boot_until.is_some_and(|until| self.now >= until) {
            self.boot_until = None;
            self.greet();
        }
        if self.boot_until.is_some() || self.killed {
            return;
        }
        self.tell();
        loop {
            while self.queue.len() < QUEUE_MAX && !self.killed {
                let Some(byte) = self.rx.pop_front() else { break };
                self.read(byte);
            }
            if self.killed {
                return;
            }
            if let Some(doing) = self.doing {
                if !self.is_done(doing) {
                    return;
                }
                self.doing = None;
                self.ok("");
            } else if let Some(command) = self.queue.front().cloned() {
                self.busy_at = self.now + BUSY_EVERY;
                self.begin(&command);
            } else {
                return;
            }
        }
    }

    /// What is told without being asked: temperatures, and that we are busy.
    fn tell(&mut self) {
        if !self.report_every.is_zero() && self.now >= self.report_at {
            self.report_at = self.now + self.report_every;
            let temperatures = self.temperatures();
            self.say(&temperatures);
        }
        if self.doing.is_some() && self.now >= self.busy_at {
            self.busy_at = self.now + BUSY_EVERY;
            self.say("echo:busy: processing");
        }
    }

    /// `kill()`: everything is off until the board starts anew.
    fn kill(&mut self) {
        self.all_off();
        self.doing = None;
        self.queue.clear();
        self.killed = true;
        self.say("Error:Printer halted. kill() called!");
    }

    /// `quickstop_stepper`: motion ends here. What else is on stays on.
    fn quick_stop(&mut self) {
        self.motion.clear();
        self.target = self.motion.position();
        if matches!(self.doing, Some(Doing::Room(_))) {
            self.doing = Some(Doing::Still);
        }
    }

    fn stop_waiting(&mut self) {
        if matches!(self.doing, Some(Doing::Hotend { .. } | Doing::Bed { .. })) {
            self.doing = Some(Doing::Until(self.now));
        }
    }

    fn ok(&mut self, more: &str) {
        self.truth.lines += 1;
        let mut text = format!("ok{more}");
        let command = self.queue.front().expect("an ok is for the command under way");
        if self.options.advanced_ok {
            if let Some(number) = command.number {
                text += &format!(" N{number}");
            }
            let queue = QUEUE_MAX - self.queue.len();
            text += &format!(" P{} B{queue}", self.motion.free());
        }
        self.queue.pop_front();
        self.say(&text);
    }

    fn say(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
        self.out.push(b'\n');
    }

    #[must_use]
    pub fn truth(&self) -> &Truth {
        &self.truth
    }

    /// Whether it is halted for good.
    #[must_use]
    pub fn is_killed(&self) -> bool {
        self.killed
    }

    /// Degrees, of the hotend and of the bed.
    #[must_use]
    pub fn degrees(&self) -> [f64; 2] {
        [self.hotend.at(self.now), self.bed.at(self.now)]
    }
}

#[cfg(test)]
mod tests;
