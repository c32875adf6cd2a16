//! The three doors: loopback TCP for browsers, a Unix socket for the command line, streams of
//! peers.

use crate::{Asking, guard, router};
use axum::{Extension, Router, middleware};
use hub::{Caller, Hub};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Connections at each door; more wait.
const CONNECTIONS_MAX: usize = 128;
/// For the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(20);
/// Before trying again when the system has no more file descriptors.
const ACCEPT_AGAIN: Duration = Duration::from_millis(200);

/// A served hub. Dropping it closes the doors.
#[derive(Debug)]
pub struct Web {
    /// Where the web UI is.
    pub address: SocketAddr,
    socket: PathBuf,
    _doors: JoinSet<()>,
}

/// Opens the doors: `listen` must be a loopback address, `socket` is a file
/// that whoever may enter its folder can use.
///
/// # Errors
/// When an address is not loopback or taken, or the file cannot be made.
pub async fn serve(hub: Hub, listen: SocketAddr, socket: &Path) -> io::Result<Web> {
    if !listen.ip().is_loopback() {
        let message = "the web UI has no login yet, so it listens on loopback only \
                       (127.0.0.1 or [::1])";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    let tcp = TcpListener::bind(listen).await?;
    let address = tcp.local_addr()?;
    let unix = bind_unix(socket)?;
    let local = router(hub.clone()).layer(Extension(Asking(Caller::Local)));
    let guarded = local.clone().layer(middleware::from_fn(guard::guard));
    let mut doors = JoinSet::new();
    doors.spawn(door(move |cx| tcp.poll_accept(cx).map_ok(|(stream, _)| stream), guarded));
    doors.spawn(door(move |cx| unix.poll_accept(cx).map_ok(|(stream, _)| stream), local));
    if let Some(mut streams) = hub.http_streams() {
        let peers = router(hub);
        doors.spawn(async move {
            let mut served = JoinSet::new();
            while let Some((peer, duplex)) = streams.recv().await {
                while served.try_join_next().is_some() {}
                let router = peers.clone().layer(Extension(Asking(Caller::Peer(peer))));
                let io = tokio::io::join(duplex.reader, duplex.writer);
                served.spawn(connection(io, router));
            }
        });
    }
    Ok(Web { address, socket: socket.to_owned(), _doors: doors })
}

impl Drop for Web {
    fn drop(&mut self) {
        // nothing to be done about a file that somebody removed before us
        let _ = std::fs::remove_file(&self.socket);
    }
}

/// Who may reach the socket is decided by its folder: the user's alone, or with the service the
/// group's too.
fn bind_unix(socket: &Path) -> io::Result<UnixListener> {
    if std::os::unix::net::UnixStream::connect(socket).is_ok() {
        let message = format!("another hub answers at {}", socket.display());
        return Err(io::Error::new(io::ErrorKind::AddrInUse, message));
    }
    match std::fs::remove_file(socket) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(socket)?;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o660);
    std::fs::set_permissions(socket, mode)?;
    Ok(listener)
}

async fn door<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    mut accept: impl FnMut(&mut Context<'_>) -> Poll<io::Result<S>>,
    router: Router,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut served = JoinSet::new();
    loop {
        let place = places.clone().acquire_owned().await.expect("nobody closes it");
        while served.try_join_next().is_some() {}
        match poll_fn(&mut accept).await {
            Ok(stream) => {
                let router = router.clone();
                served.spawn(async move {
                    connection(stream, router).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!("cannot accept a connection: {error}");
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
    }
}

async fn connection(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, router: Router) {
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    if let Err(error) = served.await {
        tracing::debug!("an HTTP connection ended: {error}");
    }
}
