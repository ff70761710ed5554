//! The app hash, and proofs against it.
//!
//! State is split into named stores. Each has a Jellyfish Merkle tree over its committed keys; the
//! app hash is the ICS-23 simple Merkle root over `{name -> root}`, so a proof of a key is two
//! steps: in the store's tree, then of the store. Nodes are versioned by height.
//!
//! Keys in the column family `tree`, behind the store's byte:
//! `n` version path -> node; `s` version path: stale since version; `p` key hash -> key;
//! `q` version key hash: key removed at version.

mod simple;

use std::collections::BTreeMap;

use borsh::BorshDeserialize;
use jmt::{
    KeyHash, OwnedValue, Sha256Jmt,
    storage::{HasPreimage, LeafNode, Node, NodeBatch, NodeKey, TreeReader, TreeUpdateBatch},
};
use plasma_modules::{Read, Table};
use prost::Message;
use sha2::{Digest, Sha256};

use crate::{
    history::{Changes, History},
    rocks::{Batch, Reader, stop},
};

/// Tree nodes that are deleted per block at most, so that a backlog cannot hold up a commit.
const PRUNED_PER_BLOCK_MAX: usize = 50_000;

/// Root of a tree without keys.
pub const EMPTY_ROOT: [u8; 32] = *b"SPARSE_MERKLE_PLACEHOLDER_HASH__";

/// A named store. IBC has its own, empty so far, so that it changes no layout when it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// Everything of Plasma.
    Plasma,
    /// IBC.
    Ibc,
}

impl Store {
    /// Every store, in order of their names' bytes in the tree's keys.
    pub const ALL: [Self; 2] = [Self::Plasma, Self::Ibc];

