//! What the state commitment costs on this machine: a million keys, blocks of 1k, 10k and 100k
//! changed ones. CPU time is that of all threads. Prints figures; asserts nothing about them.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use plasma_app::{
    commit::{self, Store, Tree, Update},
    meta::Head,
    rocks::Rocks,
};
use sha2::{Digest, Sha256};

/// As in plasmad.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const KEYS: u32 = 1_000_000;
const BLOCKS: u64 = 5;
/// Bytes of a value: those of an account or a balance.
const VALUE_BYTES: usize = 60;
const CACHE_BYTES: usize = 256 << 20;
const MIB: usize = 1 << 20;

fn main() -> Result<()> {
    let dir = tempfile::tempdir()?;
    sha256();
    let rocks = Rocks::open(&dir.path().join("db"), CACHE_BYTES)?;
    let state: Vec<(Vec<u8>, Vec<u8>)> =
        (0..KEYS).map(|index| (key(index), value(0, index))).collect();
    for chunk in state.chunks(100_000) {
        let mut batch = rocks.batch();
        for (key, value) in chunk {
            batch.state(key, Some(value));
        }
        batch.write();
    }
    let started = Spent::start();
    let tree = Tree::open(&rocks, 512 * MIB);
    started.print("the table from the state, and loading it");
    drop(tree);
    for threads in [1, 2] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
        let started = Spent::start();
        let tree = pool.install(|| Tree::open(&rocks, 512 * MIB));
        started.print(&format!("loading the tree from its table, {threads} threads"));
        ensure!(u64::from(KEYS) == tree.keys(), "keys are missing");
    }
    let tree = Tree::open(&rocks, 512 * MIB);
    let (keys, bytes) = (tree.keys(), tree.bytes());
    println!(
        "memory of the tree: {} MiB for {keys} keys, {} bytes each",
        bytes / MIB,
        bytes / keys as usize
    );
    let started = Spent::start();
    ensure!(commit::recomputed_app_hash(&rocks.reader()) == tree.app_hash(), "roots differ");
    started.print("the root from the state, one thread");

    println!(
        "\nCPU us per changed key      hash+tree      hash   encode   RocksDB   install      all     wall"
    );
    let mut height = 0;
    let mut tree = tree;
    for changed in [1_000, 10_000, 100_000] {
        tree = blocks(&rocks, tree, &mut height, changed, "")?;
    }
    for mib in [32, 8] {
        let cold = Tree::open(&rocks, mib * MIB);
        let cold = blocks(&rocks, cold, &mut height, 10_000, &format!("{mib} MiB"))?;
        println!("        of memory the tree takes {} MiB", cold.bytes() / MIB);
    }
    let tree = Tree::open(&rocks, 512 * MIB);
    proofs(&rocks, &tree)
}

fn key(index: u32) -> Vec<u8> {
    let hash = Sha256::digest(index.to_be_bytes());
    [&[0x10], &hash[..20]].concat()
}

fn value(round: u64, index: u32) -> Vec<u8> {
    let mut value = vec![7; VALUE_BYTES];
    value[..8].copy_from_slice(&round.to_be_bytes());
    value[8..12].copy_from_slice(&index.to_be_bytes());
    value
}

