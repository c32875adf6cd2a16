//! `server.files`: the root `gcodes`.

use super::calls::text;
use super::history::unix_s;
use super::{Door, Failed, Params, failed, history};
use crate::printer::Fault;
use crate::printer::engine::{FILES_BYTES_MAX, Refused};
use crate::printer::file::{File, thumbnails};
use crate::printer::http::{self, Request, header, json, parts, ranged};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, LOCATION, RANGE};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

impl Door {
    pub(super) fn list(&self) -> Value {
        if !self.shared.has_storage() {
            return json!([]);
        }
        self.shared.with(|engine| {
            engine
                .files()
                .iter()
                .filter(|(path, _)| is_gcode(path))
                .map(|(path, file)| {
                    json!({
                        "path": path, "modified": unix_s(file.changed),
                        "size": file.content.len(), "permissions": "rw",
                    })
                })
                .collect()
        })
    }

    fn file(&self, path: &str) -> Result<File, Failed> {
        let found = self.shared.with(|engine| engine.files().get(path).cloned());
        match found.filter(|_| self.shared.has_storage()) {
            Some(file) => Ok(file),
            None => failed(StatusCode::NOT_FOUND, format!("File {path} does not exist")),
        }
    }

    pub(super) fn metadata(&self, path: &str) -> Result<Value, Failed> {
        let file = self.file(path)?;
        let last = self.shared.with(|engine| {
            let record = engine.records.iter().rev().find(|record| record.print.file == path);
            record.map(|record| (record.print.started, record.id))
        });
        let mut value = json!({
            "filename": path,
            "size": file.content.len(),
            "modified": unix_s(file.changed),
            "slicer": "Unknown",
            "slicer_version": "?",
            "thumbnails": self.thumbnails(path)?,
            "print_start_time": last.map(|(started, _)| unix_s(started)),
            "job_id": last.map(|(_, id)| history::job_id(id)),
        });
        // The rest is read by the rules of a slicer that it knows.
        let Some(slicer) = slicer(&file.content) else { return Ok(value) };
        let known = json!({
            "slicer": slicer,
            "estimated_time": file.plan.estimate.as_secs(),
            "layer_count": file.plan.layers,
            "object_height": f64::from(file.plan.layers) * 0.2,
            "layer_height": 0.2,
            "filament_total": file.plan.filament_mm,
            "first_layer_extr_temp": file.plan.hotend_c,
            "first_layer_bed_temp": file.plan.bed_c,
        });
        if let (Value::Object(value), Value::Object(known)) = (&mut value, known) {
            value.extend(known);
        }
        Ok(value)
    }

    pub(super) fn thumbnails(&self, path: &str) -> Result<Value, Failed> {
        let stem = path.rsplit_once('.').map_or(path, |(stem, _)| stem);
        let pictures = thumbnails(&self.file(path)?.content);
        let list = pictures.into_iter().map(|picture| {
            let (width, height) = (picture.width, picture.height);
            json!({
                "width": width, "height": height, "size": picture.png.len(),
                "relative_path": format!(".thumbs/{stem}-{width}x{height}.png"),
            })
        });
        Ok(list.collect())
    }

    fn thumbnail(&self, name: &str) -> Option<Vec<u8>> {
        let (stem, size) = name.strip_suffix(".png")?.rsplit_once('-')?;
        let path = self.shared.with(|engine| {
            let paths = engine.files().keys();
            let is_it = |path: &&String| path.rsplit_once('.').is_some_and(|(s, _)| s == stem);
            paths.into_iter().find(is_it).cloned()
        })?;
        let pictures = thumbnails(&self.file(&path).ok()?.content);
        let picture = pictures.into_iter().find(|p| format!("{}x{}", p.width, p.height) == size);
        Some(picture?.png)
    }

    /// Of one level, or of what is below `path`.
    pub(super) fn directory(&self, params: &Params) -> Result<Value, Failed> {
        let path = text(params, "path").unwrap_or_else(|_| "gcodes".to_owned());
        let Some(folder) = path.strip_prefix("gcodes") else {
            return failed(StatusCode::BAD_REQUEST, format!("Invalid root path ({path})"));
        };
        let folder = folder.trim_matches('/');
        let below = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let (mut files, mut folders) = (Vec::new(), BTreeSet::new());
        let all: Vec<(String, File)> = self.shared.with(|engine| {
            let all = engine.files().iter();
            all.map(|(path, file)| (path.clone(), file.clone())).collect()
        });
        for (path, file) in &all {
            let Some(rest) = path.strip_prefix(&below) else { continue };
            match rest.split_once('/') {
                Some((folder, _)) => {
                    folders.insert(folder.to_owned());
                }
                None => files.push(json!({
                    "filename": rest, "modified": unix_s(file.changed),
                    "size": file.content.len(), "permissions": "rw",
                })),
            }
        }
        if !below.is_empty() && files.is_empty() && folders.is_empty() {
            return failed(StatusCode::BAD_REQUEST, format!("Directory does not exist ({path})"));
        }
        let dirs: Vec<Value> = folders
            .into_iter()
            .map(|name| {
                json!({ "dirname": name, "modified": 0.0, "size": 4096, "permissions": "rw" })
            })
            .collect();
        let usage = self.disk_usage(&all);
        let root = json!({ "name": "gcodes", "permissions": "rw" });
        Ok(json!({ "dirs": dirs, "files": files, "disk_usage": usage, "root_info": root }))
    }

