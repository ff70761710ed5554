//! What the node counts, for Prometheus, and whether it is alive.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use plasma_modules::chain::TxResult;
use prometheus_client::{
    encoding::text::encode,
    metrics::{
        counter::Counter,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

/// Counters of one node.
pub struct Metrics {
    registry: Mutex<Registry>,
    height: Gauge,
    block_time_s: Gauge,
    block_interval_s: Gauge,
    txs: Counter,
    txs_refused: Counter,
    checks: Counter,
    checks_refused: Counter,
    panics: Counter,
    queries: Counter,
    disk_bytes: Gauge,
    execute_s: Histogram,
    commit_s: Histogram,
    last_block_time_s: AtomicU64,
    oldest_height: Gauge,
    snapshot_height: Gauge,
    snapshot_ms: Gauge,
    scrub_height: Gauge,
    scrub_ms: Gauge,
    scrub_failed: Gauge,
}

/// Buckets of durations: from 0.25 ms, doubling.
const FIRST_BUCKET_S: f64 = 0.000_25;
const BUCKETS: u16 = 16;

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Starts at zero.
    pub fn new() -> Self {
        let durations = || Histogram::new(exponential_buckets(FIRST_BUCKET_S, 2.0, BUCKETS));
        let mut registry = Registry::with_prefix("plasma");
        let metrics = Self {
            height: Gauge::default(),
            block_time_s: Gauge::default(),
            block_interval_s: Gauge::default(),
            txs: Counter::default(),
            txs_refused: Counter::default(),
            checks: Counter::default(),
            checks_refused: Counter::default(),
            panics: Counter::default(),
            queries: Counter::default(),
            disk_bytes: Gauge::default(),
            execute_s: durations(),
            commit_s: durations(),
            last_block_time_s: AtomicU64::new(0),
            oldest_height: Gauge::default(),
            snapshot_height: Gauge::default(),
            snapshot_ms: Gauge::default(),
            scrub_height: Gauge::default(),
            scrub_ms: Gauge::default(),
            scrub_failed: Gauge::default(),
            registry: Mutex::default(),
        };
        registry.register("height", "Last committed block", metrics.height.clone());
        registry.register(
            "block_time_seconds",
            "Time of the last block",
            metrics.block_time_s.clone(),
        );
        registry.register(
            "block_interval_seconds",
            "Between the last two blocks",
            metrics.block_interval_s.clone(),
        );
        registry.register("txs", "Transactions in blocks", metrics.txs.clone());
        registry.register("txs_refused", "Those of them that failed", metrics.txs_refused.clone());
        registry.register("checks", "Transactions checked for the mempool", metrics.checks.clone());
        registry.register(
            "checks_refused",
            "Those of them refused",
            metrics.checks_refused.clone(),
        );
        registry.register(
            "panics",
            "Calls that panicked and were answered",
            metrics.panics.clone(),
        );
        registry.register("queries", "Questions answered", metrics.queries.clone());
        registry.register("disk_bytes", "Tables on disk, roughly", metrics.disk_bytes.clone());
        registry.register("execute_seconds", "Executing a block", metrics.execute_s.clone());
        registry.register("commit_seconds", "Writing a block to disk", metrics.commit_s.clone());
        for (name, help, gauge) in [
            ("oldest_height", "Oldest block whose state can be read", &metrics.oldest_height),
            ("snapshot_height", "Block of the newest snapshot made", &metrics.snapshot_height),
            ("snapshot_milliseconds", "Making it", &metrics.snapshot_ms),
            ("scrub_height", "Block whose state was found whole last", &metrics.scrub_height),
            ("scrub_milliseconds", "Reading it", &metrics.scrub_ms),
            ("scrub_failed", "1: the state is wrong, the node stops", &metrics.scrub_failed),
        ] {
            registry.register(name, help, gauge.clone());
        }
        *metrics.registry.lock().unwrap_or_else(PoisonError::into_inner) = registry;
        metrics
    }

    pub(crate) fn executed(&self, took: Duration, time_s: u64, txs: &[TxResult]) {
        self.execute_s.observe(took.as_secs_f64());
        self.txs.inc_by(txs.len() as u64);
        self.txs_refused.inc_by(txs.iter().filter(|tx| tx.code != 0).count() as u64);
        let last = self.last_block_time_s.swap(time_s, Ordering::Relaxed);
        if last != 0 {
            self.block_interval_s.set(time_s.saturating_sub(last).cast_signed());
        }
        self.block_time_s.set(time_s.cast_signed());
    }

    pub(crate) fn committed(&self, took: Duration, height: u64) {
        self.commit_s.observe(took.as_secs_f64());
        self.height.set(height.cast_signed());
    }

    pub(crate) fn pruned(&self, oldest: u64) {
        self.oldest_height.set(oldest.cast_signed());
    }

    pub(crate) fn snapshot(&self, height: u64, took: Duration) {
        self.snapshot_height.set(height.cast_signed());
        self.snapshot_ms.set(i64::try_from(took.as_millis()).unwrap_or(i64::MAX));
    }

    pub(crate) fn scrubbed(&self, height: u64, took: Duration) {
        self.scrub_height.set(height.cast_signed());
        self.scrub_ms.set(i64::try_from(took.as_millis()).unwrap_or(i64::MAX));
    }

    pub(crate) fn scrub_failed(&self) {
        self.scrub_failed.set(1);
    }

    pub(crate) fn checked(&self, refused: bool) {
        self.checks.inc();
        self.checks_refused.inc_by(refused.into());
    }

    pub(crate) fn panicked(&self) {
        self.panics.inc();
    }

    pub(crate) fn queried(&self) {
        self.queries.inc();
    }

    /// The page that Prometheus reads.
    pub fn page(&self, disk_bytes: u64) -> String {
        self.disk_bytes.set(disk_bytes.cast_signed());
        let mut page = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        match encode(&mut page, &registry) {
            Ok(()) => page,
            Err(error) => format!("# {error}\n"),
        }
    }
}
