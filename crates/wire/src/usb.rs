//! The use of a USB device: one stream for endpoint 0, one for each further endpoint.
//!
//! Every [`Submit`] and every [`Up::Reset`] gets exactly one [`Complete`] on the same stream,
//! cancelled or not. Submits of one stream reach the device in their order; streams do not wait
//! for each other. The attaching side keeps to the [`Window`] that it was given.
//!
//! An IN request carries a length, never a buffer. Isochronous data is compact: the packets of an
//! URB follow each other without gaps, whatever gaps the buffers have at the ends.

use crate::SessionId;
use serde::{Deserialize, Serialize};

/// Packets of one isochronous URB: USB/IP's own limit (`USBIP_MAX_ISO_PACKETS`).
pub const ISO_PACKETS_MAX: usize = 1024;

/// Signalling rate. The numbers are those of `linux/usb/ch9.h` and of USB/IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Speed {
    /// 1.5 Mbit/s
    Low,
    /// 12 Mbit/s
    Full,
    /// 480 Mbit/s
    High,
    /// 5 Gbit/s
    Super,
    /// 10 Gbit/s and more
    SuperPlus,
}

impl Speed {
    /// `enum usb_device_speed` (4, wireless, does not occur any more).
    #[must_use]
    pub fn code(self) -> u32 {
        match self {
            Self::Low => 1,
            Self::Full => 2,
            Self::High => 3,
            Self::Super => 5,
            Self::SuperPlus => 6,
        }
    }
}

/// How much may be under way in one session; more is a fault of the attaching side and ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// URBs submitted and not yet completed.
    pub urbs: u32,
    /// The sum of their lengths.
    pub bytes: u32,
}

impl Window {
    /// What hubs offer: above the queue depth of every Linux driver, and usbfs's own memory limit.
    pub const OFFERED: Self = Self { urbs: 1024, bytes: 16 * 1024 * 1024 };
}

/// After [`crate::Answer::Ok`] to an [`crate::Open::Device`]. The frame's body is the device
/// descriptor and all configuration descriptors, as in sysfs's `descriptors`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attached {
    pub session: SessionId,
    pub speed: Speed,
    /// `bConfigurationValue` of the active configuration, 0 for none.
    pub configuration: u8,
    pub window: Window,
}

/// From the attaching side, on each stream of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Up {
    /// The frame's body is the data of an OUT transfer.
    Submit(Submit),
    /// Takes an URB back. It completes with `-ECONNRESET` unless it is done already.
    Cancel { id: u32 },
    /// A port reset, on the stream of endpoint 0 only.
    Reset { id: u32 },
}

/// One URB.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submit {
    /// Names the URB until it is complete; no two of a session are equal meanwhile.
    pub id: u32,
    /// [`Submit::SHORT_NOT_OK`] and the other flags; unknown bits are ignored.
    pub flags: u8,
    /// Bytes to read or to write. For a control transfer without the setup packet.
    pub length: u32,
    /// Control transfers only, USB 2.0 §9.3.
    pub setup: Option<[u8; 8]>,
    /// Isochronous transfers only: the length of each packet.
    pub packets: Vec<u32>,
}

impl Submit {
    /// A short IN transfer is the error `-EREMOTEIO`.
    pub const SHORT_NOT_OK: u8 = 1;
    /// End an OUT transfer of whole packets with an empty one.
    pub const ZERO_PACKET: u8 = 2;
}

/// To the attaching side, on each stream of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Down {
    /// The frame's body is the data of an IN transfer.
    Complete(Complete),
}

/// The end of an URB.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Complete {
    pub id: u32,
    /// 0 or a negative Linux error number, such as -32 (`EPIPE`) for a stall.
    pub status: i32,
    /// Bytes moved, OUT too, also with an error.
    pub actual_length: u32,
    /// Isochronous transfers only.
    pub start_frame: u32,
    pub packets: Vec<PacketResult>,
}

/// The end of one isochronous packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PacketResult {
    pub actual_length: u32,
    pub status: i32,
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
        let setup = Some(hex!("80 06 0001 0000 1200"));
        let control = Submit { id: 1, flags: 0, length: 18, setup, packets: vec![] };
        check(&Up::Submit(control), &hex!("00 01 00 12 01 8006000100001200 00"));
        let iso = Submit { id: 2, flags: 0, length: 384, setup: None, packets: vec![192, 192] };
        check(&Up::Submit(iso), &hex!("00 02 00 8003 00 02 c001 c001"));
        check(&Up::Cancel { id: 300 }, &hex!("01 ac02"));
        check(&Up::Reset { id: 3 }, &hex!("02 03"));
    }

    #[test]
    fn golden_bytes_downwards() {
        let stall = Complete { id: 1, status: -32, ..Complete::default() };
        check(&Down::Complete(stall), &hex!("00 01 3f 00 00 00"));
        let packet = PacketResult { actual_length: 192, status: -18 };
        let iso = Complete { id: 2, actual_length: 192, packets: vec![packet], ..<_>::default() };
        check(&Down::Complete(iso), &hex!("00 02 00 c001 00 01 c001 23"));
    }

    #[test]
    fn golden_bytes_of_attached() {
        let window = Window { urbs: 1024, bytes: 1 << 24 };
        let attached =
            Attached { session: SessionId(7), speed: Speed::High, configuration: 1, window };
        check(&attached, &hex!("07 02 01 8008 80808008"));
    }
}
