//! usbfs by ioctl: the one place of this crate with `unsafe`.
//!
//! [`Handle`] holds the calls that touch no memory after they return; [`Urbs`] holds the transfers
//! under way, whose memory the kernel writes to in `REAPURBNDELAY` and at no other time
//! (`processcompl`). So [`Urbs`] alone submits and reaps, there is one for each open file, and it
//! frees nothing that could still be reaped.
//!
//! `linux/include/uapi/linux/usbdevice_fs.h`, `linux/drivers/usb/core/devio.c`.

#![allow(unsafe_code, reason = "usbfs has no other door than ioctl")]

use super::memory;
use bytes::Bytes;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::ioctl::{Getter, IntegerSetter, NoArg, Opcode, Setter, ioctl, opcode};
use std::collections::HashMap;
use std::ffi::{c_int, c_uint, c_void};
use std::path::Path;
use std::sync::Arc;
use std::{io, ptr};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use wire::device::Transfer;

/// An open device node: everything but transfers.
#[derive(Clone, Debug)]
pub(super) struct Handle(Arc<OwnedFd>);

impl AsFd for Handle {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Waits for events of a file that nobody can close meanwhile.
pub(super) fn watch(file: Arc<OwnedFd>, interest: Interest) -> io::Result<Watched> {
    // SAFETY: an `OwnedFd` is open and stays the same for as long as it lives, and it lives as
    // long as any `Arc` of it.
    Ok(unsafe { AsyncFd::register_with_interest(file, interest) }?)
}

pub(super) type Watched = AsyncFd<Arc<OwnedFd>>;

impl Handle {
    pub(super) fn open(node: &Path) -> Result<Self, Errno> {
        let fd = rustix::fs::open(node, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Self(Arc::new(fd)))
    }

    /// usbfs is writable when an URB can be reaped (`usbdev_poll`).
    pub(super) fn watch(&self) -> io::Result<Watched> {
        watch(Arc::clone(&self.0), Interest::WRITABLE)
    }

    /// Unbinds the kernel's driver and claims the interface, in one step.
    ///
    /// # Errors
    /// `EBUSY` when another program has claimed it through usbfs.
    pub(super) fn detach_and_claim(&self, interface: u8) -> Result<(), Errno> {
        const OPCODE: Opcode = opcode::read::<DisconnectClaim>(b'U', 27);
        let mut claim = DisconnectClaim {
            interface: interface.into(),
            flags: DISCONNECT_CLAIM_EXCEPT_DRIVER,
            driver: [0; DRIVER_BYTES],
        };
        claim.driver[..5].copy_from_slice(b"usbfs");
        // SAFETY: USBDEVFS_DISCONNECT_CLAIM reads a `usbdevfs_disconnect_claim`.
        unsafe { ioctl(self, Setter::<OPCODE, _>::new(claim)) }
    }

    pub(super) fn release(&self, interface: u8) -> Result<(), Errno> {
        const OPCODE: Opcode = opcode::read::<c_uint>(b'U', 16);
        // SAFETY: USBDEVFS_RELEASEINTERFACE reads an `unsigned int`.
        unsafe { ioctl(self, Setter::<OPCODE, c_uint>::new(interface.into())) }
    }

    /// Lets the kernel look for a driver of an unbound interface.
    ///
    /// # Errors
    /// `EBUSY` when it has one.
    pub(super) fn connect(&self, interface: u8) -> Result<(), Errno> {
        const OPCODE: Opcode = opcode::read_write::<DriverIoctl>(b'U', 18);
        const CONNECT: Opcode = opcode::none(b'U', 23);
        let call = DriverIoctl {
            interface: interface.into(),
            code: CONNECT as c_int,
            data: ptr::null_mut(),
        };
        // SAFETY: USBDEVFS_IOCTL reads a `usbdevfs_ioctl`; USBDEVFS_CONNECT has no data.
        unsafe { ioctl(self, Setter::<OPCODE, _>::new(call)) }
    }