    /// Its name in proofs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plasma => "plasma",
            Self::Ibc => "ibc",
        }
    }

    const fn byte(self) -> u8 {
        match self {
            Self::Plasma => 0,
            Self::Ibc => 1,
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

/// What one block changes in the trees.
#[derive(Default)]
pub(crate) struct Update {
    version: u64,
    /// Per store, in the order of [`Store::ALL`].
    trees: Vec<TreeUpdateBatch>,
    /// Key hashes of new keys, and of removed ones.
    preimages: BTreeMap<[u8; 32], Vec<u8>>,
    removed: Vec<[u8; 32]>,
    /// The app hash after it.
    pub app_hash: [u8; 32],
}

/// Computes what `changes` do to the trees at `version`. `before` is an update that is not on disk
/// yet: that of genesis, while the first block is executed.
pub(crate) fn update(
    reader: &Reader<'_>,
    before: Option<&Update>,
    version: u64,
    changes: &Changes,
) -> Update {
    let mut out = Update { version, ..Update::default() };
    let mut roots = Vec::new();
    for store in Store::ALL {
        let nodes = Nodes { reader, store, before, height: None };
        let held = changes.iter().filter(|(key, _)| store.holds(key));
        let mut set = Vec::new();
        for (key, (old, new)) in held {
            let hash = KeyHash::with::<Sha256>(key);
            match (old, new) {
                (None, Some(_)) => drop(out.preimages.insert(hash.0, key.clone())),
                (Some(_), None) => out.removed.push(hash.0),
                _ => {}
            }
            set.push((hash, new.clone()));
        }
        let (root, tree) = Sha256Jmt::new(&nodes)
            .put_value_set(set, version)
            .unwrap_or_else(|error| stop("the state tree cannot be updated", error));
        roots.push((store.name(), root.0));
        out.trees.push(tree);
    }
    out.app_hash = simple::root(&roots);
    out
}

/// Puts an update into the block's batch.
pub(crate) fn write(batch: &mut Batch<'_>, update: &Update) {
    for (store, tree) in Store::ALL.into_iter().zip(&update.trees) {
        for (key, node) in tree.node_batch.nodes() {
            batch.tree(&node_path(store, b'n', key), Some(&encode(node)));
        }
        for stale in &tree.stale_node_index_batch {
            let mut path = vec![store.byte(), b's'];
            path.extend_from_slice(&stale.stale_since_version.to_be_bytes());
            path.extend_from_slice(&node_path(store, b'n', &stale.node_key));
            batch.tree(&path, Some(&[]));
        }
    }
    let store = Store::Plasma;
    for (hash, key) in &update.preimages {
        batch.tree(&hash_path(store, hash), Some(key));
    }
    for hash in &update.removed {
        let path = [&[store.byte(), b'q'][..], &update.version.to_be_bytes(), hash].concat();
        batch.tree(&path, Some(&[]));
    }
}

/// Deletes what no version from `oldest` on needs. Comes before [`write`] in a batch, so that a key
/// which comes back in this very block keeps its preimage.
pub(crate) fn prune(batch: &mut Batch<'_>, reader: &Reader<'_>, oldest: u64) {
    let due = |path: &[u8]| {
        let version = path.get(2..).and_then(|path| path.first_chunk());
        version.is_some_and(|version| u64::from_be_bytes(*version) <= oldest)
    };
    for store in Store::ALL {
        let stale = reader.tree_keys(&[store.byte(), b's']).take_while(|path| due(path));
        for path in stale.take(PRUNED_PER_BLOCK_MAX) {
            if let Some(node) = path.get(10..) {
                batch.tree(node, None);
            }
            batch.tree(&path, None);
        }
        let removed = reader.tree_keys(&[store.byte(), b'q']).take_while(|path| due(path));
        for path in removed.take(PRUNED_PER_BLOCK_MAX) {
            let hash = path.get(10..).and_then(|hash| hash.first_chunk::<32>());
            if let Some(hash) = hash {
                let path = hash_path(store, hash);
                // The key may have come back since; then its preimage stays.
                let unused = |key: Vec<u8>| {
                    let past = History { reader, height: oldest };
                    reader.get(&key).is_none() && past.get(&key).is_none()
                };
                if reader.tree(&path).is_some_and(unused) {
                    batch.tree(&path, None);
                }
            }
            batch.tree(&path, None);
        }
    }
}

fn encode(node: &Node) -> Vec<u8> {
    borsh::to_vec(node).unwrap_or_else(|error| stop("a tree node cannot be encoded", error))
}

fn node_path(store: Store, kind: u8, key: &NodeKey) -> Vec<u8> {
    let mut out = vec![store.byte(), kind];
    out.extend_from_slice(&key.version().to_be_bytes());
    let path = borsh::to_vec(key.nibble_path());
    out.extend(path.unwrap_or_else(|error| stop("a tree path cannot be encoded", error)));
    out
}

fn hash_path(store: Store, hash: &[u8; 32]) -> Vec<u8> {
    [&[store.byte(), b'p'][..], hash].concat()
}

/// The nodes of one store's tree.
struct Nodes<'a> {
    reader: &'a Reader<'a>,
    store: Store,
    before: Option<&'a Update>,
    /// Whose values proofs are of.
    height: Option<&'a Reader<'a>>,
}

impl Nodes<'_> {
    fn pending(&self) -> Option<&NodeBatch> {
        let at = Store::ALL.iter().position(|store| *store == self.store)?;
        Some(&self.before?.trees.get(at)?.node_batch)
    }
}

impl TreeReader for Nodes<'_> {
    fn get_node_option(&self, key: &NodeKey) -> anyhow::Result<Option<Node>> {
        if let Some(node) = self.pending().and_then(|nodes| nodes.get_node(key)) {
            return Ok(Some(node.clone()));
        }
        let bytes = self.reader.tree(&node_path(self.store, b'n', key));
        Ok(bytes.map(|bytes| Node::try_from_slice(&bytes)).transpose()?)
    }

    fn get_value_option(&self, _: u64, hash: KeyHash) -> anyhow::Result<Option<OwnedValue>> {
        let key = self.preimage(hash)?;
        Ok(key.and_then(|key| self.height.unwrap_or(self.reader).get(&key)))
    }

    fn get_rightmost_leaf(&self) -> anyhow::Result<Option<(NodeKey, LeafNode)>> {
        Err(anyhow::anyhow!("trees are not restored leaf by leaf here"))
    }
}

