//! What speaks plain HTTP to a port that speaks TLS: it is told so, and nothing else.
//!
//! People type an address without `https://`, and some browsers then try without TLS.

use crate::front::Open;
use crate::guard::{host_of, name_of};
use axum::body::Body;
use axum::http::{Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;

/// For the whole conversation, which is one request long.
const TIMEOUT: Duration = Duration::from_secs(10);
const SPEAK_TLS: &str = "This port speaks TLS: its address begins with https://\n";

pub(crate) async fn answer(stream: TcpStream, front: Arc<Open>, at: SocketAddr) {
    let answer = service_fn(move |request: Request<Incoming>| {
        let answer = there(&front, at, &request).unwrap_or_else(|| {
            let mut answer = Response::new(Body::from(SPEAK_TLS));
            *answer.status_mut() = StatusCode::BAD_REQUEST;
            answer
        });
        async { Ok::<_, Infallible>(answer) }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), answer);
    // whoever does not read it does without
    let _ = tokio::time::timeout(TIMEOUT, served).await;
}

/// To the same page with TLS, for a browser that called us by a name that is ours.
fn there(front: &Open, at: SocketAddr, request: &Request<Incoming>) -> Option<Response<Body>> {
    let host = host_of(request.headers()).filter(|host| front.is_called(name_of(host), at.ip()))?;
    let path = request.uri().path_and_query()?;
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let there = reads.then(|| format!("https://{host}{path}"))?;
    let answer = Response::builder().status(StatusCode::TEMPORARY_REDIRECT);
    answer.header(header::LOCATION, there).body(Body::empty()).ok()
}
