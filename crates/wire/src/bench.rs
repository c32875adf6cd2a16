//! Measuring a path: what goes over a stream that was opened with [`crate::Open::Bench`].
//!
//! After the answer the stream carries plain bytes. Whoever receives measures, so that nothing
//! that waits in a buffer counts, and ends it by no longer receiving.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What is measured, from the view of the hub that asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Measure {
    /// Blocks of [`ECHO_BYTES`] come back as they were sent.
    Echo,
    /// The other hub sends.
    Down,
    /// The other hub receives, and at the end says what: a [`Received`].
    Up,
}

pub const ECHO_BYTES: usize = 64;
/// Blocks of one measurement.
pub const ECHOES_MAX: u32 = 2000;
/// Bytes of one measurement: two seconds of a gigabit.
pub const BYTES_MAX: u64 = 256 << 20;
/// How long one measurement takes, at most.
pub const TIME_MAX: Duration = Duration::from_secs(3);

/// What came, and from its first byte to its last. Sixteen bytes, big-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    pub bytes: u64,
    pub took: Duration,
}

impl Received {
    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        let took_us = u64::try_from(self.took.as_micros()).unwrap_or(u64::MAX);
        (u128::from(self.bytes) << 64 | u128::from(took_us)).to_be_bytes()
    }

    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        let both = u128::from_be_bytes(bytes);
        Self { bytes: (both >> 64) as u64, took: Duration::from_micros(both as u64) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;
    use proptest::prelude::*;

    #[test]
    fn golden_bytes() {
        let received = Received { bytes: 258, took: Duration::from_millis(1) };
        assert_eq!(received.to_bytes(), hex!("0000000000000102 00000000000003e8"));
    }

    proptest! {
        #[test]
        fn any_sixteen_bytes_are_read(bytes: [u8; 16]) {
            prop_assert_eq!(Received::from_bytes(bytes).to_bytes(), bytes);
        }
    }
}
