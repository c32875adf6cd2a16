//! Whose key answers at an address.
//!
//! iroh dials keys, not addresses. Where people name only an address, a first handshake learns the
//! key and goes no further: it proves nothing, and shows nothing of ours. Whether it is the key
//! that people mean is what the code is for.

use anyhow::{Context, Result, bail};
use iroh::PublicKey;
use noq_proto::crypto::rustls::QuicClientConfig;
use rustls::client::ResolvesClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, Error, SignatureScheme};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

/// An Ed25519 key in a SubjectPublicKeyInfo begins so (RFC 8410 §4).
const ED25519: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// Asks who is there. Cancel safe; the caller gives it a time limit.
///
/// # Errors
/// When nobody answers, or somebody that is no hub.
pub(crate) async fn is_at(address: SocketAddr) -> Result<PublicKey> {
    let found = Arc::new(Witness::default());
    let mut tls = rustls::ClientConfig::builder_with_provider(
        rustls::crypto::ring::default_provider().into(),
    )
    .with_protocol_versions(&[&rustls::version::TLS13])?
    .dangerous()
    .with_custom_certificate_verifier(found.clone())
    .with_client_cert_resolver(Arc::new(NoKey));
    tls.alpn_protocols = vec![wire::pair::code::ALPN.to_vec()];
    tls.enable_sni = false;
    let any = match address {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let endpoint = noq::Endpoint::client(any).context("a UDP socket")?;
    let config = noq::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?));
    let ended = endpoint.connect_with(config, address, "hub.invalid")?.await;
    let key = *found.0.lock().unwrap_or_else(PoisonError::into_inner);
    match (key, ended) {
        (Some(key), _) => Ok(key),
        (None, Err(error)) => Err(error.into()),
        (None, Ok(_)) => bail!("it has no key"),
    }
}

/// Remembers the key that was shown, and ends the handshake.
#[derive(Debug, Default)]
struct Witness(Mutex<Option<PublicKey>>);

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let key = end_entity.strip_prefix(&ED25519).and_then(|key| key.try_into().ok());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) =
            key.and_then(|key| PublicKey::from_bytes(key).ok());
        Err(Error::General("only looking".to_owned()))
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("only looking".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("only looking".to_owned()))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

/// Hubs ask for a key in the same handshake; they get none.
#[derive(Debug)]
struct NoKey;

impl ResolvesClientCert for NoKey {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        None
    }
    fn only_raw_public_keys(&self) -> bool {
        true
    }
    fn has_certs(&self) -> bool {
        true
    }
}
