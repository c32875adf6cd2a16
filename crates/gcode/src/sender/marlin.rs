//! Marlin with line numbers and checksums.
//!
//! Each line is `N<number> <line>*<sum>`; a line that arrives spoilt or out of its order is asked
//! for with `Resend: n`, followed by an `ok` that belongs to no line (`queue.cpp`,
//! `flush_and_request_resend`). One line is under way at a time, unless `ADVANCED_OK` says that
//! there is room for more.

use super::{Event, Unsendable};
use crate::detect::Firmware;
use crate::profile::rules;
use crate::status::{Ack, Report};
use crate::words::sum;
use std::collections::VecDeque;
use std::io::Write;

/// Lines that can be sent again. OctoPrint keeps 50; a line that waits in both the UART and the
/// command queue is at most 20 behind.
const HISTORY_LINES: usize = 64;

/// However much room a machine says it has, no more lines are under way: they must be in the
/// history, and in its receive buffer.
const IN_FLIGHT_MAX: usize = 4;

/// `N4294967295 ` and `*255`.
const FRAME_BYTES: usize = 16;

/// One job's sender.
#[derive(Clone, Debug)]
pub struct Sender {
    line_bytes_max: usize,
    rx_bytes: usize,
    /// All lines that were pushed and may be asked for again, oldest first.
    history: VecDeque<Numbered>,
    /// Of these, so many have been answered,
    answered: usize,
    /// and so many given out.
    sent: usize,
    /// The number of the next line.
    next_number: u32,
    /// Lines of the machine's queue that were free at its last `ok`.
    lines_free: Option<u16>,
    /// The `ok` after a `Resend:` is none for a line.
    skip_ok: bool,
    stopped: bool,
}

#[derive(Clone, Debug)]
struct Numbered {
    number: u32,
    line: u64,
    /// With number, checksum and end.
    text: Vec<u8>,
}

impl Sender {
    #[must_use]
    pub fn new(firmware: &Firmware) -> Self {
        let mut sender = Self {
            line_bytes_max: rules(firmware.profile).line_bytes_max,
            rx_bytes: firmware.rx_bytes,
            history: VecDeque::new(),
            answered: 0,
            sent: 0,
            next_number: 0,
            lines_free: None,
            skip_ok: false,
            stopped: false,
        };
        // Sets the number, so that it does not matter what went before.
        sender.number(0, b"M110 N0");
        sender
    }

    #[must_use]
    pub fn wants_line(&self) -> bool {
        self.sent == self.history.len() && !self.stopped
    }

    /// See [`super::Sender::push`].
    ///
    /// # Errors
    /// When it cannot be sent.
    pub fn push(&mut self, number: u64, line: &[u8]) -> Result<bool, Unsendable> {
        if !self.wants_line() {
            return Err(Unsendable::Busy);
        }
        let end = line.iter().position(|byte| *byte == b';').unwrap_or(line.len());
        let text = line[..end].trim_ascii();
        if text.is_empty() {
            return Ok(false);
        }
        if text.len() + FRAME_BYTES > self.line_bytes_max {
            return Err(Unsendable::TooLong);
        }
        if let Some(byte) = text.iter().find(|byte| byte.is_ascii_control() || **byte == b'*') {
            return Err(Unsendable::Realtime(*byte));
        }
        if matches!(text[0], b'N' | b'n') || text.starts_with(b"M110") {
            return Err(Unsendable::Number);
        }
        self.number(number, text);
        Ok(true)
    }

    /// See [`super::Sender::transmit`].
    #[must_use = "what is given out counts as sent"]
    pub fn transmit(&mut self) -> Option<&[u8]> {
        if self.stopped || self.skip_ok {
            return None;
        }
        let numbered = self.history.get(self.sent)?;
        let in_flight = self.sent - self.answered;
        let room = self.lines_free.map_or(1, usize::from).clamp(1, IN_FLIGHT_MAX);
        let under_way = self.history.range(self.answered..self.sent);
        let bytes: usize = under_way.map(|line| line.text.len()).sum();
        if in_flight >= room || (in_flight > 0 && bytes + numbered.text.len() > self.rx_bytes) {
            return None;
        }
        self.sent += 1;
        Some(&self.history[self.sent - 1].text)
    }

    /// See [`super::Sender::received`].
    pub fn received(&mut self, report: &Report) -> Event {
        match report {
            Report::Ok(ack) => self.ok(ack),
            Report::Resend { line } => self.resend(*line),
            Report::Busy => Event::Alive,
            Report::Greeting | Report::Halted | Report::Alarm { .. } => {
                self.stopped = true;
                Event::Stopped
            }
            // Said of what follows: a `Resend:`, or a halt.
            Report::Error { .. }
            | Report::Status(_)
            | Report::Modes(_)
            | Report::Heat(_)
            | Report::Setting { .. }
            | Report::Other => Event::None,
        }
    }

    /// The machine has said nothing, not even `busy:`, for long enough: an answer was lost. Its
    /// oldest line is sent again; if it was the `ok` that was lost, the machine says so, and which
    /// number it waits for. `false` when it owes no answer.
    pub fn silent(&mut self) -> bool {
        let owes = self.skip_ok || self.answered < self.sent;
        self.skip_ok = false;
        self.sent = self.answered;
        owes
    }

    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.answered == self.history.len()
    }

    fn number(&mut self, line: u64, text: &[u8]) {
        // The oldest goes, once it was answered, and its memory is used again.
        let old = match self.history.len() >= HISTORY_LINES && self.answered > 0 {
            true => self.history.pop_front(),
            false => None,
        };
        let mut bytes = match old {
            Some(old) => {
                self.answered -= 1;
                self.sent -= 1;
                old.text
            }
            None => Vec::new(),
        };
        bytes.clear();
        // Writing to memory does not fail.
        let _ = write!(bytes, "N{} ", self.next_number);
        bytes.extend_from_slice(text);
        let sum = sum(&bytes);
        let _ = writeln!(bytes, "*{sum}");
        self.history.push_back(Numbered { number: self.next_number, line, text: bytes });
        self.next_number = self.next_number.wrapping_add(1);
    }

    fn ok(&mut self, ack: &Ack) -> Event {
        if ack.lines_free.is_some() {
            self.lines_free = ack.lines_free;
        }
        if std::mem::take(&mut self.skip_ok) || self.answered == self.sent {
            return Event::None;
        }
        let mut upto = self.answered;
        // With its number an `ok` also tells of those that were lost before it.
        if let Some(number) = ack.line {
            let under_way = self.history.range(self.answered..self.sent);
            match under_way.enumerate().find(|(_, line)| line.number == number) {
                Some((at, _)) => upto += at,
                None => return Event::None,
            }
        }
        self.answered = upto + 1;
        match self.history[upto].line {
            // Our own M110.
            0 => Event::None,
            line => Event::Acked { line },
        }
    }

    fn resend(&mut self, number: u32) -> Event {
        let first = self.history.front().map_or(self.next_number, |line| line.number);
        let behind = number.wrapping_sub(first);
        let at = usize::try_from(behind).unwrap_or(usize::MAX);
        // All that were given out, and the one after: those before the one asked for have arrived.
        if at > self.sent || self.next_number.wrapping_sub(first) < behind {
            self.stopped = true;
            return Event::Unresendable { number };
        }
        self.skip_ok = true;
        self.answered = at;
        self.sent = at;
        Event::Resent { line: self.history.get(at).map_or(0, |line| line.line) }
    }
}

#[cfg(test)]
mod tests;
