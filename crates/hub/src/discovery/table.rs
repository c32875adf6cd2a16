//! Who is announced on the local network. No I/O, no clock.
//!
//! Everything here was said by anybody: it is shown with its doubts, and addresses are hints. A
//! name that is announced never becomes a peer's, and a key only where to look for that key.

use crate::core::{Core, PeerId};
use crate::view::{Doubt, Nearby};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use wire::announce::{ADDRESSES_MAX, Announcement};

/// Announcements that are kept. More are on no network whose list a person would read.
pub(crate) const ANNOUNCEMENTS_MAX: usize = 256;
/// Announcements of one key: a hub on several interfaces may have more than one for a moment, and
/// a liar may add its own.
const OF_KEY_MAX: usize = 4;

/// One announcement, with the addresses where it is said to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) said: Announcement,
    pub(crate) addresses: Vec<SocketAddr>,
}

/// All announcements, by the name of their service instance.
#[derive(Debug, Default)]
pub(crate) struct Table {
    heard: BTreeMap<String, (u64, PeerId, Heard)>,
    /// Counts up: of two that say they are one hub, the name that was heard first is shown.
    count: u64,
}

impl Table {
    /// Notes an announcement; says whether that changed anything. A full table keeps what it has,
    /// but for strangers that make room for a peer.
    pub(crate) fn put(
        &mut self,
        instance: &str,
        heard: Heard,
        is_peer: impl Fn(&PeerId) -> bool,
    ) -> bool {
        let Ok(key) = PeerId::from_bytes(&heard.said.key) else { return self.remove(instance) };
        if let Some((_, known_key, known)) = self.heard.get_mut(instance) {
            let same = *known_key == key && *known == heard;
            (*known_key, *known) = (key, heard);
            return !same;
        }
        if self.heard.values().filter(|(_, known, _)| *known == key).count() >= OF_KEY_MAX {
            return false;
        }
        if self.heard.len() >= ANNOUNCEMENTS_MAX {
            let strangers = self.heard.iter().filter(|(_, (_, known, _))| !is_peer(known));
            let newest = strangers.max_by_key(|(_, (count, ..))| *count);
            let Some(room) = newest.map(|(name, _)| name.clone()).filter(|_| is_peer(&key)) else {
                return false;
            };
            self.heard.remove(&room);
        }
        self.count += 1;
        self.heard.insert(instance.to_owned(), (self.count, key, heard));
        true
    }

    pub(crate) fn remove(&mut self, instance: &str) -> bool {
        self.heard.remove(instance).is_some()
    }

    pub(crate) fn clear(&mut self) {
        self.heard.clear();
    }

    /// Where a hub is said to be, one address of each announcement in turn: a liar's do not push
    /// out the others.
    pub(crate) fn addresses(&self, key: &PeerId) -> Vec<SocketAddr> {
        let of_key: Vec<_> = self.heard.values().filter(|(_, known, _)| known == key).collect();
        let mut found = vec![];
        for place in 0..ADDRESSES_MAX {
            let next = of_key.iter().filter_map(|(.., heard)| heard.addresses.get(place));
            for address in next {
                if !found.contains(address) {
                    found.push(*address);
                }
            }
        }
        found.truncate(ADDRESSES_MAX);
        found
    }

    /// The hubs that are announced, each once.
    pub(crate) fn hubs(&self) -> BTreeMap<PeerId, &Announcement> {
        let mut oldest: Vec<_> = self.heard.values().collect();
        oldest.sort_by_key(|(count, ..)| *count);
        let mut hubs = BTreeMap::new();
        for (_, key, heard) in oldest {
            hubs.entry(*key).or_insert(&heard.said);
        }
        hubs
    }
}

impl Core {
    /// Other hubs on this network, by name.
    pub(crate) fn nearby_views(&self) -> Vec<Nearby> {
        let hubs = self.nearby.hubs();
        let mut seen = BTreeSet::new();
        let twice: BTreeSet<_> =
            hubs.values().map(|said| &said.name).filter(|name| !seen.insert(*name)).collect();
        let ours = hubs.iter().filter(|(key, _)| key.to_string() != self.hub.id);
        let mut views: Vec<_> = ours
            .map(|(key, said)| Nearby {
                id: key.to_string(),
                name: said.name.clone(),
                version: said.version.clone(),
                addresses: self.nearby.addresses(key).iter().map(ToString::to_string).collect(),
                peer: self.peers.get(key).map(|peer| peer.name.clone()),
                doubt: self
                    .doubt(key, &said.name)
                    .or_else(|| twice.contains(&said.name).then_some(Doubt::NameTwice)),
            })
            .collect();
        views.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
        views
    }

