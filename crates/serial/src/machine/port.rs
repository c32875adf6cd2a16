//! The thread that owns the port: it waits, reads, writes, and does what [`Core`] decides.

use super::core::{Act, Core};
use super::state::State;
use super::{Control, Urgent};
use crate::button::Watched;
use crate::guard::Guard;
use crate::tty::{self, Tty, sys};
use crate::waker::Waker;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::termios::QueueSelector;
use rustix::time::Timespec;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, watch};
use wire::serial::LineCoding;

pub(super) struct Thread<O> {
    core: Core,
    opener: O,
    port: Option<Port>,
    inlets: Inlets,
    told: Told,
    published: Instant,
    waker: Waker,
    open_at: Instant,
}

/// The port while it is open.
struct Port {
    tty: Tty,
    guard: Option<Guard>,
    /// When one is to be started, if there is none.
    guard_at: Instant,
    /// The kernel takes nothing more for now.
    is_full: bool,
    look_at: Instant,
}

/// What others hear of the machine.
pub(super) struct Told {
    /// For who looks at it: with what changes all the time.
    pub(super) state: Arc<watch::Sender<State>>,
    pub(super) beam: watch::Sender<bool>,
    /// Only when something has happened.
    pub(super) news: watch::Sender<State>,
}

/// What others tell the thread.
pub(super) struct Inlets {
    pub(super) urgent: mpsc::Receiver<Urgent>,
    pub(super) control: mpsc::Receiver<Control>,
    /// In the order of the machine's configuration.
    pub(super) buttons: Vec<Watched>,
}

