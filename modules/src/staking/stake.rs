//! Stake as ballots see it.

use alloc::vec::Vec;

use super::state::{self, DELEGATIONS, VALIDATORS, tokens, total_shares};
use crate::{Address, Amount, Dec, Read};

/// The validators of the set: operator, tokens, shares.
pub(super) fn bonded(store: &dyn Read) -> Vec<(Address, Amount, Dec)> {
    let stake = |(operator, _): (Address, u64)| {
        let validator = VALIDATORS.get(store, &operator)?;
        Some((operator, tokens(&validator), total_shares(&validator)))
    };
    state::bonded(store).into_iter().filter_map(stake).collect()
}

/// What an account has delegated: operator, shares.
pub(super) fn delegations(store: &dyn Read, delegator: Address) -> Vec<(Address, Dec)> {
    let stakes = DELEGATIONS.map().iter_prefix(store, &delegator);
    stakes.map(|((_, operator), stake)| (operator, Dec::stored(&stake.shares))).collect()
}
