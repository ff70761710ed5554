use alloc::string::String;

use super::{
    distribution,
    state::{BONDED_POOL, VALIDATORS},
};
use crate::{Address, Amount, Read, token};

/// Every sentence about stake holds.
pub fn check_invariants(store: &dyn Read) -> Result<(), String> {
    bonded_pool_is_sum_of_tokens(store)?;
    distribution::check_invariants(store)
}

fn bonded_pool_is_sum_of_tokens(store: &dyn Read) -> Result<(), String> {
    let sum = VALIDATORS.iter(store).try_fold(Amount::ZERO, |sum, (_, validator)| {
        sum.plus(Amount::stored(&validator.tokens_uxpl))
    });
    let pool = token::balance(store, Address::of_module(BONDED_POOL));
    let text = "the bonded pool does not hold the sum of the validators' tokens";
    if sum == Some(pool) { Ok(()) } else { Err(text.into()) }
}
