//! USB 2.0 chapter 9, and the fate of transfers.

use bytes::Bytes;
use sim::Setup;
use sim::host::{Error, Host};
use wire::usb::Submit;

fn get(request_type: u8, request: u8, value: u16, index: u16, length: u16) -> Setup {
    Setup { request_type, request, value, index, length }
}

fn stalled<T: std::fmt::Debug>(result: Result<T, Error>) {
    assert!(matches!(result, Err(Error::Status { status: -32, .. })), "{result:?}");
}

async fn status_of(host: &mut Host, id: u32) -> (i32, u32) {
    let ended = host.wait(id).await.expect("it completes");
    assert_eq!(ended.complete.actual_length as usize, ended.data.len());
    (ended.complete.status, ended.complete.actual_length)
}

#[tokio::test]
async fn both_devices_enumerate() {
    for simulated in sim::demo() {
        let device = simulated.open();
        let descriptors = device.descriptors.clone();
        assert_eq!(device.configuration, 1);
        let mut host = Host::new(device);
        let found = host.enumerate().await.unwrap();
        assert_eq!([&found.device[..], &found.configuration].concat(), descriptors);
        assert_eq!(found.product, simulated.usb.product.as_str());
        assert_eq!(found.serial_number, simulated.usb.serial_number.as_str());
        assert_eq!(found.manufacturer, "farhub");
        assert_eq!(found.configuration[4] as usize, simulated.usb.interfaces.len());
        assert_eq!(u16::from_le_bytes([found.device[8], found.device[9]]), 0x1209);
        assert!(simulated.name.as_str().starts_with("farhub-simulated"));
        assert!(!simulated.usb.needs_trust());
    }
}

#[tokio::test]
async fn descriptors_are_cut_to_the_length_asked_for() {
    let disk = &sim::demo()[0];
    let mut host = Host::new(disk.open());
    assert_eq!(host.control_in(get(0x80, 6, 0x0100, 0, 8)).await.unwrap().len(), 8);
    assert_eq!(host.control_in(get(0x80, 6, 0x0100, 0, 64)).await.unwrap().len(), 18);
    assert_eq!(host.control_in(get(0x80, 6, 0x0300, 0, 255)).await.unwrap()[..], [4, 3, 9, 4]);
    // The buffer is what counts when the packet lies.
    let setup = Some(get(0x80, 6, 0x0100, 0, 18).into());
    let submit = Submit { length: 4, setup, ..Submit::default() };
    let id = host.submit(0, submit, Bytes::new()).await.unwrap();
    assert_eq!(status_of(&mut host, id).await, (0, 4));
    let setup = Some(get(0x80, 6, 0x0100, 0, 64).into());
    let submit = Submit { length: 64, setup, flags: Submit::SHORT_NOT_OK, ..Submit::default() };
    let id = host.submit(0, submit, Bytes::new()).await.unwrap();
    assert_eq!(status_of(&mut host, id).await, (-121, 18));
}

#[tokio::test]
async fn what_does_not_exist_is_stalled() {
    let disk = &sim::demo()[0];
    let mut host = Host::new(disk.open());
    // Device qualifier, other speed, BOS, a fourth string, a second configuration.
    for value in [0x0600, 0x0700, 0x0f00, 0x0304, 0x0201] {
        stalled(host.control_in(get(0x80, 6, value, 0, 64)).await);
    }
    stalled(host.control_in(get(0x81, 0, 0, 1, 2)).await);
    stalled(host.control_in(get(0x82, 0, 0, 0x83, 2)).await);
    stalled(host.control_in(get(0xc0, 1, 0, 0, 2)).await);
    stalled(host.control_in(get(0x82, 12, 0, 0x81, 2)).await);
    stalled(host.control_out(get(0x00, 9, 2, 0, 0), Bytes::new()).await);
    stalled(host.control_out(get(0x00, 3, 1, 0, 0), Bytes::new()).await);
    stalled(host.control_out(get(0x01, 11, 1, 0, 0), Bytes::new()).await);
    // And the next request works.
    assert_eq!(host.control_in(get(0x80, 0, 0, 0, 2)).await.unwrap()[..], [0, 0]);
}

#[tokio::test]
async fn configuration_0_has_no_endpoints() {
    let serial = &sim::demo()[1];
    let mut host = Host::new(serial.open());
    let pending = host.submit(0x83, Submit { length: 512, ..<_>::default() }, Bytes::new()).await;
    host.control_out(get(0x00, 9, 0, 0, 0), Bytes::new()).await.unwrap();
    assert_eq!(status_of(&mut host, pending.unwrap()).await, (-108, 0));
    assert_eq!(host.control_in(get(0x80, 8, 0, 0, 1)).await.unwrap()[..], [0]);
    let read = host.read(0x83, 512).await;
    assert_eq!(read, Err(Error::Status { status: -2, data: Bytes::new() }));
    stalled(host.control_in(get(0x81, 10, 0, 0, 1)).await);
    host.control_out(get(0x00, 9, 1, 0, 0), Bytes::new()).await.unwrap();
    assert_eq!(host.control_in(get(0x81, 10, 0, 0, 1)).await.unwrap()[..], [0]);
    host.write(0x02, Bytes::from_static(b"back")).await.unwrap();
    assert_eq!(host.read(0x83, 512).await.unwrap(), "back");
}

