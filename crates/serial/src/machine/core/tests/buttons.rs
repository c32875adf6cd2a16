//! Stop buttons of the hub.

use super::*;
use crate::button::{Contact, Kind, Look};

fn look(kind: Kind, contact: Contact) -> Look {
    let (presses, pressed) = (0, Instant::now());
    Look { name: Text::from("foot"), kind, contact, presses, pressed }
}

fn lost() -> Contact {
    Contact::Lost { why: Text::from("it was pulled out") }
}

fn foot() -> Text {
    Text::from("foot")
}

/// A machine in use that wants arming, with a button that is ready.
fn with(kind: Kind) -> Bench {
    let mut bench = Bench::used(armed());
    bench.core.buttons.push(look(kind, Contact::Ready));
    bench
}

impl Bench {
    fn button(&mut self, change: impl FnOnce(&mut Look)) {
        let mut look = self.core.buttons[0].clone();
        change(&mut look);
        self.core.button(0, look, self.now);
        self.run(ms(1));
    }

    fn contact(&mut self, contact: Contact) {
        self.button(|look| look.contact = contact);
    }

    fn arm(&mut self) -> Result<(), Error> {
        self.core.arm(Text::from("me"), ms(1000), self.now)
    }

    /// Why it is stopped.
    fn why(&self) -> Option<Reason> {
        self.state().stopped.map(|stopped| stopped.reason)
    }
}

#[test]
fn a_key_stops_when_it_is_pressed_and_a_person_goes_on() {
    let mut bench = with(Kind::Key);
    assert_eq!(bench.arm(), Ok(()));
    let now = bench.now;
    bench.button(|look| (look.presses, look.pressed) = (1, now));
    assert!(bench.take().contains(&0x84));
    assert_eq!(bench.why(), Some(Reason::Button { button: foot() }));
    assert_eq!(bench.core.armed.as_ref().map(|_| ()), None);
    let mut bench = stopped(bench);
    assert_eq!(bench.core.clear_stop(), Ok(()));
    assert_eq!(bench.why(), None);
    bench.button(|look| look.presses = 2);
    assert_eq!(bench.why(), Some(Reason::Button { button: foot() }), "and again");
}

#[test]
fn an_open_line_stops_and_keeps_it_stopped() {
    for (contact, error) in [
        (Contact::Open, Error::ButtonOpen(foot())),
        (lost(), Error::ButtonLost { button: foot(), why: Text::from("it was pulled out") }),
    ] {
        let mut bench = with(Kind::Line);
        bench.contact(contact.clone());
        assert!(bench.take().contains(&0x84), "{contact:?}");
        let reason = match contact {
            Contact::Open => Reason::Button { button: foot() },
            _ => Reason::ButtonLost { button: foot() },
        };
        assert_eq!(bench.why(), Some(reason));
        let mut bench = stopped(bench);
        assert_eq!(bench.core.clear_stop(), Err(error.clone()));
        assert_eq!(bench.arm(), Err(error.clone()));
        assert_eq!(bench.state().lets_arm(), Err(error));
        bench.frame(Up::Stopped { stops: bench.core.stops }, b"");
        bench.program(b"$X\nG1 X1\n");
        bench.run(ms(10));
        assert!(bench.state().stopped.is_some(), "a program cannot unlock it");
        bench.contact(Contact::Ready);
        assert!(bench.state().stopped.is_some(), "to close it is not to say so");
        assert_eq!(bench.core.clear_stop(), Ok(()));
        assert_eq!(bench.arm(), Ok(()));
    }
}

#[test]
fn a_line_that_opened_and_closed_between_two_looks_has_stopped_it() {
    let mut bench = with(Kind::Line);
    bench.button(|look| look.presses = 1);
    assert_eq!(bench.why(), Some(Reason::Button { button: foot() }));
}

#[test]
fn a_key_that_is_lost_stops_what_may_burn_and_forbids_arming() {
    let mut bench = with(Kind::Key);
    bench.arm().unwrap();
    bench.program(b"M4 S500\n");
    bench.run(ms(1));
    assert!(bench.state().beam_may_be_on);
    bench.contact(lost());
    assert_eq!(bench.why(), Some(Reason::ButtonLost { button: foot() }));
    let mut bench = stopped(bench);
    assert_eq!(bench.core.clear_stop(), Ok(()), "it may move without its beam");
    assert!(matches!(bench.arm(), Err(Error::ButtonLost { .. })));
    bench.contact(Contact::Ready);
    assert_eq!(bench.arm(), Ok(()));
}

#[test]
fn a_key_that_is_lost_while_nothing_is_on_only_forbids_arming() {
    let mut bench = with(Kind::Key);
    bench.arm().unwrap();
    bench.contact(lost());
    assert_eq!(bench.why(), None);
    assert!(bench.core.armed.is_none());
    assert!(matches!(bench.arm(), Err(Error::ButtonLost { .. })));
    assert_eq!(bench.state().buttons[0].contact, lost());
}

#[test]
fn a_port_that_is_opened_while_the_line_is_open_is_stopped() {
    for (kind, is_stopped) in [(Kind::Line, true), (Kind::Key, false)] {
        let mut bench = Bench::new(armed());
        bench.core.buttons.push(look(kind, lost()));
        bench.core.lost();
        let lines = ModemLines { cts: true, ..ModemLines::default() };
        bench.core.opened(LineCoding::default(), Some(lines), bench.now);
        assert_eq!(bench.state().stopped.is_some(), is_stopped, "{kind:?}");
    }
}
