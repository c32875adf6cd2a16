//! The node: identity, pairing, paths, grants, leases, the shelf. The one place where the kinds
//! of devices meet.
//!
//! A [`Hub`] is what the command line, the web UI and peers ask; each question says who asks
//! ([`Caller`]), and there is one check of what they may. What a hub knows is in one place
//! (`core`), changed in small steps by tasks that each do one thing: dial a peer, follow its
//! shelf, serve a stream, keep a device attached, look what is plugged in.

mod access;
mod attaching;
mod attachments;
mod audit;
mod backup;
mod benching;
mod buttons;
mod config;
mod congestion;
mod core;
mod devices;
mod dialing;
mod discovery;
mod door;
mod failure;
mod grace;
mod hub;
mod identity;
mod import;
mod jobs;
mod linking;
mod links;
mod login;
mod lookup;
mod machines;
mod management;
mod network;
mod pairing;
mod paths;
mod peers;
mod plugging;
mod printers;
mod rates;
mod relays;
mod resuming;
mod selector;
mod serving;
mod session;
mod stopping;
mod tending;
pub mod view;
mod why;

pub use access::requests::ACCEPTED;
pub use backup::{Backup, Content, Part};
pub use buttons::StopButton;
pub use config::{Config, Database};
pub use core::{Caller, PeerId};
pub use discovery::Discovery;
pub use failure::Failure;
pub use fleet;
pub use grace::Grace;
pub use hub::Hub;
pub use link::race::{Kind, Kinds};
pub use login::{ACCOUNT, Denied, LoggedIn, Use, set_web_password};
pub use lookup::{Lookup, NoLookup};
pub use pairing::{EXPIRES, Target};
pub use relays::{RelayTrouble, pin, probe_relay, public_relays};
pub use selector::Selector;
pub use serial::machine::Machine;

pub(crate) use hub::Inner;