    pub(super) fn set_interface(&self, interface: u8, alternate: u8) -> Result<(), Errno> {
        const OPCODE: Opcode = opcode::read::<SetInterface>(b'U', 4);
        let setting = SetInterface { interface: interface.into(), alternate: alternate.into() };
        // SAFETY: USBDEVFS_SETINTERFACE reads a `usbdevfs_setinterface`.
        unsafe { ioctl(self, Setter::<OPCODE, _>::new(setting)) }
    }

    pub(super) fn set_configuration(&self, value: u8) -> Result<(), Errno> {
        const OPCODE: Opcode = opcode::read::<c_uint>(b'U', 5);
        // SAFETY: USBDEVFS_SETCONFIGURATION reads an `unsigned int`.
        unsafe { ioctl(self, Setter::<OPCODE, c_uint>::new(value.into())) }
    }

    pub(super) fn clear_halt(&self, endpoint: u8) -> Result<(), Errno> {
        const OPCODE: Opcode = opcode::read::<c_uint>(b'U', 21);
        // SAFETY: USBDEVFS_CLEAR_HALT reads an `unsigned int`.
        unsafe { ioctl(self, Setter::<OPCODE, c_uint>::new(endpoint.into())) }
    }

    pub(super) fn reset(&self) -> Result<(), Errno> {
        const OPCODE: Opcode = opcode::none(b'U', 20);
        // SAFETY: USBDEVFS_RESET takes no argument.
        unsafe { ioctl(self, NoArg::<OPCODE>::new()) }
    }
}

/// One transfer as usbfs takes it.
#[derive(Debug)]
pub(super) struct Request {
    /// With the direction bit; 0 for endpoint 0.
    pub(super) endpoint: u8,
    pub(super) transfer: Transfer,
    /// `USBDEVFS_URB_*`
    pub(super) flags: u32,
    pub(super) buffer: Buffer,
    /// Isochronous only: the length of each packet, at most [`super::iso::PART_PACKETS_MAX`].
    pub(super) packets: Vec<u32>,
}

#[derive(Debug)]
pub(super) enum Buffer {
    Out(Bytes),
    In {
        bytes: usize,
    },
    /// The setup packet, and the data in either direction.
    Control(Vec<u8>),
}

/// A transfer that has ended.
#[derive(Debug)]
pub(super) struct Reaped {
    pub(super) key: u64,
    pub(super) status: i32,
    pub(super) actual_length: u32,
    /// IN: the data. Isochronous IN: the whole buffer, with the gaps that short packets left.
    /// Control: with the setup packet before it.
    pub(super) buffer: Vec<u8>,
    pub(super) packets: Vec<wire::usb::PacketResult>,
}

/// The transfers under way on one open device node.
#[derive(Debug)]
pub(super) struct Urbs {
    handle: Handle,
    /// By the address of their `usbdevfs_urb`, which is how the kernel names them.
    flights: HashMap<usize, Flight>,
    addresses: HashMap<u64, usize>,
    submitted: u64,
}

#[derive(Debug)]
struct Flight {
    key: u64,
    /// The how manyth this was.
    number: u64,
    /// A `usbdevfs_urb` and its packets. The kernel knows the address: never moved, never
    /// resized.
    urb: Box<[u64]>,
    /// What the kernel fills when the URB is reaped: never resized before.
    buffer: Vec<u8>,
    packets: usize,
}

impl Urbs {
    /// Opens a device node for transfers.
    pub(super) fn open(node: &Path) -> Result<Self, Errno> {
        let handle = Handle::open(node)?;
        Ok(Self { handle, flights: HashMap::new(), addresses: HashMap::new(), submitted: 0 })
    }

    pub(super) fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Whether no transfer is under way.
    pub(super) fn is_empty(&self) -> bool {
        self.flights.is_empty()
    }

