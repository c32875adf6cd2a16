//! Files by PrusaLink: listed folder by folder, put with PUT, verified by their size.

use super::client::http;
use super::mapping::{changed_us, file_path};
use crate::files::{FILES_MAX, RemoteFile, Upload};
use crate::http::{Answer, Ask, Fetch, Http, Send, encode_path};
use crate::json::{Json, bytes};
use crate::{Connection, Error, Reason};
use hyper::Method;
use serde_json::Value;
use std::collections::VecDeque;
use std::path::Path;
use tokio::sync::watch;

pub(crate) async fn list(connection: &Connection) -> Result<Vec<RemoteFile>, Error> {
    let mut http = http(connection)?;
    let Some(storages) = storages(&mut http).await? else {
        let ask = Ask::get("/api/files?recursive=true").list();
        let mut found = Vec::new();
        legacy_entries(http.json(&ask).await?.items("/files"), 0, &mut found);
        return Ok(found);
    };
    let mut folders: VecDeque<String> =
        storages.iter().filter(|storage| storage.is_there).map(|one| one.path.clone()).collect();
    let mut found = Vec::new();
    let mut folders_left = FOLDERS_MAX;
    while let Some(folder) = folders.pop_front() {
        let ask = Ask::get(file_path(&folder)?).list();
        let answer = http.ask(&ask).await?;
        if answer.status == 404 {
            // Taken away in the meantime.
            continue;
        }
        if !answer.is_ok() {
            return Err(refused(&http, &ask, &answer));
        }
        for child in answer.json()?.items("/children") {
            let Some(name) = child.path("/name").filter(|name| is_plain(name)) else { continue };
            let path = format!("{folder}/{name}");
            if child.at("/type").and_then(Value::as_str) == Some("FOLDER") {
                if folders_left > 0 {
                    folders_left -= 1;
                    folders.push_back(path);
                }
            } else if is_print(child, &name) && found.len() < FILES_MAX {
                found.push(remote_file(path, &name, child));
            }
        }
    }
    Ok(found)
}

pub(crate) async fn download(
    connection: &Connection,
    path: &str,
    into: &Path,
    from: u64,
    progress: &watch::Sender<u64>,
) -> Result<u64, Error> {
    let mut http = http(connection)?;
    let entry = match entry(&mut http, path).await {
        Err(error) if error.reason == Reason::NotFound => {
            // Firmware from before `/api/v1`, or no such file.
            let ask = Ask::get(format!("/api/files{}", encode_path(path)));
            let old = http.json(&ask).await;
            old.map_err(|_| error)?
        }
        other => other?,
    };
    let place = entry.path("/refs/download").filter(|place| place.starts_with('/'));
    let place = place
        .ok_or_else(|| Error::new(Reason::Unable, "the printer does not give this file away"))?;
    // Buddy writes names as they are, the Python PrusaLink encodes them.
    let place = if place.contains('%') { place } else { encode_path(&place) };
    let bytes = bytes(&entry, "/size");
    http.fetch(&Fetch { path: &place, into, from, bytes, progress }).await
}

pub(crate) async fn upload(
    connection: &Connection,
    upload: &Upload<'_>,
    progress: &watch::Sender<u64>,
) -> Result<RemoteFile, Error> {
    let content_type = content_type(upload.name)?;
    let mut http = http(connection)?;
    let storages = storages(&mut http).await?.ok_or_else(|| {
        Error::new(Reason::Unable, "the printer's firmware is too old to be sent files")
            .hint("Update the printer's firmware.")
    })?;
    let storage = storages.into_iter().find(|one| one.is_there && !one.is_read_only);
    let storage = storage.ok_or_else(|| {
        Error::new(Reason::Storage, "the printer has no storage that can be written to")
            .hint("Put a USB drive into the printer.")
    })?;
    if storage.free.is_some_and(|free| free < upload.bytes) {
        return Err(full());
    }
    let folder = storage.path;
    let path = format!("{folder}/{}", upload.name);
    if !upload.replace && entry(&mut http, &path).await.is_ok() {
        return Err(already_there(upload.name));
    }
    let ask = Ask::new(Method::PUT, file_path(&path)?)
        .header("content-type", content_type)
        .header("overwrite", if upload.replace { "?1" } else { "?0" })
        .header("print-after-upload", "?0");
    let send =
        Send { file: upload.file, bytes: upload.bytes, around: (Vec::new(), Vec::new()), progress };
    let answer = http.upload(&ask, &send).await?;
    if !answer.is_ok() {
        // There is one conflict for a name that is taken and for much else.
        let is_taken =
            answer.status == 409 && !upload.replace && entry(&mut http, &path).await.is_ok();
        return Err(if is_taken {
            already_there(upload.name)
        } else {
            refused(&http, &ask, &answer)
        });
    }
    let there = entry(&mut http, &path).await?;
    if bytes(&there, "/size") != Some(upload.bytes) {
        let _ = http.ask(&Ask::new(Method::DELETE, file_path(&path)?)).await;
        let message = format!("{} did not arrive whole on the printer", upload.name);
        return Err(Error::new(Reason::Corrupt, message).hint("Send it once more."));
    }
    // From here on it has its short name.
    let name = there.path("/name").filter(|name| is_plain(name));
    let name = name.unwrap_or_else(|| upload.name.to_owned());
    let mut file = remote_file(format!("{folder}/{name}"), &name, &there);
    upload.name.clone_into(&mut file.name);
    Ok(file)
}

