//! Typed tables over ordered bytes.

mod derived;
mod index;
mod overlay;
mod table;

use alloc::{boxed::Box, collections::BTreeMap, vec::Vec};
use core::marker::PhantomData;

use prost::Message;

use crate::error::fault;

pub(crate) use derived::compare;
pub use index::{IndexEntry, IndexedMap};
pub use overlay::{Overlay, Writes};
pub use table::Table;

/// One stored pair.
pub type Pair = (Vec<u8>, Vec<u8>);

/// Which way to walk a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Smallest key first.
    Ascending,
    /// Largest key first.
    Descending,
}

/// Ordered bytes that can be read. Reads do not fail: bytes that cannot be had stop the node.
pub trait Read {
    /// The value at `key`.
    fn get(&self, key: &[u8]) -> Option<Vec<u8>>;

    /// Whether there is a value at `key`.
    fn has(&self, key: &[u8]) -> bool {
        self.get(key).is_some()
    }

    /// Every pair with `from <= key`, and `key < to` where `to` is given.
    fn range<'a>(
        &'a self,
        from: &[u8],
        to: Option<&[u8]>,
        order: Order,
    ) -> Box<dyn Iterator<Item = Pair> + 'a>;

    /// Every pair whose key starts with `prefix`, in key order.
    fn scan<'a>(&'a self, prefix: &[u8]) -> Box<dyn Iterator<Item = Pair> + 'a> {
        self.range(prefix, prefix_end(prefix).as_deref(), Order::Ascending)
    }
}

/// Ordered bytes that can be changed.
pub trait Write: Read {
    /// Puts `value` at `key`, or removes the key.
    fn set(&mut self, key: Vec<u8>, value: Option<Vec<u8>>);
}

/// The first key past all that start with `prefix`; `None` where there is none.
pub fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if let Some(next) = last.checked_add(1) {
            end.push(next);
            return Some(end);
        }
    }
    None
}

/// A typed key. No key's bytes start another's; integers keep their order.
pub trait Key: Sized {
    /// Appends the key's bytes.
    fn put(&self, out: &mut Vec<u8>);

    /// Reads the key back from the front of `bytes`.
    fn take(bytes: &mut &[u8]) -> Option<Self>;
}

impl Key for () {
    fn put(&self, _: &mut Vec<u8>) {}

    fn take(_: &mut &[u8]) -> Option<Self> {
        Some(())
    }
}

impl<const N: usize> Key for [u8; N] {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        let (head, tail) = bytes.split_first_chunk()?;
        *bytes = tail;
        Some(*head)
    }
}

macro_rules! integer_key {
    ($($int:ty),+) => {$(
        impl Key for $int {
            fn put(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_be_bytes());
            }

            fn take(bytes: &mut &[u8]) -> Option<Self> {
                let (head, tail) = bytes.split_first_chunk()?;
                *bytes = tail;
                Some(Self::from_be_bytes(*head))
            }
        }
    )+};
}
integer_key!(u8, u32, u64);

macro_rules! tuple_key {
    ($($part:ident . $at:tt),+) => {
        impl<$($part: Key),+> Key for ($($part,)+) {
            fn put(&self, out: &mut Vec<u8>) {
                $(self.$at.put(out);)+
            }

            fn take(bytes: &mut &[u8]) -> Option<Self> {
                Some(($($part::take(bytes)?,)+))
            }
        }
    };
}
tuple_key!(A.0, B.1);
tuple_key!(A.0, B.1, C.2);
tuple_key!(A.0, B.1, C.2, D.3);
tuple_key!(A.0, B.1, C.2, D.3, E.4);

/// One value, stored as its protobuf message.
pub struct Item<V> {
    table: Table,
    value: PhantomData<V>,
}

impl<V: Message + Default> Item<V> {
    /// Names the value's place.
    pub const fn new(table: Table) -> Self {
        Self { table, value: PhantomData }
    }

    /// The value, if one was set.
    pub fn get(&self, store: &dyn Read) -> Option<V> {
        let key = [self.table.id()];
        store.get(&key).map(|bytes| decode(&key, &bytes))
    }

    /// Replaces the value.
    pub fn set(&self, store: &mut dyn Write, value: &V) {
        store.set([self.table.id()].into(), Some(encode(self.table, value)));
    }
}

/// Many values, each at its key, stored as protobuf messages.
pub struct Map<K, V> {
    table: Table,
    entry: PhantomData<(K, V)>,
}

impl<K: Key, V: Message + Default> Map<K, V> {
    /// Names the table's place.
    pub const fn new(table: Table) -> Self {
        Self { table, entry: PhantomData }
    }

    /// The value at `key`.
    pub fn get(&self, store: &dyn Read, key: &K) -> Option<V> {
        let key = self.path(key);
        store.get(&key).map(|bytes| decode(&key, &bytes))
    }

