//! ICS-23 proofs of keys in a store's tree, in the form of [`spec`].

use ics23::{
    CommitmentProof, ExistenceProof, HashOp, InnerOp, InnerSpec, LeafOp, LengthOp,
    NonExistenceProof, ProofSpec, commitment_proof::Proof,
};
use plasma_modules::Read;

use super::{
    EMPTY_ROOT,
    nodes::{Change, Hash, INNER_PREFIX, LEAF_PREFIX, Link, hash, right},
    table,
};
use crate::rocks::{Reader, stop};

fn leaf_op() -> LeafOp {
    LeafOp {
        hash: HashOp::Sha256.into(),
        prehash_key: HashOp::Sha256.into(),
        prehash_value: HashOp::Sha256.into(),
        length: LengthOp::NoPrefix.into(),
        prefix: LEAF_PREFIX.to_vec(),
    }
}

/// What a verifier must know of a store's tree: that of Jellyfish Merkle trees with SHA-256.
pub fn spec() -> ProofSpec {
    ProofSpec {
        leaf_spec: Some(leaf_op()),
        inner_spec: Some(InnerSpec {
            hash: HashOp::Sha256.into(),
            child_order: vec![0, 1],
            min_prefix_length: 16,
            max_prefix_length: 16,
            child_size: 32,
            empty_child: EMPTY_ROOT.to_vec(),
        }),
        min_depth: 0,
        max_depth: 64,
        prehash_key_before_comparison: true,
    }
}

/// The tree as of one block: that of the head with `changes` back to it, and the state then.
pub struct View<'a> {
    /// The tree of the head.
    pub link: &'a Link,
    /// What leads from the head to the block, sorted.
    pub changes: &'a [Change],
    /// Reads the state of the block; the tree's table, as all readers, of the head.
    pub reader: &'a Reader<'a>,
}

/// What a view proves.
pub struct InStore {
    /// What the key holds.
    pub value: Option<Vec<u8>>,
    /// Its proof.
    pub proof: CommitmentProof,
    /// The root that the proof leads to.
    pub root: Hash,
}

impl View<'_> {
    /// Proves what `key` holds, or that it holds nothing; `None` where the tree has no keys.
    pub fn prove(&self, key: Vec<u8>) -> Option<InStore> {
        let key_hash = hash(&[&key]);
        if let Some(value) = self.reader.get(&key) {
            let (proof, root) = self.existence(key, value.clone(), &key_hash);
            let proof = CommitmentProof { proof: Some(Proof::Exist(proof)) };
            return Some(InStore { value: Some(value), proof, root });
        }
        let [left, right] = [false, true].map(|above| self.neighbour(&key_hash, above));
        let root = left.as_ref().or(right.as_ref())?.1;
        let [left, right] = [left, right].map(|side| side.map(|(proof, _)| proof));
        let proof = NonExistenceProof { key, left, right };
        let proof = CommitmentProof { proof: Some(Proof::Nonexist(proof)) };
        Some(InStore { value: None, proof, root })
    }

    fn neighbour(&self, key: &Hash, above: bool) -> Option<(ExistenceProof, Hash)> {
        let place = ([0; 32], 0);
        let hash = self.link.beside(key, true, above, place, self.changes, self.reader)?;
        let at = self.changes.binary_search_by(|change| change.key.cmp(&hash));
        let changed = at.ok().and_then(|at| self.changes.get(at));
        let name = changed
            .map(|change| change.name.clone())
            .or_else(|| table::name(self.reader, &hash))
            .unwrap_or_else(|| stop("the state tree lacks a key", hex::encode(hash)));
        let value = self
            .reader
            .get(&name)
            .unwrap_or_else(|| stop("the state lacks a key of its tree", hex::encode(&name)));
        Some(self.existence(name, value, &hash))
    }

    fn existence(&self, key: Vec<u8>, value: Vec<u8>, key_hash: &Hash) -> (ExistenceProof, Hash) {
        let mut beside = Vec::new();
        let (root, _) = self.link.path(key_hash, self.changes, 0, self.reader, &mut beside);
        let depth = beside.len();
        let step = |(up, beside): (usize, Hash)| {
            let (prefix, suffix) = if right(key_hash, depth.saturating_sub(up + 1)) {
                ([INNER_PREFIX, &beside].concat(), Vec::new())
            } else {
                (INNER_PREFIX.to_vec(), beside.to_vec())
            };
            InnerOp { hash: HashOp::Sha256.into(), prefix, suffix }
        };
        let path = beside.into_iter().enumerate().map(step).collect();
        (ExistenceProof { key, value, leaf: Some(leaf_op()), path }, root)
    }
}
