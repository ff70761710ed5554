//! Work on a transaction before its turn, on any thread: it can only save work later.

use alloc::sync::Arc;

use crate::{
    Read, SignatureMemory,
    tx::{self, Decoded},
};

/// Checks a transaction's signatures against the accounts of `base`, the state below the block, and
/// teaches `memory` and the transaction itself those that hold. One that fails here may pass in its
/// turn (its account may open, or show its key, in the same block), so what fails is not told: the
/// turn decides.
pub fn authenticate(
    base: &dyn Read,
    chain_id: &str,
    tx: Arc<Decoded>,
    memory: &dyn SignatureMemory,
) {
    if !tx.is_proven() {
        let _ = tx::authenticate(base, chain_id, tx, memory);
    }
}
