//! What a hub says of itself on the local network, by mDNS (RFC 6762) as a service (RFC 6763).
//!
//! Anybody on the network hears it, and anybody can say it: it holds nothing secret, and nothing
//! in it is believed. A key that is announced is only where to look for that key; whoever answers
//! there proves it or is nobody.

use crate::Name;
use serde::{Deserialize, Serialize};

/// The service, with a type name of at most 15 characters (RFC 6763 §7.2).
pub const SERVICE: &str = "_farhub._udp.local.";

/// Properties of a TXT record that are looked at: a newer hub may say more than we know.
pub const PROPERTIES_MAX: usize = 16;
/// Addresses of one hub that are kept: two families on four interfaces.
pub const ADDRESSES_MAX: usize = 8;
/// `1.22.333-pre.4+build` and longer.
const VERSION_CHARS_MAX: usize = 32;

/// The TXT record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcement {
    /// The Ed25519 public key that the hub says it has.
    pub key: [u8; 32],
    /// What it calls itself.
    pub name: Name,
    pub version: String,
    /// Its UDP port on IPv6 where that is not the one of the SRV record.
    pub port_v6: Option<u16>,
}

/// Why a TXT record is not an announcement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnnouncementError {
    #[error("no key, or none of 64 hexadecimal digits")]
    Key,
    #[error("no name, or none that a hub can have")]
    Name,
    #[error("no version, or none that a program has")]
    Version,
    #[error("a port that is none")]
    Port,
}

impl Announcement {
    /// Reads the properties of a TXT record. Of two with one name the first counts, and names are
    /// the same in capitals (RFC 6763 §6.4); unknown ones are passed over.
    ///
    /// # Errors
    /// When one that is needed is not there or not as it should be.
    pub fn from_txt<'a>(
        properties: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    ) -> Result<Self, AnnouncementError> {
        let (mut key, mut name, mut version, mut port_v6) = (None, None, None, None);
        for (word, value) in properties.into_iter().take(PROPERTIES_MAX) {
            let place = match () {
                () if word.eq_ignore_ascii_case("key") => &mut key,
                () if word.eq_ignore_ascii_case("name") => &mut name,
                () if word.eq_ignore_ascii_case("version") => &mut version,
                () if word.eq_ignore_ascii_case("port6") => &mut port_v6,
                () => continue,
            };
            place.get_or_insert(value);
        }
        let text = |value: &'a [u8]| std::str::from_utf8(value).ok();
        let key = key.filter(|value| value.len() == 64);
        let key = key.and_then(|value| data_encoding::HEXLOWER.decode(value).ok());
        let key = key.and_then(|bytes| bytes.try_into().ok()).ok_or(AnnouncementError::Key)?;
        let name = name.and_then(text).and_then(|text| text.parse().ok());
        let version = version.and_then(text).filter(|text| is_version(text));
        let port_v6 =
            port_v6.map(|value| text(value).and_then(port).ok_or(AnnouncementError::Port));
        Ok(Self {
            key,
            name: name.ok_or(AnnouncementError::Name)?,
            version: version.ok_or(AnnouncementError::Version)?.to_owned(),
            port_v6: port_v6.transpose()?,
        })
    }

    /// The properties of the TXT record, the most needed first.
    #[must_use]
    pub fn to_txt(&self) -> Vec<(&'static str, String)> {
        let mut properties = vec![
            ("key", data_encoding::HEXLOWER.encode(&self.key)),
            ("name", self.name.to_string()),
            ("version", self.version.clone()),
        ];
        properties.extend(self.port_v6.map(|port| ("port6", port.to_string())));
        properties
    }
}

fn is_version(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || ".+-".contains(c);
    (1..=VERSION_CHARS_MAX).contains(&text.len()) && text.chars().all(fits)
}

fn port(text: &str) -> Option<u16> {
    let digits = (1..=5).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn garage() -> Announcement {
        Announcement {
            key: [0xa7; 32],
            name: "garage".parse().unwrap(),
            version: "0.1.0".to_owned(),
            port_v6: Some(3483),
        }
    }

    fn read(properties: &[(&str, &str)]) -> Result<Announcement, AnnouncementError> {
        Announcement::from_txt(properties.iter().map(|(key, value)| (*key, value.as_bytes())))
    }

    #[test]
    fn an_announcement_survives_being_a_txt_record() {
        let txt = garage().to_txt();
        assert_eq!(
            txt.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>(),
            [&format!("key={}", "a7".repeat(32)), "name=garage", "version=0.1.0", "port6=3483"]
        );
        let read = Announcement::from_txt(txt.iter().map(|(key, v)| (*key, v.as_bytes())));
        assert_eq!(read, Ok(garage()));
    }

    #[test]
    fn rfc_6763_6_4_capitals_doubles_and_what_is_not_known() {
        let key = "a7".repeat(32);
        let txt =
            [("KEY", &*key), ("Name", "garage"), ("name", "evil"), ("x", ""), ("version", "1")];
        assert_eq!(read(&txt).unwrap().name.as_str(), "garage");
    }

    #[test]
    fn what_is_malformed_is_no_announcement() {
        let key = "a7".repeat(32);
        let whole = [("key", &*key), ("name", "garage"), ("version", "1")];
        assert!(read(&whole).is_ok());
        let with = |place: usize, value: &str| {
            let mut txt = whole.map(|(key, value)| (key, value.to_owned()));
            value.clone_into(&mut txt[place].1);
            let pairs: Vec<_> = txt.iter().map(|(key, value)| (*key, value.as_str())).collect();
            read(&pairs).unwrap_err()
        };
        for wrong in ["", "a7", &key.to_uppercase(), &format!("{key}a7"), &"zz".repeat(32)] {
            assert_eq!(with(0, wrong), AnnouncementError::Key, "{wrong}");
        }
        for wrong in ["", "Garage", "a/b", "\u{1b}[2J", &"x".repeat(49)] {
            assert_eq!(with(1, wrong), AnnouncementError::Name, "{wrong}");
        }
        for wrong in ["", "1 ", "\u{202e}1", &"1".repeat(33)] {
            assert_eq!(with(2, wrong), AnnouncementError::Version, "{wrong}");
        }
        for wrong in ["0", "65536", "+1", "", "000001"] {
            let txt = [&whole[..], &[("port6", wrong)]].concat();
            assert_eq!(read(&txt), Err(AnnouncementError::Port), "{wrong}");
        }
        assert_eq!(read(&[]), Err(AnnouncementError::Key));
    }

    #[test]
    fn what_comes_after_many_properties_is_not_looked_at() {
        let key = "a7".repeat(32);
        let mut txt = vec![("x", ""); PROPERTIES_MAX];
        txt.extend([("key", &*key), ("name", "garage"), ("version", "1")]);
        assert_eq!(read(&txt), Err(AnnouncementError::Key));
    }

    proptest! {
        #[test]
        fn any_record_is_an_announcement_or_an_error(
            pairs: Vec<(String, Vec<u8>)>,
            name in "[a-zA-Z./-]{0,50}",
        ) {
            let key = "a7".repeat(32);
            let mut all: Vec<(&str, &[u8])> =
                pairs.iter().map(|(key, value)| (key.as_str(), value.as_slice())).collect();
            all.extend([("key", key.as_bytes()), ("name", name.as_bytes()), ("version", b"1")]);
            if let Ok(read) = Announcement::from_txt(all) {
                let txt = read.to_txt();
                let again = Announcement::from_txt(txt.iter().map(|(k, v)| (*k, v.as_bytes())));
                prop_assert_eq!(again, Ok(read));
            }
        }
    }
}
