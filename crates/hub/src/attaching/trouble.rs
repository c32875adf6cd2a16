//! Why a device is not attached, and what people can do about it.

use crate::door::DoorError;
use crate::view::{Factor, Problem};
use wire::Refusal;

/// What keeps a device from being attached, other than a refusal or a broken stream.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("it could type or be a network adapter, and the peer is not trusted with that")]
    Untrusted,
    #[error("the peer cannot be reached")]
    Offline,
    #[error("the peer does not answer")]
    Silent,
    #[error("the device is not what the peer said it is")]
    Changed,
    #[error("a USB device cannot come in by a port for programs")]
    NotSerial,
    #[error("a 3D printer is not attached: it is driven where it is, from its page")]
    Printer,
}

/// The error as people see it, with what to do.
pub(super) fn problem(error: &anyhow::Error) -> Problem {
    let hint = match error.downcast_ref::<Trouble>() {
        Some(Trouble::Untrusted) => Some("if you trust it: farhub trust PEER"),
        Some(Trouble::Offline | Trouble::Silent) => Some("see why: farhub path PEER"),
        Some(Trouble::Changed) => Some("look at it on the other hub"),
        Some(Trouble::Printer) => Some("see: farhub printer list"),
        Some(Trouble::NotSerial) => Some("attach it without --as, --tcp, --grbl and --rfc2217"),
        None => match error.downcast_ref::<link::Error>() {
            Some(link::Error::Refused(refusal)) => refusal_hint(*refusal),
            Some(_) => None,
            None => error.downcast_ref::<DoorError>().map(|_| "see: farhub doctor"),
        },
    };
    Problem { message: format!("{error:#}"), hint: hint.map(str::to_owned) }
}

/// What the other hub wants to be shown, if that is why it refused.
pub(super) fn factor(error: &anyhow::Error) -> Option<Factor> {
    match error.downcast_ref() {
        Some(link::Error::Refused(refusal)) => Factor::of(*refusal),
        _ => None,
    }
}

fn refusal_hint(refusal: Refusal) -> Option<&'static str> {
    match refusal {
        Refusal::NotGranted => Some("on the other hub: farhub grant"),
        Refusal::Failed => Some("look at the log of the other hub, or run there: farhub doctor"),
        Refusal::NotUnderstood | Refusal::Unknown(_) => Some("are both hubs of the same version?"),
        Refusal::NeedsPin => Some("farhub attach HUB/NAME --pin"),
        Refusal::NeedsCode => Some("farhub attach HUB/NAME --totp CODE"),
        Refusal::NeedsPinAndCode => Some("farhub attach HUB/NAME --pin --totp CODE"),
        Refusal::TimeUsedUp => Some("it can be used again after ten minutes of rest"),
        Refusal::InUse => Some("ask for it: farhub request HUB/NAME"),
        Refusal::Absent | Refusal::Busy | Refusal::Ticket => None,
        Refusal::Wrong | Refusal::LockedOut => None,
        // of pairings, not of devices
        Refusal::NotNear | Refusal::Declined | Refusal::CodesDiffer | Refusal::NotAnswered => None,
    }
}
