//! A WebSocket to a printer: texts of JSON, bounded, watched for silence.

use crate::dial::{Dial, Stream};
use crate::{Error, Reason};
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::error::Error as WsError;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Bytes, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

pub(crate) struct Socket {
    stream: WebSocketStream<Stream>,
    place: String,
    /// When something was heard last.
    heard: Instant,
    pinged: bool,
    garbled: u32,
}

impl Socket {
    /// Where the printer has none, the answer's status is in the second error.
    pub(crate) async fn open(
        dial: &Dial,
        authority: &str,
        path: &str,
        key: Option<HeaderValue>,
    ) -> Result<Self, (Error, Option<u16>)> {
        let place = dial.place();
        let stream = dial.dial().await.map_err(|error| (error, None))?;
        let unfit = |_| (Error::new(Reason::NoSuchHost, format!("{place} is no address")), None);
        // TLS, where there is any, is done already.
        let mut request = format!("ws://{authority}{path}").into_client_request().map_err(unfit)?;
        if let Some(key) = key {
            request.headers_mut().insert("x-api-key", key);
        }
        let mut config = WebSocketConfig::default();
        config.read_buffer_size = BUFFER_BYTES;
        config.write_buffer_size = 0;
        config.max_write_buffer_size = 2 * MESSAGE_BYTES_MAX;
        config.max_message_size = Some(MESSAGE_BYTES_MAX);
        config.max_frame_size = Some(MESSAGE_BYTES_MAX);
        let opening = client_async_with_config(request, stream, Some(config));
        let opened = timeout(ANSWER_TIMEOUT, opening).await.map_err(|_| {
            (Error::new(Reason::NoAnswer, format!("{place} has not answered within 10 s")), None)
        })?;
        let (stream, _) = opened.map_err(|error| opening_failed(&place, &error))?;
        Ok(Self { stream, place, heard: Instant::now(), pinged: false, garbled: 0 })
    }

    pub(crate) async fn send(&mut self, message: String) -> Result<(), Error> {
        let sent = timeout(ANSWER_TIMEOUT, self.stream.send(Message::text(message))).await;
        match sent {
            Ok(sent) => sent.map_err(|error| self.lost(&error)),
            Err(_) => Err(self.silent()),
        }
    }

    /// The next message. What is no JSON is counted and skipped. Cancel safe.
    pub(crate) async fn next(&mut self) -> Result<Value, Error> {
        loop {
            let limit = self.heard + if self.pinged { IDLE_TIMEOUT } else { PING_AFTER };
            let message = match timeout_at(limit, self.stream.next()).await {
                Ok(Some(Ok(message))) => message,
                Ok(Some(Err(error))) => return Err(self.lost(&error)),
                Ok(None) => return Err(self.lost(&WsError::ConnectionClosed)),
                Err(_) if self.pinged => return Err(self.silent()),
                Err(_) => {
                    self.pinged = true;
                    let ping = self.stream.send(Message::Ping(Bytes::new()));
                    // Not to wait for longer than for the pong.
                    if let Ok(Err(error)) = timeout(ANSWER_TIMEOUT, ping).await {
                        return Err(self.lost(&error));
                    }
                    continue;
                }
            };
            self.heard = Instant::now();
            self.pinged = false;
            match message {
                Message::Text(text) => match serde_json::from_str(text.as_str()) {
                    Ok(value) => {
                        self.garbled = 0;
                        return Ok(value);
                    }
                    Err(error) => self.skip(&error.to_string())?,
                },
                Message::Binary(_) => self.skip("binary")?,
                Message::Close(_) => return Err(self.lost(&WsError::ConnectionClosed)),
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }

    fn skip(&mut self, why: &str) -> Result<(), Error> {
        self.garbled += 1;
        tracing::debug!(place = %self.place, why, "a message that cannot be read");
        if self.garbled >= GARBLED_MAX {
            let message = format!("{} says nothing that can be understood", self.place);
            return Err(Error::new(Reason::Garbled, message));
        }
        Ok(())
    }

    fn silent(&self) -> Error {
        Error::new(Reason::NoAnswer, format!("{} has said nothing for 30 s", self.place))
    }

    fn lost(&self, error: &WsError) -> Error {
        let place = &self.place;
        match error {
            WsError::Capacity(_) => {
                Error::new(Reason::Garbled, format!("{place} sends more than 1 MiB at once"))
            }
            error => {
                Error::new(Reason::Lost, format!("the connection to {place} was lost: {error}"))
            }
        }
    }
}

fn opening_failed(place: &str, error: &WsError) -> (Error, Option<u16>) {
    match error {
        WsError::Http(answer) => {
            let status = answer.status().as_u16();
            let message = format!("{place} answers {status} to a WebSocket");
            (Error::new(Reason::NotAPrinter, message), Some(status))
        }
        WsError::Io(error) => {
            (Error::new(Reason::Lost, format!("the connection to {place} was lost: {error}")), None)
        }
        error => {
            let message = format!("{place} does not speak WebSocket: {error}");
            (Error::new(Reason::NotAPrinter, message), None)
        }
    }
}

/// Sleeps for ever where there is nothing to wait for.
pub(crate) async fn at(when: Option<Instant>) {
    match when {
        Some(when) => sleep_until(when).await,
        None => std::future::pending().await,
    }
}

use crate::http::ANSWER_TIMEOUT;
/// Nothing was heard for that long: is it still there?
const PING_AFTER: Duration = Duration::from_secs(15);
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// Five hundred are there at once, and messages have some hundred bytes.
const BUFFER_BYTES: usize = 8 << 10;
/// In a row.
const GARBLED_MAX: u32 = 100;
