//! Devices, and their use here.

use crate::answer::{Body, Failed};
use crate::{Asking, api};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use hub::{Hub, view};
use serde::Deserialize;
use utoipa::ToSchema;
use wire::{Address, Name};

api! {
    post "/devices/{device}/share" => share,
    post "/devices/{device}/unshare" => unshare,
    post "/attachments" => attach,
    delete "/attachments/{hub}/{device}" => detach,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Share {
    /// A new name for the device.
    name: Option<Name>,
}

/// Lets peers have a device of this hub, each as far as it was granted.
#[utoipa::path(post, path = "/devices/{device}/share", request_body = Share,
    params(("device" = String, Path, description = "name, id, VID:PID or port")),
    responses((status = 200, body = view::Device), (status = "4XX", body = view::Failure)))]
async fn share(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Path(device): Path<String>,
    Body(share): Body<Share>,
) -> Result<Json<view::Device>, Failed> {
    Ok(Json(hub.share(caller, &device, share.name).await?))
}

/// Takes a device of this hub off the shelf, and from whoever uses it.
#[utoipa::path(post, path = "/devices/{device}/unshare",
    params(("device" = String, Path, description = "name, id, VID:PID or port")),
    responses((status = 200, body = view::Device), (status = "4XX", body = view::Failure)))]
async fn unshare(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Path(device): Path<String>,
) -> Result<Json<view::Device>, Failed> {
    Ok(Json(hub.unshare(caller, &device).await?))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Attach {
    address: Address,
    /// As its kind suggests, if nothing is said.
    via: Option<view::Via>,
    /// Only until the hub stops, instead of until somebody detaches it.
    #[serde(default)]
    once: bool,
}

/// Uses a device of a peer here, as soon as it can be used.
#[utoipa::path(post, path = "/attachments", request_body = Attach,
    responses((status = 201, body = view::Attachment), (status = "4XX", body = view::Failure)))]
async fn attach(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Body(attach): Body<Attach>,
) -> Result<(StatusCode, Json<view::Attachment>), Failed> {
    let new = hub.attach(caller, &attach.address, attach.via, attach.once).await?;
    Ok((StatusCode::CREATED, Json(new)))
}

/// Ends the use of a peer's device here.
#[utoipa::path(delete, path = "/attachments/{hub}/{device}",
    params(("hub" = Name, Path), ("device" = Name, Path)),
    responses((status = 204), (status = "4XX", body = view::Failure)))]
async fn detach(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Path((at, device)): Path<(Name, Name)>,
) -> Result<StatusCode, Failed> {
    hub.detach(caller, &Address { hub: at, device }).await?;
    Ok(StatusCode::NO_CONTENT)
}
