//! Asking: for the use of a device, and with a second factor.
//!
//! The stream of an [`crate::Open::Ask`] stays open until the owner has answered; its end before
//! that takes the request back. An [`crate::Open::Unlock`] has no more to say than its answer.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The owner's answer to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = RequestReply)]
pub enum Reply {
    /// It may be used from now on, for so long.
    Accepted {
        seconds: u32,
    },
    Denied,
    /// Nobody answered in time.
    Expired,
}

/// What proves a peer's user, beside the peer's key. As much of it as the grant asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    pub pin: Option<Pin>,
    /// Of an authenticator app.
    pub code: Option<Pin>,
}

/// A PIN or a code, as it was typed. It is never shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String)]
pub struct Pin(String);

/// Why a text is no PIN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a PIN has 1 to {} characters, and none that cannot be seen", Pin::CHARS_MAX)]
pub struct NoPin;

impl Pin {
    /// Long enough for a passphrase.
    pub const CHARS_MAX: usize = 64;

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Pin {
    type Error = NoPin;
    fn try_from(text: String) -> Result<Self, NoPin> {
        let fits = !text.is_empty() && text.chars().count() <= Self::CHARS_MAX;
        if fits && !text.chars().any(char::is_control) { Ok(Self(text)) } else { Err(NoPin) }
    }
}

impl FromStr for Pin {
    type Err = NoPin;
    fn from_str(text: &str) -> Result<Self, NoPin> {
        Self::try_from(text.to_owned())
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pin(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    #[test]
    fn golden_bytes() {
        let bytes = |reply: &Reply| postcard::to_stdvec(reply).unwrap();
        assert_eq!(bytes(&Reply::Accepted { seconds: 3600 }), hex!("00 901c"));
        assert_eq!(bytes(&Reply::Denied), hex!("01"));
        assert_eq!(bytes(&Reply::Expired), hex!("02"));
        let proof = Proof { pin: Some("4711".parse().unwrap()), code: None };
        assert_eq!(postcard::to_stdvec(&proof).unwrap(), hex!("01 04 34373131 00"));
    }

    #[test]
    fn a_pin_is_short_and_never_shown() {
        let pin: Pin = "correct horse".parse().unwrap();
        assert_eq!(
            format!("{:?}", Proof { pin: Some(pin), code: None }),
            "Proof { pin: Some(Pin(..)), code: None }"
        );
        for wrong in ["", "a\nb", &"x".repeat(65)] {
            assert_eq!(wrong.parse::<Pin>(), Err(NoPin));
        }
        assert!(postcard::from_bytes::<Proof>(&hex!("01 01 0a 00")).is_err());
    }
}
