//! `/api/files`: the storage `local`.

use super::state::unix_s;
use super::{Door, done, lock, ok, refuse};
use crate::printer::End;
use crate::printer::engine::{FILES_BYTES_MAX, Refused};
use crate::printer::file::File;
use crate::printer::http::{self, Request, encode, header, json, parts, query, ranged};
use axum::http::header::{CONTENT_TYPE, HOST, LOCATION, RANGE};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};
use sha1::{Digest, Sha1};

pub(super) struct Entry {
    pub(super) path: String,
    pub(super) file: File,
}

impl Door {
    pub(super) async fn answer_files(&self, request: Request, path: &[&str]) -> Response {
        let missing = || refuse(StatusCode::NOT_FOUND, "File not found");
        let host = header(&request, &HOST).unwrap_or_default().to_owned();
        match (request.method().clone(), path) {
            (Method::GET, [] | ["local"]) => {
                let deep = query(request.uri()).get("recursive").is_some_and(|text| text == "true");
                ok(&self.list(deep, &host))
            }
            (Method::GET, ["sdcard"]) => ok(&json!({ "files": [] })),
            (Method::POST, ["local"]) => self.upload(request, &host).await,
            (Method::GET, ["local", path @ ..]) => {
                let path = path.join("/");
                let file = self.entry(&path).map(|entry| self.value(&entry, &host));
                let found = file.or_else(|| find(&self.list(true, &host)["files"], &path));
                found.map_or_else(missing, |value| ok(&value))
            }
            (Method::POST, ["local", path @ ..]) => {
                match http::read_json(request.into_body()).await {
                    Ok(body) => self.command_file(&path.join("/"), &body),
                    Err(status) => refuse(status, "Malformed JSON body in request"),
                }
            }
            (Method::DELETE, ["local", path @ ..]) => {
                match self.shared.with(|engine| engine.remove_file(&path.join("/"))) {
                    Ok(_) => {
                        let mut serial = lock(&self.own.serial);
                        serial.selected.take_if(|(selected, _)| *selected == path.join("/"));
                        done()
                    }
                    Err(Refused::Busy) => refuse(StatusCode::CONFLICT, "File is currently in use"),
                    Err(_) => missing(),
                }
            }
            (Method::GET | Method::POST | Method::DELETE, _) => missing(),
            _ => refuse(StatusCode::METHOD_NOT_ALLOWED, ""),
        }
    }

    pub(super) fn entry(&self, path: &str) -> Option<Entry> {
        if !self.shared.has_storage() {
            return None;
        }
        let file = self.shared.with(|engine| engine.files().get(path).cloned())?;
        Some(Entry { path: path.to_owned(), file })
    }

    /// Without what is in folders, unless it is to go deep.
    fn list(&self, deep: bool, host: &str) -> Value {
        let paths: Vec<String> =
            self.shared.with(|engine| engine.files().keys().cloned().collect());
        let entries = paths.iter().filter_map(|path| self.entry(path));
        let mut files: Vec<Value> = Vec::new();
        let mut used = 0;
        for entry in entries {
            used += entry.file.content.len();
            let value = self.value(&entry, host);
            put(&mut files, "", &entry.path, value);
        }
        let free = FILES_BYTES_MAX.saturating_sub(used);
        if !deep {
            for folder in files.iter_mut().filter(|item| item["type"] == "folder") {
                folder["children"] = json!([]);
            }
        }
        json!({ "files": files, "free": free, "total": FILES_BYTES_MAX })
    }

    fn value(&self, Entry { path, file }: &Entry, host: &str) -> Value {
        let name = path.rsplit('/').next().unwrap_or(path);
        let (successes, failures, last) = self.shared.with(|engine| {
            let ended = |wanted: fn(End) -> bool| {
                let of_it = engine.records.iter().filter(|record| record.print.file == *path);
                of_it.filter(|r| r.print.ended.is_some_and(|(_, end)| wanted(end))).count()
            };
            let last = engine.records.iter().rev().find(|record| record.print.file == *path);
            let last = last.and_then(|record| {
                let (when, end) = record.print.ended?;
                Some(json!({
                    "date": unix_s(when), "success": end == End::Finished,
                    "printTime": record.printing.as_secs_f64(),
                }))
            });
            (ended(|end| end == End::Finished), ended(|end| end != End::Finished), last)
        });
        let mut value = json!({
            "name": name, "display": name, "path": path, "origin": "local",
            "type": "machinecode", "typePath": ["machinecode", "gcode"],
            "hash": file.sha1(|content| Sha1::digest(content).into()),
            "size": file.content.len(), "date": unix_s(file.changed),
            "refs": refs(path, host),
            "gcodeAnalysis": {
                "estimatedPrintTime": file.plan.estimate.as_secs_f64(),
                "filament": { "tool0": { "length": file.plan.filament_mm, "volume": 0.0 } },
            },
        });
        if let Some(last) = last {
            value["prints"] = json!({ "success": successes, "failure": failures, "last": last });
        }
        value
    }

    fn command_file(&self, path: &str, body: &Value) -> Response {
        if self.entry(path).is_none() {
            return refuse(StatusCode::NOT_FOUND, "File not found");
        }
        match body["command"].as_str() {
            Some("select") => self.select(path, body["print"] == true),
            Some("unselect") => {
                lock(&self.own.serial).selected = None;
                done()
            }
            _ => refuse(StatusCode::BAD_REQUEST, "Unknown command"),
        }
    }

