//! A port over telnet, for programs that speak RFC 2217 (pyserial's `rfc2217://`, gensio,
//! `esptool`); without I/O.
//!
//! What a program asks for is answered with what the port there really does: a line coding when
//! the peer has said [`Down::Coding`], the rest at once, since modem lines can be set or not but
//! never otherwise. A port without modem lines, such as a pty, is answered the same: programs
//! give up when DTR is not confirmed.
//!
//! Source: RFC 2217 §3.

use super::telnet::{BINARY, ECHO, Event, SUPPRESS_GO_AHEAD, Telnet, escape, subnegotiation};
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;
use wire::serial::{Down, Flow, LineCoding, LineErrors, ModemLines, Parity, StopBits, Up};

/// The telnet option of RFC 2217.
pub const COM_PORT: u8 = 44;
const KNOWN: &[u8] = &[BINARY, ECHO, SUPPRESS_GO_AHEAD, COM_PORT];

/// Commands from the client; answers have 100 more.
const SIGNATURE: u8 = 0;
const SET_BAUDRATE: u8 = 1;
const SET_DATASIZE: u8 = 2;
const SET_PARITY: u8 = 3;
const SET_STOPSIZE: u8 = 4;
const SET_CONTROL: u8 = 5;
const NOTIFY_LINESTATE: u8 = 6;
const NOTIFY_MODEMSTATE: u8 = 7;
const FLOWCONTROL_SUSPEND: u8 = 8;
const FLOWCONTROL_RESUME: u8 = 9;
const SET_LINESTATE_MASK: u8 = 10;
const SET_MODEMSTATE_MASK: u8 = 11;
const PURGE_DATA: u8 = 12;
const ANSWER: u8 = 100;

/// The server's side of one connection.
#[derive(Debug)]
pub struct Port {
    telnet: Telnet,
    /// What the port is set to, as far as we have heard.
    coding: LineCoding,
    /// What it will be set to when everything asked for is done.
    asked: LineCoding,
    /// Commands that wait for the port, with what was asked of it.
    pending: VecDeque<(Setting, LineCoding)>,
    lines: ModemLines,
    /// The modem state that the client has last heard of; `None` when none.
    told: Option<u8>,
    modem_mask: u8,
    line_mask: u8,
    has_break: bool,
    dtr: bool,
    rts: bool,
    is_suspended: bool,
}

/// What a client sets of a line coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Setting {
    BaudRate,
    DataSize,
    Parity,
    StopSize,
    Flow,
}

impl Default for Port {
    fn default() -> Self {
        let coding = LineCoding::default();
        Self {
            telnet: Telnet::new(KNOWN),
            coding,
            asked: coding,
            pending: VecDeque::new(),
            lines: ModemLines::default(),
            told: None,
            modem_mask: 0xff,
            line_mask: 0,
            has_break: false,
            dtr: true,
            rts: true,
            is_suspended: false,
        }
    }
}

impl Port {
    /// What is said first: bytes as they are, no line editing, and that we are a port.
    pub fn greet(&mut self, out: &mut BytesMut) {
        for (option, theirs) in [
            (SUPPRESS_GO_AHEAD, false),
            (ECHO, false),
            (BINARY, false),
            (BINARY, true),
            (COM_PORT, true),
        ] {
            self.telnet.ask(option, theirs, out);
        }
    }

    /// Whether the client wants no data now.
    #[must_use]
    pub fn is_suspended(&self) -> bool {
        self.is_suspended
    }

    /// What the client has sent. Answers go to `out`.
    pub fn received(
        &mut self,
        mut input: Bytes,
        ups: &mut VecDeque<(Up, Bytes)>,
        out: &mut BytesMut,
    ) {
        while let Some(event) = self.telnet.take(&mut input, out) {
            match event {
                Event::Data(data) => ups.push_back((Up::Data, data)),
                Event::Subnegotiation { option: COM_PORT, data } => {
                    if let Some((&command, value)) = data.split_first() {
                        self.command(command, value, ups, out);
                    }
                }
                Event::Option { option: COM_PORT, theirs: true, on: true } => self.tell(true, out),
                Event::Subnegotiation { .. } | Event::Option { .. } => {}
            }
        }
    }

    /// What comes from the port.
    pub fn down(&mut self, down: Down, data: &[u8], out: &mut BytesMut) {
        match down {
            Down::Data => escape(data, out),
            Down::Coding(coding) => self.answer_codings(coding, out),
            Down::Lines(lines) => {
                self.lines = lines;
                self.tell(false, out);
            }
            Down::Errors(errors) => {
                let state = line_state(errors) & self.line_mask;
                if state != 0 {
                    answer(NOTIFY_LINESTATE, &[state], out);
                }
            }
            Down::Stopped { .. } => {}
        }
    }

