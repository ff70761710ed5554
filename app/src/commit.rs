//! The app hash, and proofs against it.
//!
//! State is split into named stores. Each is a sparse Merkle tree over its committed keys, with the
//! hashes of Jellyfish Merkle trees; the app hash is the ICS-23 simple Merkle root over
//! `{name -> root}`, so a proof of a key is two steps: in the store's tree, then of the store.
//!
//! The state itself is the truth. The tree is an index of it: in memory as far as [`Tree::open`]
//! allows (`nodes`), and on disk as one record per key in the block's batch (`table`).

mod nodes;
mod proof;
mod simple;
mod table;

use std::fmt;

use plasma_modules::{Read, Table};
use prost::Message;
use rayon::prelude::*;

use crate::{
    history::changed_since,
    meta::Head,
    rocks::{Batch, Reader, Rocks},
};
pub use nodes::Hash;
use nodes::{Change, Cooling, Leaf, Link, Work};
pub use proof::spec;

/// Root of a tree without keys.
pub const EMPTY_ROOT: [u8; 32] = *b"SPARSE_MERKLE_PLACEHOLDER_HASH__";
/// Keys, counted once per block that changed them, that a proof of the past may have to undo.
pub const PAST_KEYS_MAX: usize = 100_000;
/// Changes of a block from which their keys and values are hashed in parallel.
const PARALLEL_MIN: usize = 512;
/// Subtrees with at most so many keys leave memory first. Where that is not enough, those with
/// [`COLD_KEYS_STEP`] times as many follow.
const COLD_KEYS: u64 = 16;
const COLD_KEYS_STEP: u64 = 4;
/// Blocks for which a subtree that was used stays in memory, where room can be made otherwise.
const WARM_BLOCKS: u64 = 8;
/// A tree that is over its bound gives back this part of it besides, so that it does not make room
/// for each new key.
const SPARE_PART: usize = 32;

/// A named store. IBC has its own, empty so far, so that it changes no layout when it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// Everything of Plasma.
    Plasma,
    /// IBC.
    Ibc,
}

impl Store {
    /// Every store.
    pub const ALL: [Self; 2] = [Self::Plasma, Self::Ibc];

    /// Its name in proofs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plasma => "plasma",
            Self::Ibc => "ibc",
        }
    }

    /// The store of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|store| store.name() == name)
    }

    /// Whether `key` of the chain's state is committed to in this store.
    fn holds(self, key: &[u8]) -> bool {
        let derived = key.first().is_some_and(|byte| Table::is_derived(*byte));
        self == Self::Plasma && !derived
    }
}

/// The state tree as of one block. Nothing changes it; a clone is cheap and shares its memory.
#[derive(Clone)]
pub struct Tree {
    link: Link,
    height: u64,
    bytes_max: usize,
    /// Where making room goes on: a first byte of the key hashes.
    hand: u8,
    cold_keys: u64,
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tree")
            .field("height", &self.height)
            .field("keys", &self.keys())
            .field("bytes", &self.bytes())
            .finish_non_exhaustive()
    }
}

/// What one block changes in the tree. The tree it comes from stays as it is.
#[derive(Debug)]
pub struct Update {
    changes: Vec<Change>,
    tree: Tree,
    /// The app hash after it.
    pub app_hash: [u8; 32],
}

impl Update {
    /// The tree after it, which may not be on disk yet.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The tree to go on with once the block's batch is on disk.
    pub fn into_tree(self) -> Tree {
        self.tree.cooled()
    }
}

impl Tree {
    /// Loads the tree of the state in `rocks`, which is to take at most `bytes_max` of memory
    /// between blocks. Makes its table anew where there is none of this version.
    pub fn open(rocks: &Rocks, bytes_max: usize) -> Self {
        table::ensure(rocks);
        let reader = rocks.reader();
        let height = reader.head().map_or(0, |head| head.height);
        let (link, cold_keys) = table::load(&reader, bytes_max, COLD_KEYS);
        Self { link, height, bytes_max, hand: 0, cold_keys }
    }

    /// Makes the table anew and loads the tree, after the state was replaced as a whole.
    pub fn rebuild(rocks: &Rocks, bytes_max: usize) -> Self {
        let mut batch = rocks.batch();
        invalidate(&mut batch);
        batch.write();
        Self::open(rocks, bytes_max)
    }

    /// The block that it is of.
    pub fn height(&self) -> u64 {
        self.height
    }

    /// Its keys.
    pub fn keys(&self) -> u64 {
        self.link.keys
    }

    /// Memory that it takes.
    pub fn bytes(&self) -> usize {
        self.link.bytes
    }

    /// The app hash.
    pub fn app_hash(&self) -> [u8; 32] {
        app_hash(self.link.hash)
    }

