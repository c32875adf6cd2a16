//! The channel that carries a file or a list.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::HandshakeKind;
use tokio_rustls::server::TlsStream;

use crate::printer::bambu::DataChannel;
use crate::printer::engine::FILES_BYTES_MAX;

pub(super) enum Channel {
    Clear(TcpStream),
    Protected(Box<TlsStream<TcpStream>>),
}

#[derive(Debug)]
pub(super) enum Failed {
    /// Nobody came, or somebody else.
    Nobody,
    /// The TLS session of the control channel was not continued.
    OtherSession,
    Tls,
}

pub(super) async fn listen(ip: IpAddr) -> io::Result<(TcpListener, u16)> {
    let listener = TcpListener::bind(SocketAddr::new(ip, 0)).await?;
    let port = listener.local_addr()?.port();
    Ok((listener, port))
}

/// Waits for the client. `tls` is for protected channels.
pub(super) async fn accept(
    listener: TcpListener,
    peer: IpAddr,
    tls: Option<&TlsAcceptor>,
    kind: DataChannel,
) -> Result<Channel, Failed> {
    let accepted = timeout(ACCEPT_LIMIT, listener.accept()).await;
    let Ok(Ok((tcp, from))) = accepted else { return Err(Failed::Nobody) };
    if from.ip() != peer {
        return Err(Failed::Nobody);
    }
    let Some(tls) = tls else { return Ok(Channel::Clear(tcp)) };
    if kind == DataChannel::HangsProtected {
        std::future::pending::<()>().await;
    }
    let Ok(Ok(stream)) = timeout(ACCEPT_LIMIT, tls.accept(tcp)).await else {
        return Err(Failed::Tls);
    };
    let resumed = stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed);
    if kind == DataChannel::SameSession && !resumed {
        return Err(Failed::OtherSession);
    }
    Ok(Channel::Protected(Box::new(stream)))
}

impl Channel {
    pub(super) async fn send(self, content: &[u8]) -> io::Result<()> {
        match self {
            Self::Clear(stream) => send(stream, content).await,
            Self::Protected(stream) => send(*stream, content).await,
        }
    }

    /// Everything up to the end into `into`, as much as comes. An end without the farewell of TLS
    /// is one: that is how clients of printers do it.
    pub(super) async fn receive(self, into: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Self::Clear(stream) => receive(stream, into).await,
            Self::Protected(stream) => receive(*stream, into).await,
        }
    }
}

async fn send(mut stream: impl AsyncWrite + Unpin, content: &[u8]) -> io::Result<()> {
    for chunk in content.chunks(CHUNK_BYTES) {
        let written = timeout(STALL_LIMIT, stream.write_all(chunk)).await;
        written.map_err(io::Error::other)??;
    }
    stream.flush().await?;
    stream.shutdown().await
}

async fn receive(mut stream: impl AsyncRead + Unpin, into: &mut Vec<u8>) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match timeout(STALL_LIMIT, stream.read(&mut chunk)).await.map_err(io::Error::other)? {
            Ok(0) => return Ok(()),
            Ok(bytes) => into.extend_from_slice(&chunk[..bytes]),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        }
        if into.len() > FILES_BYTES_MAX {
            return Err(io::ErrorKind::StorageFull.into());
        }
    }
}

const CHUNK_BYTES: usize = 64 * 1024;
const ACCEPT_LIMIT: Duration = Duration::from_secs(30);
const STALL_LIMIT: Duration = Duration::from_secs(60);
