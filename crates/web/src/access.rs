//! Asking for devices, answering, handing over, proving oneself.

use crate::answer::{Body, Failed};
use crate::{Asking, api};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use hub::{ACCEPTED, Hub, view};
use serde::Deserialize;
use std::time::Duration;
use utoipa::ToSchema;
use wire::{Address, Name, Pin, Proof};

api! {
    post "/unlock" => unlock,
    post "/asked" => ask,
    delete "/asked/{hub}/{device}" => withdraw,
    post "/requests/{number}/accept" => accept,
    post "/requests/{number}/deny" => deny,
    post "/devices/{device}/handover" => hand_over,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Unlock {
    address: Address,
    pin: Option<Pin>,
    /// Of an authenticator app.
    code: Option<Pin>,
}

/// Shows a peer's hub the PIN or the code that it wants before its device may be used here.
#[utoipa::path(post, path = "/unlock", request_body = Unlock,
    responses((status = 204), (status = "4XX", body = view::Failure)))]
async fn unlock(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Body(Unlock { address, pin, code }): Body<Unlock>,
) -> Result<StatusCode, Failed> {
    hub.unlock(caller, &address, Proof { pin, code }).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Ask {
    address: Address,
    /// For the owner; 128 characters are kept.
    #[serde(default)]
    message: String,
}

/// Asks a peer for the use of a device: `State` shows the answer when there is one.
#[utoipa::path(post, path = "/asked", request_body = Ask,
    responses((status = 204), (status = "4XX", body = view::Failure)))]
async fn ask(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Body(ask): Body<Ask>,
) -> Result<StatusCode, Failed> {
    hub.ask(caller, &ask.address, &ask.message).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes back what was asked, or puts the answer away.
#[utoipa::path(delete, path = "/asked/{hub}/{device}",
    params(("hub" = Name, Path), ("device" = Name, Path)),
    responses((status = 204), (status = "4XX", body = view::Failure)))]
async fn withdraw(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Path((at, device)): Path<(Name, Name)>,
) -> Result<StatusCode, Failed> {
    hub.withdraw(caller, &Address { hub: at, device })?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Accept {
    /// Seconds that it may be used, if that was not granted before: an hour if nothing is said.
    for_s: Option<u32>,
    #[serde(default)]
    turn: view::Turn,
}

/// Lets the peer that asked use the device.
#[utoipa::path(post, path = "/requests/{number}/accept", request_body = Accept,
    params(("number" = u32, Path)),
    responses((status = 204), (status = "4XX", body = view::Failure)))]
async fn accept(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Path(number): Path<u32>,
    Body(accept): Body<Accept>,
) -> Result<StatusCode, Failed> {
    let time = accept.for_s.map_or(ACCEPTED, |s| Duration::from_secs(s.into()));
    hub.accept(caller, number, time, accept.turn).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Says no to the peer that asked.
#[utoipa::path(post, path = "/requests/{number}/deny", params(("number" = u32, Path)),
    responses((status = 204), (status = "4XX", body = view::Failure)))]
async fn deny(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Path(number): Path<u32>,
) -> Result<StatusCode, Failed> {
    hub.deny(caller, number).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct HandOver {
    /// A peer; if none is named, whoever says so when that is a peer, else nobody.
    to: Option<Name>,
}

/// Ends the use of a device of this hub, and keeps it for a minute for another peer.
#[utoipa::path(post, path = "/devices/{device}/handover", request_body = HandOver,
    params(("device" = String, Path, description = "name, id, VID:PID or port")),
    responses((status = 200, body = view::Device), (status = "4XX", body = view::Failure)))]
async fn hand_over(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Path(device): Path<String>,
    Body(HandOver { to }): Body<HandOver>,
) -> Result<Json<view::Device>, Failed> {
    let to = to.as_ref().map(Name::as_str);
    Ok(Json(hub.hand_over(caller, &device, to).await?))
}
