//! The audit log.

use crate::answer::{Asked, Failed};
use crate::{Asking, api};
use axum::Json;
use axum::extract::State;
use hub::{Hub, view};

api! {
    get "/audit" => audit,
    get "/audit/check" => verify,
}

/// Who did what, the newest first; for whoever manages the hub.
#[utoipa::path(get, path = "/audit", params(view::AuditQuery),
    responses((status = 200, body = view::AuditPage), (status = "4XX", body = view::Failure)))]
async fn audit(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Asked(query): Asked<view::AuditQuery>,
) -> Result<Json<view::AuditPage>, Failed> {
    Ok(Json(hub.audit_log(caller, &query).await?))
}

/// Reads the whole log, and says whether each entry is as it was written.
#[utoipa::path(get, path = "/audit/check",
    responses((status = 200, body = view::AuditCheck), (status = "4XX", body = view::Failure)))]
async fn verify(
    State(hub): State<Hub>,
    Asking(caller): Asking,
) -> Result<Json<view::AuditCheck>, Failed> {
    Ok(Json(hub.verify_audit_log(caller).await?))
}
