//! A simulated GRBL 1.1 laser or CNC, strict where real ones are: 128 bytes of receive buffer and
//! what comes too much is lost; lines carried out one by one and `ok` only when the planner has
//! taken them; realtime bytes picked out as they come, but served only when the program looks.
//!
//! It has no clock: whoever drives it says how late it is, and is told when to look again
//! ([`Grbl::next_event`]). [`Truth`] has what really happened, above all with the beam.
//!
//! The behaviour is that of gnea/grbl (`protocol.c`, `gcode.c`, `serial.c`, `stepper.c`,
//! `doc/markdown/*.md`); the code is ours. Not simulated: the transmit buffer of 104 bytes, parking
//! motion, and limit switches other than by [`Grbl::press_limit`].

mod block;
mod code;
mod execute;
mod geometry;
mod obey;
mod realtime;
mod report;
mod settings;
mod suspend;
mod system;

use super::motion::Motion;
use super::truth::Truth;
use block::{Coolant, Modal, Spindle};
use code::Code;
use obey::Order;
use settings::Settings;
use std::collections::VecDeque;
use std::time::Duration;
use suspend::{Pins, Suspend};

/// How this board was built.
#[derive(Clone, Debug)]
pub struct Options {
    pub flavor: Flavor,
    /// Bytes of lines that the receive buffer holds.
    pub rx_bytes: usize,
    /// Blocks that the planner holds.
    pub blocks: usize,
    /// Changes to the `$` settings.
    pub settings: Vec<(u8, f64)>,
    /// How long the processor takes for a line.
    pub line_time: Duration,
    /// From power or reset by DTR to the greeting: the boot loader. Nobody listens meanwhile.
    pub boot_time: Duration,
    /// Whether bytes are lost during an EEPROM write, as with AVR processors.
    pub deaf_in_writes: bool,
    /// Whether a hold puts a laser out (`DISABLE_LASER_DURING_HOLD`). Some forks have it not.
    pub laser_off_in_hold: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavor {
    Grbl,
    /// Adds the realtime bytes 0x19, 0x80 to 0x83 and 0x87, and says so in `$I`.
    GrblHal,
}

impl Default for Options {
    /// An Arduino Uno on a laser.
    fn default() -> Self {
        Self {
            flavor: Flavor::Grbl,
            rx_bytes: 128,
            blocks: 15,
            settings: Vec::new(),
            line_time: Duration::ZERO,
            boot_time: Duration::ZERO,
            deaf_in_writes: true,
            laser_off_in_hold: true,
        }
    }
}

impl Options {
    /// A 32-bit board with grblHAL.
    #[must_use]
    pub fn grbl_hal() -> Self {
        let flavor = Flavor::GrblHal;
        Self { flavor, rx_bytes: 1024, blocks: 100, deaf_in_writes: false, ..Self::default() }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Idle,
    Run,
    Hold,
    Jog,
    Alarm,
    Door,
    Check,
    Home,
    Sleep,
}

/// The line that is being read: blanks and comments are gone already.
#[derive(Debug, Default)]
struct Line {
    text: String,
    comment: bool,
    /// A comment up to `)`.
    parenthesis: bool,
    overflow: bool,
}

/// `LINE_BUFFER_SIZE` is 80, and the last is a zero.
const LINE_CHARS_MAX: usize = 79;

/// `delay_ms(500)` behind `ALARM:n`: the processor does nothing else.
const ALARM_PAUSE: Duration = Duration::from_millis(500);

/// A simulated controller.
#[derive(Debug)]
pub struct Grbl {
    options: Options,
    truth: Truth,
    out: Vec<u8>,
    now: Duration,
    rx: VecDeque<u8>,
    line: Line,
    settings: Settings,
    motion: Motion,
    modal: Modal,
    /// mm/min, the `S` word and the tool, as the parser has them.
    feed: f64,
    speed: f64,
    tool: u8,
    /// Where the parser is, in machine coordinates.
    target: [f64; 3],
    /// G92 and G43.1.
    offset: [f64; 3],
    tool_length: f64,
    /// Work coordinate offset, as reports tell it.
    wco: [f64; 3],
    state: State,
    suspend: Suspend,
    pins: Pins,
    orders: VecDeque<Order>,
    /// Until then the processor sees nothing but what comes by interrupt.
    frozen_until: Duration,
    /// Until then not even interrupts.
    deaf_until: Duration,
    flags: realtime::Flags,
    overrides: realtime::Overrides,
    /// What the spindle's pins show.
    spindle: (Spindle, f64),
    /// Whether the block that ran last had dynamic power.
    was_dynamic: bool,
    coolant: Coolant,
    reports: report::Counters,
}

impl Grbl {
    /// A board that gets its power at `now`.
    #[must_use]
    pub fn new(options: Options, now: Duration) -> Self {
        let settings = Settings::new(&options.settings);
        let motion = Motion::new(settings.limits(), options.blocks);
        let mut grbl = Self {
            options,
            truth: Truth::default(),
            out: Vec::new(),
            now,
            rx: VecDeque::new(),
            line: Line::default(),
            settings,
            motion,
            modal: Modal::default(),
            feed: 0.0,
            speed: 0.0,
            tool: 0,
            target: [0.0; 3],
            offset: [0.0; 3],
            tool_length: 0.0,
            wco: [0.0; 3],
            state: State::Idle,
            suspend: Suspend::default(),
            pins: Pins::default(),
            orders: VecDeque::new(),
            frozen_until: now,
            deaf_until: now,
            flags: realtime::Flags::default(),
            overrides: realtime::Overrides::default(),
            spindle: (Spindle::Off, 0.0),
            was_dynamic: false,
            coolant: Coolant::default(),
            reports: report::Counters::default(),
        };
        grbl.boot(now);
        grbl
    }

