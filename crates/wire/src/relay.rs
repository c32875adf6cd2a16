//! Where a relay is, and what it takes to use it, in one line:
//! `https://relay.example.org/#secret=..&pin=..&qad=7842`.
//!
//! What is behind the `#` is never sent to a server by anything that speaks HTTP, so that the line
//! gives nothing away when somebody opens it in a browser. It is read strictly: a mistyped setting
//! is an error, never a relay that is trusted more than was meant.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

/// Of one's own, or of a peer's ticket.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Relay {
    scheme: Scheme,
    /// A name, an IPv4 address, or an IPv6 address in brackets; lower case.
    host: String,
    port: Option<u16>,
    secret: Option<String>,
    pin: Option<Pin>,
    qad_port: Option<u16>,
}

/// How a relay is spoken to. Hub to hub everything is encrypted all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scheme {
    /// In a network of one's own, where reading the secret takes as much as having it.
    Http,
    Https,
}

/// The SHA-256 of a certificate, as `openssl x509 -fingerprint -sha256` shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pin(pub [u8; 32]);

/// Why a text is not the line of a relay. The text is not in the message: it may hold a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RelayError {
    #[error("this is not the URL of a relay, as in https://relay.example.org")]
    Url,
    #[error("the URL of a relay has no user, path or query")]
    Extra,
    #[error("behind # there may be secret=, pin= and qad=, each once, with & between")]
    Setting,
    #[error("secret= is 16 to 128 letters, digits, dots, - and _")]
    Secret,
    #[error("pin= is the SHA-256 of a certificate: 64 hexadecimal digits")]
    Pin,
    #[error("qad= is a UDP port, or 0 for none")]
    Qad,
}

/// A secret that can be guessed is none; a header that is larger is refused by servers. Said in
/// [`RelayError::Secret`].
const SECRET_CHARS: (usize, usize) = (16, 128);
/// Where relays answer over UDP if nothing else is said: where does a packet of mine come from?
pub const QAD_PORT: u16 = 7842;
/// What DNS allows for a name.
const HOST_CHARS_MAX: usize = 253;

impl Relay {
    /// # Errors
    /// When host or secret cannot be part of a line.
    pub fn new(scheme: Scheme, host: &str, port: u16) -> Result<Self, RelayError> {
        let host = host.to_ascii_lowercase();
        let port = (port != scheme.usual_port()).then_some(port);
        check_host(&host)?;
        Ok(Self { scheme, host, port, secret: None, pin: None, qad_port: None })
    }

    /// # Errors
    /// When it is too short, too long, or would need escapes.
    pub fn secret(self, secret: &str) -> Result<Self, RelayError> {
        let known = |c: u8| c.is_ascii_alphanumeric() || b"-_.".contains(&c);
        let fits = (SECRET_CHARS.0..=SECRET_CHARS.1).contains(&secret.len());
        if !fits || !secret.bytes().all(known) {
            return Err(RelayError::Secret);
        }
        Ok(Self { secret: Some(secret.to_owned()), ..self })
    }

    /// Only this certificate is accepted, and no authority is asked.
    #[must_use]
    pub fn pinned(self, pin: Pin) -> Self {
        Self { pin: Some(pin), ..self }
    }

    /// 0: it does not tell addresses.
    #[must_use]
    pub fn qad(self, port: u16) -> Self {
        Self { qad_port: (port != QAD_PORT).then_some(port), ..self }
    }

    /// Without what is secret: for people, logs and dialling.
    #[must_use]
    pub fn url(&self) -> String {
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}://{}{port}/", self.scheme.name(), self.host)
    }

    /// The whole line, with the secret: for whoever is to use the relay.
    #[must_use]
    pub fn line(&self) -> String {
        let settings = [
            self.secret.as_ref().map(|secret| format!("secret={secret}")),
            self.pin.map(|pin| format!("pin={pin}")),
            self.qad_port.map(|port| format!("qad={port}")),
        ];
        let settings: Vec<String> = settings.into_iter().flatten().collect();
        let mark = if settings.is_empty() { "" } else { "#" };
        format!("{}{mark}{}", self.url(), settings.join("&"))
    }

    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Without the brackets of an IPv6 address.
    #[must_use]
    pub fn host(&self) -> &str {
        self.host.trim_matches(['[', ']'])
    }

    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(self.scheme.usual_port())
    }

    /// What it asks for, unless it knows us by our key.
    #[must_use]
    pub fn token(&self) -> Option<&str> {
        self.secret.as_deref()
    }

    #[must_use]
    pub fn pin(&self) -> Option<Pin> {
        self.pin
    }

    /// Where it tells addresses, if it does.
    #[must_use]
    pub fn qad_port(&self) -> Option<u16> {
        Some(self.qad_port.unwrap_or(QAD_PORT)).filter(|port| *port != 0)
    }
}

impl FromStr for Relay {
    type Err = RelayError;
    fn from_str(text: &str) -> Result<Self, RelayError> {
        let text = text.trim();
        let (url, settings) = match text.split_once('#') {
            None => (text, None),
            Some((url, settings)) => (url, Some(settings)),
        };
        let (scheme, rest) = url.split_once("://").ok_or(RelayError::Url)?;
        let scheme = match scheme {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return Err(RelayError::Url),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['/', '?', '@']) {
            return Err(RelayError::Extra);
        }
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => {
                let digits = port.bytes().all(|c| c.is_ascii_digit());
                let port = port.parse().ok().filter(|port| digits && *port != 0);
                (host, port.ok_or(RelayError::Url)?)
            }
            _ => (authority, scheme.usual_port()),
        };
        let relay = Self::new(scheme, host, port)?;
        settings.map_or(Ok(relay.clone()), |settings| relay.with(settings))
    }
}

