//! An URB of the wire as usbfs takes it: checked, with the type of its endpoint, in parts where
//! it is isochronous.

use super::active::Active;
use super::ioctl::{Buffer, Request, URB_ISO_ASAP, URB_SHORT_NOT_OK, URB_ZERO_PACKET};
use super::iso;
use crate::device::Urb;
use rustix::io::Errno;
use wire::device::Transfer;
use wire::usb::{ISO_PACKETS_MAX, Submit};

/// The requests that make up an URB: one, or several if it has many isochronous packets.
///
/// # Errors
/// What `usb_submit_urb` says of such an URB: `ENOENT` of an endpoint that isn't there in the
/// current alternate settings, `EINVAL` of one whose parts contradict each other, `EMSGSIZE` of
/// one that is too long.
pub(super) fn requests(urb: &Urb, active: &Active) -> Result<Vec<Request>, Errno> {
    let Submit { length, setup, packets, .. } = &urb.submit;
    if *length as usize > wire::frame::BODY_BYTES_MAX {
        return Err(Errno::MSGSIZE);
    }
    let transfer = match urb.endpoint {
        0 => Transfer::Control,
        address => active.endpoint(address).ok_or(Errno::NOENT)?.transfer,
    };
    if packets.is_empty() == (transfer == Transfer::Isochronous) {
        return Err(Errno::INVAL);
    }
    match transfer {
        Transfer::Control => control(urb, setup.as_ref().ok_or(Errno::INVAL)?),
        Transfer::Isochronous => isochronous(urb),
        Transfer::Bulk | Transfer::Interrupt => stream(urb, transfer),
    }
}

fn control(urb: &Urb, setup: &[u8; 8]) -> Result<Vec<Request>, Errno> {
    let length = usize::from(u16::from_le_bytes([setup[6], setup[7]]));
    let is_in = setup[0] & IN != 0;
    // A buffer that is too short would be overrun; one that is too long is left half empty.
    if length > urb.submit.length as usize || (!is_in && urb.data.len() < length) {
        return Err(Errno::INVAL);
    }
    let mut bytes = Vec::with_capacity(SETUP_BYTES + length);
    bytes.extend_from_slice(setup);
    if is_in {
        bytes.resize(SETUP_BYTES + length, 0);
    } else {
        bytes.extend_from_slice(&urb.data[..length]);
    }
    Ok(vec![Request {
        endpoint: urb.endpoint,
        transfer: Transfer::Control,
        flags: if is_in { short_not_ok(&urb.submit) } else { 0 },
        buffer: Buffer::Control(bytes),
        packets: Vec::new(),
    }])
}

fn stream(urb: &Urb, transfer: Transfer) -> Result<Vec<Request>, Errno> {
    let bytes = urb.submit.length as usize;
    let (flags, buffer) = if urb.endpoint & IN != 0 {
        (short_not_ok(&urb.submit), Buffer::In { bytes })
    } else if urb.data.len() == bytes {
        let zero_packet = urb.submit.flags & Submit::ZERO_PACKET != 0;
        (if zero_packet { URB_ZERO_PACKET } else { 0 }, Buffer::Out(urb.data.clone()))
    } else {
        return Err(Errno::INVAL);
    };
    Ok(vec![Request { endpoint: urb.endpoint, transfer, flags, buffer, packets: Vec::new() }])
}

fn isochronous(urb: &Urb) -> Result<Vec<Request>, Errno> {
    let packets = &urb.submit.packets;
    let total = packets.iter().map(|length| u64::from(*length)).sum::<u64>();
    let is_in = urb.endpoint & IN != 0;
    if packets.len() > ISO_PACKETS_MAX
        || total > u64::from(urb.submit.length)
        || (!is_in && total != urb.data.len() as u64)
    {
        return Err(Errno::INVAL);
    }
    if packets.iter().any(|length| *length > iso::PACKET_BYTES_MAX) {
        return Err(Errno::MSGSIZE);
    }
    let part = |(packets, data): (&[u32], _)| Request {
        endpoint: urb.endpoint,
        transfer: Transfer::Isochronous,
        flags: URB_ISO_ASAP,
        buffer: if is_in {
            Buffer::In { bytes: packets.iter().map(|length| *length as usize).sum() }
        } else {
            Buffer::Out(data)
        },
        packets: packets.to_vec(),
    };
    Ok(iso::split(packets, &urb.data).map(part).collect())
}

