//! The simple Merkle map of CometBFT: names and the hashes of their values, in order of the names.

use ics23::{CommitmentProof, ExistenceProof, HashOp, InnerOp, commitment_proof::Proof};
use sha2::{Digest, Sha256};

/// A name and its root.
pub type Entry = (&'static str, [u8; 32]);

const LEAF_PREFIX: u8 = 0;
const INNER_PREFIX: u8 = 1;

fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// Leaf of `name`: both lengths are below 128, so their varints are one byte.
fn leaf((name, root): &Entry) -> [u8; 32] {
    let value = sha256(&[root]);
    let name_len = u8::try_from(name.len()).unwrap_or(u8::MAX);
    sha256(&[&[LEAF_PREFIX, name_len], name.as_bytes(), &[32], &value])
}

/// RFC 6962: the left side is the largest power of two below the number of leaves.
fn split(len: usize) -> usize {
    len.next_power_of_two() / 2
}

fn tree(leaves: &[[u8; 32]]) -> [u8; 32] {
    match leaves {
        [] => sha256(&[]),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            sha256(&[&[INNER_PREFIX], &tree(left), &tree(right)])
        }
    }
}

fn sorted(entries: &[Entry]) -> Vec<Entry> {
    let mut entries = entries.to_vec();
    entries.sort_unstable();
    entries
}

/// The root over all entries.
pub fn root(entries: &[Entry]) -> [u8; 32] {
    let leaves: Vec<_> = sorted(entries).iter().map(leaf).collect();
    tree(&leaves)
}

fn path(leaves: &[[u8; 32]], at: usize, out: &mut Vec<InnerOp>) {
    if leaves.len() < 2 {
        return;
    }
    let (left, right) = leaves.split_at(split(leaves.len()));
    let (prefix, suffix) = match at.checked_sub(left.len()) {
        None => {
            path(left, at, out);
            (vec![INNER_PREFIX], tree(right).to_vec())
        }
        Some(at) => {
            path(right, at, out);
            ([&[INNER_PREFIX][..], &tree(left)].concat(), Vec::new())
        }
    };
    out.push(InnerOp { hash: HashOp::Sha256.into(), prefix, suffix });
}

/// Proof that the entry `name` has its root; `None` for a name that is not there.
pub fn prove(entries: &[Entry], name: &str) -> Option<CommitmentProof> {
    let entries = sorted(entries);
    let at = entries.iter().position(|(entry, _)| *entry == name)?;
    let leaves: Vec<_> = entries.iter().map(leaf).collect();
    let mut steps = Vec::new();
    path(&leaves, at, &mut steps);
    let (name, root) = entries.get(at)?;
    let proof = ExistenceProof {
        key: name.as_bytes().to_vec(),
        value: root.to_vec(),
        leaf: ics23::tendermint_spec().leaf_spec,
        path: steps,
    };
    Some(CommitmentProof { proof: Some(Proof::Exist(proof)) })
}

#[cfg(test)]
mod tests {
    use ics23::HostFunctionsManager;

    use super::*;

    #[test]
    fn every_entry_of_maps_of_any_size_is_provable() {
        let names = ["acc", "bank", "gov", "ibc", "market", "plasma", "staking"];
        for len in 1..=names.len() {
            let entries: Vec<_> =
                (0u8..).zip(&names[..len]).map(|(i, name)| (*name, [i; 32])).collect();
            let root = root(&entries).to_vec();
            for (name, value) in &entries {
                let proof = prove(&entries, name).unwrap();
                let spec = ics23::tendermint_spec();
                assert!(ics23::verify_membership::<HostFunctionsManager>(
                    &proof,
                    &spec,
                    &root,
                    name.as_bytes(),
                    value,
                ));
                assert!(!ics23::verify_membership::<HostFunctionsManager>(
                    &proof,
                    &spec,
                    &root,
                    name.as_bytes(),
                    &[99; 32],
                ));
            }
        }
        assert!(prove(&[("a", [0; 32])], "b").is_none());
    }
}
