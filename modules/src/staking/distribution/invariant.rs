use alloc::{collections::BTreeMap, format, string::String};

use super::{
    pools::account,
    stake,
    state::{Earned, Pot, STARTS, VALIDATORS},
};
use crate::{Address, Dec, Read, token};

/// Every sentence about rewards holds.
pub fn check_invariants(store: &dyn Read) -> Result<(), String> {
    distribution_holds_what_was_earned(store)?;
    each_validator_can_pay_what_is_owed(store)?;
    all_that_is_staked_is_counted(store)
}

/// The account holds the pot, the community pool and what validators have outstanding, to the last of
/// 18 digits.
fn distribution_holds_what_was_earned(store: &dyn Read) -> Result<(), String> {
    let Pot { stakers, community } = Pot::of(store);
    let pools = stakers.plus(community);
    let sum = VALIDATORS.iter(store).fold(pools, |sum, (_, stored)| {
        sum.and_then(|sum| sum.plus(Earned::read(&stored).outstanding))
    });
    let held = Dec::whole(token::balance(store, account()));
    if sum.is_some() && sum == held {
        Ok(())
    } else {
        Err("distribution does not hold the pools and what is outstanding".into())
    }
}

/// What is outstanding covers the commission, what is not counted yet and all that delegations are owed.
fn each_validator_can_pay_what_is_owed(store: &dyn Read) -> Result<(), String> {
    let mut owed = BTreeMap::<Address, Option<Dec>>::new();
    for ((delegator, operator), start) in STARTS.iter(store) {
        let (Some(earned), Some(shares)) =
            (Earned::of(store, operator), stake::shares(store, delegator, operator))
        else {
            return Err(format!("{delegator} has a start and no stake with {operator}"));
        };
        let sum = owed.entry(operator).or_insert(Some(Dec::ZERO));
        *sum = sum.and_then(|sum| sum.plus(earned.owed(shares, &start)));
    }
    for (operator, stored) in VALIDATORS.iter(store) {
        let Earned { outstanding, commission, current, per_share: _ } = Earned::read(&stored);
        let owed = owed.remove(&operator).unwrap_or(Some(Dec::ZERO));
        let all = owed.and_then(|owed| owed.plus(commission)?.plus(current));
        if all.is_none_or(|all| all > outstanding) {
            return Err(format!("{operator} and its delegators are owed more than is outstanding"));
        }
    }
    Ok(())
}

/// Every validator has its rewards and every delegation its start.
fn all_that_is_staked_is_counted(store: &dyn Read) -> Result<(), String> {
    let operators = stake::operators(store);
    if operators
        != VALIDATORS.iter(store).map(|(operator, _)| operator).collect::<alloc::vec::Vec<_>>()
    {
        return Err("rewards are not counted for the validators".into());
    }
    if stake::pairs(store)
        != STARTS.iter(store).map(|(pair, _)| pair).collect::<alloc::vec::Vec<_>>()
    {
        return Err("rewards are not counted for the delegations".into());
    }
    Ok(())
}
