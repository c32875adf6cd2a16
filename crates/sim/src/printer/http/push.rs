//! A WebSocket with the faults of a printer.

use super::{Life, garble};
use crate::printer::Fault;
use crate::printer::shared::Shared;
use axum::extract::ws::{Message, WebSocket};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

#[derive(Debug)]
pub(crate) struct Push {
    socket: WebSocket,
    shared: Arc<Shared>,
    life: Life,
    since: Instant,
}

/// The connection is over.
#[derive(Debug)]
pub(crate) struct Closed;

impl Push {
    pub(crate) fn new(socket: WebSocket, shared: Arc<Shared>, life: Life) -> Self {
        Self { socket, shared, life, since: Instant::now() }
    }

    pub(crate) async fn send(&mut self, value: &Value) -> Result<(), Closed> {
        let text = value.to_string();
        let message = match self.shared.fault() {
            Fault::Silent => return Ok(()),
            Fault::Slow(late) => {
                tokio::time::sleep(late).await;
                Message::text(text)
            }
            Fault::Garbled => {
                let bytes = garble::garble(self.shared.random(), text.as_bytes());
                match String::from_utf8(bytes.to_vec()) {
                    Ok(text) => Message::text(text),
                    Err(_) => Message::binary(bytes),
                }
            }
            Fault::None
            | Fault::Drops
            | Fault::DiskFull
            | Fault::NoStorage
            | Fault::DeveloperModeOff
            | Fault::WrongSecret
            | Fault::TruncatesFiles => Message::text(text),
        };
        tokio::select! {
            sent = self.socket.send(message) => sent.map_err(|_| Closed),
            _ = self.life.changed() => Err(Closed),
        }
    }

    /// The next text that the client sends. Cancel safe.
    pub(crate) async fn receive(&mut self) -> Result<String, Closed> {
        loop {
            let drops = self.shared.fault() == Fault::Drops;
            let mut faults = self.shared.faults();
            let message = tokio::select! {
                message = self.socket.recv() => message,
                _ = self.life.changed() => return Err(Closed),
                () = tokio::time::sleep_until(self.since + DROPS_AFTER), if drops => {
                    return Err(Closed);
                }
                _ = faults.changed() => continue,
            };
            match message {
                Some(Ok(Message::Text(text))) if self.shared.fault() != Fault::Silent => {
                    return Ok(text.as_str().to_owned());
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(Closed),
                Some(Ok(_)) => {}
            }
        }
    }
}

const DROPS_AFTER: Duration = Duration::from_secs(3);
