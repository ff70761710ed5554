//! What a node does for its state beside the blocks: snapshots, scrubs, and which blocks CometBFT
//! may let go of. Each is one thread at most, on a RocksDB snapshot; none of them holds up a commit.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use plasma_modules::{Order, Pair, Read, rules};

use crate::{
    meta::Head,
    metrics::Metrics,
    rocks::{Batch, Reader, Rocks},
    scrub,
    statesync::{Restore, Snapshots},
};

/// The time of every so many blocks is kept, to know which blocks are older than evidence may be.
const TIME_BLOCKS: u64 = 1_000;
/// Bytes that a sweep reads between two looks at the clock.
const PACE_BYTES: usize = 1 << 20;
/// A sweep says how far it is every so often.
const PROGRESS: Duration = Duration::from_secs(2);

/// What a node does beside the blocks. The default is nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Upkeep {
    /// A snapshot every so many blocks; 0 for none.
    pub snapshot_blocks: u64,
    /// Snapshots that are kept.
    pub snapshots_kept: usize,
    /// Bytes of the largest snapshot that is restored; 0 for any.
    pub restore_bytes_max: u64,
    /// Blocks that CometBFT keeps; 0 for all.
    pub retain_blocks: u64,
    /// It keeps those that evidence may be about in any case, as the chain's consensus parameters say
    /// at that height.
    pub keep_evidence: bool,
    /// Whether every key is read and hashed before the node starts.
    pub scrub_at_start: bool,
    /// And again every so many blocks while it runs; 0 for never.
    pub scrub_blocks: u64,
    /// Bytes of state read per second while blocks are made, by a scrub or a snapshot; 0 for as
    /// many as there are.
    pub bytes_per_s: u64,
}

/// The oldest block that evidence may be about after `head`, or one before it: it is void once both
/// ages, in seconds and in blocks, have passed. `times` are those of some blocks, oldest first.
fn provable_since(head: &Head, (age_s, blocks): (u64, u64), times: &[(u64, u64)]) -> u64 {
    let old = |time_s: u64| time_s.saturating_add(age_s) < head.time_s;
    let by_time = times.iter().take_while(|(_, time_s)| old(*time_s)).last();
    by_time.map_or(0, |(height, _)| *height).min(head.height.saturating_sub(blocks))
}

/// Upkeep of one node.
pub(crate) struct Keeper {
    pub upkeep: Upkeep,
    pub snapshots: Arc<Snapshots>,
    pub restore: Mutex<Option<Restore>>,
    making: Background,
    scrubbing: Background,
    metrics: Arc<Metrics>,
}

impl Keeper {
    pub fn new(upkeep: Upkeep, rocks: &Rocks, metrics: Arc<Metrics>) -> Self {
        let dir = rocks.path().with_file_name("snapshots");
        let (retain_blocks, (_, least)) =
            (upkeep.retain_blocks, rules::evidence_age(&rocks.reader()));
        if upkeep.keep_evidence && (1..least).contains(&retain_blocks) {
            tracing::warn!(
                retain_blocks,
                least,
                "store.retain_blocks is less than the blocks that evidence may be about: these are kept"
            );
        }
        Self {
            upkeep,
            snapshots: Arc::new(Snapshots::open(dir, upkeep.snapshots_kept)),
            restore: Mutex::default(),
            making: Background::default(),
            scrubbing: Background::default(),
            metrics,
        }
    }

    /// What block `head` adds to its own batch.
    pub fn mark(&self, batch: &mut Batch<'_>, reader: &Reader<'_>, head: &Head) {
        if !head.height.is_multiple_of(TIME_BLOCKS) {
            return;
        }
        batch.time(head.height, Some(head.time_s));
        // The newest that is old enough stays; those below it say nothing more.
        let (age_s, _) = rules::evidence_age(reader);
        let old = |time_s: u64| time_s.saturating_add(age_s) < head.time_s;
        let mut times = reader.times();
        times.retain(|(_, time_s)| old(*time_s));
        times.pop();
        for (height, _) in times {
            batch.time(height, None);
        }
    }

    /// The oldest block that CometBFT is to keep; 0 is all of them. Never above a block that a node
    /// restored from our oldest snapshot would ask for, nor above one that evidence may be about.
    pub fn retain_height(&self, reader: &Reader<'_>, head: &Head) -> u64 {
        let Upkeep { retain_blocks, keep_evidence, .. } = self.upkeep;
        if retain_blocks == 0 {
            return 0;
        }
        let by_count = head.height.saturating_sub(retain_blocks - 1);
        let by_evidence = if keep_evidence {
            provable_since(head, rules::evidence_age(reader), &reader.times())
        } else {
            by_count
        };
        let by_snapshot = self.snapshots.oldest().unwrap_or(u64::MAX);
        by_count.min(by_evidence).min(by_snapshot)
    }

