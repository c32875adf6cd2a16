//! The shelf: the devices of a hub, first all, then what changes.
//!
//! A peer sees what its grants let it see, and nothing else changes anything here.

use crate::{Device, DeviceId};
use serde::{Deserialize, Serialize};

/// The devices of one hub at most. More are not shown, and the hub's log says so.
pub const DEVICES_MAX: usize = 1024;

/// Downwards on a stream that was opened with [`crate::Open::Shelf`]. The first is a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Shelf {
    /// As many [`Shelf::Device`] follow; what was known before is void.
    Snapshot {
        devices: u32,
    },
    /// A device that is new or has changed.
    Device(Device),
    Removed(DeviceId),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::{Endpoint, Interface, Kind, Printer, Serial, State, Transfer, Usb};
    use crate::serial::Profile;
    use crate::usb::Speed;
    use hex_literal::hex;

    fn disk() -> Device {
        let endpoint = Endpoint {
            address: 0x81,
            transfer: Transfer::Bulk,
            packet_bytes_max: 512,
            interval: 0,
        };
        let interface = Interface {
            configuration: 1,
            number: 0,
            alternate: 0,
            class: 8,
            subclass: 6,
            protocol: 0x50,
            endpoints: vec![endpoint],
        };
        let usb = Usb {
            vendor_id: 0x1209,
            product_id: 1,
            release: 0x100,
            class: 0,
            subclass: 0,
            protocol: 0,
            speed: Speed::High,
            manufacturer: "a".into(),
            product: "b".into(),
            serial_number: "c".into(),
            port: "1-1".into(),
            interfaces: vec![interface],
        };
        Device {
            id: "usb-1".parse().unwrap(),
            name: "disk".parse().unwrap(),
            kind: Kind::Usb(usb),
            simulated: true,
            state: State::InUse("lab".into()),
        }
    }

    #[test]
    fn golden_bytes() {
        let bytes = |shelf: &Shelf| postcard::to_stdvec(shelf).unwrap();
        assert_eq!(bytes(&Shelf::Snapshot { devices: 3 }), hex!("00 03"));
        assert_eq!(bytes(&Shelf::Removed("usb-1".parse().unwrap())), hex!("02 05 7573622d31"));
        let golden = hex!(
            "01 05 7573622d31 04 6469736b 00 8924 01 8002 00 00 00 02 0161 0162 0163 03312d31"
            "01 01 00 00 08 06 50 01 81 02 8004 00 01 01 03 6c6162"
        );
        assert_eq!(bytes(&Shelf::Device(disk())), golden);
        assert_eq!(postcard::from_bytes::<Shelf>(&golden), Ok(Shelf::Device(disk())));
        let laser = Shelf::Device(Device {
            id: "tty-1".parse().unwrap(),
            name: "laser".parse().unwrap(),
            kind: Kind::Serial(Serial {
                profile: Profile::Grbl,
                product: "b".into(),
                serial_number: "c".into(),
                port: "ttyUSB0".into(),
            }),
            simulated: false,
            state: State::Free,
        });
        let golden = hex!("01 05 7474792d31 05 6c61736572 01 01 0162 0163 07 74747955534230 00 00");
        assert_eq!(bytes(&laser), golden);
        let printer = Shelf::Device(Device {
            id: "printer-1".parse().unwrap(),
            name: "a1".parse().unwrap(),
            kind: Kind::Printer(Printer {
                protocol: "bambu".into(),
                title: "A".into(),
                model: "A1".into(),
            }),
            simulated: true,
            state: State::Absent,
        });
        let golden = hex!("01 09 7072696e7465722d31 02 6131 02 05 62616d6275 0141 024131 01 02");
        assert_eq!(bytes(&printer), golden);
    }

    #[test]
    fn needs_trust_looks_at_interfaces() {
        let Kind::Usb(mut usb) = disk().kind else { unreachable!("a disk") };
        assert!(!usb.needs_trust());
        usb.interfaces[0].class = 3;
        assert!(usb.needs_trust());
    }
}
