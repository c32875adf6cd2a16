//! Whole files to and from a hub, in pieces, however long they take.

use super::{Client, accept, gone, read, understand};
use crate::error::{Error, Exit};
use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::{Method, Response};
use serde::de::DeserializeOwned;
use std::io;
use std::path::Path;
use std::time::Duration;
use tokio::fs::File;
use tokio::io::AsyncReadExt;
use tokio::task::JoinSet;

/// What comes.
#[derive(Debug)]
pub(crate) struct Download {
    body: Incoming,
    /// Where the hub says it; a peer's does not.
    pub bytes: Option<u64>,
    _tasks: JoinSet<()>,
}

impl Download {
    fn new(body: Incoming, bytes: Option<u64>, tasks: JoinSet<()>) -> Self {
        Self { body, bytes, _tasks: tasks }
    }

    /// The next piece; `None` at the end. Cancel safe.
    ///
    /// # Errors
    /// When it broke off.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let Some(frame) = self.body.frame().await else { return Ok(None) };
            let broke = |error| Error::failed(format!("the hub's answer broke off: {error}"));
            if let Ok(bytes) = frame.map_err(broke)?.into_data() {
                return Ok(Some(bytes));
            }
        }
    }
}

impl Client {
    pub(crate) async fn patch<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl serde::Serialize,
    ) -> Result<T, Error> {
        understand(&self.call(Method::PATCH, path, Some(super::json(body))).await?)
    }

    /// What a path gives, in pieces.
    pub(crate) async fn download(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> Result<Download, Error> {
        let mut tasks = JoinSet::new();
        let answer = self.request(&mut tasks, method, path, body).await?;
        let length = answer.headers().get(hyper::header::CONTENT_LENGTH);
        let bytes = length.and_then(|length| length.to_str().ok()?.parse().ok());
        Ok(Download::new(accept(answer).await?, bytes, tasks))
    }

    /// Sends a file. `told` hears how many bytes of it have left.
    pub(crate) async fn upload<T: DeserializeOwned>(
        &self,
        path: &str,
        file: &Path,
        told: impl Fn(u64) + Send + Sync + 'static,
    ) -> Result<T, Error> {
        let open = File::open(file).await.map_err(|error| crate::jobs::unreadable(file, error))?;
        let pieces = stream::unfold((open, 0, told), async |(mut open, sent, told)| {
            let mut piece = vec![0; PIECE_BYTES];
            match open.read(&mut piece).await {
                Ok(0) => None,
                Ok(count) => {
                    piece.truncate(count);
                    let sent = sent + count as u64;
                    told(sent);
                    Some((Ok(Frame::data(Bytes::from(piece))), (open, sent, told)))
                }
                Err(error) => Some((Err(error), (open, sent, told))),
            }
        });
        let body = BodyExt::boxed_unsync(StreamBody::new(pieces));
        let mut tasks = JoinSet::new();
        let answer = self.send(&mut tasks, Method::PUT, path, body, UPLOAD_TIMEOUT).await?;
        understand(&read(accept(answer).await?).await?)
    }

    pub(super) async fn request(
        &self,
        tasks: &mut JoinSet<()>,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> Result<Response<Incoming>, Error> {
        let body = Full::new(Bytes::from(body.unwrap_or_default()));
        let body = body.map_err(|never| match never {}).boxed_unsync();
        self.send(tasks, method, path, body, super::ANSWER_TIMEOUT).await
    }

    async fn send(
        &self,
        tasks: &mut JoinSet<()>,
        method: Method,
        path: &str,
        body: Outgoing,
        patience: Duration,
    ) -> Result<Response<Incoming>, Error> {
        let mut sender = self.connect(tasks).await?;
        let request = self.asking(method, path, body);
        let answer = tokio::time::timeout(patience, sender.send_request(request)).await;
        let silent = || {
            let seconds = patience.as_secs();
            Error::new(Exit::TimedOut, format!("no answer from the hub in {seconds} s"))
        };
        answer.map_err(|_| silent())?.map_err(gone)
    }
}

pub(super) type Outgoing = http_body_util::combinators::UnsyncBoxBody<Bytes, io::Error>;

const PIECE_BYTES: usize = 64 << 10;
/// The largest file, 4 GiB, at the pace of a bad line.
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(6 * 3600);
