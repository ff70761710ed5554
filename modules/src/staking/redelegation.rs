//! Stake that moved from one validator to another. Until it would have unbonded it pays for what the
//! first one did while it stood behind it: from what unbonds at the destination since, then from the
//! delegation there. A slash is charged by a cursor, a bounded part of the movers in each block, and
//! before that whenever a mover's stake at the destination changes, so that nobody runs away.

use alloc::vec::Vec;

use plasma_proto::{
    cosmos::staking::v1beta1::BondStatus,
    plasma::staking::v1::{Redelegation, RedelegationEntry, SlashTask},
};

use super::{
    Error, delegation,
    event::Event,
    params::params,
    state::{
        REDELEGATIONS, REDELEGATIONS_MAX, SLASH_TASKS, Triple, VALIDATORS, index_keys,
        next_unbonding, pool, shares_of,
    },
    unbonding,
};
use crate::{Address, Amount, Ctx, Dec, Table, token};

/// Redelegations that are over and forgotten at the end of a block, at most.
pub const FORGOTTEN_PER_BLOCK_MAX: usize = 200;
/// Redelegations that are charged for slashes at the end of a block, at most.
pub const CHARGED_PER_BLOCK_MAX: usize = 200;

/// What moved.
pub(super) struct Moved {
    pub amount: Amount,
    pub shares: Dec,
    pub since: u64,
    pub completes_s: u64,
}

/// Refuses stake that came from elsewhere, and entries above the bounds.
pub(super) fn check_room(
    ctx: &Ctx<'_>,
    delegator: Address,
    from: Address,
    to: Address,
) -> Result<(), Error> {
    let map = REDELEGATIONS.map();
    if map.iter_prefix(ctx.store, &(delegator, from)).next().is_some() {
        return Err(Error::Transitive);
    }
    match map.get(ctx.store, &(delegator, to, from)) {
        Some(moved) => {
            let most = usize::try_from(params(ctx.store).max_entries).unwrap_or(usize::MAX);
            if moved.entries.len() >= most {
                return Err(Error::RedelegationEntries);
            }
        }
        None => {
            if map.iter_prefix(ctx.store, &delegator).take(REDELEGATIONS_MAX).count()
                >= REDELEGATIONS_MAX
            {
                return Err(Error::TooManyRedelegations(REDELEGATIONS_MAX));
            }
        }
    }
    Ok(())
}

/// Notes that stake moved. What its source was slashed for until now it has paid there.
pub(super) fn begin(ctx: &mut Ctx<'_>, key: Triple, moved: Moved) {
    let (delegator, to, from) = key;
    let Moved { amount, shares, since, completes_s } = moved;
    let mut all = REDELEGATIONS.get(ctx.store, &key).unwrap_or_else(|| Redelegation {
        delegator: delegator.text(),
        destination: to.text(),
        source: from.text(),
        entries: Vec::new(),
    });
    all.entries.push(RedelegationEntry {
        creation_height: since,
        completion_s: completes_s,
        initial_balance_uxpl: amount.text(),
        shares_dst: shares.text(),
        id: next_unbonding(ctx.store),
        settled_height: ctx.block.height,
    });
    REDELEGATIONS.set(ctx.store, &key, &all);
}

/// Charges everything that moved to a delegation for the slashes of where it came from.
pub(super) fn settle(ctx: &mut Ctx<'_>, delegator: Address, to: Address) -> Result<(), Error> {
    let keys: Vec<Triple> =
        REDELEGATIONS.map().iter_prefix(ctx.store, &(delegator, to)).map(|(key, _)| key).collect();
    keys.into_iter().try_for_each(|key| settle_one(ctx, key))
}

fn settle_one(ctx: &mut Ctx<'_>, key: Triple) -> Result<(), Error> {
    let (delegator, to, from) = key;
    let Some(mut moved) = REDELEGATIONS.get(ctx.store, &key) else { return Ok(()) };
    let mut due = Vec::new();
    for entry in &mut moved.entries {
        let (since, left) = (entry.settled_height, entry.creation_height);
        let slashes: Vec<Dec> =
            unbonding::slashes_since(ctx.store, from, since, left, entry.completion_s).collect();
        if !slashes.is_empty() {
            entry.settled_height = ctx.block.height;
            due.push((entry.clone(), slashes));
        }
    }
    if due.is_empty() {
        return Ok(());
    }
    REDELEGATIONS.set(ctx.store, &key, &moved);
    for (entry, slashes) in due {
        for fraction in slashes {
            charge(ctx, delegator, to, &entry, fraction)?;
        }
    }
    Ok(())
}

