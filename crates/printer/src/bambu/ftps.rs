//! One FTP session in TLS with a printer (OpenBambuAPI ftp.md; bambuddy).
//!
//! The TLS comes first, at a port of its own. What else is not as in the books:
//! X1 and P1 (vsftpd) want data connections to take up the TLS session of the first one, which
//! sharing the configuration does. An A1 may let a protected data connection hang for ever; then
//! the data goes in the clear, which is remembered for that printer. P2S and newer get on only with
//! TLS 1.2, which every model speaks, so it is tried first. Printers close without TLS's goodbye.

use super::tls::{self, Judge};
use crate::{Connection, Error, Reason};
use rustls::ProtocolVersion;
use rustls::version::{TLS12, TLS13};
use std::collections::HashSet;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use suppaftp::tokio::{AsyncTlsConnector, ImplAsyncFtpStream, TokioTlsStream, TransferStream};
use suppaftp::types::FileType;
use suppaftp::{FtpError, FtpResult, Mode, Status};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Whether the data connections are in TLS as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protection {
    Private,
    Clear,
}

/// What is to be tried with this printer, in this order.
pub(super) fn protections(connection: &Connection) -> &'static [Protection] {
    let clear = HANGS.lock().unwrap_or_else(PoisonError::into_inner);
    if clear.contains(&connection.serial_number) {
        &[Protection::Clear]
    } else {
        &[Protection::Private, Protection::Clear]
    }
}

/// Remembers what has worked.
pub(super) fn remember(connection: &Connection, protection: Protection) {
    let mut clear = HANGS.lock().unwrap_or_else(PoisonError::into_inner);
    if protection == Protection::Clear && clear.len() < PRINTERS_MAX {
        clear.insert(connection.serial_number.clone());
    }
}

/// Serial numbers of the printers whose protected data connections hang.
static HANGS: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);
const PRINTERS_MAX: usize = 10_000;

/// Why something with files did not work.
#[derive(Debug)]
pub(super) enum Trouble {
    /// A protected data connection hangs, and nothing has been transferred yet.
    Hangs,
    Error(Error),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

pub(super) type Transfer = TransferStream<Channel>;

/// A session that has been let in.
pub(super) struct Session {
    ftp: ImplAsyncFtpStream<Channel>,
    protection: Protection,
}

impl Session {
    pub(super) async fn open(
        connection: &Connection,
        protection: Protection,
    ) -> Result<Self, Error> {
        tls::check(connection)?;
        let opening = Self::opened(connection, protection);
        let opened = timeout(OPENING, opening).await;
        opened.unwrap_or_else(|_| Err(tls::no_answer(connection, connection.files_port)))
    }

    async fn opened(connection: &Connection, protection: Protection) -> Result<Self, Error> {
        let port = connection.files_port;
        let addresses = tls::resolve(&connection.host, port).await?;
        let judge = Judge::new(&connection.serial_number, connection.pin);
        let mut last = None;
        for versions in [&[&TLS12][..], &[&TLS13, &TLS12][..]] {
            let plain_data = Arc::new(AtomicBool::new(false));
            let connector = Connector {
                tls: TlsConnector::from(judge.config(versions)?),
                name: tls::server_name(connection),
                plain: plain_data.clone(),
            };
            let ftp = ImplAsyncFtpStream::connect_secure_implicit(
                &addresses[..],
                connector,
                &connection.serial_number,
            );
            match ftp.await {
                Ok(ftp) => {
                    let mut session = Self { ftp, protection };
                    session.prepare(connection, &plain_data).await?;
                    return Ok(session);
                }
                Err(FtpError::SecureError(text)) => {
                    let error = judge.explain(&text);
                    if error.reason == Reason::WrongCertificate {
                        return Err(error);
                    }
                    last = Some(error);
                }
                Err(FtpError::ConnectionError(error))
                    if error.kind() != io::ErrorKind::UnexpectedEof =>
                {
                    return Err(tls::unreachable_error(connection, port, &error));
                }
                Err(error) => return Err(explain(error, "the printer's files")),
            }
        }
        Err(last.unwrap_or_else(|| tls::no_answer(connection, port)))
    }

