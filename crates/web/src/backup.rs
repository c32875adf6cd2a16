//! A backup of the hub, as a tar archive that is written while it is read.
//!
//! First comes `farhub-backup.json`, which says what it is; last `SHA256SUMS`, by which it is
//! known to be whole.

use crate::answer::{Body, Failed};
use crate::{Asking, Door, api};
use axum::Extension;
use axum::body::Body as Stream;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use hub::view::{Failure, FailureCode};
use hub::{Backup, Content, Hub, Part};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read, Write};
use tokio::sync::mpsc;
use utoipa::ToSchema;

api! {
    post "/backup" => backup,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct BackupWanted {
    /// Also what printed files contain.
    #[serde(default)]
    files: bool,
}

/// All that the hub knows, as a tar archive. It holds the hub's key, so that only commands at its
/// own socket get it, and browsers do not.
#[utoipa::path(post, path = "/backup", request_body = BackupWanted,
    responses((status = 200, content_type = "application/x-tar", body = Vec<u8>),
        (status = "4XX", body = Failure)))]
async fn backup(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Extension(door): Extension<Door>,
    Body(wanted): Body<BackupWanted>,
) -> Result<Response, Failed> {
    if !matches!(door, Door::Socket(_)) {
        let message = "a backup holds this hub's key: it is made by the command line";
        let failure = hub::Failure::new(FailureCode::Refused, message);
        return Err(Failed(failure.hint("on its computer: farhub backup FILE")));
    }
    let content = if wanted.files { Content::With } else { Content::Without };
    let backup = hub.backup(caller, content).await?;
    let (pieces, written) = mpsc::channel(PIECES_MAX);
    tokio::task::spawn_blocking(move || {
        let mut to = Pieces { to: pieces };
        let written = archive(&backup, &mut to);
        // before whoever reads sees the end of it
        drop(backup);
        if let Err(error) = written {
            // whoever reads sees that it broke off; one who is gone does not care
            let _ = to.to.blocking_send(Err(error));
        }
    });
    let pieces = stream::unfold(written, async |mut written| {
        let piece = written.recv().await?;
        Some((piece, written))
    });
    let kind = [(header::CONTENT_TYPE, "application/x-tar")];
    Ok((kind, Stream::from_stream(pieces)).into_response())
}

fn archive(backup: &Backup, to: &mut Pieces) -> io::Result<()> {
    let mut tar = tar::Builder::new(io::BufWriter::with_capacity(PIECE_BYTES, to));
    let about = serde_json::to_vec_pretty(&backup.about)?;
    let mut sums = String::new();
    entry(&mut tar, "farhub-backup.json", about.len() as u64, &mut &*about, &mut sums)?;
    for Part { name, file } in &backup.parts {
        let mut file = match File::open(file) {
            // somebody has just removed it
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            file => file?,
        };
        let bytes = file.metadata()?.len();
        entry(&mut tar, name, bytes, &mut file, &mut sums)?;
    }
    let all = sums.clone();
    entry(&mut tar, "SHA256SUMS", all.len() as u64, &mut all.as_bytes(), &mut sums)?;
    tar.into_inner()?.flush()
}

fn entry<W: Write>(
    tar: &mut tar::Builder<W>,
    name: &str,
    bytes: u64,
    content: &mut dyn Read,
    sums: &mut String,
) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes);
    header.set_mode(0o600);
    header.set_cksum();
    let mut hashing = Hashing { from: content.take(bytes), hash: Sha256::new(), bytes: 0 };
    tar.append_data(&mut header, name, &mut hashing)?;
    if hashing.bytes != bytes {
        return Err(io::Error::other(format!("{name} became shorter meanwhile")));
    }
    for byte in hashing.hash.finalize() {
        let _ = write!(sums, "{byte:02x}");
    }
    let _ = writeln!(sums, "  {name}");
    Ok(())
}

/// Knows the sum of what went through it.
struct Hashing<R> {
    from: R,
    hash: Sha256,
    bytes: u64,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(to)?;
        self.hash.update(&to[..count]);
        self.bytes += count as u64;
        Ok(count)
    }
}

/// Hands on what is written, and waits for whoever reads.
struct Pieces {
    to: mpsc::Sender<io::Result<Bytes>>,
}

impl Write for &mut Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.to.blocking_send(Ok(Bytes::copy_from_slice(bytes)));
        sent.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const PIECE_BYTES: usize = 256 << 10;
/// On their way at once.
const PIECES_MAX: usize = 4;
