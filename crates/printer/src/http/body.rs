//! What a request carries: nothing, a few bytes, or a file between a few bytes.

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt, Empty, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Frame;
use std::io;
use tokio::io::AsyncReadExt;
use tokio::sync::watch;

pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;

pub(super) fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

pub(super) fn full(content: String) -> Body {
    Full::new(Bytes::from(content)).map_err(|never| match never {}).boxed_unsync()
}

/// `bytes` of the file, no more and no less, and how many of them have been handed over.
pub(super) fn file(
    file: tokio::fs::File,
    bytes: u64,
    (before, after): (Vec<u8>, Vec<u8>),
    progress: watch::Sender<u64>,
) -> Body {
    let steps = stream::try_unfold(Step::Before(file, before, after), move |step| {
        next(step, bytes, progress.clone())
    });
    StreamBody::new(steps).boxed_unsync()
}

enum Step {
    Before(tokio::fs::File, Vec<u8>, Vec<u8>),
    File(tokio::fs::File, u64, Vec<u8>),
    Done,
}

async fn next(
    step: Step,
    bytes: u64,
    progress: watch::Sender<u64>,
) -> io::Result<Option<(Frame<Bytes>, Step)>> {
    let (mut file, sent, after) = match step {
        Step::Before(file, before, after) if !before.is_empty() => {
            return Ok(Some((Frame::data(before.into()), Step::File(file, 0, after))));
        }
        Step::Before(file, _, after) => (file, 0, after),
        Step::File(file, sent, after) => (file, sent, after),
        Step::Done => return Ok(None),
    };
    let left = bytes - sent;
    if left == 0 {
        return Ok((!after.is_empty()).then(|| (Frame::data(after.into()), Step::Done)));
    }
    let mut chunk = vec![0; usize::try_from(left).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES)];
    let read = file.read(&mut chunk).await?;
    if read == 0 {
        return Err(io::Error::other("the file has become shorter"));
    }
    chunk.truncate(read);
    let sent = sent + read as u64;
    progress.send_replace(sent);
    Ok(Some((Frame::data(chunk.into()), Step::File(file, sent, after))))
}

/// PrusaLink takes 25 KB/s at times: small enough that progress moves every second.
const CHUNK_BYTES: usize = 16 << 10;
