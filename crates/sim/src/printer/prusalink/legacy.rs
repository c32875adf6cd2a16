//! The older API, which looks like OctoPrint's and is not: completion goes from 0 to 1, and a
//! printer that is paused or has finished is told by its flags only.

use super::names::split;
use super::status::tenths;
use super::upload::check_name;
use super::{Door, lock, page};
use crate::printer::engine::{Engine, Heat, Phase};
use crate::printer::http::{self, Request, encode, json, parts};
use axum::http::{Method, StatusCode, header};
use axum::response::Response;
use serde_json::{Value, json};

impl Door {
    pub(super) async fn answer_legacy(&self, request: Request, path: &[&str]) -> Response {
        match (request.method().clone(), path) {
            (Method::GET, ["printer"]) => json(StatusCode::OK, &self.shared.with(printer)),
            (Method::GET, ["job"]) => self.legacy_job(),
            (Method::POST, ["job"]) => {
                let Ok(body) = http::read_json(request.into_body()).await else {
                    return page(StatusCode::BAD_REQUEST, "");
                };
                let text = |name: &str| body[name].as_str().unwrap_or_default();
                self.legacy_command(text("command"), text("action"))
            }
            (Method::GET, ["files"]) => self.legacy_files(),
            (Method::GET, ["settings"]) => {
                json(StatusCode::OK, &json!({ "printer": { "name": self.shared.spec.name } }))
            }
            (Method::POST, ["files", "usb" | "local"]) => self.legacy_upload(request).await,
            (Method::GET, ["files", "usb", name @ ..]) => {
                let value = self.legacy_file(&self.long_path(name));
                let missing = || page(StatusCode::NOT_FOUND, "File not found");
                value.map_or_else(missing, |value| json(StatusCode::OK, &value))
            }
            (Method::POST, ["files", "usb", name @ ..]) => {
                let name = self.long_path(name);
                match http::read_json(request.into_body()).await {
                    Ok(body) if body["command"] == "start" => self.start(&name),
                    _ => page(StatusCode::BAD_REQUEST, "Unknown command"),
                }
            }
            (Method::DELETE, ["files", "usb", name @ ..]) => self.delete(name, &request),
            (_, ["printer" | "job" | "files" | "version", ..]) => {
                page(StatusCode::METHOD_NOT_ALLOWED, "")
            }
            _ => page(StatusCode::NOT_FOUND, ""),
        }
    }

    fn legacy_job(&self) -> Response {
        let (job, text) = self.shared.with(|engine| (engine.job.clone(), state_text(engine)));
        let mut value = json!({ "state": text, "job": null, "progress": null });
        if let Some(job) = job {
            let short = lock(&self.own.names).short_path(&job.path);
            value["job"] = json!({
                "estimatedPrintTime": job.whole().as_secs(),
                "file": {
                    "name": split(&short).1,
                    "path": format!("/usb/{short}"),
                    "display": split(&job.path).1,
                },
            });
            value["progress"] = json!({
                "completion": (job.progress() * 100.0).floor() / 100.0,
                "printTime": job.elapsed().as_secs(),
                "printTimeLeft": job.remaining().as_secs(),
            });
        }
        json(StatusCode::OK, &value)
    }

    fn legacy_files(&self) -> Response {
        let paths: Vec<String> =
            self.shared.with(|engine| engine.files().keys().cloned().collect());
        let children: Vec<Value> = paths.iter().filter_map(|path| self.legacy_file(path)).collect();
        let mut files = Vec::new();
        if self.shared.has_storage() {
            files.push(json!({
                "name": "USB", "path": "/usb", "display": "USB", "type": "folder",
                "origin": "usb", "children": children,
            }));
        }
        json(StatusCode::OK, &json!({ "files": files }))
    }

    fn legacy_file(&self, path: &str) -> Option<Value> {
        let file = self.file(path)?;
        let short = lock(&self.own.names).short_path(path);
        let url = encode(&short);
        Some(json!({
            "name": split(&short).1,
            "display": split(path).1,
            "path": format!("/usb/{short}"),
            "origin": "usb",
            "size": file.content.len(),
            "type": "machinecode",
            "typePath": ["machinecode", "gcode"],
            "refs": {
                "resource": format!("/api/files/usb/{url}"),
                "thumbnailSmall": format!("/thumb/s/usb/{url}"),
                "thumbnailBig": format!("/thumb/l/usb/{url}"),
                "download": format!("/usb/{url}"),
            },
        }))
    }

    /// As slicers upload to OctoPrint.
    async fn legacy_upload(&self, request: Request) -> Response {
        let kind = http::header(&request, &header::CONTENT_TYPE).unwrap_or_default().to_owned();
        let body = match http::read(request.into_body(), |_| ()).await {
            Ok(body) => body,
            Err(status) => return page(status, ""),
        };
        let Some(parts) = parts(&kind, &body) else {
            return page(StatusCode::BAD_REQUEST, "Missing file");
        };
        let file = parts.iter().find(|part| part.filename.is_some());
        let Some((file, name)) = file.and_then(|file| Some((file, file.filename.clone()?))) else {
            return page(StatusCode::BAD_REQUEST, "Missing file");
        };
        if let Err((status, text)) = check_name(&name) {
            return page(status, text);
        }
        if self.shared.with(|engine| engine.files().contains_key(&name)) {
            return page(StatusCode::CONFLICT, "File already exists");
        }
        let print = parts.iter().any(|part| part.name == "print" && part.text() == "true");
        self.finish(&name, file.content.clone(), print)
    }
}

fn state_text(engine: &Engine) -> &'static str {
    if engine.is_active() { "Printing" } else { "Operational" }
}

fn printer(engine: &mut Engine) -> Value {
    let heat = |heat: Heat| {
        json!({
            "actual": tenths(heat.now_c), "target": heat.target_c, "display": heat.target_c,
            "offset": 0,
        })
    };
    let (phase, wrong) = (engine.phase, engine.trouble.is_some());
    json!({
        "telemetry": {
            "temp-bed": tenths(engine.bed.now_c),
            "temp-nozzle": tenths(engine.hotend.now_c),
            "print-speed": engine.speed_percent,
            "z-height": engine.job.as_ref().map_or(0.0, |job| f64::from(job.layer()) * 0.2),
            "material": "PLA",
        },
        "temperature": { "tool0": heat(engine.hotend), "bed": heat(engine.bed) },
        "state": {
            "text": state_text(engine),
            "flags": {
                "link_state": if wrong { "ERROR" } else { "OK" },
                "operational": !engine.is_active() && !wrong,
                "paused": phase == Phase::Paused,
                "printing": matches!(phase, Phase::Preparing | Phase::Printing),
                "cancelling": false,
                "pausing": false,
                "error": wrong,
                "sdReady": false,
                "closedOrError": wrong,
                "ready": !engine.is_active() && !wrong,
                "busy": false,
                "finished": phase == Phase::Finished,
            },
        },
    })
}
