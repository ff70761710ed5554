use alloc::vec::Vec;

use super::{Error, distribution, mint, redelegation, set, slashing, unbonding};
use crate::{
    Ctx,
    chain::{Misbehavior, ValidatorUpdate, Vote},
    error::fault,
};

/// What the last block's votes and proven offences mean, once every transaction of this one has paid
/// and before the first message runs.
pub fn begin_block(ctx: &mut Ctx<'_>, votes: &[Vote], misbehavior: &[Misbehavior]) {
    mint::begin_block(ctx);
    distribution::allocate(ctx, votes);
    held(slashing::count_missed(ctx, votes));
    held(slashing::punish(ctx, misbehavior));
}

/// Chooses the set, then does what is due, a bounded part of each queue. Returned are the changes of
/// the validator set.
pub fn end_block(ctx: &mut Ctx<'_>) -> Vec<ValidatorUpdate> {
    let updates = held(set::choose(ctx));
    held(set::release_due(ctx));
    held(unbonding::pay_due(ctx));
    held(redelegation::forget_due(ctx));
    held(redelegation::charge_some(ctx));
    set::remember(ctx);
    updates
}

/// Outside of messages nothing may be refused: the pools hold what the books say.
fn held<T>(done: Result<T, Error>) -> T {
    done.unwrap_or_else(|error| fault("staking", alloc::format!("{error}").as_bytes()))
}
