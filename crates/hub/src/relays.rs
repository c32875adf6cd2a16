//! The relays that a hub knows: those of its configuration, and those of the tickets it was given.
//!
//! A relay carries packets that are encrypted from hub to hub, so what it is trusted with is only
//! to be there, and our secret for it. A relay with a pin is known by its certificate alone; the
//! others by the authorities that browsers trust. A pin counts for a host, since that is all that
//! TLS tells us of whom we called; so whoever writes tickets cannot change what is pinned already.

use iroh::{Endpoint, RelayConfig, RelayMode, RelayUrl, SecretKey};
use iroh_relay::RelayQuicConfig;
use iroh_relay::client::{ClientBuilder, ConnectError};
use iroh_relay::protos::handshake;
use iroh_relay::tls::CaTlsConfig;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, OtherError, SignatureScheme};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use wire::Relay;
use wire::relay::{Pin, Scheme};

/// Relays of tickets that are remembered beside those of the configuration.
const LEARNED_MAX: usize = 32;
/// Relays in a ticket: more would not fit a QR code that a phone can read.
const IN_TICKET_MAX: usize = 2;
/// A person is waiting, and a relay that takes longer is of no use.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// What a hub knows of relays. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Relays(Arc<Known>);

#[derive(Debug, Default)]
struct Known {
    /// Of the configuration, in its order.
    own: Vec<Relay>,
    all: RwLock<BTreeMap<RelayUrl, Relay>>,
    /// Whether any may be used at all.
    offline: bool,
    /// A server showed another certificate than the one that it is known by.
    impostor: AtomicBool,
}

/// Those of number 0, who make iroh: anybody may use them.
#[must_use]
pub fn public_relays() -> Vec<Relay> {
    let urls: Vec<RelayUrl> = iroh::defaults::prod::default_relay_map().urls();
    let relay = |url: &RelayUrl| {
        let host = url.host_str()?.trim_end_matches('.');
        Relay::new(Scheme::Https, host, url.port_or_known_default()?).ok()
    };
    urls.iter().map(|url| relay(url).expect("iroh's own URLs are those of relays")).collect()
}

/// The SHA-256 of a certificate.
#[must_use]
pub fn pin(certificate: &[u8]) -> Pin {
    let digest = ring::digest::digest(&ring::digest::SHA256, certificate);
    Pin(digest.as_ref().try_into().expect("SHA-256 has 32 bytes"))
}

impl Relays {
    pub(crate) fn new(own: Vec<Relay>) -> Self {
        let all = own.iter().map(|relay| (url(relay), relay.clone())).collect();
        Self(Arc::new(Known { own, all: RwLock::new(all), ..Known::default() }))
    }

    /// None, and none that a ticket names.
    pub(crate) fn never() -> Self {
        Self(Arc::new(Known { offline: true, ..Known::default() }))
    }

