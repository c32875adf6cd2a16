//! The web UI: built by Vite into `ui/dist`, inside the program in release builds.

use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "../../ui/dist"]
#[allow_missing = true]
struct Ui;

const NOT_BUILT: &str = "<!doctype html><title>farhub</title>\
    <p>This farhub was built without its web UI. Build it with: <code>cargo xtask ui</code>";

/// Names with a hash in them never change what they mean.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

pub(crate) async fn asset(uri: Uri, headers: HeaderMap) -> Response {
    let path = match uri.path().trim_start_matches('/') {
        "" => "index.html",
        path => path,
    };
    if let Some(response) = compressed(path, &headers).or_else(|| file(path, None)) {
        return response;
    }
    if path == "index.html" {
        return Html(NOT_BUILT).into_response();
    }
    StatusCode::NOT_FOUND.into_response()
}

/// The smallest form that the browser takes.
fn compressed(path: &str, headers: &HeaderMap) -> Option<Response> {
    let accepted = headers.get(header::ACCEPT_ENCODING)?.to_str().ok()?;
    let takes = |coding: &str| accepted.split(',').any(|one| one.trim().starts_with(coding));
    let forms = [("br", "br"), ("gzip", "gz")];
    let mut forms = forms.into_iter().filter(|(coding, _)| takes(coding));
    forms.find_map(|(coding, ending)| file(&format!("{path}.{ending}"), Some((path, coding))))
}

fn file(name: &str, of: Option<(&str, &'static str)>) -> Option<Response> {
    let found = Ui::get(name)?;
    let path = of.map_or(name, |(path, _)| path);
    let kind = match path.rsplit_once('.').map(|(_, ending)| ending) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("json" | "webmanifest") => "application/json",
        _ => "application/octet-stream",
    };
    let mut response = found.data.into_owned().into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    let keep = if path.starts_with("assets/") { FOR_EVER } else { "no-cache" };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(keep));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if let Some((_, coding)) = of {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
    }
    Some(response)
}
