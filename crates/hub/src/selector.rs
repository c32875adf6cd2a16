//! What a grant is about: which devices.
//!
//! Whatever cannot be read grants nothing. A class means the class of the *interface* (a device's
//! own class says nothing about most devices), and **every** interface must be of it: whoever
//! may use disks may not type through a disk that is also a keyboard. Class and product are of USB
//! devices only: a serial port is granted by its name, since what matters is the machine on it.

use std::fmt;
use std::str::FromStr;
use wire::DeviceId;
use wire::device::{Kind, class_code, class_name};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Selector {
    All,
    Class(u8),
    Product {
        vendor_id: u16,
        product_id: u16,
    },
    /// 3D printers, those that are added later too.
    Printers,
    Device(DeviceId),
}

/// Why a text is not a selector.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no selector: use *, a device's name or id, printers, class:CLASS or VID:PID")]
pub struct Unreadable(String);

impl Selector {
    #[must_use]
    pub fn matches(&self, id: &DeviceId, kind: &Kind) -> bool {
        match (self, kind) {
            (Self::All, _) => true,
            (Self::Device(device), _) => device == id,
            (Self::Class(class), Kind::Usb(usb)) => {
                let mut classes = usb.interfaces.iter().map(|interface| interface.class);
                !usb.interfaces.is_empty() && classes.all(|found| found == *class)
            }
            (Self::Product { vendor_id, product_id }, Kind::Usb(usb)) => {
                (usb.vendor_id, usb.product_id) == (*vendor_id, *product_id)
            }
            (Self::Printers, Kind::Printer(_)) => true,
            (Self::Printers, Kind::Usb(_) | Kind::Serial(_)) => false,
            (Self::Class(_) | Self::Product { .. }, Kind::Serial(_) | Kind::Printer(_)) => false,
        }
    }
}

impl FromStr for Selector {
    type Err = Unreadable;
    fn from_str(text: &str) -> Result<Self, Unreadable> {
        let unreadable = || Unreadable(text.to_owned());
        if text == "*" {
            return Ok(Self::All);
        }
        if text == "printers" {
            return Ok(Self::Printers);
        }
        if let Some(class) = text.strip_prefix("class:") {
            let number = class.strip_prefix("0x").map(|hex| u8::from_str_radix(hex, 16));
            let code = match number {
                Some(code) => code.ok(),
                None => class_code(class),
            };
            return code.map(Self::Class).ok_or_else(unreadable);
        }
        if let Some((vendor_id, product_id)) = product(text) {
            return Ok(Self::Product { vendor_id, product_id });
        }
        match text.parse::<DeviceId>() {
            Ok(id) if IDS.iter().any(|begin| text.starts_with(begin)) => Ok(Self::Device(id)),
            Ok(_) | Err(_) => Err(unreadable()),
        }
    }
}

/// How ids of devices begin; anything else is a name, and is looked up.
const IDS: [&str; 3] = ["usb-", "tty-", "printer-"];

/// `VID:PID`, four hexadecimal digits each.
pub(crate) fn product(text: &str) -> Option<(u16, u16)> {
    let (vendor, product) = text.split_once(':')?;
    let four = |part: &str| part.len() == 4 && part.bytes().all(|b| b.is_ascii_hexdigit());
    (four(vendor) && four(product)).then_some(())?;
    Some((u16::from_str_radix(vendor, 16).ok()?, u16::from_str_radix(product, 16).ok()?))
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::Printers => f.write_str("printers"),
            Self::Class(class) => match class_name(*class) {
                Some(name) => write!(f, "class:{name}"),
                None => write!(f, "class:0x{class:02x}"),
            },
            Self::Product { vendor_id, product_id } => {
                write!(f, "{vendor_id:04x}:{product_id:04x}")
            }
            Self::Device(id) => write!(f, "{id}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::device::{Interface, Usb};
    use wire::usb::Speed;

    fn device(classes: &[u8]) -> Kind {
        let interface = |class: &u8| Interface {
            configuration: 1,
            number: 0,
            alternate: 0,
            class: *class,
            subclass: 0,
            protocol: 0,
            endpoints: vec![],
        };
        Kind::Usb(Usb {
            vendor_id: 0x0403,
            product_id: 0x6001,
            release: 0,
            class: 0,
            subclass: 0,
            protocol: 0,
            speed: Speed::Full,
            manufacturer: "".into(),
            product: "".into(),
            serial_number: "".into(),
            port: "1-1".into(),
            interfaces: classes.iter().map(interface).collect(),
        })
    }

    fn matches(selector: &str, kind: &Kind) -> bool {
        let id = "usb-0403:6001:a".parse().unwrap();
        selector.parse::<Selector>().unwrap().matches(&id, kind)
    }

    #[test]
    fn a_class_is_that_of_every_interface() {
        assert!(matches("class:mass-storage", &device(&[8])));
        assert!(matches("class:0x08", &device(&[8, 8])));
        assert!(!matches("class:mass-storage", &device(&[8, 3])));
        assert!(!matches("class:mass-storage", &device(&[])));
    }

    #[test]
    fn the_other_selectors() {
        assert!(matches("*", &device(&[])));
        assert!(matches("0403:6001", &device(&[0xff])));
        assert!(!matches("0403:6002", &device(&[0xff])));
        assert!(matches("usb-0403:6001:a", &device(&[0xff])));
        assert!(!matches("usb-0403:6001:b", &device(&[0xff])));
    }

    #[test]
    fn what_cannot_be_read_is_no_selector() {
        for text in ["", "**", "class:", "class:disk", "class:0x1ff", "403:6001", "a/b", "laser"] {
            assert!(text.parse::<Selector>().is_err(), "{text}");
        }
    }

    #[test]
    fn selectors_are_written_as_they_are_read() {
        for text in ["*", "class:hid", "class:0x42", "0403:6001", "usb-0403:6001@1-1.2"] {
            assert_eq!(text.parse::<Selector>().unwrap().to_string(), text);
        }
    }
}
