use alloc::{collections::BTreeMap, format, string::String};

use plasma_proto::cosmos::staking::v1beta1::BondStatus;

use super::{
    ballot, distribution,
    state::{
        BY_CONSENSUS, DELEGATIONS, REDELEGATIONS, SET, SIGNING_INFOS, TOTAL_POWER_MAX, UNBONDINGS,
        VALIDATORS, bonded_pool, consensus_address, consensus_key, not_bonded_pool, tokens,
        total_shares, unsigned,
    },
};
use crate::{Address, Amount, Dec, Read, token};

/// Every sentence about stake holds.
pub fn check_invariants(store: &dyn Read) -> Result<(), String> {
    pools_hold_all_stake(store)?;
    shares_are_sum_of_delegations(store)?;
    the_set_is_who_is_bonded(store)?;
    keys_belong_to_their_validators(store)?;
    entries_are_worth_something(store)?;
    distribution::check_invariants(store)?;
    ballot::sums_are_a_recount_of_votes(store)
}

fn add(sum: Amount, more: Amount) -> Result<Amount, String> {
    sum.plus(more).ok_or_else(|| "a sum of stake overflows".into())
}

fn equal(what: &str, have: Amount, want: Amount) -> Result<(), String> {
    if have == want { Ok(()) } else { Err(format!("{what} holds {have}uxpl, not {want}uxpl")) }
}

/// The bonded pool holds the tokens of bonded validators; the other one those of all others and what
/// is unbonding, with what slashes will burn of it.
pub fn pools_hold_all_stake(store: &dyn Read) -> Result<(), String> {
    let (mut bonded, mut other) = (Amount::ZERO, Amount::ZERO);
    for (_, validator) in VALIDATORS.map().iter(store) {
        let sum = if validator.status() == BondStatus::Bonded { &mut bonded } else { &mut other };
        *sum = add(*sum, tokens(&validator))?;
    }
    for (_, stake) in UNBONDINGS.map().iter(store) {
        for entry in &stake.entries {
            other = add(other, Amount::stored(&entry.balance))?;
        }
    }
    equal("bonded_tokens_pool", token::balance(store, bonded_pool()), bonded)?;
    equal("not_bonded_tokens_pool", token::balance(store, not_bonded_pool()), other)
}

/// A validator's shares are the sum of its delegations', none of which is nothing.
pub fn shares_are_sum_of_delegations(store: &dyn Read) -> Result<(), String> {
    let mut sums = BTreeMap::<Address, Dec>::new();
    for ((delegator, operator), delegation) in DELEGATIONS.map().iter(store) {
        let shares = Dec::stored(&delegation.shares);
        let named = delegation.delegator_address == delegator.text()
            && delegation.validator_address == operator.operator_text();
        if shares == Dec::ZERO || !named {
            return Err(format!("the delegation of {delegator} to {operator} is not one"));
        }
        let sum = sums.entry(operator).or_default();
        *sum = sum.plus(shares).ok_or("a sum of shares overflows")?;
    }
    for (operator, validator) in VALIDATORS.map().iter(store) {
        let sum = sums.remove(&operator).unwrap_or_default();
        let all = total_shares(&validator);
        if sum != all {
            return Err(format!("the shares of {operator} are {all}, its delegations' {sum}"));
        }
    }
    sums.into_keys().next().map_or(Ok(()), |nobody| {
        Err(format!("somebody delegates to {nobody}, who is no validator"))
    })
}

/// What CometBFT was told is who is bonded: at least one, each once, with powers within its bound.
pub fn the_set_is_who_is_bonded(store: &dyn Read) -> Result<(), String> {
    let mut members = BTreeMap::new();
    let mut total = 0u64;
    for member in SET.get(store).unwrap_or_default().members {
        total = total.checked_add(member.power).ok_or("the sum of powers overflows")?;
        let operator = Address::stored(&member.operator);
        if member.power == 0 || members.insert(operator, member).is_some() {
            return Err(format!("{operator} stands in the set twice, or without power"));
        }
    }
    if members.is_empty() || total > TOTAL_POWER_MAX {
        return Err(format!("the set has {} members with power {total}", members.len()));
    }
    for (operator, validator) in VALIDATORS.map().iter(store) {
        let member = members.remove(&operator);
        if member.is_some() != (validator.status() == BondStatus::Bonded) {
            return Err(format!("{operator} is bonded or in the set, not both"));
        }
        if member.is_some_and(|member| member.consensus_pubkey != consensus_key(&validator)) {
            return Err(format!("{operator} stands in the set with another's key"));
        }
    }
    members
        .into_keys()
        .next()
        .map_or(Ok(()), |nobody| Err(format!("{nobody} is in the set and no validator")))
}

/// A validator's consensus key is its own, and one of the set has a window of signing.
pub fn keys_belong_to_their_validators(store: &dyn Read) -> Result<(), String> {
    for (operator, validator) in VALIDATORS.map().iter(store) {
        if validator.operator_address != operator.operator_text() {
            return Err(format!("the validator of {operator} is not its own"));
        }
        let consensus = consensus_address(&validator);
        if BY_CONSENSUS.get(store, &consensus).is_none_or(|owner| owner != operator.0) {
            return Err(format!("the consensus key of {operator} is not its own"));
        }
        let info = SIGNING_INFOS.get(store, &consensus);
        if validator.status() == BondStatus::Bonded && info.is_none() {
            return Err(format!("{operator} is in the set and nobody counts what it signs"));
        }
    }
    for (consensus, info) in SIGNING_INFOS.iter(store) {
        let missed: u64 = super::state::MISSED
            .iter_prefix(store, &consensus)
            .flat_map(|(_, bits)| bits)
            .map(|byte| u64::from(byte.count_ones()))
            .fold(0, u64::saturating_add);
        if missed != unsigned(info.missed_blocks_counter) {
            return Err(format!("{} missed {missed} blocks and counts others", info.address));
        }
    }
    Ok(())
}

fn entries_are_worth_something(store: &dyn Read) -> Result<(), String> {
    for ((delegator, operator), stake) in UNBONDINGS.map().iter(store) {
        let named = stake.delegator_address == delegator.text()
            && stake.validator_address == operator.operator_text();
        let empty = |balance: &str| Amount::stored(balance) == Amount::ZERO;
        if !named
            || stake.entries.is_empty()
            || stake.entries.iter().any(|entry| empty(&entry.balance))
        {
            return Err(format!("what {delegator} unbonds from {operator} is nothing"));
        }
    }
    for ((delegator, to, from), moved) in REDELEGATIONS.map().iter(store) {
        let named = moved.delegator == delegator.text()
            && moved.destination == to.text()
            && moved.source == from.text();
        if !named || moved.entries.is_empty() || to == from {
            return Err(format!("what {delegator} moved from {from} to {to} is nothing"));
        }
    }
    Ok(())
}
