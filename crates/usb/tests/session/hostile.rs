//! Either side against a peer that breaks the rules.

use crate::device::device;
use crate::kernel::{Kernel, bulk_in, bulk_out, control};
use crate::pair::attached;
use bytes::Bytes;
use hex_literal::hex;
use link::{Duplex, Opener, Rx, Tx};
use std::sync::Arc;
use tokio::sync::mpsc;
use usb::pdu::{IsoPacket, Submit as Pdu};
use usb::{attach, serve};
use wire::usb::{Complete, Down, PacketResult, Speed, Submit, Up, Window};

/// What comes of a completion that a peer makes up for the first request of the kernel.
async fn attach_hears(
    request: Pdu,
    lie: impl FnOnce(u32) -> (Complete, Bytes),
) -> (Option<crate::kernel::Back>, Result<attach::End, attach::Error>) {
    let (here, there) = Duplex::pipe(1 << 16);
    let (endpoint_here, endpoint_there) = Duplex::pipe(1 << 16);
    let slot = std::sync::Mutex::new(Some(endpoint_here));
    let opener = Opener::new(move |_, _| {
        let stream = slot.lock().unwrap().take().expect("one endpoint");
        Box::pin(async move { Ok(stream) })
    });
    let (socket, kernel) = tokio::io::duplex(1 << 16);
    let mut kernel = Kernel::new(kernel);
    let running = tokio::spawn(attach::run(
        tokio::io::split(socket),
        (attached(Speed::High, Window::OFFERED), Bytes::new()),
        here.framed(),
        opener,
        Arc::default(),
    ));
    let on_session = request.endpoint == 0;
    kernel.submit(request).await;
    let (mut session_rx, mut session_tx): (Rx<Up>, Tx<Down>) = there.framed();
    if on_session {
        let Some((Up::Submit(submit), _)) = session_rx.recv().await.unwrap() else { panic!() };
        let (complete, data) = lie(submit.id);
        session_tx.send(&Down::Complete(complete), data).await.unwrap();
    } else {
        let (mut rx, mut tx): (Rx<Up>, Tx<Down>) = endpoint_there.framed();
        let Some((Up::Submit(submit), _)) = rx.recv().await.unwrap() else { panic!() };
        let (complete, data) = lie(submit.id);
        tx.send(&Down::Complete(complete), data).await.unwrap();
        let back = kernel.back().await;
        drop((rx, tx, session_tx));
        return (back, running.await.unwrap());
    }
    let back = kernel.back().await;
    drop((session_rx, session_tx));
    (back, running.await.unwrap())
}

fn iso_in() -> Pdu {
    let packet = |offset| IsoPacket { offset, length: 10, ..IsoPacket::default() };
    let packets = vec![packet(0), packet(20)];
    Pdu { number_of_packets: 2, packets, ..bulk_in(1, 40) }
}

fn done(id: u32, actual_length: u32) -> Complete {
    Complete { id, actual_length, ..Complete::default() }
}

fn iso(id: u32, sum: u32, lengths: &[u32]) -> Complete {
    let result = |&actual_length| PacketResult { actual_length, status: 0 };
    Complete { packets: lengths.iter().map(result).collect(), ..done(id, sum) }
}

fn zeros(len: usize) -> Bytes {
    vec![0; len].into()
}

#[tokio::test]
async fn a_lying_host_ends_its_own_device_and_the_kernel_sees_nothing() {
    type Lie = Box<dyn FnOnce(u32) -> (Complete, Bytes)>;
    let lies: Vec<(&str, Pdu, Lie)> = vec![
        ("more than asked", bulk_in(1, 8), Box::new(move |id| (done(id, 9), zeros(9)))),
        ("less data than said", bulk_in(1, 8), Box::new(move |id| (done(id, 8), zeros(7)))),
        ("more data than said", bulk_in(1, 8), Box::new(move |id| (done(id, 7), zeros(8)))),
        ("OUT longer than asked", bulk_out(1, "ab"), Box::new(move |id| (done(id, 3), zeros(0)))),
        ("OUT with data", bulk_out(1, "ab"), Box::new(move |id| (done(id, 2), zeros(2)))),
        ("unknown id", bulk_in(1, 8), Box::new(move |id| (done(id + 1, 0), zeros(0)))),
        ("packets for bulk", bulk_in(1, 8), Box::new(move |id| (iso(id, 8, &[8]), zeros(8)))),
        ("no packets", iso_in(), Box::new(move |id| (done(id, 4), zeros(4)))),
        ("too many packets", iso_in(), Box::new(move |id| (iso(id, 3, &[1, 1, 1]), zeros(3)))),
        ("a packet too long", iso_in(), Box::new(move |id| (iso(id, 11, &[11, 0]), zeros(11)))),
        ("a wrong sum", iso_in(), Box::new(move |id| (iso(id, 9, &[5, 5]), zeros(9)))),
        ("a sum that wraps", iso_in(), Box::new(move |id| (iso(id, 4, &[u32::MAX, 5]), zeros(4)))),
    ];
    for (name, request, lie) in lies {
        let (back, end) = attach_hears(request, lie).await;
        assert_eq!(back, None, "{name}");
        assert!(matches!(end, Err(attach::Error::Violation(_))), "{name}: {end:?}");
    }
}

