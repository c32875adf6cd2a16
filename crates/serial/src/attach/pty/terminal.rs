//! The pseudo terminal itself: calls of the kernel that don't wait.

use super::kernel;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, ptsname, unlockpt};
use rustix::termios::{
    ControlModes, InputModes, LocalModes, OptionalActions, QueueSelector, SpecialCodeIndex,
    Termios, tcflush, tcgetattr, tcsetattr,
};
use rustix::time::Timespec;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use wire::serial::{Flow, LineCoding, StopBits};

/// The end of a pseudo terminal that is ours, and news of who opens the other.
#[derive(Debug)]
pub(super) struct Terminal {
    pub(super) master: Arc<OwnedFd>,
    pub(super) opens: Arc<OwnedFd>,
    /// What programs open, as in `/dev/pts/5`.
    pub(super) path: PathBuf,
}

/// What a program can set that others can see. A pseudo terminal always says 8 data bits without
/// parity, whatever it is asked for (`pty_set_termios`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    /// 0 is "hang up": DTR and RTS low (`termios(3)`, B0).
    baud_rate: u32,
    stop_bits: StopBits,
    flow: Flow,
}

/// Whoever may open the serial ports of this computer may open this one. Where we may not say that
/// (a hub that is not in their group), it stays ours alone.
fn like_a_port(path: &Path) {
    let groups = std::fs::read_to_string("/etc/group").unwrap_or_default();
    let number = |name: &str| {
        let mut lines = groups.lines().map(|line| line.split(':').collect::<Vec<_>>());
        lines.find(|line| line.first() == Some(&name))?.get(2)?.parse::<u32>().ok()
    };
    let Some(group) = PORTS_GROUPS.into_iter().find_map(number) else { return };
    let given = std::os::unix::fs::chown(path, None, Some(group));
    let given = given
        .and_then(|()| std::fs::set_permissions(path, std::fs::Permissions::from_mode(PORT_MODE)));
    if let Err(error) = given {
        tracing::debug!(%error, "a pseudo-terminal is for its own user only");
    }
}

/// Of Debian, Fedora and their kin, and of Arch.
const PORTS_GROUPS: [&str; 2] = ["dialout", "uucp"];
/// As `50-udev-default.rules` has it for serial ports.
const PORT_MODE: u32 = 0o660;

impl Terminal {
    pub(super) fn open(coding: &LineCoding) -> io::Result<Self> {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        unlockpt(&master)?;
        let name = ptsname(&master, Vec::new())?;
        let path = PathBuf::from(OsStr::from_bytes(name.to_bytes()));
        like_a_port(&path);
        let opens = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        inotify::add_watch(&opens, &path, WatchFlags::OPEN)?;
        kernel::packet_mode(master.as_fd())?;
        fcntl_setfl(&master, fcntl_getfl(&master)? | OFlags::NONBLOCK)?;
        let terminal = Self { master: Arc::new(master), opens: Arc::new(opens), path };
        terminal.set(coding)?;
        terminal.hang_up()?;
        // That we have set it up ourselves is no news: a byte of packet mode.
        let _ = rustix::io::read(&terminal.master, &mut [0; 1]);
        Ok(terminal)
    }

    /// Raw, without echo, as a port is that nobody has set yet. `EXTPROC` makes the kernel tell
    /// when a program changes the settings.
    fn set(&self, coding: &LineCoding) -> io::Result<()> {
        let mut termios = tcgetattr(&self.master)?;
        termios.make_raw();
        termios.local_modes |= LocalModes::EXTPROC;
        termios.control_modes |= ControlModes::CLOCAL | ControlModes::CREAD;
        let stop = coding.stop_bits != StopBits::One;
        termios.control_modes.set(ControlModes::CSTOPB, stop);
        termios.control_modes.set(ControlModes::CRTSCTS, coding.flow == Flow::Hardware);
        let software = InputModes::IXON | InputModes::IXOFF;
        termios.input_modes.set(software, coding.flow == Flow::Software);
        termios.special_codes[SpecialCodeIndex::VMIN] = 1;
        termios.special_codes[SpecialCodeIndex::VTIME] = 0;
        termios.set_speed(coding.baud_rate)?;
        Ok(tcsetattr(&self.master, OptionalActions::Now, &termios)?)
    }

    /// Discards what no program has read, and leaves the terminal without one: a terminal that was
    /// never opened does not say that it is closed.
    pub(super) fn hang_up(&self) -> io::Result<()> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let slave = ioctl_tiocgptpeer(&self.master, flags)?;
        Ok(tcflush(&slave, QueueSelector::IFlush)?)
    }

    /// Discards what programs have written and nobody has read.
    pub(super) fn discard(&self) -> io::Result<()> {
        Ok(tcflush(&self.master, QueueSelector::IFlush)?)
    }

    /// Whether a program has it open, or has had it and what it wrote is still here.
    pub(super) fn is_open(&self) -> io::Result<bool> {
        let mut fds = [PollFd::new(&*self.master, PollFlags::IN)];
        poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))?;
        let found = fds[0].revents();
        Ok(!found.contains(PollFlags::HUP) || found.contains(PollFlags::IN))
    }

    /// What is set now. Sees to it that the next change is told too.
    pub(super) fn settings(&self) -> io::Result<Settings> {
        let mut termios = tcgetattr(&self.master)?;
        if !termios.local_modes.contains(LocalModes::EXTPROC) {
            termios.local_modes |= LocalModes::EXTPROC;
            tcsetattr(&self.master, OptionalActions::Now, &termios)?;
        }
        Ok(Settings::from(&termios))
    }
}

/// Forgets what has been told of opens, until there is no more.
pub(super) fn forget_opens(opens: &OwnedFd) -> io::Result<()> {
    loop {
        match rustix::io::read(opens, &mut [0_u8; 4096]) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

impl From<&Termios> for Settings {
    fn from(termios: &Termios) -> Self {
        let has = |mode| termios.control_modes.contains(mode);
        let stop_bits = if has(ControlModes::CSTOPB) { StopBits::Two } else { StopBits::One };
        let flow = if has(ControlModes::CRTSCTS) {
            Flow::Hardware
        } else if termios.input_modes.intersects(InputModes::IXON | InputModes::IXOFF) {
            Flow::Software
        } else {
            Flow::None
        };
        Self { baud_rate: termios.output_speed(), stop_bits, flow }
    }
}

impl Settings {
    pub(super) fn is_hung_up(&self) -> bool {
        self.baud_rate == 0
    }

    /// The same on top of what can't be seen here.
    pub(super) fn over(&self, coding: LineCoding) -> Option<LineCoding> {
        let Self { baud_rate, flow, stop_bits } = *self;
        // One and a half stop bits look like two.
        let is_as_before = (coding.stop_bits == StopBits::One) == (stop_bits == StopBits::One);
        let stop_bits = if is_as_before { coding.stop_bits } else { stop_bits };
        Some(LineCoding { baud_rate, flow, stop_bits, ..coding }).filter(LineCoding::is_valid)
    }
}
