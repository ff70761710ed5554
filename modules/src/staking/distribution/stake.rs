//! What rewards need to know of stake.

use alloc::{string::String, vec::Vec};

use crate::{Address, Amount, Dec, Read, Sdk, staking::state::VALIDATORS};

/// What counts of a validator.
pub(super) struct Stake {
    /// All shares of its delegators.
    pub shares: Dec,
    /// The operator's part of what it earns.
    pub commission: Dec,
}

pub(super) fn validator(store: &dyn Read, operator: Address) -> Option<Stake> {
    let validator = VALIDATORS.get(store, &operator)?;
    let shares = Dec::whole(Amount::stored(&validator.tokens_uxpl)).unwrap_or(Dec::MAX);
    Some(Stake { shares, commission: Dec::bps(500) })
}

/// The operators of all validators, in order.
pub(super) fn operators(store: &dyn Read) -> Vec<Address> {
    VALIDATORS.iter(store).map(|(operator, _)| operator).collect()
}

/// The shares of a delegation, if there is one.
pub(super) fn shares(store: &dyn Read, delegator: Address, operator: Address) -> Option<Dec> {
    (delegator == operator).then(|| validator(store, operator).map(|stake| stake.shares)).flatten()
}

/// Every delegation: (delegator, operator), in order.
pub(super) fn pairs(store: &dyn Read) -> Vec<(Address, Address)> {
    operators(store).into_iter().map(|operator| (operator, operator)).collect()
}

/// With whom an account has stake, in order.
pub(super) fn operators_of(store: &dyn Read, delegator: Address) -> Vec<Address> {
    validator(store, delegator).map(|_| delegator).into_iter().collect()
}

/// An operator as queries and events name it.
pub(super) fn operator_text(operator: Address) -> String {
    operator.text()
}

pub(super) fn parse_operator(text: &str) -> Result<Address, Sdk> {
    Address::parse(text)
}
