//! A pseudo terminal with a stable name, for programs that open a port by its path.
//!
//! We hold one end (the master). The kernel tells when programs open the other (inotify on its
//! node: there is no other word of that), when the last has closed it (a hang-up), when one changes
//! the line coding and when one flushes (packet mode). Bytes that a program wrote before it closed
//! are read before the hang-up is.
//!
//! What cannot be seen on a pseudo terminal: data bits and parity (it keeps 8 without parity),
//! breaks and modem lines. What was changed while data was under way is reported before it.
//! Settings are always treated as raw: no program gets echo or line editing, whatever it asks for.

mod kernel;
mod link;

mod terminal;

use super::silence::{Silence, kept};
use super::{Program, READ_BYTES, WAITING_BYTES_MAX};
use bytes::{Buf, Bytes, BytesMut};
use link::Link;
use rustix::io::Errno;
use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use terminal::{Settings, Terminal};
use tokio::io::unix::AsyncFd;
use tokio::io::{Interest, Ready};
use wire::serial::{Down, LineCoding, Up};

/// A pseudo terminal that programs may open.
#[derive(Debug)]
pub struct Pty {
    terminal: Terminal,
    _link: Link,
    /// What the program gets where it can't say what it wants.
    coding: LineCoding,
    /// What the program has set, as far as we have told.
    settings: Settings,
    watched: Watched,
    ups: VecDeque<(Up, Bytes)>,
    output: BytesMut,
    buffer: Vec<u8>,
    /// After a stop, until what was written before it is gone.
    silence: Option<Silence>,
}

/// What is waited for. A hang-up stays with an [`AsyncFd`], so each opening has its own.
#[derive(Debug)]
enum Watched {
    /// For somebody to open it.
    Closed(AsyncFd<Arc<OwnedFd>>),
    /// For data, and for room.
    Open(AsyncFd<Arc<OwnedFd>>),
}

impl Watched {
    fn fd(&self) -> &AsyncFd<Arc<OwnedFd>> {
        let (Self::Closed(fd) | Self::Open(fd)) = self;
        fd
    }
}

impl Pty {
    /// Creates it under the name `path`, set to `coding`.
    ///
    /// # Errors
    /// When something else has the name, or the system has no pseudo terminals for us.
    pub fn create(path: PathBuf, coding: LineCoding) -> io::Result<Self> {
        let terminal = Terminal::open(&coding)?;
        let link = Link::create(path, &terminal.path)?;
        let settings = terminal.settings()?;
        let watched = Watched::Closed(kernel::watch(&terminal.opens, Interest::READABLE)?);
        let (ups, output) = (VecDeque::new(), BytesMut::new());
        let buffer = vec![0; 1 + READ_BYTES];
        let silence = None;
        Ok(Self { terminal, _link: link, coding, settings, watched, ups, output, buffer, silence })
    }

    /// The terminal itself, as in `/dev/pts/5`.
    #[must_use]
    pub fn terminal(&self) -> &Path {
        &self.terminal.path
    }

    /// Serves programs until the session is over.
    ///
    /// # Errors
    /// When the kernel fails us.
    pub async fn run(mut self, program: Program) -> io::Result<()> {
        let Program { up, mut down } = program;
        self.opened_or_closed()?;
        loop {
            let has_room = self.output.len() < WAITING_BYTES_MAX;
            let is_idle = self.ups.is_empty();
            tokio::select! {
                ready = ready(&self.watched, is_idle, !self.output.is_empty()) => {
                    let ready = ready?;
                    self.work(ready)?;
                }
                permit = up.reserve(), if !is_idle => {
                    let Ok(permit) = permit else { return Ok(()) };
                    permit.send(self.ups.pop_front().expect("there is something"));
                }
                () = kept(self.silence.as_ref()) => {
                    let stops = self.silence.take().expect("it was kept").stops;
                    self.push(Up::Stopped { stops });
                }
                message = down.recv(), if has_room => match message {
                    Some((message, data)) => self.down(message, &data)?,
                    None => return Ok(()),
                },
            }
        }
    }

    fn down(&mut self, down: Down, data: &[u8]) -> io::Result<()> {
        match down {
            Down::Data if matches!(self.watched, Watched::Open(_)) => {
                self.output.extend_from_slice(data);
                self.write()?;
            }
            Down::Stopped { stops } => {
                self.terminal.discard()?;
                self.ups.retain(|(up, _)| !matches!(up, Up::Data));
                self.silence = Some(Silence::new(stops));
            }
            Down::Data | Down::Coding(_) | Down::Lines(_) | Down::Errors(_) => {}
        }
        Ok(())
    }

