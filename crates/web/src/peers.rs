//! Peers: pairing, grants, trust, paths and their measurement.

use crate::answer::{Asked, Body, Failed};
use crate::{Asking, api};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use fast_qr::convert::svg::SvgBuilder;
use hub::{EXPIRES, Failure, Hub, Target, view};
use serde::Deserialize;
use std::time::Duration;
use utoipa::{IntoParams, ToSchema};
use wire::{HostPort, Name};

api! {
    post "/invites" => invite,
    post "/pair" => pair,
    post "/pairings" => ask,
    post "/pairings/{id}/accept" => typed,
    delete "/pairings/{id}" => decline,
    post "/peers/{name}/addresses" => add_address,
    delete "/peers/{name}/addresses" => remove_address,
    delete "/peers/{name}" => remove,
    put "/peers/{name}/trust" => trust,
    post "/peers/{name}/grants" => grant,
    delete "/peers/{name}/grants" => revoke,
    get "/peers/{name}/path" => path,
    post "/peers/{name}/bench" => bench,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewInvite {
    /// Seconds; ten minutes if nothing is said, a week at most.
    expires_s: Option<u32>,
    /// What the hub that uses the ticket may do.
    #[serde(default)]
    grants: Vec<view::Grant>,
    /// Seconds from the pairing on, after which the hub is no peer any more.
    guest_s: Option<u32>,
}

/// A ticket that lets one hub pair with this one.
#[utoipa::path(post, path = "/invites", request_body = NewInvite,
    responses((status = 200, body = view::Invite), (status = "4XX", body = view::Failure)))]
async fn invite(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Body(new): Body<NewInvite>,
) -> Result<Json<view::Invite>, Failed> {
    let expires_in = new.expires_s.map_or(EXPIRES.0, |s| Duration::from_secs(s.into()));
    let guest = new.guest_s.map(|s| Duration::from_secs(s.into()));
    let (ticket, expires_in) = hub.invite(caller, expires_in, &new.grants, guest).await?;
    let (ticket, expires) = (ticket.to_string(), jiff::Timestamp::now() + expires_in);
    let qr_svg = drawn(&ticket.to_uppercase());
    Ok(Json(view::Invite { ticket, expires: expires.to_string(), qr_svg }))
}

/// A QR code as an SVG; nothing where the text is too long for one.
fn drawn(text: &str) -> String {
    let qr = fast_qr::QRBuilder::new(text).build();
    qr.map(|qr| SvgBuilder::default().to_str(&qr)).unwrap_or_default()
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Pair {
    ticket: String,
    /// What to call the other hub here, instead of what it calls itself.
    name: Option<Name>,
}

/// Pairs with the hub of a ticket.
#[utoipa::path(post, path = "/pair", request_body = Pair,
    responses((status = 200, body = view::Peer), (status = "4XX", body = view::Failure)))]
async fn pair(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Body(pair): Body<Pair>,
) -> Result<Json<view::Peer>, Failed> {
    Ok(Json(hub.pair(caller, &pair.ticket, pair.name).await?))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Ask {
    /// A hub of `nearby`, by name or key.
    hub: Option<String>,
    /// Or whoever is there: HOST:PORT.
    at: Option<HostPort>,
    /// What to call the other hub here, instead of what it calls itself.
    name: Option<Name>,
}

/// Asks another hub to pair by code; the answer has the code, to be typed there.
#[utoipa::path(post, path = "/pairings", request_body = Ask,
    responses((status = 200, body = view::Pairing), (status = "4XX", body = view::Failure)))]
async fn ask(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Body(ask): Body<Ask>,
) -> Result<Json<view::Pairing>, Failed> {
    let target = match (ask.hub, ask.at) {
        (Some(hub), None) => Target::Nearby(hub),
        (None, Some(place)) => Target::At(place),
        _ => {
            let message = "whom to pair with is either hub or at";
            return Err(Failure::new(view::FailureCode::BadRequest, message).into());
        }
    };
    Ok(Json(hub.ask_to_pair(caller, &target, ask.name).await?))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Typed {
    /// What the other hub's screen shows.
    code: String,
}

/// Accepts a pairing: with the code that the other hub shows, or with its check number.
#[utoipa::path(post, path = "/pairings/{id}/accept", request_body = Typed,
    params(("id" = u32, Path)),
    responses((status = 200, body = view::Pairing), (status = "4XX", body = view::Failure)))]
async fn typed(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Path(id): Path<u32>,
    Body(typed): Body<Typed>,
) -> Result<Json<view::Pairing>, Failed> {
    Ok(Json(hub.typed(caller, id, &typed.code).await?))
}

