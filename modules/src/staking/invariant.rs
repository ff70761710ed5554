use alloc::string::String;

use super::ballot;
use super::state::{BONDED_POOL, DISTRIBUTION, POOLS, VALIDATORS};
use crate::{Address, Amount, Read, token};

/// Every sentence about stake holds.
pub fn check_invariants(store: &dyn Read) -> Result<(), String> {
    bonded_pool_is_sum_of_tokens(store)?;
    distribution_is_sum_of_pools(store)?;
    ballot::sums_are_a_recount_of_votes(store)
}

fn bonded_pool_is_sum_of_tokens(store: &dyn Read) -> Result<(), String> {
    let sum = VALIDATORS.iter(store).try_fold(Amount::ZERO, |sum, (_, validator)| {
        sum.plus(Amount::stored(&validator.tokens_uxpl))
    });
    let pool = token::balance(store, Address::of_module(BONDED_POOL));
    let text = "the bonded pool does not hold the sum of the validators' tokens";
    if sum == Some(pool) { Ok(()) } else { Err(text.into()) }
}

fn distribution_is_sum_of_pools(store: &dyn Read) -> Result<(), String> {
    let pools = POOLS.get(store).unwrap_or_default();
    let sum = Amount::stored(&pools.stakers_uxpl).plus(Amount::stored(&pools.community_uxpl));
    let held = token::balance(store, Address::of_module(DISTRIBUTION));
    let text = "distribution does not hold the sum of the pools";
    if sum == Some(held) { Ok(()) } else { Err(text.into()) }
}
