//! A USB device as its host sees it: endpoints with queues of transfers. Sans-IO.
//!
//! A transfer that the function does not answer (a NAK on the bus) stays in its queue and costs
//! nothing. A halted endpoint ends every transfer with `-EPIPE` until the halt is cleared. The
//! statuses are those of Linux, `Documentation/driver-api/usb/error-codes.rst`.

use super::control::Setup;
use super::descriptors::{self, CONFIGURATION};
use super::{Function, Halts};
use crate::{Completion, Urb};
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;
use wire::device::Usb;
use wire::usb::{Complete, Submit};

/// Linux error numbers, `asm-generic/errno.h`.
pub const ENOENT: i32 = -2;
pub const ENODEV: i32 = -19;
pub const EINVAL: i32 = -22;
pub const EPIPE: i32 = -32;
const EOVERFLOW: i32 = -75;
pub const ECONNRESET: i32 = -104;
pub const ESHUTDOWN: i32 = -108;
const EREMOTEIO: i32 = -121;

/// A device and what its host has under way with it.
#[derive(Debug)]
pub struct Engine<F> {
    pub(super) usb: Usb,
    pub function: F,
    /// 0 while not configured.
    pub(super) configuration: u8,
    pub(super) halts: Halts,
    pub(super) pipes: Vec<Pipe>,
    done: Vec<Completion>,
}

/// An endpoint other than 0.
#[derive(Debug)]
pub(super) struct Pipe {
    pub(super) at: Endpoint,
    queue: VecDeque<Pending>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Endpoint {
    pub(super) address: u8,
    packet_bytes_max: usize,
}

/// A transfer under way.
#[derive(Debug)]
struct Pending {
    id: u32,
    /// Bytes that an IN transfer may read.
    length: usize,
    is_short_ok: bool,
    /// What an IN transfer has read.
    read: BytesMut,
    /// What an OUT transfer writes, and how much of it is written.
    data: Bytes,
    written: usize,
    /// Whether an empty packet has to follow.
    zero_packet: bool,
}

impl<F: Function> Engine<F> {
    /// A device that its host has configured.
    #[must_use]
    pub fn new(usb: Usb, function: F) -> Self {
        let endpoints = usb.interfaces.iter().flat_map(|interface| &interface.endpoints);
        let pipes = endpoints.map(|endpoint| {
            let packet_bytes_max = usize::from(endpoint.packet_bytes_max);
            let at = Endpoint { address: endpoint.address, packet_bytes_max };
            Pipe { at, queue: VecDeque::new() }
        });
        let pipes = pipes.collect();
        let (configuration, halts, done) = (CONFIGURATION, Halts::default(), Vec::new());
        Self { usb, function, configuration, halts, pipes, done }
    }

    /// Device descriptor and configuration descriptor, as in sysfs's `descriptors`.
    #[must_use]
    pub fn descriptors(&self) -> Bytes {
        descriptors::all(&self.usb, &self.function)
    }

    /// Whether a transfer of this endpoint is under way.
    #[must_use]
    pub fn is_waiting(&self, endpoint: u8) -> bool {
        self.pipes.iter().any(|pipe| pipe.at.address == endpoint && !pipe.queue.is_empty())
    }

    /// What has ended since the last call.
    pub fn completed(&mut self) -> Vec<Completion> {
        std::mem::take(&mut self.done)
    }

    pub fn submit(&mut self, urb: Urb) {
        let Urb { endpoint, submit, data } = urb;
        let is_in = endpoint & 0x80 != 0;
        if endpoint & 0x7f == 0 {
            return self.submit_control(endpoint, &submit, &data);
        }
        let pipe = self.pipes.iter_mut().find(|pipe| pipe.at.address == endpoint);
        let Some(pipe) = pipe.filter(|_| self.configuration != 0) else {
            return self.done.push(completion(endpoint, submit.id, ENOENT));
        };
        let length = submit.length as usize;
        if !submit.packets.is_empty() || submit.setup.is_some() || !is_in && data.len() != length {
            return self.done.push(completion(endpoint, submit.id, EINVAL));
        }
        let whole = length > 0 && length.is_multiple_of(pipe.at.packet_bytes_max);
        pipe.queue.push_back(Pending {
            id: submit.id,
            length,
            is_short_ok: submit.flags & Submit::SHORT_NOT_OK == 0,
            read: BytesMut::new(),
            data,
            written: 0,
            zero_packet: !is_in && whole && submit.flags & Submit::ZERO_PACKET != 0,
        });
        self.run();
    }

