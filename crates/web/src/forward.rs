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
    // cookies of a browser are those of every program on this computer's loopback
    for name in [header::ORIGIN, header::COOKIE, header::AUTHORIZATION, header::UPGRADE] {
        request.headers_mut().remove(name);
    }
    let duplex = hub.open_http(&name).await?;
    let io = TokioIo::new(tokio::io::join(duplex.reader, duplex.writer));
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(io).await.map_err(|_| bad_gateway(&name))?;
    // ends with the answer's body, which holds the other end
    tokio::spawn(connection);
    let answer = sender.send_request(request).await.map_err(|_| bad_gateway(&name))?;
    let answer = harmless(answer).ok_or_else(|| bad_gateway(&name))?;
    Ok(answer.map(Body::new))
}

/// What another hub says comes from our own origin for a browser: it may not become a page with
/// scripts, a cookie, or a redirection, which would send our own pages' requests to us.
fn harmless<B>(mut answer: Response<B>) -> Option<Response<B>> {
    let status = answer.status();
    if status.is_redirection() || status.is_informational() {
        return None;
    }
    let kind = answer.headers_mut().remove(header::CONTENT_TYPE);
    let data = |kind: &HeaderValue| {
        let kind = kind.to_str().unwrap_or_default();
        ["application/json", "text/event-stream"].contains(&kind)
    };
    let text = || HeaderValue::from_static("text/plain; charset=utf-8");
    let headers = answer.headers_mut();
    headers.clear();
    headers.insert(header::CONTENT_TYPE, kind.filter(data).unwrap_or_else(text));
    Some(answer)
}

fn bad_gateway(name: &str) -> Failed {
    Failed(Failure::new(FailureCode::Unreachable, format!("{name} broke off its answer")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_hub_says_is_data() {
        let answer = |status: u16, name: &str, value: &str| {
            let answer = Response::builder().status(status).header(name, value);
            harmless(answer.body(()).unwrap()).map(|answer| answer.headers().clone())
        };
        assert_eq!(answer(307, "location", "/api/v1/devices/x/share"), None);
        let headers = answer(200, "content-type", "text/html").unwrap();
        assert_eq!(headers[header::CONTENT_TYPE], "text/plain; charset=utf-8");
        let headers = answer(200, "content-type", "application/json").unwrap();
        assert_eq!(headers[header::CONTENT_TYPE], "application/json");
        assert_eq!(answer(200, "set-cookie", "a=b").unwrap().get(header::SET_COOKIE), None);
    }
}
