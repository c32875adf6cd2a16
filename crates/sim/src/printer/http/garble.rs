//! What a broken printer says instead of what it should.

use crate::printer::shared::Shared;
use axum::body::Body;
use axum::http::header;
use axum::response::Response;
use bytes::Bytes;
use http_body_util::BodyExt;
use serde_json::{Map, Value, json};

/// Only answers in JSON: files stay whole.
pub(crate) async fn response(shared: &Shared, response: Response) -> Response {
    let is_json = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    if !is_json {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let bytes = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(garble(shared.random(), &bytes)))
}

/// One of six ways, by `which`.
pub(crate) fn garble(which: u64, good: &[u8]) -> Bytes {
    match which % 6 {
        0 => Bytes::copy_from_slice(&good[..good.len() / 2]),
        1 => {
            let value = serde_json::from_slice(good).unwrap_or(Value::Null);
            Bytes::from(wrong_types(value).to_string())
        }
        2 => {
            let mut bytes = good.to_vec();
            let middle = bytes.len() / 2;
            bytes.splice(middle..middle, [0xff, 0xfe, 0x80, 0x00]);
            Bytes::from(bytes)
        }
        3 => Bytes::from(vec![b'['; 2 * 1024 * 1024]),
        4 => Bytes::from_static(b"null"),
        _ => Bytes::from(json!({ "state": "x".repeat(2 * 1024 * 1024) }).to_string()),
    }
}

fn wrong_types(value: Value) -> Value {
    match value {
        Value::Null => json!([]),
        Value::Bool(flag) => json!(if flag { "yes" } else { "no" }),
        Value::Number(number) => json!(format!("{number} or so")),
        Value::String(text) => json!(text.len()),
        Value::Array(list) => json!({ "list": list.len() }),
        Value::Object(map) => {
            let pairs = map.into_iter().map(|(key, value)| (key, wrong_types(value)));
            Value::Object(pairs.collect::<Map<_, _>>())
        }
    }
}