/// Declines a pairing or takes it back; one that is over is no longer shown.
#[utoipa::path(delete, path = "/pairings/{id}", params(("id" = u32, Path)),
    responses((status = 204), (status = "4XX", body = view::Failure)))]
async fn decline(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Path(id): Path<u32>,
) -> Result<StatusCode, Failed> {
    hub.decline(caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewAddress {
    /// HOST:PORT
    at: HostPort,
}

/// Remembers where a peer is, beside what is known of it.
#[utoipa::path(post, path = "/peers/{name}/addresses", request_body = NewAddress,
    params(("name" = String, Path)),
    responses((status = 200, body = view::Peer), (status = "4XX", body = view::Failure)))]
async fn add_address(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Path(name): Path<String>,
    Body(new): Body<NewAddress>,
) -> Result<Json<view::Peer>, Failed> {
    Ok(Json(hub.add_address(caller, &name, &new.at).await?))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct OldAddress {
    /// HOST:PORT
    #[param(value_type = String)]
    at: HostPort,
}

/// Forgets where somebody said that a peer is.
#[utoipa::path(delete, path = "/peers/{name}/addresses",
    params(("name" = String, Path), OldAddress),
    responses((status = 200, body = view::Peer), (status = "4XX", body = view::Failure)))]
async fn remove_address(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Path(name): Path<String>,
    Asked(old): Asked<OldAddress>,
) -> Result<Json<view::Peer>, Failed> {
    Ok(Json(hub.remove_address(caller, &name, &old.at).await?))
}

/// Forgets a peer: its connections, sessions, grants and attachments end.
#[utoipa::path(delete, path = "/peers/{name}", params(("name" = String, Path)),
    responses((status = 204), (status = "4XX", body = view::Failure)))]
async fn remove(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Path(name): Path<String>,
) -> Result<StatusCode, Failed> {
    hub.remove_peer(caller, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Trust {
    trusted: bool,
}

/// Says whether keyboards and network adapters of a peer may be attached here.
#[utoipa::path(put, path = "/peers/{name}/trust", request_body = Trust,
    params(("name" = String, Path)),
    responses((status = 200, body = view::Peer), (status = "4XX", body = view::Failure)))]
async fn trust(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Path(name): Path<String>,
    Body(trust): Body<Trust>,
) -> Result<Json<view::Peer>, Failed> {
    Ok(Json(hub.trust(caller, &name, trust.trusted).await?))
}

/// Lets a peer do something with devices of this hub.
#[utoipa::path(post, path = "/peers/{name}/grants", request_body = view::NewGrant,
    params(("name" = String, Path)),
    responses((status = 200, body = view::Granted), (status = "4XX", body = view::Failure)))]
async fn grant(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Path(name): Path<String>,
    Body(grant): Body<view::NewGrant>,
) -> Result<Json<view::Granted>, Failed> {
    let mut granted = hub.grant(caller, &name, grant).await?;
    if let Some(totp) = &mut granted.totp {
        totp.qr_svg = drawn(&totp.uri);
    }
    Ok(Json(granted))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Revoke {
    /// One grant; all of the peer's when it is not there.
    selector: Option<String>,
}

/// Takes back one grant of a peer, or all; what it allowed ends.
#[utoipa::path(delete, path = "/peers/{name}/grants", params(("name" = String, Path), Revoke),
    responses((status = 200, body = view::Peer), (status = "4XX", body = view::Failure)))]
async fn revoke(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Path(name): Path<String>,
    Asked(revoke): Asked<Revoke>,
) -> Result<Json<view::Peer>, Failed> {
    Ok(Json(hub.revoke(caller, &name, revoke.selector.as_deref()).await?))
}

/// How a peer can be reached, measured now.
#[utoipa::path(get, path = "/peers/{name}/path", params(("name" = String, Path)),
    responses((status = 200, body = view::PathReport), (status = "4XX", body = view::Failure)))]
async fn path(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Path(name): Path<String>,
) -> Result<Json<view::PathReport>, Failed> {
    Ok(Json(hub.path(caller, &name)?))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Bench {
    what: view::Measure,
}

/// Measures the path to a peer, for three seconds at most.
#[utoipa::path(post, path = "/peers/{name}/bench", request_body = Bench,
    params(("name" = String, Path)),
    responses((status = 200, body = view::Measured), (status = "4XX", body = view::Failure)))]
async fn bench(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Path(name): Path<String>,
    Body(bench): Body<Bench>,
) -> Result<Json<view::Measured>, Failed> {
    Ok(Json(hub.bench(caller, &name, bench.what).await?))
}
