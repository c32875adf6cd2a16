//! The use of a serial port: what a program does to it here happens to the port there.
//!
//! Both directions keep their order: a change of the line coding or of a modem line takes effect
//! after the bytes before it and before the bytes after it. Bytes are never looked at on the way.

use crate::SessionId;
use serde::{Deserialize, Serialize};

/// Bytes of one [`Up::Data`] or [`Down::Data`] at most.
pub const DATA_BYTES_MAX: usize = 64 * 1024;

/// Baud rates that a port may be set to; hardware supports fewer, and says so.
pub const BAUD_RATES: std::ops::RangeInclusive<u32> = 50..=12_000_000;

/// How bytes become bits (USB CDC PSTN 1.2 §6.3.11, RFC 2217 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LineCoding {
    pub baud_rate: u32,
    /// 5 to 8.
    pub data_bits: u8,
    pub parity: Parity,
    pub stop_bits: StopBits,
    pub flow: Flow,
}

impl Default for LineCoding {
    /// 115200 8N1, what nearly every machine speaks.
    fn default() -> Self {
        Self {
            baud_rate: 115_200,
            data_bits: 8,
            parity: Parity::None,
            stop_bits: StopBits::One,
            flow: Flow::None,
        }
    }
}

impl LineCoding {
    /// Whether a port could be asked for it at all.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        BAUD_RATES.contains(&self.baud_rate) && (5..=8).contains(&self.data_bits)
    }

    /// For how long one byte is on the wire: start bit, data, parity, stop bits.
    #[must_use]
    pub fn byte_time(&self) -> std::time::Duration {
        let parity = if self.parity == Parity::None { 0 } else { 2 };
        let stop = match self.stop_bits {
            StopBits::One => 2,
            StopBits::OneAndHalf => 3,
            StopBits::Two => 4,
        };
        let half_bits = 2 + 2 * u64::from(self.data_bits) + parity + stop;
        let baud = u64::from(self.baud_rate.max(1));
        std::time::Duration::from_nanos(half_bits * 500_000_000 / baud)
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Parity {
    #[default]
    None,
    Odd,
    Even,
    Mark,
    Space,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StopBits {
    #[default]
    One,
    OneAndHalf,
    Two,
}

/// Who may say "wait".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Flow {
    #[default]
    None,
    /// XON and XOFF.
    Software,
    /// RTS and CTS.
    Hardware,
}

/// What the other end of the cable holds high.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ModemLines {
    pub cts: bool,
    pub dsr: bool,
    pub ring: bool,
    pub carrier: bool,
}

/// What went wrong on the wire since the last report, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LineErrors {
    pub framing: u32,
    pub parity: u32,
    pub overrun: u32,
    pub breaks: u32,
}

/// What kind of machine listens at a port, and so what its bytes mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// Bytes, and nothing known of them.
    #[default]
    Raw,
    Grbl,
    GrblHal,
    FluidNc,
    Smoothie,
    Marlin,
}

/// After [`crate::Answer::Ok`] to an [`crate::Open::Device`] of a serial port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attached {
    pub session: SessionId,
    pub coding: LineCoding,
    pub lines: ModemLines,
    pub profile: Profile,
    /// How often the machine has been stopped: see [`Up::Stopped`].
    pub stops: u32,
}

/// From the attaching side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Up {
    /// The frame's body is to leave the port.
    Data,
    Coding(LineCoding),
    /// Both at the same moment; `None` leaves a line as it is.
    Modem {
        dtr: Option<bool>,
        rts: Option<bool>,
    },
    Break {
        on: bool,
    },
    /// Discards what is under way in the queues at both ends.
    Purge {
        input: bool,
        output: bool,
    },
    /// A program has opened the port there, or the last one has closed it.
    Program {
        open: bool,
    },
    /// Whoever sends knows of this many stops. What was sent before that knowledge is discarded:
    /// no byte that a program wrote before STOP reaches the machine after it.
    Stopped {
        stops: u32,
    },
}

/// To the attaching side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Down {
    /// The frame's body came from the port.
    Data,
    Lines(ModemLines),
    Errors(LineErrors),
    /// What the port is set to now: the answer to [`Up::Coding`], which may ask for what the
    /// hardware cannot do.
    Coding(LineCoding),
    /// The machine has been stopped for the `stops`th time. Answered with [`Up::Stopped`].
    Stopped {
        stops: u32,
    },
}

