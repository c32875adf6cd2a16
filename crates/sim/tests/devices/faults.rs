//! What tests do to devices.

use bytes::Bytes;
use sim::host::{Bot, Error, Host};
use sim::{Fault, Simulated};
use std::time::Duration;
use tokio::time::Instant;
use wire::usb::Submit;

fn read() -> Submit {
    Submit { length: 512, ..Submit::default() }
}

#[tokio::test]
async fn unplugging_ends_everything() {
    let serial = Simulated::serial(1);
    let mut host = Host::new(serial.open());
    let first = host.submit(0x83, read(), Bytes::new()).await.unwrap();
    serial.fault(Some(Fault::Silent));
    let second = host.submit(0x83, read(), Bytes::new()).await.unwrap();
    serial.unplug();
    assert!(!serial.is_plugged());
    for id in [first, second] {
        assert_eq!(host.wait(id).await.unwrap().complete.status, -19);
    }
    assert_eq!(host.wait(0).await.unwrap_err(), Error::Gone);
    assert_eq!(host.submit(0x83, read(), Bytes::new()).await, Err(Error::Gone));
    // A door that is opened meanwhile leads nowhere.
    let mut host = Host::new(serial.open());
    assert!(host.enumerate().await.is_err());
    serial.plug();
    serial.fault(None);
    Host::new(serial.open()).enumerate().await.unwrap();
}

#[tokio::test]
async fn a_dropped_device_is_gone() {
    let serial = Simulated::serial(1);
    let mut host = Host::new(serial.open());
    let id = host.submit(0x83, read(), Bytes::new()).await.unwrap();
    drop(serial);
    assert_eq!(host.wait(id).await.unwrap().complete.status, -19);
}

#[tokio::test(start_paused = true)]
async fn a_slow_device_takes_its_time() {
    let disk = Simulated::disk(1, 8 << 20);
    let mut bot = Bot::new(Host::new(disk.open()));
    let start = Instant::now();
    disk.fault(Some(Fault::Slow(Duration::from_millis(250))));
    bot.inquiry().await.unwrap();
    let took = start.elapsed();
    // Three transfers, one after the other.
    assert!((750..760).contains(&took.as_millis()), "{took:?}");
    let id = bot.host.submit(0x81, read(), Bytes::new()).await.unwrap();
    bot.host.cancel(id).await.unwrap();
    assert_eq!(bot.host.wait(id).await.unwrap().complete.status, -104);
    assert!(start.elapsed() < took + Duration::from_millis(10));
}

#[tokio::test]
async fn a_silent_device_answers_when_it_is_over() {
    let serial = Simulated::serial(1);
    let mut host = Host::new(serial.open());
    serial.fault(Some(Fault::Silent));
    let gone = host.submit(0x83, read(), Bytes::new()).await.unwrap();
    let kept = host.submit(0x83, read(), Bytes::new()).await.unwrap();
    let data = Bytes::from_static(b"late");
    let submit = Submit { length: 4, ..Submit::default() };
    let write = host.submit(0x02, submit, data.clone()).await.unwrap();
    host.cancel(gone).await.unwrap();
    assert_eq!(host.wait(gone).await.unwrap().complete.status, -104);
    assert!(host.completed(write).is_none());
    serial.fault(None);
    assert_eq!(host.wait(write).await.unwrap().complete.status, 0);
    assert_eq!(host.wait(kept).await.unwrap().data, data);
}

#[tokio::test]
async fn a_stalling_device_stalls() {
    let disk = Simulated::disk(1, 8 << 20);
    let mut host = Host::new(disk.open());
    disk.fault(Some(Fault::Stall));
    assert!(matches!(host.enumerate().await, Err(Error::Status { status: -32, .. })));
    disk.fault(None);
    host.enumerate().await.unwrap();
}

#[tokio::test]
async fn a_second_session_waits_for_the_end_of_the_first() {
    let serial = Simulated::serial(1);
    let mut first = Host::new(serial.open());
    first.write(0x02, Bytes::from_static(b"mine")).await.unwrap();
    let mut second = Host::new(serial.open());
    let id = second.submit(0x83, read(), Bytes::new()).await.unwrap();
    assert_eq!(first.read(0x83, 512).await.unwrap(), "mine");
    first.write(0x02, Bytes::from_static(b"left behind")).await.unwrap();
    assert!(second.completed(id).is_none());
    drop(first);
    second.write(0x02, Bytes::from_static(b"new")).await.unwrap();
    assert_eq!(second.wait(id).await.unwrap().data, "new");
}

#[tokio::test]
async fn a_command_can_be_done_without_a_session() {
    let serial = Simulated::serial(1);
    let submit = Submit { id: 7, length: 2, ..Submit::default() };
    let write = usb::Urb { endpoint: 0x02, submit: submit.clone(), data: "ok".into() };
    let read = usb::Urb { endpoint: 0x83, submit, data: Bytes::new() };
    let done = serial.exchange(usb::Command::Submit(write)).unwrap();
    assert_eq!((done.len(), done[0].complete.status), (1, 0));
    assert_eq!(serial.exchange(usb::Command::Submit(read)).unwrap()[0].data, "ok");
    let mut host = Host::new(serial.open());
    host.enumerate().await.unwrap();
    assert!(serial.exchange(usb::Command::Cancel { id: 7 }).is_none());
}
