//! The rules that the pair tests can't pin down one by one.

use super::*;
use hex_literal::hex;
use proptest::prelude::*;

fn proxy(window: Window) -> Proxy {
    Proxy::new(Speed::High, window, Arc::default())
}

fn submit(seqnum: u32, endpoint: u8, is_in: bool, length: u32) -> Request {
    let data = if is_in { Bytes::new() } else { vec![0; length as usize].into() };
    let submit = pdu::Submit { seqnum, endpoint, is_in, length, data, ..<_>::default() };
    Request::Submit(submit)
}

fn control(seqnum: u32, setup: [u8; 8]) -> Request {
    let length = u32::from(u16::from_le_bytes([setup[6], setup[7]]));
    let is_in = setup[0] & 0x80 != 0;
    Request::Submit(pdu::Submit { seqnum, is_in, length, setup, ..<_>::default() })
}

fn complete(id: u32, status: i32, actual_length: u32) -> Complete {
    Complete { id, status, actual_length, ..<_>::default() }
}

fn actions(proxy: &mut Proxy) -> Vec<Action> {
    std::iter::from_fn(|| proxy.poll()).collect()
}

/// Short for the actions that matter here.
fn told(proxy: &mut Proxy) -> Vec<(&'static str, u32, i32)> {
    let short = |action| match action {
        Action::Kernel(Reply::Submit(ret)) => ("ret", ret.seqnum, ret.status),
        Action::Kernel(Reply::Unlink { seqnum, status }) => ("unlink", seqnum, status),
        Action::Peer { up: Up::Submit(submit), .. } => ("submit", submit.id, 0),
        Action::Peer { up: Up::Cancel { id }, .. } => ("cancel", id, 0),
        Action::Peer { up: Up::Reset { id }, .. } => ("reset", id, 0),
    };
    actions(proxy).into_iter().map(short).collect()
}

const ONE: Window = Window { urbs: 1, bytes: 1 << 20 };

#[test]
fn taken_back_in_time() {
    let mut proxy = proxy(Window::OFFERED);
    proxy.request(submit(1, 1, true, 64)).unwrap();
    proxy.request(Request::Unlink { seqnum: 2, target: 1 }).unwrap();
    assert_eq!(told(&mut proxy), [("submit", 1, 0), ("cancel", 1, 0)]);
    proxy.complete(0x81, complete(1, -104, 0), Bytes::new()).unwrap();
    assert_eq!(told(&mut proxy), [("unlink", 2, -104)]);
}

#[test]
fn taken_back_too_late() {
    let mut proxy = proxy(Window::OFFERED);
    proxy.request(submit(1, 1, true, 64)).unwrap();
    proxy.request(Request::Unlink { seqnum: 2, target: 1 }).unwrap();
    told(&mut proxy);
    proxy.complete(0x81, complete(1, 0, 2), Bytes::from_static(b"ab")).unwrap();
    assert_eq!(told(&mut proxy), [("ret", 1, 0), ("unlink", 2, 0)]);
    proxy.request(Request::Unlink { seqnum: 3, target: 1 }).unwrap();
    assert_eq!(told(&mut proxy), [("unlink", 3, 0)]);
}

#[test]
fn taken_back_with_data_already_read() {
    let mut proxy = proxy(Window::OFFERED);
    proxy.request(submit(1, 1, true, 64)).unwrap();
    proxy.request(Request::Unlink { seqnum: 2, target: 1 }).unwrap();
    told(&mut proxy);
    proxy.complete(0x81, complete(1, -104, 2), Bytes::from_static(b"ab")).unwrap();
    assert_eq!(told(&mut proxy), [("ret", 1, -104), ("unlink", 2, 0)]);
}

#[test]
fn what_was_not_sent_is_taken_back_here() {
    let mut proxy = proxy(ONE);
    for seqnum in 1..4 {
        proxy.request(submit(seqnum, 1, true, 64)).unwrap();
    }
    proxy.request(Request::Unlink { seqnum: 9, target: 2 }).unwrap();
    assert_eq!(told(&mut proxy), [("submit", 1, 0), ("unlink", 9, -104)]);
    assert_eq!(proxy.complete(0x81, complete(2, 0, 0), Bytes::new()), Err(Violation::Id(2)));
    proxy.complete(0x81, complete(1, 0, 0), Bytes::new()).unwrap();
    assert_eq!(told(&mut proxy), [("ret", 1, 0), ("submit", 3, 0)]);
}

