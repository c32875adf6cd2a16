//! The ladders, as data.

use super::{BOOT, RUNG};
use crate::detect::Firmware;
use std::time::Duration;
use wire::serial::Profile;

/// One rung.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) name: &'static str,
    pub(super) acts: &'static [Act],
    pub(super) proof: Proof,
    pub(super) within: Duration,
    /// With its proof nothing more is to be done: what was queued is forgotten.
    pub(super) ends: bool,
}

#[derive(Debug)]
pub(super) enum Act {
    Write(&'static [u8]),
    /// What the owner has configured.
    Custom,
    Modem {
        dtr: bool,
        rts: bool,
    },
    Pause(Duration),
}

/// What shows that a rung worked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// A status: stands still, beam off; what is queued may go on at `~`.
    Held,
    /// A status of after the reset.
    Reset,
    /// It says that it does nothing more, or that it has started anew.
    Killed,
    /// There is nothing that could show it.
    None,
}

pub(super) const fn plan(firmware: &Firmware) -> &'static [Plan] {
    match firmware.profile {
        Profile::Grbl | Profile::FluidNc => GRBL,
        Profile::GrblHal => GRBL_HAL,
        Profile::Smoothie => SMOOTHIE,
        Profile::Marlin if firmware.emergency_parser => MARLIN_EMERGENCY,
        Profile::Marlin => MARLIN,
        Profile::Raw => RAW,
    }
}

const DOOR: Plan = Plan {
    name: "0x84 safety door, ! hold",
    acts: &[Act::Write(b"\x84!")],
    proof: Proof::Held,
    within: RUNG,
    ends: false,
};

const RESET: Plan = Plan {
    name: "0x18 reset",
    acts: &[Act::Write(b"\x18")],
    proof: Proof::Reset,
    within: RUNG,
    ends: true,
};

/// Arduino boards reset when DTR becomes active; ESP32 boards are held in reset while RTS is
/// active and DTR is not. Both lines change together, so that an ESP32 does not see the two that
/// mean its boot loader.
const PULSE_ACTS: &[Act] = &[
    Act::Modem { dtr: false, rts: true },
    Act::Pause(Duration::from_millis(100)),
    Act::Modem { dtr: true, rts: true },
];

const PULSE: Plan = Plan {
    name: "DTR reset pulse",
    acts: PULSE_ACTS,
    proof: Proof::Reset,
    within: BOOT,
    ends: true,
};

const GRBL: &[Plan] = &[DOOR, RESET, PULSE];

/// 0x19 forgets what is queued and keeps the position also where 0x18 would not.
const GRBL_HAL: &[Plan] = &[
    Plan { acts: &[Act::Write(b"\x84\x82!")], name: "0x84 safety door, 0x82 hold", ..DOOR },
    Plan { acts: &[Act::Write(b"\x19")], name: "0x19 stop", ..RESET },
    RESET,
    PULSE,
];

const SMOOTHIE: &[Plan] = &[
    Plan { name: "0x18 halt", acts: &[Act::Write(b"\x18")], proof: Proof::Killed, ..RESET },
    Plan { name: "M112", acts: &[Act::Write(b"\nM112\n")], proof: Proof::Killed, ..RESET },
    Plan { proof: Proof::Killed, ..PULSE },
];

/// The line end before ends what a dropped queue has left of a line. `M110` sets the number, so
/// that the numbered one is the next whatever went before.
const NUMBERED: Act = Act::Write(b"\nM112\nN0 M110 N0*125\nN1 M112*32\n");

const MARLIN: &[Plan] = &[
    Plan { name: "M112", acts: &[NUMBERED], proof: Proof::Killed, ..RESET },
    Plan { proof: Proof::Killed, ..PULSE },
];

const MARLIN_EMERGENCY: &[Plan] = &[
    Plan {
        name: "M410, M112",
        acts: &[Act::Write(b"\nM410\nM112\n")],
        proof: Proof::Killed,
        ..RESET
    },
    Plan { name: "M112 numbered", acts: &[NUMBERED], proof: Proof::Killed, ..RESET },
    Plan { proof: Proof::Killed, ..PULSE },
];

/// Whoever drives a machine by a device that nobody knows often has its power behind these lines.
const RAW: &[Plan] = &[
    Plan {
        name: "the configured bytes",
        acts: &[Act::Custom],
        proof: Proof::None,
        within: Duration::ZERO,
        ends: false,
    },
    Plan {
        name: "DTR and RTS low",
        acts: &[Act::Modem { dtr: false, rts: false }],
        proof: Proof::None,
        within: Duration::ZERO,
        ends: true,
    },
];
