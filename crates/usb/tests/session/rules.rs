//! The rules between the two ends: windows, turns, resets, and every way to end.

use crate::kernel::{Back, bulk_in, bulk_out, control};
use crate::pair::{BAD, Pair, pair};
use hex_literal::hex;
use link::lossy::Link;
use std::collections::HashMap;
use usb::Command;
use usb::attach::End;
use usb::attach::proxy::PATIENCE;
use wire::usb::{Speed, Window};

#[tokio::test(start_paused = true)]
async fn a_flood_keeps_to_the_window_and_in_order() {
    let window = Window { urbs: 40, bytes: 256 * 1024 };
    let Pair { mut kernel, mut device, .. } = pair(BAD, Speed::High, window);
    for number in 0..400u32 {
        let mut data = vec![0; 20_000];
        data[..4].copy_from_slice(&number.to_le_bytes());
        kernel.submit(bulk_out(2, data)).await;
        kernel.submit(bulk_in(1, 5000)).await;
    }
    let served = tokio::spawn(async move {
        let mut under_way = Vec::new();
        let mut order: HashMap<u8, Vec<u32>> = HashMap::new();
        for _ in 0..800 {
            let urb = device.urb().await;
            order.entry(urb.endpoint).or_default().push(urb.submit.id);
            under_way.push(urb);
            let bytes: u32 = under_way.iter().map(|urb| urb.submit.length).sum();
            assert!(under_way.len() <= 40 && bytes <= 256 * 1024);
            if under_way.len() > 8 {
                under_way.drain(..).for_each(|urb| device.succeed(&urb));
            }
            if device.commands.is_empty() {
                under_way.drain(..).for_each(|urb| device.succeed(&urb));
            }
        }
        under_way.iter().for_each(|urb| device.succeed(urb));
        (order, device)
    });
    for _ in 0..800 {
        assert!(matches!(kernel.back().await, Some(Back::Ret(..))));
    }
    let (order, _device) = served.await.unwrap();
    for ids in order.values() {
        assert!(ids.len() == 400 && ids.is_sorted());
    }
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_answers_nothing_delays_no_other() {
    let window = Window { urbs: 64, bytes: 1 << 20 };
    let Pair { mut kernel, mut device, .. } = pair(BAD, Speed::High, window);
    for _ in 0..500 {
        kernel.submit(bulk_in(1, 1024)).await; // the device never answers these
    }
    let waiting = tokio::spawn(async move {
        loop {
            let urb = device.urb().await;
            if urb.endpoint != 0x81 {
                device.succeed(&urb);
            }
        }
    });
    let status = control(hex!("80 00 0000 0000 0200"), "");
    kernel.submit(status).await;
    assert!(matches!(kernel.back().await, Some(Back::Ret(submit, _)) if submit.endpoint == 0));
    waiting.abort();
}

/// usbcore's `usb_reset_device()`, as traced in `research/usb.md` §0.
#[tokio::test(start_paused = true)]
async fn a_port_reset_reaches_the_device_and_an_enumeration_does_not_reset_it() {
    for (speed, first) in [
        (Speed::Full, hex!("80 06 0001 0000 4000")),
        (Speed::High, hex!("80 06 0001 0000 4000")),
        (Speed::Super, hex!("80 06 0001 0000 0800")),
    ] {
        let Pair { mut kernel, mut device, .. } = pair(BAD, speed, Window::OFFERED);
        let seen = tokio::spawn(async move {
            let mut seen = Vec::new();
            while let Some(command) = device.commands.recv().await {
                match command {
                    Command::Submit(urb) => {
                        seen.push(urb.submit.setup.map(|setup| (setup[1], setup[6])));
                        device.succeed(&urb);
                    }
                    Command::Reset { id } => {
                        seen.push(None);
                        device.fail(0, id, 0);
                    }
                    Command::Cancel { .. } => panic!("nothing was unlinked"),
                }
            }
            seen
        });
        let whole = hex!("80 06 0001 0000 1200");
        let configure = hex!("00 09 0100 0000 0000");
        for setup in [first, first, whole, configure, whole, first, first, whole, configure] {
            assert_eq!(kernel.transfer(control(setup, "")).await.status, 0);
        }
        drop(kernel);
        let (get, first, set) = (Some((6, 18)), Some((6, first[6])), Some((9, 0)));
        let reset = None;
        let expected = [first, first, get, set, get, reset, first, first, get, set];
        assert_eq!(seen.await.unwrap(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn unplugged_in_mid_transfer() {
    let Pair { mut kernel, mut device, serve, attach, .. } =
        pair(BAD, Speed::High, Window::OFFERED);
    for _ in 0..10 {
        kernel.submit(bulk_in(1, 1024)).await;
    }
    for _ in 0..10 {
        let id = device.urb().await.submit.id;
        device.fail(0x81, id, -19);
    }
    drop(device);
    for _ in 0..10 {
        assert!(matches!(kernel.back().await, Some(Back::Ret(_, ret)) if ret.status == -19));
    }
    assert_eq!(kernel.back().await, None);
    assert!(matches!(serve.await.unwrap(), Ok(())));
    assert!(matches!(attach.await.unwrap(), Ok(End::DeviceGone)));
}

/// As in an outage: the driver has waited for long enough, and nobody can be asked.
#[tokio::test(start_paused = true)]
async fn a_control_transfer_that_nobody_answers_is_given_back_when_its_driver_wants_it() {
    let Pair { mut kernel, mut device, .. } = pair(BAD, Speed::High, Window::OFFERED);
    let status = control(hex!("80 00 0000 0000 0200"), "");
    let (silent, read) = (kernel.submit(status.clone()).await, kernel.submit(bulk_in(1, 64)).await);
    let urbs = [device.urb().await, device.urb().await];
    kernel.unlink(read).await;
    kernel.unlink(silent).await;
    let asked = tokio::time::Instant::now();
    assert_eq!(kernel.back().await, Some(Back::Unlinked(silent, ECONNRESET)));
    assert_eq!(asked.elapsed().as_secs(), PATIENCE.as_secs());
    // what the device says of it now is told to nobody, and that of the other endpoint is
    for _ in 0..2 {
        assert!(matches!(device.commands.recv().await, Some(Command::Cancel { .. })));
    }
    urbs.iter().for_each(|urb| device.succeed(urb));
    assert!(matches!(kernel.back().await, Some(Back::Ret(submit, _)) if submit.endpoint == 1));
    assert_eq!(kernel.back().await, Some(Back::TooLate(read)));
    let served = tokio::spawn(async move {
        let urb = device.urb().await;
        device.succeed(&urb);
        device
    });
    assert_eq!(kernel.transfer(status).await.status, 0);
    served.await.unwrap();
    assert!(kernel.is_quiet());
}

#[tokio::test(start_paused = true)]
async fn detached_by_the_kernel() {
    let Pair { mut kernel, mut device, serve, attach, .. } =
        pair(BAD, Speed::High, Window::OFFERED);
    kernel.submit(bulk_in(1, 1024)).await;
    device.urb().await;
    drop(kernel);
    assert!(matches!(attach.await.unwrap(), Ok(End::KernelClosed)));
    assert!(matches!(serve.await.unwrap(), Ok(())));
    while device.commands.recv().await.is_some() {} // the device is released
}

#[tokio::test(start_paused = true)]
async fn a_link_that_breaks_ends_both_sides() {
    let link = Link { cut_after_bytes: Some(30_000), ..BAD };
    let Pair { mut kernel, mut device, serve, attach, .. } =
        pair(link, Speed::High, Window::OFFERED);
    let echo = tokio::spawn(async move {
        while let Some(command) = device.commands.recv().await {
            if let Command::Submit(urb) = command {
                device.succeed(&urb);
            }
        }
    });
    let get = hex!("80 06 0003 0904 ff00");
    loop {
        kernel.submit(control(get, "")).await;
        if kernel.back().await.is_none() {
            break;
        }
    }
    let end = attach.await.unwrap();
    assert!(matches!(end, Ok(End::PeerGone | End::DeviceGone)), "{end:?}");
    let _ = serve.await.unwrap();
    echo.await.unwrap(); // the device is released
}

const ECONNRESET: i32 = -104;
