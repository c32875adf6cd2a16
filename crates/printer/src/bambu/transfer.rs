//! Files to and from a printer.
//!
//! A printer says that all is well when it is not: one was seen to acknowledge a file that lacked
//! its last kilobyte. So the size is asked for after each transfer, and a file of at most 1 MiB is
//! read back and compared by its hash. Larger ones are not: at 75 to 150 KB/s that would take as
//! long as the upload again, and TLS, which is checked to the end of the stream on the way out,
//! leaves only loss at the end, which the size shows.

use super::ftps::{self, HANG, Protection, Session, Transfer, Trouble};
use super::listing;
use crate::files::{FILES_MAX, RemoteFile, Upload};
use crate::{Connection, Error, Reason};
use sha2::{Digest, Sha256};
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::fs::{File, OpenOptions};
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::timeout;

pub(super) async fn list(connection: &Connection) -> Result<Vec<RemoteFile>, Error> {
    for protection in ftps::protections(connection) {
        match list_with(connection, *protection).await {
            Ok(files) => {
                ftps::remember(connection, *protection);
                return Ok(files);
            }
            Err(Trouble::Hangs) => {}
            Err(Trouble::Error(error)) => return Err(error),
        }
    }
    Err(gave_up())
}

async fn list_with(
    connection: &Connection,
    protection: Protection,
) -> Result<Vec<RemoteFile>, Trouble> {
    let mut session = Session::open(connection, protection).await?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let now_s = i64::try_from(now).unwrap_or(i64::MAX / 2);
    let mut files = Vec::new();
    for folder in FOLDERS {
        let transfer = match session.list(folder).await {
            // Not every model has every folder.
            Err(Trouble::Error(error)) if error.reason == Reason::NotFound && folder != "/" => {
                continue;
            }
            transfer => transfer?,
        };
        let bytes = read_all(&session, transfer, LISTING_BYTES_MAX).await?;
        let text = String::from_utf8_lossy(&bytes);
        files.extend(text.lines().filter_map(|line| listing::file(line, folder, now_s)));
    }
    files.truncate(FILES_MAX);
    session.quit().await;
    Ok(files)
}

/// All of a small transfer; what is longer is cut.
async fn read_all(
    session: &Session,
    mut transfer: Transfer,
    bytes_max: usize,
) -> Result<Vec<u8>, Trouble> {
    let mut bytes = Vec::new();
    let mut buffer = vec![0; BLOCK_BYTES];
    while bytes.len() < bytes_max {
        let wait = if bytes.is_empty() { HANG } else { STALL };
        match timeout(wait, transfer.read(&mut buffer)).await {
            Ok(Ok(0)) => break,
            Ok(Ok(read)) => bytes.extend_from_slice(&buffer[..read]),
            Ok(Err(error)) => return Err(lost(&error).into()),
            Err(_) if bytes.is_empty() => return Err(session.hangs()),
            Err(_) => return Err(stalled().into()),
        }
    }
    bytes.truncate(bytes_max);
    finish(transfer).await?;
    Ok(bytes)
}

async fn finish(transfer: Transfer) -> Result<(), Error> {
    let finished = timeout(FINISH, transfer.finish()).await.map_err(|_| stalled())?;
    finished.map_err(|error| ftps::explain(error, "the transfer"))
}

pub(super) async fn download(
    connection: &Connection,
    path: &str,
    into: &Path,
    from: u64,
    progress: &watch::Sender<u64>,
) -> Result<u64, Error> {
    check_path(path)?;
    for protection in ftps::protections(connection) {
        match download_with(connection, *protection, path, into, from, progress).await {
            Ok(bytes) => {
                ftps::remember(connection, *protection);
                return Ok(bytes);
            }
            Err(Trouble::Hangs) => {}
            Err(Trouble::Error(error)) => return Err(error),
        }
    }
    Err(gave_up())
}

async fn download_with(
    connection: &Connection,
    protection: Protection,
    path: &str,
    into: &Path,
    from: u64,
    progress: &watch::Sender<u64>,
) -> Result<u64, Trouble> {
    let mut session = Session::open(connection, protection).await?;
    let total = session.size(path).await?.ok_or_else(|| not_found(path))?;
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(into)
        .await
        .map_err(|error| local(&error))?;
    // What is there of a file that has become shorter is of another file.
    let mut at = if from <= total { from } else { 0 };
    let transfer = match session.retrieve(path, usize::try_from(at).unwrap_or(usize::MAX)).await {
        Err(Trouble::Error(error)) if at > 0 && error.reason != Reason::NotFound => {
            tracing::debug!(%error, "a printer that cannot begin in the middle");
            session = Session::open(connection, protection).await?;
            at = 0;
            session.retrieve(path, 0).await?
        }
        transfer => transfer?,
    };
    file.set_len(at).await.map_err(|error| local(&error))?;
    file.seek(io::SeekFrom::Start(at)).await.map_err(|error| local(&error))?;
    progress.send_replace(at);
    let took = allowance(total - at);
    let receiving = receive(&session, transfer, &mut file, at, total, progress);
    let received = timeout(took, receiving).await.unwrap_or_else(|_| Err(stalled().into()));
    file.flush().await.map_err(|error| local(&error))?;
    received?;
    session.quit().await;
    Ok(total)
}

