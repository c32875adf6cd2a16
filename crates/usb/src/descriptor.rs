//! Standard descriptors: what a device says of itself, and a peer of its device.
//!
//! Nothing in here is trusted. The parser walks once over the bytes, without recursion, and is
//! as lenient as the kernel: what makes no sense is skipped, and so is the rest of a
//! configuration after a descriptor that breaks its chain. What the kernel would refuse is
//! refused: a device descriptor that is none, or more of anything than fits its limits.
//!
//! USB 2.0 §9.5 and §9.6, USB 3.2 §9.6.7, `linux/drivers/usb/core/config.c`.

use wire::device::{Endpoint, Interface, Transfer};

/// `USB_MAXCONFIG` of `linux/drivers/usb/core/config.c`.
pub const CONFIGURATIONS_MAX: usize = 8;
/// All alternate settings of all configurations. Cameras have about 30, audio interfaces 20.
pub const INTERFACES_MAX: usize = 512;
/// Fifteen numbers in two directions, `USB_MAXENDPOINTS`.
pub const ENDPOINTS_MAX: usize = 30;

/// A device descriptor and the interfaces of all its configurations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptors {
    pub vendor_id: u16,
    pub product_id: u16,
    pub release: u16,
    pub class: u8,
    pub subclass: u8,
    pub protocol: u8,
    pub interfaces: Vec<Interface>,
}

/// Why bytes are not the descriptors of a device.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum DescriptorError {
    #[error("no device descriptor")]
    Device,
    #[error("more than {CONFIGURATIONS_MAX} configurations")]
    Configurations,
    #[error("more than {INTERFACES_MAX} interfaces and alternate settings")]
    Interfaces,
}

/// Reads a device descriptor and the configurations after it, as in sysfs's `descriptors`.
///
/// # Errors
/// When there is no device descriptor, or a limit is exceeded.
pub fn parse(bytes: &[u8]) -> Result<Descriptors, DescriptorError> {
    let (device, mut rest) = bytes.split_at_checked(DEVICE_BYTES).ok_or(DescriptorError::Device)?;
    if usize::from(device[0]) < DEVICE_BYTES || device[1] != DEVICE {
        return Err(DescriptorError::Device);
    }
    let mut interfaces = Vec::new();
    let mut configurations = 0;
    while rest.len() >= CONFIGURATION_BYTES && rest[1] == CONFIGURATION {
        configurations += 1;
        if configurations > CONFIGURATIONS_MAX {
            return Err(DescriptorError::Configurations);
        }
        let total = usize::from(word(rest, 2)).clamp(CONFIGURATION_BYTES, rest.len());
        let (configuration, after) = rest.split_at(total);
        parse_configuration(configuration, &mut interfaces)?;
        rest = after;
    }
    Ok(Descriptors {
        vendor_id: word(device, 8),
        product_id: word(device, 10),
        release: word(device, 12),
        class: device[4],
        subclass: device[5],
        protocol: device[6],
        interfaces,
    })
}

impl Descriptors {
    /// Whether the answer to a GET_DESCRIPTOR, whole or not, is of this device, as far as drivers
    /// are chosen by it (`usb_match_one_id`). It looks where the kernel looks, whatever lengths
    /// are in there.
    #[must_use]
    pub fn agree(&self, kind: u8, answer: &[u8]) -> bool {
        let class = [self.class, self.subclass, self.protocol];
        let product = (self.vendor_id, self.product_id);
        match kind {
            DEVICE => {
                answer.get(4..7).is_none_or(|shown| *shown == class)
                    && (answer.len() < 12 || (word(answer, 8), word(answer, 10)) == product)
            }
            CONFIGURATION => {
                let mut interfaces = chain(answer).filter(|descriptor| {
                    descriptor[1] == INTERFACE && descriptor.len() >= INTERFACE_BYTES
                });
                interfaces.all(|descriptor| {
                    self.interfaces.iter().any(|known| {
                        [known.class, known.subclass, known.protocol] == descriptor[5..8]
                    })
                })
            }
            _ => true,
        }
    }
}