#[test]
fn a_reset_that_fails_fails_the_request_that_asked_for_it() {
    let mut proxy = proxy(Window::OFFERED);
    let (configure, get) = (hex!("00 09 0100 0000 0000"), hex!("80 06 0001 0000 4000"));
    proxy.request(control(1, configure)).unwrap();
    proxy.complete(0, complete(1, 0, 0), Bytes::new()).unwrap();
    proxy.request(control(2, get)).unwrap();
    proxy.complete(0, complete(2, -71, 0), Bytes::new()).unwrap();
    // usbcore tries again; the device was reset once, or is past help
    proxy.request(control(3, get)).unwrap();
    let expected =
        [("submit", 1, 0), ("ret", 1, 0), ("reset", 2, 0), ("ret", 2, -71), ("submit", 3, 0)];
    assert_eq!(told(&mut proxy), expected);
}

#[test]
fn a_request_taken_back_while_the_device_is_reset() {
    let mut proxy = proxy(Window::OFFERED);
    proxy.request(control(1, hex!("00 09 0100 0000 0000"))).unwrap();
    proxy.complete(0, complete(1, 0, 0), Bytes::new()).unwrap();
    proxy.request(control(2, hex!("80 06 0001 0000 4000"))).unwrap();
    proxy.request(Request::Unlink { seqnum: 3, target: 2 }).unwrap();
    told(&mut proxy);
    proxy.complete(0, complete(2, 0, 0), Bytes::new()).unwrap();
    assert_eq!(told(&mut proxy), [("unlink", 3, -104)]);
    assert_eq!(proxy.under_way(), Share::default());
}

#[test]
fn a_control_transfer_that_is_taken_back_in_an_outage_is_given_up() {
    let mut proxy = proxy(Window::OFFERED);
    let began = Instant::now();
    let after = |s: f64| began + Duration::from_secs_f64(s);
    proxy.request(control(1, hex!("80 06 0002 0000 0900"))).unwrap();
    proxy.request(submit(2, 1, true, 64)).unwrap();
    assert_eq!(proxy.expire(after(60.0)), None, "what nobody takes back is waited for");
    proxy.request(Request::Unlink { seqnum: 3, target: 1 }).unwrap();
    proxy.request(Request::Unlink { seqnum: 4, target: 2 }).unwrap();
    assert_eq!(proxy.expire(after(65.0)), Some(after(66.0)));
    assert_eq!(proxy.expire(after(65.9)), Some(after(66.0)));
    let sent = [("submit", 1, 0), ("submit", 2, 0), ("cancel", 1, 0), ("cancel", 2, 0)];
    assert_eq!(told(&mut proxy), sent);
    assert_eq!(proxy.expire(after(66.0)), None);
    assert_eq!(told(&mut proxy), [("unlink", 3, -104)], "and not that of endpoint 1");
    // the kernel may ask once more, and use the endpoint on
    proxy.request(Request::Unlink { seqnum: 5, target: 1 }).unwrap();
    proxy.request(control(6, hex!("80 06 0002 0000 0900"))).unwrap();
    assert_eq!(told(&mut proxy), [("unlink", 5, 0), ("submit", 6, 0)]);
    // the peer is back, with what it had to say
    proxy.complete(0, complete(1, 0, 2), Bytes::from_static(b"ab")).unwrap();
    assert_eq!(told(&mut proxy), []);
    assert_eq!(proxy.complete(0, complete(1, 0, 0), Bytes::new()), Err(Violation::Id(1)));
    proxy.complete(0, complete(6, 0, 0), Bytes::new()).unwrap();
    proxy.complete(0x81, complete(2, -104, 0), Bytes::new()).unwrap();
    assert_eq!(told(&mut proxy), [("ret", 6, 0), ("unlink", 4, -104)]);
    assert_eq!(proxy.under_way(), Share::default());
}