/// From whoever may stop a machine, on a stream of [`crate::Open::Stop`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StopUp {
    /// Does nothing, but goes all the way to the thread that would stop the machine.
    Test {
        number: u32,
    },
    Stop {
        number: u32,
    },
}

/// The answer to each [`StopUp`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StopDown {
    Tested {
        number: u32,
    },
    /// The first stop byte has left the port, so many microseconds after the request arrived. The
    /// rest of the ladder follows.
    Left {
        number: u32,
        after_us: u32,
    },
    /// The ladder is at its end.
    Done {
        number: u32,
        report: StopReport,
    },
}

/// What came of a stop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct StopReport {
    /// Whether the machine itself said that it stands still with its beam or spindle off.
    pub confirmed: bool,
    pub rungs: Vec<Rung>,
    /// From the request's arrival until the first stop byte left the port; `None` when none could.
    pub left_after_us: Option<u32>,
}

/// One step of a stop ladder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Rung {
    /// What was done, as in `0x84 safety door`.
    pub name: crate::Text,
    /// Milliseconds since the request arrived.
    pub at_ms: u32,
    /// Whether the machine showed that it worked.
    pub confirmed: bool,
}

/// Both ways on a stream of [`crate::Open::Pulse`], while the beam or spindle may be on: the
/// serving hub sends a number, the attaching hub sends it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beat {
    pub number: u32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    fn check<T>(message: &T, golden: &[u8])
    where
        T: Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug,
    {
        assert_eq!(postcard::to_stdvec(message).unwrap(), golden);
        assert_eq!(&postcard::from_bytes::<T>(golden).unwrap(), message);
    }

    #[test]
    fn golden_bytes_upwards() {
        check(&Up::Data, &hex!("00"));
        check(&Up::Coding(LineCoding::default()), &hex!("01 808407 08 00 00 00"));
        check(&Up::Modem { dtr: Some(true), rts: None }, &hex!("02 0101 00"));
        check(&Up::Break { on: true }, &hex!("03 01"));
        check(&Up::Purge { input: true, output: false }, &hex!("04 01 00"));
        check(&Up::Program { open: true }, &hex!("05 01"));
        check(&Up::Stopped { stops: 300 }, &hex!("06 ac02"));
        check(&StopUp::Test { number: 1 }, &hex!("00 01"));
        check(&StopUp::Stop { number: 2 }, &hex!("01 02"));
        check(&Beat { number: 300 }, &hex!("ac02"));
    }

    #[test]
    fn golden_bytes_downwards() {
        let lines = ModemLines { cts: true, dsr: false, ring: false, carrier: true };
        let (session, coding, stops) = (SessionId(300), LineCoding::default(), 3);
        let attached = Attached { session, coding, lines, profile: Profile::Grbl, stops };
        check(&attached, &hex!("ac02 808407 08 00 00 00 01 00 00 01 01 03"));
        check(&Down::Data, &hex!("00"));
        check(&Down::Lines(lines), &hex!("01 01 00 00 01"));
        let errors = LineErrors { framing: 1, parity: 0, overrun: 2, breaks: 0 };
        check(&Down::Errors(errors), &hex!("02 01 00 02 00"));
        check(&Down::Coding(coding), &hex!("03 808407 08 00 00 00"));
        check(&Down::Stopped { stops: 1 }, &hex!("04 01"));
        check(&StopDown::Tested { number: 1 }, &hex!("00 01"));
        check(&StopDown::Left { number: 1, after_us: 129 }, &hex!("01 01 8101"));
        let rung = Rung { name: "!".into(), at_ms: 2, confirmed: true };
        let report = StopReport { confirmed: true, rungs: vec![rung], left_after_us: Some(5) };
        check(&StopDown::Done { number: 1, report }, &hex!("02 01 01 01 01 21 02 01 01 05"));
    }

    #[test]
    fn a_byte_takes_its_bits() {
        let micros = |coding: LineCoding| coding.byte_time().as_nanos() / 1000;
        assert_eq!(micros(LineCoding::default()), 86);
        let parity = Parity::Even;
        assert_eq!(micros(LineCoding { parity, baud_rate: 9600, ..LineCoding::default() }), 1145);
    }
}