    /// Answers what this coding comes of: what was asked for with it, or else the oldest question.
    fn answer_codings(&mut self, coding: LineCoding, out: &mut BytesMut) {
        self.coding = coding;
        let met = self.pending.iter().position(|(_, asked)| *asked == coding).unwrap_or(0);
        let Some((_, met)) = self.pending.get(met).copied() else {
            self.asked = coding;
            return;
        };
        let mut has_come = false;
        while let Some((setting, asked)) = self.pending.front().copied() {
            if has_come && asked != met {
                return;
            }
            has_come |= asked == met;
            self.pending.pop_front();
            answer_coding(setting, &coding, out);
        }
        self.asked = coding;
    }

    fn command(
        &mut self,
        command: u8,
        value: &[u8],
        ups: &mut VecDeque<(Up, Bytes)>,
        out: &mut BytesMut,
    ) {
        match (command, value) {
            (SIGNATURE, []) => answer(SIGNATURE, b"farhub", out),
            (SET_BAUDRATE, &[b0, b1, b2, b3]) => {
                let baud_rate = u32::from_be_bytes([b0, b1, b2, b3]);
                let asked = LineCoding { baud_rate, ..self.asked };
                self.set(Setting::BaudRate, Some(asked), ups, out);
            }
            (SET_DATASIZE, &[data_bits]) => {
                let asked = LineCoding { data_bits, ..self.asked };
                self.set(Setting::DataSize, Some(asked), ups, out);
            }
            (SET_PARITY, &[code]) => {
                let parity = PARITIES.get(usize::from(code).wrapping_sub(1));
                let asked = parity.map(|parity| LineCoding { parity: *parity, ..self.asked });
                self.set(Setting::Parity, asked, ups, out);
            }
            (SET_STOPSIZE, &[code]) => {
                let stop_bits = STOP_SIZES.get(usize::from(code).wrapping_sub(1));
                let asked = stop_bits.map(|bits| LineCoding { stop_bits: *bits, ..self.asked });
                self.set(Setting::StopSize, asked, ups, out);
            }
            (SET_CONTROL, &[code]) => self.control(code, ups, out),
            (NOTIFY_LINESTATE, _) => answer(NOTIFY_LINESTATE, &[LINE_IDLE], out),
            (NOTIFY_MODEMSTATE, _) => self.tell(true, out),
            (FLOWCONTROL_SUSPEND, _) => self.is_suspended = true,
            (FLOWCONTROL_RESUME, _) => self.is_suspended = false,
            (SET_LINESTATE_MASK, &[mask]) => {
                self.line_mask = mask;
                answer(SET_LINESTATE_MASK, &[mask], out);
            }
            (SET_MODEMSTATE_MASK, &[mask]) => {
                self.modem_mask = mask;
                answer(SET_MODEMSTATE_MASK, &[mask], out);
            }
            (PURGE_DATA, &[what]) => {
                let (input, output) = (what & 1 != 0, what & 2 != 0);
                ups.push_back((Up::Purge { input, output }, Bytes::new()));
                answer(PURGE_DATA, &[what], out);
            }
            // The client's name, answers to what we never ask, and what nobody knows.
            _ => {}
        }
    }

    /// Asks the port for a coding, or answers what it is when that one cannot be meant. Clients
    /// set everything at once, changed or not: what changes nothing waits with what did.
    fn set(
        &mut self,
        setting: Setting,
        asked: Option<LineCoding>,
        ups: &mut VecDeque<(Up, Bytes)>,
        out: &mut BytesMut,
    ) {
        match asked.filter(LineCoding::is_valid) {
            Some(asked) if self.pending.len() < PENDING_MAX => {
                let is_asked = self.asked == asked && !self.pending.is_empty();
                if self.coding == asked && self.pending.is_empty() {
                    return answer_coding(setting, &asked, out);
                }
                self.pending.push_back((setting, asked));
                if !is_asked {
                    self.asked = asked;
                    ups.push_back((Up::Coding(asked), Bytes::new()));
                }
            }
            Some(_) | None => answer_coding(setting, &self.coding, out),
        }
    }

