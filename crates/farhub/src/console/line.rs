//! A line that is typed, with those before it, without I/O: keys in, what is meant out.

use super::keys::Key;

/// What a key means beyond the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Meant {
    /// The line is as it is to be.
    Line(String),
    Stop,
    Leave,
    /// The screen is to be empty.
    Clear,
}

#[derive(Debug, Default)]
pub(super) struct Editor {
    text: Vec<char>,
    /// Before which character.
    cursor: usize,
    /// The oldest first.
    before: Vec<String>,
    /// Which of them is shown, and what was typed when that began.
    recalled: Option<(usize, Vec<char>)>,
}

impl Editor {
    pub(super) fn text(&self) -> &[char] {
        &self.text
    }

    pub(super) fn cursor(&self) -> usize {
        self.cursor
    }

    pub(super) fn press(&mut self, key: Key) -> Option<Meant> {
        match key {
            Key::Ctrl('x') => return Some(Meant::Stop),
            Key::Ctrl('c' | ']') => return Some(Meant::Leave),
            Key::Ctrl('d') if self.text.is_empty() => return Some(Meant::Leave),
            Key::Ctrl('l') => return Some(Meant::Clear),
            Key::Enter => return Some(Meant::Line(self.enter())),
            Key::Char(c) => self.insert(c),
            Key::Backspace if self.cursor > 0 => {
                self.cursor -= 1;
                self.text.remove(self.cursor);
            }
            Key::Delete | Key::Ctrl('d') if self.cursor < self.text.len() => {
                self.text.remove(self.cursor);
            }
            Key::Left | Key::Ctrl('b') => self.cursor = self.cursor.saturating_sub(1),
            Key::Right | Key::Ctrl('f') => self.cursor = (self.cursor + 1).min(self.text.len()),
            Key::Home | Key::Ctrl('a') => self.cursor = 0,
            Key::End | Key::Ctrl('e') => self.cursor = self.text.len(),
            Key::Ctrl('k') => self.text.truncate(self.cursor),
            Key::Ctrl('u') => {
                self.text.drain(..self.cursor);
                self.cursor = 0;
            }
            Key::Ctrl('w') => self.rub_word(),
            Key::Up | Key::Ctrl('p') => self.back(),
            Key::Down | Key::Ctrl('n') => self.forth(),
            Key::Backspace | Key::Delete | Key::Ctrl(_) => {}
        }
        None
    }

    fn enter(&mut self) -> String {
        let line: String = std::mem::take(&mut self.text).into_iter().collect();
        (self.cursor, self.recalled) = (0, None);
        if !line.trim().is_empty() && self.before.last() != Some(&line) {
            self.before.push(line.clone());
            self.before.drain(..self.before.len().saturating_sub(BEFORE_MAX));
        }
        line
    }

    fn insert(&mut self, c: char) {
        let bytes: usize = self.text.iter().map(|c| c.len_utf8()).sum();
        if bytes + c.len_utf8() <= LINE_BYTES_MAX {
            self.text.insert(self.cursor, c);
            self.cursor += 1;
        }
    }

    fn rub_word(&mut self) {
        let before = &self.text[..self.cursor];
        let word = before.iter().rposition(|c| *c != ' ').unwrap_or(0);
        let from = before[..word].iter().rposition(|c| *c == ' ').map_or(0, |at| at + 1);
        self.text.drain(from..self.cursor);
        self.cursor = from;
    }

    fn back(&mut self) {
        let (at, typed) = match self.recalled.take() {
            Some((at, typed)) => (at.saturating_sub(1), typed),
            None if self.before.is_empty() => return,
            None => (self.before.len() - 1, self.text.clone()),
        };
        self.recall(at, typed);
    }

    fn forth(&mut self) {
        let Some((at, typed)) = self.recalled.take() else { return };
        if at + 1 < self.before.len() {
            self.recall(at + 1, typed);
        } else {
            (self.cursor, self.text) = (typed.len(), typed);
        }
    }

    fn recall(&mut self, at: usize, typed: Vec<char>) {
        self.text = self.before[at].chars().collect();
        self.cursor = self.text.len();
        self.recalled = Some((at, typed));
    }
}

/// What a hub takes as a line.
const LINE_BYTES_MAX: usize = 256;
const BEFORE_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::keys::Keys;

    /// What stands in the line, with a bar for the cursor, after these bytes were typed.
    fn typed(editor: &mut Editor, bytes: &str) -> (String, Vec<Meant>) {
        let keys = Keys::default().feed(bytes.as_bytes());
        let meant = keys.into_iter().filter_map(|key| editor.press(key)).collect();
        let (left, right) = editor.text().split_at(editor.cursor());
        let text = [left, &['|'], right].concat().into_iter().collect();
        (text, meant)
    }

    #[test]
    fn a_line_is_edited_as_in_a_shell() {
        let text = |bytes: &str| typed(&mut Editor::default(), bytes).0;
        assert_eq!(text("G0 X1\x1b[D\x1b[DY"), "G0 Y|X1");
        assert_eq!(text("abc\x1b[H\x1b[3~\x1b[F\x7f"), "b|");
        assert_eq!(text("G0 X1 Y2\x17"), "G0 X1 |");
        assert_eq!(text("G0  \x17"), "|");
        assert_eq!(text("abc\x01\x06\x0b"), "a|");
        assert_eq!(text("abc\x02\x15"), "|c");
        assert_eq!(text("\x7f\x1b[D\x1b[C\x04"), "|");
        assert_eq!(text(&"x".repeat(300)).len(), LINE_BYTES_MAX + 1);
    }

    #[test]
    fn some_keys_mean_more_than_the_line() {
        let meant = |bytes: &str| typed(&mut Editor::default(), bytes);
        let line = Meant::Line("$$".into());
        assert_eq!(meant("$$\rx\x18"), ("x|".into(), vec![line, Meant::Stop]));
        assert_eq!(meant("\x04").1, [Meant::Leave]);
        assert_eq!(meant("a\x1b[D\x04"), ("|".into(), vec![]), "there is something to rub out");
        assert_eq!(meant("a\x1d").1, [Meant::Leave]);
        assert_eq!(meant("a\x03").1, [Meant::Leave]);
    }

    #[test]
    fn lines_before_come_back_and_what_was_typed_stays() {
        let mut editor = Editor::default();
        let mut text = |bytes: &str| typed(&mut editor, bytes).0;
        assert_eq!(text("\x1b[A"), "|");
        assert_eq!(text("$$\r$I\r$I\r  \rG0"), "G0|");
        assert_eq!(text("\x1b[A"), "$I|");
        assert_eq!(text("\x1b[A\x1b[A"), "$$|");
        assert_eq!(text("\x1b[B"), "$I|");
        assert_eq!(text("\x1b[B\x1b[B"), "G0|");
    }
}
