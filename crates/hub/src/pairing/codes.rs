//! Both sides of a pairing by code ([`wire::pair::code`]). No I/O, no clock.
//!
//! Each side is a machine that takes what the other says and what a person types, in the one
//! order that there is; whatever else comes ends the pairing.

use crate::core::PeerId;
use wire::pair::code::{Down, Up};
use wire::{Name, Refusal};

/// How often a code may be mistyped. Somebody in between gains nothing by it: it is the same
/// wrong code each time.
const TRIES: u8 = 3;
const CODES: u64 = 1_000_000;
const CHECKS: u64 = 100;

/// What people carry from screen to screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Codes {
    code: u64,
    check: u64,
}

impl Codes {
    fn new(asking: &PeerId, asked: &PeerId, nonces: (&[u8; 32], &[u8; 32])) -> Self {
        let mut hash = blake3::Hasher::new_derive_key("farhub pair-code/1 codes");
        hash.update(asking.as_bytes()).update(asked.as_bytes());
        hash.update(nonces.0).update(nonces.1);
        let hash = *hash.finalize().as_bytes();
        let number =
            |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("eight bytes of the hash"));
        Self { code: number(&hash[..8]) % CODES, check: number(&hash[8..16]) % CHECKS }
    }

    /// As the asking hub shows it.
    pub(crate) fn code(self) -> String {
        format!("{:03} {:03}", self.code / 1000, self.code % 1000)
    }

    /// As the asked hub shows it.
    pub(crate) fn check(self) -> String {
        format!("{:02}", self.check)
    }
}

fn commitment(asking: &PeerId, asked: &PeerId, nonce: &[u8; 32]) -> [u8; 32] {
    let mut hash = blake3::Hasher::new_derive_key("farhub pair-code/1 commitment");
    hash.update(asking.as_bytes()).update(asked.as_bytes()).update(nonce);
    *hash.finalize().as_bytes()
}

/// The digits of what was typed, if it has so many and nothing else but gaps.
fn digits(text: &str, count: usize) -> Option<u64> {
    let text: String = text.chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
    let fits = text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
    fits.then(|| text.parse().ok()).flatten()
}

/// The other hub does not keep to the protocol, or is not the one it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Broken {
    #[error("the other hub sent something that does not belong there")]
    Unexpected,
    #[error("the other hub revealed another nonce than it had promised")]
    Commitment,
}

/// What was typed is not what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mistyped {
    /// Nothing can be typed now.
    NotNow,
    /// Not so many digits.
    Digits(usize),
    /// Another number; so many more tries.
    Differs(u8),
}

/// Counts the tries.
#[derive(Debug)]
struct Tries(u8);

impl Tries {
    fn compare(&mut self, typed: Option<u64>, right: u64, count: usize) -> Result<(), Mistyped> {
        let typed = typed.ok_or(Mistyped::Digits(count))?;
        if typed == right {
            return Ok(());
        }
        self.0 = self.0.saturating_sub(1);
        Err(Mistyped::Differs(self.0))
    }
}

/// The side that asks.
#[derive(Debug)]
pub(crate) struct Asking {
    ours: PeerId,
    theirs: PeerId,
    nonce: [u8; 32],
    stage: AskingStage,
    tries: Tries,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AskingStage {
    /// Our commitment is out.
    Committed,
    /// The code is shown here, to be typed there.
    Code(Codes),
    /// It was typed there; the check number is to be typed here.
    Check(Codes),
    /// It was; the other hub has the last word.
    Agreed,
    Over,
}

/// What became of a message, on the side that asks.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum AskingHeard {
    /// Send this, and show the code.
    Show {
        name: Name,
        send: Up,
        codes: Codes,
    },
    /// Let somebody type the check number.
    Check,
    Paired,
    Stopped(Refusal),
}

impl Asking {
    pub(crate) fn new(ours: PeerId, theirs: PeerId, nonce: [u8; 32]) -> Self {
        Self { ours, theirs, nonce, stage: AskingStage::Committed, tries: Tries(TRIES) }
    }

    /// The first message.
    pub(crate) fn hello(&self, name: Name) -> Up {
        Up::Hello { name, commitment: commitment(&self.ours, &self.theirs, &self.nonce) }
    }