    fn control(&mut self, code: u8, ups: &mut VecDeque<(Up, Bytes)>, out: &mut BytesMut) {
        let flow = |flow| Some(LineCoding { flow, ..self.asked });
        let say = |on: bool, (yes, no): (u8, u8), out: &mut BytesMut| {
            answer(SET_CONTROL, &[if on { yes } else { no }], out);
        };
        match code {
            1 => return self.set(Setting::Flow, flow(Flow::None), ups, out),
            2 => return self.set(Setting::Flow, flow(Flow::Software), ups, out),
            3 => return self.set(Setting::Flow, flow(Flow::Hardware), ups, out),
            // Flow control by carrier or DSR, which no port of ours has, and what is.
            0 | 17 | 19 => return answer_coding(Setting::Flow, &self.coding, out),
            // The other direction has no flow control of its own.
            13..=16 | 18 => {
                let codes = [(Flow::None, 14), (Flow::Software, 15), (Flow::Hardware, 16)];
                let found = codes.iter().find(|(flow, _)| *flow == self.coding.flow);
                return answer(SET_CONTROL, &[found.map_or(14, |(_, code)| *code)], out);
            }
            5 | 6 => {
                self.has_break = code == 5;
                ups.push_back((Up::Break { on: self.has_break }, Bytes::new()));
            }
            8 | 9 => {
                self.dtr = code == 8;
                modem(Some(self.dtr), None, ups);
            }
            11 | 12 => {
                self.rts = code == 11;
                modem(None, Some(self.rts), ups);
            }
            4 | 7 | 10 => {}
            _ => return,
        }
        match code {
            4..=6 => say(self.has_break, (5, 6), out),
            7..=9 => say(self.dtr, (8, 9), out),
            _ => say(self.rts, (11, 12), out),
        }
    }

    /// Tells the modem lines, when the client is to hear of what has changed or has asked.
    fn tell(&mut self, has_asked: bool, out: &mut BytesMut) {
        let ModemLines { cts, dsr, ring, carrier } = self.lines;
        let bit = |on, bit: u8| if on { bit } else { 0 };
        let state = bit(cts, 0x10) | bit(dsr, 0x20) | bit(ring, 0x40) | bit(carrier, 0x80);
        let before = self.told.unwrap_or(state);
        // Of the ring line only its end is told.
        let changes = (state ^ before) & 0xb0 | before & !state & 0x40;
        let told = (state | changes >> 4) & self.modem_mask;
        let has_option = self.telnet.has(COM_PORT, true);
        if has_option && (has_asked || (state ^ before) & self.modem_mask != 0) {
            answer(NOTIFY_MODEMSTATE, &[told], out);
        }
        if has_option {
            self.told = Some(state);
        }
    }
}

/// Sets modem lines, both at the same moment when they come together.
fn modem(dtr: Option<bool>, rts: Option<bool>, ups: &mut VecDeque<(Up, Bytes)>) {
    if let Some((Up::Modem { dtr: had_dtr, rts: had_rts }, _)) = ups.back_mut() {
        if dtr.is_some() && had_dtr.is_none() {
            *had_dtr = dtr;
            return;
        }
        if rts.is_some() && had_rts.is_none() {
            *had_rts = rts;
            return;
        }
    }
    ups.push_back((Up::Modem { dtr, rts }, Bytes::new()));
}

fn answer_coding(setting: Setting, coding: &LineCoding, out: &mut BytesMut) {
    let code = |at: Option<usize>| u8::try_from(at.unwrap_or(0) + 1).expect("five at most");
    match setting {
        Setting::BaudRate => answer(SET_BAUDRATE, &coding.baud_rate.to_be_bytes(), out),
        Setting::DataSize => answer(SET_DATASIZE, &[coding.data_bits], out),
        Setting::Parity => {
            let parity = PARITIES.iter().position(|parity| *parity == coding.parity);
            answer(SET_PARITY, &[code(parity)], out);
        }
        Setting::StopSize => {
            let size = STOP_SIZES.iter().position(|size| *size == coding.stop_bits);
            answer(SET_STOPSIZE, &[code(size)], out);
        }
        Setting::Flow => {
            let flows = [Flow::None, Flow::Software, Flow::Hardware];
            let flow = flows.iter().position(|flow| *flow == coding.flow);
            answer(SET_CONTROL, &[code(flow)], out);
        }
    }
}

fn answer(command: u8, value: &[u8], out: &mut BytesMut) {
    subnegotiation(COM_PORT, &[&[command + ANSWER], value].concat(), out);
}

/// Overrun 2, parity 4, framing 8, break 16.
fn line_state(errors: LineErrors) -> u8 {
    let LineErrors { framing, parity, overrun, breaks } = errors;
    let bits = [(overrun, 2), (parity, 4), (framing, 8), (breaks, 16)];
    bits.iter().filter(|(count, _)| *count > 0).map(|(_, bit)| bit).sum()
}

/// Both transmit registers empty, as far as anybody can tell here.
const LINE_IDLE: u8 = 0x60;

/// In the order of their codes, from 1.
const PARITIES: [Parity; 5] =
    [Parity::None, Parity::Odd, Parity::Even, Parity::Mark, Parity::Space];
const STOP_SIZES: [StopBits; 3] = [StopBits::One, StopBits::Two, StopBits::OneAndHalf];

/// Settings that wait for the port; further ones are answered with what it is set to.
const PENDING_MAX: usize = 64;

#[cfg(test)]
mod tests;