impl<O> Thread<O>
where
    O: FnMut(&LineCoding) -> Result<Tty, tty::Error>,
{
    pub(super) fn new(core: Core, opener: O, inlets: Inlets, told: Told, waker: Waker) -> Self {
        let now = Instant::now();
        let (port, published, open_at) = (None, now, now);
        Self { core, opener, port, inlets, told, published, waker, open_at }
    }

    /// Until nobody holds the machine any more, and its beam is off or a stop has been tried.
    pub(super) fn run(mut self) {
        if let Err(errno) = sys::go_first() {
            tracing::debug!(%errno, "the port's thread is an ordinary one");
        }
        loop {
            self.waker.seen();
            let now = Instant::now();
            self.urgent(now);
            if !self.control(now) && !self.core.winds_down(now) {
                break;
            }
            if self.port.is_none() && now >= self.open_at {
                self.open(now);
            }
            if let Err(errno) = self.pass(now) {
                self.lost(errno, now);
            }
            self.core.tick(now);
            self.guard(now);
            self.act();
            self.publish(now);
            self.sleep();
        }
        if let Some(Port { guard: Some(guard), .. }) = self.port {
            guard.dismiss();
        }
    }

    /// Stops come before all else.
    fn urgent(&mut self, now: Instant) {
        for index in 0..self.inlets.buttons.len() {
            if let Some(look) = self.inlets.buttons[index].news() {
                self.core.button(index, look, now);
                self.act();
            }
        }
        while let Ok(urgent) = self.inlets.urgent.try_recv() {
            match urgent {
                Urgent::Test { at, done } => {
                    self.core.tested(at, now);
                    // who asked may be gone
                    let _ = done.send(());
                }
                Urgent::Stop { at, reason, waiting } => {
                    self.core.stop(at, reason, Some(waiting), now);
                    self.act();
                }
            }
        }
    }

    /// Whether anybody still holds the machine.
    fn control(&mut self, now: Instant) -> bool {
        loop {
            match self.inlets.control.try_recv() {
                Ok(Control::Look) => self.open_at = now,
                Ok(control) => self.core.control(control, now),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    fn open(&mut self, now: Instant) {
        self.open_at = now + REOPEN;
        match (self.opener)(self.core.idle_coding()) {
            Ok(tty) => {
                let lines = tty.has_modem().then(|| tty.modem());
                self.core.opened(tty.coding(), lines, now);
                let (guard, guard_at) = (None, now);
                self.port = Some(Port { tty, guard, guard_at, is_full: false, look_at: now });
            }
            Err(error) => self.core.closed(&error.to_string()),
        }
    }

    /// The device is gone, or does not work.
    fn lost(&mut self, errno: Errno, now: Instant) {
        tracing::info!(%errno, "a serial port is gone");
        if let Some(Port { guard: Some(guard), .. }) = self.port.take() {
            guard.dismiss();
        }
        self.open_at = now + REOPEN;
        self.core.lost();
    }

    /// What has come, from both sides.
    fn pass(&mut self, now: Instant) -> Result<(), Errno> {
        let Some(port) = &mut self.port else { return Ok(()) };
        let mut buffer = [0; READ_BYTES];
        for _ in 0..READS {
            match port.tty.read(&mut buffer) {
                Ok(count) => self.core.received(&buffer[..count], now),
                Err(Errno::AGAIN | Errno::INTR) => break,
                Err(errno) => return Err(errno),
            }
        }
        if now >= port.look_at {
            let (lines, errors) = port.tty.look();
            self.core.looked(lines, errors, now);
            port.look_at = now + self.core.look_every();
        }
        self.core.hear_program(now);
        Ok(())
    }

    /// Does what is to be done now.
    fn act(&mut self) {
        loop {
            let now = Instant::now();
            let told = self.port.as_ref().and_then(|port| port.tty.unsent());
            let Some(port) = &mut self.port else { return };
            let is_sent = || port.tty.is_sent();
            let Some(act) = self.core.act(told, is_sent, now) else { return };
            match port.act(&act, &mut self.core) {
                Ok(count) => self.core.did(&act, count, now),
                Err(Errno::AGAIN) => {
                    port.is_full = true;
                    return;
                }
                Err(errno) => return self.lost(errno, now),
            }
        }
    }

    /// Tells the guard that we live, and starts one where there is none.
    fn guard(&mut self, now: Instant) {
        let Some(port) = &mut self.port else { return };
        if port.guard.is_none()
            && now >= port.guard_at
            && let Some(program) = self.core.guard()
        {
            port.guard_at = now + REOPEN;
            match Guard::spawn(program, &port.tty) {
                Ok(guard) => port.guard = Some(guard),
                Err(error) => tracing::error!(%error, "no guard can be started"),
            }
        }
        let lives = port.guard.as_ref().is_some_and(|guard| self.core.feed(guard, now));
        if !lives {
            port.guard = None;
        }
        self.core.guarded(lives, now);
    }

    /// Tells everybody what has changed; counters five times a second.
    fn publish(&mut self, now: Instant) {
        let is_seen = self.told.state.receiver_count() > 0;
        self.core.is_seen(is_seen);
        let is_due = is_seen && now.duration_since(self.published) >= PUBLISH_EVERY;
        let is_news = self.core.take_changed();
        if is_news || is_due {
            self.published = now;
            let state = self.core.state(now);
            let on = state.beam_may_be_on;
            self.told.beam.send_if_modified(|was| std::mem::replace(was, on) != on);
            if is_news {
                self.told.news.send_replace(state.clone());
            }
            self.told.state.send_if_modified(|old| {
                let changed = *old != state;
                *old = state;
                changed
            });
        }
    }

    fn sleep(&mut self) {
        let now = Instant::now();
        let mut until = self.core.deadline(now);
        let mut sooner = |at: Instant| until = Some(until.map_or(at, |until| until.min(at)));
        match &self.port {
            None => sooner(self.open_at),
            Some(port) => {
                if port.tty.has_modem() {
                    sooner(port.look_at);
                }
                if port.guard.is_none() && self.core.guard().is_some() {
                    sooner(port.guard_at);
                }
            }
        }
        if self.core.has_more() {
            sooner(now);
        }
        if self.told.state.receiver_count() > 0 {
            sooner(self.published + PUBLISH_EVERY);
        }
        let timeout = until.map(|until| {
            let left = until.saturating_duration_since(now);
            Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() }
        });
        let mut fds = vec![PollFd::new(&self.waker, PollFlags::IN)];
        if let Some(port) = &mut self.port {
            let full = std::mem::take(&mut port.is_full);
            let out = if full { PollFlags::OUT } else { PollFlags::empty() };
            fds.push(PollFd::new(&port.tty, PollFlags::IN | out));
        }
        // whatever it says, the next round looks at everything
        let _ = poll(&mut fds, timeout.as_ref());
    }
}

impl Port {
    /// Does it, and says how many bytes were taken.
    fn act(&mut self, act: &Act, core: &mut Core) -> Result<usize, Errno> {
        match act {
            Act::Write(bytes) => return self.tty.write(bytes),
            Act::Flush => {
                self.tty.purge(QueueSelector::OFlush)?;
                self.tty.go_on();
            }
            Act::PurgeInput => self.tty.purge(QueueSelector::IFlush)?,
            Act::Coding(coding) => {
                // what the port is set to tells whether it worked
                if let Err(error) = self.tty.set(coding) {
                    tracing::info!(%error, ?coding, "the port refuses");
                }
                core.coded(self.tty.coding());
            }
            Act::Modem { dtr, rts } => self.tty.set_modem(*dtr, *rts)?,
            Act::Break { on } => self.tty.set_break(*on)?,
        }
        Ok(0)
    }
}

const READ_BYTES: usize = 4096;
/// Reads in one round: 64 KiB, so that a fast port does not keep a stop waiting.
const READS: usize = 16;
/// How often a port that is gone is tried; who notices that it was plugged in says so earlier.
const REOPEN: Duration = Duration::from_millis(500);
/// GRBL's own limit for its status, and enough for eyes.
const PUBLISH_EVERY: Duration = Duration::from_millis(200);