    /// Starts a transfer. `key` names it until it is reaped.
    pub(super) fn submit(&mut self, key: u64, request: &Request) -> Result<(), Errno> {
        const OPCODE: Opcode = opcode::read::<UrbHead>(b'U', 10);
        let mut buffer = match &request.buffer {
            Buffer::Out(_) => Vec::new(),
            Buffer::In { bytes } if request.packets.is_empty() => Vec::with_capacity(*bytes),
            Buffer::In { bytes } => vec![0; *bytes],
            Buffer::Control(bytes) => bytes.clone(),
        };
        let (start, length) = match &request.buffer {
            Buffer::Out(data) => (data.as_ptr().cast_mut(), data.len()),
            Buffer::In { bytes } => (buffer.as_mut_ptr(), *bytes),
            Buffer::Control(bytes) => (buffer.as_mut_ptr(), bytes.len()),
        };
        let mut urb = new_urb(request, start, c_int::try_from(length).or(Err(Errno::MSGSIZE))?);
        let address = urb.as_mut_ptr();
        // SAFETY: USBDEVFS_SUBMITURB reads a `usbdevfs_urb` with its packets, and OUT data, before
        // it returns (`proc_do_submiturb`). It keeps the addresses of the URB and of IN data; both
        // stay in `flights` until the URB is reaped, or until nobody can reap it any more.
        unsafe { ioctl(&self.handle, IntegerSetter::<OPCODE>::new_pointer(address.cast()))? };
        let address = address.expose_provenance();
        let packets = request.packets.len();
        self.submitted += 1;
        memory::took(1);
        let flight = Flight { key, number: self.submitted, urb, buffer, packets };
        self.flights.insert(address, flight);
        self.addresses.insert(key, address);
        Ok(())
    }

    /// Takes back a transfer; it is to be reaped all the same. Without effect when it has ended.
    pub(super) fn discard(&self, key: u64) {
        const OPCODE: Opcode = opcode::none(b'U', 11);
        let Some(address) = self.addresses.get(&key) else { return };
        let pointer = ptr::with_exposed_provenance_mut::<c_void>(*address);
        // SAFETY: USBDEVFS_DISCARDURB compares the address and dereferences nothing.
        let result = unsafe { ioctl(&self.handle, IntegerSetter::<OPCODE>::new_pointer(pointer)) };
        if let Err(error) = result
            && error != Errno::INVAL
        {
            tracing::debug!(%error, "taking back an URB");
        }
    }

    /// Takes back everything, the youngest first, so that none gets its turn by that.
    pub(super) fn discard_all(&self) {
        let mut flights: Vec<_> = self.flights.values().collect();
        flights.sort_by_key(|flight| std::cmp::Reverse(flight.number));
        for flight in flights {
            self.discard(flight.key);
        }
    }

