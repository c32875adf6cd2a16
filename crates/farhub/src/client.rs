//! The hub's API as the commands use it: HTTP/1.1 on the hub's own socket.
//!
//! A socket in a folder that only its owner may enter needs no password, and other users and
//! browsers cannot reach it. With `--hub NAME` our hub hands each request to that peer.

mod streams;

use crate::error::{Error, Exit};
use crate::sse::{Event, Sse};
use crate::{cli::Global, data};
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hub::view::{Failure, State};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::task::JoinSet;
use wire::Name;

/// Knows how to ask a hub.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    folder: PathBuf,
    /// Before each path: whose API it is.
    prefix: String,
    /// Whether that is a peer, who shows what it lets us see.
    pub remote: bool,
}

impl Client {
    pub(crate) fn new(global: &Global) -> Self {
        let prefix = match &global.hub {
            None => "/api/v1".to_owned(),
            Some(peer) => format!("/api/v1/hubs/{peer}/api/v1"),
        };
        let folder = data::of_client(global.data.as_deref());
        Self { folder, prefix, remote: global.hub.is_some() }
    }

    /// The same of a peer.
    ///
    /// # Errors
    /// When it is a peer already that is asked: no hub acts for another one.
    pub(crate) fn at(&self, peer: &Name) -> Result<Self, Error> {
        if self.remote {
            let message = format!("a peer does not ask {peer} for us");
            return Err(Error::new(Exit::Usage, message).hint("leave --hub away"));
        }
        let prefix = format!("/api/v1/hubs/{peer}/api/v1");
        Ok(Self { folder: self.folder.clone(), prefix, remote: true })
    }

    /// Whether both ask the same hub.
    pub(crate) fn asks_as(&self, other: &Self) -> bool {
        self.prefix == other.prefix
    }

    pub(crate) async fn state(&self) -> Result<State, Error> {
        self.get("/state").await
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        understand(&self.call(Method::GET, path, None).await?)
    }

    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Error> {
        understand(&self.call(Method::POST, path, Some(json(body))).await?)
    }

    /// Where nothing comes back.
    pub(crate) async fn post_only(&self, path: &str, body: &impl Serialize) -> Result<(), Error> {
        self.call(Method::POST, path, Some(json(body))).await.map(drop)
    }

    pub(crate) async fn put<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Error> {
        understand(&self.call(Method::PUT, path, Some(json(body))).await?)
    }

    /// Removes a part of something, which is the answer.
    pub(crate) async fn delete_of<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        understand(&self.call(Method::DELETE, path, None).await?)
    }

    pub(crate) async fn delete(&self, path: &str) -> Result<(), Error> {
        self.call(Method::DELETE, path, None).await.map(drop)
    }

    /// A piece of a file.
    pub(crate) async fn put_bytes<T: DeserializeOwned>(
        &self,
        path: &str,
        bytes: Vec<u8>,
    ) -> Result<T, Error> {
        understand(&self.call(Method::PUT, path, Some(bytes)).await?)
    }

    /// The state now, and again after each change.
    pub(crate) async fn events(&self) -> Result<Events, Error> {
        self.follow("/events", |event| event.of("state")).await
    }

    /// What a path tells, of the events that `read` knows.
    pub(crate) async fn follow<T>(&self, path: &str, read: Read<T>) -> Result<Events<T>, Error> {
        let mut tasks = JoinSet::new();
        let answer = self.request(&mut tasks, Method::GET, path, None).await?;
        let body = accept(answer).await?;
        Ok(Events { read, body, sse: Sse::default(), ready: Vec::new(), _tasks: tasks })
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> Result<Bytes, Error> {
        let mut tasks = JoinSet::new();
        let answer = self.request(&mut tasks, method, path, body).await?;
        read(accept(answer).await?).await
    }

    async fn connect(
        &self,
        tasks: &mut JoinSet<()>,
    ) -> Result<http1::SendRequest<streams::Outgoing>, Error> {
        let socket = data::socket(&self.folder);
        let stream =
            UnixStream::connect(&socket).await.map_err(|e| self.unreachable(&socket, &e))?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(gone)?;
        // Its errors are the request's, which tells them.
        tasks.spawn(async move { drop(connection.await) });
        Ok(sender)
    }

    fn asking<B>(&self, method: Method, path: &str, body: B) -> Request<B> {
        Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.prefix))
            .header(header::HOST, "localhost")
            .header(header::CONTENT_TYPE, "application/json")
            .body(body)
            .expect("every part of a path is encoded")
    }

    /// Why nobody listens at the socket, and what to do.
    fn unreachable(&self, socket: &Path, error: &io::Error) -> Error {
        let system = self.folder == Path::new(data::SYSTEM);
        match error.kind() {
            io::ErrorKind::PermissionDenied => {
                let error = Error::new(
                    Exit::Refused,
                    format!("you may not speak to the hub at {}", socket.display()),
                );
                error.hint(if system {
                    "sudo farhub ..., or once: sudo usermod -aG farhub $USER, then log in again"
                } else {
                    "run the command as the user who runs the hub"
                })
            }
            _ => {
                let error = Error::new(
                    Exit::NotRunning,
                    format!("the hub is not running (nobody listens at {})", socket.display()),
                );
                error.hint(if system {
                    "sudo systemctl start farhub".to_owned()
                } else if self.folder == data::of_hub(None) {
                    "farhub up".to_owned()
                } else {
                    format!("farhub --data {} up", self.folder.display())
                })
            }
        }
    }
}