impl HasPreimage for Nodes<'_> {
    fn preimage(&self, hash: KeyHash) -> anyhow::Result<Option<Vec<u8>>> {
        Ok(self.reader.tree(&hash_path(self.store, &hash.0)))
    }
}

/// The app hash that the trees on disk have at `height`; `None` if they do not reach it.
pub fn stored_app_hash(reader: &Reader<'_>, height: u64) -> Option<[u8; 32]> {
    let mut roots = Vec::new();
    for store in Store::ALL {
        let nodes = Nodes { reader, store, before: None, height: None };
        let root = Sha256Jmt::new(&nodes).get_root_hash_option(height).ok()??;
        roots.push((store.name(), root.0));
    }
    Some(simple::root(&roots))
}

/// The app hash of the keys and values themselves, without the trees.
pub fn recomputed_app_hash(store: &dyn Read) -> [u8; 32] {
    let roots = Store::ALL.map(|named| {
        let held = store.scan(&[]).filter(|(key, _)| named.holds(key));
        let mut leaves: Vec<_> =
            held.map(|(key, value)| (hash(&[&key]), hash(&[&value]))).collect();
        leaves.sort_unstable();
        (named.name(), subtree(&leaves, 0))
    });
    simple::root(&roots)
}

fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// The tree's rule: a lone leaf stands for its whole subtree, an empty side is the placeholder.
fn subtree(leaves: &[([u8; 32], [u8; 32])], depth: usize) -> [u8; 32] {
    match leaves {
        [] => EMPTY_ROOT,
        [(key, value)] => hash(&[jmt::proof::LEAF_DOMAIN_SEPARATOR, key, value]),
        _ => {
            let right = |(key, _): &([u8; 32], [u8; 32])| {
                key.get(depth / 8).is_some_and(|byte| byte & (0x80 >> (depth % 8)) != 0)
            };
            let (left, right) = leaves.split_at(leaves.partition_point(|leaf| !right(leaf)));
            let left = subtree(left, depth + 1);
            let right = subtree(right, depth + 1);
            hash(&[jmt::proof::INTERNAL_DOMAIN_SEPARATOR, &left, &right])
        }
    }
}

/// A value with its proof against the app hash.
pub struct Proven {
    /// What the key holds; `None` is proven absence.
    pub value: Option<Vec<u8>>,
    /// ICS-23 `CommitmentProof` of the key against its store's root; see [`jmt::ics23_spec`].
    pub in_store: Vec<u8>,
    /// ICS-23 `CommitmentProof` of the store's root against the app hash; see
    /// [`ics23::tendermint_spec`].
    pub of_store: Vec<u8>,
}

/// Proves what `key` of `store` holds, or that it holds nothing, as of block `height`, which is the
/// one that `reader` reads. Fails where the tree has no keys at all: nothing can be proven of it.
pub fn prove(
    reader: &Reader<'_>,
    store: Store,
    key: Vec<u8>,
    height: u64,
) -> Result<Proven, String> {
    let mut roots = Vec::new();
    for store in Store::ALL {
        let nodes = Nodes { reader, store, before: None, height: None };
        let root = Sha256Jmt::new(&nodes).get_root_hash(height);
        roots.push((store.name(), root.map_err(|error| error.to_string())?.0));
    }
    if roots.iter().any(|(name, root)| *name == store.name() && *root == EMPTY_ROOT) {
        return Err(format!("the store {} is empty, which has no proof", store.name()));
    }
    let nodes = Nodes { reader, store, before: None, height: Some(reader) };
    let (value, in_store) = Sha256Jmt::new(&nodes)
        .get_with_ics23_proof(key, height)
        .map_err(|error| error.to_string())?;
    let of_store = simple::prove(&roots, store.name());
    Ok(Proven {
        value,
        in_store: in_store.encode_to_vec(),
        of_store: of_store.map(|proof| proof.encode_to_vec()).unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests;
