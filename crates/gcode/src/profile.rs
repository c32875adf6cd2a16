//! What differs between firmwares, as data.
//!
//! Sources: GRBL 1.1 `doc/markdown/interface.md` and `commands.md`, grblHAL core's `config.h`,
//! FluidNC's and Smoothie's documentation, Marlin's `Configuration_adv.h` and G-code pages.

use std::time::Duration;
use wire::serial::Profile;

/// How to talk to a firmware.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Bytes that the controller can hold unread, until it says otherwise.
    pub rx_bytes: usize,
    /// How many of them stay empty, for what we cannot count: line ends, and what others send.
    pub margin_bytes: usize,
    /// Blocks of its planner, until it says otherwise.
    pub planner_blocks: usize,
    /// A line may have so many bytes, its end not counted.
    pub line_bytes_max: usize,
    /// Asks for the machine's state. A realtime byte, or a whole line.
    pub query: &'static [u8],
    /// No status is asked for more often (GRBL: "no more than 5 Hz").
    pub query_every: Duration,
    /// What ends a line of the firmware's own.
    pub reply_end: &'static str,
    /// Asks the firmware who it is.
    pub identify: &'static [u8],
    /// Asks for the modal state, from which the beam is known; empty when it cannot be asked.
    pub modes: &'static [u8],
}

/// The rules of a profile.
#[must_use]
pub const fn rules(profile: Profile) -> &'static Rules {
    match profile {
        Profile::Raw => &RAW,
        Profile::Grbl => &GRBL,
        Profile::GrblHal => &GRBL_HAL,
        Profile::FluidNc => &FLUID_NC,
        Profile::Smoothie => &SMOOTHIE,
        Profile::Marlin => &MARLIN,
    }
}

/// Whether a firmware speaks GRBL's protocol: `ok` and `error:N` for each line, `<...>`, `$`.
#[must_use]
pub const fn is_grbl(profile: Profile) -> bool {
    matches!(profile, Profile::Grbl | Profile::GrblHal | Profile::FluidNc)
}

/// Whether a line, without its end, gets an answer. GRBL answers every line, an empty one too;
/// Marlin (`queue.cpp`) none in which nothing stands before a comment.
#[must_use]
pub fn is_answered(profile: Profile, line: &[u8]) -> bool {
    profile != Profile::Marlin || line.first().is_some_and(|byte| *byte != b';')
}

const FIVE_HERTZ: Duration = Duration::from_millis(200);

/// `serial.h`: a ring of 129 bytes holds 128. `protocol.h`: `LINE_BUFFER_SIZE` 80, with its zero.
const GRBL: Rules = Rules {
    rx_bytes: 128,
    margin_bytes: 8,
    planner_blocks: 16,
    line_bytes_max: 79,
    query: b"?",
    query_every: FIVE_HERTZ,
    reply_end: "\r\n",
    identify: b"$I\n",
    modes: b"$G\n",
};

/// `config.h`: lines of 257 with their zero. 0x80 asks for status also where `?` is switched off.
const GRBL_HAL: Rules = Rules {
    rx_bytes: 1024,
    margin_bytes: 24,
    planner_blocks: 35,
    line_bytes_max: 256,
    query: &[0x80],
    ..GRBL
};

const FLUID_NC: Rules =
    Rules { rx_bytes: 256, margin_bytes: 8, line_bytes_max: 254, query: b"?", ..GRBL };

const SMOOTHIE: Rules = Rules {
    line_bytes_max: 130,
    planner_blocks: 32,
    reply_end: "\r\n",
    identify: b"M115\n",
    modes: b"$G\n",
    ..GRBL
};

/// `Configuration_adv.h`: `MAX_CMD_SIZE` 96, with its zero; `RX_BUFFER_SIZE` 128 on AVR.
const MARLIN: Rules = Rules {
    rx_bytes: 128,
    margin_bytes: 0,
    planner_blocks: 16,
    line_bytes_max: 95,
    query: b"M114\n",
    query_every: Duration::from_secs(1),
    reply_end: "\n",
    identify: b"M115\n",
    modes: b"",
};

/// Nothing is known, so nothing is asked.
const RAW: Rules = Rules {
    rx_bytes: 0,
    margin_bytes: 0,
    planner_blocks: 0,
    line_bytes_max: 0,
    query: b"",
    query_every: FIVE_HERTZ,
    reply_end: "\r\n",
    identify: b"",
    modes: b"",
};