fn short_not_ok(submit: &Submit) -> u32 {
    if submit.flags & Submit::SHORT_NOT_OK != 0 { URB_SHORT_NOT_OK } else { 0 }
}

/// The direction bit of endpoint addresses and of `bmRequestType`.
pub(super) const IN: u8 = 0x80;
/// USB 2.0 §9.3
pub(super) const SETUP_BYTES: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::descriptor;
    use bytes::Bytes;
    use hex_literal::hex;

    fn camera() -> Active {
        let mut active =
            Active::new(descriptor::parse(&descriptor::tests::CAMERA).unwrap().interfaces, 1);
        active.select(1, 1);
        active
    }

    fn disk() -> Active {
        Active::new(descriptor::parse(&descriptor::tests::DISK).unwrap().interfaces, 1)
    }

    fn urb(endpoint: u8, submit: Submit, data: &'static [u8]) -> Urb {
        Urb { endpoint, submit, data: Bytes::from_static(data) }
    }

    fn length(length: u32) -> Submit {
        Submit { length, ..Submit::default() }
    }

    #[test]
    fn the_type_is_that_of_the_current_setting() {
        assert_eq!(
            requests(&urb(0x81, length(9), &[]), &disk()).unwrap()[0].transfer,
            Transfer::Bulk
        );
        assert_eq!(
            requests(&urb(0x83, length(9), &[]), &camera()).unwrap()[0].transfer,
            Transfer::Interrupt
        );
        assert_eq!(requests(&urb(0x8f, length(9), &[]), &disk()).unwrap_err(), Errno::NOENT);
    }

    #[test]
    fn flags_go_where_they_have_a_meaning() {
        let both = Submit { flags: 0xff, length: 2, ..Submit::default() };
        let flags = |endpoint| requests(&urb(endpoint, both.clone(), b"ab"), &disk()).unwrap();
        assert_eq!(flags(0x81)[0].flags, URB_SHORT_NOT_OK);
        assert_eq!(flags(0x02)[0].flags, URB_ZERO_PACKET);
    }

    #[test]
    fn lengths_must_agree() {
        let fails = |urb: Urb, active: &Active| requests(&urb, active).unwrap_err();
        assert_eq!(fails(urb(0x02, length(3), b"ab"), &disk()), Errno::INVAL);
        assert_eq!(fails(urb(0x81, length(u32::MAX), &[]), &disk()), Errno::MSGSIZE);
        assert_eq!(fails(urb(0x00, length(0), &[]), &disk()), Errno::INVAL);
        let setup = Some(hex!("80 06 0001 0000 1200"));
        let short = Submit { length: 17, setup, ..Submit::default() };
        assert_eq!(fails(urb(0, short, &[]), &disk()), Errno::INVAL);
        let iso = |packets: Vec<u32>, length| Submit { length, packets, ..Submit::default() };
        assert_eq!(fails(urb(0x81, iso(vec![100, 100], 199), &[]), &camera()), Errno::INVAL);
        assert_eq!(fails(urb(0x81, iso(vec![1; 1025], 1025), &[]), &camera()), Errno::INVAL);
        assert_eq!(fails(urb(0x81, iso(vec![98_305], 98_305), &[]), &camera()), Errno::MSGSIZE);
        assert_eq!(fails(urb(0x81, iso(vec![], 9), &[]), &camera()), Errno::INVAL);
        assert_eq!(fails(urb(0x81, iso(vec![9], 9), &[]), &disk()), Errno::INVAL);
    }

    #[test]
    fn a_control_transfer_carries_its_setup_packet() {
        let setup = Some(hex!("21 09 0002 0000 0200"));
        let submit = Submit { length: 2, setup, ..Submit::default() };
        let request = requests(&urb(0, submit, b"ab"), &disk()).unwrap().remove(0);
        let Buffer::Control(bytes) = request.buffer else { panic!("a control buffer") };
        assert_eq!(bytes, hex!("21 09 0002 0000 0200 61 62"));
    }
}
