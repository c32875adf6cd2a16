//! What goes to the machine: judged, paced, in order.

use super::{Act, Core};
use crate::machine::pace::Pace;
use crate::machine::queue::{Line, Next, Queue};
use bytes::{Buf, Bytes};
use gcode::detect::Firmware;
use gcode::gate::{Gate, Latch, Refused, Verdict};
use gcode::lines::Lines;
use gcode::profile::{is_answered, is_grbl};
use gcode::realtime::{self, Lane, RESUME};
use gcode::words::without_comments;
use std::time::Instant;
use wire::serial::{Down, LineCoding, Profile, Up};

#[derive(Debug)]
pub(super) struct Sending {
    pub(super) queue: Queue,
    pace: Pace,
    lane: Lane,
    profile: Profile,
    gate: Gate,
    pub(super) latch: Latch,
    /// A line that may go, as far as it has not gone.
    line: Bytes,
    /// Where the last [`Act`] came from.
    given: Given,
    /// What was sent, as lines, where it was not judged by lines.
    sent: Lines,
    /// A line has gone in part.
    is_within: bool,
    /// When there is room again.
    pub(super) retry_at: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
enum Given {
    Immediate,
    Urgent,
    Line,
    Queue,
}

impl Sending {
    /// `tells`: whether the port says what is unsent.
    pub(super) fn new(profile: Profile, coding: &LineCoding, tells: bool, now: Instant) -> Self {
        let is_pipe = profile == Profile::Raw && !tells;
        let pace = if is_pipe { Pace::pipe(coding, now) } else { Pace::new(coding, now) };
        Self {
            queue: Queue::default(),
            pace,
            lane: Lane::new(profile, false),
            profile,
            gate: Gate::new(profile),
            latch: Latch::new(profile),
            line: Bytes::new(),
            given: Given::Immediate,
            sent: Lines::default(),
            is_within: false,
            retry_at: None,
        }
    }

    /// More is known of the firmware.
    pub(super) fn lane_of(&mut self, firmware: &Firmware) {
        self.lane = Lane::new(firmware.profile, firmware.emergency_parser);
    }

    /// Forgets the bytes that have not gone, as the machine forgets those that have, and says how
    /// many they were.
    fn forget(&mut self) -> usize {
        let bytes = self.queue.bytes() + self.line.len();
        self.queue.forget();
        self.line = Bytes::new();
        self.sent.reset();
        self.is_within = false;
        bytes
    }

    /// Forgets everything that has not gone, and says how many bytes that were.
    pub(super) fn clear(&mut self) -> usize {
        let bytes = self.queue.bytes() + self.line.len();
        self.queue.clear();
        self.line = Bytes::new();
        self.lane.reset();
        self.sent.reset();
        self.is_within = false;
        bytes
    }

    /// How many bytes go before those that overtake, for the line to be whole that has gone in
    /// part: Marlin takes in lines, and only bytes of others overtake within one.
    fn before_urgent(&self) -> usize {
        if !self.is_within || self.profile != Profile::Marlin {
            0
        } else if self.line.is_empty() {
            self.queue.line_bytes().unwrap_or(0)
        } else {
            self.line.len()
        }
    }

    fn room(&mut self, told: Option<usize>, wanted: usize, now: Instant) -> usize {
        let unsent = self.pace.unsent(told, now);
        let room = self.pace.room(unsent, wanted);
        self.retry_at = (room == 0).then(|| now + self.pace.wait(unsent));
        room
    }
}

impl Core {
    /// Whether the program may send more.
    pub(in crate::machine) fn has_room(&self) -> bool {
        self.sending.queue.has_room()
    }

    /// Bytes of the program, that it sent knowing of every stop.
    pub(super) fn program_bytes(&mut self, bytes: Bytes, now: Instant) {
        let Sending { queue, latch, profile, .. } = &mut self.sending;
        if *profile == Profile::Raw {
            if latch.is_set() {
                self.counters.dropped += bytes.len() as u64;
            } else {
                queue.push(bytes);
            }
            return;
        }
        let profile = *profile;
        // what a reset makes the machine forget is what was sent before it
        for piece in bytes.split_inclusive(|byte| realtime::forgets(profile, *byte)) {
            let Sending { lane, queue, .. } = &mut self.sending;
            let (mut rest, mut realtime) = (Vec::with_capacity(piece.len()), Vec::new());
            lane.split(piece, &mut rest, &mut realtime);
            queue.push(if realtime.is_empty() && rest.len() == piece.len() {
                bytes.slice_ref(piece)
            } else {
                rest.into()
            });
            self.overtaking(&realtime, now);
        }
    }

