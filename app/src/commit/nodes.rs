//! The tree in memory: persistent nodes over buckets of leaves.
//!
//! What a subtree hashes to depends on its leaves alone, so where nodes end and buckets begin is
//! free: a bucket keeps its leaves and no inner hash. Nodes are never changed. An update makes new
//! ones along its paths and shares the rest, so whoever holds an older root can go on reading it.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::EMPTY_ROOT;
use crate::rocks::stop;

/// SHA-256.
pub type Hash = [u8; 32];

/// Begins the message of a leaf: then hash of the key, hash of the value.
pub const LEAF_PREFIX: &[u8] = b"JMT::LeafNode";
/// Begins the message of an inner node: then the left side, the right side.
pub const INNER_PREFIX: &[u8] = b"JMT::IntrnalNode";

/// Leaves of a bucket at most. More make fewer nodes, but longer to hash again when one changes.
const BUCKET_KEYS_MAX: usize = 16;
/// A branch with this many keys or fewer becomes a bucket again.
const BRANCH_KEYS_MIN: u64 = 8;
/// Changes (or leaves, where a subtree is built) from which both sides are worked on in parallel.
const PARALLEL_MIN: usize = 512;
/// What the allocator and the counters of an [`Arc`] add to a node, bytes.
const NODE_BYTES: usize = 32;

/// A key of the store: what it is found by, and what it hashes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Hash of the key.
    pub key: Hash,
    /// Hash of the leaf.
    pub hash: Hash,
}

/// A change of one key.
#[derive(Clone, Debug)]
pub struct Change {
    /// Hash of the key.
    pub key: Hash,
    /// Hash of its new leaf; `None` removes the key.
    pub leaf: Option<Hash>,
    /// The key itself.
    pub name: Vec<u8>,
}

impl Change {
    /// What `value` at `name` does to the tree.
    pub fn new(name: &[u8], value: Option<&[u8]>) -> Self {
        let key = hash(&[name]);
        let leaf = value.map(|value| hash(&[LEAF_PREFIX, &key, &hash(&[value])]));
        Self { key, leaf, name: name.to_vec() }
    }
}

/// Where leaves that are not in memory lie.
pub trait Leaves: Sync {
    /// The leaves whose keys begin with the first `depth` bits of `key`, in order.
    fn leaves(&self, key: &Hash, depth: usize) -> Vec<Leaf>;
}

/// A subtree.
#[derive(Clone, Debug)]
pub struct Link {
    /// What it hashes to.
    pub hash: Hash,
    /// Leaves in it.
    pub keys: u64,
    /// Memory that its nodes take.
    pub bytes: usize,
    /// Stamp of the last update that touched it.
    used: u64,
    below: Below,
}

#[derive(Clone, Debug)]
enum Below {
    Empty,
    Bucket(Arc<[Leaf]>),
    Branch(Arc<[Link; 2]>),
    /// On disk only.
    Cold,
}

/// An update: where it finds cold leaves, and its stamp.
#[derive(Clone, Copy)]
pub struct Work<'a> {
    pub source: &'a dyn Leaves,
    pub used: u64,
}

/// Which subtrees become cold.
#[derive(Clone, Copy, Debug)]
pub struct Cooling {
    /// Those that were last used before this stamp.
    pub before: u64,
    /// Those with at most so many keys.
    pub keys_max: u64,
}

