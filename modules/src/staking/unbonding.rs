//! Stake on its way back to its owner. It stays in the pool that is not bonded until it is paid.
//!
//! A slash does not look for it: whoever reads an entry takes off what its validator's slashes since
//! then cost it, and that is burned when the entry is paid or taken back.

use alloc::{collections::BTreeSet, format, vec::Vec};

use plasma_proto::cosmos::staking::v1beta1::{UnbondingDelegation, UnbondingDelegationEntry};

use super::{
    Error,
    event::Event,
    params::params,
    state::{
        Pair, SLASHES, UNBONDINGS, duration_s, index_keys, next_unbonding, not_bonded_pool,
        seconds, signed, timestamp, unsigned,
    },
};
use crate::{Address, Amount, Ctx, Dec, Denom, Read, Sdk, Table, auth, token, types::mul_div_up};

/// Owners that are paid at the end of a block, at most.
pub const PAID_PER_BLOCK_MAX: usize = 200;

/// How long stake unbonds, seconds.
pub(crate) fn unbonding_s(store: &dyn Read) -> u64 {
    duration_s(params(store).unbonding_time)
}

/// Slashes of a validator that stake pays which left it at `left` and waits until `until_s`: those
/// after `since`, for what happened up to when it left.
pub(super) fn slashes_since(
    store: &dyn Read,
    operator: Address,
    since: u64,
    left: u64,
    until_s: u64,
) -> impl Iterator<Item = Dec> {
    SLASHES
        .iter_from(store, &(operator, since.saturating_add(1), 0))
        .take_while(move |((of, ..), _)| *of == operator)
        .filter(move |(_, slash)| slash.infraction_height <= left && slash.time_s < until_s)
        .map(|(_, slash)| Dec::stored(&slash.fraction))
}

/// What an entry will pay its owner. Each slash is rounded down: the remainder stays the owner's.
pub(super) fn owed(
    store: &dyn Read,
    operator: Address,
    entry: &UnbondingDelegationEntry,
) -> Amount {
    let created = unsigned(entry.creation_height);
    let until_s = seconds(entry.completion_time);
    slashes_since(store, operator, created, created, until_s).fold(
        Amount::stored(&entry.balance),
        |left, fraction| {
            let lost = fraction.of(left).unwrap_or(left);
            left.minus(lost).unwrap_or_default()
        },
    )
}

/// The entries as their owner sees them.
pub(super) fn as_seen(store: &dyn Read, mut stake: UnbondingDelegation) -> UnbondingDelegation {
    let operator = Address::stored_operator(&stake.validator_address);
    for entry in &mut stake.entries {
        entry.balance = owed(store, operator, entry).text();
    }
    stake
}

/// What an account unbonds from a validator, as its owner sees it.
pub fn unbonding(
    store: &dyn Read,
    delegator: Address,
    operator: Address,
) -> Option<UnbondingDelegation> {
    UNBONDINGS.get(store, &(delegator, operator)).map(|stake| as_seen(store, stake))
}

/// Refuses where another entry would be too many.
pub(super) fn check_room(
    ctx: &Ctx<'_>,
    delegator: Address,
    operator: Address,
) -> Result<(), Error> {
    let have = UNBONDINGS.get(ctx.store, &(delegator, operator)).unwrap_or_default();
    let most = usize::try_from(params(ctx.store).max_entries).unwrap_or(usize::MAX);
    if have.entries.len() >= most { Err(Error::UnbondingEntries) } else { Ok(()) }
}

/// Notes that `amount`, which lies in the pool that is not bonded, goes back to its owner. `Ok` is
/// when, unix seconds.
pub(super) fn begin(
    ctx: &mut Ctx<'_>,
    delegator: Address,
    operator: Address,
    amount: Amount,
) -> u64 {
    let completes_s = ctx.block.time_s.saturating_add(unbonding_s(ctx.store));
    let (height, completes) = (signed(ctx.block.height), timestamp(completes_s));
    let key = (delegator, operator);
    let mut stake = UNBONDINGS.get(ctx.store, &key).unwrap_or_else(|| UnbondingDelegation {
        delegator_address: delegator.text(),
        validator_address: operator.operator_text(),
        entries: Vec::new(),
    });
    let same = stake
        .entries
        .iter_mut()
        .find(|entry| entry.creation_height == height && entry.completion_time == completes);
    if let Some(entry) = same {
        let more = |text: &str| Amount::stored(text).plus(amount).unwrap_or_default().text();
        entry.initial_balance = more(&entry.initial_balance);
        entry.balance = more(&entry.balance);
    } else {
        stake.entries.push(UnbondingDelegationEntry {
            creation_height: height,
            completion_time: completes,
            initial_balance: amount.text(),
            balance: amount.text(),
            unbonding_id: next_unbonding(ctx.store),
            unbonding_on_hold_ref_count: 0,
        });
    }
    UNBONDINGS.set(ctx.store, &key, &stake);
    completes_s
}

/// The place of the entry that began at a height; `None` where nothing is unbonding at all.
pub(super) fn entry_of(
    store: &dyn Read,
    delegator: Address,
    operator: Address,
    height: i64,
) -> Option<Option<usize>> {
    let stake = UNBONDINGS.get(store, &(delegator, operator))?;
    Some(stake.entries.iter().position(|entry| entry.creation_height == height))
}

