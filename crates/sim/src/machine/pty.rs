//! A board on a real pty: programs open the path of its slave as they would open `/dev/ttyUSB0`,
//! and bytes take as long as on a cable of the stated baud rate.
//!
//! A named thread drives the board. It sees when the slave is opened (a board may start anew then,
//! as an Arduino does on DTR) and what line coding it is set to. A pty has no modem lines, keeps no
//! unsent bytes that `TIOCOUTQ` would tell of, and takes some 64 KiB of what a program writes.

use super::wire::{Faults, Wire};
use super::{Board, Truth};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fd::OwnedFd;
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::io::Errno;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{ControlModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::{fs, io};
use wire::serial::{LineCoding, Parity, StopBits};

/// How a board is put on a pty.
#[derive(Clone, Debug)]
pub struct Port {
    /// What the board's own port is set to. Other codings are noted, and do no harm.
    pub coding: LineCoding,
    /// The board's time goes by so much faster than ours; baud rate and motion with it.
    pub speed: f64,
    /// A symbolic link to the slave, which stays the same when the cable is pulled.
    pub link: Option<PathBuf>,
    /// Whether the board starts anew when the port is opened.
    pub boot_on_open: bool,
}

impl Default for Port {
    fn default() -> Self {
        Self { coding: LineCoding::default(), speed: 1.0, link: None, boot_on_open: false }
    }
}

/// A running board on a pty. It ends when this is dropped.
#[derive(Debug)]
pub struct Pty {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    inner: Mutex<Inner>,
    /// Wakes the thread.
    wake: OwnedFd,
    start: Instant,
    port: Port,
}

#[derive(Debug)]
struct Inner {
    board: Board,
    wire: Wire,
    /// `None` while the cable is pulled.
    master: Option<Arc<OwnedFd>>,
    path: PathBuf,
    boot_on_open: bool,
    is_open: bool,
    opens: u32,
    codings: Vec<(Duration, LineCoding)>,
    is_over: bool,
}

/// Opening is seen so late at most, while nobody has the port open.
const CLOSED_TICK: Duration = Duration::from_millis(2);
const IDLE_TICK: Duration = Duration::from_millis(50);
/// Waking for less costs more than it shows.
const TICK_MIN: Duration = Duration::from_micros(150);

/// Changes of the line coding that are kept.
const CODINGS_MAX: usize = 1000;

impl Pty {
    /// Puts a board on a new pty and lets its time begin.
    ///
    /// # Errors
    /// Where there are no ptys, or no link can be made.
    pub fn start(mut board: Board, port: Port) -> io::Result<Self> {
        let (master, path) = open_pty(port.link.as_deref())?;
        // It got its power before anybody could open it.
        board.take_output(Duration::ZERO);
        let inner = Inner {
            board,
            wire: Wire::new(port.coding.byte_time(), 0x5EED),
            master: Some(Arc::new(master)),
            path,
            boot_on_open: port.boot_on_open,
            is_open: false,
            opens: 0,
            codings: Vec::new(),
            is_over: false,
        };
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let inner = Mutex::new(inner);
        let shared = Arc::new(Shared { inner, wake, start: Instant::now(), port });
        let own = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("sim-pty".to_owned());
        let thread = Some(thread.spawn(move || run(&own))?);
        Ok(Self { shared, thread })
    }

    /// What programs open: the link if there is one, or else the slave itself.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.shared.port.link.clone().unwrap_or_else(|| self.shared.lock().path.clone())
    }

    /// The board's time.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.shared.now()
    }

    /// Looks at the board, or does something to it, at its present time.
    pub fn with<R>(&self, look: impl FnOnce(&mut Board, Duration) -> R) -> R {
        let mut inner = self.shared.lock();
        let now = self.shared.now();
        inner.board.advance(now);
        let result = look(&mut inner.board, now);
        drop(inner);
        self.shared.wake();
        result
    }

    /// A copy of the board's record, as of now.
    #[must_use]
    pub fn truth(&self) -> Truth {
        self.with(|board, _| board.truth().clone())
    }

    /// Breaks or mends the connection.
    pub fn fault(&self, faults: Faults) {
        self.shared.lock().wire.faults = faults;
        self.shared.wake();
    }

    /// Whether the board starts anew when the port is opened, from now on.
    pub fn boot_on_open(&self, boots: bool) {
        self.shared.lock().boot_on_open = boots;
    }

    /// Sends bytes to the program that no board has said.
    pub fn garbage(&self, bytes: &[u8]) {
        let now = self.shared.now();
        self.shared.lock().wire.put_garbage(bytes, now);
        self.shared.wake();
    }

    /// Pulls the cable. The board goes on with what it has.
    pub fn unplug(&self) {
        let mut inner = self.shared.lock();
        (inner.master, inner.is_open) = (None, false);
        inner.wire.clear();
        if let Some(link) = &self.shared.port.link {
            let _ = fs::remove_file(link);
        }
        drop(inner);
        self.shared.wake();
    }

    /// Puts it back: on a new pty, with the same link.
    ///
    /// # Errors
    /// As [`Pty::start`].
    pub fn plug(&self) -> io::Result<()> {
        let mut inner = self.shared.lock();
        if inner.master.is_none() {
            let (master, path) = open_pty(self.shared.port.link.as_deref())?;
            (inner.master, inner.path) = (Some(Arc::new(master)), path);
        }
        drop(inner);
        self.shared.wake();
        Ok(())
    }

    /// How often the port has been opened, and whether it is now.
    #[must_use]
    pub fn opens(&self) -> (u32, bool) {
        let inner = self.shared.lock();
        (inner.opens, inner.is_open)
    }

    /// What programs have set the port to, and when.
    #[must_use]
    pub fn codings(&self) -> Vec<(Duration, LineCoding)> {
        self.shared.lock().codings.clone()
    }

    /// Bytes that the board has said and nobody has read in time.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.shared.lock().wire.lost
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        self.shared.lock().is_over = true;
        self.shared.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        if let Some(link) = &self.shared.port.link {
            let _ = fs::remove_file(link);
        }
    }
}

