//! What only `unsafe` code can ask of the kernel: packet mode, in which it tells what a program
//! does to a pseudo terminal beside writing, and to be woken by file descriptors.
//!
//! `ioctl_tty(2)`, TIOCPKT; `linux/drivers/tty/pty.c`.

#![expect(unsafe_code, reason = "an ioctl that no crate of ours wraps")]

use rustix::io::Errno;
use rustix::ioctl::{Opcode, Setter, ioctl};
use std::ffi::c_int;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// `asm-generic/ioctls.h`: so on all architectures but Alpha, MIPS, PA-RISC and SPARC.
const TIOCPKT: Opcode = 0x5420;

/// Bits of the first byte of what is read; 0 when data follows.
pub(super) const FLUSHREAD: u8 = 1;
pub(super) const FLUSHWRITE: u8 = 2;
/// The settings have changed, while they hold `EXTPROC`.
pub(super) const IOCTL: u8 = 64;

/// Switches packet mode on.
pub(super) fn packet_mode(master: BorrowedFd<'_>) -> Result<(), Errno> {
    // SAFETY: TIOCPKT reads an int, which lives as long as the call.
    unsafe { ioctl(master, Setter::<TIOCPKT, c_int>::new(1)) }
}

/// Wakes tasks when the kernel has something for them.
pub(super) fn watch(fd: &Arc<OwnedFd>, interest: Interest) -> io::Result<AsyncFd<Arc<OwnedFd>>> {
    // SAFETY: the same open file descriptor for as long as it is watched: `OwnedFd` closes it only
    // when it is dropped, and nothing can be put in its place behind an `Arc`.
    let watched = unsafe { AsyncFd::register_with_interest(Arc::clone(fd), interest) };
    Ok(watched?)
}
