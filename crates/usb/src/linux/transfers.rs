//! Everything a session has asked for and not got back yet. Sans-IO: [`super::task`] drives it.
//!
//! Each endpoint has a queue of its own, so none waits for another. What is at its front goes to
//! the kernel at once; it waits only while usbfs has no memory for it (`usbfs_memory_mb`), and
//! while a [`Special`] request is under way: the kernel locks the device meanwhile, and the
//! endpoints may be others afterwards. Every URB that comes in goes out as one [`Completion`].

use super::active::Active;
use super::ioctl::{Reaped, Request};
use super::iso::{self, PART_PACKETS_MAX};
use super::request::{self, IN, SETUP_BYTES};
use super::special::{self, Special};
use crate::device::{Completion, Urb};
use bytes::{Bytes, BytesMut};
use rustix::io::Errno;
use std::collections::{HashMap, VecDeque};
use wire::usb::{Complete, PacketResult};

#[derive(Debug)]
pub(super) struct Transfers {
    active: Active,
    queues: HashMap<u8, VecDeque<Work>>,
    /// Endpoints whose queue holds something that the kernel has not refused yet, in turn.
    ready: VecDeque<u8>,
    /// Endpoints whose front is waiting for memory.
    blocked: Vec<u8>,
    /// By the session's id.
    transfers: HashMap<u32, Transfer>,
    /// The id of the special request under way, and the URB it came as.
    special: Option<(u32, Option<Urb>)>,
}

/// What is to be done next.
#[derive(Debug)]
pub(super) enum Step {
    /// To be answered by [`Transfers::submitted`] or [`Transfers::refused`].
    Submit(u64, Request),
    /// To be answered by [`Transfers::special_done`].
    Special(Special),
    Done(Completion),
}

/// A transfer that is not to go on: what of it is in the kernel, or else its end.
#[derive(Debug)]
pub(super) enum Stopped {
    Discard(Vec<u64>),
    Done(Completion),
}

#[derive(Debug)]
enum Work {
    Urb(Urb),
    /// An URB that is not special after all.
    Plain(Urb),
    /// A part of an isochronous transfer, or a transfer that was refused for lack of memory.
    Request(u64, Request),
    Reset {
        id: u32,
    },
}

#[derive(Debug, Default)]
struct Transfer {
    endpoint: u8,
    is_in: bool,
    /// Isochronous: the length of each packet.
    lengths: Vec<u32>,
    /// How many of its requests are in the queue.
    queued: usize,
    /// Its requests in the kernel.
    flying: Vec<u64>,
    /// The IN data of its requests, in their order.
    data: Vec<Bytes>,
    /// Taken back, or one of its requests failed.
    stopped: bool,
    complete: Complete,
}

impl Transfers {
    pub(super) fn new(active: Active) -> Self {
        Self {
            active,
            queues: HashMap::new(),
            ready: VecDeque::new(),
            blocked: Vec::new(),
            transfers: HashMap::new(),
            special: None,
        }
    }

    pub(super) fn active(&self) -> &Active {
        &self.active
    }

    /// Queues an URB, or refuses it because its id is in use.
    pub(super) fn push(&mut self, urb: Urb) -> Option<Completion> {
        let (id, endpoint) = (urb.submit.id, urb.endpoint);
        self.enter(id, endpoint, |_| Work::Urb(urb))
    }

    /// Queues a port reset, on endpoint 0.
    pub(super) fn push_reset(&mut self, id: u32) -> Option<Completion> {
        self.enter(id, 0, |id| Work::Reset { id })
    }

    fn enter(
        &mut self,
        id: u32,
        endpoint: u8,
        work: impl FnOnce(u32) -> Work,
    ) -> Option<Completion> {
        if self.transfers.contains_key(&id) {
            return Some(failed(endpoint, id, Errno::INVAL));
        }
        let complete = Complete { id, ..Complete::default() };
        let transfer = Transfer { endpoint, queued: 1, complete, ..Transfer::default() };
        self.transfers.insert(id, transfer);
        let queue = self.queues.entry(endpoint).or_default();
        queue.push_back(work(id));
        if queue.len() == 1 {
            self.ready.push_back(endpoint);
        }
        None
    }