fn parse_configuration(
    bytes: &[u8],
    interfaces: &mut Vec<Interface>,
) -> Result<(), DescriptorError> {
    let configuration = bytes[5];
    let first = interfaces.len();
    let mut owners = Owners::default();
    // Endpoints belong to the interface before them; those of a skipped one are skipped too.
    let mut open = false;
    for descriptor in chain(bytes) {
        match descriptor[1] {
            INTERFACE if descriptor.len() >= INTERFACE_BYTES => {
                let interface = parse_interface(configuration, descriptor);
                let same = |other: &Interface| {
                    (other.number, other.alternate) == (interface.number, interface.alternate)
                };
                open = !interfaces[first..].iter().any(same);
                if open && interfaces.len() == INTERFACES_MAX {
                    return Err(DescriptorError::Interfaces);
                }
                if open {
                    interfaces.push(interface);
                }
            }
            ENDPOINT if descriptor.len() >= ENDPOINT_BYTES && open => {
                let interface = interfaces.last_mut().expect("open is set after a push");
                add_endpoint(interface, parse_endpoint(descriptor), &mut owners);
            }
            COMPANION if descriptor.len() >= COMPANION_BYTES && open => {
                let interface = interfaces.last_mut().expect("open is set after a push");
                if let Some(endpoint) = interface.endpoints.last_mut() {
                    count_bursts(endpoint, descriptor);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// The descriptors of one configuration, up to the first whose length leads nowhere.
fn chain(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let length = usize::from(*bytes.first()?);
        if length < 2 {
            return None;
        }
        let (descriptor, rest) = bytes.split_at_checked(length)?;
        bytes = rest;
        Some(descriptor)
    })
}

fn parse_interface(configuration: u8, descriptor: &[u8]) -> Interface {
    Interface {
        configuration,
        number: descriptor[2],
        alternate: descriptor[3],
        class: descriptor[5],
        subclass: descriptor[6],
        protocol: descriptor[7],
        endpoints: Vec::new(),
    }
}

fn parse_endpoint(descriptor: &[u8]) -> Endpoint {
    let transfer = match descriptor[3] & 3 {
        0 => Transfer::Control,
        1 => Transfer::Isochronous,
        2 => Transfer::Bulk,
        _ => Transfer::Interrupt,
    };
    let packet_size = word(descriptor, 4);
    // USB 2.0 §9.6.6: bits 12..11 are the additional transactions per microframe.
    let transactions = match transfer {
        Transfer::Isochronous | Transfer::Interrupt => 1 + ((packet_size >> 11) & 3),
        Transfer::Control | Transfer::Bulk => 1,
    };
    Endpoint {
        address: descriptor[2] & 0x8f,
        transfer,
        packet_bytes_max: (packet_size & 0x7ff) * transactions,
        interval: descriptor[6],
    }
}

/// USB 3.2 §9.6.7: the packets per burst, and the bursts per service interval.
fn count_bursts(endpoint: &mut Endpoint, companion: &[u8]) {
    let packets = u16::from(companion[2] & 0xf) + 1;
    let bursts = match endpoint.transfer {
        Transfer::Isochronous => u16::from(companion[3] & 3) + 1,
        Transfer::Interrupt => 1,
        Transfer::Control | Transfer::Bulk => return,
    };
    endpoint.packet_bytes_max = endpoint.packet_bytes_max.saturating_mul(packets * bursts);
}

/// Which interface of a configuration an endpoint belongs to: no two may share one. The kernel's
/// `config_endpoint_is_duplicate`.
#[derive(Default)]
struct Owners([Option<u8>; 32]);

fn add_endpoint(interface: &mut Interface, endpoint: Endpoint, owners: &mut Owners) {
    let slot = usize::from(endpoint.address & 0xf) + usize::from(endpoint.address >> 7) * 16;
    let owner = owners.0[slot].get_or_insert(interface.number);
    let known = interface.endpoints.iter().any(|other| other.address == endpoint.address);
    let full = interface.endpoints.len() == ENDPOINTS_MAX;
    if endpoint.address & 0xf != 0 && *owner == interface.number && !known && !full {
        interface.endpoints.push(endpoint);
    }
}

fn word(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

// USB 2.0 table 9-5 and USB 3.2 table 9-6: descriptor types, and their least lengths.
const DEVICE: u8 = 1;
const CONFIGURATION: u8 = 2;
const INTERFACE: u8 = 4;
const ENDPOINT: u8 = 5;
const COMPANION: u8 = 0x30;
const DEVICE_BYTES: usize = 18;
const CONFIGURATION_BYTES: usize = 9;
const INTERFACE_BYTES: usize = 9;
const ENDPOINT_BYTES: usize = 7;
const COMPANION_BYTES: usize = 6;

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use hex_literal::hex;
    use proptest::prelude::*;

    /// A disk, bulk only: high speed, one interface, two endpoints.
    pub(crate) const DISK: [u8; 50] = hex!(
        "12 01 0002 00 00 00 40 2505 a5a4 0001 01 02 03 01"
        "09 02 2000 01 01 00 80 32"
        "09 04 00 00 02 08 06 50 00"
        "07 05 81 02 0002 00"
        "07 05 02 02 0002 00"
    );

    /// An FT232R: full speed, vendor class.
    const SERIAL: [u8; 50] = hex!(
        "12 01 0002 00 00 00 08 0304 0160 0006 01 02 03 01"
        "09 02 2000 01 01 00 a0 2d"
        "09 04 00 00 02 ff ff ff 02"
        "07 05 81 02 4000 00"
        "07 05 02 02 4000 00"
    );

    /// A camera: an interface association, video control with an interrupt endpoint, video
    /// streaming with none, with one and with three transactions per microframe.
    pub(crate) const CAMERA: [u8; 97] = hex!(
        "12 01 0002 ef 02 01 40 6b1d 0201 1000 01 02 00 01"
        "09 02 4f00 02 01 00 80 fa"
        "08 0b 00 02 0e 03 00 00"
        "09 04 00 00 01 0e 01 00 00"
        "07 05 83 03 1000 08"
        "05 25 03 1000"
        "09 04 01 00 00 0e 02 00 00"
        "09 04 01 01 01 0e 02 00 00"
        "07 05 81 05 c000 01"
        "09 04 01 02 01 0e 02 00 00"
        "07 05 81 05 0014 01"
    );

    fn endpoint(address: u8, transfer: Transfer, packet_bytes_max: u16, interval: u8) -> Endpoint {
        Endpoint { address, transfer, packet_bytes_max, interval }
    }

    #[test]
    fn a_disk() {
        let disk = parse(&DISK).unwrap();
        assert_eq!((disk.vendor_id, disk.product_id, disk.release), (0x0525, 0xa4a5, 0x0100));
        let bulk = |address| endpoint(address, Transfer::Bulk, 512, 0);
        let expected = Interface {
            configuration: 1,
            number: 0,
            alternate: 0,
            class: 8,
            subclass: 6,
            protocol: 0x50,
            endpoints: vec![bulk(0x81), bulk(0x02)],
        };
        assert_eq!(disk.interfaces, [expected]);
    }

    #[test]
    fn a_serial_adapter() {
        let serial = parse(&SERIAL).unwrap();
        assert_eq!((serial.vendor_id, serial.product_id), (0x0403, 0x6001));
        assert_eq!(serial.interfaces[0].class, 0xff);
        assert_eq!(serial.interfaces[0].endpoints[0].packet_bytes_max, 64);
    }

    #[test]
    fn a_camera_with_alternate_settings() {
        let camera = parse(&CAMERA).unwrap();
        let settings: Vec<_> =
            camera.interfaces.iter().map(|i| (i.number, i.alternate, i.endpoints.len())).collect();
        assert_eq!(settings, [(0, 0, 1), (1, 0, 0), (1, 1, 1), (1, 2, 1)]);
        let iso = |bytes| [endpoint(0x81, Transfer::Isochronous, bytes, 1)];
        assert_eq!(camera.interfaces[2].endpoints, iso(192));
        assert_eq!(camera.interfaces[3].endpoints, iso(3 * 1024));
    }

    #[test]
    fn super_speed_bursts_count() {
        let iso = hex!(
            "12 01 2003 00 00 00 09 6b1d 0401 0001 00 00 00 01"
            "09 02 1f00 01 01 00 80 32"
            "09 04 00 00 01 01 02 00 00"
            "07 05 81 05 0004 01"
            "06 30 0f 02 00c0"
        );
        assert_eq!(parse(&iso).unwrap().interfaces[0].endpoints[0].packet_bytes_max, 48 * 1024);
    }

    #[test]
    fn broken_chains_end_their_configuration_only() {
        let mut bytes = DISK.to_vec();
        bytes[18 + 9 + 9] = 0; // bLength of the first endpoint
        bytes.extend_from_slice(&DISK[18..]);
        bytes[50 + 5] = 2; // bConfigurationValue of the second configuration
        let interfaces = parse(&bytes).unwrap().interfaces;
        assert_eq!(interfaces.len(), 2);
        assert_eq!((interfaces[0].endpoints.len(), interfaces[1].endpoints.len()), (0, 2));
    }

    #[test]
    fn duplicates_are_skipped() {
        let mut bytes = DISK[..18].to_vec();
        bytes.extend_from_slice(&hex!(
            "09 02 3c00 02 01 00 80 32"
            "09 04 00 00 02 08 06 50 00"
            "07 05 81 02 0002 00"
            "07 05 81 03 4000 01"
            "09 04 00 00 01 03 00 00 00"
            "07 05 85 02 0002 00"
            "09 04 01 00 01 03 00 00 00"
            "07 05 81 02 0002 00"
        ));
        let interfaces = parse(&bytes).unwrap().interfaces;
        assert_eq!(interfaces.len(), 2);
        assert_eq!(interfaces[0].endpoints, [endpoint(0x81, Transfer::Bulk, 512, 0)]);
        assert_eq!(interfaces[1].endpoints, []);
    }

    #[test]
    fn what_is_no_device_descriptor_is_refused() {
        assert_eq!(parse(&DISK[..17]), Err(DescriptorError::Device));
        assert_eq!(parse(&DISK[18..]), Err(DescriptorError::Device));
        let mut many = DISK[..18].to_vec();
        many.extend(hex!("09 02 0900 00 01 00 80 32").repeat(9));
        assert_eq!(parse(&many), Err(DescriptorError::Configurations));
    }

    #[test]
    fn interfaces_are_limited() {
        let mut bytes = DISK[..18].to_vec();
        bytes.extend_from_slice(&hex!("09 02 ffff 02 01 00 80 32"));
        for number in 0..=2u8 {
            for alternate in 0..=255u8 {
                bytes.extend_from_slice(&[9, 4, number, alternate, 0, 8, 6, 0x50, 0]);
            }
        }
        assert_eq!(parse(&bytes), Err(DescriptorError::Interfaces));
    }

    #[test]
    fn other_classes_and_products_do_not_agree() {
        let disk = parse(&DISK).unwrap();
        for length in 0..=18 {
            assert!(disk.agree(DEVICE, &DISK[..length]));
        }
        assert!(disk.agree(CONFIGURATION, &DISK[18..]) && disk.agree(CONFIGURATION, &DISK[18..27]));
        for at in [4, 8, 11] {
            let mut other = DISK[..18].to_vec();
            (other[0], other[at]) = (1, other[at] ^ 1);
            assert!(!disk.agree(DEVICE, &other), "{at}");
        }
        assert!(!disk.agree(CONFIGURATION, &CAMERA[18..]));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(tail in proptest::collection::vec(any::<u8>(), 0..600)) {
            let mut bytes = DISK[..18].to_vec();
            bytes.extend_from_slice(&tail);
            let _ = parse(&bytes);
            let _ = parse(&tail);
        }

        #[test]
        fn any_chain_is_survived(
            parts in proptest::collection::vec(
                (0..12u8, prop_oneof![Just(2u8), Just(4), Just(5), Just(0x30)], any::<[u8; 10]>()),
                0..80,
            ),
        ) {
            let mut bytes = DISK.to_vec();
            for (length, kind, body) in parts {
                bytes.extend_from_slice(&[length, kind]);
                bytes.extend_from_slice(&body[..usize::from(length.saturating_sub(2))]);
            }
            bytes[20..22].copy_from_slice(&u16::MAX.to_le_bytes());
            if let Ok(descriptors) = parse(&bytes) {
                for interface in &descriptors.interfaces {
                    prop_assert!(interface.endpoints.len() <= ENDPOINTS_MAX);
                }
            }
        }

        #[test]
        fn cut_descriptors_are_survived(at in 18..CAMERA.len()) {
            prop_assert!(parse(&CAMERA[..at]).unwrap().interfaces.len() <= 4);
        }
    }
}
