//! State of the past: what each block overwrote, kept for the recent heights.
//!
//! The record of a key says what it held *before* a height. So the value after block `h` is the
//! oldest record above `h`, or, where there is none, the value at the head.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
    iter,
};

use plasma_modules::{Order, Pair, Read};

use crate::rocks::{Batch, Reader, stop};

/// Records of keys.
const BY_KEY: u8 = b'k';
/// Lists of the keys that a height changed.
const BY_HEIGHT: u8 = b'h';
/// Value of a record whose key was absent; a value that was present stands behind `PRESENT`.
const ABSENT: u8 = 0;
const PRESENT: u8 = 1;
/// Bytes of a height at the end of a record's key.
const HEIGHT_BYTES: usize = 8;

/// Changes of one block: key to (value before, value after). Keys that kept their value are not in.
pub(crate) type Changes = BTreeMap<Vec<u8>, (Option<Vec<u8>>, Option<Vec<u8>>)>;

/// Compares `writes` with what stands in `base`.
pub(crate) fn changes(base: &dyn Read, writes: plasma_modules::Writes) -> Changes {
    let compare = |(key, after): (Vec<u8>, Option<Vec<u8>>)| {
        let before = base.get(&key);
        (before != after).then_some((key, (before, after)))
    };
    writes.into_iter().filter_map(compare).collect()
}

/// Records in `batch` what block `height` overwrote.
pub(crate) fn record(batch: &mut Batch<'_>, height: u64, changes: &Changes) {
    let mut list = Vec::new();
    for (key, (before, _)) in changes {
        let record = match before {
            None => vec![ABSENT],
            Some(value) => [&[PRESENT], value.as_slice()].concat(),
        };
        batch.undo(&by_key(key, height), Some(&record));
        list.extend_from_slice(&u32::try_from(key.len()).unwrap_or(u32::MAX).to_be_bytes());
        list.extend_from_slice(key);
    }
    batch.undo(&by_height(height), Some(&list));
}

/// Forgets what block `height` overwrote: states below it can no longer be read.
pub(crate) fn forget(batch: &mut Batch<'_>, reader: &Reader<'_>, height: u64) {
    for key in changed(reader, height).into_iter().flatten() {
        batch.undo(&by_key(&key, height), None);
    }
    batch.undo(&by_height(height), None);
}

/// Puts back what block `height`, the head, overwrote. `None` where there is no record of it.
pub(crate) fn revert(batch: &mut Batch<'_>, reader: &Reader<'_>, height: u64) -> Option<()> {
    for key in changed(reader, height)? {
        let path = by_key(&key, height);
        let record = reader.undo(&path);
        let record = record.unwrap_or_else(|| stop("the record of the past is damaged", height));
        batch.state(&key, value(&record).as_deref());
        batch.undo(&path, None);
    }
    batch.undo(&by_height(height), None);
    Some(())
}

/// The keys that block `height` changed.
fn changed(reader: &Reader<'_>, height: u64) -> Option<Vec<Vec<u8>>> {
    let list = reader.undo(&by_height(height))?;
    let (mut list, mut keys) = (list.as_slice(), Vec::new());
    while let Some((len, tail)) = list.split_first_chunk() {
        let len = u32::from_be_bytes(*len) as usize;
        let Some((key, tail)) = tail.split_at_checked(len) else {
            stop("the record of the past is damaged", height)
        };
        keys.push(key.to_vec());
        list = tail;
    }
    Some(keys)
}

/// The keys that the blocks above `height` up to `head` changed. Where their lists hold more than
/// `max`, the error is how many were counted.
pub(crate) fn changed_since(
    reader: &Reader<'_>,
    height: u64,
    head: u64,
    max: usize,
) -> Result<BTreeSet<Vec<u8>>, usize> {
    let mut keys = BTreeSet::new();
    let mut listed = 0;
    for height in height.saturating_add(1)..=head {
        let list = reader.undo(&by_height(height)).unwrap_or_default();
        let mut list = list.as_slice();
        while let Some((len, tail)) = list.split_first_chunk() {
            let len = u32::from_be_bytes(*len) as usize;
            let Some((key, tail)) = tail.split_at_checked(len) else {
                stop("the record of the past is damaged", height)
            };
            keys.insert(key.to_vec());
            list = tail;
            listed += 1;
        }
        if listed > max {
            return Err(listed);
        }
    }
    Ok(keys)
}