    /// The next thing to do, endpoints in turn; `None` until something else happens.
    pub(super) fn next(&mut self) -> Option<Step> {
        if self.special.is_some() {
            return None;
        }
        let endpoint = self.ready.pop_front()?;
        let queue = self.queues.get_mut(&endpoint).expect("a ready endpoint has a queue");
        let work = queue.pop_front().expect("the queue of a ready endpoint is not empty");
        if !queue.is_empty() {
            self.ready.push_back(endpoint);
        }
        Some(match work {
            Work::Urb(urb) => match self.special_of(&urb) {
                Some(special) => self.begin_special(urb.submit.id, Some(urb), special),
                None => self.begin(&urb),
            },
            Work::Plain(urb) => self.begin(&urb),
            Work::Request(key, request) => self.fly(key, request),
            Work::Reset { id } => self.begin_special(id, None, Special::Reset),
        })
    }

    fn special_of(&self, urb: &Urb) -> Option<Special> {
        let setup = urb.submit.setup.as_ref().filter(|_| urb.endpoint == 0)?;
        special::decode(setup)
    }

    fn begin_special(&mut self, id: u32, urb: Option<Urb>, special: Special) -> Step {
        if special == Special::SetAddress {
            return Step::Done(self.finish(id, Errno::PIPE));
        }
        self.special = Some((id, urb));
        Step::Special(special)
    }

    fn begin(&mut self, urb: &Urb) -> Step {
        let id = urb.submit.id;
        let requests = match request::requests(urb, &self.active) {
            Ok(requests) => requests,
            Err(errno) => return Step::Done(self.finish(id, errno)),
        };
        let transfer = self.transfers.get_mut(&id).expect("what is queued is known");
        transfer.queued = requests.len();
        transfer.is_in = match urb.submit.setup {
            Some(setup) => setup[0] & IN != 0,
            None => urb.endpoint & IN != 0,
        };
        transfer.data = vec![Bytes::new(); requests.len()];
        // USB/IP and usbcore begin like this: a packet that had no turn is `-EXDEV`.
        let unused = PacketResult { actual_length: 0, status: -Errno::XDEV.raw_os_error() };
        transfer.complete.packets = vec![unused; urb.submit.packets.len()];
        transfer.lengths.clone_from(&urb.submit.packets);
        let mut requests = requests.into_iter().enumerate();
        let (part, first) = requests.next().expect("an URB is at least one request");
        for (part, request) in requests.rev() {
            self.put_first(urb.endpoint, Work::Request(key(id, part), request));
        }
        self.fly(key(id, part), first)
    }

    fn fly(&mut self, key: u64, request: Request) -> Step {
        let transfer = self.transfers.get_mut(&id_of(key)).expect("what is queued is known");
        transfer.queued -= 1;
        Step::Submit(key, request)
    }

    /// Puts work before all other of its endpoint.
    fn put_first(&mut self, endpoint: u8, work: Work) {
        let queue = self.queues.entry(endpoint).or_default();
        queue.push_front(work);
        if !self.ready.contains(&endpoint) {
            self.ready.push_front(endpoint);
        }
    }

    /// The kernel has taken a request.
    pub(super) fn submitted(&mut self, key: u64) {
        let transfer = self.transfers.get_mut(&id_of(key)).expect("it was about to fly");
        transfer.flying.push(key);
    }

    /// There is no memory for a request: its endpoint waits for [`Transfers::unblock`].
    pub(super) fn hold(&mut self, key: u64, request: Request) {
        let endpoint = request.endpoint;
        self.transfers.get_mut(&id_of(key)).expect("it was about to fly").queued += 1;
        self.put_first(endpoint, Work::Request(key, request));
        self.ready.retain(|ready| *ready != endpoint);
        self.blocked.push(endpoint);
    }

