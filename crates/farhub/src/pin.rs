//! Typing a PIN: never on the command line, where everybody on this computer can see it.

use crate::error::{Error, Exit};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use std::io::{self, BufRead, IsTerminal, Stdin, Write};
use wire::Pin;

/// A PIN from the terminal, or the first line of what is piped in.
pub(crate) fn read(prompt: &str) -> Result<Pin, Error> {
    let stdin = io::stdin();
    let line = if stdin.is_terminal() { unseen(&stdin, prompt)? } else { line(&stdin)? };
    line.parse().map_err(|error| Error::new(Exit::Usage, format!("{error}")))
}

/// A new PIN; at a terminal twice, since nobody sees what they type.
pub(crate) fn read_new() -> Result<Pin, Error> {
    let pin = read("New PIN: ")?;
    if io::stdin().is_terminal() && read("The same again: ")? != pin {
        return Err(Error::new(Exit::Usage, "the two PINs are not the same"));
    }
    Ok(pin)
}

fn line(stdin: &Stdin) -> Result<String, Error> {
    let mut line = String::new();
    stdin.lock().read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// A line from a terminal that does not show it.
fn unseen(stdin: &Stdin, prompt: &str) -> Result<String, Error> {
    eprint!("{prompt}");
    io::stderr().flush()?;
    let before = tcgetattr(stdin).map_err(io::Error::from)?;
    let mut hidden = before.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    hidden.local_modes.insert(LocalModes::ECHONL);
    let _shown_again = Shown { stdin, before };
    tcsetattr(stdin, OptionalActions::Flush, &hidden).map_err(io::Error::from)?;
    line(stdin)
}

/// Shows again what is typed, when it is dropped.
struct Shown<'a> {
    stdin: &'a Stdin,
    before: Termios,
}

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        // a terminal that is gone shows nothing
        let _ = tcsetattr(self.stdin, OptionalActions::Now, &self.before);
    }
}
