//! Work on a transaction before its turn, on any thread: it can only save work later.

use crate::{
    Read, SignatureMemory,
    tx::{self, Purpose},
};

/// Checks a transaction's signatures against the accounts of `base`, the state below the block, and
/// teaches `memory` those that hold. A transaction that fails here may pass in its turn (its account
/// may open, or show its key, in the same block), so what fails is not told: the turn decides.
pub fn authenticate(
    base: &dyn Read,
    chain_id: &str,
    bytes: &[u8],
    memory: &dyn SignatureMemory,
) -> bool {
    let tx = tx::decode(bytes, Purpose::Execute);
    tx.is_ok_and(|tx| tx::authenticate(base, chain_id, tx, memory).is_ok())
}
