//! Files by OctoPrint: one recursive list, uploads as forms, verified by their size.

use super::client::http;
use super::mapping::file_path;
use crate::files::{FILES_MAX, RemoteFile, Upload};
use crate::http::{Answer, Ask, Fetch, Http, Multipart, Send, encode_path};
use crate::json::{Json, bytes, micros};
use crate::{Connection, Error, Reason};
use hyper::Method;
use serde_json::Value;
use std::path::Path;
use tokio::sync::watch;

pub(crate) async fn list(connection: &Connection) -> Result<Vec<RemoteFile>, Error> {
    let mut http = http(connection)?;
    let ask = Ask::get("/api/files?recursive=true").list();
    let answer = http.ask(&ask).await?;
    if !answer.is_ok() {
        return Err(refused(&http, &ask, &answer));
    }
    let mut found = Vec::new();
    collect(answer.json()?.items("/files"), 0, &mut found);
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
    let entry = entry(&mut http, path).await?;
    let Some(inside) = path.strip_prefix("local/") else {
        let message = "OctoPrint cannot read what is on the printer's own SD card";
        return Err(Error::new(Reason::Unable, message));
    };
    // `refs.download` says the same, with OctoPrint's own idea of its host.
    let place = format!("/downloads/files/local/{}", encode_path(inside));
    let bytes = bytes(&entry, "/size");
    http.fetch(&Fetch { path: &place, into, from, bytes, progress }).await
}

pub(crate) async fn upload(
    connection: &Connection,
    upload: &Upload<'_>,
    progress: &watch::Sender<u64>,
) -> Result<RemoteFile, Error> {
    if !is_print(upload.name) || upload.name.contains(['/', '\\']) {
        let message = format!("OctoPrint takes no file called {:?}", upload.name);
        return Err(Error::new(Reason::Unacceptable, message)
            .hint("It prints .gcode files, with plain names."));
    }
    let mut http = http(connection)?;
    let path = format!("local/{}", upload.name);
    // OctoPrint replaces without a word, unless it is new enough to know `noOverwrite`. It keeps
    // no spaces in names.
    let plainer = path.replace(' ', "_");
    if !upload.replace
        && (entry(&mut http, &path).await.is_ok() || entry(&mut http, &plainer).await.is_ok())
    {
        return Err(already_there(upload.name));
    }
    let mut form = Multipart::new().field("select", "false").field("print", "false");
    if !upload.replace {
        form = form.field("noOverwrite", "true");
    }
    let ask =
        Ask::new(Method::POST, "/api/files/local").header("content-type", form.content_type());
    let send =
        Send { file: upload.file, bytes: upload.bytes, around: form.around(upload.name), progress };
    let answer = http.upload(&ask, &send).await?;
    if answer.status == 409 && !upload.replace {
        return Err(already_there(upload.name));
    }
    if !answer.is_ok() {
        return Err(refused(&http, &ask, &answer));
    }
    // It may have made the name plainer.
    let path = answer.json().ok().and_then(|json| json.path("/files/local/path"));
    let path = path.map_or(path_of(upload.name), |path| path_of(&path));
    let there = entry(&mut http, &path).await?;
    if bytes(&there, "/size") != Some(upload.bytes) {
        let _ = http.ask(&Ask::new(Method::DELETE, file_path(&path)?)).await;
        let message = format!("{} did not arrive whole on the printer", upload.name);
        return Err(Error::new(Reason::Corrupt, message).hint("Send it once more."));
    }
    Ok(remote_file(path, &there))
}

pub(crate) async fn delete(connection: &Connection, path: &str) -> Result<(), Error> {
    let mut http = http(connection)?;
    let ask = Ask::new(Method::DELETE, file_path(path)?);
    let answer = http.ask(&ask).await?;
    if answer.is_ok() { Ok(()) } else { Err(refused(&http, &ask, &answer)) }
}

async fn entry(http: &mut Http, path: &str) -> Result<Value, Error> {
    let ask = Ask::get(file_path(path)?);
    let answer = http.ask(&ask).await?;
    if answer.is_ok() { answer.json() } else { Err(refused(http, &ask, &answer)) }
}

fn refused(http: &Http, ask: &Ask, answer: &Answer) -> Error {
    let says = answer.says();
    let because = if says.is_empty() { says } else { format!(": {says}") };
    let error = |reason, what: &str| Error::new(reason, format!("{what}{because}"));
    match answer.status {
        400 => error(Reason::Unacceptable, "OctoPrint does not take that"),
        403 => error(Reason::ReadOnly, "OctoPrint's key does not allow that")
            .hint("Use the key of a user who may see and change files."),
        404 => error(Reason::NotFound, "OctoPrint has no such file"),
        409 => error(Reason::Busy, "the file is being printed"),
        413 => error(Reason::Unacceptable, "the file is larger than OctoPrint allows"),
        415 => error(Reason::Unacceptable, "OctoPrint takes no such file"),
        507 => error(Reason::Storage, "OctoPrint's disk is full"),
        _ => http.unexpected(ask, answer),
    }
}

fn collect(entries: &[Value], depth: u8, found: &mut Vec<RemoteFile>) {
    for entry in entries {
        if depth < DEPTH_MAX {
            collect(entry.items("/children"), depth + 1, found);
        }
        let is_code = match entry.at("/type").and_then(Value::as_str) {
            Some(kind) => kind == "machinecode",
            None => false,
        };
        let Some(path) = entry.path("/path").filter(|_| is_code) else { continue };
        let origin = entry.path("/origin").unwrap_or_else(|| "local".to_owned());
        let path = format!("{origin}/{path}");
        if found.len() < FILES_MAX && file_path(&path).is_ok() {
            found.push(remote_file(path, entry));
        }
    }
}

fn already_there(name: &str) -> Error {
    Error::new(Reason::AlreadyThere, format!("{name} is on the printer already"))
}

fn path_of(inside: &str) -> String {
    format!("local/{inside}")
}

fn remote_file(path: String, entry: &Value) -> RemoteFile {
    let name = entry.path("/display").or_else(|| entry.path("/name"));
    let name = name.unwrap_or_else(|| path.rsplit('/').next().unwrap_or(&path).to_owned());
    let changed_us = entry.number("/date").and_then(micros);
    RemoteFile { path, name, bytes: bytes(entry, "/size"), changed_us }
}

/// As OctoPrint's own file types have them.
fn is_print(name: &str) -> bool {
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    matches!(ending.as_deref(), Some("gcode" | "gco" | "g")) && !name.chars().any(char::is_control)
}

const DEPTH_MAX: u8 = 16;