fn by_height(height: u64) -> Vec<u8> {
    [&[BY_HEIGHT][..], &height.to_be_bytes()].concat()
}

fn by_key(key: &[u8], height: u64) -> Vec<u8> {
    let mut out = before_key(key);
    out.extend_from_slice(&height.to_be_bytes());
    out
}

/// Before every record of `key`, behind those of the keys before it.
fn before_key(key: &[u8]) -> Vec<u8> {
    [&escaped(key)[..], &[0, 1]].concat()
}

/// Behind every record of `key`, before those of the keys behind it.
fn after_key(key: &[u8]) -> Vec<u8> {
    [&escaped(key)[..], &[0, 2]].concat()
}

/// Keeps the order of keys, also where one begins with another, whatever bytes follow.
fn escaped(key: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(key.len() + 16);
    out.push(BY_KEY);
    for byte in key {
        out.push(*byte);
        if *byte == 0 {
            out.push(0xff);
        }
    }
    out
}

/// The key and the height of a record.
fn parse(record: &[u8]) -> Option<(Vec<u8>, u64)> {
    let (path, height) = record.split_at_checked(record.len().checked_sub(HEIGHT_BYTES)?)?;
    let path = path.strip_prefix(&[BY_KEY])?.strip_suffix(&[0, 1])?;
    let mut key = Vec::with_capacity(path.len());
    let mut bytes = path.iter();
    while let Some(byte) = bytes.next() {
        key.push(*byte);
        if *byte == 0 {
            bytes.next();
        }
    }
    Some((key, u64::from_be_bytes(height.try_into().ok()?)))
}

fn value(record: &[u8]) -> Option<Vec<u8>> {
    match record.split_first() {
        Some((&PRESENT, value)) => Some(value.to_vec()),
        _ => None,
    }
}

/// State after block `height`, below the head that `reader` sees.
pub(crate) struct History<'a> {
    pub reader: &'a Reader<'a>,
    pub height: u64,
}

impl<'a> History<'a> {
    /// The value of `key`, if it has changed since.
    pub fn get(&self, key: &[u8]) -> Option<Option<Vec<u8>>> {
        let from = by_key(key, self.height.saturating_add(1));
        let (path, record) = self.reader.undo_from(&from, Order::Ascending).next()?;
        let prefix = from.split_at(from.len() - HEIGHT_BYTES).0;
        let same = path.len() == from.len() && path.starts_with(prefix);
        same.then(|| value(&record))
    }

    /// `head` with the values of then.
    pub fn over(
        self,
        head: Box<dyn Iterator<Item = Pair> + 'a>,
        from: &[u8],
        to: Option<&[u8]>,
        order: Order,
    ) -> Box<dyn Iterator<Item = Pair> + 'a> {
        if to.is_some_and(|to| to <= from) {
            return Box::new(iter::empty());
        }
        let mut head = head.peekable();
        let mut then = self.changed(from, to, order).peekable();
        let merged = iter::from_fn(move || {
            let side = match (then.peek(), head.peek()) {
                (None, None) => return None,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some((then, _)), Some((head, _))) => match order {
                    Order::Ascending => then.cmp(head),
                    Order::Descending => head.cmp(then),
                },
            };
            if side == Ordering::Equal {
                head.next();
            }
            if side == Ordering::Greater {
                head.next().map(|(key, value)| (key, Some(value)))
            } else {
                then.next()
            }
        });
        Box::new(merged.filter_map(|(key, value)| value.map(|value| (key, value))))
    }

    /// Keys in the range that have changed since, with what they held then. Of a key one record
    /// counts, the oldest above the height; past the others the walk leaps.
    fn changed(
        self,
        from: &[u8],
        to: Option<&[u8]>,
        order: Order,
    ) -> impl Iterator<Item = (Vec<u8>, Option<Vec<u8>>)> + use<'a> {
        let low = escaped(from);
        let high = to.map_or_else(|| vec![BY_KEY + 1], escaped);
        let start = match order {
            Order::Ascending => &low,
            Order::Descending => &high,
        };
        let mut records = self.reader.undo_from(start, order);
        let since = self.height.saturating_add(1);
        let mut last = None;
        iter::from_fn(move || {
            loop {
                let (path, mut record) = records.next()?;
                if path < low || path >= high {
                    return None;
                }
                let Some((key, height)) = parse(&path) else { continue };
                match order {
                    Order::Ascending if height < since => {
                        records.seek(&by_key(&key, since), order);
                        continue;
                    }
                    Order::Ascending if last.as_ref() == Some(&key) => {
                        records.seek(&after_key(&key), order);
                        continue;
                    }
                    Order::Ascending => last = Some(key.clone()),
                    Order::Descending => {
                        if height > since {
                            records.seek(&by_key(&key, since), Order::Ascending);
                            record = records.next()?.1;
                        }
                        records.seek(&before_key(&key), order);
                        if height < since {
                            continue;
                        }
                    }
                }
                return Some((key, value(&record)));
            }
        })
    }
}

