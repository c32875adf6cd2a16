//! Typed senders and receivers of frames over any byte stream.
//!
//! A [`Duplex`] is a byte stream with both its directions, whatever is below: a QUIC stream
//! between hubs, an in-memory pipe in a test ([`lossy`]). [`Rx`] and [`Tx`] speak [`wire::frame`]
//! over its halves. [`Opener`] opens further streams of the same session. [`resume`] lets streams
//! outlive their connection. [`race`] chooses among several ways to the same thing.

mod duplex;
pub mod lossy;
pub mod race;
pub mod resume;
mod rx;
mod tx;

pub use duplex::{Duplex, Opener};
pub use rx::Rx;
pub use tx::Tx;

/// Why a stream is of no further use.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the stream broke: {0}")]
    Io(#[from] std::io::Error),
    #[error("the other side does not speak our protocol: {0}")]
    Frame(#[from] wire::frame::FrameError),
    /// The stream ended within a frame, or where a frame was due.
    #[error("the stream ended early")]
    Ended,
    #[error("refused: {0}")]
    Refused(wire::Refusal),
}
