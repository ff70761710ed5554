//! Work on a transaction before its turn, on any thread: it can only save work later.

use alloc::{sync::Arc, vec::Vec};

use plasma_proto::cosmos::auth::v1beta1::BaseAccount;

use crate::{
    Read, SignatureMemory, auth,
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

/// What the signatures of a transaction are checked against: its signers' accounts, as they stood.
pub struct Signers(Vec<BaseAccount>);

impl Signers {
    /// Those of `tx` on top of `store`. `None` if they need no check: it has passed one, or it will be
    /// refused before its signatures are looked at, for an account is missing or has used the sequence.
    pub fn of(store: &dyn Read, tx: &Decoded) -> Option<Self> {
        if tx.is_proven() {
            return None;
        }
        let account = |signer: &tx::Signer| {
            let account = auth::account(store, signer.address)?;
            (tx.unordered || signer.sequence >= account.sequence).then_some(account)
        };
        tx.signers.iter().map(account).collect::<Option<_>>().map(Self)
    }

    /// Checks the signatures of the transaction whose signers these are; as [`authenticate`].
    pub fn authenticate(&self, chain_id: &str, tx: Arc<Decoded>, memory: &dyn SignatureMemory) {
        let _ = tx::authenticate_as(&self.0, chain_id, tx, memory);
    }
}
