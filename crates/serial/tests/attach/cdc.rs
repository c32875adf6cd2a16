//! The emulated device at a USB host, directly and behind USB/IP.

use super::{CLOSED, OPEN, Port, noise};
use bytes::{Buf, Bytes, BytesMut};
use serial::attach::cdc::Cdc;
use sim::Setup;
use sim::host::{AcmPort, Error, Host, LineCoding as Wire};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use usb::pdu::gather::Gather;
use usb::pdu::{Reply, Request, Ret, Submit};
use wire::serial::{Down, LineErrors, ModemLines, Parity, StopBits, Up};
use wire::usb::Submit as Urb;

async fn plugged() -> (Port, Host) {
    let (port, program) = Port::new().await;
    let (device, cdc) = Cdc::new("garage/laser", "f00d");
    tokio::spawn(cdc.run(program));
    let mut host = Host::new(device);
    let found = host.enumerate().await.unwrap();
    assert_eq!(found.product, "garage/laser");
    (port, host)
}

async fn opened() -> (Port, AcmPort) {
    let (mut port, host) = plugged().await;
    let acm = AcmPort::open(host).await.unwrap();
    assert_eq!(port.asked().await, OPEN);
    (port, acm)
}

#[tokio::test]
async fn its_descriptors_are_those_of_cdc_acm() {
    let (_port, mut host) = plugged().await;
    let found = host.enumerate().await.unwrap();
    assert_eq!(found.device[4..7], [0xef, 2, 1]);
    let association = &found.configuration[9..17];
    assert_eq!(association, [8, 0x0b, 0, 2, 2, 2, 1, 0]);
    let total = u16::from_le_bytes([found.configuration[2], found.configuration[3]]);
    assert_eq!(usize::from(total), found.configuration.len());
    let all = host.device().descriptors.clone();
    let parsed = usb::descriptor::parse(&all).unwrap();
    let classes: Vec<_> = parsed.interfaces.iter().map(|interface| interface.class).collect();
    assert_eq!(classes, [2, 10]);
}

#[tokio::test]
async fn what_a_driver_asks_for_is_asked_of_the_port_in_order() {
    let (mut port, mut acm) = opened().await;
    let coding = Wire { baud_rate: 250_000, stop_bits: 2, parity: 2, data_bits: 7 };
    acm.write(Bytes::from_static(b"before")).await.unwrap();
    acm.set_line_coding(coding).await.unwrap();
    acm.set_lines(1).await.unwrap();
    acm.send_break(0xffff).await.unwrap();
    acm.send_break(0).await.unwrap();
    acm.write(Bytes::from_static(b"after")).await.unwrap();
    assert_eq!(port.data(6).await, b"before");
    let Up::Coding(asked) = port.asked().await else { panic!() };
    assert_eq!((asked.baud_rate, asked.data_bits), (250_000, 7));
    assert_eq!((asked.stop_bits, asked.parity), (StopBits::Two, Parity::Even));
    assert_eq!(port.asked().await, Up::Modem { dtr: Some(true), rts: Some(false) });
    assert_eq!(port.asked().await, Up::Break { on: true });
    assert_eq!(port.asked().await, Up::Break { on: false });
    assert_eq!(port.data(5).await, b"after");
    // What the port really does is what the driver reads back.
    let done = wire::serial::LineCoding { baud_rate: 249_999, ..asked };
    port.says(Down::Coding(done), "").await;
    port.says(Down::Data, "x").await;
    assert_eq!(acm.read().await.unwrap(), "x");
    assert_eq!(acm.line_coding().await.unwrap(), Wire { baud_rate: 249_999, ..coding });
    let bad = Wire { parity: 9, ..coding };
    assert!(acm.set_line_coding(bad).await.is_err());
}

#[tokio::test]
async fn modem_lines_and_errors_are_notified() {
    let (mut port, mut acm) = opened().await;
    let lines = ModemLines { carrier: true, dsr: true, ..<_>::default() };
    port.says(Down::Lines(lines), "").await;
    assert_eq!(acm.serial_state().await.unwrap(), 3);
    port.says(Down::Errors(LineErrors { framing: 1, ..<_>::default() }), "").await;
    assert_eq!(acm.serial_state().await.unwrap(), 3 | 16);
    port.says(Down::Lines(ModemLines::default()), "").await;
    assert_eq!(acm.serial_state().await.unwrap(), 0);
}

#[tokio::test]
async fn a_megabyte_each_way() {
    let (mut port, mut acm) = opened().await;
    let data = noise(1 << 20);
    for piece in data.chunks(100_000) {
        let (write, came) =
            tokio::join!(acm.write(Bytes::copy_from_slice(piece)), port.data(piece.len()));
        write.unwrap();
        assert!(came == piece);
    }
    let sends = async {
        for piece in data.chunks(1111) {
            port.says(Down::Data, Bytes::copy_from_slice(piece)).await;
        }
    };
    let reads = async {
        let mut came = Vec::new();
        while came.len() < data.len() {
            came.extend_from_slice(&acm.read().await.unwrap());
        }
        came
    };
    let ((), came) = tokio::join!(sends, reads);
    assert!(came == data);
}

#[tokio::test]
async fn writes_wait_until_there_is_room() {
    let (_port, mut acm) = opened().await;
    let data = Bytes::from(vec![1; 1 << 20]);
    let submit = Urb { length: 1 << 20, ..<_>::default() };
    let id = acm.host.submit(0x02, submit, data).await.unwrap();
    // Nobody reads at the port.
    for _ in 0..100 {
        let status = Setup { request_type: 0x80, length: 2, ..<_>::default() };
        acm.host.control_in(status).await.unwrap();
    }
    assert!(acm.host.completed(id).is_none());
    acm.host.cancel(id).await.unwrap();
    assert_eq!(acm.host.wait(id).await.unwrap().complete.status, -104);
}