async fn receive(
    session: &Session,
    mut transfer: Transfer,
    file: &mut File,
    from: u64,
    total: u64,
    progress: &watch::Sender<u64>,
) -> Result<(), Trouble> {
    let mut at = from;
    let mut buffer = vec![0; BLOCK_BYTES];
    loop {
        let wait = if at == from { HANG } else { STALL };
        let read = match timeout(wait, transfer.read(&mut buffer)).await {
            Ok(Ok(0)) => break,
            Ok(Ok(read)) => read,
            Ok(Err(error)) => return Err(lost(&error).into()),
            Err(_) if at == from && at < total => return Err(session.hangs()),
            Err(_) => return Err(stalled().into()),
        };
        at += read as u64;
        if at > total {
            return Err(corrupt(format!("more than the {total} bytes that were told")).into());
        }
        file.write_all(&buffer[..read]).await.map_err(|error| local(&error))?;
        progress.send_replace(at);
    }
    let finished = finish(transfer).await;
    match (at == total, finished) {
        // All is there, whatever it says about it.
        (true, _) => Ok(()),
        (false, Ok(())) => Err(corrupt(format!("{at} of {total} bytes arrived")).into()),
        (false, Err(error)) => {
            let text = format!("the printer stopped after {at} of {total} bytes: {error}");
            Err(Error::new(Reason::Lost, text).into())
        }
    }
}

pub(super) async fn upload(
    connection: &Connection,
    upload: &Upload<'_>,
    progress: &watch::Sender<u64>,
) -> Result<RemoteFile, Error> {
    let path = format!("/{}", upload.name);
    check_name(upload.name)?;
    for protection in ftps::protections(connection) {
        match upload_with(connection, *protection, upload, &path, progress).await {
            Ok(()) => {
                ftps::remember(connection, *protection);
                let name = upload.name.to_owned();
                let bytes = Some(upload.bytes);
                return Ok(RemoteFile { path, name, bytes, changed_us: None });
            }
            Err(Trouble::Hangs) => {}
            Err(Trouble::Error(error)) => return Err(error),
        }
    }
    Err(gave_up())
}

async fn upload_with(
    connection: &Connection,
    protection: Protection,
    upload: &Upload<'_>,
    path: &str,
    progress: &watch::Sender<u64>,
) -> Result<(), Trouble> {
    let mut file = File::open(upload.file).await.map_err(|error| local(&error))?;
    let mut session = Session::open(connection, protection).await?;
    if !upload.replace && session.size(path).await?.is_some() {
        let text = format!("there is a file {:?} already", upload.name);
        return Err(Error::new(Reason::AlreadyThere, text).into());
    }
    progress.send_replace(0);
    let transfer = match session.store(path).await {
        // "Could not create file" is what is said without a memory card.
        Err(Trouble::Error(error))
            if matches!(error.reason, Reason::NotFound | Reason::Unacceptable) =>
        {
            let error = Error::new(Reason::Storage, error.message);
            return Err(error.hint("is there a memory card in the printer?").into());
        }
        transfer => transfer?,
    };
    let took = allowance(upload.bytes);
    let sending = send(&session, transfer, &mut file, upload.bytes, progress);
    let sent = timeout(took, sending).await.unwrap_or_else(|_| Err(stalled().into()));
    match sent {
        Err(Trouble::Hangs) => return Err(Trouble::Hangs),
        Err(Trouble::Error(error)) if error.reason == Reason::Local => return Err(error.into()),
        Ok(()) => {}
        // It may be there all the same: look. The session is still busy with its transfer.
        Err(Trouble::Error(_)) => session = Session::open(connection, protection).await?,
    }
    let verified = verify(&mut session, upload, path, sent).await;
    if verified.is_err() {
        session.delete(path).await.ok();
    }
    session.quit().await;
    Ok(verified?)
}

