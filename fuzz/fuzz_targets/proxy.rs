//! A kernel and a hostile peer, in any order. Whatever they say, the kernel hears what
//! `vhci_rx.c` takes without tearing the connection down.

#![no_main]

use arbitrary::Arbitrary;
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use std::collections::HashMap;
use std::time::{Duration, Instant};
use usb::attach::proxy::{Action, Proxy};
use usb::pdu::{IsoPacket, Reply, Request, Ret, Submit};
use wire::usb::{Complete, PacketResult, Speed, Up, Window};

#[derive(Debug, Arbitrary)]
enum Step {
    Submit {
        endpoint: u8,
        is_in: bool,
        length: u16,
        flags: u32,
        setup: [u8; 8],
    },
    Iso {
        endpoint: u8,
        is_in: bool,
        length: u16,
        packets: Vec<(u16, u16)>,
    },
    Unlink {
        target: u8,
    },
    /// Time passes without a word of the peer.
    Wait {
        ms: u16,
    },
    /// The peer ends an URB as it should.
    Complete {
        nth: u8,
        status: i32,
        short_by: u8,
    },
    /// The peer says anything.
    Lie {
        endpoint: u8,
        id: u8,
        status: i32,
        actual_length: u32,
        data: u16,
        packets: Vec<(u32, i32)>,
    },
}

const WINDOW: Window = Window { urbs: 8, bytes: 32 * 1024 };

/// What `vhci_rx.c` knows.
#[derive(Default)]
struct Kernel {
    seqnum: u32,
    pending: HashMap<u32, Submit>,
    unlinks: HashMap<u32, u32>,
}

impl Kernel {
    fn hears(&mut self, reply: &Reply) {
        match reply {
            Reply::Submit(ret) => {
                let submit = self.pending.remove(&ret.seqnum).expect("cannot find a urb");
                fits(&submit, ret);
            }
            Reply::Unlink { seqnum, status } => {
                let target = self.unlinks.remove(seqnum).expect("a known unlink");
                if self.pending.remove(&target).is_some() {
                    assert_ne!(*status, 0, "a success without data");
                }
            }
        }
    }
}

fn fits(submit: &Submit, ret: &Ret) {
    assert!(ret.actual_length <= submit.length && (-4095..=0).contains(&ret.status));
    let data = if submit.is_in { ret.actual_length as usize } else { 0 };
    assert_eq!(ret.data.len(), data);
    assert_eq!(ret.packets.len(), submit.packets.len());
    assert_eq!(ret.number_of_packets, submit.number_of_packets);
    let sum: u32 = ret.packets.iter().map(|packet| packet.actual_length).sum();
    assert!(ret.packets.is_empty() || sum == ret.actual_length);
    for (got, asked) in ret.packets.iter().zip(&submit.packets) {
        assert_eq!((got.offset, got.length), (asked.offset, asked.length));
        assert!(got.actual_length <= got.length);
    }
}

fn submit(step: Step, seqnum: u32) -> Option<Submit> {
    let base = |endpoint: u8, is_in: bool, length: u16| Submit {
        seqnum,
        endpoint: endpoint % 16,
        is_in,
        length: u32::from(length),
        data: if is_in { Bytes::new() } else { vec![0; usize::from(length)].into() },
        ..Submit::default()
    };
    match step {
        Step::Submit { endpoint, is_in, length, flags, setup } => {
            Some(Submit { flags, setup, ..base(endpoint, is_in, length) })
        }
        Step::Iso { endpoint, is_in, length, mut packets } => {
            packets.truncate(64);
            let packet = |(offset, length): (u16, u16)| IsoPacket {
                offset: offset.into(),
                length: length.into(),
                ..IsoPacket::default()
            };
            let packets: Vec<IsoPacket> = packets.into_iter().map(packet).collect();
            let number_of_packets = packets.len() as u32;
            Some(Submit { number_of_packets, packets, ..base(endpoint, is_in, length) })
        }
        Step::Unlink { .. } | Step::Wait { .. } => None,
        Step::Complete { .. } | Step::Lie { .. } => None,
    }
}

