use plasma_proto::plasma::staking::v1::RewardStart;

use super::{
    event::Event,
    pools::{account, add_to_community},
    state::{Earned, STARTS, VALIDATORS, must, withdraw_address},
};
use crate::{Address, Amount, Ctx, Dec, error::fault, token};

/// Begins to count for a validator.
pub fn validator_created(ctx: &mut Ctx<'_>, operator: Address) {
    Earned::default().put(ctx.store, operator);
}

/// Pays a validator's commission and gives what is left to the community. Its delegations are gone.
pub fn validator_removed(ctx: &mut Ctx<'_>, operator: Address) -> Result<(), token::Error> {
    let Some(earned) = Earned::of(ctx.store, operator) else { return Ok(()) };
    let commission = earned.commission.floor();
    VALIDATORS.remove(ctx.store, &operator);
    let rest = must(Dec::whole(commission).and_then(|paid| earned.outstanding.minus(paid)));
    add_to_community(ctx, rest);
    if commission == Amount::ZERO {
        return Ok(());
    }
    ctx.emit(&Event::WithdrawCommission { amount: commission });
    let to = withdraw_address(ctx.store, operator);
    token::transfer(ctx, account(), to, commission)
}

/// Pays what a delegation is owed, before its shares change from `before` to `after`, and counts anew
/// from here. What is below 1 uxpl stays owed, or to the validator's other delegations if this one
/// ends. `Ok` is what was paid.
pub fn settle(
    ctx: &mut Ctx<'_>,
    delegator: Address,
    operator: Address,
    before: Dec,
    after: Dec,
) -> Result<Amount, token::Error> {
    let earned = Earned::of(ctx.store, operator);
    let mut earned = earned.unwrap_or_else(|| fault("stake with no validator", &operator.0));
    let key = (delegator, operator);
    let start = STARTS.get(ctx.store, &key).filter(|_| before != Dec::ZERO);
    let (paid, fraction) = start.map_or_else(Default::default, |start| earned.pay(before, &start));
    if after == Dec::ZERO {
        STARTS.remove(ctx.store, &key);
        earned.current = must(earned.current.plus(fraction));
    } else {
        let start = RewardStart {
            delegator: delegator.text(),
            operator: operator.text(),
            per_share_uxpl: earned.per_share.text(),
            fraction_uxpl: fraction.text(),
        };
        STARTS.set(ctx.store, &key, &start);
    }
    earned.put(ctx.store, operator);
    if before == Dec::ZERO {
        return Ok(paid);
    }
    ctx.emit(&Event::WithdrawRewards { delegator, operator, amount: paid });
    let to = withdraw_address(ctx.store, delegator);
    token::transfer(ctx, account(), to, paid)?;
    Ok(paid)
}
