//! Typing a secret: never on the command line, where everybody on this computer can see it.

use crate::error::{Error, Exit};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use std::io::{self, BufRead, IsTerminal, Read, Stdin, Write};

/// Nobody types more.
const LINE_BYTES_MAX: u64 = 4096;

/// A secret from the terminal, or the first line of what is piped in.
pub(crate) fn read(prompt: &str) -> Result<String, Error> {
    let stdin = io::stdin();
    if stdin.is_terminal() { unseen(&stdin, prompt) } else { line(&stdin) }
}

/// A new one; at a terminal twice, since nobody sees what they type.
pub(crate) fn read_new(what: &str) -> Result<String, Error> {
    let secret = read(&format!("New {what}: "))?;
    if io::stdin().is_terminal() && read("The same again: ")? != secret {
        return Err(Error::new(Exit::Usage, "the two are not the same"));
    }
    Ok(secret)
}

fn line(stdin: &Stdin) -> Result<String, Error> {
    let mut line = String::new();
    stdin.lock().take(LINE_BYTES_MAX).read_line(&mut line)?;
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