    /// Power, or a reset by DTR: all but the EEPROM is lost, where the machine is too.
    pub fn boot(&mut self, now: Duration) {
        self.advance(now);
        self.set_spindle(Spindle::Off, 0.0);
        self.coolant = Coolant::default();
        self.motion.clear();
        self.motion.set_position([0.0; 4]);
        self.orders.clear();
        self.rx.clear();
        self.flags = realtime::Flags::default();
        self.flags.reset = true;
        self.state = if self.settings.is_on(22) { State::Alarm } else { State::Idle };
        self.deaf_until = now + self.options.boot_time;
        self.frozen_until = self.deaf_until;
        self.work();
    }

    /// Bytes from the wire, all at once.
    pub fn received(&mut self, bytes: &[u8], now: Duration) {
        self.advance(now);
        for byte in bytes {
            if now < self.deaf_until {
                self.truth.rx_unheard += 1;
            } else if !self.is_realtime(*byte) {
                self.store(*byte);
            }
            self.work();
        }
    }

    fn store(&mut self, byte: u8) {
        self.truth.arrived(self.now, 1);
        if self.rx.len() == self.options.rx_bytes {
            self.truth.rx_dropped += 1;
        } else {
            self.rx.push_back(byte);
            self.truth.stored(self.rx.len());
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
        let frozen = (self.frozen_until > self.now).then_some(self.frozen_until);
        let order = match self.orders.front() {
            Some(Order::Wait { until }) => Some(*until),
            Some(_) | None => None,
        };
        let events = [frozen, order, self.suspend.restore_at()];
        let later = events.into_iter().flatten().filter(|at| *at > self.now);
        later.chain(self.motion.next_change()).min()
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
        let moved = self.motion.is_moving();
        self.motion.advance(self.now);
        self.follow_motion();
        if moved && !self.motion.is_moving() {
            self.cycle_stopped();
        }
        let [x, y, z, _] = self.motion.position();
        self.truth.position = [x, y, z];
        self.work();
    }

    /// The program's main loop, as far as it comes at this moment.
    fn work(&mut self) {
        loop {
            if self.now < self.frozen_until || !self.serve_realtime() {
                return;
            }
            if !self.orders.is_empty() {
                if !self.obey() {
                    return;
                }
            } else if let Some(byte) = self.rx.pop_front() {
                self.read(byte);
            } else {
                self.cycle_start();
                return;
            }
        }
    }

    /// A byte from the receive buffer (`protocol_main_loop`).
    fn read(&mut self, byte: u8) {
        if matches!(byte, b'\r' | b'\n') {
            let line = std::mem::take(&mut self.line);
            self.frozen_until = self.now + self.options.line_time;
            let answer = if line.overflow { Err(Code::OVERFLOW) } else { self.line(&line.text) };
            match answer {
                Ok(orders) => self.orders.extend(orders),
                Err(code) => self.orders.push_back(Order::Answer(Err(code))),
            }
            return;
        }
        let line = &mut self.line;
        if line.comment || line.overflow {
            if byte == b')' && line.parenthesis {
                (line.comment, line.parenthesis) = (false, false);
            }
            return;
        }
        match byte {
            0..=b' ' | b'/' => {}
            b'(' => (line.comment, line.parenthesis) = (true, true),
            b';' => line.comment = true,
            _ if line.text.len() >= LINE_CHARS_MAX => line.overflow = true,
            _ => line.text.push(char::from(byte).to_ascii_uppercase()),
        }
    }

    /// A whole line: what is to be done for it, the answer last.
    fn line(&mut self, text: &str) -> Result<Vec<Order>, Code> {
        let mut orders = match text.strip_prefix('$') {
            _ if text.is_empty() => Vec::new(),
            Some(command) => self.system(command)?,
            None if matches!(self.state, State::Alarm | State::Jog) => return Err(Code::LOCKED),
            None => self.execute(text)?,
        };
        orders.push(Order::Answer(Ok(())));
        Ok(orders)
    }

    fn say(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
        self.out.extend_from_slice(b"\r\n");
    }

    fn message(&mut self, text: &str) {
        self.say(&format!("[MSG:{text}]"));
    }

    fn is_laser(&self) -> bool {
        self.settings.is_on(32)
    }

    #[must_use]
    pub fn truth(&self) -> &Truth {
        &self.truth
    }

    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Bytes that wait in the receive buffer.
    #[must_use]
    pub fn rx_len(&self) -> usize {
        self.rx.len()
    }
}

#[cfg(test)]
mod tests;
