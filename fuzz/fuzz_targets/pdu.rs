//! USB/IP as it comes from the kernel or a client.

#![no_main]

use bytes::{Buf, BytesMut};
use libfuzzer_sys::fuzz_target;
use usb::pdu::gather::Gather;
use usb::pdu::{Reply, Request, op};

fuzz_target!(|input: (u8, &[u8])| {
    let (kind, bytes) = input;
    let mut buf = BytesMut::from(bytes);
    match kind % 4 {
        0 => while let Ok(Some(_)) = op::Request::decode(&mut buf) {},
        1 => drop(op::Record::from_descriptors(bytes, wire::usb::Speed::High, 1)),
        2 => while let Ok(Some(_)) = Reply::decode(&mut buf, |seqnum| seqnum % 2 == 0) {},
        _ => {
            while let Ok(Some(request)) = Request::decode(&mut buf) {
                let mut again = Gather::default();
                request.encode(&mut again);
                let mut again = BytesMut::from(&again.copy_to_bytes(again.remaining())[..]);
                assert_eq!(Request::decode(&mut again), Ok(Some(request)));
            }
        }
    }
});
