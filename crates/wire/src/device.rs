//! What a hub tells of a device.

use crate::serial::Profile;
use crate::usb::Speed;
use crate::{DeviceId, Name, Text};
use serde::{Deserialize, Serialize};

/// A device on a shelf.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Device {
    pub id: DeviceId,
    pub name: Name,
    pub kind: Kind,
    /// Made of software, for demonstration and tests.
    pub simulated: bool,
    /// Whether it can be used now: plugged in, and nobody else uses it.
    pub state: State,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = DeviceState)]
pub enum State {
    Free,
    /// By whom: the name that the serving hub has for them.
    InUse(Text),
    /// Shared, but not plugged in at present.
    Absent,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Usb(Usb),
    Serial(Serial),
    Printer(Printer),
}

/// A 3D printer. What it does is told by its hub's management interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = PrinterOnShelf)]
pub struct Printer {
    /// What it speaks: `bambu`, `prusalink`, `moonraker`, `octoprint`.
    pub protocol: Text,
    /// As people call this one.
    pub title: Text,
    pub model: Text,
}

/// A serial port, and what is connected to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Serial {
    /// What its owner says that it is, or what it showed itself to be.
    pub profile: Profile,
    /// What the USB device that the port is on calls itself, if it is on one.
    pub product: Text,
    pub serial_number: Text,
    /// What its own computer calls it, as in `ttyUSB0`.
    pub port: Text,
}

/// USB 2.0 §9.6.1 and what hangs below it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Usb {
    pub vendor_id: u16,
    pub product_id: u16,
    /// `bcdDevice`
    pub release: u16,
    pub class: u8,
    pub subclass: u8,
    pub protocol: u8,
    pub speed: Speed,
    pub manufacturer: Text,
    pub product: Text,
    pub serial_number: Text,
    /// Where it is plugged in: bus and ports, as in `1-1.4`.
    pub port: Text,
    /// Of every configuration, with all alternate settings.
    pub interfaces: Vec<Interface>,
}

/// USB 2.0 §9.6.5
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Interface {
    pub configuration: u8,
    pub number: u8,
    pub alternate: u8,
    pub class: u8,
    pub subclass: u8,
    pub protocol: u8,
    pub endpoints: Vec<Endpoint>,
}

/// USB 2.0 §9.6.6
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Endpoint {
    /// With the direction in bit 7: set is IN.
    pub address: u8,
    pub transfer: Transfer,
    /// Bytes, with the additional transactions of high bandwidth endpoints counted in.
    pub packet_bytes_max: u16,
    /// `bInterval` as it stands in the descriptor.
    pub interval: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Transfer {
    Control,
    Isochronous,
    Bulk,
    Interrupt,
}

/// The classes that people know by name (USB-IF "defined class codes").
const CLASSES: &[(u8, &str)] = &[
    (0x01, "audio"),
    (0x02, "communication"),
    (0x03, "hid"),
    (0x05, "physical"),
    (0x06, "image"),
    (0x07, "printer"),
    (0x08, "mass-storage"),
    (0x09, "hub"),
    (0x0a, "cdc-data"),
    (0x0b, "smart-card"),
    (0x0d, "content-security"),
    (0x0e, "video"),
    (0x0f, "healthcare"),
    (0x10, "audio-video"),
    (0x11, "billboard"),
    (0xdc, "diagnostic"),
    (0xe0, "wireless"),
    (0xef, "miscellaneous"),
    (0xfe, "application"),
    (0xff, "vendor"),
];

/// The name of a class code.
#[must_use]
pub fn class_name(class: u8) -> Option<&'static str> {
    CLASSES.iter().find(|(code, _)| *code == class).map(|(_, name)| *name)
}

/// The class code of a name.
#[must_use]
pub fn class_code(name: &str) -> Option<u8> {
    CLASSES.iter().find(|(_, known)| *known == name).map(|(code, _)| *code)
}

impl Device {
    /// Whether it fits a frame of the shelf. Every real device does by far; one that describes
    /// thousands of endpoints to see what happens is not shown.
    #[must_use]
    pub fn fits(&self) -> bool {
        const REST: usize = 64;
        let bytes = postcard::to_stdvec(self).map_or(usize::MAX, |bytes| bytes.len());
        bytes + REST <= crate::frame::HEAD_BYTES_MAX
    }
}

impl Usb {
    /// Whether it could type or become a network interface: what a device that is not what it
    /// seems would use against the computer it is attached to.
    #[must_use]
    pub fn needs_trust(&self) -> bool {
        self.class == 0xe0
            || crate::adapters::is_adapter(self.vendor_id, self.product_id)
            || self.interfaces.iter().any(|interface| {
                let (class, subclass) = (interface.class, interface.subclass);
                // RNDIS says that it is a modem with a protocol of its own
                let network =
                    class == 2 && (!matches!(subclass, 1 | 2) || interface.protocol == 0xff);
                class == 3 || class == 0xe0 || network || (class == 0xef && subclass == 4)
            })
    }
}