/// Takes a part of what moved: first from what unbonds at the destination since, then from the shares.
fn charge(
    ctx: &mut Ctx<'_>,
    delegator: Address,
    to: Address,
    entry: &RedelegationEntry,
    fraction: Dec,
) -> Result<(), Error> {
    let moved = Amount::stored(&entry.initial_balance_uxpl);
    let due = fraction.of(moved).ok_or(Error::Overflow)?;
    let left = unbonding::charge(ctx, delegator, to, entry.creation_height, due)?;
    let Some(validator) = VALIDATORS.get(ctx.store, &to) else { return Ok(()) };
    let shares = Dec::stored(&entry.shares_dst).times(fraction).unwrap_or_default();
    let shares = shares.times_ratio(left.units(), due.units()).unwrap_or_default();
    let shares = shares.min(shares_of(ctx.store, delegator, to));
    if shares == Dec::ZERO {
        return Ok(());
    }
    let bonded = validator.status() == BondStatus::Bonded;
    let gone = delegation::drop_shares(ctx, delegator, to, shares, None)?;
    token::burn(ctx, pool(bonded), gone)?;
    Ok(())
}

/// Has every mover away from a validator charged for a slash, from the next end of block on.
pub(super) fn charge_movers(ctx: &mut Ctx<'_>, from: Address) {
    let table = Table::StakingRedelegationsBySource;
    if index_keys::<(Address, Address)>(ctx.store, table, &from.0, &[]).next().is_some() {
        let task = SlashTask { operator: from.text(), cursor: Vec::new() };
        SLASH_TASKS.set(ctx.store, &from, &task);
    }
}

/// Goes on charging movers, from where the last block stopped.
pub(super) fn charge_some(ctx: &mut Ctx<'_>) -> Result<(), Error> {
    let mut room = CHARGED_PER_BLOCK_MAX;
    while room > 0 {
        let Some((from, task)) = SLASH_TASKS.iter(ctx.store).next() else { return Ok(()) };
        let table = Table::StakingRedelegationsBySource;
        let movers: Vec<(Address, Address)> =
            index_keys(ctx.store, table, &from.0, &task.cursor).take(room).collect();
        if movers.len() < room {
            SLASH_TASKS.remove(ctx.store, &from);
        } else if let Some((delegator, to)) = movers.last() {
            let cursor = [delegator.0, to.0].concat();
            SLASH_TASKS.set(ctx.store, &from, &SlashTask { operator: from.text(), cursor });
        }
        // A task without movers takes a place too, so that the loop is bounded.
        room = room.saturating_sub(movers.len().max(1));
        for (delegator, to) in movers {
            settle_one(ctx, (delegator, to, from))?;
        }
    }
    Ok(())
}

/// Forgets what is over, oldest first, once it has paid; the rest waits for the next block.
pub(super) fn forget_due(ctx: &mut Ctx<'_>) -> Result<(), Error> {
    let now_s = ctx.block.time_s;
    let due: Vec<Triple> = index_keys::<(u64, Address, Address, Address)>(
        ctx.store,
        Table::StakingRedelegationQueue,
        &[],
        &[],
    )
    .take_while(|(due_s, ..)| *due_s <= now_s)
    .take(FORGOTTEN_PER_BLOCK_MAX)
    .map(|(_, delegator, to, from)| (delegator, to, from))
    .collect();
    for key in due {
        settle_one(ctx, key)?;
        let Some(mut moved) = REDELEGATIONS.get(ctx.store, &key) else { continue };
        let mut amount = Amount::ZERO;
        for entry in moved.entries.iter().filter(|entry| entry.completion_s <= now_s) {
            let more = Amount::stored(&entry.initial_balance_uxpl);
            amount = amount.plus(more).ok_or(Error::Overflow)?;
        }
        moved.entries.retain(|entry| entry.completion_s > now_s);
        if moved.entries.is_empty() {
            REDELEGATIONS.remove(ctx.store, &key);
        } else {
            REDELEGATIONS.set(ctx.store, &key, &moved);
        }
        if amount != Amount::ZERO {
            let (delegator, to, from) = key;
            ctx.emit(&Event::Moved { delegator, from, to, amount });
        }
    }
    Ok(())
}
