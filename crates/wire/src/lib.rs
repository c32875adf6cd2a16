//! Everything that two hubs say to each other: ids, frames, messages, and the limits on them.
//!
//! One QUIC connection joins two hubs ([`ALPN`]). Whoever wants something opens a bidirectional
//! stream and writes an [`Open`] frame; the other side writes an [`Answer`]. After
//! [`Answer::Ok`] the stream speaks its own kind:
//!
//! | opened with | upwards | downwards |
//! |---|---|---|
//! | [`Open::Shelf`] | nothing | [`shelf::Shelf`]: a snapshot, then changes |
//! | [`Open::Http`] | HTTP/1.1 requests | HTTP/1.1 responses |
//! | [`Open::Device`] | [`usb::Up`] for endpoint 0 | an [`usb::Attached`], then [`usb::Down`] |
//! | [`Open::Endpoint`] | [`usb::Up`] for one endpoint | a [`Joined`], then [`usb::Down`] |
//! | [`Open::Unlock`] | nothing | nothing |
//! | [`Open::Ask`] | nothing | an [`ask::Reply`] |
//!
//! The streams of a session outlive their connection: after the `Attached` or the `Joined` they
//! carry records that can be resumed on another stream (`link::resume`).
//!
//! A stranger may only speak the pairing protocols, under ALPNs of their own: by ticket ([`pair`]),
//! and on the local network by code ([`pair::code`]). What hubs announce there is [`announce`].
//!
//! The end of a stream is the end of what it carried: there is no goodbye message. QUIC's idle
//! timeout is the heartbeat: there is no ping message.
//!
//! This crate does no I/O and knows no clock. The order of an enum's variants *is* the protocol
//! (postcard writes the index); golden bytes in the tests pin it, and the ALPN carries the version.

mod adapters;
pub mod announce;
pub mod ask;
pub mod bench;
pub mod device;
pub mod frame;
mod host_port;
pub mod id;
mod open;
pub mod pair;
pub mod relay;
pub mod serial;
pub mod shelf;
pub mod usb;

pub use ask::{Pin, Proof, Reply};
pub use device::{Device, Kind};
pub use host_port::HostPort;
pub use id::{Address, DeviceId, Name, Text};
pub use open::{Answer, Joined, Open, Priority, Refusal, SessionId};
pub use relay::Relay;

/// Between paired hubs. A change that an older hub would misread takes the next number.
pub const ALPN: &[u8] = b"farhub/3";

/// Between hubs that are connected by way of a relay: a connection that carries nothing, and
/// makes both look once more for a path from one to the other.
pub const LOOK_ALPN: &[u8] = b"farhub-look/1";
