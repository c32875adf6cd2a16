//! What a terminal shows, without I/O: lines that stay, and below them the machine's unfinished
//! line and the line that is typed, which are drawn anew.

use crate::table::{Tone, clean, tinted};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The part that is drawn anew.
#[derive(Clone, Debug)]
pub(super) struct Below<'a> {
    /// The machine's unfinished line.
    pub open: &'a str,
    pub prompt: (&'a str, Tone),
    pub text: &'a [char],
    /// Before which character of it.
    pub cursor: usize,
    /// Columns of the terminal.
    pub columns: usize,
}

#[derive(Debug)]
pub(super) struct Screen {
    colour: bool,
    /// Rows above the cursor that are drawn anew.
    rows: usize,
}

impl Screen {
    pub(super) fn new(colour: bool) -> Self {
        Self { colour, rows: 0 }
    }

    /// What to write to show these lines above, and that below.
    pub(super) fn show(&mut self, lines: &[(String, Tone)], below: &Below<'_>) -> String {
        let mut out = self.wipe();
        for (line, tone) in lines {
            out.push_str(&tinted(&clean(line), *tone, self.colour));
            out.push_str("\r\n");
        }
        let columns = below.columns.max(COLUMNS_MIN);
        let open = clean(below.open);
        if !open.is_empty() {
            out.push_str(end_of(&open, columns - 1));
            out.push_str("\r\n");
            self.rows = 1;
        }
        let (prompt, tone) = below.prompt;
        let prompt = if prompt.width() + 2 > columns / 2 { "" } else { prompt };
        out.push_str(&tinted(prompt, tone, self.colour));
        out.push_str("> ");
        let taken = prompt.width() + 2;
        let (text, column) = window(below.text, below.cursor, columns - 1 - taken);
        out.push_str(&text);
        out.push_str(&format!("\r\x1b[{}C", taken + column));
        out
    }

    /// What to write to have nothing below the lines that stay.
    pub(super) fn wipe(&mut self) -> String {
        let rows = std::mem::take(&mut self.rows);
        let up = if rows > 0 { format!("\x1b[{rows}A") } else { String::new() };
        format!("\r{up}\x1b[J")
    }
}

/// The part of what is typed that has room, and in which column of it the cursor is.
fn window(text: &[char], cursor: usize, room: usize) -> (String, usize) {
    let width = |c: &char| c.width().unwrap_or(0);
    let mut from = cursor;
    let mut column = 0;
    while from > 0 && column + width(&text[from - 1]) <= room {
        from -= 1;
        column += width(&text[from]);
    }
    let (mut shown, mut used) = (String::new(), 0);
    for c in &text[from..] {
        used += width(c);
        if used > room {
            break;
        }
        shown.push(*c);
    }
    (clean(&shown), column)
}

fn end_of(text: &str, columns: usize) -> &str {
    let mut used = 0;
    let fits = |c: &char| {
        used += c.width().unwrap_or(0);
        used <= columns
    };
    let bytes: usize = text.chars().rev().take_while(fits).map(char::len_utf8).sum();
    &text[text.len() - bytes..]
}

/// Narrower ones show less than a line of G-code.
const COLUMNS_MIN: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(
        screen: &mut Screen,
        lines: &[&str],
        open: &str,
        text: &str,
        columns: usize,
    ) -> String {
        let lines: Vec<_> = lines.iter().map(|line| ((*line).to_owned(), Tone::Plain)).collect();
        let text: Vec<char> = text.chars().collect();
        let cursor = text.len();
        let prompt = ("laser idle", Tone::Good);
        screen.show(&lines, &Below { open, prompt, text: &text, cursor, columns })
    }

    #[test]
    fn lines_stay_above_and_the_rest_is_drawn_anew() {
        let mut screen = Screen::new(false);
        let first = shown(&mut screen, &["ok\x1b[2J"], "log", "G0", 80);
        assert_eq!(first, "\r\x1b[Jok[2J\r\nlog\r\nlaser idle> G0\r\x1b[14C");
        let second = shown(&mut screen, &["login:"], "", "", 80);
        assert_eq!(second, "\r\x1b[1A\x1b[Jlogin:\r\nlaser idle> \r\x1b[12C");
        assert_eq!(screen.wipe(), "\r\x1b[J");
    }

    #[test]
    fn what_has_no_room_is_left_away() {
        let mut screen = Screen::new(false);
        let narrow = shown(&mut screen, &[], "0123456789abcdefghij", "0123456789abcdefghij", 16);
        assert_eq!(narrow, "\r\x1b[J56789abcdefghij\r\n> 789abcdefghij\r\x1b[15C");
        let text: Vec<char> = "0123456789".chars().collect();
        assert_eq!(window(&text, 0, 4), ("0123".to_owned(), 0));
        assert_eq!(window(&text, 6, 4), ("2345".to_owned(), 4));
        assert_eq!(window(&['打', '印', '机'], 2, 4), ("打印".to_owned(), 4));
    }
}
