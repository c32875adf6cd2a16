//! A serial port of this computer, raw: what is written leaves as it is.
//!
//! Nothing in here waits: the port's thread ([`crate::machine`]) does that, for several things at
//! once. What a port cannot do it says: a pty has no modem lines and no counters, and few chips
//! have every rate.
//!
//! The kernel raises DTR and RTS when a port is opened (`tty_port_raise_dtr_rts`), which resets
//! many boards. Nothing in user space can prevent that once they are low; so they are left high at
//! the end (`HUPCL` off), and the next to open makes no edge. [`Lines`] says what to do after
//! that.
//!
//! `ioctl_tty(2)`, `termios(3)`, `linux/drivers/tty/tty_io.c`.

mod coding;
pub mod list;
pub(crate) mod sys;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::termios::{Action, OptionalActions, QueueSelector};
use serde::{Deserialize, Serialize};
use std::ffi::c_int;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use wire::serial::{LineCoding, LineErrors, ModemLines};

/// What becomes of DTR and RTS when a port is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Lines {
    /// As the kernel left them: high.
    #[default]
    Keep,
    Assert,
    /// Low at once; boards with native USB (ESP32-S2) then stay in their program.
    Deassert,
    /// Low, and high again after a quarter of a second: begins with a reset.
    Pulse,
}

/// Why a port cannot be opened or set.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{} is not there", .0.display())]
    Absent(PathBuf),
    #[error("another program has {} open: close it first", .0.display())]
    InUse(PathBuf),
    #[error(
        "no permission to use {}: add the user of farhub to the group that it belongs to, such as \
         dialout, and log in again; the service of `farhub service install` is in it", .0.display()
    )]
    Permission(PathBuf),
    #[error("{} is not a serial port", .0.display())]
    NotATerminal(PathBuf),
    #[error("{} while {doing}", .errno)]
    Failed { doing: &'static str, errno: Errno },
}

/// An open port.
#[derive(Debug)]
pub struct Tty {
    fd: OwnedFd,
    coding: LineCoding,
    counted: sys::Counters,
    /// Whether there are modem lines at all.
    has_modem: bool,
    /// The driver goes to the device for them, and counts their changes.
    asking_is_slow: bool,
}