    pub(super) fn is_blocked(&self) -> bool {
        !self.blocked.is_empty()
    }

    /// There may be memory again.
    pub(super) fn unblock(&mut self) {
        self.ready.extend(self.blocked.drain(..));
    }

    /// The kernel has refused a request, and so the transfer that it is of.
    pub(super) fn refused(&mut self, key: u64, errno: Errno) -> Stopped {
        let id = id_of(key);
        let transfer = self.transfers.get_mut(&id).expect("it was about to fly");
        transfer.complete.status = -errno.raw_os_error();
        self.stop(id)
    }

    /// Takes an URB back; `None` when it is complete, or a special request that is under way.
    pub(super) fn cancel(&mut self, id: u32) -> Option<Stopped> {
        let special = self.special.as_ref().is_some_and(|(special, _)| *special == id);
        let transfer = self.transfers.get_mut(&id).filter(|_| !special)?;
        if transfer.queued > 0 && transfer.complete.status == 0 {
            transfer.complete.status = -Errno::CONNRESET.raw_os_error();
        }
        Some(self.stop(id))
    }

    fn stop(&mut self, id: u32) -> Stopped {
        let transfer = self.transfers.get_mut(&id).expect("the caller looked it up");
        transfer.stopped = true;
        let endpoint = transfer.endpoint;
        if std::mem::take(&mut transfer.queued) > 0 {
            let queue = self.queues.get_mut(&endpoint).expect("something of it is queued");
            queue.retain(|work| work.id() != id);
            // What was waiting for memory may be what is gone now.
            self.ready.retain(|ready| *ready != endpoint);
            self.blocked.retain(|blocked| *blocked != endpoint);
            if !queue.is_empty() {
                self.ready.push_back(endpoint);
            }
        }
        let transfer = &self.transfers[&id];
        if transfer.flying.is_empty() {
            Stopped::Done(self.end(id))
        } else {
            Stopped::Discard(transfer.flying.clone())
        }
    }

    /// A request has ended. The transfer is complete when all of its requests are.
    pub(super) fn reaped(&mut self, reaped: Reaped) -> Option<Completion> {
        let id = id_of(reaped.key);
        let part = (reaped.key & 0xff) as usize;
        let transfer = self.transfers.get_mut(&id).expect("what flies is known");
        transfer.flying.retain(|key| *key != reaped.key);
        let status = status(reaped.status, transfer.stopped);
        if transfer.complete.status == 0 {
            transfer.complete.status = status;
        }
        transfer.land(part, reaped);
        (transfer.flying.is_empty() && transfer.queued == 0).then(|| self.end(id))
    }

    /// A special request has ended, and left the device like this.
    pub(super) fn special_done(
        &mut self,
        active: Active,
        result: Result<(), Errno>,
    ) -> Option<Completion> {
        let (id, urb) = self.special.take().expect("a special request is under way");
        self.active = active;
        match (result, urb) {
            (Ok(()), _) => Some(self.end(id)),
            // usbcore has no idea what this is about, but the device may, or stalls as it should.
            // usbip-host does the same.
            (Err(Errno::INVAL | Errno::NOENT | Errno::SRCH | Errno::HOSTUNREACH), Some(urb)) => {
                self.put_first(0, Work::Plain(urb));
                None
            }
            (Err(errno), _) => Some(self.finish(id, errno)),
        }
    }

    /// Completes everything, because the device is gone.
    pub(super) fn gone(&mut self) -> Vec<Completion> {
        let mut ids: Vec<u32> = self.transfers.keys().copied().collect();
        ids.sort_unstable();
        self.queues.clear();
        self.ready.clear();
        self.blocked.clear();
        ids.into_iter().map(|id| self.finish(id, Errno::NODEV)).collect()
    }

