//! The serial loop-back.

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sim::host::{AcmPort, Host, LineCoding};
use sim::{LOOP_BYTES_MAX, Setup, Simulated};
use wire::usb::Submit;

async fn open() -> (Simulated, AcmPort) {
    let serial = Simulated::serial(2);
    let mut host = Host::new(serial.open());
    host.enumerate().await.expect("it enumerates");
    (serial, AcmPort::open(host).await.expect("it opens"))
}

#[tokio::test]
async fn a_megabyte_comes_back_at_any_chunking() {
    let seed = rand::rng().random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let (_serial, mut port) = open().await;
    let mut left = 1 << 20;
    while left > 0 {
        let most = if random.random() { 20 } else { LOOP_BYTES_MAX };
        let bytes = random.random_range(1..=most).min(left);
        let mut data = vec![0; bytes];
        random.fill(&mut data[..]);
        port.write(Bytes::from(data.clone())).await.unwrap();
        let mut back = Vec::new();
        while back.len() < bytes {
            back.extend_from_slice(&port.read().await.unwrap());
        }
        assert!(back == data, "{bytes} bytes came back changed");
        left -= bytes;
    }
}

#[tokio::test]
async fn a_full_loop_makes_writes_wait() {
    let serial = Simulated::serial(2);
    let mut host = Host::new(serial.open());
    let bytes = LOOP_BYTES_MAX + 1000;
    let data: Vec<u8> = (0..bytes).map(|i| (i % 251) as u8).collect();
    let length = u32::try_from(bytes).unwrap();
    let submit = Submit { length, ..<_>::default() };
    let write = host.submit(0x02, submit, Bytes::from(data.clone())).await.unwrap();
    let status = Setup { request_type: 0x80, length: 2, ..<_>::default() };
    host.control_in(status).await.unwrap();
    assert!(host.completed(write).is_none());
    let mut back = Vec::new();
    while back.len() < bytes {
        back.extend_from_slice(&host.read(0x83, 4096).await.unwrap());
    }
    assert!(back == data);
    let ended = host.wait(write).await.unwrap().complete;
    assert_eq!((ended.status, ended.actual_length), (0, length));
}

#[tokio::test]
async fn a_full_last_packet_is_followed_by_an_empty_one() {
    let serial = Simulated::serial(2);
    let mut host = Host::new(serial.open());
    host.write(0x02, Bytes::from(vec![1; 1024])).await.unwrap();
    assert_eq!(host.read(0x83, 4096).await.unwrap().len(), 1024);
    // An empty packet to us is no data.
    let flags = Submit::ZERO_PACKET;
    let submit = Submit { length: 512, flags, ..<_>::default() };
    let id = host.submit(0x02, submit, Bytes::from(vec![2; 512])).await.unwrap();
    assert_eq!(host.wait(id).await.unwrap().complete.actual_length, 512);
    assert_eq!(host.read(0x83, 512).await.unwrap().len(), 512);
}

#[tokio::test]
async fn lines_are_looped_back() {
    let (_serial, mut port) = open().await;
    for (lines, state) in [(1, 2), (3, 3), (2, 1), (0, 0)] {
        port.set_lines(lines).await.unwrap();
        assert_eq!(port.serial_state().await.unwrap(), state);
    }
    port.set_lines(0).await.unwrap();
    port.send_break(100).await.unwrap();
    assert_eq!(port.serial_state().await.unwrap(), 4);
}

#[tokio::test]
async fn the_line_coding_is_kept() {
    let (_serial, mut port) = open().await;
    let default = LineCoding { baud_rate: 9600, stop_bits: 0, parity: 0, data_bits: 8 };
    assert_eq!(port.line_coding().await.unwrap(), default);
    let coding = LineCoding { baud_rate: 2_000_000, stop_bits: 2, parity: 2, data_bits: 7 };
    port.set_line_coding(coding).await.unwrap();
    assert_eq!(port.line_coding().await.unwrap(), coding);
    let short = Setup { request_type: 0x21, request: 0x20, ..<_>::default() };
    assert!(port.host.control_out(short, Bytes::from_static(&[1])).await.is_err());
}
