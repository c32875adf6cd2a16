//! `$` commands (`system.c`, `doc/markdown/commands.md`).

use super::block::Spindle;
use super::obey::Order;
use super::settings::{ALL_BYTES, LINE_BYTES, SETTING_BYTES, Settings, write_time};
use super::{Code, Flavor, Grbl, State};
use crate::machine::words;
use std::time::Duration;

const HELP: &str = "[HLP:$$ $# $G $I $N $x=val $Nx=line $J=line $SLP $C $X $H ~ ! ? ctrl-x]";

impl Grbl {
    pub(super) fn greet(&mut self) {
        self.out.extend_from_slice(b"\r\n");
        self.say(match self.options.flavor {
            Flavor::Grbl => "Grbl 1.1h ['$' for help]",
            Flavor::GrblHal => "GrblHAL 1.1f ['$' or '$HELP' for help]",
        });
    }

    /// Startup lines, as they run after a reset and after homing.
    pub(super) fn startup(&mut self) -> Vec<Order> {
        let mut all = Vec::new();
        for line in self.settings.startup.clone() {
            if line.is_empty() {
                continue;
            }
            let answer = match self.execute(&line) {
                Ok(orders) => {
                    all.extend(orders);
                    "ok".to_owned()
                }
                Err(Code(number)) => format!("error:{number}"),
            };
            all.push(Order::Say(format!(">{line}:{answer}")));
        }
        all
    }

    /// What is behind the `$`.
    pub(super) fn system(&mut self, command: &str) -> Result<Vec<Order>, Code> {
        match command {
            "" => self.say(HELP),
            "$" if matches!(self.state, State::Run | State::Hold) => return Err(Code::NOT_IDLE),
            "$" => {
                let lines: Vec<_> = self.settings.lines().collect();
                lines.iter().for_each(|line| self.say(line));
            }
            "G" => {
                let modes = self.parser_state();
                self.say(&modes);
            }
            "C" => return self.toggle_check(),
            "X" => self.unlock()?,
            _ if command.starts_with('J') => {
                if !matches!(self.state, State::Idle | State::Jog) {
                    return Err(Code::NOT_IDLE);
                }
                return self.jog(command.strip_prefix("J=").ok_or(Code::STATEMENT)?);
            }
            _ if command.starts_with(['$', 'G', 'C', 'X']) => return Err(Code::STATEMENT),
            _ if !matches!(self.state, State::Idle | State::Alarm) => return Err(Code::NOT_IDLE),
            _ => return self.system_at_rest(command),
        }
        Ok(Vec::new())
    }

    fn toggle_check(&mut self) -> Result<Vec<Order>, Code> {
        match self.state {
            State::Check => {
                self.message("Disabled");
                Ok(vec![Order::OkAndReset])
            }
            State::Idle => {
                self.state = State::Check;
                self.message("Enabled");
                Ok(Vec::new())
            }
            _ => Err(Code::NOT_IDLE),
        }
    }

    fn unlock(&mut self) -> Result<(), Code> {
        if self.state == State::Alarm {
            if self.pins.door {
                return Err(Code::DOOR);
            }
            self.message("Caution: Unlocked");
            self.state = State::Idle;
        }
        Ok(())
    }

    /// Commands that only work while idle or in an alarm.
    fn system_at_rest(&mut self, command: &str) -> Result<Vec<Order>, Code> {
        match command {
            "#" => {
                for line in self.parameters() {
                    self.say(&line);
                }
            }
            "I" => {
                for line in self.build_info() {
                    self.say(&line);
                }
            }
            "N" => {
                for (number, line) in self.settings.startup.clone().iter().enumerate() {
                    self.say(&format!("$N{number}={line}"));
                }
            }
            "SLP" => return Ok(vec![Order::OkAndSleep]),
            "RST=$" | "RST=#" | "RST=*" => return Ok(self.restore_defaults(command)),
            _ => {}
        }
        let first = command.chars().next().expect("an empty command is the help");
        match first {
            '#' if command == "#" => Ok(Vec::new()),
            '#' | 'S' | 'R' => Err(Code::STATEMENT),
            'H' => self.home(&command[1..]),
            'I' if command.len() > 1 => {
                let line = command.strip_prefix("I=").ok_or(Code::STATEMENT)?;
                self.settings.build = line.to_owned();
                Ok(write(LINE_BYTES))
            }
            'N' if command.len() > 1 => self.set_startup(&command[1..]),
            'I' | 'N' => Ok(Vec::new()),
            _ => self.set(command),
        }
    }

