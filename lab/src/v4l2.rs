//! The part of Video4Linux that cameras and camera gadgets need.
//!
//! Source: `linux/videodev2.h`, `linux/usb/g_uvc.h`.

#![allow(unsafe_code, reason = "ioctls and mapped buffers exist only as foreign functions")]

use std::fs::{File, OpenOptions};
use std::io::{Error, Result};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::sys::{READ, WRITE, ioc};

/// Which way frames flow.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u32)]
pub(crate) enum Flow {
    Capture = 1,
    Output = 2,
}

#[derive(Debug)]
pub(crate) struct Stream {
    pub file: File,
    flow: Flow,
    maps: Vec<Map>,
}

/// A buffer that the driver has given back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Filled {
    pub index: u32,
    pub bytes: usize,
    pub is_error: bool,
}

/// What the host asks of a camera gadget.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Event {
    StreamOn,
    StreamOff,
    Setup([u8; 8]),
    Other,
}

#[derive(Debug)]
struct Map {
    start: *mut u8,
    len: usize,
}

impl Stream {
    pub(crate) fn open(node: &Path, flow: Flow) -> Result<Stream> {
        let flags = if flow == Flow::Output { libc::O_NONBLOCK } else { 0 };
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).custom_flags(flags).open(node)?;
        Ok(Stream { file, flow, maps: Vec::new() })
    }

    /// The size of a frame in bytes.
    pub(crate) fn frame_bytes(&self) -> Result<usize> {
        let mut format = Format { kind: self.flow as u32, pad: 0, pix: [0; 50] };
        call(&self.file, G_FMT, &mut format)?;
        Ok(format.pix[5] as usize)
    }

    /// Sets the size of an uncompressed picture, and how long each is shown.
    pub(crate) fn set_format(&self, width: u32, height: u32, interval_100ns: u32) -> Result<()> {
        let mut format = Format { kind: self.flow as u32, pad: 0, pix: [0; 50] };
        let bytes = width * height * 2;
        format.pix[..6].copy_from_slice(&[width, height, YUYV, 1, width * 2, bytes]);
        call(&self.file, S_FMT, &mut format)?;
        // newer kernels spread a frame over this time; older ones don't know it
        let mut rate = Rate { kind: self.flow as u32, parm: [0; 50] };
        rate.parm[2..4].copy_from_slice(&[interval_100ns, 10_000_000]);
        let _ = call(&self.file, S_PARM, &mut rate);
        Ok(())
    }

    pub(crate) fn buffers(&self) -> usize {
        self.maps.len()
    }

    pub(crate) fn map(&mut self, count: u32) -> Result<()> {
        let mut request = self.request(count);
        call(&self.file, REQBUFS, &mut request)?;
        for index in 0..request.count {
            let mut buffer = self.buffer(index);
            call(&self.file, QUERYBUF, &mut buffer)?;
            let (len, at) = (buffer.length as usize, buffer.offset as libc::off_t);
            let access = libc::PROT_READ | libc::PROT_WRITE;
            let fd = self.file.as_raw_fd();
            // SAFETY: a new mapping, of what the driver said.
            let start =
                unsafe { libc::mmap(std::ptr::null_mut(), len, access, libc::MAP_SHARED, fd, at) };
            if start == libc::MAP_FAILED {
                return Err(Error::last_os_error());
            }
            self.maps.push(Map { start: start.cast(), len });
        }
        Ok(())
    }

    pub(crate) fn start(&self) -> Result<()> {
        call(&self.file, STREAMON, &mut (self.flow as u32))
    }

    pub(crate) fn stop(&mut self) {
        let _ = call(&self.file, STREAMOFF, &mut (self.flow as u32));
        for map in self.maps.drain(..) {
            // SAFETY: ours, and nobody has a reference any more.
            unsafe { libc::munmap(map.start.cast(), map.len) };
        }
        let _ = call(&self.file, REQBUFS, &mut self.request(0));
    }

    /// Gives a buffer to the driver.
    pub(crate) fn queue(&self, index: u32, bytes: usize) -> Result<()> {
        let mut buffer = self.buffer(index);
        buffer.used = bytes as u32;
        call(&self.file, QBUF, &mut buffer)
    }

    /// Takes a buffer back.
    pub(crate) fn dequeue(&self) -> Result<Filled> {
        let mut buffer = self.buffer(0);
        call(&self.file, DQBUF, &mut buffer)?;
        let is_error = buffer.flags & FLAG_ERROR != 0;
        Ok(Filled { index: buffer.index, bytes: buffer.used as usize, is_error })
    }

    /// The content of a buffer that the driver has given back.
    pub(crate) fn words(&mut self, index: u32, bytes: usize) -> &mut [u32] {
        let map = &self.maps[index as usize];
        assert!(bytes <= map.len, "a frame fits its buffer");
        // SAFETY: mapped until `stop`, which needs us exclusively too; page aligned.
        unsafe { std::slice::from_raw_parts_mut(map.start.cast(), bytes / 4) }
    }

    /// Asks for the events of a gadget.
    pub(crate) fn subscribe(&self) -> Result<()> {
        for kind in 0..6 {
            let mut subscription = [0u32; 8];
            subscription[0] = EVENT_PRIVATE + kind;
            call(&self.file, SUBSCRIBE, &mut subscription)?;
        }
        Ok(())
    }

    pub(crate) fn event(&self) -> Option<Event> {
        let mut event = RawEvent { kind: 0, pad: 0, data: [0; 64], rest: [0; 8] };
        call(&self.file, DQEVENT, &mut event).ok()?;
        Some(match event.kind - EVENT_PRIVATE {
            2 => Event::StreamOn,
            3 => Event::StreamOff,
            4 => {
                let mut setup = [0; 8];
                setup.copy_from_slice(&event.data[..8]);
                Event::Setup(setup)
            }
            _ => Event::Other,
        })
    }

    /// Answers a control request of the host; with nothing, it stalls.
    pub(crate) fn answer(&self, bytes: Option<&[u8]>) -> Result<()> {
        let mut answer = Answer { length: -libc::EL2HLT, data: [0; 60] };
        if let Some(bytes) = bytes {
            answer.length = bytes.len() as i32;
            answer.data[..bytes.len()].copy_from_slice(bytes);
        }
        call(&self.file, SEND_RESPONSE, &mut answer)
    }

    fn request(&self, count: u32) -> Request {
        Request { count, kind: self.flow as u32, memory: MMAP, capabilities: 0, flags: 0 }
    }

    fn buffer(&self, index: u32) -> Buffer {
        Buffer { index, kind: self.flow as u32, memory: MMAP, ..Buffer::default() }
    }
}

