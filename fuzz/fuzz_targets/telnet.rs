//! What a program sends to a port that speaks RFC 2217, in any pieces, with anything from the port
//! between them.

#![no_main]

use arbitrary::Arbitrary;
use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use serial::attach::rfc2217::Port;
use std::collections::VecDeque;
use wire::serial::{Down, LineCoding, ModemLines, Up};

#[derive(Debug, Arbitrary)]
enum Step {
    Received(Vec<u8>),
    Data(Vec<u8>),
    Baud(u32),
    Lines { cts: bool, ring: bool, carrier: bool },
}

fuzz_target!(|steps: Vec<Step>| {
    let (mut port, mut ups, mut out) = (Port::default(), VecDeque::new(), BytesMut::new());
    let (mut received, mut given) = (0, 0);
    port.greet(&mut out);
    for step in steps {
        match step {
            Step::Received(bytes) => {
                received += bytes.len();
                port.received(Bytes::from(bytes), &mut ups, &mut out);
            }
            Step::Data(data) => {
                let before = out.len();
                port.down(Down::Data, &data, &mut out);
                let doubled = data.iter().filter(|byte| **byte == 0xff).count();
                assert_eq!(out.len() - before, data.len() + doubled);
            }
            Step::Baud(baud_rate) => {
                let coding = LineCoding { baud_rate, ..LineCoding::default() };
                port.down(Down::Coding(coding), &[], &mut out);
            }
            Step::Lines { cts, ring, carrier } => {
                let lines = ModemLines { cts, ring, carrier, dsr: false };
                port.down(Down::Lines(lines), &[], &mut out);
            }
        }
        for (up, data) in ups.drain(..) {
            given += data.len();
            match up {
                Up::Data => assert!(!data.is_empty()),
                Up::Coding(coding) => assert!(coding.is_valid()),
                Up::Modem { dtr, rts } => assert!(dtr.or(rts).is_some()),
                Up::Break { .. } | Up::Purge { .. } => {}
                Up::Program { .. } | Up::Stopped { .. } => panic!("a program can't say {up:?}"),
            }
        }
        assert!(given <= received, "data out of nowhere");
        out.clear();
    }
});
