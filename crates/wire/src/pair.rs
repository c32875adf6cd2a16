//! Pairing: a hub that knows a ticket becomes a peer.
//!
//! The ticket names the inviting hub's key and where it may be reached, and holds a secret that is
//! good once and for a short time. The hub that was given the ticket dials under [`ALPN`], where
//! TLS proves both keys, and sends a [`Request`]; the inviting hub answers with
//! [`crate::Answer::Ok`] and an [`Accepted`], or refuses without saying why.

pub mod code;

use crate::Name;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::str::FromStr;

/// Strangers may speak this, and nothing else.
pub const ALPN: &[u8] = b"farhub-pair/1";

/// Addresses in a ticket: more would not fit a QR code that a phone can read.
pub const ADDRESSES_MAX: usize = 12;

/// The secret of a ticket.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret(pub [u8; 16]);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// From the hub that was invited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    pub secret: Secret,
    /// What the hub calls itself.
    pub name: Name,
}

/// From the hub that invited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    pub name: Name,
}

/// A one-time, expiring invitation to pair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// The inviting hub's Ed25519 public key.
    pub hub: [u8; 32],
    pub addresses: Vec<SocketAddr>,
    pub relays: Vec<String>,
    pub secret: Secret,
    /// Seconds since 1970, for the message only: the inviting hub decides by its own clock.
    pub expires_s: u64,
}

/// Why a text is not a ticket.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TicketError {
    #[error("a ticket starts with {PREFIX:?}")]
    Prefix,
    #[error("the ticket is damaged: was it copied whole?")]
    Damaged,
    #[error("the ticket names too many addresses")]
    TooLong,
}

const PREFIX: &str = "farhub1";
const TEXT_BYTES_MAX: usize = 2048;

impl std::fmt::Display for Ticket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut bytes = postcard::to_stdvec(self).expect("memory takes any ticket");
        bytes.extend_from_slice(&checksum(&bytes));
        let text = data_encoding::BASE32_NOPAD.encode(&bytes).to_ascii_lowercase();
        write!(f, "{PREFIX}{text}")
    }
}

impl FromStr for Ticket {
    type Err = TicketError;
    fn from_str(text: &str) -> Result<Self, TicketError> {
        let text: String = text.split_whitespace().collect::<String>().to_ascii_lowercase();
        let text = text.strip_prefix(PREFIX).ok_or(TicketError::Prefix)?;
        if text.len() > TEXT_BYTES_MAX {
            return Err(TicketError::TooLong);
        }
        let bytes = data_encoding::BASE32_NOPAD
            .decode(text.to_ascii_uppercase().as_bytes())
            .map_err(|_| TicketError::Damaged)?;
        let (bytes, sum) = bytes.split_last_chunk::<2>().ok_or(TicketError::Damaged)?;
        if *sum != checksum(bytes) {
            return Err(TicketError::Damaged);
        }
        let ticket: Self = postcard::from_bytes(bytes).map_err(|_| TicketError::Damaged)?;
        if ticket.addresses.len() + ticket.relays.len() > ADDRESSES_MAX {
            return Err(TicketError::TooLong);
        }
        Ok(ticket)
    }
}

/// Fletcher-16, against a ticket that was copied in part or mistyped; not against an attacker.
fn checksum(bytes: &[u8]) -> [u8; 2] {
    let (a, b) = bytes.iter().fold((0u16, 0u16), |(a, b), byte| {
        let a = (a + u16::from(*byte)) % 255;
        (a, (b + a) % 255)
    });
    [a as u8, b as u8]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ticket() -> Ticket {
        Ticket {
            hub: [7; 32],
            addresses: vec!["192.0.2.1:4000".parse().unwrap(), "[2001:db8::1]:1".parse().unwrap()],
            relays: vec![],
            secret: Secret([9; 16]),
            expires_s: 1_800_000_000,
        }
    }

    #[test]
    fn a_ticket_survives_being_text() {
        let text = ticket().to_string();
        assert_eq!(text.parse(), Ok(ticket()));
        assert_eq!(format!(" {}\n", text.to_uppercase()).parse(), Ok(ticket()));
    }

    #[test]
    fn a_ticket_copied_in_part_is_said_to_be_damaged() {
        let text = ticket().to_string();
        assert_eq!(text[..text.len() - 4].parse::<Ticket>(), Err(TicketError::Damaged));
        assert_eq!("hello".parse::<Ticket>(), Err(TicketError::Prefix));
    }

    #[test]
    fn golden_bytes() {
        let name: Name = "ab".parse().unwrap();
        let request = Request { secret: Secret([9; 16]), name: name.clone() };
        let expected = [&[9; 16][..], &[2, b'a', b'b']].concat();
        assert_eq!(postcard::to_stdvec(&request).unwrap(), expected);
        assert_eq!(postcard::to_stdvec(&Accepted { name }).unwrap(), [2, b'a', b'b']);
    }

    #[test]
    fn the_secret_is_not_shown() {
        assert!(!format!("{:?}", ticket()).contains("9, 9"));
    }

    proptest! {
        #[test]
        fn any_text_is_a_ticket_or_an_error(text in "farhub1[a-z2-7]{0,200}") {
            let _ = text.parse::<Ticket>();
        }
    }
}