    fn finish(&mut self, id: u32, errno: Errno) -> Completion {
        let transfer = self.transfers.get_mut(&id).expect("the caller knows it");
        transfer.complete.status = -errno.raw_os_error();
        self.end(id)
    }

    fn end(&mut self, id: u32) -> Completion {
        let transfer = self.transfers.remove(&id).expect("a transfer ends once");
        let data = match &transfer.data[..] {
            [] => Bytes::new(),
            [one] => one.clone(),
            parts => {
                let mut joined = BytesMut::new();
                parts.iter().for_each(|part| joined.extend_from_slice(part));
                joined.freeze()
            }
        };
        Completion { endpoint: transfer.endpoint, complete: transfer.complete, data }
    }
}

impl Transfer {
    /// Adds what a request has brought.
    fn land(&mut self, part: usize, reaped: Reaped) {
        let first = part * PART_PACKETS_MAX;
        let packets = first..first + reaped.packets.len();
        if packets.is_empty() {
            self.complete.actual_length = reaped.actual_length;
        } else {
            let moved = reaped.packets.iter().map(|packet| packet.actual_length).sum::<u32>();
            self.complete.actual_length += moved;
            self.complete.packets[packets.clone()].copy_from_slice(&reaped.packets);
        }
        if !self.is_in {
            return;
        }
        self.data[part] = if !packets.is_empty() {
            iso::compact(reaped.buffer, &self.lengths[packets], &reaped.packets)
        } else if self.endpoint & IN == 0 {
            let end = (SETUP_BYTES + reaped.actual_length as usize).min(reaped.buffer.len());
            Bytes::from(reaped.buffer).slice(SETUP_BYTES..end)
        } else {
            Bytes::from(reaped.buffer)
        };
    }
}

impl Work {
    fn id(&self) -> u32 {
        match self {
            Self::Urb(urb) | Self::Plain(urb) => urb.submit.id,
            Self::Request(key, _) => id_of(*key),
            Self::Reset { id } => *id,
        }
    }
}

/// usbfs says `-ENOENT` of whatever it has killed itself (`usb_kill_urb`). A driver would have
/// seen the end of its own unlink, or that the endpoint was disabled under it
/// (`usb_hcd_flush_endpoint`).
fn status(reaped: i32, stopped: bool) -> i32 {
    let killed = reaped == -Errno::NOENT.raw_os_error();
    match (killed, stopped) {
        (true, true) => -Errno::CONNRESET.raw_os_error(),
        (true, false) => -Errno::SHUTDOWN.raw_os_error(),
        (false, _) => reaped,
    }
}

fn failed(endpoint: u8, id: u32, errno: Errno) -> Completion {
    let complete = Complete { id, status: -errno.raw_os_error(), ..Complete::default() };
    Completion { endpoint, complete, data: Bytes::new() }
}

/// Names a request: the transfer, and which part of it.
fn key(id: u32, part: usize) -> u64 {
    u64::from(id) << 8 | part as u64
}

fn id_of(key: u64) -> u32 {
    (key >> 8) as u32
}

const _: () = assert!(iso::PARTS_MAX <= 256);

#[cfg(test)]
mod tests {
    use super::super::ioctl::Buffer;
    use super::*;
    use crate::descriptor::{self, tests::CAMERA, tests::DISK};
    use hex_literal::hex;
    use proptest::prelude::*;
    use wire::usb::Submit;

    fn disk() -> Transfers {
        Transfers::new(Active::new(descriptor::parse(&DISK).unwrap().interfaces, 1))
    }

    fn camera() -> Transfers {
        let mut active = Active::new(descriptor::parse(&CAMERA).unwrap().interfaces, 1);
        active.select(1, 1);
        Transfers::new(active)
    }

    fn urb(endpoint: u8, id: u32, length: u32) -> Urb {
        let submit = Submit { id, length, ..Submit::default() };
        let data = if endpoint & IN == 0 { vec![0; length as usize] } else { vec![] };
        Urb { endpoint, submit, data: Bytes::from(data) }
    }

