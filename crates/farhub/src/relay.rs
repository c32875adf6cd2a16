//! `farhub relay`: a relay of one's own, for hubs that cannot reach each other directly.
//!
//! The server is iroh-relay's, as a library. What is decided here: who is admitted ([`access`]),
//! with which certificate ([`certificate`]), and the one line that tells other hubs all of it
//! (`wire::relay`). The line holds the secret, so it goes to a terminal or to a program that asks
//! for JSON, and never to a log.

mod access;
mod certificate;

use crate::data;
use crate::error::{Error, Exit};
use crate::notify;
use crate::out::Out;
use crate::up::{Ended, tell};
use access::Access;
use certificate::Certificate;
use clap::Args;
use iroh_relay::server::{
    ClientRateLimit, QuicConfig, RelayConfig, Server, ServerConfig, TlsConfig,
};
use serde::Deserialize;
use std::io::IsTerminal;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use wire::Relay;
use wire::relay::Scheme;

/// As typed, or as set in `relay.toml` under the same names.
#[derive(Args, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    /// Where hubs reach it: TCP, and UDP to tell them their addresses [default: 0.0.0.0:3483]
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: Option<SocketAddr>,
    /// What hubs call it, with the port that they use [default: this computer's address]
    #[arg(long, value_name = "URL")]
    pub url: Option<Relay>,
    /// Speak HTTP without TLS: behind a proxy, or in a network of your own
    #[arg(long)]
    pub http: bool,
    /// Certificate of your own, PEM with its chain; read again every day [default: one is made]
    #[arg(long, value_name = "FILE", requires = "key")]
    pub cert: Option<PathBuf>,
    /// Key of that certificate, PEM
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub key: Option<PathBuf>,
    /// Hubs shall know that certificate by its pin, since no public authority has signed it
    #[arg(long, requires = "cert")]
    pub pin: bool,
    /// Get a certificate for this name from Let's Encrypt; needs --listen 0.0.0.0:443
    #[arg(long, value_name = "NAME", conflicts_with_all = ["cert", "http"])]
    pub acme: Option<String>,
    /// Whom Let's Encrypt tells about trouble with the certificate
    #[arg(long, value_name = "EMAIL", requires = "acme")]
    pub contact: Option<String>,
    /// UDP port that tells hubs their addresses; 0: none [default: the port of --listen]
    #[arg(long, value_name = "PORT")]
    pub qad: Option<u16>,
    /// Admit this hub by its key, and nobody by the secret (may be repeated)
    #[arg(long, value_name = "KEY")]
    pub allow: Vec<hub::PeerId>,
    /// Admit the hubs whose keys are in this file, one a line; it may change at any time
    #[arg(long, value_name = "FILE")]
    pub allow_file: Option<PathBuf>,
    /// Bytes a second that each hub may send [default: as fast as it goes]
    #[arg(long, value_name = "BYTES")]
    pub rate: Option<NonZeroU32>,
    /// Hubs at a time [default: 256]
    #[arg(long, value_name = "NUMBER")]
    pub connections: Option<usize>,
    /// Show metrics in OpenMetrics' form on this address of this computer [default: none]
    #[arg(long, value_name = "ADDR:PORT")]
    pub metrics: Option<SocketAddr>,
}

#[derive(Args, Debug)]
pub(crate) struct Typed {
    #[command(flatten)]
    pub settings: Settings,
    /// Only print the line for the settings of hubs, with the secret
    #[arg(long)]
    pub show: bool,
}

