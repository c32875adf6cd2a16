//! What a stop button is made of, opened and read.

use super::sys::{self, EDGE, EDGE_ID, EVENT, EVENT_TIME};
use super::{Error, Key, Kind};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use serde::Deserialize;
use std::path::{Path, PathBuf};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A key of an input device, any of them if `None`.
    Key { input: PathBuf, key: Option<Key> },
    /// A line of a GPIO chip.
    Line { chip: PathBuf, line: u32, open: Level, bias: Bias },
}

/// Of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    Low,
    High,
}

/// What holds a line that nothing is connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bias {
    PullUp,
    PullDown,
    /// A resistor outside.
    None,
}

/// One that is open.
#[derive(Debug)]
pub(crate) enum Device {
    Key { fd: OwnedFd, key: Option<Key> },
    Line { fd: OwnedFd, open: Level, was_open: bool },
}

/// What a look at a device found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Since the last look.
    pub(crate) pressed: bool,
    /// Now. A key is never open.
    pub(crate) is_open: bool,
}

impl Source {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Key { .. } => Kind::Key,
            Self::Line { .. } => Kind::Line,
        }
    }

    /// Opens it, and tells what it is like now: a key that is held down is pressed.
    pub(super) fn open(&self) -> Result<(Device, Seen), Error> {
        let looking = |errno| Error::Failed { doing: "looking at it", errno };
        match self {
            Self::Key { input, key } => {
                let fd = node(input)?;
                grab(&fd, *key)?;
                let down = sys::keys_down(&fd).map_err(looking)?;
                let pressed = key.map_or(!down.is_empty(), |key| down.has(key.0));
                Ok((Device::Key { fd, key: *key }, Seen { pressed, is_open: false }))
            }
            Self::Line { chip, line, open, bias } => {
                let fd = request(&node(chip)?, *line, *bias)?;
                let is_open = open.is(sys::is_high(&fd).map_err(looking)?);
                let device = Device::Line { fd, open: *open, was_open: is_open };
                Ok((device, Seen { pressed: false, is_open }))
            }
        }
    }
}

impl Device {
    /// What has come, all of it.
    pub(super) fn read(&mut self) -> Result<Seen, Errno> {
        let mut pressed = false;
        // a multiple of the size of either event: the kernel gives whole ones
        let mut buffer = [0; 32 * EDGE];
        loop {
            match rustix::io::read(&*self, &mut buffer) {
                Ok(0) => return Err(Errno::NODEV),
                Ok(count) => pressed |= self.is_pressed(&buffer[..count]),
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        let is_open = match self {
            Self::Key { .. } => false,
            Self::Line { fd, open, was_open } => {
                *was_open = open.is(sys::is_high(fd)?);
                *was_open
            }
        };
        Ok(Seen { pressed, is_open })
    }

    /// Whether one of these events means stop.
    fn is_pressed(&self, bytes: &[u8]) -> bool {
        match self {
            Self::Key { key, .. } => key_pressed(bytes, *key),
            Self::Line { open, was_open, .. } => line_opened(bytes, *open, *was_open),
        }
    }

    /// Whether it is to be looked at also when it says nothing. Some chips lose edges.
    pub(super) fn is_asked(&self) -> bool {
        matches!(self, Self::Line { .. })
    }
}

impl AsFd for Device {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Key { fd, .. } | Self::Line { fd, .. } => fd.as_fd(),
        }
    }
}

impl Level {
    fn is(self, high: bool) -> bool {
        (self == Self::High) == high
    }
}

/// `struct input_event`s. A key that is held repeats itself (2); events that the kernel had no
/// room for may have been ours.
fn key_pressed(bytes: &[u8], key: Option<Key>) -> bool {
    bytes.chunks_exact(EVENT).any(|event| {
        let half = |at: usize| u16::from_ne_bytes([event[at], event[at + 1]]);
        let (kind, code) = (half(EVENT_TIME), half(EVENT_TIME + 2));
        let value: [u8; 4] = event[EVENT_TIME + 4..].try_into().expect("an event ends with it");
        match kind {
            sys::EV_KEY => i32::from_ne_bytes(value) == 1 && key.is_none_or(|key| key.0 == code),
            sys::EV_SYN => code == sys::SYN_DROPPED,
            _ => false,
        }
    })
}

/// `struct gpio_v2_line_event`s: also what opened and closed before we looked is a stop. The kernel
/// tells an edge by the level that it finds a little later (`edge_irq_thread`), so that a line that
/// opened for a moment may be said to close, twice; but what was closed cannot close.
fn line_opened(bytes: &[u8], open: Level, was_open: bool) -> bool {
    bytes.chunks_exact(EDGE).any(|event| {
        let id = event[EDGE_ID..EDGE_ID + 4].try_into().expect("four bytes");
        !was_open || open.is(u32::from_ne_bytes(id) == sys::EDGE_RISING)
    })
}

