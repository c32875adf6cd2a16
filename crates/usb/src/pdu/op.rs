//! USB/IP before the import: which devices there are, and taking one.
//!
//! For clients that need it: the stock `usbip` tool, usbip-win2. `vhci_hcd` itself does not.
//! Source: `linux/tools/usb/usbip/src/usbip_network.h`.

use super::Error;
use bytes::{Buf, BufMut, BytesMut};
use wire::usb::Speed;

const VERSION: u16 = 0x0111;
const OP_REQ_DEVLIST: u16 = 0x8005;
const OP_REP_DEVLIST: u16 = 0x0005;
const OP_REQ_IMPORT: u16 = 0x8003;
const OP_REP_IMPORT: u16 = 0x0003;
const COMMON_BYTES: usize = 8;
const BUSID_BYTES: usize = 32;
const PATH_BYTES: usize = 256;

/// A bus id as the protocol carries it: up to 31 bytes and zeros.
pub type BusId = [u8; BUSID_BYTES];

/// A bus id from its text, cut where it is too long.
#[must_use]
pub fn bus_id(text: &str) -> BusId {
    let mut id = [0; BUSID_BYTES];
    let len = text.len().min(BUSID_BYTES - 1);
    id[..len].copy_from_slice(&text.as_bytes()[..len]);
    id
}

/// What a client asks first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    Devlist,
    Import(BusId),
}

impl Request {
    /// Takes one whole request off the front of `buf`, or says that more bytes are needed.
    ///
    /// # Errors
    /// When the bytes are no USB/IP of a version that we know.
    pub fn decode(buf: &mut BytesMut) -> Result<Option<Self>, Error> {
        let Some(mut common) = buf.get(..COMMON_BYTES) else { return Ok(None) };
        let (version, code) = (common.get_u16(), common.get_u16());
        if version != VERSION {
            return Err(Error::Version(version));
        }
        match code {
            OP_REQ_DEVLIST => {
                buf.advance(COMMON_BYTES);
                Ok(Some(Self::Devlist))
            }
            OP_REQ_IMPORT if buf.len() < COMMON_BYTES + BUSID_BYTES => Ok(None),
            OP_REQ_IMPORT => {
                buf.advance(COMMON_BYTES);
                let mut id = [0; BUSID_BYTES];
                buf.copy_to_slice(&mut id);
                Ok(Some(Self::Import(id)))
            }
            code => Err(Error::Command(u32::from(code))),
        }
    }
}

/// Why there is nothing to import (`usbip_common.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// `ST_ERROR`
    Error = 5,
    /// `ST_NODEV`
    NoDevice = 4,
}

/// `struct usbip_usb_device`, from the descriptors of the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub speed: Speed,
    pub vendor_id: u16,
    pub product_id: u16,
    pub release: u16,
    /// Class, subclass, protocol.
    pub class: [u8; 3],
    pub configuration: u8,
    pub configurations: u8,
    /// Class, subclass, protocol of each interface of the first configuration.
    pub interfaces: Vec<[u8; 3]>,
}

impl Record {
    /// Reads what the record needs; what is missing or torn is left out.
    #[must_use]
    pub fn from_descriptors(descriptors: &[u8], speed: Speed, configuration: u8) -> Self {
        let byte = |at: usize| descriptors.get(at).copied().unwrap_or(0);
        let word = |at: usize| u16::from_le_bytes([byte(at), byte(at + 1)]);
        let mut interfaces = Vec::new();
        let mut configurations = 0;
        for descriptor in crate::attach::each_descriptor(descriptors) {
            match *descriptor {
                [_, 2, ..] => configurations += 1,
                [_, 4, _, 0, _, class, subclass, protocol, ..] if configurations == 1 => {
                    interfaces.push([class, subclass, protocol]);
                }
                _ => {}
            }
        }
        // Their number is one byte.
        interfaces.truncate(usize::from(u8::MAX));
        Self {
            speed,
            vendor_id: word(8),
            product_id: word(10),
            release: word(12),
            class: [byte(4), byte(5), byte(6)],
            configuration,
            configurations: byte(17),
            interfaces,
        }
    }

