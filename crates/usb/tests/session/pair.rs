//! Both real ends with a link between them.

use crate::device::{Scripted, device};
use crate::kernel::{Back, Kernel, bulk_in, bulk_out, control};
use hex_literal::hex;
use link::lossy::{Link, Random};
use link::{Duplex, Opener};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::AsyncRead;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use usb::attach::End;
use usb::pdu::{IsoPacket, Submit};
use usb::{Command, Counters, attach, serve};
use wire::SessionId;
use wire::usb::{Attached, Complete, PacketResult, Speed, Window};

pub(crate) const BAD: Link = Link {
    seed: 1,
    delay: Duration::from_millis(25),
    jitter: Duration::from_millis(10),
    loss_one_in: 50,
    cut_after_bytes: None,
};

pub(crate) struct Pair {
    pub(crate) kernel: Kernel,
    pub(crate) device: Scripted,
    pub(crate) serve: JoinHandle<Result<(), serve::Error>>,
    pub(crate) attach: JoinHandle<Result<End, attach::Error>>,
    /// Bytes that came over the link, both ways.
    carried: Arc<AtomicU64>,
}

pub(crate) fn attached(speed: Speed, window: Window) -> Attached {
    Attached { session: SessionId(42), speed, configuration: 1, window }
}

pub(crate) fn pair(link: Link, speed: Speed, window: Window) -> Pair {
    let carried = Arc::new(AtomicU64::new(0));
    let connect = {
        let carried = carried.clone();
        let seeds = AtomicU64::new(link.seed * 1000);
        move || {
            let seed = seeds.fetch_add(1, Ordering::Relaxed);
            let (here, there) = Link { seed, ..link }.connect();
            (counted(here, &carried), counted(there, &carried))
        }
    };
    let (device, scripted) = device();
    let (endpoints_tx, endpoints) = mpsc::channel(8);
    let (here, there) = connect();
    let opener = Opener::new(move |endpoint, _| {
        let (here, there) = connect();
        let endpoints = endpoints_tx.clone();
        Box::pin(async move {
            let (rx, tx) = there.framed();
            let _ = endpoints.send((endpoint, rx, tx)).await; // the test may be over
            Ok(here)
        })
    });
    let serve = tokio::spawn(serve::run(device, there.framed(), endpoints, window, Arc::default()));
    let (socket, kernel) = tokio::io::duplex(1 << 18);
    let attach = tokio::spawn(attach::run(
        tokio::io::split(socket),
        (attached(speed, window), bytes::Bytes::new()),
        here.framed(),
        opener,
        Arc::new(Counters::default()),
    ));
    Pair { kernel: Kernel::new(kernel), device: scripted, serve, attach, carried }
}

fn counted(stream: Duplex, carried: &Arc<AtomicU64>) -> Duplex {
    Duplex::new(Counted(stream.reader, carried.clone()), stream.writer)
}

struct Counted(Box<dyn AsyncRead + Send + Unpin>, Arc<AtomicU64>);

impl AsyncRead for Counted {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        buf: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        let before = buf.filled().len();
        let polled = std::pin::Pin::new(&mut self.0).poll_read(cx, buf);
        self.1.fetch_add((buf.filled().len() - before) as u64, Ordering::Relaxed);
        polled
    }
}

