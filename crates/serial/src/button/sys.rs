//! The kernel's doors to input devices and GPIO lines that `rustix` does not know.
//!
//! `linux/include/uapi/linux/input.h` and `drivers/input/evdev.c`; the GPIO character device, uAPI
//! v2 (Linux 5.10): `linux/include/uapi/linux/gpio.h` and `Documentation/userspace-api/gpio`.

#![allow(unsafe_code, reason = "input devices and GPIO lines have no other door than ioctl")]

use rustix::fd::{AsFd, FromRawFd, OwnedFd, RawFd};
use rustix::io::Errno;
use rustix::ioctl::{IntegerSetter, Opcode, Updater, ioctl, opcode};
use std::ffi::c_ulong;

/// `KEY_CNT`
pub(super) const KEYS: usize = 0x300;

/// A set of keys.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub(super) struct Keys([u8; KEYS / 8]);

impl Keys {
    pub(super) fn has(&self, code: u16) -> bool {
        self.0.get(usize::from(code / 8)).is_some_and(|byte| byte & (1 << (code % 8)) != 0)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|byte| *byte == 0)
    }
}

/// Events go to this open file alone.
pub(super) fn grab(fd: impl AsFd) -> Result<(), Errno> {
    const EVIOCGRAB: Opcode = opcode::write::<std::ffi::c_int>(b'E', 0x90);
    // SAFETY: EVIOCGRAB takes a number in place of a pointer, and reads no memory.
    unsafe { ioctl(fd, IntegerSetter::<EVIOCGRAB>::new_usize(1)) }
}

/// The keys that the device has.
pub(super) fn keys(fd: impl AsFd) -> Result<Keys, Errno> {
    // EVIOCGBIT(EV_KEY, size)
    const OPCODE: Opcode = opcode::read::<Keys>(b'E', 0x20 + EV_KEY as u8);
    let mut keys = Keys([0; KEYS / 8]);
    // SAFETY: EVIOCGBIT writes at most as many bytes as its number says, which are those of `Keys`.
    unsafe { ioctl(fd, Updater::<OPCODE, Keys>::new(&mut keys))? };
    Ok(keys)
}

/// The keys that are down.
pub(super) fn keys_down(fd: impl AsFd) -> Result<Keys, Errno> {
    const EVIOCGKEY: Opcode = opcode::read::<Keys>(b'E', 0x18);
    let mut keys = Keys([0; KEYS / 8]);
    // SAFETY: EVIOCGKEY writes at most as many bytes as its number says, which are those of `Keys`.
    unsafe { ioctl(fd, Updater::<EVIOCGKEY, Keys>::new(&mut keys))? };
    Ok(keys)
}

/// Asks for an input line, with its edges as events. The line is given back with the file.
pub(super) fn line(chip: impl AsFd, offset: u32, flags: u64) -> Result<OwnedFd, Errno> {
    const GPIO_V2_GET_LINE_IOCTL: Opcode = opcode::read_write::<LineRequest>(0xb4, 0x07);
    let mut request = LineRequest {
        offsets: [0; 64],
        consumer: [0; 32],
        flags: flags | LINE_INPUT,
        attribute_count: 0,
        config_padding: [0; 5],
        attributes: [[0; 3]; 10],
        line_count: 1,
        event_buffer_size: 0,
        padding: [0; 5],
        fd: -1,
    };
    request.offsets[0] = offset;
    request.consumer[..CONSUMER.len()].copy_from_slice(CONSUMER);
    // SAFETY: it reads and writes a `gpio_v2_line_request`.
    unsafe { ioctl(chip, Updater::<GPIO_V2_GET_LINE_IOCTL, LineRequest>::new(&mut request))? };
    if request.fd < 0 {
        return Err(Errno::BADF);
    }
    // SAFETY: the kernel has just opened it for us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(request.fd) })
}

/// Whether a line that was asked for is high.
pub(super) fn is_high(line: impl AsFd) -> Result<bool, Errno> {
    const GPIO_V2_LINE_GET_VALUES_IOCTL: Opcode = opcode::read_write::<LineValues>(0xb4, 0x0e);
    let mut values = LineValues { bits: 0, mask: 1 };
    // SAFETY: it reads and writes a `gpio_v2_line_values`.
    unsafe { ioctl(line, Updater::<GPIO_V2_LINE_GET_VALUES_IOCTL, _>::new(&mut values))? };
    Ok(values.bits & 1 != 0)
}

pub(super) const EV_SYN: u16 = 0;
pub(super) const EV_KEY: u16 = 1;
pub(super) const SYN_DROPPED: u16 = 3;
/// `struct input_event`: a time of two words; type, code, value.
pub(super) const EVENT_TIME: usize = 2 * size_of::<c_ulong>();
pub(super) const EVENT: usize = EVENT_TIME + 8;

/// `enum gpio_v2_line_flag`
const LINE_INPUT: u64 = 1 << 2;
pub(super) const LINE_EDGES: u64 = 1 << 4 | 1 << 5;
pub(super) const LINE_PULL_UP: u64 = 1 << 8;
pub(super) const LINE_PULL_DOWN: u64 = 1 << 9;
pub(super) const LINE_NO_BIAS: u64 = 1 << 10;
/// `struct gpio_v2_line_event`: the time, then the `id`.
pub(super) const EDGE: usize = 48;
pub(super) const EDGE_ID: usize = 8;
pub(super) const EDGE_RISING: u32 = 1;
/// What `gpioinfo` shows as the line's user.
const CONSUMER: &[u8] = b"farhub stop button";

/// `struct gpio_v2_line_request`, with its `struct gpio_v2_line_config`.
#[repr(C)]
struct LineRequest {
    offsets: [u32; 64],
    consumer: [u8; 32],
    flags: u64,
    attribute_count: u32,
    config_padding: [u32; 5],
    attributes: [[u64; 3]; 10],
    line_count: u32,
    event_buffer_size: u32,
    padding: [u32; 5],
    fd: RawFd,
}

/// `struct gpio_v2_line_values`
#[repr(C)]
struct LineValues {
    bits: u64,
    mask: u64,
}

const _: () = {
    assert!(size_of::<LineRequest>() == 592);
    assert!(size_of::<LineValues>() == 16);
};
