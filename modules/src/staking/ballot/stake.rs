//! Stake as ballots see it.

use alloc::vec::Vec;

use plasma_proto::cosmos::staking::v1beta1::BondStatus;

use crate::{
    Address, Amount, Dec, Read,
    staking::state::{DELEGATIONS, SET, VALIDATORS, tokens, total_shares},
};

/// The bonded validators: operator, tokens, shares.
pub(super) fn bonded(store: &dyn Read) -> Vec<(Address, Amount, Dec)> {
    let members = SET.get(store).unwrap_or_default().members.into_iter();
    members
        .filter_map(|member| {
            let operator = Address::stored(&member.operator);
            let validator = VALIDATORS.get(store, &operator)?;
            (validator.status() == BondStatus::Bonded)
                .then(|| (operator, tokens(&validator), total_shares(&validator)))
        })
        .collect()
}

/// What an account has delegated: operator, shares. Their number is bounded.
pub(super) fn delegations(store: &dyn Read, delegator: Address) -> Vec<(Address, Dec)> {
    let own = DELEGATIONS.map().iter_prefix(store, &delegator);
    own.map(|((_, operator), one)| (operator, Dec::stored(&one.shares))).collect()
}
