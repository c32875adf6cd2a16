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
mod backup;
mod crowd;
mod devices;
mod events;
mod files;
mod forward;
mod front;
mod guard;
mod health;
mod import;
mod jobs;
mod login;
mod machines;
mod peers;
mod plain;
mod print_jobs;
mod printers;
mod queue;
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

/// A part of the API: its routes, and their description, which is made when it is asked for, since
/// it is megabytes. A test sees to it that both have the same paths.
macro_rules! api {
    ($($method:ident $path:literal => $handler:ident,)*) => {
        #[derive(utoipa::OpenApi)]
        #[openapi(paths($($handler),*))]
        pub(crate) struct Described;

        pub(crate) fn routes() -> axum::Router<hub::Hub> {
            axum::Router::new()$(.route($path, axum::routing::$method($handler)))*
        }

        #[cfg(test)]
        pub(crate) const ROUTES: &[(&str, &str)] = &[$((stringify!($method), $path)),*];
    };
}
pub(crate) use api;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "farhub",
        description = "What the web UI, the command line and other hubs ask of a hub. Answers \
                       that are not a success have a `Failure` as their body.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    nest(
        (path = "/api/v1", api = Described),
        (path = "/api/v1", api = events::Described),
        (path = "/api/v1", api = devices::Described),
        (path = "/api/v1", api = machines::Described),
        (path = "/api/v1", api = jobs::Described),
        (path = "/api/v1", api = peers::Described),
        (path = "/api/v1", api = access::Described),
        (path = "/api/v1", api = audit::Described),
        (path = "/api/v1", api = backup::Described),
        (path = "/api/v1", api = printers::Described),
        (path = "/api/v1", api = print_jobs::Described),
        (path = "/api/v1", api = files::Described),
        (path = "/api/v1", api = queue::Described),
        (path = "/api/v1", api = import::Described),
        (path = "/api/v1", api = login::Described)
    )
)]
struct Description;

/// The API's description, as `openapi.json` has it.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    Description::openapi()
}

/// Everything that a hub answers.
fn router(hub: Hub) -> Router {
    let parts = routes()
        .merge(events::routes())
        .merge(devices::routes())
        .merge(machines::routes())
        .merge(jobs::routes())
        .merge(peers::routes())
        .merge(access::routes())
        .merge(audit::routes())
        .merge(backup::routes())
        .merge(printers::routes())
        .merge(print_jobs::routes())
        .merge(files::routes())
        .merge(queue::routes())
        .merge(import::routes())
        .merge(login::limited());
    Router::new()
        .nest("/api/v1", parts)
        .route("/api/v1/openapi.json", axum::routing::get(async || Json(openapi())))
        .route("/api/v1/hubs/{name}/{*path}", axum::routing::any(forward::forward))
        .route("/api/{*path}", axum::routing::any(nothing))
        .merge(health::routes())
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

api! {
    get "/state" => state,
}

/// Everything that the caller may see.
#[utoipa::path(get, path = "/state", responses((status = 200, body = view::State)))]
async fn state(State(hub): State<Hub>, Asking(caller): Asking) -> Json<view::State> {
    Json(hub.state(caller))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn what_is_described_is_what_is_answered() {
        let parts = [
            ROUTES,
            events::ROUTES,
            devices::ROUTES,
            machines::ROUTES,
            jobs::ROUTES,
            peers::ROUTES,
            access::ROUTES,
            audit::ROUTES,
            backup::ROUTES,
            printers::ROUTES,
            print_jobs::ROUTES,
            files::ROUTES,
            queue::ROUTES,
            import::ROUTES,
            login::ROUTES,
        ];
        let answered = parts.concat().into_iter();
        let answered: BTreeSet<_> =
            answered.map(|(method, path)| (format!("/api/v1{path}"), method.to_owned())).collect();
        let description = serde_json::to_value(openapi()).unwrap();
        let paths = description["paths"].as_object().unwrap().iter();
        let described: BTreeSet<_> = paths
            .flat_map(|(path, methods)| {
                let methods = methods.as_object().unwrap().keys();
                methods.map(|method| (path.clone(), method.clone())).collect::<Vec<_>>()
            })
            .collect();
        assert_eq!(answered, described);
    }
}