    /// Bytes that the machine takes in at once, whatever is queued.
    pub(super) fn overtaking(&mut self, bytes: &[u8], now: Instant) {
        let profile = self.sending.profile;
        let is_unarmed = self.is_unarmed_with_beam();
        for byte in bytes.iter().copied() {
            if realtime::forgets(profile, byte) {
                // nor may the rest of a line come behind it
                self.counters.dropped += self.sending.forget() as u64;
                self.hearing.answers.forget();
            }
            if byte == realtime::RESET && is_grbl(profile) {
                self.hearing.answers.resetting(now);
            }
            // Marlin carries these out as they come, and answers them in their turn
            if byte == b'\n' && profile == Profile::Marlin {
                self.hearing.answers.sent(bytes.len(), now);
                self.beam.line(b"M108");
            }
            let Sending { queue, latch, .. } = &mut self.sending;
            if matches!(byte, b'?' | 0x80 | 0x87) {
                self.hearing.answers.program_asked(now);
            }
            // what was stopped does not go on by a byte, nor does a beam that nobody has armed
            if (latch.is_set() || is_unarmed) && matches!(byte, RESUME | CYCLE_START) {
                self.counters.dropped += 1;
                continue;
            }
            latch.realtime(byte);
            queue.push_urgent(byte);
            if let Some(job) = &mut self.job {
                job.overtaken(byte);
            }
        }
        if !self.sending.latch.is_set() {
            self.unlatched();
        }
    }

    /// What to do to the port next. `told`: what the port says that is unsent; `is_sent`: whether
    /// everything is on the wire.
    pub(in crate::machine) fn act(
        &mut self,
        told: Option<usize>,
        is_sent: impl Fn() -> bool,
        now: Instant,
    ) -> Option<Act> {
        self.sending.retry_at = None;
        let reckoned = self.sending.pace.unsent(told, now);
        self.climb_left(reckoned, now);
        if let Some(act) = self.immediate.front() {
            self.sending.given = Given::Immediate;
            return Some(act.clone());
        }
        if self.climb.is_some() {
            return None;
        }
        loop {
            let first = match self.sending.queue.is_urgent() {
                true => self.sending.before_urgent(),
                false => usize::MAX,
            };
            if !self.sending.line.is_empty() && first > 0 {
                let room = self.sending.room(told, self.sending.line.len(), now);
                self.sending.given = Given::Line;
                return (room > 0).then(|| Act::Write(self.sending.line.slice(..room)));
            }
            match self.sending.queue.next(first) {
                Next::Urgent(byte) => {
                    self.sending.given = Given::Urgent;
                    return Some(Act::Write(Bytes::copy_from_slice(&[byte])));
                }
                Next::Bytes(_) if self.is_judged() => {
                    if let Some(until) = self.owed_until(now) {
                        self.sending.retry_at = Some(until);
                        return None;
                    }
                    let line = self.sending.queue.take_line()?;
                    self.judge(line, now);
                }
                Next::Bytes(bytes) => {
                    let bytes = bytes.slice(..bytes.len().min(first));
                    let room = self.sending.room(told, bytes.len(), now);
                    self.sending.given = Given::Queue;
                    return (room > 0).then(|| bytes.slice(..room)).map(Act::Write);
                }
                Next::Do(_) if reckoned > 0 || !(is_sent() || self.sending.pace.is_due(now)) => {
                    self.sending.retry_at = Some(now + self.sending.pace.wait(reckoned));
                    return None;
                }
                Next::Do(up) => {
                    if let Some(act) = self.due(up, now) {
                        self.sending.given = Given::Queue;
                        return Some(act);
                    }
                    self.sending.queue.did();
                }
                Next::Nothing => {
                    let line = self.job_line(now)?;
                    self.beam.line(line.strip_suffix(b"\n").unwrap_or(&line));
                    self.beam_changed(now);
                    self.sending.line = line;
                }
            }
        }
    }

    /// What was given has been done; of a write, so many bytes.
    pub(in crate::machine) fn did(&mut self, act: &Act, count: usize, now: Instant) {
        if let Act::Write(bytes) = act {
            self.counters.sent += count as u64;
            self.sending.pace.wrote(count, now);
            self.climb_wrote(count);
            if matches!(self.sending.given, Given::Queue) && self.sending.profile != Profile::Raw {
                let beam = &mut self.beam;
                self.sending.sent.push(&bytes[..count], |line| beam.line(line.text));
                self.beam_sent(now);
            }
            if let Some(user) = &mut self.user {
                user.sent_at = now;
            }
        }
        if *act == Act::Flush {
            self.sending.pace.flushed(now);
        }
        if let (Act::Write(bytes), Given::Line | Given::Queue) = (act, self.sending.given) {
            let last = bytes[..count].last();
            self.sending.is_within = last.map_or(self.sending.is_within, |byte| !ends(*byte));
        }
        match self.sending.given {
            Given::Immediate => self.did_immediate(count),
            Given::Urgent => self.sending.queue.took_urgent(),
            Given::Line => self.sending.line.advance(count),
            Given::Queue if matches!(act, Act::Write(_)) => self.sending.queue.took(count),
            Given::Queue => self.sending.queue.did(),
        }
    }