    /// Whether none is known from the start.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.own.is_empty()
    }

    /// A relay as it is shown, if it tells hubs their addresses over UDP.
    pub(crate) fn tells_addresses(&self, url: &RelayUrl) -> Option<String> {
        let all = self.0.all.read().unwrap_or_else(PoisonError::into_inner);
        all.get(url).filter(|relay| relay.qad_port().is_some()).map(Relay::to_string)
    }

    /// For the endpoint, which adds to it what is learned later: so there is a map even if it is
    /// empty.
    pub(crate) fn mode(&self) -> RelayMode {
        if self.0.offline {
            return RelayMode::Disabled;
        }
        let own = self.0.own.iter().map(config);
        RelayMode::Custom(own.collect())
    }

    /// Whom TLS takes for a relay.
    pub(crate) fn tls(&self) -> CaTlsConfig {
        let known = self.0.clone();
        CaTlsConfig::custom_server_cert_verifier(Arc::new(move |provider| {
            let roots = webpki_roots::TLS_SERVER_ROOTS.to_vec();
            let roots = Arc::new(rustls::RootCertStore { roots });
            let public = WebPkiServerVerifier::builder_with_provider(roots, provider.clone());
            let public = public.build().map_err(std::io::Error::other)?;
            Ok(Arc::new(Verifier { known: known.clone(), public, provider }))
        }))
    }

    /// Takes relays of a ticket or of a peer, as far as they change nothing that is known.
    pub(crate) async fn learn(&self, endpoint: &Endpoint, relays: &[Relay]) {
        for relay in relays {
            if self.take(relay) {
                endpoint.insert_relay(url(relay), config(relay)).await;
            }
        }
    }

    /// Says whether it is new.
    fn take(&self, relay: &Relay) -> bool {
        let mut all = self.0.all.write().unwrap_or_else(PoisonError::into_inner);
        if self.0.offline
            || all.contains_key(&url(relay))
            || all.len() >= self.0.own.len() + LEARNED_MAX
        {
            return false;
        }
        if all.values().any(|known| same_host(known, relay) && known.pin() != relay.pin()) {
            tracing::warn!(
                "{relay} is known by another certificate: that of the ticket is ignored"
            );
            return false;
        }
        all.insert(url(relay), relay.clone());
        true
    }

    /// For a ticket: where we are now first, then what is configured.
    pub(crate) fn for_ticket(&self, home: &[RelayUrl]) -> Vec<Relay> {
        let all = self.0.all.read().unwrap_or_else(PoisonError::into_inner);
        let mut relays: Vec<Relay> = home.iter().filter_map(|url| all.get(url)).cloned().collect();
        relays.extend(self.0.own.iter().filter(|own| !home.contains(&url(own))).cloned());
        relays.truncate(IN_TICKET_MAX);
        relays
    }
}

/// The form in which iroh knows it.
pub(crate) fn url(relay: &Relay) -> RelayUrl {
    relay.url().parse().expect("a relay's parts make a URL")
}

fn config(relay: &Relay) -> Arc<RelayConfig> {
    let config = RelayConfig::new(url(relay), relay.qad_port().map(RelayQuicConfig::new));
    Arc::new(match relay.token() {
        Some(token) => config.with_auth_token(token),
        None => config,
    })
}

/// Names may be written with the root's dot.
fn same_host(one: &Relay, other: &Relay) -> bool {
    one.host().trim_end_matches('.') == other.host().trim_end_matches('.')
}