    /// Ends a transfer with `-ECONNRESET`, if it is still under way.
    pub fn cancel(&mut self, id: u32) {
        for pipe in &mut self.pipes {
            if let Some(at) = pipe.queue.iter().position(|pending| pending.id == id) {
                let pending = pipe.queue.remove(at).expect("its position was just found");
                self.done.push(pending.end(pipe.at.address, ECONNRESET));
                // What it held up may go on.
                return self.run();
            }
        }
    }

    /// A reset of the port. The host configures the device again as it was.
    pub fn reset(&mut self, id: u32) {
        self.end_all(ESHUTDOWN);
        self.start();
        self.done.push(completion(0, id, 0));
    }

    /// Ends a transfer that has not been submitted.
    pub fn end(&mut self, urb: &Urb, status: i32) {
        self.done.push(completion(urb.endpoint, urb.submit.id, status));
    }

    /// A reset of a device that is gone.
    pub fn fail_reset(&mut self, id: u32) {
        self.done.push(completion(0, id, ENODEV));
    }

    /// Ends every transfer with this status.
    pub fn end_all(&mut self, status: i32) {
        for pipe in &mut self.pipes {
            let ended = pipe.queue.drain(..).map(|pending| pending.end(pipe.at.address, status));
            self.done.extend(ended);
        }
    }

    /// A new session: a host has reset the device and configured it.
    pub fn restart(&mut self) {
        self.configuration = CONFIGURATION;
        self.start();
    }

    fn start(&mut self) {
        self.halts = Halts::default();
        self.function.reset();
    }

    pub(super) fn configure(&mut self, value: u16) -> bool {
        let Some(value) = [0, CONFIGURATION].into_iter().find(|known| u16::from(*known) == value)
        else {
            return false;
        };
        self.end_all(ESHUTDOWN);
        self.configuration = value;
        self.start();
        true
    }

    /// The only setting is 0; setting it ends what is under way there and clears halts
    /// (USB 2.0 §9.1.1.5).
    pub(super) fn set_interface(&mut self, number: u16, alternate: u16) -> bool {
        let interfaces = &mut self.usb.interfaces.iter();
        let Some(interface) = interfaces.find(|i| u16::from(i.number) == number) else {
            return false;
        };
        if alternate != 0 || self.configuration == 0 {
            return false;
        }
        for endpoint in &interface.endpoints {
            self.halts.clear(endpoint.address);
            let own = self.pipes.iter_mut().find(|pipe| pipe.at.address == endpoint.address);
            let pipe = own.expect("there is a pipe for every endpoint");
            let ended = pipe.queue.drain(..).map(|pending| pending.end(pipe.at.address, ESHUTDOWN));
            self.done.extend(ended);
        }
        self.function.halt_cleared(&mut self.halts);
        true
    }

