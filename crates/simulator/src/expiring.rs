//! A bounded map whose entries all live equally long.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// Beyond this the oldest entries are forgotten, so that a benchmark that never redeems does not eat the machine.
const CAPACITY: usize = 100_000;

/// Entries by key, with the time at which each dies. Times are read off the simulator's own clock.
#[derive(Debug)]
pub(crate) struct Expiring<V> {
    lifetime: Duration,
    entries: HashMap<String, (Duration, V)>,
    oldest_first: VecDeque<(Duration, String)>,
}

impl<V> Expiring<V> {
    pub fn new(lifetime: Duration) -> Self {
        Self { lifetime, entries: HashMap::new(), oldest_first: VecDeque::new() }
    }

    pub fn insert(&mut self, key: String, value: V, now: Duration) {
        while self.oldest_first.len() >= CAPACITY || self.oldest_first.front().is_some_and(|(end, _)| *end <= now) {
            let Some((_, key)) = self.oldest_first.pop_front() else { break };
            self.entries.remove(&key);
        }
        let end = now.saturating_add(self.lifetime);
        self.oldest_first.push_back((end, key.clone()));
        self.entries.insert(key, (end, value));
    }

    pub fn get(&self, key: &str, now: Duration) -> Option<&V> {
        self.entries.get(key).filter(|(end, _)| now < *end).map(|(_, value)| value)
    }

    pub fn remove(&mut self, key: &str) {
        self.entries.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_die_at_their_time_and_the_oldest_make_room() {
        let second = Duration::from_secs(1);
        let mut map = Expiring::new(second * 10);
        map.insert("a".into(), 1, second);
        assert_eq!(map.get("a", second * 10), Some(&1));
        assert_eq!(map.get("a", second * 11), None);

        map.insert("b".into(), 2, second * 11);
        assert!(!map.entries.contains_key("a"), "the dead are cleared away");
        for n in 0..CAPACITY {
            map.insert(n.to_string(), 3, second * 11);
        }
        assert_eq!(map.entries.len(), CAPACITY);
        assert_eq!(map.get("b", second * 11), None);
    }
}
