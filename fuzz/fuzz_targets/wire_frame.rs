//! Frames with every kind of head, as they come from a peer.

#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use std::fmt::Debug;
use wire::frame::{BODY_BYTES_MAX, decode, encode_head};

fn frames<T>(bytes: &[u8])
where
    T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + Debug,
{
    let mut buf = BytesMut::from(bytes);
    while let Ok(Some((head, body))) = decode::<T>(&mut buf, BODY_BYTES_MAX) {
        // What was understood is said again in the same way.
        let mut again = BytesMut::new();
        encode_head(&head, body.len(), &mut again);
        again.extend_from_slice(&body);
        assert_eq!(decode(&mut again, BODY_BYTES_MAX), Ok(Some((head, body))));
    }
}

fuzz_target!(|input: (u8, &[u8])| {
    let (kind, bytes) = input;
    match kind % 9 {
        0 => frames::<wire::Open>(bytes),
        1 => frames::<wire::Answer>(bytes),
        2 => frames::<wire::usb::Up>(bytes),
        3 => frames::<wire::usb::Down>(bytes),
        4 => frames::<wire::usb::Attached>(bytes),
        5 => frames::<wire::shelf::Shelf>(bytes),
        6 => frames::<wire::Joined>(bytes),
        7 => frames::<wire::pair::Request>(bytes),
        _ => frames::<wire::pair::Accepted>(bytes),
    }
});
