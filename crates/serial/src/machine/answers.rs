//! What the program sees of the machine's answers: everything, but for the answers to questions
//! that we asked ourselves, and with refusals put in as if the machine had said them.
//!
//! A refusal comes in its turn: after the answers to the lines that went before it, since senders
//! match answers to lines by counting. It never comes within a line.

use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

#[derive(Debug)]
pub(super) struct Answers {
    /// The bytes of a report that may be ours alone, held back until its end.
    held: Option<Vec<u8>>,
    /// The beginning of the line that is passing.
    line: Vec<u8>,
    is_within: bool,
    /// Reports that we have asked for, and that the program has.
    ours: Asked,
    theirs: Asked,
    /// Lines that the machine has not answered, and refusals behind them.
    pending: VecDeque<Pending>,
    /// When the last of them went, or was answered.
    moved: Instant,
    last: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Asked {
    count: u8,
    at: Instant,
}

#[derive(Debug)]
enum Pending {
    /// So many bytes.
    Sent(usize),
    /// A reset, which the machine greets after.
    Reset,
    Refused(Bytes),
}

impl Answers {
    pub(super) fn new(now: Instant) -> Self {
        let asked = Asked { count: 0, at: now };
        Self {
            held: None,
            line: Vec::new(),
            is_within: false,
            ours: asked,
            theirs: asked,
            pending: VecDeque::new(),
            moved: now,
            last: now,
        }
    }

    pub(super) fn we_asked(&mut self, now: Instant) {
        self.ours.add(now);
    }

    pub(super) fn program_asked(&mut self, now: Instant) {
        self.theirs.add(now);
    }

    /// When the program asked last, if its answer is still to come or has just come.
    pub(super) fn program_asks(&self, now: Instant) -> bool {
        self.theirs.count > 0 && now.duration_since(self.theirs.at) < ASKED_MAX
    }

    /// A line of so many bytes has gone to the machine, which will answer it.
    pub(super) fn sent(&mut self, bytes: usize, now: Instant) {
        self.moved = now;
        if self.pending.len() < PENDING_MAX {
            self.pending.push_back(Pending::Sent(bytes));
        }
    }

    /// The machine is being reset: nobody waits for the answers to what was before.
    pub(super) fn resetting(&mut self, now: Instant) {
        self.moved = now;
        self.pending.clear();
        self.pending.push_back(Pending::Reset);
    }

    /// Until when a line waits that must not be lost in part, as it would be in a buffer that is
    /// full, or by a machine that does not listen: until everything before it is answered. An
    /// answer may be lost; then it waits no longer than [`LATE`], if there is `room` for it besides
    /// the others, and no longer than [`NEVER`] without. `None` when it may go.
    pub(super) fn owed_until(&self, room: usize, now: Instant) -> Option<Instant> {
        let mut owed = None;
        for pending in &self.pending {
            match pending {
                Pending::Sent(bytes) => owed = Some(owed.unwrap_or(0) + bytes),
                Pending::Reset => owed = Some(owed.unwrap_or(0)),
                Pending::Refused(_) => {}
            }
        }
        let bytes = owed?;
        let until = self.moved + if bytes <= room { LATE } else { NEVER };
        (now < until).then_some(until)
    }

    /// A line has not gone to the machine; this is what the program gets for it.
    pub(super) fn refused(&mut self, answer: Bytes, now: Instant) {
        if self.pending.is_empty() {
            self.last = now;
        }
        if self.pending.len() < PENDING_MAX {
            self.pending.push_back(Pending::Refused(answer));
        }
    }

    /// What the machine has not answered it never will: it was reset.
    pub(super) fn reset(&mut self) {
        self.pending.retain(|pending| matches!(pending, Pending::Refused(_)));
    }

    /// After a stop nobody waits for the answers to what was before.
    pub(super) fn forget(&mut self) {
        self.pending.clear();
    }

    /// Takes in what came and gives out what the program is to see.
    pub(super) fn pass(&mut self, bytes: &[u8], now: Instant) -> BytesMut {
        let mut out = BytesMut::with_capacity(bytes.len());
        self.last = now;
        for &byte in bytes {
            self.byte(byte, now, &mut out);
        }
        self.insert(&mut out);
        out
    }

    /// What is due without anything coming: of a machine that owes an answer and says nothing.
    pub(super) fn overdue(&mut self, now: Instant) -> BytesMut {
        let mut out = BytesMut::new();
        if now.duration_since(self.last) < SILENCE_MAX {
            return out;
        }
        if let Some(held) = self.held.take() {
            out.extend_from_slice(&held);
        }
        if self.pending.iter().any(|pending| matches!(pending, Pending::Refused(_))) {
            self.reset();
            self.is_within = false;
            self.insert(&mut out);
        }
        out
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let waits = self.pending.iter().any(|pending| matches!(pending, Pending::Refused(_)));
        (waits || self.held.is_some()).then(|| self.last + SILENCE_MAX)
    }

    fn byte(&mut self, byte: u8, now: Instant, out: &mut BytesMut) {
        if let Some(held) = &mut self.held {
            held.push(byte);
            if byte == b'\n' {
                self.held = None;
                self.ours.take();
            } else if held.len() >= REPORT_BYTES_MAX {
                out.extend_from_slice(held);
                self.is_within = true;
                self.held = None;
            }
            return;
        }
        if !self.is_within && byte == b'<' && self.ours.is_due(now) && !self.theirs.is_due(now) {
            self.held = Some(vec![byte]);
            return;
        }
        out.extend_from_slice(&[byte]);
        self.is_within = byte != b'\n';
        if self.is_within {
            if self.line.len() < ANSWER_BYTES {
                self.line.push(byte);
            }
            return;
        }
        self.line_ended(now);
        self.insert(out);
    }

