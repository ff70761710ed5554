//! Changes held above a store until they are wanted.

use alloc::{boxed::Box, collections::BTreeMap, vec::Vec};
use core::{cmp::Ordering, iter, ops::Bound};

use super::{Order, Pair, Read, Write};

/// Changes: key to new value, or to nothing.
pub type Writes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// Writes kept above `base`. Dropping the overlay undoes them.
///
/// ```text
/// disk snapshot <- block overlay <- transaction overlay
/// ```
pub struct Overlay<'a> {
    base: &'a dyn Read,
    writes: Writes,
}

impl<'a> Overlay<'a> {
    /// Starts with no changes.
    pub fn new(base: &'a dyn Read) -> Self {
        Self { base, writes: Writes::new() }
    }

    /// Goes on with changes that were made earlier.
    pub fn resume(base: &'a dyn Read, writes: Writes) -> Self {
        Self { base, writes }
    }

    /// Takes the changes out, to be written below.
    pub fn into_writes(self) -> Writes {
        self.writes
    }

    /// Accepts the changes of an overlay that stood above this one.
    pub fn merge(&mut self, writes: Writes) {
        self.writes.extend(writes);
    }
}

type Bounds = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// Bounds for a `BTreeMap` range, `None` where it would be empty.
pub(super) fn bounds(from: &[u8], to: Option<&[u8]>) -> Option<Bounds> {
    if to.is_some_and(|to| to <= from) {
        return None;
    }
    let to = to.map_or(Bound::Unbounded, |to| Bound::Excluded(to.to_vec()));
    Some((Bound::Included(from.to_vec()), to))
}

impl Read for Overlay<'_> {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        match self.writes.get(key) {
            Some(change) => change.clone(),
            None => self.base.get(key),
        }
    }

    fn has(&self, key: &[u8]) -> bool {
        match self.writes.get(key) {
            Some(change) => change.is_some(),
            None => self.base.has(key),
        }
    }

    fn range<'b>(
        &'b self,
        from: &[u8],
        to: Option<&[u8]>,
        order: Order,
    ) -> Box<dyn Iterator<Item = Pair> + 'b> {
        let Some(bounds) = bounds(from, to) else { return Box::new(iter::empty()) };
        let mut below = self.base.range(from, to, order).peekable();
        let writes = self.writes.range(bounds);
        let writes: Box<dyn Iterator<Item = _> + 'b> = match order {
            Order::Ascending => Box::new(writes),
            Order::Descending => Box::new(writes.rev()),
        };
        let mut above = writes.peekable();
        let merged = iter::from_fn(move || {
            let side = match (above.peek(), below.peek()) {
                (None, None) => return None,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some((key, _)), Some((under, _))) => match order {
                    Order::Ascending => (*key).cmp(under),
                    Order::Descending => under.cmp(key),
                },
            };
            if side == Ordering::Equal {
                below.next();
            }
            if side == Ordering::Greater {
                below.next().map(|(key, value)| (key, Some(value)))
            } else {
                above.next().map(|(key, change)| (key.clone(), change.clone()))
            }
        });
        Box::new(merged.filter_map(|(key, change)| change.map(|value| (key, value))))
    }
}

impl Write for Overlay<'_> {
    fn set(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        self.writes.insert(key, value);
    }
}
