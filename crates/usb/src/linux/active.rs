//! What is active of a device: a configuration, and of each interface one alternate setting.

use std::collections::BTreeMap;
use wire::device::{Endpoint, Interface};

/// The active configuration and its alternate settings.
#[derive(Clone, Debug)]
pub(super) struct Active {
    /// Of all configurations.
    interfaces: Vec<Interface>,
    /// `bConfigurationValue`, 0 for none.
    configuration: u8,
    /// By interface; 0 where none is listed.
    alternates: BTreeMap<u8, u8>,
}

impl Active {
    pub(super) fn new(interfaces: Vec<Interface>, configuration: u8) -> Self {
        Self { interfaces, configuration, alternates: BTreeMap::new() }
    }

    pub(super) fn configuration(&self) -> u8 {
        self.configuration
    }

    /// A configuration begins with alternate setting 0 everywhere, USB 2.0 §9.4.10.
    pub(super) fn configure(&mut self, configuration: u8) {
        self.configuration = configuration;
        self.alternates.clear();
    }

    pub(super) fn select(&mut self, interface: u8, alternate: u8) {
        self.alternates.insert(interface, alternate);
    }

    /// Interfaces whose alternate setting is not the one that they begin with.
    pub(super) fn selected(&self) -> impl Iterator<Item = (u8, u8)> {
        let changed = self.alternates.iter().filter(|(_, alternate)| **alternate != 0);
        changed.map(|(interface, alternate)| (*interface, *alternate))
    }

    /// The numbers of the interfaces, each once.
    pub(super) fn interface_numbers(&self) -> Vec<u8> {
        let mut numbers: Vec<u8> = self.of_configuration().map(|i| i.number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }

    /// The endpoint that an address means now.
    pub(super) fn endpoint(&self, address: u8) -> Option<Endpoint> {
        self.of_configuration()
            .filter(|i| self.alternates.get(&i.number).copied().unwrap_or(0) == i.alternate)
            .flat_map(|i| &i.endpoints)
            .find(|endpoint| endpoint.address == address)
            .copied()
    }

    fn of_configuration(&self) -> impl Iterator<Item = &Interface> {
        self.interfaces.iter().filter(|i| i.configuration == self.configuration)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::descriptor;

    #[test]
    fn endpoints_are_those_of_the_selected_setting() {
        let camera = descriptor::parse(&descriptor::tests::CAMERA).unwrap();
        let mut active = Active::new(camera.interfaces, 1);
        assert_eq!(active.interface_numbers(), [0, 1]);
        assert_eq!(active.endpoint(0x81), None);
        active.select(1, 1);
        assert_eq!(active.endpoint(0x81).unwrap().packet_bytes_max, 192);
        active.select(1, 2);
        assert_eq!(active.endpoint(0x81).unwrap().packet_bytes_max, 3072);
        assert_eq!(active.endpoint(0x83).unwrap().packet_bytes_max, 16);
        assert_eq!(active.selected().collect::<Vec<_>>(), [(1, 2)]);
        active.configure(1);
        assert_eq!(active.endpoint(0x81), None);
        active.configure(0);
        assert_eq!((active.endpoint(0x83), active.interface_numbers()), (None, vec![]));
    }
}
