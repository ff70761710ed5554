//! What came lately, by hash, in bounded memory.

use std::{collections::HashMap, mem};

use plasma_modules::types::Hash;

/// A bounded map: when the young generation is full it becomes the old one, and the old one is
/// forgotten. Each entry has a weight; so that of all together is at most twice a generation's,
/// and the newest entries of one generation's weight are always there.
pub struct Recent<V = ()> {
    generation_max: usize,
    weight: usize,
    young: HashMap<Hash, (V, usize)>,
    old: HashMap<Hash, (V, usize)>,
}

impl<V> Recent<V> {
    /// Keeps at least the newest entries that weigh `generation_max` together.
    pub fn new(generation_max: usize) -> Self {
        Self { generation_max, weight: 0, young: HashMap::new(), old: HashMap::new() }
    }

    /// How many are kept.
    pub fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    /// What was put at `hash`, if it is still here.
    pub fn get(&self, hash: &Hash) -> Option<&V> {
        self.young.get(hash).or_else(|| self.old.get(hash)).map(|(value, _)| value)
    }

    /// Whether `hash` was put, and is still here.
    pub fn has(&self, hash: &Hash) -> bool {
        self.get(hash).is_some()
    }

    /// Keeps `value`, for which so much room is counted.
    pub fn put(&mut self, hash: Hash, value: V, weight: usize) {
        self.remove(&hash);
        if self.weight + weight > self.generation_max {
            self.old = mem::take(&mut self.young);
            self.weight = 0;
        }
        self.weight += weight;
        self.young.insert(hash, (value, weight));
    }

    /// Forgets what was put at `hash`.
    pub fn remove(&mut self, hash: &Hash) {
        if let Some((_, weight)) = self.young.remove(hash) {
            self.weight -= weight;
        } else {
            self.old.remove(hash);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgets_the_oldest_and_never_grows_beyond_two_generations() {
        let mut recent = Recent::new(10);
        let hash = |n: u8| [n; 32];
        for n in 0..200 {
            recent.put(hash(n), n, 1);
            assert!(recent.len() <= 20);
            for newer in n.saturating_sub(9)..=n {
                assert_eq!(recent.get(&hash(newer)), Some(&newer), "{newer} after {n}");
            }
        }
        assert!(!recent.has(&hash(100)));
    }

    #[test]
    fn what_is_removed_leaves_its_room() {
        let mut recent = Recent::new(100);
        for n in 0..100u8 {
            recent.put([n; 32], (), 60);
            recent.put([n; 32], (), 60);
            assert!(recent.has(&[n; 32]));
            assert!(recent.len() <= 2);
            if n % 2 == 0 {
                recent.remove(&[n; 32]);
                assert!(!recent.has(&[n; 32]));
            }
        }
        recent.remove(&[7; 32]);
        assert!(recent.len() <= 2);
    }
}