#[derive(Debug)]
struct Verifier {
    known: Arc<Known>,
    public: Arc<WebPkiServerVerifier>,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn pins(&self, name: &ServerName<'_>) -> Vec<Pin> {
        let host = name.to_str().trim_end_matches('.').to_ascii_lowercase();
        let all = self.known.all.read().unwrap_or_else(PoisonError::into_inner);
        let of_host = all.values().filter(|it| it.host().trim_end_matches('.') == host);
        of_host.filter_map(Relay::pin).collect()
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let pins = self.pins(name);
        if pins.is_empty() {
            return self.public.verify_server_cert(certificate, intermediates, name, ocsp, now);
        }
        if pins.contains(&pin(certificate)) {
            return Ok(ServerCertVerified::assertion());
        }
        if !self.known.impostor.swap(true, Ordering::Relaxed) {
            let host = name.to_str();
            tracing::warn!("{host} shows another certificate than that of its pin: it is not used");
        }
        let why = CertificateError::Other(OtherError(Arc::new(NotPinned)));
        Err(rustls::Error::InvalidCertificate(why))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[derive(Debug, thiserror::Error)]
#[error("not the certificate of the pin")]
struct NotPinned;

/// Why a relay cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RelayTrouble {
    #[error("it does not answer: {0}")]
    Unreachable(String),
    #[error("it shows another certificate than that of its pin")]
    Impostor,
    #[error("its certificate is not good: {0}")]
    Certificate(String),
    #[error("it does not admit us: {0}")]
    Denied(String),
    #[error("what answers there is not a relay: {0}")]
    NotARelay(String),
}

/// Connects to a relay as a hub does, and leaves again.
///
/// # Errors
/// Says what stands in the way.
pub async fn probe_relay(relay: &Relay, key: [u8; 32]) -> Result<(), RelayTrouble> {
    let relays = Relays::new(vec![relay.clone()]);
    let tls = relays.tls().client_config(iroh_relay::tls::default_provider());
    let tls = tls.map_err(|error| RelayTrouble::Certificate(error.to_string()))?;
    let key = SecretKey::from_bytes(&key);
    let public = key.public();
    let resolver = iroh::dns::DnsResolver::default();
    let mut client = ClientBuilder::new(url(relay), key, resolver).tls_client_config(tls);
    if let Some(token) = relay.token() {
        client = client.auth_token(token);
    }
    let Ok(connected) = tokio::time::timeout(PROBE_TIMEOUT, client.connect()).await else {
        let seconds = PROBE_TIMEOUT.as_secs();
        return Err(RelayTrouble::Unreachable(format!("no answer in {seconds} s")));
    };
    let Err(error) = connected else { return Ok(()) };
    if relays.0.impostor.load(Ordering::Relaxed) {
        return Err(RelayTrouble::Impostor);
    }
    let why = told(&error);
    Err(match error {
        ConnectError::Handshake {
            source: handshake::Error::ServerDeniedAuth { reason, .. },
            ..
        } if relay.token().is_none() => RelayTrouble::Denied(format!("{reason} (it is {public})")),
        ConnectError::Handshake {
            source: handshake::Error::ServerDeniedAuth { reason, .. },
            ..
        } => RelayTrouble::Denied(reason),
        ConnectError::Tls { .. } | ConnectError::InvalidTlsServername { .. } => {
            RelayTrouble::Certificate(why)
        }
        ConnectError::Dial { .. } | ConnectError::NoLocalAddr { .. } => {
            RelayTrouble::Unreachable(why)
        }
        _ => RelayTrouble::NotARelay(why),
    })
}

/// An error with its causes, each once.
fn told(error: &ConnectError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        source = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relay(text: &str) -> Relay {
        text.parse().unwrap()
    }

    fn pinned(host: &str, digit: char) -> Relay {
        relay(&format!("https://{host}/#pin={}", digit.to_string().repeat(64)))
    }

    #[test]
    fn a_ticket_changes_nothing_that_is_known() {
        let own = relay("https://a/#secret=abcdefghij0123456789");
        let relays = Relays::new(vec![own.clone()]);
        assert!(!relays.take(&relay("https://a/#secret=9876543210jihgfedcba")));
        assert!(!relays.take(&pinned("a:444", '1')), "a pin counts for the whole host");
        assert!(relays.take(&pinned("b", '1')));
        assert!(!relays.take(&pinned("b:444", '2')));
        assert_eq!(relays.for_ticket(&[]), [own]);
    }

    #[test]
    fn a_ticket_names_first_where_we_are() {
        let (one, two, other) = (relay("https://a/"), relay("https://b/"), relay("https://c/"));
        let relays = Relays::new(vec![one.clone(), two.clone()]);
        assert_eq!(relays.for_ticket(&[]), [one.clone(), two.clone()]);
        assert_eq!(relays.for_ticket(&[url(&two)]), [two, one.clone()]);
        relays.take(&other);
        assert_eq!(relays.for_ticket(&[url(&other)]), [other, one]);
    }

    #[test]
    fn offline_no_ticket_names_one() {
        assert!(!Relays::never().take(&relay("https://a/")));
        assert!(matches!(Relays::never().mode(), RelayMode::Disabled));
    }

    #[test]
    fn what_tickets_make_us_remember_is_bounded() {
        let relays = Relays::default();
        let learned = (0..LEARNED_MAX + 5).filter(|n| relays.take(&relay(&format!("http://h{n}"))));
        assert_eq!(learned.count(), LEARNED_MAX);
    }
}