/// CPU time of the threads of this process, RocksDB's included.
fn cpu() -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let spent_ns = tasks.filter_map(|task| {
        let spent = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        spent.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(spent_ns.sum())
}

struct Spent {
    cpu: Duration,
    wall: Instant,
}

impl Spent {
    fn start() -> Self {
        Self { cpu: cpu(), wall: Instant::now() }
    }

    fn stop(&self) -> (Duration, Duration) {
        (cpu().saturating_sub(self.cpu), self.wall.elapsed())
    }

    fn print(&self, what: &str) {
        let (cpu, wall) = self.stop();
        println!("{what}: {:.2} s, CPU {:.2} s", wall.as_secs_f64(), cpu.as_secs_f64());
    }
}

/// The floor: without SHA-NI a block of 64 bytes takes some five times as long.
fn sha256() {
    const ROUNDS: u32 = 1_000_000;
    let mut message = [1; 80];
    let started = Spent::start();
    for _ in 0..ROUNDS {
        let hash = Sha256::digest(black_box(message));
        message[..32].copy_from_slice(&hash);
    }
    let ns = started.stop().0.as_nanos() / u128::from(ROUNDS);
    println!("SHA-256 of an inner node, two blocks: CPU {ns} ns");
}

fn blocks(
    rocks: &Rocks,
    mut tree: Tree,
    height: &mut u64,
    changed: u32,
    bound: &str,
) -> Result<Tree> {
    let mut spent = [Duration::ZERO; 6];
    let mut wall = Duration::ZERO;
    for _ in 0..BLOCKS {
        *height += 1;
        let first = u32::try_from(*height)?.wrapping_mul(7_919);
        let changes: Vec<(Vec<u8>, Vec<u8>)> = (0..changed)
            .map(|index| {
                let index = first.wrapping_add(index.wrapping_mul(KEYS / changed)) % KEYS;
                (key(index), value(*height, index))
            })
            .collect();
        let mut state = rocks.batch();
        for (key, value) in &changes {
            state.state(key, Some(value));
        }
        let reader = rocks.reader();
        let after = || changes.iter().map(|(key, value)| (&key[..], Some(&value[..])));

        let started = Spent::start();
        for (key, value) in after() {
            let (key, value) = (Sha256::digest(key), Sha256::digest(value.unwrap_or_default()));
            let mut leaf = Sha256::new_with_prefix(b"JMT::LeafNode");
            leaf.update(key);
            leaf.update(value);
            black_box(leaf.finalize());
        }
        spent[1] += started.stop().0;

        let started = Spent::start();
        let update: Update = tree.update(&reader, *height, after());
        spent[0] += started.stop().0;
        let mut all = started.stop();

        let mut batch = rocks.batch();
        let started = Spent::start();
        commit::write(&mut batch, &update);
        spent[2] += started.stop().0;
        all = (all.0 + started.stop().0, all.1 + started.stop().1);

        let head = Head { height: *height, app_hash: update.app_hash, ..Head::default() };
        let started = Spent::start();
        batch.write();
        spent[3] += started.stop().0;
        all = (all.0 + started.stop().0, all.1 + started.stop().1);
        state.head(&head);
        state.write();

        let started = Spent::start();
        tree = update.into_tree();
        spent[4] += started.stop().0;
        all = (all.0 + started.stop().0, all.1 + started.stop().1);
        spent[5] += all.0;
        wall += all.1;
    }
    let keys = f64::from(changed) * BLOCKS as f64;
    let us = |time: Duration| time.as_secs_f64() * 1e6 / keys;
    let [update, hash, encode, write, install, all] = spent.map(us);
    println!(
        "{changed:>7} keys {bound:>7}       {update:>9.2} {hash:>9.2} {encode:>8.2} {write:>9.2} {install:>9.2} {all:>8.2} {:>8.2}",
        us(wall)
    );
    Ok(tree)
}

fn proofs(rocks: &Rocks, tree: &Tree) -> Result<()> {
    const PROOFS: u32 = 1_000;
    let head = rocks.reader().head().context("blocks were written")?;
    for (what, known) in [("presence", true), ("absence", false)] {
        let started = Spent::start();
        for index in 0..PROOFS {
            let key = if known { key(index * 997) } else { key(KEYS + index) };
            let proven = commit::prove(tree, rocks.reader(), &head, Store::Plasma, key)?;
            ensure!(proven.value.is_some() == known, "the key is not what it should be");
        }
        println!(
            "proof of {what} at the head: CPU {:.0} us",
            started.stop().0.as_secs_f64() * 1e6 / f64::from(PROOFS)
        );
    }
    Ok(())
}
