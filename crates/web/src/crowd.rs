//! Connections of each address: one alone cannot take all the places that there are.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// A browser has six, and a few tabs; whoever has more is sent away until some have ended.
const CONNECTIONS_MAX: usize = 32;

/// Who is here now. No more addresses than there are connections.
#[derive(Clone, Debug, Default)]
pub(crate) struct Crowd(Arc<Mutex<BTreeMap<IpAddr, usize>>>);

/// A place in the crowd, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place(Crowd, IpAddr);

impl Crowd {
    /// `None` for one too many. This computer itself is never one.
    pub(crate) fn enter(&self, from: IpAddr) -> Option<Place> {
        let from = from.to_canonical();
        self.change(|crowd| {
            let count = crowd.entry(from).or_default();
            let room = *count < CONNECTIONS_MAX || from.is_loopback();
            room.then(|| {
                *count += 1;
                Place(self.clone(), from)
            })
        })
    }

    fn change<R>(&self, change: impl FnOnce(&mut BTreeMap<IpAddr, usize>) -> R) -> R {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.change(|crowd| {
            if let Some(count) = crowd.get_mut(&self.1) {
                *count -= 1;
                if *count == 0 {
                    crowd.remove(&self.1);
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_does_not_take_every_place() {
        let crowd = Crowd::default();
        let [from, other, here] =
            ["192.0.2.1", "192.0.2.2", "::ffff:127.0.0.1"].map(|it| it.parse().unwrap());
        let mut places: Vec<_> = (0..CONNECTIONS_MAX).map(|_| crowd.enter(from)).collect();
        assert!(places.iter().all(Option::is_some));
        assert!(crowd.enter(from).is_none() && crowd.enter(other).is_some());
        places.pop();
        assert!(crowd.enter(from).is_some());
        let many: Vec<_> = (0..CONNECTIONS_MAX * 2).map(|_| crowd.enter(here)).collect();
        assert!(many.iter().all(Option::is_some));
        drop((places, many));
        assert!(crowd.change(|crowd| crowd.is_empty()));
    }
}