    fn control(id: u32, setup: [u8; 8]) -> Urb {
        let length = u32::from(u16::from_le_bytes([setup[6], setup[7]]));
        let submit = Submit { id, length, setup: Some(setup), ..Submit::default() };
        Urb { endpoint: 0, submit, data: Bytes::new() }
    }

    fn iso(id: u32, packets: usize) -> Urb {
        let mut urb = urb(0x81, id, 10 * packets as u32);
        urb.submit.packets = vec![10; packets];
        urb
    }

    fn reaped(key: u64, status: i32, data: &[u8]) -> Reaped {
        let actual_length = data.len() as u32;
        Reaped { key, status, actual_length, buffer: data.to_vec(), packets: vec![] }
    }

    /// Submits all there is to submit, and says what.
    fn submit_all(transfers: &mut Transfers) -> Vec<u64> {
        let mut keys = Vec::new();
        while let Some(step) = transfers.next() {
            let Step::Submit(key, _) = step else { panic!("{step:?}") };
            transfers.submitted(key);
            keys.push(key);
        }
        keys
    }

    #[test]
    fn an_in_transfer() {
        let mut transfers = disk();
        assert!(transfers.push(urb(0x81, 7, 512)).is_none());
        let Some(Step::Submit(key, request)) = transfers.next() else { panic!("a request") };
        assert!(matches!(request.buffer, Buffer::In { bytes: 512 }));
        transfers.submitted(key);
        let done = transfers.reaped(reaped(key, -121, b"abc")).unwrap();
        assert_eq!((done.endpoint, done.complete.id), (0x81, 7));
        assert_eq!((done.complete.status, done.complete.actual_length), (-121, 3));
        assert_eq!(&done.data[..], b"abc");
    }

    #[test]
    fn a_control_transfer_loses_its_setup_packet() {
        let mut transfers = disk();
        assert!(transfers.push(control(1, hex!("80 06 0001 0000 0400"))).is_none());
        let [key] = submit_all(&mut transfers)[..] else { panic!("one request") };
        let buffer = hex!("80 06 0001 0000 0400 12 01 00 00").to_vec();
        let reaped = Reaped { key, status: 0, actual_length: 2, buffer, packets: vec![] };
        let done = transfers.reaped(reaped).unwrap();
        assert_eq!((done.complete.actual_length, &done.data[..]), (2, &hex!("12 01")[..]));
    }

    #[test]
    fn an_endpoint_without_memory_holds_up_no_other() {
        let mut transfers = disk();
        for id in [1, 2] {
            assert!(transfers.push(urb(0x02, id, 9)).is_none());
        }
        assert!(transfers.push(urb(0x81, 3, 9)).is_none());
        let Some(Step::Submit(first, request)) = transfers.next() else { panic!("a request") };
        transfers.hold(first, request);
        assert_eq!(submit_all(&mut transfers), [key(3, 0)]);
        assert!(transfers.is_blocked());
        assert!(transfers.push(urb(0x02, 4, 9)).is_none());
        assert!(submit_all(&mut transfers).is_empty());
        transfers.unblock();
        assert_eq!(submit_all(&mut transfers), [key(1, 0), key(2, 0), key(4, 0)]);
    }

    #[test]
    fn what_is_taken_back_from_the_queue_never_runs() {
        let mut transfers = disk();
        for id in [1, 2] {
            assert!(transfers.push(urb(0x02, id, 9)).is_none());
        }
        let Some(Step::Submit(first, request)) = transfers.next() else { panic!("a request") };
        transfers.hold(first, request);
        let Some(Stopped::Done(done)) = transfers.cancel(1) else { panic!("done") };
        assert_eq!((done.complete.id, done.complete.status), (1, -104));
        assert!(transfers.cancel(1).is_none());
        assert_eq!(submit_all(&mut transfers), [key(2, 0)]);
    }

