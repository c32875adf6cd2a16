//! Tables in plain text: columns aligned by the width that a terminal gives each character, a
//! little colour, and nothing in it that a terminal would obey.

use unicode_width::UnicodeWidthStr;

/// What a cell wants to be seen as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Tone {
    #[default]
    Plain,
    Title,
    Quiet,
    Good,
    Notice,
    Bad,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    pub(crate) fn new(text: impl AsRef<str>, tone: Tone) -> Self {
        Self { text: clean(text.as_ref()), tone }
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text, Tone::Plain)
    }
}

/// Rows of cells, and lines between them that keep to no column.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
}

#[derive(Debug)]
enum Row {
    Cells(Vec<Cell>),
    Line(Cell),
}

impl Table {
    pub(crate) fn titled<const N: usize>(titles: [&str; N]) -> Self {
        let mut table = Self::default();
        table.row(titles.map(|title| Cell::new(title, Tone::Quiet)));
        table
    }

    pub(crate) fn row(&mut self, cells: impl Into<Vec<Cell>>) {
        self.rows.push(Row::Cells(cells.into()));
    }

    pub(crate) fn line(&mut self, text: impl AsRef<str>, tone: Tone) {
        self.rows.push(Row::Line(Cell::new(text, tone)));
    }

    pub(crate) fn render(&self, colour: bool) -> String {
        let widths = self.widths();
        let mut text = String::new();
        for row in &self.rows {
            match row {
                Row::Line(cell) => paint(&mut text, cell, colour),
                Row::Cells(cells) => {
                    // Empty cells at the end leave no blanks behind.
                    let used = cells.iter().rposition(|cell| !cell.text.is_empty());
                    let cells = &cells[..used.map_or(0, |last| last + 1)];
                    for (column, cell) in cells.iter().enumerate() {
                        paint(&mut text, cell, colour);
                        if column + 1 < cells.len() {
                            let blanks = widths[column] - cell.text.width() + COLUMN_GAP;
                            text.extend(std::iter::repeat_n(' ', blanks));
                        }
                    }
                }
            }
            text.push('\n');
        }
        text
    }

    fn widths(&self) -> Vec<usize> {
        let mut widths = Vec::new();
        for row in &self.rows {
            let Row::Cells(cells) = row else { continue };
            widths.resize(widths.len().max(cells.len()), 0);
            for (width, cell) in widths.iter_mut().zip(cells) {
                *width = (*width).max(cell.text.width());
            }
        }
        widths
    }
}

/// A text without what a terminal would obey: control characters and changes of the direction of
/// writing. Much of what we show was written by a device or a peer.
pub(crate) fn clean(text: &str) -> String {
    let obeyed = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}')
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars()
        .map(|c| if matches!(c, '\n' | '\t') { ' ' } else { c })
        .filter(|c| !obeyed(*c))
        .collect()
}

/// At most `width` columns of a text, with a sign that there is more.
pub(crate) fn shorten(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut short = String::new();
    for c in text.chars() {
        if short.width() + c.to_string().width() + 1 > width {
            break;
        }
        short.push(c);
    }
    short + "…"
}

fn paint(text: &mut String, cell: &Cell, colour: bool) {
    text.push_str(&tinted(&cell.text, cell.tone, colour));
}

/// A clean text as it is to be seen.
pub(crate) fn tinted(text: &str, tone: Tone, colour: bool) -> String {
    let code = match tone {
        Tone::Plain => "",
        Tone::Title => "1",
        Tone::Quiet => "2",
        Tone::Good => "32",
        Tone::Notice => "33",
        Tone::Bad => "31",
    };
    if colour && !code.is_empty() && !text.is_empty() {
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    } else {
        text.to_owned()
    }
}

const COLUMN_GAP: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_by_what_a_terminal_shows() {
        let mut table = Table::titled(["NAME", "WHAT"]);
        table.row([Cell::from("打印机"), Cell::from("x")]);
        table.row([Cell::from("é"), Cell::from("")]);
        table.line("a line that is longer than any column", Tone::Plain);
        assert_eq!(
            table.render(false),
            "NAME    WHAT\n打印机  x\né\na line that is longer than any column\n"
        );
    }

    #[test]
    fn colour_does_not_move_columns() {
        let mut table = Table::default();
        table.row([Cell::new("on", Tone::Good), Cell::from("x")]);
        table.row([Cell::from("long"), Cell::from("y")]);
        assert_eq!(table.render(true), "\u{1b}[32mon\u{1b}[0m    x\nlong  y\n");
    }

    #[test]
    fn nothing_reaches_the_terminal_that_it_would_obey() {
        assert_eq!(clean("a\u{1b}[2Jb\u{202e}c\nd"), "a[2Jbc d");
    }

    #[test]
    fn a_long_text_says_that_there_is_more() {
        assert_eq!(shorten("打印机打印机", 7), "打印机…");
        assert_eq!(shorten("printer", 7), "printer");
    }
}
