//! Prusa printers by PrusaLink.

use crate::files::{RemoteFile, Upload};
use crate::{Connection, Error, Found, Order, Reason, Told};
use std::path::Path;
use tokio::sync::{mpsc, watch as progress};

pub(crate) async fn watch(
    _connection: &Connection,
    _told: mpsc::Sender<Told>,
    _orders: &mut mpsc::Receiver<Order>,
) -> Error {
    Error::new(Reason::Unable, "not yet")
}

pub(crate) async fn probe(_connection: &Connection) -> Result<Found, Error> {
    Err(Error::new(Reason::Unable, "not yet"))
}

pub(crate) async fn list(_connection: &Connection) -> Result<Vec<RemoteFile>, Error> {
    Err(Error::new(Reason::Unable, "not yet"))
}

pub(crate) async fn download(
    _connection: &Connection,
    _path: &str,
    _into: &Path,
    _from: u64,
    _progress: &progress::Sender<u64>,
) -> Result<u64, Error> {
    Err(Error::new(Reason::Unable, "not yet"))
}

pub(crate) async fn upload(
    _connection: &Connection,
    _upload: &Upload<'_>,
    _progress: &progress::Sender<u64>,
) -> Result<RemoteFile, Error> {
    Err(Error::new(Reason::Unable, "not yet"))
}

pub(crate) async fn delete(_connection: &Connection, _path: &str) -> Result<(), Error> {
    Err(Error::new(Reason::Unable, "not yet"))
}
