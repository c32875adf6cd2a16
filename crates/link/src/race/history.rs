//! What worked before: it decides the order, and keeps nobody out.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Successes and failures of what was dialled, and what worked last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(deserialize = "K: Ord + Deserialize<'de>"))]
pub struct History<K: Ord> {
    last: Option<K>,
    known: BTreeMap<K, Record>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    successes: u16,
    failures: u16,
}

/// When a record has so many entries, they all count half from then on: old news fade.
const ENTRIES_MAX: u16 = 32;
/// What is remembered; the worst goes first.
const KNOWN_MAX: usize = 32;

impl<K: Ord + Clone> History<K> {
    pub fn succeeded(&mut self, key: K) {
        self.note(key.clone(), |record| record.successes = record.successes.saturating_add(1));
        self.last = Some(key);
    }

    pub fn failed(&mut self, key: K) {
        self.note(key, |record| record.failures = record.failures.saturating_add(1));
    }

    /// What worked last.
    pub fn last(&self) -> Option<&K> {
        self.last.as_ref()
    }

    /// A weight by what happened before: all of it where it always worked, half where nothing is
    /// known, little where it mostly failed, never nothing.
    pub fn weigh(&self, key: &K, weight: u32) -> u32 {
        let Record { successes, failures } = self.known.get(key).copied().unwrap_or_default();
        let (good, all) =
            (u64::from(successes) + 1, u64::from(successes) + u64::from(failures) + 2);
        u32::try_from(u64::from(weight) * good / all).unwrap_or(u32::MAX).max(1)
    }

    fn note(&mut self, key: K, note: impl FnOnce(&mut Record)) {
        let record = self.known.entry(key.clone()).or_default();
        note(record);
        if record.successes.saturating_add(record.failures) >= ENTRIES_MAX {
            (record.successes, record.failures) = (record.successes / 2, record.failures / 2);
        }
        if self.known.len() > KNOWN_MAX {
            let others = self.known.keys().filter(|known| **known != key);
            let worst = others.min_by_key(|known| self.weigh(known, u32::MAX)).cloned();
            self.known.remove(&worst.expect("there are several"));
        }
    }
}

impl<K: Ord> Default for History<K> {
    fn default() -> Self {
        Self { last: None, known: BTreeMap::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_weighs_less_but_never_nothing() {
        let mut history = History::default();
        assert_eq!(history.weigh(&"new", 100), 50);
        for _ in 0..1000 {
            history.failed("dead");
            history.succeeded("good");
        }
        assert!(history.weigh(&"good", 100) > 90);
        assert!((1..10).contains(&history.weigh(&"dead", 100)));
        assert_eq!(history.weigh(&"dead", 0), 1);
        assert_eq!(history.last(), Some(&"good"));
        history.succeeded("dead");
        assert_eq!(history.last(), Some(&"dead"));
    }

    #[test]
    fn only_so_much_is_remembered() {
        let mut history = History::default();
        history.succeeded(0);
        (1..1000).for_each(|key| history.failed(key));
        assert_eq!(history.known.len(), KNOWN_MAX);
        assert!(history.known.contains_key(&0), "what worked stays");
    }
}
