//! Lines as they come in: numbers, checksums, and what is heard before its turn.

use super::{Command, LINE_CHARS_MAX, Line, Marlin};

impl Marlin {
    /// A byte from the receive buffer (`get_serial_commands`).
    pub(super) fn read(&mut self, byte: u8) {
        match byte {
            b'\r' | b'\n' => {
                let line = std::mem::take(&mut self.line).text;
                if !line.is_empty() {
                    self.take_in(line.trim_start_matches(' '));
                }
            }
            b';' => self.line.skip = true,
            _ if self.line.skip => {}
            _ => {
                self.line.text.push(char::from(byte));
                self.line.skip = self.line.text.chars().count() >= LINE_CHARS_MAX;
            }
        }
    }

    /// A whole line: its number and checksum are looked at before it has a place in the queue.
    fn take_in(&mut self, line: &str) {
        let mut command = Command { number: None, text: line.to_owned() };
        if let Some(behind) = line.strip_prefix('N') {
            let renumbers = line.contains("M110");
            let second = line.get(4..).and_then(|rest| rest.rsplit_once('N'));
            let text = if renumbers { second.map_or(behind, |(_, text)| text) } else { behind };
            let number = whole(text);
            if number != self.last_number + 1 && !renumbers {
                return self.refuse("Line Number is not Last Line Number+1");
            }
            let Some((body, sum)) = line.rsplit_once('*') else {
                return self.refuse("No Checksum with line number");
            };
            let own = body.chars().fold(0, |sum, c| sum ^ (c as u32 as u8));
            if whole(sum) != i64::from(own) {
                return self.refuse("checksum mismatch");
            }
            self.last_number = number;
            let text = body[1..].trim_start_matches(|c: char| c.is_ascii_digit() || c == '-');
            command = Command { number: Some(number), text: text.trim().to_owned() };
        } else if !self.options.emergency_parser {
            // Without the emergency parser, such a line is looked at when it is read.
            self.emergency(line);
        }
        if !self.killed {
            self.queue.push_back(command);
        }
    }

    /// A line is asked for again; what has come after it is gone.
    fn refuse(&mut self, why: &str) {
        self.truth.lines_refused += 1;
        self.say(&format!("Error:{why}, Last Line: {}", self.last_number));
        self.ask_again();
    }

    pub(super) fn ask_again(&mut self) {
        self.rx.clear();
        self.line = Line::default();
        self.say(&format!("Resend: {}", self.last_number + 1));
        if self.options.ok_after_resend {
            self.say("ok");
        }
    }

    /// The emergency parser: acts at the end of the line, before the line has its turn.
    pub(super) fn hear(&mut self, byte: u8) {
        if !matches!(byte, b'\r' | b'\n') {
            if self.emergency.len() < LINE_CHARS_MAX {
                self.emergency.push(char::from(byte));
            }
            return;
        }
        let line = std::mem::take(&mut self.emergency);
        let line = line.trim_start_matches(' ');
        let numbered = |c: char| c.is_ascii_digit() || matches!(c, ' ' | '-');
        let command = line.strip_prefix('N').map_or(line, |rest| rest.trim_start_matches(numbered));
        self.emergency(command);
    }

    fn emergency(&mut self, command: &str) {
        match command.get(..4) {
            Some("M108") => self.stop_waiting(),
            Some("M112") => self.kill(),
            Some("M410") => self.quick_stop(),
            Some(_) | None => {}
        }
    }
}

/// The whole number that a text begins with, or 0 (`strtol`).
fn whole(text: &str) -> i64 {
    let text = text.trim_start();
    let sign = usize::from(text.starts_with(['-', '+']));
    let end = text[sign..].find(|c: char| !c.is_ascii_digit()).map_or(text.len(), |at| sign + at);
    text[..end].parse().unwrap_or(0)
}