/// Runs until SIGINT or SIGTERM.
pub(crate) async fn relay(
    typed: Typed,
    config: Option<&Path>,
    folder: PathBuf,
    out: Out,
) -> Result<(), Error> {
    let settings = typed.settings.over(Settings::load(config, &folder)?);
    settings.check()?;
    data::make(&folder)?;
    let access = Access::new(&settings, &folder)?;
    let certificate = Certificate::new(&settings, &folder)?;
    if typed.show {
        let port = settings.listen().port();
        let line = line(&settings, &access, &certificate, port, settings.qad.unwrap_or(port))?;
        return out.line(&line.line());
    }
    tell(LOG)?;
    let ended = Ended::listen()?;
    let config = server(&settings, access.clone(), &certificate, &folder).await?;
    let mut server = Server::spawn(config).await.map_err(|error| {
        let why = format!("the relay does not start: {}", told(&error));
        Error::failed(why)
            .hint("is the port taken, or below 1024 and you are not root? See: farhub relay --help")
    })?;
    let port = server.https_addr().or(server.http_addr()).map_or(0, |address| address.port());
    let qad = server.quic_addr().map_or(0, |address| address.port());
    ready(&line(&settings, &access, &certificate, port, qad)?, out)?;
    tokio::select! {
        () = ended.wait() => {}
        end = server.join() => {
            return Err(Error::failed(format!("the relay has ended by itself: {end:?}")));
        }
    }
    eprintln!("farhub: the relay stops");
    server.shutdown().await.map_err(|error| Error::failed(told(&error)))
}

impl Settings {
    /// From the file that was named, which must be there, or from the usual place, where it may
    /// be missing.
    fn load(named: Option<&Path>, folder: &Path) -> Result<Self, Error> {
        let usual = data::relay_config(folder);
        let path = named.unwrap_or(&usual);
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && named.is_none() => {
                return Ok(Self::default());
            }
            Err(e) => {
                let cannot = format!("the settings in {} cannot be read: {e}", path.display());
                return Err(Error::failed(cannot));
            }
        };
        crate::config::parse(&text).map_err(|wrong| {
            let error = Error::failed(format!("the settings in {}, {wrong}", path.display()));
            error.hint("farhub relay --help explains every setting")
        })
    }

    /// What is typed goes before what is set.
    fn over(self, set: Self) -> Self {
        Self {
            listen: self.listen.or(set.listen),
            url: self.url.or(set.url),
            http: self.http || set.http,
            cert: self.cert.or(set.cert),
            key: self.key.or(set.key),
            pin: self.pin || set.pin,
            acme: self.acme.or(set.acme),
            contact: self.contact.or(set.contact),
            qad: self.qad.or(set.qad),
            allow: [self.allow, set.allow].concat(),
            allow_file: self.allow_file.or(set.allow_file),
            rate: self.rate.or(set.rate),
            connections: self.connections.or(set.connections),
            metrics: self.metrics.or(set.metrics),
        }
    }

    /// What the command line checks by itself holds for the file as well.
    fn check(&self) -> Result<(), Error> {
        let wrong = |what: &str| Err(Error::new(Exit::Usage, what));
        if self.cert.is_some() != self.key.is_some() {
            return wrong("cert and key go together");
        }
        if self.acme.is_some() && (self.cert.is_some() || self.http) {
            return wrong("acme gets the certificate: cert, key and http do not go with it");
        }
        if self.url.as_ref().is_some_and(|url| url.line() != url.url()) {
            return wrong("url is without anything behind #: the relay adds that itself");
        }
        if self.metrics.is_some_and(|address| !address.ip().is_loopback()) {
            return wrong("metrics have no password, so they can only be on 127.0.0.1");
        }
        if self.connections == Some(0) {
            return wrong("connections must be above 0");
        }
        Ok(())
    }

    fn listen(&self) -> SocketAddr {
        self.listen.unwrap_or((Ipv4Addr::UNSPECIFIED, PORT).into())
    }

    /// How hubs speak to it, which a proxy may change.
    fn scheme(&self) -> Scheme {
        match &self.url {
            Some(url) => url.scheme(),
            None if self.http => Scheme::Http,
            None => Scheme::Https,
        }
    }
}

async fn server(
    settings: &Settings,
    access: Access,
    certificate: &Certificate,
    folder: &Path,
) -> Result<ServerConfig, Error> {
    let listen = settings.listen();
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    // with TLS, the server wants a second port for what browsers ask without: nobody is told of it
    let mut relay = RelayConfig::new(if settings.http { listen } else { any });
    if !settings.http {
        relay.tls = Some(TlsConfig::new(listen, certificate.config(settings, folder).await?));
    }
    relay.limits.client_rx = settings.rate.map(ClientRateLimit::new);
    relay.access = Arc::new(access);
    let mut server = ServerConfig::default();
    server.relay = Some(relay);
    server.metrics_addr = settings.metrics;
    if settings.qad != Some(0) && certificate.can_tell_addresses(settings) {
        let address = SocketAddr::new(listen.ip(), settings.qad.unwrap_or(listen.port()));
        let mut quic = QuicConfig::new(address);
        if settings.http {
            quic.server_config = Some(certificate.rustls().await?);
        }
        server.quic = Some(quic);
    }
    Ok(server)
}

