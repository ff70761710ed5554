//! State, for one question: so many steps and so long, then no more.

use plasma_modules::{Order, Pair, Read};

use crate::budget::Budget;

/// Entries that one query may look at, records of the past included. A page of any query needs far
/// fewer.
pub const QUERY_STEPS_MAX: u64 = 100_000;

/// A reader that ends every walk once the question has cost too much. What was read until then
/// answers nothing: whoever asked looks at [`Budget::spent`] first.
pub struct Bounded<'a> {
    inner: &'a dyn Read,
    budget: &'a Budget,
}

impl<'a> Bounded<'a> {
    /// `inner`, as long as there is something left of `budget`.
    pub fn new(inner: &'a dyn Read, budget: &'a Budget) -> Self {
        Self { inner, budget }
    }
}

impl Read for Bounded<'_> {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.budget.step()?;
        self.inner.get(key)
    }

    fn range<'a>(
        &'a self,
        from: &[u8],
        to: Option<&[u8]>,
        order: Order,
    ) -> Box<dyn Iterator<Item = Pair> + 'a> {
        let mut inner = self.inner.range(from, to, order);
        Box::new(std::iter::from_fn(move || {
            self.budget.step()?;
            inner.next().filter(|_| !self.budget.spent())
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        history::{Changes, commit_block},
        rocks::Rocks,
    };

    const LONG: Duration = Duration::from_secs(600);

    /// A table without an end.
    struct Endless;

    impl Read for Endless {
        fn get(&self, _: &[u8]) -> Option<Vec<u8>> {
            Some(Vec::new())
        }

        fn range<'a>(
            &'a self,
            _: &[u8],
            _: Option<&[u8]>,
            _: Order,
        ) -> Box<dyn Iterator<Item = Pair> + 'a> {
            Box::new(std::iter::repeat_with(|| (vec![1], vec![2])))
        }
    }

    #[test]
    fn a_walk_ends_after_its_steps() {
        let budget = Budget::new(QUERY_STEPS_MAX, LONG);
        let bounded = Bounded::new(&Endless, &budget);
        assert_eq!(bounded.scan(&[1]).take(10).count(), 10);
        assert!(!budget.spent());
        let all = bounded.scan(&[1]).count() as u64;
        assert_eq!(all, QUERY_STEPS_MAX - 10);
        assert!(budget.spent());
        assert_eq!(bounded.get(&[1]), None);
    }

    #[test]
    fn a_walk_ends_after_its_time() {
        let budget = Budget::new(QUERY_STEPS_MAX, Duration::ZERO);
        let bounded = Bounded::new(&Endless, &budget);
        assert_eq!(bounded.scan(&[1]).count(), 0);
        assert!(budget.spent());
    }

    #[test]
    fn a_walk_of_the_past_pays_for_what_came_later() {
        const NEWER: u64 = 1_000;
        let dir = tempfile::tempdir().unwrap();
        let rocks = Rocks::open(dir.path(), 1 << 20).unwrap();
        let key = |n: u64| n.to_be_bytes().to_vec();
        let first = Changes::from([(key(u64::MAX), (None, Some(vec![1])))]);
        let newer = (0..NEWER).map(|n| (key(n), (None, Some(vec![2]))));
        commit_block(&rocks, 1, &first);
        commit_block(&rocks, 2, &newer.collect());

        // One answer, behind all that is skipped.
        for (steps, spent) in [(NEWER / 2, true), (2 * NEWER, false)] {
            for order in [Order::Ascending, Order::Descending] {
                let budget = Budget::new(steps, LONG);
                let reader = rocks.reader().at(1).within(&budget);
                let bounded = Bounded::new(&reader, &budget);
                let pairs: Vec<_> = bounded.range(&[], None, order).collect();
                assert_eq!(budget.spent(), spent, "{steps} {order:?}");
                // Never anything that was not there.
                if !spent || !pairs.is_empty() {
                    assert_eq!(pairs, [(key(u64::MAX), vec![1])]);
                }
            }
        }
    }
}
