//! TLS to a printer: its name is its serial number, whoever has signed that.
//!
//! A printer's certificate is issued by its maker, by a chain that differs from model to model and
//! that nobody publishes for all of them (OpenBambuAPI tls.md). So any issuer is taken, and what
//! counts is the common name, which must be the serial number that the owner has given, and the
//! fingerprint that was seen when the printer was added. Dates are not looked at: printers without
//! internet do not know the time, and certificates are for ten years.

use crate::{Connection, Error, Fingerprint, Reason};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, SignatureScheme,
    SupportedProtocolVersion,
};
use sha2::{Digest, Sha256};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Judges certificates, and remembers what it saw.
#[derive(Debug)]
pub(super) struct Judge {
    serial_number: String,
    pin: Option<Fingerprint>,
    provider: Arc<CryptoProvider>,
    seen: Mutex<Seen>,
}

#[derive(Clone, Debug, Default)]
struct Seen {
    fingerprint: Option<Fingerprint>,
    /// Why the certificate was not taken.
    refused: Option<String>,
}

impl Judge {
    pub(super) fn new(serial_number: &str, pin: Option<Fingerprint>) -> Arc<Self> {
        Arc::new(Self {
            serial_number: serial_number.to_owned(),
            pin,
            provider: Arc::new(ring::default_provider()),
            seen: Mutex::default(),
        })
    }

