//! Whom the web UI's port answers: the pages that it served itself, and programs that call it by
//! a name that is ours.
//!
//! A web page from elsewhere can make a browser send requests to us. Its requests carry an
//! `Origin` that is not ours, and one that got here by a forged DNS answer carries a `Host` that
//! is not ours (DNS rebinding).

use crate::answer::Failed;
use crate::front::Open;
use axum::Extension;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hub::Failure;
use hub::view::FailureCode;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// Which connection a request came on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Visit {
    pub(crate) from: SocketAddr,
    /// Our own end.
    pub(crate) at: SocketAddr,
}

const POLICY: &str = "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; \
                      object-src 'none'; frame-ancestors 'none'; base-uri 'none'; \
                      form-action 'none'";
/// A year, as browsers want it; for this name only.
const HTTPS_ONLY: &str = "max-age=31536000";
const ALWAYS: [(HeaderName, &str); 5] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

pub(crate) async fn guard(
    State(front): State<Arc<Open>>,
    Extension(visit): Extension<Visit>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = if is_ours(&front, visit.at.ip(), &request) {
        next.run(request).await
    } else {
        let message = "this port answers its own pages only";
        Failed(Failure::new(FailureCode::Refused, message)).into_response()
    };
    let headers = response.headers_mut();
    for (name, value) in ALWAYS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if front.tls.is_some() {
        let value = HeaderValue::from_static(HTTPS_ONLY);
        headers.insert(header::STRICT_TRANSPORT_SECURITY, value);
    }
    // what a hub answers is for whoever asked, now
    let keep = headers.entry(header::CACHE_CONTROL);
    keep.or_insert(HeaderValue::from_static("no-store"));
    response
}

fn is_ours(front: &Open, at: IpAddr, request: &Request) -> bool {
    let headers = request.headers();
    let Some(host) = host_of(headers) else { return false };
    let origin = text(headers, header::ORIGIN);
    let same_origin = origin.is_none_or(|origin| front.is_origin(origin, host));
    let site = text(headers, HeaderName::from_static("sec-fetch-site"));
    let own_page = site.is_none_or(|site| matches!(site, "same-origin" | "none"));
    front.is_called(name_of(host), at) && same_origin && (own_page || is_a_link(request))
}

/// A person followed a link to the page. Its cookie does not come along, which is `SameSite`.
fn is_a_link(request: &Request) -> bool {
    let is = |name, value| text(request.headers(), HeaderName::from_static(name)) == Some(value);
    request.method() == Method::GET
        && !request.uri().path().starts_with("/api")
        && is("sec-fetch-mode", "navigate")
        && is("sec-fetch-dest", "document")
}

pub(crate) fn host_of(headers: &HeaderMap) -> Option<&str> {
    text(headers, header::HOST)
}

/// A `Host` without its port.
pub(crate) fn name_of(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        Some(_) | None => host,
    }
}

/// What cannot be read is not ours.
fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).map(|value| value.to_str().unwrap_or("?"))
}
