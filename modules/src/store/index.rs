//! A map that keeps its own indexes, so that no handler can forget one.

use alloc::vec::Vec;

use prost::Message;

use super::{Key, Map, Read, Table, Write};

/// A key of an index: the index's table and the key's bytes.
pub type IndexEntry = (Table, Vec<u8>);

/// Many values, each at its key, with indexes: keys with empty values, written by the map itself.
pub struct IndexedMap<K, V> {
    map: Map<K, V>,
    indexes: fn(&K, &V) -> Vec<IndexEntry>,
}

impl<K: Key, V: Message + Default> IndexedMap<K, V> {
    /// Names the table's place and the index keys that a value has.
    pub const fn new(table: Table, indexes: fn(&K, &V) -> Vec<IndexEntry>) -> Self {
        Self { map: Map::new(table), indexes }
    }

    /// The objects alone.
    pub const fn map(&self) -> &Map<K, V> {
        &self.map
    }

    /// The value at `key`.
    pub fn get(&self, store: &dyn Read, key: &K) -> Option<V> {
        self.map.get(store, key)
    }

    /// Replaces the value at `key`, and its index keys.
    pub fn set(&self, store: &mut dyn Write, key: &K, value: &V) {
        let new = (self.indexes)(key, value);
        let old = self.map.get(store, key).map(|old| (self.indexes)(key, &old)).unwrap_or_default();
        for entry in old.iter().filter(|entry| !new.contains(entry)) {
            store.set(path(entry), None);
        }
        for entry in new.iter().filter(|entry| !old.contains(entry)) {
            store.set(path(entry), Some(Vec::new()));
        }
        self.map.set(store, key, value);
    }

    /// Forgets the value at `key`, and its index keys.
    pub fn remove(&self, store: &mut dyn Write, key: &K) {
        let Some(old) = self.map.get(store, key) else { return };
        for entry in (self.indexes)(key, &old) {
            store.set(path(&entry), None);
        }
        self.map.remove(store, key);
    }

    /// Hands every index key that the objects ask for to `put`, in no order. Their values are empty.
    pub fn rebuild(&self, store: &dyn Read, put: &mut dyn FnMut(Vec<u8>)) {
        for (key, value) in self.map.iter(store) {
            (self.indexes)(&key, &value).iter().for_each(|entry| put(path(entry)));
        }
    }
}

fn path((table, key): &IndexEntry) -> Vec<u8> {
    let mut path = Vec::with_capacity(key.len().saturating_add(1));
    path.push(table.id());
    path.extend_from_slice(key);
    path
}
