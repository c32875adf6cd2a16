//! Jobs: files that a machine runs from its hub. Their content comes in pieces.

use crate::answer::{Asked, Body, Failed};
use crate::{Asking, api};
use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use hub::view::{Failure, FailureCode, Job, JobAct, NewJob, Preview};
use hub::{Caller, Hub};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use wire::Pin;

api! {
    get "/devices/{device}/jobs" => jobs,
    post "/devices/{device}/jobs" => new,
    get "/devices/{device}/jobs/{id}" => job,
    delete "/devices/{device}/jobs/{id}" => remove,
    put "/devices/{device}/jobs/{id}/content" => content,
    get "/devices/{device}/jobs/{id}/preview" => preview,
    post "/devices/{device}/jobs/{id}/arm" => arm,
    post "/devices/{device}/jobs/{id}/start" => start,
    post "/devices/{device}/jobs/{id}/hold" => hold,
    post "/devices/{device}/jobs/{id}/resume" => resume,
    post "/devices/{device}/jobs/{id}/abort" => abort,
    post "/devices/{device}/jobs/{id}/rest" => rest,
}

/// A piece of a job's content: small enough for a phone's link, large enough for a fast one.
const PIECE_BYTES_MAX: usize = 1 << 20;

/// The jobs of a machine of this hub, the newest first.
#[utoipa::path(get, path = "/devices/{device}/jobs",
    params(("device" = String, Path, description = "name, id or port")),
    responses((status = 200, body = Vec<Job>), (status = "4XX", body = Failure)))]
async fn jobs(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Path(device): Path<String>,
) -> Result<Json<Vec<Job>>, Failed> {
    Ok(Json(hub.jobs(caller, &device)?))
}

/// Announces a job. Its content follows in pieces; when the last one is there, it is checked.
#[utoipa::path(post, path = "/devices/{device}/jobs", request_body = NewJob,
    params(("device" = String, Path, description = "name, id or port")),
    responses((status = 201, body = Job), (status = "4XX", body = Failure)))]
async fn new(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Path(device): Path<String>,
    Body(new): Body<NewJob>,
) -> Result<(StatusCode, Json<Job>), Failed> {
    Ok((StatusCode::CREATED, Json(hub.new_job(caller, &device, new).await?)))
}

/// One job, as it is now.
#[utoipa::path(get, path = "/devices/{device}/jobs/{id}",
    params(("device" = String, Path, description = "name, id or port"), ("id" = u32, Path)),
    responses((status = 200, body = Job), (status = "4XX", body = Failure)))]
async fn job(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Path((device, id)): Path<(String, u32)>,
) -> Result<Json<Job>, Failed> {
    Ok(Json(hub.job(caller, &device, id)?))
}

/// Forgets a job that is not under way, and its content.
#[utoipa::path(delete, path = "/devices/{device}/jobs/{id}",
    params(("device" = String, Path, description = "name, id or port"), ("id" = u32, Path)),
    responses((status = 204), (status = "4XX", body = Failure)))]
async fn remove(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Path((device, id)): Path<(String, u32)>,
) -> Result<StatusCode, Failed> {
    hub.remove_job(caller, &device, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Piece {
    /// The place of its first byte in the content: `received_bytes` of the job.
    offset: u64,
}

/// Adds a piece of at most 1 MiB to the content of a job. An upload that broke off goes on at
/// `received_bytes`.
#[utoipa::path(put, path = "/devices/{device}/jobs/{id}/content",
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    params(("device" = String, Path, description = "name, id or port"), ("id" = u32, Path), Piece),
    responses((status = 200, body = Job), (status = "4XX", body = Failure)))]
async fn content(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Path((device, id)): Path<(String, u32)>,
    Asked(piece): Asked<Piece>,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<Json<Job>, Failed> {
    let bad = |message: String| Failed(hub::Failure::new(FailureCode::BadRequest, message));
    let bytes = bytes.map_err(|rejection| bad(rejection.body_text()))?;
    if bytes.len() > PIECE_BYTES_MAX {
        return Err(bad("a piece has 1 MiB at most".to_owned()));
    }
    Ok(Json(hub.job_content(caller, (&device, id), piece.offset, bytes).await?))
}

/// Where a job goes, to be drawn.
#[utoipa::path(get, path = "/devices/{device}/jobs/{id}/preview",
    params(("device" = String, Path, description = "name, id or port"), ("id" = u32, Path)),
    responses((status = 200, body = Preview), (status = "4XX", body = Failure)))]
