use alloc::vec::Vec;

use super::{distribution, mint};
use crate::{
    Ctx,
    chain::{Misbehavior, ValidatorUpdate, Vote},
};

/// What the last block's votes and proven offences mean, once every transaction of this one has paid
/// and before the first message runs.
pub fn begin_block(ctx: &mut Ctx<'_>, votes: &[Vote], _: &[Misbehavior]) {
    mint::begin_block(ctx);
    distribution::allocate(ctx, votes);
}

/// The changes of the validator set.
pub fn end_block(_: &mut Ctx<'_>) -> Vec<ValidatorUpdate> {
    Vec::new()
}