#[test]
fn what_was_given_up_and_done_all_the_same_is_remembered() {
    let mut proxy = proxy(Window::OFFERED);
    let (configure, get) = (hex!("00 09 0100 0000 0000"), hex!("80 06 0001 0000 4000"));
    let give_up = |proxy: &mut Proxy, target: u32| {
        proxy.request(Request::Unlink { seqnum: target + 100, target }).unwrap();
        let now = Instant::now();
        proxy.expire(now);
        proxy.expire(now + PATIENCE);
    };
    proxy.request(control(1, configure)).unwrap();
    give_up(&mut proxy, 1);
    proxy.complete(0, complete(1, 0, 0), Bytes::new()).unwrap();
    told(&mut proxy);
    // it is configured after all, so a port reset is one
    proxy.request(control(2, get)).unwrap();
    give_up(&mut proxy, 2);
    assert_eq!(told(&mut proxy), [("reset", 2, 0), ("unlink", 102, -104)]);
    proxy.complete(0, complete(2, 0, 0), Bytes::new()).unwrap();
    assert_eq!(told(&mut proxy), [], "nobody waits for what comes after the reset");
}

#[test]
fn a_configuration_that_was_refused_or_taken_away_is_none() {
    let get = hex!("80 06 0001 0000 4000");
    for (setup, status) in [(hex!("00 09 0100 0000 0000"), -32), (hex!("00 09 0000 0000 0000"), 0)]
    {
        let mut proxy = proxy(Window::OFFERED);
        proxy.request(control(1, setup)).unwrap();
        proxy.complete(0, complete(1, status, 0), Bytes::new()).unwrap();
        proxy.request(control(2, get)).unwrap();
        assert_eq!(told(&mut proxy).last(), Some(&("submit", 2, 0)));
    }
}

