//! GRBL by character counting, and Smoothie in the same way.
//!
//! The controller's receive buffer is kept full, and never overfull, by counting the bytes of the
//! lines that it has not answered (GRBL 1.1 `doc/markdown/interface.md`, "Streaming Protocol:
//! Character-Counting"). Each `ok` and each `error:N` frees one line; nothing else does. Lines that
//! write to the EEPROM are sent alone: GRBL loses bytes that arrive meanwhile.

use super::{Event, Unsendable};
use crate::detect::Firmware;
use crate::profile::rules;
use crate::realtime::is_realtime;
use crate::status::{Report, State, Status};
use std::collections::VecDeque;
use wire::serial::Profile;

/// So many status reports in a row must show an empty controller before an answer is called lost.
const DRAINED_POLLS: u32 = 3;

/// A `Bf:` of an idle machine that says less is not its buffer's size.
const RX_BYTES_MIN: usize = 64;

/// One job's sender.
#[derive(Clone, Debug)]
pub struct Sender {
    profile: Profile,
    rx_bytes: usize,
    /// The line that waits for room, with its end; empty when there is none.
    staged: Vec<u8>,
    staged_line: InFlight,
    /// The line that was given out last.
    out: Vec<u8>,
    in_flight: VecDeque<InFlight>,
    in_flight_bytes: usize,
    peak_bytes: usize,
    drained_polls: u32,
    stopped: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct InFlight {
    number: u64,
    bytes: usize,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kind {
    /// Answered as soon as the planner has room.
    #[default]
    Motion,
    /// Answered when it is over, which can take any time while the machine is idle: G4, M3, M0.
    Slow,
    /// Must be alone in the controller.
    Eeprom,
}

impl Sender {
    #[must_use]
    pub fn new(firmware: &Firmware) -> Self {
        Self {
            profile: firmware.profile,
            rx_bytes: firmware.rx_bytes,
            staged: Vec::new(),
            staged_line: InFlight::default(),
            out: Vec::new(),
            in_flight: VecDeque::new(),
            in_flight_bytes: 0,
            peak_bytes: 0,
            drained_polls: 0,
            stopped: false,
        }
    }

    /// Bytes that may be in the controller: 120 of 128, 1000 of 1024, 248 of 256.
    #[must_use]
    pub fn window_bytes(&self) -> usize {
        self.rx_bytes.saturating_sub(rules(self.profile).margin_bytes)
    }

    /// The most that has been in the controller at a time, by our count.
    #[must_use]
    pub fn peak_bytes(&self) -> usize {
        self.peak_bytes
    }

    #[must_use]
    pub fn wants_line(&self) -> bool {
        self.staged.is_empty() && !self.stopped
    }

    /// See [`super::Sender::push`]. Comments and white space stay here: the firmware drops them
    /// anyway, and they would be waited for.
    ///
    /// # Errors
    /// When it cannot be sent.
    pub fn push(&mut self, number: u64, line: &[u8]) -> Result<bool, Unsendable> {
        if !self.wants_line() {
            return Err(Unsendable::Busy);
        }
        let outcome = self.stage(line);
        if outcome != Ok(true) {
            self.staged.clear();
            return outcome;
        }
        let kind = kind(&self.staged);
        self.staged.push(b'\n');
        self.staged_line = InFlight { number, bytes: self.staged.len(), kind };
        Ok(true)
    }

    /// See [`super::Sender::transmit`].
    #[must_use = "what is given out counts as sent"]
    pub fn transmit(&mut self) -> Option<&[u8]> {
        if self.staged.is_empty() || self.stopped {
            return None;
        }
        let line = self.staged_line;
        let alone = line.kind == Kind::Eeprom
            || self.in_flight.back().is_some_and(|last| last.kind == Kind::Eeprom);
        let bytes = self.in_flight_bytes + line.bytes;
        if (alone && !self.in_flight.is_empty()) || bytes > self.window_bytes() {
            return None;
        }
        self.in_flight.push_back(line);
        self.in_flight_bytes = bytes;
        self.peak_bytes = self.peak_bytes.max(bytes);
        self.drained_polls = 0;
        std::mem::swap(&mut self.staged, &mut self.out);
        self.staged.clear();
        Some(&self.out)
    }

    /// See [`super::Sender::received`].
    pub fn received(&mut self, report: &Report) -> Event {
        match report {
            Report::Ok(_) => match self.answered() {
                Some(line) => Event::Acked { line },
                None => Event::None,
            },
            Report::Error { code } => match self.answered() {
                Some(line) => {
                    self.stopped = true;
                    Event::Refused { line, code: *code }
                }
                None => Event::None,
            },
            Report::Greeting | Report::Halted | Report::Alarm { .. } => {
                self.stopped = true;
                self.in_flight.clear();
                self.in_flight_bytes = 0;
                Event::Stopped
            }
            Report::Status(status) => self.polled(status),
            Report::Modes(_)
            | Report::Resend { .. }
            | Report::Busy
            | Report::Heat(_)
            | Report::Setting { .. }
            | Report::Other => Event::None,
        }
    }

    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.staged.is_empty() && self.in_flight.is_empty()
    }

    fn stage(&mut self, line: &[u8]) -> Result<bool, Unsendable> {
        compact(line, &mut self.staged);
        let realtime = self.staged.iter().find(|byte| is_realtime(self.profile, **byte));
        if let Some(byte) = realtime {
            return Err(Unsendable::Realtime(*byte));
        }
        let max = rules(self.profile).line_bytes_max.min(self.window_bytes().saturating_sub(1));
        if self.staged.len() > max {
            return Err(Unsendable::TooLong);
        }
        Ok(!self.staged.is_empty())
    }

    fn answered(&mut self) -> Option<u64> {
        self.drained_polls = 0;
        let line = self.in_flight.pop_front()?;
        self.in_flight_bytes -= line.bytes;
        Some(line.number)
    }

    /// An empty buffer while lines are waited for: all but the last of them have been read, and
    /// only that one can still be at work. If the machine is idle it isn't either, unless it is of
    /// those that take their time. A machine that does not tell of its buffer (`$10=1`, the
    /// default) has read all of it when it is idle and nothing under way takes its time.
    fn polled(&mut self, status: &Status) -> Event {
        let free = status.free.map(|free| usize::from(free.bytes));
        if self.in_flight.is_empty() {
            if let Some(free) = free.filter(|free| *free >= RX_BYTES_MIN)
                && status.state == State::Idle
            {
                self.rx_bytes = free;
            }
            return Event::None;
        }
        let last = self.in_flight.back().copied().unwrap_or_default();
        let is_idle = status.state == State::Idle;
        let all_motion = || self.in_flight.iter().all(|line| line.kind == Kind::Motion);
        let lost = match free {
            Some(free) if free < self.rx_bytes => 0,
            Some(_) if is_idle && last.kind == Kind::Motion => self.in_flight.len(),
            Some(_) => self.in_flight.len() - 1,
            None if is_idle && all_motion() => self.in_flight.len(),
            None => 0,
        };
        if lost == 0 {
            self.drained_polls = 0;
            return Event::None;
        }
        self.drained_polls += 1;
        if self.drained_polls < DRAINED_POLLS {
            return Event::None;
        }
        let line = (0..lost).filter_map(|_| self.answered()).last();
        line.map_or(Event::None, |line| Event::LostAnswers { line })
    }
}

/// A line as the firmware keeps it (GRBL `protocol.c`), and what it would drop is not sent. `$`
/// lines may hold text, and stay as they are.
fn compact(line: &[u8], out: &mut Vec<u8>) {
    out.clear();
    let line = line.trim_ascii();
    if line.starts_with(b"$") {
        out.extend_from_slice(line);
        return;
    }
    let mut comment = false;
    for &byte in line {
        match byte {
            b')' if comment => comment = false,
            _ if comment => {}
            b';' => break,
            b'(' => comment = true,
            b' ' | b'\t' | b'\r' | b'\n' => {}
            byte => out.push(byte),
        }
    }
    // Begins and ends a program in a file, and is no command.
    if out == b"%" {
        out.clear();
    }
}

/// `$x=`, `$Nx=`, `$I=`, `$RST=`, `G10 L2`, `G10 L20`, `G28.1`, `G30.1` write to the EEPROM; G54 to
/// G59, `$$`, `$I`, `$N` and `$#` read it, which GRBL's documentation counts in.
fn kind(line: &[u8]) -> Kind {
    if line[0] == b'$' {
        return Kind::Eeprom;
    }
    let mut slow = false;
    let mut rest = line;
    while let Some((&letter, after)) = rest.split_first() {
        let length =
            after.iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'.').count();
        let (number, after) = after.split_at(length);
        let number = number.trim_ascii_start();
        let zeros = number.iter().take_while(|byte| **byte == b'0').count();
        match (letter.to_ascii_uppercase(), &number[zeros..]) {
            (b'G', b"10" | b"28.1" | b"30.1") => return Kind::Eeprom,
            (b'G', b"54" | b"55" | b"56" | b"57" | b"58" | b"59") => return Kind::Eeprom,
            (b'G', number) if !is_motion(number) => slow = true,
            (b'M', _) => slow = true,
            _ => {}
        }
        rest = after;
    }
    if slow { Kind::Slow } else { Kind::Motion }
}

/// G0 to G3: answered as soon as they are planned.
fn is_motion(number: &[u8]) -> bool {
    matches!(number, b"" | b"1" | b"2" | b"3" | b"17" | b"20" | b"21" | b"90" | b"91" | b"94")
}

#[cfg(test)]
mod tests;
