//! The three doors: TCP for browsers, a Unix socket for the command line, streams of peers.

use crate::crowd::Crowd;
use crate::front::{Error, Front, Open};
use crate::guard::Visit;
use crate::{Asking, Door, guard, login, plain, router};
use axum::{Extension, Router, middleware};
use hub::{Caller, Hub, view};
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
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Connections at each door; more wait.
const CONNECTIONS_MAX: usize = 128;
/// For the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(20);
/// For the handshake, and for the byte that says whether it is one.
const TLS_TIMEOUT: Duration = Duration::from_secs(10);
/// Before trying again when the system has no more file descriptors.
const ACCEPT_AGAIN: Duration = Duration::from_millis(200);

/// A served hub. Dropping it closes the doors.
#[derive(Debug)]
pub struct Web {
    /// Where it listens.
    pub address: SocketAddr,
    /// Where the web UI is, for people.
    pub url: String,
    /// The certificate, if there is one.
    pub tls: Option<view::WebTls>,
    socket: PathBuf,
    _doors: JoinSet<()>,
}

/// Opens the doors. Beyond loopback a login is asked for, under TLS; `socket` is a file that
/// whoever may enter its folder can use.
///
/// # Errors
/// When a login is asked for and there is no password, the certificate cannot be used, the
/// address is taken, or the file cannot be made.
pub async fn serve(hub: Hub, front: impl Into<Front>, socket: &Path) -> Result<Web, Error> {
    let mut front = Open::new(hub.clone(), front.into())?;
    let cannot = |at: String| move |error| Error::Listen(at, error);
    let listen = front.listen;
    let tcp = TcpListener::bind(listen).await.map_err(cannot(listen.to_string()))?;
    front.listen = tcp.local_addr().map_err(cannot(listen.to_string()))?;
    let unix = bind_unix(socket).map_err(cannot(socket.display().to_string()))?;
    let front = Arc::new(front);
    let router = router(hub.clone());
    let local = router.clone().layer(Extension(Asking(Caller::Local)));
    let guarded = local
        .clone()
        .layer(Extension(Door::Web(front.clone())))
        .layer(middleware::from_fn_with_state(front.clone(), login::admit))
        .layer(middleware::from_fn_with_state(front.clone(), guard::guard));
    let local = local.layer(Extension(Door::Socket(front.clone())));
    let crowd = Crowd::default();
    let mut doors = JoinSet::new();
    let visited = front.clone();
    let visit =
        move |(stream, from)| visit(stream, from, crowd.clone(), visited.clone(), guarded.clone());
    doors.spawn(door(move |cx| tcp.poll_accept(cx), visit));
    let command = move |stream| connection(stream, local.clone());
    doors.spawn(door(move |cx| unix.poll_accept(cx).map_ok(|(stream, _)| stream), command));
    if let Some(mut streams) = hub.http_streams() {
        let peers = router.layer(Extension(Door::Peer));
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
    let (address, url) = (front.listen, front.url());
    let tls = front.tls.as_ref().map(|tls| tls.view());
    Ok(Web { address, url, tls, socket: socket.to_owned(), _doors: doors })
}

/// A connection of a browser.
async fn visit(
    stream: TcpStream,
    from: SocketAddr,
    crowd: Crowd,
    front: Arc<Open>,
    router: Router,
) {
    let Some(_place) = crowd.enter(from.ip()) else {
        tracing::debug!("{from} has too many connections");
        return;
    };
    let Ok(at) = stream.local_addr() else { return };
    let router = router.layer(Extension(Visit { from, at }));
    let Some(tls) = &front.tls else { return connection(stream, router).await };
    let handshake = async {
        let mut first = [0];
        // a client that hangs up before has nothing to say
        if stream.peek(&mut first).await.ok()? == 0 || first[0] != TLS_HANDSHAKE {
            return Some(Err(stream));
        }
        let accepted = tls.acceptor.accept(stream).await;
        accepted.map_err(|error| tracing::debug!("{from}: {error}")).ok().map(Ok)
    };
    match tokio::time::timeout(TLS_TIMEOUT, handshake).await {
        Ok(Some(Ok(stream))) => connection(stream, router).await,
        Ok(Some(Err(stream))) => plain::answer(stream, front.clone(), at).await,
        Ok(None) | Err(_) => {}
    }
}

/// RFC 8446 §5.1: the type of the first record of a handshake.
const TLS_HANDSHAKE: u8 = 22;

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

async fn door<S, Served: Future<Output = ()> + Send + 'static>(
    mut accept: impl FnMut(&mut Context<'_>) -> Poll<io::Result<S>>,
    serve: impl Fn(S) -> Served,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut served = JoinSet::new();
    loop {
        let place = places.clone().acquire_owned().await.expect("nobody closes it");
        while served.try_join_next().is_some() {}
        match poll_fn(&mut accept).await {
            Ok(stream) => {
                let connection = serve(stream);
                served.spawn(async move {
                    connection.await;
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