impl Shared {
    fn now(&self) -> Duration {
        self.start.elapsed().mul_f64(self.port.speed)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Whoever looks at the board may panic, as a test that fails does; the board is whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        // Full is as good as written: the thread wakes.
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }
}

/// The thread: a turn, and a sleep until the next.
fn run(shared: &Shared) {
    loop {
        let mut inner = shared.lock();
        if inner.is_over {
            return;
        }
        inner.turn(shared.now());
        let next = inner.next_event();
        let master = inner.master.clone().filter(|_| inner.is_open);
        let is_plugged = inner.master.is_some();
        drop(inner);
        let most = if master.is_some() || !is_plugged { IDLE_TICK } else { CLOSED_TICK };
        let until = next.map_or(most, |next| {
            let wait = next.saturating_sub(shared.now()).div_f64(shared.port.speed);
            wait.clamp(TICK_MIN, most)
        });
        // Bytes wake us only when the wire is idle: otherwise they come when they are due.
        let idle = next.is_none_or(|next| next > shared.now() + IDLE_TICK);
        let listen = if idle { PollFlags::IN } else { PollFlags::empty() };
        let mut fds = vec![PollFd::new(&shared.wake, PollFlags::IN)];
        if let Some(master) = &master {
            fds.push(PollFd::new(&**master, listen));
        }
        let timeout = Timespec::try_from(until).expect("a tick is short");
        let _ = poll(&mut fds, Some(&timeout));
        let mut count = [0; 8];
        let _ = rustix::io::read(&shared.wake, &mut count);
    }
}

impl Inner {
    /// Everything that has happened until `now`, in its order: a turn that comes late costs the
    /// board no time.
    fn turn(&mut self, now: Duration) {
        if let Some(master) = self.master.clone() {
            let has_input = self.look(&master, now);
            if has_input && self.is_open {
                self.read(&master, now);
            } else {
                self.wire.idle();
            }
        }
        self.catch_up(now);
        match &self.master {
            Some(master) if self.is_open => {
                let due = self.wire.outgoing(now);
                match rustix::io::write(&**master, &due) {
                    Ok(bytes) => self.wire.sent(bytes),
                    Err(Errno::AGAIN | Errno::INTR) => {}
                    Err(_) => self.wire.clear(),
                }
            }
            Some(_) | None => self.wire.clear(),
        }
    }