    fn disk_usage(&self, files: &[(String, File)]) -> Value {
        let used: usize = files.iter().map(|(_, file)| file.content.len()).sum();
        let used = if self.shared.fault() == Fault::DiskFull { FILES_BYTES_MAX } else { used };
        let free = FILES_BYTES_MAX.saturating_sub(used);
        json!({ "total": FILES_BYTES_MAX, "used": used, "free": free })
    }

    pub(super) fn download(&self, parts: &[&str], request: &Request) -> Result<Response, Failed> {
        let path = parts.join("/");
        if let Some(name) = path.strip_prefix(".thumbs/") {
            return match self.thumbnail(name) {
                Some(png) => Ok(([(CONTENT_TYPE, "image/png")], png).into_response()),
                None => failed(StatusCode::NOT_FOUND, "File not found"),
            };
        }
        let below = format!("{path}/");
        if self.shared.with(|engine| engine.files().keys().any(|path| path.starts_with(&below))) {
            return failed(StatusCode::FORBIDDEN, "Forbidden");
        }
        let file = self.file(&path)?;
        Ok(ranged(&file.content, header(request, &RANGE)))
    }

    pub(super) fn delete_file(&self, path: &str) -> Result<Value, Failed> {
        if self.file(path).is_err() {
            return failed(StatusCode::BAD_REQUEST, format!("Invalid file path: gcodes/{path}"));
        }
        match self.shared.with(|engine| engine.remove_file(path)) {
            Ok(_) => Ok(json!({
                "item": {
                    "path": path, "root": "gcodes", "size": 0, "modified": 0, "permissions": "",
                },
                "action": "delete_file",
            })),
            Err(Refused::Busy) => {
                failed(StatusCode::FORBIDDEN, "File is loaded, DELETE not permitted")
            }
            Err(_) => failed(StatusCode::NOT_FOUND, format!("File {path} does not exist")),
        }
    }

    pub(super) async fn upload(&self, request: Request) -> Result<Response, Failed> {
        let kind = header(&request, &CONTENT_TYPE).unwrap_or_default().to_owned();
        let body = http::read(request.into_body(), |_| ())
            .await
            .map_err(|status| Failed::of(status, "Upload failed"))?;
        let form = parts(&kind, &body);
        let form = form.ok_or_else(|| Failed::of(StatusCode::BAD_REQUEST, "No multipart form"))?;
        let field = |name: &str| form.iter().find(|part| part.name == name).map(|p| p.text());
        let file = form.iter().find(|part| part.filename.is_some());
        let Some((file, name)) = file.and_then(|file| Some((file, file.filename.clone()?))) else {
            return failed(StatusCode::BAD_REQUEST, "No file name specified in upload form");
        };
        let root = field("root").unwrap_or_else(|| "gcodes".to_owned());
        if root != "gcodes" {
            return failed(StatusCode::BAD_REQUEST, format!("Invalid root request: {root}"));
        }
        let path = match field("path").map(|path| path.trim_matches('/').to_owned()) {
            Some(folder) if !folder.is_empty() => format!("{folder}/{name}"),
            _ => name.trim_start_matches('/').to_owned(),
        };
        if path.split('/').any(|part| part.is_empty() || part == "." || part == "..") {
            return failed(StatusCode::BAD_REQUEST, "Invalid file path");
        }
        if let Some(expected) = field("checksum") {
            let found = data_encoding::HEXLOWER.encode(&Sha256::digest(&file.content));
            if !expected.eq_ignore_ascii_case(&found) {
                let text =
                    format!("File checksum mismatch: expected {expected}, calculated {found}");
                return failed(StatusCode::UNPROCESSABLE_ENTITY, text);
            }
        }
        let print = field("print").as_deref() == Some("true");
        self.finish(&path, file.content.clone(), print)
    }

    fn finish(&self, path: &str, content: bytes::Bytes, print: bool) -> Result<Response, Failed> {
        if self.shared.with(|engine| engine.is_printing(path)) {
            return failed(StatusCode::FORBIDDEN, "File is loaded, upload not permitted");
        }
        let (bytes, now) = (content.len(), unix_s(self.shared.now()));
        if self.shared.store(path, content).is_err() {
            return failed(StatusCode::INTERNAL_SERVER_ERROR, "[Errno 28] No space left on device");
        }
        // Klipper's refusal to print is no failure of the upload.
        let started = print && is_gcode(path) && self.start(path).is_ok();
        let mut value = json!({
            "item": {
                "path": path, "root": "gcodes", "modified": now, "size": bytes,
                "permissions": "rw",
            },
            "action": "create_file",
        });
        if is_gcode(path) {
            (value["print_started"], value["print_queued"]) = (json!(started), json!(false));
        }
        let mut response = json(StatusCode::CREATED, &value);
        let place = http::value(&format!("/server/files/gcodes/{}", http::encode(path)));
        response.headers_mut().insert(LOCATION, place);
        Ok(response)
    }
}

/// What its list shows.
fn is_gcode(path: &str) -> bool {
    let end = path.rsplit_once('.').map_or("", |(_, end)| end);
    ["gcode", "g", "gco", "ufp", "nc"].contains(&end)
}

/// By what it signs its files with.
fn slicer(content: &[u8]) -> Option<&'static str> {
    let head = String::from_utf8_lossy(&content[..content.len().min(HEAD_BYTES)]);
    let known = [
        ("PrusaSlicer", "PrusaSlicer"),
        ("OrcaSlicer", "OrcaSlicer"),
        ("BambuStudio", "BambuStudio"),
        ("Cura_SteamEngine", "Cura"),
    ];
    known.into_iter().find(|(sign, _)| head.contains(sign)).map(|(_, slicer)| slicer)
}

const HEAD_BYTES: usize = 4096;
