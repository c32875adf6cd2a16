//! Against servers with certificates of all kinds.

use super::*;
use crate::{Protocol, Secret};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

pub(in crate::bambu) const SERIAL: &str = "01P00A123456789";
const PATIENCE: Duration = Duration::from_secs(20);

/// A certificate in that name from an issuer whom nobody knows.
pub(in crate::bambu) fn certificate(name: &str) -> (Vec<CertificateDer<'static>>, KeyPair) {
    let mut ca = CertificateParams::new(vec![]).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.distinguished_name.push(DnType::CommonName, "BBL Test CA");
    let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap();
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    // Long over: dates do not count.
    params.not_before = rcgen::date_time_ymd(2000, 1, 1);
    params.not_after = rcgen::date_time_ymd(2001, 1, 1);
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &ca).unwrap();
    (vec![certificate.der().clone(), ca.der().clone()], key)
}

/// Shows a certificate whether its key fits or not.
#[derive(Debug)]
struct Fixed(Arc<CertifiedKey>);

impl ResolvesServerCert for Fixed {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

fn fingerprint(certificate: &CertificateDer<'_>) -> Fingerprint {
    Fingerprint(Sha256::digest(certificate).into())
}

/// What comes of dialling a server with this certificate and key.
async fn dialled(
    chain: Vec<CertificateDer<'static>>,
    key: &KeyPair,
    version: &'static SupportedProtocolVersion,
    pin: Option<Fingerprint>,
) -> Result<Fingerprint, Error> {
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(ring::default_provider());
    // Built by hand, so that a key need not fit its certificate.
    let key = provider.key_provider.load_private_key(key).unwrap();
    let resolver = Fixed(Arc::new(CertifiedKey::new(chain, key)));
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(resolver));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let stream = TlsAcceptor::from(Arc::new(config)).accept(stream).await;
        // until the other side has looked
        if let Ok(mut stream) = stream {
            tokio::io::AsyncReadExt::read(&mut stream, &mut [0]).await.ok();
        }
    });
    let connection = Connection {
        port,
        serial_number: SERIAL.into(),
        secret: Secret::from("12345678"),
        pin,
        ..Connection::new(Protocol::Bambu, "127.0.0.1")
    };
    let dialled = tokio::time::timeout(PATIENCE, dial(&connection, port)).await.unwrap();
    serving.abort();
    dialled.map(|(_, judge)| judge.fingerprint().unwrap())
}

#[tokio::test]
async fn its_serial_number_is_its_name_whoever_signed_that() {
    for version in [&TLS12, &TLS13] {
        let (chain, key) = certificate(SERIAL);
        let expected = fingerprint(&chain[0]);
        let seen = dialled(chain, &key, version, None).await.unwrap();
        assert_eq!(seen, expected);
    }
}

#[tokio::test]
async fn another_name_is_another_printer() {
    for version in [&TLS12, &TLS13] {
        let (chain, key) = certificate("01P00A999999999");
        let refused = dialled(chain, &key, version, None).await.unwrap_err();
        assert_eq!(refused.reason, Reason::WrongCertificate);
        assert!(refused.message.contains("01P00A999999999"), "{refused}");
    }
}

#[tokio::test]
async fn a_pinned_certificate_is_the_only_one() {
    let (chain, key) = certificate(SERIAL);
    let pin = fingerprint(&chain[0]);
    dialled(chain.clone(), &key, &TLS13, Some(pin)).await.unwrap();
    let (other, other_key) = certificate(SERIAL);
    let refused = dialled(other, &other_key, &TLS12, Some(pin)).await.unwrap_err();
    assert_eq!(refused.reason, Reason::WrongCertificate);
}

#[tokio::test]
async fn a_certificate_without_its_key_is_worth_nothing() {
    for version in [&TLS12, &TLS13] {
        let (chain, _) = certificate(SERIAL);
        let (_, other_key) = certificate(SERIAL);
        let pin = fingerprint(&chain[0]);
        let refused = dialled(chain, &other_key, version, Some(pin)).await.unwrap_err();
        assert_eq!(refused.reason, Reason::NotAPrinter, "{refused}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_told_apart() {
    let at = |host: &str, port| Connection {
        port,
        serial_number: SERIAL.into(),
        secret: Secret::from("12345678"),
        ..Connection::new(Protocol::Bambu, host)
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let reason = |result: Result<(TlsStream<TcpStream>, Arc<Judge>), Error>| {
        result.map(|_| ()).unwrap_err().reason
    };
    assert_eq!(reason(dial(&at("127.0.0.1", port), port).await), Reason::PortClosed);
    assert_eq!(reason(dial(&at("printer.invalid", port), port).await), Reason::NoSuchHost);
    let nameless = Connection { serial_number: "a/#".into(), ..at("127.0.0.1", port) };
    assert_eq!(reason(dial(&nameless, port).await), Reason::Unacceptable);
}

#[test]
fn der_is_read_within_its_bounds() {
    assert_eq!(element(&[0x30, 2, 5, 6, 7]), Some(&[5, 6][..]));
    assert_eq!(element(&[0x30, 0x81, 1, 5]), Some(&[5][..]));
    assert_eq!(element(&[0x30, 0x82, 0, 1, 5]), Some(&[5][..]));
    for cut in [&[][..], &[0x30], &[0x30, 2, 5], &[0x30, 0x82, 0], &[0x30, 0x84, 0, 0, 0, 1, 5]] {
        assert_eq!(element(cut), None);
    }
}