    /// The 312 bytes of the device, without its interfaces.
    fn put(&self, id: &BusId, out: &mut BytesMut) {
        let path = b"/sys/devices/platform/farhub/usb1/1-1";
        out.put_slice(path);
        out.put_bytes(0, PATH_BYTES - path.len());
        out.put_slice(id);
        out.put_u32(1); // busnum
        out.put_u32(2); // devnum
        out.put_u32(self.speed.code());
        out.put_u16(self.vendor_id);
        out.put_u16(self.product_id);
        out.put_u16(self.release);
        out.put_slice(&self.class);
        out.put_u8(self.configuration);
        out.put_u8(self.configurations);
        out.put_u8(self.interfaces.len() as u8);
    }
}

fn put_common(code: u16, status: u32, out: &mut BytesMut) {
    out.put_u16(VERSION);
    out.put_u16(code);
    out.put_u32(status);
}

/// The list of one device.
pub fn put_devlist(record: &Record, id: &BusId, out: &mut BytesMut) {
    put_common(OP_REP_DEVLIST, 0, out);
    out.put_u32(1);
    record.put(id, out);
    for class in &record.interfaces {
        out.put_slice(class);
        out.put_u8(0);
    }
}

/// The device is yours.
pub fn put_import(record: &Record, id: &BusId, out: &mut BytesMut) {
    put_common(OP_REP_IMPORT, 0, out);
    record.put(id, out);
}

/// It is not.
pub fn put_import_refused(status: Status, out: &mut BytesMut) {
    put_common(OP_REP_IMPORT, status as u32, out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    const DESCRIPTORS: [u8; 18 + 9 + 9 + 7] = hex!(
        "12 01 0002 00 00 00 40 0304 0160 0006 01 02 03 01"
        "09 02 1900 01 01 00 80 32"
        "09 04 00 00 01 ff 01 02 00"
        "07 05 81 02 0002 00"
    );

    #[test]
    fn requests() {
        let mut list = BytesMut::from(&hex!("0111 8005 00000000")[..]);
        assert_eq!(Request::decode(&mut list), Ok(Some(Request::Devlist)));
        assert!(list.is_empty());
        let mut import = BytesMut::from(&hex!("0111 8003 00000000 312d31")[..]);
        assert_eq!(Request::decode(&mut import), Ok(None));
        import.put_bytes(0, 29);
        assert_eq!(Request::decode(&mut import), Ok(Some(Request::Import(bus_id("1-1")))));
        let other = Request::decode(&mut BytesMut::from(&hex!("0106 8005 00000000")[..]));
        assert_eq!(other, Err(Error::Version(0x0106)));
    }

    #[test]
    fn a_device_is_312_bytes_and_its_interfaces_come_in_the_list_only() {
        let record = Record::from_descriptors(&DESCRIPTORS, Speed::Full, 1);
        assert_eq!(record.interfaces, [[0xff, 1, 2]]);
        let mut import = BytesMut::new();
        put_import(&record, &bus_id("0123"), &mut import);
        assert_eq!(import.len(), 8 + 312);
        assert_eq!(import[..8], hex!("0111 0003 00000000"));
        assert_eq!(import[8 + 256..8 + 260], *b"0123");
        assert_eq!(
            import[8 + 288..],
            hex!("00000001 00000002 00000002 0403 6001 0600 000000 01 01 01")
        );
        let mut list = BytesMut::new();
        put_devlist(&record, &bus_id("0123"), &mut list);
        assert_eq!(list.len(), 12 + 312 + 4);
        assert_eq!(list[..12], hex!("0111 0005 00000000 00000001"));
        assert_eq!(list[12 + 312..], hex!("ff 01 02 00"));
        let mut refused = BytesMut::new();
        put_import_refused(Status::NoDevice, &mut refused);
        assert_eq!(refused[..], hex!("0111 0003 00000004"));
    }

    #[test]
    fn torn_descriptors_make_a_record_of_what_is_there() {
        for len in 0..DESCRIPTORS.len() {
            let _ = Record::from_descriptors(&DESCRIPTORS[..len], Speed::High, 0);
        }
    }
}