    fn submit_control(&mut self, endpoint: u8, submit: &Submit, data: &[u8]) {
        let setup = submit.setup.filter(|_| submit.packets.is_empty()).map(Setup::from);
        let Some(setup) = setup else {
            return self.done.push(completion(endpoint, submit.id, EINVAL));
        };
        let length = usize::from(setup.length).min(submit.length as usize);
        if !setup.is_in() && data.len() != usize::from(setup.length) {
            return self.done.push(completion(endpoint, submit.id, EINVAL));
        }
        let mut ended = completion(endpoint, submit.id, 0);
        match self.control(&setup, data) {
            None => ended.complete.status = EPIPE,
            Some(answer) if setup.is_in() => {
                ended.data = answer.slice(..answer.len().min(length));
                let is_short = ended.data.len() < submit.length as usize;
                if is_short && submit.flags & Submit::SHORT_NOT_OK != 0 {
                    ended.complete.status = EREMOTEIO;
                }
                ended.complete.actual_length = bytes_u32(ended.data.len());
            }
            Some(_) => ended.complete.actual_length = bytes_u32(data.len()),
        }
        self.done.push(ended);
        self.run();
    }

    /// Moves packets until every queue is empty or waits for the function: to be called when the
    /// function has changed by itself.
    pub fn run(&mut self) {
        let Self { function, halts, pipes, done, .. } = self;
        let mut is_moving = true;
        while is_moving {
            is_moving = false;
            for pipe in &mut *pipes {
                while let Some(front) = pipe.queue.front_mut() {
                    let before = front.moved();
                    let status = match pipe.at.address & 0x80 {
                        0 => front.write(&pipe.at, function, halts),
                        _ => front.read(&pipe.at, function, halts),
                    };
                    is_moving |= status.is_some() || front.moved() != before;
                    let Some(status) = status else { break };
                    let ended = pipe.queue.pop_front().expect("it was just worked on");
                    done.push(ended.end(pipe.at.address, status));
                }
            }
        }
    }
}

impl Pending {
    fn moved(&self) -> usize {
        self.read.len() + self.written
    }

    /// Reads packets. Returns the status at the end, `None` while the function has no more.
    fn read(
        &mut self,
        at: &Endpoint,
        function: &mut impl Function,
        halts: &mut Halts,
    ) -> Option<i32> {
        loop {
            if halts.has(at.address) {
                return Some(EPIPE);
            }
            let room = self.length - self.read.len();
            if room == 0 {
                return Some(0);
            }
            let bytes_max = room.next_multiple_of(at.packet_bytes_max);
            let Some(packets) = function.take_in(at.address, bytes_max, halts) else {
                return halts.has(at.address).then_some(EPIPE);
            };
            if packets.len() > room {
                // The device sent more than was asked for ("babble").
                self.read.extend_from_slice(&packets[..room]);
                return Some(EOVERFLOW);
            }
            let is_last = packets.is_empty() || !packets.len().is_multiple_of(at.packet_bytes_max);
            if self.read.is_empty() {
                self.read = BytesMut::from(packets);
            } else {
                self.read.extend_from_slice(&packets);
            }
            if is_last {
                let is_fine = self.is_short_ok || self.read.len() == self.length;
                return Some(if is_fine { 0 } else { EREMOTEIO });
            }
        }
    }

    /// Writes packets. Returns the status at the end, `None` while the function takes no more.
    fn write(
        &mut self,
        at: &Endpoint,
        function: &mut impl Function,
        halts: &mut Halts,
    ) -> Option<i32> {
        loop {
            if halts.has(at.address) {
                return Some(EPIPE);
            }
            let Some(taken) = function.take_out(&self.data[self.written..], halts) else {
                return halts.has(at.address).then_some(EPIPE);
            };
            self.written += taken;
            if self.written == self.data.len() {
                if !self.zero_packet {
                    return Some(0);
                }
                self.zero_packet = false;
            }
        }
    }

    fn end(self, endpoint: u8, status: i32) -> Completion {
        let mut ended = completion(endpoint, self.id, status);
        ended.complete.actual_length = bytes_u32(self.read.len() + self.written);
        ended.data = self.read.freeze();
        ended
    }
}

fn completion(endpoint: u8, id: u32, status: i32) -> Completion {
    let complete = Complete { id, status, ..Complete::default() };
    Completion { endpoint, complete, data: Bytes::new() }
}

fn bytes_u32(len: usize) -> u32 {
    u32::try_from(len).expect("no transfer is longer than its length, a u32")
}
