//! Why something could not be done in the shop.

use printer::Reason;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    NotFound(String),
    /// What was asked makes no sense, or not now.
    #[error("{0}")]
    Unacceptable(String),
    /// It stands in the way of something else.
    #[error("{0}")]
    Conflict(String),
    #[error(transparent)]
    Printer(#[from] printer::Error),
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error("{0}: {1}")]
    File(String, #[source] std::io::Error),
}

impl Error {
    pub(crate) fn no_printer(what: &str) -> Self {
        Self::NotFound(format!("this hub has no printer {what:?}"))
    }

    /// Of a printer that is not connected now.
    pub(crate) fn away(name: &str) -> printer::Error {
        printer::Error::new(Reason::NoAnswer, format!("{name} is not connected at present"))
            .hint("see why at its page, or: farhub printer list")
    }
}
