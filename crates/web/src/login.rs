//! The login: who gets past it, how one gets in and out, and who is in.
//!
//! Without a session, a front that asks for a login gives the page's own files, [`session`] and
//! [`login`], and nothing else: not even the hub's name, or which paths there are.
//!
//! The cookie cannot be read by scripts, is never sent without TLS (or to loopback), comes with no
//! request that another site makes, and belongs to this host alone (RFC 6265bis, `__Host-`). Its
//! requests that change something must carry [`OWN`] too, a header that a page of another origin
//! cannot send without asking us first.

use crate::answer::{Body, Failed};
use crate::front::Open;
use crate::guard::Visit;
use crate::{Asking, Door, api};
use axum::body::Body as Bytes;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json, Router};
use futures_util::StreamExt;
use hub::view::{self, FailureCode, LoginState};
use hub::{Denied, Failure, Hub, Use};
use serde::Deserialize;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use utoipa::ToSchema;

const COOKIE: &str = "__Host-farhub";
/// For as long as any session: its end is ours to tell.
const COOKIE_IS: &str = "Path=/; Secure; HttpOnly; SameSite=Strict";
const COOKIE_AGE_S: u64 = 30 * 24 * 60 * 60;
/// Whatever it says, it was our own page, or a program.
const OWN: HeaderName = HeaderName::from_static("farhub-request");
/// A password, and what is around it.
const BODY_BYTES_MAX: usize = 8 << 10;
/// For a request of somebody who is not logged in, until its answer begins.
const STRANGER_TIMEOUT: Duration = Duration::from_secs(60);

api! {
    get "/session" => session,
    post "/login" => login,
    post "/logout" => logout,
    get "/web" => status,
    put "/web/password" => password,
    get "/web/sessions" => sessions,
    delete "/web/sessions" => end_all,
    delete "/web/sessions/{id}" => end,
}

pub(crate) fn limited() -> Router<Hub> {
    routes().layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
}

/// Lets through who is logged in, and everybody where nobody is asked.
pub(crate) async fn admit(
    State(front): State<Arc<Open>>,
    mut request: Request,
    next: Next,
) -> Response {
    if !front.asks {
        return next.run(request).await;
    }
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
    if changes && !request.headers().contains_key(OWN) {
        let message = format!("a request that changes something needs the header {OWN}: 1");
        return Failed(Failure::new(FailureCode::Refused, message)).into_response();
    }
    let path = request.uri().path();
    let by = if changes || path == "/api/v1/session" { Use::Acts } else { Use::Watches };
    let session = match token(request.headers()) {
        Some(token) => front.hub.web_session(token, by).await,
        None => None,
    };
    let Some(session) = session else {
        if !is_open(request.method(), path) {
            return Failed(needed()).into_response();
        }
        let answer = tokio::time::timeout(STRANGER_TIMEOUT, next.run(request)).await;
        return answer.unwrap_or_else(|_| StatusCode::REQUEST_TIMEOUT.into_response());
    };
    let id = session.id.clone();
    request.extensions_mut().insert(session);
    let response = next.run(request).await;
    let streams = response.headers().get(header::CONTENT_TYPE);
    if streams.is_none_or(|kind| kind != "text/event-stream") {
        return response;
    }
    // what goes on and on ends with the session
    let hub = front.hub.clone();
    let over = async move { hub.web_session_over(&id).await };
    response.map(|body| Bytes::from_stream(body.into_data_stream().take_until(Box::pin(over))))
}

/// What a stranger may have: the page's files, and the way in.
fn is_open(method: &Method, path: &str) -> bool {
    match path {
        "/api/v1/session" => *method == Method::GET,
        "/api/v1/login" | "/api/v1/logout" => *method == Method::POST,
        "/metrics" => false,
        _ => !path.starts_with("/api") && matches!(*method, Method::GET | Method::HEAD),
    }
}