#[tokio::test]
async fn a_driver_that_no_longer_reads_has_closed_the_port() {
    let (mut port, mut host) = plugged().await;
    let read = Urb { length: 512, ..<_>::default() };
    for _ in 0..3 {
        let first = host.submit(0x83, read.clone(), Bytes::new()).await.unwrap();
        let second = host.submit(0x83, read.clone(), Bytes::new()).await.unwrap();
        assert_eq!(port.asked().await, OPEN);
        port.says(Down::Data, "x").await;
        assert_eq!(host.wait(first).await.unwrap().data, "x");
        host.cancel(second).await.unwrap();
        assert_eq!(host.wait(second).await.unwrap().complete.status, -104);
        assert_eq!(port.asked().await, CLOSED);
        port.says(Down::Data, "to nobody").await;
    }
}

#[tokio::test]
async fn what_a_driver_holds_at_a_stop_is_discarded() {
    let (mut port, mut acm) = opened().await;
    let data = Bytes::from(vec![b'G'; 1 << 20]);
    let submit = Urb { length: 1 << 20, ..<_>::default() };
    let id = acm.host.submit(0x02, submit, data).await.unwrap();
    port.says(Down::Stopped { stops: 1 }, "").await;
    let mut before = 0;
    loop {
        match port.heard().await {
            (Up::Data, data) => before += data.len(),
            (up, _) => break assert_eq!(up, Up::Stopped { stops: 1 }),
        }
    }
    assert!(before < 1 << 19, "{before} bytes got away");
    assert_eq!(acm.host.wait(id).await.unwrap().complete.actual_length, 1 << 20);
    let after = async {
        loop {
            acm.write(Bytes::from_static(b"$X")).await.unwrap();
            let wait = tokio::time::timeout(Duration::from_millis(30), port.data(2));
            if let Ok(data) = wait.await {
                break data;
            }
        }
    };
    assert_eq!(after.await, b"$X");
}

#[tokio::test]
async fn a_port_that_is_gone_is_a_device_that_is_gone() {
    let (port, mut acm) = opened().await;
    drop(port);
    assert!(matches!(acm.read().await, Err(Error::Gone | Error::Status { status: -19, .. })));
}

/// A USB/IP client that has one request under way.
struct Client {
    socket: DuplexStream,
    input: BytesMut,
    seqnum: u32,
}

impl Client {
    async fn submit(&mut self, submit: Submit) -> u32 {
        self.seqnum += 1;
        let mut out = Gather::default();
        Request::Submit(Submit { seqnum: self.seqnum, ..submit }).encode(&mut out);
        while out.has_remaining() {
            self.socket.write_buf(&mut out).await.unwrap();
        }
        self.seqnum
    }

    async fn ended(&mut self) -> Ret {
        loop {
            match Reply::decode(&mut self.input, |seqnum| seqnum != SET_LINES).unwrap() {
                Some(Reply::Submit(ret)) => return ret,
                Some(other) => panic!("{other:?}"),
                None => self.socket.read_buf(&mut self.input).await.unwrap(),
            };
        }
    }
}

/// The only request of the test that does not read.
const SET_LINES: u32 = 3;

#[tokio::test]
async fn a_usbip_client_sees_it_like_any_device() {
    let (mut port, program) = Port::new().await;
    let (device, cdc) = Cdc::new("garage/laser", "f00d");
    tokio::spawn(cdc.run(program));
    let (here, there) = tokio::io::duplex(64 * 1024);
    let counters = Arc::new(usb::Counters::default());
    let local = usb::attach::local(tokio::io::split(there), device, Arc::clone(&counters));
    let session = tokio::spawn(local);
    let mut client = Client { socket: here, input: BytesMut::new(), seqnum: 0 };
    let none = Submit {
        seqnum: 0,
        devid: 1,
        is_in: false,
        endpoint: 0,
        flags: 0,
        length: 0,
        start_frame: 0,
        number_of_packets: 0,
        interval: 0,
        setup: [0; 8],
        data: Bytes::new(),
        packets: vec![],
    };
    let setup = [0x80, 6, 0, 1, 0, 0, 18, 0];
    client.submit(Submit { is_in: true, length: 18, setup, ..none.clone() }).await;
    let ret = client.ended().await;
    assert_eq!((ret.status, ret.actual_length, &ret.data[8..12]), (0, 18, &[9, 0x12, 3, 0][..]));
    let read = Submit { is_in: true, endpoint: 3, length: 512, ..none.clone() };
    let read = client.submit(read).await;
    assert_eq!(port.asked().await, OPEN);
    let setup = [0x21, 0x22, 3, 0, 0, 0, 0, 0];
    assert_eq!(client.submit(Submit { setup, ..none.clone() }).await, SET_LINES);
    assert_eq!(client.ended().await.status, 0);
    assert_eq!(port.asked().await, Up::Modem { dtr: Some(true), rts: Some(true) });
    port.says(Down::Data, "Grbl").await;
    let ret = client.ended().await;
    assert_eq!((ret.seqnum, ret.status, &ret.data[..]), (read, 0, &b"Grbl"[..]));
    drop(client);
    assert_eq!(session.await.unwrap().unwrap(), usb::attach::End::KernelClosed);
    // The device is gone, and with it the program.
    assert_eq!(port.asked().await, CLOSED);
}
