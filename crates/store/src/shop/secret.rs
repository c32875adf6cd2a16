//! Secrets at rest: access codes of printers, settings of notification channels.
//!
//! ChaCha20-Poly1305 (RFC 8439) with a key that is not in the database, so that a copy of it opens
//! nothing. Sealed is nonce (12 bytes), ciphertext, tag. The place of a secret is authenticated
//! too: one that is copied into another row or column does not open.

use crate::Error;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use std::fmt;

/// What the shop's secrets are sealed with.
#[derive(Clone)]
pub struct SecretKey([u8; 32]);

impl SecretKey {
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    fn cipher(&self) -> LessSafeKey {
        let key = UnboundKey::new(&CHACHA20_POLY1305, &self.0);
        LessSafeKey::new(key.expect("its keys have 32 bytes"))
    }

    /// `place` is `table/id/column`.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub(super) fn seal(&self, secret: &str, place: &str) -> Result<Vec<u8>, Error> {
        let failed = |_| Error::Sealed(place.to_owned());
        // random: with 96 bits, four thousand million secrets stay below one chance in 2^32
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).map_err(failed)?;
        let mut sealed = secret.as_bytes().to_vec();
        let aad = Aad::from(place.as_bytes());
        let cipher = self.cipher();
        let nonce_once = Nonce::assume_unique_for_key(nonce);
        cipher.seal_in_place_append_tag(nonce_once, aad, &mut sealed).map_err(failed)?;
        sealed.splice(0..0, nonce);
        Ok(sealed)
    }

    /// # Errors
    /// [`Error::Sealed`] when it was sealed elsewhere, with another key, or changed.
    pub(super) fn open(&self, sealed: &[u8], place: &str) -> Result<String, Error> {
        let failed = || Error::Sealed(place.to_owned());
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>().ok_or_else(failed)?;
        let mut opened = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let aad = Aad::from(place.as_bytes());
        let opened =
            self.cipher().open_in_place(nonce, aad, &mut opened).map_err(|_| failed())?.to_vec();
        String::from_utf8(opened).map_err(|_| failed())
    }
}

impl From<[u8; 32]> for SecretKey {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_opens_at_its_place_only() {
        let (key, other) = (SecretKey::new([7; 32]), SecretKey::new([8; 32]));
        let sealed = key.seal("12345678", "printers/a/secret").unwrap();
        assert_eq!(sealed.len(), 12 + 8 + 16);
        assert!(!sealed.windows(4).any(|bytes| bytes == b"1234"));
        assert_eq!(key.open(&sealed, "printers/a/secret").unwrap(), "12345678");
        for (key, place) in [
            (&other, "printers/a/secret"),
            (&key, "printers/b/secret"),
            (&key, "channels/a/settings"),
        ] {
            assert!(matches!(key.open(&sealed, place), Err(Error::Sealed(_))), "{place}");
        }
        for at in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[at] ^= 1;
            assert!(key.open(&damaged, "printers/a/secret").is_err(), "{at}");
            assert!(key.open(&sealed[..at], "printers/a/secret").is_err(), "{at}");
        }
        assert_ne!(key.seal("12345678", "a").unwrap(), key.seal("12345678", "a").unwrap());
        assert_eq!(format!("{key:?}"), "SecretKey(..)");
    }
}