    /// For connections that this one judges. With one `ClientConfig`, later connections take up
    /// the session of earlier ones, which some printers demand of FTP.
    ///
    /// # Errors
    /// Never with the versions that rustls has.
    pub(super) fn config(
        self: &Arc<Self>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Result<Arc<ClientConfig>, Error> {
        let builder = ClientConfig::builder_with_provider(self.provider.clone());
        let builder = builder.with_protocol_versions(versions);
        let builder = builder.map_err(|error| Error::new(Reason::Local, error.to_string()))?;
        let judge: Arc<dyn ServerCertVerifier> = self.clone();
        let config =
            builder.dangerous().with_custom_certificate_verifier(judge).with_no_client_auth();
        Ok(Arc::new(config))
    }

    /// What the last certificate was.
    pub(super) fn fingerprint(&self) -> Option<Fingerprint> {
        self.seen().fingerprint
    }

    /// Why a handshake failed: for the certificate, if that was it.
    pub(super) fn explain(&self, error: &dyn std::fmt::Display) -> Error {
        if let Some(refused) = self.seen().refused {
            return Error::new(Reason::WrongCertificate, refused).hint(
                "check address and serial number; after a repair or a reset of the printer its \
                 certificate may be new, then accept it anew",
            );
        }
        Error::new(Reason::NotAPrinter, format!("no TLS connection came about: {error}"))
            .hint("is there a Bambu printer at this address and port?")
    }

    fn seen(&self) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn look(&self, certificate: &CertificateDer<'_>) -> Result<(), String> {
        let fingerprint = Fingerprint(Sha256::digest(certificate).into());
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).fingerprint = Some(fingerprint);
        let Ok((_, parsed)) = X509Certificate::from_der(certificate) else {
            return Err("the printer's certificate cannot be read".to_owned());
        };
        let mut names = parsed.subject().iter_common_name().filter_map(|name| name.as_str().ok());
        let name: String = names.next().unwrap_or_default().chars().take(64).collect();
        if name != self.serial_number {
            return Err(format!(
                "the printer at this address is {name:?}, not {:?}",
                self.serial_number
            ));
        }
        match self.pin {
            Some(pin) if pin != fingerprint => {
                Err("the printer's certificate is not the one that was accepted".to_owned())
            }
            Some(_) | None => Ok(()),
        }
    }
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let judged = self.look(end_entity);
        let refused = judged.is_err().then_some(CertificateError::ApplicationVerificationFailure);
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).refused = judged.err();
        match refused {
            Some(refused) => Err(refused.into()),
            None => Ok(ServerCertVerified::assertion()),
        }
    }

    /// By the key itself: the usual way asks for a version 3 certificate with all its extensions,
    /// which a printer need not have.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let (_, parsed) = X509Certificate::from_der(certificate).map_err(|_| bad_encoding())?;
        let key = parsed.public_key();
        let kind = element(key.raw).and_then(element).ok_or_else(bad_encoding)?;
        let mapping = self.provider.signature_verification_algorithms.mapping.iter();
        let (_, algorithms) = mapping
            .clone()
            .find(|(scheme, _)| *scheme == signed.scheme)
            .ok_or(CertificateError::BadSignature)?;
        let fits = algorithms.iter().any(|algorithm| {
            algorithm.public_key_alg_id().as_ref() == kind
                && algorithm
                    .verify_signature(&key.subject_public_key.data, message, signed.signature())
                    .is_ok()
        });
        if fits {
            Ok(HandshakeSignatureValid::assertion())
        } else {
            Err(CertificateError::BadSignature.into())
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let (_, parsed) = X509Certificate::from_der(certificate).map_err(|_| bad_encoding())?;
        let key = SubjectPublicKeyInfoDer::from(parsed.public_key().raw);
        let known = &self.provider.signature_verification_algorithms;
        verify_tls13_signature_with_raw_key(message, &key, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn bad_encoding() -> rustls::Error {
    CertificateError::BadEncoding.into()
}

/// What is inside the first element of some DER (X.690 §8.1).
fn element(der: &[u8]) -> Option<&[u8]> {
    let (length, rest) = match der.get(1..)? {
        [short @ 0..=0x7F, rest @ ..] => (usize::from(*short), rest),
        [0x81, length, rest @ ..] => (usize::from(*length), rest),
        [0x82, high, low, rest @ ..] => (usize::from(u16::from_be_bytes([*high, *low])), rest),
        _ => return None,
    };
    rest.get(..length)
}

/// A connection to a port of a printer, after its certificate has been looked at.
pub(super) async fn dial(
    connection: &Connection,
    port: u16,
) -> Result<(TlsStream<TcpStream>, Arc<Judge>), Error> {
    check(connection)?;
    let dialling = async {
        let addresses = resolve(&connection.host, port).await?;
        let stream = TcpStream::connect(&addresses[..]).await;
        let stream = stream.map_err(|error| unreachable_error(connection, port, &error))?;
        stream.set_nodelay(true).ok();
        let judge = Judge::new(&connection.serial_number, connection.pin);
        let config = judge.config(&[&rustls::version::TLS13, &rustls::version::TLS12])?;
        let connector = TlsConnector::from(config);
        let connected = connector.connect(server_name(connection), stream).await;
        let stream = connected.map_err(|error| judge.explain(&error))?;
        Ok((stream, judge))
    };
    let dialled = tokio::time::timeout(DIAL, dialling).await;
    dialled.unwrap_or_else(|_| Err(no_answer(connection, port)))
}

/// # Errors
/// When the connection lacks what a Bambu printer asks for.
pub(super) fn check(connection: &Connection) -> Result<(), Error> {
    let serial = &connection.serial_number;
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if serial.is_empty() || serial.len() > 64 || !serial.chars().all(fits) {
        return Err(Error::new(Reason::Unacceptable, "the serial number is missing or odd")
            .hint("it is on the printer's panel and on its back"));
    }
    if connection.secret.is_empty() {
        return Err(Error::new(Reason::WrongSecret, "the access code is missing").hint(ACCESS_CODE));
    }
    Ok(())
}

/// The serial number, as Bambu's own programs say it; printers do not mind.
pub(super) fn server_name(connection: &Connection) -> ServerName<'static> {
    let named = ServerName::try_from(connection.serial_number.clone());
    named.unwrap_or_else(|_| ServerName::IpAddress(Ipv4Addr::UNSPECIFIED.into()))
}

pub(super) async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, Error> {
    let found: Vec<SocketAddr> = match tokio::net::lookup_host((host, port)).await {
        Ok(found) => found.take(ADDRESSES_MAX).collect(),
        Err(_) => Vec::new(),
    };
    if found.is_empty() {
        return Err(Error::new(Reason::NoSuchHost, format!("{host:?} is not known here"))
            .hint("check the name, or use the address on the printer's panel"));
    }
    Ok(found)
}

pub(super) fn unreachable_error(
    connection: &Connection,
    port: u16,
    error: &std::io::Error,
) -> Error {
    let host = &connection.host;
    if error.kind() == std::io::ErrorKind::ConnectionRefused {
        return Error::new(Reason::PortClosed, format!("{host} has nothing at port {port}"))
            .hint("is this the printer's address, and is it in LAN mode?");
    }
    Error::new(Reason::NoAnswer, format!("{host} cannot be reached: {error}")).hint(SWITCHED_ON)
}

pub(super) fn no_answer(connection: &Connection, port: u16) -> Error {
    let text = format!("{} does not answer at port {port}", connection.host);
    Error::new(Reason::NoAnswer, text).hint(SWITCHED_ON)
}

pub(super) const ACCESS_CODE: &str =
    "it is on the printer's panel, under Settings, LAN Only Mode, and changes when it is renewed";
const SWITCHED_ON: &str = "is the printer switched on and in this network?";
/// Until the certificate has been looked at.
const DIAL: Duration = Duration::from_secs(10);
const ADDRESSES_MAX: usize = 8;

#[cfg(test)]
pub(super) mod tests;
