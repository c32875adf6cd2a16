//! Descriptors, made from what a hub tells of a device, so that both say the same.
//!
//! Source: USB 2.0 §9.6. All emulated devices have one configuration and no alternate settings.

use super::{Extra, Function};
use bytes::{BufMut, Bytes, BytesMut};
use wire::device::{Transfer, Usb};

/// `bConfigurationValue` of the only configuration.
pub const CONFIGURATION: u8 = 1;
/// `bMaxPacketSize0`: the only size at high speed (USB 2.0 §5.5.3).
const CONTROL_PACKET_BYTES: u8 = 64;

/// Descriptor types, USB 2.0 table 9-5.
pub(super) const DEVICE: u8 = 1;
pub(super) const CONFIGURATION_TYPE: u8 = 2;
pub(super) const STRING: u8 = 3;
const INTERFACE: u8 = 4;
const ENDPOINT: u8 = 5;

/// String indices.
const MANUFACTURER: u8 = 1;
const PRODUCT: u8 = 2;
const SERIAL_NUMBER: u8 = 3;

/// Device descriptor and configuration descriptor, as in sysfs's `descriptors`.
pub(super) fn all(usb: &Usb, function: &impl Function) -> Bytes {
    let mut all = BytesMut::from(&device(usb)[..]);
    all.put(configuration(usb, function));
    all.freeze()
}

pub(super) fn device(usb: &Usb) -> Bytes {
    let mut device = BytesMut::with_capacity(18);
    device.put_u8(18);
    device.put_u8(DEVICE);
    device.put_u16_le(0x0200);
    device.put_slice(&[usb.class, usb.subclass, usb.protocol, CONTROL_PACKET_BYTES]);
    device.put_u16_le(usb.vendor_id);
    device.put_u16_le(usb.product_id);
    device.put_u16_le(usb.release);
    device.put_slice(&[MANUFACTURER, PRODUCT, SERIAL_NUMBER, 1]);
    device.freeze()
}

pub(super) fn configuration(usb: &Usb, function: &impl Function) -> Bytes {
    let mut body = BytesMut::new();
    for interface in &usb.interfaces {
        let endpoints = u8::try_from(interface.endpoints.len()).expect("at most 30 endpoints");
        let class = [interface.class, interface.subclass, interface.protocol];
        let Extra { before, after } = function.extra(interface.number);
        body.put_slice(before);
        body.put_slice(&[9, INTERFACE, interface.number, interface.alternate, endpoints]);
        body.put_slice(&class);
        body.put_u8(0);
        body.put_slice(after);
        for endpoint in &interface.endpoints {
            let attributes = match endpoint.transfer {
                Transfer::Control => 0,
                Transfer::Isochronous => 1,
                Transfer::Bulk => 2,
                Transfer::Interrupt => 3,
            };
            body.put_slice(&[7, ENDPOINT, endpoint.address, attributes]);
            body.put_u16_le(endpoint.packet_bytes_max);
            body.put_u8(endpoint.interval);
        }
    }
    let mut all = BytesMut::with_capacity(9 + body.len());
    all.put_slice(&[9, CONFIGURATION_TYPE]);
    all.put_u16_le(u16::try_from(9 + body.len()).expect("a few interfaces"));
    let interfaces = u8::try_from(usb.interfaces.len()).expect("a few interfaces");
    // Bus powered, 100 mA.
    all.put_slice(&[interfaces, CONFIGURATION, 0, 0x80, 50]);
    all.put(body);
    all.freeze()
}

/// USB 2.0 §9.6.7. Index 0 is the list of languages: US English.
pub(super) fn string(usb: &Usb, index: u8) -> Option<Bytes> {
    let text = match index {
        0 => return Some(Bytes::from_static(&[4, STRING, 0x09, 0x04])),
        MANUFACTURER => &usb.manufacturer,
        PRODUCT => &usb.product,
        SERIAL_NUMBER => &usb.serial_number,
        _ => return None,
    };
    let units: Vec<u16> = text.as_str().encode_utf16().take(126).collect();
    let mut string = BytesMut::with_capacity(2 + 2 * units.len());
    string.put_u8(u8::try_from(2 + 2 * units.len()).expect("126 units at most"));
    string.put_u8(STRING);
    units.iter().for_each(|unit| string.put_u16_le(*unit));
    Some(string.freeze())
}