pub(crate) async fn delete(connection: &Connection, path: &str) -> Result<(), Error> {
    let mut http = http(connection)?;
    let ask = Ask::new(Method::DELETE, file_path(path)?);
    let answer = http.ask(&ask).await?;
    if answer.is_ok() { Ok(()) } else { Err(refused(&http, &ask, &answer)) }
}

struct Storage {
    /// Without a slash at its end.
    path: String,
    is_there: bool,
    is_read_only: bool,
    free: Option<u64>,
}

/// `None` for firmware from before `/api/v1`.
async fn storages(http: &mut Http) -> Result<Option<Vec<Storage>>, Error> {
    let ask = Ask::get("/api/v1/storage");
    let answer = http.ask(&ask).await?;
    if answer.status == 404 {
        return Ok(None);
    }
    if !answer.is_ok() {
        return Err(refused(http, &ask, &answer));
    }
    let json = answer.json()?;
    let storages = json.items("/storage_list").iter().take(STORAGES_MAX);
    let read = storages.filter_map(|storage| {
        Some(Storage {
            path: storage
                .path("/path")
                .filter(|path| path.starts_with('/'))?
                .trim_end_matches('/')
                .to_owned(),
            is_there: storage.flag("/available").unwrap_or(true),
            is_read_only: storage.flag("/read_only").unwrap_or(false),
            free: bytes(storage, "/free_space"),
        })
    });
    Ok(Some(read.collect()))
}

/// What the printer says of a file.
async fn entry(http: &mut Http, path: &str) -> Result<Value, Error> {
    let ask = Ask::get(file_path(path)?);
    let answer = http.ask(&ask).await?;
    if answer.is_ok() { answer.json() } else { Err(refused(http, &ask, &answer)) }
}

/// Every status that the openapi.yaml and lib/WUI have for files.
fn refused(http: &Http, ask: &Ask, answer: &Answer) -> Error {
    let says = answer.says();
    let because = if says.is_empty() { String::new() } else { format!(": {says}") };
    let error = |reason, what: &str| Error::new(reason, format!("{what}{because}"));
    match answer.status {
        400 => error(Reason::Corrupt, "the printer did not get the whole file"),
        403 => error(Reason::Unacceptable, "the printer does not allow that there"),
        404 => error(Reason::NotFound, "the printer has no such file"),
        408 => error(Reason::Lost, "the printer has waited too long for the file")
            .hint("Its network is slow: try a cable, or keep it nearer to the access point."),
        409 => error(Reason::Busy, "the printer refuses that now"),
        411 => error(Reason::Unacceptable, "the printer wants to know the length"),
        413 => error(Reason::Unacceptable, "the file is too large for the printer"),
        415 => error(Reason::Unacceptable, "the printer takes no such file"),
        422 => error(Reason::Unacceptable, "the printer does not take that name"),
        431 => error(Reason::Unacceptable, "the name is too long for the printer"),
        507 => error(Reason::Storage, "the printer's storage is full or missing")
            .hint("Put a USB drive with free space into the printer."),
        _ => http.unexpected(ask, answer),
    }
}

fn full() -> Error {
    Error::new(Reason::Storage, "the printer's storage is too full for the file")
        .hint("Delete files from the printer's USB drive.")
}

fn already_there(name: &str) -> Error {
    Error::new(Reason::AlreadyThere, format!("{name} is on the printer already"))
}

/// By the name's ending, which is what the printer goes by, too.
fn content_type(name: &str) -> Result<&'static str, Error> {
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    let is_fit = is_plain(name) && name.len() <= NAME_BYTES_MAX;
    match ending.as_deref() {
        Some("gcode" | "gco" | "gc" | "g") if is_fit => Ok("text/x.gcode"),
        Some("bgcode" | "bgc") if is_fit => Ok("application/gcode+binary"),
        _ => Err(Error::new(
            Reason::Unacceptable,
            format!("PrusaLink takes no file called {name:?}"),
        )
        .hint("It prints .gcode and .bgcode files, with plain and short names.")),
    }
}

fn is_print(entry: &Value, name: &str) -> bool {
    match entry.at("/type").and_then(Value::as_str) {
        Some(kind) => kind == "PRINT_FILE",
        None => content_type(name).is_ok(),
    }
}

/// One step of a path, and no way out of its folder.
fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name != "."
        && name != ".."
        && !name.contains(['/', '\\'])
        && !name.chars().any(char::is_control)
}

fn remote_file(path: String, name: &str, entry: &Value) -> RemoteFile {
    RemoteFile {
        path,
        name: entry.path("/display_name").unwrap_or_else(|| name.to_owned()),
        bytes: bytes(entry, "/size"),
        changed_us: changed_us(entry),
    }
}

fn legacy_entries(entries: &[Value], depth: u8, found: &mut Vec<RemoteFile>) {
    for entry in entries {
        let children = entry.items("/children");
        if !children.is_empty() && depth < DEPTH_MAX {
            legacy_entries(children, depth + 1, found);
        }
        let Some(path) = entry.path("/path") else { continue };
        let name = entry.path("/display").or_else(|| entry.path("/name"));
        let is_folder = entry.at("/type").and_then(Value::as_str) == Some("folder");
        if let (Some(name), false) = (name, is_folder || found.len() >= FILES_MAX) {
            let (bytes, changed_us) = (bytes(entry, "/size"), changed_us(entry));
            found.push(RemoteFile { path, name, bytes, changed_us });
        }
    }
}

const STORAGES_MAX: usize = 8;
const FOLDERS_MAX: usize = 500;
const DEPTH_MAX: u8 = 16;
/// FAT's, for long names.
const NAME_BYTES_MAX: usize = 255;