#[tokio::test]
async fn a_halt_lasts_until_it_is_cleared() {
    let serial = &sim::demo()[1];
    let mut host = Host::new(serial.open());
    let waiting = host.submit(0x83, Submit { length: 512, ..<_>::default() }, Bytes::new()).await;
    host.control_out(get(0x02, 3, 0, 0x83, 0), Bytes::new()).await.unwrap();
    assert_eq!(status_of(&mut host, waiting.unwrap()).await, (-32, 0));
    assert_eq!(host.control_in(get(0x82, 0, 0, 0x83, 2)).await.unwrap()[..], [1, 0]);
    host.write(0x02, Bytes::from_static(b"data")).await.unwrap();
    stalled(host.read(0x83, 512).await);
    stalled(host.read(0x83, 512).await);
    host.clear_halt(0x83).await.unwrap();
    assert_eq!(host.control_in(get(0x82, 0, 0, 0x83, 2)).await.unwrap()[..], [0, 0]);
    assert_eq!(host.read(0x83, 512).await.unwrap(), "data");
    // SET_INTERFACE clears it too.
    host.control_out(get(0x02, 3, 0, 0x83, 0), Bytes::new()).await.unwrap();
    host.control_out(get(0x01, 11, 0, 1, 0), Bytes::new()).await.unwrap();
    assert_eq!(host.control_in(get(0x82, 0, 0, 0x83, 2)).await.unwrap()[..], [0, 0]);
}

#[tokio::test]
async fn a_cancelled_transfer_completes_once() {
    let serial = &sim::demo()[1];
    let mut host = Host::new(serial.open());
    let read = Submit { length: 512, ..Submit::default() };
    let first = host.submit(0x83, read.clone(), Bytes::new()).await.unwrap();
    let second = host.submit(0x83, read, Bytes::new()).await.unwrap();
    host.cancel(first).await.unwrap();
    host.cancel(first).await.unwrap();
    assert_eq!(status_of(&mut host, first).await, (-104, 0));
    host.write(0x02, Bytes::from_static(b"for the second")).await.unwrap();
    assert_eq!(status_of(&mut host, second).await, (0, 14));
    host.cancel(second).await.unwrap();
    // Everything before this answer has been answered.
    host.control_in(get(0x80, 0, 0, 0, 2)).await.unwrap();
    assert!(host.completed(first).is_none() && host.completed(second).is_none());
}

#[tokio::test]
async fn a_short_packet_ends_a_transfer_and_a_long_one_overflows() {
    let serial = &sim::demo()[1];
    let mut host = Host::new(serial.open());
    host.write(0x02, Bytes::from(vec![7; 600])).await.unwrap();
    let submit = Submit { length: 1024, flags: Submit::SHORT_NOT_OK, ..Submit::default() };
    let id = host.submit(0x83, submit, Bytes::new()).await.unwrap();
    assert_eq!(status_of(&mut host, id).await, (-121, 600));
    host.write(0x02, Bytes::from(vec![7; 600])).await.unwrap();
    let id = host.submit(0x83, Submit { length: 100, ..<_>::default() }, Bytes::new()).await;
    assert_eq!(status_of(&mut host, id.unwrap()).await, (-75, 100));
}

#[tokio::test]
async fn what_a_host_controller_would_not_send_is_invalid() {
    let serial = &sim::demo()[1];
    let mut host = Host::new(serial.open());
    let submits = [
        // No setup packet; a setup packet where none belongs; packets; data of another length.
        (0x00, Submit::default(), Bytes::new()),
        (0x83, Submit { setup: Some([0; 8]), ..<_>::default() }, Bytes::new()),
        (0x83, Submit { length: 8, packets: vec![8], ..<_>::default() }, Bytes::new()),
        (0x02, Submit { length: 8, ..<_>::default() }, Bytes::from_static(b"123")),
    ];
    for (endpoint, submit, data) in submits {
        let id = host.submit(endpoint, submit, data).await.unwrap();
        assert_eq!(host.wait(id).await.unwrap().complete.status, -22);
    }
}

#[tokio::test]
async fn a_reset_ends_what_is_under_way() {
    let serial = &sim::demo()[1];
    let mut host = Host::new(serial.open());
    let id = host.submit(0x83, Submit { length: 512, ..<_>::default() }, Bytes::new()).await;
    host.control_out(get(0x02, 3, 0, 0x02, 0), Bytes::new()).await.unwrap();
    host.reset().await.unwrap();
    assert_eq!(status_of(&mut host, id.unwrap()).await, (-108, 0));
    assert_eq!(host.control_in(get(0x80, 8, 0, 0, 1)).await.unwrap()[..], [1]);
    host.write(0x02, Bytes::from_static(b"x")).await.unwrap();
}
