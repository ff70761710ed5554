use super::{
    event::Event,
    stake,
    state::{Earned, Pot, must, params},
};
use crate::{Address, Ctx, Dec, chain::Vote, staking::operator_of};

/// Deals out what stakers have earned together. First the community's tax; then each validator of the
/// last commit has its part by its power. The part of one that did not sign, or that is gone, is the
/// community's: nobody gains by leaving another's vote out. What does not divide stays in the pot.
pub fn allocate(ctx: &mut Ctx<'_>, votes: &[Vote]) {
    let total = votes.iter().map(|vote| u128::from(vote.power)).fold(0, u128::saturating_add);
    let mut pot = Pot::of(ctx.store);
    if total == 0 || pot.stakers == Dec::ZERO {
        return;
    }
    // A tax is at most the whole.
    let tax = must(pot.stakers.times(Dec::stored(&params(ctx.store).community_tax)));
    let shared = must(pot.stakers.minus(tax));
    let (mut left, mut community) = (shared, tax);
    for Vote { validator, power, signed } in votes {
        // The powers sum to the total, so the parts sum to no more than what is shared.
        let part = must(shared.times_ratio((*power).into(), total));
        left = must(left.minus(part));
        let operator = operator_of(ctx.store, validator).filter(|_| *signed);
        if operator.is_none_or(|operator| !reward(ctx, operator, part)) {
            community = must(community.plus(part));
        }
    }
    pot.stakers = left;
    pot.community = must(pot.community.plus(community));
    pot.put(ctx.store);
}

/// Adds to what a validator and its delegators have earned. `false`: there is no such validator.
pub(super) fn reward(ctx: &mut Ctx<'_>, operator: Address, amount: Dec) -> bool {
    let Some(mut earned) = Earned::of(ctx.store, operator) else { return false };
    let Some(validator) = stake::validator(ctx.store, operator) else { return false };
    let commission = earned.earn(amount, validator.commission, validator.shares);
    earned.put(ctx.store, operator);
    if amount != Dec::ZERO {
        ctx.emit(&Event::Commission { operator, amount: commission });
        ctx.emit(&Event::Rewards { operator, amount });
    }
    true
}
