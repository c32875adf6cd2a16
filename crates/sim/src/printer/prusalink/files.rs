//! What lies on the USB drive: metadata, bytes, pictures. `/api/v1/files` never gives bytes.

use super::names::split;
use super::{Door, lock, page};
use crate::printer::engine::Refused;
use crate::printer::file::{File, thumbnails};
use crate::printer::http::{self, Request, encode, header, json};
use axum::http::header::{CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

impl Door {
    /// The path in the engine, whether the client named it short or long.
    pub(super) fn long_path(&self, parts: &[&str]) -> String {
        self.name_all();
        lock(&self.own.names).long_path(&parts.join("/"))
    }

    /// Gives every file its short name, in the order of the alphabet.
    fn name_all(&self) {
        let paths: Vec<String> =
            self.shared.with(|engine| engine.files().keys().cloned().collect());
        let mut names = lock(&self.own.names);
        for path in &paths {
            names.short_path(path);
        }
    }

    pub(super) fn file(&self, path: &str) -> Option<File> {
        if !self.shared.has_storage() {
            return None;
        }
        self.shared.with(|engine| engine.files().get(path).cloned())
    }

    /// A file as `job` and `files` show it.
    pub(super) fn file_value(&self, path: &str) -> Option<Value> {
        let file = self.file(path)?;
        let mut value = self.entry(path, &file);
        value["size"] = json!(file.content.len());
        value["path"] = json!(format!("/usb/{}", split(path).0).trim_end_matches('/'));
        Some(value)
    }

    fn entry(&self, path: &str, file: &File) -> Value {
        let short = lock(&self.own.names).short_path(path);
        let url = encode(&short);
        let mut refs = json!({ "download": format!("/usb/{url}") });
        if !thumbnails(&file.content).is_empty() {
            refs["icon"] = json!(format!("/thumb/s/usb/{url}"));
            refs["thumbnail"] = json!(format!("/thumb/l/usb/{url}"));
        }
        json!({
            "name": split(&short).1,
            "display_name": split(path).1,
            "type": "PRINT_FILE",
            "ro": false,
            "read_only": false,
            "m_timestamp": unix_s(file.changed),
            "refs": refs,
        })
    }

    /// Folders are shown with what is directly in them, without sizes.
    fn folder(&self, path: &str) -> Option<Value> {
        let below = if path.is_empty() { String::new() } else { format!("{path}/") };
        let files: Vec<(String, File)> = self.shared.with(|engine| {
            let inside = engine.files().iter().filter(|(path, _)| path.starts_with(&below));
            inside.map(|(path, file)| (path.clone(), file.clone())).collect()
        });
        let mut folders: BTreeSet<String> = lock(&self.own.folders)
            .iter()
            .filter_map(|folder| folder.strip_prefix(&below).map(str::to_owned))
            .collect();
        let is_there = path.is_empty()
            || !files.is_empty()
            || lock(&self.own.folders)
                .iter()
                .any(|folder| folder == path || folder.starts_with(&below));
        if !is_there {
            return None;
        }
        let mut children = Vec::new();
        for (path, file) in &files {
            match path[below.len()..].split_once('/') {
                Some((folder, _)) => {
                    folders.insert(folder.to_owned());
                }
                None => children.push(self.entry(path, file)),
            }
        }
        let folders: BTreeSet<&str> =
            folders.iter().filter_map(|folder| folder.split('/').next()).collect();
        for name in folders.into_iter().filter(|name| !name.is_empty()) {
            let short = lock(&self.own.names).short(&format!("{below}{name}"));
            children.push(json!({
                "name": short, "display_name": name, "type": "FOLDER", "ro": false,
                "m_timestamp": 0,
            }));
        }
        let name = if path.is_empty() { "usb" } else { split(path).1 };
        Some(json!({
            "type": "FOLDER", "ro": false, "name": name, "display_name": name,
            "children": children,
        }))
    }

    /// `GET` gives it, `HEAD` only whether it is there.
    pub(super) fn file_info(&self, parts: &[&str], request: &Request) -> Response {
        let path = self.long_path(parts);
        let Some(value) = self.found(&path) else {
            return page(StatusCode::NOT_FOUND, "File not found");
        };
        let stamp = value["m_timestamp"].as_u64().unwrap_or_default();
        let tag = (stamp + value["size"].as_u64().unwrap_or_default()).to_string();
        if header(request, &IF_NONE_MATCH).is_some_and(|given| given.trim_matches('"') == tag) {
            return StatusCode::NOT_MODIFIED.into_response();
        }
        let printed = self.shared.with(|engine| engine.is_printing(&path));
        let mut response = json(StatusCode::OK, &value);
        let headers = response.headers_mut();
        headers.insert(ETAG, http::value(&format!("\"{tag}\"")));
        headers.insert(READ_ONLY, HeaderValue::from_static("false"));
        headers.insert(CURRENTLY_PRINTED, http::value(&printed.to_string()));
        response
    }

    fn found(&self, path: &str) -> Option<Value> {
        if !self.shared.has_storage() {
            return None;
        }
        self.file_value(path).or_else(|| self.folder(path))
    }

    pub(super) fn download(&self, parts: &[&str], _request: &Request) -> Response {
        let path = self.long_path(parts);
        match self.file(&path) {
            Some(file) => {
                ([(CONTENT_TYPE, "application/octet-stream")], file.content).into_response()
            }
            None => page(StatusCode::NOT_FOUND, "File not found"),
        }
    }

    pub(super) fn thumbnail(&self, size: &str, parts: &[&str]) -> Response {
        let file = self.file(&self.long_path(parts));
        let mut pictures = file.map(|file| thumbnails(&file.content)).unwrap_or_default();
        let picture = if size == "s" { pictures.drain(..).next() } else { pictures.pop() };
        match picture {
            Some(picture) => ([(CONTENT_TYPE, "image/png")], picture.png).into_response(),
            None => page(StatusCode::NOT_FOUND, "No thumbnail"),
        }
    }

    pub(super) fn delete(&self, parts: &[&str], request: &Request) -> Response {
        let path = self.long_path(parts);
        let force = header(request, &FORCE) == Some("?1");
        if !self.shared.has_storage() {
            return page(StatusCode::NOT_FOUND, "File not found");
        }
        match self.shared.with(|engine| engine.remove_file(&path)) {
            Ok(_) => {
                lock(&self.own.names).forget(&path);
                page(StatusCode::NO_CONTENT, "")
            }
            Err(Refused::Busy) => page(StatusCode::CONFLICT, "File is busy"),
            Err(_) => self.delete_folder(&path, force),
        }
    }

    fn delete_folder(&self, path: &str, force: bool) -> Response {
        if path.is_empty() {
            return page(StatusCode::FORBIDDEN, "Can't delete the storage");
        }
        let Some(folder) = self.folder(path) else {
            return page(StatusCode::NOT_FOUND, "File not found");
        };
        let is_empty = folder["children"].as_array().is_none_or(Vec::is_empty);
        let below = format!("{path}/");
        if !is_empty && !force {
            return page(StatusCode::CONFLICT, "Directory not empty");
        }
        let left = self.shared.with(|engine| {
            let inside = engine.files().keys().filter(|path| path.starts_with(&below));
            let inside: Vec<String> = inside.cloned().collect();
            inside.iter().filter(|path| engine.remove_file(path).is_err()).count()
        });
        if left > 0 {
            return page(StatusCode::CONFLICT, "File is busy");
        }
        lock(&self.own.folders).retain(|other| other != path && !other.starts_with(&below));
        page(StatusCode::NO_CONTENT, "")
    }
}

pub(super) fn unix_s(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

const READ_ONLY: HeaderName = HeaderName::from_static("read-only");
const CURRENTLY_PRINTED: HeaderName = HeaderName::from_static("currently-printed");
const FORCE: HeaderName = HeaderName::from_static("force");
