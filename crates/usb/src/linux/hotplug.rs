//! Tells when devices come and go, without polling: the kernel's uevents, and udev's.
//!
//! The kernel's (group 1) come first; udev's (group 2) come when its rules are done, so that the
//! permissions of a new node are right. Containers and small systems have no udev.
//!
//! `linux/lib/kobject_uevent.c`; `udev_monitor_new_from_netlink(3)`.

use super::ioctl::{Watched, watch};
use rustix::io::Errno;
use rustix::net::netlink::{KOBJECT_UEVENT, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType};
use std::io;
use std::sync::Arc;
use tokio::io::Interest;

/// A subscription to changes of what is plugged in.
#[derive(Debug)]
pub struct Hotplug {
    socket: Watched,
}

impl Hotplug {
    /// Subscribes; what changes from now on is not missed.
    ///
    /// # Errors
    /// When the system has no uevents for us, as in some containers.
    pub fn open() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (family, kind) = (AddressFamily::NETLINK, SocketType::DGRAM);
        let socket = rustix::net::socket_with(family, kind, flags, Some(KOBJECT_UEVENT))?;
        rustix::net::bind(&socket, &SocketAddrNetlink::new(0, KERNEL | UDEV))?;
        Ok(Self { socket: watch(Arc::new(socket), Interest::READABLE)? })
    }

    /// Returns when a USB device or a serial port has come, gone or changed; several changes may
    /// be one. Cancel safe.
    ///
    /// # Errors
    /// When the socket fails, which it has no reason to.
    pub async fn changed(&mut self) -> io::Result<()> {
        loop {
            let mut ready = self.socket.readable().await?;
            let mut buffer = [0; UEVENT_BYTES_MAX];
            let mut changed = false;
            loop {
                match rustix::net::recv(ready.get_inner(), &mut buffer, RecvFlags::empty()) {
                    Ok((length, _)) => changed |= is_ours(&buffer[..length]),
                    // Too many came at once: surely one of them was ours.
                    Err(Errno::NOBUFS) => changed = true,
                    Err(Errno::AGAIN) => break,
                    Err(Errno::INTR) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            ready.clear_ready();
            if changed {
                return Ok(());
            }
        }
    }
}

/// Both kinds of message hold `KEY=value` strings that end with a NUL. Messages of udev begin
/// with a header, and anybody may send us one: all it does is to make us look.
fn is_ours(message: &[u8]) -> bool {
    let ours = |line: &[u8]| line.ends_with(b"SUBSYSTEM=usb") || line.ends_with(b"SUBSYSTEM=tty");
    message.split(|byte| *byte == 0).any(ours)
}

/// Netlink groups, as bits.
const KERNEL: u32 = 1;
const UDEV: u32 = 2;
/// The kernel's are at most 2 KiB (`UEVENT_BUFFER_SIZE`), udev's hold all properties.
const UEVENT_BYTES_MAX: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_usb_and_serial_ports_count() {
        assert!(is_ours(b"add@/devices/x/1-1\0ACTION=add\0SUBSYSTEM=usb\0SEQNUM=7\0"));
        assert!(is_ours(b"libudev\0\xfe\xed\xca\xfe\x28\0\0\0ACTION=add\0SUBSYSTEM=usb\0"));
        assert!(is_ours(b"add@/devices/x/ttyUSB0\0ACTION=add\0SUBSYSTEM=tty\0"));
        assert!(!is_ours(b"add@/devices/x\0SUBSYSTEM=block\0"));
        assert!(!is_ours(b"add@/devices/x\0SUBSYSTEM=usbmon\0"));
        assert!(!is_ours(b""));
    }
}
