//! What the node counts, for Prometheus.
//!
//! Counters are kept as things happen; what can be read at any time (sizes, the process, prices) is
//! read when the page is asked for. No label holds anything that a user wrote.

mod process;

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use plasma_modules::chain::TxResult;
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
        info::Info,
    },
    registry::{Registry, Unit},
};

use crate::{VERSION, rocks::Stats};

/// A number of which a `u64` would lose the fraction, or an `i64` the size.
type Real = Gauge<f64, AtomicU64>;

/// How a transaction ended: code 0 with an empty codespace is success.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ending {
    codespace: &'static str,
    code: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Checked {
    kind: &'static str,
    codespace: String,
    code: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Call {
    call: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Method {
    method: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    method: String,
    code: i32,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FamilyName {
    family: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct State {
    state: &'static str,
}

/// Buckets of durations: from 0.25 ms, doubling, to 8 s.
const FIRST_BUCKET_S: f64 = 0.000_25;
const BUCKETS: u16 = 16;
/// Buckets of answers to users: from 0.25 ms, fourfold, to 16 s.
const ANSWER_BUCKETS: u16 = 9;
/// Buckets of the time between blocks: from 0.25 s, doubling, to two minutes.
const FIRST_INTERVAL_S: f64 = 0.25;
const INTERVAL_BUCKETS: u16 = 10;

fn durations() -> Histogram {
    Histogram::new(exponential_buckets(FIRST_BUCKET_S, 2.0, BUCKETS))
}

fn answers() -> Histogram {
    Histogram::new(exponential_buckets(FIRST_BUCKET_S, 4.0, ANSWER_BUCKETS))
}

/// What is read of the chain and the disk for one page.
#[derive(Clone, Debug, Default)]
pub struct Scrape {
    /// The database.
    pub store: Stats,
    /// Connections of CometBFT.
    pub abci_connections: usize,
    /// All XPL, uxpl.
    pub supply_uxpl: u128,
    /// Base price of gas, nano-uxpl.
    pub base_fee_nuxpl_per_gas: u64,
    /// Burned by the market since genesis, uxpl.
    pub market_burned_uxpl: u128,
    /// Charged by the market since genesis, uxpl.
    pub market_charged_uxpl: u128,
    /// Jobs since genesis: opened, settled, refunded.
    pub jobs: [u64; 3],
    /// Transactions that wait for a block.
    pub waiting_txs: usize,
    /// Their bytes.
    pub waiting_bytes: usize,
    /// Bytes of those that the front door has not put into a carrier yet.
    pub held_bytes: usize,
    /// Height of a planned upgrade that this program does not know; 0 without one.
    pub upgrade_height: u64,
}

/// Counters of one node.
pub struct Metrics {
    registry: Mutex<Registry>,
    height: Gauge,
    block_time_s: Gauge,
    block_interval_s: Histogram,
    block_txs: Gauge,
    block_gas: Gauge,
    txs: Family<Ending, Counter>,
    gas_used: Counter,
    checks: Family<Checked, Counter>,
    check_waiting: Gauge,
    check_waiting_bytes: Gauge,
    frontdoor_held_bytes: Gauge,
    upgrade_height: Gauge,
    execute_s: Histogram,
    commit_s: Histogram,
    abci_s: Family<Call, Histogram, fn() -> Histogram>,
    abci_connections: Gauge,
    panics: Counter,
    proposals_failed: Counter,
    queries: Counter,
    answered: Family<Answered, Counter>,
    answer_s: Family<Method, Histogram, fn() -> Histogram>,
    base_fee: Gauge,
    supply: Real,
    burned: Real,
    charged: Real,
    jobs: Family<State, Gauge>,
    store: Store,
    process: process::Process,
    last_block_time_s: AtomicU64,
    oldest_height: Gauge,
    snapshot_height: Gauge,
    snapshot_s: Real,
    scrub_height: Gauge,
    scrub_s: Real,
    scrub_failed: Gauge,
}

struct Store {
    sst_bytes: Family<FamilyName, Gauge>,
    memtable_bytes: Family<FamilyName, Gauge>,
    pending_compaction_bytes: Family<FamilyName, Gauge>,
    keys: Family<FamilyName, Gauge>,
    cache_used_bytes: Gauge,
    cache_hits: Counter,
    cache_misses: Counter,
    wal_syncs: Counter,
    compactions: Gauge,
    write_stopped: Gauge,
    disk_bytes: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// Raises a counter to what somebody else has counted.
fn raise(counter: &Counter, to: u64) {
    counter.inc_by(to.saturating_sub(counter.get()));
}

fn gauge(gauge: &Gauge, to: u64) {
    gauge.set(i64::try_from(to).unwrap_or(i64::MAX));
}

impl Store {
    fn new(into: &mut Registry) -> Self {
        let store = Self {
            sst_bytes: Family::default(),
            memtable_bytes: Family::default(),
            pending_compaction_bytes: Family::default(),
            keys: Family::default(),
            cache_used_bytes: Gauge::default(),
            cache_hits: Counter::default(),
            cache_misses: Counter::default(),
            wal_syncs: Counter::default(),
            compactions: Gauge::default(),
            write_stopped: Gauge::default(),
            disk_bytes: Gauge::default(),
        };
        let Self {
            sst_bytes,
            memtable_bytes,
            pending_compaction_bytes,
            keys,
            cache_used_bytes,
            cache_hits,
            cache_misses,
            wal_syncs,
            compactions,
            write_stopped,
            disk_bytes,
        } = &store;
        into.register("disk_bytes", "Tables on disk, roughly", disk_bytes.clone());
        let into = into.sub_registry_with_prefix("rocksdb");
        into.register("sst_bytes", "Tables on disk", sst_bytes.clone());
        into.register("memtable_bytes", "Tables in memory", memtable_bytes.clone());
        into.register(
            "pending_compaction_bytes",
            "What compaction has to rewrite, roughly",
            pending_compaction_bytes.clone(),
        );
        into.register("keys", "Keys, roughly", keys.clone());
        into.register("cache_used_bytes", "Block cache in use", cache_used_bytes.clone());
        into.register("cache_hits", "Blocks found in the cache", cache_hits.clone());
        into.register("cache_misses", "Blocks read from disk", cache_misses.clone());
        into.register("wal_syncs", "Times the log was forced to disk", wal_syncs.clone());
        into.register("compactions", "Compactions under way", compactions.clone());
        into.register("write_stopped", "1 while writes wait for compaction", write_stopped.clone());
        store
    }

    fn set(&self, stats: &Stats) {
        for one in &stats.families {
            let label = FamilyName { family: one.name };
            gauge(&self.sst_bytes.get_or_create(&label), one.sst_bytes);
            gauge(&self.memtable_bytes.get_or_create(&label), one.memtable_bytes);
            gauge(
                &self.pending_compaction_bytes.get_or_create(&label),
                one.pending_compaction_bytes,
            );
            gauge(&self.keys.get_or_create(&label), one.keys);
        }
        gauge(&self.cache_used_bytes, stats.cache_used_bytes);
        raise(&self.cache_hits, stats.cache_hits);
        raise(&self.cache_misses, stats.cache_misses);
        raise(&self.wal_syncs, stats.wal_syncs);
        gauge(&self.compactions, stats.compactions);
        self.write_stopped.set(stats.write_stopped.into());
        gauge(&self.disk_bytes, stats.families.iter().map(|one| one.sst_bytes).sum());
    }
}

impl Metrics {
    /// Starts at zero.
    pub fn new() -> Self {
        let mut root = Registry::default();
        let process = process::Process::new(root.sub_registry_with_prefix("process"));
        let into = root.sub_registry_with_prefix("plasma");
        let store = Store::new(into);
        let metrics = Self {
            height: Gauge::default(),
            block_time_s: Gauge::default(),
            block_interval_s: Histogram::new(exponential_buckets(
                FIRST_INTERVAL_S,
                2.0,
                INTERVAL_BUCKETS,
            )),
            block_txs: Gauge::default(),
            block_gas: Gauge::default(),
            txs: Family::default(),
            gas_used: Counter::default(),
            checks: Family::default(),
            check_waiting: Gauge::default(),
            check_waiting_bytes: Gauge::default(),
            frontdoor_held_bytes: Gauge::default(),
            upgrade_height: Gauge::default(),
            execute_s: durations(),
            commit_s: durations(),
            abci_s: Family::new_with_constructor(durations),
            abci_connections: Gauge::default(),
            panics: Counter::default(),
            proposals_failed: Counter::default(),
            queries: Counter::default(),
            answered: Family::default(),
            answer_s: Family::new_with_constructor(answers),
            base_fee: Gauge::default(),
            supply: Real::default(),
            burned: Real::default(),
            charged: Real::default(),
            jobs: Family::default(),
            store,
            process,
            last_block_time_s: AtomicU64::new(0),
            oldest_height: Gauge::default(),
            snapshot_height: Gauge::default(),
            snapshot_s: Real::default(),
            scrub_height: Gauge::default(),
            scrub_s: Real::default(),
            scrub_failed: Gauge::default(),
            registry: Mutex::default(),
        };
        metrics.register(into);
        *metrics.registry.lock().unwrap_or_else(PoisonError::into_inner) = root;
        metrics
    }

    fn register(&self, into: &mut Registry) {
        into.register(
            "build",
            "Which plasmad this is",
            Info::new([("version".to_owned(), VERSION.to_owned())]),
        );
        into.register("height", "Last committed block", self.height.clone());
        into.register_with_unit(
            "block_timestamp",
            "Time of the last block, since 1970",
            Unit::Seconds,
            self.block_time_s.clone(),
        );
        into.register_with_unit(
            "block_interval",
            "Between blocks, by their times",
            Unit::Seconds,
            self.block_interval_s.clone(),
        );
        into.register("block_txs", "Transactions of the last block", self.block_txs.clone());
        into.register("block_gas", "Gas that the last block used", self.block_gas.clone());
        into.register("txs", "Transactions in blocks, by how they ended", self.txs.clone());
        into.register("gas_used", "Gas that transactions used", self.gas_used.clone());
        into.register("checks", "Transactions checked for the mempool", self.checks.clone());
        into.register(
            "check_waiting",
            "Transactions that wait for a block, carried or not",
            self.check_waiting.clone(),
        );
        into.register("check_waiting_bytes", "Their bytes", self.check_waiting_bytes.clone());
        into.register(
            "frontdoor_held_bytes",
            "Bytes of those that are in no carrier yet",
            self.frontdoor_held_bytes.clone(),
        );
        into.register(
            "upgrade_height",
            "Height of a planned upgrade that this program does not know, 0 without one",
            self.upgrade_height.clone(),
        );
        into.register_with_unit(
            "execute",
            "Executing a block",
            Unit::Seconds,
            self.execute_s.clone(),
        );
        into.register_with_unit(
            "commit",
            "Writing a block to disk",
            Unit::Seconds,
            self.commit_s.clone(),
        );
        into.register_with_unit("abci", "Calls of CometBFT", Unit::Seconds, self.abci_s.clone());
        into.register(
            "abci_connections",
            "Connections of CometBFT that are open",
            self.abci_connections.clone(),
        );
        into.register("panics", "Calls that panicked and were answered", self.panics.clone());
        into.register(
            "proposals_failed",
            "Blocks that this node was to propose and could not, as with another beacon key than the chain's",
            self.proposals_failed.clone(),
        );
        into.register("queries", "Questions that came in", self.queries.clone());
        into.register(
            "answers",
            "Questions answered on gRPC and REST, by gRPC's code",
            self.answered.clone(),
        );
        into.register_with_unit(
            "answer",
            "Answering a question on gRPC or REST",
            Unit::Seconds,
            self.answer_s.clone(),
        );
        for (name, help, gauge) in [
            ("oldest_height", "Oldest block whose state can be read", &self.oldest_height),
            ("snapshot_height", "Block of the newest snapshot made", &self.snapshot_height),
            ("scrub_height", "Block whose state was found whole last", &self.scrub_height),
            ("scrub_failed", "1: the state is wrong, the node stops", &self.scrub_failed),
        ] {
            into.register(name, help, gauge.clone());
        }
        for (name, help, gauge) in [
            ("snapshot", "Making the newest snapshot", &self.snapshot_s),
            ("scrub", "Reading the state for the last scrub", &self.scrub_s),
        ] {
            into.register_with_unit(name, help, Unit::Seconds, gauge.clone());
        }
        into.register(
            "base_fee_nuxpl_per_gas",
            "Base price of gas, nano-uxpl",
            self.base_fee.clone(),
        );
        into.register("supply_uxpl", "All XPL there is, uxpl", self.supply.clone());
        into.register(
            "market_burned_uxpl",
            "Burned by the market since genesis, uxpl",
            self.burned.clone(),
        );
        into.register(
            "market_charged_uxpl",
            "Charged for jobs since genesis, uxpl",
            self.charged.clone(),
        );
        into.register("jobs", "Jobs since genesis that reached a state", self.jobs.clone());
    }

    pub(crate) fn executed(&self, took: Duration, time_s: u64, txs: &[TxResult]) {
        self.execute_s.observe(took.as_secs_f64());
        let mut gas = 0u64;
        for tx in txs {
            gas = gas.saturating_add(tx.gas_used);
            // A success names no rule.
            let codespace = if tx.code == 0 { "" } else { tx.codespace };
            self.txs.get_or_create(&Ending { codespace, code: tx.code }).inc();
        }
        self.gas_used.inc_by(gas);
        gauge(&self.block_txs, txs.len() as u64);
        gauge(&self.block_gas, gas);
        let last = self.last_block_time_s.swap(time_s, Ordering::Relaxed);
        if last != 0 {
            self.block_interval_s.observe(time_s.saturating_sub(last) as f64);
        }
        gauge(&self.block_time_s, time_s);
    }

    pub(crate) fn committed(&self, took: Duration, height: u64) {
        self.commit_s.observe(took.as_secs_f64());
        gauge(&self.height, height);
    }

    pub(crate) fn pruned(&self, oldest: u64) {
        self.oldest_height.set(oldest.cast_signed());
    }

    pub(crate) fn snapshot(&self, height: u64, took: Duration) {
        self.snapshot_height.set(height.cast_signed());
        self.snapshot_s.set(took.as_secs_f64());
    }

    pub(crate) fn scrubbed(&self, height: u64, took: Duration) {
        self.scrub_height.set(height.cast_signed());
        self.scrub_s.set(took.as_secs_f64());
    }

    pub(crate) fn scrub_failed(&self) {
        self.scrub_failed.set(1);
    }

    /// A transaction was checked; `again` after a block that did not take it.
    pub(crate) fn checked(&self, again: bool, codespace: &str, code: u32) {
        let kind = if again { "again" } else { "new" };
        let codespace = if code == 0 { String::new() } else { codespace.to_owned() };
        self.checks.get_or_create(&Checked { kind, codespace, code }).inc();
    }

    /// A call of CometBFT was answered.
    pub(crate) fn called(&self, call: &'static str, took: Duration) {
        self.abci_s.get_or_create(&Call { call }).observe(took.as_secs_f64());
    }

    pub(crate) fn panicked(&self) {
        self.panics.inc();
    }

    pub(crate) fn proposal_failed(&self) {
        self.proposals_failed.inc();
    }

    pub(crate) fn queried(&self) {
        self.queries.inc();
    }

    /// A question was answered on gRPC or REST. `method` must be one that is served: a label that
    /// strangers choose would grow without bound.
    pub(crate) fn answered(&self, method: &str, code: i32, took: Duration) {
        let method = method.to_owned();
        self.answer_s.get_or_create(&Method { method: method.clone() }).observe(took.as_secs_f64());
        self.answered.get_or_create(&Answered { method, code }).inc();
    }

    /// The page that Prometheus reads.
    pub fn page(&self, scrape: &Scrape) -> String {
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        let Scrape {
            store,
            abci_connections,
            supply_uxpl,
            base_fee_nuxpl_per_gas,
            market_burned_uxpl,
            market_charged_uxpl,
            jobs,
            waiting_txs,
            waiting_bytes,
            held_bytes,
            upgrade_height,
        } = scrape;
        self.store.set(store);
        gauge(&self.abci_connections, *abci_connections as u64);
        gauge(&self.check_waiting, *waiting_txs as u64);
        gauge(&self.check_waiting_bytes, *waiting_bytes as u64);
        gauge(&self.frontdoor_held_bytes, *held_bytes as u64);
        gauge(&self.upgrade_height, *upgrade_height);
        self.supply.set(*supply_uxpl as f64);
        gauge(&self.base_fee, *base_fee_nuxpl_per_gas);
        self.burned.set(*market_burned_uxpl as f64);
        self.charged.set(*market_charged_uxpl as f64);
        for (state, count) in ["opened", "settled", "refunded"].into_iter().zip(jobs) {
            gauge(&self.jobs.get_or_create(&State { state }), *count);
        }
        self.process.read();
        let mut page = String::new();
        match encode(&mut page, &registry) {
            Ok(()) => page,
            Err(error) => format!("# {error}\n"),
        }
    }
}