    #[test]
    fn what_is_taken_back_from_the_kernel_ends_there() {
        let mut transfers = disk();
        for id in [1, 2, 3] {
            assert!(transfers.push(urb(0x81, id, 9)).is_none());
        }
        submit_all(&mut transfers);
        let Some(Stopped::Discard(keys)) = transfers.cancel(1) else { panic!("to discard") };
        assert_eq!(keys, [key(1, 0)]);
        assert_eq!(transfers.reaped(reaped(keys[0], -2, b"x")).unwrap().complete.status, -104);
        // It was too late: the transfer is what it is.
        assert!(matches!(transfers.cancel(2), Some(Stopped::Discard(_))));
        assert_eq!(transfers.reaped(reaped(key(2, 0), 0, b"x")).unwrap().complete.status, 0);
        // Killed by the kernel, not by us.
        assert_eq!(transfers.reaped(reaped(key(3, 0), -2, b"")).unwrap().complete.status, -108);
    }

    #[test]
    fn a_long_isochronous_transfer_is_one() {
        let mut transfers = camera();
        assert!(transfers.push(iso(5, 300)).is_none());
        let keys = submit_all(&mut transfers);
        assert_eq!(keys, [key(5, 0), key(5, 1), key(5, 2)]);
        for (part, packets) in [(1, 128), (0, 128), (2, 44)] {
            let packet = PacketResult { actual_length: 4, status: 0 };
            let reaped = Reaped {
                key: keys[part],
                status: 0,
                actual_length: 4 * packets as u32,
                buffer: [part as u8; 10].repeat(packets),
                packets: vec![packet; packets],
            };
            let Some(done) = transfers.reaped(reaped) else { continue };
            assert_eq!((part, done.complete.actual_length), (2, 1200));
            assert_eq!(done.complete.packets, [packet; 300]);
            let expected = [vec![0; 512], vec![1; 512], vec![2; 176]].concat();
            assert_eq!(&done.data[..], &expected);
            return;
        }
        panic!("the transfer never ended");
    }

    #[test]
    fn a_refused_part_ends_the_whole() {
        let mut transfers = camera();
        assert!(transfers.push(iso(5, 300)).is_none());
        let Some(Step::Submit(first, _)) = transfers.next() else { panic!("a request") };
        transfers.submitted(first);
        let Some(Step::Submit(second, _)) = transfers.next() else { panic!("a request") };
        let stopped = transfers.refused(second, Errno::NOSPC);
        assert!(matches!(stopped, Stopped::Discard(keys) if keys == [first]));
        assert!(transfers.next().is_none());
        let packets = vec![PacketResult { actual_length: 0, status: -18 }; 128];
        let reaped = Reaped { packets, ..reaped(first, -2, &[0; 1280]) };
        let done = transfers.reaped(reaped).unwrap();
        assert_eq!((done.complete.status, done.complete.packets.len()), (-28, 300));
    }

    #[test]
    fn everything_waits_for_a_special_request() {
        let mut transfers = camera();
        assert!(transfers.push(control(1, hex!("01 0b 0200 0100 0000"))).is_none());
        let special = Special::SetInterface { interface: 1, alternate: 2 };
        assert!(matches!(transfers.next(), Some(Step::Special(s)) if s == special));
        assert!(transfers.push(iso(2, 1)).is_none());
        assert!(transfers.next().is_none());
        assert!(transfers.cancel(1).is_none());
        let active = transfers.active().clone();
        let done = transfers.special_done(active, Ok(())).unwrap();
        assert_eq!((done.endpoint, done.complete.id, done.complete.status), (0, 1, 0));
        assert_eq!(submit_all(&mut transfers), [key(2, 0)]);
    }

