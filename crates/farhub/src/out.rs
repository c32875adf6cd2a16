//! stdout: the data of a command, as text for people or as JSON for programs.

use crate::error::Error;
use crate::table::{Table, clean};
use serde::Serialize;
use std::io::{self, IsTerminal, Write};

/// Where a command's data goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Out {
    pub json: bool,
}

impl Out {
    /// One JSON document, for people who look at it.
    pub(crate) fn document(self, data: &impl Serialize) -> Result<(), Error> {
        let text = serde_json::to_string_pretty(data).expect("our types are JSON");
        write(&text)
    }

    /// One of several JSON documents: each has its line.
    pub(crate) fn json_line(self, data: &impl Serialize) -> Result<(), Error> {
        write(&serde_json::to_string(data).expect("our types are JSON"))
    }

    /// One line that a script may want as it is.
    pub(crate) fn line(self, text: &str) -> Result<(), Error> {
        write(&clean(text))
    }

    pub(crate) fn table(self, table: &Table) -> Result<(), Error> {
        match table.render(colour()).trim_end() {
            "" => Ok(()),
            text => write(text),
        }
    }
}

/// Colour is for a terminal, and for people who have not said no (<https://no-color.org>).
pub(crate) fn colour() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty())
}

fn write(text: &str) -> Result<(), Error> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{text}")?;
    Ok(stdout.flush()?)
}