/// Takes `amount` out of an entry, as its owner sees it, and burns what slashes cost that part. The
/// part is rounded up: what is left of the entry is never more than before.
pub(super) fn take(
    ctx: &mut Ctx<'_>,
    delegator: Address,
    operator: Address,
    at: usize,
    amount: Amount,
) -> Result<(), Error> {
    let key = (delegator, operator);
    let mut stake = UNBONDINGS.get(ctx.store, &key).ok_or(Error::NoUnbonding)?;
    let entry = stake.entries.get_mut(at).ok_or(Error::NoUnbonding)?;
    if seconds(entry.completion_time) <= ctx.block.time_s {
        let text = "unbonding delegation is already processed";
        return Err(Sdk::InvalidRequest(text.into()).into());
    }
    let (whole, owed) = (Amount::stored(&entry.balance), owed(ctx.store, operator, entry));
    if amount > owed {
        let text = "amount is greater than the unbonding delegation entry balance";
        return Err(Sdk::InvalidRequest(format!("{text}: {owed}uxpl")).into());
    }
    let part = part_of(whole, owed, amount);
    entry.balance = whole.minus(part).unwrap_or_default().text();
    keep(ctx, &key, stake);
    token::burn(ctx, not_bonded_pool(), part.minus(amount).unwrap_or_default())?;
    Ok(())
}

/// What of the whole stands behind `amount` of what is owed of it.
fn part_of(whole: Amount, owed: Amount, amount: Amount) -> Amount {
    if amount == owed {
        return whole;
    }
    let part = mul_div_up(amount.units(), whole.units(), owed.units());
    part.map_or(whole, Amount::new).min(whole)
}

fn keep(ctx: &mut Ctx<'_>, key: &Pair, mut stake: UnbondingDelegation) {
    stake.entries.retain(|entry| Amount::stored(&entry.balance) != Amount::ZERO);
    if stake.entries.is_empty() {
        UNBONDINGS.remove(ctx.store, key);
    } else {
        UNBONDINGS.set(ctx.store, key, &stake);
    }
}

/// Burns up to `amount` of what began to unbond at `since` or later and is not due yet; `Ok` is what
/// is left of the amount.
pub(super) fn charge(
    ctx: &mut Ctx<'_>,
    delegator: Address,
    operator: Address,
    since: u64,
    amount: Amount,
) -> Result<Amount, Error> {
    let key = (delegator, operator);
    let Some(mut stake) = UNBONDINGS.get(ctx.store, &key) else { return Ok(amount) };
    let (mut left, mut burned) = (amount, Amount::ZERO);
    for entry in &mut stake.entries {
        let due = seconds(entry.completion_time) <= ctx.block.time_s;
        if due || unsigned(entry.creation_height) < since || left == Amount::ZERO {
            continue;
        }
        let (whole, owed) = (Amount::stored(&entry.balance), owed(ctx.store, operator, entry));
        let taken = owed.min(left);
        let part = part_of(whole, owed, taken);
        entry.balance = whole.minus(part).unwrap_or_default().text();
        left = left.minus(taken).unwrap_or_default();
        burned = burned.plus(part).ok_or(Error::Overflow)?;
    }
    if burned != Amount::ZERO {
        keep(ctx, &key, stake);
        token::burn(ctx, not_bonded_pool(), burned)?;
    }
    Ok(left)
}

/// Pays what is due, oldest first; the rest waits, first in line, for the next block.
pub(super) fn pay_due(ctx: &mut Ctx<'_>) -> Result<(), Error> {
    let now_s = ctx.block.time_s;
    let due: BTreeSet<Pair> =
        index_keys::<(u64, Address, Address)>(ctx.store, Table::StakingUnbondingQueue, &[], &[])
            .take_while(|(due_s, ..)| *due_s <= now_s)
            .take(PAID_PER_BLOCK_MAX)
            .map(|(_, delegator, operator)| (delegator, operator))
            .collect();
    for key in due {
        let Some(mut stake) = UNBONDINGS.get(ctx.store, &key) else { continue };
        let (delegator, operator) = key;
        let (mut paid, mut burned) = (Amount::ZERO, Amount::ZERO);
        for entry in &mut stake.entries {
            if seconds(entry.completion_time) > now_s {
                continue;
            }
            let (whole, owed) = (Amount::stored(&entry.balance), owed(ctx.store, operator, entry));
            paid = paid.plus(owed).ok_or(Error::Overflow)?;
            let lost = whole.minus(owed).unwrap_or_default();
            burned = burned.plus(lost).ok_or(Error::Overflow)?;
            entry.balance = Amount::ZERO.text();
        }
        keep(ctx, &key, stake);
        auth::track_undelegation(ctx.store, delegator, &Denom::uxpl(), paid);
        token::transfer(ctx, not_bonded_pool(), delegator, paid)?;
        token::burn(ctx, not_bonded_pool(), burned)?;
        ctx.emit(&Event::Unbonded { delegator, operator, amount: paid });
    }
    Ok(())
}
