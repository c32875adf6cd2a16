//! Lines that wait for their turn, without I/O and with the time given.
//!
//! A controller holds a hundred bytes or so, and what is too much for it is lost. So a line goes
//! when the machine has answered the one before. What is answered is what its profile says; a raw
//! device answers nothing that we know of.

use gcode::status::Report;
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use wire::serial::Profile;

#[derive(Debug)]
pub(super) struct Turn {
    profile: Profile,
    waiting: VecDeque<String>,
    /// The line that is not answered.
    sent: Option<String>,
    /// When the machine lived last.
    lived: Instant,
}

/// What a line of the machine means to the line that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// None to it.
    Other,
    Taken,
    /// It has refused the line, or does nothing more.
    Refused,
}

impl Turn {
    pub(super) fn new(profile: Profile, now: Instant) -> Self {
        Self { profile, waiting: VecDeque::new(), sent: None, lived: now }
    }

    pub(super) fn is(&mut self, profile: Profile) {
        self.profile = profile;
    }

    pub(super) fn push(&mut self, line: String) {
        self.waiting.push_back(line);
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn is_over(&self) -> bool {
        self.waiting.is_empty() && self.sent.is_none()
    }

    /// The line that is to go now. Those of which the machine says nothing do not go.
    pub(super) fn next(&mut self, now: Instant) -> Option<String> {
        if self.sent.is_some() {
            return None;
        }
        loop {
            let line = self.waiting.pop_front()?;
            if self.profile == Profile::Raw {
                return Some(line);
            }
            let text = line.trim();
            if !text.is_empty() && !text.starts_with(';') {
                (self.sent, self.lived) = (Some(line.clone()), now);
                return Some(line);
            }
        }
    }

    /// The machine has said a line.
    pub(super) fn heard(&mut self, line: &str) -> Answer {
        let report = Report::read(line.as_bytes(), self.profile);
        let answer = match report {
            Report::Ok(_) | Report::Greeting => Answer::Taken,
            Report::Error { .. } | Report::Alarm { .. } | Report::Halted => Answer::Refused,
            _ => Answer::Other,
        };
        let is_over = match report {
            // Marlin says its `ok` too
            Report::Error { .. } => report.frees_a_line(self.profile),
            _ => answer != Answer::Other,
        };
        if is_over {
            self.sent = None;
        }
        answer
    }

    /// The machine has said anything at all.
    pub(super) fn lives(&mut self, now: Instant) {
        self.lived = now;
    }

    /// What was said is lost, and an answer perhaps with it.
    pub(super) fn lost(&mut self) {
        self.sent = None;
    }

    /// Nothing is to go any more. How many lines had not gone.
    pub(super) fn clear(&mut self) -> usize {
        self.sent = None;
        std::mem::take(&mut self.waiting).len()
    }

    /// The line that is not answered, by a machine that says nothing at all; it is not waited for
    /// any more.
    pub(super) fn overdue(&mut self, now: Instant) -> Option<String> {
        let at = self.deadline()?;
        if now >= at { self.sent.take() } else { None }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.sent.as_ref().map(|_| self.lived + SILENCE_MAX)
    }
}

/// While it is homing or waits, GRBL is asked for its status, and Marlin says that it is busy.
pub(super) const SILENCE_MAX: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(profile: Profile, lines: &[&str]) -> (Turn, Instant) {
        let now = Instant::now();
        let mut turn = Turn::new(profile, now);
        lines.iter().for_each(|line| turn.push((*line).to_owned()));
        (turn, now)
    }

    #[test]
    fn a_line_waits_for_the_answer_to_the_one_before() {
        let (mut turn, now) = turn(Profile::Grbl, &["$$", "", "; a remark", "$I", "G9"]);
        assert_eq!(turn.next(now).as_deref(), Some("$$"));
        assert_eq!((turn.next(now), turn.heard("$0=10")), (None, Answer::Other));
        assert_eq!((turn.next(now), turn.heard("ok")), (None, Answer::Taken));
        assert_eq!(turn.next(now).as_deref(), Some("$I"));
        assert_eq!(turn.heard("error:20"), Answer::Refused);
        assert_eq!(turn.next(now).as_deref(), Some("G9"));
        assert_eq!((turn.is_over(), turn.clear(), turn.is_over()), (false, 0, true));
    }

    #[test]
    fn a_raw_device_answers_nothing_and_gets_empty_lines_too() {
        let (mut turn, now) = turn(Profile::Raw, &["a", "", "b"]);
        let lines: Vec<String> = std::iter::from_fn(|| turn.next(now)).collect();
        assert_eq!(lines, ["a", "", "b"]);
        assert_eq!((turn.heard("ok"), turn.is_over()), (Answer::Other, true));
    }

    #[test]
    fn marlin_says_ok_after_its_error() {
        let (mut turn, now) = turn(Profile::Marlin, &["G999", "M115"]);
        turn.next(now);
        assert_eq!(turn.heard("Error:Printer halted. kill() called!"), Answer::Refused);
        assert_eq!(turn.next(now).as_deref(), Some("M115"), "it answers no more");
    }

    #[test]
    fn only_a_machine_that_says_nothing_at_all_is_not_waited_for() {
        let (mut turn, now) = turn(Profile::Grbl, &["G4 P60"]);
        turn.next(now);
        let later = now + SILENCE_MAX / 2;
        turn.lives(later);
        assert_eq!(turn.overdue(now + SILENCE_MAX), None);
        assert_eq!(turn.overdue(later + SILENCE_MAX).as_deref(), Some("G4 P60"));
        assert_eq!((turn.deadline(), turn.is_over()), (None, true));
    }
}