impl Relay {
    /// Reads what is behind the `#`.
    fn with(mut self, settings: &str) -> Result<Self, RelayError> {
        for setting in settings.split('&') {
            let (key, value) = setting.split_once('=').ok_or(RelayError::Setting)?;
            self = match key {
                "secret" if self.secret.is_none() => self.secret(value)?,
                "pin" if self.pin.is_none() => self.pinned(value.parse()?),
                "qad" if self.qad_port.is_none() => {
                    let digits = value.bytes().all(|c| c.is_ascii_digit());
                    let port = value.parse().ok().filter(|_| digits);
                    Self { qad_port: Some(port.ok_or(RelayError::Qad)?), ..self }
                }
                _ => return Err(RelayError::Setting),
            };
        }
        let port = self.qad_port.unwrap_or(QAD_PORT);
        Ok(self.qad(port))
    }
}

impl Scheme {
    fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    fn usual_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

fn check_host(host: &str) -> Result<(), RelayError> {
    let inner = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let good = match inner {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => {
            let known = |c: u8| c.is_ascii_alphanumeric() || b"-.".contains(&c);
            let label = |label: &str| !label.is_empty() && !label.starts_with('-');
            host.len() <= HOST_CHARS_MAX && host.bytes().all(known) && host.split('.').all(label)
        }
    };
    if good { Ok(()) } else { Err(RelayError::Url) }
}

impl FromStr for Pin {
    type Err = RelayError;
    fn from_str(text: &str) -> Result<Self, RelayError> {
        let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok();
        bytes.and_then(|bytes| bytes.try_into().ok()).map(Self).ok_or(RelayError::Pin)
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

/// Without the secret, as [`Relay::url`].
impl fmt::Display for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url())
    }
}

/// Without the secret.
impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secret = self.secret.as_ref().map_or("", |_| " with a secret");
        let pin = self.pin.as_ref().map_or("", |_| ", pinned");
        write!(f, "Relay({}{secret}{pin})", self.url())
    }
}

impl TryFrom<String> for Relay {
    type Error = RelayError;
    fn try_from(text: String) -> Result<Self, RelayError> {
        text.parse()
    }
}

/// For files and tickets, which are secret themselves.
impl From<Relay> for String {
    fn from(relay: Relay) -> Self {
        relay.line()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PIN: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

    #[test]
    fn a_line_says_everything_and_survives() {
        let line = format!("https://relay.example.org:3483/#secret=abcdefghij0123456789&pin={PIN}");
        let relay: Relay = line.parse().unwrap();
        assert_eq!(relay.line(), line);
        assert_eq!((relay.host(), relay.port()), ("relay.example.org", 3483));
        assert_eq!(relay.token(), Some("abcdefghij0123456789"));
        assert_eq!(relay.pin().unwrap().to_string(), PIN);
        assert_eq!(relay.qad_port(), Some(7842));
        let plain: Relay = "http://[fd00::1]#qad=0".parse().unwrap();
        assert_eq!((plain.host(), plain.port(), plain.qad_port()), ("fd00::1", 80, None));
        assert_eq!(plain.line(), "http://[fd00::1]/#qad=0");
        let short: Relay = "https://RELAY.example.org:443".parse().unwrap();
        assert_eq!(short.line(), "https://relay.example.org/");
        let usual: Relay = "https://a/#qad=7842".parse().unwrap();
        assert_eq!(usual.line(), "https://a/");
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        let wrong = |text: &str| text.parse::<Relay>().unwrap_err();
        for text in ["", "relay.example.org", "ftp://a", "https://", "https://a b", "https://a:0"] {
            assert_eq!(wrong(text), RelayError::Url, "{text}");
        }
        assert_eq!(wrong("https://a:+1"), RelayError::Url);
        assert_eq!(wrong("https://[::g]"), RelayError::Url);
        assert_eq!(wrong("https://u@a"), RelayError::Extra);
        assert_eq!(wrong("https://a/relay"), RelayError::Extra);
        assert_eq!(wrong("https://a/?token=1"), RelayError::Extra);
        assert_eq!(wrong("https://a/#"), RelayError::Setting);
        assert_eq!(wrong("https://a/#pins=1"), RelayError::Setting);
        assert_eq!(wrong("https://a/#qad=1&qad=2"), RelayError::Setting);
        assert_eq!(wrong("https://a/#secret=short"), RelayError::Secret);
        assert_eq!(wrong("https://a/#secret=abcdefghij01234567%20"), RelayError::Secret);
        assert_eq!(wrong("https://a/#pin=0011"), RelayError::Pin);
        assert_eq!(wrong("https://a/#qad=70000"), RelayError::Qad);
    }

    #[test]
    fn the_secret_is_not_shown() {
        let relay: Relay = "https://a/#secret=abcdefghij0123456789".parse().unwrap();
        assert!(!format!("{relay} {relay:?}").contains("abcdefghij"));
    }

    proptest! {
        #[test]
        fn any_text_is_a_relay_that_survives_or_an_error(text in "https?://[ -~]{0,60}") {
            if let Ok(relay) = text.parse::<Relay>() {
                prop_assert_eq!(relay.line().parse(), Ok(relay));
            }
        }
    }
}
