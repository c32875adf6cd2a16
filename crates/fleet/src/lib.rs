//! The print shop: printers that are watched, the jobs that come of it, files and the queue.
//!
//! [`Fleet`] is a handle. Each printer has one task ([`watching`]) that keeps one connection, makes
//! jobs of what it hears ([`recorder`]) and writes them down before it listens on. What people look
//! at is kept in memory and told as it changes ([`feed`]).
//!
//! Who may do what is not decided here: the hub asks before it calls.

pub mod business;
mod error;
mod feed;
pub mod files;
mod fleet;
mod id;
pub mod import;
mod jobs;
mod notices;
mod printers;
mod progress;
mod queue;
pub mod recorder;
mod sharing;
#[cfg(test)]
mod testing;
pub mod view;
mod watching;

pub use error::Error;
pub use feed::{Beat, Listener, News};
pub use fleet::{Config, Fleet};
pub use jobs::{Export, Format, Locale};
pub use printer::discovery::{Mdns, Options as Finding};
pub use queue::Over;
