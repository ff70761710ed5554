use alloc::vec::Vec;

use crate::{
    Ctx,
    chain::{Misbehavior, ValidatorUpdate, Vote},
};

/// What the last block's votes and proven offences mean, once every transaction of this one has paid
/// and before the first message runs.
pub fn begin_block(_: &mut Ctx<'_>, _: &[Vote], _: &[Misbehavior]) {}

/// The changes of the validator set.
pub fn end_block(_: &mut Ctx<'_>) -> Vec<ValidatorUpdate> {
    Vec::new()
}