#[tokio::test(start_paused = true)]
async fn transfers_of_every_kind_with_exact_results() {
    let Pair { mut kernel, mut device, .. } = pair(BAD, Speed::High, Window::OFFERED);
    tokio::spawn(async move {
        // a control IN that is short
        let urb = device.urb().await;
        assert_eq!(urb.submit.setup, Some(hex!("80 06 0001 0000 1200")));
        let short = Complete { id: urb.submit.id, actual_length: 8, ..<_>::default() };
        device.complete(0, short, &b"12345678"[..]);
        // a control OUT with data that stalls
        let urb = device.urb().await;
        assert_eq!(urb.data[..], b"abc"[..]);
        device.fail(0, urb.submit.id, -32);
        // a bulk OUT
        let urb = device.urb().await;
        assert_eq!((urb.endpoint, urb.data.len(), urb.submit.flags), (0x02, 100_000, 2));
        device.succeed(&urb);
        // a bulk IN with data and an error
        let urb = device.urb().await;
        assert_eq!((urb.endpoint, urb.submit.flags), (0x81, 1));
        let id = urb.submit.id;
        let partial = Complete { id, status: -75, actual_length: 3, ..<_>::default() };
        device.complete(0x81, partial, &b"xyz"[..]);
    });
    let ret = kernel.transfer(control(hex!("80 06 0001 0000 1200"), "")).await;
    assert_eq!((ret.status, &ret.data[..]), (0, &b"12345678"[..]));
    let ret = kernel.transfer(control(hex!("21 09 0000 0000 0300"), "abc")).await;
    assert_eq!((ret.status, ret.actual_length), (-32, 0));
    let out = Submit { flags: 0x40 | 0x1, ..bulk_out(2, vec![7; 100_000]) };
    let ret = kernel.transfer(out).await;
    assert_eq!((ret.status, ret.actual_length), (0, 100_000));
    let short_not_ok = Submit { flags: 0x40201, ..bulk_in(1, 512) };
    let ret = kernel.transfer(short_not_ok).await;
    assert_eq!((ret.status, &ret.data[..]), (-75, &b"xyz"[..]));
}

#[tokio::test(start_paused = true)]
async fn isochronous_data_travels_without_gaps_both_ways() {
    let Pair { mut kernel, mut device, .. } = pair(BAD, Speed::High, Window::OFFERED);
    let packets = |lengths: [u32; 3]| {
        let packet = |(index, length)| IsoPacket { offset: index * 100, length, ..<_>::default() };
        (0u32..).zip(lengths).map(packet).collect::<Vec<_>>()
    };
    let mut buffer = vec![0xee; 300];
    buffer[..3].copy_from_slice(b"abc");
    buffer[100..102].copy_from_slice(b"de");
    buffer[200..204].copy_from_slice(b"fghi");
    let out = Submit { number_of_packets: 3, packets: packets([3, 2, 4]), ..bulk_out(1, buffer) };
    kernel.submit(out).await;
    let urb = device.urb().await;
    assert_eq!((&urb.data[..], &urb.submit.packets[..]), (&b"abcdefghi"[..], &[3, 2, 4][..]));
    let result = |actual_length, status| PacketResult { actual_length, status };
    let packet_results = vec![result(3, 0), result(0, -18), result(4, 0)];
    let id = urb.submit.id;
    let complete =
        Complete { id, actual_length: 7, packets: packet_results.clone(), ..<_>::default() };
    device.complete(1, complete, "");
    let Some(Back::Ret(_, ret)) = kernel.back().await else { panic!("an answer") };
    assert_eq!((ret.error_count, ret.actual_length, ret.packets[1].status), (1, 7, -18));

    let input = Submit { number_of_packets: 3, packets: packets([100; 3]), ..bulk_in(1, 300) };
    kernel.submit(input).await;
    let id = device.urb().await.submit.id;
    let complete = Complete { id, actual_length: 7, packets: packet_results, ..<_>::default() };
    device.complete(0x81, complete, &b"abcdefg"[..]);
    let Some(Back::Ret(_, ret)) = kernel.back().await else { panic!("an answer") };
    assert_eq!((&ret.data[..], ret.packets[2].offset), (&b"abcdefg"[..], 200));
}

