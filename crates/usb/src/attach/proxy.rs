//! The validating proxy between the kernel and the peer, without I/O.
//!
//! The kernel sees only PDUs that are built here, from our own table of what it asked for. A
//! completion from the peer fills in a status, a length, data and packet results, and only where
//! they fit the request; one that does not fit is a [`Violation`], which ends the session. So a
//! hostile peer can at worst make its own device fail.
//!
//! Four things that `vhci_hcd` needs and no specification says:
//! - *Unlink.* An URB that was taken back gets a RET_UNLINK(-ECONNRESET) and never a RET_SUBMIT,
//!   on which vhci would tear the connection down. One that completed first gets its RET_SUBMIT
//!   and then a RET_UNLINK(0); that alone would be a success without data. An URB taken back with
//!   data already moved counts as completed: the driver gets what was read.
//! - *Control transfers in an outage.* A driver waits for its control transfer for as long as it
//!   likes (5 s in most of usbcore), takes it back, and then waits without end, and cannot be
//!   killed, for the RET_UNLINK, while `usb_kill_urb()` may hold up the whole bus. So a peer that
//!   does not say within [`PATIENCE`] what became of it is no longer waited for: the transfer has
//!   failed, as it would have with a device that is plugged in here and says nothing, and what the
//!   peer says of it later is told to nobody. Other endpoints are waited for: what a peer has read
//!   from a device must not be lost with an URB that is taken back.
//! - *Port reset* is not forwarded. It shows as the first request of a new enumeration, a
//!   GET_DESCRIPTOR(DEVICE) of 64 bytes (8 at SuperSpeed) to a device that is configured; the
//!   device is reset before that request goes out.
//! - *Isochronous* IN data comes without gaps, descriptors come with the offsets of the request
//!   (6.1 trusts them), and the sum of their lengths is the URB's, OUT as well.
//!
//! Source: `drivers/usb/usbip/vhci_rx.c`, `vhci_hcd.c`, `usbip_common.c`, and
//! `drivers/usb/core/message.c`, Linux 6.1 to 7.3.

mod queue;

use crate::Counters;
use crate::descriptor::Descriptors;
use crate::pdu::{self, IsoPacket, Reply, Request, Ret};
use bytes::{Bytes, BytesMut};
use queue::Queues;
pub use queue::Share;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};
use wire::usb::{Complete, Speed, Submit, Up, Window};

/// How a peer broke the rules of [`wire::usb`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    #[error("URB {0} was completed, but is not under way there")]
    Id(u32),
    #[error("URB {0} was completed with more than was asked for, or with data out of place")]
    Length(u32),
    #[error("URB {0} was completed with packets that do not fit the request")]
    Packets(u32),
    #[error("the device describes itself as another than the peer has shown")]
    Descriptors,
}

/// What the kernel or a USB/IP client may not ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("sequence number {0} is in use")]
    Seqnum(u32),
    #[error("isochronous packets outside the buffer")]
    Packets,
    #[error("too many unlinks of one URB")]
    Unlinks,
}

/// What is to be done, in this order.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// Tell the kernel.
    Kernel(Reply),
    /// Tell the peer, on the stream of `endpoint`.
    Peer { endpoint: u8, up: Up, data: Bytes },
}

/// The table of what is under way, and what waits for room in the peer's window.
#[derive(Debug)]
pub struct Proxy {
    speed: Speed,
    urbs: HashMap<u32, Pending>,
    queues: Queues,
    /// Control transfers that the kernel took back, and since when [`Proxy::expire`] knows it.
    taken_back: Vec<(u32, Option<Instant>)>,
    /// A SET_CONFIGURATION succeeded since the session began or the device was reset.
    configured: bool,
    actions: VecDeque<Action>,
    counters: Arc<Counters>,
    /// What the kernel may be told that the device is.
    shown: Option<Descriptors>,
}