    async fn prepare(&mut self, connection: &Connection, plain: &AtomicBool) -> Result<(), Error> {
        let ftp = &mut self.ftp;
        ftp.login(USER, connection.secret.expose()).await.map_err(login_refused)?;
        let peer = ftp.get_ref().await.peer_addr();
        let is_v6 = peer.is_ok_and(|peer| peer.is_ipv6());
        ftp.set_mode(if is_v6 { Mode::ExtendedPassive } else { Mode::Passive });
        // Data goes to the printer that was asked, whatever address it believes to have.
        ftp.set_passive_nat_workaround(true);
        let ok = &[Status::CommandOk];
        // Without these two the data would be in the clear, whatever the library does.
        let ready = async {
            ftp.custom_command("PBSZ 0", ok).await.ok();
            let level = if self.protection == Protection::Private { "PROT P" } else { "PROT C" };
            ftp.custom_command(level, ok).await?;
            // ASCII would change line ends.
            ftp.transfer_type(FileType::Binary).await
        };
        ready.await.map_err(|error| explain(error, "the printer's files"))?;
        plain.store(self.protection == Protection::Clear, Ordering::Relaxed);
        Ok(())
    }

    /// Opens a data connection for `LIST`, `RETR` or `STOR`.
    pub(super) async fn list(&mut self, folder: &str) -> Result<Transfer, Trouble> {
        let command = format!("LIST {folder}");
        let expected = &[Status::AboutToSend, Status::AlreadyOpen];
        let opening = timeout(HANG, self.ftp.custom_data_command(command, expected));
        let opened = opening.await.map(|opened| opened.map(|(_, transfer)| transfer));
        self.data(opened, folder)
    }

    pub(super) async fn retrieve(&mut self, path: &str, from: usize) -> Result<Transfer, Trouble> {
        let opening = async {
            self.ftp.resume_transfer(from).await?;
            self.ftp.retr_as_stream(path).await
        };
        let opened = timeout(HANG, opening).await;
        self.data(opened, path)
    }

    pub(super) async fn store(&mut self, path: &str) -> Result<Transfer, Trouble> {
        let opened = timeout(HANG, self.ftp.put_with_stream(path)).await;
        self.data(opened, path)
    }

    fn data(
        &self,
        opened: Result<FtpResult<Transfer>, tokio::time::error::Elapsed>,
        what: &str,
    ) -> Result<Transfer, Trouble> {
        match opened {
            Ok(opened) => Ok(opened.map_err(|error| explain(error, what))?),
            Err(_) => Err(self.hangs()),
        }
    }

    /// What it means when nothing moves at the beginning of a transfer.
    pub(super) fn hangs(&self) -> Trouble {
        match self.protection {
            Protection::Private => Trouble::Hangs,
            Protection::Clear => {
                Trouble::Error(Error::new(Reason::NoAnswer, "the printer does not move its files"))
            }
        }
    }

    /// The bytes of a file; `None` is no such file.
    pub(super) async fn size(&mut self, path: &str) -> Result<Option<u64>, Error> {
        match timeout(ANSWER, self.ftp.size(path)).await {
            Ok(Ok(bytes)) => Ok(u64::try_from(bytes).ok()),
            Ok(Err(FtpError::UnexpectedResponse(answer)))
                if answer.status == Status::FileUnavailable =>
            {
                Ok(None)
            }
            Ok(Err(error)) => Err(explain(error, path)),
            Err(_) => Err(silent()),
        }
    }

    pub(super) async fn delete(&mut self, path: &str) -> Result<(), Error> {
        let deleted = timeout(ANSWER, self.ftp.rm(path)).await.map_err(|_| silent())?;
        deleted.map_err(|error| explain(error, path))
    }