    /// Notes whether the slave is open and how it is set. Whether bytes have come.
    fn look(&mut self, master: &OwnedFd, now: Duration) -> bool {
        let mut fds = [PollFd::new(master, PollFlags::IN)];
        let _ = poll(&mut fds, Some(&Timespec::default()));
        let events = fds[0].revents();
        let is_open = !events.contains(PollFlags::HUP);
        if is_open && !self.is_open {
            self.opens += 1;
            if self.boot_on_open {
                self.board.boot(now);
            }
        } else if !is_open && self.is_open {
            // The next program finds it as the first one did.
            let _ = make_raw(master);
        }
        self.is_open = is_open;
        if let Ok(termios) = tcgetattr(master) {
            let coding = coding(&termios);
            if self.codings.last().is_none_or(|(_, last)| *last != coding) {
                self.codings.truncate(CODINGS_MAX - 1);
                self.codings.push((now, coding));
            }
        }
        events.contains(PollFlags::IN)
    }

    fn read(&mut self, master: &OwnedFd, now: Duration) {
        let due = self.wire.incoming(now).min(4096);
        let mut bytes = vec![0; due];
        let read = if due == 0 { 0 } else { rustix::io::read(master, &mut bytes).unwrap_or(0) };
        for (at, byte) in self.wire.receive(&bytes[..read], due) {
            self.catch_up(at.min(now));
            self.board.received(&[byte], at.min(now));
            self.catch_up(at.min(now));
        }
    }

    /// What the board says by `now`, each at its time.
    fn catch_up(&mut self, now: Duration) {
        while let Some(at) = self.board.next_event().filter(|at| *at <= now) {
            let said = self.board.take_output(at);
            self.wire.say(&said, at);
        }
        let said = self.board.take_output(now);
        self.wire.say(&said, now);
    }

    fn next_event(&self) -> Option<Duration> {
        let wire = self.wire.next_event();
        [self.board.next_event(), wire].into_iter().flatten().min()
    }
}

/// A new pty, raw, whose slave has been open once, so that `HUP` tells whether it is.
pub(super) fn open_pty(link: Option<&Path>) -> io::Result<(OwnedFd, PathBuf)> {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    fcntl_setfl(&master, OFlags::RDWR | OFlags::NONBLOCK)?;
    let path = PathBuf::from(OsString::from_vec(ptsname(&master, Vec::new())?.into_bytes()));
    let slave = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    drop(rustix::fs::open(&path, slave, rustix::fs::Mode::empty())?);
    make_raw(&master)?;
    if let Some(link) = link {
        let new = link.with_extension("new");
        let _ = fs::remove_file(&new);
        std::os::unix::fs::symlink(&path, &new)?;
        fs::rename(&new, link)?;
    }
    Ok((master, path))
}

/// No echo, no line ends turned, no signals: on the master, this is what the slave is set to.
fn make_raw(master: &OwnedFd) -> io::Result<()> {
    let mut termios = tcgetattr(master)?;
    termios.make_raw();
    termios.set_speed(LineCoding::default().baud_rate)?;
    Ok(tcsetattr(master, OptionalActions::Now, &termios)?)
}

fn coding(termios: &Termios) -> LineCoding {
    let modes = termios.control_modes;
    let has = |mode| modes.contains(mode);
    let data_bits = match modes & ControlModes::CSIZE {
        ControlModes::CS5 => 5,
        ControlModes::CS6 => 6,
        ControlModes::CS7 => 7,
        _ => 8,
    };
    let parity = match (has(ControlModes::PARENB), has(ControlModes::PARODD)) {
        (false, _) => Parity::None,
        (true, true) => Parity::Odd,
        (true, false) => Parity::Even,
    };
    let stop_bits = if has(ControlModes::CSTOPB) { StopBits::Two } else { StopBits::One };
    let baud_rate = termios.output_speed();
    LineCoding { baud_rate, data_bits, parity, stop_bits, ..LineCoding::default() }
}

#[cfg(test)]
mod tests;
