//! State, for one question: so many steps and so long, then no more.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use plasma_modules::{Order, Pair, Read};

/// Entries that one query may look at. A page of any query needs far fewer.
pub const QUERY_STEPS_MAX: u64 = 100_000;

/// A reader that ends every walk once the question has cost too much. What was read until then
/// answers nothing: whoever asked looks at [`Bounded::spent`] first.
pub struct Bounded<'a> {
    inner: &'a dyn Read,
    steps: Cell<u64>,
    until: Instant,
    spent: Cell<bool>,
}

impl<'a> Bounded<'a> {
    /// `inner`, for [`QUERY_STEPS_MAX`] steps and `time`.
    pub fn new(inner: &'a dyn Read, time: Duration) -> Self {
        let until = Instant::now() + time;
        Self { inner, steps: Cell::new(QUERY_STEPS_MAX), until, spent: Cell::new(false) }
    }

    /// Whether more was asked for than is given.
    pub fn spent(&self) -> bool {
        self.spent.get()
    }

    fn step(&self) -> Option<()> {
        match self.steps.get().checked_sub(1) {
            Some(left) if Instant::now() < self.until => {
                self.steps.set(left);
                Some(())
            }
            _ => {
                self.spent.set(true);
                None
            }
        }
    }
}

impl Read for Bounded<'_> {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.step()?;
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
            self.step()?;
            inner.next()
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let bounded = Bounded::new(&Endless, Duration::from_secs(600));
        assert_eq!(bounded.scan(&[1]).take(10).count(), 10);
        assert!(!bounded.spent());
        let all = bounded.scan(&[1]).count() as u64;
        assert_eq!(all, QUERY_STEPS_MAX - 10);
        assert!(bounded.spent());
        assert_eq!(bounded.get(&[1]), None);
    }

    #[test]
    fn a_walk_ends_after_its_time() {
        let bounded = Bounded::new(&Endless, Duration::ZERO);
        assert_eq!(bounded.scan(&[1]).count(), 0);
        assert!(bounded.spent());
    }
}
