//! What a grant may ask for beside the peer's key: a PIN, or the code of an authenticator app.
//!
//! PINs are short, so they are kept as argon2id (RFC 9106) and tries are few: after
//! [`Tries::FREE`] wrong ones each further one waits, twice as long as the one before. Codes are
//! TOTP (RFC 6238) with what every app can do: SHA-1, six digits, 30 s. A code is good one step
//! before and after its own, and once.

use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use data_encoding::BASE32_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use std::fmt;
use std::time::{Duration, Instant};
use subtle::ConstantTimeEq;
use wire::{Pin, Proof, Refusal};

/// Characters of a new PIN at least; with so few tries, four digits take years to guess.
const PIN_CHARS_MIN: usize = 4;
/// RFC 4226 §4: 160 bits are recommended.
const SECRET_BYTES: usize = 20;
const STEP_S: u64 = 30;
const DIGITS: u32 = 6;

/// What a grant asks for.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Factor {
    /// argon2id, PHC string.
    pin: Option<String>,
    totp: Option<Secret>,
}

/// A TOTP's secret.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(Vec<u8>);

impl Factor {
    /// What the database holds; `None` when it cannot be read.
    pub(crate) fn read(pin: Option<String>, totp: Option<&str>) -> Option<Self> {
        if let Some(pin) = &pin {
            argon2::PasswordHash::new(pin).ok()?;
        }
        let totp = match totp {
            None => None,
            Some(text) => {
                let secret = BASE32_NOPAD.decode(text.as_bytes()).ok()?;
                (secret.len() >= SECRET_BYTES).then_some(())?;
                Some(Secret(secret))
            }
        };
        Some(Self { pin, totp })
    }

    /// A new one. Takes the time that argon2 takes.
    pub(crate) fn new(pin: Option<&Pin>, totp: Option<Secret>) -> Result<Self, argon2::Error> {
        let hash = |pin: &Pin| {
            let salt: [u8; 16] = rand::random();
            let hash = Argon2::default().hash_password_with_salt(pin.as_str().as_bytes(), &salt);
            hash.map(|hash| hash.to_string()).map_err(|_| argon2::Error::OutOfMemory)
        };
        Ok(Self { pin: pin.map(hash).transpose()?, totp })
    }

    pub(crate) fn is_none(&self) -> bool {
        self.pin.is_none() && self.totp.is_none()
    }

    pub(crate) fn pin(&self) -> Option<&String> {
        self.pin.as_ref()
    }

    pub(crate) fn totp(&self) -> Option<&Secret> {
        self.totp.as_ref()
    }

    /// How it is asked for.
    pub(crate) fn needed(&self) -> Option<Refusal> {
        match (&self.pin, &self.totp) {
            (None, None) => None,
            (Some(_), None) => Some(Refusal::NeedsPin),
            (None, Some(_)) => Some(Refusal::NeedsCode),
            (Some(_), Some(_)) => Some(Refusal::NeedsPinAndCode),
        }
    }

    /// Whether a proof has all that is asked for, right or wrong.
    pub(crate) fn is_answered(&self, proof: &Proof) -> bool {
        let pin = self.pin.is_none() || proof.pin.is_some();
        pin && (self.totp.is_none() || proof.code.is_some())
    }

    /// Whether a proof is right; the TOTP's step, which is then to be used up. Both parts are
    /// always looked at, so that the time does not tell which was wrong. Blocks for a while.
    pub(crate) fn check(&self, proof: &Proof, unix_s: u64) -> Result<Option<u64>, Wrong> {
        let pin = match (&self.pin, &proof.pin) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(hash), Some(pin)) => {
                Argon2::default().verify_password(pin.as_str().as_bytes(), hash.as_str()).is_ok()
            }
        };
        let code = match (&self.totp, &proof.code) {
            (None, _) => Ok(None),
            (Some(_), None) => Err(Wrong),
            (Some(secret), Some(code)) => {
                secret.step_of(code.as_str(), unix_s).map(Some).ok_or(Wrong)
            }
        };
        if pin { code } else { Err(Wrong) }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wrong;

/// Whether a new PIN is long enough.
pub(crate) fn is_fit(pin: &Pin) -> bool {
    pin.as_str().chars().count() >= PIN_CHARS_MIN
}

impl Secret {
    pub(crate) fn random() -> Self {
        Self(rand::random::<[u8; SECRET_BYTES]>().to_vec())
    }

    pub(crate) fn base32(&self) -> String {
        BASE32_NOPAD.encode(&self.0)
    }

    /// What authenticator apps read, also as a QR code (the "Key Uri Format" of Google
    /// Authenticator). Both names are of our own alphabet, and need no escapes.
    pub(crate) fn uri(&self, hub: &wire::Name, account: &wire::Name) -> String {
        let secret = self.base32();
        format!("otpauth://totp/farhub:{account}@{hub}?secret={secret}&issuer=farhub")
    }

    /// The step for which this is the code, of those that are good now.
    fn step_of(&self, code: &str, unix_s: u64) -> Option<u64> {
        let now = unix_s / STEP_S;
        let mut found = None;
        for step in [now.saturating_sub(1), now, now.saturating_add(1)] {
            if bool::from(self.code(step).as_bytes().ct_eq(code.as_bytes())) {
                found = Some(step);
            }
        }
        found
    }

