//! What a terminal device understands and `rustix` does not know: modem lines, break, what is
//! unsent, counters, latency; and the scheduling of the thread that stops a machine.
//!
//! `linux/include/uapi/asm-generic/ioctls.h`, `linux/include/uapi/linux/serial.h`, `ioctl_tty(2)`.

#![allow(unsafe_code, reason = "serial lines have no other door than ioctl")]

use rustix::fd::{AsFd, BorrowedFd};
use rustix::io::Errno;
use rustix::ioctl::{Getter, NoArg, Opcode, Setter, Updater, ioctl};
use std::ffi::{c_int, c_uchar, c_uint, c_ushort, c_void};
use std::ptr;

const DTR: c_int = 0x002;
const RTS: c_int = 0x004;
pub(super) const CTS: c_int = 0x020;
pub(super) const CARRIER: c_int = 0x040;
pub(super) const RING: c_int = 0x080;
pub(super) const DSR: c_int = 0x100;

/// Every modem line, in both directions.
pub(super) fn modem(fd: impl AsFd) -> Result<c_int, Errno> {
    const OPCODE: Opcode = 0x5415;
    // SAFETY: TIOCMGET writes an `int`.
    unsafe { ioctl(fd, Getter::<OPCODE, c_int>::new()) }
}

fn set_modem(fd: impl AsFd, lines: c_int) -> Result<(), Errno> {
    const OPCODE: Opcode = 0x5418;
    // SAFETY: TIOCMSET reads an `int`.
    unsafe { ioctl(fd, Setter::<OPCODE, c_int>::new(lines)) }
}

/// Sets DTR and RTS in one step; `None` leaves a line as it is.
pub(crate) fn set_dtr_rts(
    fd: impl AsFd,
    dtr: Option<bool>,
    rts: Option<bool>,
) -> Result<(), Errno> {
    let mut lines = modem(&fd)?;
    for (line, high) in [(DTR, dtr), (RTS, rts)] {
        match high {
            Some(true) => lines |= line,
            Some(false) => lines &= !line,
            None => {}
        }
    }
    set_modem(fd, lines)
}

/// Holds the line at zero, until it is taken back.
pub(super) fn break_on(fd: impl AsFd) -> Result<(), Errno> {
    // SAFETY: TIOCSBRK takes no argument.
    unsafe { ioctl(fd, NoArg::<0x5427>::new()) }
}

pub(super) fn break_off(fd: impl AsFd) -> Result<(), Errno> {
    // SAFETY: TIOCCBRK takes no argument.
    unsafe { ioctl(fd, NoArg::<0x5428>::new()) }
}

/// Bytes that the kernel and the driver hold and that have not left.
pub(super) fn unsent(fd: impl AsFd) -> Result<usize, Errno> {
    const OPCODE: Opcode = 0x5411;
    // SAFETY: TIOCOUTQ writes an `int`.
    let bytes = unsafe { ioctl(fd, Getter::<OPCODE, c_int>::new())? };
    Ok(usize::try_from(bytes).unwrap_or(0))
}

/// Whether the chip itself is empty. Few drivers know.
pub(super) fn is_empty(fd: impl AsFd) -> Result<bool, Errno> {
    const OPCODE: Opcode = 0x5459;
    const TEMT: c_uint = 1;
    // SAFETY: TIOCSERGETLSR writes an `unsigned int`.
    let status = unsafe { ioctl(fd, Getter::<OPCODE, c_uint>::new())? };
    Ok(status & TEMT != 0)
}

/// What went wrong since the driver began to count.
pub(super) fn counters(fd: impl AsFd) -> Result<Counters, Errno> {
    const OPCODE: Opcode = 0x545d;
    // SAFETY: TIOCGICOUNT writes a `serial_icounter_struct`.
    unsafe { ioctl(fd, Getter::<OPCODE, Counters>::new()) }
}

/// Asks the driver to hand over each byte at once.
pub(super) fn low_latency(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    const GET: Opcode = 0x541e;
    const SET: Opcode = 0x541f;
    const LOW_LATENCY: c_int = 1 << 13;
    let mut serial = Serial::EMPTY;
    // SAFETY: TIOCGSERIAL writes a `serial_struct`.
    unsafe { ioctl(fd, Updater::<GET, Serial>::new(&mut serial))? };
    serial.flags |= LOW_LATENCY;
    // SAFETY: TIOCSSERIAL reads a `serial_struct`; its pointer is the one that the driver gave.
    unsafe { ioctl(fd, Setter::<SET, Serial>::new(serial)) }
}

/// Lets the calling thread go before all ordinary ones.
pub(crate) fn go_first() -> Result<(), Errno> {
    // SAFETY: plain data, of which zero is a valid value of each member.
    let mut parameters: libc::sched_param = unsafe { std::mem::zeroed() };
    parameters.sched_priority = REALTIME_PRIORITY;
    // SAFETY: 0 is the calling thread; the parameters are read during the call.
    let result = unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const parameters) };
    if result == 0 { Ok(()) } else { Err(Errno::PERM) }
}

/// An orderly shutdown, or a closed terminal, does not end this process.
pub(crate) fn ignore_shutdown() {
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT] {
        // SAFETY: to ignore a signal runs no code of ours.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}

/// Above all that is not realtime, below audio and the kernel's own threads (50).
const REALTIME_PRIORITY: c_int = 10;

/// `struct serial_icounter_struct`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub(super) struct Counters {
    /// CTS, DSR, ring, carrier: how often each has changed.
    pub(super) modem: [c_int; 4],
    received: c_int,
    sent: c_int,
    pub(super) framing: c_int,
    pub(super) overrun: c_int,
    pub(super) parity: c_int,
    pub(super) breaks: c_int,
    pub(super) buffer_overrun: c_int,
    reserved: [c_int; 9],
}

/// `struct serial_struct`
#[repr(C)]
struct Serial {
    kind: c_int,
    line: c_int,
    port: c_uint,
    irq: c_int,
    flags: c_int,
    fifo_bytes: c_int,
    custom_divisor: c_int,
    baud_base: c_int,
    close_delay: c_ushort,
    io_type: c_uchar,
    reserved_char: [c_uchar; 1],
    hub6: c_int,
    closing_wait: c_ushort,
    closing_wait2: c_ushort,
    iomem_base: *mut c_void,
    iomem_reg_shift: c_ushort,
    port_high: c_uint,
    iomap_base: usize,
}

impl Serial {
    const EMPTY: Self = Self {
        kind: 0,
        line: 0,
        port: 0,
        irq: 0,
        flags: 0,
        fifo_bytes: 0,
        custom_divisor: 0,
        baud_base: 0,
        close_delay: 0,
        io_type: 0,
        reserved_char: [0],
        hub6: 0,
        closing_wait: 0,
        closing_wait2: 0,
        iomem_base: ptr::null_mut(),
        iomem_reg_shift: 0,
        port_high: 0,
        iomap_base: 0,
    };
}

const _: () = {
    assert!(size_of::<Counters>() == 80);
    assert!(size_of::<Serial>() == if size_of::<usize>() == 8 { 72 } else { 60 });
};