impl Tty {
    /// Opens a port for ourselves alone.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn open(path: &Path, coding: &LineCoding) -> Result<Self, Error> {
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| match errno {
            Errno::NOENT | Errno::NXIO | Errno::NODEV => Error::Absent(path.to_owned()),
            Errno::BUSY => Error::InUse(path.to_owned()),
            Errno::ACCESS | Errno::PERM => Error::Permission(path.to_owned()),
            errno => Error::Failed { doing: "opening the port", errno },
        })?;
        if !rustix::termios::isatty(&fd) {
            return Err(Error::NotATerminal(path.to_owned()));
        }
        rustix::termios::ioctl_tiocexcl(&fd).map_err(doing("taking the port for ourselves"))?;
        let began = Instant::now();
        let has_modem = sys::modem(&fd).is_ok();
        let counted = sys::counters(&fd);
        let asking_is_slow = counted.is_ok() && began.elapsed() > SLOW;
        let (counted, coding_now) = (counted.unwrap_or_default(), *coding);
        let mut tty = Self { fd, coding: coding_now, counted, has_modem, asking_is_slow };
        tty.set(coding)?;
        tty.lower_latency(path);
        Ok(tty)
    }

    /// Sets the line coding at once; the answer is what the port made of it.
    ///
    /// # Errors
    /// When the port refuses.
    pub fn set(&mut self, coding: &LineCoding) -> Result<LineCoding, Error> {
        let mut termios =
            rustix::termios::tcgetattr(&self.fd).map_err(doing("reading the line coding"))?;
        coding::apply(coding, &mut termios).map_err(doing("setting the baud rate"))?;
        rustix::termios::tcsetattr(&self.fd, OptionalActions::Now, &termios)
            .map_err(doing("setting the line coding"))?;
        let termios =
            rustix::termios::tcgetattr(&self.fd).map_err(doing("reading the line coding"))?;
        self.coding = coding::read(&termios);
        Ok(self.coding)
    }

    #[must_use]
    pub fn coding(&self) -> LineCoding {
        self.coding
    }

    /// Whether the port has modem lines; a pty has none.
    #[must_use]
    pub fn has_modem(&self) -> bool {
        self.has_modem
    }

    /// What the other end of the cable holds high; all low where there are no such lines.
    #[must_use]
    pub fn modem(&self) -> ModemLines {
        let lines = if self.has_modem { sys::modem(&self.fd).unwrap_or(0) } else { 0 };
        ModemLines {
            cts: lines & sys::CTS != 0,
            dsr: lines & sys::DSR != 0,
            ring: lines & sys::RING != 0,
            carrier: lines & sys::CARRIER != 0,
        }
    }

    /// Sets DTR and RTS in one step; `None` leaves a line as it is.
    ///
    /// # Errors
    /// When the device is gone. A port without these lines has nothing to set.
    pub fn set_modem(&self, dtr: Option<bool>, rts: Option<bool>) -> Result<(), Errno> {
        if !self.has_modem {
            return Ok(());
        }
        sys::set_dtr_rts(&self.fd, dtr, rts)
    }

    /// Begins or ends a break.
    ///
    /// # Errors
    /// When the device is gone. A port that knows no break ignores it.
    pub fn set_break(&self, on: bool) -> Result<(), Errno> {
        let result = if on { sys::break_on(&self.fd) } else { sys::break_off(&self.fd) };
        match result {
            Err(Errno::NOTTY | Errno::INVAL | Errno::OPNOTSUPP) => Ok(()),
            result => result,
        }
    }

    /// Looks at the lines and the counters: the modem lines if they may have changed, and what
    /// went wrong on the wire since the last look.
    ///
    /// Asking a USB adapter for its lines takes a transfer of a millisecond; that they have
    /// changed its driver knows anyway, and counts. Other drivers count only for who waits
    /// (`TIOCMIWAIT`), but can be asked for nothing.
    pub fn look(&mut self) -> (Option<ModemLines>, LineErrors) {
        let before = self.counted.modem;
        let errors = self.errors();
        let may_have_changed = !self.asking_is_slow || self.counted.modem != before;
        ((self.has_modem && may_have_changed).then(|| self.modem()), errors)
    }

    /// What went wrong since the last call.
    fn errors(&mut self) -> LineErrors {
        let Ok(now) = sys::counters(&self.fd) else { return LineErrors::default() };
        let before = std::mem::replace(&mut self.counted, now);
        let since = |now: c_int, before: c_int| now.wrapping_sub(before).unsigned_abs();
        LineErrors {
            framing: since(now.framing, before.framing),
            parity: since(now.parity, before.parity),
            overrun: since(now.overrun, before.overrun)
                .wrapping_add(since(now.buffer_overrun, before.buffer_overrun)),
            breaks: since(now.breaks, before.breaks),
        }
    }

    /// Bytes that the kernel holds; `None` where it does not tell. A pty says 0 while its other
    /// end has read nothing.
    #[must_use]
    pub fn unsent(&self) -> Option<usize> {
        if self.has_modem { sys::unsent(&self.fd).ok() } else { None }
    }

    /// Whether every byte is on the wire, as far as the driver can tell.
    #[must_use]
    pub fn is_sent(&self) -> bool {
        self.unsent().unwrap_or(0) == 0 && sys::is_empty(&self.fd).unwrap_or(true)
    }

    /// Discards what has not left, or what has come and was not read.
    ///
    /// # Errors
    /// When the device is gone.
    pub fn purge(&self, queue: QueueSelector) -> Result<(), Errno> {
        rustix::termios::tcflush(&self.fd, queue)
    }

    /// Lets bytes leave that an XOFF held back.
    pub fn go_on(&self) {
        // an error here is one of the write that follows
        let _ = rustix::termios::tcflow(&self.fd, Action::OOn);
    }

    /// What is here now.
    ///
    /// # Errors
    /// `EAGAIN` for nothing; anything else is the device's end.
    pub fn read(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        match rustix::io::read(&self.fd, buffer) {
            // a hang-up
            Ok(0) => Err(Errno::IO),
            result => result,
        }
    }

    /// Gives bytes to the kernel; it may take fewer.
    ///
    /// # Errors
    /// `EAGAIN` when it takes none; anything else is the device's end.
    pub fn write(&self, bytes: &[u8]) -> Result<usize, Errno> {
        rustix::io::write(&self.fd, bytes)
    }

    /// The same open port once more, for the guard.
    ///
    /// # Errors
    /// When there are too many open files.
    pub fn duplicate(&self) -> std::io::Result<OwnedFd> {
        self.fd.try_clone()
    }

    /// USB adapters gather bytes for 16 ms otherwise (FTDI).
    fn lower_latency(&self, path: &Path) {
        let asked = sys::low_latency(self.fd.as_fd());
        let name = path.file_name().unwrap_or_default();
        let timer = Path::new("/sys/class/tty").join(name).join("device/latency_timer");
        let written = timer.exists().then(|| std::fs::write(&timer, "1"));
        tracing::debug!(port = %path.display(), ?asked, ?written, "low latency");
    }
}

