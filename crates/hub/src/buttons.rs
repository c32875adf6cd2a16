//! The stop buttons at this hub. What a press does, the machines' own threads do
//! ([`serial::button`]); here is which button is for which machine, and what is shown of each.

use crate::Inner;
use crate::core::Core;
use crate::view;
use serial::button::{Button, Config, Contact, Look};
use std::sync::Arc;
use wire::Name;

/// A stop button, and what it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StopButton {
    pub button: Config,
    /// The machines of this hub that it stops, by what they are called; `None` for all.
    pub machines: Option<Vec<Name>>,
}

/// One that runs.
#[derive(Clone, Debug)]
pub(crate) struct Running {
    pub(crate) button: Button,
    pub(crate) machines: Option<Vec<Name>>,
}

/// Starts them all.
///
/// # Errors
/// When the system has no thread or no file left. One that is not there is no error.
pub(crate) fn start(wanted: Vec<StopButton>) -> std::io::Result<Vec<Running>> {
    let start = |StopButton { button, machines }| {
        Button::start(button).map(|button| Running { button, machines })
    };
    wanted.into_iter().map(start).collect()
}

impl Running {
    pub(crate) fn view(&self) -> view::StopButton {
        let Look { name, contact, .. } = self.button.look();
        view::StopButton { name, machines: self.machines.clone(), contact, unknown: vec![] }
    }

    pub(crate) fn is_for(&self, machine: &Name) -> bool {
        self.machines.as_ref().is_none_or(|named| named.contains(machine))
    }
}

/// Shows what becomes of a button, and writes down when it is lost.
pub(crate) async fn follow(inner: Arc<Inner>, index: usize, button: Button) {
    let mut news = button.news();
    let mut before = Contact::Ready;
    loop {
        let Look { name, contact, .. } = news.borrow_and_update().clone();
        inner.shared.change(|core| core.buttons[index].contact = contact.clone());
        if let Contact::Lost { why } = &contact
            && contact != before
            && let Err(error) = inner.audit("button", "button.lost", &name, why).await
        {
            tracing::warn!("the audit log: {error:#}");
        }
        before = contact;
        if news.changed().await.is_err() {
            return;
        }
    }
}

impl Core {
    /// The stop buttons, with what is called as one of their machines and is none.
    pub(crate) fn button_views(&self) -> Vec<view::StopButton> {
        let is_here = |name: &Name| self.devices.values().any(|local| local.name == *name);
        let view = |button: &view::StopButton| {
            let named = button.machines.iter().flatten();
            let unknown = named.filter(|name| !is_here(name)).cloned().collect();
            view::StopButton { unknown, ..button.clone() }
        };
        self.buttons.iter().map(view).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serial::button::Source;
    use wire::Text;

    #[test]
    fn a_button_is_for_the_machines_that_it_names_or_for_all() {
        let (laser, router): (Name, Name) = ("laser".parse().unwrap(), "router".parse().unwrap());
        let source = Source::Key { input: "/dev/no-such-input".into(), key: None };
        let button = Config { name: Text::from("foot"), source };
        let machines = Some(vec![laser.clone()]);
        let of = |machines| StopButton { button: button.clone(), machines };
        let [one, all] = start(vec![of(machines), of(None)]).unwrap().try_into().unwrap();
        assert!(one.is_for(&laser) && !one.is_for(&router));
        assert!(all.is_for(&laser) && all.is_for(&router));
        // one that is not there is shown as that, and hinders nobody from starting
        let why = Text::from("it is not there: plug it in");
        assert_eq!(one.view().contact, Contact::Lost { why });
    }
}