#[tokio::test(start_paused = true)]
async fn a_thousand_rounds_of_sixteen_out_urbs_keep_their_order() {
    let Pair { mut kernel, mut device, .. } = pair(BAD, Speed::High, Window::OFFERED);
    let seen = tokio::spawn(async move {
        let mut seen = Vec::new();
        while seen.len() < 16_000 {
            let urb = device.urb().await;
            seen.push(u32::from_le_bytes(urb.data[..4].try_into().unwrap()));
            device.succeed(&urb);
        }
        (seen, device)
    });
    for round in 0..1000u32 {
        for index in 0..16 {
            let number = round * 16 + index;
            let mut data = vec![0; 4 + (number as usize * 7) % 900];
            data[..4].copy_from_slice(&number.to_le_bytes());
            kernel.submit(bulk_out(2, data)).await;
        }
        for _ in 0..16 {
            assert!(matches!(kernel.back().await, Some(Back::Ret(_, ret)) if ret.status == 0));
        }
    }
    let inversions = seen.await.unwrap().0.windows(2).filter(|pair| pair[1] != pair[0] + 1).count();
    assert_eq!(inversions, 0);
}

/// A device that answers at random times and in part, as devices and cancels do.
async fn erratic(mut device: Scripted, seed: u64) {
    let mut random = Random(seed);
    let mut under_way: HashMap<u32, u8> = HashMap::new();
    loop {
        let wait = Duration::from_micros(random.below(3000));
        match tokio::time::timeout(wait, device.commands.recv()).await {
            Ok(Some(Command::Submit(urb))) => {
                assert!(under_way.insert(urb.submit.id, urb.endpoint).is_none());
            }
            Ok(Some(Command::Cancel { id })) => {
                if let Some(endpoint) = under_way.remove(&id) {
                    let moved = random.below(3) as u32 * u32::from(endpoint & 0x80 != 0);
                    let cancelled =
                        Complete { id, status: -104, actual_length: moved, ..<_>::default() };
                    device.complete(endpoint, cancelled, vec![1; moved as usize]);
                }
            }
            Ok(Some(Command::Reset { id })) => device.fail(0, id, 0),
            Ok(None) => return,
            Err(_) => {
                let nth = random.below(under_way.len().max(1) as u64) as usize;
                if let Some((&id, &endpoint)) = under_way.iter().nth(nth) {
                    under_way.remove(&id);
                    device.fail(endpoint, id, -(random.below(2) as i32) * 32);
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn cancels_race_with_completions_and_every_urb_comes_back_once() {
    for seed in 0..60 {
        println!("seed {seed}");
        let window = Window { urbs: 6 + seed as u32 % 20, bytes: 4096 };
        let Pair { mut kernel, device, .. } = pair(Link { seed, ..BAD }, Speed::High, window);
        tokio::spawn(erratic(device, seed));
        let mut random = Random(seed);
        let mut recent = Vec::new();
        for _ in 0..300 {
            match random.below(5) {
                0 | 1 => recent.push(kernel.submit(bulk_in(1, random.below(500) as u32)).await),
                2 => recent.push(kernel.submit(bulk_out(2, vec![1; 64])).await),
                3 if !recent.is_empty() => {
                    let target = recent.swap_remove(random.below(recent.len() as u64) as usize);
                    kernel.unlink(target).await;
                }
                _ => {
                    let wait = Duration::from_millis(random.below(20));
                    let _ = tokio::time::timeout(wait, kernel.back()).await;
                }
            }
        }
        while !kernel.is_quiet() {
            kernel.back().await.expect("the session goes on");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_interrupt_endpoint_costs_no_messages() {
    let Pair { mut kernel, mut device, carried, .. } = pair(BAD, Speed::Low, Window::OFFERED);
    let seqnum = kernel.submit(bulk_in(1, 8)).await;
    let urb = device.urb().await;
    tokio::time::sleep(Duration::from_secs(5)).await; // until the link is quiet
    let before = carried.load(Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(carried.load(Ordering::Relaxed), before);
    device.succeed(&urb);
    assert!(matches!(kernel.back().await, Some(Back::Ret(submit, _)) if submit.seqnum == seqnum));
}
