//! Tickets, as people paste them. Half of the inputs get the right checksum: few would guess it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::pair::Ticket;

fn check(text: &str) {
    if let Ok(ticket) = text.parse::<Ticket>() {
        assert_eq!(ticket.to_string().parse(), Ok(ticket));
    }
}

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        check(text);
    }
    let mut bytes = bytes.to_vec();
    let (a, b) = bytes.iter().fold((0u16, 0u16), |(a, b), byte| {
        let a = (a + u16::from(*byte)) % 255;
        (a, (b + a) % 255)
    });
    bytes.extend([a as u8, b as u8]);
    check(&format!("farhub1{}", data_encoding::BASE32_NOPAD.encode(&bytes)));
});
