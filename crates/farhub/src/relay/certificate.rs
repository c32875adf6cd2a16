//! By what hubs know the relay: a certificate that it made itself, by its pin; one of your own; or
//! one of Let's Encrypt.

use super::Settings;
use crate::data;
use crate::error::Error;
use iroh_relay::server::{
    AcmeConfig, CertConfig, DEFAULT_CERT_RELOAD_INTERVAL, reloading_resolver,
};
use iroh_relay::tls::default_provider;
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::path::{Path, PathBuf};
use wire::relay::{Pin, Scheme};

#[derive(Debug)]
pub(super) enum Certificate {
    /// In these files: made here, or given.
    Files {
        cert: PathBuf,
        key: PathBuf,
        made: Made,
    },
    Acme {
        name: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Made {
    Here,
    Elsewhere,
}

impl Certificate {
    /// Makes one on the first start that needs it.
    pub(super) fn new(settings: &Settings, folder: &Path) -> Result<Self, Error> {
        match (&settings.cert, &settings.key, &settings.acme) {
            (Some(cert), Some(key), _) => {
                let (cert, key) = (cert.clone(), key.clone());
                Ok(Self::Files { cert, key, made: Made::Elsewhere })
            }
            (_, _, Some(name)) => Ok(Self::Acme { name: name.clone() }),
            _ => {
                let (cert, key) = (folder.join("relay-cert.pem"), folder.join("relay-key.pem"));
                make(&cert, &key)?;
                Ok(Self::Files { cert, key, made: Made::Here })
            }
        }
    }

    /// For the line: `None` where public authorities vouch for it.
    pub(super) fn pin(&self, settings: &Settings) -> Result<Option<Pin>, Error> {
        match self {
            Self::Files { made: Made::Here, .. } if behind_proxy(settings) => Ok(None),
            Self::Files { cert, made, .. } if *made == Made::Here || settings.pin => {
                let first = CertificateDer::from_pem_file(cert).map_err(|error| {
                    Error::failed(format!("no certificate in {}: {error}", cert.display()))
                })?;
                Ok(Some(hub::pin(&first)))
            }
            Self::Files { .. } | Self::Acme { .. } => Ok(None),
        }
    }

    /// Telling addresses goes over QUIC, with a certificate that hubs accept for that name: of a
    /// proxy's name we have none, unless it is given.
    pub(super) fn can_tell_addresses(&self, settings: &Settings) -> bool {
        !matches!(self, Self::Files { made: Made::Here, .. }) || !behind_proxy(settings)
    }

    pub(super) async fn config(
        &self,
        settings: &Settings,
        folder: &Path,
    ) -> Result<CertConfig, Error> {
        match self {
            Self::Files { .. } => Ok(CertConfig::Manual { server_config: self.rustls().await? }),
            Self::Acme { name } => {
                let mut acme = AcmeConfig::letsencrypt(true)
                    .domains(vec![name.clone()])
                    .cache_path(folder.join("relay-acme"));
                if let Some(contact) = &settings.contact {
                    acme = acme.contact(vec![format!("mailto:{contact}")]);
                }
                let server_config_builder = builder();
                Ok(CertConfig::LetsEncrypt { acme_config: acme, server_config_builder })
            }
        }
    }

    pub(super) async fn rustls(&self) -> Result<ServerConfig, Error> {
        let Self::Files { cert, key, .. } = self else {
            return Err(Error::failed("without TLS there is no certificate of Let's Encrypt"));
        };
        let (provider, every) = (default_provider(), DEFAULT_CERT_RELOAD_INTERVAL);
        let loaded = reloading_resolver(&provider, cert.clone(), key.clone(), every).await;
        let resolver = loaded.map_err(|error| {
            let files = format!("{} and {}", cert.display(), key.display());
            Error::failed(format!("no certificate and key in {files}: {error:#}"))
                .hint("both are PEM files, and the key is that of the first certificate")
        })?;
        Ok(builder().with_cert_resolver(resolver))
    }
}

fn builder() -> rustls::ConfigBuilder<ServerConfig, rustls::server::WantsServerCert> {
    ServerConfig::builder_with_provider(default_provider())
        .with_safe_default_protocol_versions()
        .expect("ring has what TLS 1.2 and 1.3 need")
        .with_no_client_auth()
}

fn behind_proxy(settings: &Settings) -> bool {
    settings.http && settings.scheme() == Scheme::Https
}

/// The name in it says nothing: hubs know it by its pin, and it is good for ever.
fn make(cert: &Path, key: &Path) -> Result<(), Error> {
    if cert.exists() && key.exists() {
        return data::secret(key, String::new).map(|_| ());
    }
    let failed =
        |error: rcgen::Error| Error::failed(format!("no certificate can be made: {error}"));
    let signing = rcgen::KeyPair::generate().map_err(failed)?;
    let mut params = rcgen::CertificateParams::new(vec!["relay.farhub".into()]).map_err(failed)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.not_after = rcgen::date_time_ymd(9999, 12, 31);
    let made = params.self_signed(&signing).map_err(failed)?;
    for (file, text) in [(key, signing.serialize_pem()), (cert, made.pem())] {
        // a half of a pair is of no use
        if let Err(e) = std::fs::remove_file(file)
            && e.kind() != std::io::ErrorKind::NotFound
        {
            return Err(Error::failed(format!("{}: {e}", file.display())));
        }
        data::secret(file, || text)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[tokio::test]
    async fn a_certificate_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings::default();
        let pin = || {
            let made = Certificate::new(&settings, folder.path()).unwrap();
            made.pin(&settings).unwrap().unwrap()
        };
        assert_eq!(pin(), pin());
        let key = folder.path().join("relay-key.pem");
        assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        let made = Certificate::new(&settings, folder.path()).unwrap();
        assert!(made.rustls().await.is_ok());
        std::fs::set_permissions(&key, PermissionsExt::from_mode(0o644)).unwrap();
        assert!(Certificate::new(&settings, folder.path()).is_err(), "others can read the key");
    }

    #[test]
    fn behind_a_proxy_there_is_no_pin_and_no_telling() {
        let folder = tempfile::tempdir().unwrap();
        let url = Some("https://relay.example.org".parse().unwrap());
        let settings = Settings { http: true, url, ..Settings::default() };
        let made = Certificate::new(&settings, folder.path()).unwrap();
        assert_eq!(made.pin(&settings).unwrap(), None);
        assert!(!made.can_tell_addresses(&settings));
        let lan = Settings { http: true, ..Settings::default() };
        assert!(made.pin(&lan).unwrap().is_some() && made.can_tell_addresses(&lan));
    }
}
