//! Pairing by a short code, for two computers whose screens somebody can see.
//!
//! The hub that was told to pair dials under [`ALPN`], where TLS proves each side's key to the
//! other. What TLS cannot know is whether these are the two computers that people mean: somebody
//! in between could speak to each with a key of their own. So both draw a nonce, and compute a
//! code from the two keys and the two nonces; people carry the code from one screen to the other.
//!
//! ```text
//! asking hub                                asked hub
//! Hello { name, commitment to a nonce }  →
//!                                        ←  Answer::Ok, Nonce { name, nonce }
//! Reveal { nonce }                       →
//!       shows the code of 6 digits                somebody types it here
//!                                        ←  Agreed
//!       somebody types it here                    shows the check number of 2 digits
//! Agreed                                 →
//!                                        ←  Paired
//! ```
//!
//! The commitment comes first, so that nobody can choose a nonce to get a code: whoever is in
//! between has one chance in a million, and each costs an attempt that people see fail. Codes are
//! typed, never just approved: who sees nothing on the other screen has nothing to type. The asked
//! hub shows the check number only after the right code was typed there, so that the asking side
//! knows that it was. The asking hub says its name before anybody can know the code.
//!
//! As in Bluetooth's numeric comparison (Core 5.4, Vol 3 Part H §2.3.5.6.2) and ZRTP (RFC 6189
//! §4.4.1.1).

use crate::Name;
use serde::{Deserialize, Serialize};

/// Strangers on the local network may speak this.
pub const ALPN: &[u8] = b"farhub-pair-code/1";

/// What the asking hub says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Up {
    Hello {
        name: Name,
        commitment: [u8; 32],
    },
    Reveal {
        nonce: [u8; 32],
    },
    /// Somebody typed the check number.
    Agreed,
    /// It is over: a [`crate::Refusal`] as its code.
    Stopped(u8),
}

/// What the asked hub says, after [`crate::Answer::Ok`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Down {
    Nonce {
        name: Name,
        nonce: [u8; 32],
    },
    /// Somebody typed the code.
    Agreed,
    /// The asking hub is a peer from now on.
    Paired,
    /// It is over: a [`crate::Refusal`] as its code.
    Stopped(u8),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_bytes() {
        let name: Name = "ab".parse().unwrap();
        let bytes = |up: &Up| postcard::to_stdvec(up).unwrap();
        let hello = Up::Hello { name: name.clone(), commitment: [7; 32] };
        assert_eq!(bytes(&hello), [&[0, 2, b'a', b'b'][..], &[7; 32]].concat());
        assert_eq!(bytes(&Up::Reveal { nonce: [9; 32] }), [&[1][..], &[9; 32]].concat());
        assert_eq!(bytes(&Up::Agreed), [2]);
        assert_eq!(bytes(&Up::Stopped(33)), [3, 33]);
        let bytes = |down: &Down| postcard::to_stdvec(down).unwrap();
        let nonce = Down::Nonce { name, nonce: [9; 32] };
        assert_eq!(bytes(&nonce), [&[0, 2, b'a', b'b'][..], &[9; 32]].concat());
        assert_eq!(bytes(&Down::Agreed), [1]);
        assert_eq!(bytes(&Down::Paired), [2]);
        assert_eq!(bytes(&Down::Stopped(34)), [3, 34]);
    }
}