/// What a good peer says to `up`.
fn answer(endpoint: u8, up: &Up, status: i32, short_by: u8) -> (u8, Complete, Bytes) {
    let Up::Submit(submit) = up else {
        let (Up::Reset { id } | Up::Cancel { id }) = *up else { unreachable!() };
        return (endpoint, Complete { id, status, ..Complete::default() }, Bytes::new());
    };
    let is_in = match submit.setup {
        Some(setup) => setup[0] & 0x80 != 0,
        None => endpoint & 0x80 != 0,
    };
    let mut complete = Complete { id: submit.id, status, ..Complete::default() };
    if submit.packets.is_empty() {
        complete.actual_length = submit.length.saturating_sub(short_by.into());
    } else {
        let result = |length: &u32| PacketResult {
            actual_length: length.saturating_sub(short_by.into()),
            status: 0,
        };
        complete.packets = submit.packets.iter().map(result).collect();
        complete.actual_length = complete.packets.iter().map(|packet| packet.actual_length).sum();
    }
    let data = if is_in { vec![0; complete.actual_length as usize].into() } else { Bytes::new() };
    (endpoint, complete, data)
}

fuzz_target!(|steps: Vec<Step>| {
    let mut proxy = Proxy::new(Speed::High, WINDOW, Default::default());
    let mut kernel = Kernel::default();
    let mut there: Vec<(u8, Up)> = Vec::new();
    let mut now = Instant::now();
    for step in steps {
        kernel.seqnum += 1;
        let seqnum = kernel.seqnum;
        let end = match step {
            Step::Unlink { target } => {
                kernel.unlinks.insert(seqnum, target.into());
                proxy.request(Request::Unlink { seqnum, target: target.into() }).is_err()
            }
            Step::Wait { ms } => {
                now += Duration::from_millis(ms.into());
                proxy.expire(now);
                false
            }
            Step::Complete { nth, status, short_by } if !there.is_empty() => {
                let (endpoint, up) = there.swap_remove(usize::from(nth) % there.len());
                let (endpoint, complete, data) = answer(endpoint, &up, status, short_by);
                proxy.complete(endpoint, complete, data).expect("a good peer");
                false
            }
            Step::Complete { .. } => false,
            Step::Lie { endpoint, id, status, actual_length, data, mut packets } => {
                packets.truncate(64);
                let result = |(actual_length, status)| PacketResult { actual_length, status };
                let packets = packets.into_iter().map(result).collect();
                let complete =
                    Complete { id: id.into(), status, actual_length, start_frame: 0, packets };
                let data = vec![0; usize::from(data)].into();
                // What passes for the truth is one, and the URB is not there any more.
                match proxy.complete(endpoint, complete, data) {
                    Ok(()) => {
                        there.retain(|(_, up)| match up {
                            Up::Submit(submit) => submit.id != u32::from(id),
                            Up::Reset { id: reset } => *reset != u32::from(id),
                            Up::Cancel { .. } => true,
                        });
                        false
                    }
                    Err(_) => true,
                }
            }
            step => {
                let submit = submit(step, seqnum).expect("the other steps are above");
                let known = Submit { data: Bytes::new(), ..submit.clone() };
                kernel.pending.insert(seqnum, known);
                proxy.request(Request::Submit(submit)).is_err()
            }
        };
        while let Some(action) = proxy.poll() {
            match action {
                Action::Kernel(reply) => kernel.hears(&reply),
                Action::Peer { up: Up::Cancel { .. }, .. } => {}
                Action::Peer { endpoint, up, .. } => there.push((endpoint, up)),
            }
        }
        let used = proxy.under_way();
        assert!(used.urbs <= WINDOW.urbs && used.bytes <= u64::from(WINDOW.bytes));
        if end {
            return;
        }
    }
});
