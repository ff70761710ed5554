//! Values of the head that were read or written lately, kept in memory: a transfer asks for the
//! same dozen keys again and again, and each question costs RocksDB about a microsecond.

use std::{cell::RefCell, collections::HashMap, mem};

use plasma_modules::{Order, Pair, Read};

use crate::history::Changes;

/// Bytes of keys and values that one generation keeps, roughly. Two generations are kept.
pub const GENERATION_BYTES_MAX: usize = 16 << 20;
/// What an entry costs beside its key and value, bytes.
const ENTRY_BYTES: usize = 96;

type Values = HashMap<Vec<u8>, Option<Vec<u8>>>;

/// A bounded copy of parts of the state after one block. When the young generation is full it
/// becomes the old one, and the old one is forgotten.
pub struct Hot {
    generation_bytes_max: usize,
    /// Height that the values are of.
    height: u64,
    bytes: usize,
    young: Values,
    old: Values,
}

impl Default for Hot {
    fn default() -> Self {
        Self::new(GENERATION_BYTES_MAX)
    }
}

impl Hot {
    /// Keeps about twice so many bytes at most.
    pub fn new(generation_bytes_max: usize) -> Self {
        let (young, old) = (Values::new(), Values::new());
        Self { generation_bytes_max, height: 0, bytes: 0, young, old }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::new(self.generation_bytes_max);
    }

    fn get(&mut self, key: &[u8]) -> Option<Option<Vec<u8>>> {
        if let Some(value) = self.young.get(key) {
            return Some(value.clone());
        }
        let (key, value) = self.old.remove_entry(key)?;
        self.put(key, value.clone());
        Some(value)
    }

    /// Whether there is a value at `key`, if the young generation knows.
    fn peek(&self, key: &[u8]) -> Option<bool> {
        self.young.get(key).map(Option::is_some)
    }

    fn put(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        self.bytes += ENTRY_BYTES + key.len() + value.as_ref().map_or(0, Vec::len);
        self.young.insert(key, value);
        if self.bytes > self.generation_bytes_max {
            self.old = mem::take(&mut self.young);
            self.bytes = 0;
        }
    }

    /// Goes from the state of `height - 1` to that of `height`. What is not kept stays away: a block
    /// changes many values that nobody asks for again.
    pub(crate) fn advance(&mut self, height: u64, changes: &Changes) {
        if self.height + 1 != height {
            self.clear();
        }
        self.height = height;
        for (key, (_, after)) in changes {
            if let Some(value) = self.young.get_mut(key) {
                value.clone_from(after);
            } else if let Some(value) = self.old.get_mut(key) {
                value.clone_from(after);
            }
        }
    }

    /// `base`, which is the state after block `height`, read through what is kept.
    pub(crate) fn over<'a>(&'a mut self, base: &'a dyn Read, height: u64) -> Warm<'a> {
        if self.height != height {
            self.clear();
            self.height = height;
        }
        Warm { base, hot: RefCell::new(self) }
    }
}

/// State read through [`Hot`].
pub(crate) struct Warm<'a> {
    base: &'a dyn Read,
    hot: RefCell<&'a mut Hot>,
}

impl Read for Warm<'_> {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        let mut hot = self.hot.borrow_mut();
        if let Some(value) = hot.get(key) {
            return value;
        }
        let value = self.base.get(key);
        hot.put(key.to_vec(), value.clone());
        value
    }

    fn has(&self, key: &[u8]) -> bool {
        let known = self.hot.borrow().peek(key);
        known.unwrap_or_else(|| self.get(key).is_some())
    }

    fn range<'b>(
        &'b self,
        from: &[u8],
        to: Option<&[u8]>,
        order: Order,
    ) -> Box<dyn Iterator<Item = Pair> + 'b> {
        self.base.range(from, to, order)
    }
}

#[cfg(test)]
mod tests {
    use plasma_modules::{Memory, Write};

    use super::*;

    fn pair(n: u64) -> (Vec<u8>, Vec<u8>) {
        (n.to_be_bytes().to_vec(), vec![n as u8; 100])
    }

    /// Whatever was kept, a read is the base's; and what is kept stays bounded.
    #[test]
    fn reads_are_those_of_the_base_and_memory_is_bounded() {
        let mut base = Memory::default();
        let mut hot = Hot::new(4_096);
        for height in 1..200u64 {
            let (key, value) = pair(height * 7 % 64);
            let value = (height % 3 != 0).then(|| [value, vec![height as u8]].concat());
            hot.advance(height, &Changes::from([(key.clone(), (None, value.clone()))]));
            base.set(key, value);
            let warm = hot.over(&base, height);
            for n in 0..64 {
                let key = pair(n).0;
                assert_eq!(warm.has(&key), base.has(&key), "{n} at {height}");
                assert_eq!(warm.get(&key), base.get(&key), "{n} at {height}");
                assert_eq!(warm.has(&key), base.has(&key), "{n} at {height}");
            }
            assert!(hot.young.len() + hot.old.len() < 2 * 4_096 / ENTRY_BYTES);
        }
        // Values of another height are not taken.
        base.set(pair(1).0, Some(vec![1]));
        assert_eq!(hot.over(&base, 500).get(&pair(1).0), Some(vec![1]));
    }
}
