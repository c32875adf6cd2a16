//! An HTTP server with the faults of a printer, for the protocols that speak it.
//!
//! hyper is run by hand, and not `axum::serve`: how many connections a printer takes, and when it
//! hangs up, is a part of what is simulated. There are no routes either: each protocol is one
//! `match` on method and path, with nothing to allocate for a printer that idles.

mod garble;
mod multipart;
mod path;
mod push;

pub(super) use multipart::parts;
pub(super) use path::{Query, encode, query, segments};
pub(super) use push::{Closed, Push};

use super::Fault;
use super::engine::FILES_BYTES_MAX;
use super::shared::Shared;
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

pub(super) type Request = axum::extract::Request;

/// Whether the printer is still on the network: ends when its other side is dropped. For what axum
/// runs in tasks of its own.
pub(super) type Life = watch::Receiver<()>;

/// Until it is dropped. More than `connections_max` connections are closed as they come.
pub(super) async fn serve<A, F>(
    shared: Arc<Shared>,
    listener: TcpListener,
    connections_max: usize,
    answer: A,
) where
    A: Fn(Request, Life) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    let (_alive, life) = watch::channel(());
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else {
                    // Out of file descriptors, most likely.
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                };
                while connections.try_join_next().is_some() {}
                if connections.len() < connections_max {
                    let (shared, answer) = (Arc::clone(&shared), answer.clone());
                    connections.spawn(connection(shared, stream, answer, life.clone()));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection<A, F>(shared: Arc<Shared>, stream: TcpStream, answer: A, life: Life)
where
    A: Fn(Request, Life) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let (shared, answer, life) = (Arc::clone(&shared), answer.clone(), life.clone());
        async move { faulty(&shared, answer(request.map(Body::new), life)).await }
    });
    let server = hyper::server::conn::http1::Builder::new()
        .max_buf_size(BUFFER_BYTES_MAX)
        .title_case_headers(true)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    if let Err(e) = server.await {
        tracing::debug!("a connection to a simulated printer ended: {e}");
    }
}

async fn faulty(
    shared: &Shared,
    answer: impl Future<Output = Response>,
) -> Result<Response, io::Error> {
    let mut faults = shared.faults();
    if shared.fault() == Fault::Silent {
        let _ = faults.wait_for(|fault| *fault != Fault::Silent).await;
        return Err(io::ErrorKind::ConnectionAborted.into());
    }
    let mut response = answer.await;
    match shared.fault() {
        Fault::Slow(late) => tokio::time::sleep(late).await,
        Fault::Drops => {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        Fault::Garbled => return Ok(garble::response(shared, response).await),
        Fault::Silent
        | Fault::None
        | Fault::DiskFull
        | Fault::NoStorage
        | Fault::DeveloperModeOff
        | Fault::WrongSecret
        | Fault::TruncatesFiles => {}
    }
    Ok(response)
}

pub(super) fn json(status: StatusCode, value: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

/// The whole body, if the client sends it all and it is not more than a printer can keep. `told`
/// hears how much has come.
pub(super) async fn read(body: Body, mut told: impl FnMut(usize)) -> Result<Bytes, StatusCode> {
    let mut body = body;
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| StatusCode::BAD_REQUEST)?;
        if let Ok(data) = frame.into_data() {
            if bytes.len() + data.len() > FILES_BYTES_MAX + FORM_BYTES_MAX {
                return Err(StatusCode::PAYLOAD_TOO_LARGE);
            }
            bytes.extend_from_slice(&data);
            told(bytes.len());
        }
    }
    Ok(bytes.freeze())
}

/// Takes what of a refused body is under way anyway, so that its sender gets to read the refusal.
pub(super) async fn drain(body: Body) {
    let mut body = body;
    let mut left = DRAIN_BYTES_MAX;
    let rest = async {
        while let Some(Ok(frame)) = body.frame().await {
            left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
            if left == 0 {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(DRAIN_TIME, rest).await;
}

/// A JSON body; an empty one is `null`.
pub(super) async fn read_json(body: Body) -> Result<Value, StatusCode> {
    let bytes = read(body, |_| ()).await?;
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&bytes).map_err(|_| StatusCode::BAD_REQUEST)
}

/// A file, or the part of it that `Range` asks for: `bytes=from-`, `bytes=from-to`,
/// `bytes=-last`.
pub(super) fn ranged(content: &Bytes, range: Option<&str>) -> Response {
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    let accepts = (header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    let bytes = content.len();
    let Some((from, to)) = range.and_then(|range| range.strip_prefix("bytes=")?.split_once('-'))
    else {
        return ([kind, accepts], content.clone()).into_response();
    };
    let last = bytes.saturating_sub(1);
    let bounds = match (from.parse::<usize>(), to.parse::<usize>()) {
        (Ok(from), Ok(to)) => Some((from, to)),
        (Ok(from), Err(_)) if to.is_empty() => Some((from, last)),
        (Err(_), Ok(tail)) if from.is_empty() => Some((bytes.saturating_sub(tail), last)),
        _ => None,
    };
    match bounds {
        Some((from, to)) if from <= to && from < bytes => {
            let to = to.min(bytes - 1);
            let text = format!("bytes {from}-{to}/{bytes}");
            let part = (header::CONTENT_RANGE, value(&text));
            let content = content.slice(from..=to);
            (StatusCode::PARTIAL_CONTENT, [kind, accepts, part], content).into_response()
        }
        _ => {
            let part = [(header::CONTENT_RANGE, value(&format!("bytes */{bytes}")))];
            (StatusCode::RANGE_NOT_SATISFIABLE, part).into_response()
        }
    }
}

/// Of text that we made, and that has what a header may have.
pub(super) fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static("?"))
}

pub(super) fn header<'a>(request: &'a Request, name: &HeaderName) -> Option<&'a str> {
    request.headers().get(name)?.to_str().ok()
}

const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const BUFFER_BYTES_MAX: usize = 64 * 1024;
/// What a form has beside the file in it.
const FORM_BYTES_MAX: usize = 64 * 1024;
const DRAIN_BYTES_MAX: usize = 4 * 1024 * 1024;
const DRAIN_TIME: Duration = Duration::from_secs(1);
