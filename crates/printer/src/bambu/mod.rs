//! Bambu Lab printers in LAN mode.
//!
//! A printer is an MQTT broker that tells what it does on one topic and takes commands on another
//! ([`client`]), and an FTP server for its files ([`ftps`]), each in TLS with a certificate in its
//! serial number's name ([`tls`]). What it says is merged in [`report`] and read in [`status`];
//! what it is told is in [`command`]. Source: Doridian/OpenBambuAPI, greghesp/ha-bambulab and
//! maziggy/bambuddy, none of them official.

mod client;
mod command;
mod fault;
mod ftps;
mod json;
mod listing;
mod model;
mod report;
mod slots;
mod stage;
mod status;
mod tls;
mod transfer;

use crate::files::{RemoteFile, Upload};
use crate::{Connection, Error, Found, Order, Told};
use std::path::Path;
use tokio::sync::{mpsc, watch as progress};

pub(crate) use model::Model;

pub(crate) async fn watch(
    connection: &Connection,
    told: mpsc::Sender<Told>,
    orders: &mut mpsc::Receiver<Order>,
) -> Error {
    client::watch(connection, &told, orders, client::Pace::REAL).await
}

pub(crate) async fn probe(connection: &Connection) -> Result<Found, Error> {
    client::probe(connection, client::Pace::REAL).await
}

pub(crate) async fn list(connection: &Connection) -> Result<Vec<RemoteFile>, Error> {
    transfer::list(connection).await
}

pub(crate) async fn download(
    connection: &Connection,
    path: &str,
    into: &Path,
    from: u64,
    progress: &progress::Sender<u64>,
) -> Result<u64, Error> {
    transfer::download(connection, path, into, from, progress).await
}

pub(crate) async fn upload(
    connection: &Connection,
    upload: &Upload<'_>,
    progress: &progress::Sender<u64>,
) -> Result<RemoteFile, Error> {
    transfer::upload(connection, upload, progress).await
}

pub(crate) async fn delete(connection: &Connection, path: &str) -> Result<(), Error> {
    transfer::delete(connection, path).await
}

/// Whether a printer could print a file of that name.
fn is_printable(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.ends_with(".3mf") || name.ends_with(".gcode")
}
