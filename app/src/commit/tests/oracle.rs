//! The same histories in jmt, every version kept.

use std::collections::BTreeMap;

use ics23::CommitmentProof;
use jmt::{
    KeyHash, OwnedValue, Sha256Jmt,
    storage::{HasPreimage, LeafNode, Node, NodeKey, TreeReader},
};
use sha2::Sha256;

use super::*;

/// A tree of jmt in memory.
#[derive(Default)]
pub struct Oracle {
    nodes: BTreeMap<NodeKey, Node>,
    names: BTreeMap<[u8; 32], Vec<u8>>,
    states: Vec<BTreeMap<Vec<u8>, Vec<u8>>>,
    asleep: bool,
}

impl Oracle {
    /// One that compares nothing, where histories are too long for it.
    pub fn asleep() -> Self {
        Self { asleep: true, ..Self::default() }
    }

    /// The root of the store after a block, unless it sleeps.
    pub fn block<'c>(
        &mut self,
        height: u64,
        changes: impl Iterator<Item = (&'c [u8], Option<&'c [u8]>)>,
    ) -> Option<[u8; 32]> {
        if self.asleep {
            return None;
        }
        let mut state = self.states.last().cloned().unwrap_or_default();
        let mut set = Vec::new();
        for (key, value) in changes.filter(|(key, _)| Store::Plasma.holds(key)) {
            let hash = KeyHash::with::<Sha256>(key);
            self.names.insert(hash.0, key.to_vec());
            set.push((hash, value.map(<[u8]>::to_vec)));
            match value {
                Some(value) => drop(state.insert(key.to_vec(), value.to_vec())),
                None => drop(state.remove(key)),
            }
        }
        self.states.push(state);
        let (root, batch) = Sha256Jmt::new(&*self).put_value_set(set, height).unwrap();
        let nodes = batch.node_batch.nodes().iter();
        self.nodes.extend(nodes.map(|(key, node)| (key.clone(), node.clone())));
        Some(root.0)
    }

    /// Keys after a block.
    pub fn keys(&self, height: u64) -> usize {
        self.states[height as usize].len()
    }

    /// What a key held after a block.
    pub fn value(&self, height: u64, key: &[u8]) -> Option<Vec<u8>> {
        self.states[height as usize].get(key).cloned()
    }

    /// The proof of a key after a block.
    pub fn prove(&self, height: u64, key: &[u8]) -> CommitmentProof {
        Sha256Jmt::new(self).get_with_ics23_proof(key.to_vec(), height).unwrap().1
    }
}

impl TreeReader for Oracle {
    fn get_node_option(&self, key: &NodeKey) -> anyhow::Result<Option<Node>> {
        Ok(self.nodes.get(key).cloned())
    }

    fn get_value_option(&self, height: u64, hash: KeyHash) -> anyhow::Result<Option<OwnedValue>> {
        let name = self.names.get(&hash.0);
        Ok(name.and_then(|name| self.value(height, name)))
    }

    fn get_rightmost_leaf(&self) -> anyhow::Result<Option<(NodeKey, LeafNode)>> {
        Err(anyhow::anyhow!("nothing is restored here"))
    }
}

impl HasPreimage for Oracle {
    fn preimage(&self, hash: KeyHash) -> anyhow::Result<Option<Vec<u8>>> {
        Ok(self.names.get(&hash.0).cloned())
    }
}
