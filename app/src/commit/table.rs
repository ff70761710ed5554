//! The tree on disk: one record per key, in the block's batch.
//!
//! `l` key hash -> hash of the leaf, then the key. `v` -> version of this layout; it is written
//! last, so a table without it is not whole and is made anew from the state.

use std::{
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use plasma_modules::{Pair, Read};
use rayon::prelude::*;

use super::{
    Store,
    nodes::{Change, Cooling, Hash, Leaf, Leaves, Link},
};
use crate::rocks::{Batch, Reader, Rocks, stop};

/// Version of the table's layout; another one is replaced when the database is opened.
const VERSION: u8 = 2;
const VERSION_KEY: &[u8] = b"v";
const LEAF: u8 = b'l';
/// Keys that are hashed and written together while the table is made anew.
const FILL_KEYS: usize = 65_536;
/// A tree is loaded in parts, one per first byte of the key hashes.
const PARTS: usize = 256;
/// Time after which, and intervals in which, progress is told.
const PROGRESS: Duration = Duration::from_secs(2);

fn record_key(key: &Hash) -> [u8; 33] {
    let mut out = [LEAF; 33];
    out[1..].copy_from_slice(key);
    out
}

fn leaf((key, value): &Pair) -> Leaf {
    let key = key.get(1..).and_then(|key| key.first_chunk());
    match (key, value.first_chunk()) {
        (Some(key), Some(hash)) => Leaf { key: *key, hash: *hash },
        _ => stop("a record of the state tree cannot be read", "too short"),
    }
}

/// Puts changes of leaves into a batch.
pub fn write(batch: &mut Batch<'_>, changes: &[Change]) {
    let mut value = Vec::new();
    for change in changes {
        let key = record_key(&change.key);
        match &change.leaf {
            None => batch.tree(&key, None),
            Some(leaf) => {
                value.clear();
                value.extend_from_slice(leaf);
                value.extend_from_slice(&change.name);
                batch.tree(&key, Some(&value));
            }
        }
    }
}

/// Says in a batch that the table is not the state's any more.
pub fn invalidate(batch: &mut Batch<'_>) {
    batch.tree(VERSION_KEY, None);
}

/// The key whose hash is `key`.
pub fn name(reader: &Reader<'_>, key: &Hash) -> Option<Vec<u8>> {
    reader.tree(&record_key(key))?.get(32..).map(<[u8]>::to_vec)
}

/// Whether two keys begin with the same `depth` bits.
fn same_prefix(left: &Hash, right: &Hash, depth: usize) -> bool {
    let bytes = depth / 8;
    let rest = 0xff00_u16 >> (depth % 8);
    let same = |at: usize, mask: u16| match (left.get(at), right.get(at)) {
        (Some(left), Some(right)) => u16::from(left ^ right) & mask & 0xff == 0,
        _ => true,
    };
    left[..bytes] == right[..bytes] && same(bytes, rest)
}

impl Leaves for Reader<'_> {
    fn leaves(&self, key: &Hash, depth: usize) -> Vec<Leaf> {
        let mut first = *key;
        for (at, byte) in first.iter_mut().enumerate() {
            let kept = depth.saturating_sub(8 * at).min(8);
            *byte &= (0xff00_u16 >> kept).to_be_bytes()[1];
        }
        let records = self.tree_from(&record_key(&first));
        let records = records.take_while(|(key, _)| key.first() == Some(&LEAF));
        records
            .map(|pair| leaf(&pair))
            .take_while(|leaf| same_prefix(&leaf.key, key, depth))
            .collect()
    }
}

/// Tells how far something is that takes long.
struct Progress {
    since: Instant,
    told_ms: AtomicU64,
    done: AtomicUsize,
}

impl Progress {
    fn new() -> Self {
        Self { since: Instant::now(), told_ms: AtomicU64::new(0), done: AtomicUsize::new(0) }
    }

    fn add(&self, done: usize, tell: impl FnOnce(usize)) {
        let done = self.done.fetch_add(done, Ordering::Relaxed) + done;
        let now = self.since.elapsed();
        let told = self.told_ms.load(Ordering::Relaxed);
        if now.saturating_sub(Duration::from_millis(told)) >= PROGRESS {
            self.told_ms
                .store(u64::try_from(now.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
            tell(done);
        }
    }
}

/// Makes the table anew from the state, unless it is there.
pub fn ensure(rocks: &Rocks) {
    let reader = rocks.reader();
    if reader.tree(VERSION_KEY).is_some_and(|version| version == [VERSION]) {
        return;
    }
    let mut batch = rocks.batch();
    batch.tree_clear();
    batch.write();
    let progress = Progress::new();
    let mut pairs = reader.scan(&[]).filter(|(key, _)| Store::Plasma.holds(key)).peekable();
    while pairs.peek().is_some() {
        let chunk: Vec<Pair> = pairs.by_ref().take(FILL_KEYS).collect();
        let mut changes: Vec<Change> =
            chunk.par_iter().map(|(key, value)| Change::new(key, Some(value))).collect();
        changes.par_sort_unstable_by_key(|change| change.key);
        let mut batch = rocks.batch();
        write(&mut batch, &changes);
        batch.write();
        progress
            .add(changes.len(), |keys| tracing::info!(keys, "writing the table of the state tree"));
    }
    let mut batch = rocks.batch();
    batch.tree(VERSION_KEY, Some(&[VERSION]));
    batch.write();
}

/// Loads the tree, in at most about `bytes_max` of memory.
pub fn load(reader: &Reader<'_>, bytes_max: usize, mut cold_keys: u64) -> (Link, u64) {
    let progress = Progress::new();
    let part_bytes_max = bytes_max / PARTS;
    let parts: Vec<(Link, u64)> = (0..=u8::MAX)
        .into_par_iter()
        .map(|part| {
            let mut key = [0; 32];
            key[0] = part;
            let mut link = Link::build(&reader.leaves(&key, 8), 8, 0);
            let mut keys_max = cold_keys;
            while link.bytes > part_bytes_max {
                link = link.cooled_part(part, 8, Cooling { before: u64::MAX, keys_max });
                keys_max = keys_max.saturating_mul(super::COLD_KEYS_STEP);
            }
            progress.add(1, |parts| {
                tracing::info!("loading the state tree: {parts} of {PARTS} parts");
            });
            (link, keys_max)
        })
        .collect();
    let mut level: Vec<Link> = Vec::with_capacity(PARTS);
    for (link, keys_max) in parts {
        cold_keys = cold_keys.max(keys_max);
        level.push(link);
    }
    for depth in (0..8).rev() {
        let mut sides = level.into_iter();
        let mut above = Vec::new();
        while let (Some(left), Some(right)) = (sides.next(), sides.next()) {
            above.push(Link::branch(left, right, depth, 0));
        }
        level = above;
    }
    (level.pop().unwrap_or(Link::EMPTY), cold_keys)
}
