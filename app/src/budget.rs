//! What one question may cost: so many steps and so long.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// Counts down what is looked at for one question. Atomic, because readers are shared by threads.
pub(crate) struct Budget {
    steps: AtomicU64,
    until: Instant,
    spent: AtomicBool,
}

impl Budget {
    /// So many steps, within `time`.
    pub fn new(steps: u64, time: Duration) -> Self {
        let until = Instant::now() + time;
        Self { steps: AtomicU64::new(steps), until, spent: AtomicBool::new(false) }
    }

    /// Takes a step; `None` when there is none left.
    pub fn step(&self) -> Option<()> {
        let less = |steps: u64| steps.checked_sub(1);
        let taken = self.steps.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok();
        if taken && Instant::now() < self.until {
            return Some(());
        }
        self.spent.store(true, Ordering::Relaxed);
        None
    }

    /// Whether more was asked for than is given.
    pub fn spent(&self) -> bool {
        self.spent.load(Ordering::Relaxed)
    }
}
