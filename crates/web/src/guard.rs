//! Whom the loopback port answers: the pages that it served itself, and programs at this computer.
//!
//! A web page from elsewhere can make a browser send requests to loopback. Its requests carry an
//! `Origin` that is not ours, and one that got here by a forged DNS answer carries a `Host` that
//! is not ours (DNS rebinding).

use crate::answer::Failed;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hub::Failure;
use hub::view::FailureCode;

const POLICY: &str = "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; \
                      frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

pub(crate) async fn guard(request: Request, next: Next) -> Response {
    let mut response = if is_ours(request.headers()) {
        next.run(request).await
    } else {
        let message = "this port answers its own pages only";
        Failed(Failure::new(FailureCode::Refused, message)).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

fn is_ours(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let Some(host) = text(header::HOST) else { return false };
    let name = host.rsplit_once(':').map_or(host, |(name, port)| {
        if port.bytes().all(|b| b.is_ascii_digit()) { name } else { host }
    });
    let near = matches!(name, "localhost" | "127.0.0.1" | "[::1]");
    let same_origin = text(header::ORIGIN).is_none_or(|origin| origin == format!("http://{host}"));
    let site = headers.get("sec-fetch-site").map(|value| value.to_str().unwrap_or("?"));
    near && same_origin && site.is_none_or(|site| matches!(site, "same-origin" | "none"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours(host: &str, origin: Option<&str>) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        is_ours(&headers)
    }

    #[test]
    fn only_our_own_pages_and_programs_are_answered() {
        assert!(ours("127.0.0.1:3482", None));
        assert!(ours("localhost:3482", Some("http://localhost:3482")));
        assert!(ours("[::1]:3482", None));
        assert!(!ours("evil.example:3482", None));
        assert!(!ours("127.0.0.1.evil.example", None));
        assert!(!ours("127.0.0.1:3482", Some("http://evil.example")));
        assert!(!ours("127.0.0.1:3482", Some("http://localhost:3482")));
        assert!(!ours("127.0.0.1:3482", Some("null")));
        assert!(!is_ours(&HeaderMap::new()));
    }
}