async fn send(
    session: &Session,
    mut transfer: Transfer,
    file: &mut File,
    total: u64,
    progress: &watch::Sender<u64>,
) -> Result<(), Trouble> {
    let mut at = 0;
    let mut buffer = vec![0; BLOCK_BYTES];
    while at < total {
        let read = file.read(&mut buffer).await.map_err(|error| local(&error))?;
        if read == 0 || at + read as u64 > total {
            let text = "the file has changed while it was sent";
            return Err(Error::new(Reason::Local, text).into());
        }
        // What the system takes at once has not been moved yet.
        let wait = if at < IN_FLIGHT_BYTES { HANG } else { STALL };
        match timeout(wait, transfer.write_all(&buffer[..read])).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(lost(&error).into()),
            Err(_) if at < IN_FLIGHT_BYTES => return Err(session.hangs()),
            Err(_) => return Err(stalled().into()),
        }
        at += read as u64;
        progress.send_replace(at);
    }
    Ok(finish(transfer).await?)
}

/// Looks whether it is there whole, which alone counts.
async fn verify(
    session: &mut Session,
    upload: &Upload<'_>,
    path: &str,
    sent: Result<(), Trouble>,
) -> Result<(), Error> {
    let there = session.size(path).await?;
    if there != Some(upload.bytes) {
        if let Err(Trouble::Error(error)) = sent {
            return Err(error);
        }
        let there = there.unwrap_or(0);
        return Err(corrupt(format!("{there} of {} bytes are on the printer", upload.bytes)));
    }
    let bytes = usize::try_from(upload.bytes).unwrap_or(usize::MAX);
    if bytes > READ_BACK_BYTES_MAX {
        return Ok(());
    }
    let back = async {
        let transfer = session.retrieve(path, 0).await?;
        read_all(session, transfer, READ_BACK_BYTES_MAX + 1).await
    };
    let back = match back.await {
        Ok(back) => back,
        Err(Trouble::Hangs) => return Err(stalled()),
        Err(Trouble::Error(error)) => return Err(error),
    };
    let hash = data_encoding::HEXLOWER.encode(&Sha256::digest(&back));
    if hash.eq_ignore_ascii_case(upload.sha256) {
        Ok(())
    } else {
        Err(corrupt("what is on the printer is not what was sent".to_owned()))
    }
}

pub(super) async fn delete(connection: &Connection, path: &str) -> Result<(), Error> {
    check_path(path)?;
    // Nothing but the control connection is needed.
    let mut session = Session::open(connection, Protection::Private).await?;
    session.delete(path).await?;
    session.quit().await;
    Ok(())
}

/// How long a transfer may take.
fn allowance(bytes: u64) -> Duration {
    FINISH * 2 + Duration::from_secs(bytes / SPEED_FLOOR)
}

fn check_name(name: &str) -> Result<(), Error> {
    let odd = name.chars().any(|c| c.is_control() || "/\\:*?\"<>|".contains(c));
    let fits = super::is_printable(name) && name.len() <= NAME_BYTES_MAX;
    if odd || !fits || name.starts_with(['.', ' ', '-']) {
        return Err(Error::new(
            Reason::Unacceptable,
            format!("the printer takes no file {name:?}"),
        )
        .hint("its name must end with .3mf or .gcode and have no special characters"));
    }
    Ok(())
}

fn check_path(path: &str) -> Result<(), Error> {
    let parts_fit = path.split('/').all(|part| part != "..");
    if path.starts_with('/') && parts_fit && !path.chars().any(char::is_control) {
        return Ok(());
    }
    Err(not_found(path))
}

fn not_found(path: &str) -> Error {
    Error::new(Reason::NotFound, format!("there is no {path:?} on the printer"))
}

fn corrupt(text: String) -> Error {
    Error::new(Reason::Corrupt, text)
}

fn lost(error: &io::Error) -> Error {
    Error::new(Reason::Lost, format!("the transfer broke off: {error}"))
}

fn stalled() -> Error {
    Error::new(Reason::Lost, "the transfer stands still")
}

fn local(error: &io::Error) -> Error {
    Error::new(Reason::Local, format!("the file on our side: {error}"))
}

fn gave_up() -> Error {
    Error::new(Reason::NoAnswer, "the printer does not move its files")
}

/// Where files to print lie.
const FOLDERS: [&str; 2] = ["/", "/cache"];
const BLOCK_BYTES: usize = 32 * 1024;
/// Lines of 10 000 files.
const LISTING_BYTES_MAX: usize = 4 << 20;
const READ_BACK_BYTES_MAX: usize = 1 << 20;
/// Bytes per second; the slowest printers do three times that.
const SPEED_FLOOR: u64 = 25_000;
/// After the last byte the printer writes it to its card, and answers then.
const FINISH: Duration = Duration::from_secs(60);
/// Without a byte in the middle of a transfer.
const STALL: Duration = Duration::from_secs(30);
/// More than the sockets between here and there take by themselves.
const IN_FLIGHT_BYTES: u64 = 8 << 20;
/// Of FAT32 and ext4.
const NAME_BYTES_MAX: usize = 200;