/// SHA-256 of the parts, one after the other.
pub fn hash(parts: &[&[u8]]) -> Hash {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// Whether `key` lies on the right side at `depth`.
pub fn right(key: &Hash, depth: usize) -> bool {
    key.get(depth / 8).is_some_and(|byte| byte & (0x80 >> (depth % 8)) != 0)
}

/// What two sides with so many keys hash to: a lone leaf stands for its whole subtree, an empty
/// side is the placeholder.
fn join(left: (Hash, u64), right: (Hash, u64)) -> (Hash, u64) {
    let keys = left.1.saturating_add(right.1);
    let joined = match (keys, left.1) {
        (0, _) => EMPTY_ROOT,
        (1, 1) => left.0,
        (1, _) => right.0,
        _ => hash(&[INNER_PREFIX, &left.0, &right.0]),
    };
    (joined, keys)
}

/// What sorted leaves hash to at `depth`.
pub fn subtree(leaves: &[Leaf], depth: usize) -> Hash {
    match leaves {
        [] => EMPTY_ROOT,
        [leaf] => leaf.hash,
        _ => {
            let (left, right) = sides(leaves, depth);
            let (left, right) = (subtree(left, depth + 1), subtree(right, depth + 1));
            hash(&[INNER_PREFIX, &left, &right])
        }
    }
}

fn sides(leaves: &[Leaf], depth: usize) -> (&[Leaf], &[Leaf]) {
    leaves.split_at(leaves.partition_point(|leaf| !right(&leaf.key, depth)))
}

fn sides_of(changes: &[Change], depth: usize) -> (&[Change], &[Change]) {
    changes.split_at(changes.partition_point(|change| !right(&change.key, depth)))
}

fn summary(leaves: &[Leaf], depth: usize) -> (Hash, u64) {
    (subtree(leaves, depth), leaves.len() as u64)
}

/// Sorted leaves with sorted changes applied.
fn merged(leaves: &[Leaf], changes: &[Change]) -> Vec<Leaf> {
    let mut out = Vec::with_capacity(leaves.len() + changes.len());
    let mut old = leaves.iter().peekable();
    for change in changes {
        while let Some(leaf) = old.next_if(|leaf| leaf.key < change.key) {
            out.push(*leaf);
        }
        old.next_if(|leaf| leaf.key == change.key);
        if let Some(hash) = change.leaf {
            out.push(Leaf { key: change.key, hash });
        }
    }
    out.extend(old);
    out
}

impl Link {
    /// A subtree without keys.
    pub const EMPTY: Self =
        Self { hash: EMPTY_ROOT, keys: 0, bytes: 0, used: 0, below: Below::Empty };

    fn summary(&self) -> (Hash, u64) {
        (self.hash, self.keys)
    }

    /// The subtree of sorted leaves.
    pub fn build(leaves: &[Leaf], depth: usize, used: u64) -> Self {
        if leaves.len() > BUCKET_KEYS_MAX {
            let (left, right) = sides(leaves, depth);
            let (left, right) = both(
                leaves.len(),
                || Self::build(left, depth + 1, used),
                || Self::build(right, depth + 1, used),
            );
            return Self::branch(left, right, depth, used);
        }
        if leaves.is_empty() {
            return Self { used, ..Self::EMPTY };
        }
        let (hash, keys) = summary(leaves, depth);
        let bytes = NODE_BYTES + size_of_val(leaves);
        Self { hash, keys, bytes, used, below: Below::Bucket(leaves.into()) }
    }

    /// The subtree of two sides.
    pub fn branch(left: Self, right: Self, depth: usize, used: u64) -> Self {
        let (hash, keys) = join(left.summary(), right.summary());
        if keys <= BRANCH_KEYS_MIN
            && let (Some(low), Some(high)) = (left.resident(), right.resident())
        {
            return Self::build(&[low, high].concat(), depth, used);
        }
        let bytes = NODE_BYTES + 2 * size_of::<Self>() + left.bytes + right.bytes;
        Self { hash, keys, bytes, used, below: Below::Branch(Arc::new([left, right])) }
    }

    /// The leaves, where they are in memory and in one place.
    fn resident(&self) -> Option<&[Leaf]> {
        match &self.below {
            Below::Empty => Some(&[]),
            Below::Bucket(leaves) => Some(leaves),
            Below::Branch(_) | Below::Cold => None,
        }
    }

    /// Leaves of a subtree that is no branch, with changes applied; `key` lies in it.
    fn leaves(
        &self,
        key: &Hash,
        changes: &[Change],
        depth: usize,
        source: &dyn Leaves,
    ) -> Vec<Leaf> {
        if let Some(leaves) = self.resident() {
            return merged(leaves, changes);
        }
        let leaves = source.leaves(key, depth);
        if subtree(&leaves, depth) != self.hash {
            stop("the state tree on disk is not the one in memory", hex::encode(key));
        }
        if changes.is_empty() { leaves } else { merged(&leaves, changes) }
    }

    /// The subtree after `changes`, which are sorted.
    pub fn update(&self, changes: &[Change], depth: usize, work: Work<'_>) -> Self {
        let Some(first) = changes.first() else { return self.clone() };
        let Below::Branch(children) = &self.below else {
            let leaves = self.leaves(&first.key, changes, depth, work.source);
            return Self::build(&leaves, depth, work.used);
        };
        let [left, right] = &**children;
        let (low, high) = sides_of(changes, depth);
        let (left, right) = both(
            changes.len(),
            || left.update(low, depth + 1, work),
            || right.update(high, depth + 1, work),
        );
        Self::branch(left, right, depth, work.used)
    }

    /// What the subtree hashes to after `changes`, and its keys; no node is made.
    fn after(&self, changes: &[Change], depth: usize, source: &dyn Leaves) -> (Hash, u64) {
        let Some(first) = changes.first() else { return self.summary() };
        let Below::Branch(children) = &self.below else {
            return summary(&self.leaves(&first.key, changes, depth, source), depth);
        };
        let [left, right] = &**children;
        let (low, high) = sides_of(changes, depth);
        join(left.after(low, depth + 1, source), right.after(high, depth + 1, source))
    }

    /// Appends the hashes beside the path of `key`, which must be in the tree after `changes`: the
    /// lowest first.
    pub fn path(
        &self,
        key: &Hash,
        changes: &[Change],
        depth: usize,
        source: &dyn Leaves,
        out: &mut Vec<Hash>,
    ) -> (Hash, u64) {
        let Below::Branch(children) = &self.below else {
            let leaves = self.leaves(key, changes, depth, source);
            path(&leaves, key, depth, out);
            return summary(&leaves, depth);
        };
        let [left, right_side] = &**children;
        let (low, high) = sides_of(changes, depth);
        let ((mine, changed), (other, changed_other)) = if right(key, depth) {
            ((right_side, high), (left, low))
        } else {
            ((left, low), (right_side, high))
        };
        let mine = mine.path(key, changed, depth + 1, source, out);
        let other = other.after(changed_other, depth + 1, source);
        if mine.1.saturating_add(other.1) > 1 {
            out.push(other.0);
        }
        if right(key, depth) { join(other, mine) } else { join(mine, other) }
    }

    /// The key next to `key` in the tree after `changes`: above it, or below it. `within` says
    /// that `key` itself lies in this subtree; otherwise the first or last key here is meant.
    pub fn beside(
        &self,
        key: &Hash,
        within: bool,
        above: bool,
        place: (Hash, usize),
        changes: &[Change],
        source: &dyn Leaves,
    ) -> Option<Hash> {
        let (prefix, depth) = place;
        let Below::Branch(children) = &self.below else {
            let leaves = self.leaves(&prefix, changes, depth, source);
            let mut keys = leaves.iter().map(|leaf| leaf.key);
            return if above {
                keys.find(|other| !within || other > key)
            } else {
                keys.rfind(|other| !within || other < key)
            };
        };
        let [left, right_side] = &**children;
        let (low, high) = sides_of(changes, depth);
        let mut high_prefix = prefix;
        if let Some(byte) = high_prefix.get_mut(depth / 8) {
            *byte |= 0x80 >> (depth % 8);
        }
        let side = |is_right: bool| {
            let at = right(key, depth);
            // A side that lies wholly on the wrong side of the key has nothing.
            if within && at != is_right && is_right != above {
                return None;
            }
            let (link, changes, prefix) =
                if is_right { (right_side, high, high_prefix) } else { (left, low, prefix) };
            let within = within && at == is_right;
            link.beside(key, within, above, (prefix, depth + 1), changes, source)
        };
        side(!above).or_else(|| side(above))
    }

    /// The subtree with what `cooling` means dropped from memory.
    fn cooled(&self, cooling: Cooling) -> Self {
        if self.bytes == 0 {
            return self.clone();
        }
        if self.keys <= cooling.keys_max && self.used < cooling.before {
            return Self { bytes: 0, below: Below::Cold, ..self.clone() };
        }
        let Below::Branch(children) = &self.below else { return self.clone() };
        let [left, right] = &**children;
        self.with(left.cooled(cooling), right.cooled(cooling))
    }

    /// Cools only what lies under the first byte `part` of the keys.
    pub fn cooled_part(&self, part: u8, depth: usize, cooling: Cooling) -> Self {
        match &self.below {
            Below::Branch(children) if depth < 8 => {
                let [left, right] = &**children;
                if part & (0x80 >> depth) == 0 {
                    self.with(left.cooled_part(part, depth + 1, cooling), right.clone())
                } else {
                    self.with(left.clone(), right.cooled_part(part, depth + 1, cooling))
                }
            }
            _ => self.cooled(cooling),
        }
    }

    /// The same branch with sides that hash to the same.
    fn with(&self, left: Self, right: Self) -> Self {
        let bytes = NODE_BYTES + 2 * size_of::<Self>() + left.bytes + right.bytes;
        if bytes == self.bytes {
            return self.clone();
        }
        Self { bytes, below: Below::Branch(Arc::new([left, right])), ..self.clone() }
    }
}

fn path(leaves: &[Leaf], key: &Hash, depth: usize, out: &mut Vec<Hash>) {
    if leaves.len() < 2 {
        return;
    }
    let (low, high) = sides(leaves, depth);
    let (mine, other) = if right(key, depth) { (high, low) } else { (low, high) };
    path(mine, key, depth + 1, out);
    out.push(subtree(other, depth + 1));
}

/// Both results; in parallel where there is enough to do.
fn both<T: Send>(
    size: usize,
    left: impl FnOnce() -> T + Send,
    right: impl FnOnce() -> T + Send,
) -> (T, T) {
    if size < PARALLEL_MIN { (left(), right()) } else { rayon::join(left, right) }
}