    /// The port is set to this now.
    pub(in crate::machine) fn coded(&mut self, coding: LineCoding) {
        self.coding = coding;
        self.sending.pace.set(&coding);
        let told = self.output.tell(Down::Coding(coding));
        self.behind(told);
        self.changed = true;
    }

    fn did_immediate(&mut self, count: usize) {
        match self.immediate.front_mut() {
            Some(Act::Write(bytes)) if bytes.len() > count => bytes.advance(count),
            _ => drop(self.immediate.pop_front()),
        }
    }

    /// Whether lines are looked at before they go.
    fn is_judged(&self) -> bool {
        let has_lines = self.sending.profile != Profile::Raw;
        has_lines && (self.config.arming || self.sending.latch.is_set())
    }

    /// Whether the beam is to stay off. What is judged here must be what the machine hears, which
    /// loses bytes when its buffer is full, and while it writes its settings or starts: so its
    /// lines go one at a time, and without comments.
    fn is_safe(&self) -> bool {
        self.config.arming && self.armed.is_none()
    }

    /// Until when the next line of a program waits for the answers to those before it.
    fn owed_until(&self, now: Instant) -> Option<Instant> {
        if !self.is_safe() {
            return None;
        }
        let line = self.sending.queue.line_bytes().unwrap_or(0);
        let firmware = self.hearing.detector.firmware();
        let room = firmware.rx_bytes.saturating_sub(line);
        self.hearing.answers.owed_until(room, now)
    }

    fn judge(&mut self, line: Line, now: Instant) {
        let is_safe = self.is_safe();
        let sending = &mut self.sending;
        let (text, end) = line.bytes.split_at(line.bytes.len() - usize::from(line.is_whole));
        let mut verdict = sending.latch.line(text);
        if verdict == Verdict::Pass && is_safe {
            verdict = if line.is_whole {
                sending.gate.line(text, &self.beam)
            } else {
                Verdict::Refuse(sending.gate.over_long(text))
            };
        }
        match verdict {
            Verdict::Pass => {
                let mut text = match is_safe {
                    true => without_comments(text, sending.profile),
                    false => text.to_vec(),
                };
                self.beam.line(&text);
                self.count_sent(&text, end, now);
                text.extend_from_slice(end);
                self.sending.line = Bytes::from(text);
            }
            Verdict::Refuse(Refused { why, answer, instead }) => {
                tracing::debug!(?why, "a line was refused");
                self.counters.refused_lines += 1;
                if let Some(instead) = instead {
                    self.beam.line(instead.strip_suffix(b"\n").unwrap_or(&instead));
                    self.count_sent(&instead, b"\n", now);
                    self.sending.line = Bytes::from(instead);
                }
                self.hearing.answers.refused(Bytes::from(answer), now);
                let insert = self.hearing.answers.pass(b"", now);
                self.say(&insert);
            }
        }
        self.beam_sent(now);
        if !self.sending.latch.is_set() {
            self.unlatched();
        }
    }

    fn count_sent(&mut self, text: &[u8], end: &[u8], now: Instant) {
        if !end.is_empty() && is_answered(self.sending.profile, text) {
            self.hearing.answers.sent(text.len() + end.len(), now);
        }
    }

    /// What comes of an item of the queue whose turn it is; `None` when it is done with that.
    fn due(&mut self, up: Up, now: Instant) -> Option<Act> {
        match up {
            Up::Coding(coding) if coding.is_valid() => Some(Act::Coding(coding)),
            Up::Coding(_) => {
                let told = self.output.tell(Down::Coding(self.coding));
                self.behind(told);
                None
            }
            Up::Modem { dtr, rts } => Some(Act::Modem { dtr, rts }),
            Up::Break { on } => Some(Act::Break { on }),
            Up::Program { open } => {
                self.program(open, now);
                None
            }
            // done when they come
            Up::Data | Up::Purge { .. } | Up::Stopped { .. } => None,
        }
    }
}

const fn ends(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

/// grblHAL and FluidNC: as `~`.
const CYCLE_START: u8 = 0x81;