fn node(path: &Path) -> Result<OwnedFd, Error> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| match errno {
        // a device of that number that is gone
        Errno::NOENT | Errno::NODEV | Errno::NXIO | Errno::NOTDIR => Error::Absent,
        Errno::ACCESS | Errno::PERM => Error::Permission,
        errno => Error::Failed { doing: "opening it", errno },
    })
}

/// It is ours alone, and can do what is asked of it.
fn grab(fd: &OwnedFd, key: Option<Key>) -> Result<(), Error> {
    let keys = sys::keys(fd).map_err(|errno| match errno {
        Errno::NOTTY | Errno::INVAL => Error::NoInput,
        errno => Error::Failed { doing: "asking for its keys", errno },
    })?;
    match key {
        Some(key) if !keys.has(key.0) => return Err(Error::NoSuchKey(key)),
        None if keys.is_empty() => return Err(Error::NoKeys),
        Some(_) | None => {}
    }
    sys::grab(fd).map_err(|errno| match errno {
        Errno::BUSY => Error::InUse,
        errno => Error::Failed { doing: "taking it from other programs", errno },
    })
}

fn request(chip: &OwnedFd, line: u32, bias: Bias) -> Result<OwnedFd, Error> {
    let bias = match bias {
        Bias::PullUp => sys::LINE_PULL_UP,
        Bias::PullDown => sys::LINE_PULL_DOWN,
        Bias::None => sys::LINE_NO_BIAS,
    };
    let fd = sys::line(chip, line, sys::LINE_EDGES | bias).map_err(|errno| match errno {
        Errno::NOTTY => Error::NoChip,
        Errno::INVAL => Error::NoLine(line),
        Errno::BUSY => Error::InUse,
        Errno::NXIO | Errno::NOTSUP => Error::NoEdges(line),
        errno => Error::Failed { doing: "asking for the line", errno },
    })?;
    let flags = rustix::fs::fcntl_getfl(&fd).map(|flags| flags | OFlags::NONBLOCK);
    let set = flags.and_then(|flags| rustix::fs::fcntl_setfl(&fd, flags));
    set.map_err(|errno| Error::Failed { doing: "asking for the line", errno })?;
    Ok(fd)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `struct input_event`
    fn event(kind: u16, code: u16, value: i32) -> Vec<u8> {
        let mut bytes = vec![0; EVENT_TIME];
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(&code.to_ne_bytes());
        bytes.extend_from_slice(&value.to_ne_bytes());
        bytes
    }

    /// `struct gpio_v2_line_event`
    fn edge(id: u32) -> Vec<u8> {
        let mut bytes = vec![0; EDGE];
        bytes[EDGE_ID..EDGE_ID + 4].copy_from_slice(&id.to_ne_bytes());
        bytes
    }

    #[test]
    fn a_key_is_pressed_when_it_goes_down() {
        let enter = Some(Key(28));
        let pressed = [event(4, 4, 0x70028), event(1, 28, 1), event(0, 0, 0)].concat();
        assert!(key_pressed(&pressed, enter));
        assert!(key_pressed(&pressed, None), "any key");
        assert!(!key_pressed(&pressed, Some(Key(29))), "another one");
        for value in [0, 2] {
            assert!(!key_pressed(&event(1, 28, value), None), "let go, or repeated");
        }
        assert!(!key_pressed(&event(0, 0, 0), None));
        assert!(!key_pressed(&event(2, 8, 1), None), "a wheel is no key");
    }

    #[test]
    fn events_that_were_lost_may_have_been_a_press() {
        assert!(key_pressed(&event(sys::EV_SYN, sys::SYN_DROPPED, 0), Some(Key(28))));
    }

    #[test]
    fn a_line_that_opens_for_a_moment_has_opened() {
        let (rising, falling) = (edge(1), edge(2));
        let moment = [rising.clone(), falling.clone()].concat();
        for was_open in [false, true] {
            assert!(line_opened(&moment, Level::High, was_open));
            assert!(line_opened(&moment, Level::Low, was_open));
        }
        assert!(!line_opened(&falling, Level::High, true), "it closes");
        assert!(!line_opened(&rising, Level::Low, true), "it closes");
        assert!(line_opened(&falling, Level::High, false), "it was closed: it opened between");
        assert!(line_opened(&rising, Level::Low, false));
    }

    #[test]
    fn what_is_no_device_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        let key = |input: &Path| Source::Key { input: input.to_owned(), key: None };
        let line = |chip: &Path| {
            let (line, open, bias) = (17, Level::High, Bias::PullUp);
            Source::Line { chip: chip.to_owned(), line, open, bias }
        };
        assert_eq!(key(&file).open().unwrap_err(), Error::Absent);
        assert_eq!(line(&file).open().unwrap_err(), Error::Absent);
        std::fs::write(&file, "").unwrap();
        assert_eq!(key(&file).open().unwrap_err(), Error::NoInput);
        assert_eq!(line(&file).open().unwrap_err(), Error::NoChip);
    }
}
