//! What rewards need to know of stake.

use alloc::vec::Vec;

use crate::{
    Address, Dec, Read,
    staking::state::{self, DELEGATIONS, VALIDATORS, total_shares},
};

/// What counts of a validator.
pub(super) struct Stake {
    /// All shares of its delegators.
    pub shares: Dec,
    /// The operator's part of what it earns.
    pub commission: Dec,
}

pub(super) fn validator(store: &dyn Read, operator: Address) -> Option<Stake> {
    let validator = VALIDATORS.get(store, &operator)?;
    let shares = total_shares(&validator);
    let rates = validator.commission.and_then(|commission| commission.commission_rates);
    let commission = rates.map_or(Dec::ZERO, |rates| Dec::stored(&rates.rate));
    Some(Stake { shares, commission })
}

/// The operators of all validators, in order.
pub(super) fn operators(store: &dyn Read) -> Vec<Address> {
    VALIDATORS.map().iter(store).map(|(operator, _)| operator).collect()
}

/// The shares of a delegation, if there is one.
pub(super) fn shares(store: &dyn Read, delegator: Address, operator: Address) -> Option<Dec> {
    let shares = state::shares_of(store, delegator, operator);
    (shares != Dec::ZERO).then_some(shares)
}

/// Every delegation: (delegator, operator), in order.
pub(super) fn pairs(store: &dyn Read) -> Vec<(Address, Address)> {
    DELEGATIONS.map().iter(store).map(|(pair, _)| pair).collect()
}

/// With whom an account has stake, in order.
pub(super) fn operators_of(store: &dyn Read, delegator: Address) -> Vec<Address> {
    let stakes = DELEGATIONS.map().iter_prefix(store, &delegator);
    stakes.map(|((_, operator), _)| operator).collect()
}
