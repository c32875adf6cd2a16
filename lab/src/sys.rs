//! The kernel's interfaces that the standard library lacks, behind safe functions.

#![allow(unsafe_code, reason = "ioctls, termios and poll exist only as foreign functions")]

use std::fs::{File, OpenOptions};
use std::io::{Error, Result};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use crate::sysfs::patient;

/// Direction of an ioctl's argument, as in `asm-generic/ioctl.h`.
pub(crate) const WRITE: u64 = 1;
pub(crate) const READ: u64 = 2;

/// `_IOC(direction, type, number, size)` of `asm-generic/ioctl.h`.
pub(crate) const fn ioc(direction: u64, group: u8, number: u64, size: usize) -> u64 {
    (direction << 30) | ((size as u64) << 16) | ((group as u64) << 8) | number
}

/// Waits until there is something to read; false when the time is over.
pub(crate) fn readable(file: &impl AsRawFd, limit_ms: u32) -> bool {
    let limit = patient(Duration::from_millis(limit_ms.into()));
    poll(file, libc::POLLIN, i32::try_from(limit.as_millis()).unwrap_or(i32::MAX))
}

pub(crate) fn poll(file: &impl AsRawFd, events: i16, limit_ms: i32) -> bool {
    let mut one = libc::pollfd { fd: file.as_raw_fd(), events, revents: 0 };
    // SAFETY: a valid array of one.
    unsafe { libc::poll(&raw mut one, 1, limit_ms) > 0 }
}

/// Opens a serial port for bytes as they are, at 921600 baud.
pub(crate) fn open_tty(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).custom_flags(libc::O_NOCTTY).open(path)?;
    let fd = file.as_raw_fd();
    // SAFETY: termios is plain numbers, filled in by tcgetattr before use.
    let done = unsafe {
        let mut settings: libc::termios = std::mem::zeroed();
        libc::tcgetattr(fd, &raw mut settings) == 0 && {
            libc::cfmakeraw(&raw mut settings);
            settings.c_cflag |= libc::CLOCAL | libc::CREAD;
            libc::cfsetspeed(&raw mut settings, libc::B921600);
            libc::tcsetattr(fd, libc::TCSANOW, &raw const settings) == 0
                && libc::tcflush(fd, libc::TCIOFLUSH) == 0
        }
    };
    if done { Ok(file) } else { Err(Error::last_os_error()) }
}

/// Sets the modem lines DTR and RTS, both.
pub(crate) fn raise_lines(tty: &File) -> Result<()> {
    lines(tty, libc::TIOCM_DTR | libc::TIOCM_RTS)
}

/// Clears the modem lines DTR and RTS, both.
pub(crate) fn drop_lines(tty: &File) -> Result<()> {
    lines(tty, 0)
}

/// A break of a quarter of a second or more.
pub(crate) fn send_break(tty: &File) -> Result<()> {
    // SAFETY: no memory is involved.
    done(unsafe { libc::tcsendbreak(tty.as_raw_fd(), 0) })
}

fn lines(tty: &File, lines: libc::c_int) -> Result<()> {
    // SAFETY: TIOCMSET reads one int.
    done(unsafe { libc::ioctl(tty.as_raw_fd(), libc::TIOCMSET, &raw const lines) })
}

/// `USBDEVFS_RESET` of `linux/usbdevice_fs.h`.
pub(crate) fn reset_device(node: &Path) -> Result<()> {
    let file = OpenOptions::new().read(true).write(true).open(node)?;
    // SAFETY: no argument.
    done(unsafe { libc::ioctl(file.as_raw_fd(), ioc(0, b'U', 20, 0) as _) })
}

/// `struct usbtest_param_64` of the kernel's `drivers/usb/misc/usbtest.c`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct UsbtestParam {
    pub test: u32,
    pub iterations: u32,
    pub length: u32,
    pub vary: u32,
    pub sglen: u32,
    pub seconds: i64,
    pub microseconds: i64,
}

#[repr(C)]
struct InterfaceIoctl {
    interface: i32,
    code: i32,
    data: *mut UsbtestParam,
}

/// Runs a case of the kernel driver `usbtest`, which is bound to interface 0.
pub(crate) fn usbtest(node: &File, param: &mut UsbtestParam) -> Result<()> {
    let code = ioc(READ | WRITE, b'U', 100, size_of::<UsbtestParam>());
    let mut call = InterfaceIoctl { interface: 0, code: code as u32 as i32, data: param };
    let request = ioc(READ | WRITE, b'U', 18, size_of::<InterfaceIoctl>());
    // SAFETY: `call` and what it points at live until the return.
    done(unsafe { libc::ioctl(node.as_raw_fd(), request as _, &raw mut call) })
}

/// Sends a signal to one process.
pub(crate) fn kill(pid: u32, signal: libc::c_int) -> Result<()> {
    let pid = libc::pid_t::try_from(pid).map_err(Error::other)?;
    // SAFETY: no memory is involved.
    done(unsafe { libc::kill(pid, signal) })
}

fn done(result: libc::c_int) -> Result<()> {
    if result < 0 { Err(Error::last_os_error()) } else { Ok(()) }
}
