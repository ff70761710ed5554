//! What a bond answers for beside jobs: duties (a seat of a jury, the bond of a dispute), and slashes.

use alloc::string::ToString;

use plasma_proto::plasma::market::v1::Provider;

use super::{
    Error,
    event::Event,
    provider::{self, set_bond},
    state::{PROVIDERS, WITHDRAWALS, bonds, rest, sum, withdrawals_of},
    timer,
};
use crate::{Address, Amount, BPS, Ctx, Read, Write, token};

fn known(store: &dyn Read, operator: Address) -> Result<Provider, Error> {
    PROVIDERS.get(store, &operator).ok_or_else(|| Error::UnknownProvider(operator.to_string()))
}

/// The part of an operator's bond that stands for nothing yet and is not asked back, uxpl; zero
/// for one that runs no provider.
pub fn free_bond(store: &dyn Read, operator: Address) -> Amount {
    PROVIDERS.get(store, &operator).map_or(Amount::ZERO, |found| provider::free_bond(&found))
}

/// Charges of an operator's delivered jobs that are not settled, uxpl: what is at risk.
pub fn pending(store: &dyn Read, operator: Address) -> Amount {
    PROVIDERS
        .get(store, &operator)
        .map_or(Amount::ZERO, |provider| Amount::stored(&provider.pending_uxpl))
}

/// Every operator whose bond stands for duties, and with how much, uxpl: who gave the duties out
/// can compare.
pub fn duty_locks(store: &dyn Read) -> impl Iterator<Item = (Address, Amount)> + '_ {
    PROVIDERS.iter(store).filter_map(|(operator, provider)| {
        let locked = Amount::stored(&provider.duty_locked_uxpl);
        (locked != Amount::ZERO).then_some((operator, locked))
    })
}

/// Lets `amount` of a free bond stand for a duty. One that is leaving may: it stays until the duty
/// is done. [`Error::BondNotFree`] if less is free.
pub fn lock_duty(store: &mut dyn Write, operator: Address, amount: Amount) -> Result<(), Error> {
    let mut provider = known(store, operator)?;
    let free = provider::free_bond(&provider);
    if amount > free {
        return Err(Error::BondNotFree { free, asked: amount });
    }
    provider.duty_locked_uxpl = sum(Amount::stored(&provider.duty_locked_uxpl), amount).text();
    PROVIDERS.set(store, &operator, &provider);
    Ok(())
}

/// A duty is done: `amount` that stood for it is free again. [`Error::DutyNotLocked`] if less
/// stands for duties.
pub fn unlock_duty(store: &mut dyn Write, operator: Address, amount: Amount) -> Result<(), Error> {
    let mut provider = known(store, operator)?;
    take_from_duty(&mut provider, amount)?;
    PROVIDERS.set(store, &operator, &provider);
    Ok(())
}

fn take_from_duty(provider: &mut Provider, amount: Amount) -> Result<(), Error> {
    let locked = Amount::stored(&provider.duty_locked_uxpl);
    let left = locked.minus(amount).ok_or(Error::DutyNotLocked { locked, asked: amount })?;
    provider.duty_locked_uxpl = left.text();
    Ok(())
}

/// Takes up to `wanted` from a bond: from what is free, then from what is asked back, the newest
/// withdrawal first, then from what stands for jobs and duties: nobody hides a bond under promises.
/// These stand as they were, with less behind them; nothing is free until they are covered again.
/// What was taken, and lies with `to` now, uxpl.
pub fn slash_bond(
    ctx: &mut Ctx<'_>,
    operator: Address,
    wanted: Amount,
    to: Address,
) -> Result<Amount, Error> {
    let mut provider = known(ctx.store, operator)?;
    let from_free = provider::free_bond(&provider).min(wanted);
    let mut missing = rest(wanted, from_free);
    let mut from_queued = Amount::ZERO;
    for id in withdrawals_of(ctx.store, operator).into_iter().rev() {
        if missing == Amount::ZERO {
            break;
        }
        let Some(mut withdrawal) = WITHDRAWALS.get(ctx.store, &id) else { continue };
        let asked_back = Amount::stored(&withdrawal.amount_uxpl);
        let part = asked_back.min(missing);
        missing = rest(missing, part);
        from_queued = sum(from_queued, part);
        if part == asked_back {
            timer::cancel(ctx.store, &timer::of_withdrawal(&withdrawal));
            WITHDRAWALS.remove(ctx.store, &id);
        } else {
            withdrawal.amount_uxpl = rest(asked_back, part).text();
            WITHDRAWALS.set(ctx.store, &id, &withdrawal);
        }
    }
    provider.queued_uxpl = rest(Amount::stored(&provider.queued_uxpl), from_queued).text();
    let unasked = sum(from_free, from_queued);
    let promised = rest(Amount::stored(&provider.bond_uxpl), unasked);
    let taken = sum(unasked, promised.min(missing));
    take(ctx, operator, provider, taken, to)?;
    Ok(taken)
}

/// Takes `amount` of what stands for duties, or what a slash has left of it: of a juror that was
/// silent, or passed what is false. [`Error::DutyNotLocked`] if less stands for them. What was taken,
/// and lies with `to` now, uxpl.
pub fn slash_duty(
    ctx: &mut Ctx<'_>,
    operator: Address,
    amount: Amount,
    to: Address,
) -> Result<Amount, Error> {
    let mut provider = known(ctx.store, operator)?;
    take_from_duty(&mut provider, amount)?;
    let taken = amount.min(provider::standing_bond(&provider));
    take(ctx, operator, provider, taken, to)?;
    Ok(taken)
}

/// A cheat of an operator was proven: it is matched as one that failed every job, until it has delivered others.
pub fn always_failed(store: &mut dyn Write, operator: Address) {
    if let Some(mut provider) = PROVIDERS.get(store, &operator) {
        provider.failure_bps = BPS;
        PROVIDERS.set(store, &operator, &provider);
    }
}

/// The bond is less, and the money goes.
fn take(
    ctx: &mut Ctx<'_>,
    operator: Address,
    mut provider: Provider,
    amount: Amount,
    to: Address,
) -> Result<(), Error> {
    let bond = rest(Amount::stored(&provider.bond_uxpl), amount);
    set_bond(&mut provider, bond, ctx.block.time_s);
    let slashed = Amount::stored(&provider.slashed_uxpl).units().saturating_add(amount.units());
    provider.slashed_uxpl = Amount::new(slashed).text();
    PROVIDERS.set(ctx.store, &operator, &provider);
    token::transfer(ctx, bonds(), to, amount)?;
    ctx.emit(&Event::BondSlashed { operator, amount, to });
    Ok(())
}
