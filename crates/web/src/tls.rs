//! TLS for the web UI: a certificate of one's own, or one that the hub makes once for itself.
//!
//! Nobody vouches for the latter, so it is known by its fingerprint, which the hub prints, and
//! which stays the same. TLS 1.3 only: every browser that can show the page speaks it.

use crate::front::Certificate;
use hub::view;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

/// In the data folder: key and certificate.
const FILE: &str = "web-tls.pem";
/// A file that is longer holds something else.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}: {1}")]
    Io(String, io::Error),
    #[error("{0} can be read by others: it may be known. Close it with: chmod 600 {0}")]
    Open(String),
    #[error("{0} holds no certificate in PEM")]
    NoCertificate(String),
    #[error("{0} holds no private key in PEM")]
    NoKey(String),
    #[error("{0}: {1}")]
    Unfit(String, rustls::Error),
    #[error("making one: {0}")]
    Making(#[from] rcgen::Error),
}

/// Ready to serve.
#[derive(Clone)]
pub(crate) struct Tls {
    pub(crate) acceptor: TlsAcceptor,
    fingerprint: String,
    self_signed: bool,
}

impl Tls {
    /// # Errors
    /// When a file cannot be read, the key can be read by others, or the two do not fit.
    pub(crate) fn of_files(files: &Certificate) -> Result<Self, Error> {
        let certificate = read(&files.cert)?;
        for_its_owner(&files.key)?;
        let key = read(&files.key)?;
        Self::new([&files.cert, &files.key], &certificate, &key, false)
    }

    /// The certificate of this data folder; made if there is none.
    ///
    /// # Errors
    /// When the file cannot be made or read, can be read by others, or is damaged.
    pub(crate) fn self_signed(data: &Path, hosts: &[String]) -> Result<Self, Error> {
        let file = data.join(FILE);
        if !file.exists() {
            make(data, &file, hosts)?;
        }
        for_its_owner(&file)?;
        let both = read(&file)?;
        Self::new([&file, &file], &both, &both, true)
    }

    fn new(
        [cert_file, key_file]: [&Path; 2],
        certificate: &[u8],
        key: &[u8],
        self_signed: bool,
    ) -> Result<Self, Error> {
        let no_certificate = || Error::NoCertificate(cert_file.display().to_string());
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificate).collect();
        let chain = chain.map_err(|_| no_certificate())?;
        let fingerprint = fingerprint(chain.first().ok_or_else(no_certificate)?);
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|_| Error::NoKey(key_file.display().to_string()))?;
        let unfit = |error| Error::Unfit(cert_file.display().to_string(), error);
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(unfit)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(unfit)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), fingerprint, self_signed })
    }

    pub(crate) fn view(&self) -> view::WebTls {
        view::WebTls { fingerprint: self.fingerprint.clone(), self_signed: self.self_signed }
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("fingerprint", &self.fingerprint).finish_non_exhaustive()
    }
}

/// As browsers show it: `3A:F0:..`
fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    let pairs: Vec<_> = Sha256::digest(certificate).iter().map(|b| format!("{b:02X}")).collect();
    pairs.join(":")
}

/// Good for as long as anybody has its fingerprint. It carries no name of this computer: it is
/// shown to strangers.
fn make(data: &Path, file: &Path, hosts: &[String]) -> Result<(), Error> {
    let mut names = vec!["localhost".to_owned()];
    names.extend(hosts.iter().cloned());
    let mut certificate = CertificateParams::new(names)?;
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, "farhub");
    certificate.distinguished_name = subject;
    certificate.not_before = date_time_ymd(2026, 1, 1);
    certificate.not_after = date_time_ymd(2100, 1, 1);
    let key = KeyPair::generate()?;
    let pem = key.serialize_pem() + &certificate.self_signed(&key)?.pem();
    // whole or not there
    let new = data.join(format!("{FILE}.new"));
    let write = || {
        let options =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).clone();
        let mut to = options.open(&new)?;
        to.set_permissions(fs::Permissions::from_mode(0o600))?;
        to.write_all(pem.as_bytes())?;
        to.sync_all()?;
        fs::rename(&new, file)
    };
    write().map_err(|error| Error::Io(file.display().to_string(), error))
}

fn for_its_owner(key: &Path) -> Result<(), Error> {
    let name = key.display().to_string();
    let mode = fs::metadata(key).map_err(|error| Error::Io(name.clone(), error))?.permissions();
    // the group is for those who get their certificates from a service of the system
    if mode.mode() & 0o007 != 0 { Err(Error::Open(name)) } else { Ok(()) }
}

fn read(file: &Path) -> Result<Vec<u8>, Error> {
    use io::Read;
    let mut bytes = Vec::new();
    let read =
        fs::File::open(file).and_then(|file| file.take(FILE_BYTES_MAX).read_to_end(&mut bytes));
    read.map_err(|error| Error::Io(file.display().to_string(), error))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hub_s_own_certificate_is_made_once_and_for_its_owner_only() {
        let data = tempfile::tempdir().unwrap();
        let hosts = ["garage.lan".to_owned(), "203.0.113.7".to_owned()];
        let made = Tls::self_signed(data.path(), &hosts).unwrap().view();
        assert_eq!((made.fingerprint.len(), made.self_signed), (95, true));
        let file = data.path().join(FILE);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(Tls::self_signed(data.path(), &[]).unwrap().view(), made);

        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(Tls::self_signed(data.path(), &[]), Err(Error::Open(_))));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&file, "damaged").unwrap();
        assert!(matches!(Tls::self_signed(data.path(), &[]), Err(Error::NoCertificate(_))));
    }

    #[test]
    fn files_of_one_s_own_must_fit() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for data in [&one, &other] {
            Tls::self_signed(data.path(), &[]).unwrap();
        }
        let file = |data: &tempfile::TempDir| data.path().join(FILE);
        let own = Certificate { cert: file(&one), key: file(&one) };
        assert!(!Tls::of_files(&own).unwrap().view().self_signed);
        let mixed = Certificate { key: file(&other), ..own.clone() };
        assert!(matches!(Tls::of_files(&mixed), Err(Error::Unfit(..))));
        let missing = Certificate { cert: one.path().join("none"), ..own };
        assert!(matches!(Tls::of_files(&missing), Err(Error::Io(..))));
    }
}