async fn preview(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Path((device, id)): Path<(String, u32)>,
) -> Result<Json<Preview>, Failed> {
    Ok(Json(hub.job_preview(caller, &device, id).await?))
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ArmJob {
    /// Of an authenticator app, where the grant asks for one.
    code: Option<Pin>,
}

/// Lets a job that was checked turn on the beam or the spindle, if it is started within two
/// minutes.
#[utoipa::path(post, path = "/devices/{device}/jobs/{id}/arm", request_body = ArmJob,
    params(("device" = String, Path, description = "name, id or port"), ("id" = u32, Path)),
    responses((status = 200, body = Job), (status = "4XX", body = Failure)))]
async fn arm(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Path(job): Path<(String, u32)>,
    Body(arm): Body<ArmJob>,
) -> Result<Json<Job>, Failed> {
    let (device, id) = job;
    Ok(Json(hub.arm_job(caller, (&device, id), arm.code).await?))
}

/// Starts a job. It goes on whoever leaves, unless it was announced with `on_loss: hold`.
#[utoipa::path(post, path = "/devices/{device}/jobs/{id}/start",
    params(("device" = String, Path, description = "name, id or port"), ("id" = u32, Path)),
    responses((status = 200, body = Job), (status = "4XX", body = Failure)))]
async fn start(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Path(job): Path<(String, u32)>,
) -> Result<Json<Job>, Failed> {
    act(&hub, caller, &job, JobAct::Start).await
}

/// Holds a job that runs.
#[utoipa::path(post, path = "/devices/{device}/jobs/{id}/hold",
    params(("device" = String, Path, description = "name, id or port"), ("id" = u32, Path)),
    responses((status = 200, body = Job), (status = "4XX", body = Failure)))]
async fn hold(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Path(job): Path<(String, u32)>,
) -> Result<Json<Job>, Failed> {
    act(&hub, caller, &job, JobAct::Hold).await
}

/// Goes on with a job that is held.
#[utoipa::path(post, path = "/devices/{device}/jobs/{id}/resume",
    params(("device" = String, Path, description = "name, id or port"), ("id" = u32, Path)),
    responses((status = 200, body = Job), (status = "4XX", body = Failure)))]
async fn resume(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Path(job): Path<(String, u32)>,
) -> Result<Json<Job>, Failed> {
    act(&hub, caller, &job, JobAct::Resume).await
}

/// Ends a job. One that runs is stopped as by STOP: its machine stands, with its beam off.
#[utoipa::path(post, path = "/devices/{device}/jobs/{id}/abort",
    params(("device" = String, Path, description = "name, id or port"), ("id" = u32, Path)),
    responses((status = 200, body = Job), (status = "4XX", body = Failure)))]
async fn abort(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Path(job): Path<(String, u32)>,
) -> Result<Json<Job>, Failed> {
    act(&hub, caller, &job, JobAct::Abort).await
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Rest {
    /// The first line is 1.
    from_line: u64,
}

/// Makes a job of the rest of one that is over, from a line on: before it, lines are put that
/// bring the machine to where it would be then. Never for a laser.
#[utoipa::path(post, path = "/devices/{device}/jobs/{id}/rest", request_body = Rest,
    params(("device" = String, Path, description = "name, id or port"), ("id" = u32, Path)),
    responses((status = 201, body = Job), (status = "4XX", body = Failure)))]
async fn rest(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Path((device, id)): Path<(String, u32)>,
    Body(rest): Body<Rest>,
) -> Result<(StatusCode, Json<Job>), Failed> {
    let job = hub.rest_of_job(caller, (&device, id), rest.from_line).await?;
    Ok((StatusCode::CREATED, Json(job)))
}

async fn act(
    hub: &Hub,
    caller: Caller,
    (device, id): &(String, u32),
    act: JobAct,
) -> Result<Json<Job>, Failed> {
    Ok(Json(hub.job_act(caller, (device, *id), act).await?))
}
