//! Certificates as the printers have them: the common name is the serial number, there is no
//! alternative name, and the maker's authority has signed it (OpenBambuAPI `tls.md`).
//!
//! The keys come from fixed seeds, not from chance: a simulated printer has the same certificate in
//! every process, as a real one has after a restart, and a pin of it lasts. They protect nothing.
//! One key serves all printers, so that a printer costs one signature.

use std::io;
use std::sync::{Arc, LazyLock};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ED25519, SerialNumber, date_time_ymd,
};
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::server::{NoServerSessionStorage, ServerSessionMemoryCache};
use rustls::sign::{CertifiedKey, SigningKey, SingleCertAndKey};
use rustls::{ServerConfig, SupportedProtocolVersion};
use sha2::{Digest, Sha256};
use tokio_rustls::TlsAcceptor;

/// How a printer speaks TLS at its doors.
#[derive(Clone)]
pub(super) struct Doors {
    /// For messages and pictures. No session is kept.
    pub plain: TlsAcceptor,
    /// For commands about files: sessions are kept.
    pub control: TlsAcceptor,
    /// For their content: continues those sessions. It says nothing after the handshake: a client
    /// that closes with something unread would reset the connection and lose what it sent.
    pub data: TlsAcceptor,
}

/// The certificate of the authority that signs all simulated Bambu printers of any process, as PEM.
#[must_use]
pub fn authority_pem() -> String {
    AUTHORITY.pem.clone()
}

pub(super) fn doors(
    serial_number: &str,
    versions: &[&'static SupportedProtocolVersion],
) -> io::Result<Doors> {
    let chain = vec![certificate(serial_number)?, AUTHORITY.der.clone()];
    let key = Arc::new(CertifiedKey::new(chain, Arc::clone(&AUTHORITY.signs)));
    let config = || {
        ServerConfig::builder_with_provider(Arc::clone(&AUTHORITY.provider))
            .with_protocol_versions(versions)
            .map(|config| {
                let resolver = Arc::new(SingleCertAndKey::from(Arc::clone(&key)));
                config.with_no_client_auth().with_cert_resolver(resolver)
            })
            .map_err(io::Error::other)
    };
    let mut plain = config()?;
    plain.session_storage = Arc::new(NoServerSessionStorage {});
    plain.send_tls13_tickets = 0;
    let mut control = config()?;
    control.session_storage = ServerSessionMemoryCache::new(SESSIONS_MAX);
    let mut data = control.clone();
    data.send_tls13_tickets = 0;
    let acceptor = |config| TlsAcceptor::from(Arc::new(config));
    Ok(Doors { plain: acceptor(plain), control: acceptor(control), data: acceptor(data) })
}

fn certificate(serial_number: &str) -> io::Result<CertificateDer<'static>> {
    let mut params = params(serial_number);
    let digest = Sha256::digest(serial_number);
    params.serial_number = Some(SerialNumber::from_slice(&digest[..16]));
    let signed = params.signed_by(&AUTHORITY.key, &AUTHORITY.issuer).map_err(io::Error::other)?;
    Ok(signed.der().clone())
}

fn params(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    params.distinguished_name = name;
    params.not_before = date_time_ymd(2024, 1, 1);
    params.not_after = date_time_ymd(2054, 1, 1);
    params
}

struct Authority {
    provider: Arc<CryptoProvider>,
    pem: String,
    der: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
    /// Of the printers.
    key: KeyPair,
    signs: Arc<dyn SigningKey>,
}

static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| {
    let mut params = params("farhub simulated BBL CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.serial_number = Some(SerialNumber::from_slice(&[1]));
    let own = key_pair(&pkcs8("authority"));
    let certificate = params.self_signed(&own).expect("the parameters are ours");
    let printers = pkcs8("printers");
    let signs = ring::sign::any_eddsa_type(&printers).expect("the key is ours");
    Authority {
        provider: Arc::new(ring::default_provider()),
        pem: certificate.pem(),
        der: certificate.der().clone(),
        issuer: Issuer::new(params, own),
        key: key_pair(&printers),
        signs,
    }
});

fn key_pair(key: &PrivatePkcs8KeyDer<'_>) -> KeyPair {
    KeyPair::from_pkcs8_der_and_sign_algo(key, &PKCS_ED25519).expect("the key is ours")
}

/// An Ed25519 key as PKCS #8 (RFC 8410 §7): a fixed head, then the seed.
fn pkcs8(role: &str) -> PrivatePkcs8KeyDer<'static> {
    let mut der = vec![0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    der.extend(Sha256::digest(format!("farhub simulated printers: {role}")));
    der.into()
}

/// Clients of one printer, each with a session or two.
const SESSIONS_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use x509_parser::prelude::{FromDer, X509Certificate};

    #[test]
    fn the_common_name_is_the_serial_number() {
        let der = certificate("01P00A000000001").unwrap();
        let (_, parsed) = X509Certificate::from_der(&der).unwrap();
        assert_eq!(parsed.subject().to_string(), "CN=01P00A000000001");
        assert!(parsed.subject_alternative_name().unwrap().is_none());
        let (_, authority) = X509Certificate::from_der(&AUTHORITY.der).unwrap();
        assert_eq!(parsed.issuer(), authority.subject());
        assert!(authority.is_ca());
        assert_eq!(der, certificate("01P00A000000001").unwrap(), "a pin lasts");
        assert_ne!(der, certificate("01P00A000000002").unwrap());
    }
}