    #[test]
    fn what_usbcore_does_not_know_goes_to_the_device() {
        let mut transfers = disk();
        assert!(transfers.push(control(1, hex!("01 0b 0000 0900 0000"))).is_none());
        assert!(matches!(transfers.next(), Some(Step::Special(_))));
        let active = transfers.active().clone();
        assert!(transfers.special_done(active.clone(), Err(Errno::INVAL)).is_none());
        assert_eq!(submit_all(&mut transfers), [key(1, 0)]);
        assert!(transfers.push_reset(2).is_none());
        assert!(matches!(transfers.next(), Some(Step::Special(Special::Reset))));
        let done = transfers.special_done(active, Err(Errno::INVAL)).unwrap();
        assert_eq!((done.complete.id, done.complete.status), (2, -22));
    }

    #[test]
    fn nothing_gives_a_device_another_address() {
        let mut transfers = disk();
        assert!(transfers.push(control(1, hex!("00 05 0700 0000 0000"))).is_none());
        let Some(Step::Done(done)) = transfers.next() else { panic!("refused") };
        assert_eq!(done.complete.status, -32);
    }

    #[test]
    fn an_unplugged_device_leaves_nothing_open() {
        let mut transfers = disk();
        for id in [3, 1, 2] {
            assert!(transfers.push(urb(0x81, id, 9)).is_none());
        }
        let Some(Step::Submit(first, _)) = transfers.next() else { panic!("a request") };
        transfers.submitted(first);
        let ends: Vec<_> =
            transfers.gone().iter().map(|done| (done.complete.id, done.complete.status)).collect();
        assert_eq!(ends, [(1, -19), (2, -19), (3, -19)]);
        assert!(transfers.next().is_none());
    }

    proptest! {
        /// Whatever happens, each URB has one end, and each endpoint keeps its order.
        #[test]
        fn one_end_for_each(
            events in proptest::collection::vec((0..6u8, any::<prop::sample::Index>()), 1..200),
        ) {
            let mut transfers = camera();
            let (mut next_id, mut ends, mut flying) = (0, Vec::new(), Vec::<u64>::new());
            let mut last = HashMap::new();
            for (event, index) in events {
                match event {
                    0 => {
                        let urb = match next_id % 3 {
                            0 => iso(next_id, 1 + index.index(400)),
                            1 => urb(0x83, next_id, 16),
                            _ => urb(0x05, next_id, 1),
                        };
                        next_id += 1;
                        ends.extend(transfers.push(urb));
                    }
                    1 if !flying.is_empty() => {
                        let key = flying.remove(index.index(flying.len()));
                        ends.extend(transfers.reaped(reaped(key, 0, &[])));
                    }
                    2 if next_id > 0 => {
                        match transfers.cancel(index.index(next_id as usize) as u32) {
                            Some(Stopped::Done(done)) => ends.push(done),
                            Some(Stopped::Discard(keys)) => {
                                prop_assert!(keys.iter().all(|key| flying.contains(key)));
                            }
                            None => {}
                        }
                    }
                    3 => transfers.unblock(),
                    _ => match transfers.next() {
                        Some(Step::Submit(key, request)) if event == 4 => {
                            transfers.hold(key, request);
                        }
                        Some(Step::Submit(key, _)) if index.index(5) == 0 => {
                            if let Stopped::Done(done) = transfers.refused(key, Errno::NOSPC) {
                                ends.push(done);
                            }
                        }
                        Some(Step::Submit(key, request)) => {
                            let before = last.insert(request.endpoint, key);
                            prop_assert!(before.is_none_or(|before| before < key));
                            transfers.submitted(key);
                            flying.push(key);
                        }
                        Some(Step::Done(done)) => ends.push(done),
                        Some(Step::Special(special)) => panic!("{special:?}"),
                        None => {}
                    },
                }
            }
            ends.extend(transfers.gone());
            let mut ids: Vec<u32> = ends.iter().map(|done| done.complete.id).collect();
            ids.sort_unstable();
            prop_assert_eq!(ids, (0..next_id).collect::<Vec<_>>());
        }
    }
}