    fn line_ended(&mut self, now: Instant) {
        let line = std::mem::take(&mut self.line);
        if line.starts_with(b"<") && self.theirs.is_due(now) {
            self.theirs.take();
        }
        // not every Marlin says `ok` to a line that it asks for again
        let answers = [&b"ok"[..], b"error", b"Resend", b"rs "];
        let is_answer = answers.iter().any(|answer| line.starts_with(answer));
        if is_answer && matches!(self.pending.front(), Some(Pending::Sent(_))) {
            self.pending.pop_front();
            self.moved = now;
        }
    }

    /// Puts in the refusals whose turn it is.
    fn insert(&mut self, out: &mut BytesMut) {
        if self.is_within || self.held.is_some() {
            return;
        }
        while let Some(Pending::Refused(answer)) = self.pending.front() {
            out.extend_from_slice(answer);
            self.pending.pop_front();
        }
    }
}

impl Asked {
    fn add(&mut self, now: Instant) {
        // a machine answers several at once with one report
        self.count = if self.is_due(now) { (self.count + 1).min(4) } else { 1 };
        self.at = now;
    }

    fn take(&mut self) {
        self.count = self.count.saturating_sub(1);
    }

    fn is_due(&self, now: Instant) -> bool {
        self.count > 0 && now.duration_since(self.at) < ASKED_MAX
    }
}

/// A report that has not come by then will not come.
const ASKED_MAX: Duration = Duration::from_secs(1);
/// A machine that says nothing for so long is not in the middle of saying something.
const SILENCE_MAX: Duration = Duration::from_secs(2);
/// Longer than a line takes that is no homing or dwell.
const LATE: Duration = Duration::from_secs(10);
/// Nothing takes longer.
const NEVER: Duration = Duration::from_secs(180);
/// More lines than any controller holds.
const PENDING_MAX: usize = 4096;
/// The longest report is shorter.
const REPORT_BYTES_MAX: usize = 512;
/// What is looked at of an answer.
const ANSWER_BYTES: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn answers() -> (Answers, Instant) {
        let now = Instant::now();
        (Answers::new(now), now)
    }

    /// Takes it in at every chunking of one length; all must give the same.
    fn passes(prepare: impl Fn(&mut Answers, Instant), bytes: &[u8], expected: &[u8]) {
        for length in 1..=bytes.len() {
            let (mut answers, now) = answers();
            prepare(&mut answers, now);
            let out: Vec<u8> =
                bytes.chunks(length).flat_map(|chunk| answers.pass(chunk, now)).collect();
            assert_eq!(out, expected, "in chunks of {length}");
        }
    }

    #[test]
    fn everything_passes() {
        passes(|_, _| {}, b"ok\r\n<Idle>\r\n[MSG:x]\r\nhalf", b"ok\r\n<Idle>\r\n[MSG:x]\r\nhalf");
    }

    #[test]
    fn a_report_that_only_we_asked_for_is_not_shown() {
        passes(
            |a, now| a.we_asked(now),
            b"ok\r\n<Idle>\r\nok\r\n<Run>\r\n",
            b"ok\r\nok\r\n<Run>\r\n",
        );
    }

    #[test]
    fn a_report_that_the_program_asked_for_is_shown() {
        let both = |a: &mut Answers, now| {
            a.we_asked(now);
            a.program_asked(now);
        };
        passes(both, b"<Idle>\r\n<Idle>\r\n", b"<Idle>\r\n");
        passes(|a, now| a.program_asked(now), b"<Idle>\r\n", b"<Idle>\r\n");
    }

    #[test]
    fn what_looks_like_a_report_and_does_not_end_is_shown() {
        let (mut answers, now) = answers();
        answers.we_asked(now);
        assert_eq!(answers.pass(b"<abc", now), "");
        assert_eq!(answers.overdue(now + SILENCE_MAX), "<abc");
        answers.we_asked(now);
        let long = [b"<".to_vec(), vec![b'x'; REPORT_BYTES_MAX]].concat();
        assert_eq!(answers.pass(b"\n", now), "\n");
        assert_eq!(answers.pass(&long, now), long);
    }

    #[test]
    fn a_refusal_comes_in_its_turn() {
        let prepare = |a: &mut Answers, now| {
            a.sent(9, now);
            a.refused(Bytes::from_static(b"error:9\r\n"), now);
            a.sent(9, now);
        };
        let shown = b"<Run>\r\nok\r\nerror:9\r\nok\r\n";
        passes(prepare, b"<Run>\r\nok\r\nok\r\n", shown);
    }

    #[test]
    fn a_refusal_never_comes_within_a_line() {
        let (mut answers, now) = answers();
        assert_eq!(answers.pass(b"[MSG", now), "[MSG");
        answers.refused(Bytes::from_static(b"error:9\r\n"), now);
        assert_eq!(answers.pass(b":a]\r", now), ":a]\r");
        assert_eq!(answers.pass(b"\n<I", now), "\nerror:9\r\n<I");
    }

    #[test]
    fn a_refusal_does_not_wait_for_a_machine_that_says_nothing() {
        let (mut answers, now) = answers();
        answers.sent(9, now);
        answers.refused(Bytes::from_static(b"error:9\r\n"), now);
        assert_eq!(answers.overdue(now), "");
        assert_eq!(answers.deadline(), Some(now + SILENCE_MAX));
        assert_eq!(answers.overdue(now + SILENCE_MAX), "error:9\r\n");
        assert_eq!(answers.deadline(), None);
    }
}