/// One URB of the kernel.
#[derive(Debug)]
struct Pending {
    endpoint: u8,
    is_in: bool,
    share: Share,
    number_of_packets: u32,
    /// Where the packets are in the kernel's buffer.
    packets: Vec<IsoPacket>,
    /// What its success means for [`Proxy::configured`].
    configures: Option<bool>,
    /// The type of the standard descriptor that is asked for, USB 2.0 §9.4.3.
    describes: Option<u8>,
    stage: Stage,
    /// Sequence numbers of the unlinks that wait for its end.
    unlinks: Vec<u32>,
}

#[derive(Debug)]
enum Stage {
    /// Waits for room in the window.
    Held(Submit, Bytes),
    /// Waits for the reset of the device, sent under the same id.
    Resetting(Submit, Bytes),
    Sent,
    /// The kernel knows that it failed; the peer has it still.
    GivenUp,
}

impl Proxy {
    #[must_use]
    pub fn new(speed: Speed, window: Window, counters: Arc<Counters>) -> Self {
        Self {
            speed,
            urbs: HashMap::new(),
            queues: Queues::new(window),
            taken_back: Vec::new(),
            configured: false,
            actions: VecDeque::new(),
            counters,
            shown: None,
        }
    }

    /// From now on the device is what was shown and checked: one that tells the kernel of other
    /// classes breaks the rules.
    #[must_use]
    pub fn showing(self, shown: Descriptors) -> Self {
        Self { shown: Some(shown), ..self }
    }

