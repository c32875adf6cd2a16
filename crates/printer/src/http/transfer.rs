//! Files over HTTP: each is streamed, its progress told, and its size compared.

use super::body::{self, Body};
use super::{Answer, Ask, Http};
use crate::{Error, Reason};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header;
use hyper::{HeaderMap, Response};
use std::future::Future;
use std::io::SeekFrom;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::fs::{File, OpenOptions};
use tokio::io::{AsyncSeekExt, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::timeout;

/// A download.
pub(crate) struct Fetch<'a> {
    /// Where it is asked for, percent-encoded.
    pub(crate) path: &'a str,
    pub(crate) into: &'a Path,
    /// What is there already.
    pub(crate) from: u64,
    /// How many it will be, where the printer has said that elsewhere.
    pub(crate) bytes: Option<u64>,
    pub(crate) progress: &'a watch::Sender<u64>,
}

/// An upload.
pub(crate) struct Send<'a> {
    pub(crate) file: &'a Path,
    pub(crate) bytes: u64,
    /// What stands before and behind the file.
    pub(crate) around: (Vec<u8>, Vec<u8>),
    pub(crate) progress: &'a watch::Sender<u64>,
}

impl Http {
    /// Gives the size of the whole. Cancel safe: what was written stays.
    pub(crate) async fn fetch(&mut self, fetch: &Fetch<'_>) -> Result<u64, Error> {
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(fetch.into)
            .await
            .map_err(local)?;
        let there = file.metadata().await.map_err(local)?.len();
        let mut from = fetch.from.min(there);
        if from > 0 && fetch.bytes == Some(from) {
            set_length(&mut file, from).await?;
            fetch.progress.send_replace(from);
            return Ok(from);
        }
        if fetch.bytes.is_some_and(|bytes| from > bytes) {
            from = 0;
        }
        let mut ask = Ask::get(fetch.path);
        if from > 0 {
            ask = ask.header("range", format!("bytes={from}-"));
        }
        let mut response = self.send(&ask, None).await?;
        if response.status().as_u16() == 416 {
            // What we have is not of this file.
            self.open = None;
            from = 0;
            ask = Ask::get(fetch.path);
            response = self.send(&ask, None).await?;
        }
        let whole = match response.status().as_u16() {
            200 => {
                from = 0;
                length(response.headers())
            }
            206 => match range(response.headers()) {
                Some((start, whole)) if start == from => Some(whole),
                _ => return Err(Error::new(Reason::Garbled, "it sends another part of the file")),
            },
            _ => {
                let answer = self.read(response, ask.bytes_max).await?;
                return Err(self.unexpected(&ask, &answer));
            }
        };
        self.store(response, file, fetch, (from, whole.or(fetch.bytes))).await
    }

    async fn store(
        &mut self,
        response: Response<Incoming>,
        mut file: File,
        fetch: &Fetch<'_>,
        (from, whole): (u64, Option<u64>),
    ) -> Result<u64, Error> {
        let limit = whole.unwrap_or(FILE_BYTES_MAX).min(FILE_BYTES_MAX);
        set_length(&mut file, from).await?;
        fetch.progress.send_replace(from);
        let mut there = from;
        let mut incoming = response.into_body();
        loop {
            let Ok(frame) = timeout(STALL, incoming.frame()).await else {
                self.open = None;
                let _ = file.flush().await;
                return Err(Error::new(Reason::NoAnswer, "the printer has stopped sending"));
            };
            let Some(frame) = frame else { break };
            let frame = match frame {
                Ok(frame) => frame,
                Err(error) => {
                    let _ = file.flush().await;
                    return Err(self.broken(&error));
                }
            };
            let Ok(data) = frame.into_data() else { continue };
            if there + data.len() as u64 > limit {
                self.open = None;
                return Err(wrong_size(whole, "more"));
            }
            file.write_all(&data).await.map_err(local)?;
            there += data.len() as u64;
            fetch.progress.send_replace(there);
        }
        file.flush().await.map_err(local)?;
        match whole.or(fetch.bytes) {
            Some(whole) if there < whole => Err(wrong_size(Some(whole), "less")),
            _ if fetch.bytes.is_some_and(|bytes| bytes != there) => {
                Err(wrong_size(fetch.bytes, "something else"))
            }
            _ => Ok(there),
        }
    }

    /// Sends a file with a request and gives the answer.
    pub(crate) async fn upload(&mut self, ask: &Ask, send: &Send<'_>) -> Result<Answer, Error> {
        if !self.login.is_fresh(Instant::now()) {
            // Asked for nothing but a nonce, lest the file be sent for the bin.
            self.login_again().await?;
        }
        let response = self.send(ask, Some(send)).await?;
        let answer = self.read(response, ask.bytes_max).await;
        // A refusal may come while the rest of the file is still under way.
        if !answer.as_ref().is_ok_and(Answer::is_ok) {
            self.open = None;
        }
        answer
    }

    async fn login_again(&mut self) -> Result<(), Error> {
        self.ask(&Ask::get("/api/version")).await.map(drop)
    }
}

impl Send<'_> {
    pub(super) fn length(&self) -> u64 {
        self.bytes + (self.around.0.len() + self.around.1.len()) as u64
    }

    pub(super) async fn body(&self) -> Result<Body, Error> {
        let file = File::open(self.file).await.map_err(local)?;
        let there = file.metadata().await.map_err(local)?.len();
        if there != self.bytes {
            let message = format!("the file has {there} bytes and should have {}", self.bytes);
            return Err(Error::new(Reason::Local, message));
        }
        self.progress.send_replace(0);
        Ok(body::file(file, self.bytes, self.around.clone(), self.progress.clone()))
    }

    /// Waits for the answer for as long as the file moves.
    pub(super) async fn watch_over<T>(
        &self,
        answer: impl Future<Output = T>,
    ) -> Result<T, Option<Error>> {
        let mut moves = self.progress.subscribe();
        let mut answer = std::pin::pin!(answer);
        loop {
            moves.mark_unchanged();
            tokio::select! {
                answer = &mut answer => return Ok(answer),
                moved = timeout(STALL, moves.changed()) => if moved.is_err() {
                    let message = "the printer has stopped receiving";
                    return Err(Some(Error::new(Reason::NoAnswer, message)));
                },
            }
        }
    }
}

async fn set_length(file: &mut File, length: u64) -> Result<(), Error> {
    file.set_len(length).await.map_err(local)?;
    file.seek(SeekFrom::Start(length)).await.map_err(local).map(drop)
}

fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// `bytes 100-199/200`: where it begins, and how long the whole is.
fn range(headers: &HeaderMap) -> Option<(u64, u64)> {
    let text = headers.get(header::CONTENT_RANGE)?.to_str().ok()?.strip_prefix("bytes ")?;
    let (part, whole) = text.split_once('/')?;
    Some((part.split_once('-')?.0.parse().ok()?, whole.parse().ok()?))
}

#[expect(clippy::needless_pass_by_value, reason = "fits map_err")]
fn local(error: std::io::Error) -> Error {
    Error::new(Reason::Local, format!("our own copy of the file: {error}"))
}

fn wrong_size(whole: Option<u64>, what: &str) -> Error {
    let message = match whole {
        Some(whole) => format!("the file should have {whole} bytes, and {what} arrived"),
        None => "the file has no end".to_owned(),
    };
    Error::new(Reason::Corrupt, message)
}

/// An SD card that is being tidied up keeps quiet for half a minute.
const STALL: Duration = Duration::from_secs(60);
/// Longer prints exist on no printer: FAT's limit, which most have.
const FILE_BYTES_MAX: u64 = 4 << 30;
