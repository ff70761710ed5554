//! Blocks that were proposed and are not decided: PrepareProposal, ProcessProposal and FinalizeBlock
//! of one block share one run of its antes.

use std::collections::VecDeque;

use plasma_modules::chain::{BlockInput, Opened};
use plasma_modules::types::Hash;
use sha2::{Digest, Sha256};

/// Proposals of one height that are kept opened. Each round may bring another one; of one that was
/// dropped the antes run again.
pub const PROPOSALS_MAX: usize = 4;

/// What a block is opened from: the state below it and every byte of its input, but for what CometBFT
/// says of validators, which only its second half reads.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct BlockKey([u8; 32]);

impl BlockKey {
    /// Names a block on top of the state with that app hash; `txs` are the hashes of its transactions.
    pub fn new<'h>(
        app_hash: &[u8; 32],
        input: &BlockInput<'_>,
        txs: impl IntoIterator<Item = &'h Hash>,
    ) -> Self {
        let BlockInput {
            chain_id,
            height,
            time_s,
            proposer,
            txs: _,
            votes: _,
            misbehavior: _,
            upgrades: _,
        } = input;
        let mut hash = Sha256::new();
        hash.update(app_hash);
        hash.update(chain_id.len().to_be_bytes());
        hash.update(chain_id);
        hash.update(height.to_be_bytes());
        hash.update(time_s.to_be_bytes());
        hash.update(proposer);
        txs.into_iter().for_each(|tx| hash.update(tx));
        Self(hash.finalize().into())
    }
}

/// The newest proposals on top of the head.
#[derive(Default)]
pub(crate) struct Proposals(VecDeque<(BlockKey, Opened)>);

impl Proposals {
    /// Keeps a block that was opened; the oldest goes.
    pub fn keep(&mut self, key: BlockKey, opened: Opened) {
        self.0.retain(|(other, _)| *other != key);
        self.0.truncate(PROPOSALS_MAX - 1);
        self.0.push_front((key, opened));
    }

    /// Whether this block was opened: that it was means that every transaction paid.
    pub fn has(&self, key: BlockKey) -> bool {
        self.0.iter().any(|(other, _)| *other == key)
    }

    /// Takes a block out, to be finished.
    pub fn take(&mut self, key: BlockKey) -> Option<Opened> {
        let at = self.0.iter().position(|(other, _)| *other == key)?;
        self.0.remove(at).map(|(_, opened)| opened)
    }

    /// Forgets all: the head has moved.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// How many are kept.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}
