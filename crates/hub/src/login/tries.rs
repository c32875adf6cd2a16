//! How often somebody may try to log in: by address, and all together. No clock, no I/O.
//!
//! A few tries are free, each further one waits twice as long as the one before. So that many
//! addresses do not help, there is a bound for all of them together; and so that this does not
//! keep the owner out, addresses from where a login succeeded before do not count towards it.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;
use tokio::time::Instant;

/// Tries of an address within [`WINDOW`] that do not wait.
const FREE: u32 = 5;
const WINDOW: Duration = Duration::from_secs(60);
/// Before the first try beyond the free ones; doubles with each.
const DELAY: Duration = Duration::from_secs(15);
const DELAY_MAX: Duration = Duration::from_secs(15 * 60);
/// After this long without a try an address begins anew.
const FORGOTTEN: Duration = Duration::from_secs(60 * 60);
/// Tries of unknown addresses together within [`WINDOW`]: each takes tens of milliseconds of CPU.
const ALL_MAX: u32 = 30;
/// Addresses that are remembered; beyond that the oldest goes, and [`ALL_MAX`] holds.
const ADDRESSES_MAX: usize = 1024;
const KNOWN_MAX: usize = 64;

#[derive(Debug)]
pub(crate) struct Tries {
    by_address: BTreeMap<IpAddr, Tried>,
    /// In the window that began then.
    all: (u32, Instant),
    /// From where a login succeeded, oldest first.
    known: Vec<IpAddr>,
}

#[derive(Clone, Copy, Debug)]
struct Tried {
    count: u32,
    last: Instant,
}

impl Tried {
    fn is_forgotten(&self, now: Instant) -> bool {
        now - self.last >= if self.count < FREE { WINDOW } else { FORGOTTEN }
    }

    fn wait(&self, now: Instant) -> Option<Duration> {
        let beyond = self.count.checked_sub(FREE)?;
        let delay = DELAY.saturating_mul(1 << beyond.min(16)).min(DELAY_MAX);
        delay.checked_sub(now - self.last).filter(|left| !left.is_zero())
    }
}

impl Tries {
    pub(crate) fn new(now: Instant) -> Self {
        Self { by_address: BTreeMap::new(), all: (0, now), known: Vec::new() }
    }

    /// Counts a try before it is made, so that none slip through side by side.
    ///
    /// # Errors
    /// How long to wait; the try must not be made, and does not count.
    pub(crate) fn begin(&mut self, from: IpAddr, now: Instant) -> Result<(), Duration> {
        let from = network(from);
        let tried = self.by_address.get(&from).filter(|tried| !tried.is_forgotten(now)).copied();
        if let Some(wait) = tried.and_then(|tried| tried.wait(now)) {
            return Err(wait);
        }
        if !self.known.contains(&from) {
            if now - self.all.1 >= WINDOW {
                self.all = (0, now);
            }
            if self.all.0 >= ALL_MAX {
                return Err(WINDOW.saturating_sub(now - self.all.1));
            }
            self.all.0 += 1;
        }
        if self.by_address.len() >= ADDRESSES_MAX && !self.by_address.contains_key(&from) {
            let oldest = self.by_address.iter().min_by_key(|(_, tried)| tried.last);
            if let Some(oldest) = oldest.map(|(address, _)| *address) {
                self.by_address.remove(&oldest);
            }
        }
        let count = tried.map_or(0, |tried| tried.count).saturating_add(1);
        self.by_address.insert(from, Tried { count, last: now });
        Ok(())
    }

    /// The try was right.
    pub(crate) fn succeeded(&mut self, from: IpAddr) {
        let from = network(from);
        self.by_address.remove(&from);
        self.known.retain(|known| *known != from);
        if self.known.len() >= KNOWN_MAX {
            self.known.remove(0);
        }
        self.known.push(from);
    }
}

/// Who has an IPv6 address has 2^64 of them.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64)).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn five_are_free_then_each_waits_twice_as_long() {
        let mut now = Instant::now();
        let (mut tries, from) = (Tries::new(now), ip("192.0.2.1"));
        for _ in 0..FREE {
            assert_eq!(tries.begin(from, now), Ok(()));
        }
        for seconds in [15, 30, 60, 120, 240, 480, 900, 900] {
            let wait = Duration::from_secs(seconds);
            assert_eq!(tries.begin(from, now), Err(wait));
            now += wait - Duration::from_secs(1);
            assert_eq!(tries.begin(from, now), Err(Duration::from_secs(1)), "it did not count");
            now += Duration::from_secs(1);
            assert_eq!(tries.begin(from, now), Ok(()));
        }
        assert_eq!(tries.begin(ip("192.0.2.2"), now), Ok(()), "another address is another");
        now += FORGOTTEN;
        for _ in 0..FREE {
            assert_eq!(tries.begin(from, now), Ok(()));
        }
        assert!(tries.begin(from, now).is_err());
        tries.succeeded(from);
        assert_eq!(tries.begin(from, now), Ok(()));
    }

    #[test]
    fn few_tries_are_forgotten_after_a_minute() {
        let mut now = Instant::now();
        let (mut tries, from) = (Tries::new(now), ip("192.0.2.1"));
        for _ in 0..10 {
            for _ in 1..FREE {
                assert_eq!(tries.begin(from, now), Ok(()));
            }
            now += WINDOW;
        }
    }

    #[test]
    fn many_addresses_do_not_help_and_do_not_keep_the_owner_out() {
        let now = Instant::now();
        let mut tries = Tries::new(now);
        tries.begin(ip("192.0.2.1"), now).unwrap();
        tries.succeeded(ip("::ffff:192.0.2.1"));
        let stranger = |number: u32| IpAddr::from(std::net::Ipv4Addr::from_bits(number));
        let let_in = (0..500).filter(|number| tries.begin(stranger(*number), now).is_ok()).count();
        assert_eq!(let_in, 29);
        assert_eq!(tries.begin(ip("192.0.2.1"), now), Ok(()));
        assert_eq!(tries.begin(stranger(7777), now + WINDOW), Ok(()));
    }

    #[test]
    fn one_network_of_ipv6_is_one_address() {
        let now = Instant::now();
        let mut tries = Tries::new(now);
        for host in 1..=FREE {
            tries.begin(ip(&format!("2001:db8::{host}")), now).unwrap();
        }
        assert!(tries.begin(ip("2001:db8::ffff:0:1"), now).is_err());
        assert!(tries.begin(ip("2001:db8:0:1::1"), now).is_ok());
    }

    #[test]
    fn the_table_does_not_grow() {
        let mut now = Instant::now();
        let mut tries = Tries::new(now);
        for number in 0..5000_u32 {
            now += WINDOW / 20;
            let _ = tries.begin(std::net::Ipv4Addr::from_bits(number).into(), now);
            tries.succeeded(std::net::Ipv4Addr::from_bits(number).into());
            let _ = tries.begin(std::net::Ipv4Addr::from_bits(number).into(), now);
        }
        assert_eq!((tries.by_address.len(), tries.known.len()), (ADDRESSES_MAX, KNOWN_MAX));
    }
}