    /// Starts what is due after block `head`. Returns once it has its view of the state, which is
    /// the time of one call.
    pub fn committed(&self, rocks: &Arc<Rocks>, head: &Head) {
        let due = |blocks: u64| blocks != 0 && head.height.is_multiple_of(blocks);
        let bytes_per_s = self.upkeep.bytes_per_s;
        if due(self.upkeep.snapshot_blocks) {
            let (snapshots, metrics) = (Arc::clone(&self.snapshots), Arc::clone(&self.metrics));
            let height = head.height;
            let started = self.making.start(rocks, move |reader, stopping| {
                let sweep = Sweep::new(reader, "snapshot", bytes_per_s, stopping);
                let started = Instant::now();
                match snapshots.make(&sweep, height) {
                    Ok(true) => metrics.snapshot(height, started.elapsed()),
                    Ok(false) => {}
                    // Nobody but a node that syncs misses it, and the next one is due.
                    Err(error) => {
                        tracing::error!(height, "no snapshot was made: {error:#}");
                    }
                }
            });
            if !started {
                tracing::warn!(
                    height = head.height,
                    "the last snapshot is not done yet, this one is skipped; raise snapshot.blocks"
                );
            }
        }
        if due(self.upkeep.scrub_blocks) {
            let (metrics, scrubbed) = (Arc::clone(&self.metrics), head.clone());
            let started = self.scrubbing.start(rocks, move |reader, stopping| {
                let sweep = Sweep::new(reader, "scrub", bytes_per_s, stopping);
                scrub::online(&sweep, &scrubbed, &metrics);
            });
            if !started {
                tracing::warn!(
                    height = head.height,
                    "the last scrub is not done yet, this one is skipped; raise scrub.blocks"
                );
            }
        }
    }

    /// Waits for what is under way.
    pub fn wait(&self) {
        self.making.wait();
        self.scrubbing.wait();
    }
}

/// A thread that works on a view of the state; at most one at a time.
#[derive(Default)]
struct Background {
    stopping: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Background {
    /// False while the last one is still at work.
    fn start(
        &self,
        rocks: &Arc<Rocks>,
        work: impl FnOnce(&Reader<'_>, &AtomicBool) + Send + 'static,
    ) -> bool {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if thread.as_ref().is_some_and(|thread| !thread.is_finished()) {
            return false;
        }
        let (rocks, stopping) = (Arc::clone(rocks), Arc::clone(&self.stopping));
        let (taken, view) = mpsc::channel();
        *thread = Some(thread::spawn(move || {
            let reader = rocks.reader();
            // Whoever waits for it cannot be gone.
            let _ = taken.send(());
            work(&reader, &stopping);
        }));
        let _ = view.recv();
        true
    }

    fn wait(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("upkeep of the state panicked; the next one is tried when it is due");
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        self.wait();
    }
}

/// The whole state, read in order at a steady pace. Ends early when the node stops: whoever uses it
/// asks [`Sweep::stopped`] before believing that it was whole.
pub(crate) struct Sweep<'a> {
    reader: &'a Reader<'a>,
    name: &'static str,
    bytes_per_s: u64,
    stopping: &'a AtomicBool,
}

impl<'a> Sweep<'a> {
    pub fn new(
        reader: &'a Reader<'a>,
        name: &'static str,
        bytes_per_s: u64,
        stopping: &'a AtomicBool,
    ) -> Self {
        Self { reader, name, bytes_per_s, stopping }
    }

    pub fn stopped(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
}

impl Read for Sweep<'_> {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.reader.get(key)
    }

    fn range<'b>(
        &'b self,
        from: &[u8],
        to: Option<&[u8]>,
        order: Order,
    ) -> Box<dyn Iterator<Item = Pair> + 'b> {
        if order == Order::Descending {
            return self.reader.range(from, to, order);
        }
        let started = Instant::now();
        let (mut told, mut pairs, mut bytes, mut unpaced) = (started, 0u64, 0u64, 0);
        let pairs = self.reader.sweep(from, to).map_while(move |(key, value)| {
            let len = key.len() + value.len();
            (pairs, bytes, unpaced) = (pairs + 1, bytes + len as u64, unpaced + len);
            if unpaced < PACE_BYTES {
                return Some((key, value));
            }
            unpaced = 0;
            if let Some(due_ms) = bytes.saturating_mul(1_000).checked_div(self.bytes_per_s) {
                let early = Duration::from_millis(due_ms).checked_sub(started.elapsed());
                thread::sleep(early.unwrap_or_default());
            }
            if told.elapsed() > PROGRESS {
                told = Instant::now();
                tracing::info!(pairs, mib = bytes >> 20, "{} reads the state", self.name);
            }
            (!self.stopped()).then_some((key, value))
        });
        Box::new(pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_proven_is_kept_by_both_ages() {
        let head = Head { height: 10_000, time_s: 50_000, ..Head::default() };
        let times = [(7_000, 30_000), (8_000, 35_000), (9_000, 40_000)];
        let since = |age_s, blocks| provable_since(&head, (age_s, blocks), &times);
        assert_eq!(since(12_000, 1_000), 8_000, "the newest block that is too old by its time");
        assert_eq!(since(15_000, 1_000), 7_000, "the last second still counts");
        assert_eq!(since(14_999, 1_000), 8_000);
        assert_eq!(since(9_000, 2_500), 7_500, "or by its height");
        assert_eq!(since(12_000, 20_000), 0, "fewer blocks than evidence may be about");
        assert_eq!(since(20_000, 1_000), 0, "none is known to be too old");
        // A vote that makes evidence last longer moves it back at once.
        assert!(since(20_000, 1_000) < since(12_000, 1_000));
        assert!(since(12_000, 4_000) < since(12_000, 1_000));
    }
}