    /// Whether somebody uses the name of somebody else.
    pub(crate) fn doubt(&self, key: &PeerId, name: &wire::Name) -> Option<Doubt> {
        if self.peers.contains_key(key) {
            return None;
        }
        if self.peers.values().any(|peer| peer.name == *name) {
            return Some(Doubt::NameOfPeer);
        }
        (self.hub.name == *name).then_some(Doubt::NameOfThisHub)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::{Peer, Reach};
    use iroh::SecretKey;

    fn key(number: u16) -> PeerId {
        let mut seed = [7; 32];
        seed[..2].copy_from_slice(&number.to_le_bytes());
        SecretKey::from_bytes(&seed).public()
    }

    fn heard(number: u16, name: &str, last: u8) -> Heard {
        let said = Announcement {
            key: *key(number).as_bytes(),
            name: name.parse().unwrap(),
            version: "1".to_owned(),
            port_v6: None,
        };
        Heard { said, addresses: vec![SocketAddr::from(([192, 168, 1, last], 3482))] }
    }

    fn core() -> Core {
        let mut core = Core::new(crate::view::Hub {
            id: key(0).to_string(),
            name: "desk".parse().unwrap(),
            version: "1".to_owned(),
            demo: false,
            web: None,
            discovery: crate::Discovery::Lan,
        });
        core.peers.insert(key(1), Peer::new("garage".parse().unwrap(), Reach::default()));
        core
    }

    #[test]
    fn hubs_come_and_go() {
        let mut core = core();
        assert!(core.nearby.put("a", heard(2, "attic", 2), |_| false));
        assert!(!core.nearby.put("a", heard(2, "attic", 2), |_| false), "nothing new");
        assert!(core.nearby.put("a", heard(2, "attic", 3), |_| false), "a new address");
        assert_eq!(core.nearby_views()[0].addresses, ["192.168.1.3:3482"]);
        assert!(core.nearby.remove("a") && !core.nearby.remove("a"));
        assert!(core.nearby_views().is_empty());
    }

    #[test]
    fn this_hub_is_not_nearby_and_a_peer_is_shown_as_one() {
        let mut core = core();
        core.nearby.put("us", heard(0, "desk", 1), |_| false);
        core.nearby.put("garage", heard(1, "garage", 2), |_| false);
        let views = core.nearby_views();
        assert_eq!((views.len(), views[0].peer.as_ref().unwrap().as_str()), (1, "garage"));
        assert_eq!(views[0].doubt, None);
    }

    #[test]
    fn a_name_with_another_key_is_a_doubt_and_never_merged() {
        let mut core = core();
        core.nearby.put("liar", heard(9, "garage", 66), |_| false);
        core.nearby.put("garage", heard(1, "garage", 2), |_| false);
        core.nearby.put("desk", heard(8, "desk", 67), |_| false);
        let doubts: BTreeMap<_, _> = core
            .nearby_views()
            .into_iter()
            .map(|it| (it.id, (it.peer.is_some(), it.doubt)))
            .collect();
        assert_eq!(doubts[&key(9).to_string()], (false, Some(Doubt::NameOfPeer)));
        assert!(doubts[&key(1).to_string()].0);
        assert_eq!(doubts[&key(8).to_string()], (false, Some(Doubt::NameOfThisHub)));
        assert_eq!(core.nearby.addresses(&key(1)), [SocketAddr::from(([192, 168, 1, 2], 3482))]);
        core.nearby.put("x", heard(5, "attic", 5), |_| false);
        core.nearby.put("y", heard(6, "attic", 6), |_| false);
        assert_eq!(core.nearby_views()[0].doubt, Some(Doubt::NameTwice));
    }

    #[test]
    fn who_announces_a_peer_s_key_adds_hints_but_takes_none_away() {
        let mut table = Table::default();
        assert!(table.put("garage", heard(1, "garage", 2), |_| true));
        for last in 10..40 {
            table.put(&format!("a-liar-{last}"), heard(1, "evil", last), |_| true);
        }
        let addresses = table.addresses(&key(1));
        assert!(addresses.contains(&SocketAddr::from(([192, 168, 1, 2], 3482))), "{addresses:?}");
        assert_eq!(addresses.len(), OF_KEY_MAX);
        assert_eq!(table.hubs()[&key(1)].name.as_str(), "garage", "as it was heard first");
    }

    #[test]
    fn a_flood_ends_at_the_bound_and_keeps_no_peer_out() {
        let mut table = Table::default();
        for number in 10..2000 {
            table.put(&format!("flood-{number}"), heard(number, "x", 1), |_| false);
        }
        assert_eq!(table.hubs().len(), ANNOUNCEMENTS_MAX);
        assert!(table.put("garage", heard(1, "garage", 2), |peer| *peer == key(1)));
        assert_eq!(table.hubs().len(), ANNOUNCEMENTS_MAX);
        assert!(table.hubs().contains_key(&key(1)));
    }
}