    /// Computes what a block's changes (key, new value) do. `reader` reads the state before them.
    pub fn update<'c>(
        &self,
        reader: &Reader<'_>,
        height: u64,
        changes: impl IntoIterator<Item = (&'c [u8], Option<&'c [u8]>)>,
    ) -> Update {
        let held: Vec<_> =
            changes.into_iter().filter(|(key, _)| Store::Plasma.holds(key)).collect();
        let changes = hashed(&held);
        let work = Work { source: reader, used: height };
        let link = self.link.update(&changes, 0, work);
        let app_hash = app_hash(link.hash);
        Update { changes, tree: Self { link, height, ..self.clone() }, app_hash }
    }

    /// The same tree within its bound of memory. The disk must have what it drops.
    fn cooled(mut self) -> Self {
        if self.link.bytes <= self.bytes_max {
            return self;
        }
        let bytes = self.bytes_max - self.bytes_max / SPARE_PART;
        let mut before = self.height.saturating_sub(WARM_BLOCKS);
        loop {
            let cooling = Cooling { before, keys_max: self.cold_keys };
            for _ in 0..=u8::MAX {
                self.link = self.link.cooled_part(self.hand, 0, cooling);
                self.hand = self.hand.wrapping_add(1);
                if self.link.bytes <= bytes {
                    return self;
                }
            }
            if before == u64::MAX {
                if self.cold_keys > self.link.keys {
                    return self;
                }
                self.cold_keys = self.cold_keys.saturating_mul(COLD_KEYS_STEP);
            }
            before = u64::MAX;
        }
    }
}

/// The hashes of changes, in order of the keys' hashes.
fn hashed(changes: &[(&[u8], Option<&[u8]>)]) -> Vec<Change> {
    let change = |(key, value): &(&[u8], Option<&[u8]>)| Change::new(key, *value);
    let mut out: Vec<Change> = if changes.len() < PARALLEL_MIN {
        changes.iter().map(change).collect()
    } else {
        changes.par_iter().with_min_len(PARALLEL_MIN / 4).map(change).collect()
    };
    out.sort_unstable_by_key(|change| change.key);
    out
}

fn roots(plasma: [u8; 32]) -> [(&'static str, [u8; 32]); 2] {
    Store::ALL.map(|store| match store {
        Store::Plasma => (store.name(), plasma),
        Store::Ibc => (store.name(), EMPTY_ROOT),
    })
}

fn app_hash(plasma: [u8; 32]) -> [u8; 32] {
    simple::root(&roots(plasma))
}

/// Puts an update into the block's batch.
pub fn write(batch: &mut Batch<'_>, update: &Update) {
    table::write(batch, &update.changes);
}

/// Says in a batch that the state is being replaced as a whole: [`Tree::open`] then reads the state
/// instead of the tree's table, also after a crash.
pub fn invalidate(batch: &mut Batch<'_>) {
    table::invalidate(batch);
}

/// The app hash of the keys and values themselves, without the tree.
pub fn recomputed_app_hash(store: &dyn Read) -> [u8; 32] {
    let held = store.scan(&[]).filter(|(key, _)| Store::Plasma.holds(key));
    let leaf = |(key, value): (Vec<u8>, Vec<u8>)| {
        let Change { key, leaf, .. } = Change::new(&key, Some(&value));
        leaf.map(|hash| Leaf { key, hash })
    };
    let mut leaves: Vec<Leaf> = held.filter_map(leaf).collect();
    leaves.sort_unstable_by_key(|leaf| leaf.key);
    app_hash(nodes::subtree(&leaves, 0))
}

/// A value with its proof against the app hash.
#[derive(Debug)]
pub struct Proven {
    /// What the key holds; `None` is proven absence.
    pub value: Option<Vec<u8>>,
    /// ICS-23 `CommitmentProof` of the key against its store's root; see [`spec`].
    pub in_store: Vec<u8>,
    /// ICS-23 `CommitmentProof` of the store's root against the app hash; see
    /// [`ics23::tendermint_spec`].
    pub of_store: Vec<u8>,
}

/// Why a key cannot be proven.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// Nothing can be proven of a tree without keys.
    #[error("the store {0} is empty, which has no proof")]
    Empty(&'static str),
    /// Too much has changed since.
    #[error(
        "proofs reach back over {PAST_KEYS_MAX} changed keys; since block {height} it is {keys} and more: ask for a newer height"
    )]
    Far {
        /// Asked for.
        height: u64,
        /// Changed keys, as far as they were counted.
        keys: usize,
    },
    /// The records of the past do not lead to the app hash.
    #[error(
        "the history of this node does not lead back to the app hash of block {0}; ask another node"
    )]
    Damaged(u64),
}

/// Proves what `key` of `store` holds after block `past`, or that it holds nothing. `tree` and
/// `reader` are of the same block: that one, or a later one.
pub fn prove(
    tree: &Tree,
    reader: Reader<'_>,
    past: &Head,
    store: Store,
    key: Vec<u8>,
) -> Result<Proven, ProofError> {
    if store == Store::Ibc {
        return Err(ProofError::Empty(store.name()));
    }
    let height = past.height;
    let keys = changed_since(&reader, height, tree.height, PAST_KEYS_MAX)
        .map_err(|keys| ProofError::Far { height, keys })?;
    let state = reader.at(height);
    let mut changes: Vec<Change> = keys
        .iter()
        .filter(|key| store.holds(key))
        .map(|key| Change::new(key, state.get(key).as_deref()))
        .collect();
    changes.sort_unstable_by_key(|change| change.key);
    let view = proof::View { link: &tree.link, changes: &changes, reader: &state };
    let proof::InStore { value, proof, root } =
        view.prove(key).ok_or(ProofError::Empty(store.name()))?;
    if app_hash(root) != past.app_hash {
        return Err(ProofError::Damaged(height));
    }
    let of_store = simple::prove(&roots(root), store.name());
    Ok(Proven {
        value,
        in_store: proof.encode_to_vec(),
        of_store: of_store.map(|proof| proof.encode_to_vec()).unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests;
