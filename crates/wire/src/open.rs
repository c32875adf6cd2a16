//! The first frame of a stream, and the answer to it.

use crate::ask::Proof;
use crate::bench::Measure;
use crate::{DeviceId, Text};
use serde::{Deserialize, Serialize};

/// The use of one device by one peer, from attach to detach. A number that the serving hub draws
/// at random; the streams of the device's endpoints name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SessionId(pub u64);

/// What a stream is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Open {
    /// The devices of the hub, as far as the peer may see them.
    Shelf,
    /// Management: HTTP/1.1, the same API that the web UI uses.
    Http,
    /// The use of a device. The stream carries its endpoint 0.
    Device { device: DeviceId },
    /// An endpoint (its address with the direction bit, USB 2.0 §9.6.6) of a device in use: a
    /// further one, or one that goes on where the last connection was cut. `received` bytes have
    /// reached who opens.
    Endpoint { session: SessionId, endpoint: u8, received: u64 },
    /// Proves the user of the peer, where a grant for the device asks for that.
    Unlock { device: DeviceId, proof: Proof },
    /// Asks the owner for the use of a device.
    Ask { device: DeviceId, message: Text },
    /// A measurement of the path.
    Bench { measure: Measure },
    /// The stop path of a machine, kept open: [`crate::serial::StopUp`] and its answers.
    Stop { device: DeviceId },
    /// The sign of life of who uses a machine: [`crate::serial::Beat`].
    Pulse { session: SessionId },
}

/// After [`Answer::Ok`] to an [`Open::Endpoint`]: what has reached who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joined {
    pub received: u64,
}

/// The answer to an [`Open`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    Ok,
    /// A [`Refusal`] as its code, so that a newer hub can refuse for reasons unknown to us.
    Refused(u8),
}

/// Why a hub says no: all that the peer may know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No grant, no such device, or a device that the peer may not know of: not told apart.
    #[error("not granted, or no such device")]
    NotGranted,
    #[error("in use by somebody else")]
    InUse,
    #[error("the device is not plugged in")]
    Absent,
    #[error("the other hub could not open the device")]
    Failed,
    #[error("the other hub has too much to do")]
    Busy,
    #[error("the other hub did not understand the request")]
    NotUnderstood,
    #[error("the ticket is unknown, used or expired")]
    Ticket,
    #[error("a PIN is needed")]
    NeedsPin,
    #[error("the code of an authenticator app is needed")]
    NeedsCode,
    #[error("a PIN and the code of an authenticator app are needed")]
    NeedsPinAndCode,
    /// Which part is not told.
    #[error("the PIN or the code is wrong")]
    Wrong,
    #[error("too many wrong tries")]
    LockedOut,
    #[error("the time for one session is used up")]
    TimeUsedUp,
    #[error("the other hub pairs by code only within its own network")]
    NotNear,
    #[error("somebody at the other hub said no, or took it back")]
    Declined,
    #[error("the codes differ: it was mistyped, or somebody is in between")]
    CodesDiffer,
    #[error("nobody answered in time")]
    NotAnswered,
    #[error("refused for a reason that this version does not know (code {0})")]
    Unknown(u8),
}

impl Refusal {
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::NotGranted => 1,
            Self::InUse => 2,
            Self::Absent => 3,
            Self::Failed => 4,
            Self::Busy => 5,
            Self::NotUnderstood => 6,
            Self::Ticket => 7,
            Self::NeedsPin => 8,
            Self::NeedsCode => 9,
            Self::NeedsPinAndCode => 10,
            Self::Wrong => 11,
            Self::LockedOut => 12,
            Self::TimeUsedUp => 13,
            Self::NotNear => 32,
            Self::Declined => 33,
            Self::CodesDiffer => 34,
            Self::NotAnswered => 35,
            Self::Unknown(code) => code,
        }
    }

    #[must_use]
    pub fn from_code(code: u8) -> Self {
        match code {
            1 => Self::NotGranted,
            2 => Self::InUse,
            3 => Self::Absent,
            4 => Self::Failed,
            5 => Self::Busy,
            6 => Self::NotUnderstood,
            7 => Self::Ticket,
            8 => Self::NeedsPin,
            9 => Self::NeedsCode,
            10 => Self::NeedsPinAndCode,
            11 => Self::Wrong,
            12 => Self::LockedOut,
            13 => Self::TimeUsedUp,
            32 => Self::NotNear,
            33 => Self::Declined,
            34 => Self::CodesDiffer,
            35 => Self::NotAnswered,
            code => Self::Unknown(code),
        }
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal.code())
    }
}

/// What goes first when a connection is full; the larger number wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    Background = -20,
    Bulk = 0,
    RequestResponse = 10,
    /// Interrupt and isochronous endpoints.
    Realtime = 40,
    /// Endpoint 0, attach and detach, the shelf.
    Control = 60,
    /// Stopping a machine, and the sign of life without which it stops by itself.
    Stop = 100,
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    #[test]
    fn golden_bytes() {
        let bytes = |open: &Open| postcard::to_stdvec(open).unwrap();
        assert_eq!(bytes(&Open::Shelf), hex!("00"));
        assert_eq!(bytes(&Open::Http), hex!("01"));
        let device = "usb-1:2".parse().unwrap();
        assert_eq!(bytes(&Open::Device { device }), hex!("02 07 7573622d313a32"));
        let session = SessionId(300);
        let endpoint = Open::Endpoint { session, endpoint: 0x81, received: 129 };
        assert_eq!(bytes(&endpoint), hex!("03 ac02 81 8101"));
        assert_eq!(bytes(&Open::Bench { measure: Measure::Echo }), hex!("06 00"));
        assert_eq!(bytes(&Open::Bench { measure: Measure::Up }), hex!("06 02"));
        let device = "tty-1".parse().unwrap();
        assert_eq!(bytes(&Open::Stop { device }), hex!("07 05 7474792d31"));
        assert_eq!(bytes(&Open::Pulse { session }), hex!("08 ac02"));
        let joined = postcard::to_stdvec(&Joined { received: 300 }).unwrap();
        assert_eq!(joined, hex!("ac02"));
        let proof = Proof { pin: None, code: Some("123456".parse().unwrap()) };
        let unlock = Open::Unlock { device: "usb-1".parse().unwrap(), proof };
        assert_eq!(bytes(&unlock), hex!("04 05 7573622d31 00 01 06 313233343536"));
        let ask = Open::Ask { device: "usb-1".parse().unwrap(), message: "hi".into() };
        assert_eq!(bytes(&ask), hex!("05 05 7573622d31 02 6869"));
        let answer = |answer: &Answer| postcard::to_stdvec(answer).unwrap();
        assert_eq!(answer(&Answer::Ok), hex!("00"));
        assert_eq!(answer(&Refusal::InUse.into()), hex!("01 02"));
    }

    #[test]
    fn refusal_codes_survive_the_trip() {
        for code in 0..=255 {
            assert_eq!(Refusal::from_code(code).code(), code);
        }
    }

    #[test]
    fn an_id_outside_its_alphabet_is_not_a_message() {
        assert!(postcard::from_bytes::<Open>(&hex!("02 03 2e2f20")).is_err());
    }
}
