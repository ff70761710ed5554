//! Stake that comes, goes and moves.

use plasma_proto::cosmos::{
    base::v1beta1::Coin,
    staking::v1beta1::{
        BondStatus, Delegation, MsgBeginRedelegateResponse, MsgCancelUnbondingDelegationResponse,
        MsgDelegateResponse, MsgUndelegateResponse, Validator,
    },
};

use super::{
    CancelUnbonding, Delegate, Error, Redelegate, Undelegate, ballot, distribution,
    event::Event,
    redelegation,
    state::{
        DELEGATIONS, DELEGATIONS_MAX, STAKE_MAX, VALIDATORS, bonded_pool, not_bonded_pool, pool,
        seconds, shares_of, timestamp, tokens, total_shares, unsigned, worth,
    },
    unbonding,
    validator::{self, load},
};
use crate::{
    Address, Amount, Ctx, Dec, Denom, Read, Sdk, auth, token,
    types::{mul_div, mul_div_up},
};

/// Where stake comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The delegator's account.
    Account,
    /// Another validator, or what is unbonding: the pool that holds it.
    Pool {
        /// Whether that is the bonded one.
        bonded: bool,
    },
}

/// The one place where a delegation's shares change.
pub(super) fn set_shares(
    ctx: &mut Ctx<'_>,
    delegator: Address,
    operator: Address,
    after: Dec,
) -> Result<(), Error> {
    let key = (delegator, operator);
    let before = shares_of(ctx.store, delegator, operator);
    distribution::settle(ctx, delegator, operator, before, after)?;
    if after == Dec::ZERO {
        DELEGATIONS.remove(ctx.store, &key);
    } else {
        let delegation = Delegation {
            delegator_address: delegator.text(),
            validator_address: operator.operator_text(),
            shares: after.text(),
        };
        DELEGATIONS.set(ctx.store, &key, &delegation);
    }
    ballot::moved(ctx.store, delegator, operator, before, after);
    Ok(())
}

/// With how many validators an account stakes, counted up to one more than it may.
fn delegations(store: &dyn Read, delegator: Address) -> usize {
    let more = DELEGATIONS_MAX.saturating_add(1);
    DELEGATIONS.map().iter_prefix(store, &delegator).take(more).count()
}

/// Stakes `amount` with a validator; `Ok` is the shares that it became, rounded down: the remainder
/// is all stakers'.
pub(super) fn add(
    ctx: &mut Ctx<'_>,
    delegator: Address,
    operator: Address,
    amount: Amount,
    source: Source,
) -> Result<Dec, Error> {
    redelegation::settle(ctx, delegator, operator)?;
    let mut validator = load(ctx, operator)?;
    let (have, all) = (tokens(&validator), total_shares(&validator));
    let shares = if all == Dec::ZERO {
        Dec::whole(amount).ok_or(Error::Overflow)?
    } else if have == Amount::ZERO {
        return Err(Error::ExchangeRate);
    } else {
        all.times_ratio(amount.units(), have.units()).ok_or(Error::Overflow)?
    };
    let before = shares_of(ctx.store, delegator, operator);
    if before == Dec::ZERO && delegations(ctx.store, delegator) >= DELEGATIONS_MAX {
        return Err(Error::TooManyDelegations(DELEGATIONS_MAX));
    }
    let bonded = validator.status() == BondStatus::Bonded;
    match source {
        Source::Account => {
            let held = token::balance(ctx.store, bonded_pool())
                .plus(token::balance(ctx.store, not_bonded_pool()));
            held.and_then(|held| held.plus(amount))
                .filter(|sum| *sum <= STAKE_MAX)
                .ok_or(Error::Overflow)?;
            let (denom, now_s) = (Denom::uxpl(), ctx.block.time_s);
            auth::track_delegation(ctx.store, delegator, &denom, amount, now_s);
            token::transfer(ctx, delegator, pool(bonded), amount)?;
        }
        Source::Pool { bonded: from } if from != bonded => {
            token::transfer(ctx, pool(from), pool(bonded), amount)?;
        }
        Source::Pool { .. } => {}
    }
    set_shares(ctx, delegator, operator, before.plus(shares).ok_or(Error::Overflow)?)?;
    validator.tokens = have.plus(amount).ok_or(Error::Overflow)?.text();
    validator.delegator_shares = all.plus(shares).ok_or(Error::Overflow)?.text();
    VALIDATORS.set(ctx.store, &operator, &validator);
    Ok(shares)
}

/// Takes shares from a delegation and from its validator. `Ok` is their tokens, which stay in the
/// validator's pool: `exact` where the caller knows them, else their worth rounded down; the last
/// shares take all that is left. Who stakes less with itself than it promised is jailed.
pub(super) fn drop_shares(
    ctx: &mut Ctx<'_>,
    delegator: Address,
    operator: Address,
    shares: Dec,
    exact: Option<Amount>,
) -> Result<Amount, Error> {
    let mut validator = load(ctx, operator)?;
    let (have, all) = (tokens(&validator), total_shares(&validator));
    let before = shares_of(ctx.store, delegator, operator);
    let after = before.minus(shares).ok_or(Error::Shares { have: before, need: shares })?;
    let left = all.minus(shares).ok_or(Error::Overflow)?;
    let gone = match exact {
        _ if left == Dec::ZERO => have,
        Some(exact) => exact.min(have),
        None => worth(&validator, shares),
    };
    set_shares(ctx, delegator, operator, after)?;
    validator.tokens = have.minus(gone).unwrap_or_default().text();
    validator.delegator_shares = left.text();
    validator::keep_or_remove(ctx, operator, &validator)?;
    let least = Amount::stored(&validator.min_self_delegation);
    if delegator == operator && worth(&validator, after) < least {
        validator::jail(ctx, operator, "self_delegation_below_minimum");
    }
    Ok(gone)
}