/// What an event tells, if it is one to know.
pub(crate) type Read<T> = fn(&Event) -> Option<serde_json::Result<T>>;

/// A hub's state as it changes, or something else of it.
#[derive(Debug)]
pub(crate) struct Events<T = State> {
    read: Read<T>,
    body: Incoming,
    sse: Sse,
    /// Newest first: those that have arrived together.
    ready: Vec<T>,
    _tasks: JoinSet<()>,
}

impl<T> Events<T> {
    /// The next. Cancel safe.
    ///
    /// # Errors
    /// [`Exit::NotRunning`] when the hub has stopped.
    pub(crate) async fn next(&mut self) -> Result<T, Error> {
        loop {
            if let Some(state) = self.ready.pop() {
                return Ok(state);
            }
            let stopped = || Error::new(Exit::NotRunning, "the hub has stopped");
            let frame = self.body.frame().await.ok_or_else(stopped)?.map_err(|_| stopped())?;
            let Some(bytes) = frame.data_ref() else { continue };
            let events = self
                .sse
                .feed(bytes)
                .map_err(|_| Error::failed("the hub's answer is far too long"))?;
            for told in events.iter().rev().filter_map(self.read) {
                self.ready.push(told.map_err(|error| other_version(&error))?);
            }
        }
    }
}

/// A part of a path or a query, with everything encoded that could mean something else there.
/// RFC 3986 §2.3.
pub(crate) fn encode(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

fn json(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).expect("our types are JSON")
}

/// The body of an answer that is a success.
async fn accept(answer: Response<Incoming>) -> Result<Incoming, Error> {
    let status = answer.status();
    if status.is_success() {
        return Ok(answer.into_body());
    }
    let body = read(answer.into_body()).await?;
    Err(match serde_json::from_slice::<Failure>(&body) {
        Ok(failure) => failure.into(),
        Err(_) if status == StatusCode::NOT_FOUND => Error::failed(
            "the hub does not know this request: it is of another version than this farhub",
        )
        .hint(
            "restart the hub: sudo systemctl restart farhub, or end farhub up and start it again",
        ),
        Err(_) => Error::failed(format!("the hub answered {status}")),
    })
}

async fn read(body: Incoming) -> Result<Bytes, Error> {
    let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
    let body = body.map_err(|e| Error::failed(format!("the hub's answer broke off: {e}")))?;
    Ok(body.to_bytes())
}

fn understand<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|error| other_version(&error))
}

fn other_version(error: &serde_json::Error) -> Error {
    Error::failed(format!(
        "the hub's answer is not understood ({error}): it is of another version than this farhub"
    ))
}

fn gone(error: hyper::Error) -> Error {
    Error::failed(format!("the hub ended the conversation: {error}"))
}

/// A hub that pairs or asks a peer gives up before; one that is stuck would never answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// The answer may be a peer's, passed on by our hub.
const ANSWER_BYTES_MAX: usize = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_cannot_leave_its_place_in_the_path() {
        assert_eq!(encode("usb-0403:6001@1-1.2"), "usb-0403%3A6001%401-1.2");
        assert_eq!(encode("../x?y#z é"), "..%2Fx%3Fy%23z%20%C3%A9");
    }
}