    /// RFC 4226 §5.3
    fn code(&self, step: u64) -> String {
        let mut mac = Hmac::<Sha1>::new_from_slice(&self.0).expect("a key of any length will do");
        mac.update(&step.to_be_bytes());
        let hash = mac.finalize().into_bytes();
        let offset = usize::from(hash[19] & 0xf);
        let word = u32::from_be_bytes([
            hash[offset] & 0x7f,
            hash[offset + 1],
            hash[offset + 2],
            hash[offset + 3],
        ]);
        format!("{:06}", word % 10u32.pow(DIGITS))
    }
}

impl fmt::Debug for Factor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Factor(pin: {}, totp: {})", self.pin.is_some(), self.totp.is_some())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Wrong tries at one grant. A hub that starts anew has forgotten them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tries {
    wrong: u32,
    locked: Option<Instant>,
}

impl Tries {
    /// Wrong ones without a wait.
    const FREE: u32 = 5;
    /// The first wait, doubling to the last.
    const WAIT: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(3600));

    /// Counts a try as wrong, before it is looked at: of many at the same time none is free.
    ///
    /// # Errors
    /// While no try is looked at.
    pub(crate) fn begin(&mut self, now: Instant) -> Result<(), Refusal> {
        if self.locked.is_some_and(|until| until > now) {
            return Err(Refusal::LockedOut);
        }
        self.wrong = self.wrong.saturating_add(1);
        if let Some(more) = self.wrong.checked_sub(Self::FREE) {
            let wait = Self::WAIT.0.saturating_mul(1 << more.min(16)).min(Self::WAIT.1);
            self.locked = Some(now + wait);
        }
        Ok(())
    }

    /// The try was right.
    pub(crate) fn forgive(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proof(pin: Option<&str>, code: Option<&str>) -> Proof {
        let one = |text: &str| text.parse().unwrap();
        Proof { pin: pin.map(one), code: code.map(one) }
    }

    #[test]
    fn rfc_6238_appendix_b() {
        // the RFC's codes have eight digits: ours are their last six
        let secret = Secret(b"12345678901234567890".to_vec());
        for (unix_s, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(secret.code(unix_s / STEP_S), code);
            for near in [unix_s - STEP_S, unix_s, unix_s + STEP_S] {
                assert_eq!(secret.step_of(code, near), Some(unix_s / STEP_S));
            }
            assert_eq!(secret.step_of(code, unix_s + 2 * STEP_S), None);
        }
        assert_eq!(secret.step_of("", 59), None);
    }

    #[test]
    fn both_parts_must_be_right() {
        let secret = Secret(b"12345678901234567890".to_vec());
        let pin: Pin = "4711".parse().unwrap();
        let factor = Factor::new(Some(&pin), Some(secret)).unwrap();
        assert_eq!(factor.needed(), Some(Refusal::NeedsPinAndCode));
        assert!(!factor.is_answered(&proof(Some("4711"), None)));
        assert_eq!(factor.check(&proof(Some("4711"), Some("287082")), 59), Ok(Some(1)));
        assert_eq!(factor.check(&proof(Some("4712"), Some("287082")), 59), Err(Wrong));
        assert_eq!(factor.check(&proof(Some("4711"), Some("287083")), 59), Err(Wrong));
        assert_eq!(factor.check(&proof(Some("4711"), None), 59), Err(Wrong));
    }

    #[test]
    fn what_is_kept_is_read_again_and_shows_nothing() {
        let pin: Pin = "4711".parse().unwrap();
        let factor = Factor::new(Some(&pin), Some(Secret::random())).unwrap();
        let totp = factor.totp().map(Secret::base32);
        let again = Factor::read(factor.pin().cloned(), totp.as_deref()).unwrap();
        assert_eq!(again, factor);
        assert_eq!(format!("{factor:?}"), "Factor(pin: true, totp: true)");
        assert!(!factor.pin().unwrap().contains("4711"));
        for (pin, totp) in [(Some("4711"), None), (None, Some("abc")), (None, Some("GEZDGNBV"))] {
            assert_eq!(Factor::read(pin.map(str::to_owned), totp), None, "{pin:?} {totp:?}");
        }
    }

    #[test]
    fn guessing_takes_longer_and_longer() {
        let (mut tries, start) = (Tries::default(), Instant::now());
        for _ in 0..5 {
            assert_eq!(tries.begin(start), Ok(()));
        }
        assert_eq!(tries.begin(start), Err(Refusal::LockedOut));
        assert_eq!(tries.begin(start + Duration::from_secs(29)), Err(Refusal::LockedOut));
        let mut now = start + Duration::from_secs(31);
        assert_eq!(tries.begin(now), Ok(()));
        now += Duration::from_secs(31);
        assert_eq!(tries.begin(now), Err(Refusal::LockedOut), "60 s this time");
        for _ in 0..40 {
            now += Duration::from_secs(3601);
            assert_eq!(tries.begin(now), Ok(()), "never more than an hour");
        }
        tries.forgive();
        assert_eq!(tries.begin(now), Ok(()));
    }
}
