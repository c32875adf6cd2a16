//! Names and ids: short texts with a fixed alphabet, checked where they enter.
//!
//! They end up in terminals, URLs, file names and SQL, so nothing else than what is listed here
//! ever gets inside.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Why a text is not what it should be.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum IdError {
    #[error("{what} may have 1 to {max} characters, not {len}")]
    Length { what: &'static str, max: usize, len: usize },
    #[error("{what} may not contain {found:?}: use a-z, 0-9 and {extra}")]
    Character { what: &'static str, found: char, extra: &'static str },
    #[error("an address is HUB/NAME, as in garage/laser")]
    Address,
}

fn check(text: &str, what: &'static str, max: usize, extra: &'static str) -> Result<(), IdError> {
    if text.is_empty() || text.len() > max {
        return Err(IdError::Length { what, max, len: text.len() });
    }
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || extra.contains(c);
    match text.chars().find(|c| !fits(*c)) {
        Some(found) => Err(IdError::Character { what, found, extra }),
        None => Ok(()),
    }
}

macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident, $what:literal, $max:literal, $extra:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[derive(utoipa::ToSchema)]
        #[serde(try_from = "String")]
        #[schema(value_type = String)]
        pub struct $name(String);

        impl $name {
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                check(&text, $what, $max, $extra)?;
                Ok(Self(text))
            }
        }
        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::try_from(text.to_owned())
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.0)
            }
        }
    };
}

text_type! {
    /// What people call a hub or a device: `garage`, `laser`.
    Name, "a name", 48, "._-"
}
text_type! {
    /// What a device is, across replug and restart: `usb-0403:6001:a50285bi`, or with the port
    /// path where there is no serial number: `usb-0403:6001@1-1.2`.
    DeviceId, "a device id", 128, "._:@-"
}

/// As in the type above; names are ASCII.
const NAME_CHARS_MAX: usize = 48;

impl Name {
    /// The nearest name to any text, such as a product string; `fallback` where nothing is left.
    #[must_use]
    pub fn from_text(text: &str, fallback: &str) -> Self {
        let mut slug = String::new();
        for c in text.chars().flat_map(char::to_lowercase) {
            if c.is_ascii_lowercase() || c.is_ascii_digit() {
                slug.push(c);
            } else if !slug.is_empty() && !slug.ends_with('-') {
                slug.push('-');
            }
            if slug.len() >= 40 {
                break;
            }
        }
        let slug = slug.trim_end_matches('-');
        Self(if slug.is_empty() { fallback.to_owned() } else { slug.to_owned() })
    }

    /// This name with a number, to tell it from others that are equal.
    #[must_use]
    pub fn numbered(&self, number: u32) -> Self {
        let ending = format!("-{number}");
        let kept = self.0.len().min(NAME_CHARS_MAX - ending.len());
        Self(format!("{}{ending}", &self.0[..kept]))
    }
}

/// A device as people write it: `garage/laser`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address {
    pub hub: Name,
    pub device: Name,
}

impl utoipa::PartialSchema for Address {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        String::schema()
    }
}
impl utoipa::ToSchema for Address {}
impl FromStr for Address {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let (hub, device) = text.split_once('/').ok_or(IdError::Address)?;
        Ok(Self { hub: hub.parse()?, device: device.parse()? })
    }
}
impl TryFrom<String> for Address {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}
impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.hub, self.device)
    }
}

/// Any text that came from a device or a peer, made fit to show: no control characters (a
/// terminal would obey them), at most [`Text::CHARS_MAX`] characters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(from = "String")]
#[schema(value_type = String)]
pub struct Text(String);

impl Text {
    /// A USB string descriptor holds 126 characters.
    pub const CHARS_MAX: usize = 128;

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}
impl From<&str> for Text {
    fn from(text: &str) -> Self {
        let mut shown = String::with_capacity(text.len().min(4 * Self::CHARS_MAX));
        let printable = text.chars().filter(|c| !c.is_control());
        shown.extend(printable.skip_while(|c| c.is_whitespace()).take(Self::CHARS_MAX));
        shown.truncate(shown.trim_end().len());
        Self(shown)
    }
}
impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_to_their_alphabet() {
        assert!("garage-2".parse::<Name>().is_ok());
        assert!("".parse::<Name>().is_err());
        assert!("Garage".parse::<Name>().is_err());
        assert!("a/b".parse::<Name>().is_err());
        assert!("x".repeat(49).parse::<Name>().is_err());
    }

    #[test]
    fn a_product_string_becomes_a_name() {
        assert_eq!(Name::from_text("USB Serial (FT232R)", "usb").as_str(), "usb-serial-ft232r");
        assert_eq!(Name::from_text("\u{1b}[2J", "usb").as_str(), "2j");
        assert_eq!(Name::from_text("打印机", "usb").as_str(), "usb");
    }

    #[test]
    fn a_numbered_name_is_a_name() {
        for name in ["disk".to_owned(), "x".repeat(48)] {
            let numbered = name.parse::<Name>().unwrap().numbered(u32::MAX);
            assert_eq!(numbered.as_str().parse(), Ok(numbered.clone()));
        }
    }

    #[test]
    fn texts_lose_what_a_terminal_would_obey() {
        assert_eq!(Text::from("a\u{1b}[31mb\n").as_str(), "a[31mb");
        assert_eq!(Text::from("é".repeat(500)).as_str().chars().count(), Text::CHARS_MAX);
    }

    #[test]
    fn a_text_that_is_fit_to_show_stays_as_it_is() {
        let long = format!("{} b", "a".repeat(Text::CHARS_MAX - 1));
        for text in ["a \u{16}", "\u{16} a", " a\u{16} \u{16}", &long] {
            let once = Text::from(text);
            assert_eq!(Text::from(once.as_str()), once, "{text:?}");
        }
        assert_eq!(Text::from(" \u{16} a b \u{16}").as_str(), "a b");
    }

    #[test]
    fn an_address_has_two_names() {
        let address: Address = "garage/laser".parse().unwrap();
        assert_eq!((address.hub.as_str(), address.device.as_str()), ("garage", "laser"));
        assert_eq!("garage".parse::<Address>(), Err(IdError::Address));
    }
}