#[tokio::test]
async fn a_status_that_no_driver_may_see_becomes_a_protocol_error() {
    for status in [1, -115, -5000, i32::MIN, i32::MAX] {
        let get = control(hex!("80 06 0001 0000 1200"), "");
        let lie = move |id| (Complete { id, status, ..Complete::default() }, Bytes::new());
        let (back, _) = attach_hears(get, lie).await;
        assert!(
            matches!(&back, Some(crate::kernel::Back::Ret(_, ret)) if ret.status == -71),
            "{status}: {back:?}"
        );
    }
}

#[tokio::test]
async fn an_endpoint_that_cannot_be_opened_ends_the_session() {
    let (here, _there) = Duplex::pipe(1 << 16);
    let opener = Opener::new(move |_, _| {
        Box::pin(async { Err(std::io::ErrorKind::PermissionDenied.into()) })
    });
    let (socket, kernel) = tokio::io::duplex(1 << 16);
    let mut kernel = Kernel::new(kernel);
    kernel.submit(bulk_in(1, 8)).await;
    let end = attach::run(
        tokio::io::split(socket),
        (attached(Speed::High, Window::OFFERED), Bytes::new()),
        here.framed(),
        opener,
        Arc::default(),
    );
    assert_eq!(end.await.unwrap(), attach::End::PeerGone);
    assert_eq!(kernel.back().await, None);
}

#[tokio::test]
async fn a_peer_that_breaks_the_rules_loses_the_device() {
    let small = Window { urbs: 4, bytes: 1000 };
    let submit = |id, length| Submit { id, length, ..Submit::default() };
    let get = |id, length: u8| Submit {
        setup: Some([0x80, 6, 0, 1, 0, 0, length, 0]),
        ..submit(id, u32::from(length))
    };
    let flood = (0..5).map(|id| (0, Up::Submit(get(id, 1)), Bytes::new())).collect();
    let one = |endpoint, submit, data: &'static [u8]| {
        vec![(endpoint, Up::Submit(submit), Bytes::from_static(data))]
    };
    type Said = Vec<(u8, Up, Bytes)>;
    let cases: Vec<(&str, Said)> = vec![
        ("too many URBs", flood),
        ("too many bytes", one(0x81, submit(1, 1001), b"")),
        ("too long", one(0x81, submit(1, u32::MAX), b"")),
        ("an id twice", [one(0, get(1, 1), b""), one(0, get(1, 1), b"")].concat()),
        ("no setup", one(0, submit(1, 1), b"")),
        ("setup elsewhere", one(0x81, get(1, 1), b"")),
        ("data with an IN", one(0x81, submit(1, 1), b"x")),
        ("no data with an OUT", one(0x01, submit(1, 1), b"")),
        ("reset elsewhere", vec![(0x81, Up::Reset { id: 1 }, Bytes::new())]),
        ("an address of nothing", vec![(0x70, Up::Cancel { id: 1 }, Bytes::new())]),
        (
            "packets that do not add up",
            one(0x81, Submit { packets: vec![u32::MAX, 2], ..submit(1, 1) }, b""),
        ),
    ];
    for (name, messages) in cases {
        let (device, mut scripted) = device();
        let (endpoints_tx, endpoints) = mpsc::channel(1);
        let (here, there) = Duplex::pipe(1 << 16);
        let (endpoint_here, endpoint_there) = Duplex::pipe(1 << 16);
        let (_rx, mut session): (Rx<Down>, Tx<Up>) = here.framed();
        let (_endpoint_rx, mut endpoint_tx): (Rx<Down>, Tx<Up>) = endpoint_here.framed();
        let running =
            tokio::spawn(serve::run(device, there.framed(), endpoints, small, Arc::default()));
        let address = messages[0].0;
        if address != 0 {
            let (rx, tx) = endpoint_there.framed();
            endpoints_tx.send((address, rx, tx)).await.unwrap();
        }
        for (endpoint, up, data) in messages {
            let tx = if endpoint == 0 { &mut session } else { &mut endpoint_tx };
            let _ = tx.send(&up, data).await; // may be gone already
        }
        let end = running.await.unwrap();
        assert!(matches!(end, Err(serve::Error::Violation(_))), "{name}: {end:?}");
        while scripted.commands.recv().await.is_some() {} // the device is released
    }
}

#[tokio::test]
async fn an_endpoint_has_one_stream() {
    let (device, _scripted) = device();
    let (endpoints_tx, endpoints) = mpsc::channel(2);
    let (_here, there) = Duplex::pipe(1 << 10);
    let running = serve::run(device, there.framed(), endpoints, Window::OFFERED, Arc::default());
    for _ in 0..2 {
        let (rx, tx) = Duplex::pipe(1 << 10).0.framed();
        endpoints_tx.send((0x81, rx, tx)).await.unwrap();
    }
    assert!(matches!(running.await, Err(serve::Error::Violation(_))));
}
