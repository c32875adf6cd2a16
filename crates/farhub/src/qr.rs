//! A QR code in a terminal: two modules per character, by half blocks.

use crate::error::Error;
use fast_qr::{ECL, QRBuilder};

/// Dark on light, as readers expect it, whatever the terminal's own colours are.
pub(crate) fn qr(text: &str) -> Result<String, Error> {
    let code = QRBuilder::new(text)
        .ecl(ECL::L)
        .build()
        .map_err(|_| Error::failed("the ticket is too long for a QR code"))?;
    let size = code.size as isize;
    let light = |x: isize, y: isize| {
        let inside = (0..size).contains(&x) && (0..size).contains(&y);
        !inside || !code[y as usize][x as usize].value()
    };
    let mut text = String::new();
    for y in (-QUIET..size + QUIET).step_by(2) {
        text.push_str(COLOURS);
        for x in -QUIET..size + QUIET {
            text.push(match (light(x, y), light(x, y + 1)) {
                (true, true) => '█',
                (true, false) => '▀',
                (false, true) => '▄',
                (false, false) => ' ',
            });
        }
        text.push_str(PLAIN);
        text.push('\n');
    }
    Ok(text)
}

/// Modules of margin: the norm wants four, readers are content with two, a terminal has few rows.
const QUIET: isize = 2;

/// Bright white on black: ECMA-48 §8.3.117, and what terminals added.
const COLOURS: &str = "\u{1b}[97;40m";
const PLAIN: &str = "\u{1b}[0m";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_square_and_has_a_margin() {
        let text = qr("FARHUB1ABC").unwrap().replace(COLOURS, "").replace(PLAIN, "");
        let lines: Vec<&str> = text.lines().collect();
        // Version 1 is 21 modules; two rows to a line.
        assert_eq!(lines.len(), 13);
        assert!(lines.iter().all(|line| line.chars().count() == 25));
        assert_eq!(lines[0], "█".repeat(25));
        assert!(lines[1].starts_with("██ ▄▄▄▄▄ █"));
    }
}
