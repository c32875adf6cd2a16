//! The HTTP API under `/api/v1`, and the web UI.
//!
//! One router answers three kinds of callers: browsers ([`guard`] sees to it that no other web
//! page drives them, [`login`] that beyond loopback only the owner does), the command line on a
//! Unix socket in the data folder, and peers on streams of their connections, each under its
//! grants.

mod access;
mod answer;
mod assets;
mod audit;
mod crowd;
mod devices;
mod events;
mod forward;
mod front;
mod guard;
mod login;
mod machines;
mod peers;
mod plain;
mod serve;
mod tls;

pub use front::{Certificate, Error, Front, Login};
pub use serve::{Web, serve};
pub use tls::Error as TlsError;

use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json, Router};
use hub::{Caller, Hub, view};
use std::sync::Arc;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

#[derive(OpenApi)]
#[openapi(info(
    title = "farhub",
    description = "What the web UI, the command line and other hubs ask of a hub. Answers that \
                   are not a success have a `Failure` as their body.",
    license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
))]
struct Description;

fn api() -> OpenApiRouter<Hub> {
    OpenApiRouter::new()
        .routes(routes!(state))
        .routes(routes!(events::events))
        .merge(devices::routes())
        .merge(machines::routes())
        .merge(peers::routes())
        .merge(access::routes())
        .merge(audit::routes())
        .merge(login::routes())
}

/// The outermost router's title is the one that counts.
fn nested() -> OpenApiRouter<Hub> {
    OpenApiRouter::with_openapi(Description::openapi()).nest("/api/v1", api())
}

/// The API's description, as `openapi.json` has it.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    nested().into_openapi()
}

/// Everything that a hub answers.
fn router(hub: Hub) -> Router {
    // the description is megabytes, and seldom asked for
    let (router, _) = nested().split_for_parts();
    router
        .route("/api/v1/openapi.json", axum::routing::get(async || Json(openapi())))
        .route("/api/v1/hubs/{name}/{*path}", axum::routing::any(forward::forward))
        .route("/api/{*path}", axum::routing::any(nothing))
        .fallback(assets::asset)
        .with_state(hub)
}

async fn nothing() -> Response {
    let failure = hub::Failure::new(view::FailureCode::NotFound, "the API has no such path");
    answer::Failed(failure.hint("see /api/v1/openapi.json")).into_response()
}

/// Who asks; whoever serves the connection says so.
#[derive(Clone, Copy, Debug)]
struct Asking(Caller);

impl<S: Send + Sync> FromRequestParts<S> for Asking {
    type Rejection = Response;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let found = Extension::<Self>::from_request_parts(parts, state).await;
        found.map(|Extension(asking)| asking).map_err(IntoResponse::into_response)
    }
}

/// By which door a request came in.
#[derive(Clone, Debug)]
enum Door {
    Web(Arc<front::Open>),
    Socket(Arc<front::Open>),
    Peer,
}

/// Everything that the caller may see.
#[utoipa::path(get, path = "/state", responses((status = 200, body = view::State)))]
async fn state(State(hub): State<Hub>, Asking(caller): Asking) -> Json<view::State> {
    Json(hub.state(caller))
}