impl AsFd for Tty {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn doing(doing: &'static str) -> impl Fn(Errno) -> Error {
    move |errno| Error::Failed { doing, errno }
}

/// A register is read in a microsecond, a USB adapter asked in a thousand.
const SLOW: Duration = Duration::from_micros(300);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pty::Pty;
    use wire::serial::{Flow, Parity, StopBits};

    #[test]
    fn every_coding_that_a_pty_keeps_comes_back() {
        let pty = Pty::open();
        let mut tty = Tty::open(&pty.path, &LineCoding::default()).unwrap();
        for baud_rate in [50, 110, 9600, 115_200, 250_000, 1_500_000, 2_000_000, 12_000_000] {
            for parity in [Parity::None, Parity::Odd, Parity::Even] {
                for stop_bits in [StopBits::One, StopBits::Two] {
                    let flow = Flow::None;
                    // a pty makes 8 bits without parity of everything (`pty_set_termios`)
                    let asked = LineCoding { baud_rate, data_bits: 8, parity, stop_bits, flow };
                    let got = tty.set(&asked).unwrap();
                    assert_eq!(got, LineCoding { parity: Parity::None, ..asked });
                    assert_eq!(got, tty.coding());
                }
            }
        }
        let flow = Flow::Software;
        assert_eq!(tty.set(&LineCoding { flow, ..LineCoding::default() }).unwrap().flow, flow);
    }

    #[test]
    fn settings_and_codings_are_inverse() {
        let pty = Pty::open();
        let mut termios = rustix::termios::tcgetattr(&pty.other).unwrap();
        let parities = [Parity::None, Parity::Odd, Parity::Even, Parity::Mark, Parity::Space];
        for parity in parities {
            for data_bits in 5..=8 {
                for flow in [Flow::None, Flow::Software, Flow::Hardware] {
                    for stop_bits in [StopBits::One, StopBits::Two] {
                        let stop_bits = match (stop_bits, data_bits) {
                            (StopBits::Two, 5) => StopBits::OneAndHalf,
                            (other, _) => other,
                        };
                        let coding =
                            LineCoding { baud_rate: 76_800, data_bits, parity, stop_bits, flow };
                        coding::apply(&coding, &mut termios).unwrap();
                        assert_eq!(coding::read(&termios), coding);
                    }
                }
            }
        }
    }

    #[test]
    fn a_pty_has_no_modem_lines_and_that_is_no_error() {
        let pty = Pty::open();
        let mut tty = Tty::open(&pty.path, &LineCoding::default()).unwrap();
        assert!(!tty.has_modem());
        assert_eq!(tty.modem(), ModemLines::default());
        tty.set_modem(Some(true), Some(false)).unwrap();
        tty.set_break(true).unwrap();
        tty.set_break(false).unwrap();
        assert_eq!(tty.look(), (None, LineErrors::default()));
        assert_eq!(tty.unsent(), None);
    }

    #[test]
    fn every_byte_passes_both_ways_and_a_hang_up_is_an_error() {
        let pty = Pty::open();
        let tty = Tty::open(&pty.path, &LineCoding::default()).unwrap();
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(tty.write(&all), Ok(256));
        assert_eq!(pty.take(256), all);
        rustix::io::write(&pty.other, &all).unwrap();
        let mut got = Vec::new();
        while got.len() < 256 {
            let mut buffer = [0; 64];
            match tty.read(&mut buffer) {
                Ok(count) => got.extend_from_slice(&buffer[..count]),
                Err(Errno::AGAIN) => pty.wait(&tty),
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(got, all);
        drop(pty);
        assert_eq!(tty.read(&mut [0; 8]), Err(Errno::IO));
        assert_eq!(tty.write(b"x"), Err(Errno::IO));
    }

    #[test]
    fn what_cannot_be_opened_says_why() {
        let open = |path: &str| Tty::open(Path::new(path), &LineCoding::default()).unwrap_err();
        assert!(matches!(open("/dev/no-such-port"), Error::Absent(_)));
        assert!(matches!(open("/dev/null"), Error::NotATerminal(_)));
    }
}