    pub(super) async fn quit(mut self) {
        timeout(GOODBYE, self.ftp.quit()).await.ok();
    }
}

fn silent() -> Error {
    Error::new(Reason::NoAnswer, "the printer does not answer about its files any more")
}

fn login_refused(error: FtpError) -> Error {
    match error {
        FtpError::UnexpectedResponse(answer)
            if matches!(answer.status, Status::NotLoggedIn | Status::InvalidCredentials) =>
        {
            Error::new(Reason::WrongSecret, "the printer does not take this access code")
                .hint(tls::ACCESS_CODE)
        }
        error => explain(error, "the printer's files"),
    }
}

/// What an answer of the printer means for `what`.
pub(super) fn explain(error: FtpError, what: &str) -> Error {
    match error {
        FtpError::ConnectionError(error) => {
            Error::new(Reason::Lost, format!("the connection for {what} was lost: {error}"))
        }
        FtpError::SecureError(error) => {
            Error::new(Reason::Lost, format!("no TLS connection for {what}: {error}"))
        }
        FtpError::UnexpectedResponse(answer) => {
            let reason = match answer.status {
                Status::NotAvailable => Reason::TooManyConnections,
                Status::NotLoggedIn => Reason::WrongSecret,
                Status::FileUnavailable => Reason::NotFound,
                Status::ExceededStorage | Status::RequestedActionNotTaken => Reason::Storage,
                Status::BadFilename => Reason::Unacceptable,
                Status::RequestFileActionIgnored | Status::ActionAborted => Reason::Busy,
                _ => Reason::Lost,
            };
            let words = String::from_utf8_lossy(&answer.body);
            let words: String = words.chars().filter(|c| !c.is_control()).take(200).collect();
            Error::new(reason, format!("{what}: the printer says {words:?}"))
        }
        FtpError::BadResponse | FtpError::InvalidAddress(_) => {
            Error::new(Reason::Garbled, format!("{what}: the printer's answer makes no sense"))
        }
        FtpError::DataConnectionAlreadyOpen => {
            Error::new(Reason::Busy, format!("{what}: a transfer is under way"))
        }
    }
}

/// Makes every connection of a session: the first in TLS, the data as it was agreed upon.
struct Connector {
    tls: TlsConnector,
    name: rustls::pki_types::ServerName<'static>,
    plain: Arc<AtomicBool>,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("plain", &self.plain).finish_non_exhaustive()
    }
}

impl AsyncTlsConnector for Connector {
    type Stream = Channel;

    fn connect<'this, 'domain, 'all>(
        &'this self,
        _domain: &'domain str,
        stream: TcpStream,
    ) -> Pin<Box<dyn Future<Output = FtpResult<Channel>> + Send + 'all>>
    where
        'this: 'all,
        'domain: 'all,
    {
        Box::pin(async move {
            stream.set_nodelay(true).ok();
            if self.plain.load(Ordering::Relaxed) {
                return Ok(Channel::Plain(stream));
            }
            let stream = self.tls.connect(self.name.clone(), stream).await;
            let stream = stream.map_err(|error| FtpError::SecureError(error.to_string()))?;
            let (_, session) = stream.get_ref();
            tracing::trace!(
                resumed = ?session.handshake_kind(),
                tls_1_3 = session.protocol_version() == Some(ProtocolVersion::TLSv1_3),
                "FTP"
            );
            Ok(Channel::Tls(Box::new(stream)))
        })
    }
}

/// A connection of an FTP session.
#[derive(Debug)]
pub(super) enum Channel {
    Tls(Box<TlsStream<TcpStream>>),
    Plain(TcpStream),
}

impl TokioTlsStream for Channel {
    type InnerStream = Self;

    fn tcp_stream(self) -> FtpResult<TcpStream> {
        Ok(match self {
            Self::Tls(stream) => stream.into_inner().0,
            Self::Plain(stream) => stream,
        })
    }

    fn get_ref(&self) -> &TcpStream {
        match self {
            Self::Tls(stream) => stream.get_ref().0,
            Self::Plain(stream) => stream,
        }
    }

    fn mut_ref(&mut self) -> &mut Self {
        self
    }
}

impl AsyncRead for Channel {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = match self.get_mut() {
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
        };
        match read {
            // No goodbye: what is missing is seen by the size.
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Poll::Ready(Ok(()))
            }
            read => read,
        }
    }
}

impl AsyncWrite for Channel {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

const USER: &str = "bblp";
/// From the first packet until files can be asked for.
const OPENING: Duration = Duration::from_secs(20);
/// For an answer that needs no data.
const ANSWER: Duration = Duration::from_secs(15);
/// Until a data connection that stands still is given up.
pub(super) const HANG: Duration = Duration::from_secs(10);
const GOODBYE: Duration = Duration::from_secs(2);
