//! Peers: pairing, grants, trust, paths and their measurement.

use crate::Asking;
use crate::answer::{Body, Failed};
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use fast_qr::convert::svg::SvgBuilder;
use hub::{EXPIRES, Hub, view};
use serde::Deserialize;
use std::time::Duration;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wire::Name;

pub(crate) fn routes() -> OpenApiRouter<Hub> {
    OpenApiRouter::new()
        .routes(routes!(invite))
        .routes(routes!(pair))
        .routes(routes!(remove))
        .routes(routes!(trust))
        .routes(routes!(grant, revoke))
        .routes(routes!(path))
        .routes(routes!(bench))
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewInvite {
    /// Seconds; ten minutes if nothing is said, a week at most.
    expires_s: Option<u32>,
    /// What the hub that uses the ticket may do.
    #[serde(default)]
    grants: Vec<view::Grant>,
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
    let (ticket, expires_in) = hub.invite(caller, expires_in, &new.grants).await?;
    let (ticket, expires) = (ticket.to_string(), jiff::Timestamp::now() + expires_in);
    let qr = fast_qr::QRBuilder::new(ticket.to_uppercase()).build();
    let qr_svg = qr.map(|qr| SvgBuilder::default().to_str(&qr)).unwrap_or_default();
    Ok(Json(view::Invite { ticket, expires: expires.to_string(), qr_svg }))
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
#[utoipa::path(post, path = "/peers/{name}/grants", request_body = view::Grant,
    params(("name" = String, Path)),
    responses((status = 200, body = view::Peer), (status = "4XX", body = view::Failure)))]
async fn grant(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Path(name): Path<String>,
    Body(grant): Body<view::Grant>,
) -> Result<Json<view::Peer>, Failed> {
    Ok(Json(hub.grant(caller, &name, &grant).await?))
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
    Query(revoke): Query<Revoke>,
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