    /// What is to be done next.
    pub fn poll(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// URBs that the peer has, and the sum of their lengths: never more than its window.
    #[must_use]
    pub fn under_way(&self) -> Share {
        self.queues.used()
    }

    /// Takes in what the kernel asks.
    ///
    /// # Errors
    /// When it is not what a kernel asks; only other USB/IP clients may come to that.
    pub fn request(&mut self, request: Request) -> Result<(), Fault> {
        match request {
            Request::Submit(submit) => self.submit(submit),
            Request::Unlink { seqnum, target } => self.unlink(seqnum, target),
        }
    }

    fn submit(&mut self, submit: pdu::Submit) -> Result<(), Fault> {
        let id = submit.seqnum;
        if self.urbs.contains_key(&id) {
            return Err(Fault::Seqnum(id));
        }
        let pending = Pending {
            endpoint: address(&submit),
            is_in: submit.is_in,
            share: Share::default(),
            number_of_packets: submit.number_of_packets,
            packets: submit.packets.clone(),
            configures: configures(&submit),
            describes: match submit.setup {
                [0x80, 6, _, kind, ..] if submit.endpoint == 0 => Some(kind),
                _ => None,
            },
            stage: Stage::Sent,
            unlinks: Vec::new(),
        };
        let translated = translate(submit)?;
        let pending = self.urbs.entry(id).or_insert(pending);
        let refused = match translated {
            Ok((submit, data)) => {
                pending.share = Share { urbs: 1, bytes: u64::from(submit.length) };
                let admitted = self.queues.push(pending.endpoint, id, pending.share, data.len());
                pending.stage = Stage::Held(submit, data);
                if admitted { None } else { Some(ENOMEM) }
            }
            Err(status) => Some(status),
        };
        match refused {
            None => self.release(),
            Some(status) => {
                let pending = self.urbs.remove(&id).expect("inserted above");
                self.answer(pending, failed(id, status));
            }
        }
        Ok(())
    }

    fn unlink(&mut self, seqnum: u32, target: u32) -> Result<(), Fault> {
        let known = self.urbs.get_mut(&target);
        let known = known.filter(|pending| !matches!(pending.stage, Stage::GivenUp));
        let Some(pending) = known else {
            // Answered already, or never asked.
            self.actions.push_back(Action::Kernel(Reply::Unlink { seqnum, status: 0 }));
            return Ok(());
        };
        if pending.unlinks.len() >= UNLINKS_MAX {
            return Err(Fault::Unlinks);
        }
        pending.unlinks.push(seqnum);
        let first = pending.unlinks.len() == 1;
        let endpoint = pending.endpoint;
        if first && endpoint == 0 {
            self.taken_back.push((target, None));
        }
        match &pending.stage {
            Stage::Held(_, data) => {
                self.queues.forget(endpoint, target, data.len());
                let pending = self.urbs.remove(&target).expect("found above");
                self.answer(pending, failed(target, ECONNRESET));
            }
            Stage::Sent if first => {
                let up = Up::Cancel { id: target };
                self.actions.push_back(Action::Peer { endpoint, up, data: Bytes::new() });
            }
            // Nothing takes a reset back; its end is the end of the URB.
            Stage::Sent | Stage::Resetting(..) => {}
            Stage::GivenUp => unreachable!("filtered above"),
        }
        Ok(())
    }

    /// Gives up control transfers that the kernel took back and of which the peer says nothing.
    /// Returns when to be called again, unless something else happens before.
    pub fn expire(&mut self, now: Instant) -> Option<Instant> {
        let mut next = None;
        for (id, since) in std::mem::take(&mut self.taken_back) {
            let Some(pending) = self.urbs.get_mut(&id) else { continue };
            let at = since.unwrap_or(now) + PATIENCE;
            if at > now {
                self.taken_back.push((id, Some(since.unwrap_or(now))));
                next = Some(next.map_or(at, |next: Instant| next.min(at)));
                continue;
            }
            pending.stage = Stage::GivenUp;
            for seqnum in pending.unlinks.drain(..) {
                let reply = Reply::Unlink { seqnum, status: ECONNRESET };
                self.actions.push_back(Action::Kernel(reply));
            }
        }
        next
    }

    /// Sends what has room in the window.
    fn release(&mut self) {
        while let Some((endpoint, id, data_bytes)) = self.queues.next() {
            let pending = self.urbs.get_mut(&id).expect("what is queued is in the table");
            let Stage::Held(submit, data) = std::mem::replace(&mut pending.stage, Stage::Sent)
            else {
                unreachable!("what is queued is held");
            };
            debug_assert_eq!(data.len(), data_bytes);
            let (up, data) = if self.configured && is_reset(self.speed, &submit) {
                tracing::debug!("the kernel resets the port");
                self.configured = false;
                pending.stage = Stage::Resetting(submit, data);
                (Up::Reset { id }, Bytes::new())
            } else {
                (Up::Submit(submit), data)
            };
            self.actions.push_back(Action::Peer { endpoint, up, data });
        }
    }

    /// Takes in what came on the stream of `endpoint`.
    ///
    /// # Errors
    /// When the peer broke the rules.
    pub fn complete(
        &mut self,
        endpoint: u8,
        complete: Complete,
        data: Bytes,
    ) -> Result<(), Violation> {
        let id = complete.id;
        let unknown = Violation::Id(id);
        let pending = self.urbs.get_mut(&id).filter(|urb| urb.endpoint == endpoint);
        let pending = pending.ok_or(unknown)?;
        let mut given_up = false;
        let ret = match std::mem::replace(&mut pending.stage, Stage::Sent) {
            Stage::Held(submit, data) => {
                pending.stage = Stage::Held(submit, data);
                return Err(unknown);
            }
            Stage::Resetting(submit, held) => {
                if !data.is_empty() || complete.actual_length > 0 || !complete.packets.is_empty() {
                    return Err(Violation::Length(id));
                }
                if complete.status == 0 && pending.unlinks.is_empty() {
                    let up = Up::Submit(submit);
                    self.actions.push_back(Action::Peer { endpoint, up, data: held });
                    return Ok(());
                }
                let unlinked = !pending.unlinks.is_empty();
                failed(id, if unlinked { ECONNRESET } else { errno(complete.status) })
            }
            Stage::Sent => {
                let agrees = |shown: &Descriptors| {
                    pending.describes.is_none_or(|kind| shown.agree(kind, &data))
                };
                if !self.shown.as_ref().is_none_or(agrees) {
                    return Err(Violation::Descriptors);
                }
                pending.ret(&complete, data)?
            }
            Stage::GivenUp => {
                given_up = true;
                pending.ret(&complete, data)?
            }
        };
        let pending = self.urbs.remove(&id).expect("found above");
        self.queues.free(endpoint, pending.share);
        self.counters.count(pending.is_in, &Complete { status: ret.status, ..complete });
        if let (Some(configured), 0) = (pending.configures, ret.status) {
            self.configured = configured;
        }
        if !given_up {
            self.answer(pending, ret);
        }
        self.release();
        Ok(())
    }

    /// Gives an URB back to the kernel.
    fn answer(&mut self, pending: Pending, mut ret: Ret) {
        let cancelled = ret.status == ECONNRESET && ret.actual_length == 0;
        let status = if cancelled && !pending.unlinks.is_empty() {
            ECONNRESET
        } else {
            ret.number_of_packets = pending.number_of_packets;
            if ret.packets.is_empty() {
                let status = ret.status;
                let fail = |packet: &IsoPacket| IsoPacket { actual_length: 0, status, ..*packet };
                ret.packets = pending.packets.iter().map(fail).collect();
            }
            ret.error_count = ret.packets.iter().filter(|packet| packet.status != 0).count() as u32;
            self.actions.push_back(Action::Kernel(Reply::Submit(ret)));
            0
        };
        for seqnum in pending.unlinks {
            self.actions.push_back(Action::Kernel(Reply::Unlink { seqnum, status }));
        }
    }
}

impl Pending {
    /// What the kernel gets for a completion, if that fits the request.
    fn ret(&self, complete: &Complete, data: Bytes) -> Result<Ret, Violation> {
        let Complete { id, status, actual_length, start_frame, ref packets } = *complete;
        let data_bytes = if self.is_in { actual_length as usize } else { 0 };
        if u64::from(actual_length) > self.share.bytes || data.len() != data_bytes {
            return Err(Violation::Length(id));
        }
        let status = errno(status);
        let results = self.packets.iter().zip(packets).map(|(asked, result)| IsoPacket {
            actual_length: result.actual_length,
            status: errno(result.status),
            ..*asked
        });
        // An URB that failed as a whole has no packets to tell of, and no data either.
        let whole = packets.is_empty() && status != 0 && actual_length == 0;
        if packets.len() != self.packets.len() && !whole {
            return Err(Violation::Packets(id));
        }
        let results: Vec<IsoPacket> = results.collect();
        let fits = results.iter().all(|packet| packet.actual_length <= packet.length);
        let sum: u64 = results.iter().map(|packet| u64::from(packet.actual_length)).sum();
        if !results.is_empty() && (!fits || sum != u64::from(actual_length)) {
            return Err(Violation::Packets(id));
        }
        Ok(Ret {
            seqnum: id,
            status,
            actual_length,
            start_frame,
            data,
            packets: results,
            ..Ret::default()
        })
    }
}

fn failed(seqnum: u32, status: i32) -> Ret {
    Ret { seqnum, status, ..Ret::default() }
}

/// The stream of an URB: endpoint 0 has one for both directions.
fn address(submit: &pdu::Submit) -> u8 {
    match (submit.endpoint, submit.is_in) {
        (0, _) => 0,
        (number, true) => number | 0x80,
        (number, false) => number,
    }
}

/// The URB as the peer gets it, or the status that the kernel gets at once.
fn translate(submit: pdu::Submit) -> Result<Result<(Submit, Bytes), i32>, Fault> {
    const URB_SHORT_NOT_OK: u32 = 0x01;
    const URB_ZERO_PACKET: u32 = 0x40;
    let honoured = [
        (submit.is_in && submit.flags & URB_SHORT_NOT_OK != 0, Submit::SHORT_NOT_OK),
        (!submit.is_in && submit.flags & URB_ZERO_PACKET != 0, Submit::ZERO_PACKET),
    ];
    let mut urb = Submit { id: submit.seqnum, length: submit.length, ..Submit::default() };
    urb.flags = honoured.iter().filter(|(set, _)| *set).fold(0, |flags, (_, flag)| flags | flag);
    if submit.endpoint == 0 {
        // USB 2.0 §9.3; usbcore checks the same in usb_submit_urb()
        let length = u32::from(u16::from_le_bytes([submit.setup[6], submit.setup[7]]));
        let to_host = submit.setup[0] & 0x80 != 0 && length > 0;
        if length != submit.length || (to_host != submit.is_in && length > 0) {
            return Ok(Err(EINVAL));
        }
        if !submit.packets.is_empty() {
            return Ok(Err(EINVAL));
        }
        urb.setup = Some(submit.setup);
        return Ok(Ok((urb, submit.data)));
    }
    if submit.packets.is_empty() {
        return Ok(Ok((urb, submit.data)));
    }
    let end = |packet: &IsoPacket| u64::from(packet.offset) + u64::from(packet.length);
    let sum: u64 = submit.packets.iter().map(|packet| u64::from(packet.length)).sum();
    let length = u64::from(submit.length);
    if sum > length || submit.packets.iter().any(|packet| end(packet) > length) {
        return Err(Fault::Packets);
    }
    urb.length = sum as u32;
    urb.packets = submit.packets.iter().map(|packet| packet.length).collect();
    let data = if submit.is_in { Bytes::new() } else { compact(&submit, sum as usize) };
    Ok(Ok((urb, data)))
}

/// OUT data without the gaps between its packets.
fn compact(submit: &pdu::Submit, sum: usize) -> Bytes {
    let mut at = 0;
    let in_a_row = submit.packets.iter().all(|packet| {
        let here = packet.offset == at;
        at += packet.length;
        here
    });
    if in_a_row {
        return submit.data.slice(..sum);
    }
    let mut data = BytesMut::with_capacity(sum);
    for packet in &submit.packets {
        let start = packet.offset as usize;
        data.extend_from_slice(&submit.data[start..start + packet.length as usize]);
    }
    data.freeze()
}

/// USB 2.0 §9.4.7: whether a SET_CONFIGURATION configures or unconfigures.
fn configures(submit: &pdu::Submit) -> Option<bool> {
    match submit.setup {
        [0x00, 9, value, ..] if submit.endpoint == 0 => Some(value != 0),
        _ => None,
    }
}

/// What `hub_port_init()` asks first after a port reset. Others who read the device descriptor
/// (lsusb, libusb) read its 18 bytes.
fn is_reset(speed: Speed, submit: &Submit) -> bool {
    let length = match speed {
        Speed::Low | Speed::Full | Speed::High => 64,
        Speed::Super | Speed::SuperPlus => 8,
    };
    submit.setup == Some([0x80, 6, 0, 1, 0, 0, length, 0])
}

/// A status that drivers may see: 0 or an error number, but not the one that means "under way".
fn errno(status: i32) -> i32 {
    const EINPROGRESS: i32 = -115;
    match status {
        EINPROGRESS => EPROTO,
        -4095..=0 => status,
        _ => EPROTO,
    }
}

const ENOMEM: i32 = -12;
const EINVAL: i32 = -22;
const EPROTO: i32 = -71;
const ECONNRESET: i32 = -104;

/// For how long the kernel waits for what it took back from endpoint 0. Most of usbcore waits 5 s
/// before: until then nobody notices an outage, and this is what comes on top. A link that is well
/// answers sooner.
pub const PATIENCE: Duration = Duration::from_secs(1);

/// The kernel unlinks an URB once.
const UNLINKS_MAX: usize = 16;

#[cfg(test)]
mod tests;
