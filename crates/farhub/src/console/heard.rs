//! What a machine says, line by line, without I/O: text in, at any chunking, lines out.

use std::collections::VecDeque;

/// Something that was heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Line(String),
    /// `<Idle|MPos:...>`: a program that polls the machine has it come five times a second.
    Report(String),
    /// The hub could not keep what came here.
    Missed,
}

#[derive(Debug, Default)]
pub(super) struct Hearing {
    /// The line that has no end yet.
    open: String,
    /// The last line ended with a CR, whose LF may come.
    is_cr: bool,
    /// The last lines, by which it is known where we were.
    tail: VecDeque<String>,
    /// What comes next is what was said before, told again.
    again: bool,
}

impl Hearing {
    pub(super) fn hear(&mut self, text: &str, missed: bool) -> Vec<Heard> {
        let again = std::mem::take(&mut self.again);
        if again {
            self.open.clear();
        }
        let mut heard = self.lines(text);
        let mut gap = missed;
        if again {
            match self.known(&heard) {
                Some(count) => drop(heard.drain(..count)),
                None => gap |= !self.tail.is_empty(),
            }
        }
        if gap {
            heard.insert(0, Heard::Missed);
        }
        for one in &heard {
            if let Heard::Line(line) = one {
                self.tail.push_back(line.clone());
            }
        }
        self.tail.drain(..self.tail.len().saturating_sub(TAIL_LINES));
        heard
    }

    /// The connection was lost: what the hub tells first is what was said before.
    pub(super) fn again(&mut self) {
        self.again = true;
    }

    /// What stands in the line that has no end yet.
    pub(super) fn open(&self) -> &str {
        &self.open
    }

    /// Ends that line, where no more will come.
    pub(super) fn end(&mut self) -> Option<String> {
        (!self.open.is_empty()).then(|| std::mem::take(&mut self.open))
    }

    fn lines(&mut self, text: &str) -> Vec<Heard> {
        let mut heard = Vec::new();
        for c in text.chars() {
            let was_cr = std::mem::replace(&mut self.is_cr, c == '\r');
            match c {
                '\n' if was_cr => {}
                '\r' | '\n' => {
                    let line = std::mem::take(&mut self.open);
                    heard.push(if is_report(&line) {
                        Heard::Report(line)
                    } else {
                        Heard::Line(line)
                    });
                }
                c if self.open.len() < LINE_BYTES_MAX => self.open.push(c),
                // a machine that never ends its line must not fill the memory
                c => {
                    heard.push(Heard::Line(std::mem::take(&mut self.open)));
                    self.open.push(c);
                }
            }
        }
        heard
    }

    /// How many of these were heard before the connection was lost.
    fn known(&self, heard: &[Heard]) -> Option<usize> {
        let line = |one: &Heard| match one {
            Heard::Line(line) => Some(line.clone()),
            Heard::Report(_) | Heard::Missed => None,
        };
        let tail: Vec<_> = self.tail.iter().cloned().collect();
        (1..=heard.len()).rev().find(|count| {
            let before = heard[..*count].iter().rev().filter_map(line);
            let mut last: Vec<_> = before.take(tail.len()).collect();
            last.reverse();
            !tail.is_empty() && last == tail && line(&heard[count - 1]).is_some()
        })
    }
}

/// GRBL 1.1 `doc/markdown/interface.md`, "Real-time Status Reports".
fn is_report(line: &str) -> bool {
    let state = line.strip_prefix('<').and_then(|line| line.strip_suffix('>'));
    state.is_some_and(|state| state.starts_with(|c: char| c.is_ascii_uppercase()))
}

const TAIL_LINES: usize = 4;
const LINE_BYTES_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Heard {
        Heard::Line(text.to_owned())
    }

    #[test]
    fn lines_come_whole_however_they_are_cut() {
        let text = "Grbl 1.1h\r\nok\n\rerror:20\r\n<Idle|MPos:0,0,0>\r\n<b>\nhalf";
        let report = Heard::Report("<Idle|MPos:0,0,0>".to_owned());
        for size in 1..text.len() {
            let mut hearing = Hearing::default();
            let chunks = text.as_bytes().chunks(size).map(|it| std::str::from_utf8(it).unwrap());
            let heard: Vec<Heard> = chunks.flat_map(|it| hearing.hear(it, false)).collect();
            let lines = [line("Grbl 1.1h"), line("ok"), line(""), line("error:20")];
            assert_eq!(heard, [&lines[..], &[report.clone(), line("<b>")]].concat());
            assert_eq!(hearing.open(), "half");
        }
    }

    #[test]
    fn what_is_told_again_after_an_outage_is_not_shown_twice() {
        let again = |text: &str| {
            let mut hearing = Hearing::default();
            hearing.hear("a\nb\n<Idle|x>\nc\nd\ne\nhal", false);
            hearing.again();
            hearing.hear(text, false)
        };
        assert_eq!(again("a\nb\n<Idle|x>\nc\nd\n<Run|x>\ne\nhalf\n"), [line("half")]);
        assert_eq!(again("b\nc\nd\ne\nb\nc\nd\ne\n"), [], "the last time that it was said");
        assert_eq!(again("x\ny\n"), [Heard::Missed, line("x"), line("y")]);
        assert_eq!(again(""), [Heard::Missed]);
    }

    #[test]
    fn a_gap_is_told_and_a_line_has_an_end() {
        let mut hearing = Hearing::default();
        assert_eq!(hearing.hear("", true), [Heard::Missed]);
        let long = "x".repeat(LINE_BYTES_MAX + 1);
        assert_eq!(hearing.hear(&long, false), [line(&long[1..])]);
        assert_eq!((hearing.end().as_deref(), hearing.end()), (Some("x"), None));
    }
}
