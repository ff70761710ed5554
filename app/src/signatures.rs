//! Signatures that CheckTx has verified, so that FinalizeBlock need not again.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use plasma_modules::SignatureMemory;

/// Digests that one generation remembers, of signatures and of transactions. Two generations are
/// kept, 32 bytes each.
pub const GENERATION_MAX: usize = 200_000;

/// A bounded memory: when the young generation is full it becomes the old one, and the old one is
/// forgotten. Forgetting costs a verification, nothing else.
pub struct Signatures {
    generation_max: usize,
    generations: Mutex<[HashSet<[u8; 32]>; 2]>,
}

impl Default for Signatures {
    fn default() -> Self {
        Self::new(GENERATION_MAX)
    }
}

impl Signatures {
    /// Remembers at least the last `generation_max` digests, at most twice as many.
    pub fn new(generation_max: usize) -> Self {
        Self { generation_max, generations: Mutex::default() }
    }

    /// How many are remembered.
    pub fn len(&self) -> usize {
        self.generations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .map(HashSet::len)
            .sum()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl SignatureMemory for Signatures {
    fn knows(&self, digest: &[u8; 32]) -> bool {
        let generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        generations.iter().any(|generation| generation.contains(digest))
    }

    fn learn(&self, digest: [u8; 32]) {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        let [young, old] = &mut *generations;
        if young.len() >= self.generation_max {
            *old = std::mem::take(young);
        }
        young.insert(digest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgets_the_oldest_and_never_grows_beyond_two_generations() {
        let memory = Signatures::new(10);
        let digest = |n: u8| [n; 32];
        for n in 0..200 {
            memory.learn(digest(n));
            assert!(memory.len() <= 20);
            for recent in n.saturating_sub(9)..=n {
                assert!(memory.knows(&digest(recent)), "{recent} after {n}");
            }
        }
        assert!(!memory.knows(&digest(100)));
    }
}
