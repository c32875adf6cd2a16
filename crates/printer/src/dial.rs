//! One TCP connection to a printer, in TLS where it wants that, and what exactly was wrong when
//! there is none.
//!
//! Printers' certificates are signed by themselves. So a certificate is either the one that was
//! pinned, or, where none was, any whose name fits; the first that is seen is then the only one
//! that is taken for as long as the connection's owner lives.

use crate::{Connection, Error, Fingerprint, Reason};
use futures_util::future::select_ok;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, SignatureScheme};
use sha2::{Digest, Sha256};
use std::io::{self, ErrorKind};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_util::either::Either;

pub(crate) type Stream = Either<TcpStream, TlsStream<TcpStream>>;

/// Opens connections to one printer.
pub(crate) struct Dial {
    host: String,
    port: u16,
    tls: Option<(TlsConnector, Arc<Verifier>)>,
}

impl Dial {
    pub(crate) fn new(connection: &Connection) -> Result<Self, Error> {
        let tls = connection.tls.then(|| tls(connection.pin)).transpose()?;
        Ok(Self { host: connection.host.clone(), port: connection.port, tls })
    }

    /// Of the certificate that was seen, where there was one.
    pub(crate) fn fingerprint(&self) -> Option<Fingerprint> {
        self.tls.as_ref()?.1.seen.get().copied()
    }

    /// Cancel safe.
    pub(crate) async fn dial(&self) -> Result<Stream, Error> {
        let stream = timeout(CONNECT_TIMEOUT, self.tcp()).await.unwrap_or_else(|_| {
            Err(self.no_answer(format!("no answer from {} within 5 s", self.place())))
        })?;
        // Requests are small and waited for.
        let _ = stream.set_nodelay(true);
        let Some((connector, _)) = &self.tls else { return Ok(Either::Left(stream)) };
        let name = ServerName::try_from(self.host.clone())
            .map_err(|_| Error::new(Reason::NoSuchHost, format!("{:?} is no name", self.host)))?;
        match timeout(CONNECT_TIMEOUT, connector.connect(name, stream)).await {
            Ok(Ok(stream)) => Ok(Either::Right(stream)),
            Ok(Err(error)) => Err(self.tls_error(&error)),
            Err(_) => Err(Error::new(
                Reason::NotAPrinter,
                format!("{} takes connections but does not speak TLS", self.place()),
            )
            .hint("Switch TLS off for this printer, or give the port where it speaks TLS.")),
        }
    }

    async fn tcp(&self) -> Result<TcpStream, Error> {
        let found = lookup_host((self.host.as_str(), self.port)).await;
        let addresses: Vec<_> =
            found.map(|all| all.take(ADDRESSES_MAX).collect()).unwrap_or_default();
        if addresses.is_empty() {
            let message = format!("the network does not know {:?}", self.host);
            return Err(Error::new(Reason::NoSuchHost, message)
                .hint("Check the spelling, or give the printer's IP address."));
        }
        // All at once: of a name with IPv6 and IPv4 often only one works.
        let all = addresses.into_iter().map(|address| Box::pin(TcpStream::connect(address)));
        let opened = select_ok(all).await;
        opened.map(|(stream, _)| stream).map_err(|error| self.refused(&error))
    }

    fn refused(&self, error: &io::Error) -> Error {
        if error.kind() == ErrorKind::ConnectionRefused {
            let message = format!("nothing listens at {}", self.place());
            return Error::new(Reason::PortClosed, message)
                .hint("The computer is there: check the port, and that its service runs.");
        }
        self.no_answer(format!("{} cannot be reached: {error}", self.place()))
    }

    fn no_answer(&self, message: String) -> Error {
        Error::new(Reason::NoAnswer, message)
            .hint("Is it switched on, and in the same network as this computer?")
    }

    fn tls_error(&self, error: &io::Error) -> Error {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match inner {
            Some(rustls::Error::InvalidCertificate(
                CertificateError::ApplicationVerificationFailure,
            )) => Error::new(
                Reason::WrongCertificate,
                format!("{} shows another certificate than before", self.place()),
            )
            .hint("If its certificate was renewed, remove the pinned one and connect again."),
            Some(rustls::Error::InvalidCertificate(why)) => Error::new(
                Reason::WrongCertificate,
                format!("the certificate of {} does not fit: {why}", self.place()),
            )
            .hint("Use the name that is in its certificate, or pin the certificate."),
            Some(rustls::Error::InvalidMessage(_)) => {
                Error::new(Reason::NotAPrinter, format!("{} does not speak TLS", self.place()))
                    .hint("Switch TLS off for this printer, or give the port where it speaks TLS.")
            }
            Some(other) => Error::new(Reason::Lost, format!("TLS with {}: {other}", self.place())),
            None => Error::new(Reason::Lost, format!("TLS with {}: {error}", self.place())),
        }
    }

    /// For people.
    pub(crate) fn place(&self) -> String {
        format!("{}, port {}", self.host, self.port)
    }
}

fn tls(pin: Option<Fingerprint>) -> Result<(TlsConnector, Arc<Verifier>), Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Arc::new(Verifier { pin, seen: OnceLock::new(), provider: provider.clone() });
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::new(Reason::Local, format!("TLS: {error}")))?
        .dangerous()
        .with_custom_certificate_verifier(verifier.clone())
        .with_no_client_auth();
    Ok((TlsConnector::from(Arc::new(config)), verifier))
}

#[derive(Debug)]
struct Verifier {
    pin: Option<Fingerprint>,
    seen: OnceLock<Fingerprint>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let print = Fingerprint(Sha256::digest(certificate.as_ref()).into());
        let known = self.pin.or(self.seen.get().copied());
        if known.is_some_and(|known| known != print) {
            return Err(CertificateError::ApplicationVerificationFailure.into());
        }
        if self.pin.is_none() {
            verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
        }
        let _ = self.seen.set(print);
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// A printer in the same building answers in milliseconds.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A name that stands for more is no printer's.
const ADDRESSES_MAX: usize = 8;
