//! What anybody on the network can say in a TXT record.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::announce::Announcement;

fuzz_target!(|pairs: Vec<(String, Vec<u8>)>| {
    let pairs = pairs.iter().map(|(key, value)| (key.as_str(), value.as_slice()));
    if let Ok(read) = Announcement::from_txt(pairs) {
        let txt = read.to_txt();
        let again = txt.iter().map(|(key, value)| (*key, value.as_bytes()));
        assert_eq!(Announcement::from_txt(again), Ok(read));
    }
});
