//! For how long a device in use outlives a cut connection.

use std::time::Duration;
use wire::device::Kind;

/// Mass storage, USB-IF class codes.
const MASS_STORAGE: u8 = 8;

/// From the last sign of life of the peer until the device is unplugged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grace {
    /// Disks: Linux gives a SCSI command 30 s, and takes an unplugged disk better than one that
    /// does not answer.
    pub disks: Duration,
    /// Everything else: its drivers wait for as long as it takes.
    pub others: Duration,
}

impl Default for Grace {
    fn default() -> Self {
        Self { disks: Duration::from_secs(25), others: Duration::from_secs(60) }
    }
}

impl Grace {
    pub(crate) fn of(self, kind: &Kind) -> Duration {
        let is_disk = match kind {
            Kind::Usb(usb) => {
                usb.interfaces.iter().any(|interface| interface.class == MASS_STORAGE)
            }
            Kind::Serial(_) | Kind::Printer(_) => false,
        };
        if is_disk { self.disks } else { self.others }
    }
}
