//! Where a hub is, as people write it: `garage.lan:3482`, `192.168.1.7:3482`, `[2001:db8::7]:3482`.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

/// Of a DNS name (RFC 1035 §2.3.4).
const HOST_CHARS_MAX: usize = 253;

/// A host and a UDP port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostPort {
    /// A DNS name, or an address without brackets.
    host: String,
    port: u16,
}

/// Why a text is not a host and a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write it as HOST:PORT, as in garage.lan:3482, 192.168.1.7:3482 or [2001:db8::7]:3482")]
pub struct HostPortError;

impl HostPort {
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl FromStr for HostPort {
    type Err = HostPortError;
    fn from_str(text: &str) -> Result<Self, HostPortError> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            let (host, port) = (address.ip().to_string(), address.port());
            let scoped = matches!(address, SocketAddr::V6(v6) if v6.scope_id() != 0);
            return if port == 0 || scoped { Err(HostPortError) } else { Ok(Self { host, port }) };
        }
        let (host, port) = text.rsplit_once(':').ok_or(HostPortError)?;
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        let label = |label: &str| {
            let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            (1..=63).contains(&label.len()) && label.chars().all(fits) && !label.starts_with('-')
        };
        // four numbers that are no address are no name either
        let last = host.rsplit('.').next().unwrap_or_default();
        let number = last.bytes().all(|b| b.is_ascii_digit());
        let named = host.len() <= HOST_CHARS_MAX && !number && host.split('.').all(label);
        let port = port.parse().ok().filter(|port| *port != 0 && named);
        Ok(Self { host, port: port.ok_or(HostPortError)? })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl TryFrom<String> for HostPort {
    type Error = HostPortError;
    fn try_from(text: String) -> Result<Self, HostPortError> {
        text.parse()
    }
}
impl From<HostPort> for String {
    fn from(place: HostPort) -> Self {
        place.to_string()
    }
}
impl utoipa::PartialSchema for HostPort {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        String::schema()
    }
}
impl utoipa::ToSchema for HostPort {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_and_addresses_of_both_families() {
        for text in ["garage.lan:3482", "192.168.1.7:1", "[2001:db8::7]:65535", "my_pc:1"] {
            assert_eq!(text.parse::<HostPort>().unwrap().to_string(), text);
        }
        assert_eq!("Garage.LAN.:7".parse::<HostPort>().unwrap().to_string(), "garage.lan:7");
    }

    #[test]
    fn what_is_no_place_is_an_error() {
        for wrong in [
            "",
            "garage",
            "garage:",
            "garage:0",
            ":1",
            "garage:65536",
            "2001:db8::7",
            "a b:1",
            "192.168.1.300:1",
            "1.2.3:1",
            "http://garage:1",
            "[fe80::1%2]:1",
            "-x:1",
            "a..b:1",
        ] {
            assert!(wrong.parse::<HostPort>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_was_read_reads_the_same_again(text in "[a-zA-Z0-9.:\\[\\]_-]{0,40}") {
            if let Ok(place) = text.parse::<HostPort>() {
                prop_assert_eq!(place.to_string().parse(), Ok(place));
            }
        }
    }
}