// SAFETY: the mappings belong to the stream and go with it.
unsafe impl Send for Stream {}

/// Only with the requests below, each of which says the size of its argument.
fn call<T>(file: &File, request: u64, argument: &mut T) -> Result<()> {
    assert_eq!((request >> 16) as usize & 0x3fff, size_of::<T>(), "the request's argument");
    // SAFETY: the kernel reads and writes as many bytes as the request says, and every argument
    // here is plain numbers.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), request as _, &raw mut *argument) };
    if result < 0 { Err(Error::last_os_error()) } else { Ok(()) }
}

#[repr(C)]
struct RawEvent {
    kind: u32,
    pad: u32,
    data: [u8; 64],
    rest: [u64; 8],
}

#[repr(C)]
struct Answer {
    length: i32,
    data: [u8; 60],
}

#[repr(C)]
struct Request {
    count: u32,
    kind: u32,
    memory: u32,
    capabilities: u32,
    flags: u32,
}

#[derive(Default)]
#[repr(C)]
struct Buffer {
    index: u32,
    kind: u32,
    used: u32,
    flags: u32,
    field: u32,
    pad: u32,
    time: [u64; 2],
    timecode: [u64; 2],
    sequence: u32,
    memory: u32,
    offset: u64,
    length: u32,
    reserved: u32,
    request_fd: u32,
    tail: u32,
}

#[repr(C)]
struct Format {
    kind: u32,
    pad: u32,
    pix: [u32; 50],
}

#[repr(C)]
struct Rate {
    kind: u32,
    parm: [u32; 50],
}

const fn video(direction: u64, number: u64, size: usize) -> u64 {
    ioc(direction, b'V', number, size)
}

const G_FMT: u64 = video(READ | WRITE, 4, size_of::<Format>());
const S_FMT: u64 = video(READ | WRITE, 5, size_of::<Format>());
const REQBUFS: u64 = video(READ | WRITE, 8, size_of::<Request>());
const QUERYBUF: u64 = video(READ | WRITE, 9, size_of::<Buffer>());
const QBUF: u64 = video(READ | WRITE, 15, size_of::<Buffer>());
const DQBUF: u64 = video(READ | WRITE, 17, size_of::<Buffer>());
const STREAMON: u64 = video(WRITE, 18, size_of::<u32>());
const STREAMOFF: u64 = video(WRITE, 19, size_of::<u32>());
const S_PARM: u64 = video(READ | WRITE, 22, size_of::<Rate>());
const DQEVENT: u64 = video(READ, 89, size_of::<RawEvent>());
const SUBSCRIBE: u64 = video(WRITE, 90, size_of::<[u32; 8]>());
const SEND_RESPONSE: u64 = ioc(WRITE, b'U', 1, size_of::<Answer>());

const EVENT_PRIVATE: u32 = 0x0800_0000;
const FLAG_ERROR: u32 = 0x40;
const MMAP: u32 = 1;
const YUYV: u32 = u32::from_le_bytes(*b"YUYV");