    /// # Errors
    /// When it does not belong there: the pairing is over.
    pub(crate) fn heard(&mut self, down: Down) -> Result<AskingHeard, Broken> {
        let stage = std::mem::replace(&mut self.stage, AskingStage::Over);
        match (stage, down) {
            (AskingStage::Over, _) => Err(Broken::Unexpected),
            (_, Down::Stopped(code)) => Ok(AskingHeard::Stopped(Refusal::from_code(code))),
            (AskingStage::Committed, Down::Nonce { name, nonce }) => {
                let codes = Codes::new(&self.ours, &self.theirs, (&self.nonce, &nonce));
                self.stage = AskingStage::Code(codes);
                Ok(AskingHeard::Show { name, send: Up::Reveal { nonce: self.nonce }, codes })
            }
            (AskingStage::Code(codes), Down::Agreed) => {
                self.stage = AskingStage::Check(codes);
                Ok(AskingHeard::Check)
            }
            (AskingStage::Agreed, Down::Paired) => Ok(AskingHeard::Paired),
            (_, Down::Nonce { .. } | Down::Agreed | Down::Paired) => Err(Broken::Unexpected),
        }
    }

    /// Somebody typed the check number.
    ///
    /// # Errors
    /// When it is not the one that the other hub shows.
    pub(crate) fn typed(&mut self, text: &str) -> Result<Up, Mistyped> {
        let AskingStage::Check(codes) = self.stage else { return Err(Mistyped::NotNow) };
        self.tries.compare(digits(text, 2), codes.check, 2)?;
        self.stage = AskingStage::Agreed;
        Ok(Up::Agreed)
    }
}

/// The side that is asked.
#[derive(Debug)]
pub(crate) struct Asked {
    ours: PeerId,
    theirs: PeerId,
    nonce: [u8; 32],
    stage: AskedStage,
    tries: Tries,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AskedStage {
    Greeting,
    /// Our nonce is out, and theirs is promised.
    Promised([u8; 32]),
    /// The code is shown there, to be typed here.
    Code(Codes),
    /// It was; the check number is shown here, to be typed there.
    Check,
    Over,
}

/// What became of a message, on the side that is asked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum AskedHeard {
    Greeted {
        name: Name,
    },
    /// Let somebody type the code. The check number is shown after that, and not before.
    Code {
        codes: Codes,
    },
    /// The other hub is a peer, and is to be told.
    Paired,
    Stopped(Refusal),
}

impl Asked {
    pub(crate) fn new(ours: PeerId, theirs: PeerId, nonce: [u8; 32]) -> Self {
        Self { ours, theirs, nonce, stage: AskedStage::Greeting, tries: Tries(TRIES) }
    }

    /// The first message, which follows a greeting.
    pub(crate) fn nonce(&self, name: Name) -> Down {
        Down::Nonce { name, nonce: self.nonce }
    }

    /// # Errors
    /// When it does not belong there, or breaks a promise: the pairing is over.
    pub(crate) fn heard(&mut self, up: Up) -> Result<AskedHeard, Broken> {
        let stage = std::mem::replace(&mut self.stage, AskedStage::Over);
        match (stage, up) {
            (AskedStage::Over, _) => Err(Broken::Unexpected),
            (_, Up::Stopped(code)) => Ok(AskedHeard::Stopped(Refusal::from_code(code))),
            (AskedStage::Greeting, Up::Hello { name, commitment }) => {
                self.stage = AskedStage::Promised(commitment);
                Ok(AskedHeard::Greeted { name })
            }
            (AskedStage::Promised(promised), Up::Reveal { nonce }) => {
                if commitment(&self.theirs, &self.ours, &nonce) != promised {
                    return Err(Broken::Commitment);
                }
                let codes = Codes::new(&self.theirs, &self.ours, (&nonce, &self.nonce));
                self.stage = AskedStage::Code(codes);
                Ok(AskedHeard::Code { codes })
            }
            (AskedStage::Check, Up::Agreed) => Ok(AskedHeard::Paired),
            (_, Up::Hello { .. } | Up::Reveal { .. } | Up::Agreed) => Err(Broken::Unexpected),
        }
    }

    /// Somebody typed the code.
    ///
    /// # Errors
    /// When it is not the one that the other hub shows.
    pub(crate) fn typed(&mut self, text: &str) -> Result<Down, Mistyped> {
        let AskedStage::Code(codes) = self.stage else { return Err(Mistyped::NotNow) };
        self.tries.compare(digits(text, 6), codes.code, 6)?;
        self.stage = AskedStage::Check;
        Ok(Down::Agreed)
    }
}

#[cfg(test)]
mod tests;
