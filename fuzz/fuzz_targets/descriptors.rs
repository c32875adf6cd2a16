//! What a device, or a peer of its device, says of itself.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::collections::BTreeSet;
use usb::descriptor::{CONFIGURATIONS_MAX, ENDPOINTS_MAX, INTERFACES_MAX, parse};
use usb::pdu::op::Record;
use wire::usb::Speed;

const DEVICE: u8 = 1;
const CONFIGURATION: u8 = 2;
const DEVICE_BYTES: usize = 18;

fuzz_target!(|input: (&[u8], &[u8])| {
    let (bytes, answer) = input;
    // What the stock client is told rests on the same bytes.
    drop(Record::from_descriptors(bytes, Speed::High, 1));
    let Ok(descriptors) = parse(bytes) else { return };
    assert!(descriptors.interfaces.len() <= INTERFACES_MAX);
    let configurations: BTreeSet<u8> =
        descriptors.interfaces.iter().map(|interface| interface.configuration).collect();
    assert!(configurations.len() <= CONFIGURATIONS_MAX);
    for interface in &descriptors.interfaces {
        assert!(interface.endpoints.len() <= ENDPOINTS_MAX);
        assert!(interface.endpoints.iter().all(|endpoint| endpoint.address & 0x70 == 0));
    }
    // A device agrees with itself, wherever its answer is cut off.
    let cut = answer.len().min(bytes.len());
    assert!(descriptors.agree(DEVICE, &bytes[..cut.min(DEVICE_BYTES)]));
    for kind in [DEVICE, CONFIGURATION, 3, 15] {
        descriptors.agree(kind, answer);
    }
});
