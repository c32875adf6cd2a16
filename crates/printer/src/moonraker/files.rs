//! Files by Moonraker: HTTP, verified by SHA-256 where they are sent.

use super::client::http;
use crate::files::{FILES_MAX, RemoteFile, Upload};
use crate::http::{Answer, Ask, Fetch, Http, Multipart, Send, encode_path};
use crate::json::{Json, bytes, micros};
use crate::{Connection, Error, Reason};
use hyper::Method;
use serde_json::Value;
use std::path::Path;
use tokio::sync::watch;

pub(crate) async fn list(connection: &Connection) -> Result<Vec<RemoteFile>, Error> {
    entries(&mut http(connection)?).await
}

async fn entries(http: &mut Http) -> Result<Vec<RemoteFile>, Error> {
    let answer = http.json(&Ask::get("/server/files/list?root=gcodes").list()).await?;
    let entries = answer.items("/result").iter().filter_map(|entry| {
        let path = entry.path("/path").filter(|path| is_inside(path))?;
        is_print(&path).then(|| remote_file(path, entry))
    });
    Ok(entries.take(FILES_MAX).collect())
}

pub(crate) async fn download(
    connection: &Connection,
    path: &str,
    into: &Path,
    from: u64,
    progress: &watch::Sender<u64>,
) -> Result<u64, Error> {
    let place = place(path)?;
    let mut http = http(connection)?;
    http.fetch(&Fetch { path: &place, into, from, bytes: None, progress }).await
}

pub(crate) async fn upload(
    connection: &Connection,
    upload: &Upload<'_>,
    progress: &watch::Sender<u64>,
) -> Result<RemoteFile, Error> {
    if !is_inside(upload.name) || upload.name.contains('/') || !is_print(upload.name) {
        let message = format!("Moonraker takes no file called {:?}", upload.name);
        return Err(Error::new(Reason::Unacceptable, message)
            .hint("It prints .gcode files, with plain names."));
    }
    let mut http = http(connection)?;
    // Moonraker replaces without a word.
    if !upload.replace && entries(&mut http).await?.iter().any(|file| file.path == upload.name) {
        let message = format!("{} is on the printer already", upload.name);
        return Err(Error::new(Reason::AlreadyThere, message));
    }
    let form = Multipart::new()
        .field("root", "gcodes")
        .field("checksum", upload.sha256)
        .field("print", "false");
    let ask =
        Ask::new(Method::POST, "/server/files/upload").header("content-type", form.content_type());
    let send =
        Send { file: upload.file, bytes: upload.bytes, around: form.around(upload.name), progress };
    if free(&mut http).await.is_some_and(|free| free < upload.bytes) {
        return Err(full());
    }
    let answer = http.upload(&ask, &send).await?;
    if !answer.is_ok() {
        return Err(match answer.status {
            // Whatever goes wrong while it writes is 500 to it, or 502 to the server before it.
            500.. if free(&mut http).await.is_some_and(|free| free < upload.bytes) => full(),
            500..=502 => not_stored(&answer),
            _ => refused(&http, &ask, &answer),
        });
    }
    let there = entries(&mut http).await?.into_iter().find(|file| file.path == upload.name);
    match there {
        Some(file) if file.bytes == Some(upload.bytes) => Ok(file),
        there => {
            if there.is_some() {
                let _ = http.ask(&Ask::new(Method::DELETE, place(upload.name)?)).await;
            }
            let message = format!("{} did not arrive whole on the printer", upload.name);
            Err(Error::new(Reason::Corrupt, message).hint("Send it once more."))
        }
    }
}

pub(crate) async fn delete(connection: &Connection, path: &str) -> Result<(), Error> {
    let mut http = http(connection)?;
    let ask = Ask::new(Method::DELETE, place(path)?);
    let answer = http.ask(&ask).await?;
    if answer.is_ok() {
        return Ok(());
    }
    // Moonraker 0.11 says 400 of a file that is not there, as of much else.
    if answer.status == 400 && !entries(&mut http).await?.iter().any(|file| file.path == path) {
        return Err(Error::new(Reason::NotFound, "the printer has no such file"));
    }
    Err(refused(&http, &ask, &answer))
}

/// What is left on the disk with its G-code, where it says so.
async fn free(http: &mut Http) -> Option<u64> {
    let ask = Ask::get("/server/files/directory?path=gcodes").list();
    let answer = http.ask(&ask).await.ok().filter(Answer::is_ok)?;
    bytes(&answer.json().ok()?, "/result/disk_usage/free")
}

fn full() -> Error {
    Error::new(Reason::Storage, "the printer's disk is too full for the file")
        .hint("Delete files from the printer.")
}

fn not_stored(answer: &Answer) -> Error {
    let message = format!("Moonraker could not store the file: {}", answer.says());
    Error::new(Reason::Storage, message)
        .hint("Its disk, or its folder for temporary files, may be full: see moonraker.log.")
}

fn refused(http: &Http, ask: &Ask, answer: &Answer) -> Error {
    let says = answer.says();
    let error = |reason, what: &str| Error::new(reason, format!("{what}: {says}"));
    match answer.status {
        403 => error(Reason::Busy, "Moonraker does not allow that, or the file is being printed"),
        404 => error(Reason::NotFound, "the printer has no such file"),
        413 => error(Reason::Unacceptable, "the file is larger than Moonraker's max_upload_size"),
        422 => error(Reason::Corrupt, "the file did not arrive whole on the printer"),
        507 => error(Reason::Storage, "the printer's storage is full"),
        _ => http.unexpected(ask, answer),
    }
}

fn place(path: &str) -> Result<String, Error> {
    if !is_inside(path) {
        return Err(Error::new(Reason::NotFound, format!("{path:?} is no file of Moonraker")));
    }
    Ok(format!("/server/files/gcodes/{}", encode_path(path)))
}

/// Of the folder for G-code.
fn is_inside(path: &str) -> bool {
    !path.is_empty()
        && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
        && !path.chars().any(char::is_control)
}

/// As Moonraker's file_manager has them.
fn is_print(path: &str) -> bool {
    let ending = path.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    matches!(ending.as_deref(), Some("gcode" | "g" | "gco" | "ufp" | "nc"))
}

fn remote_file(path: String, entry: &Value) -> RemoteFile {
    let name = path.rsplit('/').next().unwrap_or(&path).to_owned();
    let changed_us = entry.number("/modified").and_then(micros);
    RemoteFile { path, name, bytes: bytes(entry, "/size"), changed_us }
}
