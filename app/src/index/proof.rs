//! That a transaction is in its block: CometBFT's Merkle tree of RFC 6962 over the hashes of the
//! block's transactions, whose root is `data_hash` of the header.

use sha2::{Digest, Sha256};

/// A path from a leaf to the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TxProof {
    /// `data_hash` of the header.
    pub root: [u8; 32],
    /// Transactions of the block.
    pub total: usize,
    /// Number of this one.
    pub index: usize,
    /// Hash of its leaf.
    pub leaf: [u8; 32],
    /// The neighbours on the way up.
    pub aunts: Vec<[u8; 32]>,
}

fn leaf(tx: &[u8]) -> [u8; 32] {
    Sha256::new_with_prefix([0]).chain_update(Sha256::digest(tx)).finalize().into()
}

fn inner(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    Sha256::new_with_prefix([1]).chain_update(left).chain_update(right).finalize().into()
}

/// The root of `leaves`, of which there is one at least; puts the neighbours of `index` into `aunts`.
fn root(leaves: &[[u8; 32]], index: Option<usize>, aunts: &mut Vec<[u8; 32]>) -> [u8; 32] {
    if let [one] = leaves {
        return *one;
    }
    // The largest power of two below the number of leaves.
    let split = leaves.len().div_ceil(2).next_power_of_two();
    let (left, right) = leaves.split_at(split);
    let at_left = index.filter(|index| *index < split);
    let at_right = index.and_then(|index| index.checked_sub(split));
    let (left, right) = (root(left, at_left, aunts), root(right, at_right, aunts));
    if at_left.is_some() {
        aunts.push(right);
    } else if at_right.is_some() {
        aunts.push(left);
    }
    inner(&left, &right)
}

/// Proves number `index` of a block's transactions; `None` where there is no such number.
pub fn prove<'a>(txs: impl IntoIterator<Item = &'a [u8]>, index: usize) -> Option<TxProof> {
    let leaves: Vec<[u8; 32]> = txs.into_iter().map(leaf).collect();
    let leaf = *leaves.get(index)?;
    let mut aunts = Vec::new();
    let root = root(&leaves, Some(index), &mut aunts);
    Some(TxProof { root, total: leaves.len(), index, leaf, aunts })
}

#[cfg(test)]
mod tests {
    use tendermint::merkle::simple_hash_from_byte_vectors;

    use super::*;

    /// Climbs from the leaf as CometBFT's verifier does.
    fn climb(leaf: [u8; 32], index: usize, total: usize, aunts: &[[u8; 32]]) -> [u8; 32] {
        if total == 1 {
            assert!(aunts.is_empty());
            return leaf;
        }
        let (last, below) = aunts.split_last().unwrap();
        let split = total.div_ceil(2).next_power_of_two();
        if index < split {
            inner(&climb(leaf, index, split, below), last)
        } else {
            inner(last, &climb(leaf, index - split, total - split, below))
        }
    }

    #[test]
    fn every_transaction_is_proven_to_the_root_that_tendermint_has() {
        for total in 1..40usize {
            let txs: Vec<Vec<u8>> = (0..total).map(|n| n.to_be_bytes().to_vec()).collect();
            let hashes: Vec<Vec<u8>> = txs.iter().map(|tx| Sha256::digest(tx).to_vec()).collect();
            let wanted =
                simple_hash_from_byte_vectors::<tendermint::crypto::default::Sha256>(&hashes);
            for index in 0..total {
                let proof = prove(txs.iter().map(Vec::as_slice), index).unwrap();
                assert_eq!((proof.root, proof.total), (wanted, total));
                assert_eq!(climb(leaf(&txs[index]), index, total, &proof.aunts), wanted);
            }
            assert!(prove(txs.iter().map(Vec::as_slice), total).is_none());
        }
    }
}