/// Takes `amount` out of a delegation; `Ok` is what came out and the validator as it was. Shares are
/// rounded up. What is left and worth nothing goes to those who stay.
fn take(
    ctx: &mut Ctx<'_>,
    delegator: Address,
    operator: Address,
    amount: Amount,
) -> Result<(Amount, Validator), Error> {
    redelegation::settle(ctx, delegator, operator)?;
    let validator = load(ctx, operator)?;
    let before = shares_of(ctx.store, delegator, operator);
    if before == Dec::ZERO {
        return Err(Error::NoDelegation);
    }
    let (have, all) = (tokens(&validator), total_shares(&validator).scaled());
    let short =
        |need: Option<u128>| Error::Shares { have: before, need: need.map_or(Dec::MAX, Dec::new) };
    let least = mul_div(amount.units(), all, have.units());
    least.filter(|least| *least <= before.scaled()).ok_or_else(|| short(least))?;
    let need = mul_div_up(amount.units(), all, have.units()).map_or(before, Dec::new).min(before);
    let rest = before.minus(need).unwrap_or_default();
    let shares = if worth(&validator, rest) == Amount::ZERO { before } else { need };
    let gone = drop_shares(ctx, delegator, operator, shares, Some(amount))?;
    Ok((gone, validator))
}

/// `MsgDelegate`.
pub fn delegate(ctx: &mut Ctx<'_>, msg: Delegate) -> Result<MsgDelegateResponse, Error> {
    let Delegate { delegator, operator, amount } = msg;
    let shares = add(ctx, delegator, operator, amount, Source::Account)?;
    ctx.emit(&Event::Delegated { delegator, operator, amount, shares });
    Ok(MsgDelegateResponse {})
}

/// `MsgUndelegate`.
pub fn undelegate(ctx: &mut Ctx<'_>, msg: Undelegate) -> Result<MsgUndelegateResponse, Error> {
    let Undelegate { delegator, operator, amount } = msg;
    unbonding::check_room(ctx, delegator, operator)?;
    let (amount, validator) = take(ctx, delegator, operator, amount)?;
    if validator.status() == BondStatus::Bonded {
        token::transfer(ctx, bonded_pool(), not_bonded_pool(), amount)?;
    }
    let completes_s = unbonding::begin(ctx, delegator, operator, amount);
    ctx.emit(&Event::Unbonding { delegator, operator, amount, completes_s });
    Ok(MsgUndelegateResponse {
        completion_time: timestamp(completes_s),
        amount: Some(Coin { denom: Denom::uxpl().as_str().into(), amount: amount.text() }),
    })
}

/// `MsgBeginRedelegate`.
pub fn redelegate(ctx: &mut Ctx<'_>, msg: Redelegate) -> Result<MsgBeginRedelegateResponse, Error> {
    let Redelegate { delegator, from, to, amount } = msg;
    if VALIDATORS.get(ctx.store, &to).is_none() {
        return Err(Error::BadDestination);
    }
    if VALIDATORS.get(ctx.store, &from).is_none() {
        return Err(Error::BadSource);
    }
    redelegation::check_room(ctx, delegator, from, to)?;
    let (amount, source) = take(ctx, delegator, from, amount)?;
    if amount == Amount::ZERO {
        return Err(Error::TinyRedelegation);
    }
    let bonded = source.status() == BondStatus::Bonded;
    let shares = add(ctx, delegator, to, amount, Source::Pool { bonded })?;
    // Until when the stake pays for its source, and since when it does not stand behind it.
    let (since, completes_s) = match source.status() {
        BondStatus::Bonded => {
            (ctx.block.height, ctx.block.time_s.saturating_add(unbonding::unbonding_s(ctx.store)))
        }
        BondStatus::Unbonding => {
            (unsigned(source.unbonding_height), seconds(source.unbonding_time))
        }
        _ => (ctx.block.height, ctx.block.time_s),
    };
    if completes_s > ctx.block.time_s {
        let moved = redelegation::Moved { amount, shares, since, completes_s };
        redelegation::begin(ctx, (delegator, to, from), moved);
    }
    ctx.emit(&Event::Redelegated { delegator, from, to, amount, completes_s });
    Ok(MsgBeginRedelegateResponse { completion_time: timestamp(completes_s) })
}

/// `MsgCancelUnbondingDelegation`.
pub fn cancel_unbonding(
    ctx: &mut Ctx<'_>,
    msg: CancelUnbonding,
) -> Result<MsgCancelUnbondingDelegationResponse, Error> {
    let CancelUnbonding { delegator, operator, amount, height } = msg;
    if load(ctx, operator)?.jailed {
        return Err(Error::Jailed);
    }
    let found = unbonding::entry_of(ctx.store, delegator, operator, height);
    let at = found.ok_or(Error::NoUnbonding)?.ok_or_else(|| {
        Sdk::NotFound(alloc::format!(
            "unbonding delegation entry is not found at block height {height}"
        ))
    })?;
    unbonding::take(ctx, delegator, operator, at, amount)?;
    let shares = add(ctx, delegator, operator, amount, Source::Pool { bonded: false })?;
    ctx.emit(&Event::Delegated { delegator, operator, amount, shares });
    ctx.emit(&Event::Cancelled { delegator, operator, amount, height: unsigned(height) });
    Ok(MsgCancelUnbondingDelegationResponse {})
}