    fn select(&self, path: &str, print: bool) -> Response {
        if !self.is_operational() || self.shared.with(|engine| engine.is_active()) {
            return refuse(StatusCode::CONFLICT, "Printer is already printing or not operational");
        }
        if print && self.start(path).is_err() {
            return refuse(StatusCode::CONFLICT, "Cannot print");
        }
        self.choose(path);
        self.shared.with(|engine| engine.revision += 1);
        done()
    }

    pub(super) fn download(&self, path: &[&str], request: &Request) -> Response {
        match self.entry(&path.join("/")) {
            Some(entry) => ranged(&entry.file.content, header(request, &RANGE)),
            None => refuse(StatusCode::NOT_FOUND, "File not found"),
        }
    }

    async fn upload(&self, request: Request, host: &str) -> Response {
        let kind = header(&request, &CONTENT_TYPE).unwrap_or_default().to_owned();
        let body = match http::read(request.into_body(), |_| ()).await {
            Ok(body) => body,
            Err(status) => return refuse(status, "Upload failed"),
        };
        let Some(form) = parts(&kind, &body) else {
            return refuse(StatusCode::BAD_REQUEST, NO_FILE);
        };
        let field = |name: &str| form.iter().find(|part| part.name == name).map(|p| p.text());
        let is_true = |name: &str| field(name).is_some_and(|text| text == "true");
        let folder = field("path").map(|path| path.trim_matches('/').to_owned());
        let folder = folder.filter(|path| !path.is_empty());
        let inside = |name: &str| match &folder {
            Some(folder) => format!("{folder}/{name}"),
            None => name.to_owned(),
        };
        let file = form.iter().find(|part| part.name == "file");
        let Some((file, name)) = file.and_then(|file| Some((file, file.filename.clone()?))) else {
            let Some(name) = field("foldername") else {
                return refuse(StatusCode::BAD_REQUEST, NO_FILE);
            };
            let folder = json!({ "name": name, "path": inside(&name), "origin": "local" });
            return json(StatusCode::CREATED, &json!({ "folder": folder, "done": true }));
        };
        let path = inside(&sane(&name));
        if path.split('/').any(|part| part.is_empty() || part == "." || part == "..") {
            return refuse(StatusCode::BAD_REQUEST, "Invalid path");
        }
        let end = path.rsplit('.').next().unwrap_or_default().to_lowercase();
        if !["gcode", "gco", "g"].contains(&end.as_str()) {
            return refuse(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "Could not upload file, invalid type",
            );
        }
        let print = is_true("print");
        self.finish(&path, file.content.clone(), is_true("select") || print, print, host)
    }

    fn finish(
        &self,
        path: &str,
        content: bytes::Bytes,
        select: bool,
        print: bool,
        host: &str,
    ) -> Response {
        if self.shared.with(|engine| engine.is_printing(path)) {
            return refuse(StatusCode::CONFLICT, "File is currently being printed");
        }
        if self.shared.store(path, content).is_err() {
            return refuse(StatusCode::INSUFFICIENT_STORAGE, "No space left on device");
        }
        // A printer that cannot now keeps the file, and says so.
        let free = self.is_operational() && self.shared.with(|engine| !engine.is_active());
        let selected = select && free && self.select(path, false).status().is_success();
        let printed = print && selected && self.start(path).is_ok();
        let name = path.rsplit('/').next();
        let value = json!({
            "files": { "local": {
                "name": name, "display": name, "path": path, "origin": "local",
                "refs": refs(path, host),
            } },
            "done": true,
            "effectiveSelect": selected,
            "effectivePrint": printed,
        });
        let mut response = json(StatusCode::CREATED, &value);
        let place = format!("http://{host}/api/files/local/{}", encode(path));
        response.headers_mut().insert(LOCATION, http::value(&place));
        response
    }
}

/// Puts a file where it belongs in a tree of folders.
fn put(list: &mut Vec<Value>, parent: &str, rest: &str, value: Value) {
    let Some((folder, rest)) = rest.split_once('/') else {
        list.push(value);
        return;
    };
    let path = if parent.is_empty() { folder.to_owned() } else { format!("{parent}/{folder}") };
    let at = list.iter().position(|item| item["type"] == "folder" && item["name"] == folder);
    let at = at.unwrap_or_else(|| {
        list.push(json!({
            "name": folder, "display": folder, "path": path, "origin": "local",
            "type": "folder", "typePath": ["folder"], "children": [], "date": 0, "size": 0,
            "prints": { "success": 0, "failure": 0 },
        }));
        list.len() - 1
    });
    if let Value::Array(children) = &mut list[at]["children"] {
        put(children, &path, rest, value);
    }
}

fn refs(path: &str, host: &str) -> Value {
    let url = encode(path);
    json!({
        "resource": format!("http://{host}/api/files/local/{url}"),
        "download": format!("http://{host}/downloads/files/local/{url}"),
    })
}

/// What lies at a path in a tree of folders.
fn find(list: &Value, path: &str) -> Option<Value> {
    list.as_array()?.iter().find_map(|item| {
        if item["path"] == path { Some(item.clone()) } else { find(&item["children"], path) }
    })
}

/// The name without folders.
fn sane(name: &str) -> String {
    name.rsplit(['/', '\\']).next().unwrap_or(name).trim().to_owned()
}

const NO_FILE: &str = "No file to upload and no folder to create";