    /// Whether there is a value at `key`.
    pub fn has(&self, store: &dyn Read, key: &K) -> bool {
        store.has(&self.path(key))
    }

    /// Replaces the value at `key`.
    pub fn set(&self, store: &mut dyn Write, key: &K, value: &V) {
        store.set(self.path(key), Some(encode(self.table, value)));
    }

    /// Forgets the value at `key`.
    pub fn remove(&self, store: &mut dyn Write, key: &K) {
        store.set(self.path(key), None);
    }

    /// Every entry, in key order.
    pub fn iter<'a>(&self, store: &'a dyn Read) -> impl Iterator<Item = (K, V)> + use<'a, K, V> {
        store.scan(&[self.table.id()]).map(entry)
    }

    /// Every entry from `key` on, in key order.
    pub fn iter_from<'a>(
        &self,
        store: &'a dyn Read,
        key: &K,
    ) -> impl Iterator<Item = (K, V)> + use<'a, K, V> {
        let end = prefix_end(&[self.table.id()]);
        store.range(&self.path(key), end.as_deref(), Order::Ascending).map(entry)
    }

    /// Every entry whose key begins with `part`, in key order. `P` is a leading part of `K`.
    pub fn iter_prefix<'a, P: Key>(
        &self,
        store: &'a dyn Read,
        part: &P,
    ) -> impl Iterator<Item = (K, V)> + use<'a, P, K, V> {
        store.scan(&self.prefix(part)).map(entry)
    }

    /// The bytes that every key beginning with `part` starts with.
    pub fn prefix<P: Key>(&self, part: &P) -> Vec<u8> {
        let mut path = Vec::with_capacity(48);
        path.push(self.table.id());
        part.put(&mut path);
        path
    }

    /// The bytes under which the value at `key` is stored, and proven.
    pub fn path(&self, key: &K) -> Vec<u8> {
        self.prefix(key)
    }
}

/// A field that no message has, holding zero: readers in any language skip it.
const NOTHING: [u8; 3] = [0xf8, 0x7f, 0];

/// The bytes that are stored of a message. Never none in a table that is committed to: ICS-23 knows
/// no empty value, so that one could not be proven, nor that a key beside it is absent.
fn encode<V: Message>(table: Table, value: &V) -> Vec<u8> {
    let bytes = value.encode_to_vec();
    if bytes.is_empty() && !Table::is_derived(table.id()) { NOTHING.into() } else { bytes }
}

/// Reads a stored pair back as what was put.
pub(crate) fn entry<K: Key, V: Message + Default>((key, value): Pair) -> (K, V) {
    let typed = key.split_first().and_then(|(_, mut tail)| {
        let typed = K::take(&mut tail)?;
        tail.is_empty().then_some(typed)
    });
    (typed.unwrap_or_else(|| fault("bad key", &key)), decode(&key, &value))
}

/// Reads the value that was stored at `key`.
pub(crate) fn decode<V: Message + Default>(key: &[u8], bytes: &[u8]) -> V {
    V::decode(bytes).unwrap_or_else(|_| fault("unreadable value", key))
}

/// A store in memory, for tests and simulation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory(BTreeMap<Vec<u8>, Vec<u8>>);

impl Memory {
    /// Applies a block's writes.
    pub fn apply(&mut self, writes: Writes) {
        for (key, value) in writes {
            self.set(key, value);
        }
    }
}

impl Read for Memory {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.0.get(key).cloned()
    }

    fn range<'a>(
        &'a self,
        from: &[u8],
        to: Option<&[u8]>,
        order: Order,
    ) -> Box<dyn Iterator<Item = Pair> + 'a> {
        let Some(bounds) = overlay::bounds(from, to) else { return Box::new(core::iter::empty()) };
        let pairs = self.0.range(bounds).map(|(key, value)| (key.clone(), value.clone()));
        match order {
            Order::Ascending => Box::new(pairs),
            Order::Descending => Box::new(pairs.rev()),
        }
    }
}

impl Write for Memory {
    fn set(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        match value {
            Some(value) => drop(self.0.insert(key, value)),
            None => drop(self.0.remove(&key)),
        }
    }
}

#[cfg(test)]
mod tests {
    use plasma_proto::cosmos::base::v1beta1::Coin;

    use super::*;

    #[test]
    fn no_stored_value_is_empty() {
        const NUMBER: Item<u64> = Item::new(Table::MarketMatchCursor);
        const COINS: Map<u64, Coin> = Map::new(Table::MarketJobs);
        let mut store = Memory::default();
        NUMBER.set(&mut store, &0);
        COINS.set(&mut store, &1, &Coin::default());
        assert_eq!(NUMBER.get(&store), Some(0));
        assert_eq!(COINS.get(&store, &1), Some(Coin::default()));
        assert!(store.scan(&[]).all(|(_, value)| !value.is_empty()));
    }
}
