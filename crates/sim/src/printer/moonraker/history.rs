//! What was printed, by `server.history`.

use super::objects::thousandths;
use super::{DISCONNECTED, Door, Failed, Params, failed, klippy_state};
use crate::printer::End;
use crate::printer::engine::{Engine, Record};
use axum::http::StatusCode;
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

impl Door {
    pub(super) fn history(&self, params: &Params) -> Value {
        let number = |name: &str| match params.get(name) {
            Some(Value::Number(number)) => number.as_f64(),
            Some(Value::String(text)) => text.parse().ok(),
            _ => None,
        };
        let bound = |name: &str, or: usize| number(name).map_or(or, |n| n.max(0.0) as usize);
        let mut jobs = self.shared.with(|engine| {
            engine.records.iter().map(|record| job(engine, record)).collect::<Vec<_>>()
        });
        let started = |job: &Value| job["start_time"].as_f64().unwrap_or_default();
        jobs.retain(|job| {
            number("since").is_none_or(|since| started(job) > since)
                && number("before").is_none_or(|before| started(job) < before)
        });
        let count = jobs.len();
        if params.get("order").and_then(Value::as_str) != Some("asc") {
            jobs.reverse();
        }
        // 0 is all of them.
        let limit = Some(bound("limit", 50)).filter(|limit| *limit > 0).unwrap_or(usize::MAX);
        let jobs: Vec<Value> = jobs.into_iter().skip(bound("start", 0)).take(limit).collect();
        json!({ "count": count, "jobs": jobs })
    }

    pub(super) fn history_job(&self, uid: &str) -> Result<Value, Failed> {
        let found = self.shared.with(|engine| {
            let record = engine.records.iter().find(|record| job_id(record.id) == uid)?;
            Some(job(engine, record))
        });
        match found {
            Some(job) => Ok(json!({ "job": job })),
            None => failed(StatusCode::NOT_FOUND, format!("Invalid job uid: {uid}")),
        }
    }

    pub(super) fn totals(&self) -> Value {
        let jobs = self.shared.with(|engine| {
            engine.records.iter().map(|record| job(engine, record)).collect::<Vec<_>>()
        });
        let numbers =
            |name: &str| -> Vec<f64> { jobs.iter().filter_map(|job| job[name].as_f64()).collect() };
        let sum = |name: &str| thousandths(numbers(name).iter().fold(0.0, |sum, n| sum + n));
        let longest = |name: &str| numbers(name).into_iter().fold(0.0, f64::max);
        let totals = json!({
            "total_jobs": jobs.len(),
            "total_time": sum("total_duration"),
            "total_print_time": sum("print_duration"),
            "total_filament_used": sum("filament_used"),
            "longest_job": longest("total_duration"),
            "longest_print": longest("print_duration"),
        });
        json!({ "job_totals": totals, "auxiliary_totals": [] })
    }
}

pub(super) fn job(engine: &Engine, record: &Record) -> Value {
    let file = engine.files().get(&record.print.file);
    let ended = record.print.ended;
    let until = ended.map_or(engine.now(), |(ended, _)| ended);
    let total = until.duration_since(record.print.started).unwrap_or_default();
    let halted = engine.trouble.as_ref().is_some_and(|trouble| trouble.code == super::SHUTDOWN);
    let is_last = engine.records.last().is_some_and(|last| last.id == record.id);
    let status = match ended {
        None => "in_progress",
        Some((_, End::Finished)) => "completed",
        Some((_, End::Cancelled)) => "cancelled",
        Some((_, End::Failed)) if record.lost => "interrupted",
        Some((_, End::Failed)) if halted && is_last => "klippy_shutdown",
        Some((_, End::Failed)) if is_last && klippy_state(engine) == DISCONNECTED => {
            "klippy_disconnect"
        }
        Some((_, End::Failed)) => "error",
    };
    let running = engine.job.as_ref().filter(|_| ended.is_none());
    let filament_mm = running.map_or(record.filament_mm, |job| job.filament_mm());
    json!({
        "job_id": job_id(record.id),
        "user": null,
        "exists": file.is_some(),
        "filename": record.print.file,
        "status": status,
        "start_time": unix_s(record.print.started),
        "end_time": ended.map(|(ended, _)| unix_s(ended)),
        "print_duration": thousandths(record.printing.as_secs_f64()),
        "total_duration": thousandths(total.as_secs_f64()),
        "filament_used": thousandths(filament_mm),
        "metadata": file.map(|file| json!({
            "size": file.content.len(),
            "modified": unix_s(file.changed),
            "estimated_time": file.plan.estimate.as_secs(),
        })).unwrap_or_else(|| json!({})),
        "auxiliary_data": [],
    })
}

pub(super) fn job_id(id: u32) -> String {
    format!("{id:06X}")
}

pub(super) fn unix_s(time: SystemTime) -> f64 {
    thousandths(time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64())
}
