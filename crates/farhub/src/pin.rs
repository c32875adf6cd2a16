//! Typing a PIN.

use crate::error::{Error, Exit};
use crate::secret;
use wire::Pin;

/// A PIN from the terminal, or the first line of what is piped in.
pub(crate) fn read(prompt: &str) -> Result<Pin, Error> {
    pin(&secret::read(prompt)?)
}

/// A new PIN; at a terminal twice, since nobody sees what they type.
pub(crate) fn read_new() -> Result<Pin, Error> {
    pin(&secret::read_new("PIN")?)
}

fn pin(text: &str) -> Result<Pin, Error> {
    text.parse().map_err(|error| Error::new(Exit::Usage, format!("{error}")))
}
