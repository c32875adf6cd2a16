//! The history of prints.

use crate::answer::{Asked, Body, Failed};
use crate::{Asking, api};
use axum::Json;
use axum::body::Body as Stream;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use hub::Hub;
use hub::fleet::view::{Job, JobDetails, JobFilter, JobPage};
use hub::fleet::{Format, Locale};
use hub::view::{Failure, FailureCode, Role};
use serde::Deserialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

api! {
    get "/shop/jobs" => jobs,
    get "/shop/jobs/export" => export,
    get "/shop/jobs/{id}" => job,
    patch "/shop/jobs/{id}" => change,
    delete "/shop/jobs/{id}" => remove,
}

/// What is wrong with a part of a query.
pub(crate) fn bad(key: &str, value: &str) -> Failed {
    let message = format!("{key}={value}: this cannot be read");
    Failed(hub::Failure::new(FailureCode::BadRequest, message).hint("see /api/v1/openapi.json"))
}

/// Reads the filter of a query; gives what else was in it.
fn filter(query: Vec<(String, String)>) -> Result<(JobFilter, BTreeMap<String, String>), Failed> {
    let (mut filter, mut rest) = (JobFilter::default(), BTreeMap::new());
    for (key, value) in query {
        let number = || value.parse::<i64>().map(Some).map_err(|_| bad(&key, &value));
        match key.as_str() {
            "printer" => filter.printers.push(value),
            "state" => filter.states.push(value),
            "search" => filter.search = value,
            "from_us" => filter.from_us = number()?,
            "to_us" => filter.to_us = number()?,
            "after" => filter.after = Some(value),
            "limit" => filter.limit = Some(value.parse().map_err(|_| bad(&key, &value))?),
            "format" | "locale" => drop(rest.insert(key, value)),
            _ => return Err(bad(&key, &value)),
        }
    }
    Ok((filter, rest))
}

/// Jobs, the newest first, in parts.
#[utoipa::path(get, path = "/shop/jobs",
    params(
        ("printer" = Option<Vec<String>>, Query, description = "names or ids"),
        ("state" = Option<Vec<String>>, Query),
        ("search" = Option<String>, Query, description = "words in name, printer and note"),
        ("from_us" = Option<i64>, Query, description = "begun at or after, microseconds"),
        ("to_us" = Option<i64>, Query, description = "begun before, microseconds"),
        ("after" = Option<String>, Query, description = "`next` of the part before"),
        ("limit" = Option<u32>, Query, description = "1 to 500; 50 when nothing is said")),
    responses((status = 200, body = JobPage), (status = "4XX", body = Failure)))]
async fn jobs(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Asked(query): Asked<Vec<(String, String)>>,
) -> Result<Json<JobPage>, Failed> {
    let (filter, _) = filter(query)?;
    let Some(filter) = hub.jobs_seen(caller, filter) else {
        let none = JobPage { jobs: vec![], total: 0, counts: BTreeMap::new(), next: None };
        return Ok(Json(none));
    };
    Ok(Json(hub.fleet().jobs(&filter).await?))
}

/// All jobs that fit, as a file: CSV for spreadsheets, or JSON.
#[utoipa::path(get, path = "/shop/jobs/export",
    params(
        ("format" = Option<String>, Query, description = "csv or json"),
        ("locale" = Option<String>, Query, description = "en or de: how numbers are written")),
    responses((status = 200, content_type = "text/csv", body = String),
        (status = "4XX", body = Failure)))]
async fn export(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Asked(query): Asked<Vec<(String, String)>>,
) -> Result<Response, Failed> {
    let (filter, rest) = filter(query)?;
    let rest = |key: &str| rest.get(key).map(String::as_str);
    let (format, mime, name) = match rest("format") {
        None | Some("csv") => (Format::Csv, "text/csv; charset=utf-8", "jobs.csv"),
        Some("json") => (Format::Json, "application/json", "jobs.json"),
        Some(other) => return Err(bad("format", other)),
    };
    let locale = match rest("locale") {
        None | Some("en") => Locale::English,
        Some("de") => Locale::German,
        Some(other) => return Err(bad("locale", other)),
    };
    let nothing = || hub::Failure::new(FailureCode::NotFound, "there are no jobs for you here");
    let filter = hub.jobs_seen(caller, filter).ok_or_else(nothing)?;
    let export = hub.fleet().export_jobs(&filter, format, locale)?;
    let pieces = stream::unfold(export, |mut export| async move {
        match export.next().await {
            Ok(None) => None,
            Ok(Some(piece)) => Some((Ok(piece), export)),
            Err(error) => Some((Err(std::io::Error::other(error)), export)),
        }
    });
    let shown = format!("attachment; filename=\"{name}\"");
    let headers = [(header::CONTENT_TYPE, mime.to_owned()), (header::CONTENT_DISPOSITION, shown)];
    Ok((headers, Stream::from_stream(pieces)).into_response())
}

/// One job, with what happened in it.
#[utoipa::path(get, path = "/shop/jobs/{id}", params(("id" = String, Path)),
    responses((status = 200, body = JobDetails), (status = "4XX", body = Failure)))]
async fn job(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Path(id): Path<String>,
) -> Result<Json<JobDetails>, Failed> {
    let details = hub.fleet().job(&id).await?;
    hub.of_printer(caller, &details.job.printer_id, Role::View)?;
    Ok(Json(details))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct JobNote {
    note: String,
}

/// Writes a note to a job.
#[utoipa::path(patch, path = "/shop/jobs/{id}", params(("id" = String, Path)),
    request_body = JobNote,
    responses((status = 200, body = Job), (status = "4XX", body = Failure)))]
async fn change(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Path(id): Path<String>,
    Body(JobNote { note }): Body<JobNote>,
) -> Result<Json<Job>, Failed> {
    let fleet = hub.shop_for(caller, "print_job.note", &id).await?;
    Ok(Json(fleet.note_job(&id, &note).await?))
}

/// Forgets a job that is over.
#[utoipa::path(delete, path = "/shop/jobs/{id}", params(("id" = String, Path)),
    responses((status = 204), (status = "4XX", body = Failure)))]
async fn remove(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Path(id): Path<String>,
) -> Result<StatusCode, Failed> {
    let fleet = hub.shop_for(caller, "print_job.remove", &id).await?;
    fleet.remove_job(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}
