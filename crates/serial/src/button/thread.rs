//! The thread that waits for a stop button.

use super::{Contact, Device, Error, Held, Look, Seen, Sleepers};
use crate::tty::sys;
use crate::waker::Waker;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::time::Timespec;
use std::sync::{Arc, Weak};
use std::time::Instant;
use tokio::sync::watch;
use wire::Text;

pub(super) struct Thread<O> {
    opener: O,
    device: Option<Device>,
    told: watch::Sender<Look>,
    sleepers: Arc<Sleepers>,
    held: Weak<Held>,
    waker: Waker,
}

impl<O> Thread<O>
where
    O: FnMut() -> Result<(Device, Seen), Error>,
{
    pub(super) fn new(
        opener: O,
        told: watch::Sender<Look>,
        sleepers: Arc<Sleepers>,
        held: Weak<Held>,
        waker: Waker,
    ) -> Self {
        Self { opener, device: None, told, sleepers, held, waker }
    }

    /// Until nobody holds the button any more.
    pub(super) fn run(mut self) {
        if let Err(errno) = sys::go_first() {
            tracing::debug!(%errno, "a stop button's thread is an ordinary one");
        }
        loop {
            self.waker.seen();
            if self.held.strong_count() == 0 {
                return;
            }
            self.round();
            self.sleep();
        }
    }

    /// Looks at the device, or for it, and tells what came of it.
    pub(super) fn round(&mut self) {
        let seen = match &mut self.device {
            Some(device) => device.read(),
            None => match (self.opener)() {
                Ok((device, seen)) => {
                    self.device = Some(device);
                    Ok(seen)
                }
                Err(error) => return self.tell(false, lost(&error.to_string())),
            },
        };
        match seen {
            Ok(Seen { pressed, is_open: true }) => self.tell(pressed, Contact::Open),
            Ok(Seen { pressed, is_open: false }) => self.tell(pressed, Contact::Ready),
            Err(errno) => {
                tracing::debug!(%errno, "a stop button cannot be read");
                self.device = None;
                self.tell(false, lost("it was pulled out"));
            }
        }
    }

    fn tell(&self, pressed: bool, contact: Contact) {
        let changed = self.told.send_if_modified(|look| {
            if pressed {
                look.presses = look.presses.wrapping_add(1);
                look.pressed = Instant::now();
            }
            let is_news = look.contact != contact;
            look.contact.clone_from(&contact);
            pressed || is_news
        });
        if !changed {
            return;
        }
        self.sleepers.wake();
        // the machines have been woken: now there is time for the log
        let name = self.told.borrow().name.clone();
        match &contact {
            Contact::Lost { why } => tracing::error!(button = %name, %why, "a stop button is lost"),
            Contact::Open => tracing::warn!(button = %name, "a stop button is open"),
            Contact::Ready if pressed => {
                tracing::warn!(button = %name, "a stop button was pressed")
            }
            Contact::Ready => tracing::info!(button = %name, "a stop button is ready"),
        }
    }

    fn sleep(&self) {
        let timeout = match &self.device {
            None => Some(REOPEN),
            Some(device) => device.is_asked().then_some(LOOK),
        };
        let mut fds = vec![PollFd::new(&self.waker, PollFlags::IN)];
        if let Some(device) = &self.device {
            fds.push(PollFd::new(device, PollFlags::IN));
        }
        // whatever it says, the next round looks at everything
        let _ = poll(&mut fds, timeout.as_ref());
    }
}

impl<O> Drop for Thread<O> {
    /// Also when it panics: who relies on the button has to know.
    fn drop(&mut self) {
        let contact = lost("nobody waits for it any more");
        self.told.send_modify(|look| look.contact = contact);
        self.sleepers.wake();
    }
}

fn lost(why: &str) -> Contact {
    Contact::Lost { why: Text::from(why) }
}

/// How often a device that is gone is tried.
const REOPEN: Timespec = Timespec { tv_sec: 0, tv_nsec: 500_000_000 };
/// How often a line is looked at that says nothing.
const LOOK: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };
