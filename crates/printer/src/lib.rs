//! 3D printers: what they are, what they are told, and the protocols that they speak.
//!
//! One module for each protocol. Each has a *mapping* without I/O (bytes or JSON in, a
//! [`PrinterState`] out; a [`Command`] in, messages out) and a thin client around it. There is no
//! trait for printers: [`watch()`], [`probe`] and [`files`] are each one `match` on the
//! [`Protocol`].
//!
//! What a printer cannot do is absent from its [`PrinterState::abilities`], and nothing else.
//! Whatever a printer says is untrusted: it is limited before it is stored, and a message that
//! cannot be read is counted and skipped, never the end of the connection by itself.

mod bambu;
mod command;
mod connection;
mod dial;
pub mod discovery;
mod error;
pub mod files;
mod http;
mod json;
mod moonraker;
mod octoprint;
mod orders;
mod prusalink;
mod socket;
mod state;
mod teller;
mod watch;

pub use command::{Command, Heater, Start};
pub use connection::{Connection, Fingerprint, Protocol, Secret};
pub use error::{Error, Reason};
pub use octoprint::appkey;
pub use state::{
    Ability, Camera, Fan, Fault, Identity, Object, Phase, PrinterState, Running, Severity, Slot,
    Temperature, Temperatures,
};
pub use watch::{Found, Order, Outcome, Past, Told, probe, watch};
