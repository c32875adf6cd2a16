//! Sending a program as fast as its machine takes it, and no faster.
//!
//! A sender is fed the program's lines and the machine's reports, and gives out what is to be
//! written. It never gives more than the machine has room for, and after the first sign that
//! something is wrong it gives nothing more: what to do then is for whoever runs the job.

pub mod grbl;
pub mod marlin;

use crate::detect::Firmware;
use crate::status::Report;
use thiserror::Error;
use wire::serial::Profile;

/// A sender for any firmware that is known.
#[derive(Clone, Debug)]
pub enum Sender {
    Grbl(grbl::Sender),
    Marlin(marlin::Sender),
}

/// What a report meant to a sender. Lines are known by the numbers they were pushed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Nothing to do with lines.
    None,
    /// The machine has taken this line and those before it.
    Acked { line: u64 },
    /// The machine has refused this line. Nothing more is sent; GRBL carries out what it has.
    Refused { line: u64, code: Option<u16> },
    /// Answers up to this line were lost on the way, which is now certain; it goes on.
    LostAnswers { line: u64 },
    /// Marlin asked for lines again, from this one on; it goes on.
    Resent { line: u64 },
    /// Marlin works on a long command; silence would be worse.
    Alive,
    /// The machine has started anew, halted or raised an alarm, and forgotten what it was given.
    /// Nothing more is sent.
    Stopped,
    /// Marlin asked for a line that nobody has any more. Nothing more is sent.
    Unresendable { number: u32 },
}

/// Why a line of a program cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Unsendable {
    #[error("the line is longer than the machine reads")]
    TooLong,
    #[error("the line holds byte {0:#04x}, on which the machine acts when it arrives")]
    Realtime(u8),
    #[error("the line would set the line number")]
    Number,
    #[error("the line before it still waits")]
    Busy,
}

impl Sender {
    /// `None` for a raw device, which answers nothing that could be counted.
    #[must_use]
    pub fn new(firmware: &Firmware) -> Option<Self> {
        match firmware.profile {
            Profile::Raw => None,
            Profile::Marlin => Some(Self::Marlin(marlin::Sender::new(firmware))),
            Profile::Grbl | Profile::GrblHal | Profile::FluidNc | Profile::Smoothie => {
                Some(Self::Grbl(grbl::Sender::new(firmware)))
            }
        }
    }

    /// Whether the next line may be pushed.
    #[must_use]
    pub fn wants_line(&self) -> bool {
        match self {
            Self::Grbl(sender) => sender.wants_line(),
            Self::Marlin(sender) => sender.wants_line(),
        }
    }

    /// Takes the program's next line, known by its number in the program, from 1. `false` when
    /// there is nothing in it to send.
    ///
    /// # Errors
    /// When it cannot be sent.
    pub fn push(&mut self, number: u64, line: &[u8]) -> Result<bool, Unsendable> {
        match self {
            Self::Grbl(sender) => sender.push(number, line),
            Self::Marlin(sender) => sender.push(number, line),
        }
    }

    /// What to write now, if the machine has room; to be called until there is nothing.
    #[must_use = "what is given out counts as sent"]
    pub fn transmit(&mut self) -> Option<&[u8]> {
        match self {
            Self::Grbl(sender) => sender.transmit(),
            Self::Marlin(sender) => sender.transmit(),
        }
    }

    /// The machine has said something.
    pub fn received(&mut self, report: &Report) -> Event {
        match self {
            Self::Grbl(sender) => sender.received(report),
            Self::Marlin(sender) => sender.received(report),
        }
    }

    /// The machine has said nothing at all for long enough that an answer must have been lost.
    /// `true` when it is asked for again; GRBL's status reports tell by themselves.
    pub fn silent(&mut self) -> bool {
        match self {
            Self::Grbl(_) => false,
            Self::Marlin(sender) => sender.silent(),
        }
    }

    /// Whether all that was pushed has been taken by the machine, which may still be moving.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        match self {
            Self::Grbl(sender) => sender.is_drained(),
            Self::Marlin(sender) => sender.is_drained(),
        }
    }
}
