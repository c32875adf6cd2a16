//! The files on a printer. Each call is a connection of its own, beside the one that
//! [`watch`](crate::watch())es; one at a time for each printer, which is up to the caller.

use crate::{Connection, Error, Protocol};
use crate::{bambu, moonraker, octoprint, prusalink};
use std::path::Path;
use tokio::sync::watch;

/// A file that lies on a printer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteFile {
    /// How the printer knows it. It is shown and given back to that printer, and never used as a
    /// path here.
    pub path: String,
    /// As people know it.
    pub name: String,
    pub bytes: Option<u64>,
    /// Microseconds since 1970, by the printer's clock.
    pub changed_us: Option<i64>,
}

/// What is to be put onto a printer.
#[derive(Clone, Debug)]
pub struct Upload<'a> {
    pub file: &'a Path,
    /// What it is to be called there, with its ending.
    pub name: &'a str,
    pub bytes: u64,
    /// SHA-256 of its content, hexadecimal.
    pub sha256: &'a str,
    /// Whether a file of that name may be replaced.
    pub replace: bool,
}

/// Every printable file, at most [`FILES_MAX`].
///
/// # Errors
/// When the printer does not answer as it should.
pub async fn list(connection: &Connection) -> Result<Vec<RemoteFile>, Error> {
    match connection.protocol {
        Protocol::Bambu => bambu::list(connection).await,
        Protocol::PrusaLink => prusalink::list(connection).await,
        Protocol::Moonraker => moonraker::list(connection).await,
        Protocol::OctoPrint => octoprint::list(connection).await,
    }
}

/// Writes what lies at `path` to the end of `into`, from byte `from` on; where the printer cannot
/// begin in the middle, `into` is emptied first. `progress` is told how many bytes are there.
/// Gives the size of the whole. Cancel safe: what was written stays.
///
/// # Errors
/// Also [`Reason::Corrupt`](crate::Reason::Corrupt) when the printer says another size.
pub async fn download(
    connection: &Connection,
    path: &str,
    into: &Path,
    from: u64,
    progress: &watch::Sender<u64>,
) -> Result<u64, Error> {
    match connection.protocol {
        Protocol::Bambu => bambu::download(connection, path, into, from, progress).await,
        Protocol::PrusaLink => prusalink::download(connection, path, into, from, progress).await,
        Protocol::Moonraker => moonraker::download(connection, path, into, from, progress).await,
        Protocol::OctoPrint => octoprint::download(connection, path, into, from, progress).await,
    }
}

/// Puts a file onto the printer and makes sure that it arrived whole: by its size at least, by its
/// hash where the protocol can. Not started. Gives it as it is there.
///
/// # Errors
/// When it is not there whole afterwards, and then nothing of that name is left where that can be.
pub async fn upload(
    connection: &Connection,
    upload: &Upload<'_>,
    progress: &watch::Sender<u64>,
) -> Result<RemoteFile, Error> {
    match connection.protocol {
        Protocol::Bambu => bambu::upload(connection, upload, progress).await,
        Protocol::PrusaLink => prusalink::upload(connection, upload, progress).await,
        Protocol::Moonraker => moonraker::upload(connection, upload, progress).await,
        Protocol::OctoPrint => octoprint::upload(connection, upload, progress).await,
    }
}

/// # Errors
/// [`Reason::NotFound`](crate::Reason::NotFound) when it is not there.
pub async fn delete(connection: &Connection, path: &str) -> Result<(), Error> {
    match connection.protocol {
        Protocol::Bambu => bambu::delete(connection, path).await,
        Protocol::PrusaLink => prusalink::delete(connection, path).await,
        Protocol::Moonraker => moonraker::delete(connection, path).await,
        Protocol::OctoPrint => octoprint::delete(connection, path).await,
    }
}

/// More than a printer of a workshop has; those beyond are not listed.
pub const FILES_MAX: usize = 10_000;
