//! What the stop buttons of the hub mean for the machine.

use super::Core;
use crate::button::{Contact, Kind, Look};
use crate::machine::Error;
use crate::machine::state::{Button, Reason};
use std::time::Instant;
use wire::Text;

impl Core {
    /// Something has become of a button.
    pub(in crate::machine) fn button(&mut self, index: usize, look: Look, now: Instant) {
        let Some(known) = self.buttons.get_mut(index) else { return };
        let before = std::mem::replace(known, look.clone());
        let Look { name: button, kind, contact, presses, pressed } = look;
        let is_news = before.contact != contact;
        self.changed |= is_news;
        if contact != Contact::Ready {
            self.disarm();
        }
        if presses != before.presses {
            self.stop(pressed, Reason::Button { button }, None, now);
        } else if is_news && (kind == Kind::Line || self.beam.may_be_on()) {
            self.contact(button, &contact, now);
        }
    }

    /// The port has been opened: what is open stops the machine.
    pub(super) fn open_buttons(&mut self, now: Instant) {
        let lines: Vec<_> = self.buttons.iter().filter(|look| look.kind == Kind::Line).collect();
        let contacts: Vec<_> =
            lines.into_iter().map(|look| (look.name.clone(), look.contact.clone())).collect();
        for (button, contact) in contacts {
            self.contact(button, &contact, now);
        }
    }

    fn contact(&mut self, button: Text, contact: &Contact, now: Instant) {
        match contact {
            Contact::Ready => {}
            Contact::Open => self.stop(now, Reason::Button { button }, None, now),
            Contact::Lost { .. } => self.stop(now, Reason::ButtonLost { button }, None, now),
        }
    }

    /// Whether the beam or spindle may be let on.
    pub(super) fn lets_arm(&self) -> Result<(), Error> {
        self.lets_go_on()?;
        self.buttons.iter().try_for_each(|look| look.contact.lets_go_on(&look.name))
    }

    /// Whether a stop may be taken back.
    pub(super) fn lets_go_on(&self) -> Result<(), Error> {
        if self.interlock_open() == Some(true) {
            return Err(Error::InterlockOpen);
        }
        let mut lines = self.buttons.iter().filter(|look| look.kind == Kind::Line);
        lines.try_for_each(|look| look.contact.lets_go_on(&look.name))
    }

    pub(super) fn button_states(&self) -> Vec<Button> {
        let state = |look: &Look| Button { name: look.name.clone(), contact: look.contact.clone() };
        self.buttons.iter().map(state).collect()
    }
}

impl Contact {
    /// Nothing goes on without a stop button that would be noticed.
    pub(in crate::machine) fn lets_go_on(&self, button: &Text) -> Result<(), Error> {
        let button = button.clone();
        match self {
            Self::Ready => Ok(()),
            Self::Open => Err(Error::ButtonOpen(button)),
            Self::Lost { why } => Err(Error::ButtonLost { button, why: why.clone() }),
        }
    }
}