fn needed() -> Failure {
    let failure = Failure::new(FailureCode::LoginNeeded, "log in first");
    failure.hint("in a browser: the page asks for the password")
}

/// Of several cookies of that name, none: a browser sends one.
fn token(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).iter();
    let cookies = cookies.flat_map(|value| value.to_str().unwrap_or_default().split(';'));
    let mut ours = cookies.filter_map(|cookie| {
        let (name, value) = cookie.trim().split_once('=')?;
        (name == COOKIE).then_some(value)
    });
    let token = ours.next()?;
    ours.next().is_none().then_some(token)
}

fn cookie(value: &str, age_s: u64) -> HeaderValue {
    let cookie = format!("{COOKIE}={value}; Max-Age={age_s}; {COOKIE_IS}");
    HeaderValue::from_str(&cookie).expect("a token is base64")
}

type Session = Option<Extension<view::WebSession>>;

/// Whether a login is needed here, and whose session this is.
#[utoipa::path(get, path = "/session", responses((status = 200, body = view::Login)))]
async fn session(Extension(door): Extension<Door>, session: Session) -> Json<view::Login> {
    let login = match (&door, &session) {
        (Door::Web(front), None) if front.asks => LoginState::Needed,
        (Door::Web(_), Some(_)) => LoginState::Done,
        (Door::Web(_) | Door::Socket(_) | Door::Peer, _) => LoginState::Off,
    };
    Json(view::Login { login, session: session.map(|Extension(session)| session) })
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Login {
    password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login(..)")
    }
}

/// Begins a session; its cookie is in the answer.
#[utoipa::path(post, path = "/login", request_body = Login,
    responses((status = 200, body = view::Login),
        (status = 401, body = view::Failure, description = "the password is wrong"),
        (status = 429, body = view::Failure, description = "too many tries: `Retry-After`")))]
async fn login(
    Extension(door): Extension<Door>,
    visit: Option<Extension<Visit>>,
    old: Session,
    headers: HeaderMap,
    Body(login): Body<Login>,
) -> Response {
    let (Door::Web(front), Some(Extension(visit))) = (&door, visit) else {
        return nobody_asks().into_response();
    };
    if !front.asks {
        return nobody_asks().into_response();
    }
    let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    let from = visit.from.ip();
    match front.hub.web_login(login.password, from, agent.unwrap_or_default()).await {
        Ok(new) => {
            if let Some(Extension(old)) = old
                && let Err(failure) = front.hub.web_logout(&old.id).await
            {
                tracing::warn!("{failure}");
            }
            let body = view::Login { login: LoginState::Done, session: Some(new.session) };
            let cookie = cookie(&new.token, COOKIE_AGE_S);
            ([(header::SET_COOKIE, cookie)], Json(body)).into_response()
        }
        Err(denied) => refusal(denied),
    }
}

fn nobody_asks() -> Failed {
    Failed(Failure::new(FailureCode::Conflict, "nobody is asked to log in here"))
}

fn refusal(denied: Denied) -> Response {
    match denied {
        Denied::Wrong => {
            let wrong = Failure::new(FailureCode::LoginNeeded, "that is not the password");
            Failed(wrong).into_response()
        }
        Denied::TooMany(wait) => {
            let seconds = wait.as_secs() + 1;
            let message = format!("too many tries: wait {seconds} s");
            let failure = Failure::new(FailureCode::TooMany, message)
                .hint("a new password, set by farhub web password, ends the wait");
            let wait = HeaderValue::from(seconds);
            ([(header::RETRY_AFTER, wait)], Failed(failure)).into_response()
        }
        Denied::Failed(failure) => Failed(failure).into_response(),
    }
}

/// Ends the session that asks.
#[utoipa::path(post, path = "/logout", responses((status = 204)))]
async fn logout(State(hub): State<Hub>, session: Session) -> Result<Response, Failed> {
    if let Some(Extension(session)) = session {
        hub.web_logout(&session.id).await?;
    }
    Ok(([(header::SET_COOKIE, cookie("", 0))], StatusCode::NO_CONTENT).into_response())
}

/// How the web UI is offered, and to whom.
#[utoipa::path(get, path = "/web",
    responses((status = 200, body = view::WebStatus), (status = "4XX", body = view::Failure)))]
async fn status(
    Extension(door): Extension<Door>,
    Asking(caller): Asking,
) -> Result<Json<view::WebStatus>, Failed> {
    match door {
        Door::Web(front) | Door::Socket(front) => Ok(Json(front.status(caller)?)),
        Door::Peer => Err(only_here()),
    }
}

/// Sets the password; all sessions end. Only by the hub's own socket: whoever has a session could
/// keep the owner out otherwise.
#[utoipa::path(put, path = "/web/password", request_body = view::NewPassword,
    responses((status = 200, body = view::WebStatus), (status = "4XX", body = view::Failure)))]
async fn password(
    State(hub): State<Hub>,
    Extension(door): Extension<Door>,
    Asking(caller): Asking,
    Body(new): Body<view::NewPassword>,
) -> Result<Json<view::WebStatus>, Failed> {
    match door {
        Door::Socket(front) => {
            hub.set_web_password(new.password).await?;
            Ok(Json(front.status(caller)?))
        }
        Door::Web(_) | Door::Peer => Err(only_here()),
    }
}

fn only_here() -> Failed {
    let failure = Failure::new(FailureCode::Refused, "that is done at the hub's own computer");
    Failed(failure.hint("there: farhub web --help"))
}

/// Who is logged in.
#[utoipa::path(get, path = "/web/sessions",
    responses((status = 200, body = Vec<view::WebSession>),
        (status = "4XX", body = view::Failure)))]
async fn sessions(
    State(hub): State<Hub>,
    Asking(caller): Asking,
) -> Result<Json<Vec<view::WebSession>>, Failed> {
    Ok(Json(hub.web_sessions(caller)?))
}

/// Logs everybody out.
#[utoipa::path(delete, path = "/web/sessions",
    responses((status = 204), (status = "4XX", body = view::Failure)))]
async fn end_all(State(hub): State<Hub>, Asking(caller): Asking) -> Result<StatusCode, Failed> {
    hub.end_web_sessions(caller, None).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Logs one browser out.
#[utoipa::path(delete, path = "/web/sessions/{id}", params(("id" = String, Path)),
    responses((status = 204), (status = "4XX", body = view::Failure)))]
async fn end(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Path(id): Path<String>,
) -> Result<StatusCode, Failed> {
    hub.end_web_sessions(caller, Some(&id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_cookie_is_a_session_two_are_none() {
        let headers = |cookies: &[&str]| {
            let pair = |cookie: &&str| (header::COOKIE, HeaderValue::from_str(cookie).unwrap());
            cookies.iter().map(pair).collect::<HeaderMap>()
        };
        assert_eq!(token(&headers(&["a=b; __Host-farhub=abc; c=d"])), Some("abc"));
        assert_eq!(token(&headers(&["farhub=abc; x__Host-farhub=d"])), None);
        assert_eq!(token(&headers(&["__Host-farhub=a; __Host-farhub=b"])), None);
        assert_eq!(token(&headers(&["__Host-farhub=a", "__Host-farhub=b"])), None);
        assert_eq!(token(&headers(&[])), None);
    }

    #[test]
    fn a_stranger_may_have_the_page_and_the_way_in() {
        for path in ["/", "/index.html", "/assets/x.js", "/favicon.svg", "/api/v1/session"] {
            assert!(is_open(&Method::GET, path), "{path}");
            assert!(!is_open(&Method::POST, path), "{path}");
        }
        assert!(is_open(&Method::POST, "/api/v1/login"));
        for path in ["/api", "/api/", "/api/v1/state", "/api/v1/openapi.json", "/api/v1/session/x"]
        {
            assert!(!is_open(&Method::GET, path), "{path}");
        }
    }
}