#[test]
fn only_flags_that_mean_something_to_the_device_travel() {
    for (flags, is_in, expected) in
        [(0x40201, true, 1), (0x40241, true, 1), (0x241, false, 2), (!0x41, false, 0)]
    {
        let mut proxy = proxy(Window::OFFERED);
        let Request::Submit(submit) = submit(1, 1, is_in, 0) else { unreachable!() };
        proxy.request(Request::Submit(pdu::Submit { flags, ..submit })).unwrap();
        match proxy.poll() {
            Some(Action::Peer { up: Up::Submit(submit), .. }) => {
                assert_eq!(submit.flags, expected, "{flags:#x}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn an_urb_that_no_window_holds_fails_by_itself() {
    let mut proxy = proxy(Window::OFFERED);
    proxy.request(submit(1, 1, true, 9 << 20)).unwrap();
    proxy.request(submit(2, 1, true, i32::MAX as u32)).unwrap();
    assert_eq!(told(&mut proxy), [("ret", 1, ENOMEM), ("ret", 2, ENOMEM)]);
}

#[test]
fn a_setup_packet_that_contradicts_its_urb_fails_by_itself() {
    let mut proxy = proxy(Window::OFFERED);
    let Request::Submit(get) = control(1, hex!("80 06 0001 0000 1200")) else { unreachable!() };
    proxy.request(Request::Submit(pdu::Submit { length: 17, ..get.clone() })).unwrap();
    let data = vec![0; 18].into();
    proxy.request(Request::Submit(pdu::Submit { is_in: false, data, ..get })).unwrap();
    assert_eq!(told(&mut proxy), [("ret", 1, EINVAL), ("ret", 1, EINVAL)]);
}

#[test]
fn what_no_kernel_asks() {
    let mut proxy = proxy(Window::OFFERED);
    proxy.request(submit(1, 1, true, 64)).unwrap();
    assert_eq!(proxy.request(submit(1, 2, true, 64)), Err(Fault::Seqnum(1)));
    let Request::Submit(submit) = submit(2, 1, true, 64) else { unreachable!() };
    for (offset, length) in [(60, 5), (u32::MAX, 5), (0, 65)] {
        let packets = vec![IsoPacket { offset, length, ..<_>::default() }];
        let iso = pdu::Submit { seqnum: 3, number_of_packets: 1, packets, ..submit.clone() };
        assert_eq!(proxy.request(Request::Submit(iso)), Err(Fault::Packets));
    }
    let unlink = |seqnum| Request::Unlink { seqnum, target: 1 };
    (0..16).for_each(|seqnum| proxy.request(unlink(seqnum + 100)).unwrap());
    assert_eq!(proxy.request(unlink(200)), Err(Fault::Unlinks));
}

#[test]
fn an_isochronous_urb_that_fails_as_a_whole_gives_its_packets_back() {
    let mut proxy = proxy(Window::OFFERED);
    let packet = |offset| IsoPacket { offset, length: 10, ..<_>::default() };
    let packets = vec![packet(0), packet(20)];
    let Request::Submit(submit) = submit(1, 1, true, 40) else { unreachable!() };
    let iso = pdu::Submit { number_of_packets: 2, packets: packets.clone(), ..submit };
    proxy.request(Request::Submit(iso)).unwrap();
    proxy.complete(0x81, complete(1, -19, 0), Bytes::new()).unwrap();
    let Some(Action::Kernel(Reply::Submit(ret))) = actions(&mut proxy).pop() else { panic!() };
    assert_eq!((ret.status, ret.error_count, ret.number_of_packets), (-19, 2, 2));
    assert_eq!(ret.packets[1], IsoPacket { status: -19, ..packets[1] });
}

proptest! {
    /// What the kernel asks is answered once, and the window holds, whatever the order.
    #[test]
    fn every_urb_is_answered_once(
        steps in proptest::collection::vec((0u8..4, 0u32..20, 1u8..4, 0u32..600), 0..300)
    ) {
        let window = Window { urbs: 8, bytes: 2000 };
        let mut proxy = proxy(window);
        let (mut seqnum, mut asked) = (0, Vec::new());
        let (mut there, mut back) = (Vec::new(), Vec::new());
        for (step, pick, endpoint, length) in steps {
            seqnum += 1;
            match step {
                0 | 1 => {
                    asked.push(seqnum);
                    proxy.request(submit(seqnum, endpoint, step == 0, length)).unwrap();
                }
                2 if !asked.is_empty() => {
                    let target = asked[pick as usize % asked.len()];
                    let _ = proxy.request(Request::Unlink { seqnum, target });
                }
                _ if !there.is_empty() => {
                    let (endpoint, id) = there.swap_remove(pick as usize % there.len());
                    let status = -104 * (length % 2) as i32;
                    proxy.complete(endpoint, complete(id, status, 0), Bytes::new()).unwrap();
                }
                _ => {}
            }
            for action in actions(&mut proxy) {
                match action {
                    Action::Kernel(Reply::Submit(ret)) => back.push(ret.seqnum),
                    Action::Kernel(Reply::Unlink { .. }) => {}
                    Action::Peer { endpoint, up: Up::Submit(urb), .. } => {
                        there.push((endpoint, urb.id));
                    }
                    Action::Peer { .. } => {}
                }
            }
            let used = proxy.under_way();
            prop_assert!(used.urbs <= window.urbs && used.bytes <= u64::from(window.bytes));
            prop_assert_eq!(used.urbs as usize, there.len());
        }
        let total = back.len();
        back.sort_unstable();
        back.dedup();
        prop_assert_eq!(back.len(), total);
    }
}

#[test]
fn a_device_is_what_was_shown() {
    let disk = crate::descriptor::tests::DISK;
    let shown = crate::descriptor::parse(&disk).unwrap();
    let mut keyboard = disk[18..].to_vec();
    keyboard[9 + 5] = 3;
    let ask = [0x80, 6, 0, 2, 0, 0, keyboard.len() as u8, 0];
    for (answer, fits) in [(disk[18..].to_vec(), true), (keyboard, false)] {
        let mut proxy = proxy(Window::OFFERED).showing(shown.clone());
        proxy.request(control(1, ask)).unwrap();
        let complete = complete(1, 0, answer.len() as u32);
        let told = proxy.complete(0, complete, answer.into());
        assert_eq!(told, if fits { Ok(()) } else { Err(Violation::Descriptors) });
    }
}
