//! Stake as ballots see it.

use alloc::vec::Vec;

use super::state::VALIDATORS;
use crate::{Address, Amount, Dec, Read};

/// The bonded validators: operator, tokens, shares.
pub(super) fn bonded(store: &dyn Read) -> Vec<(Address, Amount, Dec)> {
    let validators = VALIDATORS.iter(store);
    validators
        .map(|(operator, validator)| {
            let tokens = Amount::stored(&validator.tokens_uxpl);
            (operator, tokens, Dec::whole(tokens).unwrap_or_default())
        })
        .collect()
}

/// What an account has delegated: operator, shares.
pub(super) fn delegations(store: &dyn Read, delegator: Address) -> Vec<(Address, Dec)> {
    let validator = VALIDATORS.get(store, &delegator);
    let shares = validator.map(|v| Dec::whole(Amount::stored(&v.tokens_uxpl)).unwrap_or_default());
    shares.map(|shares| (delegator, shares)).into_iter().collect()
}