    /// Does what there may be to do.
    fn work(&mut self, ready: Ready) -> io::Result<()> {
        if matches!(self.watched, Watched::Closed(_)) {
            return self.opened_or_closed();
        }
        // A hang-up was seen, though the next program may be there already.
        let is_over = ready.is_read_closed() || ready.is_write_closed();
        if is_over {
            self.output.clear();
        }
        self.write()?;
        let has_read_all = self.ups.is_empty() && !self.read(0)?;
        if has_read_all && is_over {
            // So has been everything that was written before the hang-up.
            self.closed()?;
            self.opened_or_closed()?;
        }
        Ok(())
    }

    /// Takes in what is there, but for this status; false when there is nothing more.
    fn read(&mut self, own_status: u8) -> io::Result<bool> {
        let Self { watched, buffer, .. } = self;
        match watched.fd().try_io(Interest::READABLE, |fd| Ok(rustix::io::read(fd, buffer)?)) {
            Ok(0) => Ok(false),
            Ok(read) => {
                match (self.buffer[0], &mut self.silence) {
                    (0, Some(silence)) => silence.broken(),
                    (0, None) => {
                        let data = Bytes::copy_from_slice(&self.buffer[1..read]);
                        self.ups.push_back((Up::Data, data));
                    }
                    (status, _) => self.status(status & !own_status)?,
                }
                Ok(true)
            }
            Err(error) => refused(error).map(|()| false),
        }
    }

    /// What a program has done to the terminal.
    fn status(&mut self, status: u8) -> io::Result<()> {
        let has = |bit| status & bit != 0;
        if has(kernel::FLUSHREAD | kernel::FLUSHWRITE) {
            let (input, output) = (has(kernel::FLUSHREAD), has(kernel::FLUSHWRITE));
            self.push(Up::Purge { input, output });
        }
        if has(kernel::IOCTL) {
            let before = std::mem::replace(&mut self.settings, self.terminal.settings()?);
            let (was_down, is_down) = (before.is_hung_up(), self.settings.is_hung_up());
            if before != self.settings && !is_down {
                self.tell_coding();
            }
            if was_down != is_down {
                self.push(Up::Modem { dtr: Some(!is_down), rts: Some(!is_down) });
            }
        }
        Ok(())
    }

    fn tell_coding(&mut self) {
        if let Some(coding) = self.settings.over(self.coding) {
            self.push(Up::Coding(coding));
        }
    }

    fn write(&mut self) -> io::Result<()> {
        let Self { watched, output, .. } = self;
        while !output.is_empty() {
            match watched.fd().try_io(Interest::WRITABLE, |fd| Ok(rustix::io::write(fd, output)?)) {
                Ok(written) => output.advance(written),
                Err(error) => return refused(error),
            }
        }
        Ok(())
    }

    fn opened_or_closed(&mut self) -> io::Result<()> {
        if matches!(self.watched, Watched::Open(_)) {
            self.watched =
                Watched::Closed(kernel::watch(&self.terminal.opens, Interest::READABLE)?);
        }
        if let Watched::Closed(opens) = &self.watched {
            // What comes from now on wakes us again.
            let _ = opens.try_io(Interest::READABLE, |fd| terminal::forget_opens(fd));
        }
        if self.terminal.is_open()? {
            let interest = Interest::READABLE | Interest::WRITABLE;
            self.watched = Watched::Open(kernel::watch(&self.terminal.master, interest)?);
            // What is set already counts for a program that sets nothing.
            self.settings = self.terminal.settings()?;
            self.tell_coding();
            self.push(Up::Program { open: true });
        }
        Ok(())
    }

    fn closed(&mut self) -> io::Result<()> {
        self.push(Up::Program { open: false });
        // Unless the next program has opened it already: what is there may be for that one.
        if !self.terminal.is_open()? {
            self.terminal.hang_up()?;
            self.read(kernel::FLUSHREAD)?;
        }
        Ok(())
    }

    fn push(&mut self, up: Up) {
        self.ups.push_back((up, Bytes::new()));
    }
}

/// Waits until there may be something to do. Cancel safe.
async fn ready(watched: &Watched, reads: bool, writes: bool) -> io::Result<Ready> {
    let (fd, interest) = match watched {
        Watched::Closed(fd) => (fd, Interest::READABLE),
        Watched::Open(fd) => match (reads, writes) {
            (true, true) => (fd, Interest::READABLE | Interest::WRITABLE),
            (true, false) => (fd, Interest::READABLE),
            (false, true) => (fd, Interest::WRITABLE),
            (false, false) => return std::future::pending().await,
        },
    };
    Ok(fd.ready(interest).await?.ready())
}

/// Whether the terminal had nothing, or nobody is there; anything else is an error.
fn refused(error: io::Error) -> io::Result<()> {
    match Errno::from_io_error(&error) {
        Some(Errno::AGAIN | Errno::IO | Errno::INTR) => Ok(()),
        None if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
        Some(_) | None => Err(error),
    }
}
