//! How a printer is reached, and by what right.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
#[schema(as = PrinterProtocol)]
pub enum Protocol {
    /// Bambu Lab in LAN mode: MQTT and FTP, each in TLS.
    Bambu,
    PrusaLink,
    /// Klipper's.
    Moonraker,
    OctoPrint,
}

impl Protocol {
    pub const ALL: [Self; 4] = [Self::Bambu, Self::PrusaLink, Self::Moonraker, Self::OctoPrint];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bambu => "bambu",
            Self::PrusaLink => "prusalink",
            Self::Moonraker => "moonraker",
            Self::OctoPrint => "octoprint",
        }
    }

    /// The port where it is found unless its owner says otherwise.
    #[must_use]
    pub fn default_port(self) -> u16 {
        match self {
            Self::Bambu => 8883,
            Self::PrusaLink | Self::OctoPrint => 80,
            Self::Moonraker => 7125,
        }
    }
}

impl FromStr for Protocol {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|protocol| protocol.as_str() == text);
        found.ok_or_else(|| {
            format!("{text:?} is no protocol of a printer: bambu, prusalink, moonraker, octoprint")
        })
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Everything that is needed to talk to one printer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    pub protocol: Protocol,
    /// A DNS name, an IPv4 address, or an IPv6 address without brackets.
    pub host: String,
    /// Of MQTT for Bambu, of HTTP for the rest.
    pub port: u16,
    /// Of FTPS, Bambu only; 990.
    pub files_port: u16,
    /// HTTP in TLS; Bambu always is.
    pub tls: bool,
    /// Bambu only, where it is the name in the certificate and in every topic.
    pub serial_number: String,
    /// Of PrusaLink's digest login; with an empty one the secret is sent as an API key.
    pub user: String,
    /// Access code, password or API key; empty where the printer asks for none.
    pub secret: Secret,
    /// What the printer's certificate was when it was added. `None` takes any whose name fits, and
    /// tells which it was.
    pub pin: Option<Fingerprint>,
}

impl Connection {
    #[must_use]
    pub fn new(protocol: Protocol, host: &str) -> Self {
        Self {
            protocol,
            host: host.to_owned(),
            port: protocol.default_port(),
            files_port: 990,
            tls: false,
            serial_number: String::new(),
            user: String::new(),
            secret: Secret::default(),
            pin: None,
        }
    }

    /// Host and port, as they stand in a URL.
    #[must_use]
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

/// Is never shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}
impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "no secret" } else { "a secret" })
    }
}

/// SHA-256 of a certificate (DER).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
impl FromStr for Fingerprint {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, &'static str> {
        const WRONG: &str = "a fingerprint has 64 hexadecimal digits";
        let digits: Option<Vec<u8>> =
            text.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect();
        let digits = digits.filter(|digits| digits.len() == 64).ok_or(WRONG)?;
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
            *byte = pair[0] << 4 | pair[1];
        }
        Ok(Self(bytes))
    }
}