    /// The next transfer that has ended, `None` for none at present.
    ///
    /// # Errors
    /// `ENODEV` when the device is gone and everything is reaped.
    pub(super) fn reap(&mut self) -> Result<Option<Reaped>, Errno> {
        const OPCODE: Opcode = opcode::write::<*mut c_void>(b'U', 13);
        // SAFETY: USBDEVFS_REAPURBNDELAY writes a pointer, and into the URB that it points to and
        // its IN buffer (`processcompl`): one of ours, as nobody else submits through this file.
        let result = unsafe { ioctl(&self.handle, Getter::<OPCODE, *mut c_void>::new()) };
        let pointer = match result {
            Ok(pointer) => pointer,
            Err(Errno::AGAIN) => return Ok(None),
            Err(error) => return Err(error),
        };
        let flight = self.flights.remove(&pointer.addr()).expect("the kernel returns what it got");
        self.addresses.remove(&flight.key);
        memory::gave_back(1);
        Ok(Some(read_urb(flight)))
    }
}

impl Drop for Urbs {
    fn drop(&mut self) {
        memory::gave_back(self.flights.len());
    }
}

fn new_urb(request: &Request, start: *mut u8, length: c_int) -> Box<[u64]> {
    let bytes = size_of::<UrbHead>() + request.packets.len() * size_of::<IsoPacket>();
    let mut urb = vec![0u64; bytes.div_ceil(size_of::<u64>())].into_boxed_slice();
    let head = UrbHead {
        transfer: match request.transfer {
            Transfer::Isochronous => 0,
            Transfer::Interrupt => 1,
            Transfer::Control => 2,
            Transfer::Bulk => 3,
        },
        endpoint: request.endpoint,
        status: 0,
        flags: request.flags,
        buffer: start.cast(),
        buffer_length: length,
        actual_length: 0,
        start_frame: 0,
        number_of_packets: request.packets.len() as c_int,
        error_count: 0,
        signal: 0,
        context: ptr::null_mut(),
    };
    let pointer = urb.as_mut_ptr().cast::<UrbHead>();
    // SAFETY: the allocation is aligned for a head (asserted below) and has room for it and the
    // packets behind it.
    unsafe {
        pointer.write(head);
        let packets = pointer.add(1).cast::<IsoPacket>();
        for (index, &length) in request.packets.iter().enumerate() {
            packets.add(index).write(IsoPacket { length, actual_length: 0, status: 0 });
        }
    }
    urb
}

fn read_urb(flight: Flight) -> Reaped {
    let Flight { key, urb, mut buffer, packets: count, .. } = flight;
    let pointer = urb.as_ptr().cast::<UrbHead>();
    // SAFETY: `new_urb` wrote a head and `count` packets there, and the kernel over them.
    let (head, packets) = unsafe {
        let packets = pointer.add(1).cast::<IsoPacket>();
        (pointer.read(), std::slice::from_raw_parts(packets, count))
    };
    let actual_length = u32::try_from(head.actual_length).unwrap_or(0);
    if buffer.is_empty() {
        let length = buffer.capacity().min(actual_length as usize);
        // SAFETY: an OUT transfer's buffer has no capacity; an IN transfer's was not filled before,
        // and the kernel wrote `actual_length` bytes to it (`copy_urb_data_to_user`).
        unsafe { buffer.set_len(length) };
    }
    let packets = packets
        .iter()
        .map(|packet| wire::usb::PacketResult {
            actual_length: packet.actual_length.min(packet.length),
            status: packet.status,
        })
        .collect();
    Reaped { key, status: head.status, actual_length, buffer, packets }
}

pub(super) const URB_SHORT_NOT_OK: u32 = 0x01;
pub(super) const URB_ISO_ASAP: u32 = 0x02;
pub(super) const URB_ZERO_PACKET: u32 = 0x40;

const DISCONNECT_CLAIM_EXCEPT_DRIVER: c_uint = 0x02;
/// `USBDEVFS_MAXDRIVERNAME` and the NUL.
const DRIVER_BYTES: usize = 256;

/// `struct usbdevfs_urb` without its packets
#[repr(C)]
struct UrbHead {
    transfer: u8,
    endpoint: u8,
    status: c_int,
    flags: c_uint,
    buffer: *mut c_void,
    buffer_length: c_int,
    actual_length: c_int,
    start_frame: c_int,
    number_of_packets: c_int,
    error_count: c_int,
    signal: c_uint,
    context: *mut c_void,
}

/// `struct usbdevfs_iso_packet_desc`
#[repr(C)]
struct IsoPacket {
    length: c_uint,
    actual_length: c_uint,
    status: c_int,
}

/// `struct usbdevfs_setinterface`
#[repr(C)]
struct SetInterface {
    interface: c_uint,
    alternate: c_uint,
}

/// `struct usbdevfs_disconnect_claim`
#[repr(C)]
struct DisconnectClaim {
    interface: c_uint,
    flags: c_uint,
    driver: [u8; DRIVER_BYTES],
}

/// `struct usbdevfs_ioctl`
#[repr(C)]
struct DriverIoctl {
    interface: c_int,
    code: c_int,
    data: *mut c_void,
}

const _: () = {
    assert!(align_of::<UrbHead>() <= align_of::<u64>());
    assert!(size_of::<UrbHead>().is_multiple_of(align_of::<IsoPacket>()));
    assert!(size_of::<UrbHead>() == if size_of::<usize>() == 8 { 56 } else { 44 });
    assert!(size_of::<DriverIoctl>() == 8 + size_of::<usize>());
    assert!(size_of::<IsoPacket>() == 12);
    assert!(size_of::<DisconnectClaim>() == 264);
};