/// Writes a block that did nothing but `changes`.
#[cfg(test)]
pub(crate) fn commit_block(rocks: &crate::rocks::Rocks, height: u64, changes: &Changes) {
    let mut batch = rocks.batch();
    record(&mut batch, height, changes);
    for (key, (_, after)) in changes {
        batch.state(key, after.as_deref());
    }
    batch.head(&crate::meta::Head {
        height,
        time_s: height,
        initial_height: 1,
        app_hash: [0; 32],
        chain_id: "test".into(),
    });
    batch.write();
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rocks::Rocks;

    /// Keys that begin with one another, with the bytes that escaping is about.
    fn any_key() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop::sample::select(vec![0u8, 1, 2, 0xfe, 0xff]), 1..4)
    }

    type State = BTreeMap<Vec<u8>, Vec<u8>>;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// Whatever came later: every read at every height is of that height.
        #[test]
        fn reads_of_the_past_are_what_was_there(
            blocks in prop::collection::vec(
                prop::collection::btree_map(any_key(), prop::option::of(any::<u8>()), 0..8),
                1..12,
            ),
            (from, to) in (any_key(), prop::option::of(any_key())),
        ) {
            let dir = tempfile::tempdir().unwrap();
            let rocks = Rocks::open(dir.path(), 1 << 20).unwrap();
            let mut states = vec![State::new()];
            for (height, writes) in (1..).zip(blocks) {
                let mut state = states.last().unwrap().clone();
                let mut changes = Changes::new();
                for (key, after) in writes {
                    let after = after.map(|byte| vec![byte]);
                    let before = match &after {
                        Some(after) => state.insert(key.clone(), after.clone()),
                        None => state.remove(&key),
                    };
                    if before != after {
                        changes.insert(key, (before, after));
                    }
                }
                commit_block(&rocks, height, &changes);
                states.push(state);
            }
            for (height, state) in (0u64..).zip(&states).skip(1) {
                let reader = rocks.reader().at(height);
                for (from, to) in [(&[][..], None), (&from[..], to.as_deref())] {
                    let inside = |key: &&Vec<u8>| {
                        key.as_slice() >= from && to.is_none_or(|to| key.as_slice() < to)
                    };
                    let mut wanted: Vec<Pair> = state
                        .iter()
                        .filter(|(key, _)| inside(key))
                        .map(|(key, value)| (key.clone(), value.clone()))
                        .collect();
                    let found: Vec<_> = reader.range(from, to, Order::Ascending).collect();
                    prop_assert_eq!(&found, &wanted, "up, at {}", height);
                    wanted.reverse();
                    let found: Vec<_> = reader.range(from, to, Order::Descending).collect();
                    prop_assert_eq!(&found, &wanted, "down, at {}", height);
                }
                for key in states.iter().flat_map(State::keys) {
                    prop_assert_eq!(reader.get(key), state.get(key).cloned());
                }
            }
        }
    }
}
