//! Requests for another hub's API, sent on to it: so that one web UI, and one command line, drive
//! every hub.
//!
//! Only people at this computer may: the other hub sees *our* key, and another peer must not act
//! in our name.

use crate::Asking;
use crate::answer::Failed;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use hub::view::FailureCode;
use hub::{Caller, Failure, Hub};
use hyper_util::rt::TokioIo;

pub(crate) async fn forward(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Path((name, path)): Path<(String, String)>,
    mut request: Request,
) -> Result<Response, Failed> {
    if caller != Caller::Local {
        let message = "a hub does not act for another one";
        return Err(Failed(Failure::new(FailureCode::Refused, message)));
    }
    let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
    let uri = format!("/{path}{query}").parse();
    *request.uri_mut() = uri.map_err(|_| bad_gateway(&name))?;
    request.headers_mut().insert(header::HOST, HeaderValue::from_static("hub"));
    request.headers_mut().remove(header::ORIGIN);
    let duplex = hub.open_http(&name).await?;
    let io = TokioIo::new(tokio::io::join(duplex.reader, duplex.writer));
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(io).await.map_err(|_| bad_gateway(&name))?;
    // ends with the answer's body, which holds the other end
    tokio::spawn(connection);
    let answer = sender.send_request(request).await.map_err(|_| bad_gateway(&name))?;
    Ok(answer.map(Body::new))
}

fn bad_gateway(name: &str) -> Failed {
    Failed(Failure::new(FailureCode::Unreachable, format!("{name} broke off its answer")))
}