    fn set_startup(&mut self, text: &str) -> Result<Vec<Order>, Code> {
        if self.state != State::Idle {
            return Err(Code::NOT_IDLE);
        }
        let (number, rest) = words::number(text).ok_or(Code::BAD_NUMBER)?;
        let line = rest.strip_prefix('=').ok_or(Code::STATEMENT)?.to_owned();
        let mut orders = self.execute(&line)?;
        if let Some(place) = self.settings.startup.get_mut(number as usize) {
            *place = line;
        }
        orders.extend(write(LINE_BYTES));
        Ok(orders)
    }

    /// `$x=value`.
    fn set(&mut self, command: &str) -> Result<Vec<Order>, Code> {
        let (number, rest) = words::number(command).ok_or(Code::BAD_NUMBER)?;
        let rest = rest.strip_prefix('=').ok_or(Code::STATEMENT)?;
        let (value, rest) = words::number(rest).ok_or(Code::BAD_NUMBER)?;
        if !rest.is_empty() {
            return Err(Code::STATEMENT);
        }
        self.settings.set(number, value)?;
        self.motion.set_limits(self.settings.limits());
        self.reports.offsets = 0;
        Ok(write(SETTING_BYTES))
    }

    fn restore_defaults(&mut self, command: &str) -> Vec<Order> {
        let fresh = Settings::new(&self.options.settings);
        match command {
            "RST=$" => self.settings.take_values(fresh),
            "RST=#" => self.settings.coordinates = fresh.coordinates,
            _ => self.settings = fresh,
        }
        self.motion.set_limits(self.settings.limits());
        let mut orders = write(ALL_BYTES);
        orders.push(Order::Say("[MSG:Restoring defaults]".to_owned()));
        orders.push(Order::OkAndReset);
        orders
    }

    /// `$H`: Z first, then X and Y; it takes as long as the way does.
    fn home(&mut self, axis: &str) -> Result<Vec<Order>, Code> {
        if !self.settings.is_on(22) {
            return Err(Code::SETTING_DISABLED);
        }
        if self.pins.door {
            return Err(Code::DOOR);
        }
        if !axis.is_empty() {
            return Err(Code::STATEMENT);
        }
        self.state = State::Home;
        let pull_off = self.settings.get(27);
        let home: [f64; 3] = std::array::from_fn(|axis| {
            let negative = self.settings.bits(23) & (1 << axis) != 0;
            let travel = self.settings.get(130 + axis as u8);
            if negative { pull_off - travel } else { -pull_off }
        });
        let [x, y, z, _] = self.motion.position();
        let ways = [home[0] - x, home[1] - y, home[2] - z].map(f64::abs);
        let seek = self.settings.get(25).max(1.0) / 60.0;
        let locate = self.settings.get(24).max(1.0) / 60.0;
        let seconds = (ways[2] + ways[0].max(ways[1])) / seek + 4.0 * pull_off / locate;
        self.set_spindle(Spindle::Off, 0.0);
        let until = self.now + Duration::from_secs_f64(seconds);
        Ok(vec![Order::Wait { until }, Order::Homed(home), Order::Startup])
    }

    fn build_info(&self) -> Vec<String> {
        let Self { options, settings, .. } = self;
        let sizes = format!("{},{}", options.blocks, options.rx_bytes);
        match options.flavor {
            Flavor::Grbl => {
                vec![format!("[VER:1.1h.20190830:{}]", settings.build), format!("[OPT:VM,{sizes}]")]
            }
            Flavor::GrblHal => vec![
                format!("[VER:1.1f.20240222:{}]", settings.build),
                format!("[OPT:VNMSL,{sizes},3,0]"),
                "[NEWOPT:ENUMS,RT+]".to_owned(),
                "[FIRMWARE:grblHAL]".to_owned(),
            ],
        }
    }
}

/// EEPROM writes wait until nothing moves (`FORCE_BUFFER_SYNC_DURING_EEPROM_WRITE`).
fn write(bytes: u32) -> Vec<Order> {
    vec![Order::Sync, Order::Write(write_time(bytes))]
}