/// All that a hub needs to know.
fn line(
    settings: &Settings,
    access: &Access,
    certificate: &Certificate,
    port: u16,
    qad: u16,
) -> Result<Relay, Error> {
    let wrong = |error| Error::failed(format!("{error}"));
    let relay = match (&settings.url, &settings.acme) {
        (Some(url), _) => url.clone(),
        (None, Some(name)) => Relay::new(Scheme::Https, name, port).map_err(wrong)?,
        (None, None) => {
            let host = match own_address(settings.listen().ip()) {
                IpAddr::V4(ip) => ip.to_string(),
                IpAddr::V6(ip) => format!("[{ip}]"),
            };
            Relay::new(settings.scheme(), &host, port).map_err(wrong)?
        }
    };
    let tells = settings.qad != Some(0) && certificate.can_tell_addresses(settings);
    let relay = relay.qad(if tells { qad } else { 0 });
    let relay = match certificate.pin(settings)? {
        Some(pin) => relay.pinned(pin),
        None => relay,
    };
    match access.secret() {
        Some(secret) => relay.secret(secret).map_err(wrong),
        None => Ok(relay),
    }
}

/// That of the way out, where it listens on all. Nothing is sent: a UDP socket is connected to an
/// address of RFC 5737, where nobody is.
fn own_address(listen: IpAddr) -> IpAddr {
    let out = || {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
        socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
        Some(socket.local_addr().ok()?.ip())
    };
    if listen.is_unspecified() { out().unwrap_or(Ipv4Addr::LOCALHOST.into()) } else { listen }
}

fn ready(line: &Relay, out: Out) -> Result<(), Error> {
    eprintln!("farhub: the relay is ready on {line}");
    if line.token().is_some() && line.scheme() == Scheme::Http {
        eprintln!("farhub: without TLS, whoever listens in the network learns the secret");
    }
    if out.json {
        let ready = serde_json::json!({
            "event": "ready", "url": line.url(), "relay": line.line(),
        });
        out.json_line(&ready)?;
    } else if std::io::stdout().is_terminal() {
        eprintln!("In farhub.toml of each hub that is to use it:");
        out.line(&format!("relay = [\"{}\"]", line.line()))?;
    } else {
        eprintln!("farhub: the line for other hubs' settings: farhub relay --show");
    }
    if let Err(error) = notify::ready() {
        tracing::warn!("systemd does not hear us: {error}");
    }
    Ok(())
}

/// An error with its causes, each once.
fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// Strangers could fill the log with what they send: it is not told.
const LOG: &str =
    "warn,farhub=info,iroh_relay::server::http_server=off,iroh_relay::server::client=off";
/// Beside that of the web UI.
const PORT: u16 = 3483;

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> Settings {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        assert!(toml::from_str::<Settings>("listne = \"0.0.0.0:1\"").is_err());
        assert!(toml::from_str::<Settings>("allow = [\"abc\"]").is_err());
        assert!(toml::from_str::<Settings>("rate = 0").is_err());
        for wrong in [
            "cert = \"a\"",
            "http = true\nacme = \"relay.example.org\"",
            "metrics = \"0.0.0.0:9090\"",
            "connections = 0",
            "url = \"https://a/#qad=0\"",
        ] {
            assert!(set(wrong).check().is_err(), "{wrong}");
        }
        assert!(set("").check().is_ok());
    }

    #[test]
    fn what_is_typed_goes_before_what_is_set() {
        let typed = set("listen = \"127.0.0.1:1\"");
        let both = typed.over(set("listen = \"127.0.0.1:2\"\nconnections = 3"));
        assert_eq!((both.listen().port(), both.connections), (1, Some(3)));
    }
}
