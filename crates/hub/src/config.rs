//! What a hub is started with.

use crate::{Discovery, Grace, Lookup, StopButton};
use link::race::Kinds;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use wire::{Name, Relay};

/// The URL of a PostgreSQL database, which may hold a password: it is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Database(pub String);

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("postgres://…")
    }
}

#[derive(Debug)]
pub struct Config {
    /// The folder with the key and the database; made if it is not there.
    pub data: PathBuf,
    pub name: Name,
    /// Where to listen for peers, UDP. `None`: the port of the last start, else any.
    pub bind: Option<SocketAddr>,
    /// Relays of one's own. Others are used only if a ticket names them.
    pub relays: Vec<Relay>,
    /// Public discovery; none while `offline`.
    pub lookup: Option<Lookup>,
    /// No relay is used, not even one that a ticket names.
    pub offline: bool,
    /// Kinds of paths that may be used; others are neither dialled nor accepted.
    pub only: Kinds,
    /// For how long devices in use outlive a cut connection.
    pub grace: Grace,
    /// Where to look for other hubs, and to be found.
    pub discovery: Discovery,
    /// Devices made of software, to be shared like real ones.
    pub simulated: Vec<Arc<sim::Simulated>>,
    /// Machines made of software.
    pub machines: Vec<Arc<sim::machine::Simulated>>,
    /// Serial ports that no list of the system has.
    pub serial_ports: Vec<PathBuf>,
    /// The program that stops a machine when this one is gone.
    pub guard: Option<serial::guard::Program>,
    /// Stop machines without a network.
    pub stop_buttons: Vec<StopButton>,
    /// Where the print shop is stored: a `postgres://` URL. `None`: in the data folder.
    pub database: Option<Database>,
    /// A file with the key that seals the shop's secrets, where several hubs share one shop.
    pub shop_key: Option<PathBuf>,
    /// The file with these settings, for backups.
    pub settings: Option<PathBuf>,
    /// Where 3D printers are listened for that announce themselves.
    pub printers: fleet::Finding,
    /// Look for real devices as well.
    pub real: bool,
    /// For demonstration: said wherever the hub shows itself.
    pub demo: bool,
}

impl Config {
    /// A hub that shares nothing yet and does not look for others: what it needs, and the defaults
    /// for the rest.
    pub fn new(data: impl Into<PathBuf>, name: Name) -> Self {
        Self {
            data: data.into(),
            name,
            bind: None,
            relays: vec![],
            lookup: None,
            offline: false,
            only: Kinds::ALL,
            grace: Grace::default(),
            discovery: Discovery::Off,
            simulated: vec![],
            machines: vec![],
            serial_ports: vec![],
            guard: None,
            stop_buttons: vec![],
            database: None,
            shop_key: None,
            settings: None,
            printers: fleet::Finding::default(),
            real: false,
            demo: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_in_nothing_that_is_logged() {
        let url = "postgres://farm:s3cret@db/farm".to_owned();
        let name: Name = "desk".parse().unwrap();
        let config = Config { database: Some(Database(url)), ..Config::new("/x", name) };
        let shown = format!("{config:?}");
        assert!(shown.contains("postgres://…") && !shown.contains("s3cret"), "{shown}");
    }
}
