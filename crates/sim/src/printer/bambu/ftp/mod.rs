//! The printer's file server: FTP in TLS from the first byte (implicit, RFC 4217 calls it
//! deprecated; printers do not mind), one user, the card in memory.

mod data;
mod listing;
mod session;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;

use super::Bambu;
use super::door::Door;
use crate::printer::Fault;

#[derive(Clone)]
pub(super) struct Server {
    pub door: Door,
    pub bambu: Arc<Bambu>,
}

/// The connection for commands: lines in, replies out.
struct Control {
    stream: TlsStream<TcpStream>,
    buffer: BytesMut,
}

impl Server {
    pub(super) async fn run(self, tcp: TcpStream) {
        let Ok(peer) = tcp.peer_addr() else { return };
        let tls = self.door.tls.control.clone();
        let Some(stream) = self.door.enter(tcp, &tls).await else { return };
        let control = Control { stream, buffer: BytesMut::new() };
        if let Err(error) = session::Session::new(self, control, peer.ip()).run().await {
            tracing::debug!(%error, "a connection for files is gone");
        }
    }
}

impl Control {
    /// `None` at the end. Cancel safe.
    async fn line(&mut self) -> io::Result<Option<String>> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line = String::from_utf8_lossy(&self.buffer[..end]).trim_end().to_owned();
                self.buffer.advance(end + 1);
                return Ok(Some(line));
            }
            if self.buffer.len() > LINE_BYTES_MAX {
                return Err(io::ErrorKind::InvalidData.into());
            }
            if !self.more().await? {
                return Ok(None);
            }
        }
    }

    async fn more(&mut self) -> io::Result<bool> {
        match timeout(IDLE_LIMIT, self.stream.read_buf(&mut self.buffer)).await {
            Ok(Ok(bytes)) => Ok(bytes > 0),
            // Clients that just go.
            Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Ok(Err(error)) => Err(error),
            Err(late) => Err(io::Error::other(late)),
        }
    }

    /// Returns when the client is gone, whatever it says until then. Cancel safe.
    async fn gone(&mut self) {
        while self.buffer.len() <= LINE_BYTES_MAX && self.more().await.unwrap_or(false) {}
    }

    /// One reply, as the fault has it. False: the connection is to be closed.
    async fn reply(&mut self, door: &Door, text: &str) -> io::Result<bool> {
        door.be_slow().await;
        let fault = door.fault();
        match fault {
            Fault::Silent => return Ok(true),
            Fault::Garbled => self.stream.write_all(GARBAGE).await?,
            Fault::None
            | Fault::Slow(_)
            | Fault::Drops
            | Fault::DiskFull
            | Fault::NoStorage
            | Fault::DeveloperModeOff
            | Fault::WrongSecret
            | Fault::TruncatesFiles => {
                self.stream.write_all(text.as_bytes()).await?;
                self.stream.write_all(b"\r\n").await?;
            }
        }
        self.stream.flush().await?;
        Ok(fault != Fault::Drops)
    }
}

/// Paths are at most 16 names long.
const LINE_BYTES_MAX: usize = 8 * 1024;
const IDLE_LIMIT: Duration = Duration::from_secs(300);
/// No code, bytes that are no text, a size that no file has.
const GARBAGE: &[u8] = b"\xFF\xFE2\0 213 99999999999999999999999999\r\n";
